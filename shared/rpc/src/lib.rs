//! The shell that every service is served in: mTLS listeners and channels, live identity, the layers, statuses.
//!
//! ```text
//! mesh.rs        a service's place in the mesh: join, serve, reach others
//! config.rs      what an operator may turn about it
//! join/          first certificate, renewal, the trust and access streams
//! join_token.rs  the secret for one first certificate
//! identity.rs    the identity of now, swapped whole
//! access.rs      the keys of now that tokens are verified with
//! listen.rs      accept, handshake, serve, drain, on every core
//! turns.rs       answers that wait for their client, and for how long
//! channel.rs     mTLS to another service
//! stack.rs       the layers, composed once, each with the reason for its height
//! layers/        one layer a file
//! call.rs        one call, as layers and handlers see it
//! conn.rs        one connection
//! drained.rs     bodies that are read though nobody wants them
//! trace.rs       W3C trace context
//! status.rs      errors become answers, here alone
//! access_log.rs  one line a call
//! rpc_metrics.rs the field's usual metrics
//! ```

mod access;
mod access_log;
mod call;
mod channel;
mod config;
mod conn;
mod drained;
mod identity;
mod join;
mod join_token;
mod layers;
mod listen;
mod mesh;
mod rpc_metrics;
mod stack;
mod status;
mod trace;
mod turns;

pub use self::{
    access::{BadSnapshot, LiveAccess},
    access_log::AccessLog,
    call::{Call, REQUEST_ID, TENANT_ID, TRACEPARENT},
    channel::mesh_channel,
    config::{CaEndpoints, MeshConfig},
    conn::Connection,
    drained::Drained,
    identity::{LiveIdentity, Unusable},
    join::first_identity,
    join_token::{BadJoinToken, JoinToken},
    layers::{AccessLine, LimitedBody, too_large},
    listen::{ListenLimits, ServeConnection, listen},
    mesh::{LocalSources, Mesh},
    rpc_metrics::{RpcMetrics, code_name},
    status::{REASON_DOMAIN, chain, denied, exhausted, internal, not_found, reason_of, refusal},
    trace::{TraceContext, TraceId},
};
