//! An outside credential in, a transaction token out.

use mcp_proto::auth::v1 as pb;
use mcp_rpc::refusal;
use tonic::{Code, Status};

use super::{Auth, not_signed, store_failed, wire_time};
use crate::{
    store::{Members, Tenants},
    tokens::NotExchanged,
};

// === impl Auth ===

impl<S: Tenants + Members> Auth<S> {
    pub(super) async fn exchange(
        &self,
        request: &pb::ExchangeCredentialRequest,
    ) -> Result<pb::ExchangeCredentialResponse, Status> {
        let Some(pb::exchange_credential_request::Credential::AccessToken(token)) = &request.credential
        else {
            return Err(refusal(Code::InvalidArgument, "FIELD_INVALID", "`credential` must be set"));
        };
        let credential = self.tokens.recognise(token).map_err(|refused| not_exchanged(&refused))?;

        // Asked anew at every exchange: whoever was removed, or got another role, feels it when the transaction
        // token before ends.
        let scope = credential.tenant_scope();
        let found =
            self.store.member(&scope, credential.user()).await.map_err(|error| store_failed(&error))?;
        let Some(member) = found else {
            let words = "the user of this token is not a member of the tenant any more";
            return Err(refusal(Code::Unauthenticated, "MEMBER_UNKNOWN", words));
        };

        let signed =
            self.tokens.transaction(&credential, member.role).await.map_err(|error| not_signed(&error))?;
        Ok(pb::ExchangeCredentialResponse {
            transaction_token: signed.token.into_exposed(),
            expire_time: Some(wire_time(signed.expires)),
        })
    }
}

/// What the caller hears; the rule that the token broke is for the log.
fn not_exchanged(refused: &NotExchanged) -> Status {
    let words = match refused {
        NotExchanged::Denied(denied) => {
            tracing::info!(rule = %denied, reason = denied.reason(), "a credential was not exchanged");
            denied.to_caller()
        }
        NotExchanged::Bound => {
            tracing::info!(rule = %refused, "a credential was not exchanged");
            "the token is bound to a certificate; present it with that certificate on the service's own port"
                .to_owned()
        }
    };
    refusal(Code::Unauthenticated, "TOKEN_REFUSED", words)
}
