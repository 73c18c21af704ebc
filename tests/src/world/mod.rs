//! A running platform: the real binary, on free ports, in a folder of its own, gone when dropped.

mod config;
mod process;
mod servers;

use std::{
    collections::BTreeMap,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{ExitStatus, Output},
    time::Duration,
};

use mcp_pki::EdgeCa;
use mcp_types::{Clock as _, SystemClock, SystemEntropy};
use tempfile::TempDir;
use tokio::{sync::OnceCell, time::Instant};

pub use self::process::{Process, binary, use_binary};
use self::servers::Servers;
use crate::{
    identity::{Authorities, Identities},
    signer::Signer,
    user::User,
};

/// How long a platform may take to start; a machine that compiles meanwhile is slow.
const START_MAX: Duration = Duration::from_secs(60);

/// A service of the platform.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Service {
    /// The certificate authority.
    Ca,
    /// Sign-in, tokens, tenants.
    Auth,
    /// Contexts and messages.
    Context,
    /// Summaries.
    Summarization,
    /// The edge.
    Gateway,
}

/// How the platform runs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mode {
    /// `mcp up`: everything in one process.
    Up,
    /// `mcp serve`: a process each.
    Split,
    /// `mcp up`, with everything kept in PostgreSQL and OpenBao.
    Servers,
}

/// Where everything is.
#[derive(Clone, Debug)]
pub struct Layout {
    /// The edge.
    pub edge: SocketAddr,
    /// PEM of the authority behind the edge's certificate.
    pub edge_ca: PathBuf,
    /// The ca's port for newcomers.
    pub bootstrap: SocketAddr,
    /// Each service's own port; the gateway has none.
    pub mesh: BTreeMap<Service, SocketAddr>,
    /// The metrics of each process; in `mcp up` there is one, of all.
    pub metrics: Vec<String>,
    /// The folder of each service.
    pub state: BTreeMap<Service, PathBuf>,
    /// Holds the operator's cert.pem, key.pem and ca.pem.
    pub operator: PathBuf,
}

/// A running platform.
#[derive(Debug)]
pub struct World {
    home: TempDir,
    mode: Mode,
    extra: String,
    layout: Layout,
    processes: Vec<Process>,
    /// Declared after the processes: they outlive what speaks to them.
    _servers: Option<Servers>,
    identities: Identities,
    signer: OnceCell<Signer>,
}

// === impl Service ===

impl Service {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Ca, Self::Auth, Self::Context, Self::Summarization, Self::Gateway];

    /// Its name in the mesh.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ca => "ca",
            Self::Auth => "auth",
            Self::Context => "context",
            Self::Summarization => "summarization",
            Self::Gateway => "gateway",
        }
    }
}

// === impl Mode ===

impl Mode {
    /// What the environment asks for: `MCP_WORLD=up`, `split` or `servers`; one process, embedded, by default.
    pub fn of_environment() -> Self {
        match std::env::var("MCP_WORLD").as_deref() {
            Ok("split") => Self::Split,
            Ok("servers") => Self::Servers,
            Ok("up") | Err(_) => Self::Up,
            Ok(other) => panic!("MCP_WORLD is `up`, `split` or `servers`, not `{other}`"),
        }
    }
}

// === impl World ===

impl World {
    /// Starts a platform whose limits are far away.
    pub async fn start() -> Self {
        Self::start_with("").await
    }

    /// Starts a platform with this TOML over the usual configuration.
    pub async fn start_with(extra: &str) -> Self {
        Self::start_as(Mode::of_environment(), extra).await
    }

    /// Starts a platform in this mode.
    pub async fn start_as(mode: Mode, extra: &str) -> Self {
        let home = tempfile::Builder::new().prefix("mcp-world-").tempdir().expect("a folder");
        let servers = (mode == Mode::Servers).then(|| Servers::start(home.path()));
        let extra = match &servers {
            Some(servers) => config::merged(servers.config(), extra),
            None => extra.to_owned(),
        };
        let (layout, processes) = begin(home.path(), mode, &extra).await;
        let identities = Identities::new(&layout);
        let signer = OnceCell::new();
        Self { home, mode, extra, layout, processes, _servers: servers, identities, signer }
    }

    /// How it runs.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Where everything is.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The edge's URL.
    pub fn url(&self) -> String {
        format!("https://{}", self.layout.edge)
    }

    /// A service's own port.
    pub fn port_of(&self, service: Service) -> SocketAddr {
        self.layout.mesh[&service]
    }

    /// PEM of the authority behind the edge's certificate.
    pub fn edge_ca(&self) -> String {
        std::fs::read_to_string(&self.layout.edge_ca).expect("the edge's authority is readable")
    }

    /// Certificates of the mesh.
    pub fn identities(&self) -> &Identities {
        &self.identities
    }

    /// Signs any token with the platform's own keys.
    pub async fn signer(&self) -> &Signer {
        self.signer.get_or_init(|| Signer::of(self)).await
    }

