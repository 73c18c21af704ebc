//! Signing keys in transit: made there, used there, never out; what comes here is their public half.

use std::{fmt, sync::Arc};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Fault, Inner, Vault, kv::failed, wire::Ask};
use crate::{
    Secret, SecretsError, SecretsFuture,
    signing::{PublicKey, Signer, SigningKeys},
};

/// An ES256 signature's length.
const SIGNATURE_BYTES: usize = 64;

/// Makes signing keys in a vault and has them used there; their material is their name.
#[derive(Clone, Debug)]
pub struct TransitKeys(Vault);

struct TransitKey {
    vault: Vault,
    name: String,
    public: PublicKey,
}

#[derive(Deserialize)]
struct Signature {
    signature: String,
}

// === impl Vault ===

impl Vault {
    /// Signing keys that never leave this vault.
    pub fn signing_keys(&self) -> TransitKeys {
        TransitKeys(self.clone())
    }
}

// === impl Inner ===

impl Inner {
    fn signing(&self, verb: &str, name: &str) -> String {
        format!("{}/{verb}/{name}", self.mounts.signing)
    }
}

// === impl TransitKeys ===

impl SigningKeys for TransitKeys {
    fn make<'a>(&'a self, purpose: &'a str) -> SecretsFuture<'a, Secret> {
        Box::pin(async move {
            let inner = &self.0.inner;
            let mut drawn = [0; 8];
            inner.entropy.fill(&mut drawn);
            let name = format!("{}-{purpose}-{}", inner.service, hex::encode(drawn));
            let ask = Ask::post("make key", inner.signing("keys", &name), &json!({ "type": "ecdsa-p256" }));
            let made = async { inner.session.call(&ask.repeatable()).await?.granted() };
            made.await.map_err(failed("make a signing key"))?;
            Ok(Secret::new(name.into_bytes()))
        })
    }

    fn load<'a>(&'a self, material: &'a Secret) -> SecretsFuture<'a, Arc<dyn Signer>> {
        Box::pin(async move {
            let inner = &self.0.inner;
            let name = named(material)?;
            let read = async {
                let answer = inner.session.call(&Ask::get("read key", inner.signing("keys", &name))).await?;
                answer.granted()?.data::<Value>()
            };
            let key = read.await.map_err(failed("read a signing key's public half"))?;
            let pem = key.pointer("/keys/1/public_key").and_then(Value::as_str);
            let public = pem.and_then(PublicKey::from_pem).ok_or(SecretsError::KeyUnusable)?;
            let key: Arc<dyn Signer> = Arc::new(TransitKey { vault: self.0.clone(), name, public });
            Ok(key)
        })
    }

    fn destroy<'a>(&'a self, material: &'a Secret) -> SecretsFuture<'a, ()> {
        Box::pin(async move {
            let inner = &self.0.inner;
            let name = named(material)?;
            let destroyed = async {
                let key = inner.signing("keys", &name);
                let answer = inner.session.call(&Ask::get("read key", key.clone())).await?;
                if answer.status == reqwest::StatusCode::NOT_FOUND {
                    return Ok(());
                }
                answer.granted()?;
                let allow = json!({ "deletion_allowed": true });
                let allow = Ask::post("destroy key", format!("{key}/config"), &allow).repeatable();
                inner.session.call(&allow).await?.granted()?;
                inner.session.call(&Ask::delete("destroy key", key)).await?.granted().map(drop)
            };
            destroyed.await.map_err(failed("destroy a signing key"))
        })
    }
}

// === impl TransitKey ===

impl Signer for TransitKey {
    fn public(&self) -> &PublicKey {
        &self.public
    }

    fn sign<'a>(&'a self, message: &'a [u8]) -> SecretsFuture<'a, Vec<u8>> {
        Box::pin(async move {
            let inner = &self.vault.inner;
            let body = json!({
                "input": STANDARD.encode(message),
                "hash_algorithm": "sha2-256",
                // Both numbers in full, as JOSE wants them.
                "marshaling_algorithm": "jws",
                "key_version": 1,
            });
            let ask = Ask::post("sign", inner.signing("sign", &self.name), &body).repeatable();
            let signed = async {
                let answer = inner.session.call(&ask).await?.granted()?;
                let Signature { signature } = answer.data()?;
                let text = signature.strip_prefix("vault:v1:").ok_or(Fault::Unintelligible)?;
                let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| Fault::Unintelligible)?;
                if bytes.len() == SIGNATURE_BYTES { Ok(bytes) } else { Err(Fault::Unintelligible) }
            };
            signed.await.map_err(failed("sign in the vault"))
        })
    }
}

impl fmt::Debug for TransitKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransitKey").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The name that a record holds: what it may be is checked, since it becomes part of a path.
fn named(material: &Secret) -> Result<String, SecretsError> {
    let name = std::str::from_utf8(material.expose()).map_err(|_| SecretsError::KeyUnusable)?;
    let is_name = !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if is_name { Ok(name.to_owned()) } else { Err(SecretsError::KeyUnusable) }
}
