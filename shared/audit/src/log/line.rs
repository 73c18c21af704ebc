//! An entry as a line of a file: the row's JSON, with the salt as its last member.
//!
//! ```text
//! {"time":"2026-01-31T23:59:59.999Z","service":"context",...,"salt":"<44 characters>"}
//! ```
//!
//! The salt has a fixed length and stands last, so that the content, which is the same text without it, is found by
//! counting from the end. Whoever reads the line as a row passes over the salt. A line without one is its own content.

use base64::{Engine as _, prelude::BASE64_STANDARD};

use super::{Entry, SALT_BYTES};

const BEFORE: &[u8] = b",\"salt\":\"";
const AFTER: &[u8] = b"\"}";
const SALT_CHARACTERS: usize = 44;
const SUFFIX_BYTES: usize = BEFORE.len() + SALT_CHARACTERS + AFTER.len();

/// Appends the line of `entry` to `text`, with its end.
pub fn write_line(text: &mut Vec<u8>, entry: &Entry) {
    match (entry.salt(), entry.content().strip_suffix(b"}")) {
        (Some(salt), Some(open)) => {
            text.extend_from_slice(open);
            text.extend_from_slice(BEFORE);
            text.extend_from_slice(BASE64_STANDARD.encode(salt).as_bytes());
            text.extend_from_slice(AFTER);
        }
        _ => text.extend_from_slice(entry.content()),
    }
    text.push(b'\n');
}

/// The entry that `line`, without its end, stands for. Every line stands for one.
pub fn entry_of_line(line: &[u8]) -> Entry {
    salted(line).unwrap_or_else(|| Entry::bare(line.to_vec()))
}

fn salted(line: &[u8]) -> Option<Entry> {
    let (open, suffix) = line.split_at_checked(line.len().checked_sub(SUFFIX_BYTES)?)?;
    let text = suffix.strip_prefix(BEFORE)?.strip_suffix(AFTER)?;
    let salt: [u8; SALT_BYTES] = BASE64_STANDARD.decode(text).ok()?.try_into().ok()?;
    Some(Entry::salted(salt, [open, b"}"].concat()))
}
