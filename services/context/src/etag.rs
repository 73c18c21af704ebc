//! A word that changes with each change of a context, and says nothing else.

use aws_lc_rs::digest::{self, SHA256};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::names::ContextId;

/// Bytes of the digest that are kept: versions of one context must differ, nobody gains by making two collide.
const KEPT_BYTES: usize = 12;

/// The etag of version `version` of the context `id`.
pub(crate) fn etag(id: ContextId, version: u64) -> String {
    let mut input = [0; 24];
    input[..16].copy_from_slice(id.as_bytes());
    input[16..].copy_from_slice(&version.to_be_bytes());
    URL_SAFE_NO_PAD.encode(&digest::digest(&SHA256, &input).as_ref()[..KEPT_BYTES])
}

#[cfg(test)]
mod tests {
    //! Two versions never look alike.

    use uuid::Uuid;

    use super::*;

    #[test]
    fn an_etag_is_of_one_context_and_one_version() {
        let [a, b] = [1, 2].map(|id| ContextId::new(Uuid::from_u128(id)));
        assert_eq!(etag(a, 1), etag(a, 1));
        assert_ne!(etag(a, 1), etag(a, 2));
        assert_ne!(etag(a, 1), etag(b, 1));
        assert!(etag(a, u64::MAX).len() <= 64);
    }
}
