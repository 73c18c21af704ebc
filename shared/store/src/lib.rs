//! The only door to tenants' rows.
//!
//! No function here, nor in any service's store, takes a tenant's name: there is no place to write the
//! wrong one. [`Db::within`] opens a transaction as the tenant of a scope, and what it sees is that
//! tenant's own file; other tenants' rows are not in it, whatever a statement says.
//!
//! ```text
//! db.rs          the door: a scope in, a transaction out
//! tx.rs          the transactions
//! cache.rs       how many files are open: bounded, however many tenants there are
//! file.rs        one SQLite file: one writer, a few readers
//! migration.rs   the tables: versioned, forward only, never edited
//! folder.rs      folders and files for the owner alone
//! error.rs       why the store could not answer
//! ```
//!
//! A service's folder holds `platform.db` and, for each tenant that has ever written, `tenants/<slug>.db`.
//! The engine is SQLite; what a caller sees of that is the connection that a transaction dereferences to.

mod cache;
mod db;
mod error;
mod file;
mod folder;
mod migration;
#[cfg(test)]
mod tests;
mod tx;

pub use self::{
    db::{Db, Options},
    error::StoreError,
    migration::Migration,
    tx::{PlatformTx, TenantTx},
};
