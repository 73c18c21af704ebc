//! Contexts in SQLite, a file for each tenant.
//!
//! Every write is one transaction, its reply for a repeat included, and `mcp-store` begins it as the file's
//! only writer: of two equal requests at once the second waits, and finds the first one's reply.

mod messages;
mod replies;
mod rows;

use std::{ops::RangeInclusive, path::Path};

use futures_util::TryStreamExt as _;
use mcp_store::{Db, Migration, Options, StoreError};
use mcp_tenancy::TenantScope;
use mcp_types::ServiceName;
use sqlx::SqliteConnection;

use self::rows::{ContextRow, Filling};
use super::{
    Age, Context, Contexts, ContextsError, Limit, Message, MessageHead, MessageSize, NewMessage, Page,
    Target, Write,
};
use crate::{
    etag::etag,
    fields::{Fields, Mask},
    names::ContextId,
};

const MIGRATIONS: &[Migration] = &[Migration {
    version: 1,
    name: "contexts",
    sqlite: include_str!("../../../migrations/sqlite/0001_contexts.sql"),
    postgres: "",
}];

/// Contexts in SQLite; see `migrations/sqlite` for the tables.
#[derive(Clone, Debug)]
pub(crate) struct SqliteContexts {
    db: Db,
}

// === impl SqliteContexts ===

impl SqliteContexts {
    /// Opens the store in the service's folder; at most `tenants_open_max` files are held open at once.
    pub(crate) async fn open(
        folder: &Path,
        service: &ServiceName,
        tenants_open_max: usize,
    ) -> Result<Self, StoreError> {
        let options = Options { tenant: MIGRATIONS, files_open_max: tenants_open_max, ..Options::default() };
        Ok(Self { db: Db::open(folder, service, options).await? })
    }

    /// Closes the files, after the transactions that have begun.
    pub(crate) async fn close(&self) {
        self.db.close().await;
    }
}

impl Contexts for SqliteContexts {
    async fn create(
        &self,
        scope: &TenantScope,
        write: &Write,
        id: ContextId,
        fields: Fields,
    ) -> Result<Context, ContextsError> {
        let mut tx = self.db.within(scope).await?;
        if let Some(answer) = replies::find(&mut tx, write).await? {
            return Ok(answer);
        }
        let context =
            Context { id, fields, version: 1, created: write.now, updated: write.now, message_count: 0 };
        let Fields { kind, title, description, .. } = &context.fields;
        sqlx::query(
            "INSERT INTO contexts (id, version, created, updated, message_count, kind, title, tags, description)
             VALUES ($1, 1, $2, $2, 0, $3, $4, $5, $6)",
        )
        .bind(&id.as_bytes()[..])
        .bind(write.now.unix_millis())
        .bind(kind)
        .bind(title)
        .bind(rows::tags_of(&context.fields)?)
        .bind(description)
        .execute(&mut *tx)
        .await
        .map_err(StoreError::doing("insert a context"))?;
        replies::keep(&mut tx, write, &context).await?;
        tx.commit().await?;
        Ok(context)
    }

    async fn get(&self, scope: &TenantScope, id: ContextId) -> Result<Context, ContextsError> {
        find(&mut *self.db.read(scope).await?, id).await
    }

    async fn list(
        &self,
        scope: &TenantScope,
        after: Option<Age>,
        limit: Limit,
    ) -> Result<Page<Context>, ContextsError> {
        let mut tx = self.db.read(scope).await?;
        // A row value compares like the index is sorted. The empty blob stands before every ID.
        let (created, id) = after.as_ref().map_or((i64::MAX, [].as_slice()), |age| {
            (age.created.unix_millis(), age.id.as_bytes().as_slice())
        });
        let mut rows = sqlx::query_as::<_, ContextRow>(
            "SELECT id, version, created, updated, message_count, kind, title, tags, description FROM contexts
             WHERE (created, id) < ($1, $2) ORDER BY created DESC, id DESC LIMIT $3",
        )
            .bind(created)
            .bind(id)
            .bind(i64::from(limit.rows) + 1)
            .fetch(&mut *tx);
        let mut page = Filling::up_to(limit);
        while let Some(row) = rows.try_next().await.map_err(StoreError::doing("list contexts"))? {
            let context = Context::try_from(row)?;
            if page.is_full_before(context.bytes(), context) {
                break;
            }
        }
        Ok(page.end())
    }

