//! What a client may write in a context, in one spelling.
//!
//! The codec has held every field to its rule already. What is left is Unicode's: the same title can be
//! written in several ways, so titles and tags are kept in Normalization Form C (Unicode Standard Annex 15).

use std::collections::HashSet;

use mcp_proto::context::v1 as pb;
use prost_types::FieldMask;
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization as _;

/// The rules of `Context.title` and `Context.tags` in characters; composing can lengthen a text.
const TITLE_CHARS_MAX: usize = 256;
const TAG_CHARS_MAX: usize = 64;

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
}

/// Which fields an update takes over.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Mask {
    kind: bool,
    title: bool,
    description: bool,
    tags: bool,
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
}

/// The update mask names what cannot be changed.
#[derive(Debug, thiserror::Error)]
#[error("`update_mask` may name `type`, `title`, `description` and `tags`")]
pub(crate) struct BadMask;

// === impl Fields ===

impl Fields {
    /// Takes over what `context` says.
    pub(crate) fn of(context: pb::Context) -> Result<Self, BadFields> {
        let title = composed(&context.title, TITLE_CHARS_MAX, "context.title")?;
        let tags = context
            .tags
            .iter()
            .map(|tag| composed(tag, TAG_CHARS_MAX, "context.tags"))
            .collect::<Result<Vec<_>, _>>()?;
        if tags.iter().collect::<HashSet<_>>().len() < tags.len() {
            return Err(BadFields::TagRepeated);
        }
        Ok(Self { kind: context.r#type, title, description: context.description, tags })
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
    }
}

// === impl Mask ===

impl Mask {
    const EVERYTHING: Self = Self { kind: true, title: true, description: true, tags: true };

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
                _ => return Err(BadMask),
            } = true;
        }
        Ok(named)
    }
}

fn composed(text: &str, chars_max: usize, field: &'static str) -> Result<String, BadFields> {
    let composed: String = text.nfc().collect();
    if composed.chars().count() > chars_max {
        return Err(BadFields::TooLong { field });
    }
    Ok(composed)
}

#[cfg(test)]
mod tests {
    //! One spelling, and only what the mask names.

    use super::*;

    fn tagged(tags: &[&str]) -> Result<Fields, BadFields> {
        Fields::of(pb::Context { tags: tags.iter().map(ToString::to_string).collect(), ..Default::default() })
    }

    fn mask(paths: &[&str]) -> Result<Mask, BadMask> {
        Mask::of(Some(&FieldMask { paths: paths.iter().map(ToString::to_string).collect() }))
    }

    #[test]
    fn two_spellings_of_a_title_are_kept_as_one() {
        let [composed, decomposed] = ["caf\u{e9}", "cafe\u{301}"].map(|title| {
            Fields::of(pb::Context { title: title.to_owned(), ..Default::default() }).expect("fields").title
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
