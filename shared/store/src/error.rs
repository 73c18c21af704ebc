//! Why the store could not answer.

use std::{io, path::PathBuf};

/// Why the store could not answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The database was not reached in time; the call may be tried again.
    #[error("cannot reach the database")]
    Unreachable(#[source] sqlx::Error),
    /// As many tenants' files as may be open are in use; the call may be tried again.
    #[error("too many tenants' files are in use at once")]
    Crowded,
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
    /// A migration's text is not the one that was applied to the file. Put it back as it was, and write a
    /// new migration for what should change.
    #[error("migration {version} is not the one that was applied to {}", .file.display())]
    MigrationChanged {
        /// Which migration.
        version: u32,
        /// The file that it was applied to.
        file: PathBuf,
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
}

// === impl StoreError ===

impl StoreError {
    /// Names what was being done when the database refused, or says that it could not be reached:
    /// `.map_err(StoreError::doing("put a context"))`.
    pub fn doing(doing: &'static str) -> impl FnOnce(sqlx::Error) -> Self {
        move |source| {
            if is_passing(&source) { Self::Unreachable(source) } else { Self::Refused { doing, source } }
        }
    }

    /// Whether the same call may succeed a moment later.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Crowded)
    }
}

fn is_passing(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::Io(_) => true,
        // SQLITE_BUSY and SQLITE_LOCKED, the lower byte of whatever extended code they come with.
        sqlx::Error::Database(error) => error
            .code()
            .and_then(|code| code.parse::<u32>().ok())
            .is_some_and(|code| matches!(code & 0xff, 5 | 6)),
        _ => false,
    }
}
