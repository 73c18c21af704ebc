//! Why a request gets no further, and how each protocol says so.

use std::{borrow::Cow, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use mcp_limit::{Exceeded, Rate};
use mcp_tenancy::Denied;
use tonic::{Code, Status};

use crate::{
    framing::{answer::EdgeBody, connect, envelope::Broken, trailers},
    protocol::{Codec, Protocol, Spoken},
};

/// A refusal: what the caller hears, and what the log keeps.
#[derive(Clone, Debug)]
pub(crate) struct Refusal(Box<Parts>);

#[derive(Clone, Debug)]
struct Parts {
    code: Code,
    reason: &'static str,
    words: Cow<'static, str>,
    /// The rule that was broken, for the log and the audit row alone.
    rule: Option<String>,
    /// The HTTP status, where it is not the code's own.
    http: Option<StatusCode>,
    /// Said in HTTP whatever is spoken.
    http_alone: bool,
    retry_after: Option<Duration>,
    /// How many requests the broken limit takes.
    calls_max: Option<u32>,
    /// A header that only this refusal carries.
    header: Option<(HeaderName, HeaderValue)>,
}

// === impl Refusal ===

impl Refusal {
    /// A refusal by `code`, with the stable `reason` that programs match on and `words` for people.
    pub(crate) fn new(code: Code, reason: &'static str, words: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Parts {
            code,
            reason,
            words: words.into(),
            rule: None,
            http: None,
            http_alone: false,
            retry_after: None,
            calls_max: None,
            header: None,
        }))
    }

    /// A fault of ours: `what` goes to the log, nothing of it to the caller.
    pub(crate) fn internal(what: &'static str) -> Self {
        Self::new(Code::Internal, "INTERNAL", "internal error").by_rule(what.to_owned())
    }

    /// The address called more often than `rate`.
    pub(crate) fn limited(rate: Rate, exceeded: Exceeded) -> Self {
        let words = format!(
            "more than {} requests in {} s from this address; wait, then retry with exponential backoff and jitter",
            rate.calls_max(),
            rate.window().as_secs(),
        );
        let mut refusal = Self::new(Code::ResourceExhausted, "RATE_LIMITED", words);
        refusal.0.retry_after = Some(exceeded.retry_after);
        refusal.0.calls_max = Some(exceeded.calls_max);
        refusal
    }

    /// The edge answers as many requests as it can.
    pub(crate) fn overloaded() -> Self {
        let words = "too many requests at once; retry with exponential backoff and jitter";
        let mut refusal = Self::new(Code::ResourceExhausted, "OVERLOADED", words);
        refusal.0.retry_after = Some(Duration::from_secs(1));
        refusal.http(StatusCode::SERVICE_UNAVAILABLE)
    }

    /// The service cannot be reached, or did not answer as it should.
    pub(crate) fn unreachable(rule: String) -> Self {
        let words = "the service behind the edge did not answer; retry with exponential backoff and jitter";
        Self::new(Code::Unavailable, "UPSTREAM_UNAVAILABLE", words).by_rule(rule)
    }

    /// The request is larger than its method takes.
    pub(crate) fn too_large(words: String) -> Self {
        Self::new(Code::ResourceExhausted, "REQUEST_TOO_LARGE", words).http(StatusCode::PAYLOAD_TOO_LARGE)
    }

    /// The call took longer than it may.
    pub(crate) fn too_late() -> Self {
        Self::new(Code::DeadlineExceeded, "DEADLINE", "the call took longer than its deadline")
    }

    /// What auth said when it refused to exchange a credential, in its words.
    pub(crate) fn of_exchange(status: &Status) -> Self {
        let reason = match mcp_rpc::reason_of(status).as_deref() {
            Some("TOKEN_REFUSED") => "TOKEN_REFUSED",
            Some("MEMBER_UNKNOWN") => "MEMBER_UNKNOWN",
            _ => "EXCHANGE_REFUSED",
        };
        Self::new(status.code(), reason, status.message().to_owned())
    }

    /// The same refusal, with this HTTP status where the answer has one of its own.
    pub(crate) fn http(mut self, status: StatusCode) -> Self {
        self.0.http = Some(status);
        self
    }

    /// The same refusal, said in HTTP alone: whoever is refused does not speak the protocol that it names.
    pub(crate) fn http_alone(mut self, status: StatusCode) -> Self {
        self.0.http_alone = true;
        self.http(status)
    }

    /// The same refusal, with one header more.
    pub(crate) fn with(mut self, name: HeaderName, value: &'static str) -> Self {
        self.0.header = Some((name, HeaderValue::from_static(value)));
        self
    }

    fn by_rule(mut self, rule: String) -> Self {
        self.0.rule = Some(rule);
        self
    }

    /// The code that the caller hears.
    pub(crate) fn code(&self) -> Code {
        self.0.code
    }

    /// The stable reason.
    pub(crate) fn reason(&self) -> &'static str {
        self.0.reason
    }

    /// What the caller hears.
    #[cfg(test)]
    pub(crate) fn words(&self) -> &str {
        &self.0.words
    }

    /// What the log keeps.
    pub(crate) fn rule(&self) -> &str {
        self.0.rule.as_deref().unwrap_or(&self.0.words)
    }

    /// The refusal as a gRPC status with its details.
    pub(crate) fn status(&self) -> Status {
        let Parts { code, reason, words, retry_after, .. } = &*self.0;
        match retry_after {
            Some(retry_after) => mcp_rpc::exhausted(reason, &**words, *retry_after),
            None => mcp_rpc::refusal(*code, reason, &**words),
        }
    }

    /// The answer, in the protocol that was spoken.
    pub(crate) fn answer(&self, spoken: Spoken) -> Response<EdgeBody> {
        let status = self.status();
        let mut response = match spoken {
            Spoken::Rpc(protocol) if !self.0.http_alone => end(protocol, &status, self.0.http),
            Spoken::Rpc(_) | Spoken::Http => {
                let http = self.0.http.unwrap_or_else(|| connect::http_status(self.0.code));
                let body = connect::error(&status).to_string();
                with_body(http, Protocol::Connect(Codec::Json).content_type(), body.into())
            }
        };
        self.dress(response.headers_mut());
        response
    }

    fn dress(&self, headers: &mut HeaderMap) {
        let Parts { code, retry_after, calls_max, header, .. } = &*self.0;
        if let Some((name, value)) = header {
            headers.insert(name, value.clone());
        }
        if *code == Code::Unauthenticated {
            // RFC 9110, section 11.6.1, and RFC 6750, section 3.
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        let Some(retry_after) = retry_after else { return };
        // Whole seconds, rounded up: sooner would only be refused again.
        let seconds = HeaderValue::from(retry_after.as_secs() + u64::from(retry_after.subsec_nanos() > 0));
        headers.insert(header::RETRY_AFTER, seconds.clone());
        if let Some(calls_max) = *calls_max {
            headers.insert("ratelimit-limit", HeaderValue::from(calls_max));
            headers.insert("ratelimit-remaining", HeaderValue::from(0));
            headers.insert("ratelimit-reset", seconds);
        }
    }
}

