//! On to the service, and back: bytes untouched but for JSON, metadata of the call alone.

use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use futures_util::future::poll_fn;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Version, header};
use http_body::Body as _;
use http_body_util::{BodyExt as _, Full};
use mcp_runtime::Stop;
use mcp_tenancy::RateClass;
use tokio::time::{Instant, timeout_at};
use tonic::{Code, Status, body::Body};
use tower::ServiceExt as _;

use crate::{
    framing::{
        answer::{ANSWER_BYTES_MAX, EdgeBody, Stopped, Stream},
        envelope::{Broken, Check, Reader, wrap},
        json,
        request::{Meter, RequestBody, Shape},
        trailers,
    },
    headers,
    protocol::{Codec, Protocol},
    refusal::{self, Refusal},
    routes::Route,
};

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
const TRAILERS: HeaderValue = HeaderValue::from_static("trailers");

/// A call that was let in.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(crate) route: Arc<Route>,
    pub(crate) protocol: Protocol,
    pub(crate) deadline: Instant,
    pub(crate) meter: Arc<Meter>,
    /// The word to stop.
    pub(crate) stop: Stop,
    /// What the edge adds to the call's metadata.
    pub(crate) added: Vec<(HeaderName, HeaderValue)>,
}

/// A client's body, as it comes in.
pub(crate) trait ClientBody: http_body::Body<Data = Bytes> + Send + Unpin + 'static {}

impl<B: http_body::Body<Data = Bytes> + Send + Unpin + 'static> ClientBody for B {}

/// A service's answer, as the client gets it.
pub(crate) struct Answered {
    pub(crate) response: Response<EdgeBody>,
    /// How the call ended, where that is known before the body has flowed.
    pub(crate) code: Option<Code>,
    /// How long the service took until its answer began.
    pub(crate) upstream: Duration,
}

// === impl Admitted ===

impl Admitted {
    /// The body for the service, made from the client's.
    pub(crate) async fn body<B: ClientBody>(&self, body: B) -> Result<Body, Refusal> {
        let bytes_max = self.route.policy.request_bytes_max;
        let shape = match self.protocol {
            Protocol::Grpc | Protocol::ConnectStream(Codec::Proto) | Protocol::Web { text_in: false, .. } => {
                Shape::Enveloped(Check::new(bytes_max))
            }
            Protocol::Web { text_in: true, .. } => Shape::Text(Default::default(), Check::new(bytes_max)),
            Protocol::ConnectStream(Codec::Json) => {
                let json_max = u32::try_from(json::bytes_max(bytes_max)).unwrap_or(u32::MAX);
                Shape::Json { reader: Reader::new(json_max), input: self.route.input.clone(), bytes_max }
            }
            Protocol::Connect(codec) => {
                let gathered = timeout_at(self.deadline, gather(body, codec, bytes_max, &self.meter));
                let bytes = gathered.await.map_err(|_| Refusal::too_late())??;
                let framed = match codec {
                    Codec::Proto => wrap(0, &bytes),
                    Codec::Json => json::read(&bytes, &self.route.input, bytes_max)?,
                };
                return Ok(Body::new(Full::new(framed)));
            }
        };
        Ok(Body::new(RequestBody::new(body, shape, Arc::clone(&self.meter))))
    }

    /// Sends the call to `service` and turns its answer into what the client reads.
    pub(crate) async fn send<S>(&self, service: S, client: HeaderMap, body: Body) -> Result<Answered, Refusal>
    where
        S: tower::Service<Request<Body>, Response = Response<Body>>,
        S::Error: std::error::Error + 'static,
    {
        let request = self.request(client, body);
        let began = Instant::now();
        let answered = tokio::select! {
            biased;
            refusal = poll_fn(|context| self.meter.poll_broken(context)) => return Err(refusal),
            answered = timeout_at(self.deadline, service.oneshot(request)) => answered,
        };
        let upstream = began.elapsed();
        // A body that broke a rule ends the call from our side, which looks like the service's failure; and a service
        // that is asked in this very process may have answered that it ended before the waiting above came to hear.
        if let Some(refusal) = self.meter.broken() {
            return Err(refusal.clone());
        }
        let response = match answered {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(unanswered(&error)),
            Err(_) => return Err(Refusal::too_late()),
        };
        self.answer(response, upstream).await
    }

