//! Contexts in rows, the same for both engines.
//!
//! Every write is one transaction, its reply for a repeat, its place in the history, its words in the index and its
//! share of the quota included. What is read before it is written is locked first, in one order everywhere: the request,
//! then the context, then counts.
//!
//! ```text
//! tables.rs     the tables, column by column
//! contexts.rs   rows of contexts: found, inserted, changed, removed
//! listed.rs     contexts in pages
//! messages.rs   messages: appended, listed, measured
//! lineage.rs    whose log a message lies in; forks; what may be pruned
//! history.rs    what happened, and what was
//! replies.rs    what a request ID was answered
//! summaries.rs  lengths of segments, and their summaries
//! usage.rs      how much the tenant holds
//! words.rs      the index of words
//! swept.rs      what has ended, removed bit by bit
//! filling.rs    pages that are filled row by row
//! ```

mod contexts;
mod filling;
mod history;
mod lineage;
mod listed;
mod messages;
mod replies;
mod summaries;
mod swept;
mod tables;
mod usage;
mod words;

use std::{ops::RangeInclusive, sync::Arc};

use mcp_store::{Db, Engine, Options, TenantTx};
use mcp_tenancy::TenantScope;
use mcp_types::{Clock, Timestamp};
use uuid::Uuid;

pub use self::usage::Quota;
use super::{
    Change, Context, Contexts, ContextsError, Found, Imported, Limit, Message, MessageHead, NewMessage, Page,
    Place, Query, Search, Source, Target, Write,
};
use crate::{
    fields::{Fields, Mask},
    names::ContextId,
};

/// Contexts in a database of either engine.
#[derive(Clone, Debug)]
pub(crate) struct StoredContexts {
    db: Db,
    clock: Arc<dyn Clock>,
    quota: Quota,
    engine: Engine,
}

/// What the context service's database is to hold: for whoever migrates it, copies it or moves it.
pub fn options() -> Options {
    Options { tenant: tables::MIGRATIONS, tables: tables::TABLES, ..Options::default() }
}

// === impl StoredContexts ===

impl StoredContexts {
    /// Contexts in `db`, opened with [`options`]; no tenant holds more than `quota`.
    pub(crate) fn new(db: Db, engine: Engine, clock: Arc<dyn Clock>, quota: Quota) -> Self {
        Self { db, clock, quota, engine }
    }

    /// The database.
    pub(crate) fn db(&self) -> &Db {
        &self.db
    }

    /// Begins a write, unless the request was carried out already: then answers its answer.
    async fn begin<T: serde::de::DeserializeOwned>(
        &self,
        scope: &TenantScope,
        write: &Write,
    ) -> Result<Begun<T>, ContextsError> {
        let mut tx = self.db.within(scope).await?;
        Ok(match replies::find(&mut tx, write).await? {
            Some(answer) => Begun::Answered(answer),
            None => Begun::New(tx),
        })
    }
}

/// A write that has begun.
enum Begun<T> {
    Answered(T),
    New(TenantTx),
}

/// Begins a write, or returns the answer that it was given before.
macro_rules! begin {
    ($self:ident, $scope:ident, $write:ident) => {
        match $self.begin($scope, $write).await? {
            Begun::Answered(answer) => return Ok(answer),
            Begun::New(tx) => tx,
        }
    };
}

impl Contexts for StoredContexts {
    async fn create(
        &self,
        scope: &TenantScope,
        write: &Write,
        id: ContextId,
        fields: Fields,
    ) -> Result<Context, ContextsError> {
        let mut tx = begin!(self, scope, write);
        let context = contexts::fresh(id, fields, write.now);
        contexts::insert(&mut tx, &context, None).await?;
        usage::add(&mut tx, id, usage::Use::of_context(&context), &self.quota).await?;
        replies::keep(&mut tx, write, &context).await?;
        tx.commit().await?;
        Ok(context)
    }

