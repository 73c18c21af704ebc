//! The tables: rows, the tiles of the tree over them, what was signed last.

use mcp_audit::log::{Checkpoint, LogSigner, Origin, Tile, TilePlace, Tree};

use crate::{Column, SealedColumn, StoreError, Table, TenantTx, Tx, sql};

const ROWS: Table = Table {
    name: "mcp_audit_row",
    columns: &[
        Column::key("id"),
        Column::clear("place", "where the row stands in the tree; says how many rows there are"),
        Column::clear(
            "leaf",
            "a salted hash, so that the tree can be checked without keys and after erasure",
        ),
        Column::sealed("sealed"),
    ],
};
const TILES: Table = Table {
    name: "mcp_audit_tile",
    columns: &[Column::key("level"), Column::key("number"), Column::clear("hashes", "hashes over leaves")],
};
const HEADS: Table = Table {
    name: "mcp_audit_head",
    columns: &[
        Column::key("name"),
        Column::clear("size", "how many rows are signed"),
        Column::clear("checkpoint", "signed so that everybody can read it"),
    ],
};

/// The tables of a log.
pub(crate) const TABLES: &[Table] = &[ROWS, TILES, HEADS];
pub(super) const SEALED: SealedColumn = ROWS.sealed("sealed");

/// Rows that get their places in one transaction; bounds how long a writer waits behind it.
const BATCH_ROWS: i64 = 1000;
/// There is one head.
const HEAD: &str = "head";

/// Inserts a row without a place. One that is there already, by its id, stays.
pub(super) async fn insert(
    tx: &mut TenantTx,
    id: &[u8; 16],
    leaf: &[u8],
    entry: &[u8],
) -> Result<(), StoreError> {
    let sealed = tx.seal(&SEALED, id, entry)?;
    sql("INSERT INTO mcp_audit_row (id, leaf, sealed) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING")
        .doing("insert an audit row")
        .bind(id)
        .bind(leaf)
        .bind(sealed)
        .execute(tx)
        .await?;
    Ok(())
}

/// Gives rows that have no place theirs, grows the tree and signs it. Answers how many there were.
pub(super) async fn sequence(
    tx: &mut TenantTx,
    signer: &LogSigner,
    origin: &Origin,
) -> Result<usize, StoreError> {
    let doing = "give audit rows their places";
    tx.lock(&[b"audit"]).await?;
    let size = head(tx).await?.map_or(0, |(size, _)| size);
    let mut placed: Vec<(i64, Vec<u8>)> = sql(
        "UPDATE mcp_audit_row SET place = $1 + waiting.nth
         FROM (SELECT id AS waits, ROW_NUMBER() OVER (ORDER BY id) - 1 AS nth
               FROM (SELECT id FROM mcp_audit_row WHERE place IS NULL ORDER BY id LIMIT $2) AS oldest) AS waiting
         WHERE id = waiting.waits AND place IS NULL
         RETURNING place, leaf",
    )
    .doing(doing)
    .bind(size)
    .bind(BATCH_ROWS)
    .fetch_all(tx)
    .await?;
    if placed.is_empty() {
        return Ok(0);
    }
    placed.sort_unstable_by_key(|(place, _)| *place);

    let size = u64::try_from(size).map_err(StoreError::unreadable(doing))?;
    let mut tree = tree(tx, size).await?;
    let mut tiles = Vec::new();
    for (_, leaf) in &placed {
        let leaf = mcp_audit::log::Leaf::try_from(&leaf[..]).map_err(StoreError::unreadable(doing))?;
        tree.append(leaf.hash(), &mut tiles);
    }
    tiles.extend(tree.edge());
    for tile in &tiles {
        put_tile(tx, tile).await?;
    }
    let checkpoint = signer.sign(origin, &tree).map_err(StoreError::unreadable("sign an audit log"))?;
    put_head(tx, &checkpoint).await?;
    Ok(placed.len())
}

/// How many rows are signed, and what was signed; none before the first.
pub(super) async fn head(tx: &mut Tx) -> Result<Option<(i64, String)>, StoreError> {
    sql("SELECT size, checkpoint FROM mcp_audit_head WHERE name = $1")
        .doing("read what was signed of an audit log")
        .bind(HEAD)
        .fetch_optional(tx)
        .await
}

/// The tree over the first `size` leaves.
async fn tree(tx: &mut Tx, size: u64) -> Result<Tree, StoreError> {
    let doing = "read an audit log's tree";
    let mut edge = Vec::new();
    for place in Tree::edge_of(size) {
        edge.push(tile(tx, place).await?);
    }
    Tree::resume(size, edge).map_err(StoreError::unreadable(doing))
}

async fn tile(tx: &mut Tx, place: TilePlace) -> Result<Tile, StoreError> {
    let hashes: Option<(Vec<u8>,)> =
        sql("SELECT hashes FROM mcp_audit_tile WHERE level = $1 AND number = $2")
            .doing("read an audit log's tree")
            .bind(i64::from(place.level))
            .bind(signed(place.number))
            .fetch_optional(tx)
            .await?;
    // A tile that is not there has no hashes; the tree then does not come together, and says so.
    Ok(Tile::from_bytes(place, &hashes.map_or_else(Vec::new, |(hashes,)| hashes)))
}

async fn put_tile(tx: &mut Tx, tile: &Tile) -> Result<(), StoreError> {
    let doing = "write an audit log's tree";
    let (level, number, hashes) = (i64::from(tile.place.level), signed(tile.place.number), tile.to_bytes());
    let there = sql("UPDATE mcp_audit_tile SET hashes = $3 WHERE level = $1 AND number = $2")
        .doing(doing)
        .bind(level)
        .bind(number)
        .bind(&hashes[..])
        .execute(tx)
        .await?;
    if there == 0 {
        sql("INSERT INTO mcp_audit_tile (level, number, hashes) VALUES ($1, $2, $3)")
            .doing(doing)
            .bind(level)
            .bind(number)
            .bind(hashes)
            .execute(tx)
            .await?;
    }
    Ok(())
}

async fn put_head(tx: &mut Tx, checkpoint: &Checkpoint) -> Result<(), StoreError> {
    let doing = "write what was signed of an audit log";
    let (size, note) = (signed(checkpoint.size()), checkpoint.note());
    let there = sql("UPDATE mcp_audit_head SET size = $2, checkpoint = $3 WHERE name = $1")
        .doing(doing)
        .bind(HEAD)
        .bind(size)
        .bind(note)
        .execute(tx)
        .await?;
    if there == 0 {
        sql("INSERT INTO mcp_audit_head (name, size, checkpoint) VALUES ($1, $2, $3)")
            .doing(doing)
            .bind(HEAD)
            .bind(size)
            .bind(note)
            .execute(tx)
            .await?;
    }
    Ok(())
}

/// Sizes and places stay far below what does not fit.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
