//! The engine that needs no model: it chooses the sentences of the text that tell most of it.
//!
//! ```text
//! lines.rs    text -> segments: blocks, speakers' turns, list items, headings
//! split.rs    segments -> sentences
//! terms.rs    sentences -> terms, words cut to stems without those that carry no subject
//! rank.rs     terms -> how much each sentence matters
//! select.rs   the sentences that matter and do not repeat each other, under the limit
//! ```
//!
//! Every step is linear in the text, or as good as, and none asks for time or chance.

mod abbreviations;
mod lines;
mod matrix;
mod rank;
mod select;
mod split;
mod terms;
#[cfg(test)]
mod tests;
mod words;

use unicode_segmentation::UnicodeSegmentation;

use self::{
    lines::{Kind, Layout},
    matrix::Matrix,
    select::Pool,
    split::Span,
    terms::{Lexicon, Terms},
};
use super::{Budget, Engine, Job, Sentence, Summary};

/// Chooses the sentences that tell most of a text; whole, in their order, word for word.
///
/// A text that has a word has a summary; one that is within the limit stays whole. Where no sentence is short enough for the limit, the shortest is
/// cut after the last word that fits.
#[derive(Clone, Debug, Default)]
pub struct Extractive {
    weights: Weights,
}

/// What each sign of a sentence's worth counts for.
#[derive(Clone, Debug)]
struct Weights {
    /// Of the directed centrality's place.
    directed: f64,
    /// Of the walk centrality's place.
    walk: f64,
    /// Of standing early, in short prose.
    early_in_short_prose: f64,
    /// Of standing early, in dialogue and long texts.
    early_elsewhere: f64,
    /// Of likeness to the query.
    query: f64,
    /// Of likeness to what came before the text.
    context: f64,
    /// How far relevance outweighs repetition.
    balance: f64,
}

/// A shorter sentence tells too little to stand in a summary, unless there is nothing else.
const SENTENCE_WORDS_MIN: usize = 4;
/// A line of at most this many words that ends with no stop is read as a heading.
const HEADING_WORDS_MAX: usize = 12;
/// A sentence with fewer letters among its characters is a table, a drawing or a formula.
const LETTER_SHARE_MIN: f64 = 0.6;
/// Where at least this share of lines is labelled with speakers, the text is dialogue.
const DIALOGUE_SHARE_MIN: f64 = 0.5;
/// Prose of more words is long.
const SHORT_WORDS_MAX: usize = 2_000;

// === impl Weights ===

impl Default for Weights {
    fn default() -> Self {
        Self {
            directed: 1.0,
            walk: 0.4,
            early_in_short_prose: 0.8,
            early_elsewhere: 0.5,
            query: 3.0,
            context: 1.0,
            balance: 0.9,
        }
    }
}

// === impl Extractive ===

impl Extractive {
    /// The engine with its usual weights.
    pub fn new() -> Self {
        Self::default()
    }

    /// How much each sentence matters: 0 to 1.
    fn relevance(&self, layout: &Layout, terms: &Terms, vectors: &Matrix, wanted: &[f64]) -> Vec<f64> {
        let weights = &self.weights;
        let short_prose = layout.labelled_share < DIALOGUE_SHARE_MIN && terms.source_words <= SHORT_WORDS_MAX;
        let early = if short_prose { weights.early_in_short_prose } else { weights.early_elsewhere };

        let directed = rank::places(&rank::directed_centrality(vectors));
        let walk = rank::places(&rank::walk_centrality(&terms.counts));
        let mut scores: Vec<f64> = (0..vectors.rows())
            .map(|row| {
                weights.directed * directed[row]
                    + weights.walk * walk[row]
                    + early / (1.0 + rank::as_f64(row)).sqrt()
                    + wanted[row]
            })
            .collect();
        let highest = scores.iter().copied().fold(f64::EPSILON, f64::max);
        scores.iter_mut().for_each(|score| *score /= highest);
        scores
    }

    /// What each sentence gains by speaking of the query, and of what came before.
    fn wanted(&self, job: &Job, lexicon: &mut Lexicon, terms: &Terms, vectors: &Matrix) -> Vec<f64> {
        let mut wanted = vec![0.0; vectors.rows()];
        let rarity = rank::rarity(&terms.counts);
        for (text, weight) in [(&job.query, self.weights.query), (&job.context, self.weights.context)] {
            if text.is_empty() {
                continue;
            }
            // Terms that the text itself never uses are of no help in telling its sentences apart.
            let mut asked = vec![0.0; vectors.columns];
            for (term, count) in lexicon.row(text).row(0) {
                if let Some(asked) = asked.get_mut(term) {
                    *asked = (1.0 + count.ln()) * rarity[term];
                }
            }
            // Measured by the sentence that speaks of it most: a query outweighs every other sign, even where the
            // text uses but one of its words.
            let likeness: Vec<f64> = (0..vectors.rows()).map(|row| vectors.dot(row, &asked)).collect();
            let most = likeness.iter().copied().fold(0.0, f64::max);
            if most > 0.0 {
                for (wanted, likeness) in wanted.iter_mut().zip(likeness) {
                    *wanted += weight * likeness / most;
                }
            }
        }
        wanted
    }
}

