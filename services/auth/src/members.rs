//! Who may make whom a member of what standing: the rules, without a store and without a wire.

use mcp_proto::POLICIES;
use mcp_tenancy::PermissionSet;
use mcp_types::{Timestamp, UserName};

use crate::roles::Role;

/// A user within a tenant.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Member {
    /// Who.
    pub(crate) user: UserName,
    /// With which rights.
    pub(crate) role: Role,
    /// Since when.
    pub(crate) created: Timestamp,
}

/// What somebody may do to members: decide about roles that are no more than theirs.
///
/// Twice over. By what the token permits, since its rights may be narrower than the role's; and by the role of this
/// moment, since an admin may call all that an owner may, and could otherwise make an owner of a friend and with the
/// friend's help take the tenant from those whom it belongs to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Authority {
    permissions: PermissionSet,
    role: Option<Role>,
}

/// Why a member may not be changed so.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum Forbidden {
    /// The member's role, before or after, stands above the caller's.
    #[error("role `{0}` is above the caller's own")]
    AboveCaller(Role),
    /// Nobody could decide about the tenant any more.
    #[error("the member is the last owner")]
    LastOwner,
}

// === impl Authority ===

impl Authority {
    /// The authority of somebody who holds `permissions` and is of `role` now; of none where no member any more.
    pub(crate) const fn of(permissions: PermissionSet, role: Option<Role>) -> Self {
        Self { permissions, role }
    }

    /// Whether a member of `role` may be made.
    pub(crate) fn may_grant(self, role: Role) -> Result<(), Forbidden> {
        // Who could hand out more than they hold would hold everything by a second account.
        let holds = self.permissions.holds_all(role.permission_set(&POLICIES));
        if holds && self.role.is_some_and(|own| role <= own) {
            Ok(())
        } else {
            Err(Forbidden::AboveCaller(role))
        }
    }

    /// Whether a member of role `from` may become one of role `to`, or none at all, in a tenant of `owners` owners.
    pub(crate) fn may_change(self, from: Role, to: Option<Role>, owners: u64) -> Result<(), Forbidden> {
        self.may_grant(from)?;
        if let Some(to) = to {
            self.may_grant(to)?;
        }
        if from == Role::Owner && to != Some(Role::Owner) && owners <= 1 {
            return Err(Forbidden::LastOwner);
        }
        Ok(())
    }
}

/// The role of a user who signs in locally for the first time, in a tenant of `members` members.
pub(crate) const fn role_at_first_sign_in(members: u64) -> Role {
    if members == 0 { Role::Owner } else { Role::Editor }
}

#[cfg(test)]
mod tests {
    //! Every role against every change.

    use super::*;

    fn authority(role: Role) -> Authority {
        Authority::of(role.permission_set(&POLICIES), Some(role))
    }

    #[test]
    fn nobody_grants_more_than_they_are() {
        for (rank, caller) in Role::ALL.into_iter().enumerate() {
            for (granted_rank, granted) in Role::ALL.into_iter().enumerate() {
                let expected =
                    if granted_rank <= rank { Ok(()) } else { Err(Forbidden::AboveCaller(granted)) };
                assert_eq!(authority(caller).may_grant(granted), expected, "{caller} grants {granted}");
            }
        }
    }

    #[test]
    fn an_admin_neither_makes_nor_unmakes_an_owner() {
        let admin = authority(Role::Admin);

        assert_eq!(admin.may_grant(Role::Owner), Err(Forbidden::AboveCaller(Role::Owner)));
        assert_eq!(
            admin.may_change(Role::Admin, Some(Role::Owner), 1),
            Err(Forbidden::AboveCaller(Role::Owner))
        );
        assert_eq!(admin.may_change(Role::Owner, None, 2), Err(Forbidden::AboveCaller(Role::Owner)));
        assert_eq!(admin.may_change(Role::Editor, Some(Role::Admin), 1), Ok(()));
    }

    #[test]
    fn neither_the_tokens_rights_nor_the_role_suffices_alone() {
        let narrow = Authority::of(Role::Viewer.permission_set(&POLICIES), Some(Role::Owner));
        let demoted = Authority::of(Role::Owner.permission_set(&POLICIES), Some(Role::Viewer));
        let removed = Authority::of(Role::Owner.permission_set(&POLICIES), None);

        assert_eq!(narrow.may_grant(Role::Editor), Err(Forbidden::AboveCaller(Role::Editor)));
        assert_eq!(demoted.may_grant(Role::Editor), Err(Forbidden::AboveCaller(Role::Editor)));
        assert_eq!(removed.may_grant(Role::Viewer), Err(Forbidden::AboveCaller(Role::Viewer)));
    }

    #[test]
    fn nobody_takes_away_what_they_do_not_hold() {
        let editor = authority(Role::Editor);

        assert_eq!(editor.may_change(Role::Owner, None, 2), Err(Forbidden::AboveCaller(Role::Owner)));
        assert_eq!(
            editor.may_change(Role::Admin, Some(Role::Viewer), 2),
            Err(Forbidden::AboveCaller(Role::Admin))
        );
    }

    #[test]
    fn the_last_owner_stays() {
        let owner = authority(Role::Owner);

        assert_eq!(owner.may_change(Role::Owner, None, 1), Err(Forbidden::LastOwner));
        assert_eq!(owner.may_change(Role::Owner, Some(Role::Admin), 1), Err(Forbidden::LastOwner));
        assert_eq!(owner.may_change(Role::Owner, Some(Role::Owner), 1), Ok(()));
        assert_eq!(owner.may_change(Role::Owner, Some(Role::Admin), 2), Ok(()));
        assert_eq!(owner.may_change(Role::Editor, None, 1), Ok(()));
    }

    #[test]
    fn who_lacks_the_right_does_not_learn_that_an_owner_is_the_last() {
        let refused = authority(Role::Viewer).may_change(Role::Owner, None, 1);

        assert_eq!(refused, Err(Forbidden::AboveCaller(Role::Owner)));
    }

    #[test]
    fn the_first_user_of_a_tenant_owns_it() {
        assert_eq!(role_at_first_sign_in(0), Role::Owner);
        assert_eq!(role_at_first_sign_in(1), Role::Editor);
    }
}
