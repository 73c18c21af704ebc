//! The tables: versioned, forward only, never edited once applied.

use aws_lc_rs::digest::{SHA256, digest};

use crate::{Engine, StoreError};

/// A step from one shape of the tables to the next, said to each engine.
///
/// Version N of a service may meet tables that N+1 has migrated already, so a step must leave what N does
/// working: add, do not take away.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// Its place, counted from 1 without gaps.
    pub version: u32,
    /// What it is for, in a word or two.
    pub name: &'static str,
    /// What it does in SQLite. No `BEGIN` or `COMMIT`: all steps that a file lacks are one transaction.
    pub sqlite: &'static str,
    /// What it does in PostgreSQL, as the owner of the tables; likewise one transaction.
    pub postgres: &'static str,
}

/// The store's own tables in every tenant.
pub(crate) const OF_EVERY_TENANT: &[Migration] = &[
    Migration {
        version: 1,
        name: "tenant keys",
        sqlite: include_str!("../migrations/sqlite/tenant/0001_keys.sql"),
        postgres: include_str!("../migrations/postgres/tenant/0001_keys.sql"),
    },
    Migration {
        version: 2,
        name: "audit log",
        sqlite: include_str!("../migrations/sqlite/tenant/0002_audit.sql"),
        postgres: include_str!("../migrations/postgres/tenant/0002_audit.sql"),
    },
];

/// The store's own tables beside those without a tenant.
pub(crate) const OF_EVERY_PLATFORM: &[Migration] = &[];

// === impl Migration ===

impl Migration {
    pub(crate) fn text(&self, engine: Engine) -> &'static str {
        match engine {
            Engine::Sqlite => self.sqlite,
            Engine::Postgres => self.postgres,
        }
    }

    pub(crate) fn checksum(&self, engine: Engine) -> String {
        hex::encode(digest(&SHA256, self.text(engine).as_bytes()))
    }
}

/// Refuses migrations that are not numbered upwards from 1.
pub(crate) fn check_order(migrations: &[Migration]) -> Result<(), StoreError> {
    match migrations.iter().zip(1_u32..).find(|(migration, place)| migration.version != *place) {
        Some((migration, _)) => Err(StoreError::MigrationOutOfOrder { version: migration.version }),
        None => Ok(()),
    }
}

/// What is missing at `place`, where `applied` was applied, in order; refuses a place to which something else was applied
/// under the same number.
pub(crate) fn pending(
    engine: Engine,
    place: &str,
    migrations: &'static [Migration],
    applied: &[(u32, String)],
) -> Result<&'static [Migration], StoreError> {
    // Beyond our own, a newer version of the service has been here.
    for (migration, (version, sha256)) in migrations.iter().zip(applied) {
        if migration.version != *version || migration.checksum(engine) != *sha256 {
            return Err(StoreError::MigrationChanged { version: migration.version, place: place.to_owned() });
        }
    }
    Ok(migrations.get(applied.len()..).unwrap_or_default())
}
