//! The layers of a mesh listener, composed once, each with the reason for its height.

use std::{convert::Infallible, net::SocketAddr, pin::Pin, sync::Arc};

use aws_lc_rs::digest::{SHA256, digest};
use http::{Request, Response};
use hyper::body::Incoming;
use mcp_svid::SpiffeId;
use mcp_tenancy::PeerIdentity;
use mcp_types::Clock;
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tonic::{body::Body, service::Routes};
use tower::{Service, ServiceBuilder};

use crate::{
    conn::Connection,
    drained::Drained,
    layers::{
        AdmitLayer, AuditedLayer, DeadlineLayer, IdentifyLayer, LookupLayer, ObserveLayer, PanicLayer,
        QuotaLayer, Records, ShedLayer, SizeLayer,
    },
    listen::ServeConnection,
};

/// What the layers of one listener share.
#[derive(Clone, Debug)]
pub(crate) struct Parts {
    pub(crate) identify: IdentifyLayer,
    pub(crate) observe: ObserveLayer,
    pub(crate) shed: ShedLayer,
    pub(crate) lookup: LookupLayer,
    pub(crate) deadline: DeadlineLayer,
    pub(crate) admit: AdmitLayer,
    pub(crate) quota: QuotaLayer,
    pub(crate) audited: AuditedLayer,
}

/// Puts the layers before `routes`, outermost first.
pub(crate) fn stack(
    parts: &Parts,
    routes: Routes,
) -> impl Service<Request<Drained>, Response = Response<Body>, Error = Infallible, Future: Send>
+ Clone
+ Send
+ Sync
+ use<> {
    ServiceBuilder::new()
        // Outermost: whatever happens below, the call has an ID to speak of it by.
        .layer(parts.identify.clone())
        // Above everything that may refuse, so that refusals and panics are logged and counted like answers.
        .layer(parts.observe.clone())
        // Below the log, which shall tell of the panic; above all code that could panic.
        .layer(PanicLayer)
        // The cheapest refusal: under overload nothing below is paid for.
        .layer(parts.shed.clone())
        // Above the look-up, so that every precise refusal gets its row; below the shedding, whose flood shall not.
        .layer(parts.audited.of(Records::Refusals))
        // Nothing below can act without the method's policy.
        .layer(parts.lookup)
        // Above the gate: what follows runs within the caller's time or the policy's, whichever is shorter.
        .layer(parts.deadline.clone())
        // Peer, token, tenant, permission, in the order of their cost.
        .layer(parts.admit.clone())
        // Below the gate, since the budget is the tenant's and the user's.
        .layer(parts.quota.clone())
        // Below every decision, so that "let in" is true; a write waits here for its row.
        .layer(parts.audited.of(Records::Admissions))
        // Innermost, as the body is read by the codec alone; the codec then holds the message to its rules.
        .layer(SizeLayer)
        .service(routes)
}

/// Serves the connections of one core.
#[derive(Debug)]
pub(crate) struct MeshConnections<S> {
    pub(crate) stack: S,
    pub(crate) client_auth: bool,
    pub(crate) clock: Arc<dyn Clock>,
}

/// Serves the calls of one connection.
#[derive(Debug)]
pub(crate) struct MeshConnection<S> {
    stack: S,
    connection: Arc<Connection>,
}

// === impl MeshConnections ===

impl<S> ServeConnection for MeshConnections<S>
where
    S: Service<Request<Drained>, Response = Response<Body>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static,
{
    type Service = MeshConnection<S>;

    fn connected(&self, stream: &TlsStream<TcpStream>, remote: SocketAddr) -> Option<Self::Service> {
        let session = stream.get_ref().1;
        // A client that does not ask for HTTP/2 gets past the handshake, but gRPC it does not speak.
        if session.alpn_protocol() != Some(b"h2") {
            return None;
        }
        let peer = match session.peer_certificates().and_then(<[_]>::first) {
            Some(leaf) => {
                // Asked again here: a resumed session was verified when it was begun, not now.
                let svid =
                    mcp_svid::Svid::read(leaf).ok().filter(|svid| svid.is_current(self.clock.now()))?;
                let mut sha256 = [0; 32];
                sha256.copy_from_slice(digest(&SHA256, leaf).as_ref());
                identity(&svid.id, sha256)?
            }
            // The verifier let a client without a certificate pass only where the listener asks for none.
            None if !self.client_auth => PeerIdentity::unidentified(),
            None => return None,
        };
        let connection = Arc::new(Connection::new(peer, remote));
        Some(MeshConnection { stack: self.stack.clone(), connection })
    }
}

fn identity(id: &SpiffeId, sha256: [u8; 32]) -> Option<PeerIdentity> {
    let service = id.service_name().map(|name| PeerIdentity::service(name, sha256));
    service.or_else(|| id.operator_name().map(|name| PeerIdentity::operator(name, sha256)))
}

// === impl MeshConnection ===

impl<S> hyper::service::Service<Request<Incoming>> for MeshConnection<S>
where
    S: Service<Request<Drained>, Response = Response<Body>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<S::Future>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(Arc::clone(&self.connection));
        // Every layer is ready at any time: bounds refuse instead of waiting.
        Box::pin(self.stack.clone().call(request.map(Drained::new)))
    }
}
