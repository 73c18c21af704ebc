//! Decodes a request and holds it to the rules of its proto file, so that a handler never sees an invalid message.

use std::{marker::PhantomData, sync::LazyLock};

use prost::Message;
use prost_protovalidate::{Error, Validator};
use prost_reflect::ReflectMessage;
use tonic::{
    Status,
    codec::{BufferSettings, Codec, DecodeBuf, Decoder},
};
use tonic_prost::{ProstDecoder, ProstEncoder};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt as _};

/// Violations that a caller is told: all of a long list's would be more than the headers of an answer take.
const VIOLATIONS_TOLD_MAX: usize = 16;

static VALIDATOR: LazyLock<Validator> = LazyLock::new(Validator::new);

/// Whether a message is some method's request, and so bound by its rules; generated for each.
pub trait Inbound {
    /// True for requests. Answers are made here and bind no caller.
    const IS_REQUEST: bool;
}

/// Prost's codec, with validation after decoding.
#[derive(Debug)]
pub struct ValidatingCodec<T, U>(PhantomData<(T, U)>);

/// The decoding half of [`ValidatingCodec`].
#[derive(Debug)]
pub struct ValidatingDecoder<U>(ProstDecoder<U>);

/// Compiles the rules of every request once, so that the first call is not the one to find a rule that cannot be.
///
/// # Errors
///
/// The name of the request and what is wrong with its rules.
pub fn preload() -> Result<(), String> {
    for service in crate::POOL.services().filter(|service| service.package_name().starts_with("mcp.")) {
        for method in service.methods() {
            let message = prost_reflect::DynamicMessage::new(method.input());
            match VALIDATOR.validate(&message) {
                Ok(()) | Err(Error::Validation(_)) => {}
                Err(fault) => return Err(format!("{}: {fault}", method.input().full_name())),
            }
        }
    }
    Ok(())
}

// === impl ValidatingCodec ===

impl<T, U> Default for ValidatingCodec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> Codec for ValidatingCodec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + ReflectMessage + Inbound + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = ValidatingDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstEncoder::default()
    }

    fn decoder(&mut self) -> Self::Decoder {
        ValidatingDecoder(ProstDecoder::default())
    }
}

// === impl ValidatingDecoder ===

impl<U: Message + Default + ReflectMessage + Inbound> Decoder for ValidatingDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        let decoded = self.0.decode(buffer).map_err(|fault| {
            if U::IS_REQUEST {
                refused("MESSAGE_MALFORMED", "the request does not parse as its message", [])
            } else {
                fault
            }
        })?;
        let Some(message) = decoded else { return Ok(None) };
        if U::IS_REQUEST {
            validate(&message)?;
        }
        Ok(Some(message))
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::default()
    }
}

impl Inbound for () {
    const IS_REQUEST: bool = false;
}

/// Holds a message that did not come through the codec to the rules of its proto file.
///
/// # Errors
///
/// INVALID_ARGUMENT with the fields that break a rule.
pub fn validate(message: &impl ReflectMessage) -> Result<(), Status> {
    match VALIDATOR.validate(message) {
        Ok(()) => Ok(()),
        Err(Error::Validation(invalid)) => {
            let fields: Vec<_> = invalid
                .violations()
                .iter()
                .take(VIOLATIONS_TOLD_MAX)
                .map(|violation| {
                    let said = violation.message();
                    // Rules of well-known formats state their ID and no words.
                    let said = if said.is_empty() { violation.rule_id() } else { said };
                    FieldViolation::new(violation.field_path(), said)
                })
                .collect();
            let first = fields
                .first()
                .map_or_else(String::new, |field| format!(": `{}` {}", field.field, field.description));
            Err(refused("FIELD_INVALID", &format!("the request breaks a rule{first}"), fields))
        }
        Err(fault) => {
            tracing::error!(error = %fault, "a validation rule could not be applied");
            Err(Status::internal("internal error"))
        }
    }
}

fn refused(reason: &str, words: &str, fields: impl IntoIterator<Item = FieldViolation>) -> Status {
    let mut details = ErrorDetails::with_error_info(reason, "mcp", std::collections::HashMap::new());
    let fields: Vec<_> = fields.into_iter().collect();
    if !fields.is_empty() {
        details.set_bad_request(fields);
    }
    Status::with_error_details(tonic::Code::InvalidArgument, words, details)
}
