//! Channels to services of the mesh: mTLS both ways, the other end known by its SPIFFE ID.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use hyper_util::rt::TokioIo;
use mcp_svid::SpiffeId;
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint};

use crate::identity::LiveIdentity;

/// How long a connection may take to be made, handshake included.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// A channel to `expected` at `address`, connected at the first call and again after each loss.
///
/// Each connection uses the identity of its moment. Make the channel inside the runtime that will use it: its
/// connection lives there.
pub fn mesh_channel(address: SocketAddr, expected: SpiffeId, live: LiveIdentity) -> Channel {
    channel_with(address, move || live.client_config(&expected).map_err(io::Error::other))
}

/// A channel whose connections use the TLS configuration that `tls` gives at their moment.
pub(crate) fn channel_with(
    address: SocketAddr,
    tls: impl Fn() -> io::Result<Arc<ClientConfig>> + Clone + Send + Sync + 'static,
) -> Channel {
    let connector = tower::service_fn(move |_: http::Uri| {
        let tls = tls.clone();
        async move {
            let config = tls()?;
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            // The name is not what is verified: the SPIFFE ID is.
            let name = ServerName::try_from("mesh.internal").map_err(io::Error::other)?;
            let stream = TlsConnector::from(config).connect(name, stream).await?;
            if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
                return Err(io::Error::other("the other end does not speak HTTP/2"));
            }
            Ok::<_, io::Error>(TokioIo::new(stream))
        }
    });
    // `http` though the connector speaks TLS: with `https` tonic asks for a connector of its own.
    let origin = http::Uri::from_static("https://mesh.internal");
    Endpoint::from_static("http://mesh.internal")
        .origin(origin)
        .connect_timeout(CONNECT_MAX)
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(4 << 20)
        .http2_keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10))
        .keep_alive_while_idle(true)
        .connect_with_connector_lazy(connector)
}
