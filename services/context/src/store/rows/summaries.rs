//! Rows of segments and of summaries.

use std::ops::RangeInclusive;

use mcp_store::{TenantTx, row_id, sql};
use mcp_tenancy::TenantScope;

use super::{
    super::{Context, ContextsError, Maker, Measure, Message, Summaries, Summary},
    StoredContexts, contexts, lineage, messages, signed, tables,
};
use crate::names::ContextId;

/// Runs of fewer messages are measured each time: that is as quick as a look at what was noted.
const NOTED_MIN: u64 = 256;

impl Summaries for StoredContexts {
    async fn measure(
        &self,
        scope: &TenantScope,
        id: ContextId,
        runs: &[RangeInclusive<u64>],
    ) -> Result<Vec<Measure>, ContextsError> {
        let mut tx = self.db.read(scope).await?;
        let context = contexts::find(&mut tx, id, self.clock.now()).await?;
        let mut measures = Vec::with_capacity(runs.len());
        let mut new = Vec::new();
        for run in runs {
            let noted = if is_noted(run) { noted(&mut tx, id, run).await? } else { None };
            let measure = match noted {
                Some(measure) => measure,
                None => {
                    let measure = sum(&mut tx, &context, run).await?;
                    new.extend(is_noted(run).then_some((run, measure)));
                    measure
                }
            };
            measures.push(measure);
        }
        drop(tx);
        if !new.is_empty() {
            let mut tx = self.writing(scope, id).await?;
            for (run, measure) in new {
                note(&mut tx, id, run, measure).await?;
            }
            tx.commit().await?;
        }
        Ok(measures)
    }

    async fn measure_pinned(&self, scope: &TenantScope, id: ContextId) -> Result<Measure, ContextsError> {
        let mut tx = self.db.read(scope).await?;
        let context = contexts::find(&mut tx, id, self.clock.now()).await?;
        sum_pinned(&mut tx, &context, &(1..=context.message_count)).await
    }

    async fn pinned(&self, scope: &TenantScope, id: ContextId) -> Result<Vec<Message>, ContextsError> {
        let mut tx = self.db.read(scope).await?;
        let context = contexts::find(&mut tx, id, self.clock.now()).await?;
        messages::pinned(&mut tx, &context).await
    }

    async fn summary(
        &self,
        scope: &TenantScope,
        id: ContextId,
        run: &RangeInclusive<u64>,
        maker: &Maker,
    ) -> Result<Option<Summary>, ContextsError> {
        let mut tx = self.db.read(scope).await?;
        find(&mut tx, id, run, maker).await
    }

