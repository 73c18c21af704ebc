//! The only door to tenants' rows, on two engines behind one API.
//!
//! No function here, nor in any service's store, takes a tenant's name: there is no place to write the
//! wrong one. [`Db::within`] opens a transaction as the tenant of a scope, and what it sees is that
//! tenant's rows; other tenants' are not in it, whatever a statement says.
//!
//! - **SQLite** (embedded): one file a tenant, in WAL mode with `synchronous=FULL`. One writer a file.
//! - **PostgreSQL** (production): a schema a service, row-level security forced on every table of tenants, the
//!   tenant set for a transaction and signed. Writers of one tenant run at once.
//!
//! # Statements
//!
//! Statements are written once and say nothing of tenants:
//!
//! ```no_run
//! # use mcp_store::{Db, StoreError, sql};
//! # async fn example(db: &Db, scope: &mcp_tenancy::TenantScope, id: [u8; 16]) -> Result<(), StoreError> {
//! let mut tx = db.within(scope).await?;
//! // Before a read that a write follows from: on PostgreSQL two writers of one tenant run at once.
//! tx.lock(&[b"note", &id]).await?;
//! let known: Option<(i64, Option<String>)> = sql("SELECT version, title FROM notes WHERE id = $1")
//!     .doing("find a note")
//!     .bind(&id)
//!     .fetch_optional(&mut tx)
//!     .await?;
//! if known.is_none() {
//!     sql("INSERT INTO notes (id, version, title) VALUES ($1, 1, $2) ON CONFLICT DO NOTHING")
//!         .doing("insert a note")
//!         .bind(&id)
//!         .bind("plans")
//!         .execute(&mut tx)
//!         .await?;
//! }
//! tx.commit().await
//! # }
//! ```
//!
//! What both engines understand alike: `$1` placeholders (a number may be repeated), `ON CONFLICT DO NOTHING` without a
//! target, row values `(a, b) < ($1, $2)`, `RETURNING`, `LIMIT`, `EXISTS`, `COALESCE`, `CAST(SUM(n) AS BIGINT)` (without
//! the cast PostgreSQL answers with a NUMERIC). `ON CONFLICT (id) DO UPDATE` would have to name the tenant on PostgreSQL:
//! lock, look, then insert or update instead. Where the texts must differ: [`sql_for`].
//!
//! Columns are `INTEGER`/`TEXT`/`BLOB` in SQLite and `BIGINT`/`TEXT`/`BYTEA` in PostgreSQL, read into tuples of
//! `i64` (`i32`, `u32`, `u64`, `bool`), `String`, `Vec<u8>` (`[u8; N]`) and `Option`s of these.
//!
//! A text column whose order is asked for (`ORDER BY`, `<`) says `TEXT COLLATE "C"` in PostgreSQL: bytes, as in SQLite. On
//! PostgreSQL a failed statement ends its transaction, in SQLite it does not: go on after one on neither.
//!
//! # Tables
//!
//! A [`Migration`] has a text for each engine. In PostgreSQL every table of tenants has
//! `tenant TEXT NOT NULL DEFAULT guard.tenant()`, first in its primary key, in every unique key and in every foreign key:
//!
//! ```sql
//! CREATE TABLE notes (
//!     tenant TEXT NOT NULL DEFAULT guard.tenant(),
//!     id BYTEA NOT NULL,
//!     version BIGINT NOT NULL,
//!     title BYTEA NOT NULL,
//!     PRIMARY KEY (tenant, id)
//! );
//! CREATE INDEX notes_by_version ON notes (tenant, version);
//! ```
//!
//! The policies and grants are made by the migration's runner for every such table; a migration says nothing of
//! them, nor of schemas and roles. A table that lacks what it must have is refused.
//!
//! # Sealed columns
//!
//! ```
//! use mcp_store::{Column, SealedColumn, Table};
//!
//! const NOTES: Table = Table {
//!     name: "notes",
//!     columns: &[
//!         Column::key("id"),
//!         Column::clear("version", "counts writes; says nothing of what was written"),
//!         Column::sealed("title"),
//!     ],
//! };
//! // Checked when it is compiled: the column must be declared, and sealed.
//! const TITLE: SealedColumn = NOTES.sealed("title");
//! ```
//!
//! `tx.seal(&TITLE, &row, plain)` and `tx.open(&TITLE, &row, sealed)` are synchronous; `row` is what [`row_id`] makes of
//! the row's [`Column::key`] columns (for a single column of bytes: those bytes). Services name their tables in
//! [`Options::tables`]: the store re-seals them when a key is rotated, and a test holds them against both engines' real
//! tables ([`Db::check_tables`]).
//!
//! ```text
//! db.rs          the door: a scope in, a transaction out
//! options.rs     what a service tells its database
//! config.rs      where a service's rows are, as its operator writes it
//! open.rs        the one door through which a service comes to its rows
//! tx.rs          the transactions
//! sql/           statements, values and rows
//! schema/        tables declared: what is sealed, what is clear and why
//! migration.rs   the tables: versioned, forward only, never edited
//! audit/         tenants' audit logs: a row in the write's transaction, its place in the tree a moment later
//! keys/          data keys of a tenant: sealing, rotation, the end of a tenant
//! sqlite/        a file a tenant, of which a bounded number is open
//! postgres/      connections, the signed tenant, migrations by the owner
//! owner.rs       those migrations, as an operator has them run
//! index/         search over what is sealed
//! error.rs       why the store could not answer
//! walls.rs       what cannot be written: each is compiled, and must not be accepted
//! ```

mod audit;
mod config;
mod db;
mod error;
pub mod index;
mod keys;
mod migration;
mod open;
mod options;
mod owner;
mod postgres;
mod schema;
mod sql;
mod sqlite;
#[cfg(test)]
mod tests;
mod tx;
mod walls;

pub use self::{
    audit::{AuditEntry, AuditHead, FileLog, TenantAudit},
    config::{Config, EngineName, Login, Plaintext, PostgresConfig, Server},
    db::{Db, Place as DbPlace},
    error::StoreError,
    keys::{Forgotten, ForgottenKey, Keys, Progress, Resealed, Sealer},
    migration::Migration,
    open::{open, resolve},
    options::Options,
    owner::{Owner, migrate},
    postgres::migrate_postgres,
    schema::{Column, Kind, RowPart, SealedColumn, Table, row_id},
    sql::{FromColumn, FromRow, Place, Row, Sql, Value, sql, sql_for},
    tx::{Engine, PlatformTx, TenantTx, Tx},
};
