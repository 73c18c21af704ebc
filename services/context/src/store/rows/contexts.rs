//! Rows of contexts: found, inserted, changed, removed.

use std::time::Duration;

use mcp_store::{TenantTx, row_id, sql};
use mcp_types::Timestamp;
use prost::Message as _;
use uuid::Uuid;

use super::{
    super::{Context, ContextsError, Fork, Target},
    history, lineage, signed, tables, usage, words,
};
use crate::{data::Data, etag::etag, fields::Fields, names::ContextId};

/// How long what is imported may stay without being published.
pub(super) const STAGED_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// The columns of [`Row`].
macro_rules! columns {
    () => {
        "id, version, created, updated, expires, message_count, tokens, forked_from, forked_count, kind, fields"
    };
}
pub(super) use columns;

/// A row of `contexts`, in the order of [`columns`].
pub(super) type Row =
    ([u8; 16], u64, i64, i64, Option<i64>, u64, u64, Option<[u8; 16]>, u64, String, Vec<u8>);

/// What clients write in a context, as it is sealed.
#[derive(Clone, PartialEq, prost::Message)]
struct Written {
    #[prost(string, tag = "1")]
    title: String,
    #[prost(string, tag = "2")]
    description: String,
    #[prost(string, repeated, tag = "3")]
    tags: Vec<String>,
    #[prost(bytes = "vec", tag = "4")]
    data: Vec<u8>,
}

/// A new context.
pub(super) fn fresh(id: ContextId, fields: Fields, now: Timestamp) -> Context {
    Context { id, fields, version: 1, created: now, updated: now, message_count: 0, tokens: 0, fork: None }
}

/// Keeps other writers of the context `id` out.
pub(super) async fn lock(tx: &mut TenantTx, id: ContextId) -> Result<(), ContextsError> {
    Ok(tx.lock(&[b"context", id.as_bytes()]).await?)
}

/// The context `id`, if it is there at the moment `now`.
pub(super) async fn find(tx: &mut TenantTx, id: ContextId, now: Timestamp) -> Result<Context, ContextsError> {
    let row: Option<Row> = sql(concat!(
        "SELECT ",
        columns!(),
        " FROM contexts WHERE id = $1 AND staged IS NULL AND (expires IS NULL OR expires > $2)"
    ))
    .doing("get a context")
    .bind(id.as_bytes())
    .bind(now.unix_millis())
    .fetch_optional(tx)
    .await?;
    read(tx, row.ok_or(ContextsError::NotFound)?)
}

/// The context `id` of the import `stage`.
pub(super) async fn find_staged(
    tx: &mut TenantTx,
    id: ContextId,
    stage: Uuid,
) -> Result<Context, ContextsError> {
    let row: Option<Row> =
        sql(concat!("SELECT ", columns!(), " FROM contexts WHERE id = $1 AND staged = $2"))
            .doing("get a staged context")
            .bind(id.as_bytes())
            .bind(stage.as_bytes())
            .fetch_optional(tx)
            .await?;
    read(tx, row.ok_or(ContextsError::NotFound)?)
}

/// The context `id`, whatever has become of it.
pub(super) async fn find_even_if_ended(
    tx: &mut TenantTx,
    id: ContextId,
) -> Result<Option<Context>, ContextsError> {
    let row: Option<Row> = sql(concat!("SELECT ", columns!(), " FROM contexts WHERE id = $1"))
        .doing("get a context")
        .bind(id.as_bytes())
        .fetch_optional(tx)
        .await?;
    row.map(|row| read(tx, row)).transpose()
}

/// Whether the context `id` has ended at the moment `now`, or was staged and given up.
pub(super) async fn has_ended(
    tx: &mut TenantTx,
    id: ContextId,
    now: Timestamp,
) -> Result<bool, ContextsError> {
    let (ended,): (bool,) = sql("SELECT EXISTS (SELECT 1 FROM contexts WHERE id = $1
           AND (expires <= $2 OR (staged IS NOT NULL AND created <= $3)))")
    .doing("see whether a context has ended")
    .bind(id.as_bytes())
    .bind(now.unix_millis())
    .bind(now.minus(STAGED_MAX).unix_millis())
    .fetch_one(tx)
    .await?;
    Ok(ended)
}

/// The context to be changed, if its etag is the one that the client read; other writers are kept out.
pub(super) async fn aim(
    tx: &mut TenantTx,
    target: &Target,
    now: Timestamp,
) -> Result<Context, ContextsError> {
    lock(tx, target.id).await?;
    let context = find(tx, target.id, now).await?;
    match &target.etag {
        Some(read) if *read != etag(context.id, context.version) => Err(ContextsError::EtagMismatch),
        _ => Ok(context),
    }
}

/// Stores `context`, with a log of its own; one with a stage is not seen.
pub(super) async fn insert(
    tx: &mut TenantTx,
    context: &Context,
    stage: Option<Uuid>,
) -> Result<(), ContextsError> {
    let Context { id, fields, .. } = context;
    let sealed = tx.seal(&tables::FIELDS, id.as_bytes(), &write(fields))?;
    sql("INSERT INTO contexts
           (id, version, created, updated, expires, staged, message_count, tokens, forked_from, forked_count, bytes,
            kind, fields)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)")
    .doing("insert a context")
    .bind(id.as_bytes())
    .bind(signed(context.version))
    .bind(context.created.unix_millis())
    .bind(context.updated.unix_millis())
    .bind(fields.expires.map(Timestamp::unix_millis))
    .bind(stage.map(|stage| stage.as_bytes().to_vec()))
    .bind(signed(context.message_count))
    .bind(signed(context.tokens))
    .bind(context.fork.map(|fork| fork.of.as_bytes().to_vec()))
    .bind(signed(context.shared()))
    .bind(signed(fields.bytes()))
    .bind(&fields.kind)
    .bind(sealed)
    .execute(tx)
    .await?;
    sql("INSERT INTO logs (id, prune) VALUES ($1, 0)")
        .doing("begin a log")
        .bind(id.as_bytes())
        .execute(tx)
        .await?;
    tag(tx, context).await?;
    history::update(tx, context).await?;
    if stage.is_none() {
        words::put_context(tx, context).await?;
    }
    Ok(())
}

