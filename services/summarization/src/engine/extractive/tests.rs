//! What the extractive engine chooses, and what it keeps to whatever it is given.

use proptest::prelude::*;

use super::Extractive;
use crate::engine::{Engine, Job, Length, Style, Summary, contract::keeps_its_promises};

const HARBOUR: &str = "The harbour of Larn will close to ships for two years while its old walls are rebuilt.\n\n\
    Engineers found last spring that the harbour walls had moved by a hand's breadth. Storms had washed out the \
    stones below them. The town council voted on Monday to rebuild the walls at a cost of 4.2 million crowns.\n\n\
    Fishermen will land their catch at Orsk, an hour to the north. \"We lose a tide each day,\" said Mr. T. Hale, who \
    has fished here for thirty years. The council has promised to pay for the fuel.\n\n\
    The bakery on the quay won a prize for its rye bread. Its owner was pleased.\n\n\
    Work on the harbour walls begins in May, and the first ships should return in the summer after next.";

fn summarize(text: &str, length: Length) -> Summary {
    Extractive::new().summarize(&Job { text: text.to_owned(), length, ..Job::default() })
}

fn sentences(summary: &Summary) -> Vec<&str> {
    summary.sentences.iter().map(|sentence| sentence.text.as_str()).collect()
}

#[test]
fn a_summary_tells_what_the_text_is_about() {
    let summary = summarize(HARBOUR, Length::Words(50));
    let told = sentences(&summary);
    assert!(told[0].starts_with("The harbour of Larn will close"), "{told:?}");
    assert!(told.iter().all(|sentence| !sentence.contains("bakery")), "{told:?}");
    assert!(summary.semantic_score > 0.2, "{}", summary.semantic_score);
}

#[test]
fn more_of_the_text_covers_more_of_its_vocabulary() {
    let scores: Vec<f64> =
        [1, 3, 6, 100].map(|limit| summarize(HARBOUR, Length::Sentences(limit)).semantic_score).to_vec();
    assert!(scores.is_sorted(), "{scores:?}");
    assert!((scores[3] - 1.0).abs() < 1e-9, "{scores:?}");
}

#[test]
fn a_text_within_the_limit_stays_whole() {
    let text = "# Walls\n\nYes. The walls of the harbour will be rebuilt in May. Nobody asked.";
    for length in [Length::Words(14), Length::Ratio(1.0), Length::Sentences(4)] {
        assert_eq!(
            sentences(&summarize(text, length)),
            ["Walls", "Yes.", "The walls of the harbour will be rebuilt in May.", "Nobody asked."]
        );
    }
}

#[test]
fn a_query_draws_the_summary_to_its_subject() {
    let job = Job {
        text: HARBOUR.to_owned(),
        length: Length::Sentences(1),
        query: "Which prize did the bakery win?".to_owned(),
        ..Job::default()
    };
    assert_eq!(
        sentences(&Extractive::new().summarize(&job)),
        ["The bakery on the quay won a prize for its rye bread."]
    );
}

#[test]
fn what_came_before_weighs_but_never_enters() {
    let text = "The teams met in the wet town. The red team trained hard in the hills. The blue team rested at the quiet \
        lake. Both teams slept in the same town.";
    let with = |context: &str| {
        let job = Job {
            text: text.to_owned(),
            length: Length::Sentences(2),
            context: context.to_owned(),
            ..Job::default()
        };
        Extractive::new().summarize(&job).set_out(Style::Paragraph)
    };
    let lake = "Nothing is as quiet as the blue lake, where we rested.";
    assert!(!with("").contains("lake"), "{}", with(""));
    assert!(with(lake).contains("The blue team rested at the quiet lake."), "{}", with(lake));
    assert!(!with(lake).contains("Nothing"));
}

#[test]
fn nothing_is_said_twice() {
    let text = "The council will rebuild the harbour walls in May. The council will rebuild the harbour walls in May. \
        Storms washed out the stones below the walls last winter.";
    let summary = summarize(text, Length::Sentences(2));
    assert!(sentences(&summary)[1].starts_with("Storms"), "{summary:?}");
}

