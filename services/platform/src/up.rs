//! `mcp up`: the whole platform in one process, each service as it would run alone.
//!
//! Services share a process and nothing else: each binds its own port, joins with a join token over the wire, and
//! reaches the others over mTLS on loopback like a stranger.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    future::Future,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    pin::{Pin, pin},
    time::Duration,
};

use mcp_ca::{Authority, Listeners};
use mcp_rpc::{CaEndpoints, MeshConfig};
use mcp_runtime::{
    Cores, Failure, Readiness, SecretRef, Shell, Stop, install_metrics, serve_metrics, set_process_limits,
    start_log,
};
use mcp_types::ServiceName;
use tokio::task::JoinSet;

use crate::{
    cli::{Format, ServiceChoice, UpArgs},
    config::PlatformConfig,
    files, quickstart,
    ready::{self, Platform, Ready},
    rules,
};

/// How long starting may take before it counts as failed.
const START_MAX: Duration = Duration::from_secs(60);

/// The services that join, in the order of their need for each other.
const JOINERS: [&str; 4] = ["auth", "summarization", "context", "gateway"];

/// The bound sockets: bound before anything runs, so that every address is known to everybody.
struct Sockets {
    ca: TcpListener,
    bootstrap: TcpListener,
    auth: TcpListener,
    context: TcpListener,
    summarization: TcpListener,
    edge: TcpListener,
    metrics: TcpListener,
}

type Running = Pin<Box<dyn Future<Output = Result<(), Failure>> + Send>>;

/// Runs everything until the word to stop.
pub(crate) fn run(args: &UpArgs, format: Format) -> Result<(), Failure> {
    let config = PlatformConfig::load_for_up(args.config.as_deref())?;
    rules::check(&config, &ServiceChoice::ALL)?;
    let metrics = config.listen.metrics.unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    for (key, address) in [("--listen", args.listen), ("listen.metrics", metrics)] {
        if !address.ip().to_canonical().is_loopback() {
            return Err(Failure::config(format!("`{key}` is {address}, and `mcp up` keeps to loopback"))
                .advise("listen on 127.0.0.1 or [::1]; to be reached by others, run each service with `mcp serve SERVICE --config FILE`"));
        }
    }

    start_log(config.log_format(), &config.log.filter)?;
    set_process_limits();
    let metrics_handle = install_metrics()?;
    files::private_folder(&args.data_dir)?;
    let data_dir = fs::canonicalize(&args.data_dir)
        .map_err(|source| Failure::io(format!("find {}", args.data_dir.display()), source))?;
    let _lock = lock(&data_dir)?;
    let sockets = Sockets::bind(args.listen, metrics)?;

    let cores = Cores::start_all().map_err(|source| Failure::io("start a thread for each core", source))?;
    let shell = Shell::new(cores, Stop::default(), config.profile);
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("control")
        .enable_all()
        .build()
        .map_err(|source| Failure::io("start a runtime", source))?
        .block_on(async {
            let metrics_listener =
                sockets.metrics.try_clone().map_err(|source| Failure::io("share a socket", source))?;
            tokio::spawn(serve_metrics(metrics_listener, metrics_handle, shell.clone()));
            platform(args, &config, &data_dir, sockets, &shell, format).await
        })
}

