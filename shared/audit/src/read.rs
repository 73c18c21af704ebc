//! Rows read back.

use std::io::{self, BufRead};

use crate::AuditRow;

/// Reads the rows of a file of JSON lines, oldest first.
///
/// A line that is no row, such as one cut short when its process was killed, is an error of kind
/// [`io::ErrorKind::InvalidData`] in its place; the rows after it follow.
pub fn rows(lines: impl BufRead) -> impl Iterator<Item = io::Result<AuditRow>> {
    lines.split(b'\n').filter(|line| !line.as_ref().is_ok_and(Vec::is_empty)).map(|line| {
        serde_json::from_slice(&line?).map_err(|source| io::Error::new(io::ErrorKind::InvalidData, source))
    })
}
