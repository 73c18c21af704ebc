//! A request body that is read to its end though nobody wants it any more.
//!
//! A call may be answered before its message has arrived: a refusal needs the headers alone. An HTTP/2 server that drops
//! the rest of the body resets the stream, an HTTP/1.1 server closes the connection, and clients that are still sending
//! then often report that in place of the answer. So what is left is read and thrown away, within bounds.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

/// How much is thrown away at most; whoever sends more is cut off.
const BYTES_MAX: usize = 16 * 1024 * 1024;

/// How long the rest may take.
const WAIT_MAX: Duration = Duration::from_secs(2);

/// A request body that is read to its end when it is dropped.
#[derive(Debug)]
pub struct Drained(Option<Incoming>);

// === impl Drained ===

impl Drained {
    /// Sees to it that `inner` is read to its end, within bounds.
    pub const fn new(inner: Incoming) -> Self {
        Self(Some(inner))
    }
}

impl Body for Drained {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut self.0 {
            Some(inner) => Pin::new(inner).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map_or_else(|| SizeHint::with_exact(0), Incoming::size_hint)
    }
}

impl Drop for Drained {
    fn drop(&mut self) {
        let Some(mut rest) = self.0.take().filter(|rest| !rest.is_end_stream()) else { return };
        // Where the runtime is going away, so is the connection.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(tokio::time::timeout(WAIT_MAX, async move {
            let mut left = BYTES_MAX;
            while let Some(Ok(frame)) = rest.frame().await {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                match left.checked_sub(bytes) {
                    Some(less) => left = less,
                    None => return,
                }
            }
        }));
    }
}
