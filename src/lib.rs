#![doc = include_str!("../README.md")]

pub mod device;

#[cfg(feature = "baselines")]
pub use perceptra_baselines as baselines;
pub use perceptra_data as data;
pub use perceptra_model as model;
pub use perceptra_nn as nn;
#[cfg(feature = "playground")]
pub use perceptra_playground as playground;
#[cfg(feature = "search")]
pub use perceptra_search as search;
pub use perceptra_train as train;
#[cfg(feature = "view")]
pub use perceptra_view as view;

pub use device::{Choice, DeviceError, choose};
pub use perceptra_data::{Encoder, Schema, Split, Table};
pub use perceptra_model::{Metrics, Model, ModelError, Predictions, RunConfig, Tables};
pub use perceptra_nn::{Activation, FeedForward, FeedForwardConfig, Loss};
pub use perceptra_train::{
    Control, Dataset, Event, Fit, Fitted, ForwardMode, History, Metric, Network, Observer, TrainConfig,
};
