//! What was asked -> clauses of terms.

use std::collections::BTreeSet;

use super::{
    Language, Languages,
    language::Rules,
    terms::{Term, indexed_prefix, within_bounds},
    tokens::{Script, is_break, pairs, tokens},
};

/// What was asked: words, `"phrases"`, prefixes (`plan*`); with `-` before it, what must not be there, with `+`, what must.
///
/// Anything is a query: what cannot be read as one is read as words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    parts: Vec<Part>,
    cut: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Part {
    manner: Manner,
    /// The words as they were written. More than one must follow one another.
    text: String,
    prefix: bool,
}

/// What a clause asks of a document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Manner {
    Required,
    Excluded,
    #[default]
    Optional,
}

/// A part of a query in terms: any of these, each of which is all of those.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Clause {
    pub(super) manner: Manner,
    pub(super) any_of: BTreeSet<Vec<Term>>,
    /// Languages in which it says nothing, since every text has it: to be counted as if it were found in all of those.
    pub(super) silent: Languages,
    /// How much it counts for.
    pub(super) weight: f64,
}

/// What two words of a query count for more that stand beside one another in a document too, in times a word.
const BESIDE: f64 = 0.35;

/// More parts than this are not looked for.
const PARTS_MAX: usize = 32;
/// More bytes than this are not read.
const QUERY_BYTES_MAX: usize = 2_048;

// === impl Query ===

impl Query {
    /// Reads `text`.
    pub fn parse(text: &str) -> Self {
        let read = &text[..text.floor_char_boundary(QUERY_BYTES_MAX)];
        let mut query = Self { parts: Vec::new(), cut: read.len() < text.len() };
        let mut rest = read.trim_start();
        while !rest.is_empty() {
            let (manner, after) = match rest.as_bytes() {
                [b'-', next, ..] if !next.is_ascii_whitespace() => (Manner::Excluded, &rest[1..]),
                [b'+', next, ..] if !next.is_ascii_whitespace() => (Manner::Required, &rest[1..]),
                _ => (Manner::Optional, rest),
            };
            rest = match after.strip_prefix(['"', '“', '„', '«']) {
                Some(quoted) => {
                    let (phrase, rest) = quoted.split_once(['"', '”', '“', '»']).unwrap_or((quoted, ""));
                    let manner = if manner == Manner::Optional { Manner::Required } else { manner };
                    query.push(manner, phrase, false);
                    rest
                }
                None => {
                    let end = after.find(char::is_whitespace).unwrap_or(after.len());
                    let (word, rest) = after.split_at(end);
                    query.push_word(manner, word);
                    rest
                }
            }
            .trim_start();
        }
        query
    }

    /// Whether nothing was asked for.
    pub fn is_empty(&self) -> bool {
        self.parts.iter().all(|part| part.manner == Manner::Excluded)
    }

    /// Whether more was asked than is looked for.
    pub fn is_cut(&self) -> bool {
        self.cut
    }

    fn push_word(&mut self, manner: Manner, word: &str) {
        let prefix = word.ends_with('*');
        let mut pieces: Vec<_> = tokens(word).map(|token| token.text).collect();
        let last = pieces.pop();
        if manner == Manner::Optional {
            for piece in pieces {
                self.push(manner, piece, false);
            }
            if let Some(last) = last {
                self.push(manner, last, prefix);
            }
        } else if let Some(last) = last {
            // "-os.path" is about the two together.
            let alone = pieces.is_empty();
            self.push(manner, if alone { last } else { word }, prefix && alone);
        }
    }

    fn push(&mut self, manner: Manner, text: &str, prefix: bool) {
        if self.parts.len() >= PARTS_MAX {
            self.cut = true;
        } else if tokens(text).next().is_some() {
            let part = Part { manner, text: text.to_owned(), prefix };
            if !self.parts.contains(&part) {
                self.parts.push(part);
            }
        }
    }

    /// The query's clauses, read in each of `languages`: a document's terms are by the rules of its own.
    ///
    /// A part that says nothing in any of them is left out. Where `phrases` are not indexed, their words are looked for.
    pub(super) fn clauses(&self, languages: Languages, phrases: bool) -> Vec<Clause> {
        let rules: Vec<Rules> = languages.iter().map(Language::rules).collect();
        let mut clauses: Vec<_> = self.parts.iter().flat_map(|part| part.clauses(&rules, phrases)).collect();
        if phrases {
            clauses.extend(self.parts.windows(2).filter_map(|parts| match parts {
                [first, second] => first.beside(second, &rules),
                _ => None,
            }));
        }
        clauses
    }

