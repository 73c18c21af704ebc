//! Which contexts a client asks for: a small part of AIP-160's filters, and the two orders there are.

use mcp_types::Timestamp;

/// Tags that one filter may ask for.
pub(crate) const TAGS_MAX: usize = 4;
/// Comparisons that one filter may join.
const TERMS_MAX: usize = 16;

/// Which contexts.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Filter {
    /// Of this type.
    pub(crate) kind: Option<String>,
    /// With all of these tags.
    pub(crate) tags: Vec<String>,
    /// Stored within this time.
    pub(crate) created: Span,
    /// Last changed within this time.
    pub(crate) updated: Span,
    /// Ending within this time; what never ends does so later than all.
    pub(crate) expires: Span,
}

/// A time from one millisecond to another, both included.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Span {
    /// The first.
    pub(crate) from: i64,
    /// The last.
    pub(crate) to: i64,
}

/// In which order.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Order {
    /// By the last change instead of the creation.
    pub(crate) by_update: bool,
    /// The earliest first.
    pub(crate) ascending: bool,
}

/// Why a filter cannot be read.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum BadFilter {
    /// A field that no filter reads.
    #[error(
        "`filter` compares `type`, `tags`, `create_time`, `update_time` and `expire_time`; not `{0}`. Titles, \
         descriptions and data are sealed: search for their words"
    )]
    Field(String),
    /// The field has no such comparison.
    #[error(
        "`filter` has no `{op}` for `{field}`: write `type =`, `tags :`, and `<`, `<=`, `>`, `>=` for times"
    )]
    Operator {
        /// The field.
        field: &'static str,
        /// What stands behind it.
        op: String,
    },
    /// The value is no moment.
    #[error("`filter` compares times like \"2026-01-31T23:59:59Z\"")]
    Moment,
    /// Something is missing, or there is too much.
    #[error("`filter` must be comparisons joined by AND; it cannot be read at character {0}")]
    Syntax(usize),
    /// More than it may ask for.
    #[error("`filter` may join {TERMS_MAX} comparisons, {TAGS_MAX} of them of tags and one of the type")]
    TooMany,
}

/// The order is none of those there are.
#[derive(Debug, thiserror::Error)]
#[error("`order_by` must be `create_time` or `update_time`, with ` desc` behind it for the latest first")]
pub(crate) struct BadOrder;

// === impl Filter ===

impl Filter {
    /// Reads `text`; empty, it lets everything through.
    pub(crate) fn parse(text: &str) -> Result<Self, BadFilter> {
        let mut filter = Self::default();
        let mut rest = Reader { text, at: 0 };
        if rest.next_is_end() {
            return Ok(filter);
        }
        for _ in 0..TERMS_MAX {
            filter.term(&mut rest)?;
            if rest.next_is_end() {
                return Ok(filter);
            }
            if rest.word() != "AND" {
                return Err(rest.unreadable());
            }
        }
        Err(BadFilter::TooMany)
    }

    fn term(&mut self, rest: &mut Reader<'_>) -> Result<(), BadFilter> {
        let name = rest.word();
        if name.is_empty() {
            return Err(rest.unreadable());
        }
        let op = rest.operator();
        let wrong = |field| Err(BadFilter::Operator { field, op: op.to_owned() });
        match (name, op) {
            ("type", "=") => {
                let kind = rest.value()?;
                match &self.kind {
                    Some(_) => return Err(BadFilter::TooMany),
                    None => self.kind = Some(kind),
                }
            }
            ("tags", ":") => {
                self.tags.push(crate::fields::in_form_c(&rest.value()?));
                if self.tags.len() > TAGS_MAX {
                    return Err(BadFilter::TooMany);
                }
            }
            ("create_time", "<" | "<=" | ">" | ">=") => self.created.narrow(op, moment(&rest.value()?)?),
            ("update_time", "<" | "<=" | ">" | ">=") => self.updated.narrow(op, moment(&rest.value()?)?),
            ("expire_time", "<" | "<=" | ">" | ">=") => self.expires.narrow(op, moment(&rest.value()?)?),
            ("type", _) => return wrong("type"),
            ("tags", _) => return wrong("tags"),
            ("create_time", _) => return wrong("create_time"),
            ("update_time", _) => return wrong("update_time"),
            ("expire_time", _) => return wrong("expire_time"),
            _ => return Err(BadFilter::Field(name.chars().take(64).collect())),
        }
        Ok(())
    }
}

