//! Gives every service of the mesh its short-lived identity, and tells everybody whom to trust.
//!
//! Whoever has no certificate yet shows a join token at the bootstrap listener; whoever has one renews it on the mesh.
//! A token is good for one service's name, once, for minutes. What is issued is on record before it leaves.
//!
//! ```text
//! config.rs     what the operator may turn
//! keys.rs       root and issuing authority at rest
//! authority.rs  what may be issued to whom
//! store/        join tokens and issued certificates
//! service.rs    wire in, wire out
//! trust.rs      the stream that tells everybody whom to trust
//! upkeep.rs     the ca's own certificate and its operator's, renewed in time
//! edge.rs       the certificate of a development machine's edge, no part of the mesh
//! files.rs      files that are whole, and secret ones for their owner alone
//! run.rs        the service's life
//! ```

mod authority;
mod config;
pub mod edge;
mod files;
mod keys;
mod run;
mod service;
mod store;
mod trust;
mod upkeep;

pub use self::{
    authority::Authority,
    config::{Config, InitialJoinTokens, OperatorFiles},
    run::{Listeners, run, run_with},
    store::options as store_options,
};
