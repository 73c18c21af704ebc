//! Chance as an argument: whatever draws is handed an [`Entropy`].

use std::fmt;

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use uuid::Uuid;

use crate::Timestamp;

/// A source of bytes that nobody can foresee.
pub trait Entropy: fmt::Debug + Send + Sync + 'static {
    /// Fills `out`.
    fn fill(&self, out: &mut [u8]);
}

/// The operating system's source.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

/// Makes a UUIDv7 (RFC 9562, section 5.7) of the moment `now`.
pub fn uuid_v7(now: Timestamp, entropy: &dyn Entropy) -> Uuid {
    let mut random = [0; 10];
    entropy.fill(&mut random);
    let millis = u64::try_from(now.unix_millis()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}

// === impl SystemEntropy ===

impl Entropy for SystemEntropy {
    /// # Panics
    ///
    /// Where the operating system has no randomness to give: nothing secure can go on from there.
    #[expect(clippy::expect_used, reason = "without randomness no later step would be safe")]
    fn fill(&self, out: &mut [u8]) {
        SystemRandom::new().fill(out).expect("the operating system gives randomness");
    }
}
