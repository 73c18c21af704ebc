//! Who signed in, for which tenant, with which permissions: what a verified token proves.

use std::sync::Arc;

use mcp_types::{TenantSlug, Timestamp, UserName};

use crate::{PermissionSet, TenantScope, TokenKind};

/// What a verified token proves. Only [`crate::Verifier::verify`] makes one.
#[derive(Clone, Debug)]
pub struct Credential {
    pub(crate) kind: TokenKind,
    pub(crate) tenant: TenantSlug,
    pub(crate) user: UserName,
    pub(crate) permissions: PermissionSet,
    pub(crate) token_id: Arc<str>,
    pub(crate) origin: Option<Arc<str>>,
    pub(crate) expires: Timestamp,
    pub(crate) not_before: Option<Timestamp>,
    pub(crate) bound_to: Option<[u8; 32]>,
}

// === impl Credential ===

impl Credential {
    /// Which kind of token it came from.
    pub fn kind(&self) -> TokenKind {
        self.kind
    }

    /// The one tenant it speaks for.
    pub fn tenant(&self) -> &TenantSlug {
        &self.tenant
    }

    /// Who signed in.
    pub fn user(&self) -> &UserName {
        &self.user
    }

    /// What the user may do.
    pub fn permissions(&self) -> PermissionSet {
        self.permissions
    }

    /// The token's `jti`.
    pub fn token_id(&self) -> &str {
        &self.token_id
    }

    /// For a transaction token: the ID of the token, session or key that it was exchanged for.
    pub fn origin(&self) -> Option<&str> {
        self.origin.as_deref()
    }

    /// What the call came from outside: [`Credential::origin`], or the token itself.
    pub fn origin_or_id(&self) -> Arc<str> {
        Arc::clone(self.origin.as_ref().unwrap_or(&self.token_id))
    }

    /// When the token ends.
    pub fn expires(&self) -> Timestamp {
        self.expires
    }

    /// SHA-256 of the certificate that the token is bound to, if it is.
    pub fn bound_to(&self) -> Option<&[u8; 32]> {
        self.bound_to.as_ref()
    }

    /// The right to act inside the tenant that the token was signed for.
    pub fn tenant_scope(&self) -> TenantScope {
        TenantScope { tenant: self.tenant.clone(), evidence: None }
    }
}
