//! What decides about access, and the stream that keeps every service of the mesh up to date with it.

use std::{future::Future, sync::Arc, time::Duration};

use aws_lc_rs::digest::{Context, SHA256};
use mcp_proto::auth::v1::{AccessSnapshot, Issuer, WatchAccessRequest, WatchAccessResponse};
use mcp_tenancy::{IssuerKeys, TokenKind};
use tokio::{
    sync::{mpsc, watch},
    time::{MissedTickBehavior, interval},
};
use tokio_stream::{Stream, StreamExt as _};
use tonic::Status;

use crate::tokens::Tokens;

/// How often a watcher hears that nothing has changed.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(1);

/// The state that `tokens` decides, as version `version`.
pub(crate) fn snapshot(tokens: &Tokens, version: u64) -> AccessSnapshot {
    AccessSnapshot {
        version,
        access_issuer: Some(issuer(tokens.entry(TokenKind::Access))),
        transaction_issuer: Some(issuer(tokens.entry(TokenKind::Transaction))),
    }
}

/// Tells one state from another, whatever its version.
pub(crate) fn digest(tokens: &Tokens) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    for kind in [TokenKind::Access, TokenKind::Transaction] {
        let IssuerKeys { issuer, audience, jwks, .. } = tokens.entry(kind);
        for text in [issuer, audience, jwks] {
            // The length first, so that no two states read the same.
            context.update(&u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
            context.update(text.as_bytes());
        }
    }
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    digest
}

/// Sends `state` to one watcher: at once when it has said what it holds, at each change, and every `heartbeat` between.
///
/// Ends when the watcher does, or when `stop` says so, since a server does not drain past an open stream.
pub(crate) async fn feed(
    mut heard: impl Stream<Item = Result<WatchAccessRequest, Status>> + Unpin,
    mut state: watch::Receiver<Arc<AccessSnapshot>>,
    out: mpsc::Sender<Result<WatchAccessResponse, Status>>,
    heartbeat: Duration,
    stop: impl Future<Output = ()>,
) {
    tokio::pin!(stop);
    let mut beat = interval(heartbeat);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    beat.reset();
    let mut held = None;
    loop {
        let due = tokio::select! {
            biased;
            () = &mut stop => return,
            () = out.closed() => return,
            message = heard.next() => match message {
                // The first is answered at once; the later ones acknowledge.
                Some(Ok(WatchAccessRequest { held_version })) => held.replace(held_version).is_none(),
                Some(Err(refused)) => {
                    let _ = out.try_send(Err(refused));
                    return;
                }
                None => return,
            },
            changed = state.changed() => match changed {
                Ok(()) => true,
                Err(_) => return,
            },
            _ = beat.tick() => true,
        };
        if !due {
            continue;
        }
        let now = Arc::clone(&state.borrow_and_update());
        let differs = held != Some(now.version);
        let response = WatchAccessResponse {
            version: now.version,
            snapshot: differs.then(|| AccessSnapshot::clone(&now)),
        };
        // A watcher that does not read misses heartbeats, but no state: what it has not acknowledged comes again.
        if let Err(mpsc::error::TrySendError::Closed(_)) = out.try_send(Ok(response)) {
            return;
        }
    }
}

fn issuer(entry: IssuerKeys) -> Issuer {
    Issuer { issuer: entry.issuer, audience: entry.audience, jwks: entry.jwks }
}

#[cfg(test)]
mod tests {
    //! What a watcher hears: where it must hear something at once, no heartbeat comes for an hour.

    use tokio::{sync::oneshot, time::timeout};
    use tokio_stream::wrappers::ReceiverStream;

    use super::*;
    use crate::{
        config::Config,
        fixture::{Home, ManualClock},
    };

    const SELDOM: Duration = Duration::from_secs(3600);
    const OFTEN: Duration = Duration::from_millis(5);

    struct Watcher {
        says: mpsc::Sender<Result<WatchAccessRequest, Status>>,
        hears: mpsc::Receiver<Result<WatchAccessResponse, Status>>,
        state: watch::Sender<Arc<AccessSnapshot>>,
        stop: Option<oneshot::Sender<()>>,
    }

    impl Watcher {
        fn start(heartbeat: Duration) -> Self {
            let (says, heard) = mpsc::channel(4);
            let (out, hears) = mpsc::channel(4);
            let (state, watched) = watch::channel(Arc::new(version(1)));
            let (stop, stopped) = oneshot::channel();
            tokio::spawn(feed(ReceiverStream::new(heard), watched, out, heartbeat, async {
                let _ = stopped.await;
            }));
            Self { says, hears, state, stop: Some(stop) }
        }

        async fn holds(&self, held_version: u64) {
            self.says.send(Ok(WatchAccessRequest { held_version })).await.expect("heard");
        }

        async fn next(&mut self) -> Option<(u64, Option<u64>)> {
            let answer = timeout(Duration::from_secs(60), self.hears.recv()).await.expect("in time");
            let response = answer?.expect("no error");
            Some((response.version, response.snapshot.map(|snapshot| snapshot.version)))
        }
    }

    fn version(version: u64) -> AccessSnapshot {
        AccessSnapshot { version, access_issuer: None, transaction_issuer: None }
    }

    #[tokio::test]
    async fn who_holds_nothing_gets_the_state_at_once() {
        let mut watcher = Watcher::start(SELDOM);

        watcher.holds(0).await;

        assert_eq!(watcher.next().await, Some((1, Some(1))));
    }

    #[tokio::test]
    async fn who_holds_the_state_is_told_that_it_stands_and_gets_heartbeats() {
        let mut watcher = Watcher::start(OFTEN);
        watcher.holds(1).await;

        // A beat may come before the first word is heard.
        while watcher.next().await == Some((1, Some(1))) {}

        assert_eq!(watcher.next().await, Some((1, None)));
        assert_eq!(watcher.next().await, Some((1, None)));
    }

    #[tokio::test]
    async fn a_state_comes_again_until_it_is_acknowledged() {
        let mut watcher = Watcher::start(OFTEN);
        watcher.holds(0).await;

        assert_eq!(watcher.next().await, Some((1, Some(1))));
        assert_eq!(watcher.next().await, Some((1, Some(1))));
        watcher.holds(1).await;
        while watcher.next().await == Some((1, Some(1))) {}
        assert_eq!(watcher.next().await, Some((1, None)));
    }

    #[tokio::test]
    async fn a_change_is_told_at_once() {
        let mut watcher = Watcher::start(SELDOM);
        watcher.holds(1).await;
        assert_eq!(watcher.next().await, Some((1, None)));

        watcher.state.send_replace(Arc::new(version(2)));

        assert_eq!(watcher.next().await, Some((2, Some(2))));
    }

    #[tokio::test]
    async fn the_stream_ends_with_the_word_to_stop() {
        let mut watcher = Watcher::start(SELDOM);
        watcher.holds(1).await;
        watcher.next().await;

        watcher.stop.take();

        assert_eq!(watcher.next().await, None);
    }

    #[tokio::test]
    async fn a_state_is_told_from_another_by_all_that_is_in_it() {
        let clock = ManualClock::at(0);
        let home = Home::new();
        let same = digest(&home.tokens(Config::default(), &clock).await);
        let renamed = Config { issuer: "https://elsewhere".to_owned(), ..Config::default() };

        assert_eq!(digest(&home.tokens(Config::default(), &clock).await), same);
        assert_ne!(digest(&home.tokens(renamed, &clock).await), same);
        assert_ne!(digest(&Home::new().tokens(Config::default(), &clock).await), same);
    }
}
