//! A document of real size, and one of a megabyte, through every door and in every protocol.

use std::{
    io::Write as _,
    path::PathBuf,
    process::{Command, Stdio},
};

use mcp_proto::{
    context::v1::{AppendMessagesResponse, ListMessagesRequest, ListMessagesResponse},
    summarization::v1::{SummarizeResponse, SummarizeStreamRequest},
};
use mcp_tests::{
    Service, User, World, document, real_document,
    user::{appending, summarizing},
    web::{self, Form, Http},
};
use serde_json::{Value, json};

const APPEND: &str = "/mcp.context.v1.ContextService/AppendMessages";
const LIST: &str = "/mcp.context.v1.ContextService/ListMessages";
const SUMMARIZE: &str = "/mcp.summarization.v1.SummarizationService/Summarize";

/// Words that a summary may have.
const WORDS: u32 = 80;

#[tokio::test]
async fn by_native_grpc_through_the_gateway() {
    let world = World::start().await;
    let alice = world.user("acme", "alice", "editor").await;
    let plan = alice.creates("documents").await.expect("stored").name;

    for text in documents() {
        alice.appends(&plan, &[&text]).await.expect("appended");
        let summary = alice.summarizes(&text, WORDS).await.expect("summarised");
        assert_is_summary(&summary, &text);
    }

    let texts: Vec<_> =
        alice.messages(&plan).await.expect("read").into_iter().map(|message| message.text).collect();
    assert!(texts == documents(), "what was read is what was stored, byte by byte");
}

#[tokio::test]
async fn in_a_stream_through_the_gateway() {
    let world = World::start().await;
    let alice = world.user("acme", "alice", "editor").await;

    for text in documents() {
        let whole = alice.summarizes(&text, WORDS).await.expect("summarised");
        let request = summarizing(&text, WORDS);
        let request =
            SummarizeStreamRequest { text: request.text, length: request.length, ..Default::default() };
        let mut stream = alice.summaries().summarize_stream(request).await.expect("a stream").into_inner();
        let (mut summary, mut parts, mut done) = (String::new(), 0, false);
        while let Some(part) = stream.message().await.expect("a part") {
            assert!(!done, "nothing follows the last message");
            summary.push_str(&part.summary);
            parts += 1;
            done = part.done;
        }
        assert!(done && parts > 1, "{parts} parts");
        assert_eq!(summary, whole.summary, "the parts, joined, are the whole");
    }
}

#[tokio::test]
async fn by_grpc_web_binary_and_text_over_http_1_and_2() {
    let world = World::start().await;
    let alice = world.user("acme", "alice", "editor").await;

    for http in [Http::One, Http::Two] {
        let client = web::client(&world, http);
        for form in [Form::Binary, Form::Text] {
            let plan = alice.creates("documents").await.expect("stored").name;
            for text in documents() {
                let append = appending(&plan, &[&text]);
                let answer: AppendMessagesResponse =
                    web::grpc_web(&client, &alice, APPEND, form, &append).await.expect("appended");
                assert_eq!(answer.messages.len(), 1);
                let summary: SummarizeResponse =
                    web::grpc_web(&client, &alice, SUMMARIZE, form, &summarizing(&text, WORDS))
                        .await
                        .expect("summarised");
                assert_is_summary(&summary, &text);
            }
            let list = ListMessagesRequest { parent: plan, ..ListMessagesRequest::default() };
            let page: ListMessagesResponse =
                web::grpc_web(&client, &alice, LIST, form, &list).await.expect("read");
            let texts: Vec<_> = page.messages.into_iter().map(|message| message.text).collect();
            assert!(texts == documents(), "{http:?} {form:?}: what was read is what was stored");
        }
    }
}

#[tokio::test]
async fn by_connect_in_json_over_http_1_and_2() {
    let world = World::start().await;
    let alice = world.user("acme", "alice", "editor").await;

    for http in [Http::One, Http::Two] {
        let client = web::client(&world, http);
        let plan = alice.creates("documents").await.expect("stored").name;
        for text in documents() {
            let append = json!({"parent": plan, "messages": [{"role": "ROLE_USER", "text": text}]});
            let answer = web::connect(&client, &alice, APPEND, &append).await;
            assert_eq!(answer.status(), 200, "{http:?}: {}", answer.text().await.unwrap_or_default());

            let request = json!({"text": text, "length": {"maxWords": WORDS}});
            let answer = web::connect(&client, &alice, SUMMARIZE, &request).await;
            assert_eq!(answer.status(), 200);
            assert_eq!(answer.headers()["content-type"], "application/json");
            let answer: Value = answer.json().await.expect("JSON");
            assert_is_text_of_summary(answer["summary"].as_str().expect("a summary"), &text);
        }
        let page: Value =
            web::connect(&client, &alice, LIST, &json!({"parent": plan})).await.json().await.expect("JSON");
        let texts: Vec<_> =
            page["messages"].as_array().expect("messages").iter().map(|it| it["text"].clone()).collect();
        assert!(texts == documents(), "{http:?}: what was read is what was stored");
    }
}

