//! Tables as their service declares them: every column is sealed, or clear for a stated reason.
//!
//! ```text
//! statements.rs  statements about declared tables, for sealing them anew
//! check.rs       holds a declaration against the tables that are there
//! ```

mod check;
mod statements;

pub(crate) use self::{
    check::differences,
    statements::{Batch, Statements, erasing},
};

/// A table of tenants' rows.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// All of its columns but `tenant`.
    pub columns: &'static [Column],
}

/// A column, and who may read it.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
}

/// What a column holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// A part of what tells rows apart, in clear: sealed values are bound to it.
    Key,
    /// What only the holder of the tenant's key can read.
    Sealed,
    /// What anybody who holds the database can read.
    Clear {
        /// Why that must be, or does no harm.
        why: &'static str,
    },
}

/// A column that [`crate::TenantTx::seal`] seals for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct SealedColumn {
    pub(crate) table: &'static str,
    pub(crate) column: &'static str,
}

/// A part of what tells rows apart.
#[derive(Clone, Copy, Debug)]
pub enum RowPart<'a> {
    /// A column of bytes.
    Bytes(&'a [u8]),
    /// A column of integers.
    Integer(i64),
    /// A column of text.
    Text(&'a str),
}

/// Names a row by the values of its [`Column::key`] columns, in the order of their declaration.
///
/// A single column is its own name: bytes as they are, text in UTF-8, an integer in eight bytes, big end first. Of several,
/// each comes after its length, so that no two rows share a name.
pub fn row_id(parts: &[RowPart<'_>]) -> Vec<u8> {
    let bytes = parts.iter().map(|part| match part {
        RowPart::Bytes(bytes) => bytes.to_vec(),
        RowPart::Integer(integer) => integer.to_be_bytes().to_vec(),
        RowPart::Text(text) => text.as_bytes().to_vec(),
    });
    if parts.len() == 1 {
        return bytes.flatten().collect();
    }
    bytes.flat_map(|it| (it.len() as u64).to_be_bytes().into_iter().chain(it)).collect()
}

// === impl Table ===

impl Table {
    /// The sealed column `name`.
    ///
    /// # Panics
    ///
    /// Where the table has no such column, or has it in clear: when it is compiled, if the result is a constant.
    #[must_use]
    pub const fn sealed(&self, name: &'static str) -> SealedColumn {
        let mut at = 0;
        while at < self.columns.len() {
            let column = &self.columns[at];
            if same(column.name, name) {
                assert!(matches!(column.kind, Kind::Sealed), "the column is declared in clear");
                return SealedColumn { table: self.name, column: column.name };
            }
            at += 1;
        }
        panic_undeclared()
    }

    /// The columns that tell its rows apart.
    pub fn keys(&self) -> impl Iterator<Item = &'static str> {
        self.named(|kind| kind == Kind::Key)
    }

    /// The columns that are sealed.
    pub fn sealed_columns(&self) -> impl Iterator<Item = &'static str> {
        self.named(|kind| kind == Kind::Sealed)
    }

    fn named(&self, is: impl Fn(Kind) -> bool) -> impl Iterator<Item = &'static str> {
        self.columns.iter().filter(move |it| is(it.kind)).map(|it| it.name)
    }
}

#[expect(clippy::panic, reason = "const evaluation has no other way to refuse")]
const fn panic_undeclared() -> SealedColumn {
    panic!("the table declares no such column")
}

const fn same(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    if one.len() != other.len() {
        return false;
    }
    let mut at = 0;
    while at < one.len() {
        if one[at] != other[at] {
            return false;
        }
        at += 1;
    }
    true
}

// === impl Column ===

impl Column {
    /// A part of what tells rows apart, in clear: an ID, a number in a series.
    #[must_use]
    pub const fn key(name: &'static str) -> Self {
        Self { name, kind: Kind::Key }
    }

    /// What users wrote.
    #[must_use]
    pub const fn sealed(name: &'static str) -> Self {
        Self { name, kind: Kind::Sealed }
    }

    /// What is in clear because of `why`.
    #[must_use]
    pub const fn clear(name: &'static str, why: &'static str) -> Self {
        Self { name, kind: Kind::Clear { why } }
    }
}

// === impl RowPart ===

impl<'a> From<&'a [u8]> for RowPart<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Bytes(bytes)
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for RowPart<'a> {
    fn from(bytes: &'a [u8; N]) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<i64> for RowPart<'_> {
    fn from(integer: i64) -> Self {
        Self::Integer(integer)
    }
}

impl<'a> From<&'a str> for RowPart<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}
