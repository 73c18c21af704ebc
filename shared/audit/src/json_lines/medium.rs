//! The file that rows are appended to.

use std::{
    fs::{DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::Path,
};

/// Where lines are appended to. A trait, so that a test can fill the disk.
pub trait Medium: Send + 'static {
    /// Appends `lines`, all of them or, as far as it can be brought about, none.
    ///
    /// # Errors
    ///
    /// Where they could not be appended; the next lines are tried all the same.
    fn append(&mut self, lines: &[u8]) -> io::Result<()>;

    /// Makes last what was appended.
    ///
    /// # Errors
    ///
    /// Where that is not certain.
    fn sync(&mut self) -> io::Result<()>;
}

/// A file that one process appends to.
#[derive(Debug)]
pub struct AppendFile {
    file: File,
    /// Where the last whole line ends.
    whole_bytes: u64,
    /// Whether part of a line may stand behind it.
    torn: bool,
}

// === impl AppendFile ===

impl AppendFile {
    /// Opens `path`, making it if there is none, for the owner alone; ends a line that was cut short.
    ///
    /// # Errors
    ///
    /// What the operating system says; [`io::ErrorKind::WouldBlock`] where another process has it open.
    pub fn open(path: &Path) -> io::Result<Self> {
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let mut file = OpenOptions::new().create(true).read(true).append(true).mode(0o600).open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            // Another writer's lines must not be cut off when one of ours fails.
            Err(TryLockError::WouldBlock) => return Err(io::ErrorKind::WouldBlock.into()),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        // The file's name must last as its lines do.
        File::open(folder)?.sync_all()?;

        let whole_bytes = file.seek(SeekFrom::End(0))?;
        let mut last = [b'\n'];
        if whole_bytes > 0 {
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
        }
        Ok(Self { file, whole_bytes, torn: last != [b'\n'] })
    }
}

impl Medium for AppendFile {
    fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        if self.torn {
            self.file.write_all(b"\n")?;
            self.whole_bytes = self.file.seek(SeekFrom::End(0))?;
            self.torn = false;
        }
        match self.file.write_all(lines) {
            Ok(()) => {
                self.whole_bytes += lines.len() as u64;
                Ok(())
            }
            Err(error) => {
                // Where not even that succeeds, the next lines begin with a line's end.
                self.torn = self.file.set_len(self.whole_bytes).is_err();
                Err(error)
            }
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }
}
