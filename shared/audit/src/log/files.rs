//! A log in files of a folder: its rows as lines, what was signed of them, and the keys.
//!
//! ```text
//! audit.jsonl        the rows, one a line
//! audit.checkpoint   size and root of the tree over them, signed; covers whole lines that are on the disk
//! audit.tree         the tree's edge as of a checkpoint, so that a start reads only what is newer; may be lost
//! audit.vkey         what verifies the checkpoint, for whoever has no better place to take it from
//! audit.key          the secret that signs, for its owner alone
//! ```

use std::{
    fs::{self, DirBuilder, File},
    io::{self, BufRead, BufReader, Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use mcp_types::Entropy;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{Checkpoint, Entry, LogKey, LogSigner, Tile, Tree, entry_of_line};

/// The longest line that is read into memory; no row is near it.
const LINE_BYTES_MAX: u64 = 1 << 20;

/// Where the files of a log are.
#[derive(Clone, Debug)]
pub struct LogFiles {
    rows: PathBuf,
}

/// How far a tree has come.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    /// The tree over the whole lines of the first `bytes`.
    pub tree: Tree,
    /// Where its last line ends.
    pub bytes: u64,
}

/// `audit.tree`, as it is written.
#[derive(Deserialize, Serialize)]
struct Written {
    size: u64,
    bytes: u64,
    /// The tiles at the edge, lowest first, in base64.
    edge: Vec<String>,
}

// === impl LogFiles ===

impl LogFiles {
    /// The log whose rows are in the file `rows`.
    pub fn of(rows: &Path) -> Self {
        Self { rows: rows.to_owned() }
    }

    /// The file of its rows.
    pub fn rows(&self) -> &Path {
        &self.rows
    }

    /// The secret that signs, drawn and written where there is none yet.
    ///
    /// # Errors
    ///
    /// What the operating system says; [`io::ErrorKind::InvalidData`] where the file holds no such secret.
    pub fn signer(&self, entropy: &dyn Entropy) -> io::Result<LogSigner> {
        let path = self.beside("key");
        let text = match fs::read_to_string(&path) {
            Ok(text) => Zeroizing::new(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let drawn = Zeroizing::new(BASE64_STANDARD.encode(LogSigner::draw_seed(entropy).as_slice()));
                if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
                    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
                }
                replace(&path, drawn.as_bytes())?;
                drawn
            }
            Err(error) => return Err(error),
        };
        read_signer(&text)
    }

    /// What was signed last, where anything was.
    ///
    /// # Errors
    ///
    /// What the operating system says; [`io::ErrorKind::InvalidData`] where it is no checkpoint.
    pub fn checkpoint(&self) -> io::Result<Option<Checkpoint>> {
        self.read("checkpoint")
    }

    /// Writes what was signed, whole or not at all.
    ///
    /// # Errors
    ///
    /// What the operating system says; what was there stays.
    pub fn put_checkpoint(&self, checkpoint: &Checkpoint) -> io::Result<()> {
        replace(&self.beside("checkpoint"), checkpoint.note().as_bytes())
    }

    /// The key that lies beside the log.
    ///
    /// # Errors
    ///
    /// As [`LogFiles::checkpoint`].
    pub fn key(&self) -> io::Result<Option<LogKey>> {
        self.read("vkey")
    }

    /// Writes the key beside the log, unless it is there.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn put_key(&self, key: &LogKey) -> io::Result<()> {
        let path = self.beside("vkey");
        let text = format!("{key}\n");
        if fs::read_to_string(&path).is_ok_and(|there| there == text) {
            return Ok(());
        }
        replace(&path, text.as_bytes())
    }

    /// How far the tree had come when that was written last; nothing where it cannot be used.
    pub fn progress(&self) -> Progress {
        let read = || {
            let written: Written = serde_json::from_slice(&fs::read(self.beside("tree")).ok()?).ok()?;
            let places = Tree::edge_of(written.size);
            let tiles = places
                .into_iter()
                .zip(&written.edge)
                .map(|(place, text)| Some(Tile::from_bytes(place, &BASE64_STANDARD.decode(text).ok()?)));
            let tree = Tree::resume(written.size, tiles.collect::<Option<Vec<_>>>()?).ok()?;
            Some(Progress { tree, bytes: written.bytes })
        };
        read().unwrap_or_default()
    }

    /// Writes how far the tree has come. Not synced: what is lost is made again from the rows.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn put_progress(&self, progress: &Progress) -> io::Result<()> {
        let edge = progress.tree.edge().map(|tile| BASE64_STANDARD.encode(tile.to_bytes())).collect();
        let written = Written { size: progress.tree.size(), bytes: progress.bytes, edge };
        let (path, new) = (self.beside("tree"), self.beside("tree.new"));
        fs::write(&new, serde_json::to_vec(&written)?)?;
        fs::rename(new, path)
    }

    /// Reads the whole lines from `bytes` on: each entry with the place where its line ends.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn entries(&self, bytes: u64) -> io::Result<impl Iterator<Item = io::Result<(Entry, u64)>>> {
        let mut file = File::open(&self.rows)?;
        file.seek(SeekFrom::Start(bytes))?;
        let (mut lines, mut at) = (BufReader::with_capacity(1 << 16, file), bytes);
        Ok(std::iter::from_fn(move || match whole_line(&mut lines) {
            Ok(None) => None,
            Ok(Some(line)) => {
                at += line.len() as u64 + 1;
                Some(Ok((entry_of_line(&line), at)))
            }
            Err(error) => Some(Err(error)),
        }))
    }

    fn beside(&self, extension: &str) -> PathBuf {
        self.rows.with_extension(extension)
    }

    fn read<T: std::str::FromStr<Err: Into<Box<dyn std::error::Error + Send + Sync>>>>(
        &self,
        extension: &str,
    ) -> io::Result<Option<T>> {
        match fs::read_to_string(self.beside(extension)) {
            Ok(text) => text.parse().map(Some).map_err(|bad| io::Error::new(io::ErrorKind::InvalidData, bad)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The signer whose secret is `text`, 32 bytes in base64.
///
/// # Errors
///
/// [`io::ErrorKind::InvalidData`] where it is none; the text is not repeated.
pub fn read_signer(text: &str) -> io::Result<LogSigner> {
    let bad = || io::Error::new(io::ErrorKind::InvalidData, "a log's key is 32 bytes in base64");
    let seed = Zeroizing::new(BASE64_STANDARD.decode(text.trim()).map_err(|_| bad())?);
    LogSigner::from_seed(&seed).map_err(|_| bad())
}

/// The next line without its end; none where the rest has no end yet.
fn whole_line(lines: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    lines.take(LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
    if line.pop() == Some(b'\n') {
        return Ok(Some(line));
    }
    match (line.len() as u64 + 1) < LINE_BYTES_MAX {
        true => Ok(None),
        false => {
            Err(io::Error::new(io::ErrorKind::InvalidData, "a line of the audit log is longer than 1 MiB"))
        }
    }
}

/// Replaces a file for its owner alone, so that either the old or the new text is there, whole and on the disk.
fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}
