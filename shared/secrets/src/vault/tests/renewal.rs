//! Tokens that live for seconds: renewed and replaced while calls go on.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::*;
use crate::Secrets as _;

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_renewed_and_replaced_without_a_failed_call() {
    // Renewed at two seconds; at nine the vault renews it no more.
    let server =
        OpenBaoServer::start_with(&[("MCP_SERVICE_TOKEN_TTL", "3s"), ("MCP_SERVICE_TOKEN_MAX", "9s")]);
    let vault = logged_in(&server, "auth").await;
    vault.put(&path("a"), secret("x")).await.expect("put");
    let (over, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let callers: Vec<_> = (0..4)
        .map(|_| {
            let (vault, over, calls) = (vault.clone(), Arc::clone(&over), Arc::clone(&calls));
            tokio::spawn(async move {
                while !over.load(Ordering::SeqCst) {
                    assert_eq!(vault.get(&path("a")).await.expect("no call fails"), Some(secret("x")));
                    calls.fetch_add(1, Ordering::SeqCst);
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            })
        })
        .collect();

    let mut logins = vault.inner.session.logins();
    let third = tokio::time::timeout(PATIENCE, logins.wait_for(|number| *number == 3)).await;

    third.expect("in time").expect("the session lives");
    over.store(true, Ordering::SeqCst);
    for caller in callers {
        caller.await.expect("no call failed");
    }
    assert!(calls.load(Ordering::SeqCst) > 100);
    assert_eq!(*vault.health().borrow(), Health::Ready);
    let served = server.audit_log().matches("\"path\":\"auth/token/renew-self\"").count();
    assert!(served >= 4, "{served} renewals, each a request and an answer");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_session_leaves_no_token_behind() {
    let server = OpenBaoServer::start();
    let vault = logged_in(&server, "auth").await;
    let token = vault.inner.session.token();
    let lookup = |token: &str| server.bao(token, &["token", "lookup"]);
    assert!(lookup(token.value()).is_ok());

    vault.close().await;

    assert!(lookup(token.value()).expect_err("revoked").contains("403"));
}
