//! The tokenizers that budgets are counted in, each exact.
//!
//! `unicode-words` counts the words of Unicode Standard Annex 29. `cl100k_base` and `o200k_base` are byte pair
//! encodings; their tables take 33 and 67 MB of memory, so the first text that is counted loads them, on a thread
//! that may block.

mod pairs;
mod words;

use mcp_rpc::internal;
use tonic::Status;

pub(crate) use self::words::count;

/// Texts of this many bytes are counted where they stand; longer ones would hold up other calls.
const INLINE_BYTES_MAX: usize = 16 * 1024;

/// What counts as a token.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) enum Tokenizer {
    /// The words of Unicode Standard Annex 29.
    #[default]
    UnicodeWords,
    /// The encoding of `OpenAI`'s models up to GPT-4.
    Cl100kBase,
    /// The encoding of `OpenAI`'s models since GPT-4o.
    O200kBase,
}

// === impl Tokenizer ===

impl Tokenizer {
    /// The tokenizer of that name on the wire; the empty name is the default's.
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "" | "unicode-words" => Some(Self::UnicodeWords),
            "cl100k_base" => Some(Self::Cl100kBase),
            "o200k_base" => Some(Self::O200kBase),
            _ => None,
        }
    }

    /// Its name on the wire.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::UnicodeWords => "unicode-words",
            Self::Cl100kBase => "cl100k_base",
            Self::O200kBase => "o200k_base",
        }
    }

    /// How many tokens `text` has. The first text may take as long as loading the tables does.
    pub(crate) fn count(self, text: &str) -> u32 {
        match self {
            Self::UnicodeWords => count(text),
            Self::Cl100kBase | Self::O200kBase => pairs::count(self, text),
        }
    }

    /// As much of the beginning of `text` as `tokens` and `bytes` allow, cut behind a word, and its tokens.
    pub(crate) fn cut(self, text: &str, tokens: u32, bytes: usize) -> (&str, u32) {
        match self {
            Self::UnicodeWords => words::cut(text, tokens, bytes),
            Self::Cl100kBase | Self::O200kBase => pairs::cut(self, text, tokens, bytes),
        }
    }

    /// The fewest tokens that a text of `bytes` bytes and `words` words can have.
    pub(crate) const fn least(self, words: u64, bytes: u64) -> u64 {
        match self {
            Self::UnicodeWords => words,
            Self::Cl100kBase | Self::O200kBase => bytes.div_ceil(pairs::TOKEN_BYTES_MAX),
        }
    }

    /// The tokens that a text of `bytes` bytes and `words` words may well have; few have fewer.
    pub(crate) const fn guess(self, words: u64, bytes: u64) -> u64 {
        match self {
            Self::UnicodeWords => words,
            Self::Cl100kBase | Self::O200kBase => bytes / 8,
        }
    }

    /// Words to ask of one who counts words, for a text of about `tokens` tokens.
    ///
    /// What comes back is counted and cut, so a guess that is too high costs the end of a summary and no more.
    pub(crate) const fn words(self, tokens: u32) -> u32 {
        match self {
            Self::UnicodeWords => tokens,
            // English has four tokens in three words; other languages have more.
            Self::Cl100kBase | Self::O200kBase => tokens / 4 * 3,
        }
    }

    /// Whether counting `bytes` bytes is quick enough to be done between two calls.
    const fn is_quick(self, bytes: usize) -> bool {
        matches!(self, Self::UnicodeWords) && bytes <= INLINE_BYTES_MAX
    }
}

/// Does what counts `bytes` bytes with `tokenizer` where it holds up no other call.
pub(crate) async fn aside<T: Send + 'static>(
    tokenizer: Tokenizer,
    bytes: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Status> {
    if tokenizer.is_quick(bytes) {
        return Ok(work());
    }
    tokio::task::spawn_blocking(work).await.map_err(|error| internal("count tokens", &error))
}

#[cfg(test)]
mod tests;
