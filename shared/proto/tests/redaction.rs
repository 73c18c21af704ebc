//! What `Debug` says of messages whose fields no log may show.

use mcp_proto::{
    auth::v1::{
        ExchangeCredentialRequest, ExchangeCredentialResponse, SignInLocallyResponse,
        exchange_credential_request::Credential,
    },
    ca::v1::{CreateJoinTokenResponse, IssueCertificateRequest, issue_certificate_request::Attestation},
    context::v1::Context,
    summarization::v1::SummarizeRequest,
};

const CANARY: &str = "canary-5f2c";

fn canary() -> String {
    CANARY.to_owned()
}

#[test]
fn tokens_and_texts_are_absent_from_debug() {
    let credential = Credential::AccessToken(canary());
    let attestation = Attestation::JoinToken(canary());
    let said = [
        format!("{credential:?}"),
        format!("{attestation:?}"),
        format!("{:?}", ExchangeCredentialRequest { credential: Some(credential) }),
        format!("{:?}", ExchangeCredentialResponse { transaction_token: canary(), ..Default::default() }),
        format!("{:?}", SignInLocallyResponse { access_token: canary(), ..Default::default() }),
        format!("{:?}", CreateJoinTokenResponse { join_token: canary(), ..Default::default() }),
        format!("{:?}", IssueCertificateRequest { attestation: Some(attestation), ..Default::default() }),
        format!("{:?}", SummarizeRequest { text: canary(), ..Default::default() }),
        format!("{:?}", Context { title: canary(), description: canary(), ..Default::default() }),
    ];

    for said in said {
        assert!(!said.contains(CANARY), "{said}");
    }
}

#[test]
fn debug_still_tells_the_rest() {
    let response = SignInLocallyResponse { role: "owner".to_owned(), ..Default::default() };

    let said = format!("{response:?}");

    assert!(said.starts_with("SignInLocallyResponse {") && said.contains("role: \"owner\""), "{said}");
    assert!(said.contains("[redacted]"), "{said}");
}
