//! A join token: the secret for one first certificate, and the root to expect.

use std::str::FromStr;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use mcp_types::Redacted;

/// A join token, `join.<root>.<secret>`: SHA-256 of the root's DER and 32 random bytes, both in base64url.
///
/// The joiner knows the ca by the root before it says anything, so the secret goes to nobody else.
#[derive(Clone, Debug)]
pub struct JoinToken {
    root_pin: [u8; 32],
    secret: Redacted<[u8; 32]>,
}

/// The text is no join token. It is not repeated, since it may be a secret.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a join token: it has the form `join.<root>.<secret>`")]
pub struct BadJoinToken;

// === impl JoinToken ===

impl JoinToken {
    /// A token for the ca whose root has the SHA-256 `root_pin`.
    pub const fn new(root_pin: [u8; 32], secret: [u8; 32]) -> Self {
        Self { root_pin, secret: Redacted::new(secret) }
    }

    /// SHA-256 of the root's DER.
    pub const fn root_pin(&self) -> [u8; 32] {
        self.root_pin
    }

    /// The secret; the ca keeps its hash alone.
    pub const fn secret(&self) -> &[u8; 32] {
        self.secret.expose()
    }

    /// The token as text, to be handed to the one who joins.
    pub fn expose(&self) -> String {
        let (root, secret) =
            (URL_SAFE_NO_PAD.encode(self.root_pin), URL_SAFE_NO_PAD.encode(self.secret.expose()));
        format!("join.{root}.{secret}")
    }
}

impl FromStr for JoinToken {
    type Err = BadJoinToken;

    fn from_str(text: &str) -> Result<Self, BadJoinToken> {
        let bytes = |text: &str| URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok();
        let mut parts = text.split('.');
        match (parts.next(), parts.next().and_then(bytes), parts.next().and_then(bytes), parts.next()) {
            (Some("join"), Some(root_pin), Some(secret), None) => Ok(Self::new(root_pin, secret)),
            _ => Err(BadJoinToken),
        }
    }
}

#[cfg(test)]
mod tests {
    //! Round trip, and what is none.

    use super::*;

    #[test]
    fn a_token_reads_back_as_it_was_written() {
        let token = JoinToken::new([1; 32], [2; 32]);
        let read: JoinToken = token.expose().parse().unwrap();

        assert_eq!((read.root_pin(), read.secret()), ([1; 32], &[2; 32]));
        assert!(!format!("{token:?}").contains('2'));
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "join", "join..", "join.AA.AA", "hunter2"] {
            assert_eq!(text.parse::<JoinToken>().err(), Some(BadJoinToken), "{text}");
        }
    }
}
