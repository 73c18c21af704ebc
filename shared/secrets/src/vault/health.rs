//! Whether all is well with the vault, for whoever watches: readiness, alarms.

use std::sync::{Mutex, PoisonError};

use mcp_types::Timestamp;
use tokio::sync::watch;

use super::Fault;

/// Whether all is well.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Health {
    /// The vault serves, and the service is logged in.
    Ready,
    /// It does not, or no longer will: what is cached works on for its bound.
    Degraded {
        /// The cause in one word, as in `mcp_vault_failures_total`.
        why: &'static str,
        /// Since when.
        since: Timestamp,
    },
}

/// Joins what requests and the session's keeper say.
#[derive(Debug)]
pub(super) struct Report {
    said: Mutex<Said>,
    health: watch::Sender<Health>,
}

#[derive(Debug, Default)]
struct Said {
    requests: Option<&'static str>,
    session: Option<&'static str>,
}

// === impl Report ===

impl Report {
    pub(super) fn new() -> Self {
        let (health, _) = watch::channel(Health::Ready);
        Self { said: Mutex::default(), health }
    }

    pub(super) fn watch(&self) -> watch::Receiver<Health> {
        self.health.subscribe()
    }

    /// Takes note of how a request ended.
    pub(super) fn request(&self, fault: Option<&Fault>, now: Timestamp) {
        self.change(now, |said| said.requests = fault.filter(|it| it.is_passing()).map(Fault::label));
    }

    /// Takes note of how the session stands.
    pub(super) fn session(&self, fault: Option<&Fault>, now: Timestamp) {
        self.change(now, |said| said.session = fault.map(Fault::label));
    }

    fn change(&self, now: Timestamp, change: impl FnOnce(&mut Said)) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut said);
        let why = said.requests.or(said.session);
        let changed = self.health.send_if_modified(|health| match (why, *health) {
            (None, Health::Ready) => false,
            (Some(why), Health::Degraded { why: before, .. }) if why == before => false,
            // Since when it is bad, not since when for this cause.
            (Some(why), Health::Degraded { since, .. }) => {
                *health = Health::Degraded { why, since };
                true
            }
            (Some(why), Health::Ready) => {
                *health = Health::Degraded { why, since: now };
                true
            }
            (None, Health::Degraded { .. }) => {
                *health = Health::Ready;
                true
            }
        });
        if changed {
            metrics::gauge!("mcp_vault_ready").set(if why.is_none() { 1.0 } else { 0.0 });
            match why {
                Some(why) => tracing::error!(why, "the vault is degraded"),
                None => tracing::info!("the vault serves again"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    //! What a watcher sees.

    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_unix_secs(secs)
    }

    #[test]
    fn health_is_what_both_say() {
        let report = Report::new();
        let seen = report.watch();
        report.session(Some(&Fault::Slow), at(1));
        report.request(Some(&Fault::Sealed), at(2));
        assert_eq!(*seen.borrow(), Health::Degraded { why: "sealed", since: at(1) });
        report.request(None, at(3));
        assert_eq!(*seen.borrow(), Health::Degraded { why: "slow", since: at(1) });
        report.session(None, at(4));
        assert_eq!(*seen.borrow(), Health::Ready);
    }

    #[test]
    fn a_request_that_the_vault_refuses_says_nothing_of_its_health() {
        let report = Report::new();
        report.request(Some(&Fault::Denied), at(1));
        assert_eq!(*report.watch().borrow(), Health::Ready);
    }
}
