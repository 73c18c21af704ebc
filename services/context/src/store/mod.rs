//! Contexts and their messages: one trait, and a suite that every implementation of it passes on every engine.
//!
//! ```text
//! context.rs   contexts as stored, and their places in lists
//! message.rs   messages as stored
//! change.rs    what happened to a context, in order
//! found.rs     what a search found
//! summaries.rs what windows are made of besides messages
//! error.rs     why the store did not do what it was asked
//! rows/        the implementation, for both engines
//! suite/       what it must do
//! ```

mod change;
mod context;
mod error;
mod found;
mod message;
mod rows;
#[cfg(test)]
mod suite;
mod summaries;

use std::{fmt, future::Future, ops::RangeInclusive, time::Duration};

use mcp_tenancy::TenantScope;
use mcp_types::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use self::rows::Quota;
pub use self::rows::options;
#[cfg(test)]
pub(crate) use self::suite::sqlite_contexts;
pub(crate) use self::{
    change::{Change, Event},
    context::{Context, Fork, Place},
    error::{ContextsError, Holding},
    found::{Found, Hit, Search},
    message::{Message, MessageHead, NewMessage},
    rows::StoredContexts,
    summaries::{Maker, Measure, Summaries, Summary},
};
use crate::{
    fields::{Fields, Mask},
    filter::{Filter, Order},
    names::ContextId,
};

/// How long a request ID is remembered.
pub(crate) const REMEMBERED: Duration = Duration::from_secs(24 * 60 * 60);

/// Messages that a context takes: a first window over it reads each of them once.
pub(crate) const MESSAGES_MAX: u64 = 1_000_000;

/// Keeps contexts and their messages.
///
/// What a write acknowledged is on the disk. Every method acts inside the tenant of its scope; what another
/// tenant has looks like nothing, and so does what has ended.
pub(crate) trait Contexts: fmt::Debug + Send + Sync + 'static {
    /// Stores a new context under `id`.
    fn create(
        &self,
        scope: &TenantScope,
        write: &Write,
        id: ContextId,
        fields: Fields,
    ) -> impl Future<Output = Result<Context, ContextsError>> + Send;

    /// Stores a new context under `id` that shares the first messages of another; with its fields where there are none.
    fn fork(
        &self,
        scope: &TenantScope,
        write: &Write,
        source: Source,
        id: ContextId,
        fields: Option<Fields>,
    ) -> impl Future<Output = Result<Context, ContextsError>> + Send;

    /// Returns a context.
    fn get(
        &self,
        scope: &TenantScope,
        id: ContextId,
    ) -> impl Future<Output = Result<Context, ContextsError>> + Send;

    /// Returns what a context was at one of its versions, if that is kept.
    fn at(
        &self,
        scope: &TenantScope,
        id: ContextId,
        version: u64,
    ) -> impl Future<Output = Result<Context, ContextsError>> + Send;

    /// Returns several contexts as they are at one moment, in the order of `ids`, all or none.
    fn many(
        &self,
        scope: &TenantScope,
        ids: &[ContextId],
    ) -> impl Future<Output = Result<Vec<Context>, ContextsError>> + Send;

    /// Lists contexts, those behind `after` in the query's order.
    fn list(
        &self,
        scope: &TenantScope,
        query: &Query,
        after: Option<Place>,
        limit: Limit,
    ) -> impl Future<Output = Result<Page<Context>, ContextsError>> + Send;

    /// Lists what a context was, newest first, at versions below `before`.
    fn revisions(
        &self,
        scope: &TenantScope,
        id: ContextId,
        before: Option<u64>,
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

    /// Deletes a context and its messages, but for those that forks share.
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

    /// Returns the messages whose numbers lie in `range`.
    fn range(
        &self,
        scope: &TenantScope,
        id: ContextId,
        range: RangeInclusive<u64>,
    ) -> impl Future<Output = Result<Vec<Message>, ContextsError>> + Send;

    /// Returns what happened to a context after `version`, in order, as far as `limit` goes.
    fn changes(
        &self,
        scope: &TenantScope,
        id: ContextId,
        version: u64,
        limit: Limit,
    ) -> impl Future<Output = Result<Vec<Change>, ContextsError>> + Send;

    /// Finds by words, the best first, what is behind `after`.
    fn search(
        &self,
        scope: &TenantScope,
        search: &Search,
        limit: usize,
        after: Option<&[u8]>,
    ) -> impl Future<Output = Result<Found, ContextsError>> + Send;

    /// Stores a context of the import `stage`, which nobody sees until it is published.
    fn stage(
        &self,
        scope: &TenantScope,
        now: Timestamp,
        stage: Uuid,
        id: ContextId,
        fields: Fields,
    ) -> impl Future<Output = Result<(), ContextsError>> + Send;

    /// Appends messages to a context of the import `stage`.
    fn stage_messages(
        &self,
        scope: &TenantScope,
        now: Timestamp,
        stage: Uuid,
        id: ContextId,
        messages: Vec<NewMessage>,
    ) -> impl Future<Output = Result<(), ContextsError>> + Send;

    /// Shows the contexts of the import `stage`, all at once. A repeat gets what was imported first.
    fn publish(
        &self,
        scope: &TenantScope,
        write: &Write,
        stage: Uuid,
        imported: Imported,
    ) -> impl Future<Output = Result<Imported, ContextsError>> + Send;

    /// Removes what is staged of an import that failed; what this misses the sweeper removes after a day.
    fn unstage(
        &self,
        scope: &TenantScope,
        stage: Uuid,
    ) -> impl Future<Output = Result<(), ContextsError>> + Send;

    /// Whether other processes write the same rows.
    fn is_shared(&self) -> bool;

    /// Removes some rows of what has ended, been deleted or been given up; says whether there is more.
    fn sweep(&self, scope: &TenantScope) -> impl Future<Output = Result<bool, ContextsError>> + Send;
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

/// What a fork begins with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source {
    /// The messages of this context.
    pub(crate) id: ContextId,
    /// So many of them; `None` means all.
    pub(crate) count: Option<u64>,
}

/// Which contexts to list, and how.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Query {
    /// Which.
    pub(crate) filter: Filter,
    /// In which order.
    pub(crate) order: Order,
}

/// What an import stored.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Imported {
    /// The contexts' names in the file, and their names now, in the order of the file.
    pub(crate) contexts: Vec<(String, ContextId)>,
    /// How many messages they have together.
    pub(crate) messages: u64,
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
