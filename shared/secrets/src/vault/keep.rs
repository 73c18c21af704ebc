//! The task that keeps a session: it renews ahead of time, and sees when a vault that was gone is back.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;

use super::{Health, renewal, session::Session};

/// The longest sleep between two looks at the clock: a machine that was suspended wakes with less time left.
const STEP_MAX: Duration = Duration::from_secs(30);

/// How often a vault that does not serve is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Keeps `session` for as long as it runs.
pub(super) async fn keep(session: Arc<Session>) {
    let wire = Arc::clone(session.wire());
    let mut health = wire.health().watch();
    let mut failures = 0;
    loop {
        let token = session.token();
        let renew_at = token.term.renew_at(&**wire.entropy());
        // Until it is time, or another token is in use already.
        while let due = renew_at.since(wire.clock().now())
            && !due.is_zero()
            && session.token().number() == token.number()
        {
            let is_ready = *health.borrow_and_update() == Health::Ready;
            if is_ready {
                tokio::select! {
                    () = sleep(due.min(STEP_MAX)) => {}
                    _ = health.changed() => {}
                }
            } else {
                sleep(LOOK_EVERY.min(due)).await;
                let outcome = session.probe().await;
                wire.health().session(outcome.as_ref().err(), wire.clock().now());
            }
        }
        if session.token().number() != token.number() {
            continue;
        }
        while let Err(fault) = session.refresh().await {
            let now = wire.clock().now();
            let left = token.term.end().since(now);
            let wait = renewal::backoff(failures, left, &**wire.entropy());
            failures += 1;
            metrics::counter!("mcp_vault_renewal_failures_total", "what" => "token").increment(1);
            tracing::warn!(%fault, ?left, ?wait, "the vault's token is not renewed; trying again");
            wire.health().session(Some(&fault), now);
            sleep(wait).await;
        }
        failures = 0;
        wire.health().session(None, wire.clock().now());
    }
}