    /// A member of `tenant` with this role, over the gateway. Tenant and user are made where they are missing.
    pub async fn user(&self, tenant: &str, name: &str, role: &str) -> User {
        User::over_the_gateway(self, tenant, name, role).await
    }

    /// The processes.
    pub fn processes(&self) -> &[Process] {
        &self.processes
    }

    /// The log of everything, for a message that tells what happened.
    pub fn log(&self) -> String {
        self.processes.iter().map(Process::log).collect()
    }

    /// Runs a verb of the command against this platform.
    pub fn verb(&self, arguments: &[&str]) -> Output {
        let mut command = std::process::Command::new(binary());
        command.args(arguments);
        match self.mode {
            Mode::Up | Mode::Servers => command.arg("--data-dir").arg(self.home.path().join("data")),
            Mode::Split => command.arg("--config").arg(self.home.path().join("verbs.toml")),
        };
        command.output().expect("the command runs")
    }

    /// Where the platform keeps what it stores.
    pub fn data_dir(&self) -> PathBuf {
        self.home.path().join("data")
    }

    /// A place for files of a specification.
    pub fn scratch(&self) -> &Path {
        self.home.path()
    }

    /// Ends every process at once, without a word.
    pub fn kill(&mut self) {
        for process in &mut self.processes {
            process.kill();
        }
    }

    /// Ends one service at once; only where it is a process of its own.
    pub fn kill_one(&mut self, service: Service) {
        self.process_of(service).kill();
    }

    /// Starts that service again.
    pub async fn start_one(&mut self, service: Service) {
        let home = self.home.path().to_owned();
        let (process, ready) = serve(&home, service);
        let slot = self.process_of(service);
        *slot = process;
        slot.ready(&ready, START_MAX).await.unwrap_or_else(|failure| panic!("{failure}"));
    }

    fn process_of(&mut self, service: Service) -> &mut Process {
        let of_name = |process: &&mut Process| process.name() == service.name();
        self.processes.iter_mut().find(of_name).expect("a process of its own")
    }

    /// Asks every process to stop, the edge first, and waits for each.
    pub async fn stop(&mut self) -> Vec<ExitStatus> {
        let mut ended = Vec::new();
        for process in self.processes.iter_mut().rev() {
            process.ask_to_stop();
            ended.push(process.wait().await);
        }
        ended
    }

    /// Starts again, in the same folder.
    pub async fn restart(&mut self) {
        self.kill();
        let (layout, processes) = begin(self.home.path(), self.mode, &self.extra).await;
        self.identities = Identities::new(&layout);
        (self.layout, self.processes) = (layout, processes);
        self.signer = OnceCell::new();
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            // The folder goes; what it said stays with the failure.
            let log = self.log();
            let from = log.char_indices().rev().nth(6_000).map_or(0, |(at, _)| at);
            eprint_log(&log[from..]);
        }
    }
}

#[expect(clippy::print_stderr, reason = "the log of a failed specification belongs beside it")]
fn eprint_log(log: &str) {
    eprintln!("--- the platform's log ends with ---\n{log}");
}

/// Starts what `mode` asks for. A port that was free a moment ago may be taken: then all is tried again.
async fn begin(home: &Path, mode: Mode, extra: &str) -> (Layout, Vec<Process>) {
    let mut failures = String::new();
    for _ in 0..3 {
        let begun = match mode {
            Mode::Up | Mode::Servers => up(home, extra).await,
            Mode::Split => split(home, extra).await,
        };
        match begun {
            Ok(running) => return running,
            Err(failure) => failures.push_str(&failure),
        }
    }
    panic!("the platform does not start: {failures}");
}

async fn up(home: &Path, extra: &str) -> Result<(Layout, Vec<Process>), String> {
    let (data, ready, file) = (home.join("data"), home.join("ready.json"), home.join("up.toml"));
    let _ = std::fs::remove_file(&ready);
    std::fs::write(&file, config::up(extra)).expect("written");
    let arguments = [
        "up".as_ref(),
        "--data-dir".as_ref(),
        data.as_os_str(),
        "--listen".as_ref(),
        "127.0.0.1:0".as_ref(),
        "--ready-file".as_ref(),
        ready.as_os_str(),
        "--config".as_ref(),
        file.as_os_str(),
    ];
    let mut process = Process::start("up", &arguments, home);
    let said = process.ready(&ready, START_MAX).await?;
    let address = |at: &serde_json::Value| -> SocketAddr {
        at.as_str().and_then(|text| text.trim_start_matches("https://").parse().ok()).expect("an address")
    };
    let verbs: serde_json::Value =
        serde_json::from_slice(&std::fs::read(data.join("platform.json")).expect("readable")).expect("JSON");
    let mesh = [Service::Ca, Service::Auth, Service::Context, Service::Summarization];
    let layout = Layout {
        edge: address(&said["gateway"]),
        edge_ca: said["edge_ca"].as_str().expect("a path").into(),
        bootstrap: address(&verbs["bootstrap"]),
        mesh: mesh.into_iter().map(|service| (service, address(&said["services"][service.name()]))).collect(),
        metrics: vec![said["metrics"].as_str().expect("a URL").to_owned()],
        state: Service::ALL.into_iter().map(|service| (service, data.join(service.name()))).collect(),
        operator: data.join("operator"),
    };
    Ok((layout, vec![process]))
}

