//! What a client keeps with a context in its own structure: bounded, and the same as JSON.
//!
//! A `google.protobuf.Struct` is kept encoded, since JSON's numbers could not be read back to the last bit.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use prost::Message as _;
use prost_types::{ListValue, Struct, Value, value::Kind};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::{Map, Number};

/// Bytes that the structure takes as JSON.
const JSON_BYTES_MAX: usize = 32 * 1024;
/// Structures and lists within each other.
const DEPTH_MAX: usize = 16;
/// Values at all depths.
const VALUES_MAX: usize = 2000;

/// A structure within its bounds; empty where there is none.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Data(Vec<u8>);

/// Why a structure cannot be taken.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum BadData {
    /// It takes too many bytes.
    #[error("`context.data` must take at most {JSON_BYTES_MAX} bytes as JSON; it takes {bytes}")]
    TooLong {
        /// How many it takes.
        bytes: usize,
    },
    /// It is nested too deep.
    #[error("`context.data` must be nested at most {DEPTH_MAX} deep; see below `{path}`")]
    TooDeep {
        /// The field at its top below which it is.
        path: String,
    },
    /// It has too many values.
    #[error("`context.data` must have at most {VALUES_MAX} values")]
    TooMany,
    /// JSON has no such number.
    #[error("`context.data` must hold finite numbers; see below `{path}`")]
    NotFinite {
        /// The field at its top below which it is.
        path: String,
    },
    /// A value without a kind.
    #[error("`context.data` must say of each value what it is; see below `{path}`")]
    Nothing {
        /// The field at its top below which it is.
        path: String,
    },
}

// === impl Data ===

impl Data {
    /// Takes `data`, if it is within its bounds.
    pub(crate) fn of(data: Option<&Struct>) -> Result<Self, BadData> {
        let Some(data) = data else { return Ok(Self::default()) };
        let mut values = 0;
        for (name, value) in &data.fields {
            check(value, name, 2, &mut values)?;
        }
        let bytes = serde_json::Value::Object(json_of(data)).to_string().len();
        if bytes > JSON_BYTES_MAX {
            return Err(BadData::TooLong { bytes });
        }
        Ok(Self(data.encode_to_vec()))
    }

    /// As the wire has it.
    pub(crate) fn to_wire(&self) -> Option<Struct> {
        if self.0.is_empty() { None } else { Struct::decode(self.0.as_slice()).ok() }
    }

    /// What was kept of one by [`Self::into_bytes`].
    pub(crate) fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// As it is kept.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// Bytes that it takes.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

/// As base64: bytes that are no text.
impl Serialize for Data {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Data {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        let bytes = STANDARD.decode(text.as_bytes()).map_err(D::Error::custom)?;
        let data = Struct::decode(bytes.as_slice()).map_err(D::Error::custom)?;
        Self::of(Some(&data)).map_err(D::Error::custom)
    }
}

/// `path` is the name at the top, since a whole path is as long as its writer likes.
fn check(value: &Value, path: &str, depth: usize, values: &mut usize) -> Result<(), BadData> {
    *values += 1;
    if *values > VALUES_MAX {
        return Err(BadData::TooMany);
    }
    let path_of = || path.chars().filter(|it| !it.is_control()).take(64).collect::<String>();
    match &value.kind {
        None => Err(BadData::Nothing { path: path_of() }),
        Some(Kind::NumberValue(number)) if !number.is_finite() => Err(BadData::NotFinite { path: path_of() }),
        Some(Kind::StructValue(_) | Kind::ListValue(_)) if depth > DEPTH_MAX => {
            Err(BadData::TooDeep { path: path_of() })
        }
        Some(Kind::StructValue(Struct { fields })) => {
            fields.values().try_for_each(|inner| check(inner, path, depth + 1, values))
        }
        Some(Kind::ListValue(ListValue { values: inner })) => {
            inner.iter().try_for_each(|inner| check(inner, path, depth + 1, values))
        }
        Some(_) => Ok(()),
    }
}

/// A structure as JSON has it.
pub(crate) fn json_of(data: &Struct) -> Map<String, serde_json::Value> {
    data.fields.iter().map(|(name, value)| (name.clone(), json(value))).collect()
}

fn json(value: &Value) -> serde_json::Value {
    match &value.kind {
        None | Some(Kind::NullValue(_)) => serde_json::Value::Null,
        Some(Kind::BoolValue(is)) => (*is).into(),
        Some(Kind::NumberValue(number)) => {
            Number::from_f64(*number).map_or_else(Default::default, Into::into)
        }
        Some(Kind::StringValue(text)) => text.clone().into(),
        Some(Kind::StructValue(inner)) => json_of(inner).into(),
        Some(Kind::ListValue(list)) => list.values.iter().map(json).collect(),
    }
}

/// What JSON says, as a structure.
pub(crate) fn struct_of(json: &Map<String, serde_json::Value>) -> Struct {
    Struct { fields: json.iter().map(|(name, value)| (name.clone(), value_of(value))).collect() }
}

fn value_of(json: &serde_json::Value) -> Value {
    let kind = match json {
        serde_json::Value::Null => Kind::NullValue(0),
        serde_json::Value::Bool(is) => Kind::BoolValue(*is),
        serde_json::Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or(f64::NAN)),
        serde_json::Value::String(text) => Kind::StringValue(text.clone()),
        serde_json::Value::Array(list) => {
            Kind::ListValue(ListValue { values: list.iter().map(value_of).collect() })
        }
        serde_json::Value::Object(inner) => Kind::StructValue(struct_of(inner)),
    };
    Value { kind: Some(kind) }
}

