//! Calls that are not let in: each hears its precise status, leaves its row, and reaches nobody.

use std::time::Duration;

use http::{Method, Version};
use mcp_audit::Decision;
use mcp_tenancy::{TokenClaims, TokenKind};
use mcp_testkit::forge;
use mcp_types::{Clock as _, SystemClock};
use tonic::Code;

use super::world::{ALICE, SUMMARIZE, SUMMARIZE_STREAM, World, get, post};
use crate::framing::envelope::wrap;

fn empty() -> bytes::Bytes {
    wrap(0, b"")
}

#[tokio::test]
async fn a_token_that_does_not_hold_is_refused_for_its_reason() {
    let world = World::new().await;
    let now = SystemClock.now().unix_secs();
    let with = |change: &dyn Fn(&mut TokenClaims)| {
        world.issuer.access_token(|claims| {
            claims.scope = ALICE.join(" ");
            change(claims);
        })
    };
    let transaction = world.issuer.transaction_token(|claims| claims.scope = ALICE.join(" "));
    let bound = {
        let (header, mut claims) = forge::open(&world.token());
        claims["cnf"] = serde_json::json!({ "x5t#S256": "A".repeat(43) });
        world.issuer.sign(TokenKind::Access, &header, &claims)
    };
    let unauthenticated = [
        (None, "TOKEN_MISSING"),
        (Some("junk".to_owned()), "TOKEN_MALFORMED"),
        (Some(with(&|claims| claims.exp = now - 60)), "TOKEN_EXPIRED"),
        (Some(with(&|claims| claims.nbf = Some(now + 60))), "TOKEN_NOT_YET_VALID"),
        (Some(with(&|claims| claims.aud = "https://other.test".to_owned())), "TOKEN_AUDIENCE"),
        (Some(with(&|claims| claims.iss = "https://evil.test".to_owned())), "TOKEN_ISSUER"),
        (Some(transaction), "TRANSACTION_TOKEN_AT_EDGE"),
        (Some(bound), "TOKEN_BOUND_TO_ANOTHER"),
    ];
    let lacking = (Some(world.token_with(&["context.read"])), Code::PermissionDenied, "PERMISSION_MISSING");
    let cases = unauthenticated.map(|(token, reason)| (token, Code::Unauthenticated, reason));
    let cases = cases.into_iter().chain([lacking]);
    for (token, code, reason) in cases {
        for content_type in ["application/grpc", "application/grpc-web"] {
            let heard = world.send(post(SUMMARIZE, content_type, token.as_deref(), empty())).await;
            assert_eq!((heard.status, heard.code(), heard.reason().as_str()), (200, code, reason));
            assert!(heard.body.is_empty() && heard.trailers.is_none(), "trailers only");
        }
        let heard = world.send(post(SUMMARIZE, "application/json", token.as_deref(), "{}")).await;
        let http = if code == Code::Unauthenticated { 401 } else { 403 };
        assert_eq!((heard.status, heard.reason().as_str()), (http, reason));
        let row = world.audit.last();
        assert_eq!(row.decision, Some(Decision::Deny));
        assert_eq!(row.reason.as_deref(), Some(reason));
        assert_eq!(row.method.as_deref(), Some(SUMMARIZE));
        assert_eq!(row.request_id.expect("an ID").as_str(), heard.headers["x-request-id"]);
    }
    assert_eq!(world.calls_seen(), 0);
}

#[tokio::test]
async fn no_forgery_is_let_in() {
    let world = World::new().await;
    let jwks = world.issuer.jwks(TokenKind::Access);
    let forgeries = forge::all(&world.token(), &jwks);
    assert!(forgeries.len() > 10);
    for (n, forgery) in forgeries.into_iter().enumerate() {
        let ip = std::net::Ipv4Addr::from(u32::try_from(n).expect("few")).into();
        let request = post(SUMMARIZE, "application/grpc", Some(&forgery.token), empty());
        assert_eq!(world.send_from(ip, request).await.code(), Code::Unauthenticated, "{}", forgery.name);
    }
    assert_eq!(world.calls_seen(), 0);
}

