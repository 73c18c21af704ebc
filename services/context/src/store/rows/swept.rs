//! What has ended, been given up or been deleted, removed bit by bit, so that no writer waits long.

use mcp_store::{TenantTx, sql};
use mcp_types::Timestamp;

use super::{contexts, lineage, replies};
use crate::{names::ContextId, store::ContextsError};

/// Contexts that one round removes.
const CONTEXTS_MAX: i64 = 16;
/// Messages that one round removes.
const MESSAGES_MAX: u32 = 500;
/// Replies that one round forgets.
const REPLIES_MAX: i64 = 500;

/// Whether there is anything to remove at the moment `now`.
pub(super) async fn is_needed(tx: &mut TenantTx, now: Timestamp) -> Result<bool, ContextsError> {
    let (needed,): (bool,) = sql("SELECT EXISTS (SELECT 1 FROM contexts WHERE expires <= $1)
           OR EXISTS (SELECT 1 FROM contexts WHERE staged IS NOT NULL AND created <= $2)
           OR EXISTS (SELECT 1 FROM logs WHERE prune = 1)
           OR EXISTS (SELECT 1 FROM replies WHERE created <= $3)")
    .doing("see what has ended")
    .bind(now.unix_millis())
    .bind(now.minus(contexts::STAGED_MAX).unix_millis())
    .bind(now.minus(super::super::REMEMBERED).unix_millis())
    .fetch_one(tx)
    .await?;
    Ok(needed)
}

/// Removes some; says whether there may be more.
pub(super) async fn sweep(tx: &mut TenantTx, now: Timestamp) -> Result<bool, ContextsError> {
    let ended: Vec<([u8; 16],)> = sql("SELECT id FROM contexts
         WHERE expires <= $1 OR (staged IS NOT NULL AND created <= $2) ORDER BY id LIMIT $3")
    .doing("list what has ended")
    .bind(now.unix_millis())
    .bind(now.minus(contexts::STAGED_MAX).unix_millis())
    .bind(CONTEXTS_MAX)
    .fetch_all(tx)
    .await?;
    let full = ended.len() as i64 == CONTEXTS_MAX;
    for (id,) in ended {
        let id = ContextId::of(id);
        contexts::lock(tx, id).await?;
        // Looked at again, now that nobody else writes it.
        let Some(context) = contexts::find_even_if_ended(tx, id).await? else { continue };
        if contexts::has_ended(tx, id, now).await? {
            contexts::remove(tx, &context).await?;
        }
    }

    let mut left = MESSAGES_MAX;
    while left > 0 {
        let log: Option<([u8; 16],)> = sql("SELECT id FROM logs WHERE prune = 1 ORDER BY id LIMIT 1")
            .doing("find a log to prune")
            .fetch_optional(tx)
            .await?;
        let Some((log,)) = log else { break };
        tx.lock(&[b"context", &log]).await?;
        let gone = lineage::prune(tx, ContextId::of(log), left).await?;
        left -= gone.min(left);
    }

    let forgotten = replies::sweep(tx, now, REPLIES_MAX).await?;
    Ok(full || left == 0 || forgotten >= REPLIES_MAX.unsigned_abs())
}
