//! Errors as the Connect protocol writes them ("Error codes", "Error end-stream").

use std::sync::LazyLock;

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use http::StatusCode;
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage};
use serde_json::{Value, json};
use tonic::{Code, Status};

/// What `google.rpc` says of errors, so that details are readable too.
static DETAILS: LazyLock<DescriptorPool> = LazyLock::new(|| {
    let mut pool = DescriptorPool::global();
    // Unreadable details still travel as bytes.
    let _ = pool.decode_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET);
    pool
});

/// The error as JSON: code, words, and each detail as bytes and, where its type is known, readable.
pub(crate) fn error(status: &Status) -> Value {
    let mut error = json!({ "code": name(status.code()), "message": status.message() });
    let details = tonic_types::pb::Status::decode(status.details()).map(|it| it.details).unwrap_or_default();
    if !details.is_empty() {
        error["details"] = details.iter().map(|any| detail(&any.type_url, &any.value)).collect();
    }
    error
}

/// The HTTP status of an error in an answer that is not a stream.
pub(crate) fn http_status(code: Code) -> StatusCode {
    match code {
        Code::Ok => StatusCode::OK,
        // 499, which has no name in HTTP: the client went away.
        Code::Cancelled => StatusCode::from_u16(499).unwrap_or(StatusCode::REQUEST_TIMEOUT),
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => StatusCode::BAD_REQUEST,
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::AlreadyExists | Code::Aborted => StatusCode::CONFLICT,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::Unknown | Code::Internal | Code::DataLoss => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The code's name in Connect.
pub(crate) fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "ok",
        Code::Cancelled => "canceled",
        Code::Unknown => "unknown",
        Code::InvalidArgument => "invalid_argument",
        Code::DeadlineExceeded => "deadline_exceeded",
        Code::NotFound => "not_found",
        Code::AlreadyExists => "already_exists",
        Code::PermissionDenied => "permission_denied",
        Code::ResourceExhausted => "resource_exhausted",
        Code::FailedPrecondition => "failed_precondition",
        Code::Aborted => "aborted",
        Code::OutOfRange => "out_of_range",
        Code::Unimplemented => "unimplemented",
        Code::Internal => "internal",
        Code::Unavailable => "unavailable",
        Code::DataLoss => "data_loss",
        Code::Unauthenticated => "unauthenticated",
    }
}

fn detail(type_url: &str, value: &[u8]) -> Value {
    let type_name = type_url.rsplit('/').next().unwrap_or_default();
    let mut detail = json!({ "type": type_name, "value": STANDARD_NO_PAD.encode(value) });
    let readable = DETAILS
        .get_message_by_name(type_name)
        .and_then(|descriptor| DynamicMessage::decode(descriptor, value).ok())
        .and_then(|message| serde_json::to_value(message).ok());
    if let Some(readable) = readable {
        detail["debug"] = readable;
    }
    detail
}

#[cfg(test)]
mod tests {
    //! Statuses as a program and a person with curl read them.

    use std::time::Duration;

    use super::*;

    #[test]
    fn an_error_names_its_code_and_shows_its_details() {
        let status = mcp_rpc::exhausted("RATE_LIMITED", "slow down", Duration::from_millis(1500));

        let error = error(&status);
        assert_eq!(error["code"], "resource_exhausted");
        assert_eq!(error["message"], "slow down");
        let details = error["details"].as_array().expect("details");
        let of = |name: &str| details.iter().find(|detail| detail["type"] == name).expect(name);
        assert_eq!(of("google.rpc.ErrorInfo")["debug"]["reason"], "RATE_LIMITED");
        assert_eq!(of("google.rpc.RetryInfo")["debug"]["retryDelay"], "1.500s");
        assert!(!of("google.rpc.RetryInfo")["value"].as_str().expect("base64").contains('='));
    }

    #[test]
    fn every_code_has_its_http_status() {
        let statuses: Vec<_> = (0..17).map(|code| http_status(Code::from_i32(code)).as_u16()).collect();

        assert_eq!(
            statuses,
            [200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401]
        );
    }

    #[test]
    fn a_status_without_details_has_none() {
        let error = error(&Status::not_found("no such resource"));

        assert_eq!(error, json!({ "code": "not_found", "message": "no such resource" }));
    }
}
