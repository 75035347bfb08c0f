//! A lock on a name in the file system.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

/// A lock on a name in the file system, held until it is dropped. The lock file contains the id of the process that holds it.
///
/// The lock is the operating system's, on the open file: it ends with its process, however that ends. On a file system without locks, every
/// process acquires the lock.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
    /// The id of the process that held the lock last, if it ended without releasing it.
    pub stale: Option<u32>,
}

/// Maximum number of attempts when other processes remove the lock file between our opening and locking it.
const ATTEMPTS: usize = 1000;

/// Why a lock could not be acquired.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// Another process holds the lock.
    #[error("{path}: another run{} is writing here", .pid.map_or_else(String::new, |pid| format!(" (process {pid})")))]
    Held {
        /// The lock file.
        path: PathBuf,
        /// The id of that process; `None` if the lock file does not contain it.
        pid: Option<u32>,
    },
    /// The lock file cannot be created or written.
    #[error("{path}: cannot be written: {source}")]
    Io {
        /// The lock file.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
}

impl Lock {
    /// Acquires the lock on `path`, a file that is removed when the lock is dropped.
    ///
    /// # Errors
    ///
    /// [`LockError::Held`], without waiting, if another process holds it; [`LockError::Io`].
    pub fn acquire(path: &Path) -> Result<Self, LockError> {
        let io = |source| LockError::Io { path: path.to_owned(), source };
        for attempt in 0.. {
            let mut file =
                OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(io)?;
            // Reads no more bytes than a process id may have: the file may contain anything.
            let mut text = String::new();
            let holder = |file: &mut File, text: &mut String| {
                let read = Read::by_ref(file).take(32).read_to_string(text);
                read.ok().and_then(|_| text.trim().parse().ok())
            };
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    return Err(LockError::Held { path: path.to_owned(), pid: holder(&mut file, &mut text) });
                }
                Err(TryLockError::Error(e)) if e.kind() == io::ErrorKind::Unsupported => {}
                Err(TryLockError::Error(e)) => return Err(io(e)),
            }
            // The last holder may have removed the file between our opening and locking it. Without inode numbers this
            // cannot be seen.
            if !is_same(&file, path) && attempt < ATTEMPTS {
                continue;
            }
            let stale = holder(&mut file, &mut text);
            file.set_len(0).map_err(io)?;
            file.rewind().map_err(io)?;
            writeln!(file, "{}", std::process::id()).map_err(io)?;
            return Ok(Self { file, path: path.to_owned(), stale });
        }
        Err(LockError::Held { path: path.to_owned(), pid: None })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Removes the file while it is still locked, so that no other process's file is removed. An error leaves a stale file, which does
        // no harm.
        if is_same(&self.file, &self.path) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Whether `path` still names the open `file`.
fn is_same(file: &File, path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let id = |m: std::fs::Metadata| (m.dev(), m.ino());
        matches!((file.metadata().map(id), path.metadata().map(id)), (Ok(a), Ok(b)) if a == b)
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        path.exists()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_held_once_and_released() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.lock");
        let first = Lock::acquire(&path).unwrap();
        assert_eq!(first.stale, None);
        let error = Lock::acquire(&path).unwrap_err();
        let own = std::process::id();
        assert_eq!(error.to_string(), format!("{}: another run (process {own}) is writing here", path.display()));
        drop(first);
        assert!(!path.exists());
        assert!(Lock::acquire(&path).is_ok());
    }

    #[test]
    fn the_lock_file_of_a_dead_process_is_taken_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.lock");
        for (text, stale) in [("4711\n", Some(4711)), ("no number", None), ("", None)] {
            File::create_new(&path).unwrap().write_all(text.as_bytes()).unwrap();
            assert_eq!(Lock::acquire(&path).unwrap().stale, stale);
        }
        assert!(matches!(Lock::acquire(&folder.path().join("none/run.lock")), Err(LockError::Io { .. })));
    }

    #[test]
    fn one_of_many_threads_holds_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.lock");
        let held = std::sync::atomic::AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        if let Ok(lock) = Lock::acquire(&path) {
                            assert_eq!(held.fetch_add(1, std::sync::atomic::Ordering::SeqCst), 0);
                            held.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                            drop(lock);
                        }
                    }
                });
            }
        });
    }
}
