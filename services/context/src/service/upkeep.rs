//! What has ended is removed, in the tenants that calls come from, bit by bit.
//!
//! What has ended is not found from that moment on, also after a restart; this only frees its room. A tenant that nobody
//! calls keeps its rows until somebody does.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use mcp_runtime::Stop;
use mcp_tenancy::TenantScope;
use mcp_types::TenantSlug;
use tokio::time::{MissedTickBehavior, interval};

use crate::store::Contexts;

/// How often it is looked for what has ended.
const EVERY: Duration = Duration::from_secs(30);
/// Tenants that are remembered between two rounds; of more, some are swept later.
const TENANTS_MAX: usize = 1024;
/// Rounds of removal in one tenant before the next one's turn.
const ROUNDS_MAX: usize = 20;

/// The tenants that calls came from since the last round.
#[derive(Debug, Default)]
pub(crate) struct Tenants {
    called: Mutex<HashMap<TenantSlug, TenantScope>>,
}

// === impl Tenants ===

impl Tenants {
    /// Notes that a call came from this tenant.
    pub(crate) fn note(&self, scope: &TenantScope) {
        // Whoever finds it taken is not the only call of its tenant, or comes again.
        let Ok(mut called) = self.called.try_lock() else { return };
        if called.len() < TENANTS_MAX && !called.contains_key(scope.tenant()) {
            // The audit row of a call is the call's own.
            called.insert(scope.tenant().clone(), scope.clone().with_evidence(None));
        }
    }

    fn take(&self) -> Vec<TenantScope> {
        let mut called = self.called.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *called).into_values().collect()
    }
}

/// Removes what has ended until it is told to stop.
pub(crate) async fn sweep(store: Arc<impl Contexts>, tenants: Arc<Tenants>, stop: Stop) {
    let mut turns = interval(EVERY);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.requested() => return,
            _ = turns.tick() => {}
        }
        for scope in tenants.take() {
            for _ in 0..ROUNDS_MAX {
                match store.sweep(&scope).await {
                    Ok(true) if !stop.is_requested() => {}
                    Ok(_) => break,
                    Err(error) => {
                        tracing::warn!(cause = %mcp_rpc::chain(&error), "what has ended was not removed");
                        break;
                    }
                }
            }
        }
    }
}
