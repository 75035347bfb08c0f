//! The table of a run.

use std::path::PathBuf;

use perceptra_data::{ReadOptions, SchemaOptions, Task};
use serde::{Deserialize, Serialize};

/// The table and the meaning of its columns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DataConfig {
    /// The file, or `-` for standard input.
    pub table: PathBuf,
    /// Whether the table is read again in every epoch instead of being held in memory.
    ///
    /// Rows are then split one by one, without stratification, and at most as many validation and test rows are kept as the buffer
    /// holds. The encoder is fitted on a sample of that many training rows. Every epoch reads the pieces of the file in a new order
    /// and shuffles rows within the buffer.
    pub stream: bool,
    /// Rows of a streamed table that are in memory at once.
    pub buffer: usize,
    /// Roles and kinds of columns.
    #[serde(flatten)]
    pub schema: SchemaOptions,
    /// How the file is read.
    #[serde(flatten)]
    pub read: ReadOptions,
}

impl Default for DataConfig {
    fn default() -> Self {
        let (schema, read) = (SchemaOptions::default(), ReadOptions::default());
        Self { table: PathBuf::new(), stream: false, buffer: 65_536, schema, read }
    }
}

impl DataConfig {
    /// The keys of `[data]`. Serde names only values that are set, so every key has one here; a new field does not compile without.
    pub(crate) fn keys() -> Vec<String> {
        let (name, list) = (Some(String::new()), Vec::new());
        let schema = SchemaOptions {
            target: list.clone(),
            task: Some(Task::Regression),
            numeric: list.clone(),
            categorical: list.clone(),
            ignore: list.clone(),
            weights: name.clone(),
            split: name,
        };
        let read = ReadOptions {
            delimiter: Some(','.into()),
            comment: Some('#'),
            header: false,
            skip_rows: 0,
            sheet: Some(String::new()),
            missing: list,
        };
        let all = Self { table: PathBuf::new(), stream: false, buffer: 0, schema, read };
        toml::Table::try_from(all).map_or_else(|_| Vec::new(), |table| table.keys().cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_of_data_is_known() {
        let keys = DataConfig::keys();
        for key in [
            "table",
            "stream",
            "buffer",
            "target",
            "task",
            "weights",
            "split",
            "delimiter",
            "comment",
            "header",
            "sheet",
        ] {
            assert!(keys.iter().any(|known| known == key), "{key}");
        }
        assert_eq!(keys.len(), 16);
    }
}
