//! What the ca remembers: join tokens by their hash, and every certificate that it handed out.
//!
//! ```text
//! mod.rs        the trait
//! rows.rs       on SQLite (`platform.db`) and PostgreSQL (a schema of the ca's own)
//! suite.rs      what the registry must do on each engine
//! attacks.rs    what somebody finds who holds the service's own login
//! migrated.rs   a server with these tables, for the tests
//! ```

#[cfg(test)]
mod attacks;
#[cfg(test)]
mod migrated;
mod rows;
#[cfg(test)]
mod suite;

use std::{fmt, future::Future};

use mcp_store::StoreError;
use mcp_svid::SpiffeId;
use mcp_tenancy::PlatformScope;
use mcp_types::{ServiceName, Timestamp};

pub(crate) use self::rows::Rows;
pub use self::rows::options;

/// SHA-256 of something.
pub(crate) type Sha256 = [u8; 32];

/// A join token as it is remembered: without its secret.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct TokenRow {
    /// SHA-256 of the secret.
    pub(crate) secret_sha256: Sha256,
    /// Who may join.
    pub(crate) service: ServiceName,
    /// When it was made.
    pub(crate) created: Timestamp,
    /// From when on it is no longer good.
    pub(crate) expires: Timestamp,
    /// When it was used.
    pub(crate) used: Option<Timestamp>,
}

/// Why a join token is no longer good. For the log: a caller hears one answer for all.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Spent {
    /// Nobody made it.
    Unknown,
    /// It was used.
    Used,
    /// It waited too long.
    Expired,
}

/// A certificate as it is remembered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct CertificateRow {
    /// Its number.
    pub(crate) serial: [u8; 16],
    /// Whose it is.
    pub(crate) id: SpiffeId,
    /// What showed that the asker is who it says.
    pub(crate) attestation: Attestation,
    /// When it was issued.
    pub(crate) issued: Timestamp,
    /// The first moment at which it holds.
    pub(crate) not_before: Timestamp,
    /// The last second in which it holds.
    pub(crate) not_after: Timestamp,
    /// SHA-256 of its `SubjectPublicKeyInfo`.
    pub(crate) public_key_sha256: Sha256,
    /// SHA-256 of its DER.
    pub(crate) certificate_sha256: Sha256,
}

/// What showed that the asker is who it says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Attestation {
    /// The join token with this hash.
    JoinToken(Sha256),
    /// The certificate with this hash: a renewal.
    Certificate(Sha256),
    /// Nothing: the ca's own process asked, for itself or for its operator.
    Ca,
}

/// Keeps join tokens and the record of certificates.
pub(crate) trait Registry: Send + Sync + 'static {
    /// Adds a join token.
    fn add_token(
        &self,
        scope: &PlatformScope,
        token: &TokenRow,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The join token with this hash, spent or not.
    fn token(
        &self,
        scope: &PlatformScope,
        secret_sha256: &Sha256,
    ) -> impl Future<Output = Result<Option<TokenRow>, StoreError>> + Send;

    /// Uses the join token with this hash up and records what was issued for it, both or neither.
    ///
    /// Says `false` where the token is not good at `certificate.issued`: of all who try at once, one hears `true`.
    fn redeem(
        &self,
        scope: &PlatformScope,
        secret_sha256: &Sha256,
        certificate: &CertificateRow,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Records a certificate.
    fn record(
        &self,
        scope: &PlatformScope,
        certificate: &CertificateRow,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Forgets the join tokens and the certificates that ended before `moment`, and says how many they were.
    fn forget(
        &self,
        scope: &PlatformScope,
        moment: Timestamp,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;
}

// === impl TokenRow ===

impl TokenRow {
    /// Whether it may be used at `now`.
    pub(crate) fn check(&self, now: Timestamp) -> Result<(), Spent> {
        match self.used {
            Some(_) => Err(Spent::Used),
            None if self.expires <= now => Err(Spent::Expired),
            None => Ok(()),
        }
    }
}

// === impl Spent ===

impl fmt::Display for Spent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "unknown",
            Self::Used => "used",
            Self::Expired => "expired",
        })
    }
}

// === impl Attestation ===

impl Attestation {
    /// Its name in the record.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::JoinToken(_) => "join_token",
            Self::Certificate(_) => "certificate",
            Self::Ca => "ca",
        }
    }

    /// The hash of what was shown.
    pub(crate) const fn evidence(&self) -> Option<&Sha256> {
        match self {
            Self::JoinToken(hash) | Self::Certificate(hash) => Some(hash),
            Self::Ca => None,
        }
    }
}
