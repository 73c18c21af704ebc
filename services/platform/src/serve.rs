//! `mcp serve SERVICE`: one service in this process, as in production.

use std::{
    collections::BTreeMap,
    future::Future,
    net::{SocketAddr, TcpListener},
    pin::Pin,
};

use mcp_rpc::MeshConfig;
use mcp_runtime::{
    Cores, Failure, Shell, Stop, install_metrics, serve_metrics, set_process_limits, start_log,
};

use crate::{
    cli::{Format, ServeArgs, ServiceChoice},
    config::PlatformConfig,
    files, output,
    ready::{self, ServiceReady},
    rules,
};

type Running = Pin<Box<dyn Future<Output = Result<(), Failure>> + Send>>;

/// Runs one service until the word to stop.
pub(crate) fn run(args: &ServeArgs, format: Format) -> Result<(), Failure> {
    let config = PlatformConfig::load_for_serve(Some(&args.config))?;
    rules::check(&config, &[args.service])?;
    start_log(config.log_format(), &config.log.filter)?;
    set_process_limits();
    let metrics_handle = install_metrics()?;
    let mesh = MeshConfig { log_format: config.log_format(), ..config.mesh.clone() };
    files::private_folder(&mesh.state_dir)?;

    let mut listen = BTreeMap::new();
    let mut bind = |name: &'static str, address: SocketAddr| -> Result<TcpListener, Failure> {
        config.check_listen(&format!("listen.{name}"), address)?;
        let cannot = |source| Failure::io(format!("listen on {address}"), source);
        let listener = TcpListener::bind(address).map_err(cannot)?;
        listen.insert(name, listener.local_addr().map_err(cannot)?);
        Ok(listener)
    };
    let metrics = config.listen.metrics.map(|address| bind("metrics", address)).transpose()?;

    let cores = Cores::start_all().map_err(|source| Failure::io("start a thread for each core", source))?;
    let shell = Shell::new(cores, Stop::default(), config.profile);
    let of_service = shell.another();
    let readiness = of_service.readiness();
    let service: Running = match args.service {
        ServiceChoice::Ca => {
            let listeners = mcp_ca::Listeners {
                mesh: bind("mesh", config.listen.mesh)?,
                bootstrap: bind("bootstrap", config.listen.bootstrap)?,
            };
            Box::pin(mcp_ca::run(config.ca.clone(), mesh, listeners, of_service))
        }
        ServiceChoice::Auth => {
            Box::pin(mcp_auth::run(config.auth.clone(), mesh, bind("mesh", config.listen.mesh)?, of_service))
        }
        ServiceChoice::Context => Box::pin(mcp_context::run(
            config.context.clone(),
            mesh,
            bind("mesh", config.listen.mesh)?,
            of_service,
        )),
        ServiceChoice::Summarization => {
            let listener = bind("mesh", config.listen.mesh)?;
            Box::pin(mcp_summarization::run(config.summarization.clone(), mesh, listener, of_service))
        }
        ServiceChoice::Gateway => Box::pin(mcp_gateway::run(
            config.gateway.clone(),
            mesh,
            bind("edge", config.listen.edge)?,
            of_service,
        )),
    };

    let metrics_address = listen.remove("metrics");
    let ready = ServiceReady {
        service: args.service.name(),
        listen,
        metrics: metrics_address.map(|address| format!("http://{address}/metrics")),
    };
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("control")
        .enable_all()
        .build()
        .map_err(|source| Failure::io("start a runtime", source))?
        .block_on(async {
            if let Some(listener) = metrics {
                tokio::spawn(serve_metrics(listener, metrics_handle, shell.clone()));
            }
            let mut running = tokio::spawn(service);
            let serving = async {
                readiness.serving().await;
                if let Some(file) = &args.ready_file {
                    ready::write(file, &ready)?;
                }
                announce(&ready, format)?;
                std::future::pending::<Result<(), Failure>>().await
            };
            let early = tokio::select! {
                ended = &mut running => return joined(ended),
                failed = serving => failed,
                signal = shell.stop.on_signals() => {
                    let signal = signal.map_err(|source| Failure::io("hear signals", source));
                    signal.map(|signal| tracing::info!(signal, "stopping; calls in flight finish first"))
                }
            };
            shell.stop.request();
            early.and(joined(running.await))
        })
}

fn joined(ended: Result<Result<(), Failure>, tokio::task::JoinError>) -> Result<(), Failure> {
    ended.unwrap_or_else(|panicked| Err(Failure::software("the service ended by a panic").because(panicked)))
}

fn announce(ready: &ServiceReady, format: Format) -> Result<(), Failure> {
    match format {
        Format::Json => {
            let value = serde_json::to_value(ready)
                .map_err(|source| Failure::software("cannot describe the service").because(source))?;
            output::json(&value);
        }
        Format::Text | Format::Markdown => {
            let listen: Vec<_> =
                ready.listen.iter().map(|(name, address)| format!("{name} {address}")).collect();
            output::line(format_args!("{} serves: {}", ready.service, listen.join(", ")));
        }
    }
    Ok(())
}
