//! Short-lived users of PostgreSQL: fetched, their lease renewed ahead, replaced before it can be renewed no more.
//!
//! The vault ends a lease with the token that it was taken under, so a new login brings a new user too, while the old
//! token, and the old user with it, still has a third of its life. Whoever follows [`DatabaseCredentials::watch`] opens new
//! connections as the new user and lets the old ones end within that time; then the vault drops the old user.

use std::{fmt, sync::Arc, time::Duration};

use serde::Deserialize;
use serde_json::json;
use tokio::{sync::watch, time::sleep};
use zeroize::Zeroizing;

use super::{
    Ends, Fault, Inner, Vault,
    kv::failed,
    renewal::{self, Term},
    wire::Ask,
};
use crate::SecretsError;

/// The longest sleep between two looks at the clock.
const STEP_MAX: Duration = Duration::from_secs(30);

/// A user of the database and its password.
#[derive(Clone)]
pub struct Credentials {
    /// Its name.
    pub user: String,
    password: Arc<Zeroizing<String>>,
}

/// A user of the database that is replaced ahead of time for as long as this lives.
#[derive(Debug)]
pub struct DatabaseCredentials {
    current: watch::Receiver<Credentials>,
    _keeper: Ends,
}

struct Lease {
    id: String,
    term: Term,
    is_renewable: bool,
    login: u64,
}

#[derive(Deserialize)]
struct Leased {
    lease_id: String,
    lease_duration: u64,
    renewable: bool,
    data: User,
}

#[derive(Deserialize)]
struct User {
    username: String,
    password: String,
}

#[derive(Deserialize)]
struct Renewed {
    lease_duration: u64,
}

// === impl Credentials ===

impl Credentials {
    /// Shows the password to the driver.
    pub fn password(&self) -> &str {
        &self.password
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

// === impl DatabaseCredentials ===

impl DatabaseCredentials {
    /// The user to connect as, now and at each change.
    pub fn watch(&self) -> watch::Receiver<Credentials> {
        self.current.clone()
    }
}

// === impl Vault ===

impl Vault {
    /// Takes a user of the database of `role` (the service's own, as the setup lays it down) and keeps it fresh.
    ///
    /// # Errors
    ///
    /// Where the vault gives none.
    pub async fn database_credentials(&self, role: &str) -> Result<DatabaseCredentials, SecretsError> {
        let role = role.to_owned();
        let failed = failed("take a user of the database");
        let (credentials, lease) = self.inner.user(&role).await.map_err(failed)?;
        let (tell, current) = watch::channel(credentials);
        // Not the vault itself: its session ends with the last handle, also where this one is forgotten.
        let inner = Arc::clone(&self.inner);
        let keeper = tokio::spawn(async move { inner.keep_user(&role, lease, &tell).await }).abort_handle();
        Ok(DatabaseCredentials { current, _keeper: Ends(keeper) })
    }
}

// === impl Inner ===

impl Inner {
    async fn user(&self, role: &str) -> Result<(Credentials, Lease), Fault> {
        let from = self.clock.now();
        let login = self.session.token().number();
        let path = format!("{}/creds/{role}", self.mounts.database);
        // Each such read makes a user: one too many ends by itself.
        let answer = self.session.call(&Ask::get("database user", path)).await?.granted()?;
        let Leased { lease_id, lease_duration, renewable, data: User { username, password } } =
            answer.whole()?;
        let credentials = Credentials { user: username, password: Arc::new(Zeroizing::new(password)) };
        let term = Term { from, life: Duration::from_secs(lease_duration) };
        metrics::gauge!("mcp_vault_lease_ttl_seconds", "role" => role.to_owned())
            .set(term.life.as_secs_f64());
        Ok((credentials, Lease { id: lease_id, term, is_renewable: renewable, login }))
    }

    /// More time for `lease`; `None` where another one is needed.
    async fn renewed(&self, lease: &Lease, life: Duration) -> Result<Option<Term>, Fault> {
        if !lease.is_renewable || self.session.token().number() != lease.login {
            return Ok(None);
        }
        let from = self.clock.now();
        let body = json!({ "lease_id": lease.id, "increment": life.as_secs() });
        let answer = self.session.call(&Ask::post("renew", "sys/leases/renew".to_owned(), &body)).await;
        let answer = match answer {
            Ok(answer) if answer.status.is_success() => answer,
            // Revoked, or over: the vault knows it no more.
            Ok(_) | Err(Fault::Denied) => return Ok(None),
            Err(fault) => return Err(fault),
        };
        let Renewed { lease_duration } = answer.whole()?;
        let term = Term { from, life: Duration::from_secs(lease_duration) };
        let is_worn = Term { from, life }.is_worn_by(term.life);
        Ok((!is_worn).then_some(term))
    }

    async fn keep_user(&self, role: &str, mut lease: Lease, tell: &watch::Sender<Credentials>) {
        let mut life = lease.term.life;
        let mut logins = self.session.logins();
        let mut failures = 0;
        loop {
            let renew_at = lease.term.renew_at(&*self.entropy);
            while let due = renew_at.since(self.clock.now())
                && !due.is_zero()
                && *logins.borrow_and_update() == lease.login
            {
                tokio::select! {
                    () = sleep(due.min(STEP_MAX)) => {}
                    _ = logins.changed() => {}
                }
            }
            let outcome = match self.renewed(&lease, life).await {
                Ok(Some(term)) => {
                    lease.term = term;
                    metrics::counter!("mcp_vault_renewals_total", "what" => "database").increment(1);
                    Ok(())
                }
                Ok(None) => self.user(role).await.map(|(credentials, fresh)| {
                    (life, lease) = (fresh.term.life, fresh);
                    tracing::info!(role, user = credentials.user, "a new user of the database is in use");
                    tell.send_replace(credentials);
                    metrics::counter!("mcp_vault_users_total", "role" => role.to_owned()).increment(1);
                }),
                Err(fault) => Err(fault),
            };
            match outcome {
                Ok(()) => failures = 0,
                Err(fault) => {
                    let left = lease.term.end().since(self.clock.now());
                    let wait = renewal::backoff(failures, left, &*self.entropy);
                    failures += 1;
                    metrics::counter!("mcp_vault_renewal_failures_total", "what" => "database").increment(1);
                    tracing::warn!(role, %fault, ?left, ?wait, "the user of the database is not renewed; trying again");
                    sleep(wait).await;
                }
            }
        }
    }
}