#[tokio::test]
async fn by_native_grpc_on_a_services_own_port() {
    let world = World::start().await;
    let on_context = User::on_the_mesh(&world, Service::Context, "acme", "alice", "editor").await;
    let on_summarization = User::on_the_mesh(&world, Service::Summarization, "acme", "alice", "editor").await;
    let plan = on_context.creates("documents").await.expect("stored").name;

    for text in documents() {
        on_context.appends(&plan, &[&text]).await.expect("appended");
        assert_is_summary(&on_summarization.summarizes(&text, WORDS).await.expect("summarised"), &text);
    }

    let texts: Vec<_> =
        on_context.messages(&plan).await.expect("read").into_iter().map(|message| message.text).collect();
    assert!(texts == documents());
}

#[tokio::test]
async fn by_grpcurl_at_the_edge_and_with_a_certificate_on_a_services_own_port() {
    let world = World::start().await;
    let alice = world.user("acme", "alice", "editor").await;
    let edge = world.layout().edge.to_string();
    let edge_ca = world.layout().edge_ca.display().to_string();
    let bearer = format!("authorization: Bearer {}", alice.token());

    let folder = world.scratch().join("client");
    let out = folder.display().to_string();
    let made = world.verb(&["cert", "--service", "gateway", "--out", &out]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let file = |name: &str| folder.join(name).display().to_string();
    let (cert, key, roots) = (file("cert.pem"), file("key.pem"), file("ca.pem"));
    let verb = ["token", "--tenant", "acme", "--user", "alice", "--role", "editor", "--bind", &cert];
    let bound = world.verb(&verb);
    assert!(bound.status.success(), "{}", String::from_utf8_lossy(&bound.stderr));
    let bound = format!("authorization: Bearer {}", String::from_utf8_lossy(&bound.stdout).trim());
    let port = world.port_of(Service::Summarization).to_string();

    for text in documents() {
        let request = json!({"text": text, "length": {"maxWords": WORDS}}).to_string();
        let at_the_edge = ["-cacert", &edge_ca, "-H", &bearer, "-d", "@", &edge, &SUMMARIZE[1..]];
        let own = [
            "-cacert",
            &roots,
            "-cert",
            &cert,
            "-key",
            &key,
            "-H",
            &bound,
            "-d",
            "@",
            &port,
            &SUMMARIZE[1..],
        ];
        for arguments in [&at_the_edge[..], &own[..]] {
            let answer = grpcurl(arguments, &request).unwrap_or_else(|said| panic!("{said}"));
            assert_is_text_of_summary(answer["summary"].as_str().expect("a summary"), &text);
        }
    }

    let refused = grpcurl(&["-cacert", &roots, "-H", &bound, "-d", "{}", &port, &SUMMARIZE[1..]], "")
        .expect_err("no certificate");
    assert!(!refused.contains("Code:"), "it gets past no handshake: {refused}");
    let refused =
        grpcurl(&["-cacert", &edge_ca, "-d", "{}", &edge, &SUMMARIZE[1..]], "").expect_err("no token");
    assert!(refused.contains("Unauthenticated") || refused.contains("authorization"), "{refused}");
}

/// Runs grpcurl with `input`, and reads what it says: without it this has not been shown, so it is not passed over.
fn grpcurl(arguments: &[&str], input: &str) -> Result<Value, String> {
    let installed = mcp_tests::tree::root().join(".venv/bin/grpcurl");
    let command = if installed.exists() { installed } else { PathBuf::from("grpcurl") };
    // A megabyte of text is more than grpcurl takes by default.
    let mut child = Command::new(command)
        .args(["-max-msg-sz", "8388608", "-max-time", "60"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("grpcurl is installed: `make tools`");
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().expect("it ends");
    let _ = writer.join();
    if output.status.success() {
        Ok(serde_json::from_slice(&output.stdout).expect("JSON"))
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

fn documents() -> [String; 2] {
    [real_document(), document(1_048_576)]
}

#[track_caller]
fn assert_is_summary(summary: &SummarizeResponse, text: &str) {
    assert_is_text_of_summary(&summary.summary, text);
    assert!(summary.semantic_score > 0.0 && summary.semantic_score <= 1.0, "{}", summary.semantic_score);
    assert!(summary.summary_words <= WORDS && summary.source_words > 1000, "{summary:?}");
    for span in &summary.source_spans {
        let (start, end) = (span.start_byte as usize, span.end_byte as usize);
        assert!(start < end && text.get(start..end).is_some(), "{span:?} cuts no character");
    }
}

#[track_caller]
fn assert_is_text_of_summary(summary: &str, text: &str) {
    assert!(!summary.trim().is_empty());
    assert!(summary.len() * 4 < text.len(), "{} of {}", summary.len(), text.len());
}
