//! What each method demands; the table itself is generated from the proto files.

use std::fmt;

/// What one RPC demands of a call; the option `(mcp.policy.v1.method)` as a value.
#[derive(Clone, Copy, Debug)]
pub struct MethodPolicy {
    /// `/<package>.<Service>/<Method>`, as HTTP/2 carries it.
    pub path: &'static str,
    /// Who may call, by credential.
    pub access: Access,
    /// Who may call, by certificate.
    pub peers: &'static [Peer],
    /// In whose data the call acts.
    pub tenancy: Tenancy,
    /// How the decision is recorded.
    pub audit: AuditClass,
    /// Which budget the call takes from.
    pub rate: RateClass,
    /// The largest request message in bytes.
    pub request_bytes_max: u32,
    /// The longest the call may run, in milliseconds.
    pub deadline_ms_max: u32,
    /// What a repeated call does.
    pub idempotency: Idempotency,
    /// Which sides send more than one message.
    pub streaming: Streaming,
}

/// Who may call, by credential.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Access {
    /// Anybody that the peers let in, for this reason.
    Public {
        /// Why that is safe.
        because: &'static str,
    },
    /// The holder of a token with this permission.
    Permission(Permission),
    /// A workload or operator, by its certificate alone.
    Internal,
}

/// A right that roles give and methods ask for, named `<room>.<verb>`.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct Permission {
    /// Its place among all permissions; below 64.
    pub index: u8,
    /// Its name.
    pub name: &'static str,
}

/// Permissions that somebody holds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct PermissionSet(u64);

/// An identity of the mesh that a method may admit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Peer {
    /// The service of this name.
    Service(&'static str),
    /// Any verified service.
    AnyService,
    /// A person with an operator certificate.
    Operator,
    /// A caller without a certificate.
    Unidentified,
}

/// In whose data a call acts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Tenancy {
    /// In the tenant of the caller's credential.
    OfCaller,
    /// On the platform's own tables.
    Platform,
    /// On no stored data.
    None,
}

/// How a decision is recorded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AuditClass {
    /// Refusals only.
    Refusals,
    /// Recorded off the call's path.
    Read,
    /// The call waits for its row.
    Write,
    /// As a write: access itself changes.
    Admin,
    /// As a write: somebody proves who they are.
    Authentication,
}

/// Which budget a call takes from.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum RateClass {
    /// Cheap reads.
    Read,
    /// Writes.
    Write,
    /// Work that costs CPU by the size of its input.
    Heavy,
    /// Places where guessing pays.
    Sensitive,
    /// The mesh's own upkeep.
    Upkeep,
}

/// What a repeated call does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Idempotency {
    /// It changes nothing.
    NoSideEffects,
    /// The same request ID gives the first answer again.
    ByRequestId,
    /// Repeating it leaves the same state.
    Natural,
    /// Repeating it acts again.
    None,
}

/// Which sides send more than one message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Streaming {
    /// Neither.
    Unary,
    /// The server.
    Server,
    /// The client.
    Client,
    /// Both.
    Both,
}

/// The policies of all methods.
#[derive(Clone, Copy, Debug)]
pub struct PolicyTable {
    /// Sorted by path.
    pub methods: &'static [MethodPolicy],
    /// The names of all permissions, sorted; a permission's index is its place here.
    pub permissions: &'static [&'static str],
}

// === impl MethodPolicy ===

impl MethodPolicy {
    /// `<package>.<Service>`.
    pub fn service(&self) -> &'static str {
        self.path.trim_start_matches('/').split_once('/').map_or("", |(service, _)| service)
    }

    /// `<Method>`.
    pub fn method(&self) -> &'static str {
        self.path.rsplit_once('/').map_or("", |(_, method)| method)
    }

    /// Whether the edge has a route to the method: it lets the gateway in, and on somebody else's behalf.
    pub fn routed_at_edge(&self) -> bool {
        self.peers.contains(&Peer::Service("gateway")) && self.access != Access::Internal
    }
}

// === impl PolicyTable ===

impl PolicyTable {
    /// The policy of the method at `path`, if there is one.
    pub fn of(&self, path: &str) -> Option<&'static MethodPolicy> {
        let at = self.methods.binary_search_by(|policy| policy.path.cmp(path)).ok()?;
        Some(&self.methods[at])
    }

    /// The permission of this name, if any method asks for it.
    pub fn permission(&self, name: &str) -> Option<Permission> {
        let at = self.permissions.binary_search(&name).ok()?;
        Some(Permission { index: u8::try_from(at).ok()?, name: self.permissions[at] })
    }

    /// The permissions that a space-separated `scope` claim (RFC 8693, section 4.2) names; unknown ones are passed over.
    pub fn permissions_in(&self, scope: &str) -> PermissionSet {
        scope.split(' ').filter_map(|name| self.permission(name)).collect()
    }
}

// === impl PermissionSet ===

impl PermissionSet {
    /// Whether `permission` is among them.
    pub fn holds(self, permission: Permission) -> bool {
        self.0 & (1 << permission.index) != 0
    }

    /// Whether all of `others` are among them.
    pub fn holds_all(self, others: Self) -> bool {
        others.0 & !self.0 == 0
    }
}

impl FromIterator<Permission> for PermissionSet {
    fn from_iter<I: IntoIterator<Item = Permission>>(permissions: I) -> Self {
        Self(permissions.into_iter().fold(0, |set, permission| set | (1 << permission.index)))
    }
}

// === impl Permission ===

impl fmt::Debug for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

// === impl Peer ===

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Service(name) => name,
            Self::AnyService => "any service",
            Self::Operator => "operator",
            Self::Unidentified => "unidentified",
        })
    }
}
