//! SPIFFE IDs: `spiffe://<trust domain>/<path>`, parsed by the rules of SPIFFE-ID, section 2.

use std::{fmt, str::FromStr, sync::Arc};

use mcp_types::{ServiceName, TrustDomain};

const SCHEME: &str = "spiffe://";
const LENGTH_MAX: usize = 2048;

/// Who a workload is, as its certificate says it.
///
/// The trust domain alone (an empty path) is an ID too: that of the authority itself. No leaf may carry it.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SpiffeId {
    // The whole text first: it decides every comparison.
    text: Arc<str>,
    trust_domain: TrustDomain,
}

/// Why a text is no SPIFFE ID.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BadSpiffeId {
    /// Longer than any implementation must take (SPIFFE-ID, section 2.3).
    #[error("a SPIFFE ID has at most {LENGTH_MAX} bytes")]
    TooLong,
    /// Another scheme, or none, or in capitals.
    #[error("a SPIFFE ID begins with `{SCHEME}`")]
    Scheme,
    /// Empty, or with a character that none may have: user, port, query and fragment end here too.
    #[error("a trust domain is 1 to 255 lower-case letters, digits, dots, hyphens and underscores")]
    TrustDomain,
    /// Empty, or `.`, or `..`, or with a character that none may have, such as `%`.
    #[error(
        "a path segment is letters, digits, dots, hyphens and underscores, and neither empty nor dots alone"
    )]
    Segment,
}

// === impl SpiffeId ===

impl SpiffeId {
    /// The ID of a service: `spiffe://<trust domain>/service/<name>`.
    pub fn service(trust_domain: &TrustDomain, name: &ServiceName) -> Self {
        Self {
            text: format!("{SCHEME}{trust_domain}/service/{name}").into(),
            trust_domain: trust_domain.clone(),
        }
    }

    /// The ID of an operator: `spiffe://<trust domain>/operator/<name>`.
    ///
    /// # Errors
    ///
    /// Where `name` is no path segment.
    pub fn operator(trust_domain: &TrustDomain, name: &str) -> Result<Self, BadSpiffeId> {
        if !is_segment(name) {
            return Err(BadSpiffeId::Segment);
        }
        format!("{SCHEME}{trust_domain}/operator/{name}").parse()
    }

    /// The ID of the trust domain's own authority: `spiffe://<trust domain>`.
    pub fn authority(trust_domain: &TrustDomain) -> Self {
        Self { text: format!("{SCHEME}{trust_domain}").into(), trust_domain: trust_domain.clone() }
    }

    /// The realm whose roots vouch for the ID.
    pub const fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// What follows the trust domain: empty, or beginning with a slash.
    pub fn path(&self) -> &str {
        self.text.get(SCHEME.len() + self.trust_domain.as_str().len()..).unwrap_or("")
    }

    /// The service's name, where this is the ID of one.
    pub fn service_name(&self) -> Option<&str> {
        self.sole_segment_after("/service/")
    }

    /// The operator's name, where this is the ID of one.
    pub fn operator_name(&self) -> Option<&str> {
        self.sole_segment_after("/operator/")
    }

    /// The ID as text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn sole_segment_after(&self, prefix: &str) -> Option<&str> {
        self.path().strip_prefix(prefix).filter(|rest| !rest.contains('/'))
    }
}

impl FromStr for SpiffeId {
    type Err = BadSpiffeId;

