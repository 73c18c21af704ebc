//! The machinery of the specifications: a running platform, its users, its attackers, and what they leave behind.
//!
//! ```text
//! world/      the real `mcp` binary, as one process or five, until dropped
//! user.rs     somebody with a token, over the gateway or a service's own port
//! identity.rs certificates: the platform's own, and an impostor's
//! signer.rs   any token at all, signed with the platform's own keys
//! wire.rs     one HTTP/2 request, byte by byte
//! web.rs      gRPC-Web and Connect, as browsers and curl speak them
//! audit.rs    the rows that decisions left
//! metrics.rs  the counts
//! digest.rs   everything stored, as one number
//! cases/      negative tests, made from the policy table
//! tree.rs     the tree itself
//! ```
#![expect(clippy::panic, reason = "a specification that cannot go on says so and fails")]

pub mod audit;
pub mod cases;
pub mod digest;
pub mod identity;
pub mod metrics;
pub mod signer;
pub mod tree;
pub mod user;
pub mod web;
pub mod wire;
pub mod world;

pub use self::{
    user::User,
    world::{Mode, Service, World},
};

use tonic::Status;

/// The stable reason that a refusal carries.
pub fn reason(status: &Status) -> String {
    mcp_rpc::reason_of(status).unwrap_or_default()
}

/// The licence text that Debian machines carry, or one as long where there is none: a document of real size.
pub fn real_document() -> String {
    std::fs::read_to_string("/usr/share/common-licenses/GPL-3").unwrap_or_else(|_| document(35_000))
}

/// A text of `bytes` bytes with sentences, paragraphs and words that differ.
pub fn document(bytes: usize) -> String {
    const WORDS: [&str; 24] = [
        "gateway",
        "tenant",
        "certificate",
        "summary",
        "message",
        "policy",
        "mesh",
        "token",
        "audit",
        "store",
        "carries",
        "refuses",
        "renews",
        "forwards",
        "seals",
        "records",
        "every",
        "another",
        "trusted",
        "short",
        "without",
        "within",
        "before",
        "after",
    ];
    let mut text = String::with_capacity(bytes + 16);
    let mut at: usize = 7;
    while text.len() < bytes {
        for place in 0..11 {
            at = (at * 31 + place * 17 + text.len()) % 65_521;
            text.push_str(WORDS[at % WORDS.len()]);
            text.push(if place == 10 { '.' } else { ' ' });
        }
        text.push_str(if at.is_multiple_of(5) { "\n\n" } else { " " });
    }
    text.truncate(bytes);
    text
}
