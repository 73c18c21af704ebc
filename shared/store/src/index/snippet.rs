//! What to show of a text that was found, once it is unsealed, and what to mark in it.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    fmt,
    ops::Range,
};

use unicode_segmentation::UnicodeSegmentation as _;

use super::{
    Language, Languages, Query,
    language::Rules,
    terms::within_bounds,
    tokens::{Script, pairs, tokens},
};

/// Finds a query's words in texts.
pub struct Matcher {
    rules: Vec<(Language, Rules)>,
    /// For each part of the query the forms of its words, and its prefix.
    parts: Vec<(BTreeSet<String>, Option<String>)>,
}

/// A piece of a text with what was found in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snippet {
    /// The piece: it begins and ends between letters as readers see them, and between words where it can.
    pub text: String,
    /// What to mark: bytes of `text`, in order, apart from one another.
    pub highlights: Vec<Range<usize>>,
    /// Whether more text comes before it.
    pub cut_before: bool,
    /// Whether more text comes after it.
    pub cut_after: bool,
}

#[derive(Debug)]
struct Mark {
    bytes: Range<usize>,
    part: usize,
}

/// So much of a text is looked through; a snippet is of this part.
const LOOKED_AT_MAX: usize = 64 * 1024;

// === impl Matcher ===

impl Matcher {
    /// Finds the words of `query`, by the rules of `languages` ([`super::Found::languages`]).
    pub fn new(query: &Query, languages: Languages) -> Self {
        let rules: Vec<Rules> = languages.iter().map(Language::rules).collect();
        let parts = query.words(&rules);
        Self { rules: languages.iter().zip(rules).collect(), parts }
    }

    /// The piece of `text` of at most `bytes_max` that has most of the query's words.
    ///
    /// Without any of them it is the beginning.
    pub fn snippet(&self, text: &str, bytes_max: usize) -> Snippet {
        let looked_at = &text[..text.floor_char_boundary(LOOKED_AT_MAX)];
        let marks = self.marks(looked_at);
        let window = window(looked_at, &marks, bytes_max);
        let mut highlights: Vec<Range<usize>> = Vec::new();
        for mark in marks {
            if mark.bytes.start < window.start || mark.bytes.end > window.end {
                continue;
            }
            let bytes = mark.bytes.start - window.start..mark.bytes.end - window.start;
            match highlights.last_mut() {
                // The pairs of an unspaced run overlap.
                Some(last) if bytes.start < last.end => last.end = last.end.max(bytes.end),
                _ => highlights.push(bytes),
            }
        }
        Snippet {
            text: text.get(window.clone()).unwrap_or_default().to_owned(),
            highlights,
            cut_before: window.start > 0,
            cut_after: window.end < text.trim_end().len(),
        }
    }

    /// Where the query's words are, in order. Read in the text's own language; in every other if none is there.
    fn marks(&self, text: &str) -> Vec<Mark> {
        let language = Language::of(text);
        let own: Vec<&Rules> = self.rules.iter().filter(|it| it.0 == language).map(|it| &it.1).collect();
        let marks = self.marks_by(text, &own);
        if !marks.is_empty() {
            return marks;
        }
        let others: Vec<&Rules> = self.rules.iter().filter(|it| it.0 != language).map(|it| &it.1).collect();
        self.marks_by(text, &others)
    }

    fn marks_by(&self, text: &str, rules: &[&Rules]) -> Vec<Mark> {
        let mut marks = Vec::new();
        // Of what a text says most it says again and again.
        let mut known: HashMap<&str, Option<usize>> = HashMap::new();
        for token in tokens(text) {
            match token.script {
                Script::Spaced => {
                    let part = *known.entry(token.text).or_insert_with(|| self.part(token.text, rules));
                    marks.extend(part.map(|part| Mark { bytes: token.bytes, part }));
                }
                Script::Unspaced => {
                    for (bytes, pair) in pairs(token.text) {
                        let part = *known.entry(pair).or_insert_with(|| self.part(pair, rules));
                        let bytes = token.bytes.start + bytes.start..token.bytes.start + bytes.end;
                        marks.extend(part.map(|part| Mark { bytes, part }));
                    }
                    self.mark_letters(token.text, token.bytes.start, &mut marks);
                }
            }
        }
        marks.sort_by_key(|mark| mark.bytes.start);
        marks
    }

    /// A single ideograph that was asked for stands in the middle of runs.
    fn mark_letters(&self, run: &str, start: usize, marks: &mut Vec<Mark>) {
        for (part, (forms, _)) in self.parts.iter().enumerate() {
            let single = forms.iter().filter(|form| form.chars().count() == 1);
            for form in single {
                let found = run.match_indices(form.as_str());
                marks.extend(found.map(|(at, it)| Mark { bytes: start + at..start + at + it.len(), part }));
            }
        }
    }

    /// Which part of the query `word` answers.
    fn part(&self, word: &str, rules: &[&Rules]) -> Option<usize> {
        let word = within_bounds(word);
        rules.iter().find_map(|rules| {
            let term = rules.term(word);
            let surface = rules.surface(word);
            self.parts.iter().position(|(forms, prefix)| {
                term.as_ref().is_some_and(|term| forms.contains(term))
                    || prefix.as_ref().is_some_and(|prefix| surface.starts_with(prefix))
            })
        })
    }
}

