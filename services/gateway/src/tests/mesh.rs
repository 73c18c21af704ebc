//! The edge as a member of a true mesh: mTLS to services that ask everything again.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use http::Version;
use mcp_proto::{
    auth::v1::auth_service_server::AuthServiceServer,
    summarization::v1::summarization_service_server::SummarizationServiceServer,
};
use mcp_runtime::{Failure, Shell};
use mcp_testkit::{TestIssuer, TestMesh, loopback, shell};
use mcp_types::{Clock as _, SystemClock};
use tokio::task::JoinSet;
use tonic::service::Routes;

use super::{
    wire::{Outside, certificate, end, text},
    world::{ALICE, SUMMARIZE, Services, get, post},
};
use crate::{Config, Upstreams, access_log::AccessLog, serve, tls::EdgeTls};

/// Puts one service into the mesh and serves `services` as it.
async fn member(
    mesh: &TestMesh,
    name: &'static str,
    folder: &Path,
    services: &Services,
    shell: &Shell,
    running: &mut JoinSet<Result<(), Failure>>,
) -> SocketAddr {
    let listener = loopback();
    let address = listener.local_addr().expect("an address");
    let folder = folder.join(name);
    std::fs::create_dir(&folder).expect("made");
    let member = mesh.join(name, &folder, &services.issuer, shell).await;
    let (services, shell) = (services.clone(), shell.another());
    running.spawn(async move {
        let routes = move || {
            Routes::new(AuthServiceServer::new(services.clone()))
                .add_service(SummarizationServiceServer::new(services.clone()))
        };
        member.serve(listener, &shell, routes).await
    });
    address
}

#[tokio::test]
async fn a_call_crosses_the_mesh_and_the_service_believes_what_the_edge_exchanged() {
    let mesh = TestMesh::new();
    let issuer = Arc::new(TestIssuer::new());
    let services = Services::new(&issuer);
    let folder = tempfile::tempdir().expect("a folder");
    let shell = shell();
    let mut running = JoinSet::new();
    let auth = member(&mesh, "auth", folder.path(), &services, &shell, &mut running).await;
    let summarization = member(&mesh, "summarization", folder.path(), &services, &shell, &mut running).await;

    let (files, root) = certificate(folder.path());
    let tls = EdgeTls::load(&files, SystemClock.now()).expect("loads");
    let listener = loopback();
    let outside = Outside { address: listener.local_addr().expect("an address"), root };
    // Auth's port shows auth's certificate: as context it is not believed.
    let config = Config { upstreams: Upstreams { auth, context: auth, summarization }, ..Config::default() };
    let gateway = folder.path().join("gateway");
    std::fs::create_dir(&gateway).expect("made");
    let member = mesh.join("gateway", &gateway, &issuer, &shell).await;
    let of_edge = shell.another();
    let ready = of_edge.readiness();
    running.spawn(serve(config, tls, AccessLog::none(), member, listener, of_edge));
    tokio::time::timeout(Duration::from_secs(10), ready.serving()).await.expect("serves");

    let token = issuer.access_token(|claims| claims.scope = ALICE.join(" "));
    for (version, content_type) in
        [(Version::HTTP_2, "application/grpc"), (Version::HTTP_11, "application/grpc-web")]
    {
        let request = post(SUMMARIZE, content_type, Some(&token), text("hello".to_owned()));
        let response = outside.send(version, request).await;
        assert!(response.headers().get("grpc-status").is_none(), "{response:?}");
        let (body, trailers) = end(response).await;
        let told = trailers.is_some_and(|trailers| trailers["grpc-status"] == "0");
        assert!(told || body.ends_with(b"grpc-status:0\r\n"), "{body:?}");
    }
    let path = "/mcp.context.v1.ContextService/ListContexts";
    let response = outside.send(Version::HTTP_2, post(path, "application/json", Some(&token), "{}")).await;
    assert_eq!(response.status(), 503, "not who it should be");

    // How the services are is heard by a watch, a moment after they are reached.
    let each = async {
        loop {
            let (body, _) = end(outside.send(Version::HTTP_2, get("/readyz")).await).await;
            let body: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
            if body["upstreams"]["summarization"] == true {
                return body;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let body = tokio::time::timeout(Duration::from_secs(10), each).await.expect("told");
    assert_eq!((&body["ready"], &body["upstreams"]["context"]), (&true.into(), &false.into()), "{body}");

    shell.stop.request();
    while let Some(ended) = running.join_next().await {
        ended.expect("no panic").expect("served");
    }
}
