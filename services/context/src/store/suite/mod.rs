//! What every implementation of [`Contexts`] must do.

mod contexts;
mod messages;
mod repeats;

use std::collections::HashSet;

use futures_util::future::join_all;
use mcp_proto::context::v1 as pb;
use mcp_tenancy::TenantScope;
use mcp_testkit::TestIssuer;
use mcp_types::{SystemEntropy, Timestamp, uuid_v7};
use uuid::Uuid;

use super::*;
use crate::{etag::etag, tokens};

/// Runs every specification against one implementation; `$fresh` gives an empty store and what keeps it alive.
macro_rules! suite {
    ($implementation:ident, $fresh:expr) => {
        mod $implementation {
            suite!(@in contexts, $fresh,
                a_context_is_read_back_as_it_was_stored,
                a_context_is_unknown_to_every_other_tenant,
                an_id_never_given_out_is_unknown,
                a_list_begins_with_the_newest_and_pages_through_all,
                contexts_of_one_millisecond_are_told_apart,
                a_list_page_ends_before_its_bytes,
                an_update_takes_over_what_the_mask_names,
                an_update_with_an_old_etag_changes_nothing,
                of_two_updates_with_one_etag_one_wins,
                a_deleted_context_is_gone_with_its_messages,
                a_delete_with_an_old_etag_changes_nothing,
            );
            suite!(@in messages, $fresh,
                messages_are_numbered_from_one_in_their_order,
                appends_at_once_leave_no_gap_and_no_double,
                an_append_changes_the_contexts_etag,
                a_full_context_takes_no_message,
                a_message_page_ends_before_its_bytes,
                messages_keep_their_text_byte_for_byte,
                sizes_are_those_of_the_texts,
            );
            suite!(@in repeats, $fresh,
                a_repeat_gets_the_first_answer,
                a_request_id_with_another_body_is_refused,
                request_ids_are_scoped,
                a_request_id_is_forgotten_after_a_day,
                requests_at_once_under_one_id_write_once,
                a_refused_write_is_not_remembered,
            );
        }
    };
    (@in $group:ident, $fresh:expr, $($spec:ident,)+) => {
        $(
            #[tokio::test]
            async fn $spec() {
                let (contexts, _alive) = $fresh.await;
                super::$group::$spec(contexts).await;
            }
        )+
    };
}

suite!(sqlite, super::sqlite_contexts());

const ALL: Limit = Limit { rows: 200, bytes: 1 << 20 };

async fn create(contexts: &impl Contexts, scope: &TenantScope, title: &str) -> Context {
    contexts.create(scope, &at(5), id(), titled(title)).await.expect("stored")
}

async fn append(
    contexts: &impl Contexts,
    scope: &TenantScope,
    id: ContextId,
    said_: &[&str],
) -> Vec<MessageHead> {
    contexts.append(scope, &at(6), id, said(said_)).await.expect("appended")
}

#[expect(clippy::needless_pass_by_value, reason = "takes an answer as it comes")]
fn absent<T: fmt::Debug>(answer: Result<T, ContextsError>) {
    assert!(matches!(answer, Err(ContextsError::NotFound)), "{answer:?}");
}

fn said(texts: &[&str]) -> Vec<NewMessage> {
    let role = pb::Role::User.into();
    texts
        .iter()
        .map(|&text| NewMessage { role, text: text.to_owned(), tokens: tokens::count(text) })
        .collect()
}

fn texts(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(|message| message.text.as_str()).collect()
}

fn titled(title: &str) -> Fields {
    Fields { title: title.to_owned(), ..Fields::default() }
}

fn mask(path: &str) -> Mask {
    Mask::of(Some(&prost_types::FieldMask { paths: vec![path.to_owned()] })).expect("a mask")
}

fn target(id: ContextId) -> Target {
    Target { id, etag: None }
}

fn read(context: &Context) -> Target {
    Target { id: context.id, etag: Some(etag(context.id, context.version)) }
}

fn id() -> ContextId {
    ContextId::new(uuid_v7(time(1), &SystemEntropy))
}

fn time(seconds: i64) -> Timestamp {
    Timestamp::from_unix_secs(1_790_000_000 + seconds)
}

fn at(seconds: i64) -> Write {
    Write { now: time(seconds), once: None }
}

fn once(request: u128, principal: &str, method: &'static str, body: u8) -> Write {
    let (principal, request_id) = (principal.to_owned(), Uuid::from_u128(request));
    Write { once: Some(Once { principal, method, request_id, body: [body; 32] }), ..at(7) }
}

fn scope(tenant: &str) -> TenantScope {
    TestIssuer::new().scope(tenant)
}

/// An empty store, and the folder that it is in.
pub(crate) async fn sqlite_contexts() -> (SqliteContexts, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let service = "context".parse().expect("a name");
    let contexts = SqliteContexts::open(folder.path(), &service, 4).await.expect("opens");
    (contexts, folder)
}
