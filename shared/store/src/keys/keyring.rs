//! Makes a tenant's keys on first use, and keeps them unwrapped for a bounded time.

use std::{
    collections::{BTreeMap, HashMap},
    hash::{BuildHasher as _, RandomState},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use mcp_secrets::{DataKey, SecretsError};
use mcp_types::{ServiceName, TenantSlug, Timestamp};

use super::{Keys, Purpose, TenantKeys};
use crate::{StoreError, Tx, sql};

/// Tenants that look for their keys at once share this many queues, so that of many who ask for one, one asks the keeper.
const QUEUES: usize = 64;

/// The keys of all tenants, as far as they are unwrapped at the moment.
#[derive(Debug)]
pub(crate) struct Keyring {
    service: ServiceName,
    source: Keys,
    kept: Mutex<HashMap<TenantSlug, Kept>>,
    queues: [tokio::sync::Mutex<()>; QUEUES],
    hash: RandomState,
}

#[derive(Debug)]
struct Kept {
    keys: Arc<TenantKeys>,
    until: Timestamp,
}

/// A key as it lies in the tenant's table: purpose, version, wrapped.
type Wrapped = (String, u32, Vec<u8>);

// === impl Keyring ===

impl Keyring {
    pub(crate) fn new(service: &ServiceName, source: Keys) -> Self {
        Self {
            service: service.clone(),
            source,
            kept: Mutex::default(),
            queues: std::array::from_fn(|_| tokio::sync::Mutex::default()),
            hash: RandomState::new(),
        }
    }

    pub(crate) fn service(&self) -> &ServiceName {
        &self.service
    }

    pub(super) fn source(&self) -> &Keys {
        &self.source
    }

    /// The keys of `tenant`, where they are unwrapped and none is newer than they are: `newest`, as the database says.
    pub(crate) fn kept(&self, tenant: &TenantSlug, newest: Option<u32>) -> Option<Arc<TenantKeys>> {
        let now = self.source.clock.now();
        let mut kept = self.lock();
        let entry = kept.get(tenant)?;
        if entry.until <= now || newest.is_some_and(|newest| newest != entry.keys.newest()) {
            kept.remove(tenant);
            return None;
        }
        Some(Arc::clone(&entry.keys))
    }

    /// The keys of `tenant` as `tx`, which is inside it, finds them; none where it has none yet.
    pub(crate) async fn load(
        &self,
        tenant: &TenantSlug,
        tx: &mut Tx,
    ) -> Result<Option<Arc<TenantKeys>>, StoreError> {
        let wrapped: Vec<Wrapped> = sql("SELECT purpose, version, wrapped FROM mcp_tenant_key")
            .doing("read a tenant's keys")
            .fetch_all(tx)
            .await?;
        if wrapped.is_empty() {
            return Ok(None);
        }
        let newest =
            wrapped.iter().filter(|(purpose, ..)| purpose == Purpose::Data.as_str()).map(|it| it.1).max();
        let queue = usize::try_from(self.hash.hash_one(tenant) % QUEUES as u64).unwrap_or_default();
        let _turn = match self.queues.get(queue) {
            Some(queue) => Some(queue.lock().await),
            None => None,
        };
        if let Some(keys) = self.kept(tenant, newest) {
            return Ok(Some(keys));
        }

        let mut data = BTreeMap::new();
        let mut index = None;
        for (purpose, version, wrapped) in wrapped {
            let purpose = if purpose == Purpose::Data.as_str() { Purpose::Data } else { Purpose::Index };
            let aad = self.aad(tenant, purpose, version);
            let key = self
                .source
                .wrapping
                .unwrap(tenant, &wrapped, &aad)
                .await
                .map_err(failed("unwrap a tenant's key"))?;
            match purpose {
                Purpose::Data => drop(data.insert(version, key)),
                Purpose::Index => index = Some(key),
            }
        }
        let index = index
            .ok_or("a tenant has no index key")
            .map_err(StoreError::unreadable("read a tenant's keys"))?;
        let keys = Arc::new(TenantKeys { data, index });
        self.keep(tenant, &keys);
        Ok(Some(keys))
    }

    /// Makes the first keys of `tenant`, for rows that are yet to come: `tx` must be committed before the first of them.
    ///
    /// The wrapping key is durable before the keys that it wraps are.
    pub(crate) async fn make(&self, tenant: &TenantSlug, tx: &mut Tx) -> Result<(), StoreError> {
        tx.lock(&[b"keys"]).await?;
        let known: Option<(i64,)> = sql("SELECT version FROM mcp_tenant_key LIMIT 1")
            .doing("look for a tenant's keys")
            .fetch_optional(tx)
            .await?;
        if known.is_some() {
            return Ok(());
        }
        self.source.wrapping.create(tenant).await.map_err(failed("make a tenant's wrapping key"))?;
        for purpose in [Purpose::Data, Purpose::Index] {
            self.add(tenant, tx, purpose, 1).await?;
        }
        Ok(())
    }

    /// Draws a key and puts it, wrapped, into the tenant's table.
    pub(super) async fn add(
        &self,
        tenant: &TenantSlug,
        tx: &mut Tx,
        purpose: Purpose,
        version: u32,
    ) -> Result<(), StoreError> {
        let key = DataKey::draw(&*self.source.entropy);
        let aad = self.aad(tenant, purpose, version);
        let wrapped =
            self.source.wrapping.wrap(tenant, &key, &aad).await.map_err(failed("wrap a tenant's key"))?;
        sql("INSERT INTO mcp_tenant_key (purpose, version, wrapped, created) VALUES ($1, $2, $3, $4)")
            .doing("keep a tenant's key")
            .bind(purpose.as_str())
            .bind(version)
            .bind(wrapped)
            .bind(self.source.clock.now().unix_millis())
            .execute(tx)
            .await?;
        Ok(())
    }

    /// Lets go of the unwrapped keys of `tenant`.
    pub(crate) fn forget(&self, tenant: &TenantSlug) {
        self.lock().remove(tenant);
    }

    /// How many tenants' keys are unwrapped.
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    fn keep(&self, tenant: &TenantSlug, keys: &Arc<TenantKeys>) {
        let now = self.source.clock.now();
        let mut kept = self.lock();
        if kept.len() >= self.source.tenants_max.max(1) && !kept.contains_key(tenant) {
            kept.retain(|_, it| it.until > now);
            if kept.len() >= self.source.tenants_max.max(1) {
                let oldest = kept.iter().min_by_key(|(_, it)| it.until).map(|(tenant, _)| tenant.clone());
                oldest.and_then(|it| kept.remove(&it));
            }
        }
        kept.insert(tenant.clone(), Kept { keys: Arc::clone(keys), until: now.plus(self.source.kept_max) });
    }

    /// A wrapped key is bound to its service, tenant, purpose and version: no row of the table stands in for another.
    fn aad(&self, tenant: &TenantSlug, purpose: Purpose, version: u32) -> Vec<u8> {
        // None of the names has a slash.
        format!("mcp tenant key 1/{}/{tenant}/{}/{version}", self.service, purpose.as_str()).into_bytes()
    }

    /// No change under this lock can be left half-way by a panic.
    fn lock(&self) -> MutexGuard<'_, HashMap<TenantSlug, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn failed(doing: &'static str) -> impl FnOnce(SecretsError) -> StoreError {
    move |source| StoreError::Keys { doing, source }
}
