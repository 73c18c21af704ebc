//! PostgreSQL for a test: a real server in a folder of its own, over TLS, with passwords, gone with the test.
//!
//! ```text
//! mod.rs      the server: started, stopped, killed, started again on the same port
//! cluster.rs  its files: made once by `initdb`, copied for each server
//! database.rs a database for each test
//! ```
//!
//! It is set up as production should be: TLS alone, `scram-sha-256`, data checksums, `fsync` on, no Unix socket. Its
//! collation is that of English and not `C`, as most servers' is, so that a column whose order matters has to say so.

mod cluster;
mod database;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use mcp_types::{Entropy as _, SystemEntropy};
use rustix::process::{Signal, geteuid};

use self::cluster::{Programs, Template};
pub use self::database::{PostgresDatabase, PostgresLogin};
use crate::{
    TestMesh,
    guarded::{Account, GuardedFolder, GuardedProcess, Program, account, as_account},
};

const HOST: &str = "127.0.0.1";

/// Below the ports that the kernel gives to outgoing connections, so that a port is still free after a restart.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// How many ports are tried: another test may take the same one.
const PORTS_TRIED_MAX: usize = 20;

/// A PostgreSQL server that belongs to a test, and ends with the test's process at the latest.
///
/// ```no_run
/// let database = mcp_testkit::PostgresServer::shared().database();
/// assert_eq!(database.sql("SELECT 1"), "1");
/// ```
#[derive(Debug)]
pub struct PostgresServer {
    programs: Programs,
    account: Option<Account>,
    settings: Vec<String>,
    password: String,
    port: u16,
    databases: AtomicU32,
    // Declared before the folder: ended before its files go.
    running: Mutex<Option<GuardedProcess>>,
    folder: GuardedFolder,
}

// === impl PostgresServer ===

impl PostgresServer {
    /// Starts a server.
    ///
    /// # Panics
    ///
    /// Where PostgreSQL is missing or does not start, saying why.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a server with these settings of `postgresql.conf` too, such as `("archive_mode", "on")`; with
    /// `("ssl", "off")`, it talks in the clear.
    ///
    /// # Panics
    ///
    /// As [`PostgresServer::start`].
    pub fn start_with(settings: &[(&str, &str)]) -> Self {
        let programs = Programs::find();
        let account = geteuid().is_root().then(unprivileged);
        let template = Template::of(&programs, account.as_ref());
        let folder = GuardedFolder::create("mcp-postgres-", "data/postmaster.pid", account.as_ref());
        template.copy_to(&folder.path().join("data"));
        lay_certificate(folder.path(), account.as_ref());
        let scheme = if settings.contains(&("ssl", "off")) { "host" } else { "hostssl" };
        let rules = ["all", "replication"]
            .map(|database| format!("{scheme} {database} all {HOST}/32 scram-sha-256\n"))
            .concat();
        fs::write(folder.path().join("data/pg_hba.conf"), rules).expect("the cluster is ours");

        let settings = settings.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let (databases, running, password) = (AtomicU32::new(0), Mutex::new(None), template.password());
        let mut server = Self { programs, account, settings, password, port: 0, databases, running, folder };
        server.start_on_a_free_port();
        server
    }

