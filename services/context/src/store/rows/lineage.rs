//! Whose log a message lies in, forks, and what may be pruned.
//!
//! A fork keeps the numbers of the messages that it shares and goes on behind them in a log of its own, so a message has
//! the same number in every context that it is in. A log that outlives its context is kept up to the last message that a
//! fork still needs; the database itself refuses to drop a log that one refers to.

use mcp_store::{TenantTx, sql};
use mcp_types::Timestamp;

use super::{
    super::{Context, ContextsError, Fork},
    contexts, signed, usage, words,
};
use crate::{fields::Fields, names::ContextId};

/// Logs that a fork may begin with.
pub(super) const DEPTH_MAX: usize = 32;
/// Messages that go with their context at once; what is left the sweeper removes.
pub(super) const PRUNED_AT_ONCE: u32 = 200;

/// A run of a context's messages that lies in one log.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Piece {
    /// Which log: that of the context with this ID.
    pub(super) log: ContextId,
    /// The first message.
    pub(super) first: u64,
    /// The last message.
    pub(super) last: u64,
}

/// Where the messages of `context` lie, in order.
pub(super) async fn pieces(tx: &mut TenantTx, context: &Context) -> Result<Vec<Piece>, ContextsError> {
    let mut pieces = if context.shared() == 0 { Vec::new() } else { inherited(tx, context.id).await? };
    let first = context.shared() + 1;
    if context.message_count >= first {
        pieces.push(Piece { log: context.id, first, last: context.message_count });
    }
    Ok(pieces)
}

async fn inherited(tx: &mut TenantTx, id: ContextId) -> Result<Vec<Piece>, ContextsError> {
    let rows: Vec<(u64, [u8; 16])> =
        sql("SELECT last_n, log FROM lineage WHERE context = $1 ORDER BY last_n")
            .doing("read a lineage")
            .bind(id.as_bytes())
            .fetch_all(tx)
            .await?;
    let mut first = 1;
    let piece = |(last, log)| {
        let piece = Piece { log: ContextId::of(log), first, last };
        first = last + 1;
        piece
    };
    Ok(rows.into_iter().map(piece).collect())
}

/// Stores the context `id`, which begins with `count` messages of `parent`, whose writers are kept out.
pub(super) async fn fork(
    tx: &mut TenantTx,
    parent: &Context,
    count: Option<u64>,
    id: ContextId,
    fields: Option<Fields>,
    now: Timestamp,
) -> Result<Context, ContextsError> {
    let count = count.unwrap_or(parent.message_count);
    if count > parent.message_count {
        return Err(ContextsError::MessageOutOfRange(parent.message_count));
    }
    let pieces: Vec<Piece> = pieces(tx, parent)
        .await?
        .into_iter()
        .filter(|piece| piece.first <= count)
        .map(|piece| Piece { last: piece.last.min(count), ..piece })
        .collect();
    if pieces.len() > DEPTH_MAX {
        return Err(ContextsError::ForksTooDeep);
    }
    let tokens = if count == parent.message_count { parent.tokens } else { tokens(tx, &pieces).await? };
    let fields = fields.unwrap_or_else(|| Fields { expires: None, ..parent.fields.clone() });
    let context = Context {
        message_count: count,
        tokens,
        fork: Some(Fork { of: parent.id, count }),
        ..contexts::fresh(id, fields, now)
    };
    contexts::insert(tx, &context, None).await?;
    for piece in pieces {
        sql("INSERT INTO lineage (context, last_n, log) VALUES ($1, $2, $3)")
            .doing("write down a lineage")
            .bind(id.as_bytes())
            .bind(signed(piece.last))
            .bind(piece.log.as_bytes())
            .execute(tx)
            .await?;
    }
    Ok(context)
}

