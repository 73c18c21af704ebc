//! What every keeper must do: the same tests for each, on fresh keepers that the caller makes.
//!
//! ```text
//! keepers!(fresh);   // async fn fresh() -> Fresh<impl Send>: keepers that hold nothing yet, and what keeps them alive
//! ```
//!
//! A keeper behind a server shares the server among its tests and gives each a corner of its own.

use std::sync::Arc;

use crate::{Secrets, Wrapping};

pub(crate) mod secrets;
pub(crate) mod wrapping;

/// Keepers that hold nothing yet.
pub(crate) struct Fresh<Alive> {
    /// Keeps secrets.
    pub(crate) secrets: Arc<dyn Secrets>,
    /// Keeps wrapping keys.
    pub(crate) wrapping: Arc<dyn Wrapping>,
    /// Whatever both stand on, for as long as the test runs.
    pub(crate) _alive: Alive,
}

/// Runs the suite on what the async function `$fresh` makes.
macro_rules! keepers {
    ($fresh:ident) => {
        $crate::suite::cases!($fresh, secrets, secrets: [
            what_was_put_is_found_and_replaced,
            all_who_race_to_make_a_key_go_on_with_the_same_one,
            a_deleted_secret_is_gone_and_the_rest_is_listed,
            a_deleted_secret_can_be_put_again,
            the_longest_secret_passes_and_one_byte_more_does_not,
            no_error_and_no_debug_text_shows_a_secret,
        ]);
        $crate::suite::cases!($fresh, wrapping, wrapping: [
            what_was_wrapped_is_unwrapped,
            a_key_is_made_once_however_often_it_is_asked_for,
            without_a_key_nothing_is_wrapped_and_none_is_made,
            another_tenant_or_place_unwraps_nothing,
            every_changed_byte_is_noticed,
            a_destroyed_key_opens_nothing_ever_again,
            destroying_one_tenants_key_leaves_the_others,
            no_debug_text_shows_a_key,
        ]);
    };
}

macro_rules! cases {
    ($fresh:ident, $module:ident, $keeper:ident: [$($case:ident,)*]) => {
        mod $module {
            //! The suite, on this keeper.
            $(
                #[tokio::test]
                async fn $case() {
                    let fresh = super::$fresh().await;
                    $crate::suite::$module::$case(fresh.$keeper.clone()).await;
                }
            )*
        }
    };
}

pub(crate) use {cases, keepers};
