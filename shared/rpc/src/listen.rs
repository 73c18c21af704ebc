//! A TLS listener on every core: accept, handshake off the accept loop, serve, drain.
//!
//! One bound socket is cloned to each core's runtime, so that a second process cannot share the port by accident, and
//! a connection lives and dies on the core that accepted it.

use std::{
    collections::HashMap,
    convert::Infallible,
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use mcp_runtime::{Failure, Shell};
use rustls::ServerConfig;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{Instant, MissedTickBehavior, interval_at, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::body::Body;

use crate::{
    conn::network,
    turns::{Pulse, Turns, WatchTurns},
};

/// How a listener treats its connections. Every bound has a default that is safe on a public network.
#[derive(Clone, Debug)]
pub struct ListenLimits {
    /// Connections open at once, on all cores together; further ones wait to be accepted.
    pub connections_max: usize,
    /// Connections of one address open at once, an IPv6 address counting with its /64; further ones are closed unheard.
    pub connections_per_address_max: usize,
    /// How long a handshake may take.
    pub handshake_max: Duration,
    /// How long the head of an HTTP/1.1 request may take.
    pub head_max: Duration,
    /// Streams open at once in one HTTP/2 connection.
    pub streams_max: u32,
    /// The largest header list in bytes.
    pub header_bytes_max: u32,
    /// How often a silent HTTP/2 connection is asked whether it lives.
    pub keep_alive: Duration,
    /// How long an answer may wait for its client to take more of it, before the connection is closed; at most twice
    /// that.
    pub stall_max: Duration,
    /// How long a connection may be open without a call.
    pub idle_max: Duration,
    /// How long open calls may take to end after the word to stop.
    pub drain_max: Duration,
}

/// Serves the requests of one connection.
pub trait ServeConnection: Send + Sync + 'static {
    /// The service of one connection; its errors end the connection.
    type Service: hyper::service::Service<
            Request<Incoming>,
            Response = Response<Body>,
            Error = Infallible,
            Future: Send + 'static,
        > + Send
        + 'static;

    /// Looks at the finished handshake; `None` closes the connection.
    fn connected(&self, stream: &TlsStream<TcpStream>, remote: SocketAddr) -> Option<Self::Service>;
}

// === impl ListenLimits ===

impl Default for ListenLimits {
    fn default() -> Self {
        Self {
            connections_max: 4096,
            connections_per_address_max: 4096,
            handshake_max: Duration::from_secs(5),
            head_max: Duration::from_secs(10),
            streams_max: 250,
            header_bytes_max: 16 * 1024,
            keep_alive: Duration::from_secs(20),
            stall_max: Duration::from_secs(30),
            idle_max: Duration::from_secs(300),
            drain_max: Duration::from_secs(20),
        }
    }
}

/// Serves `listener` on every core until the shell's stop, then drains.
///
/// `tls` gives the configuration of the moment, so that a swap takes effect at the next handshake. `per_core` is called
/// once inside each core's runtime; whatever it makes lives there.
///
/// # Errors
///
/// Where the socket cannot be cloned or registered.
pub async fn listen<C: ServeConnection>(
    listener: std::net::TcpListener,
    shell: &Shell,
    limits: ListenLimits,
    name: &'static str,
    tls: impl Fn() -> Arc<ServerConfig> + Clone + Send + Sync + 'static,
    per_core: impl Fn() -> C + Clone + Send + Sync + 'static,
) -> Result<(), Failure> {
    let cannot = |source| Failure::io(format!("listen for {name}"), source);
    listener.set_nonblocking(true).map_err(cannot)?;
    let connections = Arc::new(Semaphore::new(limits.connections_max));
    let addresses =
        Arc::new(Addresses { open_max: limits.connections_per_address_max, open: Mutex::default() });
    let mut cores = Vec::new();
    for core in shell.cores.handles() {
        let listener = listener.try_clone().map_err(cannot)?;
        let (tls, per_core, limits) = (tls.clone(), per_core.clone(), limits.clone());
        let (stop, connections) = (shell.stop.clone(), Arc::clone(&connections));
        let addresses = Arc::clone(&addresses);
        cores.push(core.spawn(async move {
            let listener = TcpListener::from_std(listener)?;
            let serve = Arc::new(per_core());
            let core = Core {
                limits,
                name,
                serve,
                connections,
                addresses,
                tracker: TaskTracker::new(),
                drain: CancellationToken::new(),
            };
            tokio::select! {
                () = core.accept(&listener, tls) => {}
                () = stop.requested() => {}
            }
            // Closed before the drain, so that a newcomer is refused and not left hanging.
            drop(listener);
            core.drained().await;
            Ok::<_, io::Error>(())
        }));
    }
    drop(listener);
    for core in cores {
        match core.await {
            Ok(served) => served.map_err(cannot)?,
            Err(ended) => {
                return Err(Failure::software(format!("a core of {name} ended early")).because(ended));
            }
        }
    }
    Ok(())
}

struct Core<C> {
    limits: ListenLimits,
    name: &'static str,
    serve: Arc<C>,
    connections: Arc<Semaphore>,
    addresses: Arc<Addresses>,
    tracker: TaskTracker,
    drain: CancellationToken,
}

/// How many connections each address has open, so that one cannot take the places of all others.
struct Addresses {
    open_max: usize,
    open: Mutex<HashMap<IpAddr, usize>>,
}

/// One connection among those of its address; given back when dropped.
struct Counted {
    addresses: Arc<Addresses>,
    address: IpAddr,
}

// === impl Addresses ===

impl Addresses {
    /// A place for a connection from `address`, unless that has all it may have.
    fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Counted> {
        let address = network(address);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(address).or_default();
        if *count >= self.open_max {
            return None;
        }
        *count += 1;
        Some(Counted { addresses: Arc::clone(self), address })
    }
}

// === impl Counted ===

impl Drop for Counted {
    fn drop(&mut self) {
        let mut open = self.addresses.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.address);
            }
        }
    }
}