    /// For each part of the query that a document should have, its words' forms, and its prefix.
    pub(super) fn words(&self, rules: &[Rules]) -> Vec<(BTreeSet<String>, Option<String>)> {
        let sought = self.parts.iter().filter(|part| part.manner != Manner::Excluded);
        sought
            .map(|part| {
                let words = tokens(&part.text).flat_map(|token| forms(token.script, token.text, rules));
                let prefix = part.prefix.then(|| rules.first().map(|it| it.surface(&part.text))).flatten();
                (words.collect(), prefix.filter(|it| indexed_prefix(it).is_some()))
            })
            .collect()
    }
}

// === impl Part ===

impl Part {
    fn clauses(&self, rules: &[Rules], phrases: bool) -> Vec<Clause> {
        let mut words = tokens(&self.text);
        let first = words.next();
        let is_one = words.next().is_none();
        match first {
            // The pairs of an unspaced run are words of their own, where not all of them must be there.
            Some(run) if is_one && self.manner == Manner::Optional && run.script == Script::Unspaced => {
                pairs(run.text)
                    .filter_map(|(_, pair)| {
                        self.clause(rules, |it| it.term(pair).map(|form| vec![Term::Word(form)]))
                    })
                    .collect()
            }
            Some(word) if is_one && word.script == Script::Spaced => {
                let word = within_bounds(word.text);
                let mut clause = self.clause(rules, |it| it.term(word).map(|form| vec![Term::Word(form)]));
                let prefixes = rules.iter().filter_map(|it| indexed_prefix(&it.surface(word)));
                let prefixes: BTreeSet<_> = prefixes.map(|it| vec![Term::Prefix(it)]).collect();
                if self.prefix && !prefixes.is_empty() {
                    // Even of a word that says nothing, such as "the", which "theory" begins with.
                    let empty = || Clause { manner: self.manner, weight: 1.0, ..Clause::default() };
                    clause.get_or_insert_with(empty).any_of.extend(prefixes);
                }
                clause.into_iter().collect()
            }
            Some(_) => self.clause(rules, |it| self.phrase(it, phrases)).into_iter().collect(),
            None => Vec::new(),
        }
    }

    /// What is better than the two anywhere: the one right after the other. It brings in no document, being rarer
    /// than either.
    fn beside(&self, next: &Self, rules: &[Rules]) -> Option<Clause> {
        if self.manner != Manner::Optional || next.manner != Manner::Optional || self.prefix || next.prefix {
            return None;
        }
        let both =
            Self { manner: Manner::Optional, text: format!("{} {}", self.text, next.text), prefix: false };
        let is_pair = |terms: &Vec<Term>| matches!(terms.as_slice(), [Term::Pair(..)]);
        Some(Clause { weight: BESIDE, ..both.clause(rules, |it| both.phrase(it, true).filter(is_pair))? })
    }

    /// A clause of what `form` makes of it in each language; none where that is nothing in any.
    fn clause(&self, rules: &[Rules], form: impl Fn(&Rules) -> Option<Vec<Term>>) -> Option<Clause> {
        let mut clause = Clause { manner: self.manner, weight: 1.0, ..Clause::default() };
        for rules in rules {
            match form(rules) {
                Some(terms) => {
                    clause.any_of.insert(terms);
                }
                None => clause.silent = clause.silent.with(rules.language()),
            }
        }
        // Where nobody can tell whether a document has it, it cannot be required.
        if clause.manner == Manner::Required && clause.silent != Languages::default() {
            clause.manner = Manner::Optional;
        }
        (!clause.any_of.is_empty()).then_some(clause)
    }

