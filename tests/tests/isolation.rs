//! What one tenant may learn of another: nothing.

use mcp_proto::context::v1::{ListContextsRequest, ListMessagesRequest};
use mcp_tests::{User, World};
use tonic::{Code, Status};

const NOWHERE: &str = "contexts/0190b3c5-8f1a-7cc0-a6f0-8e6f6b5c0f11";

#[tokio::test]
async fn a_tenant_reads_back_what_it_stored() {
    let world = World::start().await;
    let alice = world.user("acme", "alice", "editor").await;

    let plan = alice.creates("The plan").await.expect("stored");
    alice.appends(&plan.name, &["first we plan"]).await.expect("appended");

    assert_eq!(alice.reads(&plan.name).await.expect("read back").title, "The plan");
    assert_eq!(alice.messages(&plan.name).await.expect("read back")[0].text, "first we plan");
}

#[tokio::test]
async fn colleagues_share_their_tenants_contexts() {
    let world = World::start().await;
    let alice = world.user("acme", "alice", "editor").await;
    let albert = world.user("acme", "albert", "viewer").await;

    let plan = alice.creates("The plan").await.expect("stored");

    assert_eq!(albert.reads(&plan.name).await.expect("shared").title, "The plan");
    assert_eq!(albert.lists(50).await.expect("listed"), [plan.name]);
}

#[tokio::test]
async fn another_tenants_context_looks_like_no_context() {
    let world = World::start().await;
    let alice = world.user("acme", "alice", "owner").await;
    let mallory = world.user("globex", "mallory", "owner").await;

    let plan = alice.creates("The plan").await.expect("stored");
    alice.appends(&plan.name, &["secret"]).await.expect("appended");

    let foreign = everything(&mallory, &plan.name).await;
    let absent = everything(&mallory, NOWHERE).await;
    for (foreign, absent) in foreign.iter().zip(&absent) {
        // The same code, the same words, the same details: nothing to probe with.
        assert_eq!(foreign.code(), Code::NotFound, "{foreign:?}");
        assert_eq!(
            (foreign.code(), foreign.message(), foreign.details(), names_of(foreign)),
            (absent.code(), absent.message(), absent.details(), names_of(absent)),
        );
    }
    assert_eq!(
        alice.reads(&plan.name).await.expect("still there"),
        alice.reads(&plan.name).await.expect("unchanged")
    );
    assert_eq!(alice.reads(&plan.name).await.expect("still there").message_count, 1);
    assert!(mallory.lists(50).await.expect("their own list").is_empty());
}

#[tokio::test]
async fn a_page_token_is_good_for_its_own_tenant_and_question_alone() {
    let world = World::start().await;
    let alice = world.user("acme", "alice", "editor").await;
    let mallory = world.user("globex", "mallory", "editor").await;
    let plan = alice.creates("one").await.expect("stored").name;
    alice.creates("two").await.expect("stored");

    let first = ListContextsRequest { page_size: 1, ..ListContextsRequest::default() };
    let token = alice.contexts().list_contexts(first).await.expect("a page").into_inner().next_page_token;
    assert!(!token.is_empty());

    let asked = |page_token: String| ListContextsRequest {
        page_size: 1,
        page_token,
        ..ListContextsRequest::default()
    };
    let stolen = mallory.contexts().list_contexts(asked(token.clone())).await.expect_err("another's token");
    let bent = format!("{}{}", if token.starts_with('A') { 'B' } else { 'A' }, &token[1..]);
    let forged = alice.contexts().list_contexts(asked(bent)).await.expect_err("no token");
    let elsewhere = ListMessagesRequest { parent: plan, page_size: 1, page_token: token.clone() };
    let elsewhere = alice.contexts().list_messages(elsewhere).await.expect_err("another method's token");
    for refusal in [stolen, forged, elsewhere] {
        assert_eq!(
            (refusal.code(), mcp_tests::reason(&refusal).as_str()),
            (Code::InvalidArgument, "PAGE_TOKEN_REFUSED"),
            "{refusal:?}"
        );
    }
    alice.contexts().list_contexts(asked(token)).await.expect("its own tenant's");
}

/// Every call that names a context.
async fn everything(user: &User, name: &str) -> Vec<Status> {
    vec![
        user.reads(name).await.expect_err("reads"),
        user.messages(name).await.expect_err("lists"),
        user.retitles(name, "", "mine").await.expect_err("updates"),
        user.appends(name, &["graffiti"]).await.expect_err("appends"),
        user.window(name, 100).await.expect_err("assembles"),
        user.deletes(name).await.expect_err("deletes"),
    ]
}

/// The names of the metadata, and what does not differ from call to call.
fn names_of(status: &Status) -> Vec<String> {
    let mut names: Vec<_> = status.metadata().keys().map(|key| format!("{key:?}")).collect();
    names.sort();
    names
}
