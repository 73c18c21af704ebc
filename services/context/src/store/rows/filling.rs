//! Pages that are filled row by row.

use super::super::{Limit, Page};

/// A page that is being filled.
#[derive(Debug)]
pub(super) struct Filling<T> {
    limit: Limit,
    bytes: u64,
    page: Page<T>,
}

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
