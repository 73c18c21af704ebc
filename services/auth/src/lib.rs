//! Signs people and programs in, and tells the mesh whose tokens to believe.
//!
//! ```text
//! config.rs    what the operator may turn
//! run.rs       the service's life: open, join the mesh, serve, drain
//! service/     wire in, wire out
//! roles.rs     what each role may do
//! members.rs   who may make whom a member of what standing
//! tokens.rs    what a token says, and which one is exchanged
//! keys.rs      what tokens are signed with
//! rotate.rs    the change of those keys by command
//! access.rs    what every service is told about access
//! paging.rs    page tokens
//! store/       tenants and members, behind a trait each
//! ```
//!
//! Under the service's folder: `secrets/` holds the signing keys (`signing/access/<number>` and
//! `signing/transaction/<number>`, each a P-256 key and when it signs) and the key of page tokens, sealed, unless a vault
//! keeps them; `platform.db` the tenants; `tenants/` a file of members for each.

mod access;
mod config;
#[cfg(test)]
mod fixture;
mod keys;
mod members;
mod paging;
#[cfg(test)]
mod production;
mod roles;
mod rotate;
mod run;
mod service;
mod store;
mod tokens;

pub use self::{config::Config, rotate::rotate_signing_keys, run::run, store::options as store_options};
