//! Training of dense networks on the CPU by the formulas of backpropagation, without a tensor library.
//!
//! ```
//! use perceptra_kernel::{Activation, Data, DenseTrainer, Layer, Loss, Rule, Settings};
//!
//! let layer = |inputs, outputs, activation| Layer { inputs, outputs, bias: true, activation };
//! let layers = [layer(2, 3, Activation::Tanh), layer(3, 1, Activation::Identity)];
//! let settings = Settings {
//!     loss: Loss::MeanSquared,
//!     sum: false,
//!     rule: Rule::Adam,
//!     batch: 4,
//!     own_rows: false,
//!     dropout: 0.0,
//!     seed: 0,
//!     betas: [0.9, 0.999],
//!     rates: [1.0; 6],
//!     decay: [0.0; 6],
//!     l1: 0.0,
//!     l2: 0.0,
//!     clip_value: None,
//!     clip_norm: None,
//! };
//! let mut xor = DenseTrainer::new(&layers, settings, 1);
//! xor.set_layer(0, &[0.5, -0.3, 0.8, -0.6, 0.7, 0.4], &[0.1, 0.0, -0.2]);
//! xor.set_layer(1, &[0.6, -0.5, 0.9], &[0.0]);
//! let data = Data {
//!     inputs: &[0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0],
//!     targets: &[0.0, 1.0, 1.0, 0.0],
//!     weights: None,
//! };
//! for epoch in 1..=500 {
//!     xor.epoch(&data, &[0, 1, 2, 3], epoch, &|_| 0.05.into(), None);
//! }
//! let mut outputs = [0.0; 4];
//! xor.outputs(data.inputs, &mut outputs);
//! assert!(outputs.iter().zip(data.targets).all(|(f, y)| (f - y).abs() < 0.1), "{outputs:?}");
//! ```
//!
//! A step (forward, loss, backward and update of a minibatch) runs over buffers that are allocated once and laid out in
//! panels of 64 columns; instructions are chosen at run time (AVX-512, AVX2 with FMA, NEON, or plain ones). `unsafe` code
//! is confined to the module `kernel`.
//!
//! The crate knows neither Burn nor the formats of Perceptra: `perceptra-train` translates.

mod activation;
mod kernel;
mod loss;
mod math;
mod order;
mod rule;
mod settings;
mod stem;

pub use activation::Activation;
pub use kernel::{DenseTrainer, Part};
pub use loss::Loss;
pub use order::order;
pub use pulp::Arch;
pub use rule::{Moment, Rule};
pub use settings::{Data, Group, Layer, Parts, Settings, Totals};
pub use stem::{Column, Numbers, Stem};
