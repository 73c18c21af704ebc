//! Every tokenizer counts as its name promises, and cuts to what it counts.

use proptest::prelude::*;
use tiktoken_rs::{CoreBPE, cl100k_base_singleton, o200k_base_singleton};

use super::*;

const ALL: [Tokenizer; 3] = [Tokenizer::UnicodeWords, Tokenizer::Cl100kBase, Tokenizer::O200kBase];

/// Both encodings, and an independent implementation of each.
fn pairs() -> [(Tokenizer, &'static CoreBPE); 2] {
    [(Tokenizer::Cl100kBase, cl100k_base_singleton()), (Tokenizer::O200kBase, o200k_base_singleton())]
}

/// Texts as people and machines write them.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "\\PC{0,80}",
        "[a-zA-Z0-9 '.,\n\t]{0,200}",
        "([A-Za-z]{1,12}('s|'LL|n't)?[ .,;\n]{1,3}){0,30}",
        "[\\p{Han}\\p{Hiragana}\\p{Arabic}\\p{Cyrillic} ]{0,60}",
        "[ \r\n\t\u{a0}\u{3000}]{0,60}[a-z]{0,3}",
        "[{}()<>=+/*_-]{0,60}",
    ]
}

#[test]
fn names_are_read_as_they_are_written() {
    for tokenizer in ALL {
        assert_eq!(Tokenizer::named(tokenizer.name()), Some(tokenizer));
    }
    assert_eq!(Tokenizer::named(""), Some(Tokenizer::UnicodeWords));
    assert_eq!(Tokenizer::named("p50k_base"), None);
}

#[test]
fn known_texts_have_their_known_counts() {
    // As OpenAI's own tokenizer counts them.
    for (text, cl100k, o200k) in [
        ("tiktoken is great!", 6, 6),
        ("antidisestablishmentarianism", 6, 6),
        ("2 + 2 = 4", 7, 7),
        ("お誕生日おめでとう", 9, 8),
        ("", 0, 0),
    ] {
        let counted = [Tokenizer::Cl100kBase, Tokenizer::O200kBase].map(|tokenizer| tokenizer.count(text));
        assert_eq!(counted, [cl100k, o200k], "{text}");
    }
}

#[test]
fn no_token_is_longer_than_is_reckoned_with() {
    for encoding in [bpe_openai::cl100k_base(), bpe_openai::o200k_base()] {
        let tokens = 0..u32::try_from(encoding.bpe.num_tokens()).expect("few");
        let longest = tokens.map(|token| encoding.bpe.token_len(token) as u64).max();
        assert_eq!(longest, Some(pairs::TOKEN_BYTES_MAX));
    }
}

#[test]
fn a_text_made_to_be_slow_is_counted_like_any_other() {
    let texts = [
        format!("{}x", " ".repeat(2_000_000)),
        "qz".repeat(1_000_000),
        " \n".repeat(1_000_000),
        "字".repeat(600_000),
    ];
    for text in &texts {
        for tokenizer in ALL {
            let counted = tokenizer.count(text);
            let words = count(text);
            assert!(u64::from(counted) >= tokenizer.least(words.into(), text.len() as u64), "{tokenizer:?}");
        }
    }
}

#[test]
fn a_text_of_one_endless_word_is_cut_to_nothing() {
    let word = "a".repeat(10_000);
    for tokenizer in ALL {
        assert_eq!(tokenizer.cut(&word, 5, 100), ("", 0));
    }
    assert_eq!(Tokenizer::Cl100kBase.cut(&word, 5, 20_000), ("", 0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn counts_are_those_of_another_implementation(text in text()) {
        for (tokenizer, other) in pairs() {
            let counted = tokenizer.count(&text) as usize;
            prop_assert_eq!(counted, other.encode_ordinary(&text).len(), "{:?}", tokenizer);
        }
    }

    #[test]
    fn a_cut_is_a_beginning_within_its_bounds(text in text(), tokens in 0_u32..30, bytes in 0_usize..200) {
        for tokenizer in ALL {
            let (kept, counted) = tokenizer.cut(&text, tokens, bytes);
            prop_assert!(text.starts_with(kept));
            prop_assert!(kept.len() <= bytes && counted <= tokens);
            prop_assert_eq!(tokenizer.count(kept), counted);
            if tokenizer.count(&text) <= tokens && text.len() <= bytes {
                prop_assert_eq!(kept, &text);
            }
        }
    }

    #[test]
    fn no_text_has_fewer_tokens_than_its_least(text in text()) {
        for tokenizer in ALL {
            let least = tokenizer.least(count(&text).into(), text.len() as u64);
            prop_assert!(u64::from(tokenizer.count(&text)) >= least, "{:?}", tokenizer);
        }
    }
}
