//! The methods over a real store, real keys and a clock that is set by hand; only the mesh is not there.

mod exchange;
mod members;
mod sign_in;
mod tenants;
mod wire;

use std::{sync::Arc, time::Duration};

use mcp_proto::{POLICIES, auth::v1 as pb};
use mcp_rpc::reason_of;
use mcp_tenancy::{Credential, TokenKind, Verifier};
use mcp_types::{Clock as _, SystemEntropy};
use tokio::sync::watch;
use tonic::Code;

use super::*;
use crate::{
    access,
    config::Config,
    fixture::{Home, ManualClock, platform, scope_of},
    members::Authority,
    roles::Role,
    store::Rows,
};

/// The service, and the folder that it lives in.
struct World {
    auth: Auth<Rows>,
    clock: Arc<ManualClock>,
    _home: Home,
}

impl World {
    async fn start() -> Self {
        let home = Home::new();
        let clock = ManualClock::at(1_700_000_000);
        let tokens = home.tokens(Config::default(), &clock).await;
        let (access, _) = watch::channel(Arc::new(access::snapshot(&tokens, 1)));
        let auth = Auth {
            store: home.store().await,
            tokens,
            pages: PageTokens::load(&home.secrets(), &SystemEntropy).await.expect("a key"),
            access,
            local_sign_in: true,
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            stop: Stop::default(),
        };
        Self { auth, clock, _home: home }
    }

    async fn signs_in(&self, tenant: &str, user: &str) -> pb::SignInLocallyResponse {
        self.auth.sign_in(&platform(), &sign_in(tenant, user)).await.expect("signed in")
    }

    async fn token_for(&self, user: &str, role: &str) -> String {
        let request = development(user, role);
        self.auth.issue(&platform(), &request).await.expect("issued").access_token
    }

    async fn exchanges(&self, access_token: &str) -> Result<Credential, Status> {
        let exchanged = self.auth.exchange(&exchange(access_token)).await?;
        let mesh =
            Verifier::new(self.auth.tokens.entry(TokenKind::Transaction), POLICIES).expect("a verifier");
        Ok(mesh.verify(&exchanged.transaction_token, self.clock.now()).expect("the mesh believes it"))
    }

    async fn role_of(&self, tenant: &str, user: &str) -> Option<String> {
        let request = pb::GetMemberRequest { name: format!("members/{user}") };
        self.auth.show_member(&scope_of(tenant), &request).await.ok().map(|member| member.role)
    }
}

fn sign_in(tenant: &str, user: &str) -> pb::SignInLocallyRequest {
    pb::SignInLocallyRequest { tenant: tenant.to_owned(), user: user.to_owned() }
}

fn development(user: &str, role: &str) -> pb::IssueDevelopmentTokenRequest {
    pb::IssueDevelopmentTokenRequest {
        tenant: "acme".to_owned(),
        user: user.to_owned(),
        role: role.to_owned(),
        ttl_seconds: 0,
        certificate_sha256: Vec::new(),
    }
}

fn exchange(access_token: &str) -> pb::ExchangeCredentialRequest {
    let credential = pb::exchange_credential_request::Credential::AccessToken(access_token.to_owned());
    pb::ExchangeCredentialRequest { credential: Some(credential) }
}

fn named(user: &str, role: &str) -> pb::Member {
    pb::Member { name: format!("members/{user}"), role: role.to_owned(), create_time: None }
}

fn new_tenant(owner: &str) -> pb::CreateTenantRequest {
    pb::CreateTenantRequest {
        tenant: "acme".to_owned(),
        display_name: String::new(),
        owner: owner.to_owned(),
    }
}

fn holding(role: Role) -> Authority {
    Authority::of(role.permission_set(&POLICIES), Some(role))
}

fn verdict(status: &Status) -> (Code, Option<String>) {
    (status.code(), reason_of(status))
}

fn is(code: Code, reason: &str) -> (Code, Option<String>) {
    (code, Some(reason.to_owned()))
}
