//! Contexts and their messages: one trait, and a suite that every implementation of it passes.

use std::{error::Error, fmt, future::Future, ops::RangeInclusive, time::Duration};

use mcp_store::StoreError;
use mcp_tenancy::TenantScope;
use mcp_types::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    fields::{Fields, Mask},
    names::ContextId,
};

mod sqlite;
#[cfg(test)]
mod suite;

pub(crate) use self::sqlite::SqliteContexts;
#[cfg(test)]
pub(crate) use self::suite::sqlite_contexts;

/// How long a request ID is remembered.
pub(crate) const REMEMBERED: Duration = Duration::from_secs(24 * 60 * 60);

/// Messages that a context takes: a window over it must fit in memory, if only as sizes.
pub(crate) const MESSAGES_MAX: u64 = 1_000_000;

/// Keeps contexts and their messages.
///
/// What a write acknowledged is on the disk. Every method acts inside the tenant of its scope; what another
/// tenant has looks like nothing.
pub(crate) trait Contexts: fmt::Debug + Send + Sync + 'static {
    /// Stores a new context under `id`.
    fn create(
        &self,
        scope: &TenantScope,
        write: &Write,
        id: ContextId,
        fields: Fields,
    ) -> impl Future<Output = Result<Context, ContextsError>> + Send;

    /// Returns a context.
    fn get(
        &self,
        scope: &TenantScope,
        id: ContextId,
    ) -> impl Future<Output = Result<Context, ContextsError>> + Send;

    /// Lists contexts, newest first, those older than `after`.
    fn list(
        &self,
        scope: &TenantScope,
        after: Option<Age>,
        limit: Limit,
    ) -> impl Future<Output = Result<Page<Context>, ContextsError>> + Send;

    /// Takes over from `fields` what `mask` names.
    fn update(
        &self,
        scope: &TenantScope,
        write: &Write,
        target: Target,
        fields: Fields,
        mask: Mask,
    ) -> impl Future<Output = Result<Context, ContextsError>> + Send;

    /// Deletes a context and its messages.
    fn delete(
        &self,
        scope: &TenantScope,
        write: &Write,
        target: Target,
    ) -> impl Future<Output = Result<(), ContextsError>> + Send;

    /// Appends messages, all or none, in their order.
    fn append(
        &self,
        scope: &TenantScope,
        write: &Write,
        id: ContextId,
        messages: Vec<NewMessage>,
    ) -> impl Future<Output = Result<Vec<MessageHead>, ContextsError>> + Send;

    /// Lists messages, oldest first, those numbered above `after`.
    fn messages(
        &self,
        scope: &TenantScope,
        id: ContextId,
        after: u64,
        limit: Limit,
    ) -> impl Future<Output = Result<Page<Message>, ContextsError>> + Send;

    /// Returns the size of every message, the first one's first.
    fn sizes(
        &self,
        scope: &TenantScope,
        id: ContextId,
    ) -> impl Future<Output = Result<Vec<MessageSize>, ContextsError>> + Send;

    /// Returns the messages whose numbers lie in `range`.
    fn range(
        &self,
        scope: &TenantScope,
        id: ContextId,
        range: RangeInclusive<u64>,
    ) -> impl Future<Output = Result<Vec<Message>, ContextsError>> + Send;
}

/// What every write is told.
#[derive(Clone, Debug)]
pub(crate) struct Write {
    /// The time.
    pub(crate) now: Timestamp,
    /// Makes a repeat harmless.
    pub(crate) once: Option<Once>,
}

/// A request that is carried out once, however often it is sent.
///
/// Carried out again it gives the first answer; under the same ID another body is refused.
#[derive(Clone, Debug)]
pub(crate) struct Once {
    /// Who asks: request IDs of two users never meet.
    pub(crate) principal: String,
    /// For what.
    pub(crate) method: &'static str,
    /// The ID that the client chose.
    pub(crate) request_id: Uuid,
    /// The request's digest.
    pub(crate) body: [u8; 32],
}

/// A context to be changed.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// Which one.
    pub(crate) id: ContextId,
    /// The etag it must have, where the client named one.
    pub(crate) etag: Option<String>,
}

/// A context as stored.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Context {
    /// Its ID.
    pub(crate) id: ContextId,
    /// What the client wrote.
    pub(crate) fields: Fields,
    /// Counts changes, from 1.
    pub(crate) version: u64,
    /// When it was stored.
    pub(crate) created: Timestamp,
    /// When it, or its messages, last changed.
    pub(crate) updated: Timestamp,
    /// How many messages it has.
    pub(crate) message_count: u64,
}

/// Where a context stands in the list.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Age {
    /// When it was stored.
    pub(crate) created: Timestamp,
    /// Tells apart what was stored in the same millisecond.
    pub(crate) id: ContextId,
}

/// A message to be appended.
#[derive(Clone, Debug)]
pub(crate) struct NewMessage {
    /// Who said it, as the wire numbers roles.
    pub(crate) role: i32,
    /// What was said.
    pub(crate) text: String,
    /// Its length in tokens.
    pub(crate) tokens: u32,
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

/// How long a message is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct MessageSize {
    /// In tokens.
    pub(crate) tokens: u32,
    /// In bytes.
    pub(crate) bytes: u32,
}

/// How long a page may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit {
    /// Rows at most; at least 1.
    pub(crate) rows: u32,
    /// Bytes of text at most, but for the first row, which is always there.
    pub(crate) bytes: u64,
}

/// A page of rows.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Page<T> {
    /// In the list's order.
    pub(crate) rows: Vec<T>,
    /// Whether rows follow.
    pub(crate) more: bool,
}

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ContextsError {
    /// The tenant has no such context.
    #[error("the tenant has no such context")]
    NotFound,
    /// The context was changed since the client read it.
    #[error("the etag is not the context's current one")]
    EtagMismatch,
    /// The request ID stands for another body.
    #[error("the request ID was used with another body")]
    RequestIdReused,
    /// The context holds [`MESSAGES_MAX`] messages.
    #[error("the context takes no more messages")]
    Full,
    /// The database could not serve.
    #[error("cannot use the store")]
    Store(#[from] StoreError),
    /// What is written in a column cannot be read, or not be written.
    #[error("cannot {doing}")]
    Unreadable {
        /// What was being done, as a verb phrase.
        doing: &'static str,
        /// What is wrong with it.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}

// === impl Context ===

impl Context {
    /// Where it stands in the list.
    pub(crate) fn age(&self) -> Age {
        Age { created: self.created, id: self.id }
    }

    /// Bytes of text in it, about as many as it takes on the wire.
    pub(crate) fn bytes(&self) -> u64 {
        let Fields { kind, title, description, tags } = &self.fields;
        let tags: usize = tags.iter().map(String::len).sum();
        (kind.len() + title.len() + description.len() + tags) as u64
    }
}

// === impl Age ===

impl Age {
    /// As the cursor of a page token.
    pub(crate) fn to_cursor(self) -> Vec<u8> {
        [&self.created.unix_millis().to_be_bytes()[..], self.id.as_bytes()].concat()
    }

    /// Reads what [`Self::to_cursor`] wrote.
    pub(crate) fn from_cursor(cursor: &[u8]) -> Option<Self> {
        let (created, id) = cursor.split_first_chunk::<8>()?;
        let created = Timestamp::from_unix_millis(i64::from_be_bytes(*created));
        Some(Self { created, id: ContextId::from_slice(id)? })
    }
}
