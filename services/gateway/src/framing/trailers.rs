//! The end of a call, as each protocol tells it.

use bytes::{BufMut as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderName};
use tonic::{Code, Status};

use crate::framing::envelope::{HEAD_BYTES, wrap};

/// The envelope holds trailers (PROTOCOL-WEB.md, "Message framing").
const WEB_TRAILERS: u8 = 0x80;

/// The envelope holds the end of a stream (the Connect protocol, "Streaming-Response").
const CONNECT_END: u8 = 0b10;

/// Trailers as the last frame of a gRPC-Web body.
pub(crate) fn web(trailers: &HeaderMap) -> Bytes {
    let bytes: usize = trailers.iter().map(|(name, value)| name.as_str().len() + value.len() + 3).sum();
    let mut frame = BytesMut::with_capacity(HEAD_BYTES + bytes);
    frame.put_u8(WEB_TRAILERS);
    frame.put_u32(u32::try_from(bytes).unwrap_or(u32::MAX));
    for (name, value) in trailers {
        frame.put_slice(name.as_str().as_bytes());
        frame.put_u8(b':');
        frame.put_slice(value.as_bytes());
        frame.put_slice(b"\r\n");
    }
    frame.freeze()
}

/// Trailers as the last envelope of a Connect stream.
pub(crate) fn connect(trailers: &HeaderMap) -> Bytes {
    let mut end = serde_json::Map::new();
    let status = status(trailers);
    if status.code() != Code::Ok {
        end.insert("error".to_owned(), super::connect::error(&status));
    }
    let mut metadata = serde_json::Map::new();
    for name in trailers.keys().filter(|name| !is_grpc(name)) {
        let values = trailers.get_all(name).iter();
        metadata.insert(name.as_str().to_owned(), values.filter_map(|value| value.to_str().ok()).collect());
    }
    if !metadata.is_empty() {
        end.insert("metadata".to_owned(), metadata.into());
    }
    wrap(CONNECT_END, serde_json::Value::Object(end).to_string().as_bytes())
}

/// The status in trailers, or in the headers of an answer that has nothing else.
pub(crate) fn status(trailers: &HeaderMap) -> Status {
    Status::from_header_map(trailers).unwrap_or_else(|| Status::unknown("the answer ended without a status"))
}

/// The code in trailers.
pub(crate) fn code(trailers: &HeaderMap) -> Code {
    trailers.get(Status::GRPC_STATUS).map_or(Code::Unknown, |value| Code::from_bytes(value.as_bytes()))
}

/// Whether this is gRPC's own trailer and not the service's metadata.
pub(crate) fn is_grpc(name: &HeaderName) -> bool {
    *name == Status::GRPC_STATUS || *name == Status::GRPC_MESSAGE || *name == Status::GRPC_STATUS_DETAILS
}
