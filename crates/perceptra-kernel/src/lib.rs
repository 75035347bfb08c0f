//! Trains dense networks on the CPU by explicit backpropagation, without a tensor library.
//!
//! ```
//! use perceptra_kernel::{Activation, Data, Extras, Layer, Part, Settings, Trainer, UpdateRule};
//!
//! // XOR by three hidden units.
//! let layer = |inputs, outputs, activation| Layer { inputs, outputs, bias: true, activation };
//! let layers = [layer(2, 3, Activation::Tanh), layer(3, 1, Activation::Identity)];
//! let settings = Settings { rule: UpdateRule::Adam, batch: 4, ..Settings::default() };
//! let mut trainer = Trainer::new(&layers, &Extras::default(), settings, 1)?;
//! trainer.set(Part::Weight(0), &[0.5, -0.3, 0.8, -0.6, 0.7, 0.4]);
//! trainer.set(Part::Bias(0), &[0.1, 0.0, -0.2]);
//! trainer.set(Part::Weight(1), &[0.6, -0.5, 0.9]);
//! let inputs = [0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0];
//! let data = Data { inputs: &inputs, targets: &[0.0, 1.0, 1.0, 0.0], weights: None };
//! for epoch in 1..=500 {
//!     trainer.epoch(&data, &[0, 1, 2, 3], epoch, &|_| 0.05.into(), None);
//! }
//! let mut outputs = Vec::new();
//! trainer.evaluate(&data, &mut outputs, |_| ());
//! assert!(outputs.iter().zip(data.targets).all(|(f, y)| (f - y).abs() < 0.1), "{outputs:?}");
//! # Ok::<(), perceptra_kernel::Unsupported>(())
//! ```
//!
//! A [`Network`] has weights and computes outputs; a [`Trainer`] trains weights. A step (forward, loss, backward and
//! update of a minibatch) runs over buffers that are allocated once and laid out in panels of 64 columns; the instruction set
//! (AVX-512, AVX2 with FMA, NEON, or plain instructions) is chosen at run time. `unsafe` code is confined to the module `kernel`.
//!
//! The crate does not depend on Burn and knows none of Perceptra's file formats: `perceptra-nn` and `perceptra-train` convert
//! networks and settings.

mod activation;
mod data;
mod embedding;
mod error;
mod group;
mod kernel;
mod loss;
mod math;
mod order;
mod rule;
mod settings;
mod variants;

pub use self::{
    activation::Activation,
    data::{Data, Totals},
    embedding::{Column, InputEmbedding, NumberEmbedding},
    error::Unsupported,
    group::PerGroup,
    kernel::{Network, Part, Trainer},
    loss::Loss,
    order::order,
    rule::{StepRates, UpdateRule},
    settings::{Extras, Layer, Settings},
};
