//! What happened to a context, version by version, and what it was.
//!
//! Each write adds one row to `changes`, so versions leave no gap. Of an update the fields are kept as a revision. Both are
//! bounded: what is forgotten is forgotten from the beginning on, so that what is kept leaves no gap either.

use mcp_store::{TenantTx, sql};
use mcp_types::Timestamp;

use super::{
    super::{Change, Context, ContextsError, Event, Limit, Message, Page},
    contexts::{numbered, write, written},
    filling::Filling,
    messages, signed, tables,
};

/// Revisions that are kept of a context.
pub(super) const REVISIONS_MAX: i64 = 100;
/// Changes that are kept of a context.
pub(super) const CHANGES_MAX: u64 = 1000;

const UPDATED: i64 = 1;
const APPENDED: i64 = 2;

/// A row of `revisions`, in the order: version, at, expires, message_count, tokens, kind, fields.
type RevisionRow = (u64, i64, Option<i64>, u64, u64, String, Vec<u8>);

/// Notes that `context` was stored or its fields changed, and what it is now.
pub(super) async fn update(tx: &mut TenantTx, context: &Context) -> Result<(), ContextsError> {
    let Context { id, fields, version, .. } = context;
    note(tx, context, *version, UPDATED, 0, 0).await?;
    let sealed = tx.seal(&tables::FIELDS_THEN, &numbered(id.as_bytes(), *version), &write(fields))?;
    sql("INSERT INTO revisions (context, version, at, expires, message_count, tokens, kind, fields)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)")
    .doing("keep a revision")
    .bind(id.as_bytes())
    .bind(signed(*version))
    .bind(context.updated.unix_millis())
    .bind(fields.expires.map(Timestamp::unix_millis))
    .bind(signed(context.message_count))
    .bind(signed(context.tokens))
    .bind(&fields.kind)
    .bind(sealed)
    .execute(tx)
    .await?;
    if *version == 1 {
        return Ok(());
    }
    let forgotten = sql("DELETE FROM revisions WHERE context = $1 AND version <=
           (SELECT version FROM revisions WHERE context = $1 ORDER BY version DESC LIMIT 1 OFFSET $2)")
    .doing("forget a revision")
    .bind(id.as_bytes())
    .bind(REVISIONS_MAX)
    .execute(tx)
    .await?;
    if forgotten > 0 {
        sql("DELETE FROM changes WHERE context = $1
             AND version < (SELECT MIN(version) FROM revisions WHERE context = $1)")
        .doing("forget changes")
        .bind(id.as_bytes())
        .execute(tx)
        .await?;
    }
    Ok(())
}

/// Notes that the messages from `first` to `last` were appended to what was `context`.
pub(super) async fn append(
    tx: &mut TenantTx,
    context: &Context,
    first: u64,
    last: u64,
) -> Result<(), ContextsError> {
    note(tx, context, context.version + 1, APPENDED, first, last).await
}

async fn note(
    tx: &mut TenantTx,
    context: &Context,
    version: u64,
    what: i64,
    first: u64,
    last: u64,
) -> Result<(), ContextsError> {
    sql("INSERT INTO changes (context, version, what, first_n, last_n) VALUES ($1, $2, $3, $4, $5)")
        .doing("note a change")
        .bind(context.id.as_bytes())
        .bind(signed(version))
        .bind(what)
        .bind(signed(first))
        .bind(signed(last))
        .execute(tx)
        .await?;
    let Some(oldest) = version.checked_sub(CHANGES_MAX) else { return Ok(()) };
    sql("DELETE FROM changes WHERE context = $1 AND version <= $2")
        .doing("forget a change")
        .bind(context.id.as_bytes())
        .bind(signed(oldest))
        .execute(tx)
        .await?;
    Ok(())
}

/// What `context` was at `version`, if that is kept.
pub(super) async fn revision(
    tx: &mut TenantTx,
    context: &Context,
    version: u64,
) -> Result<Option<Context>, ContextsError> {
    let row: Option<RevisionRow> =
        sql("SELECT version, at, expires, message_count, tokens, kind, fields FROM revisions
         WHERE context = $1 AND version = $2")
        .doing("get a revision")
        .bind(context.id.as_bytes())
        .bind(signed(version))
        .fetch_optional(tx)
        .await?;
    row.map(|row| read(tx, context, row)).transpose()
}

/// What `context` was at versions below `before`, newest first, as many as a page takes.
pub(super) async fn page(
    tx: &mut TenantTx,
    context: &Context,
    before: Option<u64>,
    limit: Limit,
) -> Result<Page<Context>, ContextsError> {
    let rows: Vec<RevisionRow> =
        sql("SELECT version, at, expires, message_count, tokens, kind, fields FROM revisions
         WHERE context = $1 AND version < $2 ORDER BY version DESC LIMIT $3")
        .doing("list revisions")
        .bind(context.id.as_bytes())
        .bind(before.map_or(i64::MAX, signed))
        .bind(i64::from(limit.rows) + 1)
        .fetch_all(tx)
        .await?;
    let mut page = Filling::up_to(limit);
    for row in rows {
        let revision = read(tx, context, row)?;
        if page.is_full_before(revision.bytes(), revision) {
            break;
        }
    }
    Ok(page.end())
}

/// What happened to `context` after `version`, in order, as far as `limit` goes.
pub(super) async fn changes(
    tx: &mut TenantTx,
    context: &Context,
    version: u64,
    limit: Limit,
) -> Result<Vec<Change>, ContextsError> {
    if version > context.version {
        return Err(ContextsError::VersionOutOfRange);
    }
    let rows: Vec<(u64, i64, u64, u64)> = sql("SELECT version, what, first_n, last_n FROM changes
         WHERE context = $1 AND version > $2 ORDER BY version LIMIT $3")
    .doing("list changes")
    .bind(context.id.as_bytes())
    .bind(signed(version))
    .bind(limit.rows)
    .fetch_all(tx)
    .await?;
    let first = rows.first().map_or(context.version + 1, |(version, ..)| *version);
    if first != version + 1 {
        return Err(ContextsError::VersionOutOfRange);
    }
    let mut changes: Vec<Change> = Vec::with_capacity(rows.len());
    let mut room = limit.bytes;
    for (version, what, first, last) in rows {
        let (event, bytes) = if what == APPENDED {
            let (messages, bytes) = appended(tx, context, first, last, limit.bytes).await?;
            (Event::Appended(messages), bytes)
        } else {
            // Changes are forgotten with the revision that they point to.
            let revision = revision(tx, context, version).await?.ok_or(ContextsError::VersionOutOfRange)?;
            let bytes = revision.bytes();
            (Event::Updated(Box::new(revision)), bytes)
        };
        if bytes > room && !changes.is_empty() {
            break;
        }
        room = room.saturating_sub(bytes);
        changes.push(Change { version, event });
    }
    Ok(changes)
}

/// The messages from `first` to `last`, with as many of their texts, the first ones, as `bytes_max` allows.
async fn appended(
    tx: &mut TenantTx,
    context: &Context,
    first: u64,
    last: u64,
    bytes_max: u64,
) -> Result<(Vec<Message>, u64), ContextsError> {
    let mut messages = messages::range(tx, context, first..=last).await?;
    let mut taken = 0;
    for message in &mut messages {
        let bytes = message.text.len() as u64;
        if taken + bytes > bytes_max {
            message.text.clear();
        } else {
            taken += bytes;
        }
    }
    Ok((messages, taken))
}

fn read(tx: &TenantTx, context: &Context, row: RevisionRow) -> Result<Context, ContextsError> {
    let (version, at, expires, message_count, tokens, kind, sealed) = row;
    let opened = tx.open(&tables::FIELDS_THEN, &numbered(context.id.as_bytes(), version), &sealed)?;
    Ok(Context {
        id: context.id,
        fields: written(kind, expires, &opened)?,
        version,
        created: context.created,
        updated: Timestamp::from_unix_millis(at),
        message_count,
        tokens,
        fork: context.fork,
    })
}
