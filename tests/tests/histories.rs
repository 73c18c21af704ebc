//! What becomes of a context: found by its words, watched, forked, read as it was, ended, carried elsewhere.

use std::time::Duration;

use mcp_proto::context::v1::{
    BatchGetContextsRequest, Context, CreateContextRequest, ExportContextsRequest, ForkContextRequest,
    GetContextRequest, ImportContextsRequest, ListContextRevisionsRequest, ListContextsRequest,
    SearchContextsRequest, WatchContextRequest, context::Expiration, watch_context_response::Event,
};
use mcp_tests::{World, reason, user::User, world::until};
use prost_types::{FieldMask, Struct, Value, value::Kind};
use tokio::time::timeout;
use tonic::{Code, Status, Streaming};

/// Longer than anything here takes.
const SOON: Duration = Duration::from_secs(60);

async fn next<T>(answers: &mut Streaming<T>) -> Option<T> {
    timeout(SOON, answers.message()).await.expect("in time").expect("an answer")
}

async fn watching(
    user: &User,
    name: &str,
    after_version: u64,
) -> Result<Streaming<mcp_proto::context::v1::WatchContextResponse>, Status> {
    let request = WatchContextRequest { name: name.to_owned(), after_version };
    Ok(user.contexts().watch_context(request).await?.into_inner())
}

async fn exported(user: &User) -> Vec<u8> {
    let request = ExportContextsRequest::default();
    let mut pieces = user.contexts().export_contexts(request).await.expect("exported").into_inner();
    let mut file = Vec::new();
    while let Some(piece) = next(&mut pieces).await {
        file.extend(piece.lines);
    }
    file
}

#[tokio::test]
async fn what_was_said_is_found_by_its_words_in_its_own_tenant() {
    let world = World::start().await;
    let alice = world.user("acme", "alice", "editor").await;
    let mallory = world.user("globex", "mallory", "owner").await;
    let plan = alice.creates("The plan").await.expect("stored").name;
    alice
        .appends(&plan, &["We meet on Monday to talk of apricots.", "Else nothing."])
        .await
        .expect("appended");
    mallory.creates("Something else").await.expect("stored");
    let search = SearchContextsRequest { query: "apricot".to_owned(), ..SearchContextsRequest::default() };

    let found = alice.contexts().search_contexts(search.clone()).await.expect("searched").into_inner();
    let [hit] = found.hits.as_slice() else { panic!("{found:?}") };
    assert_eq!((hit.context.as_str(), hit.title.as_str()), (plan.as_str(), "The plan"));
    assert_eq!(hit.message, format!("{plan}/messages/1"));
    let snippet = hit.snippet.as_ref().expect("a snippet");
    let run = &snippet.highlights[0];
    assert_eq!(&snippet.text[run.start as usize..run.end as usize], "apricots");

    let theirs = mallory.contexts().search_contexts(search).await.expect("searched").into_inner();
    assert!(theirs.hits.is_empty(), "{theirs:?}");
}

#[tokio::test]
async fn a_watcher_that_was_cut_off_goes_on_where_it_was() {
    let world = World::start().await;
    let alice = world.user("acme", "alice", "editor").await;
    let plan = alice.creates("The plan").await.expect("stored");
    let mut answers = watching(&alice, &plan.name, 0).await.expect("watched");
    let first = next(&mut answers).await.expect("the context as it is");
    assert!(matches!(first.event, Some(Event::Current(context)) if context == plan));

    alice.appends(&plan.name, &["one"]).await.expect("appended");
    let heard = next(&mut answers).await.expect("what was said");
    assert_eq!(heard.version, 2);
    drop(answers);
    alice.appends(&plan.name, &["two", "three"]).await.expect("appended");
    alice.retitles(&plan.name, "", "Another").await.expect("changed");

    let mut answers = watching(&alice, &plan.name, heard.version).await.expect("watched");
    let missed = next(&mut answers).await.expect("what was missed");
    let Some(Event::Appended(appended)) = missed.event else { panic!("{missed:?}") };
    let texts: Vec<_> = appended.messages.iter().map(|message| message.text.as_str()).collect();
    assert_eq!((missed.version, texts), (3, vec!["two", "three"]));
    let changed = next(&mut answers).await.expect("what was changed");
    assert!(matches!(changed.event, Some(Event::Updated(context)) if context.title == "Another"));
    alice.deletes(&plan.name).await.expect("deleted");
    assert!(matches!(next(&mut answers).await.expect("the end").event, Some(Event::Deleted(()))));
    assert!(next(&mut answers).await.is_none());

    let gone = watching(&alice, &plan.name, 4).await.expect_err("gone");
    assert_eq!(gone.code(), Code::NotFound);
}

