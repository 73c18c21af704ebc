//! The audit row of a call, on its way into the transaction of what the call writes.

use std::{
    fmt,
    sync::atomic::{AtomicU8, Ordering},
};

const WAITS: u8 = 0;
const REFUSED: u8 = 1;
const TAKEN: u8 = 2;

/// An audit row that travels with a scope: whoever commits a write inside that scope commits the row with it.
///
/// To this crate it is bytes. The store writes them and says so here; whoever made them asks at the end of the call
/// whether they were written.
pub struct Evidence {
    id: [u8; 16],
    leaf: Box<[u8]>,
    entry: Box<[u8]>,
    state: AtomicU8,
}

// === impl Evidence ===

impl Evidence {
    /// Evidence that no write has taken yet: its own id, what the log's tree will hold of it, and what is to be sealed.
    pub fn new(id: [u8; 16], leaf: &[u8], entry: Vec<u8>) -> Self {
        Self { id, leaf: leaf.into(), entry: entry.into(), state: AtomicU8::new(WAITS) }
    }

    /// Its own id: of several transactions of one call each may write it, and it is there once.
    pub fn id(&self) -> &[u8; 16] {
        &self.id
    }

    /// What the log's tree will hold of it.
    pub fn leaf(&self) -> &[u8] {
        &self.leaf
    }

    /// What is to be sealed: the row and its salt.
    pub fn entry(&self) -> &[u8] {
        &self.entry
    }

    /// Says that a committed transaction holds it.
    pub fn take(&self) {
        self.state.store(TAKEN, Ordering::Release);
    }

    /// Says that a transaction could not be committed because it could not be written.
    pub fn refuse(&self) {
        // What was committed stays committed.
        let _ = self.state.compare_exchange(WAITS, REFUSED, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Whether a committed transaction holds it.
    pub fn is_taken(&self) -> bool {
        self.state.load(Ordering::Acquire) == TAKEN
    }

    /// Whether a write did not happen because of it.
    pub fn is_refused(&self) -> bool {
        self.state.load(Ordering::Acquire) == REFUSED
    }
}

impl fmt::Debug for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Evidence").field("taken", &self.is_taken()).finish_non_exhaustive()
    }
}
