//! The life of a context: stored, changed, talked in, listed, shortened, gone.

use mcp_proto::{
    POLICIES,
    context::v1::{
        AssembleWindowRequest, Context, CreateContextRequest, DeleteContextRequest, ListContextsRequest,
        UpdateContextRequest,
    },
};
use mcp_tenancy::TokenKind;
use mcp_tests::{
    World,
    cases::trial::{Case, Trial, on_the_mesh},
    document, reason,
    user::appending,
    wire::framed,
    world::Service,
};
use prost::Message as _;
use tonic::Code;

#[tokio::test]
async fn a_context_is_stored_read_changed_and_deleted() {
    let world = World::start().await;
    let alice = world.user("acme", "alice", "editor").await;
    let context = Context {
        r#type: "chat".to_owned(),
        title: "The plan".to_owned(),
        description: "first line\nsecond line".to_owned(),
        tags: vec!["plans".to_owned(), "2026".to_owned()],
        ..Context::default()
    };

    let request = CreateContextRequest { context: Some(context.clone()), ..CreateContextRequest::default() };
    let stored = alice.contexts().create_context(request).await.expect("stored").into_inner();
    assert_eq!(
        (&stored.title, &stored.description, &stored.tags),
        (&context.title, &context.description, &context.tags)
    );
    assert!(stored.name.starts_with("contexts/") && !stored.etag.is_empty(), "{stored:?}");
    assert_eq!(alice.reads(&stored.name).await.expect("read"), stored);

    let changed = alice.retitles(&stored.name, &stored.etag, "The better plan").await.expect("changed");
    assert_eq!(changed.title, "The better plan");
    assert_eq!(
        (&changed.description, &changed.tags),
        (&context.description, &context.tags),
        "the mask names the title alone"
    );
    assert_ne!(changed.etag, stored.etag);

    alice.deletes(&stored.name).await.expect("deleted");
    assert_eq!(alice.reads(&stored.name).await.expect_err("gone").code(), Code::NotFound);
    assert_eq!(alice.deletes(&stored.name).await.expect_err("gone").code(), Code::NotFound);
}

#[tokio::test]
async fn who_changes_what_another_changed_meanwhile_is_told() {
    let world = World::start().await;
    let alice = world.user("acme", "alice", "editor").await;
    let stored = alice.creates("The plan").await.expect("stored");
    alice.retitles(&stored.name, &stored.etag, "first").await.expect("changed");

    let refusal = alice.retitles(&stored.name, &stored.etag, "second").await.expect_err("changed meanwhile");
    assert_eq!((refusal.code(), reason(&refusal).as_str()), (Code::Aborted, "ETAG_MISMATCH"));
    let request = DeleteContextRequest {
        name: stored.name.clone(),
        etag: stored.etag,
        ..DeleteContextRequest::default()
    };
    let refusal = alice.contexts().delete_context(request).await.expect_err("changed meanwhile");
    assert_eq!((refusal.code(), reason(&refusal).as_str()), (Code::Aborted, "ETAG_MISMATCH"));

    assert_eq!(alice.reads(&stored.name).await.expect("read").title, "first");
    alice.retitles(&stored.name, "", "whatever it was").await.expect("without an etag none is asked for");
}

#[tokio::test]
async fn only_some_fields_can_be_changed() {
    let world = World::start().await;
    let alice = world.user("acme", "alice", "editor").await;
    let stored = alice.creates("The plan").await.expect("stored");

    for field in ["name", "etag", "create_time", "message_count", "no_such_field"] {
        let context = Context { name: stored.name.clone(), ..Context::default() };
        let mask = prost_types::FieldMask { paths: vec![field.to_owned()] };
        let request = UpdateContextRequest {
            context: Some(context),
            update_mask: Some(mask),
            ..UpdateContextRequest::default()
        };
        let refusal = alice.contexts().update_context(request).await.expect_err(field);
        assert_eq!(
            (refusal.code(), reason(&refusal).as_str()),
            (Code::InvalidArgument, "UPDATE_MASK_REFUSED"),
            "{field}"
        );
    }
}

#[tokio::test]
async fn a_repeated_write_gives_the_first_answer_again() {
    let world = World::start().await;
    let alice = world.user("acme", "alice", "editor").await;
    let bob = world.user("acme", "bob", "editor").await;
    let id = "0190b3c5-8f1a-7cc0-a6f0-8e6f6b5c0f22".to_owned();
    let context = Context { title: "once".to_owned(), ..Context::default() };
    let create = CreateContextRequest { context: Some(context), request_id: id.clone() };

    let first = alice.contexts().create_context(create.clone()).await.expect("stored").into_inner();
    let again = alice.contexts().create_context(create.clone()).await.expect("the same").into_inner();
    assert_eq!(first, again);
    assert_eq!(alice.lists(50).await.expect("listed").len(), 1);

    let mut append = appending(&first.name, &["once"]);
    append.request_id = id.clone();
    let one = alice.contexts().append_messages(append.clone()).await.expect("appended").into_inner();
    let two = alice.contexts().append_messages(append.clone()).await.expect("the same").into_inner();
    assert_eq!(one, two);
    assert_eq!(alice.messages(&first.name).await.expect("read").len(), 1);

    // The same ID with another body is a mistake; another person's ID is another ID.
    append.messages[0].text = "twice".to_owned();
    let refusal = alice.contexts().append_messages(append).await.expect_err("another body");
    assert_eq!((refusal.code(), reason(&refusal).as_str()), (Code::InvalidArgument, "REQUEST_ID_REUSED"));
    let of_bob = bob.contexts().create_context(create).await.expect("stored").into_inner();
    assert_ne!(of_bob.name, first.name);
}

