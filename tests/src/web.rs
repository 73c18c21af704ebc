//! gRPC-Web and Connect, as browsers and curl speak them.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use prost::Message;
use reqwest::{Client, Response};
use tonic::Status;

use crate::{User, World, identity, wire::framed};

/// Which HTTP is spoken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Http {
    /// HTTP/1.1.
    One,
    /// HTTP/2.
    Two,
}

/// How gRPC-Web writes its bodies.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Form {
    /// As they are.
    Binary,
    /// In base64.
    Text,
}

/// A client of HTTP that trusts the world's edge.
pub fn client(world: &World, http: Http) -> Client {
    let (protocol, builder) = match http {
        Http::One => (&b"http/1.1"[..], Client::builder().http1_only()),
        Http::Two => (&b"h2"[..], Client::builder()),
    };
    let tls = identity::ordinary(&world.edge_ca(), &[protocol]);
    let config = rustls::ClientConfig::clone(&tls);
    builder.tls_backend_preconfigured(config).timeout(Duration::from_secs(60)).build().expect("a client")
}

/// Calls a method by gRPC-Web.
pub async fn grpc_web<M: Message + Default>(
    client: &Client,
    user: &User,
    path: &str,
    form: Form,
    message: &impl Message,
) -> Result<M, Status> {
    let frame = framed(&message.encode_to_vec());
    let (content_type, body) = match form {
        Form::Binary => ("application/grpc-web+proto", frame),
        Form::Text => ("application/grpc-web-text", Bytes::from(STANDARD.encode(&frame))),
    };
    let response = client
        .post(format!("{}{path}", user.url()))
        .bearer_auth(user.token())
        .header("content-type", content_type)
        .header("x-grpc-web", "1")
        .header("x-tenant-id", user.tenant())
        .body(body)
        .send()
        .await
        .map_err(|error| Status::unavailable(format!("{error:?}")))?;
    answer_of_grpc_web(response, form).await
}

/// Reads an answer of gRPC-Web: one message, and how it ended.
pub async fn answer_of_grpc_web<M: Message + Default>(response: Response, form: Form) -> Result<M, Status> {
    if let Some(status) = Status::from_header_map(response.headers()) {
        return Err(status);
    }
    assert_eq!(response.status(), 200, "gRPC-Web tells of errors in its own way");
    let body = response.bytes().await.map_err(|error| Status::unavailable(error.to_string()))?;
    let body = match form {
        Form::Binary => body,
        Form::Text => Bytes::from(base64_of_pieces(&body)),
    };
    let (mut message, mut status) = (None, None);
    let mut rest = &body[..];
    while let Some((head, after)) = rest.split_at_checked(5) {
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        let (inner, after) = after.split_at(length);
        match head[0] {
            0 => message = Some(M::decode(inner).expect("the answer's message")),
            0x80 => status = Status::from_header_map(&trailers(inner)),
            other => panic!("a frame of kind {other}"),
        }
        rest = after;
    }
    match (status, message) {
        (Some(status), Some(message)) if status.code() == tonic::Code::Ok => Ok(message),
        (Some(status), _) => Err(status),
        (None, _) => panic!("an answer without a status"),
    }
}

/// Base64 that may have been padded at the end of each piece.
fn base64_of_pieces(text: &[u8]) -> Vec<u8> {
    text.chunks(4).flat_map(|four| STANDARD.decode(four).expect("base64")).collect()
}

fn trailers(block: &[u8]) -> HeaderMap {
    let text = std::str::from_utf8(block).expect("text");
    let lines = text.split("\r\n").filter_map(|line| line.split_once(':'));
    lines
        .map(|(name, value)| {
            let name = HeaderName::try_from(name.trim()).expect("a name");
            (name, HeaderValue::try_from(value.trim()).expect("a value"))
        })
        .collect()
}

/// Calls a method by Connect in JSON, as curl would; the answer as it came.
pub async fn connect(client: &Client, user: &User, path: &str, message: &serde_json::Value) -> Response {
    client
        .post(format!("{}{path}", user.url()))
        .bearer_auth(user.token())
        .json(message)
        .send()
        .await
        .expect("an answer")
}
