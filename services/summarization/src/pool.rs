//! Threads for work that takes long, so that the threads that carry connections never do it.
//!
//! The queue before them is bounded: who comes when it is full hears so at once and may try again, rather than wait
//! past his deadline and be worked for in vain. For the same reason work that nobody waits for any more is skipped.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    task::{Context, Poll},
    thread,
};

use tokio::sync::oneshot;

type Work = Box<dyn FnOnce() + Send>;

/// Running threads and the queue before them. They end when the last clone is dropped and the queue is empty.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    queue: SyncSender<Work>,
}

/// Waits for a piece of work; dropping it gives the work up.
#[derive(Debug)]
pub(crate) struct Ticket<T>(oneshot::Receiver<T>);

/// As much work waits as may.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("too much work is waiting")]
pub(crate) struct Full;

/// The work panicked, or its thread is gone.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the work ended without a result")]
pub(crate) struct Lost;

// === impl Pool ===

impl Pool {
    /// Starts `threads` threads with room for `waiting_max` pieces of work before them.
    pub(crate) fn start(threads: usize, waiting_max: usize) -> io::Result<Self> {
        let (queue, waiting) = sync_channel::<Work>(waiting_max);
        let waiting = Arc::new(Mutex::new(waiting));
        for index in 0..threads {
            let waiting = Arc::clone(&waiting);
            thread::Builder::new().name(format!("summarize-{index}")).spawn(move || work_off(&waiting))?;
        }
        Ok(Self { queue })
    }

    /// Queues `work`, if there is room.
    pub(crate) fn submit<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<Ticket<T>, Full> {
        let (answer, ticket) = oneshot::channel();
        let work = move || {
            if !answer.is_closed() {
                // Nobody left to hear it now is nothing to report.
                let _ = answer.send(work());
            }
        };
        self.queue.try_send(Box::new(work)).map_err(|_| Full)?;
        Ok(Ticket(ticket))
    }
}

/// What each thread does until the pool is dropped.
fn work_off(waiting: &Mutex<Receiver<Work>>) {
    loop {
        // The lock is held while waiting, not while working: the others wait for it in turn.
        let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(work) = next else { return };
        // The panic hook has logged it by now; its ticket is lost, the thread is not.
        let _ = catch_unwind(AssertUnwindSafe(work));
    }
}

// === impl Ticket ===

impl<T> Future for Ticket<T> {
    type Output = Result<T, Lost>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map_err(|_| Lost)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    };

    use super::{Full, Lost, Pool};

    /// Occupies the pool's only thread until the sender is dropped.
    fn occupied(waiting_max: usize) -> (Pool, mpsc::Sender<()>) {
        let pool = Pool::start(1, waiting_max).unwrap();
        let (release, released) = mpsc::channel::<()>();
        let (begin, begun) = mpsc::channel();
        let ticket = pool.submit(move || {
            begin.send(()).unwrap();
            let _ = released.recv();
        });
        begun.recv().unwrap();
        drop(ticket);
        (pool, release)
    }

    #[tokio::test]
    async fn work_is_answered() {
        let pool = Pool::start(2, 4).unwrap();
        let tickets: Vec<_> = (0..4).map(|n| pool.submit(move || n * n).unwrap()).collect();
        for (n, ticket) in tickets.into_iter().enumerate() {
            assert_eq!(ticket.await, Ok(n * n));
        }
    }

    #[tokio::test]
    async fn who_comes_when_the_queue_is_full_hears_so() {
        let (pool, release) = occupied(1);
        let waiting = pool.submit(|| 1).unwrap();
        assert_eq!(pool.submit(|| 2).unwrap_err(), Full);
        drop(release);
        assert_eq!(waiting.await, Ok(1));
    }

    #[tokio::test]
    async fn work_that_nobody_waits_for_is_skipped() {
        let (pool, release) = occupied(2);
        let done = Arc::new(AtomicUsize::new(0));
        let (abandoned, wanted) = (Arc::clone(&done), Arc::clone(&done));
        drop(pool.submit(move || abandoned.fetch_add(1, Ordering::SeqCst)).unwrap());
        let ticket = pool.submit(move || wanted.fetch_add(10, Ordering::SeqCst)).unwrap();
        drop(release);
        ticket.await.unwrap();
        assert_eq!(done.load(Ordering::SeqCst), 10);
    }

    #[tokio::test]
    async fn a_panic_loses_its_own_work_alone() {
        let pool = Pool::start(1, 2).unwrap();
        let lost = pool.submit(|| -> u8 { panic!("on purpose") }).unwrap();
        assert_eq!(lost.await, Err(Lost));
        assert_eq!(pool.submit(|| 7).unwrap().await, Ok(7));
    }
}
