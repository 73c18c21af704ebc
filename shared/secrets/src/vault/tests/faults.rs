//! The table of `docs/secrets-failures.md`, cell by cell: each operation while the vault is sealed, slow, gone.
//!
//! What was read stays readable for its bound, nothing else is granted, each cause has its name, and recovery needs
//! nobody.

use mcp_types::TenantSlug;

use super::*;
use crate::{DataKey, Secrets as _, SecretsFuture, Wrapping as _, signing::SigningKeys as _};

struct World {
    server: OpenBaoServer,
    vault: Vault,
    acme: TenantSlug,
    wrapped: Vec<u8>,
    signing: Secret,
    signer: Arc<dyn crate::signing::Signer>,
}

// === impl World ===

impl World {
    async fn new(cached_secs: u64) -> Self {
        let server = OpenBaoServer::start();
        let limits = |config: Config| Config { timeout_millis: 1_500, cached_secs, ..config };
        let vault =
            open(&limits(config(&server, approle(&server, "auth"))), "auth").await.expect("logged in");
        let acme: TenantSlug = "acme".parse().expect("a tenant");
        vault.put(&path("known"), secret("x")).await.expect("put");
        vault.put(&path("forgotten"), secret("x")).await.expect("put");
        vault.create(&acme).await.expect("a key");
        let wrapped = vault.wrap(&acme, &DataKey::draw(&SystemEntropy), b"").await.expect("wrapped");
        let signing = vault.signing_keys().make("access").await.expect("made");
        let signer = vault.signing_keys().load(&signing).await.expect("loaded");
        let world = Self { server, vault, acme, wrapped, signing, signer };
        world.forget("forgotten");
        world
    }

    fn forget(&self, name: &str) {
        self.vault.inner.read.lock().expect("held by nobody").remove(&path(name));
    }

    /// Every operation that must fail, and how it does, by name.
    async fn failures(&self) -> Vec<(&'static str, Fault)> {
        async fn failure<T: std::fmt::Debug>(call: SecretsFuture<'_, T>) -> Fault {
            fault(call.await.expect_err("nothing is granted"))
        }
        let Self { vault, acme, wrapped, signing, signer, .. } = self;
        let (key, keys) = (DataKey::draw(&SystemEntropy), vault.signing_keys());
        vec![
            ("get, not read before", failure(vault.get(&path("forgotten"))).await),
            ("put", failure(vault.put(&path("new"), secret("y"))).await),
            ("put if absent", failure(vault.put_if_absent(&path("new"), secret("y"))).await),
            ("delete", failure(vault.delete(&path("forgotten"))).await),
            ("list", failure(vault.list(&path("known"))).await),
            ("create a wrapping key", failure(vault.create(&"globex".parse().expect("a tenant"))).await),
            ("wrap", failure(vault.wrap(acme, &key, b"")).await),
            ("unwrap", failure(vault.unwrap(acme, wrapped, b"")).await),
            ("destroy", failure(vault.destroy(acme)).await),
            ("make a signing key", failure(keys.make("access")).await),
            ("load a signing key", failure(keys.load(signing)).await),
            ("sign", failure(signer.sign(b"text")).await),
            ("destroy a signing key", failure(keys.destroy(signing)).await),
            (
                "take a user of the database",
                fault(vault.database_credentials("auth").await.expect_err("none")),
            ),
        ]
    }

    async fn fails_by(&self, cause: &str) {
        for (operation, fault) in self.failures().await {
            assert_eq!(fault.label(), cause, "{operation}: {fault:?}");
            assert!(fault.is_passing(), "{operation}: {fault:?}");
        }
        assert_eq!(self.vault.get(&path("known")).await.expect("read before"), Some(secret("x")));
        until(&self.vault, |health| matches!(health, Health::Degraded { why, .. } if *why == cause)).await;
    }

    /// Everything works again, without anybody's doing, and nothing of what failed has happened.
    async fn recovers(&self) {
        let Self { vault, acme, wrapped, signer, .. } = self;
        until(vault, |health| *health == Health::Ready).await;
        assert_eq!(vault.get(&path("forgotten")).await.expect("get"), Some(secret("x")));
        assert_eq!(vault.get(&path("new")).await.expect("get"), None);
        vault.unwrap(acme, wrapped, b"").await.expect("unwrapped");
        signer.sign(b"text").await.expect("signed");
        vault.put(&path("new"), secret("y")).await.expect("put");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sealed_every_operation_fails_by_that_name_and_comes_back_once_it_is_unsealed() {
    let world = World::new(300).await;
    world.server.seal();
    world.fails_by("sealed").await;
    world.server.unseal();
    world.recovers().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gone_every_operation_fails_by_that_name_and_comes_back_with_the_vault() {
    let world = World::new(300).await;
    world.server.kill();
    world.fails_by("gone").await;
    world.server.start_again();
    world.server.unseal();
    world.recovers().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_every_operation_fails_by_that_name_in_its_time_and_comes_back() {
    let world = World::new(300).await;
    world.server.stall();
    let begun = tokio::time::Instant::now();
    world.fails_by("slow").await;
    // Five run into the limit; the others hear of it at once, but for one a moment that sees whether it is over.
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    world.server.mend();
    // What was written to a connection before it stalled may still be done: nobody knows, so nobody is told that it is not.
    until(&world.vault, |health| *health == Health::Ready).await;
    world.vault.put(&path("new"), secret("y")).await.expect("put");
    assert_eq!(world.vault.get(&path("new")).await.expect("get"), Some(secret("y")));
}

#[tokio::test(flavor = "multi_thread")]
async fn cut_off_between_two_requests_every_operation_fails_and_comes_back() {
    let world = World::new(300).await;
    world.server.cut();
    world.fails_by("gone").await;
    world.server.mend();
    world.recovers().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_cached_is_served_for_its_bound_and_no_longer() {
    let world = World::new(1).await;
    assert_eq!(world.vault.get(&path("known")).await.expect("get"), Some(secret("x")));
    world.server.cut();
    tokio::time::sleep(Duration::from_millis(1_200)).await;

    let late = fault(world.vault.get(&path("known")).await.expect_err("too old"));

    assert_eq!(late.label(), "gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_vault_refuses_is_not_served_from_memory() {
    let world = World::new(300).await;
    // An operator takes the service's rights away.
    let root = world.server.root_token();
    world.server.bao(&root, &["policy", "delete", "mcp-auth"]).expect("deleted");
    world.server.bao(&root, &["token", "revoke", "-self"]).expect("revoked");

    let refused = fault(world.vault.get(&path("known")).await.expect_err("refused"));
    assert!(!refused.is_passing(), "{refused:?}");

    // Nor later, when the vault is silent.
    world.server.cut();
    assert!(world.vault.get(&path("known")).await.is_err());
}
