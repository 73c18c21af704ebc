//! What somebody finds who holds the ca's login, or another service's, on a PostgreSQL server.

use mcp_svid::SpiffeId;
use mcp_tenancy::PlatformScope;
use mcp_types::Timestamp;

use super::{Attestation, CertificateRow, Registry as _, migrated::Migrated, rows::options, suite};

#[tokio::test]
async fn services_cannot_read_each_others_schemas() {
    let home = tempfile::tempdir().expect("a folder");
    let server = Migrated::new(home.path()).await;
    let registry = suite::open(home.path(), &server.config()).await;
    let id: SpiffeId = "spiffe://td/service/context".parse().expect("an ID");
    let now = Timestamp::from_unix_secs(1_700_000_000);
    let row = CertificateRow {
        serial: [1; 16],
        id,
        attestation: Attestation::Ca,
        issued: now,
        not_before: now,
        not_after: now,
        public_key_sha256: [2; 32],
        certificate_sha256: [3; 32],
    };
    registry.record(&PlatformScope::of_the_platform_itself(), &row).await.expect("recorded");
    let auth = server.neighbour("auth", &options()).await;

    assert_eq!(server.as_thief("SELECT count(*) FROM ca_platform.certificates"), Ok("1".to_owned()));
    for table in ["certificates", "join_tokens"] {
        for (login, schema) in [(&auth, "ca_platform"), (&server.login, "auth_platform")] {
            let refused = server.as_user(login, &format!("SELECT * FROM {schema}.{table}"));
            let refused = refused.expect_err("not its own");
            assert!(refused.contains("permission denied for schema"), "{refused}");
        }
    }
}

#[tokio::test]
async fn the_cas_login_changes_rows_and_no_tables() {
    let home = tempfile::tempdir().expect("a folder");
    let server = Migrated::new(home.path()).await;

    for statement in [
        "DROP TABLE ca_platform.certificates",
        "TRUNCATE ca_platform.certificates",
        "ALTER TABLE ca_platform.certificates ADD COLUMN more TEXT",
        "CREATE TABLE ca_platform.more (n BIGINT)",
        "CREATE SCHEMA more",
        "SELECT * FROM guard.signer",
        "SET ROLE postgres",
    ] {
        assert!(server.as_thief(statement).is_err(), "{statement}");
    }
}
