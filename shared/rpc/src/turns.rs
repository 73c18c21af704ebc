//! Whose turn it is on a connection: which answers wait for the client to take them, and for how long.
//!
//! A client may open calls and read none of their answers. hyper does not even ask an answer's body for its next frame
//! while the client takes nothing, so no deadline within it is felt, and all that the call holds is held for good.
//! So each answer is watched from outside, by a count of beats instead of a look at the clock for each frame.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use hyper::{body::Incoming, service::Service};
use pin_project_lite::pin_project;
use tonic::body::Body;

/// The turns of one connection.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Beats so far; the first is 1.
    beat: u32,
    /// For each call the beat since which its client is to act; [`OURS`] while we are, and where there is no call.
    calls: Vec<u32>,
    free: Vec<usize>,
    /// The beat since which no call is open.
    quiet_since: u32,
}

/// It is our turn.
const OURS: u32 = u32::MAX;

/// How a connection is at a beat.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Pulse {
    /// Calls go on.
    Busy,
    /// Some answer waits for the client since before the last beat.
    Stalled,
    /// No call has been open for so many whole beats.
    Quiet(u32),
}

/// One call's place; given back when dropped.
#[derive(Debug)]
struct Place {
    turns: Arc<Turns>,
    at: usize,
}

/// Watches the calls of a connection's service.
#[derive(Debug)]
pub(crate) struct WatchTurns<S> {
    pub(crate) inner: S,
    pub(crate) turns: Arc<Turns>,
}

pin_project! {
    /// A call whose answer has not begun.
    pub(crate) struct Watched<F> {
        #[pin]
        inner: F,
        place: Option<Place>,
    }
}

/// An answer's body, which notes whose turn it is.
pub(crate) struct WatchedBody {
    inner: Body,
    place: Option<Place>,
}

// === impl Turns ===

impl Turns {
    fn enter(self: &Arc<Self>) -> Place {
        let mut state = self.state();
        let at = state.free.pop().unwrap_or_else(|| {
            state.calls.push(OURS);
            state.calls.len() - 1
        });
        Place { turns: Arc::clone(self), at }
    }

    /// Counts a beat, and tells how the connection is.
    pub(crate) fn beat(&self) -> Pulse {
        let mut state = self.state();
        state.beat = state.beat.saturating_add(1);
        let now = state.beat;
        // From one beat to the next but one, at least one whole period has passed.
        if state.calls.iter().any(|&since| since != OURS && since + 1 < now) {
            Pulse::Stalled
        } else if state.calls.len() > state.free.len() {
            Pulse::Busy
        } else {
            Pulse::Quiet(now - state.quiet_since)
        }
    }

    /// No change under this lock can be left half-way by a panic.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Place ===

impl Place {
    fn ours(&self) {
        self.set(|_| OURS);
    }

    fn clients(&self) {
        self.set(|beat| beat);
    }

    fn set(&self, turn: impl FnOnce(u32) -> u32) {
        let mut state = self.turns.state();
        let turn = turn(state.beat);
        if let Some(call) = state.calls.get_mut(self.at) {
            *call = turn;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.ours();
        let mut state = self.turns.state();
        state.free.push(self.at);
        state.quiet_since = state.beat;
    }
}

// === impl WatchTurns ===

impl<S> Service<Request<Incoming>> for WatchTurns<S>
where
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible>,
{
    type Response = Response<WatchedBody>;
    type Error = Infallible;
    type Future = Watched<S::Future>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let place = Some(self.turns.enter());
        Watched { inner: self.inner.call(request), place }
    }
}

// === impl Watched ===

impl<F> Future for Watched<F>
where
    F: Future<Output = Result<Response<Body>, Infallible>>,
{
    type Output = Result<Response<WatchedBody>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answered = ready!(this.inner.poll(cx));
        let place = this.place.take();
        Poll::Ready(answered.map(|response| {
            if let Some(place) = &place {
                place.clients();
            }
            response.map(|inner| WatchedBody { inner, place })
        }))
    }
}

// === impl WatchedBody ===

impl http_body::Body for WatchedBody {
    type Data = Bytes;
    type Error = tonic::Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, tonic::Status>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        if let Some(place) = &self.place {
            match &polled {
                Poll::Pending => place.ours(),
                Poll::Ready(_) => place.clients(),
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    //! What the beats tell, call by call.

    use super::*;

    #[test]
    fn an_answer_that_is_not_taken_from_one_beat_to_the_next_but_one_stalls() {
        let turns = Arc::<Turns>::default();
        let call = turns.enter();
        assert_eq!(turns.beat(), Pulse::Busy);
        call.clients();
        assert_eq!(turns.beat(), Pulse::Busy, "it may have begun to wait just before");
        assert_eq!(turns.beat(), Pulse::Stalled);
        call.ours();
        assert_eq!(turns.beat(), Pulse::Busy);
    }

    #[test]
    fn a_call_that_waits_for_us_never_stalls() {
        let turns = Arc::<Turns>::default();
        let call = turns.enter();
        call.clients();
        call.ours();
        for _ in 0..10 {
            assert_eq!(turns.beat(), Pulse::Busy);
        }
    }

    #[test]
    fn a_busy_call_does_not_hide_a_stalled_one() {
        let turns = Arc::<Turns>::default();
        let (stalled, busy) = (turns.enter(), turns.enter());
        stalled.clients();
        turns.beat();
        busy.clients();
        assert_eq!(turns.beat(), Pulse::Stalled);
        drop(stalled);
        busy.clients();
        assert_eq!(turns.beat(), Pulse::Busy);
    }

    #[test]
    fn quiet_is_counted_from_the_last_calls_end_and_places_are_used_again() {
        let turns = Arc::<Turns>::default();
        assert_eq!(turns.beat(), Pulse::Quiet(1));
        for _ in 0..3 {
            drop(turns.enter());
        }
        assert_eq!(turns.state().calls.len(), 1);
        assert_eq!((turns.beat(), turns.beat()), (Pulse::Quiet(1), Pulse::Quiet(2)));
    }
}
