//! Models of tables: trained, saved in one file, used on new tables.
//!
//! ```
//! use burn::tensor::Device;
//! use perceptra_data::Table;
//! use perceptra_model::{Model, RunConfig, Tables, train};
//!
//! let rows: String = (0..200).map(|i| format!("{i},{}\n", 3 * i + 1)).collect();
//! let table = Table::from_csv("line.csv", format!("x,y\n{rows}"), &Default::default())?;
//! let run = RunConfig::new("line.csv", ["y"]);
//! let device = Device::flex();
//! let tables = Tables::from(table.clone());
//! let model = train(&run, &tables, &device, &mut ())?.model;
//!
//! let file = model.to_bytes()?;
//! let again = Model::from_bytes("line.perceptra", &file, &device)?;
//! assert_eq!(again.predict(&table)?, model.predict(&table)?);
//! # Ok::<(), perceptra_model::ModelError>(())
//! ```
//!
//! A [`RunConfig`] describes a run. [`train`] infers the schema of its tables, splits them, fits the encoder and trains the network
//! to a [`Model`], which predicts and scores tables and is saved as one SafeTensors file.

mod calibration;
mod checkpoint;
mod confidence;
mod encoded;
mod ensemble;
mod error;
mod file;
mod fitting;
mod gradients;
mod hint;
mod importance;
mod keys;
mod metrics;
mod model;
mod partition;
mod predictions;
mod prepared;
mod preset;
mod run;
mod session;
mod stream;
mod tables;
mod train;
mod trained;
mod write;

pub use calibration::Calibration;
pub use checkpoint::Checkpoint;
pub use error::ModelError;
pub use gradients::check_gradients;
pub use hint::Hint;
pub use importance::{Explanation, Importance, ImportanceOptions};
#[doc(hidden)]
pub use keys::split_list;
pub use metrics::{MetricValues, Metrics};
pub use model::{Member, Model};
pub use partition::Partition;
pub use predictions::Predictions;
pub use run::{
    CheckpointConfig, DataConfig, EmbeddingKind, Ensemble, NetworkConfig, OneOrMany, OutputConfig, Preset, RunConfig,
    Sampler, SearchOptions,
};
pub use session::Session;
pub use tables::Tables;
#[doc(hidden)]
pub use train::train_stage;
pub use train::{resume, train, train_many};
pub use trained::Trained;
pub use write::{PredictionColumns, PredictionFormat, PredictionWriter};
