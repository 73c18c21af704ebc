//! One call: its method, what it speaks, who makes it, how large and how long it may be, and on to the service.

use std::{sync::Arc, time::Duration};

use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Version, header, request::Parts};
use mcp_tenancy::{Access, Credential, Denied, Streaming, Tenancy};
use tokio::time::Instant;
use tonic::Code;

use crate::{
    edge::Call,
    exchange,
    forward::{Admitted, ClientBody, asked_timeout},
    framing::{answer::EdgeBody, envelope::HEAD_BYTES, json, request::Meter},
    headers,
    observe::{Asked, Record},
    pages,
    protocol::{Codec, Protocol, Spoken},
    refusal::Refusal,
    routes::{Route, Upstream},
};

const IDENTITY: &str = "identity";

impl Call<'_> {
    /// Answers a call to a method.
    pub(crate) async fn call<B: ClientBody>(
        &self,
        record: &mut Record,
        parts: Parts,
        body: &mut Option<B>,
    ) -> Result<Response<EdgeBody>, Refusal> {
        let edge = &*self.core.edge;
        let Parts { method, uri, version, headers, .. } = parts;

        // The table is static: a method that is not in it costs a look-up.
        let route = edge.routes.of(uri.path()).ok_or_else(unknown_method)?;
        record.with(|entry| entry.asked = Asked::Method(Arc::clone(route)));
        if method != Method::POST {
            return Err(pages::method_not_allowed("POST"));
        }
        if route.is_endless() {
            let place = Arc::clone(&edge.watchers).try_acquire_owned().map_err(|_| Refusal::overloaded())?;
            // In place of the one it has: the many are for calls that end.
            record.holds(place);
        }
        let protocol = self.protocol(route, version, &headers)?;
        let deadline = deadline(route, &headers, protocol)?;

        // Above the reading of the body: a stranger's bytes are not even received.
        let meter = Arc::<Meter>::default();
        record.metered(Arc::clone(&meter));
        let mut added = Vec::with_capacity(4);
        let traceparent = HeaderValue::from_maybe_shared(bytes::Bytes::from(self.trace.to_string()))
            .unwrap_or(HeaderValue::from_static("-"));
        match route.policy.access {
            Access::Permission(permission) => {
                let presented = edge.exchange.verify(&headers)?;
                record.with(|entry| entry.credential = Some(Arc::clone(&presented.credential)));
                admit_tenant(&presented.credential, &headers)?;
                // The service asks again: this only spares it the call.
                if !presented.credential.permissions().holds(permission) {
                    return Err(Denied::Lacks(permission).into());
                }
                bound_size(route, protocol, &headers)?;
                if route.upstream != Upstream::Edge {
                    let auth = &self.core.auth;
                    let token = edge.exchange.authorization(&presented, auth, self.id, &traceparent);
                    added.push((header::AUTHORIZATION, token.await?));
                }
                let tenant = HeaderValue::try_from(presented.credential.tenant().as_str());
                added.push((
                    headers::TENANT_ID,
                    tenant.map_err(|_| Refusal::internal("a slug is no header value"))?,
                ));
            }
            Access::Public { .. } => {
                // Whoever names a tenant names one, though there is no token to compare it with.
                if route.policy.tenancy == Tenancy::OfCaller {
                    exchange::tenant_named(&headers)?;
                }
                bound_size(route, protocol, &headers)?;
            }
            // The table holds none; were there one, nobody outside could show what it asks for.
            Access::Internal => return Err(unknown_method()),
        }
        added.push((headers::REQUEST_ID, self.id.clone()));
        added.push((headers::TRACEPARENT, traceparent));

        let stop = edge.pages.stop.clone();
        let admitted = Admitted { route: Arc::clone(route), protocol, deadline, meter, stop, added };
        let body = body.take().ok_or_else(|| Refusal::internal("a body was taken twice"))?;
        let body = admitted.body(body).await?;
        let answered = match self.core.channel(route.upstream) {
            Some(channel) => admitted.send(channel.clone(), headers, body).await?,
            None => admitted.send(self.core.local.clone(), headers, body).await?,
        };
        record.with(|entry| {
            entry.upstream = Some(answered.upstream);
            entry.code = answered.code;
        });
        Ok(answered.response)
    }

    fn protocol(&self, route: &Route, version: Version, headers: &HeaderMap) -> Result<Protocol, Refusal> {
        let Spoken::Rpc(protocol) = self.spoken else {
            return Err(unsupported(
                "content-type must be application/grpc, application/grpc-web, application/grpc-web-text, \
                 application/json, application/proto, application/connect+json or application/connect+proto",
            ));
        };
        match protocol {
            Protocol::Grpc if version < Version::HTTP_2 => {
                return Err(unsupported(
                    "application/grpc needs HTTP/2; over HTTP/1.1 use application/grpc-web",
                ));
            }
            Protocol::Grpc | Protocol::Web { .. } => {}
            Protocol::Connect(_) => {
                if route.policy.streaming != Streaming::Unary {
                    return Err(unsupported("this method streams: use application/connect+json or +proto"));
                }
                plain_only(headers, "content-encoding")?;
            }
            Protocol::ConnectStream(_) => {
                if route.policy.streaming == Streaming::Unary {
                    return Err(unsupported(
                        "this method does not stream: use application/json or application/proto",
                    ));
                }
                plain_only(headers, "connect-content-encoding")?;
            }
        }
        if matches!(protocol, Protocol::Connect(_) | Protocol::ConnectStream(_))
            && headers.get(headers::CONNECT_VERSION).is_some_and(|version| version != "1")
        {
            let words = "connect-protocol-version must be 1";
            return Err(Refusal::new(Code::InvalidArgument, "PROTOCOL_VERSION", words));
        }
        Ok(protocol)
    }
}

