//! The keys of a tenant: data keys that seal its columns, and one that makes its blind index.
//!
//! ```text
//! keyring.rs   makes them on first use, keeps them unwrapped for a bounded time
//! sealer.rs    seals a value for its place, and opens it there
//! rotate.rs    a new data key; all that was sealed, sealed anew
//! forget.rs    the end of a tenant
//! ```
//!
//! In the tenant's own tables they lie wrapped, by a key that is in no database ([`mcp_secrets::Wrapping`]). What is sealed is
//! bound to its service, tenant, table, row, column and key: moved anywhere else it does not open.

mod forget;
mod keyring;
mod rotate;
mod sealer;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use mcp_secrets::{DataKey, Wrapping};
use mcp_types::{Clock, Entropy, SystemClock, SystemEntropy};

pub(crate) use self::keyring::Keyring;
pub use self::{
    forget::{Forgotten, ForgottenKey},
    rotate::{Progress, Resealed},
    sealer::Sealer,
};

/// How a database comes by its tenants' keys.
#[derive(Clone, Debug)]
pub struct Keys {
    /// Keeps the key of each tenant that wraps its data keys.
    pub wrapping: Arc<dyn Wrapping>,
    /// Says when an unwrapped key has been kept for long enough.
    pub clock: Arc<dyn Clock>,
    /// Draws keys.
    pub entropy: Arc<dyn Entropy>,
    /// How long a key is kept unwrapped: so long a tenant can be served while the keeper of wrapping keys is away, and so long
    /// a destroyed key may still open what is there.
    pub kept_max: Duration,
    /// Tenants whose keys are kept unwrapped at once.
    pub tenants_max: usize,
}

/// A tenant's keys, unwrapped. Wiped when the last who uses them lets go.
#[derive(Debug)]
pub(crate) struct TenantKeys {
    /// By version.
    data: BTreeMap<u32, DataKey>,
    index: DataKey,
}

/// What a key is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Purpose {
    Data,
    Index,
}

// === impl Keys ===

impl Keys {
    /// Keys wrapped by `wrapping`, kept for five minutes, of a thousand tenants at once.
    pub fn new(wrapping: Arc<dyn Wrapping>) -> Self {
        Self {
            wrapping,
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            kept_max: Duration::from_secs(300),
            tenants_max: 1024,
        }
    }
}

// === impl TenantKeys ===

impl TenantKeys {
    /// The version that seals.
    fn newest(&self) -> u32 {
        self.data.last_key_value().map_or(0, |(version, _)| *version)
    }
}

// === impl Purpose ===

impl Purpose {
    fn as_str(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Index => "index",
        }
    }
}
