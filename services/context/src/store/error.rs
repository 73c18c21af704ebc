//! Why the store did not do what it was asked.

use std::{error::Error, fmt};

use mcp_store::StoreError;

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ContextsError {
    /// The tenant has no such context.
    #[error("the tenant has no such context")]
    NotFound,
    /// The context was changed since the client read it.
    #[error("the etag is not the context's current one")]
    EtagMismatch,
    /// The request ID stands for another body.
    #[error("the request ID was used with another body")]
    RequestIdReused,
    /// The context holds [`super::MESSAGES_MAX`] messages.
    #[error("the context takes no more messages")]
    Full,
    /// The context has fewer messages.
    #[error("the context has {0} messages")]
    MessageOutOfRange(u64),
    /// It is a fork of a fork and so on, too many times over.
    #[error("the context is a fork of a fork too many times over")]
    ForksTooDeep,
    /// Changes after that version are not kept, or the context has not reached it.
    #[error("the context's changes after that version are not kept")]
    VersionOutOfRange,
    /// The tenant would hold more than it may.
    #[error("the tenant would hold {held} {what}; it may hold {most}")]
    Quota {
        /// Of what.
        what: Holding,
        /// How many there would be.
        held: u64,
        /// How many there may be.
        most: u64,
    },
    /// The database could not serve.
    #[error("cannot use the store")]
    Store(#[from] StoreError),
    /// What is written in a column cannot be read, or not be written.
    #[error("cannot {doing}")]
    Unreadable {
        /// What was being done, as a verb phrase.
        doing: &'static str,
        /// What is wrong with it.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}

/// What a tenant may hold so much of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Holding {
    /// Contexts.
    Contexts,
    /// Messages.
    Messages,
    /// Bytes of text.
    Bytes,
}

impl fmt::Display for Holding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Contexts => "contexts",
            Self::Messages => "messages",
            Self::Bytes => "bytes",
        })
    }
}
