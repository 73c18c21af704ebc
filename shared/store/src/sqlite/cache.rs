//! How many files are open: bounded, however many tenants there are.

use std::{
    collections::HashMap,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use mcp_types::TenantSlug;
use tokio::sync::{Notify, OnceCell};

use super::file::SqliteFile;
use crate::StoreError;

/// The tenants' files that are open, the longest unused of which makes room for the next.
#[derive(Debug)]
pub(crate) struct OpenFiles {
    open_max: usize,
    state: Mutex<State>,
    /// Told when a file is no longer in use, or closed.
    freed: Notify,
}

#[derive(Debug, Default)]
struct State {
    slots: HashMap<TenantSlug, Slot>,
    /// Files on their way out; they count until they are closed.
    closing: usize,
    uses: u64,
}

#[derive(Debug)]
struct Slot {
    file: Arc<OnceCell<SqliteFile>>,
    last_use: u64,
}

/// A file in use. While there is one, the file is not closed.
#[derive(Debug)]
pub(crate) struct Lease {
    /// `None` only while it is being dropped.
    file: Option<Arc<OnceCell<SqliteFile>>>,
    files: Arc<OpenFiles>,
}

enum Room {
    Leased(Arc<OnceCell<SqliteFile>>),
    /// This one was taken out, and is to be closed first.
    After(Arc<OnceCell<SqliteFile>>),
    None,
}

// === impl OpenFiles ===

impl OpenFiles {
    pub(crate) fn new(open_max: usize) -> Arc<Self> {
        Arc::new(Self { open_max: open_max.max(1), state: Mutex::default(), freed: Notify::new() })
    }

    /// Whether the file of `tenant` is open, or being opened.
    pub(crate) fn holds(&self, tenant: &TenantSlug) -> bool {
        self.state().slots.contains_key(tenant)
    }

    /// Gives a place for the file of `tenant`, waiting for one at most `wait_max`.
    pub(crate) async fn lease(
        self: &Arc<Self>,
        tenant: &TenantSlug,
        wait_max: Duration,
    ) -> Result<Lease, StoreError> {
        let leased = async {
            loop {
                // Heard from before the look, so that what is freed in between is not missed.
                let mut freed = pin!(self.freed.notified());
                freed.as_mut().enable();
                match self.room(tenant) {
                    Room::Leased(file) => return Lease { file: Some(file), files: Arc::clone(self) },
                    Room::After(file) => self.close(file),
                    Room::None => {}
                }
                freed.await;
            }
        };
        tokio::time::timeout(wait_max, leased).await.map_err(|_elapsed| StoreError::Crowded)
    }

    /// Closes all files that are not in use.
    pub(crate) async fn close_all(&self) {
        let slots: Vec<_> = self.state().slots.drain().collect();
        for (_, slot) in slots {
            if let Some(file) = slot.file.get() {
                file.close().await;
            }
        }
    }

    /// How many files are open, or being opened or closed.
    pub(crate) fn len(&self) -> usize {
        let state = self.state();
        state.slots.len() + state.closing
    }

    fn room(&self, tenant: &TenantSlug) -> Room {
        let mut state = self.state();
        state.uses += 1;
        let last_use = state.uses;
        if let Some(slot) = state.slots.get_mut(tenant) {
            slot.last_use = last_use;
            return Room::Leased(Arc::clone(&slot.file));
        }
        if state.slots.len() + state.closing < self.open_max {
            let file = Arc::default();
            state.slots.insert(tenant.clone(), Slot { file: Arc::clone(&file), last_use });
            return Room::Leased(file);
        }
        if state.closing > 0 {
            // A place will be free in a moment; taking out one more for each who waits would empty the cache.
            return Room::None;
        }
        // Leases are made under this lock only, so what only the cache holds nobody can begin to use.
        let idle = state.slots.iter().filter(|(_, slot)| Arc::strong_count(&slot.file) == 1);
        let Some(oldest) = idle.min_by_key(|(_, slot)| slot.last_use).map(|(tenant, _)| tenant.clone())
        else {
            return Room::None;
        };
        match state.slots.remove(&oldest) {
            Some(slot) => {
                state.closing += 1;
                Room::After(slot.file)
            }
            None => Room::None,
        }
    }

    /// Closes in a task of its own: a caller that gives up must not leave the count wrong.
    fn close(self: &Arc<Self>, file: Arc<OnceCell<SqliteFile>>) {
        let files = Arc::clone(self);
        tokio::spawn(async move {
            if let Some(file) = file.get() {
                file.close().await;
            }
            files.state().closing -= 1;
            files.freed.notify_waiters();
        });
    }

    /// No change under this lock can be left half-way by a panic.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Lease ===

impl Lease {
    /// The leased file, opened by `open` if nobody has yet; of several who ask at once, one opens it.
    pub(crate) async fn file<F>(&self, open: impl FnOnce() -> F) -> Result<&SqliteFile, StoreError>
    where
        F: Future<Output = Result<SqliteFile, StoreError>>,
    {
        match &self.file {
            Some(file) => file.get_or_try_init(open).await,
            None => Err(StoreError::Crowded),
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // Let go before it is told, or whoever hears it would find the file still in use.
        self.file = None;
        self.files.freed.notify_waiters();
    }
}