    fn request(&self, client: HeaderMap, body: Body) -> Request<Body> {
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        *request.version_mut() = Version::HTTP_2;
        request.uri_mut().clone_from(&self.route.uri);
        let connect = matches!(self.protocol, Protocol::Connect(_) | Protocol::ConnectStream(_));
        let connection = client.get(header::CONNECTION).cloned();
        let headers = request.headers_mut();
        headers.reserve(client.len() + self.added.len() + 3);
        let mut last = None;
        for (name, value) in client {
            // A header's further values come without its name.
            last = name.or(last);
            let Some(name) = &last else { continue };
            // Connect says otherwise how bodies are compressed, and the edge does not take it.
            let compression = connect && name.as_str().starts_with("grpc-");
            if !compression && headers::goes_in(name, connection.as_ref()) {
                headers.append(name.clone(), value);
            }
        }
        headers.insert(header::CONTENT_TYPE, GRPC);
        headers.insert(header::TE, TRAILERS);
        headers
            .insert(headers::GRPC_TIMEOUT, timeout(self.deadline.saturating_duration_since(Instant::now())));
        for (name, value) in &self.added {
            headers.insert(name, value.clone());
        }
        request
    }

    async fn answer(&self, response: Response<Body>, upstream: Duration) -> Result<Answered, Refusal> {
        let (mut head, body) = response.into_parts();
        let content_type = head.headers.get(header::CONTENT_TYPE);
        let is_grpc = content_type.is_some_and(|it| it.as_bytes().starts_with(GRPC.as_bytes()));
        if head.status != http::StatusCode::OK || !is_grpc {
            return Err(Refusal::unreachable(format!("the service answered {} and no gRPC", head.status)));
        }
        let ends_at_once = head.headers.contains_key(Status::GRPC_STATUS) || body.is_end_stream();
        let (response, code) = match self.protocol {
            Protocol::Grpc | Protocol::Web { .. } if ends_at_once => {
                if !head.headers.contains_key(Status::GRPC_STATUS) {
                    return Err(Refusal::unreachable("the answer ended without a status".to_owned()));
                }
                let code = trailers::code(&head.headers);
                (self.respond(&mut head.headers, EdgeBody::empty()), Some(code))
            }
            Protocol::Connect(_) | Protocol::ConnectStream(_) if ends_at_once => {
                let status = trailers::status(&head.headers);
                let mut response = refusal::end(self.protocol, &status, None);
                pass_metadata(&head.headers, response.headers_mut(), "");
                (response, Some(status.code()))
            }
            Protocol::Connect(codec) => {
                let gathered = timeout_at(self.deadline, gather_answer(body));
                let (message, end) = gathered.await.map_err(|_| Refusal::too_late())??;
                let status = trailers::status(&end);
                let mut response = if status.code() == Code::Ok {
                    let body = match codec {
                        Codec::Proto => message,
                        Codec::Json => json::write(&message, &self.route.output)?.into(),
                    };
                    let mut response = Response::new(EdgeBody::full(body));
                    response.headers_mut().insert(header::CONTENT_TYPE, self.protocol.content_type());
                    response
                } else {
                    refusal::end(self.protocol, &status, None)
                };
                pass_metadata(&head.headers, response.headers_mut(), "");
                pass_metadata(&end, response.headers_mut(), "trailer-");
                (response, Some(status.code()))
            }
            Protocol::Grpc | Protocol::Web { .. } | Protocol::ConnectStream(_) => {
                let meter = Arc::clone(&self.meter);
                let stream = Stream::new(body, self.protocol, &self.route.output, meter, self.deadline);
                // Streams of upkeep never end by themselves, and would hold up the drain.
                let endless = self.route.policy.rate == RateClass::Upkeep;
                let stream = stream.until(endless.then(|| Box::pin(self.stop.requested()) as Stopped));
                (self.respond(&mut head.headers, EdgeBody::stream(stream)), None)
            }
        };
        Ok(Answered { response, code, upstream })
    }

