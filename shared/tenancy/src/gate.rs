//! Decides about one call: policy, peer and credential in, [`Caller`] or [`Denied`] out.

use std::sync::Arc;

use crate::{
    Access, Credential, Denied, MethodPolicy, PeerIdentity, PlatformScope, Tenancy, TenantScope, TokenKind,
};

/// The rules that admit a call to a method of the mesh.
#[derive(Clone, Copy, Debug)]
pub struct Gate;

/// What a call shows of itself, besides its certificate.
#[derive(Clone, Copy, Debug)]
pub struct Admission<'a> {
    /// The value of `x-tenant-id`, where it was sent.
    pub tenant_header: Option<&'a str>,
}

/// Who calls: the connection's other end and, where the method asks for one, the user.
#[derive(Clone, Debug)]
pub struct Caller {
    peer: PeerIdentity,
    credential: Option<Arc<Credential>>,
    policy: &'static MethodPolicy,
}

// === impl Gate ===

impl Gate {
    /// Whether `policy` admits `peer`, asked first since it costs least.
    ///
    /// # Errors
    ///
    /// [`Denied::PeerNotAllowed`].
    pub fn admit_peer(policy: &'static MethodPolicy, peer: &PeerIdentity) -> Result<(), Denied> {
        if policy.peers.iter().any(|&allowed| peer.is(allowed)) {
            return Ok(());
        }
        let allowed = policy.peers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        Err(Denied::PeerNotAllowed { peer: peer.to_string(), allowed })
    }

    /// Whether a token of this kind may come from `peer`: transaction tokens may, outside tokens only where they are
    /// bound to the very certificate that presents them (RFC 8705).
    ///
    /// # Errors
    ///
    /// [`Denied::OutsideTokenOnMesh`], [`Denied::BoundToAnother`].
    pub fn admit_presenter(credential: &Credential, peer: &PeerIdentity) -> Result<(), Denied> {
        match (credential.kind(), credential.bound_to()) {
            (TokenKind::Access, None) => Err(Denied::OutsideTokenOnMesh),
            (_, Some(bound)) if peer.certificate_sha256() != Some(bound) => Err(Denied::BoundToAnother),
            (TokenKind::Transaction, _) | (TokenKind::Access, Some(_)) => Ok(()),
        }
    }

    /// Admits a call that needs no user: the method is public or internal.
    ///
    /// # Errors
    ///
    /// [`Denied::NoToken`] where the method asks for a permission, [`Denied::PeerNotAllowed`].
    pub fn admit_without_user(policy: &'static MethodPolicy, peer: &PeerIdentity) -> Result<Caller, Denied> {
        Self::admit_peer(policy, peer)?;
        match policy.access {
            Access::Permission(_) => Err(Denied::NoToken),
            Access::Public { .. } | Access::Internal => {
                Ok(Caller { peer: peer.clone(), credential: None, policy })
            }
        }
    }

    /// Admits a user's call.
    ///
    /// # Errors
    ///
    /// Any [`Denied`] of the peer, the presenter, the tenant or the permission, in this order.
    pub fn admit_user(
        policy: &'static MethodPolicy,
        peer: &PeerIdentity,
        credential: &Arc<Credential>,
        admission: Admission<'_>,
    ) -> Result<Caller, Denied> {
        Self::admit_peer(policy, peer)?;
        Self::admit_presenter(credential, peer)?;
        if admission.tenant_header.is_some_and(|named| named != credential.tenant().as_str()) {
            return Err(Denied::TenantMismatch);
        }
        if let Access::Permission(permission) = policy.access
            && !credential.permissions().holds(permission)
        {
            return Err(Denied::Lacks(permission));
        }
        Ok(Caller { peer: peer.clone(), credential: Some(Arc::clone(credential)), policy })
    }
}

// === impl Caller ===

impl Caller {
    /// The connection's other end.
    pub fn peer(&self) -> &PeerIdentity {
        &self.peer
    }

    /// The user, where the method asks for one.
    pub fn credential(&self) -> Option<&Credential> {
        self.credential.as_deref()
    }

    /// What the method demanded.
    pub fn policy(&self) -> &'static MethodPolicy {
        self.policy
    }

    /// The right to act inside the caller's tenant.
    ///
    /// # Errors
    ///
    /// [`Denied::NoScope`] where the method's policy does not act in the caller's tenant.
    pub fn tenant_scope(&self) -> Result<TenantScope, Denied> {
        match (&self.credential, self.policy.tenancy) {
            (Some(credential), Tenancy::OfCaller) => Ok(credential.tenant_scope()),
            (_, tenancy) => Err(Denied::NoScope(tenancy)),
        }
    }

    /// The right to act on the platform's own tables.
    ///
    /// # Errors
    ///
    /// [`Denied::NoScope`] where the method's policy does not act on them.
    pub fn platform_scope(&self) -> Result<PlatformScope, Denied> {
        match self.policy.tenancy {
            Tenancy::Platform => Ok(PlatformScope(())),
            tenancy => Err(Denied::NoScope(tenancy)),
        }
    }
}
