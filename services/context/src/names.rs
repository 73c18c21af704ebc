//! The names of contexts and messages, relative to the caller's tenant.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Names a context.
#[derive(Clone, Copy, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct ContextId(Uuid);

/// A text that names no context.
#[derive(Debug, thiserror::Error)]
#[error("a context's name must be `contexts/` and a UUID in lower case")]
pub(crate) struct BadContextName;

// === impl ContextId ===

impl ContextId {
    /// The context with the ID `id`.
    pub(crate) const fn new(id: Uuid) -> Self {
        Self(id)
    }

    /// The context whose ID has these bytes.
    pub(crate) const fn of(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// Reads `contexts/<uuid>`; other spellings of the same UUID are no names.
    pub(crate) fn parse(name: &str) -> Result<Self, BadContextName> {
        let spelt = name.strip_prefix("contexts/").ok_or(BadContextName)?;
        let id = Self(Uuid::try_parse(spelt).map_err(|_| BadContextName)?);
        if id.to_string() == name { Ok(id) } else { Err(BadContextName) }
    }

    /// The ID that [`Self::as_bytes`] gave.
    pub(crate) fn from_slice(bytes: &[u8]) -> Option<Self> {
        Uuid::from_slice(bytes).ok().map(Self)
    }

    /// The ID's sixteen bytes, which sort by time.
    pub(crate) const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// Reads `contexts/<uuid>` or `contexts/<uuid>@<version>`.
    pub(crate) fn parse_at(name: &str) -> Result<(Self, Option<u64>), BadContextName> {
        match name.split_once('@') {
            None => Ok((Self::parse(name)?, None)),
            Some((name, version)) => {
                let read: u64 = version.parse().map_err(|_| BadContextName)?;
                if read.to_string() == version {
                    Ok((Self::parse(name)?, Some(read)))
                } else {
                    Err(BadContextName)
                }
            }
        }
    }

    /// The name of what it was at `version`.
    pub(crate) fn at(self, version: u64) -> String {
        format!("{self}@{version}")
    }

    /// The name of its message number `n`.
    pub(crate) fn message(self, n: u64) -> String {
        format!("{self}/messages/{n}")
    }
}

impl fmt::Display for ContextId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "contexts/{}", self.0.hyphenated())
    }
}

impl fmt::Debug for ContextId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<ContextId> for String {
    fn from(id: ContextId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for ContextId {
    type Error = BadContextName;

    fn try_from(name: String) -> Result<Self, BadContextName> {
        Self::parse(&name)
    }
}

#[cfg(test)]
mod tests {
    //! One spelling a name.

    use super::*;

    #[test]
    fn a_context_has_one_spelling() {
        let name = "contexts/0190b3c5-8f1a-7cc0-a6f0-8e6f6b5c0f11";
        assert_eq!(ContextId::parse(name).expect("a name").to_string(), name);
        for other in [
            "",
            "contexts/",
            "0190b3c5-8f1a-7cc0-a6f0-8e6f6b5c0f11",
            "contexts/0190B3C5-8f1a-7cc0-a6f0-8e6f6b5c0f11",
            "contexts/0190b3c58f1a7cc0a6f08e6f6b5c0f11",
            "contexts/{0190b3c5-8f1a-7cc0-a6f0-8e6f6b5c0f11}",
            "contexts/0190b3c5-8f1a-7cc0-a6f0-8e6f6b5c0f11/",
        ] {
            assert!(ContextId::parse(other).is_err(), "{other}");
        }
    }

    #[test]
    fn a_version_has_one_spelling() {
        let name = "contexts/0190b3c5-8f1a-7cc0-a6f0-8e6f6b5c0f11";
        let (id, version) = ContextId::parse_at(&format!("{name}@17")).expect("a name");
        assert_eq!((id.at(17), version), (format!("{name}@17"), Some(17)));
        assert_eq!(ContextId::parse_at(name).expect("a name").1, None);
        for other in ["@", "@017", "@+17", "@x", "@17@17", "@99999999999999999999"] {
            assert!(ContextId::parse_at(&format!("{name}{other}")).is_err(), "{other}");
        }
    }
}
