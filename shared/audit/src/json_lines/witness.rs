//! Reads back the lines that are on the disk, grows the tree over them, and signs it: what is written here cannot be
//! changed unseen from the next checkpoint on.
//!
//! It reads the file rather than remember what was handed to it, so that the tree is over what the disk really holds.

use std::{io, path::Path, sync::Arc, time::Duration};

use mcp_types::{Entropy, Timestamp};

use crate::log::{Checkpoint, LogFiles, LogSigner, Origin, Progress};

/// How long a row may wait for a checkpoint that covers it.
pub(super) const MERGE_DELAY_MAX: Duration = Duration::from_secs(1);

/// How a log proves itself.
#[derive(Clone, Debug)]
pub struct Signing {
    /// Signs its checkpoints.
    pub signer: Arc<LogSigner>,
    /// Which log it is.
    pub origin: Origin,
    /// Where the rows' salts are drawn from.
    pub entropy: Arc<dyn Entropy>,
}

/// Watches over a file of rows.
#[derive(Debug)]
pub(super) struct Witness {
    signing: Signing,
    files: LogFiles,
    progress: Progress,
    /// How many rows it has signed.
    covered: Option<u64>,
    /// When it signed last, or tried to.
    signed: Timestamp,
    /// Whether there may be lines that it has not signed.
    behind: bool,
    failing: bool,
}

// === impl Witness ===

impl Witness {
    /// Takes up where the last process left off.
    ///
    /// # Errors
    ///
    /// What the operating system says; [`io::ErrorKind::InvalidData`] where the rows are not those that were signed.
    pub(super) fn open(rows: &Path, signing: Signing) -> io::Result<Self> {
        let files = LogFiles::of(rows);
        let key = signing.signer.key(&signing.origin);
        let signed = files.checkpoint()?;
        if let Some(signed) = &signed {
            signed.verify(&key).map_err(|bad| io::Error::new(io::ErrorKind::InvalidData, bad))?;
        }
        files.put_key(&key)?;
        // Only what was signed is worth going on from: the file beside the log vouches for nothing by itself.
        let known = files.progress();
        let is_signed = signed
            .as_ref()
            .is_some_and(|it| it.size() == known.tree.size() && it.root() == known.tree.root());
        let progress = if is_signed { known } else { Progress::default() };
        let covered = signed.as_ref().map(Checkpoint::size);
        let signed_at = Timestamp::default();
        let mut witness =
            Self { signing, files, progress, covered, signed: signed_at, behind: true, failing: false };
        witness.read(signed.as_ref())?;
        let rows = witness.progress.tree.size();
        match covered.filter(|size| rows < *size) {
            Some(size) => Err(changed(&format!("{rows} rows are there and {size} were signed"))),
            None => Ok(witness),
        }
    }

    /// The draws for rows' salts.
    pub(super) fn entropy(&self) -> &dyn Entropy {
        &*self.signing.entropy
    }

    /// Remembers that there are lines to sign.
    pub(super) fn written(&mut self) {
        self.behind = true;
    }

    /// How long it may rest from `now` on; for ever where all is signed.
    pub(super) fn rest(&self, now: Timestamp) -> Option<Duration> {
        // A clock that was set back must not hold checkpoints for as long as it was set back.
        let since = if now < self.signed { MERGE_DELAY_MAX } else { now.since(self.signed) };
        self.behind.then(|| MERGE_DELAY_MAX.saturating_sub(since))
    }

    /// Lets a delay pass before it signs.
    pub(super) fn postpone(&mut self, now: Timestamp) {
        self.signed = now;
    }

    /// Signs the lines that are on the disk. Where that fails, it is told once and tried again.
    pub(super) fn sign(&mut self, now: Timestamp) {
        self.signed = now;
        match self.try_sign() {
            Ok(()) => {
                self.behind = false;
                if std::mem::take(&mut self.failing) {
                    tracing::info!(origin = %self.signing.origin, "the audit log is signed again");
                }
            }
            Err(error) => {
                metrics::counter!("mcp_audit_checkpoints_failed_total").increment(1);
                if !std::mem::replace(&mut self.failing, true) {
                    let error = &error as &dyn std::error::Error;
                    tracing::error!(error, origin = %self.signing.origin, "cannot sign the audit log");
                }
            }
        }
    }

    fn try_sign(&mut self) -> io::Result<()> {
        self.read(None)?;
        if self.covered == Some(self.progress.tree.size()) {
            return Ok(());
        }
        let Signing { signer, origin, .. } = &self.signing;
        let checkpoint = signer.sign(origin, &self.progress.tree).map_err(io::Error::other)?;
        self.files.put_checkpoint(&checkpoint)?;
        self.covered = Some(checkpoint.size());
        self.files.put_progress(&self.progress)
    }

    /// Grows the tree over the lines that are new, and compares it with what was signed on the way.
    fn read(&mut self, signed: Option<&Checkpoint>) -> io::Result<()> {
        let Progress { tree, bytes } = &mut self.progress;
        let mut filled = Vec::new();
        let differs = |tree: &crate::log::Tree| {
            signed.is_some_and(|signed| signed.size() == tree.size() && signed.root() != tree.root())
        };
        for entry in self.files.entries(*bytes)? {
            if differs(tree) {
                break;
            }
            let (entry, end) = entry?;
            filled.clear();
            tree.append(entry.leaf().hash(), &mut filled);
            *bytes = end;
        }
        match differs(tree) {
            true => Err(changed(&format!("its first {} rows are not those that were signed", tree.size()))),
            false => Ok(()),
        }
    }
}

fn changed(how: &str) -> io::Error {
    let advice =
        "`mcp audit verify` says more; to go on with a new log, move this one aside with its checkpoint";
    io::Error::new(io::ErrorKind::InvalidData, format!("the audit log was changed: {how} ({advice})"))
}
