//! Keys whose bytes lie in the keeper of secrets, and are used here.

use std::{fmt, sync::Arc};

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};

use super::{PublicKey, Signer, SigningKeys};
use crate::{Secret, SecretsError, SecretsFuture};

/// Makes keys here and uses them here; their material is their PKCS#8 (RFC 5958) in DER.
#[derive(Clone, Copy, Debug, Default)]
pub struct LocalKeys;

struct LocalKey {
    pair: EcdsaKeyPair,
    public: PublicKey,
}

// === impl LocalKeys ===

impl SigningKeys for LocalKeys {
    /// The library draws its own randomness here: it offers no way to hand it in.
    fn make<'a>(&'a self, _purpose: &'a str) -> SecretsFuture<'a, Secret> {
        Box::pin(async {
            let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
                .map_err(|_| SecretsError::KeyNotMade)?;
            Ok(Secret::new(pkcs8.as_ref().to_vec()))
        })
    }

    fn load<'a>(&'a self, material: &'a Secret) -> SecretsFuture<'a, Arc<dyn Signer>> {
        Box::pin(async {
            let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, material.expose())
                .map_err(|_| SecretsError::KeyUnusable)?;
            let public =
                PublicKey::from_point(pair.public_key().as_ref()).ok_or(SecretsError::KeyUnusable)?;
            let key: Arc<dyn Signer> = Arc::new(LocalKey { pair, public });
            Ok(key)
        })
    }

    /// The bytes go with the record that holds them.
    fn destroy<'a>(&'a self, _material: &'a Secret) -> SecretsFuture<'a, ()> {
        Box::pin(async { Ok(()) })
    }
}

// === impl LocalKey ===

impl Signer for LocalKey {
    fn public(&self) -> &PublicKey {
        &self.public
    }

    fn sign<'a>(&'a self, message: &'a [u8]) -> SecretsFuture<'a, Vec<u8>> {
        Box::pin(async {
            let signature = self.pair.sign(&SystemRandom::new(), message);
            Ok(signature.map_err(|_| SecretsError::NotSigned)?.as_ref().to_vec())
        })
    }
}

impl fmt::Debug for LocalKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalKey").field("kid", &self.public.kid()).finish_non_exhaustive()
    }
}
