//! What happened to a context, in order.

use super::{Context, Message};

/// Something that happened to a context.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Change {
    /// The version that the context reached with it.
    pub(crate) version: u64,
    /// What it is.
    pub(crate) event: Event,
}

/// What happened.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Event {
    /// It was stored, or its fields were changed, and is this now.
    Updated(Box<Context>),
    /// These were said. A text is missing where it would have made the answer too long.
    Appended(Vec<Message>),
}
