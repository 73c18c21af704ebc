//! Where tokens come from.

use std::{error::Error, future::Future, pin::Pin};

/// A token that is on its way.
pub type TokenFuture<'a> = Pin<Box<dyn Future<Output = Result<String, TokenUnavailable>> + Send + 'a>>;

/// Gives access tokens. Asked before each call, so that it should keep the one it has while that lives.
///
/// A text gives itself; a function that returns a future gives what that yields.
pub trait TokenSource: Send + Sync + 'static {
    /// The token to use now.
    fn token(&self) -> TokenFuture<'_>;

    /// The platform said that `token` has expired: another one is asked for next, and used once.
    fn expired(&self, token: &str) {
        let _ = token;
    }
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
#[error("no access token")]
pub struct TokenUnavailable(#[source] Box<dyn Error + Send + Sync>);

// === impl TokenUnavailable ===

impl TokenUnavailable {
    /// There is none because of `cause`.
    pub fn because(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(cause.into())
    }
}

impl TokenSource for String {
    fn token(&self) -> TokenFuture<'_> {
        Box::pin(async { Ok(self.clone()) })
    }
}

impl TokenSource for &'static str {
    fn token(&self) -> TokenFuture<'_> {
        Box::pin(async { Ok((*self).to_owned()) })
    }
}

impl<F, T> TokenSource for F
where
    F: Fn() -> T + Send + Sync + 'static,
    T: Future<Output = Result<String, TokenUnavailable>> + Send + 'static,
{
    fn token(&self) -> TokenFuture<'_> {
        Box::pin(self())
    }
}
