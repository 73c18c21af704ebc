//! What every engine promises, as a suite that each one runs.

use unicode_segmentation::UnicodeSegmentation;

use super::{Budget, Engine, Job, Style};

/// Summarises `job` and checks every promise that does not depend on the engine.
pub(super) fn keeps_its_promises(engine: &dyn Engine, job: &Job) {
    let summary = engine.summarize(job);
    let words = |text: &str| text.unicode_words().count();

    assert_eq!(summary, engine.summarize(job), "the same job gives the same summary");
    assert!((0.0..=1.0).contains(&summary.semantic_score), "score {}", summary.semantic_score);
    assert_eq!(summary.source_words, words(&job.text), "words of the source");
    assert_eq!(summary.sentences.is_empty(), summary.source_words == 0, "a text with a word has a summary");

    let mut last_end = 0;
    for sentence in &summary.sentences {
        assert!(last_end <= sentence.start_byte && sentence.start_byte < sentence.end_byte, "spans ascend");
        last_end = sentence.end_byte;
        let verbatim = job.text.get(sentence.start_byte..sentence.end_byte).expect("spans lie on characters");
        assert_eq!(sentence.text, verbatim.split_whitespace().collect::<Vec<_>>().join(" "));
        assert!(words(&sentence.text) > 0, "a sentence has a word");
    }

    for style in [Style::Paragraph, Style::Bullets] {
        let whole = summary.set_out(style);
        assert_eq!(words(&whole), summary.summary_words, "words of the summary, {style:?}");
        match job.length.budget(summary.source_words) {
            Budget::Words(limit) => assert!(words(&whole) <= limit, "{} words of {limit}", words(&whole)),
            Budget::Sentences(limit) => assert!(summary.sentences.len() <= limit),
        }
    }
    assert_eq!(summary.set_out(Style::Bullets).lines().count(), summary.sentences.len(), "one bullet a line");
}
