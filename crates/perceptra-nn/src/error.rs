//! Errors of networks.

/// A network description that cannot be built, or a prediction that failed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// A network without inputs, outputs or members, or with a hidden layer of width 0.
    #[error("{what} is 0, a network needs at least 1")]
    ZeroWidth {
        /// Name of the quantity that must not be 0, such as "the width of hidden layer 2".
        what: String,
    },
    /// A dropout rate outside [0, 1).
    #[error("dropout is {rate}, it must lie in [0, 1)")]
    Dropout {
        /// The dropout rate that was given.
        rate: f64,
    },
    /// Softmax as the activation of a hidden layer, whose units it would turn into one distribution.
    #[error("hidden layer {layer} has the activation softmax, which only an output layer can have")]
    HiddenSoftmax {
        /// Number of the hidden layer, counted from 1.
        layer: usize,
    },
    /// A hidden layer that is not linear, in a network whose layers should be merged into one.
    #[error("hidden layer {layer} is not linear, it has {what}: the network cannot be collapsed")]
    NotLinear {
        /// Number of the hidden layer, counted from 1.
        layer: usize,
        /// Reason why the layer is not linear: "a normalization", or its activation as in "the activation tanh".
        what: String,
    },
    /// A network that cannot become a [`Neuron`](crate::Neuron), because it has a hidden layer or several outputs.
    #[error("a neuron has one output and no hidden layer, this network is {network}")]
    NotANeuron {
        /// Description of the network, as it prints.
        network: String,
    },
    /// An embedding that cannot be built.
    #[error("the embedding is wrong: {what}")]
    Embedding {
        /// The fault, such as "it has 0 frequencies".
        what: String,
    },
    /// Settings that exclude each other.
    #[error("{what}")]
    Clash {
        /// The conflict in words, such as "a network of several members has no normalization".
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
        /// Number of parameters that the network would have.
        parameters: u128,
        /// The most parameters a network may have.
        limit: u128,
    },
}
