//! Cuts text into sentences.
//!
//! A stop ends a sentence unless something speaks against it: what stands before it (an abbreviation, an
//! initial, a number that counts), what follows at once (a decimal, the rest of an address), or the word after
//! it (a small letter). Quotes and brackets that close at a stop stay with the sentence they close.

use super::{
    abbreviations::{BEFORE_NUMBERS, MAYBE_LAST, NEVER_LAST, STARTERS, holds},
    lines::{Kind, Layout, Segment},
};

/// A sentence of the source; all are byte positions.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Span {
    /// First byte, of the speaker's label where the sentence begins a turn.
    pub(super) start: usize,
    /// First byte after the label: what is said.
    pub(super) body: usize,
    /// One past the last byte.
    pub(super) end: usize,
    /// Which segment it stands in.
    pub(super) segment: usize,
    /// Whether it ends with a stop.
    pub(super) stopped: bool,
}

/// How far from the start of a word its stop may stand and still be read as part of it.
const WORD_BYTES_MAX: usize = 32;

/// The sentences of `text`, in order; none is empty, none overlaps another.
pub(super) fn sentences(text: &str, layout: &Layout) -> Vec<Span> {
    let rules = Rules { text, caseless: seems_caseless(text) };
    let mut spans = Vec::new();
    for (index, segment) in layout.segments.iter().enumerate() {
        rules.cut(index, segment, &mut spans);
    }
    spans
}

struct Rules<'t> {
    text: &'t str,
    /// Whether sentences begin with small letters here.
    caseless: bool,
}

// === impl Rules ===

impl Rules<'_> {
    /// Adds the sentences of one segment.
    fn cut(&self, index: usize, segment: &Segment, spans: &mut Vec<Span>) {
        let (text, end) = (self.text, segment.end);
        let bytes = text.as_bytes();
        let mut add = |body: usize, end: usize, stopped: bool| {
            // What a speaker says first carries the name; later sentences of the turn stand alone.
            let start = if body == segment.body { segment.label } else { body };
            if body < end {
                spans.push(Span { start, body, end, segment: index, stopped });
            }
        };

        let (mut from, mut at) = (segment.body, segment.body);
        while at < end {
            if bytes[at].is_ascii() && !matches!(bytes[at], b'.' | b'!' | b'?') {
                at += 1;
                continue;
            }
            let Some(stop) = text[at..end].chars().next() else { break };
            if !is_stop(stop) {
                at += stop.len_utf8();
                continue;
            }
            let stops_end = at + run(&text[at..end], is_stop);
            let closed = stops_end + closers(&text[stops_end..end]);
            if self.ends(from, at, stops_end, closed, end) {
                add(from, closed, true);
                from = closed + run(&text[closed..end], char::is_whitespace);
                at = from;
            } else {
                at = stops_end;
            }
        }
        let stopped = segment.kind != Kind::Apart && text[from..end].ends_with([':', ';']);
        add(from, end, stopped);
    }

    /// Whether the stops from `stop` to `stops_end`, in a sentence that begins at `from`, end it.
    fn ends(&self, from: usize, stop: usize, stops_end: usize, closed: usize, end: usize) -> bool {
        let stops = &self.text[stop..stops_end];
        let rest = &self.text[closed..end];
        if rest.is_empty() {
            return true;
        }
        if stops.chars().any(is_wide_stop) {
            // A quotation that closes may be only a part of the sentence: 「何？」と聞いた.
            return closed == stops_end || !rest.starts_with(char::is_alphanumeric);
        }
        if !rest.starts_with(char::is_whitespace) {
            return false;
        }
        let next = rest.trim_start_matches(|c: char| c.is_whitespace() || is_opener(c));
        let small = next.starts_with(char::is_lowercase);
        if small && !self.caseless {
            return false;
        }
        if stops != "." || closed > stops_end {
            return true;
        }
        self.full_stop_ends(from, stop, next)
    }

    /// Whether a lone full stop after the word that ends at `stop` ends a sentence when `next` follows.
    fn full_stop_ends(&self, from: usize, stop: usize, next: &str) -> bool {
        let word = last_word(&self.text[from..stop]);
        let begins_sentence = word.len() == stop - from;
        let next_word = &next[..run(next, |c| c.is_alphanumeric() || c == '\'' || c == '’')];
        let starter = || holds(STARTERS, next_word.split(['\'', '’']).next().unwrap_or_default());
        let word = word.trim_start_matches(|c: char| !c.is_alphanumeric());
        let mut letters = word.chars();

        match (letters.next(), letters.next()) {
            (None, _) => true,
            // "1. Scope": a number that only counts.
            (Some(first), _)
                if first.is_ascii_digit() && word.chars().all(|c| c.is_ascii_digit() || c == '.') =>
            {
                !(begins_sentence && word.len() <= 6)
            }
            // "J. Smith", "p. 3"; but "vitamin C. The".
            (Some(only), None) if only.is_uppercase() => !begins_sentence && starter(),
            (Some(only), None) if only.is_ascii_lowercase() => {
                !next.starts_with(|c: char| c.is_ascii_digit())
            }
            _ if is_acronym(word) => !holds(&["e.g", "i.e", "z.B", "u.a", "d.h"], word) && starter(),
            _ if holds(NEVER_LAST, word) => false,
            _ if holds(BEFORE_NUMBERS, word) => !next.starts_with(|c: char| c.is_numeric()),
            _ if holds(MAYBE_LAST, word) => starter(),
            _ => true,
        }
    }
}

