//! Where the logs are: the folders of a platform, or of one service.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use mcp_audit::log::{Checkpoint, Entry, Leaf, LogFiles, LogKey};
use mcp_runtime::Failure;
use mcp_store::{AuditEntry, FileLog, StoreError};

use crate::{cli::audit::Logs, config::PlatformConfig, verbs::block_on};

/// The services that keep a log of their own, in the order in which they are shown.
const SERVICES: [&str; 5] = ["ca", "auth", "context", "summarization", "gateway"];

/// One log.
#[derive(Debug)]
pub(super) struct Log {
    service: String,
    place: Place,
}

/// Where a log's rows are.
#[derive(Debug)]
enum Place {
    /// The service's own: in files.
    Own(LogFiles),
    /// A tenant's: in the tenant's file, of which a log is read without keys. What verifies it lies with the service's own.
    Tenant { tenant: String, file: PathBuf, own: LogFiles },
}

/// A row where it stands.
#[derive(Debug)]
pub(super) struct Standing {
    /// Its place; none where no checkpoint covers it yet.
    pub(super) index: Option<u64>,
    pub(super) leaf: Leaf,
    /// None where its content was erased, or is sealed.
    pub(super) entry: Option<Entry>,
}

// === impl Logs ===

impl Logs {
    /// The logs that are meant; at least one.
    pub(super) fn find(&self) -> Result<Vec<Log>, Failure> {
        let services: Vec<(String, PathBuf)> = match &self.config {
            Some(file) => {
                let mesh = PlatformConfig::load_for_serve(Some(file))?.mesh;
                let folder = mesh.state_dir.file_name().unwrap_or_default().to_string_lossy();
                let name = self.service.clone().unwrap_or_else(|| folder.into_owned());
                vec![(name, mesh.state_dir.join(&mesh.audit_file))]
            }
            None => {
                let named = |name: &&str| self.service.as_deref().is_none_or(|service| service == *name);
                let rows = |name: &str| self.data_dir.join(name).join("audit.jsonl");
                SERVICES.into_iter().filter(named).map(|name| (name.to_owned(), rows(name))).collect()
            }
        };
        let logs = services.iter().flat_map(|(service, rows)| Log::of(service, rows));
        let found: Vec<_> =
            logs.filter(|log| self.tenant.is_none() || self.tenant.as_deref() == log.tenant()).collect();
        if found.is_empty() {
            let place = match &self.config {
                Some(_) => String::new(),
                None => format!(" in {}", self.data_dir.display()),
            };
            return Err(Failure::input(format!("there is no such audit log{place}"))
                .advise("`--data-dir` names the folder of a platform, `--service` one of its services"));
        }
        Ok(found)
    }

    /// The logs that are meant and can be read: tenants' are sealed.
    pub(super) fn find_open(&self) -> Result<Vec<Log>, Failure> {
        let mut found = self.find()?;
        found.retain(|log| log.tenant().is_none());
        if found.is_empty() {
            return Err(Failure::no_permission(
                "the rows of a tenant's audit log are sealed under the tenant's key",
            )
            .advise(
                "`mesh.audit_copy` has a service keep a copy in the clear; `mcp audit verify` opens nothing",
            ));
        }
        Ok(found)
    }

    /// The one log that is meant: without a tenant, the service's own.
    pub(super) fn find_one(&self) -> Result<Log, Failure> {
        let mut found = self.find()?;
        found.retain(|log| self.tenant.is_some() || log.tenant().is_none());
        match (found.pop(), found.is_empty()) {
            (Some(log), true) => Ok(log),
            _ => Err(Failure::usage("several audit logs are meant, and this verb takes one")
                .advise("name it with `--service`, and `--tenant` where it is a tenant's")),
        }
    }
}

// === impl Log ===

impl Log {
    /// The logs of a service whose own log has its rows in the file `rows`.
    fn of(service: &str, rows: &Path) -> Vec<Self> {
        if !rows.exists() {
            return Vec::new();
        }
        let own = LogFiles::of(rows);
        let tenants = rows.parent().map(|folder| folder.join("tenants"));
        let files = tenants.and_then(|folder| fs::read_dir(folder).ok()).into_iter().flatten().flatten();
        let mut files: Vec<_> = files.map(|entry| entry.path()).collect();
        files.retain(|file| file.extension().is_some_and(|extension| extension == "db"));
        files.sort();
        let tenants = files.into_iter().filter_map(|file| {
            let tenant = file.file_stem()?.to_str()?.to_owned();
            Some(Place::Tenant { tenant, file, own: own.clone() })
        });
        let places = std::iter::once(Place::Own(own.clone())).chain(tenants);
        places.map(|place| Self { service: service.to_owned(), place }).collect()
    }

    /// Its name for people: the service, and the tenant where it is a tenant's.
    pub(super) fn name(&self) -> String {
        self.tenant().map_or(self.service.clone(), |tenant| format!("{}/{tenant}", self.service))
    }

    pub(super) fn tenant(&self) -> Option<&str> {
        match &self.place {
            Place::Own(_) => None,
            Place::Tenant { tenant, .. } => Some(tenant),
        }
    }

