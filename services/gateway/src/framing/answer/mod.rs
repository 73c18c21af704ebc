//! The body that goes to the client: the service's, with the end of the call told as the client's protocol tells it.

use std::{
    convert::Infallible,
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use prost_reflect::MessageDescriptor;
use tokio::time::{Instant, Sleep, sleep_until};
use tonic::{Code, Status};

use crate::{
    framing::{
        base64,
        envelope::{COMPRESSED, Reader, wrap},
        json,
        request::Meter,
        trailers,
    },
    headers,
    observe::Record,
    protocol::{Codec, Protocol},
    refusal::Refusal,
};

#[cfg(test)]
pub(crate) mod tests;

/// The body of every answer of the edge. It never fails: a failure is an end, told to the client.
#[derive(Debug, Default)]
pub(crate) struct EdgeBody {
    kind: Kind,
    /// Written when the body is dropped, which is when the answer has ended.
    record: Option<Box<Record>>,
}

#[derive(Debug, Default)]
enum Kind {
    #[default]
    Empty,
    Full(Bytes),
    Stream(Box<Stream>),
}

/// A service's answer, as it flows.
pub(crate) struct Stream {
    inner: tonic::body::Body,
    shape: Shape,
    meter: Arc<Meter>,
    deadline: Instant,
    /// Made when the service first lets us wait.
    sleep: Option<Pin<Box<Sleep>>>,
    /// The word to stop, where the call would not end by itself.
    stop: Option<Stopped>,
    ended: Option<Code>,
}

/// How the client reads messages.
enum Shape {
    /// In envelopes, with trailers of HTTP at the end.
    Grpc,
    /// In envelopes, with trailers in one more, perhaps as text.
    Web { text: bool },
    /// In envelopes, with the end in one more.
    Connect,
    /// The same as JSON.
    ConnectJson { reader: Reader, output: MessageDescriptor },
}

/// Waits for the word to stop.
pub(crate) type Stopped = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The largest message of a service that is turned into JSON.
pub(crate) const ANSWER_BYTES_MAX: u32 = 16 * 1024 * 1024;

// === impl EdgeBody ===

impl EdgeBody {
    /// No body.
    pub(crate) fn empty() -> Self {
        Self::default()
    }

    /// A body that is all there.
    pub(crate) fn full(bytes: Bytes) -> Self {
        Self { kind: if bytes.is_empty() { Kind::Empty } else { Kind::Full(bytes) }, record: None }
    }

    /// A service's answer, until `deadline`.
    pub(crate) fn stream(stream: Stream) -> Self {
        Self { kind: Kind::Stream(Box::new(stream)), record: None }
    }

    /// The same body, which tells `record` how it ended.
    pub(crate) fn recorded(self, record: Box<Record>) -> Self {
        Self { record: Some(record), ..self }
    }
}

impl Body for EdgeBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = &mut *self;
        let frame = match &mut this.kind {
            Kind::Empty => None,
            Kind::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                this.kind = Kind::Empty;
                Some(Frame::data(bytes))
            }
            Kind::Stream(stream) => {
                let frame = ready!(stream.poll_frame(context));
                if let (Some(record), Some(code)) = (&mut this.record, stream.ended) {
                    record.ended(code);
                }
                frame
            }
        };
        if let (Some(record), Some(data)) = (&mut this.record, frame.as_ref().and_then(Frame::data_ref)) {
            record.sent(data.len());
        }
        Poll::Ready(frame.map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Empty => true,
            Kind::Full(_) => false,
            // Once the end was told nothing follows; until then it may still have to be told.
            Kind::Stream(stream) => stream.ended.is_some(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Empty => SizeHint::with_exact(0),
            Kind::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Stream(_) => SizeHint::default(),
        }
    }
}

// === impl Stream ===

impl Stream {
    /// The answer in `inner` for a client that speaks `protocol` and reads `output`.
    pub(crate) fn new(
        inner: tonic::body::Body,
        protocol: Protocol,
        output: &MessageDescriptor,
        meter: Arc<Meter>,
        deadline: Instant,
    ) -> Self {
        let shape = match protocol {
            Protocol::Grpc => Shape::Grpc,
            Protocol::Web { text_out, .. } => Shape::Web { text: text_out },
            Protocol::Connect(Codec::Proto) | Protocol::ConnectStream(Codec::Proto) => Shape::Connect,
            Protocol::Connect(Codec::Json) | Protocol::ConnectStream(Codec::Json) => {
                Shape::ConnectJson { reader: Reader::new(ANSWER_BYTES_MAX), output: output.clone() }
            }
        };
        Self { inner, shape, meter, deadline, sleep: None, stop: None, ended: None }
    }

