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
//! weights that depend on the seed alone. A [`FeedForward`] is a plain Burn [`Module`](burn::module::Module), which any other
//! module can hold as a field; [`FeedForward::parameters`] lists its tensors by name. A [`Neuron`] is the smallest network, with
//! given weights; a [`Population`] computes many networks at once. A [`Loss`] compares outputs with targets, row by row.

mod activation;
mod batched;
mod collapse;
mod config;
mod data_driven;
mod display;
mod dropout;
mod embedding;
mod error;
mod feed_forward;
#[doc(hidden)]
pub mod host;
mod initialization;
mod initializer;
mod layer;
mod loss;
mod membrane;
mod neuron;
mod parameters;
mod population;
mod predictor;
mod role;
mod threads;
mod variants;

pub use activation::Activation;
pub use config::{Extras, FeedForwardConfig, Hidden, Norm};
pub use dropout::DropoutDraw;
pub use embedding::{Column, EmbeddingConfig, NumberEmbedding};
pub use error::NetworkError;
pub use feed_forward::FeedForward;
pub use initializer::Initializer;
pub use layer::Layer;
pub use loss::Loss;
#[doc(hidden)]
pub use loss::class_weights;
pub use membrane::HodgkinHuxley;
pub use neuron::{Neuron, Synapse};
pub use parameters::Parameter;
pub use population::Population;
pub use predictor::Predictor;
pub use role::{EmbeddingTensor, Group, Role};

#[cfg(test)]
mod gradient_tests;
#[cfg(test)]
mod testing;
