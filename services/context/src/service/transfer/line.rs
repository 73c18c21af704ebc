//! One line of an export: a context, a message, or the manifest.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use mcp_proto::context::v1::{self as pb, Role, context::Expiration};
use mcp_types::Timestamp;
use prost::Message as _;
use prost_types::Struct;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::data::{json_of, struct_of};

/// The form of the lines; another one has another number.
pub(super) const FORM: u32 = 1;

/// A line.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Line {
    /// A context. Its messages follow.
    Context(Box<ContextLine>),
    /// A message of the context before it.
    Message(MessageLine),
    /// What the file holds. Nothing follows.
    Manifest(Manifest),
}

/// A context.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ContextLine {
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) title: String,
    pub(super) description: String,
    pub(super) tags: Vec<String>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub(super) data: Map<String, Value>,
    /// The same as an encoded `google.protobuf.Struct`, where JSON's numbers would not be read back to the last bit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) exact_data: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) expire_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) create_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) update_time: Option<String>,
    pub(super) message_count: u64,
}

/// A message.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct MessageLine {
    pub(super) role: String,
    pub(super) text: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) pinned: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) create_time: Option<String>,
}

/// What a file holds.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    pub(super) form: u32,
    pub(super) contexts: u64,
    pub(super) messages: u64,
    /// Of every byte before the manifest's line, in hexadecimal.
    pub(super) sha256: String,
}

/// Why a line cannot be taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum BadLine {
    #[error("it is no line of an export: {0}")]
    Json(#[from] serde_json::Error),
    #[error("`role` must be `system`, `user`, `assistant` or `tool`")]
    Role,
    #[error("`exact_data` must be an encoded structure in base64")]
    ExactData,
    #[error("`expire_time` must be a time like \"2026-01-31T23:59:59.000Z\"")]
    ExpireTime,
}

// === impl Line ===

impl Line {
    /// With its line feed.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        // Serialising fails for maps whose keys are no text alone, and there are none.
        let mut bytes = serde_json::to_vec(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Self, BadLine> {
        Ok(serde_json::from_slice(bytes)?)
    }
}

// === impl ContextLine ===

impl From<pb::Context> for ContextLine {
    fn from(context: pb::Context) -> Self {
        let data = context.data.unwrap_or_default();
        let json = json_of(&data);
        let read = serde_json::from_str(&Value::from(json.clone()).to_string()).unwrap_or_default();
        let is_exact = struct_of(&read) == data;
        let expire_time = match context.expiration {
            Some(Expiration::ExpireTime(moment)) => Some(text_of(moment)),
            Some(Expiration::Ttl(_)) | None => None,
        };
        Self {
            name: context.name,
            kind: context.r#type,
            title: context.title,
            description: context.description,
            tags: context.tags,
            data: json,
            exact_data: (!is_exact).then(|| STANDARD.encode(data.encode_to_vec())),
            expire_time,
            create_time: context.create_time.map(text_of),
            update_time: context.update_time.map(text_of),
            message_count: context.message_count,
        }
    }
}

impl TryFrom<ContextLine> for pb::Context {
    type Error = BadLine;

    fn try_from(line: ContextLine) -> Result<Self, BadLine> {
        let data = match &line.exact_data {
            None => struct_of(&line.data),
            Some(exact) => {
                let bytes = STANDARD.decode(exact).map_err(|_| BadLine::ExactData)?;
                Struct::decode(bytes.as_slice()).map_err(|_| BadLine::ExactData)?
            }
        };
        let end = |text: &String| text.parse::<Timestamp>().map_err(|_| BadLine::ExpireTime);
        let expires = line.expire_time.as_ref().map(end).transpose()?;
        Ok(Self {
            r#type: line.kind,
            title: line.title,
            description: line.description,
            tags: line.tags,
            data: (!data.fields.is_empty()).then_some(data),
            expiration: expires.map(|end| Expiration::ExpireTime(crate::wire::time(end))),
            ..Self::default()
        })
    }
}

// === impl MessageLine ===

impl From<pb::Message> for MessageLine {
    fn from(message: pb::Message) -> Self {
        let role = match message.role() {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::Tool => "tool",
            Role::Unspecified => "",
        };
        Self {
            role: role.to_owned(),
            text: message.text,
            pinned: message.pinned,
            create_time: message.create_time.map(text_of),
        }
    }
}

impl TryFrom<MessageLine> for pb::Message {
    type Error = BadLine;

    fn try_from(line: MessageLine) -> Result<Self, BadLine> {
        let role = match line.role.as_str() {
            "system" => Role::System,
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "tool" => Role::Tool,
            _ => return Err(BadLine::Role),
        };
        Ok(Self { role: role.into(), text: line.text, pinned: line.pinned, ..Self::default() })
    }
}

fn text_of(moment: prost_types::Timestamp) -> String {
    Timestamp::from_unix_millis(moment.seconds * 1000 + i64::from(moment.nanos) / 1_000_000).to_string()
}
