//! The tables as they are, column by column: what is sealed, and what is in clear and why.

use mcp_store::{Column, Migration, SealedColumn, Table};

/// The tables' history.
pub(super) const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        name: "contexts",
        sqlite: include_str!("../../../migrations/sqlite/0001_contexts.sql"),
        postgres: include_str!("../../../migrations/postgres/0001_contexts.sql"),
    },
    Migration {
        version: 2,
        name: "sealed",
        sqlite: include_str!("../../../migrations/sqlite/0002_sealed.sql"),
        postgres: include_str!("../../../migrations/postgres/0002_sealed.sql"),
    },
    mcp_store::index::migration(3),
    Migration {
        version: 4,
        name: "summaries",
        sqlite: include_str!("../../../migrations/sqlite/0004_summaries.sql"),
        postgres: include_str!("../../../migrations/postgres/0004_summaries.sql"),
    },
];

const ORDERS_LISTS: &str = "lists are ordered by it";
const MEASURES: &str = "a size: quotas, pages and windows are made from sizes without opening texts";
const COUNTS: &str = "counts changes or messages; says nothing of what was written";

const CONTEXTS: Table = Table {
    name: "contexts",
    columns: &[
        Column::key("id"),
        Column::clear("version", COUNTS),
        Column::clear("created", ORDERS_LISTS),
        Column::clear("updated", ORDERS_LISTS),
        Column::clear("expires", "the sweeper finds by it what has ended"),
        Column::clear("staged", "chance: tells one import's contexts from another's"),
        Column::clear("message_count", COUNTS),
        Column::clear("tokens", MEASURES),
        Column::clear("forked_from", "an ID"),
        Column::clear("forked_count", COUNTS),
        Column::clear("bytes", MEASURES),
        Column::clear("kind", "filters compare it; a short word of a program, not of a person"),
        Column::sealed("fields"),
    ],
};
const CONTEXT_TAGS: Table =
    Table { name: "context_tags", columns: &[Column::key("context"), Column::key("tag")] };
const LOGS: Table = Table {
    name: "logs",
    columns: &[Column::key("id"), Column::clear("prune", "says whether messages are to be removed")],
};
const MESSAGES: Table = Table {
    name: "messages",
    columns: &[
        Column::key("log"),
        Column::key("n"),
        Column::clear("role", "one of four kinds of speaker"),
        Column::clear("tokens", MEASURES),
        Column::clear("bytes", MEASURES),
        Column::clear("pinned", "windows find by it what is always in them"),
        Column::clear("created", "when it was said, as the order of messages shows as well"),
        Column::sealed("text"),
    ],
};
const LINEAGE: Table = Table {
    name: "lineage",
    columns: &[Column::key("context"), Column::key("last_n"), Column::clear("log", "an ID")],
};
const REVISIONS: Table = Table {
    name: "revisions",
    columns: &[
        Column::key("context"),
        Column::key("version"),
        Column::clear("at", ORDERS_LISTS),
        Column::clear("expires", "as of contexts"),
        Column::clear("message_count", COUNTS),
        Column::clear("tokens", MEASURES),
        Column::clear("kind", "as of contexts"),
        Column::sealed("fields"),
    ],
};
const CHANGES: Table = Table {
    name: "changes",
    columns: &[
        Column::key("context"),
        Column::key("version"),
        Column::clear("what", "one of two kinds of change"),
        Column::clear("first_n", COUNTS),
        Column::clear("last_n", COUNTS),
    ],
};
const REPLIES: Table = Table {
    name: "replies",
    columns: &[
        Column::key("asker"),
        Column::key("method"),
        Column::key("request_id"),
        Column::clear("created", "replies are forgotten by age"),
        Column::clear("body", "a digest: tells a repeat from a request ID used twice"),
        Column::sealed("answer"),
    ],
};
const USAGE: Table = Table {
    name: "usage",
    columns: &[
        Column::key("shard"),
        Column::clear("contexts", MEASURES),
        Column::clear("messages", MEASURES),
        Column::clear("bytes", MEASURES),
    ],
};

const SEGMENTS: Table = Table {
    name: "segments",
    columns: &[
        Column::key("context"),
        Column::key("first_n"),
        Column::key("last_n"),
        Column::clear("messages", COUNTS),
        Column::clear("tokens", MEASURES),
        Column::clear("bytes", MEASURES),
    ],
};
const SUMMARIES: Table = Table {
    name: "summaries",
    columns: &[
        Column::key("context"),
        Column::key("first_n"),
        Column::key("last_n"),
        Column::key("maker"),
        Column::clear("tokens", MEASURES),
        Column::sealed("summary"),
    ],
};

/// The tables that are declared here.
const OURS: [Table; 11] = [
    CONTEXTS,
    CONTEXT_TAGS,
    LOGS,
    MESSAGES,
    LINEAGE,
    REVISIONS,
    CHANGES,
    REPLIES,
    USAGE,
    SEGMENTS,
    SUMMARIES,
];

/// Every table of a tenant.
pub(super) const TABLES: &[Table] =
    &every::<_, _, { OURS.len() + mcp_store::index::TABLES.len() }>(OURS, mcp_store::index::TABLES);

const fn every<const A: usize, const B: usize, const ALL: usize>(
    ours: [Table; A],
    others: [Table; B],
) -> [Table; ALL] {
    let mut every = [ours[0]; ALL];
    let mut at = 0;
    while at < ALL {
        every[at] = if at < A { ours[at] } else { others[at - A] };
        at += 1;
    }
    every
}

/// What clients wrote in a context.
pub(super) const FIELDS: SealedColumn = CONTEXTS.sealed("fields");
/// What was said.
pub(super) const TEXT: SealedColumn = MESSAGES.sealed("text");
/// What clients had written in a context.
pub(super) const FIELDS_THEN: SealedColumn = REVISIONS.sealed("fields");
/// What a request was answered.
pub(super) const ANSWER: SealedColumn = REPLIES.sealed("answer");
/// Summaries of messages.
pub(super) const SUMMARY: SealedColumn = SUMMARIES.sealed("summary");
