//! The audit logs of a running platform: a write has its row, and what anybody changes is found.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use mcp_tests::{
    User, World,
    world::{Service, binary, until},
};
use serde_json::Value;

#[tokio::test]
async fn what_a_tenant_did_is_in_the_tenants_own_log_and_every_log_is_sound() {
    let world = World::start().await;
    let alice = world.user("acme", "alice", "owner").await;
    for at in 0..5 {
        alice.creates(&format!("plan {at}")).await.expect("stored");
    }
    let mallory = world.user("globex", "mallory", "editor").await;
    mallory.creates("another").await.expect("stored");

    signed(&world, "acme", 5).await;
    signed(&world, "globex", 1).await;
    let told = verified(&world, &[]);
    assert!(told.iter().all(|log| log["sound"] == true), "{told:#?}");
    for log in ["ca", "auth", "context", "context/acme", "context/globex", "summarization", "gateway"] {
        assert!(told.iter().any(|it| it["log"] == log), "{log} among {told:#?}");
    }
    // The tenant's rows are sealed, and stand nowhere else.
    let context = std::fs::read_to_string(folder(&world).join("context/audit.jsonl")).expect("readable");
    assert!(!context.contains("alice") && !context.contains("acme"), "{context}");
    let acme = std::fs::read(folder(&world).join("context/tenants/acme.db")).expect("readable");
    assert!(!acme.windows(5).any(|window| window == b"alice"), "who wrote is sealed");
}

#[tokio::test]
async fn every_acknowledged_write_has_its_row_after_a_kill() {
    let mut world = World::start().await;
    let alice = world.user("acme", "alice", "owner").await;
    alice.creates("before").await.expect("stored");
    let writers: Vec<_> = (0..4).map(|_| tokio::spawn(write_until_it_fails(alice.clone()))).collect();
    tokio::time::sleep(std::time::Duration::from_millis(700)).await;
    world.kill();
    let mut acknowledged = 1;
    for writer in writers {
        acknowledged += writer.await.expect("a writer");
    }
    assert!(acknowledged > 1, "nothing was written before the kill");

    world.restart().await;
    let alice = world.user("acme", "alice", "owner").await;
    alice.creates("after").await.expect("stored");
    let log = signed(&world, "acme", acknowledged + 1).await;
    let contexts = alice.lists(1000).await.expect("listed").len() as u64;
    assert!(
        log["size"].as_u64() >= Some(contexts),
        "{contexts} contexts, {acknowledged} acknowledged, and {log}"
    );
    let told = verified(&world, &[]);
    assert!(told.iter().all(|log| log["sound"] == true), "{told:#?}");
}

#[tokio::test]
async fn an_edited_dropped_moved_or_cut_row_is_found_on_the_disk() {
    let mut world = World::start().await;
    let alice = world.user("acme", "alice", "owner").await;
    alice.creates("plan").await.expect("stored");
    signed(&world, "acme", 1).await;
    world.stop().await;
    let kept = world.scratch().join("kept");
    let checkpoint = audit(&world, &["checkpoint", "--service", "auth"]);
    assert!(checkpoint.status.success());
    std::fs::write(&kept, checkpoint.stdout).expect("written");
    assert!(verified(&world, &[]).iter().all(|log| log["sound"] == true));

    let rows = folder(&world).join("auth/audit.jsonl");
    let whole = std::fs::read_to_string(&rows).expect("readable");
    let lines: Vec<_> = whole.lines().map(str::to_owned).collect();
    assert!(lines.len() >= 2, "{whole}");
    let edit = |edit: &dyn Fn(&mut Vec<String>)| {
        let mut lines = lines.clone();
        edit(&mut lines);
        std::fs::write(&rows, lines.join("\n") + "\n").expect("written");
    };
    for (what, change) in [
        (
            "edited",
            &(|lines: &mut Vec<String>| lines[0] = lines[0].replace("allow", "deny"))
                as &dyn Fn(&mut Vec<String>),
        ),
        ("dropped", &|lines| drop(lines.remove(0))),
        ("moved", &|lines| lines.swap(0, 1)),
        ("cut", &|lines| drop(lines.pop())),
    ] {
        edit(change);
        let output = audit(&world, &["verify", "--service", "auth"]);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(65), "{what}: {said}");
        assert!(said.contains("CHANGED auth"), "{what}: {said}");
    }

    // Whoever holds the key can sign what is left, and is found by the checkpoint that was kept.
    edit(&|lines| drop(lines.pop()));
    for file in ["audit.checkpoint", "audit.tree"] {
        std::fs::remove_file(folder(&world).join("auth").join(file)).expect("removed");
    }
    world.restart().await;
    world.stop().await;
    let kept = kept.display().to_string();
    let output = audit(&world, &["verify", "--service", "auth", "--against", &kept]);
    assert_eq!(output.status.code(), Some(65), "{}", String::from_utf8_lossy(&output.stdout));
}

