//! PostgreSQL: a schema a service, row-level security forced, the tenant signed.
//!
//! ```text
//! signer.rs    signs which tenant a transaction acts for
//! connect.rs   a connection: TLS, limits, and no role that could get around the policies
//! pool.rs      connections: bounded, replaced when the login is
//! session.rs   one transaction on one connection
//! version.rs   whether the tables are what this program needs
//! migrate.rs   the tables, by their owner
//! ```
//!
//! The guard's own side is `migrations/postgres/guard`.

mod connect;
mod migrate;
mod pool;
mod session;
mod signer;
mod version;

pub use self::migrate::migrate_postgres;
pub(crate) use self::version::check;
pub(crate) use self::{
    pool::Pool,
    session::{Access, Session, Writes},
};
