//! Messages as they are stored: whole, and without their text.

use mcp_types::Timestamp;
use serde::{Deserialize, Serialize};

/// A message to be appended.
#[derive(Clone, Debug)]
pub(crate) struct NewMessage {
    /// Who said it, as the wire numbers roles.
    pub(crate) role: i32,
    /// What was said.
    pub(crate) text: String,
    /// Its length in tokens.
    pub(crate) tokens: u32,
    /// Whether every window has it word for word.
    pub(crate) pinned: bool,
}

/// A message without its text.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct MessageHead {
    /// Its number in its context, from 1.
    pub(crate) n: u64,
    /// Who said it, as the wire numbers roles.
    pub(crate) role: i32,
    /// Its length in tokens.
    pub(crate) tokens: u32,
    /// Whether every window has it word for word.
    pub(crate) pinned: bool,
    /// When it was stored.
    pub(crate) created: Timestamp,
}

/// A message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Message {
    /// All but its text.
    pub(crate) head: MessageHead,
    /// What was said.
    pub(crate) text: String,
}
