//! How much a tenant holds, counted in the write's own transaction.
//!
//! The count is spread over a few rows by context, so that writers on PostgreSQL do not wait for each other. Two writes at
//! once may each find room for themselves, so a tenant can exceed its quota by what is under way, not more.

use std::ops::{Add, Sub};

use mcp_store::{TenantTx, sql};
use serde::{Deserialize, Serialize};

use super::super::{Context, ContextsError, Holding, NewMessage};
use crate::names::ContextId;

/// Rows that the count is spread over.
const SHARDS: u8 = 16;

/// How much a tenant may hold.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quota {
    /// Contexts, those being imported included.
    pub contexts_max: u64,
    /// Messages. What forks share counts once.
    pub messages_max: u64,
    /// Bytes of text: messages, titles, descriptions, tags and data as they are now.
    pub bytes_max: u64,
}

/// How much is held, or by how much that changes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Use {
    contexts: i64,
    messages: i64,
    bytes: i64,
}

// === impl Quota ===

impl Default for Quota {
    fn default() -> Self {
        Self { contexts_max: 1_000_000, messages_max: 20_000_000, bytes_max: 32 << 30 }
    }
}

// === impl Use ===

impl Use {
    /// Of a context without its messages.
    pub(super) fn of_context(context: &Context) -> Self {
        Self { contexts: 1, messages: 0, bytes: signed(context.bytes()) }
    }

    /// Of messages to be appended.
    pub(super) fn of_messages(messages: &[NewMessage]) -> Self {
        let bytes = messages.iter().map(|message| message.text.len() as u64).sum();
        Self { contexts: 0, messages: signed(messages.len() as u64), bytes: signed(bytes) }
    }

    /// Of a message whose text takes `bytes`.
    pub(super) fn of_message(bytes: u64) -> Self {
        Self { contexts: 0, messages: 1, bytes: signed(bytes) }
    }

    fn within(self, held: Self, quota: &Quota) -> Result<(), ContextsError> {
        for (what, more, held, most) in [
            (Holding::Contexts, self.contexts, held.contexts, quota.contexts_max),
            (Holding::Messages, self.messages, held.messages, quota.messages_max),
            (Holding::Bytes, self.bytes, held.bytes, quota.bytes_max),
        ] {
            let held = u64::try_from(held).unwrap_or(0);
            // What makes room is always let through, also where a quota was lowered.
            if more > 0 && held > most {
                return Err(ContextsError::Quota { what, held, most });
            }
        }
        Ok(())
    }
}

impl Add for Use {
    type Output = Self;

    fn add(self, more: Self) -> Self {
        Self {
            contexts: self.contexts + more.contexts,
            messages: self.messages + more.messages,
            bytes: self.bytes + more.bytes,
        }
    }
}

impl Sub for Use {
    type Output = Self;

    fn sub(self, less: Self) -> Self {
        self + Self { contexts: -less.contexts, messages: -less.messages, bytes: -less.bytes }
    }
}

/// Counts `change` at the context `id`, unless the tenant would hold more than `quota`.
pub(super) async fn add(
    tx: &mut TenantTx,
    id: ContextId,
    change: Use,
    quota: &Quota,
) -> Result<(), ContextsError> {
    count(tx, id, change).await?;
    change.within(held(tx).await?, quota)
}

/// Counts that the context `id` holds less, by `freed`.
pub(super) async fn release(tx: &mut TenantTx, id: ContextId, freed: Use) -> Result<(), ContextsError> {
    if freed == Use::default() { Ok(()) } else { count(tx, id, Use::default() - freed).await }
}

async fn count(tx: &mut TenantTx, id: ContextId, change: Use) -> Result<(), ContextsError> {
    // An ID's last byte is chance.
    let shard = i64::from(id.as_bytes()[15] % SHARDS);
    let update = || {
        sql("UPDATE usage SET contexts = contexts + $2, messages = messages + $3, bytes = bytes + $4 WHERE shard = $1")
            .doing("count what is held")
            .bind(shard)
            .bind(change.contexts)
            .bind(change.messages)
            .bind(change.bytes)
    };
    if update().execute(tx).await? > 0 {
        return Ok(());
    }
    sql("INSERT INTO usage (shard, contexts, messages, bytes) VALUES ($1, 0, 0, 0) ON CONFLICT DO NOTHING")
        .doing("begin to count what is held")
        .bind(shard)
        .execute(tx)
        .await?;
    update().execute(tx).await?;
    Ok(())
}

/// How much the tenant holds.
pub(super) async fn held(tx: &mut TenantTx) -> Result<Use, ContextsError> {
    let (contexts, messages, bytes) = sql("SELECT CAST(COALESCE(SUM(contexts), 0) AS BIGINT),
                CAST(COALESCE(SUM(messages), 0) AS BIGINT), CAST(COALESCE(SUM(bytes), 0) AS BIGINT) FROM usage")
    .doing("sum up what is held")
    .fetch_one(tx)
    .await?;
    Ok(Use { contexts, messages, bytes })
}

fn signed(count: u64) -> i64 {
    super::signed(count)
}