#[tokio::test]
async fn another_tenant_cannot_be_named() {
    let world = World::new().await;
    for (tenant, code, reason) in [
        ("globex", Code::PermissionDenied, "TENANT_MISMATCH"),
        ("Not A Slug", Code::InvalidArgument, "TENANT_HEADER"),
    ] {
        let mut request = post(SUMMARIZE, "application/grpc", Some(&world.token()), empty());
        request.headers_mut().insert("x-tenant-id", tenant.parse().expect("a value"));
        let heard = world.send(request).await;
        assert_eq!((heard.code(), heard.reason().as_str()), (code, reason));
    }
    assert_eq!(world.calls_seen(), 0);
    assert_eq!(world.audit.reasons(), ["TENANT_MISMATCH", "TENANT_HEADER"]);
}

#[tokio::test]
async fn the_meshs_own_methods_do_not_exist_out_here() {
    let world = World::new().await;
    let token = world.token();
    for path in [
        "/mcp.auth.v1.AuthService/ExchangeCredential",
        "/mcp.auth.v1.AuthService/IssueDevelopmentToken",
        "/mcp.auth.v1.AuthService/WatchAccess",
        "/mcp.ca.v1.CertificateAuthorityService/RotateRoot",
        "/no.Such/Method",
    ] {
        let heard = world.send(post(path, "application/grpc", Some(&token), empty())).await;
        assert_eq!(
            (heard.code(), heard.reason().as_str()),
            (Code::Unimplemented, "METHOD_UNKNOWN"),
            "{path}"
        );
        let heard = world.send(post(path, "application/json", Some(&token), "{}")).await;
        assert_eq!((heard.status, heard.json()["code"].as_str()), (404, Some("unimplemented")), "{path}");
    }
}

#[tokio::test]
async fn the_101st_request_of_a_minute_is_refused_and_pages_are_another_class() {
    let world = World::new().await;
    for _ in 0..100 {
        assert_eq!(world.send(get("/no-such-page")).await.status, 404);
    }

    let heard = world.send(get("/no-such-page")).await;
    assert_eq!((heard.status, heard.reason().as_str()), (429, "RATE_LIMITED"));
    assert!(heard.headers.contains_key("retry-after") && heard.headers.contains_key("ratelimit-reset"));
    let heard = world.send(post(SUMMARIZE, "application/grpc", Some(&world.token()), empty())).await;
    assert_eq!((heard.status, heard.code()), (200, Code::ResourceExhausted));
    assert!(tonic_types::StatusExt::get_details_retry_info(&heard.grpc()).is_some());
    assert!(heard.headers.contains_key("retry-after"));
    assert_eq!(world.send(get("/healthz")).await.status, 200);
    let elsewhere = "192.0.2.2".parse().expect("an address");
    assert_eq!(world.send_from(elsewhere, get("/no-such-page")).await.status, 404);
}

#[tokio::test]
async fn beyond_the_places_requests_are_shed() {
    let world = World::with(|limits| limits.concurrency = 1).await;
    let token = world.token();
    let json = r#"{"text":"stall"}"#;
    let mut stalled = Box::pin(
        world.core.serve(super::world::HOME, post(SUMMARIZE, "application/json", Some(&token), json)),
    );
    let waited = tokio::time::timeout(Duration::from_millis(50), &mut stalled).await;
    assert!(waited.is_err(), "it holds the one place");

    let heard = world.send(get("/healthz")).await;
    assert_eq!((heard.status, heard.reason().as_str()), (503, "OVERLOADED"));
    drop(stalled);
    assert_eq!(world.send(get("/healthz")).await.status, 200, "the place is free again");
}

#[tokio::test]
async fn an_answer_that_nobody_reads_keeps_nobody_out() {
    let world = World::with(|limits| limits.concurrency = 1).await;
    let refused = post("/no.Such/Method", "application/json", None, "{}");

    // Held and not read, as a client holds them that gives an HTTP/2 stream no window.
    let page = world.core.serve(super::world::HOME, get("/healthz")).await;
    let nowhere = world.core.serve(super::world::HOME, get("/no-such-page")).await;
    let refused = world.core.serve(super::world::HOME, refused).await;

    assert_eq!(
        [page.status().as_u16(), nowhere.status().as_u16(), refused.status().as_u16()],
        [200, 404, 404]
    );
    assert_eq!(world.send(get("/healthz")).await.status, 200);
}

