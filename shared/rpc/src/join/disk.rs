//! The identity over restarts: three files, the key readable by their owner alone.

use std::{
    fs, io,
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::Path,
};

use mcp_svid::{Identity, TrustBundle};
use mcp_types::Timestamp;

/// Reads the identity in `folder`, if one is there that still holds at `now`.
///
/// One that cannot be used is passed over with a warning: the service then asks for another.
pub(crate) fn load(folder: &Path, now: Timestamp) -> Option<(Identity, TrustBundle)> {
    let read = |name: &str| fs::read_to_string(folder.join(name)).ok();
    let (certificate, key, bundle) = (read("cert.pem")?, read("key.pem")?, read("bundle.pem")?);
    let identity = Identity::from_pem(&certificate, &key);
    let bundle = TrustBundle::from_pem(0, &bundle);
    match (identity, bundle) {
        (Ok(identity), Ok(bundle)) if identity.svid().is_current(now) => Some((identity, bundle)),
        (Ok(_), Ok(_)) => {
            tracing::info!(folder = %folder.display(), "the identity on disk has ended");
            None
        }
        (Err(error), _) => {
            tracing::warn!(folder = %folder.display(), %error, "the identity on disk cannot be used");
            None
        }
        (_, Err(error)) => {
            tracing::warn!(folder = %folder.display(), %error, "the trust bundle on disk cannot be used");
            None
        }
    }
}

/// Writes the identity to `folder`; each file is replaced whole, the certificate last.
///
/// A crash in between leaves a key that is not the certificate's: [`load`] passes it over.
pub(crate) fn store(folder: &Path, identity: &Identity, bundle: &TrustBundle) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let (certificate, key) = identity.to_pem();
    replace(folder, "bundle.pem", bundle.to_pem().as_bytes())?;
    replace(folder, "key.pem", key.as_bytes())?;
    replace(folder, "cert.pem", certificate.as_bytes())
}

fn replace(folder: &Path, name: &str, text: &[u8]) -> io::Result<()> {
    let beside = folder.join(format!("{name}.new"));
    let mut file =
        fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(beside, folder.join(name))
}
