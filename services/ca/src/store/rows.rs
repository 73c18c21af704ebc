//! Join tokens and certificates in the tables without a tenant, on either engine.

use std::path::Path;

use mcp_runtime::Shell;
use mcp_secrets::Keepers;
use mcp_store::{Config, Db, Migration, Options, StoreError, Tx, sql};
use mcp_tenancy::PlatformScope;
use mcp_types::{ServiceName, Timestamp};

use super::{CertificateRow, Registry, Sha256, TokenRow};

const PLATFORM: &[Migration] = &[
    Migration {
        version: 1,
        name: "registry",
        sqlite: include_str!("../../migrations/sqlite/0001_registry.sql"),
        postgres: include_str!("../../migrations/postgres/0001_registry.sql"),
    },
    Migration {
        version: 2,
        name: "retention",
        sqlite: include_str!("../../migrations/sqlite/0002_retention.sql"),
        postgres: include_str!("../../migrations/postgres/0002_retention.sql"),
    },
];

/// How many rows one transaction forgets, so that whoever issues meanwhile does not wait.
const FORGOTTEN_AT_ONCE: u32 = 500;

/// Join tokens and certificates; see `migrations` for the tables.
#[derive(Clone, Debug)]
pub(crate) struct Rows {
    db: Db,
}

type Row = (Sha256, String, i64, i64, Option<i64>);

/// What the ca's database is to hold: for whoever migrates it, copies it or moves it.
pub fn options() -> Options {
    Options { platform: PLATFORM, ..Options::default() }
}

// === impl Rows ===

impl Rows {
    /// Opens the registry of `service` where `config` says; in its folder, makes what is missing.
    pub(crate) async fn open(
        config: &Config,
        folder: &Path,
        service: &ServiceName,
        keepers: &Keepers,
        shell: &Shell,
    ) -> Result<Self, StoreError> {
        Ok(Self { db: mcp_store::open(config, folder, service, options(), keepers, shell).await? })
    }

    /// Closes the database.
    pub(crate) async fn close(&self) {
        self.db.close().await;
    }

    /// The certificates on record, oldest first.
    #[cfg(test)]
    pub(crate) async fn certificates(&self, scope: &PlatformScope) -> Vec<(String, String, Option<Vec<u8>>)> {
        let mut tx = self.db.read_platform(scope).await.expect("the registry answers");
        sql("SELECT id, attestation, evidence_sha256 FROM certificates ORDER BY issued, serial")
            .fetch_all(&mut tx)
            .await
            .expect("the registry answers")
    }
}

impl Registry for Rows {
    async fn add_token(&self, scope: &PlatformScope, token: &TokenRow) -> Result<(), StoreError> {
        let mut tx = self.db.platform(scope).await?;
        sql("INSERT INTO join_tokens (secret_sha256, service, created, expires, used) VALUES ($1, $2, $3, $4, $5)")
            .doing("add a join token")
            .bind(token.secret_sha256)
            .bind(token.service.as_str())
            .bind(token.created.unix_millis())
            .bind(token.expires.unix_millis())
            .bind(token.used.map(Timestamp::unix_millis))
            .execute(&mut tx)
            .await?;
        tx.commit().await
    }

    async fn token(
        &self,
        scope: &PlatformScope,
        secret_sha256: &Sha256,
    ) -> Result<Option<TokenRow>, StoreError> {
        let mut tx = self.db.read_platform(scope).await?;
        let row: Option<Row> = sql(
            "SELECT secret_sha256, service, created, expires, used FROM join_tokens WHERE secret_sha256 = $1",
        )
        .doing("find a join token")
        .bind(secret_sha256)
        .fetch_optional(&mut tx)
        .await?;
        row.map(token).transpose()
    }

    async fn redeem(
        &self,
        scope: &PlatformScope,
        secret_sha256: &Sha256,
        certificate: &CertificateRow,
    ) -> Result<bool, StoreError> {
        let mut tx = self.db.platform(scope).await?;
        // Whoever comes second waits for the row on either engine, and finds it used.
        let used = sql(
            "UPDATE join_tokens SET used = $2 WHERE secret_sha256 = $1 AND used IS NULL AND expires > $2",
        )
        .doing("use a join token")
        .bind(secret_sha256)
        .bind(certificate.issued.unix_millis())
        .execute(&mut tx)
        .await?;
        if used != 1 {
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

    async fn forget(&self, scope: &PlatformScope, moment: Timestamp) -> Result<u64, StoreError> {
        let mut forgotten = 0;
        loop {
            let mut tx = self.db.platform(scope).await?;
            let tokens = sql("DELETE FROM join_tokens WHERE secret_sha256 IN
                     (SELECT secret_sha256 FROM join_tokens WHERE expires < $1 ORDER BY expires LIMIT $2)")
            .doing("forget join tokens")
            .bind(moment.unix_millis())
            .bind(FORGOTTEN_AT_ONCE)
            .execute(&mut tx)
            .await?;
            let certificates = sql("DELETE FROM certificates WHERE serial IN
                     (SELECT serial FROM certificates WHERE not_after < $1 ORDER BY not_after LIMIT $2)")
            .doing("forget certificates")
            .bind(moment.unix_millis())
            .bind(FORGOTTEN_AT_ONCE)
            .execute(&mut tx)
            .await?;
            tx.commit().await?;
            forgotten += tokens + certificates;
            if tokens.max(certificates) < u64::from(FORGOTTEN_AT_ONCE) {
                return Ok(forgotten);
            }
        }
    }
}

async fn insert(tx: &mut Tx, certificate: &CertificateRow) -> Result<(), StoreError> {
    sql("INSERT INTO certificates (serial, id, attestation, evidence_sha256, issued, not_before, not_after,
                                   public_key_sha256, certificate_sha256)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)")
    .doing("record a certificate")
    .bind(certificate.serial)
    .bind(certificate.id.as_str())
    .bind(certificate.attestation.name())
    .bind(certificate.attestation.evidence().map(|hash| &hash[..]))
    .bind(certificate.issued.unix_millis())
    .bind(certificate.not_before.unix_millis())
    .bind(certificate.not_after.unix_millis())
    .bind(certificate.public_key_sha256)
    .bind(certificate.certificate_sha256)
    .execute(tx)
    .await?;
    Ok(())
}

fn token((secret_sha256, service, created, expires, used): Row) -> Result<TokenRow, StoreError> {
    Ok(TokenRow {
        secret_sha256,
        service: service.parse().map_err(StoreError::unreadable("read a join token"))?,
        created: Timestamp::from_unix_millis(created),
        expires: Timestamp::from_unix_millis(expires),
        used: used.map(Timestamp::from_unix_millis),
    })
}
