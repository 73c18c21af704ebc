//! Tenants and members in SQLite: `platform.db`, and a file for each tenant.
//!
//! Every write is one transaction that `mcp-store` begins as the file's only writer: what it has read stays true
//! until it commits, so of two owners who demote each other the second finds itself the last.

use std::path::Path;

use mcp_store::{Db, Migration, Options, StoreError};
use mcp_tenancy::{PlatformScope, TenantScope};
use mcp_types::{ServiceName, TenantSlug, Timestamp, UserName};
use sqlx::SqliteConnection;

use super::{Members, Tenant, Tenants, Unchanged};
use crate::{
    members::{Authority, Member, role_at_first_sign_in},
    roles::Role,
};

const PLATFORM: &[Migration] = &[Migration {
    version: 1,
    name: "tenants",
    sqlite: include_str!("../../migrations/sqlite/platform/0001_tenants.sql"),
    postgres: "",
}];

const TENANT: &[Migration] = &[Migration {
    version: 1,
    name: "members",
    sqlite: include_str!("../../migrations/sqlite/tenant/0001_members.sql"),
    postgres: "",
}];

/// Tenants and members in SQLite; see `migrations/sqlite` for the tables.
#[derive(Clone, Debug)]
pub(crate) struct SqliteStore {
    db: Db,
}

type TenantRow = (String, String, i64, Option<String>);
type MemberRow = (String, String, i64);

// === impl SqliteStore ===

impl SqliteStore {
    /// Opens the store of `service` in its folder, making what is missing.
    pub(crate) async fn open(folder: &Path, service: &ServiceName) -> Result<Self, StoreError> {
        let options = Options { platform: PLATFORM, tenant: TENANT, ..Options::default() };
        Ok(Self { db: Db::open(folder, service, options).await? })
    }

    /// Closes the files.
    pub(crate) async fn close(&self) {
        self.db.close().await;
    }
}

impl Tenants for SqliteStore {
    async fn found(&self, scope: &PlatformScope, tenant: &Tenant) -> Result<bool, StoreError> {
        let mut tx = self.db.platform(scope).await?;
        let made = sqlx::query(
            "INSERT INTO tenants (slug, display_name, created, founder) VALUES ($1, $2, $3, $4)
             ON CONFLICT DO NOTHING",
        )
        .bind(tenant.slug.as_str())
        .bind(&tenant.display_name)
        .bind(tenant.created.unix_millis())
        .bind(tenant.founder.as_ref().map(UserName::as_str))
        .execute(&mut *tx)
        .await
        .map_err(StoreError::doing("found a tenant"))?;
        tx.commit().await?;
        Ok(made.rows_affected() == 1)
    }

    async fn tenant(&self, scope: &PlatformScope, slug: &TenantSlug) -> Result<Option<Tenant>, StoreError> {
        let mut tx = self.db.read_platform(scope).await?;
        let row: Option<TenantRow> =
            sqlx::query_as("SELECT slug, display_name, created, founder FROM tenants WHERE slug = $1")
                .bind(slug.as_str())
                .fetch_optional(&mut *tx)
                .await
                .map_err(StoreError::doing("find a tenant"))?;
        row.map(tenant).transpose()
    }

    async fn own(&self, scope: &TenantScope) -> Result<Option<Tenant>, StoreError> {
        // The scope names the one row that is read: the platform's file is asked for nothing else here.
        self.tenant(&PlatformScope::of_the_platform_itself(), scope.tenant()).await
    }

    async fn settle(&self, scope: &PlatformScope, slug: &TenantSlug) -> Result<(), StoreError> {
        let mut tx = self.db.platform(scope).await?;
        sqlx::query("UPDATE tenants SET founder = NULL WHERE slug = $1")
            .bind(slug.as_str())
            .execute(&mut *tx)
            .await
            .map_err(StoreError::doing("settle a tenant"))?;
        tx.commit().await
    }

    async fn unsettled(&self, scope: &PlatformScope) -> Result<Vec<Tenant>, StoreError> {
        let mut tx = self.db.read_platform(scope).await?;
        let rows: Vec<TenantRow> = sqlx::query_as(
            "SELECT slug, display_name, created, founder FROM tenants WHERE founder IS NOT NULL ORDER BY slug",
        )
        .fetch_all(&mut *tx)
        .await
        .map_err(StoreError::doing("list unsettled tenants"))?;
        rows.into_iter().map(tenant).collect()
    }

    async fn access_version(
        &self,
        scope: &PlatformScope,
        digest: &[u8; 32],
        least: u64,
    ) -> Result<u64, StoreError> {
        let mut tx = self.db.platform(scope).await?;
        let last: Option<(i64, Vec<u8>)> = sqlx::query_as("SELECT version, digest FROM access_state")
            .fetch_optional(&mut *tx)
            .await
            .map_err(StoreError::doing("read the access version"))?;
        let (last, told) = last.unwrap_or_default();
        if told == digest {
            return Ok(last.unsigned_abs());
        }
        let next = last.saturating_add(1).max(i64::try_from(least).unwrap_or(i64::MAX));
        sqlx::query(
            "INSERT INTO access_state (only_row, version, digest) VALUES (1, $1, $2)
             ON CONFLICT DO UPDATE SET version = excluded.version, digest = excluded.digest",
        )
        .bind(next)
        .bind(&digest[..])
        .execute(&mut *tx)
        .await
        .map_err(StoreError::doing("write the access version"))?;
        tx.commit().await?;
        Ok(next.unsigned_abs())
    }
}

