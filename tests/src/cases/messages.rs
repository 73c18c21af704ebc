//! Messages by the rules of their proto files: one that holds, and one for each rule that can be broken.
//!
//! Nothing here knows a message. Fields are tried with values of many kinds, and the validator that the servers use
//! says which hold; a rule that is added to a proto file is found by itself.

use std::collections::BTreeSet;

use prost_protovalidate::{Error, Validator};
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage as _, Value};

/// A message that breaks a rule.
#[derive(Clone, Debug)]
pub struct Broken {
    /// Which field, and which rule.
    pub rule: String,
    /// The message, encoded.
    pub bytes: Vec<u8>,
}

/// Values that some field may hold, likelier ones first.
const TEXTS: [&str; 9] = [
    "",
    "acme",
    "alice",
    "members/alice",
    "viewer",
    "gateway",
    "contexts/0190b3c5-8f1a-7cc0-a6f0-8e6f6b5c0f11",
    "0190b3c5-8f1a-7cc0-a6f0-8e6f6b5c0f11",
    "unicode-words",
];

/// Bytes that are no message: a field that says it is longer than what follows.
pub const MALFORMED: [u8; 3] = [0x0a, 0x7f, 0x00];

/// The encoded message of `descriptor` that breaks no rule.
pub fn valid(descriptor: &MessageDescriptor) -> Vec<u8> {
    use prost::Message as _;
    Rules::of(descriptor).base.encode_to_vec()
}

/// For each rule of `descriptor` that a message of at most `bytes_max` bytes can break, one that breaks it.
pub fn broken(descriptor: &MessageDescriptor, bytes_max: u32) -> Vec<Broken> {
    use prost::Message as _;
    let rules = Rules::of(descriptor);
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for (path, field) in leaves(descriptor, &mut Vec::new()) {
        for value in hostile(&field, &rules.base, &path) {
            let message = changed(&rules.base, &path, value);
            let bytes = message.encode_to_vec();
            if bytes.len() > bytes_max as usize {
                continue;
            }
            for rule in rules.violations(&message) {
                if seen.insert(rule.clone()) {
                    found.push(Broken { rule, bytes: bytes.clone() });
                }
            }
        }
    }
    found
}

/// A message kind with its validator.
struct Rules {
    validator: Validator,
    base: DynamicMessage,
}

// === impl Rules ===

impl Rules {
    fn of(descriptor: &MessageDescriptor) -> Self {
        let mut rules = Self { validator: Validator::new(), base: filled(descriptor, 0) };
        // Field by field, whatever leaves the fewest rules broken; twice, since a oneof's fields depend on each other.
        for _ in 0..2 {
            for (path, field) in leaves(descriptor, &mut Vec::new()) {
                let best = friendly(&field)
                    .into_iter()
                    .map(|value| changed(&rules.base, &path, value))
                    .chain([rules.base.clone()])
                    .min_by_key(|message| rules.violations(message).len());
                rules.base = best.unwrap_or_else(|| rules.base.clone());
            }
        }
        let left = rules.violations(&rules.base);
        assert!(left.is_empty(), "no message of {} holds: {left:?}; widen TEXTS", descriptor.full_name());
        rules
    }

    /// The rules that `message` breaks, by field.
    fn violations(&self, message: &DynamicMessage) -> Vec<String> {
        match self.validator.validate(message) {
            Ok(()) => Vec::new(),
            Err(Error::Validation(invalid)) => {
                let told = invalid.violations().iter();
                told.map(|violation| format!("{} {}", violation.field_path(), violation.rule_id())).collect()
            }
            Err(fault) => panic!("{}: {fault}", message.descriptor().full_name()),
        }
    }
}

/// A message whose messages are all there, one of each where there may be many.
fn filled(descriptor: &MessageDescriptor, depth: usize) -> DynamicMessage {
    let mut message = DynamicMessage::new(descriptor.clone());
    if depth > 4 {
        return message;
    }
    for field in descriptor.fields() {
        if let Some(inner) = ours(&field) {
            let value = Value::Message(filled(&inner, depth + 1));
            message.set_field(&field, if field.is_list() { Value::List(vec![value]) } else { value });
        }
    }
    message
}

/// The message kind of a field, where it is one of ours.
fn ours(field: &FieldDescriptor) -> Option<MessageDescriptor> {
    match field.kind() {
        Kind::Message(inner) if inner.full_name().starts_with("mcp.") && !field.is_map() => Some(inner),
        _ => None,
    }
}

type Path = Vec<FieldDescriptor>;

/// Every field at every depth, with the way to it.
fn leaves(descriptor: &MessageDescriptor, above: &mut Path) -> Vec<(Path, FieldDescriptor)> {
    let mut found = Vec::new();
    for field in descriptor.fields() {
        above.push(field.clone());
        found.push((above.clone(), field.clone()));
        if let Some(inner) = ours(&field).filter(|_| above.len() < 5) {
            found.extend(leaves(&inner, above));
        }
        above.pop();
    }
    found
}

