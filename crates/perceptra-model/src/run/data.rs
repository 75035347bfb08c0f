//! Which table a run is trained on, and how it is read.

use std::path::PathBuf;

use perceptra_data::{ReadOptions, SchemaOptions};
use serde::{Deserialize, Serialize};

/// The table and the meaning of its columns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DataConfig {
    /// The file, or `-` for standard input.
    pub table: PathBuf,
    /// Whether the table is read anew every epoch instead of being held in memory.
    ///
    /// Its rows are then divided into parts one by one, without regard to classes, and no more validation and test rows are
    /// taken than fit the buffer. The encoder learns from a sample of that many training rows. Pieces of the file are read in
    /// a new order every epoch, and rows are put into a new order within the buffer.
    pub stream: bool,
    /// Rows of a streamed table that are in memory for training at once.
    pub buffer: usize,
    /// What the columns mean.
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
