//! What the operating system lets the process have.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the bound on open files to the most that the process may have, and forbids core dumps, which would hold keys.
///
/// Where the system refuses, that is told and the process goes on: the bounds of caches still hold.
pub fn set_process_limits() {
    let files = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: files.maximum, maximum: files.maximum })
    {
        tracing::warn!(%error, "cannot raise the bound on open files");
    }
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    if let Err(error) = setrlimit(Resource::Core, none) {
        tracing::warn!(%error, "cannot forbid core dumps");
    }
}