async fn platform(
    args: &UpArgs,
    config: &PlatformConfig,
    data_dir: &Path,
    sockets: Sockets,
    shell: &Shell,
    format: Format,
) -> Result<(), Failure> {
    let begun = tokio::time::Instant::now();
    let platform = Platform {
        pid: std::process::id(),
        trust_domain: config.mesh.trust_domain.to_string(),
        ca: address(&sockets.ca)?,
        bootstrap: address(&sockets.bootstrap)?,
        auth: address(&sockets.auth)?,
        operator: data_dir.join("operator"),
    };
    let ready = Ready {
        gateway: format!("https://{}", address(&sockets.edge)?),
        edge_ca: edge_ca(config, data_dir),
        trust_bundle: data_dir.join("trust-bundle.pem"),
        services: BTreeMap::from([
            ("auth".to_owned(), platform.auth),
            ("ca".to_owned(), platform.ca),
            ("context".to_owned(), address(&sockets.context)?),
            ("summarization".to_owned(), address(&sockets.summarization)?),
        ]),
        metrics: format!("http://{}/metrics", address(&sockets.metrics)?),
    };

    let (services, readiness) = services(config, data_dir, sockets, &platform, &ready, shell).await?;
    let mut running = JoinSet::new();
    for service in services {
        running.spawn(service);
    }
    let serving = async {
        for service in readiness {
            service.serving().await;
        }
    };
    // Listened to once and from here on: a word that came between two listeners would be lost.
    let mut told = pin!(shell.stop.on_signals());
    let ended_early = tokio::select! {
        () = serving => None,
        ended = running.join_next() => Some(outcome(ended)),
        () = tokio::time::sleep(START_MAX) => Some(Err(Failure::software("the services did not start in time"))),
        signal = &mut told => Some(signal.map(drop).map_err(|source| Failure::io("hear signals", source))),
    };
    if let Some(ended) = ended_early {
        return stopped(ended, running, shell, data_dir).await;
    }

    platform.write(data_dir)?;
    if let Some(file) = &args.ready_file {
        ready::write(file, &ready)?;
    }
    quickstart::print(config, &args.data_dir, data_dir, &ready, begun.elapsed(), format);

    let ended = tokio::select! {
        ended = running.join_next() => outcome(ended),
        signal = &mut told => match signal {
            Ok(signal) => {
                tracing::info!(signal, "stopping; calls in flight finish first");
                Ok(())
            }
            Err(source) => Err(Failure::io("hear signals", source)),
        },
    };
    stopped(ended, running, shell, data_dir).await
}

/// Stops what still runs, and says how it all ended: the first failure counts.
async fn stopped(
    mut ended: Result<(), Failure>,
    mut running: JoinSet<Result<(), Failure>>,
    shell: &Shell,
    data_dir: &Path,
) -> Result<(), Failure> {
    shell.stop.request();
    while let Some(next) = running.join_next().await {
        let next = outcome(Some(next));
        ended = ended.and(next);
    }
    Platform::forget(data_dir);
    ended
}

fn outcome(ended: Option<Result<Result<(), Failure>, tokio::task::JoinError>>) -> Result<(), Failure> {
    match ended {
        None => Ok(()),
        Some(Ok(ended)) => ended,
        Some(Err(panicked)) => Err(Failure::software("a service ended by a panic").because(panicked)),
    }
}

/// Everything that runs, with the way to hear that it serves.
async fn services(
    config: &PlatformConfig,
    data_dir: &Path,
    sockets: Sockets,
    platform: &Platform,
    ready: &Ready,
    shell: &Shell,
) -> Result<(Vec<Running>, Vec<Readiness>), Failure> {
    let ca_config = ca_config(config, platform, ready);
    let ca_mesh = mesh_config(config, data_dir, "ca", platform);
    let authority = Authority::open(&ca_config, &ca_mesh, shell).await?;
    let mut meshes = BTreeMap::new();
    for name in JOINERS {
        let mut mesh = mesh_config(config, data_dir, name, platform);
        mesh.join_token = Some(join_token(&authority, data_dir, name).await?);
        meshes.insert(name, mesh);
    }
    let mut mesh_of = |name: &str| {
        meshes.remove(name).ok_or_else(|| Failure::software(format!("{name} has no place in the mesh")))
    };

    let mut gateway = config.gateway.clone();
    if gateway.certificate == mcp_gateway::CertificateFiles::default() {
        let edge = mcp_ca::edge::ensure(&data_dir.join("edge"), shell)?;
        gateway.certificate = mcp_gateway::CertificateFiles { chain: edge.chain, key: edge.key };
    }
    gateway.upstreams.auth = platform.auth;
    gateway.upstreams.context = ready.services["context"];
    gateway.upstreams.summarization = ready.services["summarization"];
    let mut context = config.context.clone();
    context.summarization = ready.services["summarization"];

    // The word to stop goes from the edge inwards, each hop's once the one before has drained: a call that is on its way
    // still finds whom it needs.
    let (stop_context, stop_rest) = (Stop::default(), Stop::default());
    let within = |stop: &Stop| {
        let mut inner = shell.another();
        inner.stop = stop.clone();
        inner
    };
    let [of_ca, of_auth, of_summarization] = std::array::from_fn(|_| within(&stop_rest));
    let (of_context, of_gateway) = (within(&stop_context), shell.another());
    let readiness =
        [&of_ca, &of_auth, &of_summarization, &of_context, &of_gateway].map(Shell::readiness).into();
    let listeners = Listeners { mesh: sockets.ca, bootstrap: sockets.bootstrap };
    let services: Vec<Running> = vec![
        Box::pin(mcp_ca::run_with(authority, ca_config, ca_mesh, listeners, of_ca)),
        Box::pin(mcp_auth::run(config.auth.clone(), mesh_of("auth")?, sockets.auth, of_auth)),
        Box::pin(mcp_summarization::run(
            config.summarization.clone(),
            mesh_of("summarization")?,
            sockets.summarization,
            of_summarization,
        )),
        then(mcp_context::run(context, mesh_of("context")?, sockets.context, of_context), stop_rest),
        then(mcp_gateway::run(gateway, mesh_of("gateway")?, sockets.edge, of_gateway), stop_context),
    ];
    Ok((services, readiness))
}

