//! The keys of one purpose, recorded in a keeper of secrets: all who share the keeper have the same ring.
//!
//! A record a generation, `<folder>/<number>`, is made by `put_if_absent`, so that of all who find that a key is due one
//! makes it and the others go on with that one. Nothing is ever changed, only removed when it is over.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use mcp_types::{Clock, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex as Turn;
use zeroize::{Zeroize as _, Zeroizing};

use super::{Generation, Schedule, Signer, SigningKeys};
use crate::{Secret, SecretPath, Secrets, SecretsError};

/// The keys of one purpose.
pub struct SigningRing {
    secrets: Arc<dyn Secrets>,
    keys: Arc<dyn SigningKeys>,
    purpose: String,
    folder: SecretPath,
    schedule: Schedule,
    clock: Arc<dyn Clock>,
    held: RwLock<Arc<[Held]>>,
    turn: Turn<()>,
}

/// How soon a new key must sign.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Urgency {
    /// Once everybody had time to learn of it; tokens of the present one hold until they end.
    Planned,
    /// At once, since the present one may be in other hands: no token that any earlier key signed holds any longer.
    Compromised,
}

#[derive(Clone, Debug)]
struct Held {
    generation: Generation,
    signer: Arc<dyn Signer>,
}

/// What is kept of a generation.
#[derive(Deserialize, Serialize)]
struct Record {
    signs_from: Timestamp,
    #[serde(default)]
    withdraws: bool,
    material: String,
}

struct Found {
    generation: Generation,
    path: SecretPath,
    material: Secret,
}

// === impl SigningRing ===