/// Writes down what `context` has become by an update.
pub(super) async fn update(tx: &mut TenantTx, context: &Context) -> Result<(), ContextsError> {
    let Context { id, fields, .. } = context;
    let sealed = tx.seal(&tables::FIELDS, id.as_bytes(), &write(fields))?;
    sql("UPDATE contexts SET version = $2, updated = $3, expires = $4, bytes = $5, kind = $6, fields = $7 WHERE id = $1")
        .doing("update a context")
        .bind(id.as_bytes())
        .bind(signed(context.version))
        .bind(context.updated.unix_millis())
        .bind(fields.expires.map(Timestamp::unix_millis))
        .bind(signed(fields.bytes()))
        .bind(&fields.kind)
        .bind(sealed)
        .execute(tx)
        .await?;
    sql("DELETE FROM context_tags WHERE context = $1")
        .doing("replace tags")
        .bind(id.as_bytes())
        .execute(tx)
        .await?;
    tag(tx, context).await?;
    history::update(tx, context).await?;
    words::put_context(tx, context).await
}

/// Removes `context`; of its messages a first part at once, the rest by and by, but for what forks share.
pub(super) async fn remove(tx: &mut TenantTx, context: &Context) -> Result<(), ContextsError> {
    let id = context.id;
    words::remove_context(tx, id).await?;
    lineage::release(tx, context).await?;
    // Tags, history and lineage go with it: their foreign keys cascade.
    sql("DELETE FROM contexts WHERE id = $1")
        .doing("delete a context")
        .bind(id.as_bytes())
        .execute(tx)
        .await?;
    usage::release(tx, id, usage::Use::of_context(context)).await?;
    lineage::prune(tx, id, lineage::PRUNED_AT_ONCE).await?;
    Ok(())
}

/// Shows the contexts of the import `stage`.
pub(super) async fn publish(tx: &mut TenantTx, stage: Uuid) -> Result<(), ContextsError> {
    let staged: Vec<Row> =
        sql(concat!("SELECT ", columns!(), " FROM contexts WHERE staged = $1 ORDER BY id"))
            .doing("list what is staged")
            .bind(stage.as_bytes())
            .fetch_all(tx)
            .await?;
    sql("UPDATE contexts SET staged = NULL WHERE staged = $1")
        .doing("publish an import")
        .bind(stage.as_bytes())
        .execute(tx)
        .await?;
    for row in staged {
        let context = read(tx, row)?;
        words::put_context(tx, &context).await?;
    }
    Ok(())
}

/// Gives the contexts of the import `stage` up: the sweeper removes them.
pub(super) async fn expire_stage(tx: &mut TenantTx, stage: Uuid) -> Result<(), ContextsError> {
    sql("UPDATE contexts SET created = 0 WHERE staged = $1")
        .doing("give up an import")
        .bind(stage.as_bytes())
        .execute(tx)
        .await?;
    Ok(())
}

/// Opens a row.
pub(super) fn read(tx: &TenantTx, row: Row) -> Result<Context, ContextsError> {
    let (
        id,
        version,
        created,
        updated,
        expires,
        message_count,
        tokens,
        forked_from,
        forked_count,
        kind,
        sealed,
    ) = row;
    let fields = written(kind, expires, &tx.open(&tables::FIELDS, &id, &sealed)?)?;
    let fork = forked_from.map(|of| Fork { of: ContextId::of(of), count: forked_count });
    Ok(Context {
        id: ContextId::of(id),
        fields,
        version,
        created: Timestamp::from_unix_millis(created),
        updated: Timestamp::from_unix_millis(updated),
        message_count,
        tokens,
        fork,
    })
}

/// What is sealed of `fields`.
pub(super) fn write(fields: &Fields) -> Vec<u8> {
    let Fields { title, description, tags, data, .. } = fields.clone();
    Written { title, description, tags, data: data.into_bytes() }.encode_to_vec()
}

/// Reads what [`write`] wrote.
pub(super) fn written(kind: String, expires: Option<i64>, bytes: &[u8]) -> Result<Fields, ContextsError> {
    let Written { title, description, tags, data } = Written::decode(bytes).map_err(|source| {
        ContextsError::Unreadable { doing: "read a context's fields", source: source.into() }
    })?;
    let expires = expires.map(Timestamp::from_unix_millis);
    Ok(Fields { kind, title, description, tags, data: Data::from_bytes(data), expires })
}

async fn tag(tx: &mut TenantTx, context: &Context) -> Result<(), ContextsError> {
    for tag in &context.fields.tags {
        let digest = words::tag_digest(tx, tag);
        sql("INSERT INTO context_tags (context, tag) VALUES ($1, $2) ON CONFLICT DO NOTHING")
            .doing("insert a tag")
            .bind(context.id.as_bytes())
            .bind(digest)
            .execute(tx)
            .await?;
    }
    Ok(())
}

/// The row ID of a revision or a message: two parts of a key.
pub(super) fn numbered(id: &[u8; 16], n: u64) -> Vec<u8> {
    row_id(&[id.into(), signed(n).into()])
}
