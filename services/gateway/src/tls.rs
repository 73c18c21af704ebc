//! The edge's certificate: read from files, checked before it is shown, and read again when they change.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use mcp_runtime::{Failure, Shell};
use mcp_types::Timestamp;
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs::Ticketer,
    version::{TLS12, TLS13},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use x509_parser::{certificate::X509Certificate, prelude::FromDer as _};

use crate::config::CertificateFiles;

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long before its end a certificate is complained of.
const COMPLAIN_BEFORE: Duration = Duration::from_secs(7 * 24 * 3600);

/// The TLS configuration of now.
#[derive(Clone, Debug)]
pub(crate) struct EdgeTls {
    files: CertificateFiles,
    config: Arc<ArcSwap<ServerConfig>>,
    /// What the files looked like when they were read.
    seen: [Option<Stamp>; 2],
}

type Stamp = (u64, u64, i64, i64);

/// Why the files hold no certificate that could be shown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum BadCertificate {
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} holds no certificate in PEM", path.display())]
    Chain { path: PathBuf, source: rustls_pki_types::pem::Error },
    #[error("{} holds no certificate at all", path.display())]
    Empty { path: PathBuf },
    #[error("{} holds no private key in PEM", path.display())]
    Key { path: PathBuf, source: rustls_pki_types::pem::Error },
    #[error("{} may be read by everybody or written by its group; `chmod 600` it", path.display())]
    Open { path: PathBuf },
    #[error("the first certificate of {} cannot be read", path.display())]
    Leaf { path: PathBuf },
    #[error("the certificate in {} has ended", path.display())]
    Expired { path: PathBuf },
    #[error("the certificate in {} is not valid yet", path.display())]
    NotYet { path: PathBuf },
    #[error("the certificate in {} names no host", path.display())]
    Nameless { path: PathBuf },
    #[error("the certificate and the key cannot be used together")]
    Pair(#[source] rustls::Error),
}

// === impl EdgeTls ===

impl EdgeTls {
    /// Reads the files.
    pub(crate) fn load(files: &CertificateFiles, now: Timestamp) -> Result<Self, Failure> {
        let seen = look(files);
        let config = read(files, now).map_err(|bad| {
            Failure::config_because("gateway.certificate cannot be used", bad)
                .advise("name a chain and its key in PEM; `mcp up` makes a pair for this machine")
        })?;
        Ok(Self { files: files.clone(), config: Arc::new(ArcSwap::from_pointee(config)), seen })
    }

    /// The configuration of now.
    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        self.config.load_full()
    }

    /// Reads the files again whenever they change, until the shell's stop. What cannot be used is complained of, and
    /// what was shown before stays.
    pub(crate) async fn watch(mut self, shell: Shell) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = shell.stop.requested() => return,
            }
            let seen = look(&self.files);
            if seen == self.seen {
                continue;
            }
            match read(&self.files, shell.clock.now()) {
                Ok(config) => {
                    // The whole configuration, so that no session of the old certificate is resumed.
                    self.config.store(Arc::new(config));
                    metrics::counter!("mcp_edge_certificate_reloads_total", "outcome" => "taken")
                        .increment(1);
                    tracing::info!(chain = %self.files.chain.display(), "the edge shows a new certificate");
                }
                Err(bad) => {
                    metrics::counter!("mcp_edge_certificate_reloads_total", "outcome" => "refused")
                        .increment(1);
                    tracing::error!(cause = %mcp_rpc::chain(&bad), "the edge keeps its old certificate");
                }
            }
            self.seen = seen;
        }
    }
}

fn look(files: &CertificateFiles) -> [Option<Stamp>; 2] {
    [&files.chain, &files.key].map(|path| {
        let file = fs::metadata(path).ok()?;
        Some((file.ino(), file.len(), file.mtime(), file.mtime_nsec()))
    })
}

fn read(files: &CertificateFiles, now: Timestamp) -> Result<ServerConfig, BadCertificate> {
    let chain = chain(&files.chain)?;
    check_leaf(&chain, &files.chain, now)?;
    let key = key(&files.key)?;
    // Only suites that authenticate what they encrypt are built in, for either version.
    let mut config = ServerConfig::builder_with_provider(mcp_svid::provider())
        .with_protocol_versions(&[&TLS13, &TLS12])
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(BadCertificate::Pair)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // Tickets that the client keeps, under keys that change by themselves; no request rides on a resumption (0-RTT).
    config.ticketer = Ticketer::new().map_err(BadCertificate::Pair)?;
    config.send_tls13_tickets = 1;
    config.max_early_data_size = 0;
    Ok(config)
}

fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, BadCertificate> {
    let text = fs::read(path).map_err(|source| BadCertificate::Read { path: path.into(), source })?;
    CertificateDer::pem_slice_iter(&text)
        .collect::<Result<_, _>>()
        .map_err(|source| BadCertificate::Chain { path: path.into(), source })
}

fn key(path: &Path) -> Result<PrivateKeyDer<'static>, BadCertificate> {
    let unread = |source| BadCertificate::Read { path: path.into(), source };
    let file = fs::metadata(path).map_err(unread)?;
    // Read by its group it may be: that is how orchestrators hand files to a process.
    if file.mode() & 0o027 != 0 {
        return Err(BadCertificate::Open { path: path.into() });
    }
    let text = fs::read(path).map_err(unread)?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|source| BadCertificate::Key { path: path.into(), source })
}

