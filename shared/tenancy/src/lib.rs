//! Who may act, and inside which tenant: a chain of proofs, each made only from the one before it.
//!
//! ```text
//! token ------Verifier::verify---> Credential --\
//!                                                Gate::admit --> Caller --> TenantScope | PlatformScope
//! certificate --(mTLS listener)--> PeerIdentity /
//! ```
//!
//! A [`TenantScope`] is what every tenant-owned read or write asks for. Its fields are private and nothing
//! else makes one, so a handler can neither invent one nor widen the one it was given:
//!
//! ```compile_fail,E0451
//! # fn forge(scope: mcp_tenancy::TenantScope, other: mcp_types::TenantSlug) {
//! let forged = mcp_tenancy::TenantScope { tenant: other, ..scope };
//! # }
//! ```
//!
//! ```compile_fail,E0451
//! # fn forge(credential: mcp_tenancy::Credential, other: mcp_types::TenantSlug) {
//! let forged = mcp_tenancy::Credential { tenant: other, ..credential };
//! # }
//! ```
//!
//! ```text
//! policy.rs      what each method demands; generated from the proto files
//! claims.rs      what a token says, strictly typed
//! verifier.rs    token in, Credential out
//! cache.rs       a token is verified once
//! credential.rs  who signed in, for which tenant, with which permissions
//! peer.rs        who is at the other end of the connection
//! gate.rs        policy + peer + credential in, Caller or Denied out
//! scope.rs       the right to open a tenant's, or the platform's, rows
//! evidence.rs    the audit row that a write takes along
//! denied.rs      every reason to refuse, with its code for callers and its words for operators
//! ```

mod cache;
mod claims;
mod credential;
mod denied;
mod evidence;
mod gate;
mod peer;
mod policy;
mod scope;
mod verifier;

pub use self::{
    cache::VerifiedTokens,
    claims::{ACCESS_TOKEN_TYPE, Confirmation, TRANSACTION_TOKEN_TYPE, TokenClaims, TokenKind},
    credential::Credential,
    denied::{Denied, Refusal},
    evidence::Evidence,
    gate::{Admission, Caller, Gate},
    peer::PeerIdentity,
    policy::{
        Access, AuditClass, Idempotency, MethodPolicy, Peer, Permission, PermissionSet, PolicyTable,
        RateClass, Streaming, Tenancy,
    },
    scope::{PlatformScope, TenantScope},
    verifier::{BadIssuer, IssuerKeys, Verifier},
};
