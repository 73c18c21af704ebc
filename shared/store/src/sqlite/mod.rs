//! SQLite: one file a tenant, of which a bounded number is open at once.
//!
//! ```text
//! cache.rs     how many files are open: bounded, however many tenants there are
//! file.rs      one file: one writer, a few readers
//! migrate.rs   brings a file's tables up to date when it is opened
//! folder.rs    folders and files for the owner alone
//! house.rs     the folder of a service: the platform's file, and a file a tenant
//! ```
//!
//! A service's folder holds `platform.db` and, for each tenant that has ever written, `tenants/<slug>.db`.

mod cache;
mod file;
mod folder;
mod house;
mod migrate;

pub(crate) use self::{cache::Lease, house::Files};
