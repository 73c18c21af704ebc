//! `cl100k_base` and `o200k_base`: byte pair encodings, counted in time linear in the text.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation as _;

use super::Tokenizer;

/// The longest token of either encoding: 128 spaces.
pub(super) const TOKEN_BYTES_MAX: u64 = 128;

/// How many tokens `text` has.
pub(super) fn count(tokenizer: Tokenizer, text: &str) -> u32 {
    let encoding = match tokenizer {
        Tokenizer::O200kBase => bpe_openai::o200k_base(),
        Tokenizer::Cl100kBase | Tokenizer::UnicodeWords => bpe_openai::cl100k_base(),
    };
    u32::try_from(encoding.count(text)).unwrap_or(u32::MAX)
}

/// As much of the beginning of `text` as `tokens` and `bytes` allow, and how many tokens that is.
///
/// Cuts behind a word, never within one, and never in what follows the last word that fits.
pub(super) fn cut(tokenizer: Tokenizer, text: &str, tokens: u32, bytes: usize) -> (&str, u32) {
    // Longer than this it has too many tokens whatever they are, so no more is ever counted.
    let reach = u64::from(tokens).saturating_mul(TOKEN_BYTES_MAX);
    let reach = bytes.min(usize::try_from(reach).unwrap_or(usize::MAX));
    if text.len() <= reach {
        let whole = count(tokenizer, text);
        if whole <= tokens {
            return (text, whole);
        }
    }
    let ends: Vec<usize> = text
        .unicode_word_indices()
        .map(|(start, word)| start + word.len())
        .take_while(|&end| end <= reach)
        .collect();
    // A longer beginning has hardly ever fewer tokens, but it may; so the search ends in a count.
    let mut fitting = longest(0..ends.len(), |n| count(tokenizer, &text[..ends[n]]) <= tokens);
    while let Some(n) = fitting {
        let kept = &text[..ends[n]];
        let counted = count(tokenizer, kept);
        if counted <= tokens {
            return (kept, counted);
        }
        fitting = n.checked_sub(1);
    }
    ("", 0)
}

/// The last of `range` that fits, if those that fit stand before those that do not.
fn longest(range: Range<usize>, fits: impl Fn(usize) -> bool) -> Option<usize> {
    let Range { mut start, mut end } = range;
    while start < end {
        let middle = start.midpoint(end);
        if fits(middle) {
            start = middle + 1;
        } else {
            end = middle;
        }
    }
    start.checked_sub(1)
}
