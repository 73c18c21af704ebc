//! The names of tenants, users, services, trust domains and requests, each parsed once.

use std::{fmt, str::FromStr, sync::Arc};

use crate::{Entropy, Timestamp, uuid_v7};

/// A tenant's immutable, never reused name: 2 to 40 of `a-z0-9-`, a letter first, no hyphen last.
///
/// A name, not a right: what acts inside a tenant holds a `TenantScope`.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TenantSlug(Arc<str>);

/// A user's name within a tenant: 1 to 127 of `a-z0-9._@+-`, a letter or digit first.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct UserName(Arc<str>);

/// A service's name, as in `spiffe://<trust domain>/service/<name>`: 1 to 63 of `a-z0-9-`, a letter first.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ServiceName(Arc<str>);

/// A SPIFFE trust domain's name (SPIFFE-ID, section 2.1): 1 to 255 of `a-z0-9._-`.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TrustDomain(Arc<str>);

/// Joins what one request leaves in logs, audit rows and errors: 1 to 64 of `A-Za-z0-9._-`.
///
/// It correlates and nothing else.
#[derive(Clone, Eq, Hash, PartialEq)]
pub struct RequestId(Arc<str>);

/// Why a text is no name.
#[derive(Debug, thiserror::Error)]
#[error("{kind} must be {rule}")]
pub struct BadName {
    kind: &'static str,
    rule: &'static str,
}

macro_rules! name {
    ($name:ident, $kind:literal, $rule:literal, $holds:expr) => {
        impl FromStr for $name {
            type Err = BadName;

            fn from_str(text: &str) -> Result<Self, BadName> {
                let holds: fn(&[u8]) -> bool = $holds;
                if holds(text.as_bytes()) {
                    Ok(Self(text.into()))
                } else {
                    Err(BadName { kind: $kind, rule: $rule })
                }
            }
        }

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The name as text that shares its memory.
            pub fn shared(&self) -> Arc<str> {
                Arc::clone(&self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    TenantSlug,
    "a tenant",
    "2 to 40 lower-case letters, digits and hyphens, a letter first and no hyphen last",
    |text| {
        (2..=40).contains(&text.len())
            && text[0].is_ascii_lowercase()
            && text[text.len() - 1] != b'-'
            && text.iter().all(|&byte| lower(byte) || byte == b'-')
    }
);

name!(
    UserName,
    "a user",
    "1 to 127 lower-case letters, digits and `._@+-`, a letter or digit first",
    |text| {
        (1..=127).contains(&text.len())
            && lower(text[0])
            && text.iter().all(|&byte| lower(byte) || b"._@+-".contains(&byte))
    }
);

name!(ServiceName, "a service", "1 to 63 lower-case letters, digits and hyphens, a letter first", |text| {
    (1..=63).contains(&text.len())
        && text[0].is_ascii_lowercase()
        && text.iter().all(|&byte| lower(byte) || byte == b'-')
});

name!(
    TrustDomain,
    "a trust domain",
    "1 to 255 lower-case letters, digits, dots, hyphens and underscores",
    |text| {
        (1..=255).contains(&text.len()) && text.iter().all(|&byte| lower(byte) || b"._-".contains(&byte))
    }
);

name!(RequestId, "a request ID", "1 to 64 letters, digits, dots, hyphens and underscores", |text| {
    (1..=64).contains(&text.len())
        && text.iter().all(|&byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
});

// === impl RequestId ===

impl RequestId {
    /// Makes an ID of the moment `now`.
    pub fn draw(now: Timestamp, entropy: &dyn Entropy) -> Self {
        let mut buffer = [0; uuid::fmt::Hyphenated::LENGTH];
        Self(Arc::from(&*uuid_v7(now, entropy).hyphenated().encode_lower(&mut buffer)))
    }
}

fn lower(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

#[cfg(test)]
mod tests {
    //! What is a name and what is none.

    use super::*;

    #[test]
    fn tenants_are_slugs() {
        for good in ["ab", "acme", "a-1", "a1"] {
            assert!(good.parse::<TenantSlug>().is_ok(), "{good}");
        }
        let long = "a".repeat(41);
        for bad in ["", "a", "1a", "-ab", "ab-", "Acme", "a.b", "a/b", "ac\u{0}me", "äb", &long] {
            assert!(bad.parse::<TenantSlug>().is_err(), "{bad}");
        }
    }

    #[test]
    fn request_ids_carry_nothing_that_a_log_could_trip_over() {
        assert!("01J-x_y.z".parse::<RequestId>().is_ok());
        for bad in ["", "a b", "a\n", "a\"", "ü", &"a".repeat(65)] {
            assert!(bad.parse::<RequestId>().is_err(), "{bad}");
        }
    }
}