fn check_leaf(chain: &[CertificateDer<'_>], path: &Path, now: Timestamp) -> Result<(), BadCertificate> {
    let leaf = chain.first().ok_or_else(|| BadCertificate::Empty { path: path.into() })?;
    let (_, leaf) =
        X509Certificate::from_der(leaf).map_err(|_| BadCertificate::Leaf { path: path.into() })?;
    let (begins, ends) = (leaf.validity().not_before.timestamp(), leaf.validity().not_after.timestamp());
    if ends < now.unix_secs() {
        return Err(BadCertificate::Expired { path: path.into() });
    }
    if begins > now.unix_secs() {
        return Err(BadCertificate::NotYet { path: path.into() });
    }
    let names = leaf.subject_alternative_name().ok().flatten();
    if names.is_none_or(|names| names.value.general_names.is_empty()) {
        return Err(BadCertificate::Nameless { path: path.into() });
    }
    metrics::gauge!("mcp_edge_certificate_not_after_seconds").set(ends as f64);
    if ends < now.plus(COMPLAIN_BEFORE).unix_secs()
        && ends - begins > 2 * COMPLAIN_BEFORE.as_secs().cast_signed()
    {
        tracing::warn!(chain = %path.display(), "the edge's certificate ends within a week");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    //! What may be shown, and what changes under a running edge.

    use std::os::unix::fs::PermissionsExt as _;

    use mcp_types::{Clock as _, SystemClock};
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    struct Files {
        _folder: tempfile::TempDir,
        files: CertificateFiles,
    }

    impl Files {
        fn new() -> Self {
            let folder = tempfile::tempdir().expect("a folder");
            let files = CertificateFiles {
                chain: folder.path().join("chain.pem"),
                key: folder.path().join("key.pem"),
            };
            Self { _folder: folder, files }
        }

        fn write(&self, chain: &str, key: &str, mode: u32) {
            fs::write(&self.files.chain, chain).expect("written");
            fs::write(&self.files.key, key).expect("written");
            fs::set_permissions(&self.files.key, fs::Permissions::from_mode(mode)).expect("set");
        }
    }

    fn pair(change: impl FnOnce(&mut CertificateParams)) -> (String, String) {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(["localhost".to_owned()]).expect("names");
        params.not_after = rcgen::date_time_ymd(2099, 1, 1);
        change(&mut params);
        (params.self_signed(&key).expect("signed").pem(), key.serialize_pem())
    }

    fn load(files: &Files) -> Result<EdgeTls, Failure> {
        EdgeTls::load(&files.files, SystemClock.now())
    }

    #[test]
    fn a_pair_that_holds_is_shown() {
        let files = Files::new();
        let (chain, key) = pair(|_| {});
        files.write(&chain, &key, 0o640);

        let config = load(&files).expect("loads").config();
        assert_eq!(config.alpn_protocols, [b"h2".to_vec(), b"http/1.1".to_vec()]);
        assert_eq!(config.max_early_data_size, 0);
    }

    #[test]
    fn what_does_not_hold_is_named() {
        let (chain, key) = pair(|_| {});
        let (_, other) = pair(|_| {});
        let (old, old_key) = pair(|params| params.not_after = rcgen::date_time_ymd(2001, 1, 1));
        let (early, early_key) = pair(|params| params.not_before = rcgen::date_time_ymd(2098, 1, 1));
        let (nameless, nameless_key) = pair(|params| params.subject_alt_names.clear());
        for (chain, key, mode, named) in [
            (&*chain, &*key, 0o644, "chmod"),
            (&chain, &key, 0o660, "chmod"),
            (&chain, &other, 0o600, "together"),
            ("", &key, 0o600, "no certificate"),
            (&chain, "", 0o600, "no private key"),
            (&old, &old_key, 0o600, "has ended"),
            (&early, &early_key, 0o600, "not valid yet"),
            (&nameless, &nameless_key, 0o600, "names no host"),
        ] {
            let files = Files::new();
            files.write(chain, key, mode);
            let said = load(&files).expect_err(named).chain().join(": ");
            assert!(said.contains(named), "{named}: {said}");
        }
        assert!(load(&Files::new()).expect_err("nothing").chain().join(": ").contains("cannot read"));
    }

    #[tokio::test(start_paused = true)]
    async fn changed_files_are_taken_and_bad_ones_are_not() {
        let files = Files::new();
        let (chain, key) = pair(|_| {});
        files.write(&chain, &key, 0o600);
        let tls = load(&files).expect("loads");
        let first = tls.config();
        let stop = mcp_runtime::Stop::default();
        let cores = mcp_runtime::Cores::start(1).expect("a core");
        let shell = Shell::new(cores, stop.clone(), mcp_runtime::Profile::Development);
        let watching = tokio::spawn(tls.clone().watch(shell));

        files.write("junk", &key, 0o600);
        tokio::time::sleep(LOOK_EVERY * 3).await;
        assert!(Arc::ptr_eq(&first, &tls.config()), "the old one stays");

        let (chain, key) = pair(|_| {});
        files.write(&chain, &key, 0o600);
        tokio::time::sleep(LOOK_EVERY * 3).await;
        assert!(!Arc::ptr_eq(&first, &tls.config()), "the new one is taken");
        stop.request();
        watching.await.expect("ends");
    }
}