#[tokio::test]
async fn messages_keep_their_order_and_their_text() {
    let world = World::start().await;
    let alice = world.user("acme", "alice", "editor").await;
    let plan = alice.creates("The plan").await.expect("stored").name;
    // Free text is kept as it is: forms, directions, joiners, markup.
    let texts = [
        "one",
        "two\u{c}\r\n\tthree",
        "مرحبا \u{202e}x",
        "👩‍👩‍👧",
        "<script>alert(1)</script>",
        " \u{feff}e\u{301} ",
    ];

    let first = alice.appends(&plan, &texts[..3]).await.expect("appended");
    let second = alice.appends(&plan, &texts[3..]).await.expect("appended");

    let names: Vec<_> = first.iter().chain(&second).map(|message| message.name.clone()).collect();
    assert_eq!(names, (1..=6).map(|n| format!("{plan}/messages/{n}")).collect::<Vec<_>>());
    let read = alice.messages(&plan).await.expect("read");
    assert_eq!(read.iter().map(|message| message.text.as_str()).collect::<Vec<_>>(), texts);
    assert_eq!(alice.reads(&plan).await.expect("read").message_count, 6);
}

#[tokio::test]
async fn lists_come_in_pages_newest_first() {
    let world = World::start().await;
    let alice = world.user("acme", "alice", "editor").await;
    let mut stored = Vec::new();
    for at in 0..7 {
        stored.push(alice.creates(&format!("number {at}")).await.expect("stored").name);
    }
    stored.reverse();

    for page_size in [1, 3, 7, 50] {
        assert_eq!(alice.lists(page_size).await.expect("listed"), stored, "in pages of {page_size}");
    }
    let request = ListContextsRequest { page_size: 3, ..ListContextsRequest::default() };
    let page = alice.contexts().list_contexts(request).await.expect("a page").into_inner();
    assert_eq!(page.contexts.len(), 3);
}

#[tokio::test]
async fn a_window_keeps_the_newest_words_and_its_budget() {
    let world = World::start().await;
    let alice = world.user("acme", "alice", "editor").await;
    let plan = alice.creates("The plan").await.expect("stored").name;
    let old = document(6_000);
    for _ in 0..5 {
        alice.appends(&plan, &[&old]).await.expect("appended");
    }
    alice.appends(&plan, &["This was said last."]).await.expect("appended");

    let window = alice.window(&plan, 300).await.expect("a window");

    let last = window.parts.last().expect("a part");
    assert_eq!((last.text.as_str(), last.summarized), ("This was said last.", false));
    assert!(window.parts.iter().any(|part| part.summarized), "{window:?}");
    assert!(window.token_count <= 300, "{}", window.token_count);
    assert_eq!(window.token_count, window.parts.iter().map(|part| part.token_count).sum::<u32>());
    assert_eq!(window.tokenizer, "unicode-words");
    assert_eq!(window, alice.window(&plan, 300).await.expect("the same state, the same window"));

    let whole = alice.window(&plan, 1_000_000).await.expect("a window");
    assert!(whole.parts.iter().all(|part| !part.summarized));
    assert_eq!(whole.parts.len(), 6);
}

#[tokio::test]
async fn a_window_acts_with_the_callers_rights_and_no_more() {
    let world = World::start().await;
    let alice = world.user("acme", "alice", "editor").await;
    let plan = alice.creates("The plan").await.expect("stored").name;
    alice.appends(&plan, &[&document(20_000), "last"]).await.expect("appended");
    let signer = world.signer().await;
    let narrow = signer.draft(TokenKind::Transaction).without("summarization.use");
    let policy = POLICIES.of("/mcp.context.v1.ContextService/AssembleWindow").expect("a policy");
    let request = AssembleWindowRequest { name: plan, max_tokens: 50, tokenizer: String::new() };

    let mut trial = Trial::begin(&world).await;
    let case = Case {
        token: Some(signer.sign(&narrow)),
        body: framed(&request.encode_to_vec()),
        ..on_the_mesh(policy, Service::Context, "gateway")
    };
    let (_, answer) = trial.send(&case).await;

    assert_eq!(answer.code(), Code::PermissionDenied, "{answer:?}");
}
