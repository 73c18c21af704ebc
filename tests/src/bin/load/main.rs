//! The load run of `make bench`: what a call costs on bare tonic, behind every layer, and through the gateway.
//!
//! Each server is a process of its own, so that its CPU time is its own; everything stays on loopback, and both the
//! number of requests and the time are bounded. Run it in release: figures of a debug build say nothing.
//!
//! ```text
//! servers.rs   the echo, on bare tonic and behind the layers
//! generator.rs so many calls in flight, counted and timed
//! table.rs     the table
//! ```
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a table is what it is for")]

mod generator;
mod servers;
mod table;

use std::{path::Path, process::ExitCode};

use mcp_tenancy::TokenKind;
use mcp_tests::{
    Mode, Service, World, identity,
    user::summarizing,
    wire::{Wire, framed},
    world::cpu_ticks,
};
use prost::Message as _;

use self::{
    generator::{Call, Load, run},
    servers::{Fixture, Kind},
    table::Row,
};

/// Sizes of the text that is sent and, by the echo, comes back, in bytes; with how many requests are made.
const SIZES: [(usize, u64); 2] = [(200, 30_000), (16 * 1024, 6_000)];

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    if let (Some(kind), Some(folder)) = (arguments.next(), arguments.next()) {
        return match servers::serve(&kind, Path::new(&folder)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => {
                eprintln!("{kind}: {failure}");
                ExitCode::FAILURE
            }
        };
    }
    if cfg!(debug_assertions) {
        eprintln!("note: this is a debug build; `cargo run --release -p mcp-tests --bin load` measures");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let rows = runtime.expect("a runtime").block_on(measure());
    println!("{}", table::render(&rows));
    ExitCode::SUCCESS
}

async fn measure() -> Vec<Row> {
    let mut rows = Vec::new();
    for kind in [Kind::Bare, Kind::Stack] {
        let fixture = Fixture::start(kind).await;
        for (bytes, requests) in SIZES {
            let (call, connections) = (fixture.call(bytes), fixture.connections().await);
            warm(&connections, &call).await;
            let ticks = cpu_ticks(fixture.process());
            let outcome = run(&connections, &call, Load { requests, ..Load::default() }).await;
            let spent = vec![("server", cpu_ticks(fixture.process()) - ticks)];
            rows.push(Row::new(kind.name(), bytes, outcome, spent));
        }
    }
    rows.extend(through_the_gateway().await);
    rows
}

/// The real platform, a process for each service: the gateway by gRPC-Web, the service behind it at work.
async fn through_the_gateway() -> Vec<Row> {
    use_release_binary();
    let world =
        World::start_as(Mode::Split, "[log]\nfilter = \"info\"\n[summarization]\nwaiting_max = 1024").await;
    let alice = world.user("acme", "alice", "editor").await;
    let path = "/mcp.summarization.v1.SummarizationService/Summarize";
    let process = |service: Service| {
        world
            .processes()
            .iter()
            .find(|process| process.name() == service.name())
            .map(|it| it.id())
            .unwrap_or_default()
    };
    let (gateway, service) = (process(Service::Gateway), process(Service::Summarization));
    let mut rows = Vec::new();
    for (bytes, requests) in SIZES {
        let body = framed(&summarizing(&mcp_tests::document(bytes), 20).encode_to_vec());
        // A tenth of it: the service works on each, so that the gateway is not what ends first.
        let requests = requests / 10;

        let headers = vec![
            ("content-type".to_owned(), "application/grpc-web+proto".to_owned()),
            ("x-grpc-web".to_owned(), "1".to_owned()),
            ("x-tenant-id".to_owned(), "acme".to_owned()),
            ("authorization".to_owned(), format!("Bearer {}", alice.token())),
        ];
        let call = Call { path, headers, body: body.clone() };
        let mut edge = Vec::new();
        for _ in 0..generator::CONNECTIONS {
            let tls = identity::ordinary(&world.edge_ca(), &[b"h2"]);
            edge.push(Wire::connect(world.layout().edge, tls).await.expect("connects"));
        }
        warm(&edge, &call).await;
        let before = (cpu_ticks(gateway), cpu_ticks(service));
        let outcome = run(&edge, &call, Load { requests, ..Load::default() }).await;
        let spent = vec![
            ("gateway", cpu_ticks(gateway) - before.0),
            ("summarization", cpu_ticks(service) - before.1),
        ];
        rows.push(Row::new("gateway, gRPC-Web, summarizing", bytes, outcome, spent));

        let signer = world.signer().await;
        let token = signer.sign(&signer.draft(TokenKind::Transaction));
        let headers = vec![
            ("content-type".to_owned(), "application/grpc".to_owned()),
            ("te".to_owned(), "trailers".to_owned()),
            ("x-tenant-id".to_owned(), "acme".to_owned()),
            ("authorization".to_owned(), format!("Bearer {token}")),
        ];
        let call = Call { path, headers, body };
        let certificate = world.identities().service("gateway").await;
        let mut direct = Vec::new();
        for _ in 0..generator::CONNECTIONS {
            let tls = world.identities().tls(&certificate, Service::Summarization);
            direct.push(Wire::connect(world.port_of(Service::Summarization), tls).await.expect("connects"));
        }
        warm(&direct, &call).await;
        let before = cpu_ticks(service);
        let outcome = run(&direct, &call, Load { requests, ..Load::default() }).await;
        let spent = vec![("summarization", cpu_ticks(service) - before)];
        rows.push(Row::new("the same service on its own port", bytes, outcome, spent));
    }
    rows
}

/// A short run that does not count, so that caches and connections are warm.
async fn warm(connections: &[Wire], call: &Call) {
    let outcome = run(connections, call, Load { requests: 500, ..Load::default() }).await;
    assert_eq!(outcome.failed, 0, "calls fail, so that there is nothing to measure");
}

/// The platform is measured in release too: the binary beside this one.
fn use_release_binary() {
    let beside = std::env::current_exe().ok().and_then(|path| Some(path.parent()?.join("mcp")));
    if let Some(path) = beside.filter(|path| path.exists()) {
        mcp_tests::world::use_binary(path);
    } else {
        eprintln!("note: no `mcp` beside this binary: `cargo build --release -p mcp-platform` makes it");
    }
}
