//! `Debug` for messages with fields that no log may show: prost passes over `debug_redact`.

use std::fmt::Write as _;

use prost_reflect::{DescriptorPool, FieldDescriptor, MessageDescriptor};

/// Rust's own words among the names that fields have.
const KEYWORDS: [&str; 6] = ["type", "match", "ref", "use", "in", "where"];

/// The messages of ours that have such a field.
pub(crate) fn messages(pool: &DescriptorPool) -> Vec<MessageDescriptor> {
    let ours = pool.all_messages().filter(|message| message.full_name().starts_with("mcp."));
    let mut messages: Vec<_> = ours.filter(|message| message.fields().any(|it| is_redacted(&it))).collect();
    messages.sort_by(|a, b| a.full_name().cmp(b.full_name()));
    messages
}

/// `Debug` of `messages` and of what they are made of, as Rust.
pub(crate) fn source(messages: &[MessageDescriptor]) -> String {
    let mut text = String::new();
    for message in messages {
        let path = format!("crate::pb::{}", message.full_name().replace('.', "::"));
        let mut fields = String::new();
        for field in message.fields().filter(|field| oneof_of(field).is_none()) {
            let name = field.name();
            let raw = if KEYWORDS.contains(&name) { "r#" } else { "" };
            let value =
                if is_redacted(&field) { "\"[redacted]\"".to_owned() } else { format!("self.{raw}{name}") };
            let _ = write!(fields, ".field({name:?}, &{value})");
        }
        for oneof in message.oneofs().filter(|oneof| !oneof.is_synthetic()) {
            let name = oneof.name();
            let _ = write!(fields, ".field({name:?}, &self.{name}.as_ref().map(|_| \"[redacted]\"))");
            let (module, kind) = (snake(&path), camel(name));
            let _ = writeln!(text, "{}", implementation(&format!("{module}::{kind}"), &kind, ""));
        }
        let _ = writeln!(text, "{}", implementation(&path, message.name(), &fields));
    }
    text
}

fn implementation(path: &str, name: &str, fields: &str) -> String {
    format!(
        "impl ::core::fmt::Debug for {path} {{
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {{
                f.debug_struct({name:?}){fields}.finish()
            }}
        }}"
    )
}

fn is_redacted(field: &FieldDescriptor) -> bool {
    let options = field.options();
    options.get_field_by_name("debug_redact").and_then(|redact| redact.as_bool()).unwrap_or(false)
}

fn oneof_of(field: &FieldDescriptor) -> Option<prost_reflect::OneofDescriptor> {
    field.containing_oneof().filter(|oneof| !oneof.is_synthetic())
}

/// The module that prost puts a message's own types into: the path with its last name in snake case.
fn snake(path: &str) -> String {
    let (module, name) = path.rsplit_once("::").unwrap_or(("", path));
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    format!("{module}::{snake}")
}

fn camel(name: &str) -> String {
    name.split('_')
        .map(|word| {
            let (first, rest) = word.split_at(1.min(word.len()));
            first.to_ascii_uppercase() + rest
        })
        .collect()
}
