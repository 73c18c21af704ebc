//! Languages: which one a text is in, how its words are folded and cut to stems, which of them say nothing.

use std::borrow::Cow;

use rust_stemmers::{Algorithm, Stemmer};
use unicode_normalization::{UnicodeNormalization as _, char::decompose_canonical};
use whatlang::{Lang, Script, detect};

use super::stop_words;

/// A language whose rules are known, or [`Language::Other`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Language {
    /// None that is known: words are folded and stay whole.
    Other = 0,
    /// Arabic.
    Arabic,
    /// Danish.
    Danish,
    /// German.
    German,
    /// Greek.
    Greek,
    /// English.
    English,
    /// Spanish.
    Spanish,
    /// Finnish.
    Finnish,
    /// French.
    French,
    /// Hungarian.
    Hungarian,
    /// Italian.
    Italian,
    /// Dutch.
    Dutch,
    /// Norwegian.
    Norwegian,
    /// Portuguese.
    Portuguese,
    /// Romanian.
    Romanian,
    /// Russian.
    Russian,
    /// Swedish.
    Swedish,
    /// Tamil.
    Tamil,
    /// Turkish.
    Turkish,
}

/// A set of languages, one bit each: as much as the index keeps of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Languages(u32);

/// Folds and stems words by the rules of one language.
pub(super) struct Rules {
    language: Language,
    stemmer: Option<Stemmer>,
}

/// So much of a text, in bytes, is looked at to recognise its language: more tells no better.
const SAMPLE_BYTES: usize = 800;

// === impl Language ===

impl Language {
    pub(super) const ALL: [Self; 19] = [
        Self::Other,
        Self::Arabic,
        Self::Danish,
        Self::German,
        Self::Greek,
        Self::English,
        Self::Spanish,
        Self::Finnish,
        Self::French,
        Self::Hungarian,
        Self::Italian,
        Self::Dutch,
        Self::Norwegian,
        Self::Portuguese,
        Self::Romanian,
        Self::Russian,
        Self::Swedish,
        Self::Tamil,
        Self::Turkish,
    ];

    /// The language of a number that the index keeps.
    pub(super) fn of_number(number: i64) -> Self {
        Self::ALL.into_iter().find(|it| it.number() == number).unwrap_or(Self::Other)
    }

    pub(super) fn number(self) -> i64 {
        i64::from(self as u8)
    }

    /// The language of a BCP 47 tag, by its first part: `de`, `de-AT`, `pt-BR`.
    pub fn from_tag(tag: &str) -> Self {
        let primary = tag.split(['-', '_']).next().unwrap_or_default();
        let of = |language: &Self| language.tag().eq_ignore_ascii_case(primary);
        match primary.to_ascii_lowercase().as_str() {
            "nb" | "nn" => Self::Norwegian,
            _ => Self::ALL.into_iter().find(of).unwrap_or(Self::Other),
        }
    }

    /// Its BCP 47 tag; `und` where none is known.
    pub fn tag(self) -> &'static str {
        match self {
            Self::Other => "und",
            Self::Arabic => "ar",
            Self::Danish => "da",
            Self::German => "de",
            Self::Greek => "el",
            Self::English => "en",
            Self::Spanish => "es",
            Self::Finnish => "fi",
            Self::French => "fr",
            Self::Hungarian => "hu",
            Self::Italian => "it",
            Self::Dutch => "nl",
            Self::Norwegian => "no",
            Self::Portuguese => "pt",
            Self::Romanian => "ro",
            Self::Russian => "ru",
            Self::Swedish => "sv",
            Self::Tamil => "ta",
            Self::Turkish => "tr",
        }
    }

    /// The language that `text` is in.
    ///
    /// A text too short to tell is taken for the most usual language of its script; it does no harm, since a
    /// query is read in every language that the index holds.
    pub fn of(text: &str) -> Self {
        let sample = &text[..text.floor_char_boundary(SAMPLE_BYTES)];
        // The small words tell best, above all in texts full of names and numbers, where letters mislead.
        if let Some(language) = stop_words::language_of(sample) {
            return language;
        }
        let Some(info) = detect(sample) else { return Self::Other };
        if info.is_reliable() {
            return Self::from(info.lang());
        }
        match info.script() {
            Script::Latin => Self::English,
            Script::Cyrillic => Self::Russian,
            Script::Arabic => Self::Arabic,
            Script::Greek => Self::Greek,
            Script::Tamil => Self::Tamil,
            _ => Self::Other,
        }
    }

    pub(super) fn rules(self) -> Rules {
        Rules { language: self, stemmer: self.algorithm().map(Stemmer::create) }
    }

    fn algorithm(self) -> Option<Algorithm> {
        Some(match self {
            Self::Other => return None,
            Self::Arabic => Algorithm::Arabic,
            Self::Danish => Algorithm::Danish,
            Self::German => Algorithm::German,
            Self::Greek => Algorithm::Greek,
            Self::English => Algorithm::English,
            Self::Spanish => Algorithm::Spanish,
            Self::Finnish => Algorithm::Finnish,
            Self::French => Algorithm::French,
            Self::Hungarian => Algorithm::Hungarian,
            Self::Italian => Algorithm::Italian,
            Self::Dutch => Algorithm::Dutch,
            Self::Norwegian => Algorithm::Norwegian,
            Self::Portuguese => Algorithm::Portuguese,
            Self::Romanian => Algorithm::Romanian,
            Self::Russian => Algorithm::Russian,
            Self::Swedish => Algorithm::Swedish,
            Self::Tamil => Algorithm::Tamil,
            Self::Turkish => Algorithm::Turkish,
        })
    }

    /// Whether a letter with its mark is a letter of its own in this language, not an accented one.
    fn keeps(self, letter: char) -> bool {
        // In no Cyrillic alphabet are these a matter of accent; "ё" is, in Russian.
        if matches!(letter, 'й' | 'ї' | 'ў') {
            return true;
        }
        let letters = match self {
            Self::Danish | Self::Norwegian => "å",
            Self::Swedish | Self::Finnish => "åäö",
            Self::Hungarian => "öüőű",
            Self::Spanish => "ñ",
            Self::Turkish => "çğöşü",
            _ => "",
        };
        letters.contains(letter)
    }
}

