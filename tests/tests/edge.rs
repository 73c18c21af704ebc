//! What every answer of the gateway carries, whom it lets read it, and how often it is asked.

use http::{Method, StatusCode};
use mcp_tests::{
    User, World, audit, reason,
    web::{self, Http},
};
use reqwest::{Client, Response};
use serde_json::{Value, json};
use tonic::Code;
use tonic_types::StatusExt as _;

const GET: &str = "/mcp.context.v1.ContextService/GetContext";
const SIGN_IN: &str = "/mcp.auth.v1.AuthService/SignInLocally";

#[tokio::test]
async fn every_answer_carries_the_security_headers_whatever_it_is() {
    let world = World::start_with("[gateway.limits]\nip = \"40/60s\"\nstatic = \"100/60s\"").await;
    let alice = world.user("acme", "alice", "viewer").await;

    for http in [Http::One, Http::Two] {
        let client = web::client(&world, http);
        let mut answers = Vec::new();
        for path in [
            "/",
            "/healthz",
            "/readyz",
            "/.well-known/jwks.json",
            "/no/such/page",
            "/..%2f",
            "/assets/none.js",
        ] {
            answers.push((path.to_owned(), get(&client, &world, path).await));
        }
        for method in [Method::PUT, Method::DELETE, Method::OPTIONS, Method::HEAD, Method::TRACE] {
            let request = client.request(method.clone(), format!("{}/healthz", world.url()));
            answers.push((format!("{method} /healthz"), request.send().await.expect("an answer")));
        }
        let bad_id = client.get(format!("{}/healthz", world.url())).header("x-request-id", "no such id!");
        answers.push(("a bad request ID".to_owned(), bad_id.send().await.expect("an answer")));
        for (what, content_type) in [
            ("gRPC-Web", "application/grpc-web+proto"),
            ("gRPC-Web text", "application/grpc-web-text"),
            ("JSON", "application/json"),
            ("no protocol", "text/html"),
        ] {
            let request = client.post(format!("{}{GET}", world.url())).header("content-type", content_type);
            answers.push((format!("{what} without a token"), request.send().await.expect("an answer")));
        }
        answers.push((
            "an answer".to_owned(),
            web::connect(&client, &alice, "/mcp.auth.v1.TenantService/GetTenant", &json!({})).await,
        ));
        answers.push((
            "a refusal of a service".to_owned(),
            web::connect(&client, &alice, GET, &json!({"name": "x"})).await,
        ));
        answers.push((
            "no method".to_owned(),
            web::connect(&client, &alice, "/no.Such/Method", &json!({})).await,
        ));
        for (what, answer) in answers {
            assert_carries_security_headers(&what, &answer);
        }
    }

    // And once there is no more to be had.
    let client = web::client(&world, Http::Two);
    let mut limited = 0;
    for _ in 0..60 {
        let answer = web::connect(&client, &alice, GET, &json!({"name": "x"})).await;
        limited += u32::from(answer.status() == StatusCode::TOO_MANY_REQUESTS);
        assert_carries_security_headers("limited", &answer);
    }
    assert!(limited > 0);
}

