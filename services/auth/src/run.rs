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
