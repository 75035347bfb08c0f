//! The training loop for dense networks on Burn.
//!
//! ```
//! use burn::tensor::Device;
//! use perceptra_nn::{Activation, FeedForwardConfig};
//! use perceptra_train::{Batch, Dataset, Fit, TrainConfig};
//!
//! let device = Device::flex();
//! let xor = Dataset::from_rows(
//!     vec![0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0],
//!     vec![0.0, 1.0, 1.0, 0.0],
//!     (2, 1),
//!     &device,
//! )?;
//! let network = FeedForwardConfig::new(2, 1).with_widths(&[8], Activation::Tanh).init(&device)?;
//! let config = TrainConfig {
//!     learning_rate: 0.05,
//!     batch: Batch::Full,
//!     epochs: 500,
//!     target: Some(0.001),
//!     ..TrainConfig::default()
//! };
//! let fitted = Fit::new(network, &xor).run(&config)?;
//! assert!(fitted.history.best().unwrap().train_loss <= 0.001);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A [`Fit`] trains any [`Network`] (a [`FeedForward`](perceptra_nn::FeedForward) is one) on a [`Dataset`] on a device, with the settings
//! of a [`TrainConfig`], and returns the best weights with the [`History`] of the run. An [`Observer`] can store the state of the run after
//! any epoch, from which [`Fit::resume`] continues; rows that do not fit into memory come in [`Blocks`].

mod autodiff;
mod blocks;
mod choices;
mod config;
mod dataset;
mod engine;
mod error;
mod fit;
mod fused;
mod gradients;
mod history;
mod job;
mod many;
mod metrics;
mod names;
mod network;
mod observer;
mod optimizer;
mod perceptron;
mod pool;
mod population;
mod progress;
mod rule;
mod schedule;
mod stack;
mod state;
#[cfg(test)]
mod tests;
mod threads;
mod weighted;

pub use self::{
    blocks::Blocks,
    choices::{Batch, ClassWeights, Engine, Factors, Optimizer, Reduction, Schedule},
    config::TrainConfig,
    dataset::Dataset,
    error::{BlocksError, TrainError},
    fit::{Fit, Fitted, evaluate_loss},
    gradients::{GradientCheck, TensorCheck, check_gradients},
    history::{Epoch, History, StopReason},
    job::FitJob,
    many::fit_many,
    metrics::{ClassificationMetrics, Metric, RegressionMetrics},
    network::{ForwardMode, Network},
    observer::{Control, Event, Observer},
    perceptron::{Perceptron, PerceptronConfig, Separability, mistake_bound},
    state::{Snapshot, TrainState},
};

// For the other crates of Perceptra.
#[doc(hidden)]
pub use self::{
    metrics::{argmax, probabilities},
    state::with_weights,
    threads::{has_own_memory, parallel, threads, with_threads},
};