#[tokio::test]
async fn an_address_has_exactly_what_it_is_given_in_a_window() {
    let world = World::start_with("[gateway.limits]\nip = \"7/60s\"").await;
    let alice = world.user("acme", "alice", "viewer").await;
    let client = web::client(&world, Http::Two);
    let (mut answered, mut limited) = (0, 0);

    for _ in 0..20 {
        let answer = web::connect(&client, &alice, "/mcp.auth.v1.TenantService/GetTenant", &json!({})).await;
        if answer.status() == StatusCode::OK {
            assert_eq!(limited, 0, "once refused, it stays so");
            answered += 1;
            continue;
        }
        limited += 1;
        assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
        let headers = answer.headers();
        let seconds: u64 = headers["retry-after"].to_str().expect("text").parse().expect("seconds");
        assert!((1..=60).contains(&seconds), "{seconds}");
        assert_eq!(
            (&headers["ratelimit-limit"], &headers["ratelimit-remaining"]),
            (&"7".parse().expect("a value"), &"0".parse().expect("a value"))
        );
        let said: Value = answer.json().await.expect("JSON");
        assert_eq!(said["code"], "resource_exhausted");
        assert!(
            said["message"].as_str().expect("words").contains("exponential backoff and jitter"),
            "{said}"
        );
    }
    assert_eq!((answered, limited), (7, 13));

    // The address, not the user or the protocol; health is a class of its own.
    let bob = world.user("globex", "bob", "editor").await;
    let refusal = bob.creates("no").await.expect_err("the same address");
    assert_eq!((refusal.code(), reason(&refusal).as_str()), (Code::ResourceExhausted, "RATE_LIMITED"));
    assert!(refusal.get_details_retry_info().and_then(|info| info.retry_delay).is_some(), "{refusal:?}");
    assert_eq!(get(&client, &world, "/healthz").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn nobody_is_believed_who_says_that_he_is_another_address() {
    let world = World::start_with("[gateway.limits]\nip = \"3/60s\"").await;
    let client = web::client(&world, Http::Two);

    let mut answers = Vec::new();
    for at in 0..6 {
        let request = client
            .post(format!("{}{SIGN_IN}", world.url()))
            .header("x-forwarded-for", format!("203.0.113.{at}"));
        let body = json!({"tenant": "acme", "user": "alice"});
        answers.push(request.json(&body).send().await.expect("an answer").status().as_u16());
    }

    assert_eq!(answers, [200, 200, 200, 429, 429, 429]);
}

#[tokio::test]
async fn a_member_has_a_budget_for_each_kind_of_call_and_a_colleague_has_his_own() {
    let world = World::start_with("[mesh.quotas]\nwrite = 5").await;
    let alice = world.user("acme", "alice", "editor").await;
    let bob = world.user("acme", "bob", "editor").await;

    let mut refusals = Vec::new();
    for at in 0..8 {
        if let Err(refusal) = alice.creates(&format!("number {at}")).await {
            refusals.push(refusal);
        }
    }
    // Within the minute at most one more comes back.
    assert!((2..=3).contains(&refusals.len()), "{refusals:?}");
    for refusal in &refusals {
        assert_eq!((refusal.code(), reason(refusal).as_str()), (Code::ResourceExhausted, "QUOTA"));
        assert!(refusal.get_details_retry_info().and_then(|info| info.retry_delay).is_some(), "{refusal:?}");
    }
    alice.lists(50).await.expect("reads have a budget of their own");
    bob.creates("his own").await.expect("so has a colleague");
}

#[tokio::test]
async fn a_request_keeps_its_id_through_the_mesh() {
    let world = World::start().await;
    let alice = world.user("acme", "alice", "viewer").await;
    let client = web::client(&world, Http::Two);

    let url = format!("{}/mcp.auth.v1.TenantService/GetTenant", world.url());
    let request = client.post(&url).bearer_auth(alice.token()).header("x-request-id", "trace.me-1");
    let answer = request.json(&json!({})).send().await.expect("an answer");
    assert_eq!(answer.headers()["x-request-id"], "trace.me-1");
    mcp_tests::world::until("its row in auth's log", async || {
        let rows = audit::of_request(&audit::rows(&world), "trace.me-1");
        let told =
            rows.iter().any(|row| row.method.as_ref().is_some_and(|method| method.ends_with("GetTenant")));
        if told { Ok(()) } else { Err(format!("{rows:?}")) }
    })
    .await;

    let drawn =
        get(&client, &world, "/healthz").await.headers()["x-request-id"].to_str().expect("text").to_owned();
    assert_eq!(drawn.len(), 36, "{drawn}");
    let long = "a".repeat(65);
    for malformed in ["", "a b", "a/b", "x\u{e9}", long.as_str()] {
        let answer = client
            .get(format!("{}/healthz", world.url()))
            .header("x-request-id", malformed)
            .send()
            .await
            .expect("an answer");
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{malformed:?}");
        assert_ne!(answer.headers()["x-request-id"].as_bytes(), malformed.as_bytes(), "it is not repeated");
    }
}

#[tokio::test]
async fn pages_of_other_origins_read_nothing_unless_they_are_listed() {
    let world = World::start_with("[gateway]\norigins = [\"https://app.example\"]").await;
    let alice = world.user("acme", "alice", "viewer").await;
    let client = web::client(&world, Http::Two);
    let preflight = async |origin: &str| {
        let url = format!("{}{GET}", world.url());
        let request = client.request(Method::OPTIONS, url).header("origin", origin);
        request.header("access-control-request-method", "POST").send().await.expect("an answer")
    };

    let listed = preflight("https://app.example").await;
    assert_eq!(listed.status(), StatusCode::NO_CONTENT);
    assert_eq!(listed.headers()["access-control-allow-origin"], "https://app.example");
    assert_eq!(listed.headers()["access-control-max-age"], "7200");
    let allowed = listed.headers()["access-control-allow-headers"].to_str().expect("text");
    for name in ["authorization", "content-type", "x-grpc-web", "x-tenant-id", "x-request-id", "grpc-timeout"]
    {
        assert!(allowed.contains(name), "{name}: {allowed}");
    }

    for trick in [
        "null",
        "https://app.example.evil.test",
        "https://evil-app.example",
        "http://app.example",
        "https://APP.example",
        "https://app.example:443",
        "",
    ] {
        let answer = preflight(trick).await;
        assert!(
            !answer.headers().keys().any(|name| name.as_str().starts_with("access-control-")),
            "{trick}: {answer:?}"
        );
    }

    for (origin, reads) in [("https://app.example", true), ("https://evil.test", false)] {
        for token in [alice.token(), "none"] {
            let request =
                client.post(format!("{}{GET}", world.url())).bearer_auth(token).header("origin", origin);
            let answer = request.json(&json!({})).send().await.expect("an answer");
            assert_eq!(
                answer.headers().contains_key("access-control-allow-origin"),
                reads,
                "{origin}, refused or not"
            );
            assert!(
                answer
                    .headers()
                    .get_all("vary")
                    .iter()
                    .any(|value| value.to_str().is_ok_and(|it| it.contains("origin")))
            );
        }
    }
}

#[tokio::test]
async fn without_configuration_no_other_origin_reads_anything() {
    let world = World::start().await;
    let client = web::client(&world, Http::Two);

    let request = client.get(format!("{}/healthz", world.url())).header("origin", "https://app.example");
    let answer = request.send().await.expect("an answer");

    assert!(!answer.headers().keys().any(|name| name.as_str().starts_with("access-control-")), "{answer:?}");
}

#[tokio::test]
async fn health_and_keys_are_open_to_all() {
    let world = World::start().await;
    let client = web::client(&world, Http::Two);

    let healthz = get(&client, &world, "/healthz").await;
    assert_eq!((healthz.status(), healthz.text().await.expect("text").trim()), (StatusCode::OK, "ok"));
    mcp_tests::world::until("every service serves", async || {
        let readyz = get(&client, &world, "/readyz").await;
        let status = readyz.status();
        let said: Value = readyz.json().await.expect("JSON");
        let all = ["auth", "context", "summarization"].iter().all(|name| said["upstreams"][name] == true);
        if status == StatusCode::OK && said["ready"] == true && all { Ok(()) } else { Err(said.to_string()) }
    })
    .await;

    let keys = get(&client, &world, "/.well-known/jwks.json").await;
    assert_eq!(keys.headers()["content-type"], "application/jwk-set+json");
    let keys: Value = keys.json().await.expect("JSON");
    let key = &keys["keys"][0];
    assert_eq!(
        (&key["kty"], &key["crv"], &key["alg"], &key["use"]),
        (&json!("EC"), &json!("P-256"), &json!("ES256"), &json!("sig"))
    );
    assert!(
        key["d"].is_null() && keys["keys"].as_array().map(Vec::len) == Some(1),
        "the public half of one key: {keys}"
    );

    // With them anybody can verify an access token.
    let alice = world.user("acme", "alice", "viewer").await;
    let entry = mcp_tenancy::IssuerKeys {
        kind: mcp_tenancy::TokenKind::Access,
        issuer: mcp_tests::signer::part(alice.token(), 1)["iss"].as_str().expect("iss").to_owned(),
        audience: mcp_tests::signer::part(alice.token(), 1)["aud"].as_str().expect("aud").to_owned(),
        jwks: keys.to_string(),
    };
    let verifier = mcp_tenancy::Verifier::new(entry, mcp_proto::POLICIES).expect("usable keys");
    let now = mcp_types::Clock::now(&mcp_types::SystemClock);
    assert_eq!(verifier.verify(alice.token(), now).expect("verified").user().as_str(), "alice");
}

#[tokio::test]
async fn whoever_signs_in_locally_gets_a_token_that_works() {
    let world = World::start().await;
    let client = web::client(&world, Http::One);

    let signed_in = async |user: &str| -> Value {
        let request = client.post(format!("{}{SIGN_IN}", world.url()));
        let answer = request.json(&json!({"tenant": "acme", "user": user})).send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::OK);
        answer.json().await.expect("JSON")
    };
    let (olga, eve) = (signed_in("olga").await, signed_in("eve").await);
    assert_eq!(
        (&olga["role"], &eve["role"]),
        (&json!("owner"), &json!("editor")),
        "the first one owns the tenant"
    );

    let token = eve["accessToken"].as_str().expect("a token").to_owned();
    let eve = User::bearing(&world, "acme", "eve", token);
    eve.creates("The plan").await.expect("stored");
}

#[tokio::test]
async fn only_what_is_spoken_here_is_answered() {
    let world = World::start().await;
    let alice = world.user("acme", "alice", "viewer").await;
    for http in [Http::One, Http::Two] {
        let client = web::client(&world, http);
        let mut types = vec![
            "",
            "text/plain",
            "application/x-www-form-urlencoded",
            "application/json; charset=utf-16",
            "application/grpc-web+json",
            "multipart/form-data",
        ];
        if http == Http::One {
            types.push("application/grpc");
        }
        for content_type in types {
            let request = client.post(format!("{}{GET}", world.url())).bearer_auth(alice.token());
            let answer =
                request.header("content-type", content_type).body("{}").send().await.expect("an answer");
            assert_eq!(answer.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE, "{http:?} {content_type:?}");
        }
        let answer = get(&client, &world, GET).await;
        assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
    }
}

#[tokio::test]
async fn a_method_that_is_not_let_out_looks_like_none_in_every_protocol() {
    let world = World::start().await;
    let alice = world.user("acme", "alice", "owner").await;
    let client = web::client(&world, Http::Two);

    let mut answers = Vec::new();
    for path in [
        "/mcp.auth.v1.AuthService/ExchangeCredential",
        "/mcp.ca.v1.CertificateAuthorityService/CreateJoinToken",
        "/no.Such/Method",
    ] {
        let answer = web::connect(&client, &alice, path, &json!({})).await;
        let status = answer.status();
        answers.push((status, answer.json::<Value>().await.expect("JSON")));
    }

    assert_eq!(answers[0].0, StatusCode::NOT_FOUND);
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:?}");
}

