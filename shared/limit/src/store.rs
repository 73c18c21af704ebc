//! Where budgets are kept: sharded, and never more than a fixed number of them.

use std::{
    collections::HashMap,
    fmt,
    hash::{BuildHasherDefault, Hasher},
    sync::{Mutex, PoisonError},
};

use governor::{
    nanos::Nanos,
    state::{StateStore, keyed::ShrinkableKeyedStateStore},
};

use crate::LimitKey;

const SHARDS: usize = 16;

/// Budgets by key, each as the moment at which it is full again.
///
/// Full of keys, it forgets first the budgets that are full anyway, then those that are nearly so: who
/// spent most is remembered longest.
pub(crate) struct BoundedStore {
    shards: Box<[Mutex<Shard>]>,
    keys_per_shard_max: usize,
    /// What one call takes from a budget.
    call_ns: u64,
}

type Shard = HashMap<LimitKey, u64, BuildHasherDefault<Hashed>>;

/// Takes the key for its hash, which it is.
#[derive(Default)]
pub(crate) struct Hashed(u64);

// === impl BoundedStore ===

impl BoundedStore {
    /// Keeps at most `keys_max` budgets, from which a call takes `call_ns`.
    pub(crate) fn new(keys_max: usize, call_ns: u64) -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::new(Shard::default())).collect();
        Self { shards, keys_per_shard_max: keys_max.div_ceil(SHARDS).max(1), call_ns }
    }

    fn shard(&self, key: LimitKey) -> &Mutex<Shard> {
        // The map picks its slot by the low bits and tags it by the high ones: these lie between.
        &self.shards[((key.0 >> 32) % SHARDS as u64) as usize]
    }

    /// Makes room for one key that will be full again at `full_at`, its first call counted.
    fn make_room(&self, shard: &mut Shard, full_at: u64) {
        let now = full_at.saturating_sub(self.call_ns);
        shard.retain(|_, full_at| *full_at > now);
        // An eighth at a time, so that a flood of keys does not sort the shard for each of them.
        let keep = self.keys_per_shard_max - self.keys_per_shard_max.div_ceil(8);
        if shard.len() > keep {
            let mut moments: Vec<u64> = shard.values().copied().collect();
            let leaving = shard.len() - keep;
            let (_, &mut last, _) = moments.select_nth_unstable(leaving - 1);
            shard.retain(|_, full_at| *full_at > last);
        }
    }
}

impl StateStore for BoundedStore {
    type Key = LimitKey;

    fn measure_and_replace<T, F, E>(&self, key: &LimitKey, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        // What is done under the lock cannot panic half-way through a change.
        let mut shard = self.shard(*key).lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(full_at) = shard.get_mut(key) {
            let (outcome, next) = decide(Some(Nanos::new(*full_at)))?;
            *full_at = next.as_u64();
            return Ok(outcome);
        }
        let (outcome, next) = decide(None)?;
        if shard.len() >= self.keys_per_shard_max {
            self.make_room(&mut shard, next.as_u64());
        }
        shard.insert(*key, next.as_u64());
        Ok(outcome)
    }
}

impl ShrinkableKeyedStateStore<LimitKey> for BoundedStore {
    fn retain_recent(&self, drop_below: Nanos) {
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.retain(|_, full_at| *full_at > drop_below.as_u64());
            shard.shrink_to_fit();
        }
    }

    fn len(&self) -> usize {
        self.shards.iter().map(|it| it.lock().unwrap_or_else(PoisonError::into_inner).len()).sum()
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl fmt::Debug for BoundedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoundedStore")
            .field("keys_per_shard_max", &self.keys_per_shard_max)
            .finish_non_exhaustive()
    }
}

// === impl Hashed ===

impl Hasher for Hashed {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