async fn split(home: &Path, extra: &str) -> Result<(Layout, Vec<Process>), String> {
    let data = home.join("data");
    let edge = home.join("edge");
    issue_edge_certificate(&edge);
    // Everybody must know everybody's port before anybody runs: they are picked here, and freed at the last moment.
    let held: Vec<_> = (0..6).map(|_| TcpListener::bind("127.0.0.1:0").expect("a free port")).collect();
    let ports: Vec<_> = held.iter().map(|socket| socket.local_addr().expect("bound")).collect();
    let layout = Layout {
        edge: ports[0],
        edge_ca: edge.join("ca.pem"),
        bootstrap: ports[1],
        mesh: BTreeMap::from([
            (Service::Ca, ports[2]),
            (Service::Auth, ports[3]),
            (Service::Context, ports[4]),
            (Service::Summarization, ports[5]),
        ]),
        metrics: Vec::new(),
        state: Service::ALL.into_iter().map(|service| (service, data.join(service.name()))).collect(),
        operator: home.join("operator"),
    };
    std::fs::write(home.join("verbs.toml"), config::verbs(&layout, extra)).expect("written");
    drop(held);

    let mut started = Vec::new();
    for service in Service::ALL {
        let file = home.join(format!("{}.toml", service.name()));
        std::fs::write(&file, config::serve(service, &layout, home, extra)).expect("written");
        let (mut process, ready) = serve(home, service);
        if service == Service::Ca {
            // The others cannot begin without their tokens; the ca in turn serves only once auth does.
            for joiner in Service::ALL.into_iter().filter(|joiner| *joiner != Service::Ca) {
                process.appears(&config::join_token(home, joiner), START_MAX).await?;
            }
        }
        started.push((process, ready));
    }
    let mut layout = layout;
    let mut processes = Vec::new();
    for (mut process, ready) in started {
        let said = process.ready(&ready, START_MAX).await?;
        layout.metrics.push(said["metrics"].as_str().expect("a URL").to_owned());
        processes.push(process);
    }
    Ok((layout, processes))
}

/// Starts one service by its file, which is there.
fn serve(home: &Path, service: Service) -> (Process, PathBuf) {
    let name = service.name();
    let (file, ready) = (home.join(format!("{name}.toml")), home.join(format!("{name}.json")));
    let _ = std::fs::remove_file(&ready);
    let arguments = [
        "serve".as_ref(),
        name.as_ref(),
        "--config".as_ref(),
        file.as_os_str(),
        "--ready-file".as_ref(),
        ready.as_os_str(),
    ];
    (Process::start(name, &arguments, home), ready)
}

/// An edge certificate, as an operator would lay one down.
fn issue_edge_certificate(folder: &Path) {
    if folder.join("ca.pem").exists() {
        return;
    }
    std::fs::create_dir_all(folder).expect("a folder");
    let day = Duration::from_secs(24 * 60 * 60);
    let now = SystemClock.now();
    let authority = EdgeCa::create(now, day * 30, &SystemEntropy).expect("an authority");
    let leaf = authority.issue(now, day, &SystemEntropy).expect("a certificate");
    let pem = Authorities::pem;
    std::fs::write(folder.join("ca.pem"), pem("CERTIFICATE", &[authority.certificate()])).expect("written");
    let chain: Vec<_> = leaf.chain.iter().map(|der| &**der).collect();
    std::fs::write(folder.join("chain.pem"), pem("CERTIFICATE", &chain)).expect("written");
    process::write_private(&folder.join("key.pem"), &pem("PRIVATE KEY", &[leaf.key.secret_der()]));
}

/// Asks again until `answer` is what was waited for; what it last was, where that took too long.
pub async fn until<T, F: Future<Output = Result<T, String>>>(what: &str, mut ask: impl FnMut() -> F) -> T {
    let begun = Instant::now();
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(last) if begun.elapsed() > Duration::from_secs(20) => panic!("{what}: {last}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

/// The CPU time of a process so far, in ticks of the kernel: user and system.
pub fn cpu_ticks(process: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The command's name may hold anything, so what follows its bracket is counted (proc(5)).
    let after = stat.rsplit_once(") ").map_or("", |(_, after)| after);
    let field =
        |at: usize| after.split(' ').nth(at).and_then(|text| text.parse::<u64>().ok()).unwrap_or_default();
    field(11) + field(12)
}