impl From<&Denied> for Refusal {
    fn from(denied: &Denied) -> Self {
        let code = mcp_rpc::denied(denied).code();
        Self::new(code, denied.reason(), denied.to_caller()).by_rule(denied.to_string())
    }
}

impl From<Denied> for Refusal {
    fn from(denied: Denied) -> Self {
        Self::from(&denied)
    }
}

impl From<Broken> for Refusal {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::TooLarge { .. } => Self::too_large(broken.to_string()),
            Broken::Flags | Broken::CutShort => {
                Self::new(Code::InvalidArgument, "MESSAGE_MALFORMED", broken.to_string())
            }
        }
    }
}

/// The answer that tells the end of a call and nothing else.
pub(crate) fn end(protocol: Protocol, status: &Status, http: Option<StatusCode>) -> Response<EdgeBody> {
    match protocol {
        Protocol::Grpc | Protocol::Web { .. } => {
            let mut response = Response::new(EdgeBody::empty());
            response.headers_mut().insert(header::CONTENT_TYPE, protocol.content_type());
            // The one failure is a message that is no header value, which the encoding rules out.
            let _ = status.add_header(response.headers_mut());
            response
        }
        Protocol::Connect(_) => {
            let http = http.unwrap_or_else(|| connect::http_status(status.code()));
            // Errors are JSON whatever the messages are.
            let json = Protocol::Connect(Codec::Json).content_type();
            with_body(http, json, connect::error(status).to_string().into())
        }
        Protocol::ConnectStream(_) => {
            let mut headers = HeaderMap::new();
            let _ = status.add_header(&mut headers);
            with_body(StatusCode::OK, protocol.content_type(), trailers::connect(&headers))
        }
    }
}