    /// The server that this process's tests have in common, started when first asked for.
    ///
    /// # Panics
    ///
    /// As [`PostgresServer::start`].
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<PostgresServer> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// Makes a database with nothing in it.
    ///
    /// # Panics
    ///
    /// Where the server does not serve.
    pub fn database(&self) -> PostgresDatabase<'_> {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.sql("postgres", &format!("CREATE DATABASE {name}"));
        PostgresDatabase::new(self, name)
    }

    /// The address that its certificate names.
    pub const fn host(&self) -> &'static str {
        HOST
    }

    /// Its port, the same after a restart.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The authority that its certificate is from: a file with a root in PEM.
    pub fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// The superuser's name.
    pub const fn superuser(&self) -> &'static str {
        cluster::SUPERUSER
    }

    /// The superuser's password.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// Where `user` finds `database`, with the certificate and the server's address verified.
    pub fn url(&self, user: &str, password: &str, database: &str) -> String {
        let (port, ca) = (self.port, self.ca());
        let root = ca.display();
        format!(
            "postgres://{user}:{password}@{HOST}:{port}/{database}?sslmode=verify-full&sslrootcert={root}"
        )
    }

    /// What the superuser's `statements` answer, as `psql` prints it: no header, columns between bars.
    ///
    /// # Panics
    ///
    /// Where one of them fails.
    pub fn sql(&self, database: &str, statements: &str) -> String {
        self.try_sql(self.superuser(), &self.password, database, statements).expect("the statements run")
    }

    /// What `statements` answer to `user`, or why they fail.
    ///
    /// # Errors
    ///
    /// What `psql` writes to its standard error.
    pub fn try_sql(
        &self,
        user: &str,
        password: &str,
        database: &str,
        statements: &str,
    ) -> Result<String, String> {
        let plain = self.settings.iter().any(|setting| setting == "ssl=off");
        let mut psql = self.client("psql");
        psql.env("PGUSER", user).env("PGPASSWORD", password).env("PGDATABASE", database);
        if plain {
            psql.env("PGSSLMODE", "disable");
        }
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", statements]);
        let answer = psql.output().map_err(|bad| bad.to_string())?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        if answer.status.success() { Ok(text(&answer.stdout)) } else { Err(text(&answer.stderr)) }
    }

    /// One of the programs that come with the server (`pgbench`, `pg_basebackup`, ...), which finds it in the
    /// environment and is its superuser.
    pub fn client(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.path(program));
        command
            .env("PGHOST", HOST)
            .env("PGPORT", self.port.to_string())
            .env("PGUSER", self.superuser())
            .env("PGPASSWORD", &self.password)
            .env("PGSSLMODE", "verify-full")
            .env("PGSSLROOTCERT", self.ca());
        command
    }

    /// Ends it in good order, once its sessions were cut.
    pub fn stop(&self) {
        self.end(Signal::INT);
    }

    /// Kills it at once, as a power failure would: what it has not made durable is lost.
    pub fn kill(&self) {
        self.end(Signal::KILL);
    }

    /// Starts it again where it listened before, with the data that it had, once it was stopped or killed.
    ///
    /// # Panics
    ///
    /// Where it does not start, saying why.
    pub fn start_again(&self) {
        let mut running = self.running();
        assert!(running.is_none(), "the server runs: stop or kill it first");
        let started = self.launch(self.port);
        *running = Some(started.expect("the server starts again"));
    }

    /// Stops it and starts it again.
    ///
    /// # Panics
    ///
    /// As [`PostgresServer::start_again`].
    pub fn restart(&self) {
        self.stop();
        self.start_again();
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Its folder, which its account may write to: `data` is the cluster.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn running(&self) -> MutexGuard<'_, Option<GuardedProcess>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, signal: Signal) {
        if let Some(running) = self.running().take() {
            running.signal(signal);
            running.wait();
        }
    }

    fn start_on_a_free_port(&mut self) {
        let mut why = String::new();
        for _ in 0..PORTS_TRIED_MAX {
            let port = drawn_port();
            match self.launch(port) {
                Ok(running) => {
                    self.port = port;
                    *self.running() = Some(running);
                    return;
                }
                Err(log) => why = log,
            }
            if !why.contains("Address already in use") {
                break;
            }
        }
        assert_ne!(self.port, 0, "PostgreSQL does not start:\n{why}");
    }

    fn launch(&self, port: u16) -> Result<GuardedProcess, String> {
        let folder = self.folder.path().display();
        let mut args = vec!["-D".to_owned(), format!("{folder}/data")];
        let ours = [
            format!("port={port}"),
            format!("listen_addresses={HOST}"),
            "unix_socket_directories=".to_owned(),
            "ssl=on".to_owned(),
            format!("ssl_cert_file={folder}/cert.pem"),
            format!("ssl_key_file={folder}/key.pem"),
            // After a kill, all files are made durable first: one call for the disk, not one for each of a thousand.
            "recovery_init_sync_method=syncfs".to_owned(),
            "log_destination=stderr".to_owned(),
            "logging_collector=off".to_owned(),
        ];
        for setting in ours.iter().chain(&self.settings) {
            args.extend(["-c".to_owned(), setting.clone()]);
        }
        let program = Program {
            path: &self.programs.path("postgres"),
            args: &args,
            at_death: "QUIT",
            ready: "database system is ready to accept connections",
        };
        GuardedProcess::start(program, self.account.as_ref(), &self.folder.path().join("log"))
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        // At once, but in order: a killed server leaves a segment of shared memory behind.
        self.end(Signal::QUIT);
    }
}

/// PostgreSQL does not run as root.
fn unprivileged() -> Account {
    ["postgres", "nobody"]
        .into_iter()
        .find_map(|name| account(name).ok().flatten())
        .expect("the machine has an account `postgres` or `nobody`, since PostgreSQL does not run as root")
}

fn drawn_port() -> u16 {
    let mut drawn = [0; 2];
    SystemEntropy.fill(&mut drawn);
    PORTS.start + u16::from_le_bytes(drawn) % (PORTS.end - PORTS.start)
}

/// Lays a certificate for the host into `folder`, its key for the owner alone, and the root that signed it.
fn lay_certificate(folder: &Path, account: Option<&Account>) {
    let mesh = TestMesh::new();
    let (chain, key) = mesh.identity("postgres").to_pem();
    let root = mesh.bundle().to_pem();
    let files = [("cert.pem", chain.as_str()), ("key.pem", key.as_str()), ("ca.pem", root.as_str())];
    for (name, text) in files {
        let path = folder.join(name);
        fs::write(&path, text).expect("the folder is ours");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(&path, mode).expect("the file is ours");
        if let Some(account) = account {
            account.owns(&path);
        }
    }
}

#[cfg(test)]
mod tests;
