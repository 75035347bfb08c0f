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
//! let loss = Loss::MeanSquared.forward(network.forward(inputs), targets);
//! assert_eq!(loss.dims(), [1]);
//! # Ok::<(), perceptra_nn::NetworkError>(())
//! ```
//!
//! A [`FeedForwardConfig`] describes the network and [`FeedForwardConfig::init`] builds it on a device, with initial weights that
//! depend on the seed alone. A [`FeedForward`] is a plain Burn [`Module`](burn::module::Module), which any other module can hold as
//! a field; [`FeedForward::parameters`] lists its tensors by name. A [`Neuron`] is the smallest network, with given weights. A
//! [`Predictor`] computes outputs for rows in the host's memory. A [`Loss`]
//! compares outputs with targets, row by row.

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
mod predictor;
mod role;
mod variants;

pub use self::{
    activation::Activation,
    config::{Extras, FeedForwardConfig, Hidden, Norm},
    dropout::DropoutDraw,
    embedding::{Column, EmbeddingConfig, NumberEmbedding},
    error::NetworkError,
    feed_forward::FeedForward,
    initializer::Initializer,
    layer::Layer,
    loss::Loss,
    membrane::HodgkinHuxley,
    neuron::{Neuron, Synapse},
    parameters::Parameter,
    predictor::Predictor,
    role::{EmbeddingTensor, Group, Role},
};

#[cfg(test)]
mod gradient_tests;
#[cfg(test)]
mod testing;
