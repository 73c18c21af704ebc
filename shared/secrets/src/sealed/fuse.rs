//! Where a test kills the process: before each change of the disk, or in the middle of a write.
//!
//! Outside tests every step passes.

use std::{fs::File, io, os::unix::fs::FileExt as _};

/// How this thread's process fares.
#[cfg(test)]
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Life {
    Unbounded,
    /// So many changes of the disk, and none after.
    Steps(u32),
    Dead,
}

#[cfg(test)]
thread_local! {
    static LIFE: std::cell::Cell<Life> = const { std::cell::Cell::new(Life::Unbounded) };
}

/// Gives this thread's process a life, and returns what was left of the one before.
#[cfg(test)]
pub(super) fn live(life: Life) -> Life {
    LIFE.replace(life)
}

/// Lets one change of the disk happen, unless the process is dead.
#[cfg(not(test))]
#[expect(clippy::unnecessary_wraps, reason = "in tests a step may be the last")]
pub(super) const fn step() -> io::Result<()> {
    Ok(())
}

/// Lets one change of the disk happen, unless the process is dead.
#[cfg(test)]
pub(super) fn step() -> io::Result<()> {
    let (life, outcome) = match LIFE.get() {
        Life::Unbounded => (Life::Unbounded, Ok(())),
        Life::Steps(left @ 1..) => (Life::Steps(left - 1), Ok(())),
        Life::Steps(0) | Life::Dead => (Life::Dead, Err(io::Error::other("killed by the test"))),
    };
    LIFE.set(life);
    outcome
}

/// Writes `bytes`; half of them where the process dies meanwhile.
pub(super) fn write_all_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    #[cfg(test)]
    if LIFE.get() == Life::Steps(0) {
        file.write_all_at(&bytes[..bytes.len() / 2], offset)?;
    }
    step()?;
    file.write_all_at(bytes, offset)
}