    async fn update(
        &self,
        scope: &TenantScope,
        write: &Write,
        target: Target,
        fields: Fields,
        mask: Mask,
    ) -> Result<Context, ContextsError> {
        let mut tx = self.db.within(scope).await?;
        if let Some(answer) = replies::find(&mut tx, write).await? {
            return Ok(answer);
        }
        let mut context = aim(&mut tx, &target).await?;
        context.fields.take(fields, mask);
        context.version += 1;
        context.updated = write.now.max(context.updated);
        let Fields { kind, title, description, .. } = &context.fields;
        sqlx::query(
            "UPDATE contexts SET version = $2, updated = $3, kind = $4, title = $5, tags = $6, description = $7
             WHERE id = $1",
        )
        .bind(&context.id.as_bytes()[..])
        .bind(rows::signed(context.version))
        .bind(context.updated.unix_millis())
        .bind(kind)
        .bind(title)
        .bind(rows::tags_of(&context.fields)?)
        .bind(description)
        .execute(&mut *tx)
        .await
        .map_err(StoreError::doing("update a context"))?;
        replies::keep(&mut tx, write, &context).await?;
        tx.commit().await?;
        Ok(context)
    }

    async fn delete(&self, scope: &TenantScope, write: &Write, target: Target) -> Result<(), ContextsError> {
        let mut tx = self.db.within(scope).await?;
        if let Some(answer) = replies::find(&mut tx, write).await? {
            return Ok(answer);
        }
        let context = aim(&mut tx, &target).await?;
        // The messages go with it: their foreign key cascades.
        sqlx::query("DELETE FROM contexts WHERE id = $1")
            .bind(&context.id.as_bytes()[..])
            .execute(&mut *tx)
            .await
            .map_err(StoreError::doing("delete a context"))?;
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
        let mut tx = self.db.within(scope).await?;
        if let Some(answer) = replies::find(&mut tx, write).await? {
            return Ok(answer);
        }
        let context = find(&mut tx, id).await?;
        let heads = messages::append(&mut tx, &context, write.now, messages).await?;
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
        find(&mut tx, id).await?;
        messages::page(&mut tx, id, after, limit).await
    }

    async fn sizes(&self, scope: &TenantScope, id: ContextId) -> Result<Vec<MessageSize>, ContextsError> {
        let mut tx = self.db.read(scope).await?;
        let context = find(&mut tx, id).await?;
        messages::sizes(&mut tx, &context).await
    }

    async fn range(
        &self,
        scope: &TenantScope,
        id: ContextId,
        range: RangeInclusive<u64>,
    ) -> Result<Vec<Message>, ContextsError> {
        let mut tx = self.db.read(scope).await?;
        messages::range(&mut tx, id, range).await
    }
}

async fn find(tx: &mut SqliteConnection, id: ContextId) -> Result<Context, ContextsError> {
    sqlx::query_as::<_, ContextRow>(
        "SELECT id, version, created, updated, message_count, kind, title, tags, description FROM contexts
         WHERE id = $1",
    )
    .bind(&id.as_bytes()[..])
    .fetch_optional(tx)
    .await
    .map_err(StoreError::doing("get a context"))?
    .ok_or(ContextsError::NotFound)?
    .try_into()
}

/// The context to be changed, if its etag is the one that the client read.
async fn aim(tx: &mut SqliteConnection, target: &Target) -> Result<Context, ContextsError> {
    let context = find(tx, target.id).await?;
    match &target.etag {
        Some(read) if *read != etag(context.id, context.version) => Err(ContextsError::EtagMismatch),
        _ => Ok(context),
    }
}
