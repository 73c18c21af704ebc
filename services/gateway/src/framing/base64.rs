//! gRPC-Web in text: base64 in pieces, each padded on its own (PROTOCOL-WEB.md, "Protocol differences").

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;

/// Decodes chunks that may be cut anywhere, and padded wherever the client ended a piece.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    /// The beginning of a group of four.
    held: [u8; 4],
    held_len: usize,
}

/// The body is not base64.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the body is not base64")]
pub(crate) struct NotBase64;

/// Encodes one chunk, padded, so that nothing waits for the next one.
pub(crate) fn encode(chunk: &[u8]) -> Bytes {
    STANDARD.encode(chunk).into()
}

// === impl Decoder ===

impl Decoder {
    /// Decodes as much as is whole.
    pub(crate) fn feed(&mut self, mut chunk: &[u8]) -> Result<Bytes, NotBase64> {
        let mut out = Vec::with_capacity((self.held_len + chunk.len()) / 4 * 3);
        if self.held_len > 0 {
            let taken = chunk.len().min(4 - self.held_len);
            self.held[self.held_len..self.held_len + taken].copy_from_slice(&chunk[..taken]);
            self.held_len += taken;
            chunk = &chunk[taken..];
            if self.held_len < 4 {
                return Ok(Bytes::new());
            }
            self.held_len = 0;
            STANDARD.decode_vec(self.held, &mut out).map_err(|_| NotBase64)?;
        }
        let (mut whole, rest) = chunk.split_at(chunk.len() / 4 * 4);
        while !whole.is_empty() {
            // A padded group ends a piece; the next piece begins after it.
            let end = whole.iter().position(|&byte| byte == b'=').map_or(whole.len(), |at| at / 4 * 4 + 4);
            let (piece, next) = whole.split_at(end);
            STANDARD.decode_vec(piece, &mut out).map_err(|_| NotBase64)?;
            whole = next;
        }
        self.held[..rest.len()].copy_from_slice(rest);
        self.held_len = rest.len();
        Ok(out.into())
    }

    /// Whether the body may end here.
    pub(crate) fn end(&self) -> Result<(), NotBase64> {
        if self.held_len == 0 { Ok(()) } else { Err(NotBase64) }
    }
}

#[cfg(test)]
mod tests {
    //! However pieces are made and chunks are cut, the same bytes come out.

    use proptest::prelude::*;

    use super::*;
    use crate::framing::answer::tests::cut;

    proptest! {
        #[test]
        fn pieces_and_chunks_make_no_difference(
            body in prop::collection::vec(any::<u8>(), 0..200),
            pieces in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
            chunks in prop::collection::vec(any::<prop::sample::Index>(), 0..16),
        ) {
            let text: Vec<u8> = cut(&body, &pieces).into_iter().flat_map(encode).collect();
            let mut decoder = Decoder::default();
            let mut decoded = Vec::new();
            for chunk in cut(&text, &chunks) {
                decoded.extend_from_slice(&decoder.feed(chunk).expect("base64"));
            }
            prop_assert_eq!(decoder.end(), Ok(()));
            prop_assert_eq!(decoded, body);
        }

        #[test]
        fn strangers_bytes_are_decoded_or_refused(text in prop::collection::vec(any::<u8>(), 0..40), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..4)) {
            let mut decoder = Decoder::default();
            let _ = cut(&text, &cuts).into_iter().try_for_each(|chunk| decoder.feed(chunk).map(drop));
        }
    }

    #[test]
    fn what_is_not_base64_is_refused() {
        for text in ["AAA!", "A=AA", "====", "AA=A", "AAAA\nAAA"] {
            assert!(Decoder::default().feed(text.as_bytes()).is_err(), "{text:?}");
        }
        let mut decoder = Decoder::default();
        assert_eq!(decoder.feed(b"AAAAA").expect("so far").len(), 3);
        assert_eq!(decoder.end(), Err(NotBase64));
    }
}
