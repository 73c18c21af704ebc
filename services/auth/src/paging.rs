//! Page tokens: where the next page begins, so that nobody but us can have said it.

use std::fmt;

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use mcp_secrets::{Secret, SecretPath, Secrets, SecretsError};
use mcp_tenancy::TenantScope;
use mcp_types::Entropy;

/// Where the key is kept.
const PATH: &str = "paging";

const KEY_BYTES: usize = 32;
const TAG_BYTES: usize = 32;

/// Makes and reads page tokens. A token is bound to the tenant and the method that it was made for.
pub(crate) struct PageTokens {
    key: hmac::Key,
}

/// Why there is no key for page tokens.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PagingError {
    /// The key's own path does not parse.
    #[error("the path of the page token key is malformed")]
    Path,
    /// The keeper of secrets could not serve.
    #[error("cannot load the page token key")]
    Keeper(#[source] SecretsError),
}

/// Why a page token is refused: it was changed, or made by another method, for another tenant or elsewhere.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
#[error("the page token is not one that this method gave")]
pub(crate) struct PageTokenRefused;

// === impl PageTokens ===

impl PageTokens {
    /// Loads the key from `secrets`, drawing it where there is none.
    pub(crate) async fn load(secrets: &dyn Secrets, entropy: &dyn Entropy) -> Result<Self, PagingError> {
        let path: SecretPath = PATH.parse().map_err(|_| PagingError::Path)?;
        let fresh = Secret::draw(KEY_BYTES, entropy);
        let kept = secrets.put_if_absent(&path, fresh).await.map_err(PagingError::Keeper)?;
        Ok(Self { key: hmac::Key::new(hmac::HMAC_SHA256, kept.expose()) })
    }

    /// The token of the page after the item named `last`.
    pub(crate) fn after(&self, scope: &TenantScope, method: &str, last: &str) -> String {
        let mut bytes = hmac::sign(&self.key, &place(scope, method, last)).as_ref().to_vec();
        bytes.extend_from_slice(last.as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The name of the item that the page follows.
    pub(crate) fn read(
        &self,
        scope: &TenantScope,
        method: &str,
        token: &str,
    ) -> Result<String, PageTokenRefused> {
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| PageTokenRefused)?;
        let (tag, last) = bytes.split_at_checked(TAG_BYTES).ok_or(PageTokenRefused)?;
        let last = str::from_utf8(last).map_err(|_| PageTokenRefused)?;
        hmac::verify(&self.key, &place(scope, method, last), tag).map_err(|_| PageTokenRefused)?;
        Ok(last.to_owned())
    }
}

impl fmt::Debug for PageTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PageTokens")
    }
}

/// What a tag vouches for. Neither a method nor a slug contains a zero byte, so no two places read the same.
fn place(scope: &TenantScope, method: &str, last: &str) -> Vec<u8> {
    [method, "\0", scope.tenant().as_str(), "\0", last].concat().into_bytes()
}

#[cfg(test)]
mod tests {
    //! Whose tokens are taken.

    use mcp_types::SystemEntropy;

    use super::*;
    use crate::fixture::{Home, scope_of};

    async fn page_tokens() -> PageTokens {
        PageTokens::load(&Home::new().secrets(), &SystemEntropy).await.expect("a key")
    }

    #[tokio::test]
    async fn a_token_is_read_back_where_it_was_made() {
        let tokens = page_tokens().await;

        let token = tokens.after(&scope_of("acme"), "ListMembers", "mallory");

        assert_eq!(tokens.read(&scope_of("acme"), "ListMembers", &token).as_deref(), Ok("mallory"));
    }

    #[tokio::test]
    async fn a_token_is_refused_in_another_tenant_and_at_another_method() {
        let tokens = page_tokens().await;

        let token = tokens.after(&scope_of("acme"), "ListMembers", "mallory");

        assert_eq!(tokens.read(&scope_of("globex"), "ListMembers", &token), Err(PageTokenRefused));
        assert_eq!(tokens.read(&scope_of("acme"), "ListRoles", &token), Err(PageTokenRefused));
    }

    #[tokio::test]
    async fn a_token_that_was_changed_in_any_byte_is_refused() {
        let tokens = page_tokens().await;
        let token = tokens.after(&scope_of("acme"), "ListMembers", "mallory");
        let bytes = URL_SAFE_NO_PAD.decode(token).expect("base64url");

        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            let token = URL_SAFE_NO_PAD.encode(changed);
            assert_eq!(tokens.read(&scope_of("acme"), "ListMembers", &token), Err(PageTokenRefused), "{at}");
        }
        for junk in ["", "a", "ä", "AAAA", "/+=="] {
            assert_eq!(tokens.read(&scope_of("acme"), "ListMembers", junk), Err(PageTokenRefused), "{junk}");
        }
    }

    #[tokio::test]
    async fn a_token_of_another_installation_is_refused() {
        let (ours, theirs) = (page_tokens().await, page_tokens().await);

        let token = theirs.after(&scope_of("acme"), "ListMembers", "mallory");

        assert_eq!(ours.read(&scope_of("acme"), "ListMembers", &token), Err(PageTokenRefused));
    }
}
