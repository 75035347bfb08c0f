//! Files that appear whole or not at all.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Prefix and suffix of the names of temporary files.
const TEMPORARY: (&str, &str) = (".perceptra-", ".tmp");

/// Writes the file `path` through a temporary file in the same folder: `write` fills it, then it is synced, renamed over
/// `path`, and the folder is synced. Until the rename an existing file is untouched; after an error nothing is left. A
/// symbolic link at `path` is replaced, not followed. The file's mode follows the umask.
///
/// A process that is killed meanwhile leaves its temporary file, which [`remove_stale`] removes.
///
/// # Errors
///
/// The error of `write`, or of the system.
pub fn write_atomic<E: From<io::Error>>(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<&File>) -> Result<(), E>,
) -> Result<(), E> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY.0).suffix(TEMPORARY.1);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    if path.is_dir() {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a folder").into());
    }
    let file = loop {
        let file = builder.tempfile_in(folder)?;
        // Marks the file as being written, where the file system has locks.
        let _ = file.as_file().try_lock();
        // `remove_stale` may have removed the file before it was locked.
        if file.path().exists() {
            break file;
        }
    };
    let mut writer = BufWriter::with_capacity(1 << 16, file.as_file());
    write(&mut writer)?;
    writer.flush()?;
    drop(writer);
    file.as_file().sync_all()?;
    file.persist(path).map_err(|e| e.error)?;
    // Not every system lets a folder be opened and synced; where it does, the rename is durable after this.
    #[cfg(unix)]
    File::open(folder)?.sync_all()?;
    Ok(())
}

/// Removes the temporary files of [`write_atomic`] in `folder` whose writers were killed: those that nobody has locked.
pub fn remove_stale(folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let ours = name.to_str().is_some_and(|n| n.starts_with(TEMPORARY.0) && n.ends_with(TEMPORARY.1));
        if ours && File::open(entry.path()).is_ok_and(|file| file.try_lock().is_ok()) {
            // A file that cannot be removed does no harm.
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        write_atomic::<io::Error>(&path, |f| f.write_all(b"old")).unwrap();
        let error = write_atomic::<io::Error>(&path, |f| {
            f.write_all(b"half of the n")?;
            Err(io::Error::other("disk full"))
        });
        assert_eq!(error.unwrap_err().to_string(), "disk full");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        write_atomic::<io::Error>(&path, |f| f.write_all(b"new")).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "new");
    }

    #[test]
    fn folders_that_are_missing_or_in_the_way_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        assert!(write_atomic::<io::Error>(folder.path(), |_| Ok(())).is_err());
        assert!(write_atomic::<io::Error>(&folder.path().join("none/a"), |_| Ok(())).is_err());
    }

    #[test]
    fn only_temporary_files_of_dead_writers_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let names = |folder: &Path| {
            let mut names: Vec<_> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name()).collect();
            names.sort();
            names
        };
        File::create_new(folder.path().join(".perceptra-dead.tmp")).unwrap().write_all(b"half").unwrap();
        File::create_new(folder.path().join("other.tmp")).unwrap();
        let path = folder.path().join("a.txt");
        write_atomic::<io::Error>(&path, |f| {
            remove_stale(folder.path());
            assert_eq!(names(folder.path()).len(), 2, "the file being written and the foreign one stay");
            f.write_all(b"whole")
        })
        .unwrap();
        assert_eq!(names(folder.path()), ["a.txt", "other.tmp"]);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "whole");
    }

    #[cfg(unix)]
    #[test]
    fn the_mode_follows_the_umask() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let mode = |name: &str| folder.path().join(name).metadata().unwrap().permissions().mode() & 0o777;
        write_atomic::<io::Error>(&folder.path().join("ours"), |_| Ok(())).unwrap();
        File::create_new(folder.path().join("plain")).unwrap();
        assert_eq!(mode("ours"), mode("plain"));
    }
}
