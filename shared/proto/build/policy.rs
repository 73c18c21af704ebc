//! Reads the method options of a descriptor set and refuses what they leave open.
//!
//! Shared by the build script and by the tests that show each refusal.

use std::fmt::Write as _;

use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, MethodDescriptor, Value};
use serde::Deserialize;

/// The option that every method must carry.
const OPTION: &str = "mcp.policy.v1.method";

/// Names a field of a request may not have where the tenant is the caller's.
const TENANT_NAMES: [&str; 5] = ["tenant", "tenant_id", "tenant_name", "tenant_slug", "tenants"];

/// One method's policy, as the source of the table states it.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) path: String,
    access: Access,
    peers: Vec<&'static str>,
    tenancy: &'static str,
    audit: &'static str,
    rate: &'static str,
    request_bytes_max: u32,
    deadline_ms_max: u32,
    idempotency: &'static str,
    streaming: &'static str,
}

#[derive(Debug)]
enum Access {
    Public(String),
    Permission(String),
    Internal,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Foreign {
    method: Vec<ForeignMethod>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ForeignMethod {
    path: String,
    public_because: Option<String>,
    permission: Option<String>,
    peers: Vec<String>,
    tenancy: String,
    audit: String,
    rate: String,
    request_bytes_max: u32,
    deadline_ms_max: u32,
    idempotency: String,
    streaming: String,
}

// What the proto enums say, by number, and what the static file says, by name: (name, Rust). Number 0 is
// "unspecified" everywhere and is refused.
const PEERS: [(&str, &str); 8] = [
    ("gateway", "Peer::Service(\"gateway\")"),
    ("auth", "Peer::Service(\"auth\")"),
    ("context", "Peer::Service(\"context\")"),
    ("summarization", "Peer::Service(\"summarization\")"),
    ("ca", "Peer::Service(\"ca\")"),
    ("operator", "Peer::Operator"),
    ("any_service", "Peer::AnyService"),
    ("unidentified", "Peer::Unidentified"),
];
const TENANCIES: [(&str, &str); 3] =
    [("of_caller", "Tenancy::OfCaller"), ("platform", "Tenancy::Platform"), ("none", "Tenancy::None")];
const AUDITS: [(&str, &str); 5] = [
    ("refusals", "AuditClass::Refusals"),
    ("read", "AuditClass::Read"),
    ("write", "AuditClass::Write"),
    ("admin", "AuditClass::Admin"),
    ("authentication", "AuditClass::Authentication"),
];
const RATES: [(&str, &str); 5] = [
    ("read", "RateClass::Read"),
    ("write", "RateClass::Write"),
    ("heavy", "RateClass::Heavy"),
    ("sensitive", "RateClass::Sensitive"),
    ("upkeep", "RateClass::Upkeep"),
];
const IDEMPOTENCIES: [(&str, &str); 4] = [
    ("no_side_effects", "Idempotency::NoSideEffects"),
    ("by_request_id", "Idempotency::ByRequestId"),
    ("natural", "Idempotency::Natural"),
    ("none", "Idempotency::None"),
];
const STREAMINGS: [(&str, &str); 4] = [
    ("unary", "Streaming::Unary"),
    ("server", "Streaming::Server"),
    ("client", "Streaming::Client"),
    ("both", "Streaming::Both"),
];

/// Returns the policies of every method of ours in `pool` and of `foreign`, sorted by path, or everything that is wrong.
pub(crate) fn table(pool: &DescriptorPool, foreign: &str) -> Result<Vec<Row>, Vec<String>> {
    let mut faults = Vec::new();
    let mut rows = Vec::new();
    let methods = pool
        .services()
        .filter(|service| service.package_name().starts_with("mcp."))
        .flat_map(|service| service.methods().collect::<Vec<_>>());
    for method in methods {
        match row(pool, &method) {
            Ok(row) => rows.push(row),
            Err(of_method) => {
                faults.extend(of_method.into_iter().map(|fault| format!("{}: {fault}", method.full_name())));
            }
        }
    }
    match toml::from_str::<Foreign>(foreign) {
        Ok(foreign) => {
            for method in foreign.method {
                let path = method.path.clone();
                match foreign_row(method) {
                    Ok(row) => rows.push(row),
                    Err(fault) => faults.push(format!("foreign.toml: {path}: {fault}")),
                }
            }
        }
        Err(error) => faults.push(format!("foreign.toml: {error}")),
    }
    if permissions(&rows).len() > 64 {
        faults.push("more than 64 permissions: a set of them is a 64-bit word".to_owned());
    }
    rows.sort_by(|a, b| a.path.cmp(&b.path));
    if faults.is_empty() { Ok(rows) } else { Err(faults) }
}

/// Returns the table as Rust source.
pub(crate) fn source(rows: &[Row]) -> String {
    let permissions = permissions(rows);
    let mut text = String::from("PolicyTable {\n    methods: &[\n");
    for row in rows {
        let access = match &row.access {
            Access::Public(because) => format!("Access::Public {{ because: {because:?} }}"),
            Access::Internal => "Access::Internal".to_owned(),
            Access::Permission(name) => {
                let index = permissions.iter().position(|known| known == name).unwrap_or_default();
                format!("Access::Permission(Permission {{ index: {index}, name: {name:?} }})")
            }
        };
        let Row { path, peers, tenancy, audit, rate, .. } = row;
        let Row { request_bytes_max, deadline_ms_max, idempotency, streaming, .. } = row;
        let _ = writeln!(
            text,
            "        MethodPolicy {{ path: {path:?}, access: {access}, peers: &[{}], tenancy: {tenancy}, \
             audit: {audit}, rate: {rate}, request_bytes_max: {request_bytes_max}, deadline_ms_max: \
             {deadline_ms_max}, idempotency: {idempotency}, streaming: {streaming} }},",
            peers.join(", "),
        );
    }
    let _ = writeln!(text, "    ],\n    permissions: &{permissions:?},\n}}");
    text
}

fn permissions(rows: &[Row]) -> Vec<&str> {
    let mut names: Vec<_> = rows
        .iter()
        .filter_map(|row| match &row.access {
            Access::Permission(name) => Some(name.as_str()),
            Access::Public(_) | Access::Internal => None,
        })
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn row(pool: &DescriptorPool, method: &MethodDescriptor) -> Result<Row, Vec<String>> {
    let Some(extension) = pool.get_extension_by_name(OPTION) else {
        return Err(vec!["policy.proto is not among the imports".to_owned()]);
    };
    let options = method.options();
    if !options.has_extension(&extension) {
        return Err(vec![format!("states no ({OPTION}) option")]);
    }
    let value = options.get_extension(&extension);
    let Some(policy) = value.as_message() else {
        return Err(vec![format!("({OPTION}) is no message")]);
    };

    let mut faults = Vec::new();
    let access = access(policy).unwrap_or_else(|fault| fail(&mut faults, fault, Access::Internal));
    let mut choose = |field: &str, choices: &[(&'static str, &'static str)]| {
        choice(policy, field, choices).unwrap_or_else(|fault| fail(&mut faults, fault, ""))
    };
    let tenancy = choose("tenancy", &TENANCIES);
    let audit = choose("audit", &AUDITS);
    let rate = choose("rate", &RATES);
    let idempotency = choose("idempotency", &IDEMPOTENCIES);
    let peers = peers(policy).unwrap_or_else(|fault| fail(&mut faults, fault, Vec::new()));
    let mut bound = |field: &str| bound(policy, field).unwrap_or_else(|fault| fail(&mut faults, fault, 0));
    let request_bytes_max = bound("request_bytes_max");
    let deadline_ms_max = bound("deadline_ms_max");

    if tenancy == "Tenancy::OfCaller" {
        if !matches!(access, Access::Permission(_)) {
            faults.push("acts in the caller's tenant but asks for no permission".to_owned());
        }
        let mut seen = Vec::new();
        if let Some(field) = names_a_tenant(&method.input(), &mut seen) {
            faults.push(format!("its request names a tenant in `{field}`; the tenant is the credential's"));
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    let streaming = match (method.is_client_streaming(), method.is_server_streaming()) {
        (false, false) => "Streaming::Unary",
        (false, true) => "Streaming::Server",
        (true, false) => "Streaming::Client",
        (true, true) => "Streaming::Both",
    };
    let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
    Ok(Row {
        path,
        access,
        peers,
        tenancy,
        audit,
        rate,
        request_bytes_max,
        deadline_ms_max,
        idempotency,
        streaming,
    })
}

fn fail<T>(faults: &mut Vec<String>, fault: String, instead: T) -> T {
    faults.push(fault);
    instead
}

fn access(policy: &DynamicMessage) -> Result<Access, String> {
    let set = |field: &str| policy.has_field_by_name(field);
    let text = |field: &str| {
        let value = policy.get_field_by_name(field);
        value.and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
    };
    if set("public_because") {
        let because = text("public_because");
        if because.trim().is_empty() {
            return Err("is public without a reason".to_owned());
        }
        Ok(Access::Public(because))
    } else if set("permission") {
        named(text("permission")).map(Access::Permission)
    } else if policy.get_field_by_name("internal").is_some_and(|value| value.as_bool() == Some(true)) {
        Ok(Access::Internal)
    } else {
        Err("states no access: public with a reason, a permission, or internal".to_owned())
    }
}

fn named(permission: String) -> Result<String, String> {
    let part =
        |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    match permission.split_once('.') {
        Some((room, verb)) if part(room) && part(verb) => Ok(permission),
        _ => Err(format!("permission `{permission}` is not of the form <room>.<verb>")),
    }
}

fn choice(
    policy: &DynamicMessage,
    field: &str,
    choices: &[(&'static str, &'static str)],
) -> Result<&'static str, String> {
    let value = policy.get_field_by_name(field);
    let number = value.and_then(|value| value.as_enum_number()).unwrap_or_default();
    by_number(number, choices).ok_or_else(|| format!("leaves `{field}` unspecified"))
}

fn by_number(number: i32, choices: &[(&'static str, &'static str)]) -> Option<&'static str> {
    let at = usize::try_from(number).ok()?.checked_sub(1)?;
    choices.get(at).map(|(_, rust)| *rust)
}

fn peers(policy: &DynamicMessage) -> Result<Vec<&'static str>, String> {
    let value = policy.get_field_by_name("peers");
    let listed = value.as_deref().and_then(Value::as_list).unwrap_or_default();
    if listed.is_empty() {
        return Err("lists no `peers`".to_owned());
    }
    listed
        .iter()
        .map(|peer| by_number(peer.as_enum_number().unwrap_or_default(), &PEERS))
        .collect::<Option<_>>()
        .ok_or_else(|| "leaves one of its `peers` unspecified".to_owned())
}

fn bound(policy: &DynamicMessage, field: &str) -> Result<u32, String> {
    match policy.get_field_by_name(field).and_then(|value| value.as_u32()) {
        Some(number) if number > 0 => Ok(number),
        _ => Err(format!("leaves `{field}` unspecified")),
    }
}

/// Finds a field by which a request could name a tenant, at any depth.
fn names_a_tenant(message: &MessageDescriptor, seen: &mut Vec<String>) -> Option<String> {
    if seen.iter().any(|name| name == message.full_name()) {
        return None;
    }
    seen.push(message.full_name().to_owned());
    message.fields().find_map(|field| {
        if TENANT_NAMES.contains(&field.name()) {
            return Some(field.full_name().to_owned());
        }
        let kind = field.kind();
        kind.as_message()
            .filter(|inner| inner.full_name().starts_with("mcp."))
            .and_then(|inner| names_a_tenant(inner, seen))
    })
}

fn foreign_row(method: ForeignMethod) -> Result<Row, String> {
    let access = match (method.public_because, method.permission) {
        (Some(because), None) if !because.trim().is_empty() => Access::Public(because),
        (None, Some(permission)) => Access::Permission(named(permission)?),
        _ => return Err("states not exactly one of public_because and permission".to_owned()),
    };
    let by_name = |field: &str, name: &str, choices: &[(&'static str, &'static str)]| {
        let found = choices.iter().find(|(known, _)| *known == name).map(|(_, rust)| *rust);
        found.ok_or_else(|| format!("`{field}` knows no `{name}`"))
    };
    if method.peers.is_empty() {
        return Err("lists no `peers`".to_owned());
    }
    if method.request_bytes_max == 0 || method.deadline_ms_max == 0 {
        return Err("leaves a bound at 0".to_owned());
    }
    Ok(Row {
        path: method.path,
        access,
        peers: method.peers.iter().map(|peer| by_name("peers", peer, &PEERS)).collect::<Result<_, _>>()?,
        tenancy: by_name("tenancy", &method.tenancy, &TENANCIES)?,
        audit: by_name("audit", &method.audit, &AUDITS)?,
        rate: by_name("rate", &method.rate, &RATES)?,
        request_bytes_max: method.request_bytes_max,
        deadline_ms_max: method.deadline_ms_max,
        idempotency: by_name("idempotency", &method.idempotency, &IDEMPOTENCIES)?,
        streaming: by_name("streaming", &method.streaming, &STREAMINGS)?,
    })
}
