//! Each service may do what it needs and nothing else: the server refuses it everything of every other.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::*;
use crate::{DataKey, Secrets as _, Wrapping as _, signing::SigningKeys as _, vault::wire::Ask};

const SERVICES: [&str; 3] = ["ca", "auth", "context"];

/// A request by hand: what a thief of the service's token would send.
async fn asks(vault: &Vault, method: &str, path: &str, body: Value) -> Result<StatusCode, Fault> {
    let path = path.to_owned();
    let ask = match method {
        "GET" => Ask::get("test", path),
        "DELETE" => Ask::delete("test", path),
        _ => Ask::post("test", path, &body),
    };
    vault.inner.session.call(&ask).await.map(|answer| answer.status)
}

async fn refuses(vault: &Vault, method: &str, path: &str, body: Value) {
    let outcome = asks(vault, method, path, body).await;
    assert!(matches!(outcome, Err(Fault::Denied)), "{vault:?} {method} {path}: {outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_service_may_do_what_it_needs() {
    let server = OpenBaoServer::start();
    for service in SERVICES {
        let vault = logged_in(&server, service).await;
        let acme = "acme".parse().expect("a tenant");

        vault.put(&path("provider/token"), secret("x")).await.expect("put");
        assert_eq!(vault.list(&path("provider")).await.expect("list"), [path("provider/token")]);
        assert!(vault.delete(&path("provider/token")).await.expect("delete"));
        vault.create(&acme).await.expect("a key");
        let key = DataKey::draw(&SystemEntropy);
        let wrapped = vault.wrap(&acme, &key, b"aad").await.expect("wrapped");
        assert_eq!(vault.unwrap(&acme, &wrapped, b"aad").await.expect("unwrapped").expose(), key.expose());
        assert!(vault.destroy(&acme).await.expect("destroyed"));
    }
    let auth = logged_in(&server, "auth").await.signing_keys();
    let material = auth.make("access").await.expect("made");
    auth.load(&material).await.expect("loaded").sign(b"text").await.expect("signed");
    auth.destroy(&material).await.expect("destroyed");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_service_may_do_anything_with_what_is_anothers() {
    let server = OpenBaoServer::start();
    let acme = "acme".parse().expect("a tenant");
    for owner in SERVICES {
        let vault = logged_in(&server, owner).await;
        vault.put(&path("a"), secret("x")).await.expect("put");
        vault.create(&acme).await.expect("a key");
    }
    let signing = logged_in(&server, "auth").await.signing_keys().make("access").await.expect("made");
    let signing = std::str::from_utf8(signing.expose()).expect("a name").to_owned();

    for service in SERVICES {
        let vault = logged_in(&server, service).await;
        for owner in SERVICES.into_iter().filter(|owner| *owner != service) {
            let value = json!({ "data": { "value": "eA==" } });
            refuses(&vault, "GET", &format!("mcp-kv/data/{owner}/a"), json!({})).await;
            refuses(&vault, "POST", &format!("mcp-kv/data/{owner}/a"), value).await;
            refuses(&vault, "GET", &format!("mcp-kv/metadata/{owner}?list=true"), json!({})).await;
            refuses(&vault, "DELETE", &format!("mcp-kv/metadata/{owner}/a"), json!({})).await;
            let key = format!("{owner}-acme");
            let text = json!({ "plaintext": STANDARD.encode("x") });
            let ciphertext = json!({ "ciphertext": "vault:v1:AAAA" });
            refuses(&vault, "GET", &format!("mcp-transit/keys/{key}"), json!({})).await;
            refuses(&vault, "POST", &format!("mcp-transit/keys/{owner}-new"), json!({})).await;
            refuses(&vault, "POST", &format!("mcp-transit/encrypt/{key}"), text).await;
            refuses(&vault, "POST", &format!("mcp-transit/decrypt/{key}"), ciphertext).await;
            refuses(&vault, "DELETE", &format!("mcp-transit/keys/{key}"), json!({})).await;
            refuses(&vault, "GET", &format!("mcp-database/creds/{owner}"), json!({})).await;
        }
        if service != "auth" {
            let input = json!({ "input": STANDARD.encode("x") });
            refuses(&vault, "POST", &format!("mcp-signing/sign/{signing}"), input).await;
            refuses(&vault, "POST", &format!("mcp-signing/keys/{service}-new"), json!({})).await;
            refuses(&vault, "DELETE", &format!("mcp-signing/keys/{signing}"), json!({})).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_service_gets_a_key_out_or_more_rights() {
    let server = OpenBaoServer::start();
    let vault = logged_in(&server, "auth").await;
    vault.create(&"acme".parse().expect("a tenant")).await.expect("a key");
    let signing = vault.signing_keys().make("access").await.expect("made");
    let signing = std::str::from_utf8(signing.expose()).expect("a name").to_owned();

    for (engine, key, kind) in
        [("mcp-transit", "auth-acme", "aes256-gcm96"), ("mcp-signing", &*signing, "ecdsa-p256")]
    {
        for way in ["export/encryption-key", "export/signing-key", "backup"] {
            refuses(&vault, "GET", &format!("{engine}/{way}/{key}"), json!({})).await;
        }
        refuses(&vault, "POST", &format!("{engine}/datakey/plaintext/{key}"), json!({})).await;
        for leak in ["exportable", "allow_plaintext_backup"] {
            let config = format!("{engine}/keys/{key}/config");
            refuses(&vault, "POST", &config, json!({ leak: true })).await;
            let made = format!("{engine}/keys/auth-new");
            refuses(&vault, "POST", &made, json!({ "type": kind, leak: true })).await;
        }
        refuses(&vault, "POST", &format!("{engine}/keys/auth-new"), json!({ "type": "rsa-2048" })).await;
    }
    let all = json!({ "policy": "path \"*\" { capabilities = [\"sudo\"] }" });
    refuses(&vault, "POST", "sys/policies/acl/mcp-auth", all).await;
    refuses(&vault, "POST", "auth/token/create", json!({})).await;
    refuses(&vault, "POST", "auth/approle/role/mcp-auth/secret-id", json!({})).await;
    refuses(&vault, "GET", "auth/approle/role/mcp-context/role-id", json!({})).await;
    refuses(&vault, "POST", "sys/seal", json!({})).await;
    refuses(&vault, "GET", "sys/audit", json!({})).await;
    refuses(&vault, "DELETE", "sys/audit/file", json!({})).await;
    refuses(&vault, "POST", "sys/config/auditing/request-headers/x-request-id", json!({})).await;
}
