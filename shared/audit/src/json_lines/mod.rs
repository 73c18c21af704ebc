//! A file of JSON lines, written by one thread.
//!
//! ```text
//! queue.rs    what waits for the disk: bounded, with room kept for rows that are waited for
//! folds.rs    refusals of strangers beyond a rate: one row with a count
//! writer.rs   the thread: a batch at a time, one sync for all who wait for it
//! witness.rs  the tree over the lines, and its checkpoints
//! medium.rs   the file, behind a trait so that a test can fill the disk
//! ```

use std::{
    fmt,
    fmt::Debug,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::Duration,
};

use mcp_types::{Clock, SystemClock};

use self::{queue::Queue, witness::Witness};
use crate::{AuditFuture, AuditLost, AuditRow, AuditSink};

mod folds;
mod medium;
mod queue;
#[cfg(test)]
mod tests;
mod witness;
mod writer;

pub use self::{
    medium::{AppendFile, Medium},
    witness::Signing,
};

/// What an operator may turn of a log.
#[derive(Clone, Debug)]
pub struct Options {
    /// Rows that may wait for the disk. Rows that nobody waits for may fill three quarters of it.
    pub queue_rows_max: usize,
    /// How long rows that nobody waits for may gather before they are written; what a kill may lose.
    pub gather: Duration,
    /// Refusals of strangers that get a row each, per interval; beyond, they are folded into one.
    pub stranger_rows_max: u32,
    /// How long refusals of strangers are folded before their row is written.
    pub fold_interval: Duration,
    /// The time by which refusals are folded.
    pub clock: Arc<dyn Clock>,
    /// How the log proves itself; without it, it is lines and nothing more.
    pub signing: Option<Signing>,
}

/// A log that could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot open the audit log {}", .file.display())]
pub struct CannotOpen {
    /// The log's file.
    pub file: PathBuf,
    /// What the operating system said; `WouldBlock` where another process writes to it, `InvalidData` where its
    /// rows are not those that were signed.
    #[source]
    pub source: io::Error,
}

/// Rows as JSON lines in a file. Dropped, it writes what it holds before it returns.
pub struct JsonLines {
    queue: Arc<Queue>,
    thread: Option<thread::JoinHandle<()>>,
}

// === impl Options ===

impl Default for Options {
    fn default() -> Self {
        Self {
            queue_rows_max: 8192,
            gather: Duration::from_millis(100),
            stranger_rows_max: 20,
            fold_interval: Duration::from_secs(10),
            clock: Arc::new(SystemClock),
            signing: None,
        }
    }
}

// === impl JsonLines ===

impl JsonLines {
    /// Opens the log in `file`, making it if there is none, for the owner alone.
    ///
    /// # Errors
    ///
    /// [`CannotOpen`], also where another process has it open, and where its rows are not those that were signed.
    pub fn open(file: &Path, options: Options) -> Result<Self, CannotOpen> {
        let open = || {
            let medium = AppendFile::open(file)?;
            let witness = options.signing.clone().map(|signing| Witness::open(file, signing)).transpose()?;
            Self::start(medium, witness, options)
        };
        open().map_err(|source| CannotOpen { file: file.to_owned(), source })
    }

    /// Writes rows to `medium`, unsigned.
    ///
    /// # Errors
    ///
    /// Where the operating system has no thread to give.
    pub fn over(medium: impl Medium, options: Options) -> io::Result<Self> {
        Self::start(medium, None, options)
    }

    fn start(medium: impl Medium, witness: Option<Witness>, options: Options) -> io::Result<Self> {
        let queue = Arc::new(Queue::new(options));
        let thread = thread::Builder::new().name("audit".to_owned()).spawn({
            let queue = Arc::clone(&queue);
            move || writer::run(&queue, medium, witness)
        })?;
        Ok(Self { queue, thread: Some(thread) })
    }
}

impl AuditSink for JsonLines {
    fn record(&self, row: AuditRow) -> Result<(), AuditLost> {
        self.queue.push(row)
    }

    fn record_durably(&self, row: AuditRow) -> AuditFuture<'_> {
        Box::pin(async move { self.queue.push_awaited(Some(row))?.await.unwrap_or(Err(AuditLost::Closed)) })
    }

    fn flush(&self) -> AuditFuture<'_> {
        Box::pin(async move { self.queue.push_awaited(None)?.await.unwrap_or(Err(AuditLost::Closed)) })
    }
}

impl Drop for JsonLines {
    fn drop(&mut self) {
        self.queue.close();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the audit log's thread panicked");
        }
    }
}

impl Debug for JsonLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsonLines").finish_non_exhaustive()
    }
}
