//! Turns sentences into terms: words cut to their stems, those left out that carry no subject.

use std::collections::HashMap;

use rust_stemmers::Stemmer;
use unicode_segmentation::UnicodeSegmentation;

use super::{
    lines::Layout,
    matrix::Matrix,
    split::Span,
    words::{LANGUAGES, is_stop_word, recognise},
};

/// What the sentences of a text are made of.
#[derive(Debug)]
pub(super) struct Terms {
    /// How often each sentence says each term.
    pub(super) counts: Matrix,
    /// Words of each sentence, labels included.
    pub(super) words: Vec<usize>,
    /// Words of the whole text.
    pub(super) source_words: usize,
}

/// Numbers terms in the order in which they first appear.
pub(super) struct Lexicon {
    stemmer: Stemmer,
    /// Its place among the languages known.
    language: usize,
    /// What a word as written comes to: nothing, if it is a stop word.
    by_word: HashMap<Box<str>, Option<u32>>,
    by_stem: HashMap<Box<str>, u32>,
    /// The word at hand in lower case; kept to spare an allocation a word.
    lower: String,
}

/// So much of a text, in bytes, is looked at to recognise its language.
const LANGUAGE_SAMPLE_BYTES: usize = 32 * 1024;

// === impl Terms ===

impl Terms {
    /// Reads the terms of `spans`.
    pub(super) fn of(text: &str, layout: &Layout, spans: &[Span], lexicon: &mut Lexicon) -> Self {
        let mut counts = Matrix::default();
        let mut words = vec![0; spans.len()];
        let mut source_words = 0;
        let mut row = Vec::new();

        let mut span = 0;
        for (index, segment) in layout.segments.iter().enumerate() {
            // Words never cross a line break, so that those of the segments add up to those of the text.
            let mut reader = Reader::default();
            for (offset, word) in text[segment.start..segment.end].unicode_word_indices() {
                source_words += 1;
                let (start, end) = (segment.start + offset, segment.start + offset + word.len());
                // On to the first sentence that this word does not lie behind.
                while spans.get(span).is_some_and(|here| here.segment == index && here.end <= start) {
                    counts.push(&mut row);
                    span += 1;
                }
                let Some(here) = spans.get(span).filter(|here| here.segment == index) else { continue };
                if end > here.start {
                    words[span] += 1;
                }
                if start >= here.body {
                    row.extend(reader.term(lexicon, text, start, word));
                }
            }
            while spans.get(span).is_some_and(|here| here.segment == index) {
                counts.push(&mut row);
                span += 1;
            }
        }
        counts.columns = lexicon.len();
        Self { counts, words, source_words }
    }
}

// === impl Lexicon ===

impl Lexicon {
    /// An empty lexicon in the language that `text` seems to be in.
    pub(super) fn for_text(text: &str) -> Self {
        let mut sample = text.len().min(LANGUAGE_SAMPLE_BYTES);
        while !text.is_char_boundary(sample) {
            sample -= 1;
        }
        let language = recognise(text[..sample].unicode_words());
        Self {
            stemmer: Stemmer::create(LANGUAGES[language].algorithm),
            language,
            by_word: HashMap::new(),
            by_stem: HashMap::new(),
            lower: String::new(),
        }
    }

    /// How many terms there are.
    pub(super) fn len(&self) -> usize {
        self.by_stem.len()
    }

    /// The terms of a text that is not summarised itself, as a row of counts.
    pub(super) fn row(&mut self, text: &str) -> Matrix {
        let mut reader = Reader::default();
        let mut ids = Vec::new();
        for (start, word) in text.unicode_word_indices() {
            ids.extend(reader.term(self, text, start, word));
        }
        let mut row = Matrix::default();
        row.push(&mut ids);
        row.columns = self.len();
        row
    }

    /// The number of `word`'s term, if it carries a subject.
    fn term(&mut self, word: &str) -> Option<u32> {
        self.lower.clear();
        for c in word.chars() {
            match c {
                '’' => self.lower.push('\''),
                _ if c.is_ascii() => self.lower.push(c.to_ascii_lowercase()),
                _ => self.lower.extend(c.to_lowercase()),
            }
        }
        if let Some(known) = self.by_word.get(self.lower.as_str()) {
            return *known;
        }
        let term = (!is_stop_word(self.language, &self.lower)).then(|| {
            let bare = self.lower.strip_suffix("'s").unwrap_or(&self.lower);
            let stem =
                if bare.chars().all(char::is_alphabetic) { self.stemmer.stem(bare) } else { bare.into() };
            let next = u32::try_from(self.by_stem.len()).unwrap_or(u32::MAX);
            *self.by_stem.entry(stem.into()).or_insert(next)
        });
        self.by_word.insert(self.lower.as_str().into(), term);
        term
    }
}

/// Reads words one after another, joining ideographs to pairs: one alone says little, and no spaces set words apart.
#[derive(Default)]
struct Reader {
    /// Where the ideograph before this word began and ended, if there was one.
    before: Option<(usize, usize)>,
}

// === impl Reader ===

impl Reader {
    fn term(&mut self, lexicon: &mut Lexicon, text: &str, start: usize, word: &str) -> Option<u32> {
        let end = start + word.len();
        let ideograph = word.starts_with(is_ideograph);
        let before = std::mem::replace(&mut self.before, ideograph.then_some((start, end)));
        match before {
            Some((pair_start, pair_end)) if ideograph && pair_end == start => {
                lexicon.term(&text[pair_start..end])
            }
            _ => lexicon.term(word),
        }
    }
}

/// Whether `c` is of a script that writes words without spaces between them and that Unicode cuts character by character.
fn is_ideograph(c: char) -> bool {
    matches!(u32::from(c), 0x3040..=0x309f | 0x3400..=0x4dbf | 0x4e00..=0x9fff | 0xf900..=0xfaff | 0x20000..=0x3ffff)
}
