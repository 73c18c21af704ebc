//! Messages: appended, listed, measured.

use std::ops::RangeInclusive;

use futures_util::TryStreamExt as _;
use mcp_store::StoreError;
use mcp_types::Timestamp;
use sqlx::SqliteConnection;

use super::{
    super::{
        Context, ContextsError, Limit, MESSAGES_MAX, Message, MessageHead, MessageSize, NewMessage, Page,
    },
    rows::{Filling, signed, unsigned},
};
use crate::names::ContextId;

/// A row of `messages`, in the order: n, role, tokens, created, text.
type MessageRow = (i64, i32, i64, i64, String);

/// Appends to `context` and counts it up.
pub(super) async fn append(
    tx: &mut SqliteConnection,
    context: &Context,
    now: Timestamp,
    messages: Vec<NewMessage>,
) -> Result<Vec<MessageHead>, ContextsError> {
    let count = context.message_count + messages.len() as u64;
    if count > MESSAGES_MAX {
        return Err(ContextsError::Full);
    }
    let mut heads = Vec::with_capacity(messages.len());
    for (n, NewMessage { role, text, tokens }) in (context.message_count + 1..).zip(messages) {
        sqlx::query(
            "INSERT INTO messages (context, n, role, tokens, bytes, created, text)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(&context.id.as_bytes()[..])
        .bind(signed(n))
        .bind(role)
        .bind(i64::from(tokens))
        .bind(signed(text.len() as u64))
        .bind(now.unix_millis())
        .bind(text)
        .execute(&mut *tx)
        .await
        .map_err(StoreError::doing("append a message"))?;
        heads.push(MessageHead { n, role, tokens, created: now });
    }
    sqlx::query("UPDATE contexts SET version = version + 1, updated = $2, message_count = $3 WHERE id = $1")
        .bind(&context.id.as_bytes()[..])
        .bind(now.max(context.updated).unix_millis())
        .bind(signed(count))
        .execute(tx)
        .await
        .map_err(StoreError::doing("count messages"))?;
    Ok(heads)
}

/// The messages numbered above `after`, as many as a page takes.
pub(super) async fn page(
    tx: &mut SqliteConnection,
    id: ContextId,
    after: u64,
    limit: Limit,
) -> Result<Page<Message>, ContextsError> {
    let mut rows = sqlx::query_as::<_, MessageRow>(
        "SELECT n, role, tokens, created, text FROM messages
         WHERE context = $1 AND n > $2 ORDER BY n LIMIT $3",
    )
    .bind(&id.as_bytes()[..])
    .bind(signed(after))
    .bind(i64::from(limit.rows) + 1)
    .fetch(tx);
    let mut page = Filling::up_to(limit);
    while let Some(row) = rows.try_next().await.map_err(StoreError::doing("list messages"))? {
        let message = Message::try_from(row)?;
        if page.is_full_before(message.text.len() as u64, message) {
            break;
        }
    }
    Ok(page.end())
}

/// The size of every message of `context`, in order.
pub(super) async fn sizes(
    tx: &mut SqliteConnection,
    context: &Context,
) -> Result<Vec<MessageSize>, ContextsError> {
    let mut rows = sqlx::query_as::<_, (i64, i64)>(
        "SELECT tokens, bytes FROM messages INDEXED BY messages_by_size WHERE context = $1 ORDER BY n",
    )
    .bind(&context.id.as_bytes()[..])
    .fetch(tx);
    let mut sizes = Vec::with_capacity(usize::try_from(context.message_count).unwrap_or_default());
    while let Some((tokens, bytes)) = rows.try_next().await.map_err(StoreError::doing("measure messages"))? {
        sizes.push(MessageSize { tokens: unsigned(tokens, "tokens")?, bytes: unsigned(bytes, "bytes")? });
    }
    Ok(sizes)
}

/// The messages whose numbers lie in `range`.
pub(super) async fn range(
    tx: &mut SqliteConnection,
    id: ContextId,
    range: RangeInclusive<u64>,
) -> Result<Vec<Message>, ContextsError> {
    let rows = sqlx::query_as::<_, MessageRow>(
        "SELECT n, role, tokens, created, text FROM messages
         WHERE context = $1 AND n BETWEEN $2 AND $3 ORDER BY n",
    )
    .bind(&id.as_bytes()[..])
    .bind(signed(*range.start()))
    .bind(signed(*range.end()))
    .fetch_all(tx)
    .await
    .map_err(StoreError::doing("fetch messages"))?;
    rows.into_iter().map(Message::try_from).collect()
}

// === impl Message ===

impl TryFrom<MessageRow> for Message {
    type Error = ContextsError;

    fn try_from((n, role, tokens, created, text): MessageRow) -> Result<Self, ContextsError> {
        let created = Timestamp::from_unix_millis(created);
        let head = MessageHead { n: unsigned(n, "n")?, role, tokens: unsigned(tokens, "tokens")?, created };
        Ok(Self { head, text })
    }
}