    async fn fork(
        &self,
        scope: &TenantScope,
        write: &Write,
        source: Source,
        id: ContextId,
        fields: Option<Fields>,
    ) -> Result<Context, ContextsError> {
        let mut tx = begin!(self, scope, write);
        contexts::lock(&mut tx, source.id).await?;
        let parent = contexts::find(&mut tx, source.id, write.now).await?;
        let context = lineage::fork(&mut tx, &parent, source.count, id, fields, write.now).await?;
        usage::add(&mut tx, id, usage::Use::of_context(&context), &self.quota).await?;
        replies::keep(&mut tx, write, &context).await?;
        tx.commit().await?;
        Ok(context)
    }

    async fn get(&self, scope: &TenantScope, id: ContextId) -> Result<Context, ContextsError> {
        let mut tx = self.db.read(scope).await?;
        contexts::find(&mut tx, id, self.clock.now()).await
    }

    async fn at(&self, scope: &TenantScope, id: ContextId, version: u64) -> Result<Context, ContextsError> {
        let mut tx = self.db.read(scope).await?;
        let context = contexts::find(&mut tx, id, self.clock.now()).await?;
        history::revision(&mut tx, &context, version).await?.ok_or(ContextsError::NotFound)
    }

    async fn many(&self, scope: &TenantScope, ids: &[ContextId]) -> Result<Vec<Context>, ContextsError> {
        let mut tx = self.db.read(scope).await?;
        let now = self.clock.now();
        let mut found = Vec::with_capacity(ids.len());
        for id in ids {
            found.push(contexts::find(&mut tx, *id, now).await?);
        }
        Ok(found)
    }

    async fn list(
        &self,
        scope: &TenantScope,
        query: &Query,
        after: Option<Place>,
        limit: Limit,
    ) -> Result<Page<Context>, ContextsError> {
        let mut tx = self.db.read(scope).await?;
        listed::page(&mut tx, query, after, limit, self.clock.now()).await
    }

    async fn revisions(
        &self,
        scope: &TenantScope,
        id: ContextId,
        before: Option<u64>,
        limit: Limit,
    ) -> Result<Page<Context>, ContextsError> {
        let mut tx = self.db.read(scope).await?;
        let context = contexts::find(&mut tx, id, self.clock.now()).await?;
        history::page(&mut tx, &context, before, limit).await
    }

    async fn update(
        &self,
        scope: &TenantScope,
        write: &Write,
        target: Target,
        fields: Fields,
        mask: Mask,
    ) -> Result<Context, ContextsError> {
        let mut tx = begin!(self, scope, write);
        let before = contexts::aim(&mut tx, &target, write.now).await?;
        let mut context = before.clone();
        context.fields.take(fields, mask);
        context.version += 1;
        context.updated = write.now.max(context.updated);
        contexts::update(&mut tx, &context).await?;
        let change = usage::Use::of_context(&context) - usage::Use::of_context(&before);
        usage::add(&mut tx, context.id, change, &self.quota).await?;
        replies::keep(&mut tx, write, &context).await?;
        tx.commit().await?;
        Ok(context)
    }

