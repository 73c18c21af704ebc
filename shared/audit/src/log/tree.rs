//! The tree's right edge: append to it, know its root, and write it down as tiles.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
};

use tlog_tiles::{EMPTY_HASH, Error, HashReader, node_hash, split_stored_hash_index};

/// A hash of the tree.
pub use tlog_tiles::Hash;

/// Leaves that a log may have; what states more is not believed.
pub const TREE_SIZE_MAX: u64 = 1 << 48;

/// The height of a tile (C2SP `tlog-tiles`), and with it the hashes of a full one: 256.
const TILE_HEIGHT: u8 = 8;
const TILE_HASHES: usize = 1 << TILE_HEIGHT;
const HASH_BYTES: usize = 32;

/// The right edge of a log's tree: all that appending needs, and all that the root follows from.
///
/// It holds the tiles that are not full yet, at most one a level, so appending costs two hashes on the average and
/// holds 8 KiB for each factor of 256 in size.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tree {
    size: u64,
    edge: Vec<Vec<Hash>>,
}

/// Where a tile stands: its level, counted from the leaves', and its number within.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TilePlace {
    /// Each level above covers 256 times as many leaves.
    pub level: u8,
    /// Counted from the oldest.
    pub number: u64,
}

/// Up to 256 hashes of one level, side by side.
#[derive(Clone, Debug, PartialEq)]
pub struct Tile {
    /// Where it stands.
    pub place: TilePlace,
    /// Its hashes, oldest first.
    pub hashes: Vec<Hash>,
}

/// Tiles at hand, to prove from.
#[derive(Clone, Debug, Default)]
pub struct Tiles(HashMap<TilePlace, Vec<Hash>>);

/// Tiles that are not the right edge of a tree of the stated size.
#[derive(Debug, thiserror::Error)]
#[error("the stored tiles are not the edge of a tree of {size} leaves")]
pub struct BadEdge {
    size: u64,
}

/// Notes which tiles a proof will read.
#[derive(Debug, Default)]
pub(super) struct Noting(pub(super) std::cell::RefCell<BTreeSet<TilePlace>>);

// === impl Tree ===

impl Tree {
    /// The places of the tiles that are not full in a tree of `size` leaves, lowest first.
    pub fn edge_of(size: u64) -> Vec<TilePlace> {
        let levels = (0..=u64::BITS / u32::from(TILE_HEIGHT)).take_while(|level| covered(size, *level) > 0);
        let place = |level: u32| TilePlace {
            level: u8::try_from(level).unwrap_or(u8::MAX),
            number: covered(size, level + 1),
        };
        levels.filter(|level| width(size, *level) > 0).map(place).collect()
    }

    /// The tree of `size` leaves whose edge is among `tiles`.
    ///
    /// # Errors
    ///
    /// [`BadEdge`] where a tile is missing or has another width.
    pub fn resume(size: u64, tiles: impl IntoIterator<Item = Tile>) -> Result<Self, BadEdge> {
        let bad = || BadEdge { size };
        if size > TREE_SIZE_MAX {
            return Err(bad());
        }
        let mut known: HashMap<_, _> = tiles.into_iter().map(|tile| (tile.place, tile.hashes)).collect();
        let mut edge = Vec::new();
        for place in Self::edge_of(size) {
            let level = usize::from(place.level);
            let hashes = known.remove(&place).ok_or_else(bad)?;
            if hashes.len() != width(size, u32::from(place.level)) {
                return Err(bad());
            }
            edge.resize(level, Vec::new());
            edge.push(hashes);
        }
        Ok(Self { size, edge })
    }

    /// How many leaves it has.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf; a tile that it fills goes to `filled`.
    pub fn append(&mut self, leaf: Hash, filled: &mut Vec<Tile>) {
        self.size += 1;
        let mut hash = leaf;
        for level in 0.. {
            if self.edge.len() == level {
                self.edge.push(Vec::with_capacity(TILE_HASHES));
            }
            self.edge[level].push(hash);
            if self.edge[level].len() < TILE_HASHES {
                return;
            }
            let hashes = std::mem::take(&mut self.edge[level]);
            hash = subtree(&hashes);
            let level = u8::try_from(level).unwrap_or(u8::MAX);
            let number = covered(self.size, u32::from(level) + 1).saturating_sub(1);
            filled.push(Tile { place: TilePlace { level, number }, hashes });
        }
    }