fn with_body(status: StatusCode, content_type: HeaderValue, body: Bytes) -> Response<EdgeBody> {
    let mut response = Response::new(EdgeBody::full(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}

#[cfg(test)]
mod tests {
    //! One refusal, in each protocol.

    use http_body_util::BodyExt as _;

    use super::*;

    fn limited() -> Refusal {
        Refusal::limited(
            Rate::default(),
            Exceeded { calls_max: 100, retry_after: Duration::from_millis(1_200) },
        )
    }

    async fn json(response: Response<EdgeBody>) -> serde_json::Value {
        let body = response.into_body().collect().await.expect("a body").to_bytes();
        serde_json::from_slice(&body).expect("JSON")
    }

    #[tokio::test]
    async fn a_limited_caller_hears_when_to_come_back_in_every_protocol() {
        let protocols = [
            (Spoken::Http, 429),
            (Spoken::Rpc(Protocol::Connect(Codec::Json)), 429),
            (Spoken::Rpc(Protocol::Connect(Codec::Proto)), 429),
            (Spoken::Rpc(Protocol::Grpc), 200),
            (Spoken::Rpc(Protocol::Web { text_in: false, text_out: false }), 200),
            (Spoken::Rpc(Protocol::ConnectStream(Codec::Json)), 200),
        ];
        for (spoken, http) in protocols {
            let response = limited().answer(spoken);
            assert_eq!(response.status(), http, "{spoken:?}");
            assert_eq!(response.headers()[header::RETRY_AFTER], "2", "{spoken:?}");
            assert_eq!(response.headers()["ratelimit-limit"], "100", "{spoken:?}");
            assert_eq!(response.headers()["ratelimit-remaining"], "0", "{spoken:?}");
        }

        let body = json(limited().answer(Spoken::Http)).await;
        assert_eq!(body["code"], "resource_exhausted");
        assert!(body["message"].as_str().expect("words").contains("exponential backoff and jitter"));
    }

    #[test]
    fn grpc_hears_status_and_details_in_the_headers() {
        let response = limited().answer(Spoken::Rpc(Protocol::Grpc));

        let status = Status::from_header_map(response.headers()).expect("a status");
        assert_eq!(status.code(), Code::ResourceExhausted);
        assert_eq!(mcp_rpc::reason_of(&status).as_deref(), Some("RATE_LIMITED"));
        assert!(http_body::Body::is_end_stream(response.body()), "trailers only");
    }

    #[test]
    fn a_large_request_is_413_in_http_and_resource_exhausted_in_grpc() {
        let refusal = Refusal::from(Broken::TooLarge { bytes: 11, bytes_max: 10 });

        assert_eq!(refusal.answer(Spoken::Rpc(Protocol::Connect(Codec::Json))).status(), 413);
        let response = refusal.answer(Spoken::Rpc(Protocol::Grpc));
        assert_eq!(response.headers()["grpc-status"], "8");
    }

    #[test]
    fn who_is_not_recognised_hears_how_to_be() {
        let refusal = Refusal::from(Denied::NoToken);

        let response = refusal.answer(Spoken::Rpc(Protocol::Connect(Codec::Json)));
        assert_eq!(response.status(), 401);
        assert_eq!(response.headers()[header::WWW_AUTHENTICATE], "Bearer");
    }
}
