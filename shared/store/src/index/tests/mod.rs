//! What the index finds, in which order, and that it forgets what is taken out.

mod behaviour;
mod corpus;
mod exact;
mod ranking;

use sqlx::{SqlitePool, sqlite::SqlitePoolOptions};

use super::*;
use crate::sql;

/// A file with nothing but the index's tables.
struct Shelf {
    pool: SqlitePool,
    index: Index,
}

impl Shelf {
    async fn new() -> Self {
        Self::with(IndexOptions::default()).await
    }

    async fn with(options: IndexOptions) -> Self {
        let pool = SqlitePoolOptions::new().max_connections(1).connect(":memory:").await.expect("a database");
        sqlx::raw_sql(migration(1).sqlite).execute(&pool).await.expect("tables");
        Self { pool, index: Index::new(&[7; 32], options) }
    }

    async fn tx(&self) -> Tx {
        Tx::sqlite(self.pool.begin().await.expect("begun"))
    }
}

/// Documents by name, all in one collection.
async fn put(index: &Index, tx: &mut Tx, name: &str, text: &str) {
    put_in(index, tx, "c", name, &[(Field::Text, text)]).await;
}

async fn put_in(index: &Index, tx: &mut Tx, collection: &str, name: &str, fields: &[(Field, &str)]) {
    let document = Document {
        name: name.as_bytes(),
        collection: collection.as_bytes(),
        made: name.len().try_into().expect("small"),
        fields,
        language: None,
    };
    index.put(tx, &document).await.expect("put");
}

async fn find(index: &Index, tx: &mut Tx, query: &str) -> Vec<String> {
    find_in(index, tx, query, &Narrowing::default()).await
}

async fn find_in(index: &Index, tx: &mut Tx, query: &str, narrowing: &Narrowing<'_>) -> Vec<String> {
    let found = index.search(tx, &Query::parse(query), narrowing, 50, None).await.expect("searched");
    names(&found)
}

fn names(found: &Found) -> Vec<String> {
    found.hits.iter().map(|hit| String::from_utf8(hit.name.clone()).expect("a name")).collect()
}

/// Rows of each table of the index.
async fn rows_of(tx: &mut Tx) -> [i64; 3] {
    sql("SELECT (SELECT COUNT(*) FROM search_document), (SELECT COUNT(*) FROM search_posting),
            (SELECT COALESCE(SUM(documents) + SUM(length), 0) FROM search_lane)")
    .fetch_one::<(i64, i64, i64)>(tx)
    .await
    .map(|(documents, postings, sums)| [documents, postings, sums])
    .expect("counted")
}
