//! The service's life: opened, joined to the mesh, serving, drained.

use std::{net::TcpListener, path::Path, sync::Arc, time::Duration};

use mcp_proto::{POLICIES, auth::v1::AccessSnapshot};
use mcp_rpc::{LiveAccess, LocalSources, Mesh, MeshConfig, chain};
use mcp_runtime::{Failure, Shell};
use mcp_store::TenantAudit;
use mcp_tenancy::PlatformScope;
use mcp_types::ServiceName;
use tokio::sync::watch;

use crate::{
    access,
    config::Config,
    keys::SigningKeys,
    paging::PageTokens,
    roles,
    service::Auth,
    store::{Rows, Tenants},
    tokens::Tokens,
};

/// How often the signing keys are looked at: what another instance made is published within this time, and far sooner
/// than it signs.
const KEYS_LOOKED_AT_EVERY: Duration = Duration::from_secs(30);

/// Runs auth on `listener` until the shell's stop, and drains.
///
/// # Errors
///
/// Where the configuration does not hold, a key or a file cannot be used, or the mesh does not take the service in.
pub async fn run(
    config: Config,
    mesh: MeshConfig,
    listener: TcpListener,
    shell: Shell,
) -> Result<(), Failure> {
    let service: ServiceName =
        "auth".parse().map_err(|bad| Failure::software("auth has no name of its own").because(bad))?;
    let auth = Arc::new(open(config, &service, &mesh.state_dir, &shell).await?);

    let live = LiveAccess::default();
    live.replace(AccessSnapshot::clone(&auth.access.borrow()))
        .map_err(|bad| Failure::software("auth's own access state cannot be used").because(bad))?;
    let sources = LocalSources { access: Some(live.clone()), ..LocalSources::default() };
    let mesh = Mesh::join_with(&service, &mesh, &shell, sources).await?;
    mesh.keep_tenant_logs(|seat| TenantAudit::start(auth.store.db(), seat));

    let keeper = tokio::spawn(keep_keys(Arc::clone(&auth), live, shell.clone()));
    let served = Arc::clone(&auth);
    let outcome = mesh.serve(listener, &shell, move || served.routes()).await;
    keeper.abort();
    auth.store.close().await;
    outcome
}

/// Changes the signing keys by their schedule, and tells the mesh and this process of every change.
async fn keep_keys(auth: Arc<Auth<Rows>>, live: LiveAccess, shell: Shell) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(KEYS_LOOKED_AT_EVERY) => {}
            () = shell.stop.requested() => return,
        }
        if let Err(error) = auth.tokens.refresh().await {
            metrics::counter!("mcp_signing_key_refresh_failures_total").increment(1);
            tracing::warn!(error = %chain(&error), "the signing keys are not looked after; trying again");
        }
        // Also after an error: part of it may have changed.
        let told = match auth.announce(&PlatformScope::of_the_platform_itself()).await {
            Ok(told) => told,
            Err(error) => {
                tracing::warn!(error = %chain(&error), "a change of keys is not told yet; trying again");
                continue;
            }
        };
        if let Some(told) = told
            && let Err(error) = live.replace(AccessSnapshot::clone(&told))
        {
            tracing::error!(error = %chain(&error), "auth's own access state cannot be used");
        }
    }
}

/// Opens what auth keeps in `folder`, and finishes what an earlier run left half done.
pub(crate) async fn open(
    config: Config,
    service: &ServiceName,
    folder: &Path,
    shell: &Shell,
) -> Result<Auth<Rows>, Failure> {
    config.check(shell.profile)?;
    roles::check(&POLICIES).map_err(|misfit| {
        Failure::software("the roles and the methods' policies do not fit each other").because(misfit)
    })?;
    // The check above refused it elsewhere; asked again, because a slip here would sign anybody in.
    let local_sign_in = config.local_sign_in && shell.profile.is_development();

    let keepers = mcp_secrets::open(&config.secrets, service, folder, shell)
        .await
        .map_err(|source| Failure::config_because("cannot open auth's secrets", source))?;
    let store = config.store.clone();
    let (secrets, makes) = (Arc::clone(&keepers.secrets), keepers.signing_keys());
    let keys = SigningKeys::open(secrets, makes, &config, Arc::clone(&shell.clock))
        .await
        .map_err(|source| Failure::config_because("cannot use auth's signing keys", source))?;
    let pages = PageTokens::load(&*keepers.secrets, &*shell.entropy)
        .await
        .map_err(|source| Failure::config_because("cannot use auth's secrets", source))?;
    let tokens = Tokens::new(config, keys, Arc::clone(&shell.clock), Arc::clone(&shell.entropy))
        .map_err(|source| Failure::software("auth's own keys cannot verify").because(source))?;

    let platform = PlatformScope::of_the_platform_itself();
    let unusable = |source| Failure::unavailable("cannot use auth's store").because(source);
    let store = Rows::open(&store, folder, service, &keepers, shell).await.map_err(unusable)?;
    // From the clock on, so that a restored folder never gives a version again that a service holds already.
    let least = shell.clock.now().unix_secs().unsigned_abs();
    let version = store.access_version(&platform, &access::digest(&tokens), least).await.map_err(unusable)?;

    let (access, _) = watch::channel(Arc::new(access::snapshot(&tokens, version)));
    let (clock, stop) = (Arc::clone(&shell.clock), shell.stop.clone());
    let auth = Auth { store, tokens, pages, access, local_sign_in, clock, stop };
    auth.settle_all(&platform).await.map_err(unusable)?;
    Ok(auth)
}

