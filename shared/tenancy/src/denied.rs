//! Every reason to refuse a call: a stable code for the caller, the rule and the way out for the operator.

use crate::{Permission, Tenancy};

/// Why a call was refused.
///
/// `Display` is for the log and the audit row. What the caller hears is [`Denied::refusal`], [`Denied::reason`]
/// and [`Denied::to_caller`]: enough to mend an honest mistake, nothing to probe with.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Denied {
    /// The call carried no token.
    #[error("no bearer token")]
    NoToken,
    /// What was presented is no token of ours at all.
    #[error("token malformed: {0}")]
    Malformed(&'static str),
    /// The header names an algorithm that the issuer's entry does not list.
    #[error("token algorithm is not on the issuer's list")]
    Algorithm,
    /// The header brings a key or an extension along.
    #[error("token header carries `{0}`")]
    Smuggled(&'static str),
    /// The `typ` is that of another kind of token.
    #[error("token type is not `{expected}`")]
    WrongType {
        /// The type that this listener takes.
        expected: &'static str,
    },
    /// No key of the issuer has the token's `kid`.
    #[error("no key of the issuer has the token's kid")]
    UnknownKey,
    /// The signature is not of the key.
    #[error("token signature does not verify")]
    Signature,
    /// The `iss` is not the issuer's.
    #[error("token is of another issuer")]
    WrongIssuer,
    /// The `aud` is not this audience.
    #[error("token is for another audience")]
    WrongAudience,
    /// The token has ended.
    #[error("token expired")]
    Expired,
    /// The token does not count yet.
    #[error("token is not valid yet")]
    NotYetValid,
    /// A transaction token came in at the edge.
    #[error("transaction token presented at the edge")]
    TransactionTokenAtEdge,
    /// An outside token came in on the mesh, not bound to the certificate that presents it.
    #[error("outside token on the mesh, not bound to the peer's certificate")]
    OutsideTokenOnMesh,
    /// A bound token was presented by somebody else.
    #[error("token is bound to another certificate")]
    BoundToAnother,
    /// The keys to verify tokens with have not arrived yet.
    #[error("no access snapshot yet")]
    NotReady,
    /// The method does not admit this peer.
    #[error("peer {peer} is not among {allowed}")]
    PeerNotAllowed {
        /// Who called.
        peer: String,
        /// Whom the policy admits.
        allowed: String,
    },
    /// `x-tenant-id` is not the token's tenant.
    #[error("x-tenant-id is not the tenant of the token")]
    TenantMismatch,
    /// `x-tenant-id` is no slug, or there are several.
    #[error("x-tenant-id is malformed")]
    TenantHeader,
    /// The caller does not hold the permission.
    #[error("caller lacks permission `{}`", .0.name)]
    Lacks(Permission),
    /// The handler asked for a scope that the method's tenancy does not give.
    #[error("method of tenancy {0:?} gives no such scope")]
    NoScope(Tenancy),
}

/// The class of a refusal; the status follows from it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// Nobody was recognised: UNAUTHENTICATED.
    Unauthenticated,
    /// Somebody was, and may not: PERMISSION_DENIED.
    Forbidden,
    /// The request is malformed: INVALID_ARGUMENT.
    Malformed,
    /// The server cannot decide yet: UNAVAILABLE.
    Unavailable,
    /// A fault of ours: INTERNAL.
    Internal,
}

// === impl Denied ===

impl Denied {
    /// The class of the refusal.
    pub fn refusal(&self) -> Refusal {
        match self {
            Self::NoToken
            | Self::Malformed(_)
            | Self::Algorithm
            | Self::Smuggled(_)
            | Self::WrongType { .. }
            | Self::UnknownKey
            | Self::Signature
            | Self::WrongIssuer
            | Self::WrongAudience
            | Self::Expired
            | Self::NotYetValid
            | Self::TransactionTokenAtEdge
            | Self::OutsideTokenOnMesh
            | Self::BoundToAnother => Refusal::Unauthenticated,
            Self::PeerNotAllowed { .. } | Self::TenantMismatch | Self::Lacks(_) => Refusal::Forbidden,
            Self::TenantHeader => Refusal::Malformed,
            Self::NotReady => Refusal::Unavailable,
            Self::NoScope(_) => Refusal::Internal,
        }
    }

    /// The stable code: `google.rpc.ErrorInfo.reason`, the metric's label and the audit row's reason.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NoToken => "TOKEN_MISSING",
            Self::Malformed(_) => "TOKEN_MALFORMED",
            Self::Algorithm => "TOKEN_ALGORITHM",
            Self::Smuggled(_) => "TOKEN_HEADER",
            Self::WrongType { .. } => "TOKEN_TYPE",
            Self::UnknownKey => "TOKEN_KEY_UNKNOWN",
            Self::Signature => "TOKEN_SIGNATURE",
            Self::WrongIssuer => "TOKEN_ISSUER",
            Self::WrongAudience => "TOKEN_AUDIENCE",
            Self::Expired => "TOKEN_EXPIRED",
            Self::NotYetValid => "TOKEN_NOT_YET_VALID",
            Self::TransactionTokenAtEdge => "TRANSACTION_TOKEN_AT_EDGE",
            Self::OutsideTokenOnMesh => "OUTSIDE_TOKEN_ON_MESH",
            Self::BoundToAnother => "TOKEN_BOUND_TO_ANOTHER",
            Self::NotReady => "NOT_READY",
            Self::PeerNotAllowed { .. } => "PEER_NOT_ALLOWED",
            Self::TenantMismatch => "TENANT_MISMATCH",
            Self::TenantHeader => "TENANT_HEADER",
            Self::Lacks(_) => "PERMISSION_MISSING",
            Self::NoScope(_) => "INTERNAL",
        }
    }

    /// What the caller hears.
    pub fn to_caller(&self) -> String {
        match self {
            Self::NoToken => "send `authorization: Bearer <access token>`".to_owned(),
            Self::Expired => "the token has expired; get a new one".to_owned(),
            Self::NotYetValid => "the token is not valid yet; check this machine's clock".to_owned(),
            Self::TransactionTokenAtEdge | Self::WrongType { .. } => {
                "this is not an access token for this platform".to_owned()
            }
            Self::OutsideTokenOnMesh => {
                "a service takes an access token only when it is bound to the certificate that presents it; \
                 call the gateway instead"
                    .to_owned()
            }
            Self::BoundToAnother => "the token is bound to another certificate".to_owned(),
            Self::NotReady => "the service is starting; try again in a moment".to_owned(),
            Self::PeerNotAllowed { peer, .. } => format!("{peer} may not call this method"),
            Self::TenantMismatch => "x-tenant-id is not the tenant of the token".to_owned(),
            Self::TenantHeader => "x-tenant-id must be sent at most once, as a tenant's slug".to_owned(),
            Self::Lacks(permission) => format!("needs permission `{}`", permission.name),
            Self::NoScope(_) => "internal error".to_owned(),
            Self::Malformed(_)
            | Self::Algorithm
            | Self::Smuggled(_)
            | Self::UnknownKey
            | Self::Signature
            | Self::WrongIssuer
            | Self::WrongAudience => "the token is not one that this platform accepts".to_owned(),
        }
    }
}
