//! A log that proves itself: rows as the leaves of a Merkle tree, its root signed now and then.
//!
//! ```text
//! entry.rs    a row on its way into the tree: salted, committed to, erasable
//! line.rs     an entry as a line of a file
//! files.rs    a log in files of a folder
//! tree.rs     the tree's right edge: append, root, tiles
//! note.rs     checkpoints: the root, signed in the C2SP formats
//! proof.rs    that a row is in the tree, and that one tree grew out of another
//! export.rs   a whole log as JSON lines
//! verify.rs   the offline check of an export
//! ```
//!
//! The tree is RFC 6962's, the tiles are C2SP's (`tlog-tiles`, height 8), the checkpoints its `tlog-checkpoint` in a
//! `signed-note`, the proofs its `tlog-proof`. A leaf is 33 bytes: its kind, and SHA-256(salt || content). Salt and
//! content lie elsewhere, sealed where the engine seals, so that erasing them leaves every proof valid.

mod entry;
mod export;
mod files;
mod line;
mod note;
mod proof;
#[cfg(test)]
mod tests;
mod tree;
mod verify;

pub use self::{
    entry::{BadEntry, Entry, LEAF_BYTES, Leaf, SALT_BYTES},
    export::{BadExport, ExportLine, ExportLog, ExportReader, ExportRow, ExportWriter},
    files::{LogFiles, Progress, read_signer},
    line::{entry_of_line, write_line},
    note::{BadCheckpoint, Checkpoint, LogKey, LogSigner, Origin, SEED_BYTES},
    proof::{BadProof, Consistency, Inclusion, Wanted},
    tree::{BadEdge, Hash, TREE_SIZE_MAX, Tile, TilePlace, Tiles, Tree},
    verify::{Finding, Verification, Verified},
};
