//! Wire in, wire out: what each method does with a call, and what its caller hears.

use std::time::Duration;

use mcp_pki::IssuedLeaf;
use mcp_proto::ca::v1::{
    self as pb,
    certificate_authority_service_server::{CertificateAuthorityService, CertificateAuthorityServiceServer},
    issue_certificate_request::Attestation,
};
use mcp_rpc::{Call, chain, internal, refusal};
use mcp_svid::TrustBundle;
use mcp_types::{RequestId, ServiceName, Timestamp};
use rustls_pki_types::CertificateDer;
use tokio::sync::mpsc;
use tokio_stream::{StreamExt as _, wrappers::ReceiverStream};
use tonic::{Code, Request, Response, Status, Streaming, service::Routes};

use crate::{
    authority::{Authority, Refused},
    trust,
};

/// How many answers wait for a watcher that does not read.
const WATCH_QUEUE_MAX: usize = 2;

/// The ca, as a service of the mesh.
#[derive(Clone, Debug)]
pub(crate) struct Ca {
    authority: Authority,
}

// === impl Ca ===

impl Ca {
    /// Serves `authority`.
    pub(crate) const fn new(authority: Authority) -> Self {
        Self { authority }
    }

    /// All its methods, as routes. Which of them a listener lets through, their policies say: a newcomer shows no
    /// certificate, and the others are for peers who do.
    pub(crate) fn routes(&self) -> Routes {
        Routes::new(CertificateAuthorityServiceServer::new(self.clone()))
    }

    fn issued(&self, leaf: &IssuedLeaf) -> pb::IssuedCertificate {
        pb::IssuedCertificate {
            chain: leaf.chain.iter().map(der).collect(),
            bundle: Some(wire_bundle(&self.authority.bundle())),
            expire_time: Some(wire_time(leaf.not_after)),
        }
    }
}

#[tonic::async_trait]
impl CertificateAuthorityService for Ca {
    type WatchTrustStream = ReceiverStream<Result<pb::WatchTrustResponse, Status>>;

    async fn issue_certificate(
        &self,
        request: Request<pb::IssueCertificateRequest>,
    ) -> Result<Response<pb::IssueCertificateResponse>, Status> {
        let call = Call::of(&request)?;
        let scope = call.platform_scope()?;
        let pb::IssueCertificateRequest { csr, attestation } = request.get_ref();
        // The codec asks for one; asked again because the answer here is who somebody is.
        let Some(Attestation::JoinToken(token)) = attestation else {
            return Err(refusal(Code::InvalidArgument, "FIELD_INVALID", "an attestation is required"));
        };
        let leaf = self
            .authority
            .issue_for_token(&scope, token, csr)
            .await
            .map_err(|refused| status(&refused, call.request_id()))?;
        Ok(Response::new(pb::IssueCertificateResponse { certificate: Some(self.issued(&leaf)) }))
    }

    async fn renew_certificate(
        &self,
        request: Request<pb::RenewCertificateRequest>,
    ) -> Result<Response<pb::RenewCertificateResponse>, Status> {
        let call = Call::of(&request)?;
        let scope = call.platform_scope()?;
        let leaf = self
            .authority
            .renew(&scope, call.peer(), &request.get_ref().csr)
            .await
            .map_err(|refused| status(&refused, call.request_id()))?;
        Ok(Response::new(pb::RenewCertificateResponse { certificate: Some(self.issued(&leaf)) }))
    }

    async fn watch_trust(
        &self,
        request: Request<Streaming<pb::WatchTrustRequest>>,
    ) -> Result<Response<Self::WatchTrustStream>, Status> {
        let peer = Call::of(&request)?.connection().peer_name();
        let (out, answers) = mpsc::channel(WATCH_QUEUE_MAX);
        let (bundles, stop) = (self.authority.bundles(), self.authority.shell().stop.requested());
        let acknowledged = move |version| trust::count_acknowledged(&peer, version);
        let mut heard = request.into_inner();
        // Before the answer begins, so that a first message that breaks a rule is refused like any other call's.
        let first = tokio_stream::iter(heard.message().await?.map(Ok));
        let heard = first.chain(heard);
        tokio::spawn(trust::feed(heard, bundles, out, trust::HEARTBEAT, acknowledged, stop));
        Ok(Response::new(ReceiverStream::new(answers)))
    }

