//! The server as tests find it: open, without a root, and back after whatever befalls it.

use super::*;

fn reads(server: &OpenBaoServer, token: &str) -> Result<String, String> {
    server.bao(token, &["read", "-field=id", "auth/token/lookup-self"])
}

fn login(server: &OpenBaoServer, service: &str) -> Result<String, String> {
    let role = format!("role_id=@{}", server.role_id(service).display());
    let secret = format!("secret_id=@{}", server.secret_id(service).display());
    server.bao("", &["write", "-field=token", "auth/approle/login", &role, &secret])
}

#[test]
fn services_can_log_in_and_no_root_is_left() {
    let server = OpenBaoServer::start();

    let token = login(&server, "auth").expect("logged in");

    assert_eq!(reads(&server, &token).as_ref(), Ok(&token));
    // An accessor a token: what is listed is what is alive.
    let root = server.root_token();
    let accessors = server.bao(&root, &["list", "-format=json", "auth/token/accessors"]).expect("listed");
    let accessors: Vec<String> = serde_json::from_str(&accessors).expect("json");
    let mut roots = 0;
    for accessor in &accessors {
        let token = server.bao(&root, &["token", "lookup", "-format=json", "-accessor", accessor]);
        roots += usize::from(token.expect("looked up").contains("\"root\""));
    }
    assert_eq!(roots, 1, "the one that asks");
    assert!(server.audit_log().contains("auth/approle/login"));
}

#[test]
fn a_token_and_what_was_written_outlive_a_kill_and_a_seal() {
    let server = OpenBaoServer::start();
    let token = login(&server, "auth").expect("logged in");
    server.bao(&token, &["kv", "put", "-mount=mcp-kv", "auth/a", "value=eA=="]).expect("put");

    server.restart();
    assert_eq!(reads(&server, &token).as_ref(), Ok(&token));

    server.seal();
    assert!(reads(&server, &token).expect_err("sealed").contains("Code: 503"));
    server.unseal();
    assert_eq!(reads(&server, &token).as_ref(), Ok(&token));
}
