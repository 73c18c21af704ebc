//! The token in use, and the next one: swapped in one step, so that no call fails for it.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwap;
use mcp_types::{ServiceName, Timestamp};
use reqwest::StatusCode;
use serde_json::json;
use tokio::sync::{Mutex as Turn, watch};
use zeroize::Zeroizing;

use super::{
    Config, Fault,
    login::{Door, Grant},
    renewal::Term,
    wire::{Answer, Ask, Wire},
};

/// How long a refused login is taken for the answer to everybody who asks.
const REFUSED_FOR: Duration = Duration::from_secs(1);

/// A service's session with the vault.
pub(super) struct Session {
    wire: Arc<Wire>,
    door: Door,
    token: ArcSwap<Token>,
    /// Counted up by each login: what was leased under an earlier token ends with that.
    logins: watch::Sender<u64>,
    turn: Turn<()>,
    refused: Mutex<Option<(Timestamp, Fault)>>,
}

/// A token.
pub(super) struct Token {
    value: Zeroizing<String>,
    /// Which login it is from.
    number: u64,
    /// For how long it was granted, last.
    pub(super) term: Term,
    /// What it lives for if it is renewed in time.
    life: Duration,
    is_renewable: bool,
}

// === impl Session ===

impl Session {
    /// Logs in.
    pub(super) async fn open(wire: Arc<Wire>, config: &Config, service: &ServiceName) -> Result<Self, Fault> {
        let door = Door::new(config, service);
        let grant = door.log_in(&wire).await?;
        let token = Token::granted(grant, 1, wire.clock().now());
        let (logins, _) = watch::channel(1);
        metrics::counter!("mcp_vault_logins_total").increment(1);
        token.gauge();
        let token = ArcSwap::from_pointee(token);
        Ok(Self { wire, door, token, logins, turn: Turn::default(), refused: Mutex::default() })
    }

    pub(super) const fn wire(&self) -> &Arc<Wire> {
        &self.wire
    }

    pub(super) fn token(&self) -> Arc<Token> {
        self.token.load_full()
    }

    /// Tells of each login.
    pub(super) fn logins(&self) -> watch::Receiver<u64> {
        self.logins.subscribe()
    }

    /// Sends `ask` with the token; where that holds no longer, logs in and sends it once more.
    ///
    /// A refusal did nothing, so this is safe for what changes something too.
    pub(super) async fn call(&self, ask: &Ask) -> Result<Answer, Fault> {
        let token = self.token();
        let answer = self.wire.send(ask, Some(&token.value)).await?;
        if answer.status != StatusCode::FORBIDDEN {
            return Ok(answer);
        }
        // The vault says the same of a token that is over and of a policy that does not allow it.
        if self.holds(&token).await? {
            return Err(Fault::Denied);
        }
        self.log_in_after(token.number).await?;
        let answer = self.wire.send(ask, Some(&self.token().value)).await?;
        if answer.status == StatusCode::FORBIDDEN { Err(Fault::Denied) } else { Ok(answer) }
    }

    /// Sees whether the vault serves and knows our token, and logs in where it does not.
    pub(super) async fn probe(&self) -> Result<(), Fault> {
        let token = self.token();
        if self.holds(&token).await? { Ok(()) } else { self.log_in_after(token.number).await }
    }

    /// Gets more time for the token, or another one where it can have no more.
    pub(super) async fn refresh(&self) -> Result<(), Fault> {
        let token = self.token();
        if !token.is_renewable {
            return self.log_in_after(token.number).await;
        }
        let now = self.wire.clock().now();
        let ask = Ask::post("renew", "auth/token/renew-self".to_owned(), &json!({}));
        let answer = self.wire.send(&ask, Some(&token.value)).await?;
        if !answer.status.is_success() {
            return self.log_in_after(token.number).await;
        }
        let Grant { life, is_renewable, .. } = Grant::from(&answer)?;
        if !is_renewable || (Term { from: now, life: token.life }).is_worn_by(life) {
            // It goes on to hold for what is left, and so do the leases under it: nothing is cut off.
            return self.log_in_after(token.number).await;
        }
        let _turn = self.turn.lock().await;
        if self.token().number == token.number {
            let renewed = Token {
                value: token.value.clone(),
                number: token.number,
                term: Term { from: now, life },
                life: token.life,
                is_renewable,
            };
            renewed.gauge();
            self.token.store(Arc::new(renewed));
        }
        metrics::counter!("mcp_vault_renewals_total", "what" => "token").increment(1);
        Ok(())
    }

    /// Ends the token.
    pub(super) async fn close(&self) -> Result<(), Fault> {
        let ask = Ask::post("revoke", "auth/token/revoke-self".to_owned(), &json!({}));
        self.wire.send(&ask, Some(&self.token().value)).await?.granted().map(drop)
    }

    async fn holds(&self, token: &Token) -> Result<bool, Fault> {
        let ask = Ask::get("lookup", "auth/token/lookup-self".to_owned());
        let answer = self.wire.send(&ask, Some(&token.value)).await?;
        Ok(answer.status.is_success())
    }

    /// Logs in, unless somebody has since the login of this number.
    async fn log_in_after(&self, number: u64) -> Result<(), Fault> {
        let _turn = self.turn.lock().await;
        if self.token().number != number {
            return Ok(());
        }
        let now = self.wire.clock().now();
        if let Some((at, fault)) = &*self.refused.lock().unwrap_or_else(PoisonError::into_inner)
            && now.since(*at) < REFUSED_FOR
        {
            return Err(fault.clone());
        }
        match self.door.log_in(&self.wire).await {
            Ok(grant) => {
                let token = Token::granted(grant, number + 1, now);
                token.gauge();
                self.token.store(Arc::new(token));
                self.logins.send_replace(number + 1);
                metrics::counter!("mcp_vault_logins_total").increment(1);
                Ok(())
            }
            Err(fault) => {
                *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, fault.clone()));
                Err(fault)
            }
        }
    }
}

// === impl Token ===

impl Token {
    fn granted(grant: Grant, number: u64, now: Timestamp) -> Self {
        let Grant { token, life, is_renewable } = grant;
        Self { value: token, number, term: Term { from: now, life }, life, is_renewable }
    }

    pub(super) const fn number(&self) -> u64 {
        self.number
    }

    #[cfg(test)]
    pub(super) fn value(&self) -> &str {
        &self.value
    }

    fn gauge(&self) {
        metrics::gauge!("mcp_vault_token_ttl_seconds").set(self.term.life.as_secs_f64());
    }
}
