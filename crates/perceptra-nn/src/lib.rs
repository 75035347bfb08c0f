//! Dense feed-forward networks as Burn modules.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use perceptra_nn::{Activation, FeedForwardConfig, Loss};
//!
//! let device = Device::flex();
//! let network = FeedForwardConfig::new(2, 1).with_widths(&[16], Activation::Relu).init(&device)?;
//! let inputs = Tensor::from_floats([[0.0, 1.0], [1.0, 1.0]], &device);
//! let targets = Tensor::from_floats([[1.0], [0.0]], &device);
//! let loss = Loss::MeanSquared.forward(network.forward(inputs), targets, None, None);
//! assert_eq!(loss.dims(), [1]);
//! # Ok::<(), perceptra_nn::NetworkError>(())
//! ```
//!
//! A [`FeedForwardConfig`] describes the network and [`FeedForwardConfig::init`] builds it on a device, with initial
//! weights that depend on the seed alone. A [`FeedForward`] is a plain Burn [`Module`](burn::module::Module): any other
//! module can hold one as a field. A [`Neuron`] is the smallest of them, with given
//! weights; a [`Population`] is many of them at once. A [`Loss`] compares its outputs with targets, row by row.

mod activation;
mod batched;
mod embedding;
mod error;
mod feed_forward;
mod initializer;
mod loss;
mod membrane;
mod neuron;
mod population;
mod variants;

pub use activation::Activation;
pub use embedding::{Column, Embedding, EmbeddingConfig, NumberEmbedding};
pub use error::NetworkError;
pub use feed_forward::{DropoutDraw, FeedForward, FeedForwardConfig, Group, Hidden, Layer, Norm, Parts};
pub use initializer::Initializer;
pub use loss::{Loss, class_weights};
pub use membrane::HodgkinHuxley;
pub use neuron::{Neuron, Synapse};
pub use population::{Population, PopulationLayer};

#[cfg(test)]
mod gradient_tests;
