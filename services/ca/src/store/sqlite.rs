//! Join tokens and certificates in SQLite: `platform.db`.

use std::path::Path;

use mcp_store::{Db, Migration, Options, StoreError};
use mcp_tenancy::PlatformScope;
use mcp_types::{ServiceName, Timestamp};
use sqlx::SqliteConnection;

use super::{CertificateRow, Registry, Sha256, TokenRow};

const PLATFORM: &[Migration] = &[Migration {
    version: 1,
    name: "registry",
    sql: include_str!("../../migrations/sqlite/0001_registry.sql"),
}];

/// Join tokens and certificates in SQLite; see `migrations/sqlite` for the tables.
#[derive(Clone, Debug)]
pub(crate) struct SqliteRegistry {
    db: Db,
}

type Row = (Vec<u8>, String, i64, i64, Option<i64>);

// === impl SqliteRegistry ===

impl SqliteRegistry {
    /// Opens the registry of `service` in its folder, making what is missing.
    pub(crate) async fn open(folder: &Path, service: &ServiceName) -> Result<Self, StoreError> {
        let options = Options { platform: PLATFORM, ..Options::default() };
        Ok(Self { db: Db::open(folder, service, options).await? })
    }

    /// Closes the file.
    pub(crate) async fn close(&self) {
        self.db.close().await;
    }

    /// The certificates on record, oldest first.
    #[cfg(test)]
    pub(crate) async fn certificates(&self, scope: &PlatformScope) -> Vec<(String, String, Option<Vec<u8>>)> {
        let mut tx = self.db.read_platform(scope).await.expect("the registry answers");
        sqlx::query_as("SELECT id, attestation, evidence_sha256 FROM certificates ORDER BY issued, serial")
            .fetch_all(&mut *tx)
            .await
            .expect("the registry answers")
    }
}

impl Registry for SqliteRegistry {
    async fn add_token(&self, scope: &PlatformScope, token: &TokenRow) -> Result<(), StoreError> {
        let mut tx = self.db.platform(scope).await?;
        sqlx::query(
            "INSERT INTO join_tokens (secret_sha256, service, created, expires, used) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(&token.secret_sha256[..])
        .bind(token.service.as_str())
        .bind(token.created.unix_millis())
        .bind(token.expires.unix_millis())
        .bind(token.used.map(Timestamp::unix_millis))
        .execute(&mut *tx)
        .await
        .map_err(StoreError::doing("add a join token"))?;
        tx.commit().await
    }

    async fn token(
        &self,
        scope: &PlatformScope,
        secret_sha256: &Sha256,
    ) -> Result<Option<TokenRow>, StoreError> {
        let mut tx = self.db.read_platform(scope).await?;
        let row: Option<Row> = sqlx::query_as(
            "SELECT secret_sha256, service, created, expires, used FROM join_tokens WHERE secret_sha256 = $1",
        )
        .bind(&secret_sha256[..])
        .fetch_optional(&mut *tx)
        .await
        .map_err(StoreError::doing("find a join token"))?;
        row.map(token).transpose()
    }

    async fn redeem(
        &self,
        scope: &PlatformScope,
        secret_sha256: &Sha256,
        certificate: &CertificateRow,
    ) -> Result<bool, StoreError> {
        let mut tx = self.db.platform(scope).await?;
        let used = sqlx::query(
            "UPDATE join_tokens SET used = $2 WHERE secret_sha256 = $1 AND used IS NULL AND expires > $2",
        )
        .bind(&secret_sha256[..])
        .bind(certificate.issued.unix_millis())
        .execute(&mut *tx)
        .await
        .map_err(StoreError::doing("use a join token"))?;
        if used.rows_affected() != 1 {
            return Ok(false);
        }
        insert(&mut tx, certificate).await?;
        tx.commit().await?;
        Ok(true)
    }

    async fn record(&self, scope: &PlatformScope, certificate: &CertificateRow) -> Result<(), StoreError> {
        let mut tx = self.db.platform(scope).await?;
        insert(&mut tx, certificate).await?;
        tx.commit().await
    }

    async fn forget_tokens(&self, scope: &PlatformScope, moment: Timestamp) -> Result<(), StoreError> {
        let mut tx = self.db.platform(scope).await?;
        sqlx::query("DELETE FROM join_tokens WHERE expires < $1")
            .bind(moment.unix_millis())
            .execute(&mut *tx)
            .await
            .map_err(StoreError::doing("forget join tokens"))?;
        tx.commit().await
    }
}

async fn insert(tx: &mut SqliteConnection, certificate: &CertificateRow) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO certificates (serial, id, attestation, evidence_sha256, issued, not_before, not_after,
                                   public_key_sha256, certificate_sha256)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(&certificate.serial[..])
    .bind(certificate.id.as_str())
    .bind(certificate.attestation.name())
    .bind(certificate.attestation.evidence().map(|hash| &hash[..]))
    .bind(certificate.issued.unix_millis())
    .bind(certificate.not_before.unix_millis())
    .bind(certificate.not_after.unix_millis())
    .bind(&certificate.public_key_sha256[..])
    .bind(&certificate.certificate_sha256[..])
    .execute(tx)
    .await
    .map_err(StoreError::doing("record a certificate"))?;
    Ok(())
}

fn token((secret_sha256, service, created, expires, used): Row) -> Result<TokenRow, StoreError> {
    const DOING: &str = "read a join token";
    Ok(TokenRow {
        secret_sha256: secret_sha256.try_into().map_err(|_| unreadable(DOING, "a hash of another length"))?,
        service: service.parse().map_err(|bad| unreadable(DOING, bad))?,
        created: Timestamp::from_unix_millis(created),
        expires: Timestamp::from_unix_millis(expires),
        used: used.map(Timestamp::from_unix_millis),
    })
}

/// A row that no code of ours can have written.
fn unreadable(doing: &'static str, bad: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    StoreError::Refused { doing, source: sqlx::Error::Decode(bad.into()) }
}
