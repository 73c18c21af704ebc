//! What callers are told, short of the layers that stand before the handlers.

use std::sync::{Mutex, mpsc};

use mcp_rpc::reason_of;
use tonic_types::StatusExt as _;
use unicode_segmentation::UnicodeSegmentation as _;

use super::*;
use crate::engine::{Engine, Extractive};

const TEXT: &str = "The walls of the harbour will be rebuilt in May. Storms had washed the stones away. \
    The town pays for the walls with a loan. Nobody asked the fishermen.";

fn service() -> Summarization {
    Summarization::new(Catalog::built_in("extractive"), Pool::start(2, 8).unwrap())
}

fn request(limit: wire::length::Limit) -> SummarizeRequest {
    SummarizeRequest {
        text: TEXT.to_owned(),
        length: Some(wire::Length { limit: Some(limit) }),
        ..SummarizeRequest::default()
    }
}

fn streamed(request: SummarizeRequest) -> SummarizeStreamRequest {
    let SummarizeRequest { text, length, style, engine, context, query } = request;
    SummarizeStreamRequest { text, length, style, engine, context, query }
}

/// An engine that works until it is let go, or panics where there is nobody to let it go.
struct Held(Mutex<mpsc::Receiver<()>>);

impl Engine for Held {
    fn name(&self) -> &'static str {
        "held"
    }

    fn description(&self) -> &'static str {
        "Waits."
    }

    fn summarize(&self, _: &Job) -> Summary {
        self.0.lock().unwrap().recv().expect("somebody to let it go");
        Summary::default()
    }
}

#[tokio::test]
async fn a_text_is_answered_with_its_summary_and_where_it_stands() {
    let answer = service().whole(request(wire::length::Limit::MaxSentences(2)).into()).await.unwrap();

    assert_eq!(answer.engine, "extractive");
    assert_eq!(answer.source_spans.len(), 2);
    let told: Vec<_> = answer
        .source_spans
        .iter()
        .map(|span| &TEXT[span.start_byte as usize..span.end_byte as usize])
        .collect();
    assert_eq!(answer.summary, told.join(" "));
    assert_eq!(answer.source_words as usize, TEXT.unicode_words().count());
    assert_eq!(answer.summary_words as usize, answer.summary.unicode_words().count());
    assert!(answer.semantic_score > 0.0 && answer.semantic_score < 1.0);
}

#[tokio::test]
async fn each_limit_holds() {
    use wire::length::Limit;
    for (limit, words_max) in [
        (Limit::MaxWords(12), 12),
        (Limit::MaxTokens(12), 12),
        (Limit::Ratio(0.4), TEXT.unicode_words().count() * 4 / 10),
    ] {
        let answer = service().whole(request(limit).into()).await.unwrap();
        assert!((1..=words_max).contains(&(answer.summary_words as usize)), "{limit:?}: {answer:?}");
    }
}

#[tokio::test]
async fn a_text_shorter_than_the_usual_limit_stays_whole() {
    let asked = SummarizeRequest { text: TEXT.to_owned(), ..SummarizeRequest::default() };
    assert_eq!(service().whole(asked.into()).await.unwrap().summary, TEXT);
}

#[tokio::test]
async fn the_parts_of_a_stream_joined_are_the_whole() {
    for style in [wire::Style::Paragraph, wire::Style::Bullets] {
        let mut asked = request(wire::length::Limit::MaxSentences(3));
        asked.set_style(style);
        let whole = service().whole(asked.clone().into()).await.unwrap();
        let parts: Vec<_> = service().parts(streamed(asked).into()).unwrap().collect().await;
        let parts: Vec<_> = parts.into_iter().collect::<Result<_, _>>().unwrap();

        let joined: String = parts.iter().map(|part| part.summary.as_str()).collect();
        assert_eq!(joined, whole.summary);
        let spans: Vec<_> = parts.iter().flat_map(|part| part.source_spans.clone()).collect();
        assert_eq!(spans, whole.source_spans);

        let (last, before) = parts.split_last().unwrap();
        assert_eq!(before.len(), 3);
        assert!(
            before.iter().all(|part| !part.done && part.source_words == 0 && part.engine == whole.engine)
        );
        assert!(last.done && last.summary.is_empty() && last.source_spans.is_empty());
        assert_eq!(
            (last.semantic_score, last.source_words, last.summary_words),
            (whole.semantic_score, whole.source_words, whole.summary_words)
        );
    }
}

#[tokio::test]
async fn an_engine_that_is_not_there_is_refused_by_name() {
    let asked = SummarizeRequest {
        text: TEXT.to_owned(),
        engine: "oracle".to_owned(),
        ..SummarizeRequest::default()
    };
    let refused = service().whole(asked.clone().into()).await.unwrap_err();
    assert_eq!(
        (refused.code(), reason_of(&refused).as_deref()),
        (Code::InvalidArgument, Some("ENGINE_UNKNOWN"))
    );
    assert!(refused.message().contains("oracle"));

    let refused = service().parts(streamed(asked).into()).err().unwrap();
    assert_eq!(reason_of(&refused).as_deref(), Some("ENGINE_UNKNOWN"));
}

#[tokio::test]
async fn who_finds_the_queue_full_hears_when_to_come_back() {
    let (release, held) = mpsc::channel();
    let engines: [Arc<dyn Engine>; 2] = [Arc::new(Held(Mutex::new(held))), Arc::new(Extractive::new())];
    let service = Summarization::new(Catalog::of(engines, "held"), Pool::start(1, 1).unwrap());
    let asked = || SummarizeRequest { text: TEXT.to_owned(), ..SummarizeRequest::default() };

    // One is worked on or waits, and so on until the queue is full; how soon depends on the thread.
    let mut underway = Vec::new();
    let refused = loop {
        match service.begin(asked().into()) {
            Ok(begun) => underway.push(begun),
            Err(refused) => break refused,
        }
    };
    assert!((1..=2).contains(&underway.len()));
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert_eq!(refused.get_details_retry_info().unwrap().retry_delay, Some(RETRY_AFTER));

    for begun in underway {
        release.send(()).unwrap();
        begun.ticket.await.unwrap();
    }
    assert!(service.begin(asked().into()).is_ok());
}

#[tokio::test]
async fn a_fault_of_an_engine_tells_the_caller_nothing() {
    let (_, held) = mpsc::channel();
    let engines: [Arc<dyn Engine>; 1] = [Arc::new(Held(Mutex::new(held)))];
    let service = Summarization::new(Catalog::of(engines, "held"), Pool::start(1, 1).unwrap());
    let asked = SummarizeRequest { text: TEXT.to_owned(), ..SummarizeRequest::default() };

    let failed = service.whole(asked.into()).await.unwrap_err();
    assert_eq!((failed.code(), failed.message()), (Code::Internal, "internal error"));
}

#[test]
fn engines_are_listed_by_name_with_the_default() {
    let listed = service().engines();
    assert_eq!(listed.default_engine, "extractive");
    assert_eq!(listed.engines.len(), 1);
    assert_eq!(listed.engines[0].name, "extractive");
    assert!(listed.engines[0].description.ends_with('.'));
}

#[tokio::test]
async fn a_call_that_passed_no_layer_is_not_served() {
    let bare = Request::new(SummarizeRequest { text: TEXT.to_owned(), ..SummarizeRequest::default() });
    assert_eq!(service().summarize(bare).await.unwrap_err().code(), Code::Internal);
}
