//! The `mcp` command as scripts use it: verbs, their output, and the codes of sysexits(3).

use std::process::{Command, Output};

use mcp_tests::{
    Mode, User, World, signer, tree,
    world::{binary, until},
};
use serde_json::Value;

#[tokio::test]
async fn a_token_is_printed_that_works() {
    let world = World::start().await;

    let printed =
        world.verb(&["token", "--tenant", "acme", "--user", "alice", "--role", "editor", "--ttl", "90s"]);
    let token = text(&printed);
    let claims = signer::part(&token, 1);
    assert_eq!((&claims["tenant"], &claims["sub"]), (&"acme".into(), &"alice".into()));
    assert_eq!(claims["exp"].as_i64().expect("a time") - claims["iat"].as_i64().expect("a time"), 90);
    let alice = User::bearing(&world, "acme", "alice", token);
    alice.creates("The plan").await.expect("stored");

    let told = json(
        &world
            .verb(&["token", "--tenant", "acme", "--user", "alice", "--role", "viewer", "--output", "json"]),
    );
    let viewer =
        User::bearing(&world, "acme", "alice", told["access_token"].as_str().expect("a token").to_owned());
    assert!(viewer.creates("no").await.is_err(), "the role is what it is now");
    assert!(told["expires_unix"].as_i64().is_some());
}

#[tokio::test]
async fn a_certificate_is_written_that_a_service_takes() {
    let world = World::start().await;
    let folder = world.scratch().join("client");
    let out = folder.display().to_string();

    text(&world.verb(&["cert", "--service", "gateway", "--out", &out]));

    let read = |name: &str| std::fs::read_to_string(folder.join(name)).expect("written");
    let identity = mcp_svid::Identity::from_pem(&read("cert.pem"), &read("key.pem")).expect("an identity");
    assert_eq!(identity.id().as_str(), "spiffe://mcp.local/service/gateway");
    assert_eq!(read("ca.pem"), world.identities().bundle().to_pem());
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(folder.join("key.pem")).expect("there").permissions().mode();
    assert_eq!(mode & 0o077, 0, "nobody else reads the key: {mode:o}");

    let told = json(&world.verb(&["join-token", "--service", "reports", "--output", "json"]));
    assert!(told["join_token"].as_str().is_some_and(|token| token.starts_with("join.")), "{told}");
}

#[tokio::test]
async fn every_line_of_the_quickstart_works_when_pasted() {
    let world = World::start_as(Mode::Up, "").await;
    let lines = until("the quickstart", async || {
        let log = world.log();
        let calls =
            |line: &&str| line.contains(" -d '") && (line.contains("grpcurl ") || line.starts_with("curl "));
        let lines: Vec<_> = log.lines().filter(calls).map(str::to_owned).collect();
        if lines.len() >= 2 { Ok(lines) } else { Err(log) }
    })
    .await;

    for line in lines {
        let tools = tree::root().join(".venv/bin");
        let path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap_or_default());
        let pasted = Command::new("bash").args(["-c", &line]).env("PATH", path).output().expect("bash runs");
        let said = String::from_utf8_lossy(&pasted.stderr);
        assert!(pasted.status.success(), "{line}\n{said}");
        let answer: Value = serde_json::from_slice(&pasted.stdout).expect("JSON");
        assert!(answer["summary"].as_str().is_some_and(|summary| !summary.is_empty()), "{line}\n{answer}");
    }
}

