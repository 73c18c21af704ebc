//! The same story told to one process and to five: nothing is wired through shared memory.
//!
//! Every other specification runs on five processes too, with `MCP_WORLD=split`.

use mcp_tests::{
    Mode, Service, User, World, audit, document,
    identity::blind,
    reason,
    web::{self, Http},
    wire::Wire,
    world::until,
};
use tonic::Code;

#[tokio::test]
async fn what_holds_in_one_process_holds_in_five() {
    for mode in [Mode::Up, Mode::Split] {
        let world = World::start_as(mode, "").await;
        assert_eq!(world.processes().len(), if mode == Mode::Up { 1 } else { 5 });
        story(&world).await;
    }
}

#[tokio::test]
async fn in_one_process_too_services_are_reached_over_mutual_tls_alone() {
    let world = World::start_as(Mode::Up, "").await;
    let alice = world.user("acme", "alice", "editor").await;
    let plan = alice.creates("The plan").await.expect("stored").name;
    alice.appends(&plan, &[&document(20_000), "last"]).await.expect("appended");
    alice.window(&plan, 60).await.expect("a window");

    // The hop from context to summarization left its row there, under context's own certificate and alice's name.
    until("the row of the hop", async || {
        let rows = audit::rows(&world);
        let hop = rows.iter().find(|row| {
            row.peer.as_ref().is_some_and(|peer| **peer == *"service/context")
                && row.method.as_ref().is_some_and(|method| method.ends_with("/Summarize"))
        });
        match hop {
            Some(row) if row.principal.as_ref().is_some_and(|user| **user == *"alice") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}

async fn story(world: &World) {
    let alice = world.user("acme", "alice", "editor").await;
    let victor = world.user("acme", "victor", "viewer").await;
    let mallory = world.user("globex", "mallory", "owner").await;

    let plan = alice.creates("The plan").await.expect("stored").name;
    alice.appends(&plan, &[&document(20_000), "This was said last."]).await.expect("appended");
    let window = alice.window(&plan, 100).await.expect("a window");
    assert!(window.parts.iter().any(|part| part.summarized) && window.token_count <= 100, "{window:?}");
    assert_eq!(victor.reads(&plan).await.expect("read").message_count, 2);

    let refusal = victor.appends(&plan, &["graffiti"]).await.expect_err("no permission");
    assert_eq!((refusal.code(), reason(&refusal).as_str()), (Code::PermissionDenied, "PERMISSION_MISSING"));
    assert_eq!(mallory.reads(&plan).await.expect_err("another tenant's").code(), Code::NotFound);
    let direct = User::on_the_mesh(world, Service::Context, "acme", "alice", "editor").await;
    assert_eq!(direct.reads(&plan).await.expect("read").message_count, 2);
    for service in [Service::Ca, Service::Auth, Service::Context, Service::Summarization] {
        let stranger = Wire::connect(world.port_of(service), blind(None, &[b"h2"])).await;
        let heard = match stranger {
            Ok(wire) => wire.post("/grpc.health.v1.Health/Check", &[], Default::default()).await.is_ok(),
            Err(_) => false,
        };
        assert!(!heard, "{service:?}");
    }
    let health = web::client(world, Http::One)
        .get(format!("{}/healthz", world.url()))
        .send()
        .await
        .expect("an answer");
    assert_eq!(health.status(), 200);
}
