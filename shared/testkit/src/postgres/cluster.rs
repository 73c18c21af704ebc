//! The files of a server: made once by `initdb`, copied for each server, since copying is ten times faster.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use mcp_types::{Entropy as _, SystemEntropy};

use super::{Account, GuardedFolder, as_account};

pub(super) const SUPERUSER: &str = "postgres";

/// Counted up whenever `initdb` is called in another way.
const REVISION: u32 = 1;

/// Where the programs of the newest PostgreSQL are on this machine.
#[derive(Clone, Debug)]
pub(super) struct Programs {
    folder: PathBuf,
    version: String,
}

/// A cluster that no server has run on yet.
#[derive(Debug)]
pub(super) struct Template {
    folder: PathBuf,
}

// === impl Programs ===

impl Programs {
    /// Debian keeps the server's programs by version and out of everybody's way.
    pub(super) fn find() -> Self {
        let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
        let newest = versions
            .filter(|version| version.path().join("bin/postgres").exists())
            .filter_map(|version| version.file_name().to_string_lossy().parse::<u32>().ok())
            .max()
            .expect("PostgreSQL is missing (/usr/lib/postgresql/*/bin/postgres): run `make tools`");
        let folder = PathBuf::from(format!("/usr/lib/postgresql/{newest}/bin"));
        Self { folder, version: newest.to_string() }
    }

    pub(super) fn path(&self, program: &str) -> PathBuf {
        self.folder.join(program)
    }
}

// === impl Template ===

impl Template {
    /// The template of these programs, made by whoever comes first.
    pub(super) fn of(programs: &Programs, account: Option<&Account>) -> Self {
        let home = target_folder().join("tmp");
        fs::create_dir_all(&home).expect("the build's folder can be written");
        let name = format!("postgres-{}-{REVISION}", programs.version);
        let template = Self { folder: home.join(&name) };
        // Held until the file is closed: whoever comes second finds the template.
        let lock = fs::File::create(home.join(format!("{name}.lock"))).expect("the build's folder is ours");
        lock.lock().expect("the file can be locked");
        if !template.folder.exists() {
            template.make(programs, account);
        }
        template
    }

    pub(super) fn password(&self) -> String {
        fs::read_to_string(self.folder.join("password")).expect("the template is whole")
    }

    pub(super) fn copy_to(&self, data: &Path) {
        copy(&self.folder.join("data"), data);
    }

    fn make(&self, programs: &Programs, account: Option<&Account>) {
        // Elsewhere first: the server's account may not reach the build's folder, and what is half done is not here.
        let scratch = GuardedFolder::create("mcp-postgres-template-", "none", account);
        let (password, data) = (scratch.path().join("password"), scratch.path().join("data"));
        let mut drawn = [0; 16];
        SystemEntropy.fill(&mut drawn);
        let drawn = u128::from_le_bytes(drawn);
        fs::write(&password, format!("{drawn:032x}")).expect("the folder is ours");
        if let Some(account) = account {
            account.owns(&password);
        }

        let mut initdb = as_account(account);
        initdb.arg("--").arg(programs.path("initdb")).arg("-D").arg(&data).arg("-U").arg(SUPERUSER);
        initdb.arg("--pwfile").arg(&password).args(["--auth=scram-sha-256", "--encoding=UTF8"]);
        initdb.args(["--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en"]);
        initdb.args(["--data-checksums", "--no-sync", "--no-instructions"]);
        run(&mut initdb);

        let partial = self.folder.with_extension("partial");
        drop(fs::remove_dir_all(&partial));
        copy(scratch.path(), &partial);
        fs::rename(&partial, &self.folder).expect("the build's folder is ours");
    }
}

fn copy(from: &Path, to: &Path) {
    // With owners and modes, which PostgreSQL insists on.
    run(Command::new("cp").arg("-a").arg("--reflink=auto").arg(from).arg(to));
}

fn run(command: &mut Command) {
    let outcome = command.output().map_err(|bad| bad.to_string()).and_then(|output| {
        let words = || String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() { Ok(()) } else { Err(words()) }
    });
    assert_eq!(outcome, Ok(()), "{command:?}");
}

/// The build's folder, which cargo marks as a cache.
fn target_folder() -> PathBuf {
    let program = std::env::current_exe().expect("the system knows the test's program");
    let folder = program.ancestors().find(|folder| folder.join("CACHEDIR.TAG").exists());
    folder.map_or_else(std::env::temp_dir, Path::to_owned)
}
