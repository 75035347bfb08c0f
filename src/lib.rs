#![doc = include_str!("../README.md")]

pub mod device;

pub use perceptra_data as data;
pub use perceptra_model as model;
pub use perceptra_nn as nn;
pub use perceptra_train as train;

pub use device::{Choice, DeviceError, choose};
pub use perceptra_data::{Encoder, Schema, Split, Table};
pub use perceptra_model::{Metrics, Model, ModelError, Predictions, RunConfig, Tables};
pub use perceptra_nn::{Activation, FeedForward, FeedForwardConfig, Loss};
pub use perceptra_train::{
    Control, Dataset, Event, Fitted, History, Metric, Network, Observer, Pass, TrainConfig, fit,
};
