//! How well a document answers: BM25 over weighted fields, and the best few of many.

use std::{
    cmp::{Ordering, Reverse},
    collections::BinaryHeap,
};

use super::load::Packed;

/// How soon a term that comes often stops to count for more.
pub(super) const K1: f64 = 1.2;
/// How much a long document's terms count for less.
pub(super) const B: f64 = 0.75;

/// What is known of all documents of an index.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Corpus {
    pub(super) documents: f64,
    pub(super) length: f64,
}

/// A document and how well it answers. Among equals the newer one is better.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scored {
    pub(super) score: f64,
    pub(super) doc: i64,
}

/// Keeps the best `k` of what it is given.
#[derive(Debug)]
pub(super) struct Best {
    k: usize,
    heap: BinaryHeap<Reverse<Scored>>,
}

// === impl Corpus ===

impl Corpus {
    /// How much a term tells that `df` documents have. Never negative, unlike the textbook's.
    pub(super) fn idf(&self, df: f64) -> f64 {
        let df = df.clamp(0.0, self.documents);
        (1.0 + (self.documents - df + 0.5) / (df + 0.5)).ln()
    }

    /// What a term adds to a document's score.
    pub(super) fn score(&self, idf: f64, frequency: f64, length: f64) -> f64 {
        let average = (self.length / self.documents.max(1.0)).max(1.0);
        idf * frequency * (K1 + 1.0) / (frequency + K1 * (1.0 - B + B * length / average))
    }

    /// No document gets more than this for a term.
    pub(super) fn score_max(&self, idf: f64) -> f64 {
        idf * (K1 + 1.0)
    }
}

/// Frequency and length of the document, both weighted and rounded as they are kept.
pub(super) fn weigh(packed: Packed) -> (f64, f64) {
    let (load, length) = packed.unpack();
    (load.weight(), length)
}

// === impl Best ===

impl Best {
    pub(super) fn new(k: usize) -> Self {
        Self { k, heap: BinaryHeap::with_capacity(k.min(4_096)) }
    }

    pub(super) fn offer(&mut self, scored: Scored) {
        if self.heap.len() < self.k {
            self.heap.push(Reverse(scored));
        } else if self.heap.peek().is_some_and(|Reverse(worst)| scored > *worst) {
            self.heap.pop();
            self.heap.push(Reverse(scored));
        }
    }

    /// The score that one must have to be among them: none, until there are as many.
    pub(super) fn least(&self) -> Option<f64> {
        self.heap.peek().filter(|_| self.heap.len() >= self.k).map(|Reverse(worst)| worst.score)
    }

    /// The best first.
    pub(super) fn into_sorted(self) -> Vec<Scored> {
        self.heap.into_sorted_vec().into_iter().map(|Reverse(scored)| scored).collect()
    }
}

// === impl Scored ===

impl Ord for Scored {
    fn cmp(&self, other: &Self) -> Ordering {
        self.score.total_cmp(&other.score).then(self.doc.cmp(&other.doc))
    }
}

impl PartialOrd for Scored {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Scored {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Scored {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CORPUS: Corpus = Corpus { documents: 1_000.0, length: 50_000.0 };

    #[test]
    fn rare_terms_often_in_short_documents_score_best() {
        assert!(CORPUS.idf(3.0) > CORPUS.idf(300.0));
        assert!(CORPUS.idf(1_000.0) > 0.0);
        assert!(CORPUS.score(1.0, 2.0, 50.0) > CORPUS.score(1.0, 1.0, 50.0));
        assert!(CORPUS.score(1.0, 1.0, 10.0) > CORPUS.score(1.0, 1.0, 500.0));
    }

    proptest! {
        #[test]
        fn no_score_is_beyond_the_most(idf in 0.0..20.0_f64, frequency in 0.0..2_000.0_f64, length in 0.0..1e6_f64) {
            prop_assert!(CORPUS.score(idf, frequency, length) <= CORPUS.score_max(idf) + 1e-9);
        }

        #[test]
        fn the_best_few_are_those_of_a_full_sort(scores in prop::collection::vec(0_u8..20, 0..100), k in 1_usize..30) {
            let all: Vec<_> = (0_i64..).zip(&scores).map(|(doc, score)| Scored { score: f64::from(*score), doc }).collect();
            let mut best = Best::new(k);
            all.iter().for_each(|scored| best.offer(*scored));
            let mut sorted = all;
            sorted.sort_by(|a, b| b.cmp(a));
            sorted.truncate(k);
            prop_assert_eq!(best.into_sorted(), sorted);
        }
    }
}
