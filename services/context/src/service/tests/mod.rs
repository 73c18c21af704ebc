//! The methods over a real store, with a clock that stands; only the mesh is not there.

mod transfer;
mod watch;

use std::{collections::HashSet, time::Duration};

use mcp_rpc::{not_found, reason_of};
use mcp_secrets::Secret;
use mcp_testkit::TestIssuer;
use mcp_types::{SystemEntropy, Timestamp};
use prost::Message as _;
use tonic::{Code, transport::Endpoint};

use super::*;
use crate::{
    store::{StoredContexts, sqlite_contexts},
    window::{Engine, Summarize},
};

/// What gRPC clients take unless told otherwise.
const CLIENT_BYTES_MAX: usize = 4 * 1024 * 1024;
const SOME_ID: &str = "0190b3c5-8f1a-4cc0-a6f0-8e6f6b5c0f11";

/// A clock that stands still.
#[derive(Debug)]
struct Still;

/// The service, and the folder that it lives in.
struct World {
    service: Service<StoredContexts>,
    _folder: tempfile::TempDir,
}

/// Summarises everything in two words.
#[derive(Default)]
struct Terse {
    engine: Engine,
}

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_secs(1_790_000_000)
    }
}

impl Summarize for Terse {
    fn engine(&self) -> &Engine {
        &self.engine
    }

    async fn summarize(&self, _: String, _: u32) -> Result<String, Status> {
        Ok("in short".to_owned())
    }
}

impl World {
    async fn start() -> Self {
        let (store, folder) = sqlite_contexts().await;
        let service = Service {
            store: Arc::new(store),
            pages: PageTokens::under(&Secret::draw(32, &SystemEntropy), Arc::new(SystemEntropy)),
            clock: Arc::new(Still),
            entropy: Arc::new(SystemEntropy),
            summarization: Endpoint::from_static("http://127.0.0.1:1").connect_lazy(),
            watches: Arc::new(Watches::new(4)),
            tenants: Arc::default(),
            stop: Stop::default(),
        };
        Self { service, _folder: folder }
    }

    async fn creates(&self, by: &By, title: &str) -> pb::Context {
        self.service.create(by, titled(title)).await.expect("stored")
    }

    async fn says(&self, by: &By, parent: &str, texts: &[&str]) -> Vec<pb::Message> {
        self.service.append(by, saying(parent, texts)).await.expect("appended").messages
    }

    async fn reads(
        &self,
        by: &By,
        parent: &str,
        page_token: &str,
    ) -> Result<pb::ListMessagesResponse, Status> {
        let (parent, page_token) = (parent.to_owned(), page_token.to_owned());
        self.service.messages(by, &pb::ListMessagesRequest { parent, page_size: 1, page_token }).await
    }
}

fn user(tenant: &str, name: &str) -> By {
    By { scope: TestIssuer::new().scope(tenant), principal: name.to_owned() }
}

fn titled(title: &str) -> pb::CreateContextRequest {
    let context = pb::Context { title: title.to_owned(), ..Default::default() };
    pb::CreateContextRequest { context: Some(context), request_id: String::new() }
}

fn saying(parent: &str, texts: &[&str]) -> pb::AppendMessagesRequest {
    let role = pb::Role::User.into();
    let messages =
        texts.iter().map(|&text| pb::Message { role, text: text.to_owned(), ..Default::default() }).collect();
    pb::AppendMessagesRequest { parent: parent.to_owned(), messages, request_id: String::new() }
}

fn refused<T: std::fmt::Debug>(answer: Result<T, Status>, code: Code, reason: &str) {
    let status = answer.expect_err("refused");
    assert_eq!((status.code(), reason_of(&status).as_deref()), (code, Some(reason)));
}

#[tokio::test]
async fn what_is_not_the_clients_to_choose_is_chosen_by_the_server() {
    let (world, alice) = (World::start().await, user("acme", "alice"));
    let forged = pb::Context {
        name: "contexts/0190b3c5-8f1a-7cc0-a6f0-8e6f6b5c0f11".to_owned(),
        etag: "mine".to_owned(),
        message_count: 9,
        create_time: Some(prost_types::Timestamp::default()),
        ..Default::default()
    };

    let request = pb::CreateContextRequest { context: Some(forged.clone()), request_id: String::new() };
    let stored = world.service.create(&alice, request).await.expect("stored");

    assert!(stored.name != forged.name && stored.etag != forged.etag, "{stored:?}");
    assert_eq!((stored.message_count, stored.create_time.map(|time| time.seconds)), (0, Some(1_790_000_000)));
    assert_eq!(&stored.name[23..24], "7", "a UUIDv7");
}

