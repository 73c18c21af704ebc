//! How much each class of method may be called.

use std::num::NonZeroU32;

use mcp_tenancy::RateClass;
use serde::{Deserialize, Serialize};

/// Calls per minute and key, by class.
///
/// A budget refills evenly, so an idle key may spend a minute's calls at once, and then goes on at the
/// pace of the refill.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Quotas {
    /// Cheap reads.
    pub read: NonZeroU32,
    /// Writes.
    pub write: NonZeroU32,
    /// Work that costs CPU by the size of its input.
    pub heavy: NonZeroU32,
    /// Places where guessing pays.
    pub sensitive: NonZeroU32,
    /// The mesh's own upkeep.
    pub upkeep: NonZeroU32,
}

/// All classes; a class's place here is its place in every table by class.
pub(crate) const CLASSES: [RateClass; 5] =
    [RateClass::Read, RateClass::Write, RateClass::Heavy, RateClass::Sensitive, RateClass::Upkeep];

// === impl Quotas ===

impl Quotas {
    /// The calls per minute of `class`.
    pub fn of(&self, class: RateClass) -> NonZeroU32 {
        match class {
            RateClass::Read => self.read,
            RateClass::Write => self.write,
            RateClass::Heavy => self.heavy,
            RateClass::Sensitive => self.sensitive,
            RateClass::Upkeep => self.upkeep,
        }
    }

    /// The same quotas, each `factor` times as much: a tenant has more than one principal.
    #[must_use]
    pub fn times(self, factor: NonZeroU32) -> Self {
        Self {
            read: self.read.saturating_mul(factor),
            write: self.write.saturating_mul(factor),
            heavy: self.heavy.saturating_mul(factor),
            sensitive: self.sensitive.saturating_mul(factor),
            upkeep: self.upkeep.saturating_mul(factor),
        }
    }
}

impl Default for Quotas {
    fn default() -> Self {
        const fn per_minute(calls: u32) -> NonZeroU32 {
            NonZeroU32::new(calls).expect("not zero")
        }
        const {
            Self {
                read: per_minute(6000),
                write: per_minute(1200),
                heavy: per_minute(600),
                sensitive: per_minute(120),
                upkeep: per_minute(6000),
            }
        }
    }
}

/// The place of `class` in [`CLASSES`].
pub(crate) const fn place(class: RateClass) -> usize {
    match class {
        RateClass::Read => 0,
        RateClass::Write => 1,
        RateClass::Heavy => 2,
        RateClass::Sensitive => 3,
        RateClass::Upkeep => 4,
    }
}
