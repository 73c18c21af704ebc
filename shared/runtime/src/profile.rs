//! The three ways to run: what is allowed follows from the profile, not from scattered switches.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where a process runs.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// A developer's machine: loopback only; local sign-in and `mcp token` work.
    Development,
    /// As production, for rehearsals.
    Staging,
    /// For real. What a user gets who names no profile.
    #[default]
    Production,
}

// === impl Profile ===

impl Profile {
    /// Whether this is a developer's machine.
    pub const fn is_development(self) -> bool {
        matches!(self, Self::Development)
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Development => "development",
            Self::Staging => "staging",
            Self::Production => "production",
        })
    }
}