impl Engine for Extractive {
    fn name(&self) -> &'static str {
        "extractive"
    }

    fn description(&self) -> &'static str {
        "Chooses the sentences that tell most of the text, word for word; needs no model and sends nothing anywhere."
    }

    fn summarize(&self, job: &Job) -> Summary {
        let text = job.text.as_str();
        let layout = Layout::of(text);
        let spans = split::sentences(text, &layout);
        let mut lexicon = Lexicon::for_text(text);
        let terms = Terms::of(text, &layout, &spans, &mut lexicon);
        let vectors = rank::unit_vectors(&terms.counts);
        let wanted = self.wanted(job, &mut lexicon, &terms, &vectors);
        let relevance = self.relevance(&layout, &terms, &vectors, &wanted);
        let budget = job.length.budget(terms.source_words);

        let pool = Pool {
            relevance: &relevance,
            vectors: &vectors,
            words: &terms.words,
            balance: self.weights.balance,
        };
        let [first, all] = tiers(text, &layout, &spans, &terms);
        let fits_whole = match budget {
            Budget::Words(limit) => all.iter().map(|row| terms.words[*row]).sum::<usize>() <= limit,
            Budget::Sentences(limit) => all.len() <= limit,
        };
        let mut chosen = if fits_whole { all.clone() } else { pool.choose(first.into_iter(), budget) };
        if chosen.is_empty() {
            chosen = pool.choose(all.into_iter(), budget);
        }
        chosen.sort_unstable();

        let sentences = if chosen.is_empty() {
            shortest_cut(text, &spans, &terms, budget).into_iter().collect()
        } else {
            chosen.iter().map(|row| Sentence::of(text, spans[*row].start, spans[*row].end)).collect()
        };
        summary(sentences, &mut lexicon, &terms)
    }
}

/// The sentences worth choosing from, and those to fall back on where none of the former fits.
fn tiers(text: &str, layout: &Layout, spans: &[Span], terms: &Terms) -> [Vec<usize>; 2] {
    let spoken = |row: &usize| terms.words[*row] > 0;
    let telling = |row: &usize| {
        let span = &spans[*row];
        layout.segments[span.segment].kind != Kind::Apart
            && terms.words[*row] >= SENTENCE_WORDS_MIN
            && letter_share(&text[span.body..span.end]) >= LETTER_SHARE_MIN
    };
    let words = |rows: &[usize]| rows.iter().map(|row| terms.words[*row]).sum::<usize>();

    let all: Vec<usize> = (0..spans.len()).filter(spoken).collect();
    let telling: Vec<usize> = all.iter().copied().filter(telling).collect();
    let prose: Vec<usize> =
        telling.iter().copied().filter(|row| !is_heading(layout, spans, terms, *row)).collect();
    // Notes and transcripts may do without stops altogether; then short lines are all there is.
    let first = if 2 * words(&prose) >= words(&telling) { prose } else { telling };
    [first, all]
}

/// Whether a sentence looks like the heading of others, though nothing marks it.
fn is_heading(layout: &Layout, spans: &[Span], terms: &Terms, row: usize) -> bool {
    let span = &spans[row];
    let alone = |other: Option<&Span>| other.is_none_or(|other| other.segment != span.segment);
    match layout.segments[span.segment].kind {
        Kind::Apart | Kind::Turn => false,
        Kind::Plain | Kind::Item => {
            !span.stopped
                && terms.words[row] <= HEADING_WORDS_MAX
                && alone(spans.get(row + 1))
                && alone(row.checked_sub(1).map(|before| &spans[before]))
        }
    }
}

/// Share of letters among the characters of `text` that are not white space.
fn letter_share(text: &str) -> f64 {
    let (mut letters, mut all) = (0, 0);
    for c in text.chars().filter(|c| !c.is_whitespace()) {
        all += 1;
        letters += usize::from(c.is_alphabetic());
    }
    if all == 0 { 0.0 } else { rank::as_f64(letters) / rank::as_f64(all) }
}

/// The shortest sentence, cut after the last word that fits.
fn shortest_cut(text: &str, spans: &[Span], terms: &Terms, budget: Budget) -> Option<Sentence> {
    let (row, _) =
        terms.words.iter().enumerate().filter(|(_, words)| **words > 0).min_by_key(|(_, words)| **words)?;
    let Budget::Words(limit) = budget else { return None };
    let span = &spans[row];
    let (last, word) = text[span.start..span.end].unicode_word_indices().take(limit).last()?;
    Some(Sentence::of(text, span.start, span.start + last + word.len()))
}

/// The summary that `sentences` make.
fn summary(sentences: Vec<Sentence>, lexicon: &mut Lexicon, terms: &Terms) -> Summary {
    let rarity = rank::rarity(&terms.counts);
    let said = terms.counts.rows_with();
    let mut covered = vec![false; said.len()];
    for sentence in &sentences {
        for (term, _) in lexicon.row(&sentence.text).row(0) {
            if let Some(covered) = covered.get_mut(term) {
                *covered = true;
            }
        }
    }
    // A term weighs as much as it is said and as it is telling.
    let weight = |term: usize| said[term] * rarity[term];
    let whole: f64 = (0..said.len()).map(weight).sum();
    let part: f64 = (0..said.len()).filter(|term| covered[*term]).map(weight).sum();
    let semantic_score = match (whole > 0.0, sentences.is_empty()) {
        (true, _) => (part / whole).clamp(0.0, 1.0),
        // Nothing but words without a subject: whatever was chosen covers all there is.
        (false, empty) => f64::from(u8::from(!empty)),
    };
    let summary_words = sentences.iter().map(|sentence| sentence.text.unicode_words().count()).sum();
    Summary { sentences, semantic_score, source_words: terms.source_words, summary_words }
}
