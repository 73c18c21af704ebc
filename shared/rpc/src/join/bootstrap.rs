//! The first certificate, for a join token, from the ca's bootstrap listener.

use std::{net::SocketAddr, time::Duration};

use mcp_proto::ca::v1::{
    IssueCertificateRequest, certificate_authority_service_client::CertificateAuthorityServiceClient,
    issue_certificate_request::Attestation,
};
use mcp_runtime::{Failure, Shell};
use mcp_svid::{Identity, SpiffeId, TrustBundle};
use tonic::Code;

use super::{Backoff, Unfit, ca_id, issued};
use crate::{channel::channel_with, join_token::JoinToken};

/// Asks the ca at `bootstrap` for a first certificate until it answers; what it refuses is final.
///
/// # Errors
///
/// Where the ca refuses, shows another root than the token names, or the shell stops first.
pub async fn first_identity(
    id: &SpiffeId,
    bootstrap: SocketAddr,
    token: &JoinToken,
    shell: &Shell,
) -> Result<(Identity, TrustBundle), Failure> {
    let tls =
        mcp_svid::bootstrap_client_config(token.root_pin(), &ca_id(id.trust_domain())).map_err(|source| {
            Failure::software("cannot make the bootstrap's TLS configuration").because(source)
        })?;
    let mut client = CertificateAuthorityServiceClient::new(channel_with(bootstrap, move || {
        Ok(std::sync::Arc::clone(&tls))
    }));
    let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(5));
    loop {
        let (csr, key) = mcp_svid::make_csr(Some(id))
            .map_err(|source| Failure::software("cannot make a certificate request").because(source))?;
        let attestation = Some(Attestation::JoinToken(token.expose()));
        let mut request = tonic::Request::new(IssueCertificateRequest { csr, attestation });
        request.set_timeout(Duration::from_secs(5));
        let refused = match client.issue_certificate(request).await {
            Ok(answer) => return trusted(answer.into_inner().certificate, key, id, token),
            Err(status) => status,
        };
        if matches!(refused.code(), Code::Unauthenticated | Code::InvalidArgument | Code::PermissionDenied) {
            return Err(Failure::config_because(format!("the ca at {bootstrap} refused {id}"), refused)
                .advise("make a new join token for this service: each works once, and not for long"));
        }
        let wait = backoff.next(&*shell.entropy);
        tracing::warn!(%bootstrap, error = %crate::status::chain(&refused), ?wait, "no first certificate yet; trying again");
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = shell.stop.requested() => return Err(Failure::temporary("stopped before there was an identity")),
        }
    }
}

fn trusted(
    certificate: Option<mcp_proto::ca::v1::IssuedCertificate>,
    key: rustls::pki_types::PrivateKeyDer<'static>,
    id: &SpiffeId,
    token: &JoinToken,
) -> Result<(Identity, TrustBundle), Failure> {
    let unfit = |source: Unfit| Failure::unavailable("the ca's answer cannot be used").because(source);
    let (identity, bundle) = issued(certificate, key, id).map_err(unfit)?;
    if !bundle.pins().contains(&token.root_pin()) {
        return Err(unfit(Unfit::Root));
    }
    Ok((identity, bundle))
}
