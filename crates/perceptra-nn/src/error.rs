//! Errors of networks.

/// A network description that cannot be built, or a prediction that failed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// Inputs, outputs or a hidden layer of width 0.
    #[error("{what} is 0, a network needs at least 1")]
    ZeroWidth {
        /// The number that is 0, such as "the width of hidden layer 2".
        what: String,
    },
    /// A dropout rate outside [0, 1).
    #[error("dropout is {rate}, it must lie in [0, 1)")]
    Dropout {
        /// The rate that was asked for.
        rate: f64,
    },
    /// Softmax inside the network, where it squeezes the units of a layer into one distribution.
    #[error("hidden layer {layer} has the activation softmax, which only an output layer can have")]
    HiddenSoftmax {
        /// 1-based index of the hidden layer.
        layer: usize,
    },
    /// A hidden layer that is not linear in a network to be collapsed into one.
    #[error("hidden layer {layer} is not linear, it has {what}: the network cannot be collapsed")]
    NotLinear {
        /// 1-based index of the hidden layer.
        layer: usize,
        /// "the activation tanh" or "a normalization".
        what: String,
    },
    /// A network that is more than one neuron.
    #[error("a neuron has one output and no hidden layer, this network is {network}")]
    NotANeuron {
        /// The network as it prints.
        network: String,
    },
    /// Networks that cannot be one [`Population`](crate::Population).
    #[error("the networks cannot be computed together: {what}")]
    Differ {
        /// The difference.
        what: String,
    },
    /// An embedding that cannot be built.
    #[error("the embedding is wrong: {what}")]
    Embedding {
        /// The fault.
        what: String,
    },
    /// Settings that exclude each other.
    #[error("{what}")]
    Clash {
        /// The settings, as a sentence.
        what: String,
    },
    /// Values that are not whole rows of the network's inputs.
    #[error("{values} values are not whole rows of {inputs} inputs")]
    Rows {
        /// The number of values.
        values: usize,
        /// The number of inputs of the network.
        inputs: usize,
    },
    /// The device failed: out of memory, lost, or a kernel that could not run.
    #[error("the device failed: {0}")]
    Device(String),
    /// More parameters than a model file or the indices of GPU kernels can address.
    #[error("the network would have {parameters} parameters, more than the {limit} that fit")]
    TooLarge {
        /// Parameters asked for.
        parameters: u128,
        /// The most parameters a network may have.
        limit: u128,
    },
}