// === impl Core ===

impl<C: ServeConnection> Core<C> {
    async fn accept(&self, listener: &TcpListener, tls: impl Fn() -> Arc<ServerConfig>) {
        loop {
            let Ok(place) = Arc::clone(&self.connections).acquire_owned().await else { return };
            let (stream, remote) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file handles, most likely: others must end before this helps.
                    tracing::warn!(listener = self.name, %error, "cannot accept");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            };
            let Some(counted) = self.addresses.enter(remote.ip()) else {
                metrics::counter!("mcp_connections_refused_total", "listener" => self.name).increment(1);
                tracing::debug!(listener = self.name, %remote, "the address has too many connections open");
                continue;
            };
            let (tls, limits, name) = (tls(), self.limits.clone(), self.name);
            let (serve, drain) = (Arc::clone(&self.serve), self.drain.clone());
            self.tracker.spawn(async move {
                let _places = (place, counted);
                connection(stream, remote, tls, &limits, name, &*serve, drain).await;
            });
        }
    }

    async fn drained(&self) {
        self.drain.cancel();
        self.tracker.close();
        if timeout(self.limits.drain_max, self.tracker.wait()).await.is_err() {
            tracing::warn!(listener = self.name, "calls outlived the drain and were cut");
        }
    }
}

async fn connection<C: ServeConnection>(
    stream: TcpStream,
    remote: SocketAddr,
    tls: Arc<ServerConfig>,
    limits: &ListenLimits,
    name: &'static str,
    serve: &C,
    drain: CancellationToken,
) {
    let _ = stream.set_nodelay(true);
    let stream = match timeout(limits.handshake_max, TlsAcceptor::from(tls).accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            metrics::counter!("mcp_handshakes_refused_total", "listener" => name).increment(1);
            tracing::info!(listener = name, %remote, %error, "handshake refused");
            return;
        }
        Err(_) => {
            metrics::counter!("mcp_handshakes_refused_total", "listener" => name).increment(1);
            tracing::info!(listener = name, %remote, "handshake took too long");
            return;
        }
    };
    count_handshake(&stream, name);
    let Some(service) = serve.connected(&stream, remote) else { return };
    let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let mut builder = auto::Builder::new(TokioExecutor::new());
    // By what was agreed on, never by a look at the first bytes: for those hyper would wait without end.
    builder = if h2 { builder.http2_only() } else { builder.http1_only() };
    // A timer, since without one the head's bound would panic.
    builder.http1().timer(TokioTimer::new()).header_read_timeout(limits.head_max).keep_alive(true);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams_max)
        .max_header_list_size(limits.header_bytes_max)
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(4 << 20)
        .max_frame_size(64 * 1024)
        .keep_alive_interval(limits.keep_alive)
        .keep_alive_timeout(limits.keep_alive);
    let turns = Arc::<Turns>::default();
    let service = WatchTurns { inner: service, turns: Arc::clone(&turns) };
    let serving = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(serving);
    let period = limits.stall_max.min(limits.idle_max);
    let mut beat = interval_at(Instant::now() + period, period);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut leaving = false;
    let ended = loop {
        tokio::select! {
            ended = serving.as_mut() => break ended,
            () = drain.cancelled(), if !leaving => {
                leaving = true;
                serving.as_mut().graceful_shutdown();
            }
            _ = beat.tick() => match turns.beat() {
                Pulse::Busy => {}
                // Cut, since nothing that could be said would be read.
                Pulse::Stalled => return cut(name, remote, "an answer was not taken"),
                Pulse::Quiet(_) if leaving => return cut(name, remote, "the connection did not end"),
                Pulse::Quiet(beats) if period * beats >= limits.idle_max => {
                    leaving = true;
                    serving.as_mut().graceful_shutdown();
                }
                Pulse::Quiet(_) => {}
            },
        }
    };
    if let Err(error) = ended {
        tracing::debug!(listener = name, %remote, %error, "connection ended early");
    }
}

fn cut(name: &'static str, remote: SocketAddr, why: &'static str) {
    metrics::counter!("mcp_connections_cut_total", "listener" => name).increment(1);
    tracing::info!(listener = name, %remote, why, "a connection was cut");
}

fn count_handshake(stream: &TlsStream<TcpStream>, name: &'static str) {
    let session = stream.get_ref().1;
    let group = session.negotiated_key_exchange_group().map_or("none", |group| match group.name() {
        rustls::NamedGroup::X25519MLKEM768 => "X25519MLKEM768",
        rustls::NamedGroup::X25519 => "X25519",
        rustls::NamedGroup::secp256r1 => "secp256r1",
        rustls::NamedGroup::secp384r1 => "secp384r1",
        _ => "other",
    });
    let version = match session.protocol_version() {
        Some(rustls::ProtocolVersion::TLSv1_3) => "1.3",
        Some(rustls::ProtocolVersion::TLSv1_2) => "1.2",
        _ => "other",
    };
    let kind = match session.handshake_kind() {
        Some(rustls::HandshakeKind::Resumed) => "resumed",
        _ => "full",
    };
    metrics::counter!("mcp_handshakes_total", "listener" => name, "group" => group, "version" => version, "kind" => kind)
        .increment(1);
}
