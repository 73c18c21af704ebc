//! One transaction on one connection.

use std::{fmt, time::Duration};

use aws_lc_rs::digest::{Context, SHA256};
use mcp_types::TenantSlug;
use sqlx::PgConnection;
use tokio::time::timeout;

use super::pool::{Pool, Pooled};
use crate::StoreError;

/// How long an abandoned transaction has to end before its connection is closed instead.
const ROLLBACK_MAX: Duration = Duration::from_secs(5);

/// Whose tables a transaction is for, and what it may do there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Access<'a> {
    /// `None`: the tables without a tenant.
    pub(crate) tenant: Option<&'a TenantSlug>,
    pub(crate) writes: Writes,
}

/// What a transaction may write.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Writes {
    Nothing,
    Rows,
    /// The tenant's keys: once all who write rows under the old ones are done.
    Keys,
}

/// A transaction that has begun.
pub(crate) struct Session {
    /// `None` only while it is being dropped.
    pooled: Option<Pooled>,
    /// What its locks are below.
    scope: String,
    /// Whether a statement failed or was cut off: the server may have given the transaction up without a word.
    is_doubtful: bool,
}

// === impl Session ===

impl Session {
    /// Begins on a connection of `pool`, and says which data key is the tenant's newest (0: none yet).
    ///
    /// A connection that was lost while it was idle is replaced: nothing has run on it yet.
    pub(crate) async fn begin(pool: &Pool, access: Access<'_>) -> Result<(Self, u32), StoreError> {
        let deadline = pool.deadline();
        loop {
            let mut pooled = pool.take(deadline).await?;
            match enter(&mut pooled, access).await {
                Ok(newest) => {
                    let service = pool.signer().service();
                    let scope = format!("{service}/{}", access.tenant.map_or("/platform", |it| it.as_str()));
                    return Ok((Self { pooled: Some(pooled), scope, is_doubtful: false }, newest));
                }
                Err(StoreError::Unreachable(_)) if pooled.is_reused => pool.forget_idle(),
                Err(error) => return Err(error),
            }
        }
    }

    /// For a statement, with the mark to take away when it went well.
    pub(crate) fn marked(&mut self) -> Result<(&mut PgConnection, &mut bool), StoreError> {
        self.is_doubtful = true;
        match &mut self.pooled {
            Some(pooled) => Ok((pooled.connection(), &mut self.is_doubtful)),
            None => Err(StoreError::Unreachable(sqlx::Error::PoolClosed)),
        }
    }

    fn plain(&mut self) -> Result<&mut PgConnection, StoreError> {
        self.pooled.as_mut().map(Pooled::connection).ok_or(StoreError::Unreachable(sqlx::Error::PoolClosed))
    }

    /// Keeps out who else names the same `parts` in the same tenant.
    pub(crate) async fn lock(&mut self, parts: &[&[u8]]) -> Result<(), StoreError> {
        let mut digest = Context::new(&SHA256);
        for part in [self.scope.as_bytes()].iter().chain(parts) {
            digest.update(&(part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        let digest = digest.finish();
        // Two that meet in 64 bits wait for each other without need, and no more.
        let key = digest.as_ref().first_chunk().copied().map_or(0, i64::from_be_bytes);
        let (connection, is_doubtful) = self.marked()?;
        sqlx::query("SELECT pg_advisory_xact_lock($1)")
            .bind(key)
            .execute(connection)
            .await
            .map_err(StoreError::doing("wait for a lock"))?;
        *is_doubtful = false;
        Ok(())
    }

    pub(crate) async fn commit(mut self) -> Result<(), StoreError> {
        let doing = StoreError::doing;
        if self.is_doubtful {
            // To COMMIT in a failed transaction the server answers that it rolled back, which is no error to it; to
            // anything else it answers with one.
            sqlx::raw_sql("SELECT 1").execute(self.plain()?).await.map_err(doing("commit"))?;
        }
        sqlx::raw_sql("COMMIT").execute(self.plain()?).await.map_err(doing("commit"))?;
        if let Some(pooled) = self.pooled.take() {
            pooled.give_back();
        }
        Ok(())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let Some(mut pooled) = self.pooled.take() else { return };
        // Elsewhere there is nothing that could wait for the server; the connection is closed, which ends all on it.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            let ended = sqlx::raw_sql("ROLLBACK").execute(pooled.connection());
            if matches!(timeout(ROLLBACK_MAX, ended).await, Ok(Ok(_))) {
                pooled.give_back();
            }
        });
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").finish_non_exhaustive()
    }
}

async fn enter(pooled: &mut Pooled, Access { tenant, writes }: Access<'_>) -> Result<u32, StoreError> {
    let doing = StoreError::doing;
    let begin = if writes != Writes::Nothing {
        "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
    } else {
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
    };
    let signer = pooled.pool().signer();
    let (setting, place) = match tenant {
        Some(tenant) => (signer.setting(tenant, pooled.pid()), signer.service().to_string()),
        // Said, not left out: a setting that somebody left on the connection must not hold.
        None => (String::new(), format!("{}_platform", signer.service())),
    };
    let connection = pooled.connection();
    sqlx::raw_sql(begin).execute(&mut *connection).await.map_err(doing("begin"))?;
    let newest: i64 = sqlx::query_scalar("SELECT guard.enter($1, $2, $3)")
        .bind(setting)
        .bind(place)
        .bind(match writes {
            Writes::Nothing => 0_i64,
            Writes::Rows => 1,
            Writes::Keys => 2,
        })
        .fetch_one(connection)
        .await
        .map_err(doing("enter a tenant"))?;
    u32::try_from(newest).map_err(StoreError::unreadable("read a key's version"))
}
