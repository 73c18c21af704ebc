//! Chooses sentences that matter and do not repeat each other, as many as the budget allows.

use std::{cmp::Ordering, collections::BinaryHeap};

use super::{matrix::Matrix, rank::as_f64};
use crate::engine::Budget;

/// A summary that has come to this share of its budget in words is done: the rest would be filled with whatever is short.
const FULL_SHARE: f64 = 0.85;

/// A sentence is looked at again at most so often; then its last worth stands. Few come near it, but a text made for
/// the purpose could have all looked at again after each choice.
const LOOKS_MAX: u8 = 32;

/// What can be chosen from.
pub(super) struct Pool<'a> {
    /// How much each sentence matters: about 0 to 1.
    pub(super) relevance: &'a [f64],
    /// Unit vectors, for telling repetition.
    pub(super) vectors: &'a Matrix,
    /// Words of each sentence.
    pub(super) words: &'a [usize],
    /// How far relevance outweighs repetition: 0 to 1.
    pub(super) balance: f64,
}

/// A sentence in the queue, with the worth it had when it was last looked at.
struct Entry {
    worth: f64,
    sentence: usize,
    /// How many sentences were chosen when it was last looked at.
    seen: usize,
    /// How often it was looked at again.
    looks: u8,
}

// === impl Pool ===

impl Pool<'_> {
    /// Chooses from `candidates`; the answer is in order of choice.
    ///
    /// Each time the sentence of greatest worth is taken, if it fits: its relevance less its likeness to what is chosen.
    /// That likeness can only grow with each choice, so a worth once computed is an upper bound; the queue looks again
    /// only at sentences that come to its head, which keeps long texts cheap. For the same reason likeness is measured
    /// against all that is chosen at once: for each term the strongest that any chosen sentence has.
    pub(super) fn choose(&self, candidates: impl Iterator<Item = usize>, budget: Budget) -> Vec<usize> {
        let mut queue: BinaryHeap<Entry> = candidates
            .map(|sentence| Entry {
                worth: self.balance * self.relevance[sentence],
                sentence,
                seen: 0,
                looks: 0,
            })
            .collect();
        let mut chosen = Vec::new();
        let mut covered = vec![0.0_f64; self.vectors.columns];
        let mut left = match budget {
            Budget::Words(words) => words,
            Budget::Sentences(sentences) => sentences,
        };
        let full = match budget {
            Budget::Words(words) => as_f64(words) * (1.0 - FULL_SHARE),
            Budget::Sentences(_) => 0.0,
        };

        while let Some(entry) = queue.pop() {
            let cost = match budget {
                Budget::Words(_) => self.words[entry.sentence],
                Budget::Sentences(_) => 1,
            };
            if cost > left {
                continue;
            }
            if entry.seen < chosen.len() && entry.looks < LOOKS_MAX {
                let repeats = self.vectors.dot(entry.sentence, &covered).min(1.0);
                let worth = self.balance * self.relevance[entry.sentence] - (1.0 - self.balance) * repeats;
                queue.push(Entry { worth, seen: chosen.len(), looks: entry.looks + 1, ..entry });
                continue;
            }
            for (term, value) in self.vectors.row(entry.sentence) {
                covered[term] = covered[term].max(value);
            }
            chosen.push(entry.sentence);
            left -= cost;
            if as_f64(left) <= full {
                break;
            }
        }
        chosen
    }
}

// === impl Entry ===

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        // Of equals the earlier sentence comes first.
        self.worth.total_cmp(&other.worth).then(other.sentence.cmp(&self.sentence))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Entry {}
