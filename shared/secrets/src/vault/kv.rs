//! Secrets in KV version 2, each below its service's name.

use std::sync::{MutexGuard, PoisonError};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

use super::{Fault, Inner, Read, Vault, wire::Ask};
use crate::{SECRET_BYTES_MAX, Secret, SecretPath, Secrets, SecretsError, SecretsFuture};

/// How many secrets are kept in memory against an outage.
const READ_MAX: usize = 1024;

/// How often a secret is made that others make and remove at the same time.
const RACES_MAX: usize = 8;

/// What lies at a path: a secret, or one that was removed, and under which version.
struct Kept {
    value: Option<Secret>,
    version: u64,
}

#[derive(Deserialize)]
struct Version {
    data: Option<Value>,
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Value {
    value: String,
}

#[derive(Deserialize)]
struct Metadata {
    version: u64,
}

#[derive(Deserialize)]
struct Keys {
    keys: Vec<String>,
}

// === impl Inner ===

impl Inner {
    fn data(&self, path: &SecretPath) -> String {
        format!("{}/data/{}/{path}", self.mounts.kv, self.service)
    }

    fn metadata(&self, path: &SecretPath) -> String {
        format!("{}/metadata/{}/{path}", self.mounts.kv, self.service)
    }

    async fn kept(&self, path: &SecretPath) -> Result<Kept, Fault> {
        let answer = self.session.call(&Ask::get("get", self.data(path))).await?;
        // What was removed by an operator answers 404 with its last version, what never was without.
        if answer.status == StatusCode::NOT_FOUND {
            let version = answer.data::<Version>().map_or(0, |it| it.metadata.version);
            return Ok(Kept { value: None, version });
        }
        let Version { data, metadata } = answer.granted()?.data()?;
        let value = data.map(|Value { value }| decoded(value)).transpose()?;
        Ok(Kept { value, version: metadata.version })
    }

    /// Keeps `value`; `None` where the version at hand is another than `expected`.
    async fn set(
        &self,
        path: &SecretPath,
        value: &Secret,
        expected: Option<u64>,
    ) -> Result<Option<()>, Fault> {
        let text = Zeroizing::new(STANDARD.encode(value.expose()));
        let options = expected.map_or_else(|| json!({}), |version| json!({ "cas": version }));
        let body = json!({ "options": options, "data": { "value": *text } });
        let answer = self.session.call(&Ask::post("put", self.data(path), &body)).await?;
        if answer.status == StatusCode::BAD_REQUEST && answer.words().contains("check-and-set") {
            return Ok(None);
        }
        answer.granted().map(|_| Some(()))
    }

    async fn made(&self, path: &SecretPath, value: Secret) -> Result<Secret, Fault> {
        for _ in 0..RACES_MAX {
            let kept = self.kept(path).await?;
            if let Some(kept) = kept.value {
                return Ok(kept);
            }
            if self.set(path, &value, Some(kept.version)).await?.is_some() {
                return Ok(value);
            }
        }
        Err(Fault::Busy)
    }

    async fn removed(&self, path: &SecretPath) -> Result<bool, Fault> {
        let was_there = self.kept(path).await?.value.is_some();
        // With all its versions: a secret that is gone must not be undeleted by whoever steals a token.
        self.session.call(&Ask::delete("delete", self.metadata(path))).await?.granted()?;
        Ok(was_there)
    }

    async fn below(&self, folder: &SecretPath) -> Result<Vec<SecretPath>, Fault> {
        let mut found = Vec::new();
        let mut open = vec![folder.clone()];
        while let Some(folder) = open.pop() {
            let path = format!("{}?list=true", self.metadata(&folder));
            let answer = self.session.call(&Ask::get("list", path)).await?;
            if answer.status == StatusCode::NOT_FOUND {
                continue;
            }
            let Keys { keys } = answer.granted()?.data()?;
            for key in keys {
                // What is no path of ours was not put there by us.
                match key.strip_suffix('/') {
                    Some(name) => open.extend(folder.join(name)),
                    None => found.extend(folder.join(&key)),
                }
            }
        }
        found.sort();
        Ok(found)
    }

