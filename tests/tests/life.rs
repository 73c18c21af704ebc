//! Starting, stopping, being killed: what a process promises beyond its calls.

use std::{
    io::{Read as _, Write as _},
    process::{Command, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use mcp_tests::{
    Mode, User, World, document,
    metrics::Metrics,
    user::summarizing,
    web::{self, Http},
    wire::{Wire, framed},
    world::{Service, binary},
};
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{Instant, sleep};
use tonic::Code;

/// How often the platform is killed.
const KILLS: usize = 20;

#[tokio::test]
async fn whatever_was_acknowledged_survives_a_kill_at_any_moment() {
    let mut world = World::start().await;
    let mut acknowledged: Vec<(String, String)> = Vec::new();

    for round in 0..KILLS {
        let alice = world.user("acme", "alice", "editor").await;
        let plan = alice.creates(&format!("round {round}")).await.expect("stored").name;
        let written = Arc::new(Mutex::new(Vec::new()));
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let (alice, plan, written) = (alice.clone(), plan.clone(), Arc::clone(&written));
                tokio::spawn(async move {
                    for at in 0.. {
                        let text = format!("round {round}, writer {writer}, number {at}");
                        let Ok(messages) = alice.appends(&plan, &[&text]).await else { return };
                        let name = messages[0].name.clone();
                        written.lock().unwrap_or_else(PoisonError::into_inner).push((name, text));
                    }
                })
            })
            .collect();
        // At another moment each time.
        sleep(Duration::from_millis(60 + 17 * round as u64)).await;
        world.kill();
        for writer in writers {
            writer.await.expect("a writer");
        }
        let of_round = std::mem::take(&mut *written.lock().unwrap_or_else(PoisonError::into_inner));
        assert!(!of_round.is_empty(), "round {round}: nothing was written before the kill");
        acknowledged.extend(of_round);
        world.restart().await;
        assert_all_there(&world, &acknowledged).await;
    }
}

#[tokio::test]
async fn asked_to_stop_it_finishes_what_it_began_and_ends_well() {
    let mut world = World::start().await;
    let alice = world.user("acme", "alice", "editor").await;
    alice.creates("warm").await.expect("stored");
    let text = document(4_000_000);
    let in_flight: Vec<_> = (0..4)
        .map(|_| {
            let (alice, request) = (alice.clone(), summarizing(&text, 100));
            tokio::spawn(async move { alice.summaries().summarize(request).await })
        })
        .collect();
    wait_for_calls_in_flight(&world).await;

    let ended = world.stop().await;

    for status in ended {
        assert_eq!(status.code(), Some(0), "{}", world.log());
    }
    for call in in_flight {
        call.await.expect("a call").expect("it was answered");
    }
    let refusal = alice.creates("too late").await.expect_err("nobody is there");
    assert_eq!(refusal.code(), Code::Unavailable, "{refusal:?}");
}

