//! Negative tests made from the policy table: no method is named here, so none can be forgotten.
//!
//! ```text
//! messages.rs  a message that holds, and one for each rule that it can break, by the rules in the proto files
//! tokens.rs    every way in which a token can be wrong
//! trial.rs     sends a call, holds its refusal to the promise, and looks at what was left behind
//! ```

pub mod messages;
pub mod tokens;
pub mod trial;

use mcp_proto::{POLICIES, POOL};
use mcp_tenancy::{Access, MethodPolicy, Peer, Streaming};
use prost_reflect::MessageDescriptor;

use crate::world::Service;

/// A policy.
pub type Policy = &'static MethodPolicy;

/// Names that the mesh knows, and one that it does not: whoever may be at the other end.
///
/// The ca is not among them: it gives its own name to nobody, whatever is asked.
pub const PEERS: [&str; 6] = ["gateway", "auth", "context", "summarization", "intruder", OPERATOR];

/// Stands for the operator among [`PEERS`].
pub const OPERATOR: &str = "operator";

/// Every method, with the services that answer it on their own port.
pub fn mesh() -> impl Iterator<Item = (Policy, Service)> {
    POLICIES.methods.iter().flat_map(|policy| hosts(policy).into_iter().map(move |host| (policy, host)))
}

/// Every method where it is answered: those of users are not at the ca.
pub fn answered() -> impl Iterator<Item = (Policy, Service)> {
    mesh().filter(|(policy, host)| permission(policy).is_none() || *host != Service::Ca)
}

/// The methods of [`mesh`] that ask for a permission, where tokens are believed.
pub fn mesh_of_users() -> impl Iterator<Item = (Policy, Service)> {
    mesh().filter(|(policy, host)| permission(policy).is_some() && *host != Service::Ca)
}

/// The methods that ask for a permission at the ca, which asks nobody whose tokens to believe, and so believes none.
pub fn ca_of_users() -> impl Iterator<Item = (Policy, Service)> {
    mesh().filter(|(policy, host)| permission(policy).is_some() && *host == Service::Ca)
}

/// Whether a method's protocol is not ours and takes a stream: its handler hears of a broken stream, and says nothing.
pub fn is_foreign_stream(policy: &MethodPolicy) -> bool {
    let streams = matches!(policy.streaming, Streaming::Client | Streaming::Both);
    request(policy).is_none() && streams
}

/// The methods that the edge has a route to.
pub fn edge() -> impl Iterator<Item = Policy> {
    POLICIES.methods.iter().filter(|policy| is_routed(policy))
}

/// The methods of [`edge`] that ask for a permission.
pub fn edge_of_users() -> impl Iterator<Item = Policy> {
    edge().filter(|policy| permission(policy).is_some())
}

/// The methods that the edge has no route to.
pub fn hidden() -> impl Iterator<Item = Policy> {
    POLICIES.methods.iter().filter(|policy| !is_routed(policy))
}

fn is_routed(policy: &MethodPolicy) -> bool {
    policy.routed_at_edge() && policy.access != Access::Internal
}

/// The permission that a method asks for.
pub fn permission(policy: &MethodPolicy) -> Option<&'static str> {
    match policy.access {
        Access::Permission(permission) => Some(permission.name),
        Access::Public { .. } | Access::Internal => None,
    }
}

/// Whether the only way to a method is the ca's port for newcomers.
pub fn is_for_newcomers(policy: &MethodPolicy) -> bool {
    policy.peers == [Peer::Unidentified]
}

/// Whether `peer` of [`PEERS`] may call a method.
pub fn admits(policy: &MethodPolicy, peer: &str) -> bool {
    policy.peers.iter().any(|allowed| match allowed {
        Peer::Service(name) => *name == peer,
        Peer::AnyService => peer != OPERATOR,
        Peer::Operator => peer == OPERATOR,
        Peer::Unidentified => false,
    })
}

/// A peer that may call a method, if one with a certificate may.
pub fn right_peer(policy: &MethodPolicy) -> Option<&'static str> {
    PEERS.into_iter().find(|peer| admits(policy, peer))
}

/// Who answers a method: its own service, or every service where the protocol is not ours.
fn hosts(policy: &MethodPolicy) -> Vec<Service> {
    let package = policy.service().rsplit_once('.').map_or("", |(package, _)| package);
    match package.strip_prefix("mcp.").and_then(|rest| rest.strip_suffix(".v1")) {
        Some(name) => Service::ALL.into_iter().filter(|service| service.name() == name).collect(),
        None => Service::ALL.into_iter().filter(|service| *service != Service::Gateway).collect(),
    }
}

/// The request of a method, where its protocol is ours: then it has rules.
pub fn request(policy: &MethodPolicy) -> Option<MessageDescriptor> {
    let service = POOL.get_service_by_name(policy.service())?;
    let method = service.methods().find(|method| method.name() == policy.method())?;
    Some(method.input())
}