#[tokio::test]
async fn refusals_of_verbs_have_their_codes() {
    let world = World::start().await;

    for (arguments, code) in [
        (&["token", "--tenant", "acme", "--user", "alice"][..], 64),
        (&["token", "--tenant", "acme", "--user", "alice", "--role", "king"], 64),
        (&["token", "--tenant", "No Slug", "--user", "alice", "--role", "viewer"], 65),
        (&["token", "--tenant", "acme", "--user", "alice", "--role", "viewer", "--ttl", "0s"], 64),
        (&["cert", "--service", "No Name", "--out", "x"], 64),
    ] {
        let output = world.verb(arguments);
        assert_eq!(
            output.status.code(),
            Some(code),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn verbs_that_need_no_platform() {
    let version = text(&mcp(&["version"]));
    assert!(version.starts_with("mcp ") && version.contains(env!("CARGO_PKG_VERSION")), "{version}");
    assert_eq!(json(&mcp(&["version", "--output", "json"]))["version"], env!("CARGO_PKG_VERSION"));

    let policies = json(&mcp(&["policy", "show", "--output", "json"]));
    assert_eq!(policies.as_array().map(Vec::len), Some(mcp_proto::POLICIES.methods.len()));
    assert!(text(&mcp(&["policy", "show"])).contains("ContextService/GetContext"));
    assert!(
        text(&mcp(&["policy", "show", "--output", "markdown"]))
            .contains("| mcp.context.v1.ContextService/GetContext |")
    );

    let config = json(&mcp(&["config", "show", "--output", "json"]));
    assert_eq!(config["gateway"]["limits"]["ip"], "100/60s");
    assert_eq!(config["profile"], "development");
    text(&mcp(&["config", "show"]));
    for shell in ["bash", "zsh", "fish"] {
        assert!(text(&mcp(&["completions", shell])).contains("mcp"), "{shell}");
    }
    assert!(text(&mcp(&["--help"])).contains("mcp up"));
}

#[test]
fn the_environment_lies_over_the_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("mcp.toml");
    std::fs::write(&file, "[gateway.limits]\nip = \"5/60s\"\nstatic = \"6/60s\"").expect("written");
    let output = Command::new(binary())
        .args(["config", "show", "--output", "json", "--config"])
        .arg(&file)
        .env("MCP__GATEWAY__LIMITS__IP", "9/60s")
        .output()
        .expect("it runs");

    let config = json(&output);
    assert_eq!(
        (&config["gateway"]["limits"]["ip"], &config["gateway"]["limits"]["static"]),
        (&"9/60s".into(), &"6/60s".into())
    );
}

#[test]
fn mistakes_are_told_with_their_codes() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name).display().to_string();
    let (empty, nowhere) = (at("empty"), at("no-such.toml"));
    let wrong = at("wrong.toml");
    std::fs::write(&wrong, "[gateway]\nlimitz = 3").expect("written");
    let broken = at("broken.toml");
    std::fs::write(&broken, "[gateway").expect("written");
    let production = at("production.toml");
    std::fs::write(&production, "profile = \"production\"").expect("written");

    for (arguments, code, told) in [
        (vec!["no-such-verb"], 64, "no-such-verb"),
        (vec!["up", "--no-such-flag"], 64, "--no-such-flag"),
        (vec!["up", "--listen", "nowhere"], 64, "nowhere"),
        (vec!["up", "--data-dir", &empty, "--config", &nowhere], 78, "no-such.toml"),
        (vec!["up", "--data-dir", &empty, "--config", &wrong], 78, "limitz"),
        (vec!["up", "--data-dir", &empty, "--config", &broken], 78, "broken.toml"),
        (vec!["up", "--data-dir", &empty, "--config", &production], 78, "production"),
        (vec!["up", "--data-dir", &empty, "--listen", "0.0.0.0:0"], 78, "loopback"),
        (vec!["up", "--data-dir", &empty, "--listen", "[::]:0"], 78, "loopback"),
        (vec!["up", "--data-dir", &empty, "--listen", "192.0.2.1:0"], 78, "loopback"),
        (
            vec!["token", "--tenant", "acme", "--user", "a", "--role", "viewer", "--data-dir", &empty],
            69,
            "no platform runs",
        ),
        (vec!["serve", "context", "--config", &nowhere], 78, "no-such.toml"),
    ] {
        let output = mcp(&arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(told), "{arguments:?} should tell of {told:?}: {said}");
    }
}

#[test]
fn in_json_a_failure_is_json_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let empty = folder.path().display().to_string();
    let output = mcp(&[
        "token",
        "--tenant",
        "a1",
        "--user",
        "a",
        "--role",
        "viewer",
        "--data-dir",
        &empty,
        "--output",
        "json",
    ]);

    let said = String::from_utf8_lossy(&output.stderr);
    let line = said.lines().find(|line| line.starts_with('{')).unwrap_or_default();
    let failure: Value = serde_json::from_str(line).or_else(|_| serde_json::from_str(&said)).expect("JSON");
    assert!(failure.to_string().contains("no platform runs"), "{failure}");
}

#[tokio::test]
async fn a_folder_holds_one_platform_at_a_time() {
    let world = World::start_as(Mode::Up, "").await;
    let data = world.data_dir().display().to_string();

    let output = mcp(&["up", "--data-dir", &data, "--listen", "127.0.0.1:0"]);

    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(75), "{said}");
    assert!(said.contains("another platform runs in") && said.contains("--data-dir"), "{said}");
    world.user("acme", "alice", "editor").await.creates("undisturbed").await.expect("the first one goes on");
}

#[tokio::test]
async fn a_port_holds_one_platform_at_a_time() {
    let world = World::start_as(Mode::Up, "").await;
    let another = world.scratch().join("another").display().to_string();

    let output = mcp(&["up", "--data-dir", &another, "--listen", &world.layout().edge.to_string()]);

    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(74), "{said}");
    assert!(said.contains(&world.layout().edge.to_string()), "{said}");
}

fn mcp(arguments: &[&str]) -> Output {
    Command::new(binary()).args(arguments).output().expect("it runs")
}

#[track_caller]
fn text(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).expect("text").trim().to_owned()
}

#[track_caller]
fn json(output: &Output) -> Value {
    serde_json::from_str(&text(output)).expect("JSON")
}
