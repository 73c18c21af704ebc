//! One process of the platform: started, waited for, ended.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::OnceLock,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::time::Instant;

/// A process of the platform.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    ended: Option<ExitStatus>,
}

// === impl Process ===

impl Process {
    /// Starts the command with these arguments, its output in a file of `home`.
    pub fn start(name: &str, arguments: &[&OsStr], home: &Path) -> Self {
        let log = home.join(format!("{name}.log"));
        let file = File::options().create(true).append(true).open(&log).expect("a log");
        let child = Command::new(binary())
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("a second handle"))
            .stderr(file)
            .spawn()
            .expect("the command starts");
        Self { name: name.to_owned(), child, log, ended: None }
    }

    /// Its name: that of the service, or `up`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process ID.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it said so far.
    pub fn log(&self) -> String {
        fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// Waits for its ready file, and returns what stands in it.
    pub(super) async fn ready(
        &mut self,
        file: &Path,
        longest: Duration,
    ) -> Result<serde_json::Value, String> {
        self.appears(file, longest).await?;
        let text = fs::read(file).map_err(|error| error.to_string())?;
        serde_json::from_slice(&text).map_err(|error| format!("{}: {error}", file.display()))
    }

    /// Waits for `file` while it runs.
    pub(super) async fn appears(&mut self, file: &Path, longest: Duration) -> Result<(), String> {
        let begun = Instant::now();
        while !file.exists() {
            if let Some(status) = self.poll() {
                return Err(format!("{} ended with {status}:\n{}", self.name, self.log()));
            }
            if begun.elapsed() > longest {
                return Err(format!("{} wrote no {}:\n{}", self.name, file.display(), self.log()));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    /// How it ended, if it did.
    pub fn poll(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().expect("its own child");
        }
        self.ended
    }

    /// Waits until it has ended.
    pub async fn wait(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.poll() {
                return status;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "{} does not end:\n{}", self.name, self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// SIGTERM.
    pub fn ask_to_stop(&mut self) {
        self.signal(Signal::TERM);
    }

    /// SIGKILL, and no trace of it left.
    pub fn kill(&mut self) {
        if self.poll().is_none() {
            let _ = self.child.kill();
            self.ended = self.child.wait().ok();
        }
    }

    /// Sends a signal, where it still runs.
    pub fn signal(&mut self, signal: Signal) {
        if self.poll().is_none()
            && let Some(id) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw)
        {
            let _ = kill_process(id, signal);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

static CHOSEN: OnceLock<PathBuf> = OnceLock::new();

/// Takes another binary in this process, whatever the environment says; once, and before the first world.
pub fn use_binary(path: PathBuf) {
    let _ = CHOSEN.set(path);
}

/// The command under test: `MCP_BIN`, or what `cargo build -p mcp-platform` makes.
pub fn binary() -> PathBuf {
    if let Some(chosen) = CHOSEN.get() {
        return chosen.clone();
    }
    let path = std::env::var_os("MCP_BIN").map_or_else(
        || {
            let target = std::env::var_os("CARGO_TARGET_DIR")
                .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"), PathBuf::from);
            target.join("debug/mcp")
        },
        PathBuf::from,
    );
    assert!(path.exists(), "there is no {}: `cargo build -p mcp-platform` makes it", path.display());
    path
}

/// Writes a file that its owner alone may read.
pub(super) fn write_private(path: &Path, text: &str) {
    let file = File::options().create(true).write(true).truncate(true).mode(0o600).open(path);
    file.expect("a file").write_all(text.as_bytes()).expect("written");
}
