//! The training loop for dense networks on Burn.
//!
//! ```
//! use burn::tensor::Device;
//! use perceptra_nn::{Activation, FeedForwardConfig};
//! use perceptra_train::{Batch, Dataset, TrainConfig, fit};
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
//! let fitted = fit(network, &xor, None, &config, &mut ())?;
//! assert!(fitted.history.best().unwrap().train_loss <= 0.001);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`fit`] takes any [`Network`] (a [`FeedForward`](perceptra_nn::FeedForward) is one), a [`Dataset`] on a device, a
//! [`TrainConfig`] and an [`Observer`], and gives back the best weights with the [`History`] of the run. An observer can
//! keep the state of the run after any epoch, from which [`resume`] goes on; rows that do not fit into memory come in
//! [`Blocks`].

mod autodiff;
mod blocks;
mod config;
mod dataset;
mod engine;
mod error;
mod fit;
mod fused;
mod gradients;
mod history;
mod many;
mod metrics;
mod network;
mod optimizer;
mod perceptron;
mod population;
mod rule;
mod state;
mod weighted;

pub use blocks::Blocks;
pub use config::{Batch, ClassWeights, Factors, Optimizer, Reduction, Schedule, TrainConfig};
pub use dataset::Dataset;
pub use engine::Engine;
pub use error::TrainError;
pub use fit::{Fitted, evaluate_loss, fit, fit_blocks, resume, resume_blocks};
pub use fused::{outputs, threads, with_threads};
pub use gradients::{GradientCheck, TensorCheck, check_gradients};
pub use history::{Control, Epoch, Event, History, Observer, StopReason};
pub use many::{Member, Quiet, fit_many, parallel};
pub use metrics::{ClassificationMetrics, Metric, RegressionMetrics, argmax, probabilities};
pub use network::{Network, Pass};
pub use perceptron::{Perceptron, PerceptronConfig, Separability, mistake_bound};
pub use state::{Snapshot, TrainState, with_weights};

#[cfg(test)]
mod engine_tests;
#[cfg(test)]
mod fit_tests;
#[cfg(test)]
mod parts_tests;
#[cfg(test)]
mod reference_tests;
#[cfg(test)]
mod resume_tests;
