//! The client against a real server, set up as it ships; no test of behaviour holds a root's token.

use std::{path::PathBuf, sync::Arc, time::Duration};

use mcp_runtime::SecretRef;
use mcp_testkit::OpenBaoServer;
use mcp_types::{SystemClock, SystemEntropy};

use super::{Config, Fault, Health, Login, Mounts, Vault};
use crate::{Secret, SecretPath, SecretsError};

mod audit;
mod database;
mod faults;
mod logins;
mod policies;
mod renewal;
mod signing;
mod suite;

/// How long something that must come may take: machines that build take their time.
const PATIENCE: Duration = Duration::from_secs(60);

fn approle(server: &OpenBaoServer, service: &str) -> Login {
    Login::Approle {
        role_id: SecretRef::file(server.role_id(service)),
        secret_id: SecretRef::file(server.secret_id(service)),
        wrapped: false,
    }
}

fn config(server: &OpenBaoServer, login: Login) -> Config {
    Config {
        address: server.address(),
        ca: server.ca(),
        login,
        mounts: Mounts::default(),
        timeout_millis: 10_000,
        in_flight_max: 64,
        cached_secs: 300,
    }
}

async fn open(config: &Config, service: &str) -> Result<Vault, Fault> {
    let service = service.parse().expect("a name");
    let opened = Vault::open(config, &service, Arc::new(SystemClock), Arc::new(SystemEntropy)).await;
    opened.map_err(fault)
}

async fn logged_in(server: &OpenBaoServer, service: &str) -> Vault {
    open(&config(server, approle(server, service)), service).await.expect("logged in")
}

fn fault(error: SecretsError) -> Fault {
    match error {
        SecretsError::Vault { source, .. } => source,
        other => panic!("no fault of the vault: {other:?}"),
    }
}

fn path(text: &str) -> SecretPath {
    text.parse().expect("a path")
}

fn secret(text: &str) -> Secret {
    Secret::new(text.as_bytes().to_vec())
}

/// Waits until the vault's health is what `wanted` says.
async fn until(vault: &Vault, wanted: impl FnMut(&Health) -> bool) {
    let mut health = vault.health();
    tokio::time::timeout(PATIENCE, health.wait_for(wanted)).await.expect("in time").expect("the vault lives");
}

fn written(folder: &std::path::Path, name: &str, text: &str) -> PathBuf {
    let file = folder.join(name);
    std::fs::write(&file, text).expect("the folder is ours");
    file
}
