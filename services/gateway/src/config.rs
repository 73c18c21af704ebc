//! What the operator may turn.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use mcp_limit::Rate;
use mcp_runtime::Failure;
use serde::{Deserialize, Serialize};

use crate::{Cidr, cors::Origins};

/// The section `[gateway]` of the configuration file.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What the edge shows to clients; never a certificate of the mesh. Read again whenever a file changes.
    pub certificate: CertificateFiles,
    /// The origins whose pages may call from a browser, each exactly as the browser sends it, like
    /// `https://app.example`. None by default: the console is of the same origin and needs no entry.
    pub origins: Vec<String>,
    /// How much the edge takes.
    pub limits: EdgeLimits,
    /// The proxies whose `x-forwarded-for` is believed. None by default.
    pub trusted_proxies: Vec<Cidr>,
    /// Where the services are.
    pub upstreams: Upstreams,
}

/// The edge's certificate.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct CertificateFiles {
    /// The chain in PEM, leaf first.
    pub chain: PathBuf,
    /// The leaf's private key in PEM; neither world-readable nor group-writable.
    pub key: PathBuf,
}

/// How much the edge takes.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct EdgeLimits {
    /// Requests of one address in any window; an IPv6 address counts with its /64.
    pub ip: Rate,
    /// The same for the console's files, health, published keys and CORS preflights.
    #[serde(rename = "static")]
    pub assets: Rate,
    /// Requests answered at once, all addresses together; beyond that they are refused, not queued.
    pub concurrency: usize,
    /// Connections held at once; beyond that new ones wait to be accepted.
    pub connections: usize,
    /// Requests at once on one HTTP/2 connection.
    pub streams_per_connection: u32,
}

/// Where the services listen on the mesh.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Upstreams {
    /// The auth service.
    pub auth: SocketAddr,
    /// The context service.
    pub context: SocketAddr,
    /// The summarization service.
    pub summarization: SocketAddr,
}

// === impl Config ===

impl Config {
    /// Whether the values make sense together.
    ///
    /// # Errors
    ///
    /// A configuration failure that names the key.
    pub fn validate(&self) -> Result<(), Failure> {
        let files = [("chain", &self.certificate.chain), ("key", &self.certificate.key)];
        for (name, path) in files {
            if path.as_os_str().is_empty() {
                return Err(Failure::config(format!("gateway.certificate.{name} names no file")));
            }
        }
        let Upstreams { auth, context, summarization } = self.upstreams;
        for (name, address) in [("auth", auth), ("context", context), ("summarization", summarization)] {
            if address.port() == 0 {
                return Err(Failure::config(format!("gateway.upstreams.{name} is not set")));
            }
        }
        let EdgeLimits { concurrency, connections, streams_per_connection, .. } = self.limits;
        if concurrency == 0 || connections == 0 || streams_per_connection == 0 {
            return Err(Failure::config("gateway.limits admits nothing: every limit must be above zero"));
        }
        Origins::new(&self.origins)
            .map_err(|bad| Failure::config_because("gateway.origins does not hold", bad))?;
        Ok(())
    }
}

// === impl EdgeLimits ===

impl Default for EdgeLimits {
    fn default() -> Self {
        Self {
            ip: Rate::default(),
            assets: rate("600/60s"),
            concurrency: 4096,
            connections: 8192,
            streams_per_connection: 200,
        }
    }
}

fn rate(text: &str) -> Rate {
    text.parse().unwrap_or_default()
}

// === impl Upstreams ===

impl Default for Upstreams {
    fn default() -> Self {
        let unset = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self { auth: unset, context: unset, summarization: unset }
    }
}

#[cfg(test)]
mod tests {
    //! What starts and what does not.

    use super::*;

    fn config(text: &str) -> Result<Config, Failure> {
        mcp_runtime::load_str(&Config::default(), text, None)
    }

    const WHOLE: &str = r#"
        origins = ["https://app.example"]
        trusted_proxies = ["10.0.0.0/8"]
        [certificate]
        chain = "edge.pem"
        key = "edge-key.pem"
        [limits]
        ip = "50/10s"
        static = "1000/1m"
        [upstreams]
        auth = "127.0.0.1:1"
        context = "127.0.0.1:2"
        summarization = "127.0.0.1:3"
    "#;

    #[test]
    fn a_whole_section_holds() {
        let config = config(WHOLE).expect("reads");

        config.validate().expect("holds");
        assert_eq!(config.limits.ip.to_string(), "50/10s");
    }

    #[test]
    fn by_default_an_address_has_a_hundred_requests_a_minute_and_nobody_is_believed() {
        let config = Config::default();

        assert_eq!(config.limits.ip.to_string(), "100/60s");
        assert_eq!(config.limits.assets.to_string(), "600/60s");
        assert!(config.origins.is_empty() && config.trusted_proxies.is_empty());
        assert!(config.validate().is_err(), "without a certificate nothing starts");
    }

    #[test]
    fn mistakes_are_named() {
        for (from, to, named) in [
            ("chain = \"edge.pem\"", "", "gateway.certificate.chain"),
            ("context = \"127.0.0.1:2\"", "", "gateway.upstreams.context"),
            ("https://app.example", "https://*.example", "gateway.origins"),
        ] {
            let failure = config(&WHOLE.replace(from, to)).expect("reads").validate().expect_err(named);
            assert!(failure.to_string().contains(named), "{failure}");
        }
        assert!(config(&WHOLE.replace("10.0.0.0/8", "everyone")).is_err());
        assert!(config(&WHOLE.replace("[limits]", "[limits]\nburst = 3")).is_err());
    }
}
