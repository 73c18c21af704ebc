//! The index of words: what is put in, taken out, and found; and keyed digests of what is compared for equality alone.
//!
//! A context is a collection of its own title, tags and description and of the messages of its log. What was found is
//! looked up again before it is shown: the index only proposes.

use aws_lc_rs::hmac;
use mcp_store::{
    TenantTx,
    index::{After, Document, Field, Found as Matched, Index, IndexOptions, Matcher, Narrowing, Query},
};
use mcp_types::Timestamp;

use super::{
    super::{Context, ContextsError, Found, Hit, Search},
    contexts, lineage, messages,
};
use crate::{
    filter::{Filter, Span},
    names::ContextId,
};

/// Bytes of a digest that are kept: far more than a tenant has tags or users.
const DIGEST_BYTES: usize = 16;
/// How long a snippet is.
const SNIPPET_BYTES: usize = 240;
/// Proposals that one search looks at, as a multiple of what it was asked for.
const ROUNDS_MAX: usize = 8;

const TYPE: &str = "type";
const TAG: &str = "tag";

/// A digest of a tag, under the tenant's key.
pub(super) fn tag_digest(tx: &TenantTx, tag: &str) -> Vec<u8> {
    digest(tx, b"tag", tag)
}

/// A digest of a user's name, under the tenant's key.
pub(super) fn asker_digest(tx: &TenantTx, principal: &str) -> Vec<u8> {
    digest(tx, b"asker", principal)
}

fn digest(tx: &TenantTx, of: &[u8], text: &str) -> Vec<u8> {
    // A tenant without a key has no rows: any digest finds none of them.
    let Some(key) = tx.index_key() else { return vec![0; DIGEST_BYTES] };
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.derive("digests").expose());
    let mut context = hmac::Context::with_key(&key);
    context.update(of);
    context.update(&[0]);
    context.update(text.as_bytes());
    context.sign().as_ref()[..DIGEST_BYTES].to_vec()
}

/// The index; none while the tenant has never written.
fn index(tx: &TenantTx) -> Option<Index> {
    let key = tx.index_key()?;
    Some(Index::new(key.derive("words").expose(), IndexOptions::default()))
}

/// Puts the words of a context's own fields in, in place of what they were.
pub(super) async fn put_context(tx: &mut TenantTx, context: &Context) -> Result<(), ContextsError> {
    let Some(index) = index(tx) else { return Ok(()) };
    let fields = &context.fields;
    let mut words = vec![(Field::Title, fields.title.as_str()), (Field::Text, fields.description.as_str())];
    words.extend(fields.tags.iter().map(|tag| (Field::Tags, tag.as_str())));
    let document = Document {
        name: context.id.as_bytes(),
        collection: context.id.as_bytes(),
        made: context.created.unix_millis(),
        fields: &words,
        language: None,
    };
    index.put(tx, &document).await?;
    let mut facets = vec![(TYPE, fields.kind.as_str())];
    facets.extend(fields.tags.iter().map(|tag| (TAG, tag.as_str())));
    Ok(index.describe(tx, context.id.as_bytes(), &facets).await?)
}

/// Takes the words of a context's own fields out.
pub(super) async fn remove_context(tx: &mut TenantTx, id: ContextId) -> Result<(), ContextsError> {
    if let Some(index) = index(tx) {
        index.remove(tx, id.as_bytes()).await?;
    }
    Ok(())
}

/// Puts the words of message `n` of the log `log` in.
pub(super) async fn put_message(
    tx: &mut TenantTx,
    log: ContextId,
    n: u64,
    now: Timestamp,
    text: &str,
) -> Result<(), ContextsError> {
    let document = Document {
        name: &name(log, n),
        collection: log.as_bytes(),
        made: now.unix_millis(),
        fields: &[(Field::Text, text)],
        language: None,
    };
    if let Some(index) = index(tx) {
        index.put(tx, &document).await?;
    }
    Ok(())
}

/// Takes the words of message `n` of the log `log` out.
pub(super) async fn remove_message(tx: &mut TenantTx, log: ContextId, n: u64) -> Result<(), ContextsError> {
    if let Some(index) = index(tx) {
        index.remove(tx, &name(log, n)).await?;
    }
    Ok(())
}

/// Takes out what is left of a log's collection, whose documents are out.
pub(super) async fn remove_collection(tx: &mut TenantTx, log: ContextId) -> Result<(), ContextsError> {
    if let Some(index) = index(tx) {
        index.remove_collection(tx, log.as_bytes(), 1).await?;
    }
    Ok(())
}

