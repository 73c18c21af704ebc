//! Who watches what, so that a change wakes those who wait for it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use mcp_tenancy::TenantScope;
use mcp_types::TenantSlug;
use tokio::sync::watch;

use crate::names::ContextId;

/// The contexts that are being watched.
#[derive(Debug)]
pub(crate) struct Watches {
    per_tenant_max: usize,
    open: Mutex<HashMap<TenantSlug, HashMap<ContextId, Watched>>>,
}

#[derive(Debug)]
struct Watched {
    changed: watch::Sender<()>,
    watchers: usize,
}

/// One who watches a context. While there is one, the context has a place here.
#[derive(Debug)]
pub(crate) struct Watcher {
    watches: Arc<Watches>,
    tenant: TenantSlug,
    id: ContextId,
    changed: watch::Receiver<()>,
}

/// The tenant watches as much as it may.
#[derive(Debug)]
pub(crate) struct TooMany;

// === impl Watches ===

impl Watches {
    /// Nobody watches; at most `per_tenant_max` of each tenant may.
    pub(crate) fn new(per_tenant_max: usize) -> Self {
        Self { per_tenant_max, open: Mutex::default() }
    }

    /// Watches a context of the scope's tenant from now on.
    pub(crate) fn watch(self: &Arc<Self>, scope: &TenantScope, id: ContextId) -> Result<Watcher, TooMany> {
        let mut open = self.open();
        let of_tenant = open.entry(scope.tenant().clone()).or_default();
        if of_tenant.values().map(|it| it.watchers).sum::<usize>() >= self.per_tenant_max {
            return Err(TooMany);
        }
        let watched =
            of_tenant.entry(id).or_insert_with(|| Watched { changed: watch::Sender::new(()), watchers: 0 });
        watched.watchers += 1;
        let changed = watched.changed.subscribe();
        Ok(Watcher { watches: Arc::clone(self), tenant: scope.tenant().clone(), id, changed })
    }

    /// Wakes those who watch the context.
    pub(crate) fn tell(&self, scope: &TenantScope, id: ContextId) {
        if let Some(watched) = self.open().get(scope.tenant()).and_then(|it| it.get(&id)) {
            watched.changed.send_replace(());
        }
    }

    /// No change under this lock can be left half-way by a panic.
    fn open(&self) -> MutexGuard<'_, HashMap<TenantSlug, HashMap<ContextId, Watched>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Watcher ===

impl Watcher {
    /// Waits for a change since the last wait began.
    pub(crate) async fn changed(&mut self) {
        if self.changed.changed().await.is_err() {
            // The sender is here for as long as this is.
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let mut open = self.watches.open();
        let Some(of_tenant) = open.get_mut(&self.tenant) else { return };
        if let Some(watched) = of_tenant.get_mut(&self.id) {
            watched.watchers -= 1;
            if watched.watchers == 0 {
                of_tenant.remove(&self.id);
            }
        }
        if of_tenant.is_empty() {
            open.remove(&self.tenant);
        }
    }
}

#[cfg(test)]
mod tests {
    //! Who watches is woken, and leaves nothing behind.

    use mcp_testkit::TestIssuer;
    use uuid::Uuid;

    use super::*;

    #[tokio::test]
    async fn a_change_wakes_who_watches_that_context_and_nobody_else() {
        let watches = Arc::new(Watches::new(8));
        let (acme, globex) = (TestIssuer::new().scope("acme"), TestIssuer::new().scope("globex"));
        let [a, b] = [1, 2].map(|id| ContextId::new(Uuid::from_u128(id)));
        let mut watcher = watches.watch(&acme, a).expect("room");
        let woken = |watcher: &Watcher| watcher.changed.has_changed().expect("open");

        watches.tell(&globex, a);
        watches.tell(&acme, b);
        assert!(!woken(&watcher));
        watches.tell(&acme, a);
        assert!(woken(&watcher));
        watcher.changed().await;
        assert!(!woken(&watcher));
    }

    #[test]
    fn a_tenant_has_so_many_watchers_and_another_tenant_its_own() {
        let watches = Arc::new(Watches::new(2));
        let (acme, globex) = (TestIssuer::new().scope("acme"), TestIssuer::new().scope("globex"));
        let id = ContextId::new(Uuid::from_u128(1));
        let first = watches.watch(&acme, id).expect("room");
        let _second = watches.watch(&acme, id).expect("room");
        assert!(watches.watch(&acme, id).is_err());
        let other = watches.watch(&globex, id).expect("room");

        drop(first);
        drop(watches.watch(&acme, id).expect("room again"));
        drop((_second, other));
        assert!(watches.open().is_empty());
    }
}
