//! Calls that are let in: the same method in every protocol, and what the service hears of the caller.

use std::sync::atomic::Ordering;

use futures_util::future::join_all;
use mcp_proto::summarization::v1::{
    SummarizeRequest, SummarizeResponse, SummarizeStreamRequest, SummarizeStreamResponse,
};
use prost::Message as _;
use tonic::Code;

use super::world::{ALICE, HOME, SUMMARIZE, SUMMARIZE_STREAM, World, get, post};
use crate::framing::{
    base64::{self, Decoder},
    envelope::{Reader, wrap},
};

fn text(text: &str) -> Vec<u8> {
    SummarizeRequest { text: text.to_owned(), ..Default::default() }.encode_to_vec()
}

fn first(body: &[u8]) -> SummarizeResponse {
    let mut reader = Reader::new(10_000);
    reader.push(body);
    let (_, message) = reader.next().expect("an envelope").expect("a message");
    SummarizeResponse::decode(message).expect("an answer")
}

#[tokio::test]
async fn one_method_answers_in_every_protocol() {
    let world = World::new().await;
    let token = world.token();
    let framed = wrap(0, &text("hello"));
    let send = async |content_type: &str, body: Vec<u8>| {
        world.send(post(SUMMARIZE, content_type, Some(&token), body)).await
    };

    let grpc = send("application/grpc", framed.to_vec()).await;
    assert_eq!((grpc.status, grpc.code()), (200, Code::Ok), "{grpc:?}");
    assert_eq!(first(&grpc.body).summary, "hello");
    assert!(grpc.trailers.is_some());

    let web = send("application/grpc-web+proto", framed.to_vec()).await;
    assert_eq!(web.headers["content-type"], "application/grpc-web+proto");
    assert_eq!((first(&web.body).summary.as_str(), web.code()), ("hello", Code::Ok));
    assert!(web.trailers.is_none());

    let web = send("application/grpc-web-text", base64::encode(&framed).to_vec()).await;
    assert_eq!(web.headers["content-type"], "application/grpc-web-text+proto");
    assert_eq!(first(&Decoder::default().feed(&web.body).expect("base64")).summary, "hello");

    let proto = send("application/proto", text("hello")).await;
    assert_eq!(
        (proto.status, &proto.headers["content-type"]),
        (200, &"application/proto".parse().expect("a value"))
    );
    assert_eq!(SummarizeResponse::decode(proto.body).expect("an answer").summary, "hello");

    let json = send("application/json", br#"{"text":"hello"}"#.to_vec()).await;
    assert_eq!((json.status, json.json()["summary"].as_str()), (200, Some("hello")), "{json:?}");
}

#[tokio::test]
async fn streams_answer_in_every_protocol_that_streams() {
    let world = World::new().await;
    let token = world.token();
    let request = SummarizeStreamRequest { text: "one two".to_owned(), ..Default::default() }.encode_to_vec();
    let parts = |body: &[u8]| {
        let mut reader = Reader::new(10_000);
        reader.push(body);
        let mut parts = Vec::new();
        // The last envelope of gRPC-Web and Connect has flags that are no message's.
        while let Ok(Some((_, message))) = reader.next() {
            parts.push(SummarizeStreamResponse::decode(message).expect("a part").summary);
        }
        parts
    };

    for content_type in ["application/grpc", "application/grpc-web", "application/connect+proto"] {
        let heard = world.send(post(SUMMARIZE_STREAM, content_type, Some(&token), wrap(0, &request))).await;
        assert_eq!(
            (heard.status, parts(&heard.body)),
            (200, vec!["one".to_owned(), "two".to_owned()]),
            "{content_type}"
        );
    }
    let json = wrap(0, br#"{"text":"one two"}"#);
    let heard = world.send(post(SUMMARIZE_STREAM, "application/connect+json", Some(&token), json)).await;
    let expected =
        [&wrap(0, br#"{"summary":"one"}"#)[..], &wrap(0, br#"{"summary":"two"}"#), &wrap(2, b"{}")].concat();
    assert_eq!(heard.body, expected, "{heard:?}");
}

#[tokio::test]
async fn the_service_hears_who_calls_and_nothing_that_the_caller_made_up() {
    let world = World::new().await;
    let mut request = post(SUMMARIZE, "application/grpc", Some(&world.token()), wrap(0, &text("x")));
    for (name, value) in [
        ("cookie", "session=1"),
        ("x-mcp-tenant", "globex"),
        ("x-forwarded-for", "203.0.113.9"),
        ("proxy-authorization", "Basic eDp5"),
        ("x-request-id", "my-request"),
        ("x-client-version", "7"),
        ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        ("grpc-timeout", "5S"),
    ] {
        request.headers_mut().insert(name, value.parse().expect("a value"));
    }
    let heard = world.send(request).await;

    let seen = world.last_seen();
    let sent = seen["authorization"].to_str().expect("text").strip_prefix("Bearer ").expect("a token");
    let (header, _) = mcp_testkit::forge::open(sent);
    assert_eq!(header["typ"], "txntoken+jwt");
    assert_eq!(seen["x-tenant-id"], "acme");
    assert_eq!(seen["x-request-id"], "my-request");
    assert_eq!(seen["x-client-version"], "7");
    let trace = seen["traceparent"].to_str().expect("text");
    assert!(trace.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-") && !trace.contains("00f067aa0ba902b7"));
    let millis: u64 =
        seen["grpc-timeout"].to_str().expect("text").trim_end_matches('m').parse().expect("a number");
    assert!((1..=5000).contains(&millis), "{millis}");
    for name in ["cookie", "x-mcp-tenant", "x-forwarded-for", "proxy-authorization"] {
        assert!(!seen.contains_key(name), "{name}");
    }
    assert_eq!(heard.headers["x-request-id"], "my-request");
    assert_eq!(heard.headers["x-note"], "seen");
    assert!(!heard.headers.contains_key("x-mcp-inner") && !heard.headers.contains_key("set-cookie"));
    let timing = heard.headers["server-timing"].to_str().expect("text");
    assert!(
        timing.contains("edge;dur=") && timing.contains("upstream;dur=") && timing.contains("summarization")
    );
}

#[tokio::test]
async fn a_credential_is_exchanged_once_however_many_call_with_it() {
    let world = World::new().await;
    let token = world.token();
    let calls =
        (0..20).map(|_| world.send(post(SUMMARIZE, "application/grpc", Some(&token), wrap(0, &text("x")))));

    assert!(join_all(calls).await.iter().all(|heard| heard.code() == Code::Ok));
    assert_eq!(world.services.exchanges.load(Ordering::SeqCst), 1);
    let other = world.issuer.access_token(|claims| {
        claims.scope = ALICE.join(" ");
        claims.jti = "other".to_owned();
    });
    world.send(post(SUMMARIZE, "application/grpc", Some(&other), wrap(0, &text("x")))).await;
    assert_eq!(world.services.exchanges.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn who_signs_in_needs_no_token_and_sends_none_on() {
    let world = World::new().await;
    let path = "/mcp.auth.v1.AuthService/SignInLocally";
    let heard =
        world.send(post(path, "application/json", Some("junk"), r#"{"tenant":"acme","user":"alice"}"#)).await;

    assert_eq!((heard.status, heard.json()["role"].as_str()), (200, Some("owner")), "{heard:?}");
    assert!(!world.last_seen().contains_key("authorization"));
    assert_eq!(world.services.exchanges.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn what_a_service_refuses_is_passed_on_in_every_protocol() {
    let world = World::new().await;
    let token = world.token();

    for content_type in ["application/grpc", "application/grpc-web"] {
        let heard = world.send(post(SUMMARIZE, content_type, Some(&token), wrap(0, &text("refuse")))).await;
        assert_eq!(
            (heard.code(), heard.reason().as_str()),
            (Code::FailedPrecondition, "ENGINE_BUSY"),
            "{content_type}"
        );
    }
    let heard = world.send(post(SUMMARIZE, "application/json", Some(&token), r#"{"text":"refuse"}"#)).await;
    assert_eq!(
        (heard.status, heard.json()["code"].as_str()),
        (400, Some("failed_precondition")),
        "{heard:?}"
    );
    assert_eq!(heard.reason(), "ENGINE_BUSY");
    // What the rules of the proto file refuse names the field.
    let heard = world.send(post(SUMMARIZE, "application/json", Some(&token), "{}")).await;
    assert_eq!((heard.status, heard.reason().as_str()), (400, "FIELD_INVALID"), "{heard:?}");
}

#[tokio::test]
async fn health_is_for_everybody_and_the_api_is_described_to_those_who_may_read_it() {
    let world = World::new().await;
    let health = post("/grpc.health.v1.Health/Check", "application/json", None, "{}");
    assert_eq!(world.send(health).await.json()["status"], "SERVING");

    let path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    let ask = wrap(0, br#"{"listServices":""}"#);
    let refused = world.send(post(path, "application/connect+json", Some(&world.token()), ask.clone())).await;
    assert!(String::from_utf8_lossy(&refused.body).contains("permission_denied"), "{refused:?}");
    let reader = world.token_with(&["api.describe"]);
    let heard = world.send(post(path, "application/connect+json", Some(&reader), ask)).await;
    let listed = String::from_utf8_lossy(&heard.body).into_owned();
    assert!(
        listed.contains("mcp.context.v1.ContextService") && listed.contains("grpc.health.v1.Health"),
        "{listed}"
    );
    assert!(!listed.contains("mcp.ca.v1"), "{listed}");
}

#[tokio::test]
async fn keys_and_the_page_are_served() {
    let world = World::new().await;

    let jwks = world.send(get("/.well-known/jwks.json")).await;
    assert_eq!(
        (jwks.status, &jwks.headers["content-type"]),
        (200, &"application/jwk-set+json".parse().expect("a value"))
    );
    assert_eq!(jwks.json()["keys"][0]["kty"], "EC");
    assert_eq!(world.send(get("/readyz")).await.status, 200);
    let page = world.send_from(HOME, get("/")).await;
    assert!(page.headers["content-type"].to_str().expect("text").starts_with("text/html"));
}
