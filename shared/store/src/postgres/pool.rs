//! Connections: bounded, replaced when the login is.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use mcp_types::ServiceName;
use sqlx::{PgConnection, postgres::PgConnectOptions};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep, timeout_at},
};

use super::{connect, signer::Signer};
use crate::{
    StoreError,
    config::{Login, Server},
};

/// Between two attempts to reach a server that is restarting.
const RETRY: Duration = Duration::from_millis(50);

/// A service's connections.
///
/// Own, and not sqlx's: each connection is known by its backend's number, which the signature of a tenant is bound to.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    server: Server,
    signer: Signer,
    wait_max: Duration,
    permits: Arc<Semaphore>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    options: PgConnectOptions,
    /// Counts logins; connections of earlier ones are not used again.
    generation: u64,
    idle: Vec<Member>,
    closed: bool,
}

#[derive(Debug)]
struct Member {
    connection: PgConnection,
    pid: i32,
    generation: u64,
}

/// A connection in use. Dropped it is closed; whoever knows it to be clean gives it back.
#[derive(Debug)]
pub(crate) struct Pooled {
    member: Member,
    /// Whether it has served before, and may have been lost since.
    pub(crate) is_reused: bool,
    pool: Pool,
    _permit: OwnedSemaphorePermit,
}

// === impl Pool ===

impl Pool {
    /// Opens no connection yet.
    pub(crate) fn new(server: Server, service: &ServiceName, wait_max: Duration) -> Result<Self, StoreError> {
        let options = connect::options(&server.config, &server.login, server.plaintext)?;
        let signer = Signer::new(&server.guard_key, service);
        let permits =
            Arc::new(Semaphore::new(usize::try_from(server.config.connections_max.max(1)).unwrap_or(1)));
        let state = Mutex::new(State { options, generation: 0, idle: Vec::new(), closed: false });
        Ok(Self { inner: Arc::new(Inner { server, signer, wait_max, permits, state }) })
    }

    pub(crate) fn signer(&self) -> &Signer {
        &self.inner.signer
    }

    /// When whoever begins to wait now has waited long enough.
    pub(crate) fn deadline(&self) -> Instant {
        Instant::now() + self.inner.wait_max
    }

    /// A connection, waiting for one until `deadline`.
    pub(crate) async fn take(&self, deadline: Instant) -> Result<Pooled, StoreError> {
        let permits = Arc::clone(&self.inner.permits);
        let permit = match timeout_at(deadline, permits.acquire_owned()).await {
            Ok(Ok(permit)) => permit,
            Ok(Err(_closed)) => return Err(StoreError::Unreachable(sqlx::Error::PoolClosed)),
            Err(_elapsed) => return Err(StoreError::Crowded),
        };
        if let Some(member) = self.state().idle.pop() {
            return Ok(Pooled { member, is_reused: true, pool: self.clone(), _permit: permit });
        }
        let member = timeout_at(deadline, self.connect())
            .await
            .map_err(|_elapsed| StoreError::Unreachable(sqlx::Error::PoolTimedOut))??;
        Ok(Pooled { member, is_reused: false, pool: self.clone(), _permit: permit })
    }

    /// Tries until the server is there: one that restarts is away for a moment only.
    async fn connect(&self) -> Result<Member, StoreError> {
        loop {
            // Asked anew each time: the login may have been replaced meanwhile.
            let (options, generation) = {
                let state = self.state();
                (state.options.clone(), state.generation)
            };
            match connect::connect(&options).await {
                Ok((connection, pid)) => return Ok(Member { connection, pid, generation }),
                Err(error @ StoreError::Unreachable(_)) => {
                    tracing::debug!(error = &error as &dyn std::error::Error, "no connection yet");
                    sleep(RETRY).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Makes new connections as `login`; those in use end when their transactions do.
    pub(crate) fn set_login(&self, login: &Login) -> Result<(), StoreError> {
        let server = &self.inner.server;
        let options = connect::options(&server.config, login, server.plaintext)?;
        let mut state = self.state();
        state.options = options;
        state.generation += 1;
        // Closed as they are dropped.
        let old = std::mem::take(&mut state.idle);
        drop(state);
        drop(old);
        Ok(())
    }

    /// Closes what is idle: a server that lost one connection has most likely lost them all.
    pub(crate) fn forget_idle(&self) {
        let old = std::mem::take(&mut self.state().idle);
        drop(old);
    }

    /// How many connections are in use.
    pub(crate) fn in_use(&self) -> usize {
        let inner = &self.inner;
        usize::try_from(inner.server.config.connections_max.max(1)).unwrap_or(1)
            - inner.permits.available_permits()
    }

    /// Closes the connections, after the transactions that have begun.
    pub(crate) async fn close(&self) {
        self.state().closed = true;
        let all = self.inner.server.config.connections_max.max(1);
        let _all_back = self.inner.permits.acquire_many(all).await;
        self.forget_idle();
        self.inner.permits.close();
    }

    /// No change under this lock can be left half-way by a panic.
    fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Pooled ===

impl Pooled {
    pub(crate) fn connection(&mut self) -> &mut PgConnection {
        &mut self.member.connection
    }

    pub(crate) fn pid(&self) -> i32 {
        self.member.pid
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Gives the connection back, with no transaction open on it.
    pub(crate) fn give_back(self) {
        let Self { member, pool, _permit, .. } = self;
        let mut state = pool.state();
        if member.generation == state.generation && !state.closed {
            state.idle.push(member);
        }
    }
}