    fn memory(&self) -> MutexGuard<'_, std::collections::HashMap<SecretPath, Read>> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, path: &SecretPath, value: &Secret) {
        let now = self.clock.now();
        let mut memory = self.memory();
        if memory.len() >= READ_MAX {
            memory.retain(|_, read| now.since(read.at) <= self.cached);
        }
        if memory.len() < READ_MAX || memory.contains_key(path) {
            memory.insert(path.clone(), Read { value: value.clone(), at: now });
        }
    }

    /// The secret as it was, where the vault is silent and that was not long ago.
    fn recall(&self, path: &SecretPath, fault: &Fault) -> Option<Secret> {
        let mut memory = self.memory();
        // What the vault refuses to say now is not said by us either.
        if !fault.is_passing() {
            memory.remove(path);
            return None;
        }
        let read = memory.get(path)?;
        if self.clock.now().since(read.at) > self.cached {
            memory.remove(path);
            return None;
        }
        metrics::counter!("mcp_vault_served_from_memory_total").increment(1);
        Some(read.value.clone())
    }
}

// === impl Vault ===

impl Secrets for Vault {
    fn get<'a>(&'a self, path: &'a SecretPath) -> SecretsFuture<'a, Option<Secret>> {
        Box::pin(async move {
            match self.inner.kept(path).await {
                Ok(Kept { value, .. }) => {
                    match &value {
                        Some(value) => self.inner.remember(path, value),
                        None => drop(self.inner.memory().remove(path)),
                    }
                    Ok(value)
                }
                Err(fault) => match self.inner.recall(path, &fault) {
                    Some(value) => Ok(Some(value)),
                    None => Err(failed("read a secret from the vault")(fault)),
                },
            }
        })
    }

    fn put<'a>(&'a self, path: &'a SecretPath, value: Secret) -> SecretsFuture<'a, ()> {
        Box::pin(async move {
            fits(path, &value)?;
            // Before it is written: a write whose answer is lost may have happened.
            self.inner.memory().remove(path);
            self.inner.set(path, &value, None).await.map_err(failed("write a secret to the vault"))?;
            self.inner.remember(path, &value);
            Ok(())
        })
    }

    fn put_if_absent<'a>(&'a self, path: &'a SecretPath, value: Secret) -> SecretsFuture<'a, Secret> {
        Box::pin(async move {
            fits(path, &value)?;
            let kept = self.inner.made(path, value).await.map_err(failed("make a secret in the vault"))?;
            self.inner.remember(path, &kept);
            Ok(kept)
        })
    }

    fn delete<'a>(&'a self, path: &'a SecretPath) -> SecretsFuture<'a, bool> {
        Box::pin(async move {
            self.inner.memory().remove(path);
            self.inner.removed(path).await.map_err(failed("remove a secret from the vault"))
        })
    }

    fn list<'a>(&'a self, folder: &'a SecretPath) -> SecretsFuture<'a, Vec<SecretPath>> {
        Box::pin(async move { self.inner.below(folder).await.map_err(failed("list secrets in the vault")) })
    }
}

fn fits(path: &SecretPath, value: &Secret) -> Result<(), SecretsError> {
    if value.expose().len() > SECRET_BYTES_MAX {
        return Err(SecretsError::TooLong { path: path.clone() });
    }
    Ok(())
}

fn decoded(text: String) -> Result<Secret, Fault> {
    let text = Zeroizing::new(text);
    let bytes = STANDARD.decode(text.as_bytes()).map_err(|_| Fault::Unintelligible)?;
    Ok(Secret::new(bytes))
}

pub(super) fn failed(doing: &'static str) -> impl FnOnce(Fault) -> SecretsError {
    move |source| SecretsError::Vault { doing, source }
}
