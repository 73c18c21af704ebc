//! Windows over contexts, through every layer: budgets of each tokenizer, what is pinned, and the same answer every time.

use mcp_proto::context::v1::{
    AppendMessagesRequest, AssembleWindowRequest, AssembleWindowResponse, Message, Role,
};
use mcp_tests::{User, World, reason};
use tonic::{Code, Status};

/// So many sentences, each about something else.
fn sightings(sentences: usize, about: &str) -> String {
    (0..sentences)
        .map(|n| format!("The {about} number {n} was seen by witness {} at noon. ", n * 7))
        .collect()
}

async fn says(by: &User, parent: &str, text: &str, pinned: bool) {
    let message = Message { role: Role::User.into(), text: text.to_owned(), pinned, ..Message::default() };
    let request = AppendMessagesRequest {
        parent: parent.to_owned(),
        messages: vec![message],
        ..AppendMessagesRequest::default()
    };
    by.contexts().append_messages(request).await.expect("appended");
}

async fn window(
    by: &User,
    name: &str,
    tokens: u32,
    tokenizer: &str,
) -> Result<AssembleWindowResponse, Status> {
    let request =
        AssembleWindowRequest { name: name.to_owned(), max_tokens: tokens, tokenizer: tokenizer.to_owned() };
    by.contexts().assemble_window(request).await.map(tonic::Response::into_inner)
}

#[tokio::test]
async fn the_same_state_gives_the_same_window_whoever_asks_and_after_a_restart() {
    let mut world = World::start().await;
    let alice = world.user("acme", "alice", "editor").await;
    let plan = alice.creates("The plan").await.expect("stored").name;
    for about in ["heron", "otter", "kestrel", "badger", "vole", "stoat"] {
        says(&alice, &plan, &sightings(60, about), false).await;
    }
    says(&alice, &plan, "This was said last.", false).await;

    let (first, second) = tokio::join!(window(&alice, &plan, 300, ""), window(&alice, &plan, 300, ""));
    let first = first.expect("a window");
    assert_eq!(first, second.expect("a window"));
    let bob = world.user("acme", "bob", "editor").await;
    assert_eq!(first, window(&bob, &plan, 300, "").await.expect("a window"));
    world.restart().await;
    let alice = world.user("acme", "alice", "editor").await;
    assert_eq!(first, window(&alice, &plan, 300, "").await.expect("a window"));

    let summary = first.parts.iter().find(|part| part.summarized).expect("a summary");
    assert_eq!(summary.engine, "extractive");
    assert!(!summary.text.is_empty());
    assert_eq!(first.parts.last().map(|part| part.text.as_str()), Some("This was said last."));
}

#[tokio::test]
async fn every_tokenizer_has_its_own_exact_budget() {
    let world = World::start().await;
    let alice = world.user("acme", "alice", "editor").await;
    let plan = alice.creates("The plan").await.expect("stored").name;
    for about in ["heron", "otter", "kestrel"] {
        says(&alice, &plan, &sightings(40, about), false).await;
    }
    says(&alice, &plan, "tiktoken is great!", false).await;

    for (tokenizer, newest) in [("unicode-words", 3), ("cl100k_base", 6), ("o200k_base", 6)] {
        let window = window(&alice, &plan, 200, tokenizer).await.expect("a window");
        assert_eq!(window.tokenizer, tokenizer);
        assert!(window.token_count <= 200, "{window:?}");
        assert_eq!(window.token_count, window.parts.iter().map(|part| part.token_count).sum::<u32>());
        assert_eq!(window.parts.last().map(|part| part.token_count), Some(newest));
    }
    let unknown = window(&alice, &plan, 200, "p50k_base").await.expect_err("unknown");
    assert_eq!(unknown.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn what_is_pinned_is_in_every_window_or_there_is_none() {
    let world = World::start().await;
    let alice = world.user("acme", "alice", "editor").await;
    let plan = alice.creates("The plan").await.expect("stored").name;
    says(&alice, &plan, "Never tell anybody the name of the heron, under any circumstances, whoever asks, or why, ever again.", true)
        .await;
    for about in ["heron", "otter", "kestrel"] {
        says(&alice, &plan, &sightings(40, about), false).await;
    }

    for budget in [20, 100, 10_000] {
        let window = window(&alice, &plan, budget, "").await.expect("a window");
        let pinned: Vec<_> = window.parts.iter().filter(|part| part.pinned).collect();
        assert_eq!(pinned.len(), 1, "{window:?}");
        assert_eq!(pinned[0].first_message, format!("{plan}/messages/1"));
        assert!(window.token_count <= budget);
    }
    let refused = window(&alice, &plan, 16, "").await.expect_err("too little");
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, "PINNED_TOO_LONG"));
    assert!(refused.message().contains("17 tokens of a budget of 16"), "{refused:?}");
}
