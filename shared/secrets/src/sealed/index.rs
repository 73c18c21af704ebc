//! The index of a store: which secrets there are, in which version, and what their files look like.
//!
//! ```text
//! "mcpindx" 1 | master key's ID (8) | store (16) | record | record | ...
//! record: length of body (4) | body | tag (32)
//! body:   kind (1) | counter (8) | what happened
//! ```
//!
//! The first record holds all entries of its moment, each further one a change. A record's tag is the HMAC-SHA256 of
//! the tag before it and its body, under a key derived from the master key for this store: no record can be changed,
//! left out, moved or taken from another store. That the last ones are not cut off is what the [mark](super::mark)
//! is for.

use std::collections::BTreeMap;

use aws_lc_rs::{
    digest::{SHA256, digest},
    error::Unspecified,
    hmac::{self, HMAC_SHA256},
};
use zeroize::Zeroizing;

use super::master::{KEY_ID_BYTES, MasterKey};
use crate::SecretPath;

/// The longest index that is read: some 500,000 secrets.
pub(super) const INDEX_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Names a store.
pub(super) type StoreId = [u8; 16];
/// Vouches for a record and all before it.
pub(super) type Tag = [u8; 32];
/// What a secret's file looks like: its SHA-256.
pub(super) type Digest = [u8; 32];

const MAGIC: &[u8; 8] = b"mcpindx\x01";
const HEADER_BYTES: usize = MAGIC.len() + KEY_ID_BYTES + size_of::<StoreId>();
const BEGIN: u8 = 0;
const PUT: u8 = 1;
const DELETE: u8 = 2;

/// How many records beyond twice the entries make it worth while to begin anew.
const SLACK: usize = if cfg!(test) { 4 } else { 256 };

/// What a store holds.
pub(super) struct Index {
    store: StoreId,
    counter: u64,
    tag: Tag,
    entries: BTreeMap<SecretPath, Entry>,
    records: usize,
    key: hmac::Key,
}

/// Which file holds a secret.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Entry {
    pub(super) version: u64,
    pub(super) digest: Digest,
}

/// What happens to a secret.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Change {
    /// It has the file of this version, which is the counter after the change.
    Put(SecretPath, Digest),
    /// It is gone.
    Delete(SecretPath),
}

/// A record that is not on the disk yet, and what it will have made of the index.
pub(super) struct Record {
    pub(super) bytes: Vec<u8>,
    change: Change,
    tag: Tag,
}

/// Why bytes are no index.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum BadIndex {
    /// It is another master key's.
    Foreign,
    /// Its beginning does not hold.
    Damaged,
}

/// The SHA-256 of a file's bytes.
pub(super) fn digest_of(bytes: &[u8]) -> Digest {
    let mut out = Digest::default();
    out.copy_from_slice(digest(&SHA256, bytes).as_ref());
    out
}

// === impl Index ===

impl Index {
    /// An index that begins with `entries`, as the bytes of its file too.
    pub(super) fn begin(
        store: StoreId,
        counter: u64,
        entries: BTreeMap<SecretPath, Entry>,
        master: &MasterKey,
    ) -> Result<(Self, Vec<u8>), Unspecified> {
        let key = key(&store, master)?;
        let mut body = vec![BEGIN];
        body.extend_from_slice(&counter.to_be_bytes());
        for (path, entry) in &entries {
            write_path(&mut body, path)?;
            body.extend_from_slice(&entry.version.to_be_bytes());
            body.extend_from_slice(&entry.digest);
        }
        let tag = tag_of(&key, &Tag::default(), &body);
        let mut bytes = [&MAGIC[..], &master.id(), &store].concat();
        write_record(&mut bytes, &body, &tag)?;
        Ok((Self { store, counter, tag, entries, records: 1, key }, bytes))
    }

    /// Reads the index in `bytes` as far as it holds, and says how many bytes that is.
    pub(super) fn read(bytes: &[u8], master: &MasterKey) -> Result<(Self, usize), BadIndex> {
        let (header, mut rest) = bytes.split_at_checked(HEADER_BYTES).ok_or(BadIndex::Damaged)?;
        let names = header.strip_prefix(MAGIC).ok_or(BadIndex::Damaged)?;
        let (master_id, store) = names.split_at(KEY_ID_BYTES);
        if master_id != master.id() {
            return Err(BadIndex::Foreign);
        }
        let store = StoreId::try_from(store).map_err(|_| BadIndex::Damaged)?;
        let key = key(&store, master).map_err(|Unspecified| BadIndex::Damaged)?;

        let (body, tag, after) = next_record(rest, &key, &Tag::default()).ok_or(BadIndex::Damaged)?;
        let (counter, entries) = read_begin(body).ok_or(BadIndex::Damaged)?;
        let mut index = Self { store, counter, tag, entries, records: 1, key };
        rest = after;
        while let Some((body, tag, after)) = next_record(rest, &index.key, &index.tag) {
            let Some(change) = read_change(body, index.counter) else { break };
            index.become_of(change, tag);
            rest = after;
        }
        Ok((index, bytes.len() - rest.len()))
    }

