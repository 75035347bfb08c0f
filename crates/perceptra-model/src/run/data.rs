//! The table of a run.

use std::path::PathBuf;

use perceptra_data::{ReadOptions, SchemaOptions};
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
