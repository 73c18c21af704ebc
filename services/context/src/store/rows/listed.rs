//! Contexts in pages: each costs the same, wherever it begins.

use mcp_store::{Sql, TenantTx, sql};
use mcp_types::Timestamp;

use super::{
    super::{Context, ContextsError, Limit, Page, Place, Query},
    contexts::{Row, columns, read},
    filling::Filling,
    words,
};
use crate::filter::{Order, TAGS_MAX};

/// A statement for one order and, with a type or without, one index. All take the same values.
///
/// A row value compares like the index is sorted.
macro_rules! listing {
    ($by:literal, $than:literal, $way:literal, $kind:literal) => {
        sql(concat!(
            "SELECT ",
            columns!(),
            " FROM contexts WHERE (",
            $by,
            ", id) ",
            $than,
            " ($1, $2) AND staged IS NULL AND COALESCE(expires, 9223372036854775807) > $3
             AND created BETWEEN $4 AND $5 AND updated BETWEEN $6 AND $7
             AND COALESCE(expires, 9223372036854775807) BETWEEN $8 AND $9
             AND (length($10) = 0 OR EXISTS (SELECT 1 FROM context_tags WHERE context = contexts.id AND tag = $10))
             AND (length($11) = 0 OR EXISTS (SELECT 1 FROM context_tags WHERE context = contexts.id AND tag = $11))
             AND (length($12) = 0 OR EXISTS (SELECT 1 FROM context_tags WHERE context = contexts.id AND tag = $12))
             AND (length($13) = 0 OR EXISTS (SELECT 1 FROM context_tags WHERE context = contexts.id AND tag = $13))
             AND ",
            $kind,
            " = $14 ORDER BY ",
            $by,
            " ",
            $way,
            ", id ",
            $way,
            " LIMIT $15"
        ))
    };
}

/// The contexts behind `after`, as many as a page takes.
pub(super) async fn page(
    tx: &mut TenantTx,
    query: &Query,
    after: Option<Place>,
    limit: Limit,
    now: Timestamp,
) -> Result<Page<Context>, ContextsError> {
    let Query { filter, order } = query;
    let mut tags = Vec::with_capacity(TAGS_MAX);
    for tag in filter.tags.iter().take(TAGS_MAX) {
        tags.push(words::tag_digest(tx, tag));
    }
    tags.resize(TAGS_MAX, Vec::new());
    let (moment, id) = start(*order, after);
    let mut statement = statement(*order, filter.kind.is_some())
        .doing("list contexts")
        .bind(moment)
        .bind(id)
        .bind(now.unix_millis());
    for span in [filter.created, filter.updated, filter.expires] {
        statement = statement.bind(span.from).bind(span.to);
    }
    for tag in tags {
        statement = statement.bind(tag);
    }
    let rows: Vec<Row> = statement
        .bind(filter.kind.as_deref().unwrap_or_default())
        .bind(i64::from(limit.rows) + 1)
        .fetch_all(tx)
        .await?;

    let mut page = Filling::up_to(limit);
    for row in rows {
        let context = read(tx, row)?;
        if page.is_full_before(context.bytes(), context) {
            break;
        }
    }
    Ok(page.end())
}

/// Behind which the first page begins: no moment is that early or late, and the empty ID stands before every one.
fn start(order: Order, after: Option<Place>) -> (i64, Vec<u8>) {
    match after {
        Some(Place { moment, id }) => (moment.unix_millis(), id.as_bytes().to_vec()),
        None if order.ascending => (i64::MIN, Vec::new()),
        None => (i64::MAX, Vec::new()),
    }
}

fn statement(order: Order, of_a_kind: bool) -> Sql {
    let Order { by_update, ascending } = order;
    match (by_update, ascending, of_a_kind) {
        (false, false, false) => listing!("created", "<", "DESC", "''"),
        (false, true, false) => listing!("created", ">", "ASC", "''"),
        (true, false, false) => listing!("updated", "<", "DESC", "''"),
        (true, true, false) => listing!("updated", ">", "ASC", "''"),
        (false, false, true) => listing!("created", "<", "DESC", "kind"),
        (false, true, true) => listing!("created", ">", "ASC", "kind"),
        (true, false, true) => listing!("updated", "<", "DESC", "kind"),
        (true, true, true) => listing!("updated", ">", "ASC", "kind"),
    }
}