    /// What was signed last, where anything was.
    pub(super) fn head(&self) -> Result<Option<Checkpoint>, Failure> {
        match &self.place {
            Place::Own(files) => files.checkpoint().map_err(|source| self.unreadable(source)),
            Place::Tenant { file, .. } => block_on(async {
                let mut log = FileLog::open(file).await.map_err(|source| self.broken(source))?;
                log.head().await.map_err(|source| self.broken(source))
            }),
        }
    }

    /// What was signed last.
    pub(super) fn checkpoint(&self) -> Result<Checkpoint, Failure> {
        self.head()?.ok_or_else(|| self.unsigned())
    }

    /// The key that lies beside it.
    pub(super) fn key(&self) -> Result<LogKey, Failure> {
        let (Place::Own(own) | Place::Tenant { own, .. }) = &self.place;
        let key = own.key().map_err(|source| self.unreadable(source))?.ok_or_else(|| {
            Failure::input(format!("the audit log of {} has no key beside it", self.name()))
                .advise("give the key that you kept with `--key`")
        })?;
        Ok(self.tenant().map_or(key.clone(), |tenant| key.of_tenant(tenant)))
    }

    /// Reads the log as it is at one moment: `begin` is given what was signed, `each` then every row, oldest first. Rows that
    /// no checkpoint covers have no place. Of a tenant's log the contents are sealed, and stay so.
    pub(super) fn fold<S: Send>(
        &self,
        begin: impl FnOnce(&Checkpoint) -> Result<S, Failure>,
        mut each: impl FnMut(&mut S, Standing) -> Result<(), Failure> + Send,
    ) -> Result<S, Failure> {
        match &self.place {
            Place::Own(_) => {
                // The checkpoint first: what is written after it was read has no place yet, rather than too early a one.
                let checkpoint = self.checkpoint()?;
                let mut state = begin(&checkpoint)?;
                self.each_from(0, |at, entry, _| {
                    let index = (at < checkpoint.size()).then_some(at);
                    each(&mut state, Standing { index, leaf: entry.leaf(), entry: Some(entry) })
                })?;
                Ok(state)
            }
            Place::Tenant { file, .. } => block_on(async {
                let mut log = FileLog::open(file).await.map_err(|source| self.broken(source))?;
                let head = log.head().await.map_err(|source| self.broken(source))?;
                let mut state = begin(&head.ok_or_else(|| self.unsigned())?)?;
                let mut failed = Ok(());
                let mut row = |row: AuditEntry| {
                    if failed.is_ok() {
                        let row = Standing { index: row.place, leaf: row.leaf, entry: row.entry };
                        failed = each(&mut state, row);
                    }
                };
                log.each(&mut row).await.map_err(|source| self.broken(source))?;
                failed.map(|()| state)
            }),
        }
    }

    /// Hands each entry of the service's own log that stands behind `bytes` to `each`, with its number from there and
    /// where it ends.
    pub(super) fn each_from(
        &self,
        bytes: u64,
        mut each: impl FnMut(u64, Entry, u64) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let Place::Own(files) = &self.place else { return Ok(()) };
        let entries = files.entries(bytes).map_err(|source| self.unreadable(source))?;
        for (at, entry) in (0..).zip(entries) {
            let (entry, end) = entry.map_err(|source| self.unreadable(source))?;
            each(at, entry, end)?;
        }
        Ok(())
    }

    fn unsigned(&self) -> Failure {
        Failure::input(format!("the audit log of {} has no checkpoint", self.name()))
            .advise("the service signs one within about a second of the first row; was it removed?")
    }

    fn unreadable(&self, source: io::Error) -> Failure {
        let what = format!("cannot read the audit log of {}", self.name());
        match source.kind() {
            io::ErrorKind::PermissionDenied => Failure::no_permission(what).because(source),
            io::ErrorKind::InvalidData => Failure::input(what).because(source),
            _ => Failure::io(format!("read the audit log of {}", self.name()), source),
        }
    }

    fn broken(&self, source: StoreError) -> Failure {
        Failure::input(format!("cannot read the audit log of {}", self.name())).because(source)
    }
}

/// A checkpoint that somebody kept in a file.
pub(super) fn kept_checkpoint(file: &Path) -> Result<Checkpoint, Failure> {
    let cannot = || Failure::input(format!("cannot use the checkpoint {}", file.display()));
    let text = fs::read_to_string(file).map_err(|source| cannot().because(source))?;
    text.parse().map_err(|source: mcp_audit::log::BadCheckpoint| {
        cannot().because(source).advise("`mcp audit checkpoint` prints one as it should be kept")
    })
}

/// A verifier key, stated or in a file.
pub(super) fn stated_key(key: &str) -> Result<LogKey, Failure> {
    let text = match key.parse::<LogKey>() {
        Ok(key) => return Ok(key),
        Err(_) => fs::read_to_string(key),
    };
    let cannot = || Failure::input(format!("`{key}` is neither a verifier key nor a file with one"));
    let text = text.map_err(|source| cannot().because(source))?;
    text.parse().map_err(|source: mcp_audit::log::BadCheckpoint| cannot().because(source))
}
