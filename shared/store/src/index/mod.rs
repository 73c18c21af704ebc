//! Search over what is sealed: a blind index for each tenant, ranked by BM25.
//!
//! The database sees numbers in place of words: HMACs under the tenant's index key. It can join and count
//! them without knowing what they say; `docs/search-leakage.md` tells what that gives away, and to whom.
//!
//! A **document** is what a query finds, such as a message. It lies in a **collection**, such as a context, which has
//! **facets**, such as a type and tags, that a search may be narrowed to without touching the collection's documents.
//!
//! ```no_run
//! # use mcp_store::{StoreError, TenantTx, index::*};
//! # async fn example(tx: &mut TenantTx, id: &[u8], name: &[u8]) -> Result<(), StoreError> {
//! let Some(index) = Index::of(tx, IndexOptions::default()) else { return Ok(()) };
//! let fields = [(Field::Title, "Plans"), (Field::Text, "We meet on Monday.")];
//! index.put(tx, &Document { name, collection: id, made: 0, fields: &fields, language: None }).await?;
//!
//! let query = Query::parse("\"meet on monday\" plan* -budget");
//! let found = index.search(tx, &query, &Narrowing::default(), 20, None).await?;
//! let matcher = Matcher::new(&query, found.languages);
//! let shown = matcher.snippet("We meet on Monday.", 160);
//! # Ok(())
//! # }
//! ```
//!
//! A service that searches has [`migration`] among the steps of its tenants' tables, and [`TABLES`] among its tables.
//!
//! ```text
//! tokens.rs      text -> tokens with their places
//! language.rs    the rules of a language: folding, stems (stop_words.rs: what says nothing)
//! terms.rs       a document -> terms with their frequencies
//! blind.rs       a term -> a number; loads hidden
//! load.rs        what a posting carries
//! query.rs       what was asked -> clauses of terms
//! rank.rs        BM25, the best few of many
//! rows.rs        the statements
//! search.rs      clauses -> ranked hits, within a budget
//! snippet.rs     what to show of a text, and what to mark in it
//! ```

mod blind;
mod language;
mod load;
mod query;
mod rank;
mod rows;
mod search;
mod snippet;
mod stop_words;
mod terms;
mod tokens;

use self::{
    blind::Blinder,
    load::Packed,
    terms::{Depth, Terms},
};
pub use self::{
    language::{Language, Languages},
    query::Query,
    rows::{TABLES, migration},
    search::{After, Found, Hit, Narrowing},
    snippet::{Matcher, Snippet},
};
use crate::{StoreError, TenantTx, Tx};

/// A part of a document, by how much it says of the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    /// What the document is called.
    Title,
    /// What it is filed under.
    Tags,
    /// What it says.
    Text,
}

/// What is put into an index.
#[derive(Clone, Copy, Debug)]
pub struct Document<'a> {
    /// What a hit calls it: unique in the tenant, and in clear.
    pub name: &'a [u8],
    /// What it lies in.
    pub collection: &'a [u8],
    /// When it was made, in whatever unit searches are narrowed by; in clear.
    pub made: i64,
    /// What it says. A field may come more than once, for instance for each tag.
    pub fields: &'a [(Field, &'a str)],
    /// The language it is in, where that is known; otherwise it is recognised.
    pub language: Option<Language>,
}

/// How much is indexed, and how much a search may cost.
#[derive(Clone, Copy, Debug)]
pub struct IndexOptions {
    /// Whether pairs of words are indexed, for phrases. They double the rows of a document.
    pub phrases: bool,
    /// Whether the words of texts are found by their first letters too, as those of titles and tags always are.
    /// Each word then has up to six rows more, and which words begin alike is seen.
    pub prefixes_in_text: bool,
    /// Whether a document's terms are filled up to the next of a few numbers with terms that nobody can look for.
    pub padded: bool,
    /// Distinct terms of a document; later ones are not found.
    pub terms_max: usize,
    /// Postings that one search reads at most.
    pub postings_max: usize,
}

/// A tenant's index, for as long as a transaction.
#[derive(Debug)]
pub struct Index {
    blinder: Blinder,
    options: IndexOptions,
}

// === impl Field ===

impl Field {
    /// What once in this field counts for, in times in the text.
    const fn weight(self) -> f64 {
        match self {
            Self::Title => 4.0,
            Self::Tags => 3.0,
            Self::Text => 1.0,
        }
    }
}

// === impl IndexOptions ===

impl Default for IndexOptions {
    fn default() -> Self {
        Self { phrases: true, prefixes_in_text: false, padded: true, terms_max: 8_192, postings_max: 50_000 }
    }
}

// === impl Index ===

impl Index {
    /// The index of the transaction's tenant; none while it has never written, and there is nothing to find.
    pub fn of(tx: &TenantTx, options: IndexOptions) -> Option<Self> {
        tx.index_key().map(|key| Self::new(key.expose(), options))
    }

    /// The index under `key`.
    pub fn new(key: &[u8], options: IndexOptions) -> Self {
        Self { blinder: Blinder::new(key), options }
    }

