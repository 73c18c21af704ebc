//! One current-thread runtime a core, for listeners: a connection's work never hops between cores.

use std::{io, sync::Arc, thread};

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Running current-thread runtimes. They stop when the last clone is dropped.
#[derive(Clone, Debug)]
pub struct Cores {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    handles: Vec<Handle>,
    _stop: DropGuard,
}

// === impl Cores ===

impl Cores {
    /// Starts one runtime on each of `count` threads.
    ///
    /// # Errors
    ///
    /// Where the machine gives no thread or no event queue.
    pub fn start(count: usize) -> io::Result<Self> {
        let stop = CancellationToken::new();
        let handles = (0..count.max(1))
            .map(|index| {
                let runtime = Builder::new_current_thread().enable_all().build()?;
                let handle = runtime.handle().clone();
                let stopped = stop.clone();
                thread::Builder::new()
                    .name(format!("core-{index}"))
                    .spawn(move || runtime.block_on(stopped.cancelled_owned()))?;
                Ok(handle)
            })
            .collect::<io::Result<_>>()?;
        Ok(Self { inner: Arc::new(Inner { handles, _stop: stop.drop_guard() }) })
    }

    /// Starts as many runtimes as the process may use cores.
    ///
    /// # Errors
    ///
    /// As [`Cores::start`].
    pub fn start_all() -> io::Result<Self> {
        Self::start(thread::available_parallelism().map_or(1, usize::from))
    }

    /// The runtimes.
    pub fn handles(&self) -> &[Handle] {
        &self.inner.handles
    }
}
