//! Why the store could not answer.

use std::{error::Error, io, path::PathBuf};

use mcp_secrets::{SealError, SecretsError};
use sqlx::postgres::PgDatabaseError;

/// Why the store could not answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The database was not reached in time; the call may be tried again.
    #[error("cannot reach the database")]
    Unreachable(#[source] sqlx::Error),
    /// Others were in the way for too long, or the statement took too long; the call may be tried again.
    #[error("database was too busy to {doing}")]
    Busy {
        /// What was being done, as a verb phrase.
        doing: &'static str,
        /// What the database said.
        #[source]
        source: sqlx::Error,
    },
    /// As many tenants' files, or connections, as may be open are in use; the call may be tried again.
    #[error("too many tenants' files or connections are in use at once")]
    Crowded,
    /// The database's disk is full: nothing of the transaction was kept. Make room; the call may then be tried again.
    #[error("database has no room on its disk to {doing}")]
    Full {
        /// What was being done, as a verb phrase.
        doing: &'static str,
        /// What the database said.
        #[source]
        source: sqlx::Error,
    },
    /// The database refused a statement; trying again would not help.
    #[error("database refused to {doing}")]
    Refused {
        /// What was being done, as a verb phrase.
        doing: &'static str,
        /// What the database said.
        #[source]
        source: sqlx::Error,
    },
    /// The disk refused.
    #[error("cannot {doing} {}", .path.display())]
    Disk {
        /// What was being done, as a verb phrase.
        doing: &'static str,
        /// To which file or folder.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// A migration's text is not the one that was applied. Put it back as it was, and write a new migration
    /// for what should change.
    #[error("migration {version} is not the one that was applied to {place}")]
    MigrationChanged {
        /// Which migration.
        version: u32,
        /// The file or schema that it was applied to.
        place: String,
    },
    /// The migrations are not numbered upwards from 1, or one was put before those already applied.
    #[error("migration {version} is out of order")]
    MigrationOutOfOrder {
        /// Which migration.
        version: u32,
    },
    /// The file is another service's or another tenant's: it was moved or copied here.
    #[error("{} does not belong to {owner}", .file.display())]
    Misplaced {
        /// The file.
        file: PathBuf,
        /// Whose file it should be.
        owner: String,
    },
    /// The tables are older than this program needs. Let their owner migrate them, then start it again.
    #[error(
        "{place} is at migration {has}, and this program needs {needs}; let the owner of the database migrate it"
    )]
    Behind {
        /// The schema.
        place: String,
        /// Its newest migration.
        has: u32,
        /// The newest that the program knows.
        needs: u32,
    },
    /// The database, or the role that the service has there, would not keep tenants apart.
    #[error("{what}")]
    Unfit {
        /// What is wrong, and what to do.
        what: String,
    },
    /// The keeper of the tenants' wrapping keys did not serve.
    #[error("cannot {doing}")]
    Keys {
        /// What was being done, as a verb phrase.
        doing: &'static str,
        /// What the keeper said.
        #[source]
        source: SecretsError,
    },
    /// The database was opened without a keeper of keys, or its tenant has none: nothing can be sealed or opened.
    #[error("there is no key to seal or open {table}.{column} with")]
    NoKey {
        /// The column's table.
        table: &'static str,
        /// The column.
        column: &'static str,
    },
    /// The value is sealed under a key that has only just been made; the call may be tried again.
    #[error("{table}.{column} is sealed under key {version}, which is not known here yet")]
    NewKey {
        /// The column's table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// The key.
        version: u32,
    },
    /// The value was changed, or was sealed for another tenant, row or column.
    #[error("what {table}.{column} holds was not sealed for its place")]
    Unopenable {
        /// The column's table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// What the key said.
        #[source]
        source: SealError,
    },
    /// The service declared no tables without a tenant.
    #[error("the service has no tables without a tenant")]
    NoPlatform,
}

// === impl StoreError ===

impl StoreError {
    /// Names what was being done when the database refused, or says that it could not be reached:
    /// `.map_err(StoreError::doing("put a context"))`.
    pub fn doing(doing: &'static str) -> impl FnOnce(sqlx::Error) -> Self {
        move |source| match kind(&source) {
            Kind::Unreachable => Self::Unreachable(source),
            Kind::Busy => Self::Busy { doing, source },
            Kind::Full => Self::Full { doing, source },
            Kind::Refused => Self::Refused { doing, source },
        }
    }

    /// Says that what a row holds cannot be what was stored: `.map_err(StoreError::unreadable("read a context"))`.
    pub fn unreadable<E: Into<Box<dyn Error + Send + Sync>>>(doing: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::Refused { doing, source: sqlx::Error::Decode(source.into()) }
    }

    /// Whether the same call may succeed a moment later.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable(_)
            | Self::Busy { .. }
            | Self::Crowded
            | Self::Full { .. }
            | Self::NewKey { .. } => true,
            Self::Keys { source, .. } => !matches!(source, SecretsError::KeyDestroyed { .. }),
            _ => false,
        }
    }
}

enum Kind {
    Unreachable,
    Busy,
    Full,
    Refused,
}

fn kind(error: &sqlx::Error) -> Kind {
    match error {
        sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::Io(_) => Kind::Unreachable,
        sqlx::Error::Database(error) => match error.try_downcast_ref::<PgDatabaseError>() {
            Some(error) => of_postgres(error.code()),
            None => of_sqlite(error.code().and_then(|code| code.parse().ok())),
        },
        _ => Kind::Refused,
    }
}

/// By the lower byte of whatever extended code it comes with.
fn of_sqlite(code: Option<u32>) -> Kind {
    match code.map(|code| code & 0xff) {
        // SQLITE_BUSY, SQLITE_LOCKED
        Some(5 | 6) => Kind::Busy,
        // SQLITE_FULL
        Some(13) => Kind::Full,
        _ => Kind::Refused,
    }
}

/// By SQLSTATE.
fn of_postgres(code: &str) -> Kind {
    match code {
        // disk_full
        "53100" => Kind::Full,
        // serialization_failure, deadlock_detected, lock_not_available, query_canceled (by its time-out)
        "40001" | "40P01" | "55P03" | "57014" => Kind::Busy,
        // admin_shutdown, crash_shutdown, cannot_connect_now, idle_session_timeout, too_many_connections,
        // idle_in_transaction_session_timeout
        "57P01" | "57P02" | "57P03" | "57P05" | "53300" | "25P03" => Kind::Unreachable,
        // A login that Vault has taken back already, or has not made known yet, is known a moment later.
        "28P01" | "28000" => Kind::Unreachable,
        // connection_exception; read_only_sql_transaction on a standby right after a failover is a refusal.
        code if code.starts_with("08") => Kind::Unreachable,
        _ => Kind::Refused,
    }
}