    /// What a document in the language of `rules` must have, to have the phrase: its pairs of words; of a word that has
    /// no neighbour, itself.
    fn phrase(&self, rules: &Rules, pairs_too: bool) -> Option<Vec<Term>> {
        let mut terms = BTreeSet::new();
        let mut before: Option<String> = None;
        let mut end = 0;
        for token in tokens(&self.text) {
            if is_break(self.text.get(end..token.bytes.start).unwrap_or_default()) {
                before = None;
            }
            end = token.bytes.end;
            if token.script == Script::Unspaced {
                terms.extend(pairs(token.text).filter_map(|(_, pair)| rules.term(pair)).map(Term::Word));
                before = None;
                continue;
            }
            let Some(word) = rules.term(within_bounds(token.text)) else { continue };
            terms.insert(Term::Word(word.clone()));
            if let Some(before) = before.replace(word.clone()).filter(|_| pairs_too) {
                terms.remove(&Term::Word(before.clone()));
                terms.remove(&Term::Word(word.clone()));
                terms.insert(Term::Pair(before, word));
            }
        }
        (!terms.is_empty()).then(|| terms.into_iter().collect())
    }
}

/// Everything that a token is looked for as, in any of the languages.
fn forms<'a>(script: Script, token: &'a str, rules: &'a [Rules]) -> Vec<String> {
    match script {
        Script::Spaced => rules.iter().filter_map(|it| it.term(within_bounds(token))).collect(),
        Script::Unspaced => {
            pairs(token).flat_map(|(_, pair)| rules.iter().filter_map(|it| it.term(pair))).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn word(word: &str) -> Vec<Term> {
        vec![Term::Word(word.to_owned())]
    }

    fn clauses(query: &str, languages: &[Language]) -> Vec<(Manner, Vec<Vec<Term>>)> {
        let languages = languages.iter().fold(Languages::default(), |set, it| set.with(*it));
        let clauses = Query::parse(query).clauses(languages, true);
        clauses
            .into_iter()
            .filter(|it| it.weight == 1.0)
            .map(|it| (it.manner, it.any_of.into_iter().collect()))
            .collect()
    }

    #[test]
    fn words_are_read_in_every_language() {
        let found = clauses("Plans -budgets die", &[Language::English, Language::German]);
        assert_eq!(
            found,
            [
                (Manner::Optional, vec![word("plan")]),
                (Manner::Excluded, vec![word("budget")]),
                (Manner::Optional, vec![word("die")]),
            ]
        );
        assert_eq!(clauses("the", &[Language::English]), []);
        let both = clauses("nationale", &[Language::French, Language::Dutch]);
        assert_eq!(both.len(), 1);
    }

    #[test]
    fn phrases_are_pairs() {
        let pair = |a: &str, b: &str| Term::Pair(a.to_owned(), b.to_owned());
        assert_eq!(
            clauses("\"the annual plan of budgets", &[Language::English]),
            [(Manner::Required, vec![vec![pair("annual", "plan"), pair("plan", "budget")]])]
        );
        assert_eq!(clauses("\"plans\"", &[Language::English]), [(Manner::Required, vec![word("plan")])]);
        assert_eq!(
            clauses("-os.path", &[Language::English]),
            [(Manner::Excluded, vec![vec![pair("os", "path")]])]
        );
        assert_eq!(clauses("os.path", &[Language::English]).len(), 2);
    }

    #[test]
    fn prefixes_and_unspaced_runs_are_what_is_indexed() {
        assert_eq!(
            clauses("Bud*", &[Language::English]),
            [(Manner::Optional, vec![word("bud"), vec![Term::Prefix("bud".into())]])]
        );
        let runs = clauses("東京都", &[Language::Other]);
        assert_eq!(runs, [(Manner::Optional, vec![word("東京")]), (Manner::Optional, vec![word("京都")])]);
        assert_eq!(clauses("\"東京都\"", &[Language::Other]).len(), 1);
    }

    #[test]
    fn a_query_has_a_bound() {
        let query = Query::parse(&(0..100).map(|n| format!("w{n} ")).collect::<String>());
        assert!(query.is_cut());
        assert_eq!(query.clauses(Languages::from_bits(-1), false).len(), PARTS_MAX);
        assert_eq!(query.clauses(Languages::from_bits(-1), true).len(), 2 * PARTS_MAX - 1);
        assert!(Query::parse(&"é".repeat(5_000)).is_cut());
        assert!(Query::parse("-a - + \" ").is_empty());
    }

    proptest! {
        #[test]
        fn anything_is_a_query(text in ".{0,80}", more in "[ \"*+\\-a-c東é“]{0,30}") {
            for text in [text, more] {
                let query = Query::parse(&text);
                let _ = query.clauses(Languages::from_bits(-1), true);
            }
        }
    }
}
