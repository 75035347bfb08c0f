//! The tensors that a network can have, and their names.

/// The kind of a parameter, for optimizers that treat some kinds differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// Weights of a dense layer.
    Weight,
    /// Biases of a dense layer.
    Bias,
    /// Scale and shift of a normalization.
    Norm,
    /// Parameters of an embedding.
    Embedding,
    /// Trained factors by which the inputs of the first dense layer are multiplied.
    InputScale,
    /// The trained α of parametric activations z + α·(f(z) − z).
    Activation,
    /// Vectors r and s of each member of a batch ensemble, by which the inputs and the outputs of a layer are multiplied.
    Member,
}

/// Identity of a tensor of a [`FeedForward`](crate::FeedForward): its kind and, for a tensor of a layer, the layer's index, counted
/// from 0.
///
/// It prints as the tensor's name in model files, such as `layers.0.weight`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// A tensor of the embedding; its shape is documented in [`EmbeddingTensor`].
    Embedding(EmbeddingTensor),
    /// Trained factors by which the inputs of the first dense layer are multiplied, `[1, inputs]`.
    InputScale,
    /// Weights of a layer, `[inputs, outputs]`; in the output layer of a batch ensemble, `[members·inputs, outputs]`.
    Weight(usize),
    /// Biases of a layer, `[outputs]`; in a batch ensemble, `[members·outputs]`.
    Bias(usize),
    /// Scale of a normalization, `[outputs]`.
    Gamma(usize),
    /// Shift of a normalization, `[outputs]`.
    Beta(usize),
    /// Running mean of a batch normalization, `[outputs]`, which is not trained.
    RunningMean(usize),
    /// Running variance of a batch normalization, `[outputs]`, which is not trained.
    RunningVariance(usize),
    /// α of a layer's parametric activations z + α·(f(z) − z), `[1, outputs]`.
    Alpha(usize),
    /// Factors r of a layer's inputs in a batch ensemble, `[members, inputs]`.
    R(usize),
    /// Factors s of a layer's outputs in a batch ensemble, `[members, outputs]`.
    S(usize),
}

/// A tensor of an embedding, which an [`EmbeddingConfig`](crate::EmbeddingConfig) describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EmbeddingTensor {
    /// Frequencies w of a periodic embedding, `[numbers, frequencies]`.
    PeriodicWeight,
    /// Phases b of a periodic embedding, `[numbers, frequencies]`.
    PeriodicPhase,
    /// Weights V of the cosines of a periodic embedding, `[numbers·frequencies, width − 1]`.
    PeriodicOutput,
    /// Biases c of a periodic embedding, `[numbers, width − 1]`.
    PeriodicBias,
    /// Weights of the linear part of a piecewise-linear embedding, `[numbers, width]`.
    PiecewiseWeight,
    /// Biases of the linear part of a piecewise-linear embedding, `[numbers, width]`.
    PiecewiseBias,
    /// Weights of the bins of a piecewise-linear embedding, `[numbers·bins, width]`.
    PiecewiseOutput,
    /// Vectors of the categories of one column, `[categories, width]`. The field counts the columns of categories from 0.
    Category(usize),
}

/// Gives an enumeration a function that returns some of its variants, all with the same fields, in the order written here. A
/// variant that is neither among them nor among the others does not compile.
macro_rules! list {
    ($type:ident: fn $name:ident($($field:ident: usize)?) $fields:tt [$($variant:ident),+], others [$($other:ident),+]) => {
        impl $type {
            fn $name($($field: usize)?) -> impl Iterator<Item = Self> {
                [$(Self::$variant $fields),+].into_iter()
            }
        }

        const _: fn(&$type) = |value| match value {
            $($type::$variant { .. } => (),)+
            $($type::$other { .. } => (),)+
        };
    };
}

list! {
    EmbeddingTensor: fn of_numbers() {} [
        PeriodicWeight, PeriodicPhase, PeriodicOutput, PeriodicBias, PiecewiseWeight, PiecewiseBias, PiecewiseOutput
    ],
    others [Category]
}

list! {
    Role: fn of_layer(layer: usize) { 0: layer } [
        Weight, Bias, Gamma, Beta, RunningMean, RunningVariance, Alpha, R, S
    ],
    others [Embedding, InputScale]
}

impl Role {
    /// The kind of the parameter; `None` for running statistics, which are not trained.
    pub fn group(self) -> Option<Group> {
        Some(match self {
            Self::Embedding(_) => Group::Embedding,
            Self::InputScale => Group::InputScale,
            Self::Weight(_) => Group::Weight,
            Self::Bias(_) => Group::Bias,
            Self::Gamma(_) | Self::Beta(_) => Group::Norm,
            Self::RunningMean(_) | Self::RunningVariance(_) => return None,
            Self::Alpha(_) => Group::Activation,
            Self::R(_) | Self::S(_) => Group::Member,
        })
    }

    /// Every tensor that a network with `layers` dense layers, and `categories` columns of categories before them, can have, in the
    /// order in which networks list them and random numbers are drawn for embeddings.
    pub(crate) fn all(layers: usize, categories: usize) -> impl Iterator<Item = Self> {
        let embedding = EmbeddingTensor::of_numbers().chain((0..categories).map(EmbeddingTensor::Category));
        embedding.map(Self::Embedding).chain([Self::InputScale]).chain((0..layers).flat_map(Self::of_layer))
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Embedding(tensor) => write!(f, "embedding.{tensor}"),
            Self::InputScale => f.write_str("input_scale"),
            Self::Weight(i) => write!(f, "layers.{i}.weight"),
            Self::Bias(i) => write!(f, "layers.{i}.bias"),
            Self::Gamma(i) => write!(f, "layers.{i}.norm.gamma"),
            Self::Beta(i) => write!(f, "layers.{i}.norm.beta"),
            Self::RunningMean(i) => write!(f, "layers.{i}.norm.mean"),
            Self::RunningVariance(i) => write!(f, "layers.{i}.norm.variance"),
            Self::Alpha(i) => write!(f, "layers.{i}.mix"),
            Self::R(i) => write!(f, "layers.{i}.factors.in"),
            Self::S(i) => write!(f, "layers.{i}.factors.out"),
        }
    }
}

impl std::fmt::Display for EmbeddingTensor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::PeriodicWeight => "periodic.weight",
            Self::PeriodicPhase => "periodic.phase",
            Self::PeriodicOutput => "periodic.output",
            Self::PeriodicBias => "periodic.bias",
            Self::PiecewiseWeight => "piecewise.weight",
            Self::PiecewiseBias => "piecewise.bias",
            Self::PiecewiseOutput => "piecewise.output",
            Self::Category(i) => return write!(f, "categories.{i}"),
        })
    }
}
