//! Processes and folders of a test's servers: neither outlives the test's process, however that ends.
//!
//! A process is started by a thread that lives as long as it does, because the kernel's signal at a parent's death
//! ([`prctl(2)`], `PR_SET_PDEATHSIG`) is about the thread that forked. A folder is watched by a shell that reads from
//! a pipe which nobody writes to: it reads the end when the test's process is gone.
//!
//! [`prctl(2)`]: https://man7.org/linux/man-pages/man2/PR_SET_PDEATHSIG.2const.html

use std::{
    fs,
    io::{self, BufRead as _, BufReader, Write as _},
    os::unix::{fs::chown, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Condvar, Mutex, PoisonError, mpsc},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

/// How long a server may take to be ready; a machine that is busy with a build takes its time.
const READY_MAX: Duration = Duration::from_secs(60);

/// Ends with the pipe, lets the server end first, and removes what is left of it.
const GUARD: &str = r#"
read -r _
tries=0
while [ -e "$2" ] && [ "$tries" -lt 100 ]; do tries=$((tries + 1)); sleep 0.1; done
rm -rf -- "$1"
"#;

/// A folder of a test's server, removed at the latest when the test's process is gone.
#[derive(Debug)]
pub(crate) struct GuardedFolder {
    path: PathBuf,
    guard: Child,
}

/// A running server, told to end when the test's process ends.
#[derive(Debug)]
pub(crate) struct GuardedProcess {
    pid: Pid,
    ended: Arc<End>,
}

/// Whether a process has ended, and the word that it has.
#[derive(Debug, Default)]
struct End {
    reached: Mutex<bool>,
    told: Condvar,
}

/// What a server is started with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Program<'a> {
    /// The program.
    pub(crate) path: &'a Path,
    /// Its arguments.
    pub(crate) args: &'a [String],
    /// What it gets when the test's process ends: a signal's name, as `setpriv` knows it.
    pub(crate) at_death: &'a str,
    /// Part of the line that it writes to its standard error once it is ready.
    pub(crate) ready: &'a str,
}

/// Whom a process runs as.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    uid: u32,
    gid: u32,
}

enum News {
    Started(Pid),
    Ready,
}

// === impl GuardedFolder ===

impl GuardedFolder {
    /// Makes a folder for its owner alone; it is removed once `running`, a path within it, is gone too.
    pub(crate) fn create(prefix: &str, running: &str, account: Option<&Account>) -> Self {
        let path = tempfile::Builder::new().prefix(prefix).tempdir().expect("a temporary folder").keep();
        if let Some(account) = account {
            account.owns(&path);
        }
        let mut guard = Command::new("sh");
        guard.arg("-c").arg(GUARD).arg("guard").arg(&path).arg(path.join(running));
        // In a group of its own: what ends a test's whole group must leave it alive.
        guard.process_group(0);
        let guard = guard.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let guard = guard.spawn().expect("the machine has a shell");
        Self { path, guard }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for GuardedFolder {
    fn drop(&mut self) {
        // The end of the pipe is the guard's word.
        drop(self.guard.stdin.take());
        drop(self.guard.wait());
    }
}

// === impl GuardedProcess ===

impl GuardedProcess {
    /// Starts `program` as `account`, its standard error going to the file `log`, and waits until it is ready; where
    /// it ended before that, says what it had written.
    pub(crate) fn start(program: Program<'_>, account: Option<&Account>, log: &Path) -> Result<Self, String> {
        let mut command = program.command(account);
        let file = fs::OpenOptions::new().create(true).append(true).open(log).expect("the log is ours");
        let begins_at = file.metadata().map_or(0, |data| data.len());
        let ready = program.ready.to_owned();
        let ended = Arc::new(End::default());
        let (tell, hear) = mpsc::channel();
        let end = Arc::clone(&ended);
        let keeper = move || keep(&mut command, file, &ready, &tell, &end);
        thread::Builder::new().name("server".to_owned()).spawn(keeper).expect("the machine gives a thread");

        let mut started = None;
        loop {
            match hear.recv_timeout(READY_MAX) {
                Ok(News::Started(pid)) => started = Some(Self { pid, ended: Arc::clone(&ended) }),
                Ok(News::Ready) => return started.ok_or_else(|| "ready before it was started".to_owned()),
                Err(_) => {
                    if let Some(process) = started {
                        process.signal(Signal::KILL);
                        process.wait();
                    }
                    let written = fs::read(log).unwrap_or_default();
                    let begins_at = usize::try_from(begins_at).unwrap_or_default();
                    return Err(String::from_utf8_lossy(written.get(begins_at..).unwrap_or_default()).into());
                }
            }
        }
    }

    /// Sends it a signal; nothing where it has ended.
    pub(crate) fn signal(&self, signal: Signal) {
        let reached = self.ended.reached.lock().unwrap_or_else(PoisonError::into_inner);
        if !*reached {
            // Where it ends at this very moment, nothing is left to tell.
            let _ended = kill_process(self.pid, signal);
        }
    }

    /// Waits until it and all that it started have ended.
    pub(crate) fn wait(&self) {
        let reached = self.ended.reached.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.ended.told.wait_while(reached, |reached| !*reached));
    }
}

// === impl Program ===

impl Program<'_> {
    fn command(&self, account: Option<&Account>) -> Command {
        let mut command = as_account(account);
        command.arg(format!("--pdeathsig={}", self.at_death)).arg("--").arg(self.path).args(self.args);
        command.process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }
}

// === impl Account ===

impl Account {
    /// Gives it a file.
    pub(crate) fn owns(&self, path: &Path) {
        chown(path, Some(self.uid), Some(self.gid)).expect("root may give files away");
    }
}

/// A command that goes on as `account`, in an environment that says nothing of the test's: `setpriv`, to which its own
/// arguments are still to be given, `--`, and the program.
pub(crate) fn as_account(account: Option<&Account>) -> Command {
    let mut command = Command::new("setpriv");
    if let Some(account) = account {
        command.arg(format!("--reuid={}", account.uid)).arg(format!("--regid={}", account.gid));
        command.arg("--clear-groups");
    }
    command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("LC_ALL", "C.UTF-8").current_dir("/");
    command
}

/// Starts the process and stays with it to its end.
fn keep(command: &mut Command, mut log: fs::File, ready: &str, tell: &mpsc::Sender<News>, end: &End) {
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(bad) => return drop(writeln!(log, "{command:?} cannot be started: {bad}")),
    };
    let pid = Pid::from_child(&child);
    // Whoever does not listen any more has heard enough.
    drop(tell.send(News::Started(pid)));
    let lines = child.stderr.take().map(|stderr| BufReader::new(stderr).split(b'\n'));
    for line in lines.into_iter().flatten().map_while(Result::ok) {
        drop(log.write_all(&line).and_then(|()| log.write_all(b"\n")));
        if String::from_utf8_lossy(&line).contains(ready) {
            drop(tell.send(News::Ready));
        }
    }
    // Its errors have ended, so that nobody who inherited them is alive.
    drop(child.wait());
    *end.reached.lock().unwrap_or_else(PoisonError::into_inner) = true;
    end.told.notify_all();
}

/// The account of this name, if the machine has one.
pub(crate) fn account(name: &str) -> io::Result<Option<Account>> {
    let accounts = fs::read_to_string("/etc/passwd")?;
    let fields = accounts.lines().map(|line| line.split(':').collect::<Vec<_>>());
    Ok(fields.filter(|fields| fields.first() == Some(&name)).find_map(|fields| {
        let (uid, gid) = (fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?);
        Some(Account { uid, gid })
    }))
}
