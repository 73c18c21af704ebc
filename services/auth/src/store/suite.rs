//! What every implementation of [`Tenants`] and [`Members`] must do.

use mcp_proto::POLICIES;
use std::sync::Arc;

use mcp_types::{Timestamp, UserName};

use super::{Members, Rows, Tenant, Tenants, Unchanged, migrated::Migrated};
use crate::{
    fixture::{Home, platform, scope_of},
    members::{Authority, Forbidden, Member},
    roles::Role,
};

macro_rules! suite {
    ([$($spec:ident),+ $(,)?]) => {
        suite!(sqlite, open_sqlite, [$($spec),+]);
        suite!(postgres, open_postgres, [$($spec),+]);
    };
    ($engine:ident, $open:expr, [$($spec:ident),+]) => {
        mod $engine {
            use super::*;

            $(
                #[tokio::test]
                async fn $spec() {
                    let home = Home::new();
                    super::$spec($open(&home).await).await;
                }
            )+
        }
    };
}

suite!([
    a_tenant_is_read_back,
    a_tenants_people_see_their_own_and_no_other,
    a_slug_is_given_once,
    a_founder_is_noted_until_settled,
    a_member_is_read_back_by_its_own_tenant,
    a_member_is_unknown_to_every_other_tenant,
    a_user_is_a_member_once,
    the_first_to_join_owns_the_tenant_and_the_others_edit,
    of_all_who_join_at_once_one_becomes_the_owner,
    a_founder_is_added_to_an_empty_tenant_only,
    members_are_listed_each_once_from_where_one_asks,
    a_forced_role_holds_for_old_and_new_members,
    a_member_gets_another_role,
    a_change_keeps_to_the_rules_and_else_changes_nothing,
    of_two_owners_who_demote_each_other_one_stays,
    of_two_owners_who_remove_each_other_one_stays,
    the_access_version_grows_with_the_state,
    of_all_who_found_a_tenant_at_once_one_does,
]);

async fn open_sqlite(home: &Home) -> Rows {
    home.store().await
}

async fn open_postgres(home: &Home) -> Rows {
    home.store_at(&Migrated::new(home.path()).await.config()).await
}

const NOW: Timestamp = Timestamp::from_unix_secs(1_700_000_000);
const LATER: Timestamp = Timestamp::from_unix_millis(1_700_000_060_123);

fn user(name: &str) -> UserName {
    name.parse().expect("a name")
}

fn member(name: &str, role: Role) -> Member {
    Member { user: user(name), role, created: NOW }
}

fn tenant(slug: &str, founder: Option<&str>) -> Tenant {
    Tenant {
        slug: slug.parse().expect("a slug"),
        display_name: format!("{slug} & sons"),
        created: LATER,
        founder: founder.map(user),
    }
}

fn owner() -> Authority {
    Authority::of(Role::Owner.permission_set(&POLICIES), Some(Role::Owner))
}

async fn roles(store: &impl Members, tenant: &str) -> Vec<(String, Role)> {
    let all = store.members(&scope_of(tenant), None, 100).await.expect("listed");
    let mut roles: Vec<_> = all.into_iter().map(|member| (member.user.to_string(), member.role)).collect();
    roles.sort();
    roles
}

async fn a_tenant_is_read_back(store: impl Tenants + Members) {
    let acme = tenant("acme", Some("alice"));

    assert!(store.found(&platform(), &acme).await.expect("founded"));

    assert_eq!(store.tenant(&platform(), &acme.slug).await.expect("read"), Some(acme));
    let nowhere = "nowhere".parse().expect("a slug");
    assert_eq!(store.tenant(&platform(), &nowhere).await.expect("read"), None);
}

async fn a_tenants_people_see_their_own_and_no_other(store: impl Tenants + Members) {
    let acme = tenant("acme", None);
    store.found(&platform(), &acme).await.expect("founded");

    assert_eq!(store.own(&scope_of("acme")).await.expect("read"), Some(acme));
    assert_eq!(store.own(&scope_of("globex")).await.expect("read"), None);
}

async fn a_slug_is_given_once(store: impl Tenants + Members) {
    let first = tenant("acme", Some("alice"));
    store.found(&platform(), &first).await.expect("founded");

    let second = Tenant { display_name: "taken over".to_owned(), ..tenant("acme", Some("mallory")) };

    assert!(!store.found(&platform(), &second).await.expect("asked"));
    assert_eq!(store.tenant(&platform(), &first.slug).await.expect("read"), Some(first));
}

async fn a_founder_is_noted_until_settled(store: impl Tenants + Members) {
    let (acme, globex) = (tenant("acme", Some("alice")), tenant("globex", None));
    store.found(&platform(), &acme).await.expect("founded");
    store.found(&platform(), &globex).await.expect("founded");
    assert_eq!(store.unsettled(&platform()).await.expect("listed"), std::slice::from_ref(&acme));

    store.settle(&platform(), &acme.slug).await.expect("settled");

    assert_eq!(store.unsettled(&platform()).await.expect("listed"), []);
    let settled = Tenant { founder: None, ..acme };
    assert_eq!(store.tenant(&platform(), &settled.slug).await.expect("read"), Some(settled));
}

