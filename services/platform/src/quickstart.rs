//! What `mcp up` prints once everything serves: who is where, and lines to paste.

use std::{env, path::Path, time::Duration};

use comfy_table::{Cell, Table, presets};
use serde_json::json;

use crate::{
    cli::Format,
    config::PlatformConfig,
    output::{self, FAINT, GOOD, STRONG},
    ready::Ready,
};

/// Prints the services and the quickstart.
pub(crate) fn print(
    config: &PlatformConfig,
    data_dir_as_given: &Path,
    data_dir: &Path,
    ready: &Ready,
    took: Duration,
    format: Format,
) {
    if format == Format::Json {
        output::json(&json!({"ready": ready, "took_ms": took.as_millis()}));
        return;
    }
    let configured = &config.gateway.certificate.chain;
    let certificate = (!configured.as_os_str().is_empty()).then_some(configured.as_path());
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(["service", "address", "identity", "certificate until"]);
    table.add_row([
        "gateway",
        &ready.gateway,
        if certificate.is_some() {
            "for clients: `gateway.certificate`"
        } else {
            "for clients: the local edge CA"
        },
        &expiry(certificate.unwrap_or(&data_dir.join("edge/chain.pem"))),
    ]);
    for (name, address) in &ready.services {
        let identity = format!("spiffe://{}/service/{name}", config.mesh.trust_domain);
        // The ca keeps its own in memory; it has no file to read.
        let until = match name.as_str() {
            "ca" => "renewed by itself".to_owned(),
            _ => expiry(&data_dir.join(name).join("identity/cert.pem")),
        };
        table.add_row([Cell::new(name), Cell::new(address), Cell::new(identity), Cell::new(until)]);
    }

    let authority = ready.gateway.trim_start_matches("https://");
    let (mcp, grpcurl) = (command("mcp"), tool("MCP_GRPCURL", "grpcurl"));
    let data = match data_dir_as_given.to_str() {
        Some(".mcp") | None => String::new(),
        Some(folder) => format!(" --data-dir {folder}"),
    };
    let ca = data_dir_as_given.join("edge/ca.pem");
    let ca = ca.display();
    let token = format!("$({mcp} token --tenant acme --user alice --role editor{data})");
    let method = "mcp.summarization.v1.SummarizationService/Summarize";
    let text =
        "The mesh carries every call. Each service proves who it is. A stranger is refused at the door.";
    let body = format!(r#"{{"text": "{text}", "length": {{"max_sentences": 1}}}}"#);

    output::line(table);
    output::line(format_args!(
        "{GOOD}ready{GOOD:#} in {} ms; data in {}; metrics at {}\n",
        took.as_millis(),
        data_dir.display(),
        ready.metrics
    ));
    if !config.profile.is_development() {
        // Nobody signs in locally here, so there is no line to paste that would work.
        return;
    }
    output::line(format_args!("{STRONG}Quickstart{STRONG:#} {FAINT}(each line works by itself){FAINT:#}\n"));
    output::line(format_args!(
        "{grpcurl} -cacert {ca} -H \"authorization: Bearer {token}\" -d '{body}' {authority} {method}\n"
    ));
    output::line(format_args!(
        "curl --cacert {ca} -H \"authorization: Bearer {token}\" -H 'content-type: application/json' -d '{body}' {}/{method}\n",
        ready.gateway
    ));
    output::line(format_args!(
        "{FAINT}the console, in a browser (it will ask about the local CA):{FAINT:#}\n{}/\n",
        ready.gateway
    ));
}

fn expiry(certificate: &Path) -> String {
    use rustls_pki_types::{CertificateDer, pem::PemObject as _};
    let leaf = CertificateDer::from_pem_file(certificate).ok();
    let until = leaf.and_then(|leaf| mcp_svid::not_after(&leaf));
    until.map_or_else(
        || "-".to_owned(),
        |until| humantime::format_rfc3339_seconds(until.to_system_time()).to_string(),
    )
}

/// How this very command is called from the reader's shell.
fn command(name: &str) -> String {
    let path = env::current_exe().ok().filter(|exe| !on_path(name, exe));
    let here = env::current_dir().ok();
    let relative = path.as_ref().and_then(|path| path.strip_prefix(here?).ok().map(Path::to_owned));
    relative.or(path).map_or_else(|| name.to_owned(), |path| path.display().to_string())
}

fn on_path(name: &str, exe: &Path) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
        .is_some_and(|file| file == exe)
}

/// A tool's path, where whoever started us knows it better than the shell does.
fn tool(variable: &str, name: &str) -> String {
    env::var(variable).ok().filter(|path| !path.is_empty()).unwrap_or_else(|| name.to_owned())
}