    /// Puts `document` in, in place of the one of its name. Answers whether all of it can be found: a very
    /// long one's last words cannot.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn put(&self, tx: &mut Tx, document: &Document<'_>) -> Result<bool, StoreError> {
        let language = document.language.unwrap_or_else(|| recognise(document.fields));
        let depth = Depth {
            pairs: self.options.phrases,
            prefixes_in_text: self.options.prefixes_in_text,
            terms_max: self.options.terms_max,
        };
        let terms = Terms::read(document.fields, language, depth);

        let doc = rows::begin_document(tx, document.collection, terms.length, language, self.blinder.mark())
            .await?;
        let postings = self.hide(doc, &terms).map_err(StoreError::unreadable("hide terms"))?;
        rows::insert_document(tx, doc, document, terms.length, language, &postings).await?;
        Ok(!terms.cut)
    }

    /// Takes the document `name` out, with every trace of it. Answers whether it was there.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn remove(&self, tx: &mut Tx, name: &[u8]) -> Result<bool, StoreError> {
        rows::remove_document(tx, name).await
    }

    /// Takes up to `max` documents of `collection` out, and its facets once there are none left. Answers how many
    /// documents it took: fewer than `max` means that the collection is gone.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn remove_collection(
        &self,
        tx: &mut Tx,
        collection: &[u8],
        max: u32,
    ) -> Result<u32, StoreError> {
        rows::remove_collection(tx, collection, max).await
    }

    /// Says what `collection` is found by, as pairs of a facet's name and its value, in place of what it was.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn describe(
        &self,
        tx: &mut Tx,
        collection: &[u8],
        facets: &[(&str, &str)],
    ) -> Result<(), StoreError> {
        let facets: Vec<_> = facets.iter().map(|(name, value)| self.blinder.facet(name, value)).collect();
        rows::describe(tx, collection, &facets).await
    }

    /// Whether documents may have been put in under another key, which are then not found. Put each in again, and
    /// then [`Index::renew`]; those that have been are found meanwhile.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn is_stale(&self, tx: &mut Tx) -> Result<bool, StoreError> {
        rows::is_stale(tx, self.blinder.mark()).await
    }

    /// Says that every document was put in under this key.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn renew(&self, tx: &mut Tx) -> Result<(), StoreError> {
        rows::renew(tx, self.blinder.mark()).await
    }

    /// The best `limit` documents for `query` within `narrowing`, after those up to `after`.
    ///
    /// Pages are cut from the ranking as it is when each is asked for.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn search(
        &self,
        tx: &mut Tx,
        query: &Query,
        narrowing: &Narrowing<'_>,
        limit: usize,
        after: Option<After>,
    ) -> Result<Found, StoreError> {
        search::search(tx, &self.blinder, &self.options, query, narrowing, limit, after).await
    }

    fn hide(&self, doc: i64, terms: &Terms) -> Result<Vec<(i64, Packed)>, blind::Unhidden> {
        let mut postings = Vec::with_capacity(padded(terms.loads.len()));
        for (term, load) in &terms.loads {
            let blind = self.blinder.term(term)?;
            let mut posting = [(doc, load.pack(terms.length))];
            blind.cover(&mut posting)?;
            postings.extend(posting.map(|(_, load)| (blind.term, load)));
        }
        let full = if self.options.padded { padded(terms.loads.len()) } else { 0 };
        for nth in terms.loads.len()..full {
            let blind = self.blinder.dummy(doc, nth)?;
            let mut posting = [(doc, Packed(0))];
            blind.cover(&mut posting)?;
            postings.extend(posting.map(|(_, load)| (blind.term, load)));
        }
        // In the order of the table: it also takes away the order in which the document says them. Two terms
        // of one number are one posting.
        postings.sort_unstable_by_key(|(term, _)| *term);
        postings.dedup_by_key(|(term, _)| *term);
        Ok(postings)
    }
}

/// The next of 8, 12, 16, 24, 32, 48 ...: so many postings has a document of `terms` terms, a sixth more on average.
fn padded(terms: usize) -> usize {
    let power = terms.max(8).next_power_of_two();
    let between = power / 4 * 3;
    if terms <= between && between >= 8 { between } else { power }
}

fn recognise(fields: &[(Field, &str)]) -> Language {
    const ENOUGH: usize = 800;
    let mut sample = String::new();
    // The text first: titles and tags are often names.
    let texts = fields.iter().filter(|(field, _)| *field == Field::Text);
    let others = fields.iter().filter(|(field, _)| *field != Field::Text);
    for (_, text) in texts.chain(others) {
        if sample.len() >= ENOUGH {
            break;
        }
        sample.push_str(&text[..text.floor_char_boundary(ENOUGH)]);
        sample.push('\n');
    }
    Language::of(&sample)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn postings_are_filled_up_to_a_few_numbers() {
        let steps = [0, 1, 8, 9, 12, 13, 17, 24, 25, 33, 48, 49, 96, 97].map(padded);
        assert_eq!(steps, [8, 8, 8, 12, 12, 16, 24, 24, 32, 48, 48, 64, 96, 128]);
    }
}
