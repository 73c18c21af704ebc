//! What putting a message into a search index costs, and finding it among ten thousand.
#![expect(missing_docs, reason = "criterion's macro makes a public function")]

use std::{hint::black_box, sync::Arc};

use criterion::{Criterion, criterion_group, criterion_main};
use mcp_secrets::{Master, SealedStore, SealedWrapping};
use mcp_store::{
    Db, Keys, Migration, Options, TenantTx,
    index::{Document, Field, Index, IndexOptions, Matcher, Narrowing, Query, TABLES, migration},
};
use mcp_tenancy::PlatformScope;
use mcp_types::SystemEntropy;
use tokio::runtime::Runtime;

const INDEX: Migration = migration(1);
const WORDS: [&str; 16] = [
    "budget", "meeting", "report", "customer", "invoice", "harbour", "release", "deadline", "contract",
    "weather", "engine", "garden", "library", "mountain", "painting", "journey",
];

/// Thirty words, of which a few are common to all messages and one is its own.
fn message(n: usize) -> String {
    let words: Vec<_> = (0..24).map(|at| WORDS[(n * 7 + at * at) % WORDS.len()]).collect();
    format!("The plan {n} is about the {} and was written for item{}.", words.join(" "), n % 1_000)
}

async fn put(tx: &mut TenantTx, index: &Index, n: usize) {
    let name = n.to_be_bytes();
    let text = message(n);
    let fields = [(Field::Text, text.as_str())];
    let document = Document { name: &name, collection: &name[7..], made: 0, fields: &fields, language: None };
    index.put(tx, &document).await.expect("put");
}

fn index(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let dir = tempfile::tempdir().expect("a folder");
    let _guard = runtime.enter();
    let secrets = SealedStore::open(
        &dir.path().join("secrets"),
        &Master::file(&dir.path().join("master")),
        mcp_runtime::Profile::Development,
        Arc::new(SystemEntropy),
    )
    .expect("a keeper of secrets");
    let keys = Keys::new(Arc::new(SealedWrapping::new(secrets, Arc::new(SystemEntropy))));
    let options = Options { tenant: &[INDEX], tables: &TABLES, keys: Some(keys), ..Options::default() };
    let service = "context".parse().expect("a name");
    let db = runtime.block_on(Db::open(dir.path(), &service, options)).expect("opens");
    let scope = PlatformScope::of_the_platform_itself().enter("acme".parse().expect("a slug"));

    let mut tx = runtime.block_on(db.within(&scope)).expect("within");
    let index = Index::of(&tx, IndexOptions::default()).expect("a key");
    runtime.block_on(async {
        for n in 0..10_000 {
            put(&mut tx, &index, n).await;
        }
    });

    let everywhere = Narrowing::default();
    let mut n = 10_000;
    criterion.bench_function(
        "index: put a message of thirty words (SQLite, without its commit)",
        |bencher| {
            bencher.iter(|| {
                n += 1;
                runtime.block_on(put(&mut tx, &index, n));
            });
        },
    );
    for (name, query) in [
        ("a rare word", "item77"),
        ("a phrase", "\"plan 4711\""),
        ("three common words", "budget plan report"),
    ] {
        let query = Query::parse(query);
        criterion.bench_function(&format!("index: find {name} among 10,000 messages (SQLite)"), |bencher| {
            bencher.iter(|| {
                let found = runtime.block_on(index.search(&mut tx, &query, &everywhere, 20, None));
                black_box(found.expect("searched"))
            });
        });
    }
    let query = Query::parse("budget report");
    let found = runtime.block_on(index.search(&mut tx, &query, &everywhere, 1, None)).expect("searched");
    let text = (0..20).map(message).collect::<Vec<_>>().join(" ");
    criterion.bench_function("index: snippet of 4 KB", |bencher| {
        bencher.iter(|| black_box(Matcher::new(&query, found.languages).snippet(&text, 200)));
    });
}

criterion_group!(benches, index);
criterion_main!(benches);
