//! What a client may write in a context, in one spelling.
//!
//! The codec has held every field to its rule already. What is left is Unicode's: the same title can be
//! written in several ways, so titles and tags are kept in Normalization Form C (Unicode Standard Annex 15).

use std::{collections::HashSet, time::Duration};

use mcp_proto::context::v1::{self as pb, context::Expiration};
use mcp_types::Timestamp;
use prost_types::FieldMask;
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization as _;

use crate::data::{BadData, Data};

/// The rules of `Context.title` and `Context.tags` in characters; composing can lengthen a text.
const TITLE_CHARS_MAX: usize = 256;
const TAG_CHARS_MAX: usize = 64;
/// How far ahead a context may end.
const AHEAD_MAX: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// What a client may write in a context.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Fields {
    /// The kind of context, in the client's own words.
    pub(crate) kind: String,
    /// In Form C.
    pub(crate) title: String,
    /// As it came.
    pub(crate) description: String,
    /// In Form C, each once, in the order given.
    pub(crate) tags: Vec<String>,
    /// What the client keeps with it.
    pub(crate) data: Data,
    /// When it ends, if it does.
    pub(crate) expires: Option<Timestamp>,
}

/// Which fields an update takes over.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Mask {
    kind: bool,
    title: bool,
    description: bool,
    tags: bool,
    data: bool,
    expires: bool,
}

/// Why fields cannot be taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadFields {
    /// Two tags are the same text, perhaps in two spellings.
    #[error("`context.tags` must not repeat a tag")]
    TagRepeated,
    /// In Form C the text is longer than its rule allows.
    #[error("`{field}` is too long in Unicode's Normalization Form C")]
    TooLong {
        /// Which field.
        field: &'static str,
    },
    /// The structure is not within its bounds.
    #[error(transparent)]
    Data(#[from] BadData),
    /// The context would end too late, or has ended.
    #[error("`context.expire_time` must lie ahead, by at most ten years")]
    Expiration,
}

/// The update mask names what cannot be changed.
#[derive(Debug, thiserror::Error)]
#[error("`update_mask` may name `type`, `title`, `description`, `tags`, `data`, `expire_time` and `ttl`")]
pub(crate) struct BadMask;

// === impl Fields ===