async fn a_member_is_read_back_by_its_own_tenant(store: impl Tenants + Members) {
    let alice = member("alice", Role::Admin);

    assert!(store.add(&scope_of("acme"), &alice).await.expect("added"));

    assert_eq!(store.member(&scope_of("acme"), &alice.user).await.expect("read"), Some(alice));
}

async fn a_member_is_unknown_to_every_other_tenant(store: impl Tenants + Members) {
    store.add(&scope_of("acme"), &member("alice", Role::Owner)).await.expect("added");

    let globex = scope_of("globex");

    assert_eq!(store.member(&globex, &user("alice")).await.expect("read"), None);
    assert_eq!(store.members(&globex, None, 10).await.expect("listed"), []);
    let removed = store.remove(&globex, &user("alice"), owner()).await;
    assert!(matches!(removed, Err(Unchanged::Unknown)), "{removed:?}");
    assert_eq!(roles(&store, "acme").await, [("alice".to_owned(), Role::Owner)]);
}

async fn a_user_is_a_member_once(store: impl Tenants + Members) {
    let acme = scope_of("acme");
    store.add(&acme, &member("alice", Role::Viewer)).await.expect("added");

    assert!(!store.add(&acme, &member("alice", Role::Owner)).await.expect("asked"));

    assert_eq!(roles(&store, "acme").await, [("alice".to_owned(), Role::Viewer)]);
}

async fn the_first_to_join_owns_the_tenant_and_the_others_edit(store: impl Tenants + Members) {
    let acme = scope_of("acme");

    let first = store.join(&acme, &user("zoe"), NOW).await.expect("joined");
    let second = store.join(&acme, &user("alice"), NOW).await.expect("joined");
    let again = store.join(&acme, &user("zoe"), LATER).await.expect("joined");

    assert_eq!((first.role, second.role), (Role::Owner, Role::Editor));
    assert_eq!(again, first);
}

async fn of_all_who_join_at_once_one_becomes_the_owner(store: impl Tenants + Members) {
    let store = Arc::new(store);
    let joining: Vec<_> = (0..8)
        .map(|index| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.join(&scope_of("acme"), &user(&format!("u{index}")), NOW).await })
        })
        .collect();
    let mut owners = 0;
    for joined in joining {
        let member = joined.await.expect("ran").expect("joined");
        owners += usize::from(member.role == Role::Owner);
    }

    assert_eq!(owners, 1);
    assert_eq!(roles(&*store, "acme").await.len(), 8);
}

async fn a_founder_is_added_to_an_empty_tenant_only(store: impl Tenants + Members) {
    store.add_founder(&scope_of("acme"), &user("alice"), NOW).await.expect("added");
    store.add_founder(&scope_of("acme"), &user("alice"), LATER).await.expect("asked again");
    store.add_founder(&scope_of("acme"), &user("mallory"), LATER).await.expect("asked");

    assert_eq!(roles(&store, "acme").await, [("alice".to_owned(), Role::Owner)]);
}

async fn members_are_listed_each_once_from_where_one_asks(store: impl Tenants + Members) {
    let acme = scope_of("acme");
    let there = ["9lives", "a.b", "alice", "bob", "carol"];
    for name in there {
        store.add(&acme, &member(name, Role::Viewer)).await.expect("added");
    }

    let names = |members: Vec<Member>| members.into_iter().map(|it| it.user.to_string()).collect::<Vec<_>>();
    let all = names(store.members(&acme, None, 10).await.expect("listed"));
    let mut walked = names(store.members(&acme, None, 2).await.expect("listed"));
    while let [.., last] = &*walked {
        let next = names(store.members(&acme, Some(last), 2).await.expect("listed"));
        if next.is_empty() {
            break;
        }
        walked.extend(next);
    }

    assert_eq!(walked, all);
    walked.sort();
    assert_eq!(walked, there);
}

async fn of_all_who_found_a_tenant_at_once_one_does(store: impl Tenants + Members) {
    let store = Arc::new(store);
    let founding: Vec<_> = (0..8)
        .map(|index| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let display_name = format!("the {index}th");
                let tenant = Tenant { display_name, ..tenant("acme", Some(&format!("u{index}"))) };
                store.found(&platform(), &tenant).await.expect("asked").then_some(tenant)
            })
        })
        .collect();
    let mut made = Vec::new();
    for founded in founding {
        made.extend(founded.await.expect("ran"));
    }

    let [acme] = &*made else { panic!("{made:?}") };
    assert_eq!(store.tenant(&platform(), &acme.slug).await.expect("read").as_ref(), Some(acme));
}