#[tokio::test]
async fn a_service_does_not_go_on_with_a_log_that_was_changed() {
    let mut world = World::start().await;
    world.user("acme", "alice", "owner").await;
    world.stop().await;
    let rows = folder(&world).join("auth/audit.jsonl");
    let whole = std::fs::read_to_string(&rows).expect("readable");
    std::fs::write(&rows, whole.replace("allow", "deny")).expect("written");
    std::fs::remove_file(folder(&world).join("auth/audit.tree")).expect("removed");
    assert_eq!(audit(&world, &["verify", "--service", "auth"]).status.code(), Some(65));

    let output = Command::new(binary())
        .args(["up", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(folder(&world))
        .output()
        .expect("it ends by itself");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(78), "{said}");
    assert!(said.contains("the audit log was changed") && said.contains("mcp audit verify"), "{said}");
}

#[tokio::test]
async fn one_request_id_finds_its_rows() {
    let world = World::start().await;
    let alice = world.user("acme", "alice", "viewer").await;
    let refusal = alice.creates("no permission").await.expect_err("refused");
    let id = refusal.metadata().get("x-request-id").expect("an id").to_str().expect("text").to_owned();
    until("the row of the refusal", async || {
        let output = audit(&world, &["list", "--request-id", &id, "--output", "json"]);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        match said.lines().any(|line| line.contains("PERMISSION_MISSING") && line.contains(&id)) {
            true => Ok(()),
            false => Err(said),
        }
    })
    .await;
    let denied = audit(&world, &["list", "--decision", "allow", "--request-id", &id, "--output", "json"]);
    assert!(!String::from_utf8_lossy(&denied.stdout).contains("PERMISSION_MISSING"));
}

async fn write_until_it_fails(alice: User) -> u64 {
    for written in 0.. {
        if alice.creates(&format!("plan {written}")).await.is_err() {
            return written;
        }
    }
    0
}

/// The tenant's log in context once a checkpoint covers so many rows.
async fn signed(world: &World, tenant: &str, rows: u64) -> Value {
    until("a checkpoint of a tenant's log", async || {
        let output =
            audit(world, &["checkpoint", "--service", "context", "--tenant", tenant, "--output", "json"]);
        let told: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        match told["size"].as_u64() {
            Some(size) if size >= rows => Ok(told),
            _ => Err(format!("{told} {}", String::from_utf8_lossy(&output.stderr))),
        }
    })
    .await
}

fn verified(world: &World, arguments: &[&str]) -> Vec<Value> {
    let output = audit(world, &[&["verify", "--output", "json"], arguments].concat());
    let told: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    told.as_array().expect("a list").clone()
}

fn audit(world: &World, arguments: &[&str]) -> Output {
    let mut command = Command::new(binary());
    command.arg("audit").args(arguments).arg("--data-dir").arg(folder(world));
    command.output().expect("the command runs")
}

/// The folder with each service's own below it.
fn folder(world: &World) -> PathBuf {
    world.layout().state[&Service::Context].parent().map(Path::to_owned).expect("a folder above")
}