    /// The same answer, which ends when `stopped` does.
    pub(crate) fn until(self, stopped: Option<Stopped>) -> Self {
        Self { stop: stopped, ..self }
    }

    fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Option<Frame<Bytes>>> {
        loop {
            if self.ended.is_some() {
                return Poll::Ready(None);
            }
            let Poll::Ready(next) = Pin::new(&mut self.inner).poll_frame(context) else {
                let refusal = ready!(self.poll_cut(context));
                return Poll::Ready(Some(self.refuse(&refusal)));
            };
            let frame = match next {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => match self.shape.data(data) {
                        Ok(data) if data.is_empty() => continue,
                        Ok(data) => Frame::data(data),
                        Err(refusal) => self.refuse(&refusal),
                    },
                    Err(frame) => match frame.into_trailers() {
                        Ok(trailers) => self.end(trailers),
                        Err(_) => continue,
                    },
                },
                Some(Err(status)) => {
                    let refusal = self.meter.broken().cloned();
                    self.refuse(&refusal.unwrap_or_else(|| Refusal::unreachable(mcp_rpc::chain(&status))))
                }
                None => {
                    let refusal = self.meter.broken().cloned();
                    let words = || Refusal::unreachable("the answer ended without a status".to_owned());
                    self.refuse(&refusal.unwrap_or_else(words))
                }
            };
            return Poll::Ready(Some(frame));
        }
    }

    /// Waits for what may end the call before the service does.
    fn poll_cut(&mut self, context: &mut Context<'_>) -> Poll<Refusal> {
        if let Poll::Ready(refusal) = self.meter.poll_broken(context) {
            return Poll::Ready(refusal);
        }
        if let Some(stop) = &mut self.stop
            && stop.as_mut().poll(context).is_ready()
        {
            return Poll::Ready(Refusal::new(
                Code::Unavailable,
                "STOPPING",
                "the edge is stopping; connect again",
            ));
        }
        let deadline = self.deadline;
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        ready!(sleep.as_mut().poll(context));
        Poll::Ready(Refusal::too_late())
    }

    fn refuse(&mut self, refusal: &Refusal) -> Frame<Bytes> {
        tracing::info!(reason = refusal.reason(), rule = refusal.rule(), "a call ended early");
        let mut trailers = HeaderMap::new();
        // The one failure is a message that is no header value, which the encoding rules out.
        let _ = refusal.status().add_header(&mut trailers);
        self.end(trailers)
    }

    fn end(&mut self, mut trailers: HeaderMap) -> Frame<Bytes> {
        let code = trailers::code(&trailers);
        self.ended = Some(code);
        if code != Code::Ok && !trailers.contains_key(Status::GRPC_STATUS) {
            let _ = Status::unknown("the answer ended without a status").add_header(&mut trailers);
        }
        keep_inside(&mut trailers);
        match self.shape {
            Shape::Grpc => Frame::trailers(trailers),
            Shape::Web { text: false } => Frame::data(trailers::web(&trailers)),
            Shape::Web { text: true } => Frame::data(base64::encode(&trailers::web(&trailers))),
            Shape::Connect | Shape::ConnectJson { .. } => Frame::data(trailers::connect(&trailers)),
        }
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("ended", &self.ended).finish_non_exhaustive()
    }
}

// === impl Shape ===

impl Shape {
    fn data(&mut self, data: Bytes) -> Result<Bytes, Refusal> {
        match self {
            Self::Grpc | Self::Web { text: false } | Self::Connect => Ok(data),
            Self::Web { text: true } => Ok(base64::encode(&data)),
            Self::ConnectJson { reader, output } => {
                reader.push(&data);
                let mut messages = BytesMut::new();
                while let Some((flags, message)) = reader.next().map_err(fault)? {
                    if flags & COMPRESSED != 0 {
                        return Err(Refusal::internal("the service compressed what it was not asked to"));
                    }
                    messages.extend_from_slice(&wrap(0, &json::write(&message, output)?));
                }
                Ok(messages.freeze())
            }
        }
    }
}

fn fault(_: crate::framing::envelope::Broken) -> Refusal {
    Refusal::internal("the service's answer is no sequence of messages")
}

/// Drops from trailers what is of the mesh.
fn keep_inside(trailers: &mut HeaderMap) {
    let inner: Vec<_> = trailers.keys().filter(|name| !headers::goes_out(name)).cloned().collect();
    for name in inner {
        trailers.remove(name);
    }
}
