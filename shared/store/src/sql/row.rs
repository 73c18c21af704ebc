//! What a statement gives back: columns by their place, the same from both engines.

use std::error::Error;

use super::Value;
use sqlx::{
    ColumnIndex, Decode, Row as _, Type, TypeInfo as _, ValueRef as _, postgres::PgRow, sqlite::SqliteRow,
};

/// A row of either engine.
#[derive(Clone, Copy)]
#[expect(missing_debug_implementations, reason = "a row holds what users wrote")]
pub enum Row<'r> {
    /// Of SQLite.
    Sqlite(&'r SqliteRow),
    /// Of PostgreSQL.
    Postgres(&'r PgRow),
}

/// What a row is read into: a tuple of [`FromColumn`]s, in the order of the statement's columns.
pub trait FromRow: Sized + Send + 'static {
    /// Reads `row`.
    ///
    /// # Errors
    ///
    /// Where a column is of another type.
    fn from_row(row: Row<'_>) -> Result<Self, sqlx::Error>;
}

/// What a column is read into.
pub trait FromColumn: Sized + Send + 'static {
    /// Reads the column at `at`, counted from 0; `None` where it is null.
    ///
    /// # Errors
    ///
    /// Where the column is of another type.
    fn from_column(row: Row<'_>, at: usize) -> Result<Option<Self>, sqlx::Error>;
}

// === impl Row ===

impl<'r> Row<'r> {
    fn column<T>(self, at: usize) -> Result<Option<T>, sqlx::Error>
    where
        T: Decode<'r, sqlx::Sqlite> + Type<sqlx::Sqlite> + Decode<'r, sqlx::Postgres> + Type<sqlx::Postgres>,
        usize: ColumnIndex<SqliteRow> + ColumnIndex<PgRow>,
    {
        match self {
            Self::Sqlite(row) => row.try_get(at),
            Self::Postgres(row) => row.try_get(at),
        }
    }

    fn any(self, at: usize) -> Result<Value, sqlx::Error> {
        let kind = match self {
            Self::Sqlite(row) => row.try_get_raw(at)?.type_info().name().to_owned(),
            Self::Postgres(row) => row.try_get_raw(at)?.type_info().name().to_owned(),
        };
        match kind.as_str() {
            "BLOB" | "BYTEA" => self.column(at).map(Value::Bytes),
            "TEXT" => self.column(at).map(Value::Text),
            _ => self.integer(at).map(Value::Integer),
        }
    }

    /// PostgreSQL has integers of several sizes, and answers e.g. a literal with another than a column's.
    fn integer(self, at: usize) -> Result<Option<i64>, sqlx::Error> {
        let Self::Postgres(row) = self else { return self.column(at) };
        let raw = row.try_get_raw(at)?;
        let kind = raw.type_info();
        match kind.name() {
            "INT4" => row.try_get::<Option<i32>, _>(at).map(|it| it.map(i64::from)),
            "INT2" => row.try_get::<Option<i16>, _>(at).map(|it| it.map(i64::from)),
            "BOOL" => row.try_get::<Option<bool>, _>(at).map(|it| it.map(i64::from)),
            _ => row.try_get(at),
        }
    }
}

// === impl FromColumn ===

impl FromColumn for i64 {
    fn from_column(row: Row<'_>, at: usize) -> Result<Option<Self>, sqlx::Error> {
        row.integer(at)
    }
}

impl FromColumn for String {
    fn from_column(row: Row<'_>, at: usize) -> Result<Option<Self>, sqlx::Error> {
        row.column(at)
    }
}

impl FromColumn for Vec<u8> {
    fn from_column(row: Row<'_>, at: usize) -> Result<Option<Self>, sqlx::Error> {
        row.column(at)
    }
}

impl<const N: usize> FromColumn for [u8; N] {
    fn from_column(row: Row<'_>, at: usize) -> Result<Option<Self>, sqlx::Error> {
        let bytes: Option<Vec<u8>> = row.column(at)?;
        bytes.map(|it| it.as_slice().try_into().map_err(|error| bad(at, error))).transpose()
    }
}

macro_rules! narrower {
    ($($type:ty),*) => {
        $(
            impl FromColumn for $type {
                fn from_column(row: Row<'_>, at: usize) -> Result<Option<Self>, sqlx::Error> {
                    row.integer(at)?.map(|it| it.try_into().map_err(|error| bad(at, error))).transpose()
                }
            }
        )*
    };
}

narrower!(i32, u32, u64);

impl FromColumn for bool {
    fn from_column(row: Row<'_>, at: usize) -> Result<Option<Self>, sqlx::Error> {
        Ok(row.integer(at)?.map(|it| it != 0))
    }
}

fn bad(at: usize, source: impl Error + Send + Sync + 'static) -> sqlx::Error {
    sqlx::Error::ColumnDecode { index: at.to_string(), source: Box::new(source) }
}

/// A column of a tuple: one that may be null, or one that may not.
pub trait Place: Sized + Send + 'static {
    /// Reads the column at `at`.
    ///
    /// # Errors
    ///
    /// Where it is of another type, or null and may not be.
    fn place(row: Row<'_>, at: usize) -> Result<Self, sqlx::Error>;
}

impl<T: FromColumn> Place for T {
    fn place(row: Row<'_>, at: usize) -> Result<Self, sqlx::Error> {
        T::from_column(row, at)?.ok_or_else(|| sqlx::Error::ColumnDecode {
            index: at.to_string(),
            source: "the column is null".into(),
        })
    }
}

impl<T: FromColumn> Place for Option<T> {
    fn place(row: Row<'_>, at: usize) -> Result<Self, sqlx::Error> {
        T::from_column(row, at)
    }
}

// === impl FromRow ===

/// All columns, of whatever type they are.
impl FromRow for Vec<Value> {
    fn from_row(row: Row<'_>) -> Result<Self, sqlx::Error> {
        let columns = match row {
            Row::Sqlite(row) => row.len(),
            Row::Postgres(row) => row.len(),
        };
        (0..columns).map(|at| row.any(at)).collect()
    }
}

macro_rules! tuples {
    ($(($($type:ident $at:tt),*);)*) => {
        $(
            impl<$($type: Place),*> FromRow for ($($type,)*) {
                fn from_row(row: Row<'_>) -> Result<Self, sqlx::Error> {
                    Ok(($($type::place(row, $at)?,)*))
                }
            }
        )*
    };
}

tuples! {
    (A 0);
    (A 0, B 1);
    (A 0, B 1, C 2);
    (A 0, B 1, C 2, D 3);
    (A 0, B 1, C 2, D 3, E 4);
    (A 0, B 1, C 2, D 3, E 4, F 5);
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6);
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8);
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9);
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10);
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11);
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12);
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12, N 13);
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12, N 13, O 14);
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12, N 13, O 14, P 15);
}
