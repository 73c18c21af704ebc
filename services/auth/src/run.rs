//! The service's life: opened, joined to the mesh, serving, drained.

use std::{net::TcpListener, path::Path, sync::Arc};

use mcp_proto::{POLICIES, auth::v1::AccessSnapshot};
use mcp_rpc::{LiveAccess, LocalSources, Mesh, MeshConfig};
use mcp_runtime::{Failure, Shell};
use mcp_secrets::SealedStore;
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
    store::{SqliteStore, Tenants},
    tokens::Tokens,
};

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
    let sources = LocalSources { access: Some(live), ..LocalSources::default() };
    let mesh = Mesh::join_with(&service, &mesh, &shell, sources).await?;

    let served = Arc::clone(&auth);
    let outcome = mesh.serve(listener, &shell, move || served.routes()).await;
    auth.store.close().await;
    outcome
}

/// Opens what auth keeps in `folder`, and finishes what an earlier run left half done.
async fn open(
    config: Config,
    service: &ServiceName,
    folder: &Path,
    shell: &Shell,
) -> Result<Auth<SqliteStore>, Failure> {
    config.check(shell.profile)?;
    roles::check(&POLICIES).map_err(|misfit| {
        Failure::software("the roles and the methods' policies do not fit each other").because(misfit)
    })?;
    // The check above refused it elsewhere; asked again, because a slip here would sign anybody in.
    let local_sign_in = config.local_sign_in && shell.profile.is_development();

    let secrets =
        SealedStore::open(&folder.join("secrets"), &folder.join("master.key"), Arc::clone(&shell.entropy))
            .map_err(|source| Failure::config_because("cannot open auth's secrets", source))?;
    let keys = SigningKeys::load(&secrets)
        .await
        .map_err(|source| Failure::config_because("cannot use auth's signing keys", source))?;
    let pages = PageTokens::load(&secrets, &*shell.entropy)
        .await
        .map_err(|source| Failure::config_because("cannot use auth's secrets", source))?;
    let tokens = Tokens::new(config, keys, Arc::clone(&shell.clock), Arc::clone(&shell.entropy))
        .map_err(|source| Failure::software("auth's own keys cannot verify").because(source))?;

    let platform = PlatformScope::of_the_platform_itself();
    let unusable = |source| Failure::unavailable("cannot use auth's store").because(source);
    let store = SqliteStore::open(folder, service).await.map_err(unusable)?;
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

    async fn opened(config: Config, home: &Home, profile: Profile) -> Result<Auth<SqliteStore>, Failure> {
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
    async fn who_turns_nothing_on_signs_nobody_in() {
        let auth = opened(Config::default(), &Home::new(), Profile::Development).await.expect("opens");

        assert!(!auth.local_sign_in);
    }

    #[tokio::test]
    async fn a_restart_tells_the_same_state_by_the_same_version() {
        let home = Home::new();
        let before = opened(Config::default(), &home, Profile::Production).await.expect("opens");
        let told = AccessSnapshot::clone(&before.access.borrow());
        before.store.close().await;
        drop(before);

        let after = opened(Config::default(), &home, Profile::Production).await.expect("opens again");

        assert_eq!(*after.access.borrow().as_ref(), told);
    }

    #[tokio::test]
    async fn another_audience_is_told_by_a_greater_version() {
        let home = Home::new();
        let before = opened(Config::default(), &home, Profile::Production).await.expect("opens");
        let told = before.access.borrow().version;
        drop(before);
        let config = Config { access_audience: "elsewhere".to_owned(), ..Config::default() };

        let after = opened(config, &home, Profile::Production).await.expect("opens again");

        assert!(after.access.borrow().version > told);
    }

    #[tokio::test]
    async fn the_mesh_believes_what_auth_signs() {
        let auth = opened(Config::default(), &Home::new(), Profile::Production).await.expect("opens");
        let live = LiveAccess::default();
        live.replace(AccessSnapshot::clone(&auth.access.borrow())).expect("the snapshot can be used");
        let (acme, alice) = (scope_of("acme"), "alice".parse().expect("a name"));
        let subject =
            crate::tokens::Subject { tenant: acme.tenant(), user: &alice, role: roles::Role::Viewer };

        let access = auth.tokens.access(subject).expect("signed");

        let now = auth.clock.now();
        let credential = live.verify_access(access.token.expose(), now).expect("the edge believes it");
        let transaction = auth.tokens.transaction(&credential, subject.role).expect("signed");
        live.verify_transaction(transaction.token.expose(), now).expect("a service believes it");
    }
}
