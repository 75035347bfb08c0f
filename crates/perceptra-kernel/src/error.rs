//! Limits of the kernel: networks and settings that it does not support.

use thiserror::Error;

/// Reason why the kernel cannot compute a network, or cannot train it with the given settings.
///
/// The message completes "the fused engine cannot train this:" and counts layers from 1, as other messages do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Unsupported {
    /// The network has no layers.
    #[error("it has no networks without layers")]
    NoLayers,
    /// A layer has no inputs or no outputs.
    #[error("it has no layers without inputs or outputs, as layer {} is", .layer + 1)]
    EmptyLayer {
        /// Index of the layer, from 0; the message counts from 1.
        layer: usize,
    },
    /// A layer's number of inputs differs from the number of outputs of the layer before, or of the input embedding.
    #[error("layer {} takes {inputs} inputs, and what comes before it has {given} outputs", .layer + 1)]
    Width {
        /// Index of the layer, from 0; the message counts from 1.
        layer: usize,
        /// Inputs of the layer.
        inputs: usize,
        /// Outputs of the layer before, or of the input embedding.
        given: usize,
    },
    /// The input embedding is invalid. The field names the fault, as in "a column of no categories".
    #[error("the input embedding has {0}")]
    Embedding(&'static str),
    /// A batch ensemble has no members.
    #[error("it has no batch ensembles without members")]
    NoMembers,
    /// A batch ensemble lacks hidden layers, or some layer of it lacks biases.
    #[error("it has no batch ensembles without hidden layers or biases")]
    Members,
    /// A batch ensemble has an input scale, besides its members' own factors r of the inputs.
    #[error("it has no input scale before several members")]
    InputScale,
    /// A batch has no rows.
    #[error("it has no batches of 0 rows")]
    EmptyBatch,
    /// A batch ensemble has dropout after a hidden layer whose width is not a multiple of 4.
    #[error("it drops units of several members by fours, and hidden layer {} has {width}", .layer + 1)]
    Dropout {
        /// Index of the layer, from 0; the message counts from 1.
        layer: usize,
        /// Number of units of the layer.
        width: usize,
    },
    /// The NTK parametrization is combined with penalties, gradient clipping, or weight decay that is added to the gradient.
    #[error("it has no penalties, clipping or coupled decay in the NTK parametrization")]
    Ntk,
}
