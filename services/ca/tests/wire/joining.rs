//! Who gets in and who does not, on true sockets: join tokens at the bootstrap listener, certificates on the mesh.

use std::os::unix::fs::PermissionsExt as _;

use mcp_ca::{Config, InitialJoinTokens, OperatorFiles};
use mcp_proto::ca::v1::{
    CreateJoinTokenRequest, IssueCertificateRequest, RenewCertificateRequest, WatchTrustRequest,
    certificate_authority_service_client::CertificateAuthorityServiceClient,
    issue_certificate_request::Attestation,
};
use mcp_rpc::{JoinToken, LiveIdentity, Mesh, mesh_channel, reason_of};
use mcp_svid::{Identity, SpiffeId, TrustBundle, make_csr};
use tonic::{Code, transport::Channel};

use crate::support::{RunningCa, in_time};

type CaClient = CertificateAuthorityServiceClient<Channel>;

fn ca_id() -> SpiffeId {
    "spiffe://mcp.test/service/ca".parse().expect("an ID")
}

fn csr(id: Option<&str>) -> Vec<u8> {
    make_csr(id.map(|id| id.parse().expect("an ID")).as_ref()).expect("a request").0
}

/// The ca on the mesh, as an operator sees it.
async fn as_operator(ca: &RunningCa) -> CaClient {
    let (chain, key) = ca.authority.issue_operator("ada", None).await.expect("issued");
    let identity = Identity::from_pem(&chain, &key).expect("an identity");
    let bundle = TrustBundle::from_pem(1, &ca.authority.trust_bundle_pem()).expect("a bundle");
    let live = LiveIdentity::new(identity, bundle).expect("an identity that TLS can use");
    CaClient::new(mesh_channel(ca.endpoints.mesh, ca_id(), live))
}