#[test]
fn headings_and_tables_do_not_stand_for_their_text() {
    let text = "# Harbour walls and harbour works\n\n| harbour | walls | 1 | 2 |\n\nThe harbour walls will be rebuilt in May.";
    assert_eq!(sentences(&summarize(text, Length::Words(9))), ["The harbour walls will be rebuilt in May."]);
}

#[test]
fn a_limit_below_every_sentence_cuts_the_shortest_after_a_word() {
    let summary = summarize("One two three four five. Six seven eight nine.", Length::Words(3));
    assert_eq!(sentences(&summary), ["Six seven eight"]);
    assert_eq!((summary.sentences[0].start_byte, summary.sentences[0].end_byte), (25, 40));
}

#[test]
fn a_short_sentence_is_taken_whole_before_a_long_one_is_cut() {
    assert_eq!(sentences(&summarize("One two three four five six. Yes.", Length::Words(3))), ["Yes."]);
}

#[test]
fn a_text_without_a_word_has_an_empty_summary() {
    for text in ["", "  \n ", "?!. ... --", "\u{200b}\u{301}"] {
        let summary = summarize(text, Length::default());
        assert!(summary.sentences.is_empty(), "{text:?}");
        assert_eq!((summary.source_words, summary.summary_words), (0, 0));
    }
}

#[test]
fn languages_without_spaces_are_summarised_too() {
    let text = "港の古い壁は五月に建て直されます。嵐が壁の下の石を洗い流しました。パン屋は賞を取りました。港の壁の工事は二年かかります。";
    let summary = summarize(text, Length::Sentences(2));
    assert_eq!(summary.sentences.len(), 2);
    assert!(sentences(&summary).iter().all(|sentence| sentence.contains("壁")), "{summary:?}");
}

#[test]
fn a_long_text_takes_time_in_proportion() {
    // Sizes, not clocks: a summary of half of a long text looks at each sentence a bounded number of times, or this
    // would not end.
    let text: String = (0..20_000)
        .map(|n| format!("Sentence {n} tells of matter {} and of thing {}. ", n % 97, n % 89))
        .collect();
    let summary = summarize(&text, Length::Ratio(0.5));
    assert!(summary.summary_words * 100 >= summary.source_words * 42, "{}", summary.summary_words);
}

/// Texts made of what splitters trip over.
fn tricky() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        8 => "[a-z]{1,9} ",
        2 => "[A-Z][a-z]{1,7} ",
        3 => prop::sample::select(vec![
            ". ", "? ", "! ", "... ", ".", "\n", "\n\n", "\r\n", "\r", "\u{2028}", "\u{85}", "\u{b}", ": ", "Ann: ", "- ",
            "1. ", "(a) ", "# ", "| ", "\"", "'", "” ", "“", ".” ", ".[3] ", "[", "]", "Dr. ", "U.S. ", "e.g. ", "3.14 ",
            "J. ", "no. 5 ", "https://a.example/b.c ", "。", "！", "「", "」", "漢字", "かな", "カナ", "हिन्दी। ", "نعم؟ ", "e\u{301} ",
            "\u{301}", "\u{200d}", "👩‍👩‍👧 ", "🇫🇷🇩🇪", "\u{feff}", "\u{ad}", "don't ", "don’t ", "ﬁ ", "ß ", "İ ", "א\"ב ", "\u{1}",
        ]).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..120).prop_map(|pieces| pieces.concat())
}

fn length() -> impl Strategy<Value = Length> {
    prop_oneof![
        (0..40_u32).prop_map(Length::Words),
        (0..40_u32).prop_map(Length::Tokens),
        (0..6_u32).prop_map(Length::Sentences),
        (0.0..1.0_f64).prop_map(Length::Ratio),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn promises_hold_for_tricky_texts(text in tricky(), length in length(), query in tricky(), context in tricky()) {
        keeps_its_promises(&Extractive::new(), &Job { text, length, query, context, ..Job::default() });
    }

    #[test]
    fn promises_hold_for_any_text(text in any::<String>(), length in length(), query in any::<String>()) {
        keeps_its_promises(&Extractive::new(), &Job { text, length, query, ..Job::default() });
    }
}