impl Members for SqliteStore {
    async fn member(&self, scope: &TenantScope, user: &UserName) -> Result<Option<Member>, StoreError> {
        find(&mut *self.db.read(scope).await?, user).await
    }

    async fn members(
        &self,
        scope: &TenantScope,
        after: Option<&str>,
        count_max: u32,
    ) -> Result<Vec<Member>, StoreError> {
        let mut tx = self.db.read(scope).await?;
        // The empty text stands before every name.
        let rows: Vec<MemberRow> =
            sqlx::query_as("SELECT user, role, created FROM members WHERE user > $1 ORDER BY user LIMIT $2")
                .bind(after.unwrap_or_default())
                .bind(count_max)
                .fetch_all(&mut *tx)
                .await
                .map_err(StoreError::doing("list members"))?;
        rows.into_iter().map(member).collect()
    }

    async fn add(&self, scope: &TenantScope, member: &Member) -> Result<bool, StoreError> {
        let mut tx = self.db.within(scope).await?;
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
        let mut tx = self.db.within(scope).await?;
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
        let mut tx = self.db.within(scope).await?;
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
        let mut tx = self.db.within(scope).await?;
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
        let mut tx = self.db.within(scope).await?;
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
        let mut tx = self.db.within(scope).await?;
        changeable(&mut tx, user, None, authority).await?;
        sqlx::query("DELETE FROM members WHERE user = $1")
            .bind(user.as_str())
            .execute(&mut *tx)
            .await
            .map_err(StoreError::doing("remove a member"))?;
        Ok(tx.commit().await?)
    }
}

/// The member, if it may be given the role `to`, or be removed.
async fn changeable(
    tx: &mut SqliteConnection,
    user: &UserName,
    to: Option<Role>,
    authority: Authority,
) -> Result<Member, Unchanged> {
    let known = find(tx, user).await?.ok_or(Unchanged::Unknown)?;
    let owners = count(tx, Some(Role::Owner)).await?;
    authority.may_change(known.role, to, owners).map_err(Unchanged::Forbidden)?;
    Ok(known)
}

async fn find(tx: &mut SqliteConnection, user: &UserName) -> Result<Option<Member>, StoreError> {
    let row: Option<MemberRow> = sqlx::query_as("SELECT user, role, created FROM members WHERE user = $1")
        .bind(user.as_str())
        .fetch_optional(tx)
        .await
        .map_err(StoreError::doing("find a member"))?;
    row.map(member).transpose()
}

/// How many members there are, of this role if one is named.
async fn count(tx: &mut SqliteConnection, role: Option<Role>) -> Result<u64, StoreError> {
    let count: i64 = sqlx::query_scalar("SELECT count(*) FROM members WHERE $1 IS NULL OR role = $1")
        .bind(role.map(Role::name))
        .fetch_one(tx)
        .await
        .map_err(StoreError::doing("count members"))?;
    Ok(count.unsigned_abs())
}

/// Adds `member`; says `false` where the user is one already.
async fn insert(tx: &mut SqliteConnection, member: &Member) -> Result<bool, StoreError> {
    let added =
        sqlx::query("INSERT INTO members (user, role, created) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING")
            .bind(member.user.as_str())
            .bind(member.role.name())
            .bind(member.created.unix_millis())
            .execute(tx)
            .await
            .map_err(StoreError::doing("add a member"))?;
    Ok(added.rows_affected() == 1)
}

async fn set_role(tx: &mut SqliteConnection, user: &UserName, role: Role) -> Result<(), StoreError> {
    sqlx::query("UPDATE members SET role = $2 WHERE user = $1")
        .bind(user.as_str())
        .bind(role.name())
        .execute(tx)
        .await
        .map_err(StoreError::doing("change a member"))?;
    Ok(())
}

fn tenant((slug, display_name, created, founder): TenantRow) -> Result<Tenant, StoreError> {
    Ok(Tenant {
        slug: slug.parse().map_err(unreadable("read a tenant"))?,
        display_name,
        created: Timestamp::from_unix_millis(created),
        founder: founder.map(|name| name.parse()).transpose().map_err(unreadable("read a tenant"))?,
    })
}

fn member((user, role, created): MemberRow) -> Result<Member, StoreError> {
    Ok(Member {
        user: user.parse().map_err(unreadable("read a member"))?,
        role: role.parse().map_err(unreadable("read a member"))?,
        created: Timestamp::from_unix_millis(created),
    })
}

/// A row that no code of ours can have written.
fn unreadable<E: std::error::Error + Send + Sync + 'static>(
    doing: &'static str,
) -> impl FnOnce(E) -> StoreError {
    move |source| StoreError::Refused { doing, source: sqlx::Error::Decode(Box::new(source)) }
}
