//! Tenants, and what else belongs to none.
//!
//! A tenant is a row of the platform's, which says that the slug is taken, and a profile among the tenant's own rows, where
//! what it is called is sealed. Those are two transactions, the profile's first: a slug that is taken has its profile.

use mcp_store::{Column, SealedColumn, StoreError, Table, TenantTx, sql};
use mcp_tenancy::{PlatformScope, TenantScope};
use mcp_types::{TenantSlug, Timestamp, UserName};

use super::Rows;
use crate::store::{Tenant, Tenants};

pub(super) const PROFILES: Table = Table {
    name: "profiles",
    columns: &[Column::key("id"), Column::sealed("display_name"), Column::sealed("founder")],
};
const DISPLAY_NAME: SealedColumn = PROFILES.sealed("display_name");
const FOUNDER: SealedColumn = PROFILES.sealed("founder");

/// The name of a profile among its tenant's.
type ProfileId = [u8; 16];

type TenantRow = (String, i64, ProfileId);

// === impl Rows ===

impl Rows {
    async fn row(&self, scope: &PlatformScope, slug: &TenantSlug) -> Result<Option<TenantRow>, StoreError> {
        let mut tx = self.db.read_platform(scope).await?;
        sql("SELECT slug, created, profile FROM tenants WHERE slug = $1")
            .doing("find a tenant")
            .bind(slug.as_str())
            .fetch_optional(&mut tx)
            .await
    }

    /// The tenant of a row, with what it is called.
    async fn with_profile(
        &self,
        scope: &PlatformScope,
        (slug, created, profile): TenantRow,
    ) -> Result<Tenant, StoreError> {
        const DOING: &str = "read a tenant";
        let slug: TenantSlug = slug.parse().map_err(StoreError::unreadable(DOING))?;
        let mut tx = self.db.read(&scope.enter(slug.clone())).await?;
        let (display_name, founder): (Vec<u8>, Option<Vec<u8>>) =
            sql("SELECT display_name, founder FROM profiles WHERE id = $1")
                .doing(DOING)
                .bind(profile)
                .fetch_one(&mut tx)
                .await?;
        let founder = founder.map(|sealed| opened(&tx, &FOUNDER, profile, &sealed)).transpose()?;
        Ok(Tenant {
            display_name: opened(&tx, &DISPLAY_NAME, profile, &display_name)?,
            created: Timestamp::from_unix_millis(created),
            founder: founder.map(|name| name.parse()).transpose().map_err(StoreError::unreadable(DOING))?,
            slug,
        })
    }

    async fn add_profile(&self, scope: &TenantScope, tenant: &Tenant) -> Result<ProfileId, StoreError> {
        let mut id = [0; 16];
        self.entropy.fill(&mut id);
        let mut tx = self.db.within(scope).await?;
        let founder = tenant.founder.as_ref().map(UserName::as_str);
        let founder = founder.map(|name| tx.seal(&FOUNDER, &id, name.as_bytes())).transpose()?;
        let display_name = tx.seal(&DISPLAY_NAME, &id, tenant.display_name.as_bytes())?;
        sql("INSERT INTO profiles (id, display_name, founder) VALUES ($1, $2, $3)")
            .doing("describe a tenant")
            .bind(id)
            .bind(display_name)
            .bind(founder)
            .execute(&mut tx)
            .await?;
        tx.commit().await?;
        Ok(id)
    }

    async fn remove_profile(&self, scope: &TenantScope, id: ProfileId) -> Result<(), StoreError> {
        let mut tx = self.db.within(scope).await?;
        sql("DELETE FROM profiles WHERE id = $1")
            .doing("take a tenant's description back")
            .bind(id)
            .execute(&mut tx)
            .await?;
        tx.commit().await
    }
}

