//! The table of a run.

use std::path::PathBuf;

use perceptra_data::{DateOrder, ReadOptions, SchemaOptions, Task};
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
    /// Number of rows of a streamed table that are in memory at once.
    pub buffer: usize,
    /// Which of two classes is the positive one, which precision, recall and the like are of; by default the last in order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub positive: Option<String>,
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
        Self { table: PathBuf::new(), stream: false, buffer: 65_536, positive: None, schema, read }
    }
}

impl DataConfig {
    /// The keys of `[data]`. Serde names only keys that have a value, so every key gets one here; a new field does not compile without it.
    pub(crate) fn keys() -> Vec<String> {
        let (name, list) = (Some(String::new()), Vec::new());
        let schema = SchemaOptions {
            target: list.clone(),
            task: Some(Task::Regression),
            numeric: list.clone(),
            categorical: list.clone(),
            ignore: list.clone(),
            weights: name.clone(),
            split: name.clone(),
            decimal: Some(','),
            thousands: Some('.'),
            dates: Some(DateOrder::DayFirst),
        };
        let read = ReadOptions {
            delimiter: Some(','.into()),
            comment: Some('#'),
            header: false,
            skip_rows: 0,
            sheet: Some(String::new()),
            missing: list.clone(),
            keep_text: list,
        };
        let all = Self { table: PathBuf::new(), stream: false, buffer: 0, positive: name, schema, read };
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
            "positive",
            "target",
            "task",
            "weights",
            "split",
            "delimiter",
            "comment",
            "missing",
        ] {
            assert!(keys.iter().any(|known| known == key), "{key}");
        }
        assert_eq!(keys.len(), 21);
    }
}
