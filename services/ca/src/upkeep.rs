//! The ca's own certificate and its operator's, renewed in time for as long as the process runs.

use std::time::Duration;

use mcp_rpc::{LiveIdentity, chain};
use mcp_runtime::{Failure, Shell};
use mcp_svid::Identity;
use mcp_types::Timestamp;

use crate::{
    authority::Authority,
    config::OperatorFiles,
    files::{private, private_folder},
};

/// The longest sleep: a machine that was suspended looks at its clock again soon after.
const SLEEP_MAX: Duration = Duration::from_secs(30);

/// The shortest wait after a failure.
const RETRY_MIN: Duration = Duration::from_millis(20);

/// A certificate that this process must keep alive itself.
#[derive(Debug)]
pub(crate) enum Charge {
    /// The ca's own.
    Own(LiveIdentity),
    /// An operator's, in files.
    Operator(OperatorFiles),
}

// === impl Charge ===

impl Charge {
    /// Issues it and puts it where it is used.
    pub(crate) async fn renew(&self, authority: &Authority) -> Result<Identity, Failure> {
        match self {
            Self::Own(live) => {
                // Chores that can wait for the next time: the issuing authority has months left when it is due.
                if let Err(error) = authority.tidy_up().await {
                    tracing::warn!(error = %chain(&error), "the ca could not tidy up");
                }
                let identity = authority.own_identity().await?;
                live.replace(identity.clone(), authority.bundle())
                    .map_err(|source| Failure::software("the ca cannot use its identity").because(source))?;
                Ok(identity)
            }
            Self::Operator(files) => {
                let identity = authority.operator_identity(&files.name, None).await?;
                let (certificate, key) = identity.to_pem();
                private_folder(&files.folder)?;
                private(&files.folder.join("ca.pem"), &authority.trust_bundle_pem())?;
                private(&files.folder.join("key.pem"), &key)?;
                private(&files.folder.join("cert.pem"), &certificate)?;
                Ok(identity)
            }
        }
    }
}

/// Renews `charge`, now `held`, at two thirds of its life, again and again until the shell's stop.
pub(crate) async fn keep(charge: Charge, mut held: Identity, authority: Authority, shell: Shell) {
    let mut jitter = [0; 8];
    loop {
        shell.entropy.fill(&mut jitter);
        if !reached(held.renew_at(u64::from_le_bytes(jitter)), &shell).await {
            return;
        }
        match charge.renew(&authority).await {
            Ok(renewed) => {
                metrics::counter!("mcp_certificate_renewals_total").increment(1);
                tracing::debug!(id = %renewed.id(), until = %renewed.not_after(), "certificate renewed");
                held = renewed;
            }
            Err(error) => {
                metrics::counter!("mcp_certificate_renewal_failures_total").increment(1);
                let now = shell.clock.now();
                let wait = (held.not_after().since(now) / 4).clamp(RETRY_MIN, SLEEP_MAX);
                tracing::warn!(id = %held.id(), error = %chain(&error), ?wait, "certificate not renewed; trying again");
                if !reached(now.plus(wait), &shell).await {
                    return;
                }
            }
        }
    }
}

/// Waits until `moment`; says `false` where the word to stop came first.
async fn reached(moment: Timestamp, shell: &Shell) -> bool {
    loop {
        let left = moment.since(shell.clock.now());
        if left.is_zero() {
            return !shell.stop.is_requested();
        }
        tokio::select! {
            () = tokio::time::sleep(left.min(SLEEP_MAX)) => {}
            () = shell.stop.requested() => return false,
        }
    }
}
