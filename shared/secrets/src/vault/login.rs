//! How a service comes by a token.

use std::{
    fs,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use mcp_runtime::SecretRef;
use mcp_types::ServiceName;
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

use super::{
    Config, Fault, Login,
    wire::{Answer, Ask, Wire},
};

/// Logs one service in, as often as needed.
pub(super) struct Door {
    login: Login,
    /// What the service is called at the vault.
    role: String,
    /// The secret ID that was unwrapped: its wrapping cannot be opened again.
    unwrapped: Mutex<Option<Zeroizing<String>>>,
}

/// A token and what it is good for.
pub(super) struct Grant {
    pub(super) token: Zeroizing<String>,
    pub(super) life: Duration,
    pub(super) is_renewable: bool,
}

/// What the vault answers to a login or a renewal.
#[derive(Deserialize)]
struct Authenticated {
    auth: Auth,
}

#[derive(Deserialize)]
struct Auth {
    client_token: String,
    lease_duration: u64,
    renewable: bool,
}

#[derive(Deserialize)]
struct Wrapped {
    creation_path: String,
}

#[derive(Deserialize)]
struct SecretId {
    secret_id: String,
}

// === impl Door ===

impl Door {
    pub(super) fn new(config: &Config, service: &ServiceName) -> Self {
        Self { login: config.login.clone(), role: format!("mcp-{service}"), unwrapped: Mutex::default() }
    }

    /// Comes by a new token.
    pub(super) async fn log_in(&self, wire: &Wire) -> Result<Grant, Fault> {
        let answer = match &self.login {
            Login::Approle { role_id, secret_id, wrapped } => {
                let role_id = read(role_id, "role ID")?;
                let secret_id = if *wrapped {
                    self.unwrap(wire, secret_id).await?
                } else {
                    read(secret_id, "secret ID")?
                };
                let body = json!({ "role_id": *role_id, "secret_id": *secret_id });
                wire.send(&Ask::post("login", "auth/approle/login".to_owned(), &body), None).await?
            }
            Login::Kubernetes { token } => {
                let token = read(token, "service account token")?;
                let body = json!({ "role": self.role, "jwt": *token });
                wire.send(&Ask::post("login", "auth/kubernetes/login".to_owned(), &body), None).await?
            }
            Login::Certificate { certificate, key } => {
                let chain = fs::read_to_string(certificate)
                    .map_err(|source| Fault::LoginFile { what: "certificate", source: Arc::new(source) })?;
                let key = read(key, "key")?;
                let pem = Zeroizing::new(format!("{chain}\n{}", *key));
                let body = json!({ "name": self.role });
                wire.send_as(&Ask::post("login", "auth/cert/login".to_owned(), &body), pem.as_bytes()).await?
            }
        };
        if !answer.status.is_success() {
            return Err(Fault::LoginRefused { words: answer.words() });
        }
        Grant::from(&answer)
    }

    /// Opens the wrapping, which can be done once: who comes second knows that somebody came first.
    async fn unwrap(&self, wire: &Wire, place: &SecretRef) -> Result<Zeroizing<String>, Fault> {
        if let Some(kept) = &*self.unwrapped.lock().unwrap_or_else(PoisonError::into_inner) {
            return Ok(kept.clone());
        }
        let wrapping = read(place, "wrapping token")?;
        let file = || place.path().to_owned();

        // Asked first, without opening it: a token that wraps something else was laid here by somebody who wants us to
        // log in as whom they say.
        let lookup = Ask::post("unwrap", "sys/wrapping/lookup".to_owned(), &json!({ "token": *wrapping }))
            .repeatable();
        let answer = wire.send(&lookup, None).await?;
        if matches!(answer.status, StatusCode::BAD_REQUEST | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND) {
            return Err(Fault::WrappingSpent { file: file() });
        }
        let Wrapped { creation_path } = answer.granted()?.data()?;
        if creation_path != format!("auth/approle/role/{}/secret-id", self.role) {
            return Err(Fault::WrappingForeign { file: file(), path: creation_path });
        }

        let open = Ask::post("unwrap", "sys/wrapping/unwrap".to_owned(), &json!({}));
        let answer = wire.send(&open, Some(&wrapping)).await?;
        if matches!(answer.status, StatusCode::BAD_REQUEST | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND) {
            return Err(Fault::WrappingSpent { file: file() });
        }
        let SecretId { secret_id } = answer.granted()?.data()?;
        let secret_id = Zeroizing::new(secret_id);
        *self.unwrapped.lock().unwrap_or_else(PoisonError::into_inner) = Some(secret_id.clone());
        Ok(secret_id)
    }
}

// === impl Grant ===

impl Grant {
    /// What a login or a renewal granted.
    pub(super) fn from(answer: &Answer) -> Result<Self, Fault> {
        let Authenticated { auth: Auth { client_token, lease_duration, renewable } } = answer.whole()?;
        Ok(Self {
            token: Zeroizing::new(client_token),
            life: Duration::from_secs(lease_duration),
            is_renewable: renewable,
        })
    }
}

fn read(place: &SecretRef, what: &'static str) -> Result<Zeroizing<String>, Fault> {
    let text = place.resolve().map_err(|source| Fault::LoginFile { what, source: Arc::new(source) })?;
    Ok(Zeroizing::new(text.into_exposed().trim().to_owned()))
}