/// `message` with another value at the end of `path`; `None` takes the field away.
fn changed(message: &DynamicMessage, path: &[FieldDescriptor], value: Option<Value>) -> DynamicMessage {
    let mut message = message.clone();
    change(&mut message, path, value);
    message
}

fn change(message: &mut DynamicMessage, path: &[FieldDescriptor], value: Option<Value>) {
    let Some((first, rest)) = path.split_first() else { return };
    if rest.is_empty() {
        match value {
            Some(value) => message.set_field(first, value),
            None => message.clear_field(first),
        }
        return;
    }
    let inner = match message.get_field_mut(first) {
        Value::Message(inner) => inner,
        Value::List(list) => match list.first_mut() {
            Some(Value::Message(inner)) => inner,
            _ => return,
        },
        _ => return,
    };
    change(inner, rest, value);
}

/// Values that a field may take.
fn friendly(field: &FieldDescriptor) -> Vec<Option<Value>> {
    if field.is_list() && field.kind() == Kind::String {
        let one = |text: &str| Some(Value::List(vec![Value::String(text.to_owned())]));
        return [None].into_iter().chain(TEXTS.into_iter().map(one)).collect();
    }
    if field.is_list() || field.is_map() {
        return Vec::new();
    }
    let values: Vec<Value> = match field.kind() {
        Kind::String => TEXTS.iter().map(|text| Value::String((*text).to_owned())).collect(),
        Kind::Bytes => {
            [0, 1, 16, 32].into_iter().map(|length| Value::Bytes(vec![7; length].into())).collect()
        }
        Kind::Uint32 => [0, 1, 16, 100].into_iter().map(Value::U32).collect(),
        Kind::Int32 => [0, 1, 16, 100].into_iter().map(Value::I32).collect(),
        Kind::Enum(_) => [0, 1, 2].into_iter().map(Value::EnumNumber).collect(),
        _ => Vec::new(),
    };
    // A member of a oneof is better away than wrong.
    let away = field.containing_oneof().map(|_| None);
    away.into_iter().chain(values.into_iter().map(Some)).collect()
}

/// Values that a field may refuse.
fn hostile(field: &FieldDescriptor, base: &DynamicMessage, path: &[FieldDescriptor]) -> Vec<Option<Value>> {
    if field.is_list() {
        return lists(field, base, path);
    }
    let mut values: Vec<Option<Value>> = vec![None];
    match field.kind() {
        Kind::String => values.extend(texts().map(|text| Some(Value::String(text)))),
        Kind::Bytes => {
            let lengths = [0, 1, 31, 33, 10_000];
            values.extend(lengths.map(|length| Some(Value::Bytes(vec![7; length].into()))));
        }
        Kind::Uint32 => values.extend([0, u32::MAX].map(|number| Some(Value::U32(number)))),
        Kind::Int32 => values.extend([-1, 0, i32::MAX].map(|number| Some(Value::I32(number)))),
        Kind::Double => values.extend([-1.0, 0.0, 2.0, f64::NAN].map(|number| Some(Value::F64(number)))),
        Kind::Enum(_) => values.extend([0, 99].map(|number| Some(Value::EnumNumber(number)))),
        _ => {}
    }
    values
}

fn texts() -> impl Iterator<Item = String> {
    let lengths = [41, 65, 129, 257, 513, 1025, 4097, 8193, 66_000];
    ["", "\0", "<b>", "\u{202e}", "No such thing"]
        .into_iter()
        .map(str::to_owned)
        .chain(lengths.into_iter().map(|length| "a".repeat(length)))
}

fn lists(field: &FieldDescriptor, base: &DynamicMessage, path: &[FieldDescriptor]) -> Vec<Option<Value>> {
    let one = match field.kind() {
        Kind::String => Value::String("tag".to_owned()),
        Kind::Message(inner) => {
            // The one that holds, from the message that does.
            let parent = parent_of(base, path);
            let held = parent.get_field(field);
            let held = held.as_list().and_then(<[Value]>::first).cloned();
            held.unwrap_or_else(|| Value::Message(DynamicMessage::new(inner)))
        }
        _ => return vec![None],
    };
    let many = |count: usize| match &one {
        Value::String(text) => (0..count).map(|at| Value::String(format!("{text}{at}"))).collect(),
        other => vec![other.clone(); count],
    };
    let mut values = vec![None, Some(Value::List(many(33))), Some(Value::List(many(101)))];
    values.push(Some(Value::List(vec![one.clone(), one.clone()])));
    if matches!(one, Value::String(_)) {
        values.extend(texts().map(|text| Some(Value::List(vec![Value::String(text)]))));
    }
    values
}

fn parent_of(base: &DynamicMessage, path: &[FieldDescriptor]) -> DynamicMessage {
    let mut message = base.clone();
    for field in &path[..path.len() - 1] {
        let inner = match message.get_field(field).as_ref() {
            Value::Message(inner) => inner.clone(),
            Value::List(list) => match list.first() {
                Some(Value::Message(inner)) => inner.clone(),
                _ => return message.clone(),
            },
            _ => return message.clone(),
        };
        message = inner;
    }
    message
}