/// The ca on the mesh, as a service sees it.
fn as_service(ca: &RunningCa, mesh: &Mesh) -> CaClient {
    CaClient::new(mesh.channel(ca.endpoints.mesh, &"ca".parse().expect("a service")))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_joins_by_a_token_and_a_token_works_once() {
    let ca = RunningCa::start(Config::default()).await;
    let service = "context".parse().expect("a service");
    let token = ca.authority.create_join_token(&service, None).await.expect("a token").expose();
    let config = ca.config_of("context", &token);
    std::fs::create_dir_all(&config.state_dir).expect("made");

    let mesh = in_time(Mesh::join(&service, &config, &ca.shell)).await.expect("taken in");
    assert_eq!(mesh.identity().identity().id().as_str(), "spiffe://mcp.test/service/context");

    let second = ca.config_of("thief", &token);
    std::fs::create_dir_all(&second.state_dir).expect("made");
    let refused = in_time(Mesh::join(&service, &second, &ca.shell)).await.expect_err("used");
    assert!(refused.chain().iter().any(|cause| cause.contains("the join token is not good")), "{refused:?}");
    ca.stop(vec![]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_restarts_needs_no_second_token() {
    let ca = RunningCa::start(Config::default()).await;
    let first = ca.joined("context").await.identity().identity();

    let config = ca.config_of("context", "join.none.at-all");
    let again = in_time(Mesh::join(&"context".parse().expect("a service"), &config, &ca.shell)).await;

    assert_eq!(again.expect("taken in").identity().identity().svid(), first.svid());
    ca.stop(vec![]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_joiner_tells_its_token_to_no_ca_but_its_own() {
    let ca = RunningCa::start(Config::default()).await;
    let other = RunningCa::start(Config::default()).await;
    let service = "context".parse().expect("a service");
    let token = ca.authority.create_join_token(&service, None).await.expect("a token");

    // The token names the root of one ca; the address leads to another.
    let mut config = ca.config_of("context", &token.expose());
    config.ca = Some(other.endpoints);
    std::fs::create_dir_all(&config.state_dir).expect("made");
    let joining =
        tokio::time::timeout(std::time::Duration::from_millis(500), Mesh::join(&service, &config, &ca.shell));
    assert!(joining.await.is_err(), "it goes on trying, since no ca of its own has answered");

    let config = ca.config_of("context", &token.expose());
    in_time(Mesh::join(&service, &config, &ca.shell)).await.expect("the token was not used up");
    other.stop(vec![]).await;
    ca.stop(vec![]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_makes_tokens_and_a_service_may_not() {
    let ca = RunningCa::start(Config::default()).await;
    let request = CreateJoinTokenRequest { service: "auth".into(), ttl_seconds: 60 };

    let made = as_operator(&ca).await.create_join_token(request.clone()).await.expect("made").into_inner();
    assert!(made.join_token.parse::<JoinToken>().is_ok());
    let context = ca.joined("context").await;
    let refused = as_service(&ca, &context).create_join_token(request).await.expect_err("refused");
    assert_eq!(refused.code(), Code::PermissionDenied);

    for service in ["ca", "Auth", "a/b", ""] {
        let request = CreateJoinTokenRequest { service: service.into(), ttl_seconds: 0 };
        let refused =
            as_operator(&ca).await.create_join_token(request).await.expect_err("no name to join by");
        assert_eq!(refused.code(), Code::InvalidArgument, "{service}");
    }
    ca.stop(vec![]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_renews_its_own_identity_and_no_other() {
    let ca = RunningCa::start(Config::default()).await;
    let context = ca.joined("context").await;
    let mut client = as_service(&ca, &context);

    let request = RenewCertificateRequest { csr: csr(None) };
    let renewed = client.renew_certificate(request).await.expect("renewed").into_inner();
    let chain = renewed.certificate.expect("a certificate").chain;
    let id = mcp_svid::peer_id(&chain[0].clone().into()).expect("an ID");
    assert_eq!(id.as_str(), "spiffe://mcp.test/service/context");

    let request = RenewCertificateRequest { csr: csr(Some("spiffe://mcp.test/service/auth")) };
    let refused = client.renew_certificate(request).await.expect_err("another's name");
    assert_eq!(
        (refused.code(), reason_of(&refused).as_deref()),
        (Code::InvalidArgument, Some("CSR_REFUSED"))
    );

    let attestation = Some(Attestation::JoinToken("join.a.b".into()));
    let request = IssueCertificateRequest { csr: csr(None), attestation };
    let refused =
        client.issue_certificate(request).await.expect_err("first certificates have their own door");
    assert_eq!(refused.code(), Code::PermissionDenied);
    ca.stop(vec![]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_hears_whom_to_trust_and_ends_when_the_ca_stops() {
    let ca = RunningCa::start(Config::default()).await;
    let mut client = as_operator(&ca).await;
    let (says, requests) = tokio::sync::mpsc::channel(4);
    says.send(WatchTrustRequest { held_version: 0 }).await.expect("sent");

    let mut answers = client
        .watch_trust(tokio_stream::wrappers::ReceiverStream::new(requests))
        .await
        .expect("watched")
        .into_inner();

    let first = in_time(answers.message()).await.expect("no refusal").expect("an answer");
    let bundle = first.bundle.expect("the bundle");
    assert_eq!(bundle.version, first.version);
    let roots = bundle.roots.into_iter().map(Into::into).collect();
    assert_eq!(TrustBundle { version: 1, roots }.to_pem(), ca.authority.trust_bundle_pem());
    says.send(WatchTrustRequest { held_version: first.version }).await.expect("sent");
    while in_time(answers.message()).await.expect("no refusal").expect("a heartbeat").bundle.is_some() {}

    // The drain waits for calls: it would not end if the stream did not.
    ca.stop(vec![]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_bundle_and_operator_lie_in_their_files_once_the_ca_serves() {
    let folder = tempfile::tempdir().expect("a folder");
    let join = folder.path().join("join");
    let config = Config {
        trust_bundle_file: Some(folder.path().join("bundle.pem")),
        initial_join_tokens: Some(InitialJoinTokens {
            folder: join.clone(),
            services: vec!["auth".into(), "context".into()],
        }),
        operator: Some(OperatorFiles { folder: folder.path().join("operator"), name: "local".into() }),
        ..Config::default()
    };

    let ca = RunningCa::start(config).await;

    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).expect("readable");
    assert_eq!(read("bundle.pem"), ca.authority.trust_bundle_pem());
    assert_eq!(read("operator/ca.pem"), ca.authority.trust_bundle_pem());
    let operator = Identity::from_pem(&read("operator/cert.pem"), &read("operator/key.pem")).expect("usable");
    assert_eq!(operator.id().operator_name(), Some("local"));
    for secret in ["operator/key.pem", "join/auth", "join/context"] {
        let mode = std::fs::metadata(folder.path().join(secret)).expect("exists").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{secret}");
    }
    let mesh_config = ca.config_of("auth", &read("join/auth"));
    std::fs::create_dir_all(&mesh_config.state_dir).expect("made");
    in_time(Mesh::join(&"auth".parse().expect("a service"), &mesh_config, &ca.shell))
        .await
        .expect("taken in");
    assert!(ca.folder().join("ca/audit.jsonl").exists());
    ca.stop(vec![]).await;
}
