//! How messages are cut out of bodies, in each protocol that the edge speaks.
//!
//! gRPC, gRPC-Web and Connect's streams share one envelope: a byte of flags, four bytes of length, the message. So
//! messages pass untouched; what differs is how the end is told, and that Connect also speaks JSON and bare messages.
//!
//! ```text
//! envelope.rs  the envelope: checked as it flows past, or read whole
//! base64.rs    gRPC-Web in text
//! trailers.rs  the end of a call, as each protocol tells it
//! connect.rs   Connect's errors
//! json.rs      messages as JSON, by their descriptors
//! request.rs   the body that goes to the service
//! answer.rs    the body that goes to the client
//! ```

pub(crate) mod answer;
pub(crate) mod base64;
pub(crate) mod connect;
pub(crate) mod envelope;
pub(crate) mod json;
pub(crate) mod request;
pub(crate) mod trailers;
