//! Names, units, time and chance: what every room speaks of, without I/O.
//!
//! ```text
//! clock.rs     time as an argument
//! entropy.rs   chance as an argument
//! names.rs     tenants, users, services, requests
//! redacted.rs  values that must not be printed
//! ```

mod clock;
mod entropy;
mod names;
mod redacted;

pub use self::{
    clock::{BadTimestamp, Clock, SystemClock, Timestamp},
    entropy::{Entropy, SystemEntropy, uuid_v7},
    names::{BadName, RequestId, ServiceName, TenantSlug, TrustDomain, UserName},
    redacted::Redacted,
};
