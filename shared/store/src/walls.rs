//! What cannot be written: each of these is compiled, and must not be accepted.
//!
//! This may be, and each of the others differs from it in one line:
//!
//! ```
//! # use mcp_store::{Db, StoreError, sql};
//! # use mcp_tenancy::TenantScope;
//! async fn titles(db: &Db, scope: &TenantScope) -> Result<Vec<(String,)>, StoreError> {
//!     let mut tx = db.read(scope).await?;
//!     sql("SELECT title FROM notes").fetch_all(&mut tx).await
//! }
//! ```
//!
//! A tenant's name opens nothing:
//!
//! ```compile_fail,E0308
//! # use mcp_store::{Db, StoreError, sql};
//! # use mcp_types::TenantSlug;
//! async fn titles(db: &Db, scope: &TenantSlug) -> Result<Vec<(String,)>, StoreError> {
//!     let mut tx = db.read(scope).await?;
//!     sql("SELECT title FROM notes").fetch_all(&mut tx).await
//! }
//! ```
//!
//! Nor does the right to the platform's tables:
//!
//! ```compile_fail,E0308
//! # use mcp_store::{Db, StoreError, sql};
//! # use mcp_tenancy::PlatformScope;
//! async fn titles(db: &Db, scope: &PlatformScope) -> Result<Vec<(String,)>, StoreError> {
//!     let mut tx = db.read(scope).await?;
//!     sql("SELECT title FROM notes").fetch_all(&mut tx).await
//! }
//! ```
//!
//! A scope is not made, it follows from what was proved:
//!
//! ```compile_fail,E0451
//! # use mcp_store::{Db, StoreError, sql};
//! # use mcp_tenancy::TenantScope;
//! async fn titles(db: &Db, tenant: mcp_types::TenantSlug) -> Result<Vec<(String,)>, StoreError> {
//!     let mut tx = db.read(&TenantScope { tenant, evidence: None }).await?;
//!     sql("SELECT title FROM notes").fetch_all(&mut tx).await
//! }
//! ```
//!
//! ```compile_fail,E0423
//! # use mcp_store::{Db, StoreError, sql};
//! # use mcp_tenancy::PlatformScope;
//! async fn titles(db: &Db) -> Result<Vec<(String,)>, StoreError> {
//!     let mut tx = db.read_platform(&PlatformScope(())).await?;
//!     sql("SELECT title FROM notes").fetch_all(&mut tx).await
//! }
//! ```
//!
//! No transaction is made but by the door:
//!
//! ```compile_fail,E0603
//! # use mcp_store::{Db, StoreError, sql};
//! # use mcp_tenancy::TenantScope;
//! async fn titles(db: &Db, scope: &TenantScope) -> Result<Vec<(String,)>, StoreError> {
//!     let mut tx = mcp_store::tx::Tx::sqlite(unreachable!());
//!     sql("SELECT title FROM notes").fetch_all(&mut tx).await
//! }
//! ```
//!
//! ```compile_fail,E0624
//! # use mcp_store::{Db, StoreError, Tx, sql};
//! # use mcp_tenancy::TenantScope;
//! async fn titles(db: &Db, scope: &TenantScope) -> Result<Vec<(String,)>, StoreError> {
//!     let mut tx = Tx::sqlite(unreachable!());
//!     sql("SELECT title FROM notes").fetch_all(&mut tx).await
//! }
//! ```
//!
//! The connection below a transaction is nobody's:
//!
//! ```compile_fail,E0624
//! # use mcp_store::{Db, StoreError, sql};
//! # use mcp_tenancy::TenantScope;
//! async fn titles(db: &Db, scope: &TenantScope) -> Result<Vec<(String,)>, StoreError> {
//!     let mut tx = db.read(scope).await?;
//!     let connection = tx.connection()?;
//!     sql("SELECT title FROM notes").fetch_all(&mut tx).await
//! }
//! ```
//!
//! A statement's text does not come from a caller:
//!
//! ```compile_fail,E0716
//! # use mcp_store::{Db, StoreError, sql};
//! # use mcp_tenancy::TenantScope;
//! async fn titles(db: &Db, scope: &TenantScope, column: &str) -> Result<Vec<(String,)>, StoreError> {
//!     let mut tx = db.read(scope).await?;
//!     sql(&format!("SELECT {column} FROM notes")).fetch_all(&mut tx).await
//! }
//! ```
//!
//! What is declared in clear is not sealed, and what is not declared is not at all:
//!
//! ```compile_fail,E0080
//! # use mcp_store::{Column, SealedColumn, Table};
//! const NOTES: Table = Table { name: "notes", columns: &[Column::clear("title", "a test")] };
//! const TITLE: SealedColumn = NOTES.sealed("title");
//! ```
//!
//! ```compile_fail,E0080
//! # use mcp_store::{Column, SealedColumn, Table};
//! const NOTES: Table = Table { name: "notes", columns: &[Column::sealed("title")] };
//! const TITLE: SealedColumn = NOTES.sealed("titel");
//! ```
