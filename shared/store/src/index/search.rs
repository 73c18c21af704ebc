//! Clauses -> ranked hits, within a budget of postings.

use std::collections::{HashMap, HashSet};

use super::{
    IndexOptions, Languages, Query,
    blind::{Blind, Blinder},
    query::{Clause, Manner},
    rank::{Best, Corpus, Scored, weigh},
    rows::{self, Bounds, Lanes, Spread},
};
use crate::{StoreError, Tx};

/// What a search is narrowed to; by default nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Narrowing<'a> {
    /// The one collection that hits lie in.
    pub collection: Option<&'a [u8]>,
    /// Facets that their collection has, all of them.
    pub facets: &'a [(&'a str, &'a str)],
    /// Made then or later.
    pub made_from: Option<i64>,
    /// Made before then.
    pub made_until: Option<i64>,
}

/// What a search found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The best first.
    pub hits: Vec<Hit>,
    /// Where the next page begins, if there may be one.
    pub next: Option<After>,
    /// Whether the work was cut short: the query had too many words, or so many documents have its words that only
    /// the newest were looked at. There may then be better hits among the older ones.
    pub truncated: bool,
    /// The languages of the index, for a [`super::Matcher`].
    pub languages: Languages,
}

/// A document that answers the query.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// What it was put in as.
    pub name: Vec<u8>,
    /// What it lies in.
    pub collection: Vec<u8>,
    /// How well it answers, to be compared with hits of the same search alone.
    pub score: f64,
}

/// The last hit of a page.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct After {
    score: f64,
    doc: i64,
    rank: u32,
}

/// A clause as the database is asked.
struct Sought {
    manner: Manner,
    any_of: Vec<Vec<(Blind, Spread)>>,
    /// So many documents have it, about.
    documents: f64,
    weight: f64,
}

struct Search<'t> {
    tx: &'t mut Tx,
    bounds: Option<Bounds>,
    /// Postings that may still be read.
    room: usize,
    truncated: bool,
}

/// Frequency and length of each document that has what was sought.
type Matches = HashMap<i64, (f64, f64)>;

/// Pages lie among the best so many.
const RANKS_MAX: usize = 10_000;
/// Documents asked about in one statement.
const ASKED_MAX: usize = 1_000;

// === impl After ===

impl After {
    /// As bytes, for a token.
    pub fn to_bytes(self) -> [u8; 20] {
        let mut bytes = [0; 20];
        bytes[..8].copy_from_slice(&self.score.to_be_bytes());
        bytes[8..16].copy_from_slice(&self.doc.to_be_bytes());
        bytes[16..].copy_from_slice(&self.rank.to_be_bytes());
        bytes
    }

    /// From what [`After::to_bytes`] made, or nothing.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (score, rest) = bytes.split_first_chunk()?;
        let (doc, rest) = rest.split_first_chunk()?;
        let rank = u32::from_be_bytes(rest.try_into().ok()?);
        Some(Self { score: f64::from_be_bytes(*score), doc: i64::from_be_bytes(*doc), rank })
    }

    fn scored(self) -> Scored {
        Scored { score: self.score, doc: self.doc }
    }
}

pub(super) async fn search(
    tx: &mut Tx,
    blinder: &Blinder,
    options: &IndexOptions,
    query: &Query,
    narrowing: &Narrowing<'_>,
    limit: usize,
    after: Option<After>,
) -> Result<Found, StoreError> {
    let lanes = Lanes::read(tx).await?;
    let languages = lanes.languages();
    let mut found = Found { truncated: query.is_cut(), languages, ..Found::default() };
    let skipped = after.map_or(0, |it| it.rank as usize);
    if query.is_empty() || limit == 0 || skipped >= RANKS_MAX {
        return Ok(found);
    }
    // One more tells whether there is a next page.
    let wanted = (skipped + limit + 1).min(RANKS_MAX + 1);

    let mut sought = Vec::new();
    for clause in query.clauses(languages, options.phrases) {
        sought.push(Sought::look(tx, &lanes, blinder, clause).await?);
    }
    // What must be there first, then what must not; the rarer the earlier, since it leaves the fewer to look at.
    sought.sort_by(|a, b| a.manner.cmp(&b.manner).then(a.documents.total_cmp(&b.documents)));
    sought.retain(|it| it.manner == Manner::Required || it.is_there());

    let bounds = narrowing.bounds(blinder);
    let mut search = Search { tx, bounds, room: options.postings_max, truncated: found.truncated };
    let corpus = Corpus { documents: lanes.documents, length: lanes.length };
    let best = search.run(corpus, &sought, narrowing.collection, wanted).await?;
    found.truncated = search.truncated;

    let rest = best.iter().skip_while(|it| after.is_some_and(|after| **it >= after.scored()));
    let page: Vec<Scored> = rest.take(limit + 1).copied().collect();
    let more = page.len() > limit;
    let page = page.get(..limit.min(page.len())).unwrap_or_default();
    let docs: Vec<i64> = page.iter().map(|it| it.doc).collect();
    let named = rows::names(tx, &docs).await?;
    let mut named: HashMap<i64, (Vec<u8>, Vec<u8>)> =
        named.into_iter().map(|(doc, name, collection)| (doc, (name, collection))).collect();
    for scored in page {
        if let Some((name, collection)) = named.remove(&scored.doc) {
            found.hits.push(Hit { name, collection, score: scored.score });
        }
    }
    let rank = u32::try_from(skipped + page.len()).unwrap_or(u32::MAX);
    found.next = page.last().filter(|_| more).map(|it| After { score: it.score, doc: it.doc, rank });
    Ok(found)
}

