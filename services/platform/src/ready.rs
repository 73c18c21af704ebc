//! What a running platform says of itself, for scripts and for the verbs.

use std::{collections::BTreeMap, fs, net::SocketAddr, path::Path, path::PathBuf};

use mcp_runtime::Failure;
use serde::{Deserialize, Serialize};

use crate::files;

/// The ready file of `mcp up`.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Ready {
    /// The edge's URL.
    pub(crate) gateway: String,
    /// PEM of the CA that signed the edge's certificate.
    pub(crate) edge_ca: PathBuf,
    /// PEM of the mesh's roots.
    pub(crate) trust_bundle: PathBuf,
    /// Each service's own port.
    pub(crate) services: BTreeMap<String, SocketAddr>,
    /// The metrics' URL.
    pub(crate) metrics: String,
}

/// The ready file of `mcp serve`.
#[derive(Debug, Serialize)]
pub(crate) struct ServiceReady {
    pub(crate) service: &'static str,
    pub(crate) listen: BTreeMap<&'static str, SocketAddr>,
    pub(crate) metrics: Option<String>,
}

/// What the verbs need to talk to a platform; in `<data-dir>/platform.json`.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Platform {
    pub(crate) pid: u32,
    pub(crate) trust_domain: String,
    pub(crate) ca: SocketAddr,
    pub(crate) bootstrap: SocketAddr,
    pub(crate) auth: SocketAddr,
    /// Holds the operator's cert.pem, key.pem and ca.pem.
    pub(crate) operator: PathBuf,
}

/// Writes `value` as JSON.
pub(crate) fn write(path: &Path, value: &impl Serialize) -> Result<(), Failure> {
    let mut text = serde_json::to_vec_pretty(value)
        .map_err(|source| Failure::software("cannot write the ready file").because(source))?;
    text.push(b'\n');
    files::public(path, &text)
}

// === impl Platform ===

impl Platform {
    const FILE: &str = "platform.json";

    pub(crate) fn write(&self, data_dir: &Path) -> Result<(), Failure> {
        write(&data_dir.join(Self::FILE), self)
    }

    pub(crate) fn forget(data_dir: &Path) {
        // A leftover does no harm: verbs find nobody at its addresses and say so.
        let _ = fs::remove_file(data_dir.join(Self::FILE));
    }

    pub(crate) fn read(data_dir: &Path) -> Result<Self, Failure> {
        let path = data_dir.join(Self::FILE);
        let text = fs::read(&path).map_err(|source| {
            Failure::unavailable(format!("no platform runs in {}", data_dir.display()))
                .because(source)
                .advise("start one with `mcp up`, or name the folder of one with `--data-dir`")
        })?;
        serde_json::from_slice(&text)
            .map_err(|source| Failure::input(format!("{} does not read", path.display())).because(source))
    }
}