async fn tokens(tx: &mut TenantTx, pieces: &[Piece]) -> Result<u64, ContextsError> {
    let mut tokens = 0;
    for piece in pieces {
        let (sum,): (u64,) = sql("SELECT CAST(COALESCE(SUM(tokens), 0) AS BIGINT) FROM messages
             WHERE log = $1 AND n >= $2 AND n <= $3")
        .doing("count tokens")
        .bind(piece.log.as_bytes())
        .bind(signed(piece.first))
        .bind(signed(piece.last))
        .fetch_one(tx)
        .await?;
        tokens += sum;
    }
    Ok(tokens)
}

/// Marks every log that `context`, which is about to be removed, holds messages in: nobody may need them any longer.
pub(super) async fn release(tx: &mut TenantTx, context: &Context) -> Result<(), ContextsError> {
    // A log whose context is still there is not pruned, so marking it would do no harm; it is left alone all the same.
    sql("UPDATE logs SET prune = 1 WHERE id = $1 OR id IN
           (SELECT log FROM lineage WHERE context = $1
            AND NOT EXISTS (SELECT 1 FROM contexts WHERE contexts.id = lineage.log))")
    .doing("release a log")
    .bind(context.id.as_bytes())
    .execute(tx)
    .await?;
    Ok(())
}

/// Removes up to `max` messages that no context has any longer from the log `id`, the last ones first, and the log once it
/// is empty. Says how many.
pub(super) async fn prune(tx: &mut TenantTx, id: ContextId, max: u32) -> Result<u32, ContextsError> {
    let (kept,): (u64,) = sql("SELECT CAST(COALESCE(MAX(last_n), 0) AS BIGINT) FROM lineage WHERE log = $1")
        .doing("see what forks need")
        .bind(id.as_bytes())
        .fetch_one(tx)
        .await?;
    let gone: Vec<(u64, u64)> =
        sql("SELECT n, bytes FROM messages WHERE log = $1 AND n > $2 ORDER BY n DESC LIMIT $3")
            .doing("list what nobody has")
            .bind(id.as_bytes())
            .bind(signed(kept))
            .bind(max)
            .fetch_all(tx)
            .await?;
    let mut freed = usage::Use::default();
    for (n, bytes) in &gone {
        words::remove_message(tx, id, *n).await?;
        freed = freed + usage::Use::of_message(*bytes);
    }
    if let Some((last, _)) = gone.last() {
        sql("DELETE FROM messages WHERE log = $1 AND n >= $2")
            .doing("remove messages")
            .bind(id.as_bytes())
            .bind(signed(*last))
            .execute(tx)
            .await?;
    }
    usage::release(tx, id, freed).await?;
    let count = u32::try_from(gone.len()).unwrap_or(u32::MAX);
    if count < max {
        if kept == 0 {
            words::remove_collection(tx, id).await?;
        }
        // Nothing is left to do until another fork goes.
        let settled = if kept == 0 {
            sql("DELETE FROM logs WHERE id = $1").doing("remove a log")
        } else {
            sql("UPDATE logs SET prune = 0 WHERE id = $1").doing("keep a log for its forks")
        };
        settled.bind(id.as_bytes()).execute(tx).await?;
    }
    Ok(count)
}

/// The context in which a hit in the log `id` is shown: the log's own, or one that shares the message.
pub(super) async fn holder(
    tx: &mut TenantTx,
    id: ContextId,
    n: u64,
    now: Timestamp,
) -> Result<Option<Context>, ContextsError> {
    match contexts::find(tx, id, now).await {
        Err(ContextsError::NotFound) => {}
        found => return found.map(Some),
    }
    let fork: Option<([u8; 16],)> =
        sql("SELECT lineage.context FROM lineage JOIN contexts ON contexts.id = lineage.context
         WHERE lineage.log = $1 AND lineage.last_n >= $2 AND contexts.staged IS NULL
         AND (contexts.expires IS NULL OR contexts.expires > $3) ORDER BY lineage.context LIMIT 1")
        .doing("find who shares a message")
        .bind(id.as_bytes())
        .bind(signed(n))
        .bind(now.unix_millis())
        .fetch_optional(tx)
        .await?;
    match fork {
        Some((fork,)) => contexts::find(tx, ContextId::of(fork), now).await.map(Some),
        None => Ok(None),
    }
}