impl Tenants for Rows {
    async fn found(&self, scope: &PlatformScope, tenant: &Tenant) -> Result<bool, StoreError> {
        // Asked first, so that nothing is written among the rows of a tenant that is there.
        if self.row(scope, &tenant.slug).await?.is_some() {
            return Ok(false);
        }
        let inside = scope.enter(tenant.slug.clone());
        let profile = self.add_profile(&inside, tenant).await?;
        let mut tx = self.db.platform(scope).await?;
        let made = sql(
            "INSERT INTO tenants (slug, created, profile, settled) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
        )
        .doing("found a tenant")
        .bind(tenant.slug.as_str())
        .bind(tenant.created.unix_millis())
        .bind(profile)
        .bind(tenant.founder.is_none())
        .execute(&mut tx)
        .await?;
        tx.commit().await?;
        if made != 1 {
            self.remove_profile(&inside, profile).await?;
        }
        Ok(made == 1)
    }

    async fn tenant(&self, scope: &PlatformScope, slug: &TenantSlug) -> Result<Option<Tenant>, StoreError> {
        match self.row(scope, slug).await? {
            Some(row) => self.with_profile(scope, row).await.map(Some),
            None => Ok(None),
        }
    }

    async fn own(&self, scope: &TenantScope) -> Result<Option<Tenant>, StoreError> {
        // The scope names the one row that is read: the platform's tables are asked for nothing else here.
        self.tenant(&PlatformScope::of_the_platform_itself(), scope.tenant()).await
    }

    async fn settle(&self, scope: &PlatformScope, slug: &TenantSlug) -> Result<(), StoreError> {
        let Some((_, _, profile)) = self.row(scope, slug).await? else { return Ok(()) };
        let mut tx = self.db.platform(scope).await?;
        sql("UPDATE tenants SET settled = 1 WHERE slug = $1")
            .doing("settle a tenant")
            .bind(slug.as_str())
            .execute(&mut tx)
            .await?;
        tx.commit().await?;

        // From here on nobody asks for the founder any more, nor for the profile of whoever came second.
        let mut tx = self.db.within(&scope.enter(slug.clone())).await?;
        sql("DELETE FROM profiles WHERE id <> $1")
            .doing("forget who lost a slug")
            .bind(profile)
            .execute(&mut tx)
            .await?;
        sql("UPDATE profiles SET founder = NULL WHERE id = $1")
            .doing("forget who founded a tenant")
            .bind(profile)
            .execute(&mut tx)
            .await?;
        tx.commit().await
    }

    async fn unsettled(&self, scope: &PlatformScope) -> Result<Vec<Tenant>, StoreError> {
        let mut tx = self.db.read_platform(scope).await?;
        let rows: Vec<TenantRow> =
            sql("SELECT slug, created, profile FROM tenants WHERE settled = 0 ORDER BY slug")
                .doing("list unsettled tenants")
                .fetch_all(&mut tx)
                .await?;
        drop(tx);
        let mut tenants = Vec::with_capacity(rows.len());
        for row in rows {
            tenants.push(self.with_profile(scope, row).await?);
        }
        Ok(tenants)
    }

    async fn access_version(
        &self,
        scope: &PlatformScope,
        digest: &[u8; 32],
        least: u64,
    ) -> Result<u64, StoreError> {
        let mut tx = self.db.platform(scope).await?;
        tx.lock(&[b"access state"]).await?;
        let last: Option<(i64, Vec<u8>)> = sql("SELECT version, digest FROM access_state")
            .doing("read the access version")
            .fetch_optional(&mut tx)
            .await?;
        let next = match &last {
            Some((last, told)) if told == digest => return Ok(last.unsigned_abs()),
            Some((last, _)) => last.saturating_add(1),
            None => 1,
        };
        let next = next.max(i64::try_from(least).unwrap_or(i64::MAX));
        let write = match last {
            Some(_) => sql("UPDATE access_state SET version = $1, digest = $2"),
            None => sql("INSERT INTO access_state (only_row, version, digest) VALUES (1, $1, $2)"),
        };
        write.doing("write the access version").bind(next).bind(digest).execute(&mut tx).await?;
        tx.commit().await?;
        Ok(next.unsigned_abs())
    }
}

fn opened(tx: &TenantTx, column: &SealedColumn, id: ProfileId, sealed: &[u8]) -> Result<String, StoreError> {
    let plain = tx.open(column, &id, sealed)?;
    String::from_utf8(plain).map_err(StoreError::unreadable("read a tenant"))
}
