//! Ranking beside SQLite's own full-text search, which sees the words, on a real corpus.
//!
//! ```text
//! cargo nextest run -p mcp-store ranks_as_well --no-capture
//! ```

use unicode_segmentation::UnicodeSegmentation as _;

use super::{corpus::pieces, *};

const PAGE: usize = 10;

/// How well a way of searching finds the one text that a query was taken from.
#[derive(Default)]
struct Score {
    mrr: f64,
    ndcg: f64,
    found: f64,
}

impl Score {
    fn add(&mut self, place: Option<usize>) {
        let Some(place) = place else { return };
        #[expect(clippy::cast_precision_loss, reason = "a place on a page")]
        let place = place as f64;
        self.mrr += 1.0 / (place + 1.0);
        self.ndcg += 1.0 / (place + 2.0).log2();
        self.found += 1.0;
    }

    fn of(&self, queries: f64) -> [f64; 3] {
        [self.mrr / queries, self.ndcg / queries, self.found / queries]
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_ranks_as_well_as_a_search_that_sees_the_words() {
    let shelf = Shelf::new(&House::new(Engine::Sqlite).await).await;
    let (index, mut tx) = (&shelf.index, shelf.tx().await);
    sql("CREATE VIRTUAL TABLE fts USING fts5 (body, tokenize = 'porter unicode61')")
        .execute(&mut tx)
        .await
        .expect("FTS5 is compiled in");
    let pieces = pieces();
    for (at, piece) in pieces.iter().enumerate() {
        put(index, &mut tx, &at.to_string(), &piece.body).await;
        sql("INSERT INTO fts (rowid, body) VALUES ($1, $2)")
            .bind(i64::try_from(at).expect("small"))
            .bind(&piece.body)
            .execute(&mut tx)
            .await
            .expect("inserted");
    }

    // A docstring's summary is the query; the rest of it is what is to be found.
    let (mut ours, mut theirs, mut overlap) = (Score::default(), Score::default(), 0.0);
    let mut queries = 0.0;
    for (at, piece) in pieces.iter().enumerate().step_by(2) {
        let words: Vec<_> = piece.summary.unicode_words().collect();
        let found = index
            .search(&mut tx, &Query::parse(&words.join(" ")), &Narrowing::default(), PAGE, None)
            .await
            .expect("searched");
        let found = names(&found);
        let quoted: Vec<_> = words.iter().map(|word| format!("\"{}\"", word.replace('"', ""))).collect();
        let beside: Vec<(i64,)> = sql("SELECT rowid FROM fts WHERE fts MATCH $1 ORDER BY rank LIMIT $2")
            .bind(quoted.join(" OR "))
            .bind(i64::try_from(PAGE).expect("small"))
            .fetch_all(&mut tx)
            .await
            .expect("searched");
        let beside: Vec<_> = beside.into_iter().map(|(rowid,)| rowid.to_string()).collect();
        let sought = at.to_string();
        ours.add(found.iter().position(|name| *name == sought));
        theirs.add(beside.iter().position(|name| *name == sought));
        #[expect(clippy::cast_precision_loss, reason = "a count on a page")]
        let (common, page) =
            (found.iter().filter(|name| beside.contains(name)).count() as f64, beside.len().max(1) as f64);
        overlap += common / page;
        queries += 1.0;
    }

    let ([mrr, ndcg, recall], [fts_mrr, fts_ndcg, fts_recall]) = (ours.of(queries), theirs.of(queries));
    overlap /= queries;
    println!("{} texts, {queries} queries, the best {PAGE} of each", pieces.len());
    println!("            MRR    nDCG   found");
    println!("blind index {mrr:.3}  {ndcg:.3}  {recall:.3}");
    println!("FTS5        {fts_mrr:.3}  {fts_ndcg:.3}  {fts_recall:.3}");
    println!("common to both pages: {overlap:.3}");
    assert!(queries > 300.0, "a corpus too small to tell: {queries}");
    assert!(mrr >= fts_mrr - 0.02, "{mrr} beside {fts_mrr}");
    assert!(ndcg >= fts_ndcg - 0.02, "{ndcg} beside {fts_ndcg}");
    assert!(overlap >= 0.6, "{overlap}");
}
