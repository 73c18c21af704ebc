//! Which fields of a context an answer has.

use mcp_proto::context::v1 as pb;
use prost_types::FieldMask;

/// Which fields of a context an answer has; its name is always among them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct ReadMask {
    /// None means all.
    kept: Option<Vec<Field>>,
}

/// A field that an answer has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Field {
    Name,
    Type,
    Title,
    Description,
    Tags,
    Etag,
    CreateTime,
    UpdateTime,
    MessageCount,
    Data,
    ExpireTime,
    Version,
    TokenCount,
    ForkedFrom,
    ForkedMessages,
}

/// The mask names what a context has not.
#[derive(Debug, thiserror::Error)]
#[error("`read_mask` names what a context has not; it may name fields such as `title` or `update_time`")]
pub(crate) struct BadReadMask;

// === impl ReadMask ===

impl ReadMask {
    /// Reads a mask; none, one that names nothing, and `*` mean everything.
    pub(crate) fn of(mask: Option<&FieldMask>) -> Result<Self, BadReadMask> {
        let Some(mask) = mask.filter(|mask| !mask.paths.is_empty()) else { return Ok(Self { kept: None }) };
        if mask.paths.iter().any(|path| path == "*") {
            return if mask.paths.len() == 1 { Ok(Self { kept: None }) } else { Err(BadReadMask) };
        }
        let kept =
            mask.paths.iter().map(|path| Field::named(path).ok_or(BadReadMask)).collect::<Result<_, _>>()?;
        Ok(Self { kept: Some(kept) })
    }

    /// Leaves of `context` what the answer has.
    pub(crate) fn cut(&self, context: pb::Context) -> pb::Context {
        let Some(kept) = &self.kept else { return context };
        let mut cut = pb::Context { name: context.name, ..pb::Context::default() };
        for field in kept {
            match field {
                Field::Name => {}
                Field::Type => cut.r#type.clone_from(&context.r#type),
                Field::Title => cut.title.clone_from(&context.title),
                Field::Description => cut.description.clone_from(&context.description),
                Field::Tags => cut.tags.clone_from(&context.tags),
                Field::Etag => cut.etag.clone_from(&context.etag),
                Field::CreateTime => cut.create_time = context.create_time,
                Field::UpdateTime => cut.update_time = context.update_time,
                Field::MessageCount => cut.message_count = context.message_count,
                Field::Data => cut.data.clone_from(&context.data),
                Field::ExpireTime => cut.expiration.clone_from(&context.expiration),
                Field::Version => cut.version = context.version,
                Field::TokenCount => cut.token_count = context.token_count,
                Field::ForkedFrom => cut.forked_from.clone_from(&context.forked_from),
                Field::ForkedMessages => cut.forked_messages = context.forked_messages,
            }
        }
        cut
    }
}

// === impl Field ===

impl Field {
    fn named(path: &str) -> Option<Self> {
        Some(match path {
            "name" => Self::Name,
            "type" => Self::Type,
            "title" => Self::Title,
            "description" => Self::Description,
            "tags" => Self::Tags,
            "etag" => Self::Etag,
            "create_time" => Self::CreateTime,
            "update_time" => Self::UpdateTime,
            "message_count" => Self::MessageCount,
            "data" => Self::Data,
            "expire_time" => Self::ExpireTime,
            "version" => Self::Version,
            "token_count" => Self::TokenCount,
            "forked_from" => Self::ForkedFrom,
            "forked_messages" => Self::ForkedMessages,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    //! Every field can be asked for by itself, and none that is not there.

    use mcp_proto::context::v1::context::Expiration;
    use prost::Message as _;

    use super::*;

    fn mask(paths: &[&str]) -> Result<ReadMask, BadReadMask> {
        ReadMask::of(Some(&FieldMask { paths: paths.iter().map(ToString::to_string).collect() }))
    }

    fn whole() -> pb::Context {
        let moment = prost_types::Timestamp { seconds: 1, nanos: 0 };
        let value = prost_types::Value { kind: Some(prost_types::value::Kind::BoolValue(true)) };
        pb::Context {
            name: "contexts/x".to_owned(),
            r#type: "chat".to_owned(),
            title: "t".to_owned(),
            description: "d".to_owned(),
            tags: vec!["a".to_owned()],
            etag: "e".to_owned(),
            create_time: Some(moment),
            update_time: Some(moment),
            message_count: 1,
            data: Some(prost_types::Struct { fields: [("k".to_owned(), value)].into() }),
            version: 2,
            token_count: 3,
            forked_from: "contexts/y".to_owned(),
            forked_messages: 4,
            expiration: Some(Expiration::ExpireTime(moment)),
        }
    }

    #[test]
    fn each_field_is_there_by_itself_and_all_together_are_the_whole() {
        let name = pb::Context { name: whole().name, ..Default::default() };
        let message = mcp_proto::POOL.get_message_by_name("mcp.context.v1.Context").expect("a message");
        let mut paths = Vec::new();
        for field in message.fields().filter(|field| field.name() != "ttl") {
            let cut = mask(&[field.name()]).expect("a field").cut(whole());
            assert!(field.name() == "name" || cut != name, "{}", field.name());
            assert!(cut.encoded_len() < whole().encoded_len());
            paths.push(field.name().to_owned());
        }
        assert_eq!(ReadMask::of(Some(&FieldMask { paths })).expect("a mask").cut(whole()), whole());
    }

    #[test]
    fn nothing_and_a_star_mean_everything() {
        for all in [ReadMask::of(None), mask(&[]), mask(&["*"])] {
            assert_eq!(all.expect("a mask").cut(whole()), whole());
        }
    }

    #[test]
    fn what_a_context_has_not_is_refused() {
        for path in ["messages", "ttl", "data.x", "Title", "", "*"] {
            assert!(mask(&["title", path]).is_err(), "{path}");
        }
    }
}
