//! What a request ID was answered, kept and looked up within the write's own transaction.

use mcp_store::{RowPart, TenantTx, row_id, sql};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    super::{ContextsError, Once, REMEMBERED, Write},
    tables, words,
};

/// Forgotten replies that one write sweeps away: more than it adds, so that none pile up.
const SWEPT_MAX: i64 = 16;

/// The answer that this very request was given, if it is a repeat; others under the same ID are kept out.
pub(super) async fn find<T: DeserializeOwned>(
    tx: &mut TenantTx,
    write: &Write,
) -> Result<Option<T>, ContextsError> {
    let Some(once) = &write.once else { return Ok(None) };
    let asker = words::asker_digest(tx, &once.principal);
    tx.lock(&[b"request", &asker, once.method.as_bytes(), once.request_id.as_bytes()]).await?;
    let reply: Option<(Vec<u8>, Vec<u8>)> = sql("SELECT body, answer FROM replies
         WHERE asker = $1 AND method = $2 AND request_id = $3 AND created > $4")
    .doing("look up a reply")
    .bind(&asker)
    .bind(once.method)
    .bind(once.request_id.as_bytes())
    .bind(write.now.minus(REMEMBERED).unix_millis())
    .fetch_optional(tx)
    .await?;
    let Some((first, sealed)) = reply else { return Ok(None) };
    if first != once.body {
        return Err(ContextsError::RequestIdReused);
    }
    let answer = tx.open(&tables::ANSWER, &row(&asker, once), &sealed)?;
    serde_json::from_slice(&answer)
        .map(Some)
        .map_err(|source| ContextsError::Unreadable { doing: "read a reply", source: source.into() })
}

/// Keeps the answer for a repeat, and forgets some that are too old.
pub(super) async fn keep(
    tx: &mut TenantTx,
    write: &Write,
    answer: &impl Serialize,
) -> Result<(), ContextsError> {
    let Some(once) = &write.once else { return Ok(()) };
    sweep(tx, write.now, SWEPT_MAX).await?;
    let asker = words::asker_digest(tx, &once.principal);
    let answer = serde_json::to_vec(answer)
        .map_err(|source| ContextsError::Unreadable { doing: "write down a reply", source: source.into() })?;
    let sealed = tx.seal(&tables::ANSWER, &row(&asker, once), &answer)?;
    // One that is forgotten but not swept yet makes place; a live one was found before.
    sql("DELETE FROM replies WHERE asker = $1 AND method = $2 AND request_id = $3")
        .doing("forget a reply")
        .bind(&asker)
        .bind(once.method)
        .bind(once.request_id.as_bytes())
        .execute(tx)
        .await?;
    sql("INSERT INTO replies (asker, method, request_id, created, body, answer) VALUES ($1, $2, $3, $4, $5, $6)")
        .doing("keep a reply")
        .bind(&asker)
        .bind(once.method)
        .bind(once.request_id.as_bytes())
        .bind(write.now.unix_millis())
        .bind(once.body)
        .bind(sealed)
        .execute(tx)
        .await?;
    Ok(())
}

/// Forgets up to `max` replies that are too old at the moment `now`. Says how many.
pub(super) async fn sweep(
    tx: &mut TenantTx,
    now: mcp_types::Timestamp,
    max: i64,
) -> Result<u64, ContextsError> {
    Ok(sql("DELETE FROM replies WHERE (asker, method, request_id) IN
           (SELECT asker, method, request_id FROM replies WHERE created <= $1 ORDER BY created LIMIT $2)")
    .doing("sweep replies")
    .bind(now.minus(REMEMBERED).unix_millis())
    .bind(max)
    .execute(tx)
    .await?)
}

fn row(asker: &[u8], once: &Once) -> Vec<u8> {
    row_id(&[RowPart::Bytes(asker), RowPart::Text(once.method), RowPart::Bytes(once.request_id.as_bytes())])
}