// === impl Narrowing ===

impl Narrowing<'_> {
    /// Nothing where there are none: postings are then read without their documents.
    fn bounds(&self, blinder: &Blinder) -> Option<Bounds> {
        if self.collection.is_none()
            && self.facets.is_empty()
            && self.made_from.is_none()
            && self.made_until.is_none()
        {
            return None;
        }
        let facets: HashSet<i64> =
            self.facets.iter().map(|(name, value)| blinder.facet(name, value)).collect();
        Some(Bounds {
            facets: facets.into_iter().collect(),
            made_from: self.made_from.unwrap_or(i64::MIN),
            made_until: self.made_until.unwrap_or(i64::MAX),
        })
    }
}

// === impl Sought ===

impl Sought {
    async fn look(tx: &mut Tx, lanes: &Lanes, blinder: &Blinder, clause: Clause) -> Result<Self, StoreError> {
        let mut any_of = Vec::with_capacity(clause.any_of.len());
        for terms in clause.any_of {
            let mut all_of = Vec::with_capacity(terms.len());
            for term in terms {
                let blind = blinder.term(&term).map_err(StoreError::unreadable("hide a term"))?;
                let spread = rows::spread(tx, lanes, blind.term).await?;
                all_of.push((blind, spread));
            }
            all_of.sort_by(|a, b| a.1.documents.total_cmp(&b.1.documents));
            any_of.push(all_of);
        }
        let rarest = any_of.iter().filter_map(|all_of| all_of.first());
        let found = rarest.map(|(_, spread)| spread.documents).sum::<f64>();
        // A word that says nothing in most of the index says little in the rest of it.
        let documents = (found + lanes.documents_in(clause.silent)).min(lanes.documents);
        Ok(Self { manner: clause.manner, any_of, documents, weight: clause.weight })
    }
}

impl Sought {
    fn is_there(&self) -> bool {
        self.any_of.iter().any(|all_of| all_of.iter().all(|(_, spread)| spread.counted > 0))
    }

    fn idf(&self, corpus: Corpus) -> f64 {
        self.weight * corpus.idf(self.documents)
    }
}

// === impl Search ===