// === impl Span ===

impl Default for Span {
    fn default() -> Self {
        Self { from: i64::MIN, to: i64::MAX }
    }
}

impl Span {
    /// Whether `moment` is in it.
    pub(crate) fn has(self, moment: i64) -> bool {
        self.from <= moment && moment <= self.to
    }

    fn narrow(&mut self, op: &str, moment: i64) {
        match op {
            "<" => self.to = self.to.min(moment.saturating_sub(1)),
            "<=" => self.to = self.to.min(moment),
            ">" => self.from = self.from.max(moment.saturating_add(1)),
            _ => self.from = self.from.max(moment),
        }
    }
}

// === impl Order ===

impl Order {
    /// Reads `text`; empty, the newest come first.
    pub(crate) fn parse(text: &str) -> Result<Self, BadOrder> {
        let mut words = text.split_whitespace();
        let by_update = match words.next() {
            None => return Ok(Self::default()),
            Some("create_time") => false,
            Some("update_time") => true,
            Some(_) => return Err(BadOrder),
        };
        match (words.next(), words.next()) {
            (None | Some("asc"), None) => Ok(Self { by_update, ascending: true }),
            (Some("desc"), None) => Ok(Self { by_update, ascending: false }),
            _ => Err(BadOrder),
        }
    }
}

/// A filter that is being read.
struct Reader<'a> {
    text: &'a str,
    at: usize,
}

// === impl Reader ===

impl<'a> Reader<'a> {
    fn skip_blanks(&mut self) -> &'a str {
        let rest = &self.text[self.at..];
        let trimmed = rest.trim_start();
        self.at += rest.len() - trimmed.len();
        trimmed
    }

    fn next_is_end(&mut self) -> bool {
        self.skip_blanks().is_empty()
    }

    fn take(&mut self, bytes: usize) -> &'a str {
        let taken = &self.text[self.at..self.at + bytes];
        self.at += bytes;
        taken
    }

    fn word(&mut self) -> &'a str {
        let rest = self.skip_blanks();
        let end = rest.find(|it: char| !(it.is_alphanumeric() || it == '_' || it == '.' || it == '-'));
        self.take(end.unwrap_or(rest.len()))
    }

    fn operator(&mut self) -> &'a str {
        let rest = self.skip_blanks();
        let end = rest.find(|it: char| !matches!(it, '<' | '>' | '=' | ':' | '!')).unwrap_or(rest.len());
        self.take(end)
    }

    /// A word, or a text in quotes with `\"` and `\\` in it.
    fn value(&mut self) -> Result<String, BadFilter> {
        let rest = self.skip_blanks();
        let Some(quoted) = rest.strip_prefix('"') else {
            let word = self.word();
            return if word.is_empty() { Err(self.unreadable()) } else { Ok(word.to_owned()) };
        };
        let mut value = String::new();
        let mut letters = quoted.char_indices();
        while let Some((at, letter)) = letters.next() {
            match letter {
                '"' => {
                    self.at += at + 2;
                    return Ok(value);
                }
                '\\' => match letters.next() {
                    Some((_, escaped @ ('"' | '\\'))) => value.push(escaped),
                    _ => return Err(self.unreadable()),
                },
                other => value.push(other),
            }
        }
        Err(self.unreadable())
    }

    fn unreadable(&self) -> BadFilter {
        BadFilter::Syntax(self.text[..self.at].chars().count() + 1)
    }
}

