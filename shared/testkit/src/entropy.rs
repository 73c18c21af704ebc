//! Chance that repeats itself: the same seed draws the same bytes.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use mcp_types::Entropy;

/// The step of the sequence: 2^64 over the golden ratio, odd, so that all states come.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// Draws the same bytes from the same seed; for tests alone, since anybody can foresee them.
#[derive(Debug)]
pub struct SeededEntropy(AtomicU64);

// === impl SeededEntropy ===

impl SeededEntropy {
    /// Begins the sequence of `seed`.
    pub fn new(seed: u64) -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(seed)))
    }

    fn next(&self) -> u64 {
        mix(self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP))
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, out: &mut [u8]) {
        for bytes in out.chunks_mut(8) {
            bytes.copy_from_slice(&self.next().to_le_bytes()[..bytes.len()]);
        }
    }
}

/// Spreads each bit of the counter over the whole word (the finaliser of SplitMix64).
fn mix(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    //! The same seed, the same bytes; another seed, others.

    use super::*;

    fn drawn(seed: u64) -> [[u8; 13]; 3] {
        let entropy = SeededEntropy::new(seed);
        [(); 3].map(|()| {
            let mut bytes = [0; 13];
            entropy.fill(&mut bytes);
            bytes
        })
    }

    #[test]
    fn a_seed_repeats_itself_and_no_other() {
        assert_eq!(drawn(1), drawn(1));
        assert_ne!(drawn(1), drawn(2));
        let [first, second, third] = drawn(1);
        assert!(first != second && second != third);
    }
}
