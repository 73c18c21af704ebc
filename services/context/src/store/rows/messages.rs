//! Messages: appended, listed, measured.

use std::ops::RangeInclusive;

use mcp_store::{TenantTx, sql};
use mcp_types::Timestamp;

use super::{
    super::{Context, ContextsError, Limit, MESSAGES_MAX, Message, MessageHead, NewMessage, Page},
    contexts::numbered,
    filling::Filling,
    history,
    lineage::pieces,
    signed, tables, words,
};

/// A row of `messages`, in the order: n, role, tokens, pinned, created, text.
type Row = (u64, i32, u32, bool, i64, Vec<u8>);

/// Appends to `context`, whose writers are kept out, and counts it up.
pub(super) async fn append(
    tx: &mut TenantTx,
    context: &Context,
    now: Timestamp,
    messages: Vec<NewMessage>,
) -> Result<Vec<MessageHead>, ContextsError> {
    let first = context.message_count + 1;
    let last = context.message_count + messages.len() as u64;
    if last > MESSAGES_MAX {
        return Err(ContextsError::Full);
    }
    let mut heads = Vec::with_capacity(messages.len());
    for (n, NewMessage { role, text, tokens, pinned }) in (first..).zip(messages) {
        let sealed = tx.seal(&tables::TEXT, &numbered(context.id.as_bytes(), n), text.as_bytes())?;
        sql("INSERT INTO messages (log, n, role, tokens, bytes, pinned, created, text)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)")
        .doing("append a message")
        .bind(context.id.as_bytes())
        .bind(signed(n))
        .bind(role)
        .bind(tokens)
        .bind(signed(text.len() as u64))
        .bind(pinned)
        .bind(now.unix_millis())
        .bind(sealed)
        .execute(tx)
        .await?;
        words::put_message(tx, context.id, n, now, &text).await?;
        heads.push(MessageHead { n, role, tokens, pinned, created: now });
    }
    let tokens: u64 = heads.iter().map(|head| u64::from(head.tokens)).sum();
    sql("UPDATE contexts SET version = $2, updated = $3, message_count = $4, tokens = $5 WHERE id = $1")
        .doing("count messages")
        .bind(context.id.as_bytes())
        .bind(signed(context.version + 1))
        .bind(now.max(context.updated).unix_millis())
        .bind(signed(last))
        .bind(signed(context.tokens + tokens))
        .execute(tx)
        .await?;
    history::append(tx, context, first, last).await?;
    Ok(heads)
}

/// The messages of `context` numbered above `after`, as many as a page takes.
pub(super) async fn page(
    tx: &mut TenantTx,
    context: &Context,
    after: u64,
    limit: Limit,
) -> Result<Page<Message>, ContextsError> {
    // Sizes first: they tell where the page ends before a text is read.
    let rows = limit.rows as usize + 1;
    let mut page = Filling::up_to(limit);
    let mut seen = 0;
    'sizes: for piece in pieces(tx, context).await? {
        if piece.last <= after {
            continue;
        }
        let sizes: Vec<(u64, u64)> = sql("SELECT n, bytes FROM messages
             WHERE log = $1 AND n > $2 AND n <= $3 ORDER BY n LIMIT $4")
        .doing("measure a page")
        .bind(piece.log.as_bytes())
        .bind(signed(after.max(piece.first - 1)))
        .bind(signed(piece.last))
        .bind(signed((rows - seen) as u64))
        .fetch_all(tx)
        .await?;
        seen += sizes.len();
        for (n, bytes) in sizes {
            if page.is_full_before(bytes, n) {
                break 'sizes;
            }
        }
        if seen == rows {
            break;
        }
    }
    let Page { rows, more } = page.end();
    let rows = match (rows.first(), rows.last()) {
        (Some(first), Some(last)) => range(tx, context, *first..=*last).await?,
        _ => Vec::new(),
    };
    Ok(Page { rows, more })
}

/// The messages of `context` that are pinned, in order.
pub(super) async fn pinned(tx: &mut TenantTx, context: &Context) -> Result<Vec<Message>, ContextsError> {
    let mut messages = Vec::new();
    for piece in pieces(tx, context).await? {
        let rows: Vec<Row> = sql("SELECT n, role, tokens, pinned, created, text FROM messages
             WHERE log = $1 AND n >= $2 AND n <= $3 AND pinned = 1 ORDER BY n")
        .doing("fetch what is pinned")
        .bind(piece.log.as_bytes())
        .bind(signed(piece.first))
        .bind(signed(piece.last))
        .fetch_all(tx)
        .await?;
        for row in rows {
            messages.push(read(tx, piece.log.as_bytes(), row)?);
        }
    }
    Ok(messages)
}

/// The messages of `context` whose numbers lie in `range`.
pub(super) async fn range(
    tx: &mut TenantTx,
    context: &Context,
    range: RangeInclusive<u64>,
) -> Result<Vec<Message>, ContextsError> {
    let mut messages = Vec::new();
    for piece in pieces(tx, context).await? {
        let (first, last) = (piece.first.max(*range.start()), piece.last.min(*range.end()));
        if first > last {
            continue;
        }
        let rows: Vec<Row> = sql("SELECT n, role, tokens, pinned, created, text FROM messages
             WHERE log = $1 AND n >= $2 AND n <= $3 ORDER BY n")
        .doing("fetch messages")
        .bind(piece.log.as_bytes())
        .bind(signed(first))
        .bind(signed(last))
        .fetch_all(tx)
        .await?;
        for row in rows {
            messages.push(read(tx, piece.log.as_bytes(), row)?);
        }
    }
    Ok(messages)
}

fn read(tx: &TenantTx, log: &[u8; 16], row: Row) -> Result<Message, ContextsError> {
    let (n, role, tokens, pinned, created, sealed) = row;
    let text = tx.open(&tables::TEXT, &numbered(log, n), &sealed)?;
    let text = String::from_utf8(text)
        .map_err(|source| ContextsError::Unreadable { doing: "read a message", source: source.into() })?;
    let created = Timestamp::from_unix_millis(created);
    Ok(Message { head: MessageHead { n, role, tokens, pinned, created }, text })
}
