//! Baselines for a network: support vector machines and a single neuron, compared on the same rows.
//!
//! ```
//! use perceptra_baselines::{Kernel, SvmConfig};
//!
//! // XOR, which no line separates, by a polynomial of degree 2.
//! let inputs = [0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0];
//! let config = SvmConfig { kernel: Kernel::Polynomial { degree: 2, gamma: 1.0, constant: 1.0 }, ..SvmConfig::default() };
//! let svm = SvmConfig { c: SvmConfig::MAXIMAL_MARGIN, ..config }.classify(&inputs, 2, &[0, 1, 1, 0])?;
//! assert_eq!(svm.classes(&inputs), [0, 1, 1, 0]);
//! # Ok::<(), perceptra_baselines::SvmError>(())
//! ```
//!
//! [`SvmConfig`] trains an [`Svm`]. [`compare`] trains the network of a run, one neuron and support vector machines on the same rows of
//! its tables, and returns their scores as a [`Comparison`].

mod compare;
mod svm;

pub use self::{
    compare::{CompareOptions, Comparison, Contender, compare},
    svm::{Kernel, Svm, SvmConfig, SvmError},
};