#[tokio::test]
async fn a_fork_goes_on_after_what_it_was_forked_from_is_gone() {
    let world = World::start().await;
    let alice = world.user("acme", "alice", "editor").await;
    let plan = alice.creates("The plan").await.expect("stored").name;
    alice.appends(&plan, &["one", "two"]).await.expect("appended");

    let request =
        ForkContextRequest { name: plan.clone(), message_count: 1, ..ForkContextRequest::default() };
    let fork = alice.contexts().fork_context(request.clone()).await.expect("forked").into_inner();
    assert_eq!((fork.forked_from.as_str(), fork.forked_messages), (plan.as_str(), 1));
    alice.deletes(&plan).await.expect("deleted");
    alice.appends(&fork.name, &["another two"]).await.expect("appended");

    let said = alice.messages(&fork.name).await.expect("read");
    assert_eq!(said.iter().map(|it| it.text.as_str()).collect::<Vec<_>>(), ["one", "another two"]);
    let absent = alice.contexts().fork_context(request).await.expect_err("gone");
    assert_eq!(absent.code(), Code::NotFound);
}

#[tokio::test]
async fn a_context_is_read_as_it_was_and_in_part() {
    let world = World::start().await;
    let alice = world.user("acme", "alice", "editor").await;
    let first = alice.creates("First").await.expect("stored");
    alice.retitles(&first.name, &first.etag, "Second").await.expect("changed");

    let request = ListContextRevisionsRequest { name: first.name.clone(), ..Default::default() };
    let versions = alice.contexts().list_context_revisions(request).await.expect("listed").into_inner();
    let titles: Vec<_> = versions.contexts.iter().map(|was| (was.version, was.title.as_str())).collect();
    assert_eq!(titles, [(2, "Second"), (1, "First")]);
    let was = alice.reads(&versions.contexts[1].name).await.expect("kept");
    assert_eq!((was.name.as_str(), was.title.as_str()), (format!("{}@1", first.name).as_str(), "First"));
    assert_eq!(alice.reads(&format!("{}@3", first.name)).await.expect_err("none").code(), Code::NotFound);

    let read_mask = Some(FieldMask { paths: vec!["title".to_owned()] });
    let request = GetContextRequest { name: first.name.clone(), read_mask: read_mask.clone() };
    let part = alice.contexts().get_context(request).await.expect("read").into_inner();
    assert_eq!(part, Context { name: first.name.clone(), title: "Second".to_owned(), ..Context::default() });
    let names = vec![first.name.clone(), alice.creates("Other").await.expect("stored").name];
    let batch = BatchGetContextsRequest { names, read_mask };
    let both = alice.contexts().batch_get_contexts(batch).await.expect("read").into_inner().contexts;
    assert_eq!(both.iter().map(|it| it.title.as_str()).collect::<Vec<_>>(), ["Second", "Other"]);
}

#[tokio::test]
async fn a_list_is_filtered_and_ordered_as_it_is_asked() {
    let world = World::start().await;
    let alice = world.user("acme", "alice", "editor").await;
    for (title, kind, tag) in [("a", "chat", "red"), ("b", "ticket", "red"), ("c", "chat", "blue")] {
        let context = Context {
            title: title.to_owned(),
            r#type: kind.to_owned(),
            tags: vec![tag.to_owned()],
            ..Context::default()
        };
        let request = CreateContextRequest { context: Some(context), ..CreateContextRequest::default() };
        alice.contexts().create_context(request).await.expect("stored");
    }
    let listed = async |filter: &str, order_by: &str| {
        let request = ListContextsRequest {
            filter: filter.to_owned(),
            order_by: order_by.to_owned(),
            ..ListContextsRequest::default()
        };
        let page = alice.contexts().list_contexts(request).await?.into_inner();
        Ok::<Vec<String>, Status>(page.contexts.into_iter().map(|context| context.title).collect())
    };

    assert_eq!(listed("type = chat", "create_time").await.expect("listed"), ["a", "c"]);
    assert_eq!(listed("tags : red", "").await.expect("listed"), ["b", "a"]);
    assert_eq!(listed("tags : red AND type = chat", "").await.expect("listed"), ["a"]);
    for (filter, order, expected) in
        [("title = a", "", "FILTER_REFUSED"), ("", "title", "ORDER_REFUSED"), ("type", "", "FILTER_REFUSED")]
    {
        let refused = listed(filter, order).await.expect_err("refused");
        assert_eq!((refused.code(), reason(&refused).as_str()), (Code::InvalidArgument, expected));
    }
}

