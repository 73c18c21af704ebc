//! Ends a call at the caller's deadline or the policy's, whichever comes first, its stream of answers too.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures_util::future::Either;
use http::{HeaderMap, Request};
use http_body::{Body as _, Frame, SizeHint};
use mcp_runtime::Stop;
use mcp_tenancy::{RateClass, Streaming};
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};
use tonic::{Status, body::Body};
use tower::{Layer, Service};

use super::{Answer, GoOnOr, answer};
use crate::{call::Call, status::refusal};

/// Puts [`Deadline`] before a service.
#[derive(Clone, Debug)]
pub(crate) struct DeadlineLayer {
    pub(crate) stop: Stop,
}

/// Bounds how long a call may run.
#[derive(Clone, Debug)]
pub(crate) struct Deadline<S> {
    stop: Stop,
    inner: S,
}

pin_project! {
    /// A call that ends in time.
    pub(crate) struct InTime<F> {
        #[pin]
        inner: F,
        #[pin]
        sleep: Sleep,
        streams: bool,
        upkeep: Option<Stop>,
    }
}

/// A stream of answers that ends in time.
struct InTimeBody {
    inner: Body,
    end: Pin<Box<dyn Future<Output = Status> + Send>>,
    ended: bool,
}

// === impl DeadlineLayer ===

impl<S> Layer<S> for DeadlineLayer {
    type Service = Deadline<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Deadline { stop: self.stop.clone(), inner }
    }
}

// === impl Deadline ===

impl<S, B> Service<Request<B>> for Deadline<S>
where
    S: Service<Request<B>, Response = http::Response<Body>, Error = std::convert::Infallible>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = GoOnOr<InTime<S::Future>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let call = Call::in_extensions(request.extensions());
        let Some((call, policy)) = call.and_then(|call| Some((call, call.policy()?))) else {
            return answer(refusal(tonic::Code::Internal, "INTERNAL", "internal error"));
        };
        let longest = Duration::from_millis(u64::from(policy.deadline_ms_max));
        let asked = match timeout_of(request.headers()) {
            Ok(asked) => asked.unwrap_or(longest),
            Err(()) => {
                let words = "grpc-timeout must be up to 8 digits and a unit of H, M, S, m, u, n";
                return answer(refusal(tonic::Code::InvalidArgument, "TIMEOUT_MALFORMED", words));
            }
        };
        let deadline = Instant::now() + asked.min(longest);
        call.until(deadline);
        let streams = matches!(policy.streaming, Streaming::Server | Streaming::Both);
        // Streams of the mesh's own upkeep never end by themselves: the word to stop ends them.
        let upkeep = (streams && policy.rate == RateClass::Upkeep).then(|| self.stop.clone());
        Either::Left(InTime {
            inner: self.inner.call(request),
            sleep: sleep_until(deadline),
            streams,
            upkeep,
        })
    }
}

// === impl InTime ===

impl<F: Future<Output = Answer>> Future for InTime<F> {
    type Output = Answer;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer> {
        let this = self.project();
        if let Poll::Ready(answered) = this.inner.poll(cx) {
            return Poll::Ready(answered.map(|response| {
                if !*this.streams || response.body().is_end_stream() {
                    return response;
                }
                let (deadline, stop) = (this.sleep.deadline(), this.upkeep.take());
                response.map(|inner| {
                    let end = Box::pin(end(deadline, stop));
                    Body::new(InTimeBody { inner, end, ended: false })
                })
            }));
        }
        ready!(this.sleep.poll(cx));
        Poll::Ready(Ok(too_late().into_http()))
    }
}

async fn end(deadline: Instant, stop: Option<Stop>) -> Status {
    let stopped = async {
        match stop {
            Some(stop) => stop.requested().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = sleep_until(deadline) => too_late(),
        () = stopped => refusal(tonic::Code::Unavailable, "STOPPING", "the service is stopping; connect again"),
    }
}

fn too_late() -> Status {
    refusal(tonic::Code::DeadlineExceeded, "DEADLINE", "the call took longer than its deadline")
}

// === impl InTimeBody ===

impl http_body::Body for InTimeBody {
    type Data = bytes::Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        if let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(cx) {
            return Poll::Ready(frame);
        }
        let status = ready!(self.end.as_mut().poll(cx));
        self.ended = true;
        let mut trailers = HeaderMap::new();
        if status.add_header(&mut trailers).is_err() {
            return Poll::Ready(Some(Err(status)));
        }
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

/// Reads `grpc-timeout` (gRPC over HTTP/2, "Requests").
fn timeout_of(headers: &HeaderMap) -> Result<Option<Duration>, ()> {
    let Some(value) = headers.get("grpc-timeout") else { return Ok(None) };
    let text = value.to_str().map_err(|_| ())?;
    let (digits, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or(())?;
    if !(1..=8).contains(&digits.len()) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(());
    }
    let amount: u64 = digits.parse().map_err(|_| ())?;
    Ok(Some(match unit {
        "H" => Duration::from_secs(amount * 3600),
        "M" => Duration::from_secs(amount * 60),
        "S" => Duration::from_secs(amount),
        "m" => Duration::from_millis(amount),
        "u" => Duration::from_micros(amount),
        "n" => Duration::from_nanos(amount),
        _ => return Err(()),
    }))
}

#[cfg(test)]
mod tests {
    //! What a caller may ask for.

    use super::*;

    fn asked(text: &str) -> Result<Option<Duration>, ()> {
        let mut headers = HeaderMap::new();
        headers.insert("grpc-timeout", text.parse().unwrap());
        timeout_of(&headers)
    }

    #[test]
    fn timeouts_are_digits_and_a_unit() {
        assert_eq!(asked("250m"), Ok(Some(Duration::from_millis(250))));
        assert_eq!(asked("99999999H"), Ok(Some(Duration::from_secs(99_999_999 * 3600))));
        for bad in ["", "m", "1", "-1S", "123456789S", "1s", "1.5S", "+1S"] {
            assert_eq!(asked(bad), Err(()), "{bad}");
        }
    }
}
