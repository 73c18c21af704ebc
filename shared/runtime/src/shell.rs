//! What a service is run in: time, chance, cores, and the word to stop.

use std::{fmt, future::Future, sync::Arc};

use mcp_types::{Clock, Entropy, SystemClock, SystemEntropy};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{Cores, Profile};

/// What a service is run in.
#[derive(Clone)]
pub struct Shell {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
    /// Where listeners run.
    pub cores: Cores,
    /// The word to stop.
    pub stop: Stop,
    /// What is allowed.
    pub profile: Profile,
    ready: Arc<watch::Sender<bool>>,
}

/// The word to stop, heard by everybody who holds a clone.
#[derive(Clone, Debug, Default)]
pub struct Stop(CancellationToken);

/// Hears when the service says that it serves.
#[derive(Clone, Debug)]
pub struct Readiness(watch::Receiver<bool>);

// === impl Shell ===

impl Shell {
    /// A shell on the machine's own time and chance.
    pub fn new(cores: Cores, stop: Stop, profile: Profile) -> Self {
        let (ready, _) = watch::channel(false);
        Self {
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            cores,
            stop,
            profile,
            ready: Arc::new(ready),
        }
    }

    /// The same shell for another service, with a readiness of its own.
    #[must_use]
    pub fn another(&self) -> Self {
        let (ready, _) = watch::channel(false);
        Self { ready: Arc::new(ready), ..self.clone() }
    }

    /// Says that the service serves.
    pub fn ready(&self) {
        self.ready.send_replace(true);
    }

    /// Hears when it does.
    pub fn readiness(&self) -> Readiness {
        Readiness(self.ready.subscribe())
    }
}

impl fmt::Debug for Shell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shell").field("profile", &self.profile).finish_non_exhaustive()
    }
}

// === impl Readiness ===

impl Readiness {
    /// Waits until the service serves; never returns where it is gone without having served.
    pub async fn serving(mut self) {
        if self.0.wait_for(|ready| *ready).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Whether it serves.
    pub fn is_serving(&self) -> bool {
        *self.0.borrow()
    }
}

// === impl Stop ===

impl Stop {
    /// Gives the word.
    pub fn request(&self) {
        self.0.cancel();
    }

    /// Whether it was given.
    pub fn is_requested(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Waits for it.
    pub fn requested(&self) -> impl Future<Output = ()> + Send + 'static {
        self.0.clone().cancelled_owned()
    }

    /// Waits for the word, or for SIGTERM or SIGINT, which give it.
    ///
    /// # Errors
    ///
    /// Where the machine lets us hear no signals.
    pub async fn on_signals(&self) -> std::io::Result<&'static str> {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let heard = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
            () = self.requested() => "request",
        };
        self.request();
        Ok(heard)
    }
}
