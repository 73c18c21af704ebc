//! A whole log as JSON lines: what it is and what was signed, then its rows.
//!
//! ```text
//! {"log":{"format":1,"key":"mcp/mcp.local/context/acme+61f3a0c2+AQ...","checkpoint":"mcp/mcp.local/...\n2\n..."}}
//! {"row":{"index":0,"leaf":"AX...","salt":"Zm...","content":"{\"time\":\"2026-01-31T23:59:59.999Z\",...}"}}
//! {"row":{"index":1,"leaf":"AW..."}}                              its content was erased; the leaf stays
//! ```
//!
//! The content is a text, not an object, since every byte of it counts. A row without an index waits for its place.

use std::io::{self, BufRead, Write};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize};

use super::{Checkpoint, Entry, Leaf, LogKey};

/// The version of what is written here.
const FORMAT: u32 = 1;

/// One line of an export.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ExportLine {
    /// The first: which log.
    Log(ExportLog),
    /// A row, oldest first.
    Row(ExportRow),
}

/// Which log an export is of.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ExportLog {
    /// The version of the format.
    pub format: u32,
    /// The verifier key, as the exporter has it: whoever distrusts the exporter compares it with their own.
    pub key: String,
    /// What was signed last.
    pub checkpoint: String,
}

/// One row of an export.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ExportRow {
    /// Its place; none where it is not in the tree yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
    /// What the tree holds, in base64.
    pub leaf: String,
    /// The salt, in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub salt: Option<String>,
    /// The content as text; none where it was erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// The content in base64, where it is no text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<String>,
}

/// Writes an export.
#[derive(Debug)]
pub struct ExportWriter<W>(W);

/// Reads an export.
#[derive(Debug)]
pub struct ExportReader<R> {
    lines: io::Lines<R>,
    at: usize,
    key: LogKey,
    checkpoint: Checkpoint,
}

/// Why an export cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BadExport {
    /// The file cannot be read.
    #[error("cannot read the export")]
    Unreadable(#[source] io::Error),
    /// A line is not what it should be.
    #[error("line {line} of the export is not {expected}")]
    Line {
        /// Which line, counted from 1.
        line: usize,
        /// What should stand there.
        expected: &'static str,
    },
}

// === impl ExportWriter ===

impl<W: Write> ExportWriter<W> {
    /// Begins the export of the log that `key` verifies, as it stood at `checkpoint`.
    ///
    /// # Errors
    ///
    /// What `to` says.
    pub fn begin(to: W, key: &LogKey, checkpoint: &Checkpoint) -> io::Result<Self> {
        let mut export = Self(to);
        let (key, checkpoint) = (key.to_string(), checkpoint.note().to_owned());
        export.line(&ExportLine::Log(ExportLog { format: FORMAT, key, checkpoint }))?;
        Ok(export)
    }

    /// Writes a row; without its entry where that was erased, without an index where it has none yet.
    ///
    /// # Errors
    ///
    /// What the writer says.
    pub fn row(&mut self, index: Option<u64>, leaf: &Leaf, entry: Option<&Entry>) -> io::Result<()> {
        let text = entry.map(|entry| str::from_utf8(entry.content()).map_err(|_| entry.content()));
        let row = ExportRow {
            index,
            leaf: BASE64_STANDARD.encode(leaf.as_bytes()),
            salt: entry.and_then(Entry::salt).map(|salt| BASE64_STANDARD.encode(salt)),
            content: text.and_then(Result::ok).map(str::to_owned),
            bytes: text.and_then(Result::err).map(|bytes| BASE64_STANDARD.encode(bytes)),
        };
        self.line(&ExportLine::Row(row))
    }

    /// Ends the export, and gives the writer back.
    ///
    /// # Errors
    ///
    /// What the writer says.
    pub fn finish(mut self) -> io::Result<W> {
        self.0.flush()?;
        Ok(self.0)
    }

    fn line(&mut self, line: &ExportLine) -> io::Result<()> {
        serde_json::to_writer(&mut self.0, line)?;
        self.0.write_all(b"\n")
    }
}

// === impl ExportReader ===

impl<R: BufRead> ExportReader<R> {
    /// Begins to read.
    ///
    /// # Errors
    ///
    /// [`BadExport`] where the first line does not say which log it is, in a format that is known here.
    pub fn begin(from: R) -> Result<Self, BadExport> {
        let bad = || BadExport::Line { line: 1, expected: "the head of an export, with format 1" };
        let mut lines = from.lines();
        let head = lines.next().ok_or_else(bad)?.map_err(BadExport::Unreadable)?;
        let Ok(ExportLine::Log(log)) = serde_json::from_str(&head) else { return Err(bad()) };
        if log.format != FORMAT {
            return Err(bad());
        }
        let key = log.key.parse().map_err(|_| bad())?;
        let checkpoint = log.checkpoint.parse().map_err(|_| bad())?;
        Ok(Self { lines, at: 1, key, checkpoint })
    }

    /// The key that the export states.
    pub fn key(&self) -> &LogKey {
        &self.key
    }

    /// The checkpoint that the export states, not yet believed.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The next row, until there is none.
    ///
    /// # Errors
    ///
    /// [`BadExport`].
    pub fn row(&mut self) -> Result<Option<ExportRow>, BadExport> {
        let Some(line) = self.lines.next() else { return Ok(None) };
        self.at += 1;
        match serde_json::from_str(&line.map_err(BadExport::Unreadable)?) {
            Ok(ExportLine::Row(row)) => Ok(Some(row)),
            Ok(ExportLine::Log(_)) | Err(_) => Err(self.bad("a row")),
        }
    }

    /// An error about the line that was read last.
    pub(super) fn bad(&self, expected: &'static str) -> BadExport {
        BadExport::Line { line: self.at, expected }
    }
}

// === impl ExportRow ===

impl ExportRow {
    /// What the tree should hold of it.
    pub fn leaf(&self) -> Option<Leaf> {
        BASE64_STANDARD.decode(&self.leaf).ok()?.as_slice().try_into().ok()
    }

    /// Salt and content, where they are there; none too where they are not written as they should be.
    pub fn entry(&self) -> Option<Entry> {
        let content = match (&self.content, &self.bytes) {
            (Some(text), None) => text.clone().into_bytes(),
            (None, Some(bytes)) => BASE64_STANDARD.decode(bytes).ok()?,
            (None, None) | (Some(_), Some(_)) => return None,
        };
        match &self.salt {
            None => Some(Entry::bare(content)),
            Some(salt) => {
                let salt = BASE64_STANDARD.decode(salt).ok()?.try_into().ok()?;
                Some(Entry::salted(salt, content))
            }
        }
    }

    /// Whether its content was erased: not a byte of it stands here.
    pub fn is_erased(&self) -> bool {
        self.content.is_none() && self.bytes.is_none() && self.salt.is_none()
    }
}
