//! PostgreSQL: a schema a service, row-level security forced, the tenant signed.
//!
//! ```text
//! session.rs   one transaction on one connection
//! ```

mod session;

pub(crate) use self::session::Session;