#[cfg(test)]
mod tests {
    //! What is opened, and with what it is not.

    use mcp_runtime::{Cores, Profile, Stop};

    use super::*;
    use crate::fixture::{Home, scope_of};

    fn shell(profile: Profile) -> Shell {
        Shell::new(Cores::start(1).expect("a core"), Stop::default(), profile)
    }

    async fn opened(config: Config, home: &Home, profile: Profile) -> Result<Auth<Rows>, Failure> {
        open(config, &"auth".parse().expect("a name"), home.path(), &shell(profile)).await
    }

    #[tokio::test]
    async fn production_does_not_open_with_local_sign_in() {
        let home = Home::new();
        let config = Config { local_sign_in: true, ..Config::default() };

        let failure = opened(config, &home, Profile::Production).await.expect_err("refused");

        assert_eq!(failure.exit_code(), 78);
        assert!(!home.path().join("secrets").exists());
    }

    #[tokio::test]
    async fn production_does_not_open_with_secrets_on_its_own_disk() {
        let home = Home::new();

        let failure = opened(Config::default(), &home, Profile::Production).await.expect_err("refused");

        assert_eq!(failure.exit_code(), 78);
        assert!(!home.path().join("platform.db").exists());
    }

    #[tokio::test]
    async fn who_turns_nothing_on_signs_nobody_in() {
        let auth = opened(Config::default(), &Home::new(), Profile::Development).await.expect("opens");

        assert!(!auth.local_sign_in);
    }

    #[tokio::test]
    async fn a_restart_tells_the_same_state_by_the_same_version() {
        let home = Home::new();
        let before = opened(Config::default(), &home, Profile::Development).await.expect("opens");
        let told = AccessSnapshot::clone(&before.access.borrow());
        before.store.close().await;
        drop(before);

        let after = opened(Config::default(), &home, Profile::Development).await.expect("opens again");

        assert_eq!(*after.access.borrow().as_ref(), told);
    }

    #[tokio::test]
    async fn another_audience_is_told_by_a_greater_version() {
        let home = Home::new();
        let before = opened(Config::default(), &home, Profile::Development).await.expect("opens");
        let told = before.access.borrow().version;
        drop(before);
        let config = Config { access_audience: "elsewhere".to_owned(), ..Config::default() };

        let after = opened(config, &home, Profile::Development).await.expect("opens again");

        assert!(after.access.borrow().version > told);
    }

    #[tokio::test]
    async fn the_mesh_believes_what_auth_signs() {
        let auth = opened(Config::default(), &Home::new(), Profile::Development).await.expect("opens");
        let live = LiveAccess::default();
        live.replace(AccessSnapshot::clone(&auth.access.borrow())).expect("the snapshot can be used");
        let (acme, alice) = (scope_of("acme"), "alice".parse().expect("a name"));
        let subject =
            crate::tokens::Subject { tenant: acme.tenant(), user: &alice, role: roles::Role::Viewer };

        let access = auth.tokens.access(subject).await.expect("signed");

        let now = auth.clock.now();
        let credential = live.verify_access(access.token.expose(), now).expect("the edge believes it");
        let transaction = auth.tokens.transaction(&credential, subject.role).await.expect("signed");
        live.verify_transaction(transaction.token.expose(), now).expect("a service believes it");
    }
}
