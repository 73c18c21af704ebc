//! That a row is in the tree, and that one tree grew out of another.
//!
//! An inclusion proof is written as C2SP's `tlog-proof`, which carries the checkpoint that it leads to:
//!
//! ```text
//! c2sp.org/tlog-proof@v1
//! index 17
//! <hash in base64, one a line, from the leaf's sibling upwards>
//!
//! <the checkpoint>
//! ```

use std::{collections::BTreeSet, fmt::Write as _, str::FromStr};

use super::{Checkpoint, Hash, LogKey, TREE_SIZE_MAX, TilePlace, Tiles, note::BadCheckpoint, tree::Noting};

const HEAD: &str = "c2sp.org/tlog-proof@v1";
const HASHES_MAX: usize = 64;

/// Proof that the tree of a checkpoint has a leaf at a place.
#[derive(Clone, Debug, PartialEq)]
pub struct Inclusion {
    index: u64,
    path: Vec<Hash>,
    checkpoint: Checkpoint,
}

/// Proof that the tree of one checkpoint grew out of the tree of an older one, with nothing changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Consistency {
    path: Vec<Hash>,
}

/// Which tiles a proof is made from, for whoever has to fetch them first.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Wanted(pub BTreeSet<TilePlace>);

/// Why there is no proof, or why one does not hold.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BadProof {
    /// There is no such row, or no such older tree.
    #[error("log of {size} rows has no {asked}")]
    Outside {
        /// How many rows the log has.
        size: u64,
        /// What was asked for.
        asked: String,
    },
    /// It is not written as one.
    #[error("text is no proof")]
    Malformed,
    /// The hashes do not lead from the one to the other.
    #[error("proof does not hold")]
    DoesNotHold(#[source] tlog_tiles::Error),
    /// Tiles are missing that the proof follows from.
    #[error("tiles of the tree are missing")]
    Tiles(#[source] tlog_tiles::Error),
    /// The checkpoint is not to be believed.
    #[error("proof's checkpoint is not to be believed")]
    Checkpoint(#[from] BadCheckpoint),
}

// === impl Wanted ===

impl Wanted {
    /// The tiles for [`Inclusion::prove`].
    ///
    /// # Errors
    ///
    /// [`BadProof::Outside`].
    pub fn by_inclusion(size: u64, index: u64) -> Result<Self, BadProof> {
        check_row(size, index)?;
        Self::noted(|noting| tlog_tiles::prove_record(size, index, noting))
    }

    /// The tiles for [`Consistency::prove`].
    ///
    /// # Errors
    ///
    /// [`BadProof::Outside`].
    pub fn by_consistency(size: u64, older: u64) -> Result<Self, BadProof> {
        check_older(size, older)?;
        Self::noted(|noting| tlog_tiles::prove_tree(size, older, noting))
    }

    fn noted(prove: impl FnOnce(&Noting) -> Result<Vec<Hash>, tlog_tiles::Error>) -> Result<Self, BadProof> {
        let noting = Noting::default();
        prove(&noting).map_err(BadProof::Tiles)?;
        Ok(Self(noting.0.into_inner()))
    }
}

// === impl Inclusion ===

impl Inclusion {
    /// Proves that the tree of `checkpoint` has the leaf that stands at `index`, from `tiles`.
    ///
    /// # Errors
    ///
    /// [`BadProof::Outside`], [`BadProof::Tiles`].
    pub fn prove(checkpoint: Checkpoint, index: u64, tiles: &Tiles) -> Result<Self, BadProof> {
        check_row(checkpoint.size(), index)?;
        let path = tlog_tiles::prove_record(checkpoint.size(), index, tiles).map_err(BadProof::Tiles)?;
        Ok(Self { index, path, checkpoint })
    }

    /// Whether `leaf` is proved to be in the log of `key`.
    ///
    /// # Errors
    ///
    /// [`BadProof`]: the checkpoint is not the key's, or the path does not lead to it.
    pub fn verify(&self, leaf: Hash, key: &LogKey) -> Result<(), BadProof> {
        self.checkpoint.verify(key)?;
        check_row(self.checkpoint.size(), self.index)?;
        let (size, root) = (self.checkpoint.size(), self.checkpoint.root());
        tlog_tiles::check_record(&self.path, size, root, self.index, leaf).map_err(BadProof::DoesNotHold)
    }

    /// Where the leaf stands.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// The hashes beside the way from the leaf to the root.
    pub fn path(&self) -> &[Hash] {
        &self.path
    }

    /// The checkpoint that it leads to.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The proof as C2SP writes it.
    pub fn to_text(&self) -> String {
        let mut text = format!("{HEAD}\nindex {}\n", self.index);
        for hash in &self.path {
            let _ = writeln!(text, "{hash}");
        }
        text + "\n" + self.checkpoint.note()
    }
}

impl FromStr for Inclusion {
    type Err = BadProof;

    fn from_str(text: &str) -> Result<Self, BadProof> {
        let malformed = || BadProof::Malformed;
        let (proof, note) = text.split_once("\n\n").ok_or_else(malformed)?;
        let mut lines = proof.lines();
        if lines.next() != Some(HEAD) {
            return Err(malformed());
        }
        let index = lines.next().and_then(|line| line.strip_prefix("index ")).ok_or_else(malformed)?;
        let index = index.parse().map_err(|_| malformed())?;
        let path: Vec<_> = lines.map(Hash::parse_hash).collect::<Result<_, _>>().map_err(|_| malformed())?;
        if path.len() > HASHES_MAX {
            return Err(malformed());
        }
        Ok(Self { index, path, checkpoint: note.parse()? })
    }
}

// === impl Consistency ===

impl Consistency {
    /// Proves that the first `older` leaves of the tree of `size` leaves are the older tree, from `tiles`.
    ///
    /// # Errors
    ///
    /// [`BadProof::Outside`], [`BadProof::Tiles`].
    pub fn prove(size: u64, older: u64, tiles: &Tiles) -> Result<Self, BadProof> {
        check_older(size, older)?;
        let path = tlog_tiles::prove_tree(size, older, tiles).map_err(BadProof::Tiles)?;
        Ok(Self { path })
    }

    /// Whether `newer` is proved to have grown out of `older`; both are to be verified by whoever asks.
    ///
    /// # Errors
    ///
    /// [`BadProof`].
    pub fn verify(&self, newer: &Checkpoint, older: &Checkpoint) -> Result<(), BadProof> {
        check_older(newer.size(), older.size())?;
        tlog_tiles::check_tree(&self.path, newer.size(), newer.root(), older.size(), older.root())
            .map_err(BadProof::DoesNotHold)
    }

    /// The hashes that both roots follow from.
    pub fn path(&self) -> &[Hash] {
        &self.path
    }
}

impl From<Vec<Hash>> for Consistency {
    fn from(path: Vec<Hash>) -> Self {
        Self { path }
    }
}

fn check_row(size: u64, index: u64) -> Result<(), BadProof> {
    let inside = index < size && size <= TREE_SIZE_MAX;
    inside.then_some(()).ok_or_else(|| BadProof::Outside { size, asked: format!("row {index}") })
}

fn check_older(size: u64, older: u64) -> Result<(), BadProof> {
    let inside = (1..=size).contains(&older) && size <= TREE_SIZE_MAX;
    inside.then_some(()).ok_or_else(|| BadProof::Outside { size, asked: format!("older tree of {older}") })
}
