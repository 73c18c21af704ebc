//! One request: verified TLS, a time limit, bounded concurrency, our request ID, and each failure by its name.
//!
//! HTTP/1.1, so that a request that got no answer takes its connection with it: over HTTP/2 all later requests would
//! share a connection that a firewall has forgotten, until the kernel gives it up.

use std::{fs, sync::Arc, time::Duration};

use mcp_types::{Clock, Entropy, RequestId};
use reqwest::{Certificate, Client, Identity, Method, StatusCode, header, redirect, tls};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::{
    sync::Semaphore,
    time::{Instant, sleep, timeout},
};
use zeroize::Zeroizing;

use super::{Config, Fault, circuit::Circuit, health::Report, renewal};

/// The longest answer that is read.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// How often a read is tried that found nobody, or somebody who could not serve.
const TRIES_MAX: u32 = 3;

/// How much of what the vault says of a refusal is repeated.
const WORDS_MAX: usize = 200;

/// The way to the vault.
#[derive(Debug)]
pub(super) struct Wire {
    client: Client,
    address: String,
    authorities: Vec<Certificate>,
    limit: Duration,
    in_flight: Semaphore,
    circuit: Circuit,
    health: Report,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

/// A request.
pub(super) struct Ask {
    /// What it is, in metrics.
    operation: &'static str,
    method: Method,
    /// What follows `/v1/`.
    path: String,
    body: Option<Zeroizing<Vec<u8>>>,
    is_repeatable: bool,
}

/// An answer that is no failure of the vault's: whether it grants or refuses is for the caller.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    body: Zeroizing<Vec<u8>>,
}

#[derive(Deserialize)]
struct Envelope<T> {
    data: T,
}

#[derive(Deserialize)]
struct Errors {
    errors: Vec<String>,
}

// === impl Ask ===

impl Ask {
    /// Reads; tried again where nobody could serve.
    pub(super) fn get(operation: &'static str, path: String) -> Self {
        Self { operation, method: Method::GET, path, body: None, is_repeatable: true }
    }

    /// Changes something, or makes something new; never tried again, since nobody knows what the first try did.
    pub(super) fn post(operation: &'static str, path: String, body: &impl Serialize) -> Self {
        // Serialising these bodies cannot fail: their keys are texts.
        let body = serde_json::to_vec(body).unwrap_or_default();
        let body = Some(Zeroizing::new(body));
        Self { operation, method: Method::POST, path, body, is_repeatable: false }
    }

    pub(super) fn delete(operation: &'static str, path: String) -> Self {
        Self { operation, method: Method::DELETE, path, body: None, is_repeatable: false }
    }

    /// The same answer however often it is asked: decrypting, signing.
    #[must_use]
    pub(super) fn repeatable(self) -> Self {
        Self { is_repeatable: true, ..self }
    }
}

// === impl Answer ===

impl Answer {
    /// The whole answer.
    pub(super) fn whole<T: DeserializeOwned>(&self) -> Result<T, Fault> {
        serde_json::from_slice(&self.body).map_err(|_| Fault::Unintelligible)
    }

    /// What the answer holds as `data`.
    pub(super) fn data<T: DeserializeOwned>(&self) -> Result<T, Fault> {
        self.whole().map(|Envelope { data }| data)
    }

    /// The answer, where it grants; the refusal otherwise.
    pub(super) fn granted(self) -> Result<Self, Fault> {
        match self.status {
            status if status.is_success() => Ok(self),
            StatusCode::FORBIDDEN => Err(Fault::Denied),
            status => Err(Fault::Refused { status: status.as_u16(), words: self.words() }),
        }
    }

    /// What the vault says of a refusal.
    pub(super) fn words(&self) -> String {
        let errors = serde_json::from_slice(&self.body).map_or_else(|_| Vec::new(), |it: Errors| it.errors);
        let words = errors.into_iter().next().unwrap_or_default();
        words.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(WORDS_MAX).collect()
    }
}

// === impl Wire ===

