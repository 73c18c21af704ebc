//! `mcp cert` and `mcp join-token`: identities for whoever wants to join.

use std::time::Duration;

use mcp_proto::ca::v1::{CreateJoinTokenRequest, CreateJoinTokenResponse};
use mcp_rpc::JoinToken;
use mcp_runtime::{Cores, Failure, Profile, Shell, Stop};
use serde_json::json;

use super::block_on;
use crate::{
    cli::{CertArgs, Format, JoinTokenArgs},
    failure::refused,
    files,
    operator::Operator,
    output,
};

/// Prints a join token.
pub(crate) fn join_token(args: &JoinTokenArgs, format: Format) -> Result<(), Failure> {
    let operator = Operator::of(&args.target)?;
    let answer = block_on(create_join_token(&operator, &args.service, args.ttl))?;
    match format {
        Format::Json => {
            let expires = answer.expire_time.map(|time| time.seconds);
            output::json(&json!({"join_token": answer.join_token, "expires_unix": expires}));
        }
        Format::Text | Format::Markdown => output::line(answer.join_token),
    }
    Ok(())
}

/// Gets a certificate as a service does: a join token, then the bootstrap.
pub(crate) fn cert(args: &CertArgs, format: Format) -> Result<(), Failure> {
    let operator = Operator::of(&args.target)?;
    let id = operator.id(&args.service)?;
    let (identity, bundle) = block_on(async {
        let answer = create_join_token(&operator, &args.service, Duration::from_secs(60)).await?;
        let token: JoinToken = answer.join_token.parse().map_err(|source: mcp_rpc::BadJoinToken| {
            Failure::software("the ca gave no join token").because(source)
        })?;
        let cores = Cores::start(1).map_err(|source| Failure::io("start a thread", source))?;
        let shell = Shell::new(cores, Stop::default(), Profile::Development);
        mcp_rpc::first_identity(&id, operator.bootstrap(), &token, &shell).await
    })?;
    files::private_folder(&args.out)?;
    let (certificate, key) = identity.to_pem();
    let path = |name: &str| args.out.join(name);
    files::public(&path("cert.pem"), certificate.as_bytes())?;
    files::private(&path("key.pem"), key.as_bytes())?;
    files::public(&path("ca.pem"), bundle.to_pem().as_bytes())?;
    let expires = identity.not_after();
    match format {
        Format::Json => output::json(&json!({
            "id": id.to_string(), "cert": path("cert.pem"), "key": path("key.pem"), "ca": path("ca.pem"),
            "expires_unix": expires.unix_secs(),
        })),
        Format::Text | Format::Markdown => {
            let when = humantime::format_rfc3339_seconds(expires.to_system_time());
            output::line(format_args!("{id}, until {when}: {}/{{cert,key,ca}}.pem", args.out.display()));
        }
    }
    Ok(())
}

async fn create_join_token(
    operator: &Operator,
    service: &str,
    ttl: Duration,
) -> Result<CreateJoinTokenResponse, Failure> {
    let ttl_seconds = u32::try_from(ttl.as_secs())
        .ok()
        .filter(|seconds| (1..=86_400).contains(seconds))
        .ok_or_else(|| Failure::usage("`--ttl` must be at least a second, and at most a day"))?;
    let mut request =
        tonic::Request::new(CreateJoinTokenRequest { service: service.to_owned(), ttl_seconds });
    request.set_timeout(Duration::from_secs(5));
    let answer = operator.ca()?.create_join_token(request).await;
    answer.map(tonic::Response::into_inner).map_err(|status| refused("make a join token", status))
}
