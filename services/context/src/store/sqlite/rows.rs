//! Rows as SQLite gives them, and pages that are filled row by row.

use mcp_types::Timestamp;

use super::super::{Context, ContextsError, Limit, Page};
use crate::{fields::Fields, names::ContextId};

/// A row of `contexts`, in the order: id, version, created, updated, message_count, kind, title, tags, description.
pub(super) type ContextRow = (Vec<u8>, i64, i64, i64, i64, String, String, String, String);

/// A page that is being filled.
#[derive(Debug)]
pub(super) struct Filling<T> {
    limit: Limit,
    bytes: u64,
    page: Page<T>,
}

/// A row holds what we never wrote.
#[derive(Debug, thiserror::Error)]
#[error("column `{0}` holds what was never written to it")]
pub(super) struct Corrupt(&'static str);

// === impl Filling ===

impl<T> Filling<T> {
    /// An empty page with this limit.
    pub(super) fn up_to(limit: Limit) -> Self {
        Self { limit, bytes: 0, page: Page { rows: Vec::new(), more: false } }
    }

    /// Takes `row`, `bytes` long, unless the page is full; then says so, and that there is more.
    pub(super) fn is_full_before(&mut self, bytes: u64, row: T) -> bool {
        let bytes = self.bytes.saturating_add(bytes);
        let rows = self.page.rows.len();
        if rows >= self.limit.rows as usize || rows > 0 && bytes > self.limit.bytes {
            self.page.more = true;
            return true;
        }
        self.bytes = bytes;
        self.page.rows.push(row);
        false
    }

    /// The page as it is now.
    pub(super) fn end(self) -> Page<T> {
        self.page
    }
}

// === impl Context ===

impl TryFrom<ContextRow> for Context {
    type Error = ContextsError;

    fn try_from(row: ContextRow) -> Result<Self, ContextsError> {
        let (id, version, created, updated, message_count, kind, title, tags, description) = row;
        let id = ContextId::from_slice(&id).ok_or_else(|| corrupt("id"))?;
        let tags = serde_json::from_str(&tags).map_err(|_| corrupt("tags"))?;
        Ok(Self {
            id,
            fields: Fields { kind, title, description, tags },
            version: unsigned(version, "version")?,
            created: Timestamp::from_unix_millis(created),
            updated: Timestamp::from_unix_millis(updated),
            message_count: unsigned(message_count, "message_count")?,
        })
    }
}

/// The tags as their column holds them.
pub(super) fn tags_of(fields: &Fields) -> Result<String, ContextsError> {
    serde_json::to_string(&fields.tags)
        .map_err(|source| ContextsError::Unreadable { doing: "write down tags", source: source.into() })
}

/// A count as SQLite's only integer type.
pub(super) fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A count, which is never below zero.
pub(super) fn unsigned<T: TryFrom<i64>>(value: i64, column: &'static str) -> Result<T, ContextsError> {
    T::try_from(value).map_err(|_| corrupt(column))
}

fn corrupt(column: &'static str) -> ContextsError {
    ContextsError::Unreadable { doing: "read a row", source: Corrupt(column).into() }
}

#[cfg(test)]
mod tests {
    //! Where a page ends.

    use super::*;

    fn filled(limit: Limit, rows: &[u64]) -> Page<u64> {
        let mut page = Filling::up_to(limit);
        for &bytes in rows {
            if page.is_full_before(bytes, bytes) {
                break;
            }
        }
        page.end()
    }

    #[test]
    fn a_page_ends_at_its_rows_or_its_bytes() {
        let limit = Limit { rows: 3, bytes: 10 };
        assert_eq!(filled(limit, &[1, 1, 1]), Page { rows: vec![1, 1, 1], more: false });
        assert_eq!(filled(limit, &[1, 1, 1, 1]), Page { rows: vec![1, 1, 1], more: true });
        assert_eq!(filled(limit, &[5, 5]), Page { rows: vec![5, 5], more: false });
        assert_eq!(filled(limit, &[5, 6]), Page { rows: vec![5], more: true });
    }

    #[test]
    fn a_page_holds_at_least_one_row() {
        assert_eq!(filled(Limit { rows: 3, bytes: 10 }, &[11, 1]), Page { rows: vec![11], more: true });
    }
}