async fn a_forced_role_holds_for_old_and_new_members(store: impl Tenants + Members) {
    let acme = scope_of("acme");

    let made = store.force(&acme, &user("alice"), Role::Owner, NOW).await.expect("forced");
    let changed = store.force(&acme, &user("alice"), Role::Viewer, LATER).await.expect("forced");

    assert_eq!((made.role, made.created), (Role::Owner, NOW));
    assert_eq!((changed.role, changed.created), (Role::Viewer, NOW));
    assert_eq!(roles(&store, "acme").await, [("alice".to_owned(), Role::Viewer)]);
}

async fn a_member_gets_another_role(store: impl Tenants + Members) {
    let acme = scope_of("acme");
    store.add(&acme, &member("alice", Role::Owner)).await.expect("added");
    store.add(&acme, &member("bob", Role::Viewer)).await.expect("added");

    let bob = store.change(&acme, &user("bob"), Role::Admin, owner()).await.expect("changed");
    store.remove(&acme, &user("alice"), owner()).await.expect_err("the last owner");
    let again = store.change(&acme, &user("bob"), Role::Admin, owner()).await.expect("nothing to change");

    assert_eq!(bob, member("bob", Role::Admin));
    assert_eq!(again, bob);
    assert_eq!(
        roles(&store, "acme").await,
        [("alice".to_owned(), Role::Owner), ("bob".to_owned(), Role::Admin)]
    );
}

async fn a_change_keeps_to_the_rules_and_else_changes_nothing(store: impl Tenants + Members) {
    let acme = scope_of("acme");
    let editor = Authority::of(Role::Editor.permission_set(&POLICIES), Some(Role::Editor));
    store.add(&acme, &member("alice", Role::Owner)).await.expect("added");
    store.add(&acme, &member("bob", Role::Viewer)).await.expect("added");

    let above = store.change(&acme, &user("bob"), Role::Admin, editor).await;
    let removed = store.remove(&acme, &user("alice"), editor).await;
    let last = store.change(&acme, &user("alice"), Role::Editor, owner()).await;
    let nobody = store.change(&acme, &user("nobody"), Role::Editor, owner()).await;

    assert!(matches!(above, Err(Unchanged::Forbidden(Forbidden::AboveCaller(Role::Admin)))), "{above:?}");
    assert!(matches!(removed, Err(Unchanged::Forbidden(Forbidden::AboveCaller(Role::Owner)))), "{removed:?}");
    assert!(matches!(last, Err(Unchanged::Forbidden(Forbidden::LastOwner))), "{last:?}");
    assert!(matches!(nobody, Err(Unchanged::Unknown)), "{nobody:?}");
    assert_eq!(
        roles(&store, "acme").await,
        [("alice".to_owned(), Role::Owner), ("bob".to_owned(), Role::Viewer)]
    );
}

async fn of_two_owners_who_demote_each_other_one_stays(store: impl Tenants + Members) {
    let store = Arc::new(store);
    // Many rounds, since a race need not show in the first.
    for round in 0..20 {
        let slug = format!("acme-{round}");
        for name in ["alice", "bob"] {
            store.add(&scope_of(&slug), &member(name, Role::Owner)).await.expect("added");
        }

        let demote = |name: &'static str| {
            let (store, scope) = (Arc::clone(&store), scope_of(&slug));
            tokio::spawn(async move { store.change(&scope, &user(name), Role::Editor, owner()).await })
        };
        let (alice, bob) = (demote("alice"), demote("bob"));
        let outcomes = [alice.await.expect("ran"), bob.await.expect("ran")];

        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{outcomes:?}");
        let lost = outcomes.into_iter().find_map(Result::err).expect("one lost");
        assert!(matches!(lost, Unchanged::Forbidden(Forbidden::LastOwner)), "{lost:?}");
        let owners = roles(&*store, &slug).await.into_iter().filter(|(_, role)| *role == Role::Owner);
        assert_eq!(owners.count(), 1);
    }
}

async fn of_two_owners_who_remove_each_other_one_stays(store: impl Tenants + Members) {
    let store = Arc::new(store);
    for round in 0..20 {
        let slug = format!("acme-{round}");
        for name in ["alice", "bob"] {
            store.add(&scope_of(&slug), &member(name, Role::Owner)).await.expect("added");
        }

        let remove = |name: &'static str| {
            let (store, scope) = (Arc::clone(&store), scope_of(&slug));
            tokio::spawn(async move { store.remove(&scope, &user(name), owner()).await })
        };
        let (alice, bob) = (remove("alice"), remove("bob"));
        let outcomes = [alice.await.expect("ran"), bob.await.expect("ran")];

        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{outcomes:?}");
        assert_eq!(roles(&*store, &slug).await.len(), 1);
    }
}

async fn the_access_version_grows_with_the_state(store: impl Tenants + Members) {
    let version = async |digest: u8, least: u64| {
        store.access_version(&platform(), &[digest; 32], least).await.expect("a version")
    };

    assert_eq!(version(7, 100).await, 100);
    assert_eq!(version(7, 200).await, 100);
    assert_eq!(version(8, 200).await, 200);
    // Not back to 100: whoever holds that version must hear of it. And on, whatever the least is.
    assert_eq!(version(7, 100).await, 201);
}