impl Wire {
    pub(super) fn new(
        config: &Config,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, Fault> {
        config.check()?;
        let unusable = |what: String| Fault::Config { key: "ca", what };
        let place = config.ca.display();
        let pem =
            fs::read(&config.ca).map_err(|error| unusable(format!("({place}) cannot be read: {error}")))?;
        let authorities = Certificate::from_pem_bundle(&pem).unwrap_or_default();
        if authorities.is_empty() {
            return Err(unusable(format!("({place}) holds no certificate in PEM")));
        }
        let limit = config.timeout();
        Ok(Self {
            client: client(&authorities, limit, None)?,
            address: config.address.trim_end_matches('/').to_owned(),
            authorities,
            limit,
            in_flight: Semaphore::new(config.in_flight_max.into()),
            circuit: Circuit::default(),
            health: Report::new(),
            clock,
            entropy,
        })
    }

    pub(super) const fn health(&self) -> &Report {
        &self.health
    }

    pub(super) const fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    pub(super) const fn entropy(&self) -> &Arc<dyn Entropy> {
        &self.entropy
    }

    /// Sends `ask`, with `token` where it has one.
    pub(super) async fn send(&self, ask: &Ask, token: Option<&str>) -> Result<Answer, Fault> {
        let mut tries = 0;
        loop {
            let outcome = self.once(&self.client, ask, token).await;
            tries += 1;
            match outcome {
                // One that was slow already has used up its caller's patience.
                Err(Fault::Gone(_) | Fault::Failing { .. }) if ask.is_repeatable && tries < TRIES_MAX => {
                    sleep(renewal::backoff(tries - 1, self.limit, &*self.entropy)).await;
                }
                outcome => return outcome,
            }
        }
    }

    /// Sends `ask` over a connection of its own, on which we are who `identity` (a chain and its key in PEM) says.
    pub(super) async fn send_as(&self, ask: &Ask, identity: &[u8]) -> Result<Answer, Fault> {
        let identity = Identity::from_pem(identity)
            .map_err(|source| Fault::LoginFile { what: "certificate and key", source: Arc::new(source) })?;
        let client = client(&self.authorities, self.limit, Some(identity))?;
        self.once(&client, ask, None).await
    }

    async fn once(&self, client: &Client, ask: &Ask, token: Option<&str>) -> Result<Answer, Fault> {
        self.circuit.admit(self.clock.now())?;
        let begun = Instant::now();
        let outcome = match timeout(self.limit, self.in_flight.acquire()).await {
            Ok(slot) => {
                let outcome = timeout(self.limit, self.exchange(client, ask, token)).await;
                drop(slot);
                outcome.unwrap_or(Err(Fault::Slow))
            }
            Err(_) => Err(Fault::Busy),
        };
        let fault = outcome.as_ref().err();
        let now = self.clock.now();
        if !matches!(fault, Some(Fault::Busy)) {
            self.circuit.ended(fault, now);
            self.health.request(fault, now);
        }
        let (operation, result) = (ask.operation, fault.map_or("answered", Fault::label));
        metrics::histogram!("mcp_vault_request_seconds", "operation" => operation)
            .record(begun.elapsed().as_secs_f64());
        if fault.is_some() {
            metrics::counter!("mcp_vault_failures_total", "operation" => operation, "cause" => result)
                .increment(1);
        }
        outcome
    }

    async fn exchange(&self, client: &Client, ask: &Ask, token: Option<&str>) -> Result<Answer, Fault> {
        let id = mcp_runtime::current_request_id()
            .unwrap_or_else(|| RequestId::draw(self.clock.now(), &*self.entropy));
        let url = format!("{}/v1/{}", self.address, ask.path);
        let mut request = client
            .request(ask.method.clone(), url)
            // What OpenBao and Vault ask of every client, against requests that a browser was talked into.
            .header("x-vault-request", "true")
            .header("x-request-id", id.as_str());
        if let Some(token) = token {
            let mut value = header::HeaderValue::from_str(token).map_err(|_| Fault::Unintelligible)?;
            value.set_sensitive(true);
            request = request.header("x-vault-token", value);
        }
        if let Some(body) = &ask.body {
            request = request.header(header::CONTENT_TYPE, "application/json").body(body.to_vec());
        }
        let mut response = request.send().await.map_err(unanswered)?;
        let status = response.status();
        let mut body = Zeroizing::new(Vec::new());
        while let Some(chunk) = response.chunk().await.map_err(unanswered)? {
            if body.len() + chunk.len() > ANSWER_BYTES_MAX {
                return Err(Fault::Unintelligible);
            }
            body.extend_from_slice(&chunk);
        }
        tracing::debug!(operation = ask.operation, request_id = %id, status = status.as_u16(), "asked the vault");
        let answer = Answer { status, body };
        match status {
            StatusCode::BAD_REQUEST | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => Ok(answer),
            status if status.is_success() => Ok(answer),
            StatusCode::SERVICE_UNAVAILABLE if answer.words().contains("sealed") => Err(Fault::Sealed),
            StatusCode::TOO_MANY_REQUESTS => Err(Fault::Busy),
            // A node that sends us elsewhere has no way to its leader.
            status if status.is_server_error() || status.is_redirection() => {
                Err(Fault::Failing { status: status.as_u16() })
            }
            status => Err(Fault::Refused { status: status.as_u16(), words: answer.words() }),
        }
    }
}

fn unanswered(error: reqwest::Error) -> Fault {
    if error.is_timeout() { Fault::Slow } else { Fault::Gone(Arc::new(error.without_url())) }
}

fn client(authorities: &[Certificate], limit: Duration, identity: Option<Identity>) -> Result<Client, Fault> {
    let mut client = Client::builder()
        // In place of the system's: a certificate that any public authority was talked into is none of ours.
        .tls_certs_only(authorities.iter().cloned())
        .tls_version_min(tls::Version::TLS_1_2)
        .https_only(true)
        // The token goes to the configured address and to no other.
        .redirect(redirect::Policy::none())
        .no_proxy()
        .referer(false)
        .http1_only()
        .connect_timeout(limit)
        .pool_idle_timeout(Duration::from_secs(30));
    if let Some(identity) = identity {
        client = client.identity(identity);
    }
    client.build().map_err(|error| Fault::Config { key: "ca", what: format!("cannot be used: {error}") })
}
