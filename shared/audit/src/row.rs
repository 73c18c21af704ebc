//! One decision, as a row.

use mcp_tenancy::AuditClass;
use mcp_types::{RequestId, TenantSlug, Timestamp};
use serde::{Deserialize, Serialize};

use crate::Word;

/// The reason of a row that stands for many refusals of strangers.
pub const ROWS_FOLDED: &str = "REFUSALS_FOLDED";
/// The reason of a row that stands for rows which could not be kept.
pub const ROWS_LOST: &str = "ROWS_LOST";

/// One decision about one call, or one act of a service on its own account.
///
/// What is not known is left out. A row never holds a payload, a token or a secret: it says who asked for
/// what and how that was answered, and no more.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct AuditRow {
    /// When it was decided.
    #[serde(with = "text")]
    pub time: Timestamp,
    /// The request that all rows, log lines and errors of a call share.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_text")]
    pub request_id: Option<RequestId>,
    /// The trace that the call belongs to, as 32 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<Word>,
    /// The service that decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<Word>,
    /// The listener that the call came in by: `mesh`, `edge`, `bootstrap`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listener: Option<Word>,
    /// What was called: `/<package>.<Service>/<Method>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<Word>,
    /// The connection's other end, by its certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<Word>,
    /// The user, by the token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principal: Option<Word>,
    /// The tenant, by the token.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_text")]
    pub tenant: Option<TenantSlug>,
    /// What was decided; left out where the row is about the log itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<Decision>,
    /// How the method wants its decisions recorded.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "class")]
    pub class: Option<AuditClass>,
    /// The status that the caller got, as gRPC names it: `PERMISSION_DENIED`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Word>,
    /// The stable reason that the caller got: `PERMISSION_MISSING`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Word>,
    /// The rule that decided and, for a refusal, what would have let it pass; never told to the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<Word>,
    /// How many decisions the row stands for, where that is not one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// When the first of them was decided.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_text")]
    pub since: Option<Timestamp>,
}

/// What was decided.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// The call went on to its handler.
    Allow,
    /// It did not.
    Deny,
}

// === impl AuditRow ===

impl AuditRow {
    /// A row of the moment `time` that says nothing more yet.
    pub fn at(time: Timestamp) -> Self {
        Self {
            time,
            request_id: None,
            trace_id: None,
            service: None,
            listener: None,
            method: None,
            peer: None,
            principal: None,
            tenant: None,
            decision: None,
            class: None,
            code: None,
            reason: None,
            rule: None,
            count: None,
            since: None,
        }
    }

    /// Whether this is a refusal of somebody who showed neither token nor certificate. Anybody can cause
    /// any number of these, so a sink may fold them.
    pub fn is_refusal_of_a_stranger(&self) -> bool {
        let has_peer = self.peer.as_ref().is_some_and(|it| it != "unidentified");
        self.decision == Some(Decision::Deny) && self.principal.is_none() && !has_peer
    }
}

mod text {
    //! Values as the text that they print and parse.

    use std::{fmt::Display, str::FromStr};

    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(super) fn deserialize<'de, T: FromStr<Err: Display>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

mod optional_text {
    //! The same, where there may be none.

    use std::{fmt::Display, str::FromStr};

    use serde::{Deserializer, Serializer};

    use super::text;

    pub(super) fn serialize<T: Display, S: Serializer>(
        value: &Option<T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => text::serialize(value, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, T: FromStr<Err: Display>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<T>, D::Error> {
        text::deserialize(deserializer).map(Some)
    }
}

mod class {
    //! Audit classes by name.

    use mcp_tenancy::AuditClass;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    const CLASSES: [(AuditClass, &str); 5] = [
        (AuditClass::Refusals, "refusals"),
        (AuditClass::Read, "read"),
        (AuditClass::Write, "write"),
        (AuditClass::Admin, "admin"),
        (AuditClass::Authentication, "authentication"),
    ];

    pub(super) fn serialize<S: Serializer>(
        class: &Option<AuditClass>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match CLASSES.iter().find(|(it, _)| Some(*it) == *class) {
            Some((_, name)) => serializer.serialize_str(name),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<AuditClass>, D::Error> {
        let text = String::deserialize(deserializer)?;
        match CLASSES.iter().find(|(_, name)| *name == text) {
            Some((class, _)) => Ok(Some(*class)),
            None => Err(D::Error::custom("no such audit class")),
        }
    }
}

#[cfg(test)]
mod tests {
    //! What a row looks like on the page.

    use super::*;
    use crate::WORD_BYTES_MAX;

    fn full() -> AuditRow {
        AuditRow {
            request_id: Some("r-1".parse().expect("an id")),
            trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736".into()),
            service: Some("context".into()),
            listener: Some("mesh".into()),
            method: Some("/mcp.context.v1.ContextService/GetContext".into()),
            peer: Some("service/gateway".into()),
            principal: Some("alice".into()),
            tenant: Some("acme".parse().expect("a slug")),
            decision: Some(Decision::Deny),
            class: Some(AuditClass::Read),
            code: Some("PERMISSION_DENIED".into()),
            reason: Some("PERMISSION_MISSING".into()),
            rule: Some("caller lacks permission `context.read`".into()),
            count: Some(1),
            since: Some(Timestamp::from_unix_millis(1)),
            ..AuditRow::at(Timestamp::from_unix_millis(2))
        }
    }

    #[test]
    fn a_row_reads_back_as_it_was_written() {
        let text = serde_json::to_string(&full()).expect("json");
        assert!(text.starts_with(r#"{"time":"1970-01-01T00:00:00.002Z","request_id":"r-1","#), "{text}");
        assert!(text.contains(r#""decision":"deny","class":"read","code":"PERMISSION_DENIED""#), "{text}");
        assert_eq!(serde_json::from_str::<AuditRow>(&text).expect("a row"), full());
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        let row = AuditRow::at(Timestamp::default());
        let text = serde_json::to_string(&row).expect("json");
        assert_eq!(text, r#"{"time":"1970-01-01T00:00:00.000Z"}"#);
        assert_eq!(serde_json::from_str::<AuditRow>(&text).expect("a row"), row);
    }

    #[test]
    fn a_strangers_text_stays_on_its_line_and_within_bounds() {
        let mut row = AuditRow::at(Timestamp::default());
        row.method = Some(format!("a\n\"\u{2028}{}", "é".repeat(1000)).into());
        let text = serde_json::to_string(&row).expect("json");
        assert!(!text.contains('\n'));
        assert!(text.len() < 2 * WORD_BYTES_MAX, "{}", text.len());
    }

    #[test]
    fn a_stranger_shows_neither_token_nor_certificate() {
        let stranger = AuditRow { principal: None, peer: None, ..full() };
        assert!(stranger.is_refusal_of_a_stranger());
        assert!(
            AuditRow { peer: Some("unidentified".into()), ..stranger.clone() }.is_refusal_of_a_stranger()
        );
        for known in [
            full(),
            AuditRow { principal: None, ..full() },
            AuditRow { principal: Some("alice".into()), ..stranger.clone() },
            AuditRow { decision: Some(Decision::Allow), ..stranger },
        ] {
            assert!(!known.is_refusal_of_a_stranger(), "{known:?}");
        }
    }
}
