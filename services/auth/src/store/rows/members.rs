//! The members of a tenant, in its own tables.
//!
//! A name is sealed, and its row found by a hash of it that needs the tenant's key: whoever holds the database cannot try
//! names out. Members are listed in the order of those hashes, so that a page costs the same wherever it is.
//!
//! What one write has read stays true until it commits: on SQLite it is the only writer of the tenant's file, on
//! PostgreSQL it holds the lock that every write of members takes. So of two owners who demote each other the second
//! finds itself the last.

use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
use mcp_store::{Column, SealedColumn, StoreError, Table, TenantTx, sql};
use mcp_tenancy::TenantScope;
use mcp_types::{Timestamp, UserName};

use super::Rows;
use crate::{
    members::{Authority, Member, role_at_first_sign_in},
    roles::Role,
    store::{Members, Unchanged},
};

pub(super) const MEMBERS: Table = Table {
    name: "members",
    columns: &[
        Column::key("name_hash"),
        Column::sealed("name"),
        Column::clear("role", "counted and compared to hold the rules; one of four words"),
        Column::clear("created", "when somebody joined, to the millisecond, and nothing of what they wrote"),
    ],
};

const NAME: SealedColumn = MEMBERS.sealed("name");

/// A member's name, as rows are found by it.
type NameHash = Vec<u8>;

type MemberRow = (NameHash, Vec<u8>, String, i64);

// === impl Rows ===

impl Rows {
    /// Begins to change members, as the only one who does in this tenant.
    async fn changing(&self, scope: &TenantScope) -> Result<TenantTx, StoreError> {
        let mut tx = self.db.within(scope).await?;
        tx.lock(&[b"members"]).await?;
        Ok(tx)
    }
}

impl Members for Rows {
    async fn member(&self, scope: &TenantScope, user: &UserName) -> Result<Option<Member>, StoreError> {
        let mut tx = self.db.read(scope).await?;
        find(&mut tx, user).await
    }

    async fn members(
        &self,
        scope: &TenantScope,
        after: Option<&str>,
        count_max: u32,
    ) -> Result<Vec<Member>, StoreError> {
        let mut tx = self.db.read(scope).await?;
        // The empty bytes stand before every hash.
        let after = after.and_then(|name| hash(&tx, name)).unwrap_or_default();
        let rows: Vec<MemberRow> = sql(
            "SELECT name_hash, name, role, created FROM members WHERE name_hash > $1 ORDER BY name_hash LIMIT $2",
        )
        .doing("list members")
        .bind(after)
        .bind(count_max)
        .fetch_all(&mut tx)
        .await?;
        rows.into_iter().map(|row| member(&tx, row)).collect()
    }

    async fn add(&self, scope: &TenantScope, member: &Member) -> Result<bool, StoreError> {
        let mut tx = self.changing(scope).await?;
        let added = insert(&mut tx, member).await?;
        tx.commit().await?;
        Ok(added)
    }

    async fn add_founder(
        &self,
        scope: &TenantScope,
        user: &UserName,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.changing(scope).await?;
        if count(&mut tx, None).await? == 0 {
            insert(&mut tx, &Member { user: user.clone(), role: Role::Owner, created: now }).await?;
        }
        tx.commit().await
    }

    async fn join(&self, scope: &TenantScope, user: &UserName, now: Timestamp) -> Result<Member, StoreError> {
        // Nearly every sign-in is of somebody known, and need not wait for a writer.
        if let Some(known) = self.member(scope, user).await? {
            return Ok(known);
        }
        let mut tx = self.changing(scope).await?;
        if let Some(known) = find(&mut tx, user).await? {
            return Ok(known);
        }
        let role = role_at_first_sign_in(count(&mut tx, None).await?);
        let joined = Member { user: user.clone(), role, created: now };
        insert(&mut tx, &joined).await?;
        tx.commit().await?;
        Ok(joined)
    }

    async fn force(
        &self,
        scope: &TenantScope,
        user: &UserName,
        role: Role,
        now: Timestamp,
    ) -> Result<Member, StoreError> {
        let mut tx = self.changing(scope).await?;
        let forced = match find(&mut tx, user).await? {
            Some(known) => {
                set_role(&mut tx, user, role).await?;
                Member { role, ..known }
            }
            None => {
                let new = Member { user: user.clone(), role, created: now };
                insert(&mut tx, &new).await?;
                new
            }
        };
        tx.commit().await?;
        Ok(forced)
    }

