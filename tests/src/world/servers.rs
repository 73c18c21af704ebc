//! What production keeps its data in, for one world: a PostgreSQL database, and an OpenBao of its own.

use std::{fmt::Write as _, path::Path, process::Command};

use mcp_testkit::{OpenBaoServer, PostgresServer};
use mcp_types::{Entropy as _, SystemEntropy};

use super::{Service, binary, process::write_private};

/// The services that keep anything.
const KEEPING: [Service; 3] = [Service::Ca, Service::Auth, Service::Context];

/// The servers of one world. The database's server is shared by the worlds of a process.
pub(super) struct Servers {
    vault: OpenBaoServer,
    config: String,
}

// === impl Servers ===

impl Servers {
    /// Starts them, and has the owner make the tables in `home`'s database.
    pub(super) fn start(home: &Path) -> Self {
        let (vault, server) = (OpenBaoServer::start(), PostgresServer::shared());
        let database = server.database();
        let (name, owner) = (database.name().to_owned(), database.owner());
        let makes_users = format!("makes_users_{name}");
        let (owners, makers) = (home.join("owner.password"), home.join("makes_users.password"));
        write_private(&owners, &owner.password);
        write_private(&makers, &drawn());
        let password = std::fs::read_to_string(&makers).expect("just written");
        database.sql(&format!(
            "CREATE ROLE {makes_users} LOGIN CREATEROLE PASSWORD '{password}'; GRANT pg_signal_backend TO {makes_users}"
        ));
        vault.set_up(&[
            (
                "MCP_DATABASE_URL",
                &format!(
                    "postgresql://{{{{username}}}}:{{{{password}}}}@{}:{}/{name}?sslmode=verify-full&sslrootcert={}",
                    server.host(),
                    server.port(),
                    server.ca().display(),
                ),
            ),
            ("MCP_DATABASE_USER", &makes_users),
            ("MCP_DATABASE_PASSWORD_FILE", makers.to_str().expect("text")),
        ]);

        let guard = home.join("guard");
        std::fs::create_dir_all(&guard).expect("a folder");
        let mut config = String::new();
        for service in KEEPING {
            let key = guard.join(service.name());
            write_private(&key, &drawn());
            section(&mut config, service.name(), &vault, server, &name, &key);
        }
        let file = home.join("tables.toml");
        std::fs::write(&file, format!("profile = \"development\"\n{config}")).expect("written");
        let migrated = Command::new(binary())
            .args(["store", "migrate", "--owner", &owner.user])
            .arg("--config")
            .arg(&file)
            .arg("--password-file")
            .arg(&owners)
            .arg("--guard-keys")
            .arg(&guard)
            .output()
            .expect("the command runs");
        assert!(migrated.status.success(), "{}", String::from_utf8_lossy(&migrated.stderr));
        Self { vault, config }
    }

    /// What the platform's configuration says of them.
    pub(super) fn config(&self) -> &str {
        &self.config
    }
}

impl std::fmt::Debug for Servers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Servers").field("vault", &self.vault.address()).finish_non_exhaustive()
    }
}

fn section(
    config: &mut String,
    service: &str,
    vault: &OpenBaoServer,
    server: &PostgresServer,
    database: &str,
    guard_key: &Path,
) {
    let file = |path: &Path| format!("file:{}", path.display());
    write!(
        config,
        r#"
        [{service}.secrets]
        keeper = "vault"
        [{service}.secrets.vault]
        address = {address:?}
        ca = {vault_ca:?}
        login = {{ method = "approle", role_id = {role_id:?}, secret_id = {secret_id:?} }}
        [{service}.store]
        engine = "postgres"
        [{service}.store.postgres]
        host = {host:?}
        port = {port}
        database = {database:?}
        ca = {ca:?}
        vault_role = {service:?}
        guard_key = {guard_key:?}
        "#,
        address = vault.address(),
        vault_ca = vault.ca(),
        role_id = file(&vault.role_id(service)),
        secret_id = file(&vault.secret_id(service)),
        host = server.host(),
        port = server.port(),
        ca = server.ca(),
        guard_key = file(guard_key),
    )
    .expect("a string grows");
}

/// A password that nobody chose.
fn drawn() -> String {
    let mut drawn = [0; 16];
    SystemEntropy.fill(&mut drawn);
    format!("{:032x}", u128::from_le_bytes(drawn))
}
