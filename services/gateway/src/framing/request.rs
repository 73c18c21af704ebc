//! The body that goes to the service: the client's, checked as it flows, and turned into gRPC where it is not.

use std::{
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use futures_util::task::AtomicWaker;
use http_body::{Body, Frame};
use prost_reflect::MessageDescriptor;
use tonic::{Code, Status};

use crate::{
    framing::{
        base64::{Decoder, NotBase64},
        envelope::{COMPRESSED, Check, Reader},
        json,
    },
    refusal::Refusal,
};

/// What is known of a request's body while it flows, shared with whoever waits for the answer.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    bytes: AtomicU64,
    broken: OnceLock<Refusal>,
    waker: AtomicWaker,
}

/// A client's body as a gRPC body.
#[derive(Debug)]
pub(crate) struct RequestBody<B> {
    inner: B,
    shape: Shape,
    meter: Arc<Meter>,
    ended: bool,
}

/// How the client writes messages.
#[derive(Debug)]
pub(crate) enum Shape {
    /// In envelopes.
    Enveloped(Check),
    /// In envelopes, as text.
    Text(Decoder, Check),
    /// In envelopes, as JSON.
    Json {
        /// What is read so far.
        reader: Reader,
        /// What each message must be.
        input: MessageDescriptor,
        /// How large each may be.
        bytes_max: u32,
    },
}

// === impl Meter ===

