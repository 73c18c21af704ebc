//! The envelope of gRPC messages (PROTOCOL-HTTP2.md, "Length-Prefixed-Message"): flags, length, message.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

/// Flags and length.
pub(crate) const HEAD_BYTES: usize = 5;

/// The message is compressed.
pub(crate) const COMPRESSED: u8 = 0b1;

/// Checks messages as they flow past, chunk by chunk, without keeping any of them.
#[derive(Debug)]
pub(crate) struct Check {
    head: [u8; HEAD_BYTES],
    head_len: usize,
    message_left: u32,
    message_bytes_max: u32,
}

/// Gathers whole messages out of chunks.
#[derive(Debug)]
pub(crate) struct Reader {
    buffer: BytesMut,
    message_bytes_max: u32,
}

/// Why a body is no sequence of messages.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum Broken {
    #[error("a message is of {bytes} bytes; this method takes {bytes_max}")]
    TooLarge { bytes: u32, bytes_max: u32 },
    #[error("a message begins with unknown flags")]
    Flags,
    #[error("the body ends within a message")]
    CutShort,
}

// === impl Check ===

impl Check {
    /// Refuses messages larger than `message_bytes_max`.
    pub(crate) fn new(message_bytes_max: u32) -> Self {
        Self { head: [0; HEAD_BYTES], head_len: 0, message_left: 0, message_bytes_max }
    }

    /// Looks at the next `chunk` of the body.
    pub(crate) fn feed(&mut self, mut chunk: &[u8]) -> Result<(), Broken> {
        while !chunk.is_empty() {
            let passing = chunk.len().min(self.message_left as usize);
            if passing > 0 {
                self.message_left -= u32::try_from(passing).unwrap_or(self.message_left);
                chunk = &chunk[passing..];
                continue;
            }
            let taken = chunk.len().min(HEAD_BYTES - self.head_len);
            self.head[self.head_len..self.head_len + taken].copy_from_slice(&chunk[..taken]);
            self.head_len += taken;
            chunk = &chunk[taken..];
            if self.head_len == HEAD_BYTES {
                self.head_len = 0;
                self.message_left = length(self.head, self.message_bytes_max)?;
            }
        }
        Ok(())
    }

    /// Whether the body may end here.
    pub(crate) fn end(&self) -> Result<(), Broken> {
        if self.head_len == 0 && self.message_left == 0 { Ok(()) } else { Err(Broken::CutShort) }
    }
}

// === impl Reader ===

impl Reader {
    /// Refuses messages larger than `message_bytes_max`.
    pub(crate) fn new(message_bytes_max: u32) -> Self {
        Self { buffer: BytesMut::new(), message_bytes_max }
    }

    /// Adds the next `chunk` of the body.
    pub(crate) fn push(&mut self, chunk: &[u8]) {
        self.buffer.extend_from_slice(chunk);
    }

    /// The next whole message with its flags, once it has come.
    pub(crate) fn next(&mut self) -> Result<Option<(u8, Bytes)>, Broken> {
        let Some(head) = self.buffer.first_chunk::<HEAD_BYTES>().copied() else { return Ok(None) };
        let length = length(head, self.message_bytes_max)? as usize;
        if self.buffer.len() < HEAD_BYTES + length {
            return Ok(None);
        }
        self.buffer.advance(HEAD_BYTES);
        Ok(Some((head[0], self.buffer.split_to(length).freeze())))
    }

    /// Whether the body may end here.
    pub(crate) fn end(&self) -> Result<(), Broken> {
        if self.buffer.is_empty() { Ok(()) } else { Err(Broken::CutShort) }
    }
}

/// Puts `message` into an envelope.
pub(crate) fn wrap(flags: u8, message: &[u8]) -> Bytes {
    let mut framed = BytesMut::with_capacity(HEAD_BYTES + message.len());
    framed.put_u8(flags);
    framed.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    framed.put_slice(message);
    framed.freeze()
}

fn length(head: [u8; HEAD_BYTES], bytes_max: u32) -> Result<u32, Broken> {
    let [flags, a, b, c, d] = head;
    if flags & !COMPRESSED != 0 {
        return Err(Broken::Flags);
    }
    let bytes = u32::from_be_bytes([a, b, c, d]);
    if bytes > bytes_max { Err(Broken::TooLarge { bytes, bytes_max }) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    //! However a body is cut into chunks, it holds the same messages.

    use proptest::prelude::*;

    use super::*;
    use crate::framing::answer::tests::cut;

    fn body(messages: &[Vec<u8>]) -> Vec<u8> {
        messages.iter().flat_map(|message| wrap(0, message)).collect()
    }

    fn messages() -> impl Strategy<Value = Vec<Vec<u8>>> {
        prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..6)
    }

    proptest! {
        #[test]
        fn chunks_make_no_difference_to_what_is_read(messages in messages(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12)) {
            let body = body(&messages);
            let (mut reader, mut check) = (Reader::new(40), Check::new(40));
            let mut read = Vec::new();
            for chunk in cut(&body, &cuts) {
                check.feed(chunk).expect("whole");
                reader.push(chunk);
                while let Some((flags, message)) = reader.next().expect("whole") {
                    prop_assert_eq!(flags, 0);
                    read.push(message.to_vec());
                }
            }
            prop_assert_eq!(reader.end(), Ok(()));
            prop_assert_eq!(check.end(), Ok(()));
            prop_assert_eq!(read, messages);
        }

        #[test]
        fn a_body_that_ends_within_a_message_is_cut_short(message in prop::collection::vec(any::<u8>(), 0..40), keep in any::<prop::sample::Index>()) {
            let body = wrap(0, &message);
            let kept = &body[..1 + keep.index(body.len() - 1)];
            prop_assume!(kept.len() < body.len());
            let (mut reader, mut check) = (Reader::new(40), Check::new(40));
            check.feed(kept).expect("so far");
            reader.push(kept);
            prop_assert_eq!(reader.next(), Ok(None));
            prop_assert_eq!(check.end(), Err(Broken::CutShort));
            prop_assert_eq!(reader.end(), Err(Broken::CutShort));
        }
    }

    #[test]
    fn the_largest_message_passes_and_one_more_byte_does_not() {
        let refused = Broken::TooLarge { bytes: 11, bytes_max: 10 };

        assert_eq!(Check::new(10).feed(&wrap(0, &[7; 10])), Ok(()));
        assert_eq!(Check::new(10).feed(&wrap(0, &[7; 11])[..HEAD_BYTES]), Err(refused), "by its head alone");
        let mut reader = Reader::new(10);
        reader.push(&wrap(0, &[7; 11])[..HEAD_BYTES]);
        assert_eq!(reader.next(), Err(refused));
    }

    #[test]
    fn unknown_flags_are_refused() {
        for flags in [0b10, 0b100, 0x80, 0x81] {
            assert_eq!(Check::new(10).feed(&wrap(flags, b"x")), Err(Broken::Flags), "{flags:b}");
        }
        assert_eq!(Check::new(10).feed(&wrap(COMPRESSED, b"x")), Ok(()));
    }
}
