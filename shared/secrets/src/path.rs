//! The name of a secret, parsed once: what has been parsed cannot climb out of its folder.

use std::{fmt, str::FromStr, sync::Arc};

const PATH_BYTES_MAX: usize = 255;
const SEGMENT_BYTES_MAX: usize = 64;
const SEGMENTS_MAX: usize = 8;

/// Names a secret: 1 to 8 segments of `a-z0-9_-` with slashes between, as in `auth/signing/2026-01`.
///
/// Lower case only, because some file systems fold case and would let one secret overwrite another;
/// no dots, so that neither `..` nor the store's own file names can be spelt.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SecretPath(Arc<str>);

/// Why a text names no secret.
#[derive(Debug, thiserror::Error)]
#[error(
    "a secret's path must be 1 to 8 segments of 1 to 64 lower-case letters, digits, `_` and `-`, a letter or digit first"
)]
pub struct BadPath(());

// === impl SecretPath ===

impl SecretPath {
    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path one segment (or several) below this one.
    pub fn join(&self, below: &str) -> Result<Self, BadPath> {
        format!("{self}/{below}").parse()
    }

    /// Whether this path lies below `folder`; no path lies below itself.
    pub fn is_below(&self, folder: &Self) -> bool {
        self.0.strip_prefix(folder.as_str()).is_some_and(|rest| rest.starts_with('/'))
    }
}

impl FromStr for SecretPath {
    type Err = BadPath;

    fn from_str(text: &str) -> Result<Self, BadPath> {
        let is_path = text.len() <= PATH_BYTES_MAX
            && text.split('/').count() <= SEGMENTS_MAX
            && text.split('/').all(is_segment);
        if is_path { Ok(Self(text.into())) } else { Err(BadPath(())) }
    }
}

impl fmt::Display for SecretPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for SecretPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_segment(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (1..=SEGMENT_BYTES_MAX).contains(&text.len())
        && text.bytes().next().is_some_and(word)
        && text.bytes().all(|byte| word(byte) || byte == b'_' || byte == b'-')
}

#[cfg(test)]
mod tests {
    //! What is a path and what is none.

    use super::*;

    #[test]
    fn a_path_cannot_climb() {
        let deep = ["a"; 9].join("/");
        let long = "a".repeat(65);
        for bad in [
            "", "/", "/a", "a/", "a//b", ".", "..", "a/..", "a/../b", "a/.b", "a.sealed", "A", "a\\b", "a b",
            "a\0", "-a", "_a", "ä", &deep, &long,
        ] {
            assert!(bad.parse::<SecretPath>().is_err(), "{bad:?}");
        }
        for good in ["a", "a/b", "auth/signing/2026-01", "context/tenants/acme/key_1"] {
            assert_eq!(good.parse::<SecretPath>().expect(good).as_str(), good);
        }
    }

    #[test]
    fn below_is_by_segment_not_by_letter() {
        let folder: SecretPath = "a/b".parse().expect("path");
        assert!(folder.join("c").expect("path").is_below(&folder));
        assert!(!folder.is_below(&folder));
        assert!(!"a/bc".parse::<SecretPath>().expect("path").is_below(&folder));
        assert!(folder.join("../c").is_err());
    }
}
