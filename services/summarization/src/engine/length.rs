//! How long a summary may be: the wish, and what it comes to for one text.

/// How long a summary may be, as the caller puts it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Length {
    /// At most this many words, as Unicode counts them (UAX 29).
    Words(u32),
    /// At most this many sentences, however long.
    Sentences(u32),
    /// At most this many tokens of the tokenizer `unicode-words`, which takes each word as one token.
    Tokens(u32),
    /// At most this share of the source's words.
    Ratio(f64),
}

/// What a [`Length`] comes to for one text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Budget {
    /// At most this many words, and never none.
    Words(usize),
    /// At most this many sentences, and never none.
    Sentences(usize),
}

// === impl Length ===

impl Length {
    /// What this comes to for a text of `source_words` words.
    ///
    /// A limit of nothing counts as a limit of one: a text that has a word has a summary.
    pub fn budget(self, source_words: usize) -> Budget {
        let whole = |limit: u32| usize::try_from(limit).unwrap_or(usize::MAX).max(1);
        match self {
            Self::Words(limit) | Self::Tokens(limit) => Budget::Words(whole(limit)),
            Self::Sentences(limit) => Budget::Sentences(whole(limit)),
            Self::Ratio(ratio) => {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    clippy::cast_precision_loss,
                    reason = "a text has far fewer than 2^52 words, and a cast from float saturates"
                )]
                let words = (ratio.clamp(0.0, 1.0) * source_words as f64).floor() as usize;
                Budget::Words(words.max(1))
            }
        }
    }
}

impl Default for Length {
    fn default() -> Self {
        Self::Words(120)
    }
}

#[cfg(test)]
mod tests {
    use super::{Budget, Length};

    #[test]
    fn a_ratio_is_a_share_of_the_sources_words_rounded_down() {
        assert_eq!(Length::Ratio(0.25).budget(103), Budget::Words(25));
        assert_eq!(Length::Ratio(1.0).budget(103), Budget::Words(103));
    }

    #[test]
    fn no_limit_comes_to_nothing() {
        for length in [Length::Words(0), Length::Tokens(0), Length::Ratio(0.0), Length::Ratio(f64::NAN)] {
            assert_eq!(length.budget(50), Budget::Words(1), "{length:?}");
        }
        assert_eq!(Length::Sentences(0).budget(50), Budget::Sentences(1));
    }

    #[test]
    fn a_token_of_the_unicode_words_tokenizer_is_a_word() {
        assert_eq!(Length::Tokens(17).budget(50), Length::Words(17).budget(50));
    }
}
