//! Messages as JSON (the ProtoJSON format), by their descriptors.

use bytes::{BufMut as _, Bytes, BytesMut};
use prost::Message as _;
use prost_reflect::{DeserializeOptions, DynamicMessage, MessageDescriptor, SerializeOptions};
use tonic::Code;

use crate::{
    framing::envelope::{Broken, HEAD_BYTES},
    refusal::Refusal,
};

/// How much larger a message may be as JSON: escaped text takes six bytes for two.
pub(crate) const JSON_GROWTH: usize = 3;

/// What JSON takes beyond that, for names and punctuation of the smallest messages.
pub(crate) const JSON_BYTES_EXTRA: usize = 1024;

/// The longest complaint of the parser that is repeated to the caller.
const COMPLAINT_CHARS_MAX: usize = 200;

/// Reads the message in `json`, and puts its bytes into an envelope.
pub(crate) fn read(json: &[u8], input: &MessageDescriptor, bytes_max: u32) -> Result<Bytes, Refusal> {
    let mut parser = serde_json::Deserializer::from_slice(json);
    let options = DeserializeOptions::new().deny_unknown_fields(true);
    let message = DynamicMessage::deserialize_with_options(input.clone(), &mut parser, &options)
        .and_then(|message| parser.end().map(|()| message))
        .map_err(|complaint| {
            let complaint: String = complaint.to_string().chars().take(COMPLAINT_CHARS_MAX).collect();
            let words = format!("the body is not a {} in JSON: {complaint}", input.full_name());
            Refusal::new(Code::InvalidArgument, "MESSAGE_MALFORMED", words)
        })?;
    let bytes = u32::try_from(message.encoded_len()).unwrap_or(u32::MAX);
    if bytes > bytes_max {
        return Err(Broken::TooLarge { bytes, bytes_max }.into());
    }
    let mut framed = BytesMut::with_capacity(HEAD_BYTES + bytes as usize);
    framed.put_u8(0);
    framed.put_u32(bytes);
    // The buffer grows as it must, so this cannot fail.
    message.encode(&mut framed).map_err(|_| Refusal::internal("a message could not be encoded"))?;
    Ok(framed.freeze())
}

/// Writes the message that is encoded in `bytes` as JSON.
pub(crate) fn write(bytes: &[u8], output: &MessageDescriptor) -> Result<Vec<u8>, Refusal> {
    let fault = |_| Refusal::internal("the service's answer is not the method's message");
    let message = DynamicMessage::decode(output.clone(), bytes).map_err(fault)?;
    let mut json = serde_json::Serializer::new(Vec::with_capacity(bytes.len() * 3 / 2));
    message
        .serialize_with_options(&mut json, &SerializeOptions::new())
        .map_err(|_| Refusal::internal("the service's answer could not be written as JSON"))?;
    Ok(json.into_inner())
}

/// How long a body of JSON may be where the message may be of `bytes_max` bytes.
pub(crate) fn bytes_max(bytes_max: u32) -> usize {
    bytes_max as usize * JSON_GROWTH + JSON_BYTES_EXTRA
}

#[cfg(test)]
mod tests {
    //! What is a message in JSON, and that nothing else is.

    use mcp_proto::POOL;

    use super::*;

    fn descriptor(name: &str) -> MessageDescriptor {
        POOL.get_message_by_name(name).expect("a message of ours")
    }

    fn sign_in(json: &str) -> Result<Bytes, Refusal> {
        read(json.as_bytes(), &descriptor("mcp.auth.v1.SignInLocallyRequest"), 100)
    }

    #[test]
    fn a_message_travels_there_and_back() {
        let json = r#"{"tenant":"acme","user":"alice"}"#;
        let framed = sign_in(json).expect("a message");

        let message = descriptor("mcp.auth.v1.SignInLocallyRequest");
        assert_eq!(write(&framed[HEAD_BYTES..], &message).expect("JSON"), json.as_bytes());
    }

    #[test]
    fn names_may_be_written_both_ways_and_unknown_ones_are_refused() {
        let token = descriptor("mcp.auth.v1.IssueDevelopmentTokenRequest");
        let read = |json: &str| read(json.as_bytes(), &token, 100);

        assert_eq!(read(r#"{"ttlSeconds":5}"#).expect("camel"), read(r#"{"ttl_seconds":5}"#).expect("snake"));
        let refused = read(r#"{"ttlSecond":5}"#).expect_err("a slip");
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(refused.words().contains("ttlSecond"), "{}", refused.words());
    }

    #[test]
    fn what_is_not_the_message_is_refused() {
        for json in ["", "[]", "null", "{", "{}{}", r#"{"tenant":1}"#, r#"{"tenant":"\ud800"}"#] {
            assert!(sign_in(json).is_err(), "{json:?}");
        }
        let deep = "[".repeat(10_000);
        assert!(sign_in(&deep).is_err());
    }

    #[test]
    fn the_message_itself_is_measured_not_its_json() {
        let json = |letters: usize| format!(r#"{{"tenant":"{}"}}"#, "\\u0627".repeat(letters));

        assert!(sign_in(&json(49)).is_ok(), "98 bytes of text and 2 of tag and length");
        assert_eq!(sign_in(&json(50)).expect_err("102").reason(), "REQUEST_TOO_LARGE");
    }
}
