//! What every implementation of [`Contexts`] must do.

mod changes;
mod contexts;
mod ends;
mod forks;
mod fresh;
mod imports;
mod lists;
mod messages;
mod quotas;
mod repeats;
mod searches;
mod summaries;

use std::collections::HashSet;

use futures_util::future::join_all;
use mcp_proto::context::v1 as pb;
use mcp_tenancy::TenantScope;
use mcp_testkit::TestIssuer;
use mcp_types::{SystemEntropy, Timestamp, uuid_v7};
use uuid::Uuid;

pub(crate) use self::fresh::{Fresh, sqlite_contexts};
use super::*;
use crate::{data::Data, etag::etag, filter::Order, tokens};

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
            suite!(@in lists, $fresh,
                a_filter_lets_through_what_it_says,
                a_list_is_ordered_as_it_is_asked,
                several_are_got_together_or_none,
                every_page_of_a_long_list_is_as_long_and_none_comes_twice,
            );
            suite!(@in changes, $fresh,
                changes_are_told_in_order_without_a_gap,
                changes_are_read_in_pieces,
                what_was_forgotten_is_refused_and_not_left_out,
                an_old_version_is_read_as_it_was,
                only_the_newest_revisions_are_kept,
            );
            suite!(@in forks, $fresh,
                a_fork_shares_what_was_said_and_no_more,
                a_fork_outlives_what_it_was_forked_from,
                a_fork_of_a_fork_reads_through_all_of_them,
                a_fork_has_its_own_or_its_parents_fields,
                a_fork_takes_no_message_that_is_not_there,
                forks_are_so_deep_and_no_deeper,
            );
            suite!(@in searches, $fresh,
                words_are_found_where_they_were_said,
                what_was_changed_or_deleted_is_not_found_any_more,
                a_search_keeps_to_its_filter_and_its_context,
                a_search_pages_through_its_hits,
                a_fork_is_found_by_what_it_shares,
                another_tenants_words_are_not_found,
            );
            suite!(@in summaries, $fresh,
                runs_are_measured_without_what_is_pinned,
                what_is_pinned_is_found_in_order_and_in_forks,
                the_first_summary_is_the_one_that_is_kept,
                a_summary_is_its_makers_and_its_messages_alone,
                a_summary_goes_with_its_context,
            );
            suite!(@in imports, $fresh,
                what_is_staged_is_not_seen_until_it_is_published,
                what_is_given_up_is_swept,
            );
            suite!(@timed fresh, $fresh,
                the_tables_are_as_they_are_declared,
                no_word_of_a_user_is_in_the_tables,
            );
            suite!(@timed ends, $fresh,
                what_has_ended_is_gone_at_once_and_its_rows_soon_after,
                a_long_context_is_removed_bit_by_bit,
                an_end_can_be_put_off,
            );
            suite!(@timed quotas, $fresh,
                a_tenant_holds_so_many_contexts_messages_and_bytes,
                what_is_deleted_makes_room,
            );
        }
    };
    (@in $group:ident, $fresh:expr, $($spec:ident,)+) => {
        $(
            #[tokio::test]
            async fn $spec() {
                let fresh = $fresh.await;
                super::$group::$spec(fresh.contexts.clone()).await;
                fresh.end().await;
            }
        )+
    };
    (@timed $group:ident, $fresh:expr, $($spec:ident,)+) => {
        $(
            #[tokio::test]
            async fn $spec() {
                let fresh = $fresh.await;
                super::$group::$spec(&fresh).await;
                fresh.end().await;
            }
        )+
    };
}

suite!(sqlite, super::Fresh::sqlite());
suite!(postgres, super::Fresh::postgres());

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
        .map(|&text| NewMessage { role, text: text.to_owned(), tokens: tokens::count(text), pinned: false })
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
