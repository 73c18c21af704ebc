//! Any token at all, signed with the platform's own keys: what the strongest forger could show.

use std::sync::Arc;

use aws_lc_rs::hmac;
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use jsonwebtoken::{Algorithm, EncodingKey, jwk::Jwk};
use mcp_proto::{
    POLICIES,
    auth::v1::{
        ExchangeCredentialRequest, auth_service_client::AuthServiceClient, exchange_credential_request,
    },
};
use mcp_rpc::{LiveIdentity, mesh_channel};
use mcp_secrets::{Master, SealedStore, Secrets as _};
use mcp_tenancy::{Confirmation, TokenClaims, TokenKind};
use mcp_types::{Clock as _, SystemClock, SystemEntropy, uuid_v7};
use serde_json::{Value, json};

use crate::{
    identity,
    world::{Service, World},
};

/// Holds both signing keys of a platform, read from auth's own sealed store.
#[derive(Debug)]
pub struct Signer {
    access: Key,
    transaction: Key,
}

#[derive(Debug)]
struct Key {
    private: Vec<u8>,
    jwk: Value,
    kid: String,
    /// A true token's claims, to be changed.
    template: TokenClaims,
}

/// A token to be signed.
#[derive(Clone, Debug)]
pub struct Draft {
    kind: TokenKind,
    /// What it says.
    pub claims: TokenClaims,
    /// What its header says.
    pub header: Value,
}

// === impl Signer ===

impl Signer {
    /// The signer of a platform.
    pub async fn of(world: &World) -> Self {
        let state = &world.layout().state[&Service::Auth];
        let store = SealedStore::open_read_only(
            &state.join("secrets"),
            &Master::file(&state.join("master.key")),
            mcp_runtime::Profile::Development,
            Arc::new(SystemEntropy),
        )
        .expect("auth's sealed store opens for its owner");
        let access = world.identities().access_token("acme", "alice", "owner", None).await;
        let transaction = exchanged(world, access.clone()).await;
        Self {
            access: Key::read(&store, "signing/access/0000000001", &access).await,
            transaction: Key::read(&store, "signing/transaction/0000000001", &transaction).await,
        }
    }

    /// A token of `kind` that holds, for alice of acme, with every permission there is.
    pub fn draft(&self, kind: TokenKind) -> Draft {
        let key = self.key(kind);
        let now = SystemClock.now();
        let mut claims = key.template.clone();
        let life = match kind {
            TokenKind::Access => 600,
            TokenKind::Transaction => 60,
        };
        claims.iat = now.unix_secs();
        claims.nbf = Some(claims.iat);
        claims.exp = claims.iat + life;
        claims.jti = uuid_v7(now, &SystemEntropy).to_string();
        claims.scope = POLICIES.permissions.join(" ");
        let header = json!({ "alg": "ES256", "typ": kind.typ(), "kid": key.kid });
        Draft { kind, claims, header }
    }

    /// Signs a draft as it stands.
    pub fn sign(&self, draft: &Draft) -> String {
        sign(draft, &self.key(draft.kind).private)
    }

    /// Signs a draft with a key that is not the platform's.
    pub fn sign_with_another_key(&self, draft: &Draft) -> String {
        use aws_lc_rs::{
            rand::SystemRandom,
            signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
        };
        let another = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
        sign(draft, another.expect("a key").as_ref())
    }

    /// A draft as a token with an empty signature, its header saying `none`.
    pub fn unsigned(&self, draft: &Draft) -> String {
        let mut draft = draft.clone();
        draft.header["alg"] = "none".into();
        format!("{}.", signed_part(&draft))
    }

    /// A draft signed by HMAC with the public key as the secret: the confusion of algorithms.
    pub fn signed_with_the_public_key(&self, draft: &Draft) -> String {
        let mut draft = draft.clone();
        draft.header["alg"] = "HS256".into();
        let text = signed_part(&draft);
        let secret = self.key(draft.kind).jwk.to_string();
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), text.as_bytes());
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(tag))
    }

    /// The public key of `kind`, as a JSON Web Key.
    pub fn public_key(&self, kind: TokenKind) -> Value {
        self.key(kind).jwk.clone()
    }

    fn key(&self, kind: TokenKind) -> &Key {
        match kind {
            TokenKind::Access => &self.access,
            TokenKind::Transaction => &self.transaction,
        }
    }
}

// === impl Key ===

impl Key {
    /// The first key of its ring, which signs for a day: longer than any world here stands.
    async fn read(store: &SealedStore, path: &str, token: &str) -> Self {
        let secret = store.get(&path.parse().expect("a path")).await.expect("readable").expect("a key");
        let record: Value = serde_json::from_slice(secret.expose()).expect("a record");
        let private = STANDARD.decode(record["material"].as_str().expect("material")).expect("base64");
        let jwk =
            Jwk::from_encoding_key(&EncodingKey::from_ec_der(&private), Algorithm::ES256).expect("a key");
        let kid = part(token, 0)["kid"].as_str().expect("a kid").to_owned();
        let template = serde_json::from_value(part(token, 1)).expect("claims");
        Self { private, jwk: serde_json::to_value(jwk).expect("JSON"), kid, template }
    }
}

// === impl Draft ===

impl Draft {
    /// The same, with other claims.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut TokenClaims)) -> Self {
        change(&mut self.claims);
        self
    }

    /// The same, with another header.
    #[must_use]
    pub fn headed(mut self, change: impl FnOnce(&mut Value)) -> Self {
        change(&mut self.header);
        self
    }

    /// The same, without one permission.
    #[must_use]
    pub fn without(self, permission: &str) -> Self {
        self.with(|claims| {
            let kept: Vec<_> =
                POLICIES.permissions.iter().copied().filter(|name| *name != permission).collect();
            claims.scope = kept.join(" ");
        })
    }

    /// The same, bound to a certificate (RFC 8705, section 3.1).
    #[must_use]
    pub fn bound_to(self, sha256: [u8; 32]) -> Self {
        self.with(|claims| claims.cnf = Some(Confirmation { certificate: URL_SAFE_NO_PAD.encode(sha256) }))
    }
}

/// A part of a token, decoded.
pub fn part(token: &str, index: usize) -> Value {
    let text = token.split('.').nth(index).expect("a part");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).expect("base64url")).expect("JSON")
}

fn signed_part(draft: &Draft) -> String {
    let encode = |bytes: Vec<u8>| URL_SAFE_NO_PAD.encode(bytes);
    let header = encode(draft.header.to_string().into_bytes());
    format!("{header}.{}", encode(serde_json::to_vec(&draft.claims).expect("JSON")))
}

fn sign(draft: &Draft, private: &[u8]) -> String {
    let text = signed_part(draft);
    let key = EncodingKey::from_ec_der(private);
    let signature = jsonwebtoken::crypto::sign(text.as_bytes(), &key, Algorithm::ES256).expect("signs");
    format!("{text}.{signature}")
}

/// What the gateway gets for an access token.
async fn exchanged(world: &World, access: String) -> String {
    let identities = world.identities();
    let gateway = identities.service("gateway").await;
    let live = LiveIdentity::new(gateway, identities.bundle()).expect("an identity");
    let channel = mesh_channel(world.port_of(Service::Auth), identity::id("auth"), live);
    let credential = Some(exchange_credential_request::Credential::AccessToken(access));
    let answer =
        AuthServiceClient::new(channel).exchange_credential(ExchangeCredentialRequest { credential }).await;
    answer.expect("exchanged").into_inner().transaction_token
}