    fn respond(&self, from: &mut HeaderMap, body: EdgeBody) -> Response<EdgeBody> {
        let mut response = Response::new(body);
        let headers = response.headers_mut();
        headers.reserve(from.len() + 16);
        headers.insert(header::CONTENT_TYPE, self.protocol.content_type());
        let mut last = None;
        for (name, value) in from.drain() {
            last = name.or(last);
            if let Some(name) = last.as_ref().filter(|name| headers::goes_out(name)) {
                headers.append(name.clone(), value);
            }
        }
        response
    }
}

fn pass_metadata(from: &HeaderMap, to: &mut HeaderMap, prefix: &str) {
    for (name, value) in from {
        if trailers::is_grpc(name) || name.as_str().starts_with("grpc-") || !headers::goes_out(name) {
            continue;
        }
        let name = if prefix.is_empty() {
            Ok(name.clone())
        } else {
            HeaderName::try_from(format!("{prefix}{name}"))
        };
        if let Ok(name) = name {
            to.append(name, value.clone());
        }
    }
}

/// Reads a whole body that is one message.
async fn gather<B: ClientBody>(
    mut body: B,
    codec: Codec,
    bytes_max: u32,
    meter: &Meter,
) -> Result<Bytes, Refusal> {
    let body_max = match codec {
        Codec::Proto => bytes_max as usize,
        Codec::Json => json::bytes_max(bytes_max),
    };
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let gone = |_: B::Error| Refusal::new(Code::Cancelled, "CLIENT_GONE", "the client went away");
        let Ok(chunk) = frame.map_err(gone)?.into_data() else { continue };
        meter.count(chunk.len());
        let bytes = first.len().max(rest.len()) + chunk.len();
        if bytes > body_max {
            let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
            return Err(Broken::TooLarge { bytes, bytes_max }.into());
        }
        // Most bodies come in one piece, which then is never copied.
        if first.is_empty() && rest.is_empty() {
            first = chunk;
        } else {
            if rest.is_empty() {
                rest.extend_from_slice(&std::mem::take(&mut first));
            }
            rest.extend_from_slice(&chunk);
        }
    }
    Ok(if rest.is_empty() { first } else { rest.freeze() })
}

/// Reads a service's whole answer: its one message, and how it ended.
async fn gather_answer(mut body: Body) -> Result<(Bytes, HeaderMap), Refusal> {
    let fault = |_| Refusal::internal("the service's answer is no sequence of messages");
    let mut reader = Reader::new(ANSWER_BYTES_MAX);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|status| Refusal::unreachable(mcp_rpc::chain(&status)))?;
        match frame.into_data() {
            Ok(data) => reader.push(&data),
            Err(frame) => {
                let Ok(trailers) = frame.into_trailers() else { continue };
                let message = reader.next().map_err(fault)?.map_or_else(Bytes::new, |(_, message)| message);
                return Ok((message, trailers));
            }
        }
    }
    Err(Refusal::unreachable("the answer ended without a status".to_owned()))
}