    async fn change(
        &self,
        scope: &TenantScope,
        user: &UserName,
        role: Role,
        authority: Authority,
    ) -> Result<Member, Unchanged> {
        let mut tx = self.changing(scope).await?;
        let known = changeable(&mut tx, user, Some(role), authority).await?;
        set_role(&mut tx, user, role).await?;
        tx.commit().await?;
        Ok(Member { role, ..known })
    }

    async fn remove(
        &self,
        scope: &TenantScope,
        user: &UserName,
        authority: Authority,
    ) -> Result<(), Unchanged> {
        let mut tx = self.changing(scope).await?;
        changeable(&mut tx, user, None, authority).await?;
        sql("DELETE FROM members WHERE name_hash = $1")
            .doing("remove a member")
            .bind(hash(&tx, user.as_str()))
            .execute(&mut tx)
            .await?;
        Ok(tx.commit().await?)
    }
}

/// The member, if it may be given the role `to`, or be removed.
async fn changeable(
    tx: &mut TenantTx,
    user: &UserName,
    to: Option<Role>,
    authority: Authority,
) -> Result<Member, Unchanged> {
    let known = find(tx, user).await?.ok_or(Unchanged::Unknown)?;
    let owners = count(tx, Some(Role::Owner)).await?;
    authority.may_change(known.role, to, owners).map_err(Unchanged::Forbidden)?;
    Ok(known)
}

async fn find(tx: &mut TenantTx, user: &UserName) -> Result<Option<Member>, StoreError> {
    let row: Option<MemberRow> =
        sql("SELECT name_hash, name, role, created FROM members WHERE name_hash = $1")
            .doing("find a member")
            .bind(hash(tx, user.as_str()))
            .fetch_optional(tx)
            .await?;
    row.map(|row| member(tx, row)).transpose()
}

/// How many members there are, of this role if one is named.
async fn count(tx: &mut TenantTx, role: Option<Role>) -> Result<u64, StoreError> {
    let (count,) = sql("SELECT count(*) FROM members WHERE $1 IS NULL OR role = $1")
        .doing("count members")
        .bind(role.map(Role::name))
        .fetch_one(tx)
        .await?;
    Ok(count)
}

/// Adds `member`; says `false` where the user is one already.
async fn insert(tx: &mut TenantTx, member: &Member) -> Result<bool, StoreError> {
    let name = member.user.as_str();
    // Without a key there is no hash, and nothing can be sealed either: the next line says so.
    let hash = hash(tx, name).unwrap_or_default();
    let sealed = tx.seal(&NAME, &hash, name.as_bytes())?;
    let added = sql(
        "INSERT INTO members (name_hash, name, role, created) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
    )
    .doing("add a member")
    .bind(hash)
    .bind(sealed)
    .bind(member.role.name())
    .bind(member.created.unix_millis())
    .execute(tx)
    .await?;
    Ok(added == 1)
}

async fn set_role(tx: &mut TenantTx, user: &UserName, role: Role) -> Result<(), StoreError> {
    sql("UPDATE members SET role = $2 WHERE name_hash = $1")
        .doing("change a member")
        .bind(hash(tx, user.as_str()))
        .bind(role.name())
        .execute(tx)
        .await?;
    Ok(())
}

/// The hash of a name; none in a tenant that has no key yet, and so no member.
fn hash(tx: &TenantTx, name: &str) -> Option<NameHash> {
    let key = tx.index_key()?.derive("member names 1");
    Some(sign(&Key::new(HMAC_SHA256, key.expose()), name.as_bytes()).as_ref().to_vec())
}

fn member(tx: &TenantTx, (hash, name, role, created): MemberRow) -> Result<Member, StoreError> {
    const DOING: &str = "read a member";
    let name = String::from_utf8(tx.open(&NAME, &hash, &name)?).map_err(StoreError::unreadable(DOING))?;
    Ok(Member {
        user: name.parse().map_err(StoreError::unreadable(DOING))?,
        role: role.parse().map_err(StoreError::unreadable(DOING))?,
        created: Timestamp::from_unix_millis(created),
    })
}
