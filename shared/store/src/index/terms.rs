//! A document -> its terms, each with how often it stands in which field.

use std::collections::{HashMap, HashSet};

use super::{
    Field, Language,
    language::Rules,
    load::Load,
    tokens::{Script, Token, WORD_BYTES_MAX, is_break, is_ideograph, pairs, tokens},
};

/// What the index is made of, before it is hidden.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Term {
    /// A word's stem, or a pair of letters of an unspaced script.
    Word(String),
    /// Two words that follow one another, words that say nothing left out: what phrases are found by.
    Pair(String, String),
    /// The first letters of a word.
    Prefix(String),
}

/// What was read of a document.
#[derive(Debug, Default)]
pub(super) struct Terms {
    pub(super) loads: HashMap<Term, Load>,
    /// How many words it has, those that say nothing left out.
    pub(super) length: u32,
    /// Whether it has more distinct terms than are kept.
    pub(super) cut: bool,
}

/// How much of a document becomes terms.
#[derive(Clone, Copy, Debug)]
pub(super) struct Depth {
    pub(super) pairs: bool,
    pub(super) prefixes_in_text: bool,
    pub(super) terms_max: usize,
}

/// Prefixes this long, in letters, are indexed. Shorter ones would each be found in every document.
pub(super) const PREFIX_LETTERS: std::ops::RangeInclusive<usize> = 3..=8;

// === impl Terms ===

impl Terms {
    /// Reads `fields` by the rules of `language`.
    pub(super) fn read(fields: &[(Field, &str)], language: Language, depth: Depth) -> Self {
        let rules = language.rules();
        let mut terms = Self::default();
        for (field, text) in fields {
            let prefixes = depth.prefixes_in_text || *field != Field::Text;
            // A text's words are mostly the same few, and stemming is what costs.
            let mut known: HashMap<&str, Option<String>> = HashMap::new();
            let mut before: Option<String> = None;
            let mut end = 0;
            for token in tokens(text) {
                if is_break(text.get(end..token.bytes.start).unwrap_or_default()) {
                    before = None;
                }
                end = token.bytes.end;
                if token.script == Script::Unspaced {
                    terms.read_run(*field, &rules, &token, depth);
                    before = None;
                    continue;
                }
                let word = within_bounds(token.text);
                let Some(stem) = known.entry(word).or_insert_with(|| rules.term(word)) else { continue };
                let stem = stem.clone();
                terms.length = terms.length.saturating_add(1);
                terms.count(*field, Term::Word(stem.clone()), depth);
                if prefixes {
                    for prefix in prefixes_of(&rules.surface(word)) {
                        terms.count(*field, Term::Prefix(prefix), depth);
                    }
                }
                if let Some(before) = before.replace(stem.clone()).filter(|_| depth.pairs) {
                    terms.count(*field, Term::Pair(before, stem), depth);
                }
            }
        }
        terms
    }

    fn read_run(&mut self, field: Field, rules: &Rules, token: &Token<'_>, depth: Depth) {
        let mut seen = HashSet::new();
        for (_, pair) in pairs(token.text) {
            self.length = self.length.saturating_add(1);
            if let Some(term) = rules.term(pair) {
                self.count(field, Term::Word(term), depth);
            }
        }
        for letter in token.text.chars().filter(|letter| seen.insert(*letter)) {
            let letter = letter.to_string();
            // A run of one letter is its own pair.
            if is_ideograph(&letter)
                && letter.len() < token.text.len()
                && let Some(term) = rules.term(&letter)
            {
                self.count(field, Term::Word(term), depth);
            }
        }
    }

    fn count(&mut self, field: Field, term: Term, depth: Depth) {
        if self.loads.len() >= depth.terms_max && !self.loads.contains_key(&term) {
            self.cut = true;
            return;
        }
        self.loads.entry(term).or_default().count(field);
    }
}

/// The beginning of a word that is no word.
pub(super) fn within_bounds(word: &str) -> &str {
    &word[..word.floor_char_boundary(WORD_BYTES_MAX)]
}

/// The prefixes of `surface` that are indexed: shorter ones than the word itself, which is found as a word.
fn prefixes_of(surface: &str) -> impl Iterator<Item = String> {
    PREFIX_LETTERS.filter_map(|letters| {
        let (end, _) = surface.char_indices().nth(letters - 1)?;
        let end = end + surface.get(end..)?.chars().next()?.len_utf8();
        surface.get(..end).map(str::to_owned)
    })
}

/// How the prefix that is asked for is found: cut to what is indexed, or nothing where it is too short.
pub(super) fn indexed_prefix(surface: &str) -> Option<String> {
    prefixes_of(surface).last()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEPTH: Depth = Depth { pairs: true, prefixes_in_text: false, terms_max: 1_000 };

    fn word(word: &str) -> Term {
        Term::Word(word.to_owned())
    }

    #[test]
    fn terms_are_counted_by_field() {
        let fields = [(Field::Title, "Plans"), (Field::Text, "the plan of the budget. And a plan")];
        let terms = Terms::read(&fields, Language::English, DEPTH);
        assert_eq!((terms.loads[&word("plan")].title, terms.loads[&word("plan")].text), (1, 2));
        assert_eq!(terms.loads[&Term::Pair("plan".into(), "budget".into())].text, 1);
        assert!(!terms.loads.contains_key(&Term::Pair("budget".into(), "plan".into())), "another sentence");
        assert!(!terms.loads.contains_key(&word("the")));
        assert_eq!(terms.length, 4);
        let prefixes: Vec<_> = terms.loads.keys().filter(|it| matches!(it, Term::Prefix(_))).collect();
        assert_eq!(prefixes.len(), 3, "pla, plan, plans of the title, none of the text: {prefixes:?}");
    }

    #[test]
    fn an_unspaced_run_is_pairs_and_ideographs() {
        let terms = Terms::read(&[(Field::Text, "東京都")], Language::Other, DEPTH);
        let mut found: Vec<_> = terms.loads.into_keys().collect();
        found.sort();
        assert_eq!(found, ["京", "京都", "東", "東京", "都"].map(word));
    }

    #[test]
    fn a_document_has_a_bound() {
        let text: String = (0..5_000).map(|n| format!("w{n} ")).collect();
        let terms = Terms::read(&[(Field::Text, &text)], Language::English, DEPTH);
        assert!(terms.cut);
        assert_eq!(terms.loads.len(), 1_000);
        let long = "x".repeat(100_000);
        assert_eq!(Terms::read(&[(Field::Text, &long)], Language::Other, DEPTH).loads.len(), 1);
    }

    #[test]
    fn a_prefix_is_cut_to_what_is_indexed() {
        assert_eq!(indexed_prefix("bu"), None);
        assert_eq!(indexed_prefix("bud").as_deref(), Some("bud"));
        assert_eq!(indexed_prefix("übermäßigkeit").as_deref(), Some("übermäßi"));
    }
}
