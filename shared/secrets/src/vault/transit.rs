//! Wrapping keys: a transit key per tenant, which never leaves the vault.
//!
//! A wrapped data key is written as `1 | key version (4) | nonce, ciphertext and tag`: the vault's own text form without
//! what it says twice, so that every byte of it counts.

use std::num::NonZeroU32;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use mcp_types::TenantSlug;
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

use super::{
    Fault, Inner, Vault,
    kv::failed,
    wire::{Answer, Ask},
};
use crate::{DataKey, SealError, SecretsError, SecretsFuture, Wrapping};

const FORM: u8 = 1;
const PREFIX: &str = "vault:v";

#[derive(Deserialize)]
struct Ciphertext {
    ciphertext: String,
}

#[derive(Deserialize)]
struct Plaintext {
    plaintext: String,
}

// === impl Inner ===

impl Inner {
    fn key(&self, tenant: &TenantSlug) -> String {
        format!("{}/keys/{}-{tenant}", self.mounts.transit, self.service)
    }

    fn use_of(&self, verb: &str, tenant: &TenantSlug) -> String {
        format!("{}/{verb}/{}-{tenant}", self.mounts.transit, self.service)
    }

    async fn key_exists(&self, tenant: &TenantSlug) -> Result<bool, Fault> {
        let answer = self.session.call(&Ask::get("read key", self.key(tenant))).await?;
        match answer.status {
            StatusCode::NOT_FOUND => Ok(false),
            _ => answer.granted().map(|_| true),
        }
    }

    /// What becomes of a refusal: a key that is not there is told from everything else by asking for it.
    async fn refused(&self, tenant: &TenantSlug, doing: &'static str, fault: Fault) -> SecretsError {
        let is_refusal = matches!(fault, Fault::Denied | Fault::Refused { .. });
        match self.key_exists(tenant).await {
            Ok(false) if is_refusal => SecretsError::KeyDestroyed { tenant: tenant.clone() },
            Err(unknown) if is_refusal && unknown.is_passing() => failed(doing)(unknown),
            _ => failed(doing)(fault),
        }
    }

    async fn ask(&self, ask: Ask) -> Result<Answer, Fault> {
        self.session.call(&ask).await?.granted()
    }
}

// === impl Vault ===

impl Wrapping for Vault {
    fn create<'a>(&'a self, tenant: &'a TenantSlug) -> SecretsFuture<'a, ()> {
        Box::pin(async move {
            let body = json!({ "type": "aes256-gcm96" });
            // Where the key is there already the vault says so and changes nothing.
            let ask = Ask::post("make key", self.inner.key(tenant), &body).repeatable();
            self.inner.ask(ask).await.map(drop).map_err(failed("make a tenant's wrapping key"))
        })
    }

    fn wrap<'a>(
        &'a self,
        tenant: &'a TenantSlug,
        key: &'a DataKey,
        aad: &'a [u8],
    ) -> SecretsFuture<'a, Vec<u8>> {
        Box::pin(async move {
            const DOING: &str = "wrap a data key";
            let plain = Zeroizing::new(STANDARD.encode(key.expose()));
            let body = json!({ "plaintext": *plain, "associated_data": STANDARD.encode(aad) });
            let ask = Ask::post("wrap", self.inner.use_of("encrypt", tenant), &body).repeatable();
            match self.inner.ask(ask).await {
                Ok(answer) => {
                    let wrapped = answer.data().and_then(|Ciphertext { ciphertext }| packed(&ciphertext));
                    wrapped.map_err(failed(DOING))
                }
                Err(fault) => Err(self.inner.refused(tenant, DOING, fault).await),
            }
        })
    }

    fn unwrap<'a>(
        &'a self,
        tenant: &'a TenantSlug,
        wrapped: &'a [u8],
        aad: &'a [u8],
    ) -> SecretsFuture<'a, DataKey> {
        Box::pin(async move {
            const DOING: &str = "unwrap a data key";
            let not_unwrapped = |source| SecretsError::NotUnwrapped { tenant: tenant.clone(), source };
            let ciphertext = unpacked(wrapped).ok_or_else(|| not_unwrapped(SealError::Malformed))?;
            let body = json!({ "ciphertext": ciphertext, "associated_data": STANDARD.encode(aad) });
            let ask = Ask::post("unwrap", self.inner.use_of("decrypt", tenant), &body).repeatable();
            let answer = match self.inner.ask(ask).await {
                Ok(answer) => answer,
                Err(fault) => {
                    let is_refusal = matches!(fault, Fault::Refused { .. });
                    return Err(match self.inner.refused(tenant, DOING, fault).await {
                        // The key is there, and does not fit.
                        SecretsError::Vault { source: Fault::Refused { .. }, .. } if is_refusal => {
                            not_unwrapped(SealError::Refused)
                        }
                        other => other,
                    });
                }
            };
            let Plaintext { plaintext } = answer.data().map_err(failed(DOING))?;
            let plain = Zeroizing::new(plaintext);
            let bytes = STANDARD.decode(plain.as_bytes()).map(Zeroizing::new);
            let key = bytes.ok().and_then(|bytes| DataKey::from_bytes(&bytes));
            key.ok_or_else(|| not_unwrapped(SealError::Malformed))
        })
    }

    fn destroy<'a>(&'a self, tenant: &'a TenantSlug) -> SecretsFuture<'a, bool> {
        Box::pin(async move {
            let destroyed = async {
                if !self.inner.key_exists(tenant).await? {
                    return Ok(false);
                }
                let config = format!("{}/config", self.inner.key(tenant));
                let allow = Ask::post("destroy key", config, &json!({ "deletion_allowed": true }));
                self.inner.ask(allow.repeatable()).await?;
                self.inner.ask(Ask::delete("destroy key", self.inner.key(tenant))).await?;
                Ok(true)
            };
            destroyed.await.map_err(failed("destroy a tenant's wrapping key"))
        })
    }
}

/// The vault's `vault:v<version>:<base64>`, packed.
fn packed(text: &str) -> Result<Vec<u8>, Fault> {
    let parts = text.strip_prefix(PREFIX).and_then(|rest| rest.split_once(':'));
    let parsed =
        parts.and_then(|(version, body)| Some((version.parse::<u32>().ok()?, STANDARD.decode(body).ok()?)));
    let (version, body) = parsed.ok_or(Fault::Unintelligible)?;
    Ok([&[FORM][..], &version.to_be_bytes(), &body].concat())
}

fn unpacked(wrapped: &[u8]) -> Option<String> {
    let (&FORM, rest) = wrapped.split_first()? else { return None };
    let (version, body) = rest.split_first_chunk::<4>()?;
    // The vault reads version 0 as the first one, so that two texts would be the same key.
    let version = NonZeroU32::new(u32::from_be_bytes(*version))?;
    Some(format!("{PREFIX}{version}:{}", STANDARD.encode(body)))
}