/// Finds what `search` asks for, the best first, behind `after`.
pub(super) async fn search(
    tx: &mut TenantTx,
    search: &Search,
    limit: usize,
    after: Option<&[u8]>,
    now: Timestamp,
) -> Result<Found, ContextsError> {
    if let Some(id) = search.context {
        // Absent is absent, whatever is asked of it.
        contexts::find(tx, id, now).await?;
    }
    let mut found = Found { hits: Vec::new(), next: None, truncated: false };
    let Some(index) = index(tx) else { return Ok(found) };
    let query = Query::parse(&search.query);
    let mut facets: Vec<(&str, &str)> = search.filter.tags.iter().map(|tag| (TAG, tag.as_str())).collect();
    facets.extend(search.filter.kind.as_deref().map(|kind| (TYPE, kind)));
    let narrowing = Narrowing {
        // A fork's messages may lie in the logs of others.
        collection: None,
        facets: if search.context.is_some() { &[] } else { &facets },
        ..Narrowing::default()
    };

    let mut behind = after.and_then(After::from_bytes);
    for _ in 0..ROUNDS_MAX {
        let left = limit - found.hits.len();
        let Matched { hits, next, truncated, languages } =
            index.search(tx, &query, &narrowing, left, behind).await?;
        found.truncated |= truncated;
        let matcher = Matcher::new(&query, languages);
        for hit in hits {
            if let Some(hit) = look_up(tx, search, &matcher, &hit.name, hit.score, now).await? {
                found.hits.push(hit);
            }
        }
        behind = next;
        if next.is_none() || found.hits.len() >= limit {
            break;
        }
    }
    found.next = behind.map(|after| after.to_bytes().to_vec());
    Ok(found)
}

/// What the index proposed, if it is there and within what was asked.
async fn look_up(
    tx: &mut TenantTx,
    search: &Search,
    matcher: &Matcher,
    name: &[u8],
    score: f64,
    now: Timestamp,
) -> Result<Option<Hit>, ContextsError> {
    let Some((id, rest)) = name.split_first_chunk::<16>() else { return Ok(None) };
    let id = ContextId::of(*id);
    let message = rest.try_into().ok().map(u64::from_be_bytes);
    let context = match (message, search.context) {
        (Some(n), Some(wanted)) => {
            let context = contexts::find(tx, wanted, now).await?;
            let has = lineage::pieces(tx, &context)
                .await?
                .iter()
                .any(|piece| piece.log == id && piece.first <= n && n <= piece.last);
            has.then_some(context)
        }
        (Some(n), None) => lineage::holder(tx, id, n, now).await?,
        (None, _) => match contexts::find(tx, id, now).await {
            Err(ContextsError::NotFound) => None,
            found => Some(found?),
        },
    };
    let Some(context) = context.filter(|it| is_wanted(it, search)) else { return Ok(None) };
    let text = match message {
        Some(n) => match messages::range(tx, &context, n..=n).await?.pop() {
            Some(message) => message.text,
            None => return Ok(None),
        },
        None => own_words(&context),
    };
    let snippet = matcher.snippet(&text, SNIPPET_BYTES);
    Ok(Some(Hit { context, message, score, snippet: snippet.text, highlights: snippet.highlights }))
}

fn is_wanted(context: &Context, search: &Search) -> bool {
    let Filter { kind, tags, created, updated, expires } = &search.filter;
    let ends = context.fields.expires.map_or(i64::MAX, Timestamp::unix_millis);
    search.context.is_none_or(|wanted| context.id == wanted)
        && kind.as_ref().is_none_or(|kind| context.fields.kind == *kind)
        && tags.iter().all(|tag| context.fields.tags.contains(tag))
        && Span::has(*created, context.created.unix_millis())
        && Span::has(*updated, context.updated.unix_millis())
        && Span::has(*expires, ends)
}

/// What a context says of itself, as one text.
fn own_words(context: &Context) -> String {
    let fields = &context.fields;
    let parts = [fields.title.as_str(), fields.description.as_str()];
    let parts = parts.into_iter().chain(fields.tags.iter().map(String::as_str)).filter(|it| !it.is_empty());
    parts.collect::<Vec<_>>().join("\n")
}

fn name(log: ContextId, n: u64) -> Vec<u8> {
    [&log.as_bytes()[..], &n.to_be_bytes()].concat()
}