    async fn delete(&self, scope: &TenantScope, write: &Write, target: Target) -> Result<(), ContextsError> {
        let mut tx = begin!(self, scope, write);
        let context = contexts::aim(&mut tx, &target, write.now).await?;
        contexts::remove(&mut tx, &context).await?;
        replies::keep(&mut tx, write, &()).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn append(
        &self,
        scope: &TenantScope,
        write: &Write,
        id: ContextId,
        messages: Vec<NewMessage>,
    ) -> Result<Vec<MessageHead>, ContextsError> {
        let mut tx = begin!(self, scope, write);
        contexts::lock(&mut tx, id).await?;
        let context = contexts::find(&mut tx, id, write.now).await?;
        let added = usage::Use::of_messages(&messages);
        let heads = messages::append(&mut tx, &context, write.now, messages).await?;
        usage::add(&mut tx, id, added, &self.quota).await?;
        replies::keep(&mut tx, write, &heads).await?;
        tx.commit().await?;
        Ok(heads)
    }

    async fn messages(
        &self,
        scope: &TenantScope,
        id: ContextId,
        after: u64,
        limit: Limit,
    ) -> Result<Page<Message>, ContextsError> {
        let mut tx = self.db.read(scope).await?;
        let context = contexts::find(&mut tx, id, self.clock.now()).await?;
        messages::page(&mut tx, &context, after, limit).await
    }

    async fn range(
        &self,
        scope: &TenantScope,
        id: ContextId,
        range: RangeInclusive<u64>,
    ) -> Result<Vec<Message>, ContextsError> {
        let mut tx = self.db.read(scope).await?;
        let context = match contexts::find(&mut tx, id, self.clock.now()).await {
            // As many as there are, which is none.
            Err(ContextsError::NotFound) => return Ok(Vec::new()),
            found => found?,
        };
        messages::range(&mut tx, &context, range).await
    }

    async fn changes(
        &self,
        scope: &TenantScope,
        id: ContextId,
        version: u64,
        limit: Limit,
    ) -> Result<Vec<Change>, ContextsError> {
        let mut tx = self.db.read(scope).await?;
        let context = contexts::find(&mut tx, id, self.clock.now()).await?;
        history::changes(&mut tx, &context, version, limit).await
    }

    async fn search(
        &self,
        scope: &TenantScope,
        search: &Search,
        limit: usize,
        after: Option<&[u8]>,
    ) -> Result<Found, ContextsError> {
        let mut tx = self.db.read(scope).await?;
        words::search(&mut tx, search, limit, after, self.clock.now()).await
    }

    async fn stage(
        &self,
        scope: &TenantScope,
        now: Timestamp,
        stage: Uuid,
        id: ContextId,
        fields: Fields,
    ) -> Result<(), ContextsError> {
        let mut tx = self.db.within(scope).await?;
        let context = contexts::fresh(id, fields, now);
        contexts::insert(&mut tx, &context, Some(stage)).await?;
        usage::add(&mut tx, id, usage::Use::of_context(&context), &self.quota).await?;
        Ok(tx.commit().await?)
    }

    async fn stage_messages(
        &self,
        scope: &TenantScope,
        now: Timestamp,
        stage: Uuid,
        id: ContextId,
        messages: Vec<NewMessage>,
    ) -> Result<(), ContextsError> {
        let mut tx = self.db.within(scope).await?;
        contexts::lock(&mut tx, id).await?;
        let context = contexts::find_staged(&mut tx, id, stage).await?;
        let added = usage::Use::of_messages(&messages);
        messages::append(&mut tx, &context, now, messages).await?;
        usage::add(&mut tx, id, added, &self.quota).await?;
        Ok(tx.commit().await?)
    }

    async fn publish(
        &self,
        scope: &TenantScope,
        write: &Write,
        stage: Uuid,
        imported: Imported,
    ) -> Result<Imported, ContextsError> {
        let mut tx = begin!(self, scope, write);
        contexts::publish(&mut tx, stage).await?;
        replies::keep(&mut tx, write, &imported).await?;
        tx.commit().await?;
        Ok(imported)
    }

    async fn unstage(&self, scope: &TenantScope, stage: Uuid) -> Result<(), ContextsError> {
        let mut tx = self.db.within(scope).await?;
        contexts::expire_stage(&mut tx, stage).await?;
        Ok(tx.commit().await?)
    }

    fn is_shared(&self) -> bool {
        self.engine == Engine::Postgres
    }

    async fn sweep(&self, scope: &TenantScope) -> Result<bool, ContextsError> {
        let now = self.clock.now();
        let mut tx = self.db.read(scope).await?;
        if !swept::is_needed(&mut tx, now).await? {
            return Ok(false);
        }
        drop(tx);
        let mut tx = self.db.within(scope).await?;
        let more = swept::sweep(&mut tx, now).await?;
        tx.commit().await?;
        Ok(more)
    }
}

/// A count as the engines' only integer type.
fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
