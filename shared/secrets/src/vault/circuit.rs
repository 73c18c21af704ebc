//! When a failing vault is left alone: after some failures in a row it is asked once a moment only, and everybody else
//! hears the last cause at once instead of waiting for it.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use mcp_types::Timestamp;

use super::Fault;

const FAILURES_MAX: u32 = 5;
const REST: Duration = Duration::from_millis(500);

/// Counts failures in a row.
#[derive(Debug, Default)]
pub(super) struct Circuit(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    failures: u32,
    rests_until: Timestamp,
    cause: Option<Fault>,
}

// === impl Circuit ===

impl Circuit {
    /// Lets a request through, or tells why it need not be tried.
    pub(super) fn admit(&self, now: Timestamp) -> Result<(), Fault> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.failures < FAILURES_MAX {
            return Ok(());
        }
        // A clock that was set back must not keep the circuit open for longer than a rest.
        if now < state.rests_until
            && state.rests_until.since(now) <= REST
            && let Some(cause) = &state.cause
        {
            return Err(cause.clone());
        }
        // This one is let through to see; the next rest begins with it.
        state.rests_until = now.plus(REST);
        Ok(())
    }

    /// Takes note of how a request ended.
    pub(super) fn ended(&self, fault: Option<&Fault>, now: Timestamp) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match fault.filter(|fault| fault.is_passing()) {
            Some(fault) => {
                state.failures = state.failures.saturating_add(1);
                state.rests_until = now.plus(REST);
                state.cause = Some(fault.clone());
            }
            None => *state = State::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    //! When requests go through, on a clock that stands.

    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_unix_millis(millis)
    }

    fn failed(circuit: &Circuit, times: u32) {
        for _ in 0..times {
            circuit.ended(Some(&Fault::Sealed), at(0));
        }
    }

    #[test]
    fn a_few_failures_stop_nobody() {
        let circuit = Circuit::default();
        failed(&circuit, FAILURES_MAX - 1);
        assert!(circuit.admit(at(0)).is_ok());
    }

    #[test]
    fn after_many_one_a_moment_is_let_through() {
        let circuit = Circuit::default();
        failed(&circuit, FAILURES_MAX);
        assert!(matches!(circuit.admit(at(1)), Err(Fault::Sealed)));
        assert!(circuit.admit(at(500)).is_ok());
        assert!(circuit.admit(at(501)).is_err(), "one sees for all");
    }

    #[test]
    fn one_success_opens_it_for_all() {
        let circuit = Circuit::default();
        failed(&circuit, FAILURES_MAX);
        circuit.ended(None, at(1));
        assert!(circuit.admit(at(2)).is_ok());
    }

    #[test]
    fn what_the_vault_refuses_is_no_failure_of_the_vault() {
        let circuit = Circuit::default();
        for _ in 0..100 {
            circuit.ended(Some(&Fault::Denied), at(0));
        }
        assert!(circuit.admit(at(0)).is_ok());
    }

    #[test]
    fn a_clock_set_back_does_not_lock_everybody_out() {
        let circuit = Circuit::default();
        for _ in 0..FAILURES_MAX {
            circuit.ended(Some(&Fault::Slow), at(1_000_000));
        }
        assert!(circuit.admit(at(0)).is_ok());
    }
}
