//! Headers that every answer carries, and headers that do not cross the edge.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, header};

pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
pub(crate) const TENANT_ID: HeaderName = HeaderName::from_static("x-tenant-id");
pub(crate) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
pub(crate) const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
pub(crate) const CONNECT_TIMEOUT: HeaderName = HeaderName::from_static("connect-timeout-ms");
pub(crate) const CONNECT_VERSION: HeaderName = HeaderName::from_static("connect-protocol-version");
pub(crate) const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// What every answer carries, whatever it is (control D1).
const SECURITY: [(HeaderName, HeaderValue); 6] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::X_XSS_PROTECTION, HeaderValue::from_static("1; mode=block")),
    (header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000; includeSubDomains")),
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
             form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        ),
    ),
    (header::REFERRER_POLICY, HeaderValue::from_static("strict-origin-when-cross-origin")),
];

/// Puts on an answer what every answer carries.
pub(crate) fn secure(headers: &mut HeaderMap) {
    headers.reserve(SECURITY.len() + 4);
    for (name, value) in SECURITY {
        headers.insert(name, value);
    }
}

/// Which headers of a client's request go on to the service: metadata of the call, nothing that the edge itself
/// decides, nothing of the connection (RFC 9110, section 7.6.1), nothing of the browser.
///
/// Headers that `connection` names belong to the connection too; HTTP/2 has none.
pub(crate) fn goes_in(name: &HeaderName, connection: Option<&HeaderValue>) -> bool {
    let text = name.as_str();
    let is_edges_own = matches!(
        text,
        "authorization"
            | "x-tenant-id"
            | "x-request-id"
            | "traceparent"
            | "grpc-timeout"
            | "content-type"
            | "content-length"
            | "content-encoding"
            | "te"
            | "host"
    );
    let is_browsers = matches!(
        text,
        "cookie"
            | "cookie2"
            | "origin"
            | "referer"
            | "accept"
            | "accept-language"
            | "accept-encoding"
            | "cache-control"
            | "pragma"
            | "priority"
            | "dnt"
            | "expect"
            | "x-grpc-web"
            | "x-user-agent"
            | "x-requested-with"
            | "upgrade-insecure-requests"
    ) || text.starts_with("sec-")
        || text.starts_with("access-control-")
        || text.starts_with("if-");
    let is_claimed = matches!(text, "forwarded" | "via" | "x-real-ip" | "x-client-ip" | "true-client-ip")
        || text.starts_with("x-forwarded-")
        || text.starts_with("x-mcp-")
        || text.starts_with("x-original-");
    !(is_edges_own
        || is_browsers
        || is_claimed
        || is_hop(text)
        || text.starts_with("connect-")
        || text.starts_with("grpc-status")
        || connection.is_some_and(|named| names(named, text)))
}

/// Which headers of a service's answer go out to the client.
pub(crate) fn goes_out(name: &HeaderName) -> bool {
    let text = name.as_str();
    let is_edges_own = matches!(
        text,
        "content-type"
            | "content-length"
            | "x-request-id"
            | "server-timing"
            | "traceparent"
            | "tracestate"
            | "date"
    );
    let is_inner = matches!(text, "set-cookie" | "server" | "via" | "authorization" | "x-tenant-id")
        || text.starts_with("x-mcp-")
        || text.starts_with("access-control-");
    !(is_edges_own || is_inner || is_hop(text))
}

fn is_hop(text: &str) -> bool {
    matches!(
        text,
        "connection" | "keep-alive" | "te" | "trailer" | "transfer-encoding" | "upgrade" | "http2-settings"
    ) || text.starts_with("proxy-")
}

fn names(list: &HeaderValue, name: &str) -> bool {
    list.to_str().is_ok_and(|list| list.split(',').any(|entry| entry.trim().eq_ignore_ascii_case(name)))
}

/// Says how long the edge and the service took until the answer began.
pub(crate) fn time(headers: &mut HeaderMap, whole: Duration, upstream: Option<(Duration, &'static str)>) {
    let ms = |duration: Duration| duration.as_secs_f64() * 1000.0;
    let text = match upstream {
        Some((inner, service)) => {
            let edge = ms(whole.saturating_sub(inner));
            format!("edge;dur={edge:.2}, upstream;dur={:.2};desc=\"{service}\"", ms(inner))
        }
        None => format!("edge;dur={:.2}", ms(whole)),
    };
    if let Ok(value) = HeaderValue::from_maybe_shared(bytes::Bytes::from(text)) {
        headers.insert(SERVER_TIMING, value);
    }
}

#[cfg(test)]
mod tests {
    //! What crosses the edge, and what is on every answer.

    use super::*;

    #[test]
    fn every_answer_carries_the_list() {
        let mut headers = HeaderMap::new();
        secure(&mut headers);

        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert_eq!(headers["x-frame-options"], "DENY");
        assert_eq!(headers["x-xss-protection"], "1; mode=block");
        assert_eq!(headers["strict-transport-security"], "max-age=31536000; includeSubDomains");
        assert_eq!(headers["referrer-policy"], "strict-origin-when-cross-origin");
        let policy = headers["content-security-policy"].to_str().expect("text");
        assert!(policy.starts_with("default-src 'none';") && !policy.contains("unsafe"), "{policy}");
    }

    #[test]
    fn metadata_of_the_call_goes_on_and_nothing_else() {
        let goes = |name: &'static str| goes_in(&HeaderName::from_static(name), None);

        for name in ["x-client-version", "tracestate", "user-agent", "grpc-encoding", "custom-bin"] {
            assert!(goes(name), "{name}");
        }
        for name in [
            "authorization",
            "cookie",
            "host",
            "connection",
            "te",
            "transfer-encoding",
            "proxy-authorization",
            "forwarded",
            "x-forwarded-for",
            "x-forwarded-client-cert",
            "x-mcp-tenant",
            "x-tenant-id",
            "x-request-id",
            "grpc-timeout",
            "connect-timeout-ms",
            "origin",
            "sec-fetch-site",
        ] {
            assert!(!goes(name), "{name}");
        }
    }

    #[test]
    fn what_connection_names_is_of_the_connection() {
        let named = HeaderValue::from_static("close, X-Client-Version");

        assert!(!goes_in(&HeaderName::from_static("x-client-version"), Some(&named)));
        assert!(goes_in(&HeaderName::from_static("x-client"), Some(&named)));
    }

    #[test]
    fn what_is_of_the_mesh_stays_there() {
        let goes = |name: &'static str| goes_out(&HeaderName::from_static(name));

        assert!(goes("grpc-status") && goes("grpc-encoding") && goes("x-page-count"));
        for name in ["set-cookie", "server", "x-mcp-peer", "connection", "access-control-allow-origin"] {
            assert!(!goes(name), "{name}");
        }
    }

    #[test]
    fn timing_tells_the_edge_from_the_service() {
        let mut headers = HeaderMap::new();
        time(&mut headers, Duration::from_millis(12), Some((Duration::from_micros(10_500), "context")));
        assert_eq!(headers[SERVER_TIMING], "edge;dur=1.50, upstream;dur=10.50;desc=\"context\"");
    }
}
