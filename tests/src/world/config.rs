//! The configuration of a world: far limits, free ports, and what a specification adds.

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::{Layout, Service};

/// What every process gets: nothing here weakens a check, it only moves the limits away.
const COMMON: &str = r#"
profile = "development"
[listen]
metrics = "127.0.0.1:0"
[log]
filter = "info"
format = "text"
[mesh]
trust_domain = "mcp.local"
audit_stranger_rows_max = 1000000
audit_copy = "audit.copy.jsonl"
[mesh.quotas]
read = 1000000
write = 1000000
heavy = 1000000
sensitive = 1000000
upkeep = 1000000
[auth]
local_sign_in = true
[gateway.limits]
ip = "10000/1s"
static = "10000/1s"
"#;

/// The file of `mcp up`.
pub(super) fn up(extra: &str) -> String {
    merged(COMMON, extra)
}

/// The file of `mcp serve`.
pub(super) fn serve(service: Service, layout: &Layout, home: &Path, extra: &str) -> String {
    let mut table: Table = merged(COMMON, extra).parse().expect("TOML");
    over(&mut table, places(layout));
    over(&mut table, own(service, layout, home));
    table.to_string()
}

/// The file that verbs find the platform by.
pub(super) fn verbs(layout: &Layout, extra: &str) -> String {
    let mut table: Table = merged(COMMON, extra).parse().expect("TOML");
    over(&mut table, places(layout));
    over(&mut table, text(&format!("[operator]\nfolder = {:?}", layout.operator)));
    table.to_string()
}

/// Where the ca leaves the join token of a service.
pub(super) fn join_token(home: &Path, service: Service) -> PathBuf {
    home.join("join").join(service.name())
}

/// Who is where.
fn places(layout: &Layout) -> Table {
    let port = |service: Service| layout.mesh[&service].to_string();
    text(&format!(
        r#"
        [mesh]
        ca = {{ mesh = {ca:?}, bootstrap = {bootstrap:?} }}
        auth = {auth:?}
        [context]
        summarization = {summarization:?}
        [gateway.upstreams]
        auth = {auth:?}
        context = {context:?}
        summarization = {summarization:?}
        "#,
        ca = port(Service::Ca),
        bootstrap = layout.bootstrap.to_string(),
        auth = port(Service::Auth),
        context = port(Service::Context),
        summarization = port(Service::Summarization),
    ))
}

/// What a service is told beside that.
fn own(service: Service, layout: &Layout, home: &Path) -> Table {
    let state = &layout.state[&service];
    let mut said = format!("[mesh]\nstate_dir = {state:?}\n");
    if service != Service::Ca {
        let token = format!("file:{}", join_token(home, service).display());
        said.push_str(&format!("join_token = {token:?}\n"));
    }
    if let Some(port) = layout.mesh.get(&service) {
        said.push_str(&format!("[listen]\nmesh = \"{port}\"\n"));
    }
    match service {
        Service::Ca => said.push_str(&format!(
            "bootstrap = \"{}\"\n[ca]\noperator = {{ folder = {:?}, name = \"local\" }}\n\
             initial_join_tokens = {{ folder = {:?}, services = [\"auth\", \"context\", \"summarization\", \"gateway\"] }}\n",
            layout.bootstrap,
            layout.operator,
            home.join("join"),
        )),
        Service::Gateway => said.push_str(&format!(
            "[listen]\nedge = \"{}\"\n[gateway.certificate]\nchain = {:?}\nkey = {:?}\n",
            layout.edge,
            home.join("edge/chain.pem"),
            home.join("edge/key.pem"),
        )),
        Service::Auth | Service::Context | Service::Summarization => {}
    }
    text(&said)
}

pub(super) fn merged(base: &str, extra: &str) -> String {
    let mut table = text(base);
    over(&mut table, text(extra));
    table.to_string()
}

fn text(toml: &str) -> Table {
    toml.parse().unwrap_or_else(|error| panic!("{error}:\n{toml}"))
}

/// Lays `above` over `below`, table by table.
fn over(below: &mut Table, above: Table) {
    for (key, value) in above {
        match (below.get_mut(&key), value) {
            (Some(Value::Table(below)), Value::Table(above)) => over(below, above),
            (_, value) => {
                below.insert(key, value);
            }
        }
    }
}
