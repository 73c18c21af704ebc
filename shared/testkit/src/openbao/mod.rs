//! OpenBao for a test: a real server over TLS, laid down by `deploy/vault/setup.sh`, gone with the test.
//!
//! ```text
//! mod.rs    the server: sealed, unsealed, killed, started again on the same port
//! setup.rs  its files: made once by the script that ships, copied for each server
//! glass.rs  what an operator asks on the server's own machine
//! proxy.rs  the way to it, which can stall or break
//! ```
//!
//! It runs on the shipped `deploy/vault/server.hcl`: integrated storage, TLS 1.3, the audit device on. No token of a root is
//! left when a test begins; one is made from the shares where a test needs more than a service may, and revoked again.

mod glass;
mod proxy;
mod setup;

use std::{
    fmt, fs,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use rustix::process::Signal;
use serde_json::{Value, json};

use self::{glass::Glass, proxy::Proxy, setup::Template};
use crate::{
    TestMesh,
    guarded::{GuardedFolder, GuardedProcess, Program},
    loopback,
};

const HOST: &str = "127.0.0.1";

/// What `deploy/vault/server.hcl` calls the operators' socket.
const SOCKET: &str = "break-glass.sock";

/// How many shares open the vault.
const SHARES: usize = 2;

/// How often a server is asked whether it serves, and what is waited between.
const LOOKS_MAX: u32 = 600;
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How many ports are tried: another test may take the same one.
const PORTS_TRIED_MAX: usize = 20;

/// An OpenBao server that belongs to a test, and ends with the test's process at the latest.
///
/// ```no_run
/// let vault = mcp_testkit::OpenBaoServer::start();
/// vault.stall();
/// ```
pub struct OpenBaoServer {
    bao: PathBuf,
    port: u16,
    shares: Vec<String>,
    mesh: TestMesh,
    proxy: Proxy,
    // Declared before the folder: ended before its files go.
    running: Mutex<Option<GuardedProcess>>,
    folder: GuardedFolder,
}

// === impl OpenBaoServer ===

impl OpenBaoServer {
    /// Starts a server, unsealed.
    ///
    /// # Panics
    ///
    /// Where OpenBao is missing or does not start, saying why.
    pub fn start() -> Self {
        let bao = setup::program();
        let template = Template::of(&bao);
        let server = Self::over(bao, template.shares(), |folder| template.copy_to(folder));
        server.unseal();
        server
    }

    /// Starts a server and lays down more than is there: `settings` are what `deploy/vault/setup.sh` reads.
    ///
    /// # Panics
    ///
    /// As [`OpenBaoServer::start`].
    pub fn start_with(settings: &[(&str, &str)]) -> Self {
        let server = Self::start();
        server.set_up(settings);
        server
    }

    /// Runs `deploy/vault/setup.sh` again, with these settings.
    ///
    /// # Panics
    ///
    /// Where the script fails, saying why.
    pub fn set_up(&self, settings: &[(&str, &str)]) {
        let root = self.root_token();
        setup::lay_down(self, &root, settings);
    }

    /// A server on files that `lay` puts in its folder; sealed, or not even initialised.
    #[expect(clippy::panic, reason = "a test that has no server must end, and say why")]
    fn over(bao: PathBuf, shares: Vec<String>, lay: impl FnOnce(&Path)) -> Self {
        let folder = GuardedFolder::create("mcp-openbao-", "none", None);
        lay(folder.path());
        let mesh = TestMesh::new();
        let (chain, key) = mesh.identity("vault").to_pem();
        let files = [("vault.pem", chain.as_str()), ("vault.key", key.as_str())];
        for (name, text) in files {
            fs::write(folder.path().join(name), text).expect("the folder is ours");
        }
        fs::write(folder.path().join("ca.pem"), mesh.bundle().to_pem()).expect("the folder is ours");
        let mut why = String::new();
        for _ in 0..PORTS_TRIED_MAX {
            let port = free_port();
            fs::write(folder.path().join("server.hcl"), setup::config(folder.path(), port, free_port()))
                .expect("the folder is ours");
            match launch(&bao, folder.path()) {
                Ok(running) => {
                    let proxy = Proxy::to(port);
                    let running = Mutex::new(Some(running));
                    return Self { bao, port, shares, mesh, proxy, running, folder };
                }
                Err(log) => why = log,
            }
            if !why.contains("address already in use") {
                break;
            }
        }
        panic!("OpenBao does not start:\n{why}");
    }

    /// Where clients find it: a way that [`stall`](Self::stall) and [`cut`](Self::cut) reach.
    pub fn address(&self) -> String {
        format!("https://{HOST}:{}", self.proxy.port())
    }

    /// The authority that its certificate is from: a file with a root in PEM.
    pub fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// The mesh that its certificate is from; a service's identity from it may log in once the setup was told of it.
    pub const fn mesh(&self) -> &TestMesh {
        &self.mesh
    }

    /// The file with the role ID of `service`.
    pub fn role_id(&self, service: &str) -> PathBuf {
        self.folder.path().join("logins").join(format!("{service}.role_id"))
    }

    /// The file with a secret ID of `service`.
    pub fn secret_id(&self, service: &str) -> PathBuf {
        self.folder.path().join("logins").join(format!("{service}.secret_id"))
    }

    /// A secret ID of `service`, wrapped for a minute, in a file, as the deployer would deliver it.
    ///
    /// # Panics
    ///
    /// Where the server does not serve.
    pub fn wrapped_secret_id(&self, service: &str) -> PathBuf {
        let token = self.token_with("mcp-deployer");
        let path = format!("auth/approle/role/mcp-{service}/secret-id");
        let answer = self.bao(&token, &["write", "-f", "-wrap-ttl=60s", "-field=wrapping_token", &path]);
        let file = self.folder.path().join(format!("{service}.wrapped"));
        fs::write(&file, answer.expect("the deployer may")).expect("the folder is ours");
        file
    }

    /// A short-lived token with this policy.
    ///
    /// # Panics
    ///
    /// Where the server does not serve.
    pub fn token_with(&self, policy: &str) -> String {
        let root = self.root_token();
        let wanted = json!({ "policies": [policy], "no_default_policy": true, "ttl": "5m" });
        let made = self.glass().ask("PUT", "auth/token/create-orphan", &root, &wanted).expect("root may");
        self.revoke(&root);
        made["auth"]["client_token"].as_str().expect("a token").to_owned()
    }

    /// Makes a root token from the shares, as `deploy/vault/README.md` says. [`revoke`](Self::revoke) it.
    ///
    /// # Panics
    ///
    /// Where the server does not serve.
    pub fn root_token(&self) -> String {
        let ask =
            |path: &str, body: &Value| self.glass().ask("PUT", path, "", body).expect("shares make a root");
        let begun = ask("sys/generate-root/attempt", &json!({}));
        let mut made = Value::Null;
        for share in self.shares.iter().take(SHARES) {
            made = ask("sys/generate-root/update", &json!({ "key": share, "nonce": begun["nonce"] }));
        }
        // So that it does not cross the wire in the clear: each byte differs from the token's by the one-time password's.
        let masked = made["encoded_token"].as_str().expect("enough shares");
        let masked = STANDARD_NO_PAD.decode(masked).expect("base64");
        let password = begun["otp"].as_str().expect("a password");
        masked.iter().zip(password.bytes()).map(|(masked, byte)| char::from(masked ^ byte)).collect()
    }

    /// Ends a token.
    ///
    /// # Panics
    ///
    /// Where it is none, or the server does not serve.
    pub fn revoke(&self, token: &str) {
        self.glass().ask("PUT", "auth/token/revoke-self", token, &json!({})).expect("revoked");
    }

    /// Seals it, as an operator would.
    ///
    /// # Panics
    ///
    /// Where the server does not serve.
    pub fn seal(&self) {
        let token = self.token_with("mcp-operator");
        self.glass().ask("PUT", "sys/seal", &token, &json!({})).expect("the operator may");
    }

    /// Unseals it with enough shares, and waits until it serves.
    ///
    /// # Panics
    ///
    /// Where it does not serve within a minute.
    #[expect(clippy::panic, reason = "a test that has no server must end, and say why")]
    pub fn unseal(&self) {
        for share in self.shares.iter().take(SHARES) {
            self.glass().ask("PUT", "sys/unseal", "", &json!({ "key": share })).expect("the share fits");
        }
        for _ in 0..LOOKS_MAX {
            // Granted by an active node alone.
            if self.glass().ask("GET", "sys/health", "", &json!({})).is_ok() {
                return;
            }
            thread::sleep(LOOK_EVERY);
        }
        panic!("OpenBao does not serve:\n{}", self.log());
    }

    /// Kills it at once.
    pub fn kill(&self) {
        if let Some(running) = self.running().take() {
            running.signal(Signal::KILL);
            running.wait();
        }
    }

    /// Starts it again where it listened before, sealed as after every start, once it was killed.
    ///
    /// # Panics
    ///
    /// Where it does not start, saying why.
    pub fn start_again(&self) {
        let mut running = self.running();
        assert!(running.is_none(), "the server runs: kill it first");
        *running = Some(launch(&self.bao, self.folder.path()).expect("the server starts again"));
    }

    /// Kills it, starts it again, unseals it.
    ///
    /// # Panics
    ///
    /// As [`OpenBaoServer::start_again`].
    pub fn restart(&self) {
        self.kill();
        self.start_again();
        self.unseal();
    }

    /// Lets nothing through from here on, either way; connections stay open.
    pub fn stall(&self) {
        self.proxy.stall();
    }

    /// Cuts all connections, and each new one at once.
    pub fn cut(&self) {
        self.proxy.cut();
    }

    /// Lets everything through again.
    pub fn mend(&self) {
        self.proxy.mend();
    }

    /// What the audit device has written.
    pub fn audit_log(&self) -> String {
        fs::read_to_string(self.folder.path().join("audit.log")).unwrap_or_default()
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What the command `bao` answers to the holder of `token`, or to nobody where that is empty.
    ///
    /// # Errors
    ///
    /// What it writes to its standard error.
    pub fn bao(&self, token: &str, args: &[&str]) -> Result<String, String> {
        let output = self.command(token).args(args).output().map_err(|bad| bad.to_string())?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    /// The socket that only the vault's own user may open.
    fn glass(&self) -> Glass {
        Glass::at(self.folder.path().join(SOCKET))
    }

    fn command(&self, token: &str) -> Command {
        let mut command = Command::new(&self.bao);
        self.environment(&mut command, token);
        command
    }

    fn environment(&self, command: &mut Command, token: &str) {
        command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", self.folder.path());
        // Past the proxy: what a test does to the clients' way is not in its own.
        command.env("BAO_ADDR", format!("https://{HOST}:{}", self.port)).env("BAO_CACERT", self.ca());
        command.env("BAO_TOKEN", token).env("BAO", &self.bao);
    }

    fn running(&self) -> MutexGuard<'_, Option<GuardedProcess>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for OpenBaoServer {
    fn drop(&mut self) {
        self.kill();
    }
}

impl fmt::Debug for OpenBaoServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenBaoServer").field("port", &self.port).finish_non_exhaustive()
    }
}

fn launch(bao: &Path, folder: &Path) -> Result<GuardedProcess, String> {
    // From within its folder: the audit device's path is part of what was set up, and the folder's is not.
    let script = r#"cd "$1" && exec "$2" server -config=server.hcl"#;
    let args = ["-c", script, "sh"].map(str::to_owned).into_iter();
    let args: Vec<_> = args.chain([folder, bao].map(|path| path.display().to_string())).collect();
    let ready = "core: Initializing version history cache";
    let program = Program { path: Path::new("/bin/sh"), args: &args, at_death: "KILL", ready };
    let log = folder.join("log");
    let process = GuardedProcess::start(program, None, &log)?;
    // Its listeners come last, and its word before them.
    for _ in 0..LOOKS_MAX {
        if UnixStream::connect(folder.join(SOCKET)).is_ok() {
            return Ok(process);
        }
        let written = fs::read_to_string(&log).unwrap_or_default();
        if written.contains("Error initializing listener") {
            return Err(written);
        }
        thread::sleep(LOOK_EVERY);
    }
    Err(fs::read_to_string(&log).unwrap_or_default())
}

fn free_port() -> u16 {
    loopback().local_addr().expect("the listener is bound").port()
}

#[cfg(test)]
mod tests;
