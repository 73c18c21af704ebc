//! Who gets past no handshake: at each listener, whoever shows no certificate, or one of nobody.

use std::time::Duration;

use bytes::Bytes;
use mcp_tests::{
    World,
    identity::{self, Authorities, blind},
    metrics::Metrics,
    wire::{Wire, tls_stream},
    world::{Service, until},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

const MESH: [Service; 4] = [Service::Ca, Service::Auth, Service::Context, Service::Summarization];

#[tokio::test]
async fn without_a_certificate_no_service_is_reached() {
    let world = World::start().await;

    for service in MESH {
        assert_refused(&world, service, blind(None, &[b"h2"])).await;
    }
}

#[tokio::test]
async fn a_certificate_of_an_unknown_authority_opens_nothing_whatever_it_says() {
    let world = World::start().await;
    let impostor = Authorities::impostor();

    for service in MESH {
        for name in ["gateway", "context", "auth"] {
            assert_refused(&world, service, blind(Some(&impostor.identity(name)), &[b"h2"])).await;
        }
    }
}

#[tokio::test]
async fn plaintext_is_heard_nowhere() {
    let world = World::start().await;
    let mut doors: Vec<_> = MESH.into_iter().map(|service| (world.port_of(service), "mesh")).collect();
    doors.push((world.layout().bootstrap, "bootstrap"));
    doors.push((world.layout().edge, "edge"));

    for (address, listener) in doors {
        for preface in [
            &b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"[..],
            b"GET / HTTP/1.1\r\nhost: x\r\n\r\n",
        ] {
            let before = refused_handshakes(&world, listener).await;
            let mut stream = TcpStream::connect(address).await.expect("connects");
            stream.write_all(preface).await.expect("sent");
            let mut answer = Vec::new();
            let ended = timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await;
            assert!(ended.is_ok(), "{listener}: the connection stays open");
            // A TLS alert at most (RFC 8446, section 6): its first byte is 21.
            assert!(answer.first().is_none_or(|first| *first == 21), "{listener}: {answer:?}");
            until("a count", async || match refused_handshakes(&world, listener).await - before {
                grown if grown >= 1.0 => Ok(()),
                grown => Err(format!("{listener} counted {grown}")),
            })
            .await;
        }
    }
}

#[tokio::test]
async fn a_service_is_not_taken_for_another() {
    let world = World::start().await;
    let identities = world.identities();
    let gateway = identities.service("gateway").await;

    for service in MESH {
        for expected in MESH {
            let meets =
                Wire::connect(world.port_of(service), identities.tls(&gateway, expected)).await.is_ok();
            assert_eq!(meets, service == expected, "{service:?} taken for {expected:?}");
        }
    }
}

#[tokio::test]
async fn the_edge_shows_no_certificate_of_the_mesh_and_takes_none() {
    let world = World::start().await;
    let identities = world.identities();
    let gateway = identities.service("gateway").await;

    let expecting_a_peer = identities.tls(&gateway, Service::Gateway);
    assert!(tls_stream(world.layout().edge, expecting_a_peer).await.is_err());
    let roots_of_the_mesh = identity::ordinary(&identities.bundle().to_pem(), &[b"h2"]);
    assert!(tls_stream(world.layout().edge, roots_of_the_mesh).await.is_err());
}

#[tokio::test]
async fn two_services_agree_on_a_key_that_no_quantum_computer_finds() {
    let world = World::start().await;
    let gateway = world.identities().service("gateway").await;

    for service in MESH {
        let tls = world.identities().tls(&gateway, service);
        let stream = tls_stream(world.port_of(service), tls).await.expect("connects");
        let group = stream.get_ref().1.negotiated_key_exchange_group().expect("a group").name();
        assert_eq!(group, rustls::NamedGroup::X25519MLKEM768);
        assert_eq!(stream.get_ref().1.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_3));
    }
    let counted = Metrics::of(&world)
        .await
        .sum("mcp_handshakes_total", &[("group", "X25519MLKEM768"), ("listener", "mesh")]);
    assert!(counted >= 4.0, "{counted}");
}

/// The refusal comes after the client believes itself connected (RFC 8446, section 4.4.2.4): so it is asked for something.
async fn assert_refused(world: &World, service: Service, tls: std::sync::Arc<rustls::ClientConfig>) {
    let before = refused_handshakes(world, "mesh").await;
    let answered = async {
        let wire = Wire::connect(world.port_of(service), tls).await?;
        wire.post("/grpc.health.v1.Health/Check", &[], Bytes::from_static(&[0; 5])).await
    };
    let answered = answered.await;
    assert!(answered.is_err(), "{service:?} answered {answered:?}");
    until("a count", async || match refused_handshakes(world, "mesh").await - before {
        grown if grown >= 1.0 => Ok(()),
        grown => Err(format!("{service:?} counted {grown}")),
    })
    .await;
}

async fn refused_handshakes(world: &World, listener: &str) -> f64 {
    Metrics::of(world).await.sum("mcp_handshakes_refused_total", &[("listener", listener)])
}