#[tokio::test]
async fn pages_follow_one_another_to_the_end() {
    let (world, alice) = (World::start().await, user("acme", "alice"));
    let mut created = HashSet::new();
    for n in 0..5 {
        created.insert(world.creates(&alice, &n.to_string()).await.name);
    }

    let (mut seen, mut page_token) = (HashSet::new(), String::new());
    loop {
        let request = pb::ListContextsRequest { page_size: 2, page_token, ..Default::default() };
        let page = world.service.list(&alice, &request).await.expect("a page");
        assert!(page.contexts.len() <= 2);
        seen.extend(page.contexts.into_iter().map(|context| context.name));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }

    assert_eq!(seen, created);
}

#[tokio::test]
async fn a_page_token_opens_only_what_it_was_given_for() {
    let world = World::start().await;
    let (alice, mallory) = (user("acme", "alice"), user("globex", "mallory"));
    let [ours, other] = [world.creates(&alice, "a").await.name, world.creates(&alice, "b").await.name];
    let foreign = world.creates(&mallory, "c").await.name;
    for (by, name) in [(&alice, &ours), (&alice, &other), (&mallory, &foreign)] {
        world.says(by, name, &["one", "two", "three"]).await;
    }
    let token = world.reads(&alice, &ours, "").await.expect("a page").next_page_token;

    let next = world.reads(&alice, &ours, &token).await.expect("the next page");
    assert_eq!(next.messages[0].text, "two");

    let bad = (Code::InvalidArgument, "PAGE_TOKEN_REFUSED");
    refused(world.reads(&alice, &other, &token).await, bad.0, bad.1);
    refused(world.reads(&mallory, &foreign, &token).await, bad.0, bad.1);
    refused(world.reads(&alice, &ours, &format!("{token}A")).await, bad.0, bad.1);
    refused(world.reads(&alice, &ours, "x").await, bad.0, bad.1);
    let elsewhere = pb::ListContextsRequest { page_size: 1, page_token: token, ..Default::default() };
    refused(world.service.list(&alice, &elsewhere).await, bad.0, bad.1);
}

#[tokio::test]
async fn the_last_page_has_no_token() {
    let (world, alice) = (World::start().await, user("acme", "alice"));
    let name = world.creates(&alice, "a").await.name;
    world.says(&alice, &name, &["one"]).await;

    assert_eq!(world.reads(&alice, &name, "").await.expect("a page").next_page_token, "");
    assert_eq!(world.service.list(&alice, &Default::default()).await.expect("a page").next_page_token, "");
}

#[tokio::test]
async fn another_tenants_context_looks_like_no_context() {
    let world = World::start().await;
    let (alice, mallory) = (user("acme", "alice"), user("globex", "mallory"));
    let name = world.creates(&alice, "the plan").await.name;
    let nowhere = "contexts/0190b3c5-8f1a-7cc0-a6f0-8e6f6b5c0f11";

    for name in [name.as_str(), nowhere] {
        let get = pb::GetContextRequest { name: name.to_owned(), ..Default::default() };
        let window =
            pb::AssembleWindowRequest { name: name.to_owned(), max_tokens: 16, ..Default::default() };
        let delete = pb::DeleteContextRequest { name: name.to_owned(), ..Default::default() };
        let update = pb::UpdateContextRequest {
            context: Some(pb::Context { name: name.to_owned(), ..Default::default() }),
            ..Default::default()
        };
        for heard in [
            world.service.get(&mallory, &get).await.map(drop),
            world.service.update(&mallory, update).await.map(drop),
            world.service.delete(&mallory, &delete).await,
            world.service.append(&mallory, saying(name, &["x"])).await.map(drop),
            world.reads(&mallory, name, "").await.map(drop),
            world.service.window(&mallory, &window, &Terse::default()).await.map(drop),
        ] {
            let heard = heard.expect_err("nothing there");
            let always = not_found();
            assert_eq!(
                (heard.code(), heard.message(), heard.details()),
                (always.code(), always.message(), always.details())
            );
        }
    }
}

#[tokio::test]
async fn a_repeat_under_one_request_id_gets_the_same_answer() {
    let (world, alice) = (World::start().await, user("acme", "alice"));
    let create = |title| pb::CreateContextRequest { request_id: SOME_ID.to_owned(), ..titled(title) };

    let (first, second) =
        tokio::join!(world.service.create(&alice, create("a")), world.service.create(&alice, create("a")));

    let first = first.expect("stored");
    assert_eq!(first, second.expect("the same"));
    let other = world.service.create(&alice, create("b")).await;
    refused(other, Code::InvalidArgument, "REQUEST_ID_REUSED");
    let bobs = world.service.create(&user("acme", "bob"), create("b")).await.expect("stored");
    assert_ne!(bobs.name, first.name);
    assert_eq!(world.service.list(&alice, &Default::default()).await.expect("a page").contexts.len(), 2);
}

