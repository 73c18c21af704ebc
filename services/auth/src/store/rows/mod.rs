//! Tenants and members in tables, on either engine.
//!
//! ```text
//! tenants.rs   tenants: a row without a tenant, and what they are called among their own rows
//! members.rs   the members of each tenant
//! attacks.rs   what somebody finds who holds the service's own login
//! ```
//!
//! What users are called and what tenants are called is sealed under the tenant's key. In the clear lie slugs, roles and
//! moments.

#[cfg(test)]
mod attacks;
mod members;
mod tenants;

use std::{path::Path, sync::Arc};

use mcp_runtime::Shell;
use mcp_secrets::Keepers;
use mcp_store::{Config, Db, Migration, Options, StoreError, Table};
use mcp_types::{Entropy, ServiceName};

const PLATFORM: &[Migration] = &[
    Migration {
        version: 1,
        name: "tenants",
        sqlite: include_str!("../../../migrations/sqlite/platform/0001_tenants.sql"),
        postgres: include_str!("../../../migrations/postgres/platform/0001_tenants.sql"),
    },
    Migration {
        version: 2,
        name: "sealed",
        sqlite: include_str!("../../../migrations/sqlite/platform/0002_sealed.sql"),
        postgres: include_str!("../../../migrations/postgres/platform/0002_sealed.sql"),
    },
];

const TENANT: &[Migration] = &[
    Migration {
        version: 1,
        name: "members",
        sqlite: include_str!("../../../migrations/sqlite/tenant/0001_members.sql"),
        postgres: include_str!("../../../migrations/postgres/tenant/0001_members.sql"),
    },
    Migration {
        version: 2,
        name: "sealed",
        sqlite: include_str!("../../../migrations/sqlite/tenant/0002_sealed.sql"),
        postgres: include_str!("../../../migrations/postgres/tenant/0002_sealed.sql"),
    },
];

const TABLES: &[Table] = &[members::MEMBERS, tenants::PROFILES];

/// Tenants and members; see `migrations` for the tables.
#[derive(Clone, Debug)]
pub(crate) struct Rows {
    db: Db,
    entropy: Arc<dyn Entropy>,
}

/// What auth's database is to hold: for whoever migrates it, copies it or moves it.
pub fn options() -> Options {
    Options { platform: PLATFORM, tenant: TENANT, tables: TABLES, ..Options::default() }
}

// === impl Rows ===

impl Rows {
    /// Opens the store of `service` where `config` says; in its folder, makes what is missing.
    pub(crate) async fn open(
        config: &Config,
        folder: &Path,
        service: &ServiceName,
        keepers: &Keepers,
        shell: &Shell,
    ) -> Result<Self, StoreError> {
        let db = mcp_store::open(config, folder, service, options(), keepers, shell).await?;
        Ok(Self { db, entropy: Arc::clone(&shell.entropy) })
    }

    /// The database, for its tenants' audit logs.
    pub(crate) fn db(&self) -> &Db {
        &self.db
    }

    /// Closes the database.
    pub(crate) async fn close(&self) {
        self.db.close().await;
    }
}
