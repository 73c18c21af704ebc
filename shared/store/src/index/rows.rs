//! The index's rows: every statement that is said of them.

use std::collections::HashMap;

use super::{Document, Language, Languages, load::Packed};
use crate::{Column, Migration, StoreError, Table, Tx, sql, sql_for};

/// The migration that makes an index's tables, as step `version` of a service.
pub const fn migration(version: u32) -> Migration {
    Migration {
        version,
        name: "search index",
        sqlite: include_str!("../../migrations/sqlite/index/0001_index.sql"),
        postgres: include_str!("../../migrations/postgres/index/0001_index.sql"),
    }
}

/// The index's tables, for a service's options.
pub const TABLES: [Table; 5] = [
    Table {
        name: "search_lane",
        columns: &[
            Column::key("lane"),
            Column::clear("documents", "a count, for BM25"),
            Column::clear("length", "a sum of lengths, which the texts' sealed sizes tell as well"),
            Column::clear("given", "a count"),
            Column::clear("mark", "tells index keys apart, and nothing of them"),
        ],
    },
    Table {
        name: "search_language",
        columns: &[
            Column::key("lane"),
            Column::key("language"),
            Column::clear("documents", "a count; queries are read in the languages that there are"),
        ],
    },
    Table {
        name: "search_document",
        columns: &[
            Column::key("doc"),
            Column::clear("name", "an ID"),
            Column::clear("collection", "an ID"),
            Column::clear("made", "a time, for searches within one"),
            Column::clear("language", "for the count of its language"),
            Column::clear("length", "in words; the text's sealed size tells as much"),
            Column::clear("terms", "the numbers of its postings, which are there as well"),
        ],
    },
    Table {
        name: "search_posting",
        columns: &[
            Column::key("term"),
            Column::key("doc"),
            Column::clear("load", "hidden under the index key, each by a cover of its own"),
        ],
    },
    Table { name: "search_facet", columns: &[Column::key("collection"), Column::key("facet")] },
];

/// What is known of the whole index.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    pub(super) documents: f64,
    pub(super) length: f64,
    languages: HashMap<Language, i64>,
    /// How many numbers were given, about.
    given: i64,
}

/// How many documents have a term.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spread {
    /// Counted, up to [`COUNTED_MAX`].
    pub(super) counted: usize,
    /// Beyond that, estimated from how densely the newest documents have it.
    pub(super) documents: f64,
}

/// A document found: its number, its name, its collection.
pub(super) type Named = (i64, Vec<u8>, Vec<u8>);

/// What is known of a document to take it out: its number, its language, its length, its terms.
type Kept = (i64, i64, i64, Vec<u8>);

/// Rows of sums. A transaction should change the documents of one collection: it then waits for one other writer in
/// as many.
const LANES: i64 = 16;
const TERM_BYTES: usize = 5;
/// Postings of a term are counted so far.
const COUNTED_MAX: usize = 10_000;

// === impl Lanes ===

impl Lanes {
    pub(super) async fn read(tx: &mut Tx) -> Result<Self, StoreError> {
        let rows: Vec<(i64, i64, i64)> = sql("SELECT documents, length, given FROM search_lane")
            .doing("read an index's sums")
            .fetch_all(tx)
            .await?;
        let mut lanes = Self::default();
        for (documents, length, given) in rows {
            lanes.documents += float(documents);
            lanes.length += float(length);
            lanes.given = lanes.given.max(given);
        }
        let rows: Vec<(i64, i64)> = sql("SELECT language, documents FROM search_language")
            .doing("read an index's languages")
            .fetch_all(tx)
            .await?;
        for (language, documents) in rows {
            *lanes.languages.entry(Language::of_number(language)).or_default() += documents;
        }
        lanes.languages.retain(|_, documents| *documents > 0);
        Ok(lanes)
    }

    /// The languages that there are documents in.
    pub(super) fn languages(&self) -> Languages {
        self.languages.keys().fold(Languages::default(), |set, it| set.with(*it))
    }

    /// How many documents are in one of `languages`.
    pub(super) fn documents_in(&self, languages: Languages) -> f64 {
        float(languages.iter().filter_map(|it| self.languages.get(&it)).sum())
    }

