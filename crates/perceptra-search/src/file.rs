//! Writing of a search's files.

use std::path::Path;

use perceptra_files::write_atomic;

use crate::error::SearchError;

/// Writes a file that appears whole or not at all.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), SearchError> {
    write_atomic(path, |file| std::io::Write::write_all(file, bytes))
        .map_err(|source| SearchError::File { path: path.to_owned(), source })
}