/// Whether the text begins its sentences with small letters, as chats and transcripts do.
fn seems_caseless(text: &str) -> bool {
    let (mut small, mut great) = (0_usize, 0_usize);
    for (stop, _) in text.match_indices(['.', '!', '?']) {
        let word_before = text[..stop].ends_with(|c: char| c.is_lowercase() || c.is_numeric());
        let after = &text[stop + 1..];
        if word_before && after.starts_with(char::is_whitespace) {
            match after.trim_start().chars().next() {
                Some(first) if first.is_lowercase() => small += 1,
                Some(first) if first.is_alphanumeric() => great += 1,
                _ => {}
            }
        }
    }
    small > 2 * great
}

/// The bytes at the start of `text` whose characters are all `of_kind`.
fn run(text: &str, of_kind: impl Fn(char) -> bool) -> usize {
    text.len() - text.trim_start_matches(of_kind).len()
}

/// The bytes at the start of `text` that close what a stop ends: quotes, brackets, marks of citation.
fn closers(text: &str) -> usize {
    let mut closed = run(text, is_closer);
    // "as was shown.[12] The"
    while let Some(cited) = text[closed..].strip_prefix('[') {
        let inner = run(cited, |c| c.is_ascii_digit() || matches!(c, ',' | ' ' | '-' | '–'));
        if inner == 0 || !cited[inner..].starts_with(']') {
            break;
        }
        closed += inner + 2;
    }
    closed
}

/// The last word of `text`, at most [`WORD_BYTES_MAX`] long.
fn last_word(text: &str) -> &str {
    let mut window = text.len().saturating_sub(WORD_BYTES_MAX);
    while !text.is_char_boundary(window) {
        window += 1;
    }
    let near = &text[window..];
    near.rfind(|c: char| c.is_whitespace() || is_opener(c) || c == '/' || c == '-')
        .map_or(near, |space| &near[space + near[space..].chars().next().map_or(1, char::len_utf8)..])
}

/// Whether `word` is letters with stops between them, such as "U.S" or "Ph.D".
fn is_acronym(word: &str) -> bool {
    word.contains('.')
        && word.split('.').all(|part| part.chars().count() <= 2 && part.chars().all(char::is_alphabetic))
}

fn is_stop(c: char) -> bool {
    matches!(c, '.' | '!' | '?' | '…' | '‼' | '⁇' | '⁈' | '⁉') || is_wide_stop(c)
}

/// Stops that need no space after them.
fn is_wide_stop(c: char) -> bool {
    matches!(
        c,
        // Chinese and Japanese; Arabic and Urdu; Devanagari; Ethiopic; Khmer; Burmese; Armenian; Tibetan.
        '。' | '！'
            | '？'
            | '｡'
            | '．'
            | '؟'
            | '۔'
            | '।'
            | '॥'
            | '።'
            | '፧'
            | '។'
            | '။'
            | '։'
            | '།'
    )
}

fn is_closer(c: char) -> bool {
    matches!(
        c,
        '"' | '\'' | '”' | '’' | '»' | '›' | ')' | ']' | '}' | '」' | '』' | '）' | '】' | '》' | '〉'
    )
}

