//! What tests stand on: a clock set by hand, chance that repeats, an issuer of real tokens, a mesh, real servers.
//!
//! Nothing here goes around a check: a [`TestIssuer`] signs tokens and has the real verifier make credentials of them, a
//! [`TestMesh`] issues certificates and has the real listeners verify them. It knows no service, and no crate may have
//! it as an ordinary dependency.
//!
//! ```text
//! clock.rs    a clock that stands until it is told to go on
//! entropy.rs  chance that repeats itself
//! issuer.rs   real tokens, credentials and scopes
//! forge.rs    tokens that must be refused
//! mesh.rs     root, issuing ca and identities in memory
//! openbao/    an OpenBao server for a test, set up as it ships
//! postgres/   a PostgreSQL server for a test
//! guarded.rs  processes and folders that do not outlive a test
//! ```
//!
//! ```
//! let issuer = mcp_testkit::TestIssuer::new();
//! assert_eq!(issuer.scope("acme").tenant().as_str(), "acme");
//! ```

mod clock;
mod entropy;
pub mod forge;
mod guarded;
mod issuer;
mod mesh;
mod openbao;
mod postgres;

pub use self::{
    clock::ManualClock,
    entropy::SeededEntropy,
    issuer::TestIssuer,
    mesh::{TestMesh, loopback, shell},
    openbao::OpenBaoServer,
    postgres::{PostgresDatabase, PostgresLogin, PostgresServer},
};
