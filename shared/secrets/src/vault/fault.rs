//! Why the vault could not serve: each cause is told from the others, because each is mended elsewhere.

use std::{path::PathBuf, sync::Arc};

/// Why the vault could not serve.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// It is sealed: somebody has to unseal it.
    #[error("the vault is sealed; unseal it with enough shares")]
    Sealed,
    /// Nobody answers at its address.
    #[error("the vault does not answer at its address")]
    Gone(#[source] Arc<reqwest::Error>),
    /// It took longer than a request may take; what it does with the request is unknown.
    #[error("the vault did not answer in time")]
    Slow,
    /// Too many requests wait for it already.
    #[error("too many requests wait for the vault")]
    Busy,
    /// It is up, and cannot serve: no leader yet, no storage, an audit device that takes no more.
    #[error("the vault cannot serve at the moment (HTTP {status})")]
    Failing {
        /// The status of its answer.
        status: u16,
    },
    /// The service's policy does not allow it.
    #[error("the vault does not allow it; see the service's policy in deploy/vault/policies")]
    Denied,
    /// The login was refused: the role, the secret ID or the certificate is not, or no longer, what the vault knows.
    #[error("the vault does not let the service in: {words}")]
    LoginRefused {
        /// What the vault said.
        words: String,
    },
    /// The wrapped secret ID was unwrapped before, or has ended.
    #[error(
        "the wrapped secret ID in {} was unwrapped by somebody already, or has ended. If it was none of yours, treat \
         it as stolen: destroy the secret ID at the vault, look for the unwrapping in its audit log, and have another \
         one delivered", .file.display()
    )]
    WrappingSpent {
        /// Where it was delivered.
        file: PathBuf,
    },
    /// The wrapping token wraps something that is no secret ID of this service's role: somebody exchanged the delivery.
    #[error(
        "the wrapping token in {} wraps `{path}` and no secret ID of this service: the delivery was exchanged; do not \
         use it, and find out who wrote the file", .file.display()
    )]
    WrappingForeign {
        /// Where it was delivered.
        file: PathBuf,
        /// What it wraps.
        path: String,
    },
    /// A file that the login needs cannot be used.
    #[error("cannot read what the service logs in with ({what})")]
    LoginFile {
        /// Which.
        what: &'static str,
        /// Why not.
        #[source]
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// The configuration does not hold.
    #[error("`vault.{key}` {what}")]
    Config {
        /// The key.
        key: &'static str,
        /// What it must be.
        what: String,
    },
    /// It refused the request as wrong.
    #[error("the vault refused the request (HTTP {status}): {words}")]
    Refused {
        /// The status of its answer.
        status: u16,
        /// What it said, cut short.
        words: String,
    },
    /// Its answer is not what its interface promises.
    #[error("the vault's answer cannot be read")]
    Unintelligible,
}

// === impl Fault ===

impl Fault {
    /// Whether asking again later may help without anybody's doing here.
    pub const fn is_passing(&self) -> bool {
        matches!(self, Self::Sealed | Self::Gone(_) | Self::Slow | Self::Busy | Self::Failing { .. })
    }

    /// One word for metrics and health.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Sealed => "sealed",
            Self::Gone(_) => "gone",
            Self::Slow => "slow",
            Self::Busy => "busy",
            Self::Failing { .. } => "failing",
            Self::Denied => "denied",
            Self::LoginRefused { .. } | Self::WrappingSpent { .. } | Self::WrappingForeign { .. } => "login",
            Self::LoginFile { .. } | Self::Config { .. } => "configuration",
            Self::Refused { .. } => "refused",
            Self::Unintelligible => "unintelligible",
        }
    }
}
