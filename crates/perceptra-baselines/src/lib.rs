//! What a network is measured against: support vector machines, a single neuron, and comparisons on the same rows.
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
//! [`SvmConfig`] trains an [`Svm`] on numbers; [`compare`] takes a run and its tables, trains the network, one neuron and
//! support vector machines on the same rows, and gives back a [`Comparison`].

mod compare;
mod svm;

pub use compare::{CompareOptions, Comparison, Contender, compare};
pub use svm::{Kernel, Svm, SvmConfig, SvmError};