/// The time left, as `grpc-timeout` has it.
/// Why `error` took the place of an answer. The channel keeps time too, by the `grpc-timeout` that it sends, and its clock
/// may strike before ours.
fn unanswered(error: &(dyn std::error::Error + 'static)) -> Refusal {
    let mut causes = std::iter::successors(Some(error), |error| error.source());
    if causes.any(|cause| cause.is::<tonic::TimeoutExpired>()) {
        Refusal::too_late()
    } else {
        Refusal::unreachable(mcp_rpc::chain(error))
    }
}

fn timeout(left: Duration) -> HeaderValue {
    // At most eight digits, of which milliseconds have room for a day.
    let millis = left.as_millis().clamp(1, 99_999_999);
    HeaderValue::from_maybe_shared(Bytes::from(format!("{millis}m")))
        .unwrap_or(HeaderValue::from_static("1m"))
}

/// How long a client lets a call take, where it says so.
///
/// # Errors
///
/// Where what it says is no time: gRPC's `grpc-timeout` (PROTOCOL-HTTP2.md, "Requests"), Connect's `connect-timeout-ms`.
pub(crate) fn asked_timeout(headers: &HeaderMap, protocol: Protocol) -> Result<Option<Duration>, Refusal> {
    let connect = matches!(protocol, Protocol::Connect(_) | Protocol::ConnectStream(_));
    let name = if connect { headers::CONNECT_TIMEOUT } else { headers::GRPC_TIMEOUT };
    let Some(value) = headers.get(&name) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default();
    let asked = if connect { number(text, 10).map(Duration::from_millis) } else { grpc_timeout(text) };
    asked.map(Some).ok_or_else(|| {
        let words = if connect {
            "connect-timeout-ms must be up to 10 digits"
        } else {
            "grpc-timeout must be up to 8 digits and a unit of H, M, S, m, u, n"
        };
        Refusal::new(Code::InvalidArgument, "TIMEOUT_MALFORMED", words)
    })
}

fn grpc_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let amount = number(digits, 8)?;
    Some(match unit {
        "H" => Duration::from_secs(amount * 3600),
        "M" => Duration::from_secs(amount * 60),
        "S" => Duration::from_secs(amount),
        "m" => Duration::from_millis(amount),
        "u" => Duration::from_micros(amount),
        "n" => Duration::from_nanos(amount),
        _ => return None,
    })
}

/// Digits alone: `parse` would take a sign.
fn number(text: &str, digits_max: usize) -> Option<u64> {
    let plain = (1..=digits_max).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    //! What clients may ask for.

    use super::*;

    fn asked(name: &'static str, value: &'static str, protocol: Protocol) -> Option<Option<Duration>> {
        let headers =
            HeaderMap::from_iter([(HeaderName::from_static(name), HeaderValue::from_static(value))]);
        asked_timeout(&headers, protocol).ok()
    }

    #[test]
    fn each_protocol_asks_for_time_in_its_own_way() {
        let connect = Protocol::Connect(Codec::Json);
        assert_eq!(asked("grpc-timeout", "250m", Protocol::Grpc), Some(Some(Duration::from_millis(250))));
        assert_eq!(asked("connect-timeout-ms", "250", connect), Some(Some(Duration::from_millis(250))));
        assert_eq!(asked("connect-timeout-ms", "250", Protocol::Grpc), Some(None));
        for bad in ["", "m", "1", "-1S", "123456789S", "1s", "+1S"] {
            assert_eq!(asked("grpc-timeout", bad, Protocol::Grpc), None, "{bad}");
        }
        for bad in ["", "-1", "1m", "12345678901"] {
            assert_eq!(asked("connect-timeout-ms", bad, connect), None, "{bad}");
        }
    }

    #[test]
    fn a_channel_that_keeps_the_deadline_first_is_no_service_that_is_gone() {
        #[derive(Debug, thiserror::Error)]
        #[error("transport")]
        struct Transport(#[source] tonic::TimeoutExpired);

        assert_eq!(unanswered(&Transport(tonic::TimeoutExpired(()))).code(), Code::DeadlineExceeded);
        let gone = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        assert_eq!(unanswered(&gone).code(), Code::Unavailable);
    }

    #[test]
    fn time_left_has_at_most_eight_digits() {
        assert_eq!(timeout(Duration::from_millis(1500)), "1500m");
        assert_eq!(timeout(Duration::ZERO), "1m");
        assert_eq!(timeout(Duration::from_secs(10_000_000)), "99999999m");
    }
}
