//! How services get in, and how those who should not do not.

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    thread,
};

use super::*;
use crate::Secrets as _;

fn wrapped(server: &OpenBaoServer, file: PathBuf) -> Login {
    let role_id = SecretRef::file(server.role_id("auth"));
    Login::Approle { role_id, secret_id: SecretRef::file(file), wrapped: true }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrapped_secret_id_opens_once_and_says_so_to_who_comes_second() {
    let server = OpenBaoServer::start();
    let delivered = config(&server, wrapped(&server, server.wrapped_secret_id("auth")));

    let vault = open(&delivered, "auth").await.expect("the first comer is let in");
    vault.put(&path("a"), secret("x")).await.expect("put");

    let refused = open(&delivered, "auth").await.expect_err("the second is not");
    assert!(matches!(refused, Fault::WrappingSpent { .. }), "{refused:?}");
    assert!(refused.to_string().contains("treat it as stolen"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_with_what_was_unwrapped_can_be_repeated() {
    let server = OpenBaoServer::start();
    let vault =
        open(&config(&server, wrapped(&server, server.wrapped_secret_id("auth"))), "auth").await.expect("in");
    vault.put(&path("a"), secret("x")).await.expect("put");

    // As after an operator's alarm, or an outage longer than the token.
    vault.inner.session.close().await.expect("revoked");

    assert_eq!(vault.get(&path("a")).await.expect("logged in again"), Some(secret("x")));
    assert_eq!(*vault.inner.session.logins().borrow(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrapping_of_something_else_is_not_opened() {
    let server = OpenBaoServer::start();
    // Another service's secret ID, delivered to us.
    let login = wrapped(&server, server.wrapped_secret_id("context"));

    let refused = open(&config(&server, login), "auth").await.expect_err("refused");

    let Fault::WrappingForeign { path, .. } = &refused else { panic!("{refused:?}") };
    assert_eq!(path, "auth/approle/role/mcp-context/secret-id");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_deployer_gets_no_secret_id_that_is_not_wrapped() {
    let server = OpenBaoServer::start();
    let token = server.token_with("mcp-deployer");

    let bare = server.bao(&token, &["write", "-f", "auth/approle/role/mcp-auth/secret-id"]);

    assert!(bare.expect_err("refused").contains("403"));
    // And what it hands over, it cannot use: it has no way to a service's secrets.
    assert!(
        server.bao(&token, &["kv", "get", "-mount=mcp-kv", "auth/a"]).expect_err("refused").contains("403")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_the_vault_does_not_know_it_does_not_let_in() {
    let server = OpenBaoServer::start();
    let junk = written(server.folder(), "junk", "11111111-2222-3333-4444-555555555555");
    let role_id = SecretRef::file(server.role_id("auth"));
    let login = Login::Approle { role_id, secret_id: SecretRef::file(junk), wrapped: false };

    let refused = open(&config(&server, login), "auth").await.expect_err("refused");

    assert!(matches!(refused, Fault::LoginRefused { .. }), "{refused:?}");
    assert!(!format!("{refused:?} {refused}").contains("11111111"), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_of_another_authority_is_not_talked_to() {
    let (server, other) = (OpenBaoServer::start(), mcp_testkit::TestMesh::new());
    let mut config = config(&server, approle(&server, "auth"));
    config.ca = written(server.folder(), "other.pem", &other.bundle().to_pem());

    let refused = open(&config, "auth").await.expect_err("refused");

    assert!(matches!(refused, Fault::Gone(_)), "{refused:?}");
    assert!(format!("{refused:?}").contains("InvalidCertificate"), "{refused:?}");
    assert!(!server.audit_log().contains("\"path\":\"auth/approle/login\",\"data\""), "nothing was sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_logs_in_by_its_certificate_in_the_mesh_and_by_nobody_elses() {
    let server = OpenBaoServer::start();
    let authority = server.ca();
    let settings = [("MCP_MESH_CA", authority.to_str().expect("text")), ("MCP_TRUST_DOMAIN", "mcp.test")];
    server.set_up(&settings);
    let login = |service: &str| {
        let (chain, key) = server.mesh().identity(service).to_pem();
        let certificate = written(server.folder(), &format!("{service}.pem"), &chain);
        let key = written(server.folder(), &format!("{service}.key"), &key);
        Login::Certificate { certificate, key: SecretRef::file(key) }
    };

    let vault = open(&config(&server, login("auth")), "auth").await.expect("logged in");
    vault.put(&path("a"), secret("x")).await.expect("put");

    let refused = open(&config(&server, login("context")), "auth").await.expect_err("another's certificate");
    assert!(matches!(refused, Fault::LoginRefused { .. }), "{refused:?}");
}

/// The part of a cluster's API that the vault asks whom a token belongs to: here the token *is* the account's name.
fn token_review() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let (mut request, mut chunk) = (String::new(), [0; 4096]);
            while !request.contains("}}") {
                match stream.read(&mut chunk) {
                    Ok(length @ 1..) => request.push_str(&String::from_utf8_lossy(&chunk[..length])),
                    _ => break,
                }
            }
            let account = if request.contains(&jwt("auth")) { "auth" } else { "somebody" };
            let review = serde_json::json!({
                "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview",
                "status": { "authenticated": true, "audiences": ["vault"], "user": {
                    "username": format!("system:serviceaccount:mcp:{account}"), "uid": "1",
                    "groups": ["system:serviceaccounts"] } },
            })
            .to_string();
            let length = review.len();
            let head = format!(
                "HTTP/1.1 201 Created\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
            );
            drop(stream.write_all(format!("{head}{review}").as_bytes()));
        }
    });
    format!("http://{address}")
}

/// A token as a cluster would sign it; its signature is for the cluster to verify, which is not here.
fn jwt(account: &str) -> String {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

    let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = serde_json::json!({
        "aud": ["vault"], "exp": 4_102_444_800_i64, "iat": 1, "nbf": 1, "iss": "https://cluster.test",
        "kubernetes.io": { "namespace": "mcp", "serviceaccount": { "name": account, "uid": "1" } },
        "sub": format!("system:serviceaccount:mcp:{account}"),
    });
    let header = serde_json::json!({ "alg": "RS256", "typ": "JWT" });
    format!("{}.{}.{}", part(header), part(claims), URL_SAFE_NO_PAD.encode("signature"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_logs_in_by_its_service_account_and_by_nobody_elses() {
    let server = OpenBaoServer::start();
    let (api, authority) = (token_review(), server.ca());
    let authority = authority.to_str().expect("text");
    server.set_up(&[("MCP_KUBERNETES_HOST", &api), ("MCP_KUBERNETES_CA", authority)]);
    let login = |account: &str| {
        let token = written(server.folder(), &format!("{account}.jwt"), &jwt(account));
        Login::Kubernetes { token: SecretRef::file(token) }
    };

    let vault = open(&config(&server, login("auth")), "auth").await.expect("logged in");
    vault.put(&path("a"), secret("x")).await.expect("put");

    let refused = open(&config(&server, login("context")), "auth").await.expect_err("another's account");
    assert!(matches!(refused, Fault::LoginRefused { .. }), "{refused:?}");
}
