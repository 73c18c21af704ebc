//! Sends calls that must be refused, and holds each refusal to the promise: a precise status, one audit row, a count,
//! and nothing changed.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use mcp_types::{Clock as _, SystemClock, SystemEntropy, uuid_v7};
use tonic::Code;

use super::{OPERATOR, Policy};
use crate::{
    audit,
    digest::{self, Digest},
    identity,
    metrics::Metrics,
    wire::{Answer, Wire},
    world::{Service, World, until},
};

/// Where a call comes in.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Door {
    /// A service's own port.
    Mesh(Service),
    /// The ca's port for newcomers.
    Bootstrap,
    /// The gateway.
    Edge,
}

/// A call that must be refused.
#[derive(Clone, Debug)]
pub struct Case<'a> {
    /// What is wrong with it.
    pub what: String,
    /// Where it comes in.
    pub door: Door,
    /// Whose certificate is shown, of [`super::PEERS`]; at the other doors none is.
    pub peer: &'a str,
    /// Whose listener refuses it and counts; the same, but for what the edge lets through to a service.
    pub counted: Door,
    /// The path.
    pub path: &'a str,
    /// The token, if one is sent.
    pub token: Option<String>,
    /// Headers beside it.
    pub headers: Vec<(&'a str, &'a str)>,
    /// The framed message.
    pub body: Bytes,
    /// The code that must come back.
    pub code: Code,
    /// The reason that must come back.
    pub reason: &'a str,
}

/// Calls against one world, and what is expected of them.
#[derive(Debug)]
pub struct Trial<'w> {
    world: &'w World,
    wires: HashMap<(Door, String), Wire>,
    before: Digest,
    metrics: Metrics,
    /// What was refused, by request ID.
    refused: Vec<(String, String, String)>,
    /// How many refusals each count must have grown by.
    handled: BTreeMap<[String; 4], f64>,
    denied: BTreeMap<[String; 2], f64>,
}

/// Reasons that the gate states, which count in `mcp_denied_total` on every listener.
const OF_THE_CODEC: [&str; 4] = ["REQUEST_TOO_LARGE", "FIELD_INVALID", "MESSAGE_MALFORMED", "METHOD_UNKNOWN"];

// === impl Door ===

impl Door {
    fn listener(self) -> &'static str {
        match self {
            Self::Mesh(_) => "mesh",
            Self::Bootstrap => "bootstrap",
            Self::Edge => "edge",
        }
    }
}

// === impl Trial ===

impl<'w> Trial<'w> {
    /// Begins: what is stored now must stay as it is. All certificates are made here, since each leaves its record.
    pub async fn begin(world: &'w World) -> Self {
        for peer in super::PEERS.into_iter().filter(|peer| *peer != OPERATOR) {
            world.identities().service(peer).await;
        }
        world.signer().await;
        let (before, metrics) = (digest::of(world).await, Metrics::of(world).await);
        let (wires, refused) = (HashMap::new(), Vec::new());
        Self { world, wires, before, metrics, refused, handled: BTreeMap::new(), denied: BTreeMap::new() }
    }

