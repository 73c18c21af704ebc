//! Everything that the services have stored, as digests: what a refused call must not change.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use aws_lc_rs::digest::{Context, SHA256};
use sqlx::{
    Column as _, Connection as _, Row as _, SqliteConnection, ValueRef as _,
    sqlite::{SqliteConnectOptions, SqliteRow},
};

use crate::World;

/// A digest of each table of each database, by its path and name.
pub type Digest = BTreeMap<String, String>;

/// What the store itself lays down with the first row of any kind, be it one of the audit log: whose the file is, which
/// migrations it has, and the key that the rows are sealed under.
const OF_EVERY_DATABASE: [&str; 4] = ["mcp_file", "mcp_migration", "mcp_store_migration", "mcp_tenant_key"];

/// Digests what is stored now; the audit log is not among it.
pub async fn of(world: &World) -> Digest {
    let mut digest = Digest::new();
    for file in databases(&world.data_dir()) {
        let options = SqliteConnectOptions::new().filename(&file).read_only(true);
        let mut connection = SqliteConnection::connect_with(&options).await.expect("the database opens");
        let place = file.strip_prefix(world.data_dir()).expect("below the folder").display().to_string();
        let mut stored = Vec::new();
        for table in tables(&mut connection).await {
            stored.push((format!("{place}: {table}"), rows(&mut connection, &table).await, table));
        }
        // A tenant that was only ever refused has a database for its audit log, and nothing else in it.
        let is_log_alone = |(_, rows, table): &(String, String, String)| {
            rows.starts_with("0 rows") || OF_EVERY_DATABASE.contains(&table.as_str())
        };
        if !stored.iter().all(is_log_alone) {
            digest.extend(stored.into_iter().map(|(place, rows, _)| (place, rows)));
        }
    }
    digest
}

/// Every file below `folder` that begins as SQLite files do.
fn databases(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = std::fs::read_dir(folder) else { return found };
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        if path.is_dir() {
            found.extend(databases(&path));
        } else if std::fs::read(&path).is_ok_and(|bytes| bytes.starts_with(b"SQLite format 3\0")) {
            found.push(path);
        }
    }
    found.sort();
    found
}

async fn tables(connection: &mut SqliteConnection) -> Vec<String> {
    let query =
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name";
    let rows = sqlx::query(query).fetch_all(connection).await.expect("the schema reads");
    rows.iter().map(|row| row.get::<String, _>(0)).filter(|name| !name.contains("audit")).collect()
}

async fn rows(connection: &mut SqliteConnection, table: &str) -> String {
    // The name comes from the schema itself.
    let query = format!("SELECT * FROM \"{table}\"");
    let rows = sqlx::query(sqlx::AssertSqlSafe(query)).fetch_all(connection).await.expect("the table reads");
    let mut texts: Vec<_> = rows.iter().map(text).collect();
    // Whatever order the engine read them in.
    texts.sort();
    let mut digest = Context::new(&SHA256);
    for text in &texts {
        digest.update(text.as_bytes());
    }
    format!("{} rows, {}", texts.len(), hex(digest.finish().as_ref()))
}

fn text(row: &SqliteRow) -> String {
    let mut text = String::new();
    for column in row.columns() {
        let raw = row.try_get_raw(column.ordinal()).expect("a value");
        let value = if raw.is_null() {
            "null".to_owned()
        } else if let Ok(number) = row.try_get_unchecked::<i64, _>(column.ordinal())
            && raw.type_info().to_string() == "INTEGER"
        {
            number.to_string()
        } else {
            hex(row.try_get_unchecked::<&[u8], _>(column.ordinal()).unwrap_or_default())
        };
        text.push_str(&format!("{}={value};", column.name()));
    }
    text.push('\n');
    text
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What differs between two digests.
pub fn changes(before: &Digest, after: &Digest) -> Vec<String> {
    let names: std::collections::BTreeSet<_> = before.keys().chain(after.keys()).collect();
    names
        .into_iter()
        .filter(|name| before.get(*name) != after.get(*name))
        .map(|name| format!("{name}: {:?} -> {:?}", before.get(name), after.get(name)))
        .collect()
}