    /// The record of `change`, to be written where the file ends.
    pub(super) fn record(&self, change: Change) -> Result<Record, Unspecified> {
        let (kind, path) = match &change {
            Change::Put(path, _) => (PUT, path),
            Change::Delete(path) => (DELETE, path),
        };
        let mut body = vec![kind];
        body.extend_from_slice(&self.next_counter().to_be_bytes());
        write_path(&mut body, path)?;
        if let Change::Put(_, digest) = &change {
            body.extend_from_slice(digest);
        }
        let tag = tag_of(&self.key, &self.tag, &body);
        let mut bytes = Vec::new();
        write_record(&mut bytes, &body, &tag)?;
        Ok(Record { bytes, change, tag })
    }

    /// Takes in a record that is on the disk now.
    pub(super) fn apply(&mut self, record: Record) {
        self.become_of(record.change, record.tag);
    }

    pub(super) fn get(&self, path: &SecretPath) -> Option<Entry> {
        self.entries.get(path).copied()
    }

    pub(super) const fn entries(&self) -> &BTreeMap<SecretPath, Entry> {
        &self.entries
    }

    pub(super) const fn store(&self) -> StoreId {
        self.store
    }

    pub(super) const fn counter(&self) -> u64 {
        self.counter
    }

    pub(super) const fn next_counter(&self) -> u64 {
        self.counter.saturating_add(1)
    }

    pub(super) const fn tag(&self) -> Tag {
        self.tag
    }

    /// Whether the file is long for what it says.
    pub(super) fn is_long(&self) -> bool {
        self.records > 2 * self.entries.len() + SLACK
    }

    fn become_of(&mut self, change: Change, tag: Tag) {
        self.counter = self.next_counter();
        self.tag = tag;
        self.records += 1;
        match change {
            Change::Put(path, digest) => {
                self.entries.insert(path, Entry { version: self.counter, digest });
            }
            Change::Delete(path) => {
                self.entries.remove(&path);
            }
        }
    }
}

fn key(store: &StoreId, master: &MasterKey) -> Result<hmac::Key, Unspecified> {
    let mut bytes = Zeroizing::new([0; 32]);
    master.derive(store, b"mcp-secrets index", &mut *bytes)?;
    Ok(hmac::Key::new(HMAC_SHA256, &*bytes))
}

fn tag_of(key: &hmac::Key, before: &Tag, body: &[u8]) -> Tag {
    let mut context = hmac::Context::with_key(key);
    context.update(before);
    context.update(body);
    let mut tag = Tag::default();
    tag.copy_from_slice(context.sign().as_ref());
    tag
}

fn write_record(out: &mut Vec<u8>, body: &[u8], tag: &Tag) -> Result<(), Unspecified> {
    let length = u32::try_from(body.len()).map_err(|_| Unspecified)?;
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(body);
    out.extend_from_slice(tag);
    Ok(())
}

fn write_path(out: &mut Vec<u8>, path: &SecretPath) -> Result<(), Unspecified> {
    out.push(u8::try_from(path.as_str().len()).map_err(|_| Unspecified)?);
    out.extend_from_slice(path.as_str().as_bytes());
    Ok(())
}