fn unknown_method() -> Refusal {
    Refusal::new(Code::Unimplemented, "METHOD_UNKNOWN", "no such method").http(StatusCode::NOT_FOUND)
}

fn unsupported(words: &'static str) -> Refusal {
    Refusal::new(Code::InvalidArgument, "CONTENT_TYPE", words).http_alone(StatusCode::UNSUPPORTED_MEDIA_TYPE)
}

fn plain_only(headers: &HeaderMap, name: &'static str) -> Result<(), Refusal> {
    match headers.get(name) {
        Some(encoding) if encoding != IDENTITY => {
            let words = format!("{name} must be {IDENTITY}: the edge takes no compressed bodies");
            Err(Refusal::new(Code::Unimplemented, "COMPRESSION", words))
        }
        _ => Ok(()),
    }
}

/// The caller's deadline or the policy's, whichever comes first.
fn deadline(route: &Route, headers: &HeaderMap, protocol: Protocol) -> Result<Instant, Refusal> {
    let longest = Duration::from_millis(route.policy.deadline_ms_max.into());
    let asked = asked_timeout(headers, protocol)?.unwrap_or(longest);
    Ok(Instant::now() + asked.min(longest))
}

/// Whether a request that names a tenant names the credential's.
fn admit_tenant(credential: &Credential, headers: &HeaderMap) -> Result<(), Denied> {
    match exchange::tenant_named(headers)? {
        Some(named) if named != *credential.tenant() => Err(Denied::TenantMismatch),
        _ => Ok(()),
    }
}

/// Refuses a body that says itself that it is too large, before it is read. What says nothing, or lies, is counted
/// as it flows.
fn bound_size(route: &Route, protocol: Protocol, headers: &HeaderMap) -> Result<(), Refusal> {
    let one_message = matches!(route.policy.streaming, Streaming::Unary | Streaming::Server);
    let stated =
        headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let Some(stated) = stated.filter(|_| one_message) else { return Ok(()) };
    let bytes_max = route.policy.request_bytes_max;
    let body_max = match protocol {
        Protocol::Connect(Codec::Proto) => bytes_max as usize,
        Protocol::Connect(Codec::Json) => json::bytes_max(bytes_max),
        Protocol::ConnectStream(Codec::Json) => HEAD_BYTES + json::bytes_max(bytes_max),
        // Text may be padded anywhere: it is counted as it is decoded.
        Protocol::Web { text_in: true, .. } => return Ok(()),
        Protocol::Grpc | Protocol::Web { .. } | Protocol::ConnectStream(Codec::Proto) => {
            HEAD_BYTES + bytes_max as usize
        }
    };
    if stated <= body_max as u64 {
        return Ok(());
    }
    let words = format!("the request is of {stated} bytes; this method takes messages of {bytes_max}");
    Err(Refusal::too_large(words))
}