    fn from_str(text: &str) -> Result<Self, BadSpiffeId> {
        if text.len() > LENGTH_MAX {
            return Err(BadSpiffeId::TooLong);
        }
        let rest = text.strip_prefix(SCHEME).ok_or(BadSpiffeId::Scheme)?;
        let (trust_domain, path) = match rest.split_once('/') {
            Some((trust_domain, path)) => (trust_domain, Some(path)),
            None => (rest, None),
        };
        let trust_domain = trust_domain.parse().map_err(|_| BadSpiffeId::TrustDomain)?;
        if path.is_some_and(|path| !path.split('/').all(is_segment)) {
            return Err(BadSpiffeId::Segment);
        }
        Ok(Self { text: text.into(), trust_domain })
    }
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn is_segment(segment: &str) -> bool {
    !matches!(segment, "" | "." | "..")
        && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

#[cfg(test)]
mod tests {
    //! What is a SPIFFE ID and what is none.

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_parts_of_a_service_are_read_back() {
        let id: SpiffeId = "spiffe://mcp.local/service/auth".parse().unwrap();

        assert_eq!(id.trust_domain().as_str(), "mcp.local");
        assert_eq!(id.path(), "/service/auth");
        assert_eq!(id.service_name(), Some("auth"));
        assert_eq!(id.operator_name(), None);
        assert_eq!(id, SpiffeId::service(&"mcp.local".parse().unwrap(), &"auth".parse().unwrap()));
    }

    #[test]
    fn an_operator_is_no_service() {
        let id = SpiffeId::operator(&"mcp.local".parse().unwrap(), "Ada_L.1").unwrap();

        assert_eq!(id.to_string(), "spiffe://mcp.local/operator/Ada_L.1");
        assert_eq!((id.operator_name(), id.service_name()), (Some("Ada_L.1"), None));
    }

    #[test]
    fn an_operators_name_is_one_segment() {
        for name in ["", ".", "..", "a/b", "a b", "ä", "a%2fb", "../service/ca"] {
            assert_eq!(SpiffeId::operator(&"td".parse().unwrap(), name), Err(BadSpiffeId::Segment), "{name}");
        }
    }

    #[test]
    fn a_deeper_path_names_no_service() {
        let id: SpiffeId = "spiffe://td/service/auth/shadow".parse().unwrap();

        assert_eq!(id.service_name(), None);
    }

    #[test]
    fn what_the_rules_forbid_is_refused() {
        let long = format!("spiffe://td/{}", "a".repeat(LENGTH_MAX));
        let wide = format!("spiffe://{}/a", "a".repeat(256));
        for (text, why) in [
            ("", BadSpiffeId::Scheme),
            ("https://td/a", BadSpiffeId::Scheme),
            ("SPIFFE://td/a", BadSpiffeId::Scheme),
            ("spiffe:/td/a", BadSpiffeId::Scheme),
            (" spiffe://td/a", BadSpiffeId::Scheme),
            ("spiffe://", BadSpiffeId::TrustDomain),
            ("spiffe:///a", BadSpiffeId::TrustDomain),
            ("spiffe://TD/a", BadSpiffeId::TrustDomain),
            ("spiffe://td:443/a", BadSpiffeId::TrustDomain),
            ("spiffe://user@td/a", BadSpiffeId::TrustDomain),
            ("spiffe://td?x", BadSpiffeId::TrustDomain),
            ("spiffe://tđ/a", BadSpiffeId::TrustDomain),
            (&wide, BadSpiffeId::TrustDomain),
            ("spiffe://td/", BadSpiffeId::Segment),
            ("spiffe://td//a", BadSpiffeId::Segment),
            ("spiffe://td/a/", BadSpiffeId::Segment),
            ("spiffe://td/./a", BadSpiffeId::Segment),
            ("spiffe://td/a/..", BadSpiffeId::Segment),
            ("spiffe://td/a%20b", BadSpiffeId::Segment),
            ("spiffe://td/a?b", BadSpiffeId::Segment),
            ("spiffe://td/a#b", BadSpiffeId::Segment),
            ("spiffe://td/a\0", BadSpiffeId::Segment),
            ("spiffe://td/ü", BadSpiffeId::Segment),
            (&long, BadSpiffeId::TooLong),
        ] {
            assert_eq!(text.parse::<SpiffeId>(), Err(why), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_parses_to_the_same(
            trust_domain in "[a-z0-9._-]{1,255}",
            segments in prop::collection::vec("[A-Za-z0-9._-]{1,20}", 0..6),
        ) {
            prop_assume!(segments.iter().all(|segment| is_segment(segment)));
            let path: String = segments.iter().flat_map(|segment| ["/", segment]).collect();
            let text = format!("spiffe://{trust_domain}{path}");

            let id: SpiffeId = text.parse().unwrap();

            prop_assert_eq!(id.to_string(), text);
            prop_assert_eq!(id.path(), path);
            prop_assert_eq!(id.trust_domain().as_str(), trust_domain);
        }

        #[test]
        fn what_parses_is_printed_as_it_was(text in "spiffe://[a-zA-Z0-9./%?#@:_-]{0,40}") {
            if let Ok(id) = text.parse::<SpiffeId>() {
                prop_assert_eq!(id.to_string(), text);
            }
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".*") {
            let _ = text.parse::<SpiffeId>();
        }
    }
}
