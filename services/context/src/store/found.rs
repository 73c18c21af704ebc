//! What to search for, and what was found.

use std::ops::Range;

use super::Context;
use crate::{filter::Filter, names::ContextId};

/// What to search for, and where.
#[derive(Clone, Debug)]
pub(crate) struct Search {
    /// The words.
    pub(crate) query: String,
    /// In which contexts.
    pub(crate) filter: Filter,
    /// In this one alone.
    pub(crate) context: Option<ContextId>,
}

/// What a search found.
#[derive(Debug)]
pub(crate) struct Found {
    /// The best first.
    pub(crate) hits: Vec<Hit>,
    /// Where the search goes on, if it does.
    pub(crate) next: Option<Vec<u8>>,
    /// Whether not everything was looked at.
    pub(crate) truncated: bool,
}

/// Something found.
#[derive(Debug)]
pub(crate) struct Hit {
    /// In which context.
    pub(crate) context: Context,
    /// In which of its messages; in its own fields where there is none.
    pub(crate) message: Option<u64>,
    /// The higher, the better.
    pub(crate) score: f64,
    /// A piece of the text.
    pub(crate) snippet: String,
    /// Where the words are in it.
    pub(crate) highlights: Vec<Range<usize>>,
}