impl SigningRing {
    /// Opens the ring of `purpose` (one word of a secret's path) below `folder`, making its first key where it has none.
    ///
    /// # Errors
    ///
    /// What the keeper of secrets or of keys says.
    pub async fn open(
        secrets: Arc<dyn Secrets>,
        keys: Arc<dyn SigningKeys>,
        folder: &SecretPath,
        purpose: &str,
        schedule: Schedule,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, SecretsError> {
        let ring = Self {
            secrets,
            keys,
            purpose: purpose.to_owned(),
            folder: folder.join(purpose).map_err(|_| SecretsError::KeyUnusable)?,
            schedule,
            clock,
            held: RwLock::new(Arc::new([])),
            turn: Turn::default(),
        };
        ring.refresh().await?;
        Ok(ring)
    }

    /// The key that signs now.
    pub fn signer(&self) -> Option<Arc<dyn Signer>> {
        let held = self.held();
        let generations: Vec<_> = held.iter().map(|it| it.generation).collect();
        let number = Schedule::signing(&generations, self.clock.now())?.number;
        held.iter().find(|it| it.generation.number == number).map(|it| Arc::clone(&it.signer))
    }

    /// The public halves of all that may have signed a token which still holds, or will sign next: a JSON Web Key Set
    /// (RFC 7517, section 5).
    pub fn jwks(&self) -> String {
        let keys: Vec<_> = self.held().iter().map(|it| it.signer.public().jwk()).collect();
        format!(r#"{{"keys":[{}]}}"#, keys.join(","))
    }

    /// Takes over what others have made, makes what is due, removes what is over; says whether anything changed.
    ///
    /// # Errors
    ///
    /// What the keeper of secrets or of keys says; the keys at hand go on.
    pub async fn refresh(&self) -> Result<bool, SecretsError> {
        let _turn = self.turn.lock().await;
        let now = self.clock.now();
        let mut found = self.found().await?;
        let plan = self.schedule.plan(&generations(&found), now);
        if let Some(signs_from) = plan.make {
            let number = found.last().map_or(1, |it| it.generation.number + 1);
            found.push(self.make(Generation { number, signs_from, withdraws: false }).await?);
        }
        self.settle(found, now).await
    }

    /// Makes a new key now, whatever the schedule says.
    ///
    /// # Errors
    ///
    /// As [`refresh`](Self::refresh).
    pub async fn rotate(&self, urgency: Urgency) -> Result<(), SecretsError> {
        let _turn = self.turn.lock().await;
        let now = self.clock.now();
        let mut found = self.found().await?;
        let (signs_from, withdraws) = match urgency {
            Urgency::Planned => (now.plus(self.schedule.lead), false),
            Urgency::Compromised => (now, true),
        };
        loop {
            let number = found.last().map_or(1, |it| it.generation.number + 1);
            let made = self.make(Generation { number, signs_from, withdraws }).await?;
            let is_ours = made.generation.withdraws == withdraws;
            found.push(made);
            // Somebody else's key of the schedule came first, and that is not what was asked for.
            if is_ours {
                break;
            }
        }
        tracing::warn!(purpose = self.purpose, ?urgency, "the signing key is rotated by command");
        self.settle(found, now).await.map(drop)
    }

    /// Removes what is over of `found`, and holds the rest.
    async fn settle(&self, found: Vec<Found>, now: Timestamp) -> Result<bool, SecretsError> {
        let plan = self.schedule.plan(&generations(&found), now);
        let before = self.held();
        let mut held = Vec::new();
        for it in &found {
            if !plan.published.contains(&it.generation.number) {
                continue;
            }
            let known = before.iter().find(|held| held.generation == it.generation);
            held.push(match known {
                Some(known) => known.clone(),
                None => Held { generation: it.generation, signer: self.keys.load(&it.material).await? },
            });
        }
        let numbers = |some: &[Held]| some.iter().map(|it| it.generation.number).collect::<Vec<_>>();
        let has_changed = numbers(&before) != numbers(&held);
        *self.held.write().unwrap_or_else(PoisonError::into_inner) = held.into();

        // The key before its record: where this is cut off between the two, the record brings us back here.
        for it in found.iter().filter(|it| plan.retired.contains(&it.generation.number)) {
            self.keys.destroy(&it.material).await?;
            self.secrets.delete(&it.path).await?;
            tracing::info!(purpose = self.purpose, number = it.generation.number, "a signing key is over");
        }
        Ok(has_changed)
    }

    async fn found(&self) -> Result<Vec<Found>, SecretsError> {
        let mut found = Vec::new();
        for path in self.secrets.list(&self.folder).await? {
            // Retired by somebody else since it was listed.
            if let Some(record) = self.secrets.get(&path).await? {
                found.push(read(path, &record)?);
            }
        }
        found.sort_by_key(|it| it.generation.number);
        Ok(found)
    }

    /// Makes the key of `generation`, or finds the one that somebody else has made under the same number.
    async fn make(&self, generation: Generation) -> Result<Found, SecretsError> {
        let path = self.folder.join(&format!("{:010}", generation.number));
        let path = path.map_err(|_| SecretsError::KeyUnusable)?;
        let material = self.keys.make(&self.purpose).await?;
        let mut record = Record {
            signs_from: generation.signs_from,
            withdraws: generation.withdraws,
            material: STANDARD.encode(material.expose()),
        };
        let text = serde_json::to_vec(&record).map(Zeroizing::new);
        record.material.zeroize();
        let text = Secret::from(text.map_err(|_| SecretsError::KeyNotMade)?);
        let kept = self.secrets.put_if_absent(&path, text.clone()).await?;
        if kept == text {
            metrics::counter!("mcp_signing_keys_made_total", "purpose" => self.purpose.clone()).increment(1);
        } else {
            self.keys.destroy(&material).await?;
        }
        read(path, &kept)
    }

    fn held(&self) -> Arc<[Held]> {
        Arc::clone(&self.held.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for SigningRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningRing")
            .field("folder", &self.folder)
            .field("held", &self.held())
            .finish_non_exhaustive()
    }
}

fn read(path: SecretPath, record: &Secret) -> Result<Found, SecretsError> {
    let number = path.as_str().rsplit('/').next().and_then(|name| name.parse().ok());
    let record: Option<Record> = serde_json::from_slice(record.expose()).ok();
    let (Some(number), Some(Record { signs_from, withdraws, material })) = (number, record) else {
        return Err(SecretsError::KeyUnusable);
    };
    let material = Zeroizing::new(material);
    let bytes = STANDARD.decode(material.as_bytes()).map_err(|_| SecretsError::KeyUnusable)?;
    Ok(Found { generation: Generation { number, signs_from, withdraws }, path, material: Secret::new(bytes) })
}

fn generations(found: &[Found]) -> Vec<Generation> {
    found.iter().map(|it| it.generation).collect()
}

#[cfg(test)]
mod tests;