#[tokio::test]
async fn no_call_that_began_before_the_word_to_stop_fails() {
    let mut world = World::start().await;
    let alice = world.user("acme", "alice", "editor").await;
    let plan = alice.creates("The plan").await.expect("stored").name;
    let (stopping, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let callers: Vec<_> = (0..8)
        .map(|_| {
            let (alice, plan) = (alice.clone(), plan.clone());
            let (stopping, answered) = (Arc::clone(&stopping), Arc::clone(&answered));
            tokio::spawn(async move {
                while !stopping.load(Ordering::SeqCst) {
                    let asked = alice.reads(&plan);
                    match asked.await {
                        Ok(_) => answered.fetch_add(1, Ordering::SeqCst),
                        Err(refusal) => return Err(refusal),
                    };
                }
                Ok(())
            })
        })
        .collect();
    mcp_tests::world::until("calls", async || match answered.load(Ordering::SeqCst) {
        many if many > 200 => Ok(()),
        few => Err(format!("{few} answered")),
    })
    .await;

    // No caller begins a call after this, and those that are on their way are answered.
    stopping.store(true, Ordering::SeqCst);
    let ended = world.stop().await;

    assert!(ended.iter().all(|status| status.code() == Some(0)), "{ended:?}");
    for caller in callers {
        caller.await.expect("a caller").expect("no call fails");
    }
}

#[tokio::test]
async fn a_restart_keeps_identities_keys_and_tokens() {
    let mut world = World::start().await;
    let alice = world.user("acme", "alice", "editor").await;
    let plan = alice.creates("The plan").await.expect("stored").name;
    let roots = world.identities().bundle().to_pem();

    let ended = world.stop().await;
    assert!(ended.iter().all(|status| status.code() == Some(0)), "{ended:?}");
    world.restart().await;

    // The same token: auth's keys are the same ones.
    let again = User::bearing(&world, "acme", "alice", alice.token().to_owned());
    assert_eq!(again.reads(&plan).await.expect("read").title, "The plan");
    assert_eq!(world.identities().bundle().to_pem(), roots);
}

#[tokio::test]
async fn one_service_may_go_and_come_back_and_the_others_go_on() {
    // In one process there are no others.
    let mut world = World::start_as(Mode::Split, "").await;
    let alice = world.user("acme", "alice", "editor").await;
    let plan = alice.creates("The plan").await.expect("stored").name;

    let summarization =
        Service::ALL.iter().position(|service| *service == Service::Summarization).expect("one of them");
    assert_eq!(world.processes()[summarization].name(), "summarization");
    world.kill_one(Service::Summarization);

    let refusal = alice.summarizes("One. Two. Three.", 5).await.expect_err("nobody is there");
    assert_eq!(refusal.code(), Code::Unavailable, "{refusal:?}");
    assert_eq!(alice.reads(&plan).await.expect("the others go on").title, "The plan");

    world.start_one(Service::Summarization).await;
    let begun = Instant::now();
    while let Err(refusal) = alice.summarizes("One. Two. Three.", 5).await {
        assert!(begun.elapsed() < Duration::from_secs(20), "{refusal:?}");
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn the_ready_file_says_where_everything_is() {
    let world = World::start_as(Mode::Up, "").await;
    let text = std::fs::read(world.scratch().join("ready.json")).expect("readable");
    let said: serde_json::Value = serde_json::from_slice(&text).expect("JSON");

    let keys: Vec<_> = said.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(keys.len(), 5, "{keys:?}");
    for key in ["gateway", "edge_ca", "trust_bundle", "services", "metrics"] {
        assert!(keys.contains(&key), "{key}");
    }
    assert!(
        said["gateway"]
            .as_str()
            .is_some_and(|url| url.starts_with("https://127.0.0.1:") && !url.ends_with(":0")),
        "{said}"
    );
    let services = said["services"].as_object().expect("services");
    let mut names: Vec<_> = services.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["auth", "ca", "context", "summarization"]);
    assert!(services.values().all(|at| at.as_str().is_some_and(|at| at.starts_with("127.0.0.1:"))), "{said}");
    for key in ["edge_ca", "trust_bundle"] {
        let pem = std::fs::read_to_string(said[key].as_str().expect("a path")).expect("readable");
        assert!(pem.starts_with("-----BEGIN CERTIFICATE-----"), "{key}");
    }
    let metrics = reqwest::get(said["metrics"].as_str().expect("a URL"))
        .await
        .expect("metrics")
        .text()
        .await
        .expect("text");
    assert!(metrics.contains("# TYPE "), "{metrics}");

    // What it says is true at once.
    let health = web::client(&world, Http::Two)
        .get(format!("{}/readyz", world.url()))
        .send()
        .await
        .expect("an answer");
    assert_eq!(health.status(), 200);
}

#[tokio::test]
async fn no_call_fails_while_certificates_live_two_seconds() {
    let world = World::start_with("[ca]\nleaf_ttl_seconds = 2").await;
    let alice = world.user("acme", "alice", "editor").await;
    let plan = alice.creates("The plan").await.expect("stored").name;
    alice.appends(&plan, &[&document(3_000), "last"]).await.expect("appended");
    let operator = world.identities().operator();
    let before = Metrics::of(&world).await;
    let end = Instant::now() + Duration::from_secs(7);

    let callers: Vec<_> = (0..3)
        .map(|_| {
            let (alice, plan) = (alice.clone(), plan.clone());
            tokio::spawn(async move {
                while Instant::now() < end {
                    // Over every hop: edge, context, and from there summarization.
                    alice.window(&plan, 40).await?;
                }
                Ok::<_, tonic::Status>(())
            })
        })
        .collect();
    while Instant::now() < end {
        // And each service is met anew all the while.
        for service in [Service::Ca, Service::Auth, Service::Context, Service::Summarization] {
            let tls = world.identities().tls(&operator, service);
            let wire = Wire::connect(world.port_of(service), tls).await.expect("a current certificate");
            let answer =
                wire.post("/grpc.health.v1.Health/Check", &[], framed(&[])).await.expect("an answer");
            assert_eq!(answer.code(), Code::Ok, "{service:?}: {answer:?}");
        }
        sleep(Duration::from_millis(100)).await;
    }

    for caller in callers {
        caller.await.expect("a caller").expect("no call fails");
    }
    let renewed = Metrics::of(&world).await.sum("grpc_server_handled_total", RENEWED)
        - before.sum("grpc_server_handled_total", RENEWED);
    // Four services, of which each renews about every second.
    assert!(renewed >= 8.0, "{renewed} renewals");
}

const RENEWED: &[(&str, &str)] = &[("grpc_method", "RenewCertificate"), ("grpc_code", "OK")];

async fn assert_all_there(world: &World, acknowledged: &[(String, String)]) {
    let alice = world.user("acme", "alice", "viewer").await;
    let mut contexts: Vec<_> =
        acknowledged.iter().map(|(name, _)| name.split("/messages/").next().expect("a context")).collect();
    contexts.sort_unstable();
    contexts.dedup();
    let mut found = std::collections::HashMap::new();
    for context in contexts {
        let messages = alice.messages(context).await.expect("read");
        // Numbers without a gap: nothing half-done is left either.
        let numbers: Vec<_> = messages
            .iter()
            .map(|message| message.name.rsplit('/').next().expect("a number").to_owned())
            .collect();
        assert_eq!(numbers, (1..=messages.len()).map(|number| number.to_string()).collect::<Vec<_>>());
        found.extend(messages.into_iter().map(|message| (message.name, message.text)));
    }
    let lost: Vec<_> = acknowledged.iter().filter(|(name, text)| found.get(name) != Some(text)).collect();
    assert!(
        lost.is_empty(),
        "{} of {} acknowledged messages are lost: {lost:?}",
        lost.len(),
        acknowledged.len()
    );
}

/// Waits until the service works on something, by the CPU that it burns.
async fn wait_for_calls_in_flight(world: &World) {
    let burnt =
        || world.processes().iter().map(|process| mcp_tests::world::cpu_ticks(process.id())).sum::<u64>();
    let before = burnt();
    mcp_tests::world::until("work in flight", async || match burnt() - before {
        ticks if ticks >= 5 => Ok(()),
        ticks => Err(format!("{ticks} ticks")),
    })
    .await;
}

#[test]
fn a_word_to_stop_is_heard_while_it_still_says_that_it_is_ready() {
    let home = tempfile::tempdir().expect("a folder");
    let ready = home.path().join("ready.json");
    let (mut said, saying) = std::io::pipe().expect("a pipe");
    // As much as a pipe holds: whoever says more waits until it is read.
    (&saying).write_all(&[b'\n'; 65_536]).expect("room for as much");
    let mut platform = Command::new(binary())
        .args(["up", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(home.path().join("data"))
        .arg("--ready-file")
        .arg(&ready)
        .stdout(saying)
        .stderr(Stdio::null())
        .spawn()
        .expect("the command starts");
    let begun = Instant::now();
    while !ready.exists() {
        assert!(begun.elapsed() < Duration::from_secs(60), "not ready");
        std::thread::sleep(Duration::from_millis(10));
    }

    let id = i32::try_from(platform.id()).ok().and_then(Pid::from_raw).expect("its ID");
    kill_process(id, Signal::TERM).expect("sent");
    // Long enough for the word to be lost, if nobody listened.
    std::thread::sleep(Duration::from_millis(300));
    let heard = std::thread::spawn(move || said.read_to_end(&mut Vec::new()));

    let asked = Instant::now();
    let ended = loop {
        match platform.try_wait().expect("its own child") {
            None if asked.elapsed() < Duration::from_secs(20) => {
                std::thread::sleep(Duration::from_millis(10));
            }
            ended => break ended,
        }
    };
    let _ = platform.kill();
    assert_eq!(ended.and_then(|status| status.code()), Some(0), "it stops, and well");
    heard.join().expect("no panic").expect("all of it was read");
}
