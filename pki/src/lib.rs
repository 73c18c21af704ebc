//! A certificate authority as a library: it checks requests and issues short-lived X509-SVIDs, without I/O.
//!
//! Keys sign through the [`Signer`] trait, time and chance are arguments, and what is issued is handed back to be
//! stored, recorded and sent by the caller.
//!
//! ```text
//! signer.rs      who holds an authority's key
//! root.rs        the root: signs issuing authorities, and nothing else
//! issuing.rs     the issuing authority: signs leaves
//! csr.rs         what a request may say
//! edge.rs        the development edge's own authority, no part of the mesh
//! authority.rs   what all three authorities are made of
//! ```
//!
//! No authority of the mesh carries name constraints: those on URIs, the only names that count here, make the chain
//! unusable for verifiers that do not know them (X509-SVID, section 4.2; rustls-webpki is one), and those on DNS names would have to foresee
//! every cluster. A peer's trust domain is compared by the verifiers instead. The edge's authority, which people
//! lay into their browsers, is constrained to loopback.

mod authority;
mod csr;
mod edge;
mod issuing;
mod root;
mod signer;

pub use self::{
    authority::{BadAuthority, NotIssued},
    csr::{CheckedCsr, CsrRefused, Expected, check_csr},
    edge::{EdgeCa, EdgeLeaf},
    issuing::{IssuedLeaf, IssuingCa, Profile},
    root::{RootCa, trust_bundle},
    signer::{BadKey, KeyAlgorithm, LocalSigner, SignFailed, Signer},
};
