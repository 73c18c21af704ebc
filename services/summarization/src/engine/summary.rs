//! A summary, and how it is set out.

/// A summary: some of the source's sentences, in their order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// The sentences, in the order of the source.
    pub sentences: Vec<Sentence>,
    /// How much of the source's vocabulary, each term by its weight, the sentences cover: 0 to 1.
    pub semantic_score: f64,
    /// Words of the source, as Unicode counts them.
    pub source_words: usize,
    /// Words of the summary.
    pub summary_words: usize,
}

/// One sentence of a summary and where it stands in the source.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sentence {
    /// The source's bytes from `start_byte` to `end_byte`, with each run of white space made one space:
    /// a sentence is one line, however its source was wrapped.
    pub text: String,
    /// First byte in the source.
    pub start_byte: usize,
    /// One past its last byte in the source.
    pub end_byte: usize,
}

/// How a summary is set out.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Style {
    /// Sentence after sentence.
    #[default]
    Paragraph,
    /// One sentence a line, each after "- ".
    Bullets,
}

// === impl Summary ===

impl Summary {
    /// One sentence with the separator that joins it to the one before; joined, these parts are the whole.
    pub fn part(&self, index: usize, style: Style) -> Option<String> {
        let text = &self.sentences.get(index)?.text;
        let before = index.checked_sub(1).map(|before| self.sentences[before].text.as_str());
        let separator = match (style, before) {
            (Style::Bullets, None) => "- ",
            (Style::Bullets, Some(_)) => "\n- ",
            (Style::Paragraph, None) => "",
            (Style::Paragraph, Some(before)) if ends_wide(before) => "",
            (Style::Paragraph, Some(_)) => " ",
        };
        Some(format!("{separator}{text}"))
    }

    /// The whole summary.
    pub fn set_out(&self, style: Style) -> String {
        (0..self.sentences.len()).filter_map(|index| self.part(index, style)).collect()
    }
}

/// Whether `text` ends in a full-width stop, after which no space is written.
fn ends_wide(text: &str) -> bool {
    text.ends_with(['。', '！', '？', '」', '』', '）'])
}

// === impl Sentence ===

impl Sentence {
    /// The sentence that stands in `source` from `start_byte` to `end_byte`.
    pub(super) fn of(source: &str, start_byte: usize, end_byte: usize) -> Self {
        let verbatim = &source[start_byte..end_byte];
        let mut text = String::with_capacity(verbatim.len());
        for word in verbatim.split_whitespace() {
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(word);
        }
        Self { text, start_byte, end_byte }
    }
}

#[cfg(test)]
mod tests {
    use super::{Sentence, Style, Summary};

    fn summary(source: &str, spans: &[(usize, usize)]) -> Summary {
        let sentences = spans.iter().map(|&(start, end)| Sentence::of(source, start, end)).collect();
        Summary { sentences, ..Summary::default() }
    }

    #[test]
    fn a_paragraph_is_sentence_after_sentence() {
        assert_eq!(summary("One.\n\nTwo.", &[(0, 4), (6, 10)]).set_out(Style::Paragraph), "One. Two.");
    }

    #[test]
    fn a_bullet_is_a_line_however_its_source_was_wrapped() {
        let wrapped = "One\n   line. Two.";
        assert_eq!(summary(wrapped, &[(0, 12), (13, 17)]).set_out(Style::Bullets), "- One line.\n- Two.");
    }

    #[test]
    fn full_width_stops_need_no_space_after_them() {
        assert_eq!(summary("一。二。", &[(0, 6), (6, 12)]).set_out(Style::Paragraph), "一。二。");
    }

    #[test]
    fn no_sentence_makes_an_empty_summary() {
        assert_eq!(Summary::default().set_out(Style::Bullets), "");
    }
}