#[tokio::test]
async fn an_update_is_held_to_its_mask_and_its_etag() {
    let (world, alice) = (World::start().await, user("acme", "alice"));
    let stored = world.creates(&alice, "old").await;
    let update = |context: &pb::Context, paths: &[&str]| pb::UpdateContextRequest {
        context: Some(pb::Context { title: "new".to_owned(), ..context.clone() }),
        update_mask: Some(prost_types::FieldMask { paths: paths.iter().map(ToString::to_string).collect() }),
        request_id: String::new(),
    };

    let changed = world.service.update(&alice, update(&stored, &["title"])).await.expect("changed");
    assert_eq!(changed.title, "new");

    let stale = world.service.update(&alice, update(&stored, &["title"])).await;
    refused(stale, Code::Aborted, "ETAG_MISMATCH");
    let etag = world.service.update(&alice, update(&changed, &["etag"])).await;
    refused(etag, Code::InvalidArgument, "UPDATE_MASK_REFUSED");
    let nameless = world.service.update(&alice, update(&pb::Context::default(), &[])).await;
    refused(nameless, Code::InvalidArgument, "FIELD_INVALID");
}

#[tokio::test]
async fn the_longest_pages_are_ones_that_clients_take() {
    let (world, alice) = (World::start().await, user("acme", "alice"));
    let long = "\u{10ffff}";
    let context = pb::Context {
        title: "\u{1f600}".repeat(256),
        description: "\u{1f600}".repeat(4096),
        tags: (0..32).map(|n| format!("{}{n:02}", "\u{1f600}".repeat(62))).collect(),
        ..Default::default()
    };
    for _ in 0..160 {
        let request = pb::CreateContextRequest { context: Some(context.clone()), ..Default::default() };
        world.service.create(&alice, request).await.expect("stored");
    }
    let name = world.creates(&alice, "t").await.name;
    for _ in 0..2 {
        world.says(&alice, &name, &[&long.repeat(2_097_152 / 4)]).await;
    }
    world.says(&alice, &name, &vec!["x"; 100]).await;

    let request = pb::ListContextsRequest { page_size: i32::MAX, ..Default::default() };
    let contexts = world.service.list(&alice, &request).await.expect("a page");
    assert!(contexts.encoded_len() < CLIENT_BYTES_MAX, "{}", contexts.encoded_len());
    assert!(!contexts.next_page_token.is_empty());

    let request = pb::ListMessagesRequest { parent: name, page_size: i32::MAX, ..Default::default() };
    let messages = world.service.messages(&alice, &request).await.expect("a page");
    assert!(messages.encoded_len() < CLIENT_BYTES_MAX, "{}", messages.encoded_len());
    assert_eq!(messages.messages.len(), 1);
}

#[tokio::test]
async fn appended_messages_come_back_counted_and_without_their_text() {
    let (world, alice) = (World::start().await, user("acme", "alice"));
    let name = world.creates(&alice, "t").await.name;
    let long = "word ".repeat(COUNT_INLINE_BYTES_MAX / 5 + 1);

    let heads = world.says(&alice, &name, &["one two", &long]).await;

    assert_eq!(heads[1].name, format!("{name}/messages/2"));
    assert_eq!(heads.iter().map(|head| head.token_count).collect::<Vec<_>>(), [2, 13_108]);
    assert!(heads.iter().all(|head| head.text.is_empty()));
}

#[tokio::test]
async fn a_window_cites_its_messages_by_name() {
    let (world, alice) = (World::start().await, user("acme", "alice"));
    let name = world.creates(&alice, "t").await.name;
    world.says(&alice, &name, &["a b c d e f g h i j", "k l m n o p q", "the newest one"]).await;
    let request = pb::AssembleWindowRequest { name: name.clone(), max_tokens: 18, ..Default::default() };

    let window = world.service.window(&alice, &request, &Terse::default()).await.expect("a window");

    let parts: Vec<_> = window.parts.iter().map(|part| (part.text.as_str(), part.summarized)).collect();
    assert_eq!(parts, [("in short", true), ("k l m n o p q", false), ("the newest one", false)]);
    assert_eq!(window.parts[0].first_message, format!("{name}/messages/1"));
    assert_eq!(window.parts[2].last_message, format!("{name}/messages/3"));
    assert_eq!((window.token_count, window.tokenizer.as_str()), (12, "unicode-words"));
}
