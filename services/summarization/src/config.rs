//! What the operator may turn.

use mcp_runtime::Failure;
use serde::{Deserialize, Serialize};

/// The most threads that may be configured: more than any machine has cores is a slip.
const THREADS_MAX: usize = 1_024;
/// The most waiting summaries that may be configured: each holds a text of up to 4 MiB.
const WAITING_MAX: usize = 4_096;

/// The summarization service's section of the configuration.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Threads that summarise, besides those that carry connections; 0 is one for each core.
    pub threads: usize,
    /// Summaries that wait for a thread before the next caller is told to come back later: 1 to 4096.
    ///
    /// A bound on memory and on waiting: each holds a text of up to 4 MiB.
    pub waiting_max: usize,
    /// The engine used where a request names none.
    pub default_engine: String,
}

// === impl Config ===

impl Config {
    /// Whether these values may be used, with `engines` being those there are.
    ///
    /// # Errors
    ///
    /// A configuration failure that names the key and what it may be.
    pub(crate) fn check<'e>(&self, mut engines: impl Iterator<Item = &'e str>) -> Result<(), Failure> {
        if self.threads > THREADS_MAX {
            return Err(Failure::config(format!(
                "`summarization.threads` is {}, and may be 0 to {THREADS_MAX}",
                self.threads
            )));
        }
        if !(1..=WAITING_MAX).contains(&self.waiting_max) {
            return Err(Failure::config(format!(
                "`summarization.waiting_max` is {}, and may be 1 to {WAITING_MAX}",
                self.waiting_max
            )));
        }
        if !engines.any(|engine| engine == self.default_engine) {
            return Err(Failure::config(format!(
                "`summarization.default_engine` is {:?}, and there is no such engine",
                self.default_engine
            )));
        }
        Ok(())
    }

    /// How many threads summarise.
    pub(crate) fn thread_count(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self { threads: 0, waiting_max: 512, default_engine: "extractive".to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::Config;

    fn refused(config: &Config) -> String {
        config.check(["extractive"].into_iter()).expect_err("refused").to_string()
    }

    #[test]
    fn who_configures_nothing_gets_what_holds() {
        Config::default().check(["extractive"].into_iter()).expect("holds");
        assert!(Config::default().thread_count() > 0);
    }

    #[test]
    fn a_queue_that_holds_nothing_or_everything_is_refused() {
        for waiting_max in [0, 4_097] {
            let words = refused(&Config { waiting_max, ..Config::default() });
            assert!(words.contains("summarization.waiting_max"), "{words}");
        }
    }

    #[test]
    fn a_default_that_is_no_engine_is_refused() {
        let words = refused(&Config { default_engine: "oracle".to_owned(), ..Config::default() });
        assert!(words.contains("summarization.default_engine"), "{words}");
    }

    #[test]
    fn more_threads_than_any_machine_has_cores_are_refused() {
        let words = refused(&Config { threads: 1_025, ..Config::default() });
        assert!(words.contains("summarization.threads"), "{words}");
    }
}
