//! One HTTP/2 request, byte by byte: what generated clients would never send.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use bytes::{BufMut as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::{Code, Status};

/// How long an answer may take to end before it counts as a stream.
const STREAM_AFTER: Duration = Duration::from_millis(1500);

/// A connection.
#[derive(Clone, Debug)]
pub struct Wire {
    send: SendRequest<Full<Bytes>>,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status of HTTP.
    pub http: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, as far as it came.
    pub body: Bytes,
    /// The trailers.
    pub trailers: HeaderMap,
    /// Whether it ended; a stream that goes on does not.
    pub ended: bool,
}

// === impl Wire ===

impl Wire {
    /// Connects.
    pub async fn connect(address: SocketAddr, tls: Arc<ClientConfig>) -> io::Result<Self> {
        let stream = tls_stream(address, tls).await?;
        let (send, connection) =
            handshake(TokioExecutor::new(), TokioIo::new(stream)).await.map_err(io::Error::other)?;
        tokio::spawn(connection);
        Ok(Self { send })
    }

    /// Posts `body` to `path`, as gRPC does.
    pub async fn post(&self, path: &str, headers: &[(&str, &str)], body: Bytes) -> io::Result<Answer> {
        let mut sent = vec![("content-type", "application/grpc"), ("te", "trailers")];
        sent.extend_from_slice(headers);
        self.request(Method::POST, path, &sent, body).await
    }

    /// Sends one request.
    pub async fn request(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> io::Result<Answer> {
        let uri = format!("https://mesh.internal{path}");
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = uri.parse().map_err(io::Error::other)?;
        for (name, value) in headers {
            let name = HeaderName::try_from(*name).map_err(io::Error::other)?;
            request.headers_mut().append(name, HeaderValue::try_from(*value).map_err(io::Error::other)?);
        }
        let mut send = self.send.clone();
        send.ready().await.map_err(io::Error::other)?;
        let response = timeout(Duration::from_secs(20), send.send_request(request)).await?;
        let (head, mut body) = response.map_err(io::Error::other)?.into_parts();
        let mut answer = Answer {
            http: head.status,
            headers: head.headers,
            body: Bytes::new(),
            trailers: HeaderMap::new(),
            ended: false,
        };
        let mut bytes = BytesMut::new();
        while let Ok(frame) = timeout(STREAM_AFTER, body.frame()).await {
            let Some(frame) = frame else {
                answer.ended = true;
                break;
            };
            match frame.map_err(io::Error::other)?.into_data() {
                Ok(data) => bytes.put(data),
                Err(frame) => answer.trailers = frame.into_trailers().unwrap_or_default(),
            }
        }
        answer.body = bytes.freeze();
        Ok(answer)
    }
}

// === impl Answer ===

impl Answer {
    /// How the call ended, in gRPC's words.
    pub fn status(&self) -> Status {
        let said = Status::from_header_map(&self.headers).or_else(|| Status::from_header_map(&self.trailers));
        said.unwrap_or_else(|| match self.ended {
            true => Status::unknown(format!("HTTP {} and no status", self.http)),
            // What streams was let in.
            false => Status::ok("it goes on"),
        })
    }

    /// The code.
    pub fn code(&self) -> Code {
        self.status().code()
    }

    /// The stable reason.
    pub fn reason(&self) -> String {
        crate::reason(&self.status())
    }
}

/// A TLS connection to `address`.
pub async fn tls_stream(address: SocketAddr, tls: Arc<ClientConfig>) -> io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let name = ServerName::from(address.ip());
    TlsConnector::from(tls).connect(name, stream).await
}

/// One message in its frame (gRPC over HTTP/2, "Length-Prefixed-Message").
pub fn framed(message: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(message.len() + 5);
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).expect("a message that a frame can hold"));
    frame.put_slice(message);
    frame.freeze()
}

/// The head of a frame that announces `length` bytes, and the first few of them.
pub fn announced(length: u32) -> Bytes {
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(length);
    frame.put_bytes(b'x', 16);
    frame.freeze()
}