#[cfg(test)]
mod tests {
    //! What is within the bounds comes back to the last bit; what is not is refused with its place.

    use proptest::prelude::*;

    use super::*;

    fn of(kind: Kind) -> Value {
        Value { kind: Some(kind) }
    }

    fn with(name: &str, value: Value) -> Struct {
        Struct { fields: [(name.to_owned(), value)].into() }
    }

    fn nested(depth: usize) -> Struct {
        (1..depth).fold(Struct::default(), |inner, _| with("a", of(Kind::StructValue(inner))))
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Kind::NullValue(0)),
            any::<bool>().prop_map(Kind::BoolValue),
            prop::num::f64::NORMAL.prop_map(Kind::NumberValue),
            "\\PC{0,12}".prop_map(Kind::StringValue),
        ];
        leaf.prop_map(of).prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4)
                    .prop_map(|values| of(Kind::ListValue(ListValue { values }))),
                prop::collection::btree_map("[a-z]{1,4}", inner, 0..4)
                    .prop_map(|fields| of(Kind::StructValue(Struct { fields }))),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_kept_comes_back_to_the_last_bit(value in any_value()) {
            let wire = with("top", value);
            let data = Data::of(Some(&wire)).expect("within the bounds");
            prop_assert_eq!(data.to_wire(), Some(wire));
            let kept = serde_json::to_string(&data).expect("JSON");
            prop_assert_eq!(serde_json::from_str::<Data>(&kept).expect("read"), data);
        }
    }

    #[test]
    fn a_structure_is_sixteen_deep_and_no_deeper() {
        assert!(Data::of(Some(&nested(16))).is_ok());
        assert_eq!(Data::of(Some(&nested(17))), Err(BadData::TooDeep { path: "a".to_owned() }));
    }

    #[test]
    fn a_structure_has_its_bounds() {
        let text = |length| with("t", of(Kind::StringValue("x".repeat(length))));
        assert!(Data::of(Some(&text(JSON_BYTES_MAX - 8))).is_ok());
        assert_eq!(
            Data::of(Some(&text(JSON_BYTES_MAX - 7))),
            Err(BadData::TooLong { bytes: JSON_BYTES_MAX + 1 })
        );
        let many = |count| {
            let values = vec![of(Kind::NullValue(0)); count];
            with("l", of(Kind::ListValue(ListValue { values })))
        };
        assert!(Data::of(Some(&many(VALUES_MAX - 1))).is_ok());
        assert_eq!(Data::of(Some(&many(VALUES_MAX))), Err(BadData::TooMany));
    }

    #[test]
    fn what_json_cannot_say_is_refused() {
        let refused = Data::of(Some(&with("n", of(Kind::NumberValue(f64::NAN)))));
        assert_eq!(refused, Err(BadData::NotFinite { path: "n".to_owned() }));
        assert_eq!(
            Data::of(Some(&with("v", Value::default()))),
            Err(BadData::Nothing { path: "v".to_owned() })
        );
    }

    #[test]
    fn none_and_an_empty_one_are_the_same() {
        assert_eq!(Data::of(Some(&Struct::default())), Data::of(None));
        assert_eq!(Data::default().to_wire(), None);
    }
}