#[tokio::test]
async fn data_is_kept_to_the_last_bit_and_within_its_bounds() {
    let world = World::start().await;
    let alice = world.user("acme", "alice", "editor").await;
    let number = Value { kind: Some(Kind::NumberValue(0.1 + 0.2)) };
    let storing = async |value: Value| {
        let data = Some(Struct { fields: [("key".to_owned(), value)].into() });
        let context = Context { data, ..Context::default() };
        let request = CreateContextRequest { context: Some(context), ..CreateContextRequest::default() };
        alice.contexts().create_context(request).await.map(tonic::Response::into_inner)
    };

    let stored = storing(number.clone()).await.expect("stored");
    assert_eq!(alice.reads(&stored.name).await.expect("read").data.expect("data").fields["key"], number);
    let deep = (0..17).fold(number, |inner, _| {
        let fields = [("in".to_owned(), inner)].into();
        Value { kind: Some(Kind::StructValue(Struct { fields })) }
    });
    let refused = storing(deep).await.expect_err("too deep");
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::InvalidArgument, "FIELD_INVALID"));
    assert!(refused.message().contains("16 deep"), "{refused:?}");
}

#[tokio::test]
async fn a_context_ends_when_its_time_has_come() {
    let world = World::start().await;
    let alice = world.user("acme", "alice", "editor").await;
    let ttl = prost_types::Duration { seconds: 2, nanos: 0 };
    let context = Context { expiration: Some(Expiration::Ttl(ttl)), ..Context::default() };
    let request = CreateContextRequest { context: Some(context), ..CreateContextRequest::default() };
    let name = alice.contexts().create_context(request).await.expect("stored").into_inner().name;

    let ended = until("its time comes", async || match alice.reads(&name).await {
        Ok(context) => Err(format!("still there: {:?}", context.expiration)),
        Err(status) => Ok(status),
    })
    .await;
    assert_eq!(ended.code(), Code::NotFound);
    assert_eq!(alice.lists(50).await.expect("listed"), Vec::<String>::new());
}

#[tokio::test]
async fn what_one_tenant_exported_another_imports_and_a_cut_file_nobody() {
    let world = World::start().await;
    let alice = world.user("acme", "alice", "editor").await;
    let bob = world.user("globex", "bob", "editor").await;
    for title in ["one", "two"] {
        let name = alice.creates(title).await.expect("stored").name;
        alice.appends(&name, &["a", "b\n\u{1}"]).await.expect("appended");
    }
    let file = exported(&alice).await;
    let importing = async |file: &[u8]| {
        let pieces: Vec<_> = file
            .chunks(100)
            .map(|lines| ImportContextsRequest { lines: lines.to_vec(), request_id: String::new() })
            .collect();
        bob.contexts().import_contexts(tokio_stream::iter(pieces)).await.map(tonic::Response::into_inner)
    };

    let cut = importing(&file[..file.len() - 200]).await.expect_err("cut");
    assert_eq!(cut.code(), Code::InvalidArgument, "{cut:?}");
    assert_eq!(bob.lists(50).await.expect("listed").len(), 0);

    let imported = importing(&file).await.expect("imported");
    assert_eq!((imported.contexts.len(), imported.message_count), (2, 4));
    let texts: Vec<_> = bob.messages(&imported.contexts[0].name).await.expect("read");
    assert_eq!(texts.iter().map(|it| it.text.as_str()).collect::<Vec<_>>(), ["a", "b\n\u{1}"]);
}