    /// The tiles that are not full, as they are now.
    pub fn edge(&self) -> impl Iterator<Item = Tile> {
        Self::edge_of(self.size).into_iter().filter_map(|place| {
            let hashes = self.edge.get(usize::from(place.level))?.clone();
            Some(Tile { place, hashes })
        })
    }

    /// Its root (RFC 6962, section 2.1).
    pub fn root(&self) -> Hash {
        // Right to left: the lowest level holds the newest leaves, and within one the smallest subtree is the newest.
        let mut root = None;
        for hashes in &self.edge {
            let mut end = hashes.len();
            for peak in (0..usize::BITS).map(|bit| 1 << bit).filter(|peak| hashes.len() & peak != 0) {
                let left = subtree(&hashes[end - peak..end]);
                root = Some(root.map_or(left, |right| node_hash(left, right)));
                end -= peak;
            }
        }
        root.unwrap_or(EMPTY_HASH)
    }
}

/// How many whole subtrees of `level` a tree of `size` leaves has.
fn covered(size: u64, level: u32) -> u64 {
    size.checked_shr(level * u32::from(TILE_HEIGHT)).unwrap_or(0)
}

/// How many hashes the tile at the edge has on `level`.
fn width(size: u64, level: u32) -> usize {
    usize::try_from(covered(size, level)).unwrap_or(usize::MAX) % TILE_HASHES
}

/// The root over `hashes`, whose number is a power of two.
fn subtree(hashes: &[Hash]) -> Hash {
    match hashes {
        [] => EMPTY_HASH,
        [one] => *one,
        _ => {
            let (left, right) = hashes.split_at(hashes.len() / 2);
            node_hash(subtree(left), subtree(right))
        }
    }
}

// === impl Tile ===

impl Tile {
    /// The tile at `place` whose hashes are `bytes`, side by side.
    pub fn from_bytes(place: TilePlace, bytes: &[u8]) -> Self {
        let hashes = bytes.as_chunks::<HASH_BYTES>().0.iter().map(|hash| Hash(*hash)).collect();
        Self { place, hashes }
    }

    /// Its hashes, side by side.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.hashes.iter().flat_map(|hash| hash.0).collect()
    }
}

// === impl Tiles ===

impl Tiles {
    /// All tiles of the tree over `leaves`, for a log that is read whole.
    pub fn over(leaves: impl IntoIterator<Item = Hash>) -> (Tree, Self) {
        let (mut tree, mut tiles) = (Tree::default(), Vec::new());
        for leaf in leaves {
            tree.append(leaf, &mut tiles);
        }
        tiles.extend(tree.edge());
        (tree, tiles.into_iter().collect())
    }

    /// Those of its tiles that stand at `places`.
    #[cfg(test)]
    pub(super) fn only(self, wanted: &super::Wanted) -> impl Iterator<Item = Tile> {
        let tiles = self.0.into_iter().filter(|(place, _)| wanted.0.contains(place));
        tiles.map(|(place, hashes)| Tile { place, hashes })
    }
}

impl FromIterator<Tile> for Tiles {
    fn from_iter<I: IntoIterator<Item = Tile>>(tiles: I) -> Self {
        Self(tiles.into_iter().map(|tile| (tile.place, tile.hashes)).collect())
    }
}

impl HashReader for Tiles {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, Error> {
        indexes
            .iter()
            .map(|index| {
                let (place, from, hashes) = within_tile(*index);
                let tile = self.0.get(&place).ok_or(Error::IndexesNotInTree)?;
                tile.get(from..from + hashes).map(subtree).ok_or(Error::IndexesNotInTree)
            })
            .collect()
    }
}

impl HashReader for Noting {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, Error> {
        self.0.borrow_mut().extend(indexes.iter().map(|index| within_tile(*index).0));
        Ok(vec![EMPTY_HASH; indexes.len()])
    }
}

/// The tile that a stored hash follows from, and which of its hashes: from where, how many.
fn within_tile(index: u64) -> (TilePlace, usize, usize) {
    let (level, number) = split_stored_hash_index(index);
    let (tile_level, height) = (level / TILE_HEIGHT, level % TILE_HEIGHT);
    let first = number << height;
    let place = TilePlace { level: tile_level, number: first >> TILE_HEIGHT };
    let from = usize::try_from(first).unwrap_or(usize::MAX) % TILE_HASHES;
    (place, from, 1 << height)
}

impl fmt::Display for TilePlace {
    /// As C2SP names tiles, but for the grouping of long numbers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tile/{}/{:03}", self.level, self.number)
    }
}
