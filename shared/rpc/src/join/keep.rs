//! Keeps identity, trust and access alive while calls flow.

use std::{path::PathBuf, sync::Arc, time::Duration};

use mcp_proto::{
    auth::v1::{WatchAccessRequest, auth_service_client::AuthServiceClient},
    ca::v1::{
        RenewCertificateRequest, WatchTrustRequest,
        certificate_authority_service_client::CertificateAuthorityServiceClient,
    },
};
use mcp_runtime::Shell;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, transport::Channel};

use super::{Backoff, bundle, issued, store};
use crate::{access::LiveAccess, identity::LiveIdentity, status::chain};

/// A stream that is silent for longer is taken for dead: heartbeats come every second.
const SILENCE_MAX: Duration = Duration::from_secs(10);

/// The longest sleep between two looks at the clock.
const STEP_MAX: Duration = Duration::from_secs(30);

/// Renews the certificate at two thirds of its life, for as long as the process runs.
pub(crate) async fn keep_identity(live: LiveIdentity, ca: Channel, folder: Option<PathBuf>, shell: Shell) {
    let mut client = CertificateAuthorityServiceClient::new(ca);
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(30));
    let mut jitter = [0; 8];
    loop {
        shell.entropy.fill(&mut jitter);
        let identity = live.identity();
        gauge_expiry(&identity);
        // In steps, by the clock: a machine that was suspended wakes with less time left than a timer knows.
        let renew_at = identity.renew_at(u64::from_le_bytes(jitter));
        while let due = renew_at.since(shell.clock.now())
            && !due.is_zero()
        {
            tokio::select! {
                () = tokio::time::sleep(due.min(STEP_MAX)) => {}
                () = shell.stop.requested() => return,
            }
        }
        while let Err(error) = renew(&live, &mut client, folder.as_ref()).await {
            metrics::counter!("mcp_certificate_renewal_failures_total").increment(1);
            let left = live.identity().not_after().since(shell.clock.now());
            // Never so long that the certificate ends while we wait, if trying again may help.
            let wait = backoff.next(&*shell.entropy).min(left / 4).max(Duration::from_millis(20));
            tracing::warn!(id = %identity.id(), error = %chain(&*error), ?left, ?wait, "certificate not renewed; trying again");
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = shell.stop.requested() => return,
            }
        }
        backoff.reset();
    }
}

type Fault = Box<dyn std::error::Error + Send + Sync>;

async fn renew(
    live: &LiveIdentity,
    client: &mut CertificateAuthorityServiceClient<Channel>,
    folder: Option<&PathBuf>,
) -> Result<(), Fault> {
    let id = live.identity().id().clone();
    let (csr, key) = mcp_svid::make_csr(Some(&id))?;
    let mut request = tonic::Request::new(RenewCertificateRequest { csr });
    request.set_timeout(Duration::from_secs(5));
    let answer = client.renew_certificate(request).await?.into_inner();
    let (identity, bundle) = issued(answer.certificate, key, &id)?;
    if let Some(folder) = folder {
        store(folder, &identity, &bundle)?;
    }
    live.replace(identity, bundle)?;
    metrics::counter!("mcp_certificate_renewals_total").increment(1);
    tracing::debug!(%id, "certificate renewed");
    Ok(())
}

fn gauge_expiry(identity: &mcp_svid::Identity) {
    let seconds = identity.not_after().unix_secs();
    // Seconds since the epoch are far below 2^52, so the float holds them exactly.
    #[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "see above")]
    metrics::gauge!("mcp_certificate_expiry_timestamp_seconds", "id" => identity.id().to_string())
        .set(seconds as f64);
}

/// Takes over each bundle that the ca announces.
pub(crate) async fn keep_trust(live: LiveIdentity, ca: Channel, shell: Shell) {
    let client = CertificateAuthorityServiceClient::new(ca);
    follow("trust", &shell, || {
        let (live, mut client) = (live.clone(), client.clone());
        async move {
            let (held, requests) = mpsc::channel(4);
            held.send(WatchTrustRequest { held_version: live.bundle().version })
                .await
                .map_err(|_| closed())?;
            let mut stream =
                client.watch_trust(ReceiverStream::new(requests)).await.map_err(Arc::new)?.into_inner();
            while let Some(message) = heard(stream.message()).await? {
                let Some(announced) = message.bundle else { continue };
                let version = announced.version;
                live.trust(bundle(announced)).map_err(|error| refused(&error))?;
                metrics::counter!("mcp_trust_updates_total").increment(1);
                held.send(WatchTrustRequest { held_version: version }).await.map_err(|_| closed())?;
            }
            Ok(())
        }
    })
    .await;
}

/// Takes over each access snapshot that auth announces.
pub(crate) async fn keep_access(access: LiveAccess, auth: Channel, shell: Shell) {
    let client = AuthServiceClient::new(auth);
    follow("access", &shell, || {
        let (access, mut client) = (access.clone(), client.clone());
        async move {
            let (held, requests) = mpsc::channel(4);
            held.send(WatchAccessRequest { held_version: access.version() }).await.map_err(|_| closed())?;
            let mut stream =
                client.watch_access(ReceiverStream::new(requests)).await.map_err(Arc::new)?.into_inner();
            while let Some(message) = heard(stream.message()).await? {
                let Some(snapshot) = message.snapshot else { continue };
                let version = snapshot.version;
                access.replace(snapshot).map_err(|error| refused(&error))?;
                metrics::counter!("mcp_access_updates_total").increment(1);
                held.send(WatchAccessRequest { held_version: version }).await.map_err(|_| closed())?;
            }
            Ok(())
        }
    })
    .await;
}

/// Opens a stream again and again until the stop.
async fn follow<F>(what: &'static str, shell: &Shell, mut open: impl FnMut() -> F + Send)
where
    F: Future<Output = Result<(), Arc<Status>>> + Send,
{
    let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(5));
    loop {
        let begun = tokio::time::Instant::now();
        let ended = tokio::select! {
            ended = open() => ended,
            () = shell.stop.requested() => return,
        };
        if begun.elapsed() > SILENCE_MAX {
            backoff.reset();
        }
        let wait = backoff.next(&*shell.entropy);
        match ended {
            Ok(()) => tracing::debug!(what, "the watch ended; opening it again"),
            Err(status) => {
                tracing::warn!(what, error = %chain(&*status), ?wait, "the watch broke; opening it again");
            }
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = shell.stop.requested() => return,
        }
    }
}

async fn heard<T>(
    message: impl Future<Output = Result<Option<T>, Status>>,
) -> Result<Option<T>, Arc<Status>> {
    match tokio::time::timeout(SILENCE_MAX, message).await {
        Ok(heard) => heard.map_err(Arc::new),
        Err(_) => Err(Arc::new(Status::deadline_exceeded("no heartbeat came"))),
    }
}

fn closed() -> Arc<Status> {
    Arc::new(Status::cancelled("the stream closed"))
}

fn refused(error: &dyn std::error::Error) -> Arc<Status> {
    Arc::new(Status::failed_precondition(error.to_string()))
}
