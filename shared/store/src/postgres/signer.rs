//! Signs which tenant a transaction acts for.

use aws_lc_rs::{
    digest::{Context, SHA256},
    hmac,
};
use mcp_secrets::Secret;
use mcp_types::{ServiceName, TenantSlug};

/// HMAC's block for SHA-256.
const BLOCK_BYTES: usize = 64;

/// Signs for one service.
#[derive(Debug)]
pub(crate) struct Signer {
    key: hmac::Key,
    service: ServiceName,
}

/// The signing key as the database keeps it: HMAC's two padded blocks.
pub(crate) struct Pads {
    pub(crate) inner: [u8; BLOCK_BYTES],
    pub(crate) outer: [u8; BLOCK_BYTES],
}

// === impl Signer ===

impl Signer {
    pub(crate) fn new(key: &Secret, service: &ServiceName) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, key.expose()), service: service.clone() }
    }

    /// The setting under which the backend `pid` lets see the rows of `tenant`.
    ///
    /// Neither name has a dot, so the three parts are read back as they were.
    pub(crate) fn setting(&self, tenant: &TenantSlug, pid: i32) -> String {
        let Self { key, service } = self;
        let tag = hmac::sign(key, format!("{tenant}.{service}.{pid}").as_bytes());
        format!("{tenant}.{service}.{}", hex::encode(tag))
    }

    /// The service that it signs for.
    pub(crate) fn service(&self) -> &ServiceName {
        &self.service
    }
}

// === impl Pads ===

impl Pads {
    pub(crate) fn of(key: &Secret) -> Self {
        let mut block = [0; BLOCK_BYTES];
        let key = key.expose();
        if key.len() > BLOCK_BYTES {
            let mut digest = Context::new(&SHA256);
            digest.update(key);
            let digest = digest.finish();
            block[..digest.as_ref().len()].copy_from_slice(digest.as_ref());
        } else {
            block[..key.len()].copy_from_slice(key);
        }
        Self { inner: block.map(|byte| byte ^ 0x36), outer: block.map(|byte| byte ^ 0x5c) }
    }
}
