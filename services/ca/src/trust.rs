//! The stream that tells everybody whom to trust, and hears who does.

use std::{future::Future, sync::Arc, time::Duration};

use mcp_proto::ca::v1 as pb;
use mcp_svid::TrustBundle;
use tokio::{
    sync::{mpsc, watch},
    time::{MissedTickBehavior, interval},
};
use tokio_stream::{Stream, StreamExt as _};
use tonic::Status;

use crate::service::wire_bundle;

/// How often a watcher hears that nothing has changed.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(1);

/// Shows which version `peer` uses: an old root may go once nobody uses an older bundle.
pub(crate) fn count_acknowledged(peer: &Arc<str>, version: u64) {
    // Versions count changes, so they are far below 2^52 and the float holds them exactly.
    #[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "see above")]
    metrics::gauge!("mcp_trust_version_acknowledged", "peer" => Arc::clone(peer)).set(version as f64);
}

/// Tells one watcher the newest version: once it has said what it holds, at each change, and every `heartbeat`. The
/// bundle comes along for as long as the watcher has not said that it holds it.
///
/// Ends with the watcher, or by `stop`: no server drains past a stream that goes on for ever.
pub(crate) async fn feed(
    mut heard: impl Stream<Item = Result<pb::WatchTrustRequest, Status>> + Unpin,
    mut bundles: watch::Receiver<Arc<TrustBundle>>,
    out: mpsc::Sender<Result<pb::WatchTrustResponse, Status>>,
    heartbeat: Duration,
    acknowledged: impl Fn(u64),
    stop: impl Future<Output = ()>,
) {
    tokio::pin!(stop);
    let mut beats = interval(heartbeat);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first beat of an interval comes at once.
    beats.reset();
    let mut held = None;
    loop {
        tokio::select! {
            biased;
            () = &mut stop => return,
            () = out.closed() => return,
            message = heard.next() => {
                let held_version = match message {
                    Some(Ok(pb::WatchTrustRequest { held_version })) => held_version,
                    Some(Err(refused)) => {
                        let _ = out.try_send(Err(refused));
                        return;
                    }
                    None => return,
                };
                acknowledged(held_version);
                if held.replace(held_version).is_some() {
                    continue;
                }
            }
            changed = bundles.changed() => {
                if changed.is_err() {
                    return;
                }
            }
            _ = beats.tick() => {}
        }
        let newest = Arc::clone(&bundles.borrow_and_update());
        let bundle = (held != Some(newest.version)).then(|| wire_bundle(&newest));
        // A full queue is a watcher that does not read: it loses a heartbeat, and hears of the bundle at the next one.
        match out.try_send(Ok(pb::WatchTrustResponse { version: newest.version, bundle })) {
            Ok(()) | Err(mpsc::error::TrySendError::Full(_)) => {}
            Err(mpsc::error::TrySendError::Closed(_)) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    //! What a watcher hears: where it must hear something at once, no heartbeat comes for an hour.

    use std::sync::Mutex;

    use tokio::{sync::oneshot, time::timeout};
    use tokio_stream::wrappers::ReceiverStream;

    use super::*;

    const SELDOM: Duration = Duration::from_secs(3600);
    const OFTEN: Duration = Duration::from_millis(5);
    const PATIENCE: Duration = Duration::from_secs(20);

    struct Watcher {
        says: mpsc::Sender<Result<pb::WatchTrustRequest, Status>>,
        hears: mpsc::Receiver<Result<pb::WatchTrustResponse, Status>>,
        bundles: watch::Sender<Arc<TrustBundle>>,
        acknowledged: Arc<Mutex<Vec<u64>>>,
        stop: oneshot::Sender<()>,
    }

    fn bundle(version: u64) -> Arc<TrustBundle> {
        Arc::new(TrustBundle { version, roots: vec![vec![u8::try_from(version).unwrap()].into()] })
    }

    impl Watcher {
        fn start(heartbeat: Duration) -> Self {
            let (says, heard) = mpsc::channel(4);
            let (out, hears) = mpsc::channel(1);
            let (bundles, newest) = watch::channel(bundle(1));
            let (stop, stopped) = oneshot::channel::<()>();
            let acknowledged = Arc::<Mutex<Vec<u64>>>::default();
            let noted = Arc::clone(&acknowledged);
            tokio::spawn(feed(
                ReceiverStream::new(heard),
                newest,
                out,
                heartbeat,
                move |version| noted.lock().unwrap().push(version),
                async { stopped.await.unwrap_or(()) },
            ));
            Self { says, hears, bundles, acknowledged, stop }
        }

        async fn says(&self, held_version: u64) {
            self.says.send(Ok(pb::WatchTrustRequest { held_version })).await.expect("somebody listens");
        }

        async fn hears(&mut self) -> (u64, Option<u64>) {
            let answer = timeout(PATIENCE, self.hears.recv()).await.expect("an answer in time");
            let answer = answer.expect("an open stream").expect("no refusal");
            (answer.version, answer.bundle.map(|bundle| bundle.version))
        }
    }

    #[tokio::test]
    async fn who_holds_nothing_hears_the_bundle_at_once() {
        let mut watcher = Watcher::start(SELDOM);

        watcher.says(0).await;

        assert_eq!(watcher.hears().await, (1, Some(1)));
    }

    #[tokio::test]
    async fn who_holds_the_newest_hears_no_bundle_but_heartbeats() {
        let mut watcher = Watcher::start(OFTEN);
        watcher.says(1).await;

        for _ in 0..5 {
            assert_eq!(watcher.hears().await, (1, None));
        }
    }

    #[tokio::test]
    async fn a_change_is_told_at_once() {
        let mut watcher = Watcher::start(SELDOM);
        watcher.says(1).await;
        watcher.hears().await;

        watcher.bundles.send_replace(bundle(2));

        assert_eq!(watcher.hears().await, (2, Some(2)));
    }

    #[tokio::test]
    async fn a_bundle_is_told_again_until_it_is_acknowledged() {
        let mut watcher = Watcher::start(OFTEN);
        watcher.says(0).await;
        for _ in 0..3 {
            assert_eq!(watcher.hears().await, (1, Some(1)));
        }

        watcher.says(1).await;
        while watcher.hears().await != (1, None) {}

        assert_eq!(*watcher.acknowledged.lock().unwrap(), [0, 1]);
    }

    #[tokio::test]
    async fn the_stream_ends_by_the_word_to_stop() {
        let mut watcher = Watcher::start(SELDOM);
        watcher.says(1).await;
        watcher.hears().await;

        watcher.stop.send(()).unwrap();

        assert!(timeout(PATIENCE, watcher.hears.recv()).await.expect("in time").is_none());
    }
}
