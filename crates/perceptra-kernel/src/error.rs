//! Limits of the kernel.

use thiserror::Error;

/// Why the kernel does not take a network, or does not train it with some settings.
///
/// The message completes "the fused engine cannot train this:".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Unsupported {
    /// The network has no layers.
    #[error("it has no networks without layers")]
    NoLayers,
    /// A layer has no inputs or no outputs.
    #[error("it has no layers without inputs or outputs, as layer {layer} is")]
    EmptyLayer {
        /// The layer, counted from 0.
        layer: usize,
    },
    /// A layer does not take what comes before it.
    #[error("layer {layer} takes {inputs} inputs, and what comes before it has {given} outputs")]
    Width {
        /// The layer, counted from 0.
        layer: usize,
        /// Inputs of the layer.
        inputs: usize,
        /// Outputs of the layer before, or of the input embedding.
        given: usize,
    },
    /// An input embedding contradicts itself.
    #[error("the input embedding has {0}")]
    Embedding(&'static str),
    /// A batch ensemble has no members.
    #[error("it has no batch ensembles without members")]
    NoMembers,
    /// A batch ensemble lacks hidden layers, or some layer of it lacks biases.
    #[error("it has no batch ensembles without hidden layers or biases")]
    Members,
    /// A batch ensemble has an input scale besides its members' own factors.
    #[error("it has no input scale before several members")]
    InputScale,
    /// A batch has no rows.
    #[error("it has no batches of 0 rows")]
    EmptyBatch,
    /// A batch ensemble has dropout behind a hidden layer whose width 4 does not divide.
    #[error("it drops units of several members by fours, and hidden layer {layer} has {width}")]
    Dropout {
        /// The layer, counted from 0.
        layer: usize,
        /// Its outputs.
        width: usize,
    },
    /// Weights in the NTK parametrization have penalties, clipping, or decay that joins the gradient.
    #[error("it has no penalties, clipping or coupled decay in the NTK parametrization")]
    Ntk,
}