/// A moment of RFC 3339 in UTC, with any number of decimals; what is below a millisecond is cut off.
fn moment(text: &str) -> Result<i64, BadFilter> {
    let body = text.strip_suffix(['Z', 'z']).ok_or(BadFilter::Moment)?;
    let (whole, decimals) = body.split_once('.').unwrap_or((body, "0"));
    if decimals.is_empty() || !decimals.bytes().all(|it| it.is_ascii_digit()) {
        return Err(BadFilter::Moment);
    }
    let millis: String = decimals.bytes().map(char::from).chain("00".chars()).take(3).collect();
    let moment: Timestamp = format!("{whole}.{millis}Z").parse().map_err(|_| BadFilter::Moment)?;
    Ok(moment.unix_millis())
}

#[cfg(test)]
mod tests {
    //! What a filter says, and what it cannot.

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn comparisons_are_joined() {
        let read = Filter::parse(
            r#"type = chat AND tags:"two words" AND tags : b AND create_time >= "2026-01-01T00:00:00Z" AND create_time < "2026-01-02T00:00:00.5Z""#,
        );
        let read = read.expect("a filter");
        assert_eq!(read.kind.as_deref(), Some("chat"));
        assert_eq!(read.tags, ["two words", "b"]);
        assert_eq!(read.created, Span { from: 1_767_225_600_000, to: 1_767_312_000_499 });
        assert_eq!((read.updated, read.expires), (Span::default(), Span::default()));
        assert_eq!(Filter::parse("  ").expect("everything"), Filter::default());
    }

    #[test]
    fn a_value_in_quotes_may_hold_quotes() {
        assert_eq!(Filter::parse(r#"tags:"a \"b\" \\ AND""#).expect("a filter").tags, [r#"a "b" \ AND"#]);
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_its_place() {
        for (text, at) in [
            ("type", 5),
            ("type = ", 8),
            ("type = a b", 11),
            ("type = \"a", 8),
            ("= a", 1),
            ("type = a AND", 13),
        ] {
            let refused = Filter::parse(text);
            assert!(
                matches!(refused, Err(BadFilter::Syntax(_) | BadFilter::Operator { .. })),
                "{text}: {refused:?}"
            );
            if let Err(BadFilter::Syntax(place)) = refused {
                assert_eq!(place, at, "{text}");
            }
        }
    }

    #[test]
    fn sealed_fields_and_other_comparisons_are_refused() {
        assert_eq!(Filter::parse("title = x"), Err(BadFilter::Field("title".to_owned())));
        assert!(matches!(Filter::parse("type : x"), Err(BadFilter::Operator { field: "type", .. })));
        assert!(matches!(Filter::parse("create_time = x"), Err(BadFilter::Operator { .. })));
        assert_eq!(Filter::parse("create_time < yesterday"), Err(BadFilter::Moment));
        assert_eq!(Filter::parse("type = a AND type = b"), Err(BadFilter::TooMany));
        assert_eq!(
            Filter::parse("tags:a AND tags:b AND tags:c AND tags:d AND tags:e"),
            Err(BadFilter::TooMany)
        );
    }

    #[test]
    fn an_order_is_one_of_four() {
        assert_eq!(Order::parse("").expect("an order"), Order { by_update: false, ascending: false });
        assert_eq!(
            Order::parse("create_time").expect("an order"),
            Order { by_update: false, ascending: true }
        );
        assert_eq!(
            Order::parse("update_time desc").expect("an order"),
            Order { by_update: true, ascending: false }
        );
        for other in ["title", "create_time down", "create_time desc x", "create_time, update_time"] {
            assert!(Order::parse(other).is_err(), "{other}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(text in "\\PC{0,60}") {
            let _ = Filter::parse(&text);
            let _ = Filter::parse(&format!("type = {text}"));
            let _ = Filter::parse(&format!("tags : \"{text}"));
        }
    }
}
