//! Which pages of other origins may call from a browser (the Fetch standard's CORS protocol): those that are listed.

use std::collections::HashSet;

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

/// What a page may send.
const ALLOW_HEADERS: HeaderValue = HeaderValue::from_static(
    "authorization, content-type, x-grpc-web, x-user-agent, grpc-timeout, connect-protocol-version, \
     connect-timeout-ms, x-tenant-id, x-request-id, traceparent, tracestate",
);

/// What a page may read beyond the body.
const EXPOSE_HEADERS: HeaderValue = HeaderValue::from_static(
    "grpc-status, grpc-message, grpc-status-details-bin, x-request-id, server-timing, retry-after, \
     ratelimit-limit, ratelimit-remaining, ratelimit-reset",
);

const ALLOW_METHODS: HeaderValue = HeaderValue::from_static("POST, GET, HEAD");

/// How long a browser may remember a preflight, in seconds; browsers cut it to two hours.
const MAX_AGE: HeaderValue = HeaderValue::from_static("7200");

const PRIVATE_NETWORK: HeaderName = HeaderName::from_static("access-control-request-private-network");

/// The listed origins, compared byte by byte with what the browser sends.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origins {
    listed: HashSet<HeaderValue>,
}

/// Why an entry is no origin.
#[derive(Debug, thiserror::Error)]
#[error("`{entry}` is not an origin: write scheme, host and port exactly, like `https://app.example`")]
pub(crate) struct BadOrigin {
    entry: String,
}

// === impl Origins ===

impl Origins {
    pub(crate) fn new(entries: &[String]) -> Result<Self, BadOrigin> {
        let listed = entries
            .iter()
            .map(|entry| origin(entry).ok_or_else(|| BadOrigin { entry: entry.clone() }))
            .collect::<Result<_, _>>()?;
        Ok(Self { listed })
    }

    /// The request's origin, where it is listed.
    pub(crate) fn listed(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        // `null` is no entry that could be written, so it never matches.
        let origin = headers.get(header::ORIGIN)?;
        self.listed.contains(origin).then(|| origin.clone())
    }

    /// Says on an answer that a page of `origin` may read it.
    ///
    /// With any origin listed, every answer says that it varies, so that no cache gives one origin's answer to another.
    pub(crate) fn dress(&self, origin: Option<HeaderValue>, headers: &mut HeaderMap) {
        if self.listed.is_empty() {
            return;
        }
        headers.append(header::VARY, HeaderValue::from_static("origin"));
        if let Some(origin) = origin {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSE_HEADERS);
        }
    }
}

/// Whether the request is a browser's question before the true request.
pub(crate) fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    *method == Method::OPTIONS
        && headers.contains_key(header::ORIGIN)
        && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// The answer to a preflight; only for a listed origin does it allow anything.
pub(crate) fn answer_preflight(listed: bool, request: &HeaderMap, answer: &mut HeaderMap) {
    answer.append(
        header::VARY,
        HeaderValue::from_static("access-control-request-method, access-control-request-headers"),
    );
    if !listed || request.contains_key(PRIVATE_NETWORK) {
        return;
    }
    answer.insert(header::ACCESS_CONTROL_ALLOW_METHODS, ALLOW_METHODS);
    answer.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, ALLOW_HEADERS);
    answer.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
}

/// An origin as browsers serialise it: lower case, no path, no wildcard, no `null`.
fn origin(entry: &str) -> Option<HeaderValue> {
    let host = entry.strip_prefix("https://").or_else(|| entry.strip_prefix("http://"))?;
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-:[]".contains(&byte);
    if host.is_empty() || !host.bytes().all(plain) {
        return None;
    }
    HeaderValue::from_str(entry).ok()
}

#[cfg(test)]
mod tests {
    //! Who may read what, by exact name.

    use super::*;

    fn origins(entries: &[&str]) -> Origins {
        let entries: Vec<_> = entries.iter().map(|&entry| entry.to_owned()).collect();
        Origins::new(&entries).expect("origins")
    }

    fn from(origin: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::ORIGIN, HeaderValue::from_static(origin))])
    }

    fn dressed(origins: &Origins, origin: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        origins.dress(origins.listed(&from(origin)), &mut headers);
        headers
    }

    #[test]
    fn by_default_no_other_origin_reads_anything() {
        assert!(dressed(&Origins::default(), "https://app.example").is_empty());
    }

    #[test]
    fn a_listed_origin_reads_status_and_request_id() {
        let headers = dressed(&origins(&["https://app.example"]), "https://app.example");

        assert_eq!(headers[header::ACCESS_CONTROL_ALLOW_ORIGIN], "https://app.example");
        let exposed = headers[header::ACCESS_CONTROL_EXPOSE_HEADERS].to_str().expect("text");
        for name in [
            "grpc-status",
            "grpc-message",
            "grpc-status-details-bin",
            "x-request-id",
            "server-timing",
            "retry-after",
        ] {
            assert!(exposed.contains(name), "{name}");
        }
    }

    #[test]
    fn tricks_with_names_do_not_match() {
        let origins = origins(&["https://app.example"]);
        for trick in [
            "null",
            "https://app.example.evil.test",
            "https://evil-app.example",
            "http://app.example",
            "https://app.example:444",
            "https://APP.example",
            "https://app.example/",
        ] {
            let headers = dressed(&origins, trick);
            assert!(!headers.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN), "{trick}");
            assert_eq!(headers[header::VARY], "origin", "{trick}");
        }
    }

    #[test]
    fn wildcards_and_null_cannot_be_configured() {
        for entry in
            ["*", "null", "https://*", "https://*.example", "app.example", "https://app.example/", "https://"]
        {
            assert!(Origins::new(&[entry.to_owned()]).is_err(), "{entry}");
        }
    }

    #[test]
    fn a_preflight_allows_only_listed_origins_and_may_be_remembered() {
        let mut request = from("https://app.example");
        assert!(!is_preflight(&Method::OPTIONS, &request));
        request.insert(header::ACCESS_CONTROL_REQUEST_METHOD, HeaderValue::from_static("POST"));
        assert!(is_preflight(&Method::OPTIONS, &request));
        assert!(!is_preflight(&Method::POST, &request));

        let mut answer = HeaderMap::new();
        answer_preflight(true, &request, &mut answer);
        assert_eq!(answer[header::ACCESS_CONTROL_MAX_AGE], "7200");
        assert!(answer[header::ACCESS_CONTROL_ALLOW_HEADERS].to_str().expect("text").contains("x-grpc-web"));

        let mut answer = HeaderMap::new();
        answer_preflight(false, &request, &mut answer);
        assert!(!answer.contains_key(header::ACCESS_CONTROL_ALLOW_METHODS));
    }
}