#[tokio::test]
async fn those_who_only_watch_keep_nobody_else_out() {
    let world = World::with(|limits| limits.concurrency = 16).await;
    let watch = || post("/grpc.health.v1.Health/Watch", "application/grpc-web", None, empty());

    let watched = world.core.serve(super::world::HOME, watch()).await;
    let refused = world.send(watch()).await;

    assert_eq!(watched.status(), 200);
    assert_eq!((refused.code(), refused.reason().as_str()), (Code::ResourceExhausted, "OVERLOADED"));
    assert_eq!(world.send(get("/healthz")).await.status, 200);
    drop(watched);
    let again = world.core.serve(super::world::HOME, watch()).await;
    assert!(!again.headers().contains_key("grpc-status"), "the place is free again");
}

#[tokio::test]
async fn a_message_at_the_limit_passes_and_one_byte_more_does_not() {
    let world = World::new().await;
    let token = world.token();
    let path = "/mcp.summarization.v1.SummarizationService/ListEngines";
    // An unknown field of so many bytes: tag, length in two bytes, content.
    let message = |bytes: usize| {
        let mut message = vec![0xfa, 0x3f];
        prost::encoding::encode_varint((bytes - 4) as u64, &mut message);
        message.resize(bytes, b'x');
        message
    };
    for (bytes, code) in [(1024, Code::Ok), (1025, Code::ResourceExhausted)] {
        for content_type in ["application/grpc", "application/grpc-web"] {
            let heard = world.send(post(path, content_type, Some(&token), wrap(0, &message(bytes)))).await;
            assert_eq!(heard.code(), code, "{bytes} {content_type}");
        }
        let text = crate::framing::base64::encode(&wrap(0, &message(bytes)));
        let heard = world.send(post(path, "application/grpc-web-text", Some(&token), text)).await;
        let http = if code == Code::Ok { 200 } else { 413 };
        assert_eq!(heard.headers.contains_key("grpc-status"), code != Code::Ok);
        let heard = world.send(post(path, "application/proto", Some(&token), message(bytes))).await;
        assert_eq!(heard.status, http, "{bytes}");
    }
    assert_eq!(world.audit.last().reason.as_deref(), Some("REQUEST_TOO_LARGE"));
}

#[tokio::test]
async fn content_types_are_strict() {
    let world = World::new().await;
    let token = world.token();
    let send = async |path: &str, content_type: &str| {
        world.send(post(path, content_type, Some(&token), "{}")).await.status
    };
    for content_type in ["text/plain", "application/x-www-form-urlencoded", "application/grpc+json", ""] {
        assert_eq!(send(SUMMARIZE, content_type).await, 415, "{content_type}");
    }
    assert_eq!(send(SUMMARIZE, "application/connect+json").await, 415, "not a stream");
    assert_eq!(send(SUMMARIZE_STREAM, "application/json").await, 415, "a stream");
    let mut request = post(SUMMARIZE, "application/grpc", Some(&token), empty());
    *request.version_mut() = Version::HTTP_11;
    assert_eq!(world.send(request).await.status, 415, "gRPC needs HTTP/2");
    let mut request = get(SUMMARIZE);
    *request.method_mut() = Method::PUT;
    let heard = world.send(request).await;
    assert_eq!((heard.status, &heard.headers["allow"]), (405, &"POST".parse().expect("a value")));
    assert_eq!(world.calls_seen(), 0);
}

#[tokio::test]
async fn a_service_that_is_gone_is_unavailable() {
    let world = World::new().await;
    let path = "/mcp.context.v1.ContextService/ListContexts";
    let heard = world.send(post(path, "application/grpc-web", Some(&world.token()), empty())).await;

    assert_eq!(
        (heard.status, heard.code(), heard.reason().as_str()),
        (200, Code::Unavailable, "UPSTREAM_UNAVAILABLE")
    );
    let heard = world.send(post(path, "application/json", Some(&world.token()), "{}")).await;
    assert_eq!(heard.status, 503);
}

#[tokio::test]
async fn a_call_ends_at_its_deadline() {
    let world = World::new().await;
    let mut request = post(SUMMARIZE, "application/json", Some(&world.token()), r#"{"text":"stall"}"#);
    request.headers_mut().insert("connect-timeout-ms", "100".parse().expect("a value"));
    let heard = world.send(request).await;
    assert_eq!((heard.status, heard.json()["code"].as_str()), (504, Some("deadline_exceeded")));

    let mut request = post(SUMMARIZE, "application/grpc", Some(&world.token()), empty());
    request.headers_mut().insert("grpc-timeout", "soon".parse().expect("a value"));
    let heard = world.send(request).await;
    assert_eq!((heard.code(), heard.reason().as_str()), (Code::InvalidArgument, "TIMEOUT_MALFORMED"));
}
