//! What is on every answer, whatever it is.

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;

use super::world::{Heard, SUMMARIZE, World, get, post};
use crate::framing::envelope::wrap;

fn preflight(origin: &str) -> Request<Full<Bytes>> {
    Request::builder()
        .method(Method::OPTIONS)
        .uri(SUMMARIZE)
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "content-type,x-grpc-web")
        .body(Full::default())
        .expect("a request")
}

fn with(mut request: Request<Full<Bytes>>, name: &'static str, value: &str) -> Request<Full<Bytes>> {
    request.headers_mut().insert(name, value.parse().expect("a value"));
    request
}

fn assert_secure(what: &str, heard: &Heard) {
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("x-xss-protection", "1; mode=block"),
        ("strict-transport-security", "max-age=31536000; includeSubDomains"),
        (
            "content-security-policy",
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
             form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        ),
        ("referrer-policy", "strict-origin-when-cross-origin"),
    ] {
        assert_eq!(
            heard.headers.get(name).map(http::HeaderValue::as_bytes),
            Some(value.as_bytes()),
            "{what}: {name}"
        );
    }
    assert!(heard.headers.contains_key("x-request-id"), "{what}");
}

#[tokio::test]
async fn every_answer_carries_the_security_headers_and_a_request_id() {
    let world = World::new().await;
    let token = world.token();
    let framed = || wrap(0, b"\x0a\x01x");
    let requests = [
        ("a page", get("/"), 200),
        ("a health check", get("/healthz"), 200),
        ("no page", get("/nothing"), 404),
        ("escapes", get("/%2e%2e/etc/passwd"), 404),
        ("a page posted to", post("/healthz", "application/json", None, "{}"), 405),
        ("a preflight", preflight("https://app.example"), 204),
        ("a call", post(SUMMARIZE, "application/grpc", Some(&token), framed()), 200),
        ("a web call", post(SUMMARIZE, "application/grpc-web", Some(&token), framed()), 200),
        ("a JSON call", post(SUMMARIZE, "application/json", Some(&token), r#"{"text":"x"}"#), 200),
        ("trailers only", post(SUMMARIZE, "application/grpc", None, framed()), 200),
        ("no token", post(SUMMARIZE, "application/json", None, "{}"), 401),
        ("no method", post("/no.Such/Method", "application/json", Some(&token), "{}"), 404),
        ("no content type of ours", post(SUMMARIZE, "text/plain", Some(&token), ""), 415),
        ("not JSON", post(SUMMARIZE, "application/json", Some(&token), "{"), 400),
        ("a bad request ID", with(get("/healthz"), "x-request-id", "a b"), 400),
    ];
    for (what, request, status) in requests {
        let heard = world.send(request).await;
        assert_eq!(heard.status, status, "{what}: {heard:?}");
        assert_secure(what, &heard);
    }
    let world = World::with(|limits| limits.assets = "1/60s".parse().expect("a rate")).await;
    world.send(get("/")).await;
    let heard = world.send(get("/")).await;
    assert_eq!(heard.status, 429);
    assert_secure("a limited page", &heard);
}

#[tokio::test]
async fn a_request_id_comes_back_and_a_malformed_one_does_not() {
    let world = World::new().await;

    let heard = world.send(with(get("/healthz"), "x-request-id", "r-1")).await;
    assert_eq!(heard.headers["x-request-id"], "r-1");
    for bad in ["a b", "x\"y", &"a".repeat(65)] {
        let heard = world.send(with(get("/healthz"), "x-request-id", bad)).await;
        assert_eq!((heard.status, heard.reason().as_str()), (400, "REQUEST_ID_MALFORMED"));
        assert!(!String::from_utf8_lossy(&heard.body).contains(bad));
        assert_ne!(heard.headers["x-request-id"], bad);
        let call = with(post(SUMMARIZE, "application/grpc", None, wrap(0, b"")), "x-request-id", bad);
        assert_eq!(world.send(call).await.code(), tonic::Code::InvalidArgument);
    }
    let mut twice = get("/healthz");
    twice.headers_mut().append("x-request-id", "r-1".parse().expect("a value"));
    twice.headers_mut().append("x-request-id", "r-2".parse().expect("a value"));
    assert_eq!(world.send(twice).await.status, 400);
}

#[tokio::test]
async fn a_page_of_a_listed_origin_may_call_and_read_why_it_was_refused() {
    let world = World::new().await;

    let heard = world.send(preflight("https://app.example")).await;
    assert_eq!(heard.headers["access-control-allow-origin"], "https://app.example");
    assert!(heard.headers.contains_key("access-control-max-age"));
    let refused = post(SUMMARIZE, "application/grpc-web", None, wrap(0, b""));
    let heard = world.send(with(refused, "origin", "https://app.example")).await;
    assert_eq!(heard.headers["access-control-allow-origin"], "https://app.example");
    assert!(heard.headers["access-control-expose-headers"].to_str().expect("text").contains("grpc-status"));
    for other in ["https://evil.example", "null", "https://app.example.evil.test"] {
        let heard = world.send(preflight(other)).await;
        assert!(!heard.headers.contains_key("access-control-allow-origin"), "{other}");
        assert!(!heard.headers.contains_key("access-control-allow-methods"), "{other}");
    }
}
