//! Text -> tokens, each with its place in the text.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation as _;

/// A piece of text that is searched for as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) text: &'a str,
    /// Its bytes in the whole text.
    pub(super) bytes: Range<usize>,
    pub(super) script: Script,
}

/// How a token is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Script {
    /// A word between spaces.
    Spaced,
    /// A run of letters of a script that puts no spaces between words (or, in Korean, glues particles to
    /// them): read in pairs of letters.
    Unspaced,
}

/// A word longer than this is no word: what lies beyond is not looked at.
pub(super) const WORD_BYTES_MAX: usize = 64;

/// The tokens of `text`, in order.
pub(super) fn tokens(text: &str) -> impl Iterator<Item = Token<'_>> {
    let mut words = text.unicode_word_indices().peekable();
    std::iter::from_fn(move || {
        let (start, word) = words.next()?;
        let mut end = start + word.len();
        let script = script(word);
        if script == Script::Unspaced {
            // Segmentation makes of each letter a word; what touches belongs together.
            while let Some((_, next)) =
                words.next_if(|(at, next)| *at == end && self::script(next) == Script::Unspaced)
            {
                end += next.len();
            }
        }
        Some((start..end, script))
    })
    .flat_map(move |(bytes, script)| parts(text, bytes, script))
}

/// The pairs of letters of an unspaced run, and of a single letter itself; with each its bytes in the run.
pub(super) fn pairs(run: &str) -> impl Iterator<Item = (Range<usize>, &str)> {
    let letters: Vec<_> = run.grapheme_indices(true).map(|(at, letter)| at..at + letter.len()).collect();
    let width = letters.len().min(2);
    (0..(letters.len() + 1).saturating_sub(width.max(1))).filter_map(move |first| {
        let bytes = letters.get(first)?.start..letters.get(first + width - 1)?.end;
        run.get(bytes.clone()).map(|pair| (bytes, pair))
    })
}

/// Whether what lies between two tokens keeps them from being read together: the end of a sentence or of a part of it.
pub(super) fn is_break(between: &str) -> bool {
    // Inside a name, as in `os.path`, there is no space.
    between.contains(char::is_whitespace)
        && (between.contains(['.', '!', '?', ';', ':', ',', '…', '(', ')', '[', ']', '|', '•'])
            || between.matches('\n').count() > 1)
}

/// Whether each letter of the run says something alone, so that it is indexed alone too.
pub(super) fn is_ideograph(letter: &str) -> bool {
    letter.chars().next().is_some_and(is_han)
}

/// Segmentation leaves names such as `os.path`, `max_width` and `10:30` whole; people look for their parts.
fn parts(text: &str, bytes: Range<usize>, script: Script) -> impl Iterator<Item = Token<'_>> {
    let whole = text.get(bytes.clone()).unwrap_or_default();
    let mut from = 0;
    let mut done = false;
    std::iter::from_fn(move || {
        loop {
            if done {
                return None;
            }
            let rest = whole.get(from..)?;
            let cut = rest.char_indices().find(|(at, c)| is_cut(rest, *at, *c));
            let (len, skip) = cut.map_or((rest.len(), 0), |(at, c)| (at, c.len_utf8()));
            let start = bytes.start + from;
            from += len + skip;
            done = cut.is_none();
            if len > 0 {
                let bytes = start..start + len;
                return Some(Token { text: text.get(bytes.clone())?, bytes, script });
            }
        }
    })
}

/// Whether `text` falls apart at its letter `c`. Not inside a number: "1.5" is one thing.
fn is_cut(text: &str, at: usize, c: char) -> bool {
    let is_digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
    match c {
        '_' | ':' | '·' => true,
        '.' | ',' | ';' => {
            let before = text.get(..at).and_then(|it| it.chars().next_back());
            let after = text.get(at + c.len_utf8()..).and_then(|it| it.chars().next());
            !(is_digit(before) && is_digit(after))
        }
        _ => false,
    }
}

fn script(word: &str) -> Script {
    if word.chars().next().is_some_and(is_unspaced) { Script::Unspaced } else { Script::Spaced }
}

fn is_han(c: char) -> bool {
    matches!(c, '\u{3005}'..='\u{3007}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{323af}')
}

fn is_unspaced(c: char) -> bool {
    is_han(c)
        || matches!(c,
            // Thai, Lao, Tibetan, Burmese, Khmer.
            '\u{e00}'..='\u{fff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}'
            // Kana, Bopomofo, and half-width kana.
            | '\u{3040}'..='\u{312f}' | '\u{31a0}'..='\u{31ff}' | '\u{ff66}'..='\u{ff9f}'
            // Hangul.
            | '\u{1100}'..='\u{11ff}' | '\u{3130}'..='\u{318f}' | '\u{ac00}'..='\u{d7a3}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<&str> {
        tokens(text).map(|token| token.text).collect()
    }

    #[test]
    fn names_fall_apart_and_numbers_do_not() {
        assert_eq!(
            texts("os.path.join(max_width), at 1.5 or 10:30; can't!"),
            ["os", "path", "join", "max", "width", "at", "1.5", "or", "10", "30", "can't"]
        );
        assert_eq!(texts("__init__ _ . 3.x"), ["init", "3", "x"]);
    }

    #[test]
    fn what_has_no_spaces_is_one_run() {
        assert_eq!(
            texts("東京都に行く。Tokyo ภาษาไทย 한국어를"),
            ["東京都に行く", "Tokyo", "ภาษาไทย", "한국어를"]
        );
        let found: Vec<_> = pairs("東京都").map(|(_, pair)| pair).collect();
        assert_eq!(found, ["東京", "京都"]);
        assert_eq!(pairs("猫").map(|(_, pair)| pair).collect::<Vec<_>>(), ["猫"]);
        assert_eq!(pairs("").count(), 0);
    }

    #[test]
    fn sentences_are_apart() {
        for (between, is) in [
            (" ", false),
            (".", false),
            (". ", true),
            (", ", true),
            ("\n\n", true),
            ("\n", false),
            (" (", true),
        ] {
            assert_eq!(is_break(between), is, "{between:?}");
        }
    }

    #[test]
    fn a_token_says_where_it_lies() {
        let text = "Ünïted_naïve — 東京 x";
        for token in tokens(text) {
            assert_eq!(&text[token.bytes.clone()], token.text);
        }
    }
}
