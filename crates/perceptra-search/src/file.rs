//! Files of a search.

use std::path::Path;

use perceptra_files::write_atomic;

use crate::error::SearchError;

/// Writes a whole file, or nothing.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), SearchError> {
    write_atomic(path, |file| std::io::Write::write_all(file, bytes))
        .map_err(|source| SearchError::File { path: path.to_owned(), source })
}
