//! The tokenizer `unicode-words`: a token is a word of Unicode Standard Annex 29.

use unicode_segmentation::UnicodeSegmentation as _;

/// How many tokens `text` has.
pub(crate) fn count(text: &str) -> u32 {
    u32::try_from(text.unicode_words().count()).unwrap_or(u32::MAX)
}

/// As much of the beginning of `text` as `tokens` and `bytes` allow, and how many tokens that is.
///
/// Cuts behind a word, never within one.
pub(super) fn cut(text: &str, tokens: u32, bytes: usize) -> (&str, u32) {
    let mut kept = 0;
    let mut end = 0;
    for (start, word) in text.unicode_word_indices() {
        if kept == tokens || start + word.len() > bytes {
            return (&text[..end], kept);
        }
        kept += 1;
        end = start + word.len();
    }
    // What follows the last word holds no token, so only its bytes count.
    let rest = text.floor_char_boundary(bytes.max(end));
    (&text[..rest], kept)
}

#[cfg(test)]
mod tests {
    //! Counting and cutting agree.

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_are_counted_as_annex_29_has_it() {
        assert_eq!(count("The quick (\"brown\") fox can't jump 32.3 feet, right?"), 9);
        assert_eq!(count(""), 0);
        assert_eq!(count(" \n-- !? "), 0);
    }

    #[test]
    fn a_text_that_fits_is_left_alone() {
        assert_eq!(cut("two words.", 2, 10), ("two words.", 2));
        assert_eq!(cut("", 0, 0), ("", 0));
    }

    #[test]
    fn a_cut_falls_behind_a_word() {
        assert_eq!(cut("one two three.", 2, 100), ("one two", 2));
        assert_eq!(cut("one two three.", 3, 9), ("one two", 2));
        assert_eq!(cut("one two", 0, 100), ("", 0));
        assert_eq!(cut("one….", 1, 4), ("one", 1));
    }

    proptest! {
        #[test]
        fn a_cut_is_a_beginning_within_its_bounds(text in "\\PC{0,80}", tokens in 0_u32..12, bytes in 0_usize..200) {
            let (kept, counted) = cut(&text, tokens, bytes);
            prop_assert!(text.starts_with(kept));
            prop_assert!(kept.len() <= bytes);
            prop_assert!(counted <= tokens);
            prop_assert_eq!(count(kept), counted);
            if count(&text) <= tokens && text.len() <= bytes {
                prop_assert_eq!(kept, &text);
            }
        }
    }
}
