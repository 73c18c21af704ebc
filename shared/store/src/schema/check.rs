//! Holds what a service declares against the tables that are there.

use std::collections::{BTreeMap, BTreeSet};

use super::{Kind, Table};
use crate::{StoreError, Tx, sql_for};

/// A column that is there: table, name, type, and whether it is part of the primary key.
type Found = (String, String, String, bool);

/// Names what differs between `tables` and what `tx` finds, one sentence each.
pub(crate) async fn differences(tables: &[Table], tx: &mut Tx) -> Result<Vec<String>, StoreError> {
    let found: Vec<Found> = sql_for(
        "SELECT m.name, c.name, c.type, c.pk > 0 FROM sqlite_schema m JOIN pragma_table_info(m.name) c
         WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite%' AND m.name NOT LIKE 'mcp%'",
        "SELECT c.relname::TEXT, a.attname::TEXT, format_type(a.atttypid, NULL),
                EXISTS (SELECT 1 FROM pg_index i
                        WHERE i.indrelid = c.oid AND i.indisprimary AND a.attnum = ANY ((i.indkey::INT2[])[0:i.indnkeyatts - 1]))
         FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
         WHERE c.relnamespace = current_schema()::REGNAMESPACE AND c.relkind IN ('r', 'p') AND a.attnum > 0
           AND NOT a.attisdropped AND a.attname <> 'tenant' AND c.relname NOT LIKE 'mcp%'",
    )
    .doing("look at the tables")
    .fetch_all(tx)
    .await?;
    let mut there: BTreeMap<String, BTreeMap<String, (String, bool)>> = BTreeMap::new();
    for (table, column, kind, is_key) in found {
        there.entry(table).or_default().insert(column, (kind.to_ascii_uppercase(), is_key));
    }

    let mut differences = Vec::new();
    let declared: BTreeSet<_> = tables.iter().map(|it| it.name).collect();
    for table in there.keys().filter(|it| !declared.contains(it.as_str())) {
        differences.push(format!("table {table} is there and not declared"));
    }
    for table in tables {
        match there.get(table.name) {
            None => differences.push(format!("table {} is declared and not there", table.name)),
            Some(columns) => of_table(table, columns, &mut differences),
        }
    }
    Ok(differences)
}

fn of_table(table: &Table, there: &BTreeMap<String, (String, bool)>, differences: &mut Vec<String>) {
    let name = table.name;
    let declared: BTreeSet<_> = table.columns.iter().map(|it| it.name).collect();
    for column in there.keys().filter(|it| !declared.contains(it.as_str())) {
        differences.push(format!("column {name}.{column} is there and not declared"));
    }
    for column in table.columns {
        let Some((kind, is_key)) = there.get(column.name) else {
            differences.push(format!("column {name}.{} is declared and not there", column.name));
            continue;
        };
        let column = column_of(column.name, column.kind);
        if column.is_key != *is_key {
            differences.push(format!("column {name}.{} and the primary key differ", column.name));
        }
        if column.is_sealed && !matches!(kind.as_str(), "BLOB" | "BYTEA") {
            differences
                .push(format!("column {name}.{} is declared sealed and is of type {kind}", column.name));
        }
        if !matches!(kind.as_str(), "INTEGER" | "TEXT" | "BLOB" | "BIGINT" | "BYTEA") {
            differences.push(format!(
                "column {name}.{} is of type {kind}, which not both engines have",
                column.name
            ));
        }
    }
}

struct Declared {
    name: &'static str,
    is_key: bool,
    is_sealed: bool,
}

fn column_of(name: &'static str, kind: Kind) -> Declared {
    Declared { name, is_key: kind == Kind::Key, is_sealed: kind == Kind::Sealed }
}