impl fmt::Debug for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Matcher").finish_non_exhaustive()
    }
}

/// The bytes of `text` to show.
fn window(text: &str, marks: &[Mark], bytes_max: usize) -> Range<usize> {
    if text.trim_end().len() <= bytes_max {
        return 0..text.trim_end().len();
    }
    let Some(densest) = densest(marks, bytes_max) else { return end_of(text, 0, bytes_max) };
    let (first, last) = (densest.start, densest.end);
    // A third of what is left over goes before the first mark, so that it is read in its context.
    let before = bytes_max.saturating_sub(last - first) / 3;
    let from = first.saturating_sub(before);
    let start = if from == 0 {
        0
    } else {
        let word = tokens(text).map(|token| token.bytes.start).find(|start| *start >= from);
        word.map_or(first, |word| word.min(first))
    };
    end_of(text, start, bytes_max)
}

/// From the first to the last of the marks that lie within `bytes_max` and answer the most parts of the query.
fn densest(marks: &[Mark], bytes_max: usize) -> Option<Range<usize>> {
    let mut densest: Option<(usize, usize, Range<usize>)> = None;
    for (at, first) in marks.iter().enumerate() {
        let within = || marks.iter().skip(at).take_while(|it| it.bytes.end <= first.bytes.start + bytes_max);
        let parts = within().map(|it| it.part).collect::<HashSet<_>>().len();
        let (count, end) =
            within().fold((0, first.bytes.start), |(count, end), it| (count + 1, end.max(it.bytes.end)));
        if densest.as_ref().is_none_or(|best| (parts, count) > (best.0, best.1)) {
            densest = Some((parts, count, first.bytes.start..end));
        }
    }
    densest.map(|(_, _, bytes)| bytes)
}

/// From `start` on at most `bytes_max`: to the end of a word, or of a letter where the first word is longer.
fn end_of(text: &str, start: usize, bytes_max: usize) -> Range<usize> {
    let Some(rest) = text.get(start..) else { return start..start };
    if rest.trim_end().len() <= bytes_max {
        return start..start + rest.trim_end().len();
    }
    let words = tokens(rest).map(|token| token.bytes.end).take_while(|end| *end <= bytes_max);
    let end = words.last().filter(|end| *end > bytes_max / 2);
    let letters =
        || rest.grapheme_indices(true).map(|(at, it)| at + it.len()).take_while(|end| *end <= bytes_max);
    start..start + end.unwrap_or_else(|| letters().last().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn snippet(query: &str, text: &str, bytes_max: usize) -> Snippet {
        Matcher::new(&Query::parse(query), Languages::from_bits(-1)).snippet(text, bytes_max)
    }

    fn marked(snippet: &Snippet) -> Vec<&str> {
        snippet.highlights.iter().map(|bytes| &snippet.text[bytes.clone()]).collect()
    }

    #[test]
    fn the_window_has_most_of_the_words() {
        let text = format!(
            "A plan. {} The budget of the plans, and planning. {}",
            "Nothing. ".repeat(50),
            "More. ".repeat(50)
        );
        let found = snippet("plan budget", &text, 60);
        assert_eq!(marked(&found), ["budget", "plans", "planning"]);
        assert!(found.text.len() <= 60 && found.cut_before && found.cut_after, "{found:?}");
        assert!(found.text.contains("The budget of the plans, and planning"), "{found:?}");
    }

    #[test]
    fn a_short_text_is_shown_whole() {
        let found = snippet("plan* -budget", "Planners budget.\n", 60);
        assert_eq!(
            (found.text.as_str(), found.cut_before, found.cut_after),
            ("Planners budget.", false, false)
        );
        assert_eq!(marked(&found), ["Planners"]);
        assert_eq!(snippet("x", "", 10), Snippet::default());
    }

    #[test]
    fn accents_case_and_scripts_are_marked_as_they_were_written() {
        assert_eq!(
            marked(&snippet("resume", "Son RE\u{301}SUME\u{301} est prêt.", 100)),
            ["RE\u{301}SUME\u{301}"]
        );
        assert_eq!(marked(&snippet("東京都", "私は東京都に行く。", 100)), ["東京都"]);
        assert_eq!(marked(&snippet("猫", "黒猫が好き", 100)), ["猫"]);
    }

    #[test]
    fn letters_are_not_cut() {
        let family = "👨‍👩‍👧‍👦".repeat(20);
        let found = snippet("x", &family, 60);
        assert!(found.text.len() <= 60 && family.starts_with(&found.text) && found.cut_after);
        assert_eq!(found.text.len() % "👨‍👩‍👧‍👦".len(), 0);
    }

    proptest! {
        #[test]
        fn highlights_lie_in_the_text_apart_and_in_order(
            text in "(plan|budget|Plänē|東京|👨‍👩‍👧|[ .,\n]|[a-z]{1,9}){0,60}", bytes_max in 0_usize..200
        ) {
            let found = snippet("plan budget 東京 plan*", &text, bytes_max);
            prop_assert!(found.text.len() <= bytes_max);
            prop_assert!(text.contains(&found.text));
            let mut end = 0;
            for bytes in &found.highlights {
                prop_assert!(bytes.start >= end && bytes.end > bytes.start);
                prop_assert!(found.text.get(bytes.clone()).is_some());
                end = bytes.end;
            }
        }
    }
}
