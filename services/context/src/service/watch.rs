//! Changes of a context as they happen: in order, none left out, none twice.
//!
//! The versions of a context leave no gap, and so does what is sent: whatever wakes the watcher, it reads what comes after the
//! version that it sent last. A wake-up is a hint, never the news itself, so one that is missed costs time alone.

use std::{sync::Arc, time::Duration};

use futures_util::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use mcp_proto::context::v1::{self as pb, watch_context_response::Event};
use mcp_rpc::{Call, exhausted};
use mcp_runtime::Stop;
use mcp_types::Timestamp;
use tokio::time::{Instant, sleep_until};
use tonic::Status;

use super::{ANSWER_BYTES_MAX, By, Service, named, watches::Watcher};
use crate::{
    names::ContextId,
    refusal,
    store::{Contexts, ContextsError, Limit},
    wire,
};

/// The longest silence.
const SILENCE_MAX: Duration = Duration::from_secs(15);
/// How often other processes' writes are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Held back of the call's time, so that the stream ends by itself.
const MARGIN: Duration = Duration::from_millis(500);
/// Changes that are read at once.
const BATCH: Limit = Limit { rows: 64, bytes: ANSWER_BYTES_MAX };
/// How long to wait where a tenant watches as much as it may.
const RETRY_AFTER: Duration = Duration::from_secs(10);

/// What a watch sends.
pub(super) type Answers = BoxStream<'static, Result<pb::WatchContextResponse, Status>>;

/// A watch under way.
struct Watch<C> {
    store: Arc<C>,
    by: By,
    id: ContextId,
    watcher: Watcher,
    /// Sent last.
    version: u64,
    ready: std::vec::IntoIter<pb::WatchContextResponse>,
    spoke: Instant,
    end: Instant,
    /// Whether other processes write the same rows.
    shared: bool,
    stop: Stop,
    over: bool,
}

impl<C: Contexts> Service<C> {
    pub(super) async fn watch(
        &self,
        by: By,
        end: Instant,
        request: &pb::WatchContextRequest,
    ) -> Result<Answers, Status> {
        let id = named(&request.name)?;
        // Before the first look, so that no change falls between.
        let watcher = self.watches.watch(&by.scope, id).map_err(|_| {
            exhausted("WATCHES_OPEN", "the tenant watches as many contexts as it may", RETRY_AFTER)
        })?;
        let current = self.store.get(&by.scope, id).await.map_err(refusal::of_store)?;
        let (version, first) = match request.after_version {
            0 => {
                let version = current.version;
                let event = Some(Event::Current(wire::context(current)));
                (version, vec![pb::WatchContextResponse { version, event }])
            }
            version => {
                let changes = self.store.changes(&by.scope, id, version, BATCH).await;
                let changes = changes.map_err(refusal::of_store)?;
                let reached = changes.last().map_or(version, |change| change.version);
                (reached, changes.into_iter().map(|change| wire::change(id, change)).collect())
            }
        };
        let watch = Watch {
            store: Arc::clone(&self.store),
            by,
            id,
            watcher,
            version,
            ready: first.into_iter(),
            spoke: Instant::now(),
            end,
            shared: self.store.is_shared(),
            stop: self.stop.clone(),
            over: false,
        };
        Ok(stream::unfold(watch, Watch::next).boxed())
    }

    /// When a watch must end: before the call's deadline, and when the caller's token does.
    pub(super) fn end(&self, call: &Call) -> Result<Instant, Status> {
        let now = Instant::now();
        let expires = call.caller()?.credential().map(|credential| credential.expires());
        let left = expires.map(|at: Timestamp| at.since(self.clock.now()));
        let by_token = left.map(|left| now + left);
        let by_deadline = call.deadline().map(|deadline| deadline.checked_sub(MARGIN).unwrap_or(now));
        Ok([by_token, by_deadline].into_iter().flatten().min().unwrap_or(now + Duration::from_secs(600)))
    }
}

// === impl Watch ===

impl<C: Contexts> Watch<C> {
    /// The next answer, and the watch behind it.
    async fn next(mut self) -> Option<(Result<pb::WatchContextResponse, Status>, Self)> {
        loop {
            if let Some(answer) = self.ready.next() {
                self.spoke = Instant::now();
                return Some((Ok(answer), self));
            }
            if self.over || self.stop.is_requested() || Instant::now() >= self.end {
                return None;
            }
            match self.store.changes(&self.by.scope, self.id, self.version, BATCH).await {
                Ok(changes) if changes.is_empty() => {}
                Ok(changes) => {
                    self.version = changes.last().map_or(self.version, |change| change.version);
                    let answers: Vec<_> =
                        changes.into_iter().map(|change| wire::change(self.id, change)).collect();
                    self.ready = answers.into_iter();
                    continue;
                }
                Err(ContextsError::NotFound) => {
                    self.over = true;
                    return Some((Ok(self.says(Event::Deleted(()))), self));
                }
                Err(error) => {
                    self.over = true;
                    return Some((Err(refusal::of_store(error)), self));
                }
            }
            let silent_until = self.spoke + SILENCE_MAX;
            let now = Instant::now();
            if now >= silent_until {
                self.spoke = now;
                return Some((Ok(self.says(Event::Heartbeat(()))), self));
            }
            let look_again = if self.shared { now + LOOK_EVERY } else { silent_until };
            let wake = look_again.min(silent_until).min(self.end);
            tokio::select! {
                () = self.watcher.changed() => {}
                () = self.stop.requested() => {}
                () = sleep_until(wake) => {}
            }
        }
    }

    fn says(&self, event: Event) -> pb::WatchContextResponse {
        pb::WatchContextResponse { version: self.version, event: Some(event) }
    }
}