    /// The world.
    pub fn world(&self) -> &'w World {
        self.world
    }

    /// Sends a call, whatever comes back.
    pub async fn send(&mut self, case: &Case<'_>) -> (String, Answer) {
        let id = uuid_v7(SystemClock.now(), &SystemEntropy).to_string();
        let bearer = case.token.as_ref().map(|token| format!("Bearer {token}"));
        let mut headers = vec![("x-request-id", id.as_str())];
        headers.extend(bearer.as_deref().map(|value| ("authorization", value)));
        headers.extend_from_slice(&case.headers);
        let mut last = String::new();
        // A connection may have ended for its own reasons.
        for _ in 0..3 {
            let wire = self.wire(case.door, case.peer).await;
            match wire.post(case.path, &headers, case.body.clone()).await {
                Ok(answer) => return (id, answer),
                Err(error) => last = format!("{error:?}"),
            }
            self.wires.clear();
        }
        panic!("{}, {:?}, {}: no answer: {last}", case.path, case.door, case.what);
    }

    /// Sends a call that must be refused as it says.
    pub async fn refuses(&mut self, case: Case<'_>) {
        let (id, answer) = self.send(&case).await;
        let status = answer.status();
        let got = (status.code(), crate::reason(&status));
        let what = format!("{} at {:?} as {}, {}", case.path, case.door, case.peer, case.what);
        assert_eq!(got, (case.code, case.reason.to_owned()), "{what}: {}", status.message());
        let echoed = answer.headers.get("x-request-id").map(|value| value.as_bytes());
        assert_eq!(echoed, Some(id.as_bytes()), "{what}: the request ID comes back");

        let (service, method) = case.path.trim_start_matches('/').split_once('/').expect("a path");
        let known = mcp_proto::POLICIES.of(case.path).is_some() && case.reason != "METHOD_UNKNOWN";
        let (service, method) = if known { (service, method) } else { ("unknown", "unknown") };
        let listener = case.counted.listener();
        let labels = [listener, service, method, mcp_rpc::code_name(case.code)].map(str::to_owned);
        *self.handled.entry(labels).or_default() += 1.0;
        if !OF_THE_CODEC.contains(&case.reason) {
            *self.denied.entry([listener, case.reason].map(str::to_owned)).or_default() += 1.0;
        }
        self.refused.push((id, case.reason.to_owned(), what));
    }

    /// How many calls were refused so far.
    pub fn count(&self) -> usize {
        self.refused.len()
    }

    /// Looks at what the calls left: for each one row and one count, and nothing else anywhere.
    pub async fn ends(self) {
        assert!(!self.refused.is_empty(), "a trial without a case shows nothing");
        until("one audit row for each refusal", async || {
            let rows = audit::rows(self.world);
            let wrong: Vec<_> = self
                .refused
                .iter()
                .filter_map(|(id, reason, what)| {
                    let told = audit::refusals(&rows, id);
                    (told != [reason.clone()])
                        .then(|| format!("{what} ({id}): {told:?} in place of one {reason}"))
                })
                .take(12)
                .collect();
            if wrong.is_empty() { Ok(()) } else { Err(format!("{} wrong: {wrong:#?}", wrong.len())) }
        })
        .await;

        until("a count for each refusal", async || {
            let now = Metrics::of(self.world).await;
            let mut wrong = Vec::new();
            for ([listener, service, method, code], count) in &self.handled {
                let labels = [
                    ("listener", listener.as_str()),
                    ("grpc_service", service),
                    ("grpc_method", method),
                    ("grpc_code", code),
                ];
                wrong.extend(self.short("grpc_server_handled_total", &labels, *count, &now));
            }
            for ([listener, reason], count) in &self.denied {
                let labels = [("listener", listener.as_str()), ("reason", reason)];
                wrong.extend(self.short("mcp_denied_total", &labels, *count, &now));
            }
            if wrong.is_empty() { Ok(()) } else { Err(format!("{wrong:#?}")) }
        })
        .await;

        let changes = digest::changes(&self.before, &digest::of(self.world).await);
        assert!(changes.is_empty(), "refused calls changed what is stored: {changes:#?}");
    }

    fn short(&self, name: &str, labels: &[(&str, &str)], count: f64, now: &Metrics) -> Option<String> {
        let grown = now.sum(name, labels) - self.metrics.sum(name, labels);
        (grown < count).then(|| format!("{name}{labels:?} grew by {grown} in place of {count}"))
    }

    async fn wire(&mut self, door: Door, peer: &str) -> Wire {
        let key = (door, peer.to_owned());
        if let Some(known) = self.wires.get(&key) {
            return known.clone();
        }
        let identities = self.world.identities();
        let (address, tls) = match door {
            Door::Edge => (self.world.layout().edge, identity::ordinary(&self.world.edge_ca(), &[b"h2"])),
            Door::Bootstrap => (self.world.layout().bootstrap, identity::blind(None, &[b"h2"])),
            Door::Mesh(service) => {
                let shown = match peer {
                    OPERATOR => identities.operator(),
                    name => identities.service(name).await,
                };
                (self.world.port_of(service), identities.tls(&shown, service))
            }
        };
        let wire =
            Wire::connect(address, tls).await.unwrap_or_else(|error| panic!("{door:?} as {peer}: {error:?}"));
        self.wires.insert(key, wire.clone());
        wire
    }
}

/// The start of a case on a service's own port: right in everything that it does not state.
pub fn on_the_mesh<'a>(policy: Policy, host: Service, peer: &'a str) -> Case<'a> {
    Case {
        what: String::new(),
        door: Door::Mesh(host),
        counted: Door::Mesh(host),
        peer,
        path: policy.path,
        token: None,
        headers: Vec::new(),
        body: Bytes::new(),
        code: Code::Ok,
        reason: "",
    }
}

/// The start of a case at the edge.
pub fn at_the_edge<'a>(policy: Policy) -> Case<'a> {
    Case {
        what: String::new(),
        door: Door::Edge,
        counted: Door::Edge,
        peer: "",
        path: policy.path,
        token: None,
        headers: Vec::new(),
        body: Bytes::new(),
        code: Code::Ok,
        reason: "",
    }
}