fn is_opener(c: char) -> bool {
    matches!(
        c,
        '"' | '\''
            | '“'
            | '‘'
            | '«'
            | '‹'
            | '„'
            | '('
            | '['
            | '{'
            | '¿'
            | '¡'
            | '-'
            | '–'
            | '—'
            | '「'
            | '『'
            | '（'
            | '【'
            | '《'
            | '〈'
            | '*'
            | '_'
            | '`'
    )
}

#[cfg(test)]
mod tests {
    use super::{super::lines::Layout, sentences};

    fn cut(text: &str) -> Vec<&str> {
        let layout = Layout::of(text);
        sentences(text, &layout).iter().map(|span| &text[span.start..span.end]).collect()
    }

    /// Each line is one text, with a bar where a sentence ends.
    fn assert_cuts(cases: &str) {
        for case in cases.lines().map(str::trim).filter(|case| !case.is_empty()) {
            let expected: Vec<&str> = case.split(" | ").collect();
            let text = expected.join(" ");
            assert_eq!(cut(&text), expected);
        }
    }

    #[test]
    fn stops_end_sentences() {
        assert_cuts(
            "
            It rained. | We stayed in! | Did you? | Yes
            Wait... | No one came.
            What?! | Nothing.
            ",
        );
    }

    #[test]
    fn abbreviations_and_initials_end_none() {
        assert_cuts(
            "
            Dr. Smith met Mrs. Jones. | They talked.
            J. R. R. Tolkien wrote it. | We read it.
            See Fig. 3 and pp. 12 of Vol. 2. | It helps.
            Use tools, e.g. Hammers, i.e. What hits. | Then rest.
            The firm Acme Inc. Of Ohio grew. | It paid.
            The U.S. Navy came at 5 p.m. | The day was over.
            He works for Acme Inc. | The firm pays well.
            She likes vitamin C. | The rest she leaves.
            There is no. 5 here. | No. | He said so.
            ",
        );
    }

    #[test]
    fn numbers_and_addresses_are_whole() {
        assert_cuts(
            "
            It cost 3.5 million. | That is a lot.
            Look at https://a.example/b.html?c=1. | Then go on.
            Write to a.b@c.example today. | Version 1.2.3 is out.
            It was in 1999. | The year was good.
            ",
        );
    }

    #[test]
    fn quotes_and_brackets_stay_with_what_they_close() {
        assert_cuts(
            r#"
            He said: "Go home." | Then he left.
            “Why?” she asked. | “Because.” | They went.
            It ended (as expected.) | Then it began.
            It was shown.[12] | It was shown again.[3, 4] | So be it.
            "#,
        );
    }

    #[test]
    fn a_small_letter_goes_on_unless_all_sentences_begin_so() {
        assert_cuts("The no. of them... is large. | It grows.");
        assert_eq!(cut("hello there. how are you? fine. and you?").len(), 4);
    }

    #[test]
    fn other_scripts_have_stops_of_their_own() {
        assert_eq!(
            cut("今日は雨です。明日は晴れ！そうですか？"),
            ["今日は雨です。", "明日は晴れ！", "そうですか？"]
        );
        assert_eq!(cut("他说：“好。”然后走了。"), ["他说：“好。”然后走了。"]);
        assert_eq!(cut("यह एक वाक्य है। यह दूसरा है।"), ["यह एक वाक्य है।", "यह दूसरा है।"]);
        assert_eq!(cut("هل أنت هنا؟ نعم أنا هنا."), ["هل أنت هنا؟", "نعم أنا هنا."]);
    }

    #[test]
    fn the_first_sentence_of_a_turn_carries_the_speakers_name() {
        assert_eq!(
            cut("Ann: Hello there. How are you?\nBob: Fine.\nAnn: Good."),
            ["Ann: Hello there.", "How are you?", "Bob: Fine.", "Ann: Good."]
        );
    }

    #[test]
    fn numbered_headings_are_whole() {
        assert_eq!(cut("2.1. Scope of this text\n\nIt is wide."), ["2.1. Scope of this text", "It is wide."]);
    }

    #[test]
    fn no_text_has_no_sentence() {
        assert!(cut("").is_empty());
        assert!(cut(" \n\t\r\n ").is_empty());
    }
}
