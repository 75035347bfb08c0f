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

mod aliases;
mod calibration;
mod checkpoint;
mod confidence;
mod digits;
mod encoded;
mod ensemble;
mod error;
mod file;
mod fitting;
mod gradients;
mod hint;
mod importance;
mod kept;
mod keys;
mod metrics;
mod model;
mod note;
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

pub use self::{
    calibration::Calibration,
    checkpoint::Checkpoint,
    error::ModelError,
    fitting::usual_metric,
    gradients::check_gradients,
    hint::Hint,
    importance::{Explanation, Importance, ImportanceOptions},
    metrics::{MetricValues, Metrics, TargetMetrics},
    model::{About, Member, Model},
    note::Note,
    partition::Partition,
    predictions::Predictions,
    run::{
        CheckpointConfig, DataConfig, EmbeddingKind, Ensemble, NetworkConfig, OneOrMany, OutputConfig, Preset,
        RunConfig, Sampler, SearchOptions,
    },
    session::Session,
    tables::Tables,
    train::{resume, train, train_many},
    trained::Trained,
    write::{PredictionColumns, PredictionFormat, PredictionOptions, PredictionWriter},
};
#[doc(hidden)]
pub use self::{keys::split_list, train::train_stage};
