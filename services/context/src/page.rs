//! Page tokens that nobody else can make or read.
//!
//! A token is a cursor, sealed for one method, one tenant and one question: it opens only what it was given for. Under
//! one key it takes 2^96 tokens until a nonce is likely to come twice.

use std::{fmt, sync::Arc};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use mcp_secrets::{DataKey, Secret, SecretPath, Secrets, SecretsError};
use mcp_tenancy::TenantScope;
use mcp_types::Entropy;

/// The key's length.
const KEY_BYTES: usize = 32;
/// Says what the key seals, and how; a change of form begins a new one.
const DOMAIN: &[u8] = b"mcp.context.v1 page 2";

/// Makes and reads page tokens.
#[derive(Clone)]
pub(crate) struct PageTokens {
    key: DataKey,
    entropy: Arc<dyn Entropy>,
}

/// What a token is good for: one method, in one tenant, and one question.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PageOf<'a> {
    /// Whose rows.
    pub(crate) scope: &'a TenantScope,
    /// The method's name.
    pub(crate) method: &'static str,
    /// The bytes that tell the question from others: what the pages are of, and in which order.
    pub(crate) question: &'a [u8],
}

/// The token was not made for what it is shown for.
#[derive(Debug, thiserror::Error)]
#[error("the page token is not one that this method gave for this question")]
pub(crate) struct BadPageToken;

// === impl PageTokens ===

impl PageTokens {
    /// Loads the key, making it on first use.
    pub(crate) async fn load(secrets: &dyn Secrets, entropy: Arc<dyn Entropy>) -> Result<Self, SecretsError> {
        #[expect(clippy::expect_used, reason = "a constant that a test reads")]
        let path: SecretPath = "context/page-tokens".parse().expect("a path");
        let key = secrets.put_if_absent(&path, Secret::draw(KEY_BYTES, &*entropy)).await?;
        Ok(Self::under(&key, entropy))
    }

    /// Tokens under `key`.
    pub(crate) fn under(key: &Secret, entropy: Arc<dyn Entropy>) -> Self {
        // A key of another length is none that we drew. Nobody's tokens can be read then, but new ones are made.
        let key = DataKey::from_bytes(key.expose()).unwrap_or_else(|| DataKey::draw(&*entropy));
        Self { key: key.derive("page tokens"), entropy }
    }

    /// Makes the token that continues after `cursor`.
    pub(crate) fn make(&self, page: PageOf<'_>, cursor: &[u8]) -> String {
        // Without a token there is no next page; sealing fails for values of many gigabytes alone.
        let sealed = self.key.seal(&bound(page), cursor, &*self.entropy).unwrap_or_default();
        URL_SAFE_NO_PAD.encode(sealed)
    }

    /// Returns the cursor of a token that was made for `page`.
    pub(crate) fn read(&self, page: PageOf<'_>, token: &str) -> Result<Vec<u8>, BadPageToken> {
        let sealed = URL_SAFE_NO_PAD.decode(token).map_err(|_| BadPageToken)?;
        self.key.open(&bound(page), &sealed).map_err(|_| BadPageToken)
    }
}

impl fmt::Debug for PageTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PageTokens")
    }
}

/// What a token is bound to; each part behind its length, so that no two differ only in where one part ends.
fn bound(page: PageOf<'_>) -> Vec<u8> {
    let PageOf { scope, method, question } = page;
    let mut bytes = DOMAIN.to_vec();
    for part in [scope.tenant().as_str().as_bytes(), method.as_bytes(), question] {
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

    fn page<'a>(scope: &'a TenantScope, method: &'static str, question: &'a [u8]) -> PageOf<'a> {
        PageOf { scope, method, question }
    }

    fn tokens(seed: u8) -> PageTokens {
        PageTokens::under(&Secret::new(vec![seed; KEY_BYTES]), Arc::new(SystemEntropy))
    }

    #[test]
    fn a_token_gives_its_cursor_back() {
        let acme = TestIssuer::new().scope("acme");
        let here = page(&acme, "ListMessages", b"a");

        let token = tokens(1).make(here, b"cursor");

        assert_eq!(tokens(1).read(here, &token).expect("our own"), b"cursor");
        assert_ne!(tokens(1).make(here, b"cursor"), token, "says nothing, not even that it is the same");
    }

    #[test]
    fn a_token_is_good_for_one_tenant_method_and_question() {
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
            let entropy = Arc::new(SystemEntropy);
            let secrets = folder.path().join("secrets");
            let master = mcp_secrets::Master::file(&folder.path().join("master.key"));
            let profile = mcp_runtime::Profile::Development;
            let store = mcp_secrets::SealedStore::open(&secrets, &master, profile, entropy).expect("opens");
            PageTokens::load(&store, Arc::new(SystemEntropy)).await.expect("a key")
        };

        let token = load().await.make(here, b"cursor");

        assert_eq!(load().await.read(here, &token).expect("the same key"), b"cursor");
    }
}