    async fn keep(
        &self,
        scope: &TenantScope,
        id: ContextId,
        run: &RangeInclusive<u64>,
        maker: &Maker,
        summary: Summary,
    ) -> Result<Summary, ContextsError> {
        let mut tx = self.writing(scope, id).await?;
        if let Some(winner) = find(&mut tx, id, run, maker).await? {
            return Ok(winner);
        }
        let plain = [&summary.digest[..], summary.text.as_bytes()].concat();
        let sealed = tx.seal(&tables::SUMMARY, &named(id, run, maker), &plain)?;
        sql("INSERT INTO summaries (context, first_n, last_n, maker, tokens, summary)
             VALUES ($1, $2, $3, $4, $5, $6)")
        .doing("keep a summary")
        .bind(id.as_bytes())
        .bind(signed(*run.start()))
        .bind(signed(*run.end()))
        .bind(maker)
        .bind(summary.tokens)
        .bind(sealed)
        .execute(&mut tx)
        .await?;
        tx.commit().await?;
        Ok(summary)
    }
}

impl StoredContexts {
    /// Begins a write to what belongs to the context `id`; other writers, and its end, are kept out.
    async fn writing(&self, scope: &TenantScope, id: ContextId) -> Result<TenantTx, ContextsError> {
        let mut tx = self.db.within(scope).await?;
        contexts::lock(&mut tx, id).await?;
        contexts::find(&mut tx, id, self.clock.now()).await?;
        Ok(tx)
    }
}

const fn is_noted(run: &RangeInclusive<u64>) -> bool {
    *run.end() - *run.start() + 1 >= NOTED_MIN
}

async fn noted(
    tx: &mut TenantTx,
    id: ContextId,
    run: &RangeInclusive<u64>,
) -> Result<Option<Measure>, ContextsError> {
    let row: Option<(u64, u64, u64)> = sql("SELECT messages, tokens, bytes FROM segments
         WHERE context = $1 AND first_n = $2 AND last_n = $3")
    .doing("look up a segment")
    .bind(id.as_bytes())
    .bind(signed(*run.start()))
    .bind(signed(*run.end()))
    .fetch_optional(tx)
    .await?;
    Ok(row.map(|(messages, tokens, bytes)| Measure { messages, tokens, bytes }))
}

async fn note(
    tx: &mut TenantTx,
    id: ContextId,
    run: &RangeInclusive<u64>,
    measure: Measure,
) -> Result<(), ContextsError> {
    sql("INSERT INTO segments (context, first_n, last_n, messages, tokens, bytes)
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING")
    .doing("note a segment")
    .bind(id.as_bytes())
    .bind(signed(*run.start()))
    .bind(signed(*run.end()))
    .bind(signed(measure.messages))
    .bind(signed(measure.tokens))
    .bind(signed(measure.bytes))
    .execute(tx)
    .await?;
    Ok(())
}

/// Measures what is not pinned: all of it from an index, less the few that are pinned.
async fn sum(
    tx: &mut TenantTx,
    context: &Context,
    run: &RangeInclusive<u64>,
) -> Result<Measure, ContextsError> {
    let mut all = Measure::default();
    for piece in lineage::pieces(tx, context).await? {
        let (first, last) = (piece.first.max(*run.start()), piece.last.min(*run.end()));
        if first > last {
            continue;
        }
        let (tokens, bytes): (u64, u64) = sql("SELECT CAST(COALESCE(SUM(tokens), 0) AS BIGINT),
               CAST(COALESCE(SUM(bytes), 0) AS BIGINT)
             FROM messages WHERE log = $1 AND n >= $2 AND n <= $3")
        .doing("measure a segment")
        .bind(piece.log.as_bytes())
        .bind(signed(first))
        .bind(signed(last))
        .fetch_one(tx)
        .await?;
        all = Measure {
            messages: all.messages + last - first + 1,
            tokens: all.tokens + tokens,
            bytes: all.bytes + bytes,
        };
    }
    let pinned = sum_pinned(tx, context, run).await?;
    Ok(Measure {
        messages: all.messages.saturating_sub(pinned.messages),
        tokens: all.tokens.saturating_sub(pinned.tokens),
        bytes: all.bytes.saturating_sub(pinned.bytes),
    })
}

async fn sum_pinned(
    tx: &mut TenantTx,
    context: &Context,
    run: &RangeInclusive<u64>,
) -> Result<Measure, ContextsError> {
    let mut pinned = Measure::default();
    for piece in lineage::pieces(tx, context).await? {
        let (first, last) = (piece.first.max(*run.start()), piece.last.min(*run.end()));
        if first > last {
            continue;
        }
        let (messages, tokens, bytes): (u64, u64, u64) =
            sql("SELECT CAST(COUNT(*) AS BIGINT), CAST(COALESCE(SUM(tokens), 0) AS BIGINT),
                   CAST(COALESCE(SUM(bytes), 0) AS BIGINT)
                 FROM messages WHERE log = $1 AND n >= $2 AND n <= $3 AND pinned = 1")
            .doing("measure what is pinned")
            .bind(piece.log.as_bytes())
            .bind(signed(first))
            .bind(signed(last))
            .fetch_one(tx)
            .await?;
        pinned = Measure {
            messages: pinned.messages + messages,
            tokens: pinned.tokens + tokens,
            bytes: pinned.bytes + bytes,
        };
    }
    Ok(pinned)
}

async fn find(
    tx: &mut TenantTx,
    id: ContextId,
    run: &RangeInclusive<u64>,
    maker: &Maker,
) -> Result<Option<Summary>, ContextsError> {
    let row: Option<(u32, Vec<u8>)> = sql("SELECT tokens, summary FROM summaries
         WHERE context = $1 AND first_n = $2 AND last_n = $3 AND maker = $4")
    .doing("look up a summary")
    .bind(id.as_bytes())
    .bind(signed(*run.start()))
    .bind(signed(*run.end()))
    .bind(maker)
    .fetch_optional(tx)
    .await?;
    let Some((tokens, sealed)) = row else { return Ok(None) };
    let plain = tx.open(&tables::SUMMARY, &named(id, run, maker), &sealed)?;
    let unreadable = |source| ContextsError::Unreadable { doing: "read a summary", source };
    let (digest, text) =
        plain.split_first_chunk::<32>().ok_or_else(|| unreadable("it is shorter than its digest".into()))?;
    let text = String::from_utf8(text.to_vec()).map_err(|source| unreadable(source.into()))?;
    Ok(Some(Summary { digest: *digest, tokens, text }))
}

fn named(id: ContextId, run: &RangeInclusive<u64>, maker: &Maker) -> Vec<u8> {
    let (first, last) = (signed(*run.start()), signed(*run.end()));
    row_id(&[id.as_bytes().into(), first.into(), last.into(), maker.into()])
}