#[tokio::test]
async fn in_json_a_refusal_says_as_much_as_in_grpc() {
    let world = World::start().await;
    let alice = world.user("acme", "alice", "viewer").await;
    let client = web::client(&world, Http::One);

    let answer = web::connect(
        &client,
        &alice,
        "/mcp.context.v1.ContextService/CreateContext",
        &json!({"context": {}}),
    )
    .await;
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    let said: Value = answer.json().await.expect("JSON");
    assert_eq!(
        (&said["code"], &said["message"]),
        (&json!("permission_denied"), &json!("needs permission `context.write`"))
    );
    assert_eq!(said["details"][0]["type"], "google.rpc.ErrorInfo", "{said}");

    let answer = web::connect(&client, &alice, GET, &json!({"name": "contexts/none"})).await;
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    let said: Value = answer.json().await.expect("JSON");
    assert!(said["message"].as_str().expect("words").contains("`name`"), "it names the field: {said}");
    let types: Vec<_> =
        said["details"].as_array().expect("details").iter().map(|it| it["type"].clone()).collect();
    assert!(types.contains(&json!("google.rpc.BadRequest")), "{said}");
}

async fn get(client: &Client, world: &World, path: &str) -> Response {
    client.get(format!("{}{path}", world.url())).send().await.expect("an answer")
}

#[track_caller]
fn assert_carries_security_headers(what: &str, answer: &Response) {
    let header =
        |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("x-xss-protection", "1; mode=block"),
        ("strict-transport-security", "max-age=31536000; includeSubDomains"),
        ("referrer-policy", "strict-origin-when-cross-origin"),
    ] {
        assert_eq!(header(name), value, "{what}, {}: {name}", answer.status());
    }
    let policy = header("content-security-policy");
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{what}: {policy:?}");
    assert!(!header("x-request-id").is_empty(), "{what}");
    assert!(answer.headers().get("server").is_none(), "{what}: it does not say what it is made of");
}
