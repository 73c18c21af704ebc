//! `mcp token`: an access token for development.

use std::{fs, time::Duration};

use aws_lc_rs::digest::{SHA256, digest};
use mcp_proto::auth::v1::IssueDevelopmentTokenRequest;
use mcp_runtime::Failure;
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use serde_json::json;

use super::block_on;
use crate::{
    cli::{Format, TokenArgs},
    failure::refused,
    operator::Operator,
    output,
};

/// Asks the running platform for a token and prints it.
pub(crate) fn token(args: TokenArgs, format: Format) -> Result<(), Failure> {
    let certificate_sha256 = match &args.bind {
        None => Vec::new(),
        Some(path) => {
            let pem = fs::read(path).map_err(|source| {
                Failure::input(format!("cannot read {}", path.display())).because(source)
            })?;
            let leaf = CertificateDer::from_pem_slice(&pem).map_err(|source| {
                Failure::input(format!("{} holds no certificate in PEM", path.display()))
                    .because(source.to_string())
            })?;
            digest(&SHA256, &leaf).as_ref().to_vec()
        }
    };
    let ttl_seconds = u32::try_from(args.ttl.as_secs())
        .ok()
        .filter(|&seconds| seconds > 0)
        .ok_or_else(|| Failure::usage("`--ttl` must be at least a second, and at most an hour"))?;
    let operator = Operator::of(&args.target)?;
    let answer = block_on(async {
        let mut request = tonic::Request::new(IssueDevelopmentTokenRequest {
            tenant: args.tenant,
            user: args.user,
            role: args.role,
            ttl_seconds,
            certificate_sha256,
        });
        request.set_timeout(Duration::from_secs(5));
        let answer = operator.auth()?.issue_development_token(request).await;
        answer.map_err(|status| refused("issue a token", status))
    })?
    .into_inner();
    match format {
        Format::Json => {
            let expires = answer.expire_time.map(|time| time.seconds);
            output::json(&json!({"access_token": answer.access_token, "expires_unix": expires}));
        }
        Format::Text | Format::Markdown => output::line(answer.access_token),
    }
    Ok(())
}
