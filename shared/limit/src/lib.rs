//! Limits in memory: budgets by key and class, and an exact window by address.
//!
//! ```text
//! clock.rs     the time that limits count by
//! verdict.rs   what a decision says: Remaining or Exceeded
//! quotas.rs    how much each class of method may be called
//! limits/      budgets by key and class, refilled as time goes; one hash look-up a decision
//! store.rs     where the budgets are kept, in bounded memory
//! rate.rs      "100/60s"
//! window.rs    the moments at which one source was admitted
//! ip/          never more than so many requests of an address in any window, in bounded memory
//! ```
//!
//! Everything here answers at once and asks nobody. Where several gateways share one budget, a store
//! outside the process takes the place of [`Limits`] and [`IpLimit`].

mod clock;
mod ip;
mod limits;
mod quotas;
mod rate;
mod store;
mod verdict;
mod window;

pub use self::{
    clock::LimitClock,
    ip::{IpLimit, SOURCES_MAX},
    limits::{KEYS_MAX, LimitKey, Limits},
    quotas::Quotas,
    rate::{BadRate, Rate},
    verdict::{Exceeded, Remaining},
};