impl Fields {
    /// Takes over what `context` says at the moment `now`.
    pub(crate) fn of(context: pb::Context, now: Timestamp) -> Result<Self, BadFields> {
        let expires = context.expiration.as_ref().map(|end| moment(end, now)).transpose()?;
        let data = Data::of(context.data.as_ref())?;
        let title = composed(&context.title, TITLE_CHARS_MAX, "context.title")?;
        let tags = context
            .tags
            .iter()
            .map(|tag| composed(tag, TAG_CHARS_MAX, "context.tags"))
            .collect::<Result<Vec<_>, _>>()?;
        if tags.iter().collect::<HashSet<_>>().len() < tags.len() {
            return Err(BadFields::TagRepeated);
        }
        Ok(Self { kind: context.r#type, title, description: context.description, tags, data, expires })
    }

    /// Takes over from `new` what `mask` names.
    pub(crate) fn take(&mut self, new: Self, mask: Mask) {
        if mask.kind {
            self.kind = new.kind;
        }
        if mask.title {
            self.title = new.title;
        }
        if mask.description {
            self.description = new.description;
        }
        if mask.tags {
            self.tags = new.tags;
        }
        if mask.data {
            self.data = new.data;
        }
        if mask.expires {
            self.expires = new.expires;
        }
    }

    /// Bytes in it, about as many as it takes on the wire.
    pub(crate) fn bytes(&self) -> u64 {
        let tags: usize = self.tags.iter().map(String::len).sum();
        (self.kind.len() + self.title.len() + self.description.len() + tags + self.data.len()) as u64
    }
}

// === impl Mask ===

impl Mask {
    const EVERYTHING: Self =
        Self { kind: true, title: true, description: true, tags: true, data: true, expires: true };

    /// Reads a mask; none, or one that names nothing, means everything.
    pub(crate) fn of(mask: Option<&FieldMask>) -> Result<Self, BadMask> {
        let Some(mask) = mask.filter(|mask| !mask.paths.is_empty()) else { return Ok(Self::EVERYTHING) };
        let mut named = Self::default();
        for path in &mask.paths {
            *match path.as_str() {
                "type" => &mut named.kind,
                "title" => &mut named.title,
                "description" => &mut named.description,
                "tags" => &mut named.tags,
                "data" => &mut named.data,
                "expire_time" | "ttl" => &mut named.expires,
                _ => return Err(BadMask),
            } = true;
        }
        Ok(named)
    }
}

/// `text` in Form C.
pub(crate) fn in_form_c(text: &str) -> String {
    text.nfc().collect()
}

fn moment(end: &Expiration, now: Timestamp) -> Result<Timestamp, BadFields> {
    let millis =
        |seconds: i64, nanos: i32| seconds.checked_mul(1000)?.checked_add(i64::from(nanos) / 1_000_000);
    let end = match end {
        Expiration::ExpireTime(moment) => millis(moment.seconds, moment.nanos),
        Expiration::Ttl(from_now) => {
            millis(from_now.seconds, from_now.nanos).and_then(|it| now.unix_millis().checked_add(it))
        }
    };
    let end = Timestamp::from_unix_millis(end.ok_or(BadFields::Expiration)?);
    if end <= now || end > now.plus(AHEAD_MAX) { Err(BadFields::Expiration) } else { Ok(end) }
}

fn composed(text: &str, chars_max: usize, field: &'static str) -> Result<String, BadFields> {
    let composed = in_form_c(text);
    if composed.chars().count() > chars_max {
        return Err(BadFields::TooLong { field });
    }
    Ok(composed)
}

#[cfg(test)]
mod tests {
    //! One spelling, and only what the mask names.

    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_secs(1_790_000_000);

    fn tagged(tags: &[&str]) -> Result<Fields, BadFields> {
        let tags = tags.iter().map(ToString::to_string).collect();
        Fields::of(pb::Context { tags, ..Default::default() }, NOW)
    }

    fn ending(expiration: Expiration) -> Result<Option<Timestamp>, BadFields> {
        let context = pb::Context { expiration: Some(expiration), ..Default::default() };
        Fields::of(context, NOW).map(|it| it.expires)
    }

    fn mask(paths: &[&str]) -> Result<Mask, BadMask> {
        Mask::of(Some(&FieldMask { paths: paths.iter().map(ToString::to_string).collect() }))
    }

    #[test]
    fn two_spellings_of_a_title_are_kept_as_one() {
        let [composed, decomposed] = ["caf\u{e9}", "cafe\u{301}"].map(|title| {
            Fields::of(pb::Context { title: title.to_owned(), ..Default::default() }, NOW)
                .expect("fields")
                .title
        });
        assert_eq!(composed, decomposed);
    }

    #[test]
    fn a_tag_in_two_spellings_is_repeated() {
        assert!(matches!(tagged(&["caf\u{e9}", "cafe\u{301}"]), Err(BadFields::TagRepeated)));
        assert_eq!(tagged(&["b", "a"]).expect("fields").tags, ["b", "a"]);
    }

    #[test]
    fn what_composing_makes_too_long_is_refused() {
        // U+FB2C is excluded from composition: Form C spells it with three characters.
        assert!(matches!(tagged(&["\u{fb2c}".repeat(22).as_str()]), Err(BadFields::TooLong { .. })));
        assert!(tagged(&["\u{fb2c}".repeat(21).as_str()]).is_ok());
    }

    #[test]
    fn a_context_ends_ahead_and_within_ten_years() {
        let at = |seconds| Expiration::ExpireTime(prost_types::Timestamp { seconds, nanos: 5_999_999 });
        let after = |seconds| Expiration::Ttl(prost_types::Duration { seconds, nanos: 5_000_000 });
        let now = NOW.unix_secs();
        let minute = Timestamp::from_unix_millis((now + 60) * 1000 + 5);

        assert_eq!(ending(at(now + 60)).expect("ahead"), Some(minute));
        assert_eq!(ending(after(60)).expect("ahead"), Some(minute));
        for passed in [at(now - 1), at(i64::MAX), after(i64::MAX), at(now + 400_000_000), after(-5)] {
            assert!(matches!(ending(passed), Err(BadFields::Expiration)));
        }
    }

    #[test]
    fn a_mask_names_what_is_taken_over() {
        let mut kept = Fields { kind: "chat".to_owned(), title: "old".to_owned(), ..Fields::default() };
        let new = Fields { title: "new".to_owned(), ..Fields::default() };

        kept.take(new.clone(), mask(&["title"]).expect("a mask"));
        assert_eq!((kept.kind.as_str(), kept.title.as_str()), ("chat", "new"));

        kept.take(new, mask(&[]).expect("a mask"));
        assert_eq!(kept.kind, "");
    }

    #[test]
    fn a_mask_cannot_name_what_is_not_the_clients() {
        for path in ["name", "etag", "create_time", "message_count", "*", "", "Title", "title.x"] {
            assert!(mask(&["title", path]).is_err(), "{path}");
        }
        assert_eq!(Mask::of(None).expect("a mask"), Mask::EVERYTHING);
    }
}