impl From<Lang> for Language {
    fn from(lang: Lang) -> Self {
        match lang {
            Lang::Ara => Self::Arabic,
            Lang::Dan => Self::Danish,
            Lang::Deu => Self::German,
            Lang::Ell => Self::Greek,
            Lang::Eng => Self::English,
            Lang::Spa => Self::Spanish,
            Lang::Fin => Self::Finnish,
            Lang::Fra => Self::French,
            Lang::Hun => Self::Hungarian,
            Lang::Ita => Self::Italian,
            Lang::Nld => Self::Dutch,
            Lang::Nob => Self::Norwegian,
            Lang::Por => Self::Portuguese,
            Lang::Ron => Self::Romanian,
            Lang::Rus => Self::Russian,
            Lang::Swe => Self::Swedish,
            Lang::Tam => Self::Tamil,
            Lang::Tur => Self::Turkish,
            _ => Self::Other,
        }
    }
}

// === impl Languages ===

impl Languages {
    /// The languages whose bits are set; unknown bits are left out.
    pub fn from_bits(bits: i64) -> Self {
        Self(u32::try_from(bits & 0x7_ffff).unwrap_or_default())
    }

    /// A bit for each language.
    pub fn bits(self) -> i64 {
        i64::from(self.0)
    }

    /// The same with `language`.
    #[must_use]
    pub fn with(self, language: Language) -> Self {
        Self(self.0 | 1 << language as u8)
    }

    /// Each language of the set.
    pub fn iter(self) -> impl Iterator<Item = Language> {
        Language::ALL.into_iter().filter(move |language| self.0 >> *language as u8 & 1 == 1)
    }
}

// === impl Rules ===

impl Rules {
    pub(super) fn language(&self) -> Language {
        self.language
    }

    /// What is indexed for `word`, or nothing where it says nothing of the subject.
    pub(super) fn term(&self, word: &str) -> Option<String> {
        let folded = self.fold(word);
        let whole = self.without_elision(&folded);
        if whole.is_empty() || stop_words::holds(self.language, whole) {
            return None;
        }
        let stem = match &self.stemmer {
            // Numbers and names with digits are not words of a language.
            Some(stemmer) if !whole.contains(|c: char| c.is_numeric()) => stemmer.stem(whole),
            _ => Cow::Borrowed(whole),
        };
        let term = self.without_accents(if stem.is_empty() { whole } else { &stem });
        (!term.is_empty()).then_some(term)
    }

    /// `word` as prefixes are taken from it: folded, whole, without accents.
    pub(super) fn surface(&self, word: &str) -> String {
        let folded = self.fold(word);
        self.without_accents(self.without_elision(&folded))
    }

    /// One form for all that is the same word to a reader: NFKC, then full case folding.
    ///
    /// Folded by way of upper case, so that "ß" becomes "ss" and a final sigma an inner one.
    fn fold(&self, word: &str) -> String {
        let turkish = self.language == Language::Turkish;
        let mut folded = String::with_capacity(word.len());
        for c in word.nfkc() {
            match c {
                '’' | 'ʼ' | '＇' => folded.push('\''),
                'I' | 'ı' if turkish => folded.push('ı'),
                'İ' if turkish => folded.push('i'),
                c if c.is_ascii() => folded.push(c.to_ascii_lowercase()),
                // Written or not as one likes; the stemmer knows the letter without its dots alone.
                'ё' | 'Ё' => folded.push('е'),
                c if is_pointing(c) => {}
                c => folded.extend(c.to_uppercase().flat_map(char::to_lowercase)),
            }
        }
        if folded.is_ascii() { folded } else { folded.nfc().collect() }
    }