/// Runs `service`, and tells whoever stands behind it to stop when it has ended.
fn then(service: impl Future<Output = Result<(), Failure>> + Send + 'static, next: Stop) -> Running {
    Box::pin(async move {
        let ended = service.await;
        next.request();
        ended
    })
}

/// Who signed the edge's certificate: for one of the operator's, the authority that lies beside it, or else that itself.
fn edge_ca(config: &PlatformConfig, data_dir: &Path) -> PathBuf {
    let chain = &config.gateway.certificate.chain;
    if chain.as_os_str().is_empty() {
        return data_dir.join("edge/ca.pem");
    }
    let beside = chain.with_file_name("ca.pem");
    if beside.exists() { beside } else { chain.clone() }
}

fn ca_config(config: &PlatformConfig, platform: &Platform, ready: &Ready) -> mcp_ca::Config {
    let mut ca = config.ca.clone();
    ca.trust_bundle_file = Some(ready.trust_bundle.clone());
    ca.operator = Some(mcp_ca::OperatorFiles { folder: platform.operator.clone(), name: "local".to_owned() });
    ca
}

fn mesh_config(config: &PlatformConfig, data_dir: &Path, name: &str, platform: &Platform) -> MeshConfig {
    MeshConfig {
        state_dir: data_dir.join(name),
        ca: (name != "ca").then_some(CaEndpoints { mesh: platform.ca, bootstrap: platform.bootstrap }),
        auth: (name != "auth").then_some(platform.auth),
        log_format: config.log_format(),
        ..config.mesh.clone()
    }
}

/// Hands a join token over by file, as an operator would.
async fn join_token(authority: &Authority, data_dir: &Path, name: &str) -> Result<SecretRef, Failure> {
    let service: ServiceName =
        name.parse().map_err(|source| Failure::software(format!("{name} is no service")).because(source))?;
    let token = authority.create_join_token(&service, None).await?;
    let folder = data_dir.join("join");
    files::private_folder(&folder)?;
    let path = folder.join(name);
    files::private(&path, token.expose().as_bytes())?;
    Ok(SecretRef::file(path))
}

/// Keeps a second platform out of the folder for as long as the file is held.
fn lock(data_dir: &Path) -> Result<File, Failure> {
    let path: PathBuf = data_dir.join("lock");
    let file =
        File::create(&path).map_err(|source| Failure::io(format!("make {}", path.display()), source))?;
    file.try_lock().map_err(|_| {
        Failure::temporary(format!("another platform runs in {}", data_dir.display()))
            .advise("stop it first, or give this one a folder of its own with `--data-dir`")
    })?;
    Ok(file)
}

fn address(listener: &TcpListener) -> Result<SocketAddr, Failure> {
    listener.local_addr().map_err(|source| Failure::io("read a socket's address", source))
}

// === impl Sockets ===

impl Sockets {
    fn bind(edge: SocketAddr, metrics: SocketAddr) -> Result<Self, Failure> {
        let bind = |address: SocketAddr| {
            TcpListener::bind(address).map_err(|source| {
                Failure::io(format!("listen on {address}"), source)
                    .advise("is it in use? `--listen 127.0.0.1:0` picks a free port")
            })
        };
        let any = || bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        Ok(Self {
            edge: bind(edge)?,
            metrics: bind(metrics)?,
            ca: any()?,
            bootstrap: any()?,
            auth: any()?,
            context: any()?,
            summarization: any()?,
        })
    }
}
