#![doc = include_str!("../README.md")]

pub mod device;

/// Support vector machines, and the comparison of a network with simpler models.
#[cfg(feature = "baselines")]
pub use perceptra_baselines as baselines;
/// Tables: reading, schemas, splits and encoders.
pub use perceptra_data as data;
/// From a table to a model: runs, training, prediction, model files and checkpoints.
pub use perceptra_model as model;
/// Networks, activations, losses and initializers, as Burn modules.
pub use perceptra_nn as nn;
/// The playground in the browser.
#[cfg(feature = "playground")]
pub use perceptra_playground as playground;
/// Search for good settings.
#[cfg(feature = "search")]
pub use perceptra_search as search;
/// The training loop for any Burn module, its settings, observers and metrics.
pub use perceptra_train as train;
/// Charts, and reports on models.
#[cfg(feature = "view")]
pub use perceptra_view as view;

pub use device::{DeviceError, choose};
pub use perceptra_data::Table;
pub use perceptra_model::{Metrics, Model, ModelError, Predictions, RunConfig, Tables};
pub use perceptra_nn::{Activation, FeedForward, FeedForwardConfig, Loss};
pub use perceptra_train::{Control, Dataset, Event, Fit, Fitted, ForwardMode, Metric, Network, Observer, TrainConfig};
