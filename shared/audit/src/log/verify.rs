//! The offline check: of rows, of what was signed, and of older checkpoints that somebody kept.

use std::{fmt, io::BufRead};

use super::{BadExport, Checkpoint, Entry, ExportReader, Leaf, LogKey, Tree};

/// Findings that are told one by one; further ones are counted.
const FINDINGS_MAX: usize = 100;

/// A check that is going on: checkpoints first, then the rows in their order.
#[derive(Debug)]
pub struct Verification {
    key: LogKey,
    /// What the key signed, smallest first.
    signed: Vec<Checkpoint>,
    /// How many of them were compared.
    compared: usize,
    tree: Tree,
    verified: Verified,
}

/// What a check found.
#[derive(Clone, Debug, Default)]
pub struct Verified {
    /// How many rows the log's own checkpoint covers.
    pub size: u64,
    /// Rows that have their place in the tree, erased ones among them.
    pub rows: u64,
    /// Rows whose content was erased.
    pub erased: u64,
    /// Rows that no checkpoint covers yet; nothing vouches for them.
    pub waiting: u64,
    /// Up to how many rows a checkpoint agrees with what is there.
    pub sound: u64,
    /// What is wrong, in the order in which it was found.
    pub findings: Vec<Finding>,
    /// Findings beyond those.
    pub more_findings: u64,
}

/// Something that is wrong with a log.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Finding {
    /// A checkpoint is not signed by the log's key.
    NotSigned {
        /// The size that it states.
        size: u64,
        /// Why it is not believed.
        why: String,
    },
    /// A row does not stand in its place: rows were dropped, added or reordered.
    OutOfPlace {
        /// Where it stands.
        at: u64,
        /// The place that it states.
        stated: u64,
    },
    /// A row's salt or content is not what its leaf commits to.
    Edited {
        /// Where it stands.
        at: u64,
    },
    /// The rows up to a signed size are not those that were signed.
    Changed {
        /// Up to here they are: the size of the largest checkpoint that agrees.
        sound: u64,
        /// The size of the checkpoint that does not.
        size: u64,
    },
    /// Rows are missing at the end.
    Cut {
        /// Rows that are there.
        rows: u64,
        /// Rows that a checkpoint covers.
        signed: u64,
    },
}

// === impl Verification ===

impl Verification {
    /// A check of the log whose checkpoints `key` verifies, against its own checkpoint.
    ///
    /// Take the key from somewhere that the log's keeper cannot write to.
    pub fn of(key: LogKey, checkpoint: Checkpoint) -> Self {
        let verified = Verified { size: checkpoint.size(), ..Verified::default() };
        let check = Self { key, signed: Vec::new(), compared: 0, tree: Tree::default(), verified };
        check.against(checkpoint)
    }

    /// Checks the rows against a checkpoint that was kept from earlier, too.
    #[must_use]
    pub fn against(mut self, older: Checkpoint) -> Self {
        match older.verify(&self.key) {
            Ok(()) => {
                let at = self.signed.partition_point(|it| it.size() <= older.size());
                self.signed.insert(at, older);
            }
            Err(bad) => {
                let finding = Finding::NotSigned { size: older.size(), why: bad.to_string() };
                self.verified.found(finding);
            }
        }
        self
    }

    /// Takes the next row; without its entry where that was erased, without an index where it waits for its place.
    pub fn row(&mut self, index: Option<u64>, leaf: &Leaf, entry: Option<&Entry>) {
        self.compare();
        let at = self.tree.size();
        match entry {
            Some(entry) if entry.leaf() != *leaf => self.verified.found(Finding::Edited { at }),
            Some(_) => {}
            None => self.verified.erased += 1,
        }
        let Some(stated) = index else {
            self.verified.waiting += 1;
            return;
        };
        if stated != at {
            self.verified.found(Finding::OutOfPlace { at, stated });
        }
        if at >= self.verified.size {
            self.verified.waiting += 1;
        }
        self.tree.append(leaf.hash(), &mut Vec::new());
    }

    /// Ends the check.
    pub fn finish(mut self) -> Verified {
        self.compare();
        let rows = self.tree.size();
        for missing in &self.signed[self.compared..] {
            self.verified.found(Finding::Cut { rows, signed: missing.size() });
        }
        self.verified.rows = rows;
        self.verified
    }

    /// Checks a whole export, stating the rows' places as it does.
    ///
    /// # Errors
    ///
    /// [`BadExport`] where it cannot be read to its end; that alone says nothing about the log.
    pub fn run(mut self, mut export: ExportReader<impl BufRead>) -> Result<Verified, BadExport> {
        while let Some(row) = export.row()? {
            let leaf = row.leaf().ok_or_else(|| export.bad("a row with a leaf of 33 bytes"))?;
            let entry = row.entry();
            if entry.is_none() && !row.is_erased() {
                return Err(export.bad("a row with a salt of 32 bytes and one content"));
            }
            self.row(row.index, &leaf, entry.as_ref());
        }
        Ok(self.finish())
    }

    /// Compares with what was signed of the tree as it is now.
    fn compare(&mut self) {
        let size = self.tree.size();
        while let Some(signed) = self.signed.get(self.compared).filter(|it| it.size() <= size) {
            self.compared += 1;
            if signed.size() == size && signed.root() == self.tree.root() {
                self.verified.sound = size;
            } else {
                self.verified.found(Finding::Changed { sound: self.verified.sound, size: signed.size() });
            }
        }
    }
}

// === impl Verified ===

impl Verified {
    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.findings.is_empty()
    }

    fn found(&mut self, finding: Finding) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(finding);
        } else {
            self.more_findings += 1;
        }
    }
}

// === impl Finding ===

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSigned { size, why } => {
                write!(f, "a checkpoint over {size} rows is not to be believed: {why}")
            }
            Self::OutOfPlace { at, stated } => {
                write!(f, "row {at} states place {stated}: rows were dropped, added or reordered")
            }
            Self::Edited { at } => {
                write!(f, "row {at} was edited: its content is not what its leaf commits to")
            }
            Self::Changed { sound, size } => {
                write!(
                    f,
                    "rows {sound} to {size} are not those that were signed: one was edited, dropped, added or moved"
                )
            }
            Self::Cut { rows, signed } => {
                write!(
                    f,
                    "{} rows are missing at the end: {rows} are there and {signed} were signed",
                    signed - rows
                )
            }
        }
    }
}