/// The record that `bytes` begin with: its body, its tag and the bytes after it; `None` where none holds.
fn next_record<'a>(bytes: &'a [u8], key: &hmac::Key, before: &Tag) -> Option<(&'a [u8], Tag, &'a [u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    let (body, rest) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    let (tag, rest) = rest.split_first_chunk()?;
    let holds = aws_lc_rs::constant_time::verify_slices_are_equal(&tag_of(key, before, body), tag).is_ok();
    holds.then_some((body, *tag, rest))
}

fn read_begin(body: &[u8]) -> Option<(u64, BTreeMap<SecretPath, Entry>)> {
    let (counter, mut rest) = body.strip_prefix(&[BEGIN])?.split_first_chunk()?;
    let mut entries = BTreeMap::new();
    while !rest.is_empty() {
        let (path, after) = read_path(rest)?;
        let (version, after) = after.split_first_chunk()?;
        let (digest, after) = after.split_first_chunk()?;
        entries.insert(path, Entry { version: u64::from_be_bytes(*version), digest: *digest });
        rest = after;
    }
    Some((u64::from_be_bytes(*counter), entries))
}

fn read_change(body: &[u8], before: u64) -> Option<Change> {
    let (&kind, rest) = body.split_first()?;
    let (counter, rest) = rest.split_first_chunk()?;
    let (path, rest) = read_path(rest)?;
    if Some(u64::from_be_bytes(*counter)) != before.checked_add(1) {
        return None;
    }
    match kind {
        PUT => Some(Change::Put(path, rest.try_into().ok()?)),
        DELETE if rest.is_empty() => Some(Change::Delete(path)),
        _ => None,
    }
}

fn read_path(bytes: &[u8]) -> Option<(SecretPath, &[u8])> {
    let (&length, rest) = bytes.split_first()?;
    let (path, rest) = rest.split_at_checked(usize::from(length))?;
    Some((std::str::from_utf8(path).ok()?.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    //! What an index says, and what it does not believe.

    use mcp_types::SystemEntropy;

    use super::*;
    use crate::sealed::master::Master;

    fn master() -> MasterKey {
        let home = tempfile::tempdir().expect("a folder");
        Master::file(&home.path().join("key")).load_or_create(&SystemEntropy).expect("a key")
    }

    fn path(text: &str) -> SecretPath {
        text.parse().expect("a path")
    }

    /// An index of three changes, its file, and where in it each record ends.
    fn grown(master: &MasterKey) -> (Index, Vec<u8>, Vec<usize>) {
        let (mut index, mut bytes) = Index::begin([7; 16], 1, BTreeMap::new(), master).expect("begun");
        let mut ends = vec![bytes.len()];
        for change in
            [Change::Put(path("a/b"), [1; 32]), Change::Put(path("c"), [2; 32]), Change::Delete(path("a/b"))]
        {
            let record = index.record(change).expect("a record");
            bytes.extend_from_slice(&record.bytes);
            index.apply(record);
            ends.push(bytes.len());
        }
        (index, bytes, ends)
    }

    #[test]
    fn what_was_written_is_read() {
        let master = master();
        let (index, bytes, _) = grown(&master);
        let (read, length) = Index::read(&bytes, &master).expect("an index");
        assert_eq!(length, bytes.len());
        assert_eq!((read.counter(), read.tag(), read.entries()), (4, index.tag(), index.entries()));
        assert_eq!(read.get(&path("c")), Some(Entry { version: 3, digest: [2; 32] }));

        let (begun, bytes) = Index::begin([7; 16], 9, read.entries, &master).expect("begun");
        let (read, _) = Index::read(&bytes, &master).expect("an index");
        assert_eq!((read.counter(), read.entries()), (9, begun.entries()));
    }

    #[test]
    fn a_changed_byte_ends_what_is_believed() {
        let master = master();
        let (_, bytes, ends) = grown(&master);
        for at in HEADER_BYTES..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            let holds = ends.iter().copied().filter(|end| *end <= at).max();
            match (Index::read(&changed, &master), holds) {
                (Ok((_, length)), Some(end)) => assert_eq!(length, end, "byte {at}"),
                (Err(bad), None) => assert_eq!(bad, BadIndex::Damaged, "byte {at}"),
                (read, holds) => panic!("byte {at}: {} but {holds:?}", read.is_ok()),
            }
        }
    }

    #[test]
    fn no_record_can_be_left_out_moved_or_doubled() {
        let master = master();
        let (_, bytes, ends) = grown(&master);
        let [first, second, third] = [0, 1, 2].map(|at| &bytes[ends[at]..ends[at + 1]]);
        let begin = &bytes[..ends[0]];
        for forged in [[second, third, first], [first, third, second], [first, first, second]] {
            let forged = [begin, &forged.concat()].concat();
            let (index, _) = Index::read(&forged, &master).expect("its beginning holds");
            assert!(index.counter() < 3, "{}", index.counter());
        }
    }

    #[test]
    fn another_stores_or_masters_index_is_not_believed() {
        let (master, other) = (master(), master());
        let (_, mut bytes, _) = grown(&master);
        assert_eq!(Index::read(&bytes, &other).err(), Some(BadIndex::Foreign));
        // The name of the store is what its key is derived for.
        bytes[HEADER_BYTES - 1] ^= 1;
        assert_eq!(Index::read(&bytes, &master).err(), Some(BadIndex::Damaged));
        assert_eq!(Index::read(&bytes[..20], &master).err(), Some(BadIndex::Damaged));
    }
}
