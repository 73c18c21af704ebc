//! What the tests of this crate stand on: a folder, a clock that is set by hand, scopes.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use mcp_secrets::SealedStore;
use mcp_tenancy::{PlatformScope, TenantScope};
use mcp_types::{Clock, SystemEntropy, Timestamp};
use tempfile::TempDir;

use crate::{config::Config, keys::SigningKeys, store::SqliteStore, tokens::Tokens};

/// A folder with a service's secrets and data, gone when dropped.
pub(crate) struct Home {
    folder: TempDir,
}

/// A clock that stands until it is told to go on.
#[derive(Debug)]
pub(crate) struct ManualClock(AtomicI64);

// === impl Home ===

impl Home {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder") }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn secrets(&self) -> SealedStore {
        let (folder, key) = (self.path().join("secrets"), self.path().join("master.key"));
        SealedStore::open(&folder, &key, Arc::new(SystemEntropy)).expect("the secrets open")
    }

    pub(crate) async fn store(&self) -> SqliteStore {
        let service = "auth".parse().expect("a name");
        SqliteStore::open(self.path(), &service).await.expect("the store opens")
    }

    pub(crate) async fn tokens(&self, config: Config, clock: &Arc<ManualClock>) -> Tokens {
        let keys = SigningKeys::load(&self.secrets()).await.expect("keys");
        Tokens::new(config, keys, Arc::clone(clock) as Arc<dyn Clock>, Arc::new(SystemEntropy))
            .expect("tokens")
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
