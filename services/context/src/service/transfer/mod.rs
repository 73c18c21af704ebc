//! Contexts out as lines of JSON, and in again.
//!
//! ```text
//! line.rs     one line: a context, a message, or the manifest
//! export.rs   contexts -> lines, in pieces
//! import.rs   pieces -> lines -> contexts, all or none
//! ```

mod export;
mod import;
mod line;

pub(super) use self::export::Pieces;