impl Meter {
    /// How many bytes the client sent so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Counts what the client sent.
    pub(crate) fn count(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Why the body was broken off, if it was.
    pub(crate) fn broken(&self) -> Option<&Refusal> {
        self.broken.get()
    }

    /// Waits until the body is broken off; never ends where it is not.
    pub(crate) fn poll_broken(&self, context: &mut Context<'_>) -> Poll<Refusal> {
        self.waker.register(context.waker());
        self.broken.get().map_or(Poll::Pending, |refusal| Poll::Ready(refusal.clone()))
    }

    fn break_off(&self, refusal: Refusal) {
        let _ = self.broken.set(refusal);
        self.waker.wake();
    }
}

// === impl RequestBody ===

impl<B> RequestBody<B> {
    pub(crate) fn new(inner: B, shape: Shape, meter: Arc<Meter>) -> Self {
        Self { inner, shape, meter, ended: false }
    }
}

impl<B> Body for RequestBody<B>
where
    B: Body<Data = Bytes> + Unpin,
{
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        loop {
            if this.ended {
                return Poll::Ready(None);
            }
            let shaped = match ready!(Pin::new(&mut this.inner).poll_frame(context)) {
                // A client has no trailers to send in any of the protocols.
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(chunk) => {
                        this.meter.count(chunk.len());
                        this.shape.chunk(chunk)
                    }
                    Err(_) => continue,
                },
                Some(Err(_)) => {
                    this.ended = true;
                    return Poll::Ready(Some(Err(Status::cancelled("the client went away"))));
                }
                None => {
                    this.ended = true;
                    match this.shape.end() {
                        Ok(()) => return Poll::Ready(None),
                        Err(refusal) => Err(refusal),
                    }
                }
            };
            match shaped {
                Ok(chunk) if chunk.is_empty() => {}
                Ok(chunk) => return Poll::Ready(Some(Ok(Frame::data(chunk)))),
                Err(refusal) => {
                    this.ended = true;
                    this.meter.break_off(refusal);
                    return Poll::Ready(Some(Err(Status::cancelled("the request was refused"))));
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended || (self.inner.is_end_stream() && self.shape.end().is_ok())
    }
}

// === impl Shape ===

impl Shape {
    fn chunk(&mut self, chunk: Bytes) -> Result<Bytes, Refusal> {
        match self {
            Self::Enveloped(check) => {
                check.feed(&chunk)?;
                Ok(chunk)
            }
            Self::Text(decoder, check) => {
                let chunk = decoder.feed(&chunk)?;
                check.feed(&chunk)?;
                Ok(chunk)
            }
            Self::Json { reader, input, bytes_max } => {
                reader.push(&chunk);
                let mut messages = BytesMut::new();
                while let Some((flags, text)) = reader.next()? {
                    if flags & COMPRESSED != 0 {
                        let words = "compressed messages are not taken in JSON";
                        return Err(Refusal::new(Code::Unimplemented, "COMPRESSION", words));
                    }
                    messages.extend_from_slice(&json::read(&text, input, *bytes_max)?);
                }
                Ok(messages.freeze())
            }
        }
    }

    fn end(&self) -> Result<(), Refusal> {
        match self {
            Self::Enveloped(check) => check.end()?,
            Self::Text(decoder, check) => {
                decoder.end()?;
                check.end()?;
            }
            Self::Json { reader, .. } => reader.end()?,
        }
        Ok(())
    }
}

impl From<NotBase64> for Refusal {
    fn from(not: NotBase64) -> Self {
        Self::new(Code::InvalidArgument, "MESSAGE_MALFORMED", not.to_string())
    }
}

#[cfg(test)]
mod tests {
    //! What the service gets of what the client sends.

    use http_body_util::{BodyExt as _, StreamBody};
    use mcp_proto::POOL;
    use proptest::prelude::*;

    use super::*;
    use crate::framing::{
        answer::tests::{chunks, cut},
        envelope::wrap,
    };

    fn gather(body: &[u8], cuts: &[prop::sample::Index], shape: Shape) -> Result<Vec<u8>, Refusal> {
        let meter = Arc::<Meter>::default();
        let inner = StreamBody::new(chunks(cut(body, cuts)));
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let gathered = runtime.block_on(RequestBody::new(inner, shape, Arc::clone(&meter)).collect());
        assert!(meter.bytes() <= body.len() as u64);
        match gathered {
            Ok(gathered) => {
                assert_eq!(meter.bytes(), body.len() as u64);
                Ok(gathered.to_bytes().to_vec())
            }
            Err(_) => Err(meter.broken().expect("a refusal").clone()),
        }
    }

    fn json_shape() -> Shape {
        let input = POOL.get_message_by_name("mcp.auth.v1.SignInLocallyRequest").expect("ours");
        Shape::Json { reader: Reader::new(1000), input, bytes_max: 100 }
    }

    proptest! {
        #[test]
        fn text_and_binary_give_the_service_the_same(
            messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..5),
            pieces in prop::collection::vec(any::<prop::sample::Index>(), 0..5),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..9),
        ) {
            let binary: Vec<u8> = messages.iter().flat_map(|message| wrap(0, message)).collect();
            let text: Vec<u8> =
                cut(&binary, &pieces).into_iter().flat_map(crate::framing::base64::encode).collect();

            let got = gather(&binary, &cuts, Shape::Enveloped(Check::new(40))).expect("passes");
            prop_assert_eq!(&got, &binary);
            let got = gather(&text, &cuts, Shape::Text(Decoder::default(), Check::new(40))).expect("passes");
            prop_assert_eq!(&got, &binary);
        }

        #[test]
        fn json_becomes_protobuf_wherever_it_is_cut(users in prop::collection::vec("[a-z]{1,20}", 0..4), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..9)) {
            use prost::Message as _;
            let body: Vec<u8> = users.iter().flat_map(|user| wrap(0, format!(r#"{{"user":"{user}"}}"#).as_bytes())).collect();
            let expected: Vec<u8> = users.iter().flat_map(|user| {
                let message = mcp_proto::auth::v1::SignInLocallyRequest { user: user.clone(), ..Default::default() };
                wrap(0, &message.encode_to_vec())
            }).collect();

            prop_assert_eq!(gather(&body, &cuts, json_shape()).expect("passes"), expected);
        }
    }

    #[test]
    fn what_breaks_a_rule_breaks_off_and_says_why() {
        let enveloped = || Shape::Enveloped(Check::new(10));
        let text = || Shape::Text(Decoder::default(), Check::new(10));
        for (body, shape, reason) in [
            (wrap(0, &[0; 11]).to_vec(), enveloped(), "REQUEST_TOO_LARGE"),
            (wrap(0, &[0; 10])[..12].to_vec(), enveloped(), "MESSAGE_MALFORMED"),
            (wrap(0x80, b"grpc-status:0").to_vec(), enveloped(), "MESSAGE_MALFORMED"),
            (b"AAAA????".to_vec(), text(), "MESSAGE_MALFORMED"),
            (b"AAAAA".to_vec(), text(), "MESSAGE_MALFORMED"),
            (wrap(0, b"{").to_vec(), json_shape(), "MESSAGE_MALFORMED"),
            (wrap(COMPRESSED, b"{}").to_vec(), json_shape(), "COMPRESSION"),
            (wrap(0, b"{}")[..6].to_vec(), json_shape(), "MESSAGE_MALFORMED"),
        ] {
            assert_eq!(gather(&body, &[], shape).expect_err(reason).reason(), reason);
        }
    }
}
