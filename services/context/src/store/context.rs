//! Contexts as they are stored, and where each stands in a list.

use mcp_types::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{fields::Fields, filter::Order, names::ContextId};

/// A context as stored, or as it was at one of its versions.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Context {
    /// Its ID.
    pub(crate) id: ContextId,
    /// What the client wrote.
    pub(crate) fields: Fields,
    /// Counts changes, from 1.
    pub(crate) version: u64,
    /// When it was stored.
    pub(crate) created: Timestamp,
    /// When it, or its messages, last changed.
    pub(crate) updated: Timestamp,
    /// How many messages it has.
    pub(crate) message_count: u64,
    /// How many tokens they have.
    pub(crate) tokens: u64,
    /// What it was forked from, if it was.
    pub(crate) fork: Option<Fork>,
}

/// Where a fork began.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Fork {
    /// In which context.
    pub(crate) of: ContextId,
    /// Behind which of its messages.
    pub(crate) count: u64,
}

/// Where a context stands in a list.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Place {
    /// The moment that the list is ordered by.
    pub(crate) moment: Timestamp,
    /// Tells apart what has the same moment.
    pub(crate) id: ContextId,
}

// === impl Context ===

impl Context {
    /// Where it stands in a list of this order.
    pub(crate) fn place(&self, order: Order) -> Place {
        Place { moment: if order.by_update { self.updated } else { self.created }, id: self.id }
    }

    /// Bytes of text in it, about as many as it takes on the wire.
    pub(crate) fn bytes(&self) -> u64 {
        self.fields.bytes()
    }

    /// How many of its messages lie in the logs of others.
    pub(crate) fn shared(&self) -> u64 {
        self.fork.map_or(0, |fork| fork.count)
    }
}

// === impl Place ===

impl Place {
    /// As the cursor of a page token.
    pub(crate) fn to_cursor(self) -> Vec<u8> {
        [&self.moment.unix_millis().to_be_bytes()[..], self.id.as_bytes()].concat()
    }

    /// Reads what [`Self::to_cursor`] wrote.
    pub(crate) fn from_cursor(cursor: &[u8]) -> Option<Self> {
        let (moment, id) = cursor.split_first_chunk::<8>()?;
        let moment = Timestamp::from_unix_millis(i64::from_be_bytes(*moment));
        Some(Self { moment, id: ContextId::from_slice(id)? })
    }
}
