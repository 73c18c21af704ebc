//! Page tokens that nobody else can make.
//!
//! A token is a cursor and an HMAC-SHA256 tag over it, the method, the tenant and the parent: it opens only
//! what it was given for. It carries no secret, only keys of rows that its holder has been shown, so it is
//! signed and not sealed; a MAC, unlike AES-GCM under random nonces, has no count of messages to watch.

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use mcp_secrets::{Secret, SecretPath, Secrets, SecretsError};
use mcp_tenancy::TenantScope;
use mcp_types::Entropy;

/// The key's length, as RFC 2104, section 3 advises for SHA-256.
const KEY_BYTES: usize = 32;
/// Bytes of the tag that are kept; half of them, as RFC 2104, section 5 allows.
const TAG_BYTES: usize = 16;
/// Says what the key signs, and how; a change of form begins a new one.
const DOMAIN: &[u8] = b"mcp.context.v1 page 1";

/// Makes and reads page tokens.
#[derive(Clone)]
pub(crate) struct PageTokens {
    key: hmac::Key,
}

/// What a token is good for: one method, in one tenant, below one parent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PageOf<'a> {
    /// Whose rows.
    pub(crate) scope: &'a TenantScope,
    /// The method's name.
    pub(crate) method: &'static str,
    /// The bytes that name the parent; none where the method has no parent.
    pub(crate) parent: &'a [u8],
}

/// The token was not made for what it is shown for.
#[derive(Debug, thiserror::Error)]
#[error("the page token is not one that this method gave")]
pub(crate) struct BadPageToken;

// === impl PageTokens ===

impl PageTokens {
    /// Loads the key, making it on first use.
    pub(crate) async fn load(secrets: &dyn Secrets, entropy: &dyn Entropy) -> Result<Self, SecretsError> {
        #[expect(clippy::expect_used, reason = "a constant that a test reads")]
        let path: SecretPath = "context/page-tokens".parse().expect("a path");
        let key = secrets.put_if_absent(&path, Secret::draw(KEY_BYTES, entropy)).await?;
        Ok(Self::under(&key))
    }

    /// Tokens under `key`.
    pub(crate) fn under(key: &Secret) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, key.expose()) }
    }

    /// Makes the token that continues after `cursor`.
    pub(crate) fn make(&self, page: PageOf<'_>, cursor: &[u8]) -> String {
        let tag = hmac::sign(&self.key, &signed(page, cursor));
        URL_SAFE_NO_PAD.encode([&tag.as_ref()[..TAG_BYTES], cursor].concat())
    }

    /// Returns the cursor of a token that was made for `page`.
    pub(crate) fn read(&self, page: PageOf<'_>, token: &str) -> Result<Vec<u8>, BadPageToken> {
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| BadPageToken)?;
        let (tag, cursor) = bytes.split_first_chunk::<TAG_BYTES>().ok_or(BadPageToken)?;
        let expected = hmac::sign(&self.key, &signed(page, cursor));
        aws_lc_rs::constant_time::verify_slices_are_equal(tag, &expected.as_ref()[..TAG_BYTES])
            .map_err(|_| BadPageToken)?;
        Ok(cursor.to_vec())
    }
}

impl std::fmt::Debug for PageTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PageTokens")
    }
}

/// Each part after its length, so that no two sets of parts give the same bytes.
fn signed(page: PageOf<'_>, cursor: &[u8]) -> Vec<u8> {
    let tenant = page.scope.tenant().as_str().as_bytes();
    let mut bytes = Vec::with_capacity(160);
    for part in [DOMAIN, page.method.as_bytes(), tenant, page.parent, cursor] {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}

#[cfg(test)]
mod tests {
    //! A token opens what it was made for, and nothing else.

    use mcp_secrets::Secret;
    use mcp_testkit::TestIssuer;
    use mcp_types::SystemEntropy;

    use super::*;

    fn page<'a>(scope: &'a TenantScope, method: &'static str, parent: &'a [u8]) -> PageOf<'a> {
        PageOf { scope, method, parent }
    }

    fn tokens(seed: u8) -> PageTokens {
        PageTokens::under(&Secret::new(vec![seed; KEY_BYTES]))
    }

    #[test]
    fn a_token_gives_its_cursor_back() {
        let acme = TestIssuer::new().scope("acme");
        let here = page(&acme, "ListMessages", b"a");

        let token = tokens(1).make(here, b"cursor");

        assert_eq!(tokens(1).read(here, &token).expect("our own"), b"cursor");
    }

    #[test]
    fn a_token_is_good_for_one_tenant_method_and_parent() {
        let issuer = TestIssuer::new();
        let (acme, globex) = (issuer.scope("acme"), issuer.scope("globex"));
        let token = tokens(1).make(page(&acme, "ListMessages", b"a"), b"cursor");

        for elsewhere in [
            page(&globex, "ListMessages", b"a"),
            page(&acme, "ListContexts", b"a"),
            page(&acme, "ListMessages", b"b"),
            page(&acme, "ListMessages", b""),
        ] {
            assert!(tokens(1).read(elsewhere, &token).is_err(), "{elsewhere:?}");
        }
        assert!(tokens(2).read(page(&acme, "ListMessages", b"a"), &token).is_err(), "another key");
    }

    #[test]
    fn a_token_with_any_character_changed_is_refused() {
        let acme = TestIssuer::new().scope("acme");
        let here = page(&acme, "ListContexts", b"");
        let token = tokens(1).make(here, &[7; 24]);

        for place in 0..token.len() {
            for other in ['A', 'Q', '_', '=', '+', ' '] {
                let mut forged: Vec<char> = token.chars().collect();
                if forged[place] == other {
                    continue;
                }
                forged[place] = other;
                let forged: String = forged.into_iter().collect();
                assert!(tokens(1).read(here, &forged).is_err(), "{forged}");
            }
            assert!(tokens(1).read(here, &token[..place]).is_err(), "cut at {place}");
        }
    }

    #[tokio::test]
    async fn the_key_outlives_a_restart() {
        let folder = tempfile::tempdir().expect("a folder");
        let acme = TestIssuer::new().scope("acme");
        let here = page(&acme, "ListContexts", b"");
        let load = async || {
            let entropy = std::sync::Arc::new(SystemEntropy);
            let (secrets, master) = (folder.path().join("secrets"), folder.path().join("master.key"));
            let store = mcp_secrets::SealedStore::open(&secrets, &master, entropy).expect("opens");
            PageTokens::load(&store, &SystemEntropy).await.expect("a key")
        };

        let token = load().await.make(here, b"cursor");

        assert_eq!(load().await.read(here, &token).expect("the same key"), b"cursor");
    }
}
