//! Refuses a message beyond its method's size before it is read, by the length that its frame states.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::Request;
use http_body::{Body, Frame, SizeHint};
use tonic::{Code, Status};
use tower::{Layer, Service};

use crate::{call::Call, status::refusal};

/// Puts [`Size`] before a service.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SizeLayer;

/// Wraps the request's body in its bound.
#[derive(Clone, Debug)]
pub(crate) struct Size<S> {
    inner: S,
}

/// A body whose gRPC frames each stay within a bound.
#[derive(Debug)]
pub struct LimitedBody<B> {
    inner: B,
    message_bytes_max: u32,
    head: [u8; 5],
    head_len: usize,
    left: u64,
    refused: bool,
}

// === impl SizeLayer ===

impl<S> Layer<S> for SizeLayer {
    type Service = Size<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Size { inner }
    }
}

// === impl Size ===

impl<S, B> Service<Request<B>> for Size<S>
where
    S: Service<Request<LimitedBody<B>>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // Without a policy nothing came this far; nothing may be sent then.
        let policy = Call::in_extensions(request.extensions()).and_then(|call| call.policy());
        let message_bytes_max = policy.map_or(0, |policy| policy.request_bytes_max);
        self.inner.call(request.map(|inner| LimitedBody::new(inner, message_bytes_max)))
    }
}

// === impl LimitedBody ===

impl<B> LimitedBody<B> {
    /// Bounds each message in `inner`.
    pub const fn new(inner: B, message_bytes_max: u32) -> Self {
        Self { inner, message_bytes_max, head: [0; 5], head_len: 0, left: 0, refused: false }
    }

    /// Follows the frames (gRPC over HTTP/2, "Length-Prefixed-Message") through `data`.
    fn follow(&mut self, mut data: &[u8]) -> Result<(), Status> {
        while !data.is_empty() {
            if self.left > 0 {
                let here = usize::try_from(self.left).unwrap_or(usize::MAX).min(data.len());
                self.left -= here as u64;
                data = &data[here..];
                continue;
            }
            let here = (self.head.len() - self.head_len).min(data.len());
            self.head[self.head_len..self.head_len + here].copy_from_slice(&data[..here]);
            self.head_len += here;
            data = &data[here..];
            if self.head_len == self.head.len() {
                let [_, a, b, c, d] = self.head;
                let length = u32::from_be_bytes([a, b, c, d]);
                if length > self.message_bytes_max {
                    return Err(too_large(self.message_bytes_max));
                }
                (self.head_len, self.left) = (0, u64::from(length));
            }
        }
        Ok(())
    }
}

/// What a caller hears whose message is too large.
pub fn too_large(bytes_max: u32) -> Status {
    refusal(
        Code::ResourceExhausted,
        "REQUEST_TOO_LARGE",
        format!("the message is larger than this method's limit of {bytes_max} bytes"),
    )
}

impl<B> Body for LimitedBody<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<tonic::codegen::StdError>,
{
    type Data = Bytes;
    type Error = tonic::codegen::StdError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.refused {
            return Poll::Ready(None);
        }
        let Some(frame) = ready!(Pin::new(&mut self.inner).poll_frame(cx)) else { return Poll::Ready(None) };
        let frame = frame.map_err(Into::into)?;
        if let Some(data) = frame.data_ref()
            && let Err(status) = self.follow(data)
        {
            self.refused = true;
            return Poll::Ready(Some(Err(status.into())));
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.refused || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    //! Frames cut anywhere.

    use super::*;

    fn frame(length: u32) -> Vec<u8> {
        let mut frame = vec![0];
        frame.extend(length.to_be_bytes());
        frame.resize(5 + usize::try_from(length).unwrap(), 7);
        frame
    }

    #[test]
    fn the_limit_passes_and_one_more_does_not_however_the_bytes_are_cut() {
        for cut in 1..7 {
            let mut body = LimitedBody::new((), 16);
            let two = [frame(16), frame(0), frame(16)].concat();
            assert!(two.chunks(cut).all(|chunk| body.follow(chunk).is_ok()), "cut {cut}");

            let mut body = LimitedBody::new((), 16);
            let late = [frame(16), frame(17)].concat();
            assert!(late.chunks(cut).any(|chunk| body.follow(chunk).is_err()), "cut {cut}");
        }
    }
}
