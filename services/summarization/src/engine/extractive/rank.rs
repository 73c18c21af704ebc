//! How much each sentence matters to its text.
//!
//! Two measures of centrality, both linear in the text since neither forms the matrix of sentences by sentences:
//! one asks how much of what follows a sentence speaks of and how little of what went before (PacSum's directed
//! centrality), the other which sentences the others point to (TextRank over BM25).

use super::matrix::Matrix;

/// TextRank's share of steps that follow a link; the rest begin anywhere.
const DAMPING: f64 = 0.85;
/// Steps of the power iteration: enough for the order to settle.
const STEPS: usize = 30;
/// BM25's saturation of repeated terms.
const K1: f64 = 1.2;
/// BM25's correction for length.
const B: f64 = 0.75;

/// The sentences' unit vectors: terms said often here and seldom elsewhere weigh most.
pub(super) fn unit_vectors(counts: &Matrix) -> Matrix {
    let rarity = rarity(counts);
    counts.map(|_, term, count| (1.0 + count.ln()) * rarity[term]).unit()
}

/// The weight of each term: high for those that few sentences say.
pub(super) fn rarity(counts: &Matrix) -> Vec<f64> {
    let sentences = as_f64(counts.rows());
    counts.rows_with().iter().map(|with| (1.0 + sentences / (1.0 + with)).ln()).collect()
}

/// For each sentence: its likeness to all later ones less its likeness to all earlier ones.
pub(super) fn directed_centrality(vectors: &Matrix) -> Vec<f64> {
    let mut later = vec![0.0; vectors.columns];
    for row in 0..vectors.rows() {
        vectors.add_to(row, 1.0, &mut later);
    }
    let mut earlier = vec![0.0; vectors.columns];
    let mut scores = Vec::with_capacity(vectors.rows());
    for row in 0..vectors.rows() {
        vectors.add_to(row, -1.0, &mut later);
        scores.push(vectors.dot(row, &later) - vectors.dot(row, &earlier));
        vectors.add_to(row, 1.0, &mut earlier);
    }
    scores
}

/// For each sentence: how often a reader lands on it who goes from sentence to sentence by the terms they share.
///
/// The matrix of likenesses is `W * Q'` with `W` the BM25 weights and `Q` the terms' presence; it is only ever applied
/// to a vector, never formed, and its diagonal (a sentence's likeness to itself) is taken out as it is applied.
pub(super) fn walk_centrality(counts: &Matrix) -> Vec<f64> {
    let n = counts.rows();
    if n == 0 {
        return Vec::new();
    }
    let weights = bm25(counts);
    let asks = counts.map(|_, _, count| count);
    let to_itself: Vec<f64> = (0..n)
        .map(|row| weights.row(row).zip(asks.row(row)).map(|((_, weight), (_, asked))| weight * asked).sum())
        .collect();

    let mut offered = vec![0.0; counts.columns];
    for row in 0..n {
        weights.add_to(row, 1.0, &mut offered);
    }
    let leaves: Vec<f64> = (0..n).map(|row| asks.dot(row, &offered) - to_itself[row]).collect();

    let mut rank = vec![1.0 / as_f64(n); n];
    let mut asked = vec![0.0; counts.columns];
    for _ in 0..STEPS {
        asked.fill(0.0);
        let mut stuck = 0.0;
        for row in 0..n {
            if leaves[row] > f64::EPSILON {
                asks.add_to(row, rank[row] / leaves[row], &mut asked);
            } else {
                stuck += rank[row];
            }
        }
        let anywhere = (1.0 - DAMPING + DAMPING * stuck) / as_f64(n);
        rank = (0..n)
            .map(|row| {
                let own =
                    if leaves[row] > f64::EPSILON { to_itself[row] * rank[row] / leaves[row] } else { 0.0 };
                anywhere + DAMPING * (weights.dot(row, &asked) - own).max(0.0)
            })
            .collect();
    }
    rank
}

/// The BM25 weight of each term in each sentence.
fn bm25(counts: &Matrix) -> Matrix {
    let lengths: Vec<f64> =
        (0..counts.rows()).map(|row| counts.row(row).map(|(_, count)| count).sum()).collect();
    let mean = (lengths.iter().sum::<f64>() / as_f64(lengths.len().max(1))).max(1.0);
    let rarity = rarity(counts);
    counts.map(|row, term, count| {
        let length = 1.0 - B + B * lengths[row] / mean;
        rarity[term] * count * (K1 + 1.0) / (count + K1 * length)
    })
}

/// The scores' places: 1 for the highest, 0 for the lowest, evenly between; of equals the earlier is the higher.
pub(super) fn places(scores: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b)));
    let steps = as_f64(scores.len().saturating_sub(1).max(1));
    let mut places = vec![0.0; scores.len()];
    for (place, row) in order.into_iter().enumerate() {
        places[row] = 1.0 - as_f64(place) / steps;
    }
    places
}

#[expect(clippy::cast_precision_loss, reason = "counts of sentences and words are far below 2^52")]
pub(super) fn as_f64(count: usize) -> f64 {
    count as f64
}
