//! What a request ID was answered, kept and looked up within the write's own transaction.

use mcp_store::StoreError;
use serde::{Serialize, de::DeserializeOwned};
use sqlx::SqliteConnection;

use super::super::{ContextsError, Once, REMEMBERED, Write};

/// Forgotten replies that one write sweeps away: more than it adds, so that none pile up.
const SWEPT_MAX: i64 = 16;

/// The answer that this very request was given, if it is a repeat.
pub(super) async fn find<T: DeserializeOwned>(
    tx: &mut SqliteConnection,
    write: &Write,
) -> Result<Option<T>, ContextsError> {
    let Some(Once { principal, method, request_id, body }) = &write.once else { return Ok(None) };
    let reply: Option<(Vec<u8>, String)> = sqlx::query_as(
        "SELECT body, answer FROM replies
         WHERE principal = $1 AND method = $2 AND request_id = $3 AND created > $4",
    )
    .bind(principal)
    .bind(method)
    .bind(&request_id.as_bytes()[..])
    .bind(write.now.minus(REMEMBERED).unix_millis())
    .fetch_optional(tx)
    .await
    .map_err(StoreError::doing("look up a reply"))?;
    let Some((first, answer)) = reply else { return Ok(None) };
    if first != body {
        return Err(ContextsError::RequestIdReused);
    }
    serde_json::from_str(&answer)
        .map(Some)
        .map_err(|source| ContextsError::Unreadable { doing: "read a reply", source: source.into() })
}

/// Keeps the answer for a repeat, and forgets some that are too old.
pub(super) async fn keep(
    tx: &mut SqliteConnection,
    write: &Write,
    answer: &impl Serialize,
) -> Result<(), ContextsError> {
    sqlx::query(
        "DELETE FROM replies WHERE rowid IN
         (SELECT rowid FROM replies WHERE created <= $1 ORDER BY created LIMIT $2)",
    )
    .bind(write.now.minus(REMEMBERED).unix_millis())
    .bind(SWEPT_MAX)
    .execute(&mut *tx)
    .await
    .map_err(StoreError::doing("sweep replies"))?;

    let Some(Once { principal, method, request_id, body }) = &write.once else { return Ok(()) };
    let answer = serde_json::to_string(answer)
        .map_err(|source| ContextsError::Unreadable { doing: "write down a reply", source: source.into() })?;
    // In place of one that is forgotten but not swept yet; a live one was found before.
    sqlx::query(
        "INSERT OR REPLACE INTO replies (principal, method, request_id, created, body, answer)
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(principal)
    .bind(method)
    .bind(&request_id.as_bytes()[..])
    .bind(write.now.unix_millis())
    .bind(&body[..])
    .bind(answer)
    .execute(tx)
    .await
    .map_err(StoreError::doing("keep a reply"))?;
    Ok(())
}
