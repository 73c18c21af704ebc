//! Which protocol a request speaks, by its content type and nothing else.

use http::{HeaderMap, HeaderValue, header};

/// How messages are written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Codec {
    /// As protobuf.
    Proto,
    /// As JSON.
    Json,
}

/// A protocol for RPCs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Protocol {
    /// gRPC over HTTP/2.
    Grpc,
    /// gRPC-Web, each direction binary or in text.
    Web {
        /// The request's body is base64.
        text_in: bool,
        /// The answer's body is to be base64.
        text_out: bool,
    },
    /// Connect, one bare message each way.
    Connect(Codec),
    /// Connect, enveloped messages.
    ConnectStream(Codec),
}

/// What the client understands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Spoken {
    /// A protocol for RPCs.
    Rpc(Protocol),
    /// HTTP alone.
    Http,
}

// === impl Protocol ===

impl Protocol {
    /// The protocol of a request with these headers, if it is one of ours.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut types = headers.get_all(header::CONTENT_TYPE).iter();
        let (Some(content_type), None) = (types.next(), types.next()) else { return None };
        let (essence, parameters) = split(content_type.as_bytes());
        let (protocol, is_json) = of_essence(essence)?;
        let taken = parameters.is_empty() || (is_json && is_utf8(parameters));
        if !taken {
            return None;
        }
        Some(match protocol {
            Self::Web { text_in, .. } => Self::Web { text_in, text_out: wants_text(headers, text_in) },
            other => other,
        })
    }

    /// The content type of answers.
    pub(crate) fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Grpc => "application/grpc",
            Self::Web { text_out: false, .. } => "application/grpc-web+proto",
            Self::Web { text_out: true, .. } => "application/grpc-web-text+proto",
            Self::Connect(Codec::Proto) => "application/proto",
            Self::Connect(Codec::Json) => "application/json",
            Self::ConnectStream(Codec::Proto) => "application/connect+proto",
            Self::ConnectStream(Codec::Json) => "application/connect+json",
        })
    }

    /// Its name in logs and metrics.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::Web { .. } => "grpc-web",
            Self::Connect(_) => "connect",
            Self::ConnectStream(_) => "connect-stream",
        }
    }
}

// === impl Spoken ===

impl Spoken {
    /// Its name in logs and metrics.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Rpc(protocol) => protocol.name(),
            Self::Http => "http",
        }
    }
}

fn split(content_type: &[u8]) -> (&[u8], &[u8]) {
    let at = content_type.iter().position(|&byte| byte == b';');
    let (essence, parameters) = content_type.split_at(at.unwrap_or(content_type.len()));
    (essence.trim_ascii(), parameters.strip_prefix(b";").unwrap_or_default().trim_ascii())
}

fn of_essence(essence: &[u8]) -> Option<(Protocol, bool)> {
    const WEB: Protocol = Protocol::Web { text_in: false, text_out: false };
    const TEXT: Protocol = Protocol::Web { text_in: true, text_out: true };
    const TYPES: [(&[u8], Protocol, bool); 10] = [
        (b"application/grpc-web+proto", WEB, false),
        (b"application/grpc", Protocol::Grpc, false),
        (b"application/json", Protocol::Connect(Codec::Json), true),
        (b"application/grpc+proto", Protocol::Grpc, false),
        (b"application/grpc-web", WEB, false),
        (b"application/grpc-web-text", TEXT, false),
        (b"application/grpc-web-text+proto", TEXT, false),
        (b"application/proto", Protocol::Connect(Codec::Proto), false),
        (b"application/connect+json", Protocol::ConnectStream(Codec::Json), true),
        (b"application/connect+proto", Protocol::ConnectStream(Codec::Proto), false),
    ];
    TYPES
        .iter()
        .find(|(name, ..)| essence.eq_ignore_ascii_case(name))
        .map(|&(_, protocol, is_json)| (protocol, is_json))
}

fn is_utf8(parameters: &[u8]) -> bool {
    [&b"charset=utf-8"[..], b"charset=\"utf-8\""].iter().any(|utf8| parameters.eq_ignore_ascii_case(utf8))
}

/// Whether the answer is to be text: where the client asks for it, or sends text itself and does not say.
fn wants_text(headers: &HeaderMap, text_in: bool) -> bool {
    let Some(accept) = headers.get(header::ACCEPT).map(HeaderValue::as_bytes) else { return text_in };
    let names = |name: &[u8]| accept.windows(name.len()).any(|part| part.eq_ignore_ascii_case(name));
    names(b"grpc-web-text") || (text_in && !names(b"grpc-web"))
}

#[cfg(test)]
mod tests {
    //! Content types, strictly.

    use super::*;

    fn of(content_type: &'static str) -> Option<Protocol> {
        Protocol::of(&HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(content_type))]))
    }

    #[test]
    fn each_protocol_has_its_types() {
        let web = Protocol::Web { text_in: false, text_out: false };
        for (content_type, protocol) in [
            ("application/grpc", Protocol::Grpc),
            ("application/grpc+proto", Protocol::Grpc),
            ("application/grpc-web", web),
            ("application/grpc-web+proto", web),
            ("application/grpc-web-text", Protocol::Web { text_in: true, text_out: true }),
            ("application/json", Protocol::Connect(Codec::Json)),
            ("Application/JSON; charset=UTF-8", Protocol::Connect(Codec::Json)),
            ("application/proto", Protocol::Connect(Codec::Proto)),
            ("application/connect+json", Protocol::ConnectStream(Codec::Json)),
            ("application/connect+proto", Protocol::ConnectStream(Codec::Proto)),
        ] {
            assert_eq!(of(content_type), Some(protocol), "{content_type}");
        }
    }

    #[test]
    fn anything_else_is_none_of_them() {
        for content_type in [
            "",
            "text/plain",
            "application/grpcx",
            "application/grpc+json",
            "application/grpc;charset=utf-8",
            "application/json; charset=latin1",
            "application/json; charset=utf-8; x=y",
            "application/x-www-form-urlencoded",
            "application/grpc, application/json",
            "multipart/form-data; boundary=x",
        ] {
            assert_eq!(of(content_type), None, "{content_type}");
        }
        let mut twice = HeaderMap::new();
        twice.append(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        twice.append(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        assert_eq!(Protocol::of(&twice), None);
        assert_eq!(Protocol::of(&HeaderMap::new()), None);
    }

    #[test]
    fn the_answer_is_text_where_the_client_wants_it() {
        let ask = |content_type: &'static str, accept: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
            if let Some(accept) = accept {
                headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            }
            match Protocol::of(&headers) {
                Some(Protocol::Web { text_out, .. }) => text_out,
                other => panic!("{other:?}"),
            }
        };

        assert!(ask("application/grpc-web-text", None));
        assert!(ask("application/grpc-web-text", Some("*/*")));
        assert!(!ask("application/grpc-web-text", Some("application/grpc-web+proto")));
        assert!(ask("application/grpc-web", Some("application/grpc-web-text")));
        assert!(!ask("application/grpc-web", Some("*/*")));
        assert!(!ask("application/grpc-web", None));
    }
}
