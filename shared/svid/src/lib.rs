//! Who a peer is: SPIFFE IDs, the certificates that prove them, and the TLS configs that demand the proof.
//!
//! Nothing here opens a file or a socket. A rotation builds whole new configs: see [`server_config`].
//!
//! ```text
//! id.rs         SPIFFE IDs
//! leaf.rs       what a leaf certificate must say to be believed
//! identity.rs   a service's own certificate and key
//! bundle.rs     the roots that are trusted
//! csr.rs        asking for a certificate
//! tls/          rustls configs, and the verifiers inside them
//! pem.rs        the text form of all of these
//! ```

mod bundle;
mod csr;
mod id;
mod identity;
mod leaf;
pub mod pem;
mod tls;

pub use self::{
    bundle::{BadBundle, TrustBundle, pin},
    csr::{CsrNotMade, make_csr},
    id::{BadSpiffeId, SpiffeId},
    identity::{BadIdentity, Identity},
    leaf::{BadSvid, Svid, is_signed_by, not_after, peer_id},
    pem::BadPem,
    tls::{
        BadTls, ClientAuth, Stranger, bootstrap_client_config, bootstrap_client_config_by, client_config,
        client_config_by, provider, server_config, server_config_by,
    },
};