    async fn create_join_token(
        &self,
        request: Request<pb::CreateJoinTokenRequest>,
    ) -> Result<Response<pb::CreateJoinTokenResponse>, Status> {
        let call = Call::of(&request)?;
        let scope = call.platform_scope()?;
        let pb::CreateJoinTokenRequest { service, ttl_seconds } = request.get_ref();
        let service: ServiceName = service.parse().map_err(|bad: mcp_types::BadName| {
            refusal(Code::InvalidArgument, "FIELD_INVALID", bad.to_string())
        })?;
        let ttl = (*ttl_seconds > 0).then(|| Duration::from_secs(u64::from(*ttl_seconds)));
        let (token, expires) = self
            .authority
            .new_join_token(&scope, &service, ttl)
            .await
            .map_err(|refused| status(&refused, call.request_id()))?;
        Ok(Response::new(pb::CreateJoinTokenResponse {
            join_token: token.expose(),
            expire_time: Some(wire_time(expires)),
        }))
    }
}

/// What a caller hears; which of its faults a join token has, the log alone.
fn status(refused: &Refused, request_id: &RequestId) -> Status {
    match refused {
        Refused::Token(why) => {
            metrics::counter!("mcp_join_tokens_refused_total").increment(1);
            tracing::info!(%request_id, %why, "a join token was refused");
            refusal(
                Code::Unauthenticated,
                "JOIN_TOKEN_REFUSED",
                "the join token is not good: each works once, and not for long; make a new one",
            )
        }
        Refused::Csr(why) => {
            tracing::info!(%request_id, %why, "a certificate request was refused");
            refusal(
                Code::InvalidArgument,
                "CSR_REFUSED",
                format!("{why}; send a key and, at most, your own SPIFFE ID as the one URI"),
            )
        }
        Refused::OwnName => {
            refusal(Code::InvalidArgument, "FIELD_INVALID", "nobody joins as the ca: it has its own identity")
        }
        Refused::Store(error) if error.is_passing() => {
            tracing::warn!(%request_id, error = %chain(error), "the registry is busy");
            refusal(Code::Unavailable, "STORE_BUSY", "the registry is busy; try again in a moment")
        }
        Refused::Nobody | Refused::Store(_) | Refused::NotIssued(_) | Refused::Malformed => {
            internal("issue a certificate", refused)
        }
    }
}

/// A bundle as it is sent.
pub(crate) fn wire_bundle(bundle: &TrustBundle) -> pb::TrustBundle {
    pb::TrustBundle { version: bundle.version, roots: bundle.roots.iter().map(der).collect() }
}

fn der(certificate: &CertificateDer<'static>) -> Vec<u8> {
    certificate.to_vec()
}

fn wire_time(moment: Timestamp) -> prost_types::Timestamp {
    let millis = moment.unix_millis();
    prost_types::Timestamp {
        seconds: millis.div_euclid(1000),
        nanos: i32::try_from(millis.rem_euclid(1000)).unwrap_or(0) * 1_000_000,
    }
}

#[cfg(test)]
mod tests {
    //! What callers hear of a refusal.

    use mcp_pki::CsrRefused;
    use mcp_rpc::reason_of;
    use mcp_types::SystemEntropy;

    use super::*;
    use crate::store::Spent;

    fn heard(refused: &Refused) -> Status {
        status(refused, &RequestId::draw(Timestamp::default(), &SystemEntropy))
    }

    #[test]
    fn every_join_token_that_is_not_good_is_refused_in_the_same_words() {
        let heard = [Spent::Unknown, Spent::Used, Spent::Expired].map(|why| heard(&Refused::Token(why)));

        for status in &heard {
            assert_eq!(status.code(), Code::Unauthenticated);
            assert_eq!(reason_of(status).as_deref(), Some("JOIN_TOKEN_REFUSED"));
            assert_eq!(status.message(), heard[0].message());
        }
    }

    #[test]
    fn a_refused_request_says_what_is_wrong_with_it() {
        let status = heard(&Refused::Csr(CsrRefused::BadSignature));

        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(reason_of(&status).as_deref(), Some("CSR_REFUSED"));
        assert!(status.message().starts_with("the request is not signed by its own key; "));
    }

    #[test]
    fn a_fault_of_ours_tells_the_caller_nothing() {
        let status = heard(&Refused::Malformed);

        assert_eq!((status.code(), status.message()), (Code::Internal, "internal error"));
    }
}
