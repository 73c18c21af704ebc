//! Our words to the wire's.

use mcp_proto::context::v1::{self as pb, context::Expiration};
use mcp_types::Timestamp;

use crate::{
    etag::etag,
    fields::Fields,
    names::ContextId,
    store::{Change, Context, Event, Hit, Message, MessageHead},
    window::Part,
};

/// A context as callers see it.
pub(crate) fn context(context: Context) -> pb::Context {
    let Context { id, fields, version, created, updated, message_count, tokens, fork } = context;
    let Fields { kind, title, description, tags, data, expires } = fields;
    pb::Context {
        name: id.to_string(),
        r#type: kind,
        title,
        description,
        tags,
        etag: etag(id, version),
        create_time: Some(time(created)),
        update_time: Some(time(updated)),
        message_count,
        data: data.to_wire(),
        expiration: expires.map(|end| Expiration::ExpireTime(time(end))),
        version,
        token_count: tokens,
        forked_from: fork.map(|fork| fork.of.to_string()).unwrap_or_default(),
        forked_messages: fork.map_or(0, |fork| fork.count),
    }
}

/// What a context was, as callers see it.
pub(crate) fn revision(was: Context) -> pb::Context {
    let name = was.id.at(was.version);
    pb::Context { name, ..context(was) }
}

/// A change as callers see it.
pub(crate) fn change(id: ContextId, change: Change) -> pb::WatchContextResponse {
    let event = match change.event {
        Event::Updated(to) => pb::watch_context_response::Event::Updated(context(*to)),
        Event::Appended(messages) => {
            let messages = messages.into_iter().map(|it| message(id, it)).collect();
            pb::watch_context_response::Event::Appended(pb::MessagesAppended { messages })
        }
    };
    pb::WatchContextResponse { version: change.version, event: Some(event) }
}

/// A hit as callers see it.
pub(crate) fn hit(hit: Hit) -> pb::SearchHit {
    let Hit { context, message, score, snippet, highlights } = hit;
    let at = |byte: usize| u32::try_from(byte).unwrap_or(u32::MAX);
    let highlights =
        highlights.into_iter().map(|run| pb::Highlight { start: at(run.start), end: at(run.end) }).collect();
    pb::SearchHit {
        context: context.id.to_string(),
        title: context.fields.title,
        message: message.map(|n| context.id.message(n)).unwrap_or_default(),
        score,
        snippet: Some(pb::Snippet { text: snippet, highlights }),
    }
}

/// A message as callers see it.
pub(crate) fn message(parent: ContextId, message: Message) -> pb::Message {
    pb::Message { text: message.text, ..head(parent, &message.head) }
}

/// A message without its text.
pub(crate) fn head(parent: ContextId, head: &MessageHead) -> pb::Message {
    pb::Message {
        name: parent.message(head.n),
        role: head.role,
        text: String::new(),
        create_time: Some(time(head.created)),
        token_count: head.tokens,
        pinned: head.pinned,
    }
}

/// A part of a window as callers see it.
pub(crate) fn part(parent: ContextId, part: Part) -> pb::WindowPart {
    pb::WindowPart {
        text: part.text,
        role: part.role,
        summarized: part.summarized,
        first_message: parent.message(part.first),
        last_message: parent.message(part.last),
        token_count: part.tokens,
        pinned: part.pinned,
        engine: part.engine,
    }
}

/// A moment as the wire has it.
pub(crate) fn time(moment: Timestamp) -> prost_types::Timestamp {
    let seconds = moment.unix_secs();
    let millis = moment.unix_millis() - seconds * 1000;
    prost_types::Timestamp { seconds, nanos: i32::try_from(millis * 1_000_000).unwrap_or(0) }
}

#[cfg(test)]
mod tests {
    //! Sizes that plans rely on, and times before the epoch.

    use prost::Message as _;
    use uuid::Uuid;

    use super::*;
    use crate::window::PART_BYTES;

    #[test]
    fn a_part_without_its_text_is_no_longer_than_plans_assume() {
        let longest = Part {
            text: String::new(),
            role: pb::Role::Tool.into(),
            summarized: true,
            first: u64::MAX,
            last: u64::MAX,
            tokens: u32::MAX,
            pinned: true,
            engine: "extractive".to_owned(),
        };
        let parent = ContextId::new(Uuid::max());
        let parts = vec![part(parent, longest); 100];

        // Twelve more: the text's own tag and length, and the part's.
        let window = pb::AssembleWindowResponse { parts, ..Default::default() };
        assert!(window.encoded_len() as u64 + 100 * 12 <= 100 * PART_BYTES, "{}", window.encoded_len());
    }

    #[test]
    fn times_are_exact_to_the_millisecond() {
        assert_eq!(
            time(Timestamp::from_unix_millis(1_234)),
            prost_types::Timestamp { seconds: 1, nanos: 234_000_000 }
        );
        assert_eq!(
            time(Timestamp::from_unix_millis(-1)),
            prost_types::Timestamp { seconds: -1, nanos: 999_000_000 }
        );
    }
}
