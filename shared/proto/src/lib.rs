//! The API as code: messages, clients, servers, the descriptor set and the policy of every method.
//!
//! Generated from `proto/`, but for the codec: the generated code names it, so it has to live here.

mod codec;

use std::sync::LazyLock;

use mcp_tenancy::{
    Access, AuditClass, Idempotency, MethodPolicy, Peer, Permission, PolicyTable, RateClass, Streaming,
    Tenancy,
};
use prost_reflect::DescriptorPool;

pub use self::codec::{Inbound, ValidatingCodec, preload, validate};
pub use self::pb::mcp::{auth, ca, context, policy, summarization};

/// The descriptors of everything in `proto/` and of what it imports, encoded, options included.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// [`DESCRIPTORS`], decoded once.
#[expect(clippy::expect_used, reason = "the build script wrote these very bytes and decoded them itself")]
pub static POOL: LazyLock<DescriptorPool> =
    LazyLock::new(|| DescriptorPool::decode(DESCRIPTORS).expect("the build's own descriptors decode"));

/// The policy of every method.
pub static POLICIES: PolicyTable = include!(concat!(env!("OUT_DIR"), "/policies.rs"));

/// The generated modules, by package.
#[allow(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    clippy::allow_attributes_without_reason,
    clippy::semicolon_if_nothing_returned,
    clippy::needless_pass_by_value,
    reason = "generated; the proto files are linted instead"
)]
mod pb {
    include!(concat!(env!("OUT_DIR"), "/modules.rs"));
}

/// `Debug` of messages with fields that no log may show.
#[allow(unused_qualifications, reason = "generated")]
mod redacted {
    include!(concat!(env!("OUT_DIR"), "/redacted.rs"));
}

/// Which messages are requests.
#[allow(unused_qualifications, reason = "generated")]
mod requests {
    include!(concat!(env!("OUT_DIR"), "/requests.rs"));
}
