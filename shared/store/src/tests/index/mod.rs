//! What the index finds, in which order, and that it forgets what is taken out.

mod behaviour;
mod corpus;
mod exact;
mod ranking;

use super::{
    house::{House, tenant},
    on_both_engines,
};
use crate::{index::*, *};

const INDEX: Migration = migration(1);

/// A database with nothing but the index's tables, and the index of a tenant.
struct Shelf {
    db: Db,
    index: Index,
}

impl Shelf {
    async fn new(house: &House) -> Self {
        Self::with(house, IndexOptions::default()).await
    }

    async fn with(house: &House, options: IndexOptions) -> Self {
        let db = open(house).await;
        let index = Index::of(&db.within(&tenant("acme")).await.expect("within"), options).expect("a key");
        Self { db, index }
    }

    async fn tx(&self) -> TenantTx {
        self.db.within(&tenant("acme")).await.expect("within")
    }
}

async fn open(house: &House) -> Db {
    let options =
        Options { tenant: &[INDEX], tables: &TABLES, keys: Some(house.keys()), ..Options::default() };
    house.open_with(options).await.expect("opens")
}

/// Documents by name, all in one collection.
async fn put(index: &Index, tx: &mut Tx, name: &str, text: &str) {
    put_in(index, tx, b"c", name, &[(Field::Text, text)]).await;
}

async fn put_in(index: &Index, tx: &mut Tx, collection: &[u8], name: &str, fields: &[(Field, &str)]) {
    let document = Document {
        name: name.as_bytes(),
        collection,
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

/// Documents, postings, and the sum of the sums.
async fn rows_of(tx: &mut Tx) -> [i64; 3] {
    sql("SELECT (SELECT COUNT(*) FROM search_document), (SELECT COUNT(*) FROM search_posting),
            CAST((SELECT COALESCE(SUM(documents) + SUM(length), 0) FROM search_lane) AS BIGINT)")
    .fetch_one::<(i64, i64, i64)>(tx)
    .await
    .map(|(documents, postings, sums)| [documents, postings, sums])
    .expect("counted")
}
