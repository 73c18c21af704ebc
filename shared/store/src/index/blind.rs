//! A term -> what the database sees of it: a number that says nothing without the tenant's key.

use std::fmt;

use aws_lc_rs::{
    cipher::{AES_128, EncryptingKey, UnboundCipherKey},
    hmac::{self, HMAC_SHA256},
};

use super::{load::Packed, terms::Term};

/// Hides terms under a tenant's index key.
pub(super) struct Blinder {
    terms: hmac::Key,
    dummies: hmac::Key,
    mark: i64,
}

/// A term as the database sees it, and what its loads are hidden with.
pub(super) struct Blind {
    /// [`TERM_BITS`] bits of an HMAC.
    pub(super) term: i64,
    mask: EncryptingKey,
}

/// How many bits of the HMAC are a term's number.
///
/// Few enough for a short row: SQLite keeps 40 bits in 6 bytes. Enough that results stay true: among ten million
/// terms of a tenant another has a given term's number with a chance of 1 in 100,000. Fewer would not hide
/// more: a frequent term's list stands out whatever rare ones are mixed into it.
const TERM_BITS: u32 = 40;

// === impl Blinder ===

impl Blinder {
    pub(super) fn new(index_key: &[u8]) -> Self {
        let root = hmac::Key::new(HMAC_SHA256, index_key);
        let derive = |purpose: &[u8]| hmac::sign(&root, purpose);
        let key = |purpose: &[u8]| hmac::Key::new(HMAC_SHA256, derive(purpose).as_ref());
        Self {
            terms: key(b"mcp index terms"),
            dummies: key(b"mcp index dummies"),
            mark: number(derive(b"mcp index mark").as_ref()),
        }
    }

    /// Tells an index that was made under another key.
    pub(super) fn mark(&self) -> i64 {
        self.mark
    }

    /// # Errors
    ///
    /// None that is known; the cryptography says that it may fail.
    pub(super) fn term(&self, term: &Term) -> Result<Blind, Unhidden> {
        let mut context = hmac::Context::with_key(&self.terms);
        match term {
            Term::Word(word) => {
                context.update(b"w");
                context.update(word.as_bytes());
            }
            Term::Pair(first, second) => {
                // No term has a NUL: segmentation makes words of letters and digits.
                context.update(b"p");
                context.update(first.as_bytes());
                context.update(&[0]);
                context.update(second.as_bytes());
            }
            Term::Prefix(prefix) => {
                context.update(b"e");
                context.update(prefix.as_bytes());
            }
        }
        Self::blind(&context.sign())
    }

    /// A whole value that a collection is filtered by, such as a tag: never one with a word of that name.
    pub(super) fn facet(&self, name: &str, value: &str) -> i64 {
        let mut context = hmac::Context::with_key(&self.terms);
        context.update(b"f");
        context.update(name.as_bytes());
        context.update(&[0]);
        context.update(value.as_bytes());
        number(context.sign().as_ref())
    }

    /// The `nth` term that nobody can look for, to fill up document `doc`.
    pub(super) fn dummy(&self, doc: i64, nth: usize) -> Result<Blind, Unhidden> {
        let mut context = hmac::Context::with_key(&self.dummies);
        context.update(&doc.to_be_bytes());
        context.update(&nth.to_be_bytes());
        Self::blind(&context.sign())
    }

    /// The number and the mask of a term come from apart in one HMAC.
    fn blind(tag: &hmac::Tag) -> Result<Blind, Unhidden> {
        let mask = tag.as_ref().get(16..32).ok_or(Unhidden)?;
        let mask =
            UnboundCipherKey::new(&AES_128, mask).and_then(EncryptingKey::ecb).map_err(|_| Unhidden)?;
        Ok(Blind { term: number(tag.as_ref()), mask })
    }
}

/// The cryptography refused.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("cannot hide a term")]
pub(super) struct Unhidden;

// === impl Blind ===

impl Blind {
    /// Hides the loads of the term in documents, or shows them again: the same does both.
    ///
    /// Each is covered by the encryption of its document's number under the term's own key: a block cipher as
    /// the pseudorandom function that it is, of a block that comes only once, since a document's number
    /// is given once and the document holds a term once. Nobody but the key's holder tells a frequent load from a
    /// rare one, nor the same load in two documents.
    pub(super) fn cover(&self, loads: &mut [(i64, Packed)]) -> Result<(), Unhidden> {
        let mut blocks = Vec::with_capacity(loads.len() * 16);
        for (doc, _) in loads.iter() {
            blocks.extend_from_slice(&doc.to_be_bytes());
            blocks.extend_from_slice(b"mcp load");
        }
        if blocks.is_empty() {
            return Ok(());
        }
        self.mask.encrypt(&mut blocks).map_err(|_| Unhidden)?;
        for ((_, load), block) in loads.iter_mut().zip(blocks.chunks_exact(16)) {
            if let Some(cover) = block.first_chunk() {
                load.0 ^= u32::from_be_bytes(*cover);
            }
        }
        Ok(())
    }
}

fn number(tag: &[u8]) -> i64 {
    let bytes = tag.first_chunk::<8>().copied().unwrap_or_default();
    i64::try_from(u64::from_be_bytes(bytes) >> (u64::BITS - TERM_BITS)).unwrap_or_default()
}

impl fmt::Debug for Blinder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blinder").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn word(word: &str) -> Term {
        Term::Word(word.to_owned())
    }

    fn term(blinder: &Blinder, term: &Term) -> i64 {
        blinder.term(term).expect("hidden").term
    }

    #[test]
    fn a_number_says_nothing_without_the_key() {
        let (ours, theirs) = (Blinder::new(&[1; 32]), Blinder::new(&[2; 32]));
        assert_eq!(term(&ours, &word("plan")), term(&Blinder::new(&[1; 32]), &word("plan")));
        assert_ne!(term(&ours, &word("plan")), term(&theirs, &word("plan")));
        assert_ne!(ours.mark(), theirs.mark());
    }

    #[test]
    fn kinds_of_terms_are_apart() {
        let blinder = Blinder::new(&[1; 32]);
        let numbers = HashSet::from([
            term(&blinder, &word("plan")),
            term(&blinder, &Term::Prefix("plan".into())),
            term(&blinder, &Term::Pair("pl".into(), "an".into())),
            term(&blinder, &Term::Pair("pla".into(), "n".into())),
            blinder.facet("tag", "plan"),
            blinder.facet("ta", "gplan"),
            blinder.dummy(1, 0).expect("hidden").term,
            blinder.dummy(0, 1).expect("hidden").term,
        ]);
        assert_eq!(numbers.len(), 8);
        assert!(numbers.iter().all(|number| (0..1 << TERM_BITS).contains(number)));
    }

    #[test]
    fn loads_are_hidden_and_come_back() {
        let blind = Blinder::new(&[1; 32]).term(&word("plan")).expect("hidden");
        let plain: Vec<_> = (0..1_000).map(|doc| (doc, Packed(7))).collect();
        let mut loads = plain.clone();
        blind.cover(&mut loads).expect("hidden");
        let distinct: HashSet<_> = loads.iter().map(|(_, load)| load.0).collect();
        assert!(distinct.len() >= 999, "equal loads look alike: {}", distinct.len());
        blind.cover(&mut loads).expect("shown");
        assert_eq!(loads, plain);
    }
}
