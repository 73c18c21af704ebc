//! The roles that members may have, and what each may do.

use std::{fmt, str::FromStr};

use mcp_tenancy::{PermissionSet, PolicyTable};

/// A member's role; the later ones are the stronger.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Role {
    /// Reads.
    Viewer,
    /// Reads and writes contexts.
    Editor,
    /// Decides about members too.
    Admin,
    /// Holds every permission there is; each tenant made by an operator keeps at least one.
    Owner,
}

/// Why the roles and the methods' policies do not fit each other.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RolesMisfit {
    /// A role names a permission that no method asks for.
    #[error("role `{role}` holds `{permission}`, which no method asks for")]
    Unknown {
        /// Which role.
        role: Role,
        /// What it holds.
        permission: &'static str,
    },
    /// A method asks for a permission that nobody can hold.
    #[error("no role holds `{permission}`, which a method asks for")]
    Unheld {
        /// What is asked for.
        permission: &'static str,
    },
}

/// Why a text names no role.
#[derive(Debug, thiserror::Error)]
#[error("a role is one of viewer, editor, admin, owner")]
pub(crate) struct BadRole(());

// Each list is written out, in order, so that a change of anybody's rights shows as one line in a review.
const VIEWER: &[&str] = &["api.describe", "context.read", "member.read", "summarization.use", "tenant.read"];
const EDITOR: &[&str] = &[
    "api.describe",
    "context.delete",
    "context.read",
    "context.write",
    "member.read",
    "summarization.use",
    "tenant.read",
];
const ADMIN: &[&str] = &[
    "api.describe",
    "context.delete",
    "context.read",
    "context.write",
    "member.read",
    "member.write",
    "summarization.use",
    "tenant.read",
];
const OWNER: &[&str] = &[
    "api.describe",
    "context.delete",
    "context.read",
    "context.write",
    "member.read",
    "member.write",
    "summarization.use",
    "tenant.read",
];

/// Whether every role's permissions exist and the owner holds all there are.
///
/// # Errors
///
/// The first [`RolesMisfit`]: with one, a method would be out of everybody's reach, or a role promise nothing.
pub(crate) fn check(policies: &PolicyTable) -> Result<(), RolesMisfit> {
    for role in Role::ALL {
        let unknown = role.permissions().iter().find(|name| policies.permission(name).is_none());
        if let Some(permission) = unknown {
            return Err(RolesMisfit::Unknown { role, permission });
        }
    }
    match policies.permissions.iter().find(|name| !OWNER.contains(name)) {
        Some(permission) => Err(RolesMisfit::Unheld { permission }),
        None => Ok(()),
    }
}

// === impl Role ===

impl Role {
    /// All roles, weakest first.
    pub(crate) const ALL: [Self; 4] = [Self::Viewer, Self::Editor, Self::Admin, Self::Owner];

    /// Its name, as on the wire and in the store.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Editor => "editor",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }

    /// What it may do, sorted.
    pub(crate) const fn permissions(self) -> &'static [&'static str] {
        match self {
            Self::Viewer => VIEWER,
            Self::Editor => EDITOR,
            Self::Admin => ADMIN,
            Self::Owner => OWNER,
        }
    }

    /// What it may do, as a `scope` claim (RFC 8693, section 4.2).
    pub(crate) fn scope(self) -> String {
        self.permissions().join(" ")
    }

    /// What it may do, as a set.
    pub(crate) fn permission_set(self, policies: &PolicyTable) -> PermissionSet {
        self.permissions().iter().filter_map(|name| policies.permission(name)).collect()
    }
}

impl FromStr for Role {
    type Err = BadRole;

    fn from_str(text: &str) -> Result<Self, BadRole> {
        Self::ALL.into_iter().find(|role| role.name() == text).ok_or(BadRole(()))
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    //! Roles against the policies that ask for permissions.

    use mcp_proto::POLICIES;

    use super::*;

    #[test]
    fn roles_and_policies_fit_each_other() {
        check(&POLICIES).expect("they fit");
    }

    #[test]
    fn a_permission_that_no_role_holds_is_found() {
        let more: &[&str] = &["api.describe", "zeppelin.fly"];
        let only = PolicyTable { methods: &[], permissions: more };
        assert!(matches!(check(&only), Err(RolesMisfit::Unknown { role: Role::Viewer, .. })));

        let mut names: Vec<_> = POLICIES.permissions.to_vec();
        names.push("zeppelin.fly");
        let wider = PolicyTable { methods: &[], permissions: names.leak() };
        assert!(matches!(check(&wider), Err(RolesMisfit::Unheld { permission: "zeppelin.fly" })));
    }

    #[test]
    fn a_stronger_role_holds_all_that_a_weaker_one_does() {
        for pair in Role::ALL.windows(2) {
            let (weaker, stronger) = (pair[0], pair[1]);
            assert!(weaker < stronger);
            assert!(
                stronger.permission_set(&POLICIES).holds_all(weaker.permission_set(&POLICIES)),
                "{stronger}"
            );
        }
    }

    #[test]
    fn permissions_are_sorted_and_named_once() {
        for role in Role::ALL {
            assert!(role.permissions().is_sorted_by(|a, b| a < b), "{role}");
        }
    }

    #[test]
    fn a_viewer_changes_nothing() {
        let writes = |name: &&&str| name.ends_with(".write") || name.ends_with(".delete");
        assert_eq!(VIEWER.iter().find(writes), None);
    }

    #[test]
    fn a_role_is_read_back_by_its_name() {
        for role in Role::ALL {
            assert_eq!(role.name().parse::<Role>().ok(), Some(role));
        }
        for bad in ["", "Owner", "root", "owner "] {
            assert!(bad.parse::<Role>().is_err(), "{bad:?}");
        }
    }
}