    /// "l'homme" is "homme", "dell'arte" is "arte".
    fn without_elision<'a>(&self, word: &'a str) -> &'a str {
        if !matches!(self.language, Language::French | Language::Italian) {
            return word;
        }
        match word.split_once('\'') {
            Some((article, rest)) if article.chars().count() <= 6 && !rest.is_empty() => rest,
            _ => word,
        }
    }

    fn without_accents(&self, word: &str) -> String {
        if word.is_ascii() {
            return word.to_owned();
        }
        let mut plain = String::with_capacity(word.len());
        for c in word.chars() {
            if self.language.keeps(c) {
                plain.push(c);
                continue;
            }
            let mut parts = [None; 4];
            let mut taken = 0;
            decompose_canonical(c, |part| {
                if let Some(place) = parts.get_mut(taken) {
                    *place = Some(part);
                }
                taken += 1;
            });
            let [base, marks @ ..] = parts;
            let accented = taken <= parts.len() && marks.iter().flatten().all(|mark| is_accent(*mark));
            match base {
                // A mark that stands alone: what it stood on had no composed form.
                Some(base) if is_accent(base) => {}
                Some(base) if accented => plain.push(base),
                // Kana, Hangul and the like: their marks are letters.
                _ => plain.push(c),
            }
        }
        plain
    }
}

/// Combining Diacritical Marks: on Latin, Greek and Cyrillic letters.
fn is_accent(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}')
}

/// Points and strokes that Hebrew and Arabic are mostly written without.
fn is_pointing(c: char) -> bool {
    matches!(c, '\u{591}'..='\u{5bd}' | '\u{5bf}' | '\u{5c1}' | '\u{5c2}' | '\u{5c4}' | '\u{5c5}' | '\u{5c7}'
        | '\u{640}' | '\u{64b}'..='\u{652}' | '\u{670}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn term(language: Language, word: &str) -> Option<String> {
        language.rules().term(word)
    }

    #[test]
    fn what_is_one_word_to_a_reader_is_one_term() {
        for (language, forms) in [
            (Language::English, &["plan", "Plans", "PLANNED", "planning", "ｐｌａｎ"][..]),
            (Language::French, &["l'homme", "L’homme", "homme", "hommes"]),
            (Language::German, &["Häuser", "häuser", "HÄUSER"]),
            (Language::German, &["Straße", "STRASSE"]),
            (Language::Greek, &["λόγος", "ΛΟΓΟΣ"]),
            (Language::Russian, &["ёлка", "елка", "Ёлка"]),
            (Language::Other, &["résumé", "resume", "RE\u{301}SUME\u{301}"]),
            (Language::Turkish, &["ışık", "IŞIK"]),
        ] {
            let terms: Vec<_> = forms.iter().map(|form| term(language, form)).collect();
            assert!(terms.iter().all(|it| it.is_some() && *it == terms[0]), "{forms:?} became {terms:?}");
        }
    }

    #[test]
    fn a_letter_of_its_own_is_no_accent() {
        assert_ne!(term(Language::Swedish, "mål"), term(Language::Swedish, "mal"));
        assert_eq!(term(Language::Other, "mål"), term(Language::Other, "mal"));
        assert_ne!(term(Language::Other, "か"), term(Language::Other, "が"));
        assert_ne!(term(Language::Russian, "йод"), term(Language::Russian, "иод"));
    }

    #[test]
    fn words_that_say_nothing_are_left_out_in_their_language_alone() {
        assert_eq!(term(Language::German, "die"), None);
        assert!(term(Language::English, "die").is_some());
    }

    #[test]
    fn languages_are_recognised() {
        for (text, language) in [
            ("The committee decided to postpone the meeting until the report had been written.", "en"),
            (
                "Der Ausschuss hat beschlossen, die Sitzung zu verschieben, bis der Bericht geschrieben ist.",
                "de",
            ),
            ("Le comité a décidé de reporter la réunion jusqu'à ce que le rapport soit rédigé.", "fr"),
            (
                "Return the iterator of the os.path.join entries; raises ValueError if n_samples is not int.",
                "en",
            ),
            ("Komitet postanowił odroczyć posiedzenie do czasu napisania sprawozdania na ten temat.", "und"),
            ("Комитет решил отложить заседание до тех пор, пока не будет написан отчёт.", "ru"),
        ] {
            assert_eq!(Language::of(text).tag(), language);
        }
        assert_eq!(Language::of("ok"), Language::English);
        assert_eq!(Language::of("1234"), Language::Other);
        assert_eq!(Language::from_tag("pt-BR"), Language::Portuguese);
        assert_eq!(Language::from_tag("tlh"), Language::Other);
    }

    #[test]
    fn a_set_of_languages_is_its_bits() {
        let set = Languages::default().with(Language::Other).with(Language::Turkish);
        assert_eq!(Languages::from_bits(set.bits()), set);
        assert_eq!(set.iter().collect::<Vec<_>>(), [Language::Other, Language::Turkish]);
        assert_eq!(Languages::from_bits(-1).iter().count(), Language::ALL.len());
    }
}
