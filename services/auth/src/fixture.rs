//! What the tests of this crate stand on: a folder, a clock that is set by hand, scopes.

use std::{
    path::Path,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use mcp_runtime::{Cores, Profile, Shell, Stop};
use mcp_secrets::{Master, SealedStore, signing::LocalKeys};
use mcp_tenancy::{PlatformScope, TenantScope};
use mcp_types::{Clock, SystemEntropy, Timestamp};
use tempfile::TempDir;

use crate::{config::Config, keys::SigningKeys, store::Rows, tokens::Tokens};

/// A folder with a service's secrets and data, gone when dropped.
pub(crate) struct Home {
    folder: TempDir,
    /// Opened once: nobody else may open it meanwhile.
    secrets: OnceLock<SealedStore>,
}

/// A clock that stands until it is told to go on.
#[derive(Debug)]
pub(crate) struct ManualClock(AtomicI64);

// === impl Home ===

impl Home {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder"), secrets: OnceLock::new() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn secrets(&self) -> SealedStore {
        let (folder, key) = (self.path().join("secrets"), self.path().join("master.key"));
        let open = || {
            SealedStore::open(&folder, &Master::file(&key), Profile::Development, Arc::new(SystemEntropy))
                .expect("the secrets open")
        };
        self.secrets.get_or_init(open).clone()
    }

    pub(crate) async fn store(&self) -> Rows {
        self.store_at(&mcp_store::Config::default()).await
    }

    /// Auth's store where `config` says. Its tenants' keys are wrapped by keys in a folder of their own.
    pub(crate) async fn store_at(&self, config: &mcp_store::Config) -> Rows {
        let service = "auth".parse().expect("a name");
        let shell = Shell::new(Cores::start(1).expect("a core"), Stop::default(), Profile::Development);
        let (secrets, folder) = (mcp_secrets::Config::default(), self.path().join("wrapping"));
        let keepers = mcp_secrets::open(&secrets, &service, &folder, &shell).await.expect("the secrets open");
        Rows::open(config, self.path(), &service, &keepers, &shell).await.expect("the store opens")
    }

    pub(crate) async fn tokens(&self, config: Config, clock: &Arc<ManualClock>) -> Tokens {
        let clock = Arc::clone(clock) as Arc<dyn Clock>;
        let (secrets, makes) = (Arc::new(self.secrets()), Arc::new(LocalKeys));
        let keys = SigningKeys::open(secrets, makes, &config, Arc::clone(&clock)).await.expect("keys");
        Tokens::new(config, keys, clock, Arc::new(SystemEntropy)).expect("tokens")
    }
}

// === impl ManualClock ===

impl ManualClock {
    pub(crate) fn at(unix_secs: i64) -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(Timestamp::from_unix_secs(unix_secs).unix_millis())))
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.0.store(self.now().plus(by).unix_millis(), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_millis(self.0.load(Ordering::SeqCst))
    }
}

pub(crate) fn platform() -> PlatformScope {
    PlatformScope::of_the_platform_itself()
}

pub(crate) fn scope_of(tenant: &str) -> TenantScope {
    platform().enter(tenant.parse().expect("a slug"))
}