impl Search<'_> {
    /// The best `wanted` documents, the best first.
    async fn run(
        &mut self,
        corpus: Corpus,
        sought: &[Sought],
        collection: Option<&[u8]>,
        wanted: usize,
    ) -> Result<Vec<Scored>, StoreError> {
        let mut scores: HashMap<i64, f64> = HashMap::new();
        // While open, a clause may bring documents in; once closed, it tells of those that are in.
        let mut closed = false;
        let mut narrow = None;
        if let Some((collection, bounds)) = collection.zip(self.bounds.as_ref()) {
            let docs = rows::documents_of(self.tx, collection, bounds, self.room).await?;
            self.truncated |= docs.len() == self.room;
            narrow = Some(docs.into_iter().collect::<HashSet<_>>());
        }
        for (at, clause) in sought.iter().enumerate() {
            if clause.manner == Manner::Excluded {
                continue;
            }
            let within: Option<HashSet<i64>> =
                if closed { Some(scores.keys().copied().collect()) } else { narrow.clone() };
            let matches = self.matches(clause, within.as_ref()).await?;
            let idf = clause.idf(corpus);
            let score = |(frequency, length): &(f64, f64)| corpus.score(idf, *frequency, *length);
            if clause.manner == Manner::Required && closed {
                scores.retain(|doc, sum| {
                    let found = matches.get(doc);
                    *sum += found.map_or(0.0, score);
                    found.is_some()
                });
            } else if closed {
                for (doc, sum) in &mut scores {
                    *sum += matches.get(doc).map_or(0.0, score);
                }
            } else {
                for (doc, found) in &matches {
                    *scores.entry(*doc).or_default() += score(found);
                }
            }
            let rest = sought.get(at + 1..).unwrap_or_default();
            if clause.manner == Manner::Required {
                closed = true;
            }
            // Whether what is still to come can lift anybody from outside among the best.
            if rest.iter().all(|it| it.manner == Manner::Optional)
                && sought.iter().all(|it| it.manner != Manner::Excluded)
            {
                let gain: f64 = rest.iter().map(|it| corpus.score_max(it.idf(corpus))).sum();
                let least = best(&scores, wanted).least();
                if let Some(least) = least.filter(|least| *least > gain) {
                    closed = true;
                    scores.retain(|_, sum| *sum + gain >= least);
                }
            }
        }
        for clause in sought.iter().filter(|it| it.manner == Manner::Excluded) {
            let within = scores.keys().copied().collect();
            let matches = self.matches(clause, Some(&within)).await?;
            scores.retain(|doc, _| !matches.contains_key(doc));
        }
        Ok(best(&scores, wanted).into_sorted())
    }

    /// The documents that answer `clause`, of those `within`.
    async fn matches(
        &mut self,
        clause: &Sought,
        within: Option<&HashSet<i64>>,
    ) -> Result<Matches, StoreError> {
        let mut matches = Matches::new();
        for all_of in &clause.any_of {
            let mut found: Option<Matches> = None;
            for (blind, spread) in all_of {
                let asked: Option<HashSet<i64>> = found.as_ref().map(|it| it.keys().copied().collect());
                let these = self.read(blind, *spread, asked.as_ref().or(within)).await?;
                found = Some(match found {
                    None => these,
                    Some(found) => meet(found, &these),
                });
            }
            for (doc, (frequency, length)) in found.unwrap_or_default() {
                // Of a word's forms and prefixes the same place in a text may count for several: the most of them.
                let place = matches.entry(doc).or_insert((0.0, length));
                place.0 = place.0.max(frequency);
            }
        }
        Ok(matches)
    }

    async fn read(
        &mut self,
        blind: &Blind,
        spread: Spread,
        within: Option<&HashSet<i64>>,
    ) -> Result<Matches, StoreError> {
        let mut postings = Vec::new();
        match within {
            // Fewer to ask about than the term has documents.
            Some(within) if within.len() < spread.counted => {
                let mut docs: Vec<i64> = within.iter().copied().collect();
                // The newest first, where there is no room for all.
                docs.sort_unstable_by(|a, b| b.cmp(a));
                self.truncated |= docs.len() > self.room;
                docs.truncate(self.room);
                self.room -= docs.len();
                for docs in docs.chunks(ASKED_MAX) {
                    postings.extend(rows::postings_in(self.tx, blind.term, docs).await?);
                }
            }
            _ => {
                let most = spread.most().min(self.room);
                if most == 0 {
                    self.truncated |= spread.counted > 0;
                    return Ok(Matches::new());
                }
                // Documents within have passed the bounds already.
                let bounds = if within.is_some() { None } else { self.bounds.as_ref() };
                postings = rows::postings(self.tx, blind.term, most, bounds).await?;
                // What the bounds left out was read as well.
                let read = if bounds.is_some() { most.min(spread.about()) } else { postings.len() };
                self.room -= read;
                self.truncated |= self.room == 0 && read < spread.about();
                if let Some(within) = within {
                    postings.retain(|(doc, _)| within.contains(doc));
                }
            }
        }
        blind.cover(&mut postings).map_err(StoreError::unreadable("show a term's frequencies"))?;
        Ok(postings.into_iter().map(|(doc, load)| (doc, weigh(load))).collect())
    }
}

fn best(scores: &HashMap<i64, f64>, wanted: usize) -> Best {
    let mut best = Best::new(wanted);
    scores.iter().for_each(|(doc, score)| best.offer(Scored { score: *score, doc: *doc }));
    best
}

/// What is in both, as often as the rarer of the two.
fn meet(mut found: Matches, these: &Matches) -> Matches {
    found.retain(|doc, (frequency, _)| match these.get(doc) {
        Some((other, _)) => {
            *frequency = frequency.min(*other);
            true
        }
        None => false,
    });
    found
}
