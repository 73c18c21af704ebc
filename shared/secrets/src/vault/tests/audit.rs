//! What the vault's own audit device keeps of us.

use mcp_types::RequestId;

use super::*;
use crate::Secrets as _;

#[tokio::test(flavor = "multi_thread")]
async fn the_vaults_entries_are_found_by_our_request_id_and_show_no_secret() {
    let server = OpenBaoServer::start();
    let vault = logged_in(&server, "auth").await;
    let id: RequestId = "01890a5d-ac96-774b-bcce-b302099a8057".parse().expect("an ID");

    let google = path("provider/google");
    let mut put = std::pin::pin!(vault.put(&google, secret("canary-4711")));
    let put = std::future::poll_fn(|cx| mcp_runtime::for_request(&id, || put.as_mut().poll(cx)));
    put.await.expect("put");

    let log = server.audit_log();
    let ours: Vec<_> = log.lines().filter(|line| line.contains(id.as_str())).collect();
    assert_eq!(ours.len(), 2, "the request and its answer: {ours:?}");
    assert!(ours.iter().all(|line| line.contains("mcp-kv/data/auth/provider/google")), "{ours:?}");
    assert!(ours.iter().all(|line| line.contains("\"mcp-auth\"")), "who it was");
    let canary = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, "canary-4711");
    assert!(!log.contains("canary-4711") && !log.contains(&canary));
}
