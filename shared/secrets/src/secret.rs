//! Bytes that wipe themselves when the last holder lets go, and never print.

use std::{fmt, sync::Arc};

use aws_lc_rs::constant_time;
use mcp_types::Entropy;
use zeroize::Zeroizing;

/// A secret's bytes.
///
/// A clone shares the bytes, so that there are not more copies in memory than there must be. Two
/// secrets compare in a time that does not tell where they differ.
#[derive(Clone)]
pub struct Secret(Arc<Zeroizing<Vec<u8>>>);

// === impl Secret ===

impl Secret {
    /// Takes `bytes` into keeping.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Zeroizing::new(bytes)))
    }

    /// Draws a fresh secret of `bytes` bytes.
    pub fn draw(bytes: usize, entropy: &dyn Entropy) -> Self {
        let mut drawn = Zeroizing::new(vec![0; bytes]);
        entropy.fill(&mut drawn);
        Self(Arc::new(drawn))
    }

    /// Shows the bytes to code that has a use for them; never for logs or errors.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl From<Zeroizing<Vec<u8>>> for Secret {
    fn from(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(Arc::new(bytes))
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        constant_time::verify_slices_are_equal(self.expose(), other.expose()).is_ok()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret([redacted])")
    }
}

#[cfg(test)]
mod tests {
    //! What a secret shows of itself: nothing.

    use super::*;

    #[test]
    fn a_secret_prints_nothing_of_itself() {
        let secret = Secret::new(b"canary".to_vec());
        assert_eq!(format!("{secret:?}"), "Secret([redacted])");
        assert_eq!(format!("{:?}", Some(&secret)), "Some(Secret([redacted]))");
    }

    #[test]
    fn secrets_compare_by_content() {
        assert_eq!(Secret::new(vec![1, 2]), Secret::new(vec![1, 2]));
        assert_ne!(Secret::new(vec![1, 2]), Secret::new(vec![1, 3]));
        assert_ne!(Secret::new(vec![1, 2]), Secret::new(vec![1]));
    }
}