    /// How many documents have a term that the newest `counted` down to `oldest` were counted of.
    fn spread(&self, counted: usize, oldest: i64) -> Spread {
        let exact = float(i64::try_from(counted).unwrap_or(i64::MAX));
        if counted < COUNTED_MAX {
            return Spread { counted, documents: exact };
        }
        let newer = (self.given - oldest / LANES).max(1);
        let estimate = exact * float(self.given) / float(newer);
        Spread { counted, documents: estimate.clamp(exact, self.documents.max(exact)) }
    }
}

// === impl Spread ===

impl Spread {
    /// How many documents that is, about.
    pub(super) fn about(self) -> usize {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count, rounded up")]
        let about = self.documents.ceil() as usize;
        about
    }

    /// How many there are at most: unknown, where not all were counted.
    pub(super) fn most(self) -> usize {
        if self.counted < COUNTED_MAX { self.counted } else { usize::MAX }
    }
}

// === writing ===

/// Counts a document in, and gives it a number that none had before: the newer, the higher.
pub(super) async fn begin_document(
    tx: &mut Tx,
    collection: &[u8],
    length: u32,
    language: Language,
    mark: i64,
) -> Result<i64, StoreError> {
    let lane = lane(collection);
    // The other lanes' numbers are looked at without waiting for their writers: about in order is enough. Its
    // own lane's is certain, and no other lane gives it.
    let count = || {
        sql_for(
            "UPDATE search_lane SET documents = documents + 1, length = length + $1,
                given = MAX(given, (SELECT MAX(given) FROM search_lane)) + 1
             WHERE lane = $2 RETURNING given",
            "UPDATE search_lane SET documents = documents + 1, length = length + $1,
                given = GREATEST(given, (SELECT MAX(given) FROM search_lane)) + 1
             WHERE lane = $2 RETURNING given",
        )
        .doing("count a document into an index")
        .bind(length)
        .bind(lane)
    };
    let (given,): (i64,) = match count().fetch_optional(tx).await? {
        Some(given) => given,
        None => {
            sql("INSERT INTO search_lane (lane, documents, length, given, mark) VALUES ($1, 0, 0, 0, $2)
                 ON CONFLICT DO NOTHING")
            .doing("begin an index")
            .bind(lane)
            .bind(mark)
            .execute(tx)
            .await?;
            count().fetch_one(tx).await?
        }
    };
    if count_language(tx, lane, language.number(), 1).await? == 0 {
        sql("INSERT INTO search_language (lane, language, documents) VALUES ($1, $2, 1)")
            .doing("begin a language of an index")
            .bind(lane)
            .bind(language.number())
            .execute(tx)
            .await?;
    }
    Ok(given * LANES + lane)
}

pub(super) async fn insert_document(
    tx: &mut Tx,
    doc: i64,
    document: &Document<'_>,
    length: u32,
    language: Language,
    postings: &[(i64, Packed)],
) -> Result<(), StoreError> {
    let insert = || {
        sql("INSERT INTO search_document (doc, name, collection, made, language, length, terms)
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING")
        .doing("put a document into an index")
        .bind(doc)
        .bind(document.name)
        .bind(document.collection)
        .bind(document.made)
        .bind(language.number())
        .bind(length)
        .bind(packed(postings.iter().map(|(term, _)| *term)))
    };
    // Most documents are new. One that is put again takes its old rows away first.
    if insert().execute(tx).await? == 0 {
        remove_document(tx, document.name).await?;
        insert().execute(tx).await?;
    }
    // One statement for all of them: they come as a list.
    let list = json(postings.iter().map(|(term, load)| format!("[{term},{}]", load.0)));
    sql_for(
        "INSERT INTO search_posting (term, doc, load) SELECT value ->> 0, $1, value ->> 1 FROM json_each($2)",
        "INSERT INTO search_posting (term, doc, load)
         SELECT CAST(value ->> 0 AS BIGINT), $1, CAST(value ->> 1 AS BIGINT)
         FROM json_array_elements(CAST($2 AS JSON))",
    )
    .doing("put terms into an index")
    .bind(doc)
    .bind(list)
    .execute(tx)
    .await?;
    Ok(())
}

pub(super) async fn remove_document(tx: &mut Tx, name: &[u8]) -> Result<bool, StoreError> {
    let known: Option<(Vec<u8>,)> = sql("SELECT collection FROM search_document WHERE name = $1")
        .doing("find a document in an index")
        .bind(name)
        .fetch_optional(tx)
        .await?;
    let Some((collection,)) = known else { return Ok(false) };
    let kept: Kept = sql("SELECT doc, language, length, terms FROM search_document WHERE name = $1")
        .doing("read a document of an index")
        .bind(name)
        .fetch_one(tx)
        .await?;
    remove(tx, &collection, kept).await?;
    Ok(true)
}

pub(super) async fn remove_collection(tx: &mut Tx, collection: &[u8], max: u32) -> Result<u32, StoreError> {
    let known: Vec<Kept> = sql(
        "SELECT doc, language, length, terms FROM search_document WHERE collection = $1 ORDER BY doc LIMIT $2",
    )
    .doing("find a collection in an index")
    .bind(collection)
    .bind(max)
    .fetch_all(tx)
    .await?;
    let mut removed = 0;
    for kept in known {
        remove(tx, collection, kept).await?;
        removed += 1;
    }
    if removed < max {
        describe(tx, collection, &[]).await?;
    }
    Ok(removed)
}

async fn remove(tx: &mut Tx, collection: &[u8], kept: Kept) -> Result<(), StoreError> {
    let (doc, language, length, terms) = kept;
    let lane = lane(collection);
    sql("UPDATE search_lane SET documents = documents - 1, length = length - $1 WHERE lane = $2")
        .doing("count a document out of an index")
        .bind(length)
        .bind(lane)
        .execute(tx)
        .await?;
    count_language(tx, lane, language, -1).await?;
    sql_for(
        "DELETE FROM search_posting WHERE doc = $1 AND term IN (SELECT value FROM json_each($2))",
        "DELETE FROM search_posting
         WHERE doc = $1 AND term IN (SELECT CAST(value AS BIGINT) FROM json_array_elements_text(CAST($2 AS JSON)))",
    )
    .doing("take terms out of an index")
    .bind(doc)
    .bind(json(unpacked(&terms)))
    .execute(tx)
    .await?;
    sql("DELETE FROM search_document WHERE doc = $1")
        .doing("take a document out of an index")
        .bind(doc)
        .execute(tx)
        .await?;
    Ok(())
}

async fn count_language(tx: &mut Tx, lane: i64, language: i64, more: i64) -> Result<u64, StoreError> {
    sql("UPDATE search_language SET documents = documents + $1 WHERE lane = $2 AND language = $3")
        .doing("count an index's languages")
        .bind(more)
        .bind(lane)
        .bind(language)
        .execute(tx)
        .await
}

pub(super) async fn describe(tx: &mut Tx, collection: &[u8], facets: &[i64]) -> Result<(), StoreError> {
    sql("DELETE FROM search_facet WHERE collection = $1")
        .doing("forget a collection's facets")
        .bind(collection)
        .execute(tx)
        .await?;
    if facets.is_empty() {
        return Ok(());
    }
    sql_for(
        "INSERT INTO search_facet (collection, facet) SELECT $1, value FROM json_each($2) WHERE true
         ON CONFLICT DO NOTHING",
        "INSERT INTO search_facet (collection, facet)
         SELECT $1, CAST(value AS BIGINT) FROM json_array_elements_text(CAST($2 AS JSON)) ON CONFLICT DO NOTHING",
    )
    .doing("put a collection's facets")
    .bind(collection)
    .bind(json(facets))
    .execute(tx)
    .await?;
    Ok(())
}

// === the key ===

pub(super) async fn is_stale(tx: &mut Tx, mark: i64) -> Result<bool, StoreError> {
    let (stale,): (bool,) = sql("SELECT EXISTS (SELECT 1 FROM search_lane WHERE mark <> $1)")
        .doing("look for an index's key")
        .bind(mark)
        .fetch_one(tx)
        .await?;
    Ok(stale)
}

pub(super) async fn renew(tx: &mut Tx, mark: i64) -> Result<(), StoreError> {
    sql("UPDATE search_lane SET mark = $1").doing("mark an index's key").bind(mark).execute(tx).await?;
    Ok(())
}

// === reading ===

/// How many documents have `term`.
pub(super) async fn spread(tx: &mut Tx, lanes: &Lanes, term: i64) -> Result<Spread, StoreError> {
    let (counted, oldest): (i64, i64) = sql("SELECT COUNT(*), COALESCE(MIN(doc), 0)
         FROM (SELECT doc FROM search_posting WHERE term = $1 ORDER BY doc DESC LIMIT $2) AS newest")
    .doing("count a term's documents")
    .bind(term)
    .bind(integer(COUNTED_MAX))
    .fetch_one(tx)
    .await?;
    Ok(lanes.spread(usize::try_from(counted).unwrap_or_default(), oldest))
}

/// Which documents a search is narrowed to.
#[derive(Clone, Debug)]
pub(super) struct Bounds {
    pub(super) facets: Vec<i64>,
    pub(super) made_from: i64,
    pub(super) made_until: i64,
}

/// The newest `max` postings of `term`, of which only those within `bounds` are answered.
pub(super) async fn postings(
    tx: &mut Tx,
    term: i64,
    max: usize,
    bounds: Option<&Bounds>,
) -> Result<Vec<(i64, Packed)>, StoreError> {
    // As one text: a row each would cost ten times as much as the search itself.
    let statement = match bounds {
        None => sql_for(
            "SELECT COALESCE(group_concat(doc || ' ' || load, ' '), '')
             FROM (SELECT doc, load FROM search_posting WHERE term = $1 ORDER BY doc DESC LIMIT $2)",
            "SELECT COALESCE(string_agg(doc || ' ' || load, ' '), '')
             FROM (SELECT doc, load FROM search_posting WHERE term = $1 ORDER BY doc DESC LIMIT $2) AS newest",
        ),
        Some(_) => sql_for(
            "SELECT COALESCE(group_concat(newest.doc || ' ' || newest.load, ' '), '')
             FROM (SELECT doc, load FROM search_posting WHERE term = $1 ORDER BY doc DESC LIMIT $2) AS newest
             JOIN search_document ON search_document.doc = newest.doc
             WHERE search_document.made >= $3 AND search_document.made < $4
               AND (SELECT COUNT(*) FROM search_facet
                    WHERE search_facet.collection = search_document.collection
                      AND search_facet.facet IN (SELECT value FROM json_each($5))) = $6",
            "SELECT COALESCE(string_agg(newest.doc || ' ' || newest.load, ' '), '')
             FROM (SELECT doc, load FROM search_posting WHERE term = $1 ORDER BY doc DESC LIMIT $2) AS newest
             JOIN search_document ON search_document.doc = newest.doc
             WHERE search_document.made >= $3 AND search_document.made < $4
               AND (SELECT COUNT(*) FROM search_facet
                    WHERE search_facet.collection = search_document.collection AND search_facet.facet IN
                        (SELECT CAST(value AS BIGINT) FROM json_array_elements_text(CAST($5 AS JSON)))) = $6",
        ),
    };
    let statement = statement.doing("read a term's documents").bind(term).bind(integer(max));
    let statement = match bounds {
        None => statement,
        Some(bounds) => statement
            .bind(bounds.made_from)
            .bind(bounds.made_until)
            .bind(json(&bounds.facets))
            .bind(integer(bounds.facets.len())),
    };
    let (list,): (String,) = statement.fetch_one(tx).await?;
    Ok(parsed(&list))
}

/// The postings of `term` in `docs`.
pub(super) async fn postings_in(
    tx: &mut Tx,
    term: i64,
    docs: &[i64],
) -> Result<Vec<(i64, Packed)>, StoreError> {
    let (list,): (String,) = sql_for(
        "SELECT COALESCE(group_concat(doc || ' ' || load, ' '), '')
         FROM search_posting WHERE term = $1 AND doc IN (SELECT value FROM json_each($2))",
        "SELECT COALESCE(string_agg(doc || ' ' || load, ' '), '')
         FROM search_posting
         WHERE term = $1 AND doc IN (SELECT CAST(value AS BIGINT) FROM json_array_elements_text(CAST($2 AS JSON)))",
    )
    .doing("look for a term in documents")
    .bind(term)
    .bind(json(docs))
    .fetch_one(tx)
    .await?;
    Ok(parsed(&list))
}

/// The newest `max` documents of `collection` within `bounds`.
pub(super) async fn documents_of(
    tx: &mut Tx,
    collection: &[u8],
    bounds: &Bounds,
    max: usize,
) -> Result<Vec<i64>, StoreError> {
    let (list,): (String,) = sql_for(
        "SELECT COALESCE(group_concat(doc, ' '), '')
         FROM (SELECT doc FROM search_document
               WHERE collection = $1 AND made >= $2 AND made < $3
                 AND (SELECT COUNT(*) FROM search_facet
                      WHERE collection = $1 AND facet IN (SELECT value FROM json_each($4))) = $5
               ORDER BY doc DESC LIMIT $6)",
        "SELECT COALESCE(string_agg(CAST(doc AS TEXT), ' '), '')
         FROM (SELECT doc FROM search_document
               WHERE collection = $1 AND made >= $2 AND made < $3
                 AND (SELECT COUNT(*) FROM search_facet
                      WHERE collection = $1 AND facet IN
                          (SELECT CAST(value AS BIGINT) FROM json_array_elements_text(CAST($4 AS JSON)))) = $5
               ORDER BY doc DESC LIMIT $6) AS newest",
    )
    .doing("list a collection's documents")
    .bind(collection)
    .bind(bounds.made_from)
    .bind(bounds.made_until)
    .bind(json(&bounds.facets))
    .bind(integer(bounds.facets.len()))
    .bind(integer(max))
    .fetch_one(tx)
    .await?;
    Ok(list.split(' ').filter_map(|doc| doc.parse().ok()).collect())
}

/// What `docs` are called.
pub(super) async fn names(tx: &mut Tx, docs: &[i64]) -> Result<Vec<Named>, StoreError> {
    sql_for(
        "SELECT doc, name, collection FROM search_document WHERE doc IN (SELECT value FROM json_each($1))",
        "SELECT doc, name, collection FROM search_document
         WHERE doc IN (SELECT CAST(value AS BIGINT) FROM json_array_elements_text(CAST($1 AS JSON)))",
    )
    .doing("name the documents found")
    .bind(json(docs))
    .fetch_all(tx)
    .await
}

// === lists ===

fn lane(collection: &[u8]) -> i64 {
    // Of a UUID the last byte is chance.
    i64::from(collection.last().copied().unwrap_or_default()) % LANES
}

fn json<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    let mut list = String::from("[");
    for item in items {
        if list.len() > 1 {
            list.push(',');
        }
        list.push_str(&item.to_string());
    }
    list.push(']');
    list
}

fn packed(terms: impl Iterator<Item = i64>) -> Vec<u8> {
    terms.flat_map(|term| term.to_be_bytes().into_iter().skip(8 - TERM_BYTES)).collect()
}

fn unpacked(terms: &[u8]) -> impl Iterator<Item = i64> {
    terms.chunks(TERM_BYTES).map(|bytes| bytes.iter().fold(0, |term, byte| term << 8 | i64::from(*byte)))
}

fn parsed(list: &str) -> Vec<(i64, Packed)> {
    let mut numbers = list.split_ascii_whitespace();
    let mut postings = Vec::with_capacity(list.len() / 16);
    while let (Some(doc), Some(load)) = (numbers.next(), numbers.next()) {
        if let (Ok(doc), Ok(load)) = (doc.parse(), load.parse()) {
            postings.push((doc, Packed(load)));
        }
    }
    postings
}

fn integer(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn float(count: i64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "an estimate, and no index has 2^52 documents")]
    let float = count as f64;
    float
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_come_back() {
        let terms = [0, 1, 255, (1 << 40) - 1];
        assert_eq!(unpacked(&packed(terms.into_iter())).collect::<Vec<_>>(), terms);
        assert_eq!(json(terms), "[0,1,255,1099511627775]");
        assert_eq!(json::<i64>([]), "[]");
        assert_eq!(parsed("16 4294967295 3 0"), [(16, Packed(u32::MAX)), (3, Packed(0))]);
        assert_eq!(parsed(""), []);
    }

    #[test]
    fn a_frequent_terms_documents_are_estimated_by_their_density() {
        let lanes = Lanes { documents: 160_000.0, given: 160_000, ..Lanes::default() };
        assert_eq!(lanes.spread(7, 0).documents, 7.0);
        // The newest 10,000 that have it reach back over a quarter of all documents.
        let spread = lanes.spread(COUNTED_MAX, 120_000 * LANES);
        assert!((spread.documents - 40_000.0).abs() < 100.0, "{spread:?}");
    }
}
