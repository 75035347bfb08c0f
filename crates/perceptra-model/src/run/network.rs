//! The shape of a run's network.

use perceptra_nn::{
    Activation, EmbeddingConfig, Extras, FeedForwardConfig, Hidden, Initializer, Norm, NumberEmbedding,
};
use serde::{Deserialize, Serialize};

/// Shape of the network; its inputs and outputs follow from the data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NetworkConfig {
    /// Widths of the hidden layers; empty for a single neuron per output.
    pub hidden: Vec<usize>,
    /// Activations of the hidden layers: one for all, or one for each.
    pub activation: OneOrMany,
    /// Activation of the output; by default the identity for regression, sigmoid or softmax for classification.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_activation: Option<Activation>,
    /// Distribution of the initial weights.
    pub initializer: Initializer,
    /// Whether layers have biases.
    pub bias: bool,
    /// Dropout probability of hidden units.
    pub dropout: f64,
    /// Normalization of hidden layers.
    pub norm: Norm,
    /// Embedding of numeric columns.
    pub embedding: EmbeddingKind,
    /// Width of the embedding of a numeric column; by default 4 for `periodic`, 16 for `piecewise-linear`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub embedding_width: Option<usize>,
    /// Number of cosines per numeric column in a periodic embedding.
    pub frequencies: usize,
    /// Standard deviation of the initial frequencies of a periodic embedding.
    pub frequency_scale: f64,
    /// Maximum number of bins per numeric column in a piecewise-linear embedding; their edges are quantiles of the training rows.
    pub bins: usize,
    /// Width of the embedding of a categorical column, see [`EncoderOptions::embed_above`](perceptra_data::EncoderOptions).
    pub category_width: usize,
    /// Whether each input is multiplied by a learned factor.
    pub input_scale: bool,
    /// Whether the activations of hidden units have learned parameters.
    pub parametric: bool,
    /// Whether weights have the neural-tangent-kernel parametrization, which divides them by √inputs in the forward pass.
    pub ntk: bool,
    /// Number of members of a batch ensemble, which share most of their weights (TabM).
    pub members: usize,
    /// Number of networks of an ensemble, which differ in their seeds; their predictions are averaged.
    pub ensemble: usize,
}

impl Default for NetworkConfig {
    fn default() -> Self {
        Self {
            hidden: vec![128, 64],
            activation: OneOrMany::One(Activation::Relu),
            output_activation: None,
            initializer: Initializer::Torch,
            bias: true,
            dropout: 0.1,
            norm: Norm::None,
            embedding: EmbeddingKind::None,
            embedding_width: None,
            frequencies: 16,
            frequency_scale: 0.1,
            bins: 48,
            category_width: 8,
            input_scale: false,
            parametric: false,
            ntk: false,
            members: 1,
            ensemble: 1,
        }
    }
}

impl NetworkConfig {
    /// The description of the network with these numbers of inputs and outputs, without an embedding. `output` is the activation of the
    /// outputs if the run does not set one.
    pub(crate) fn feed_forward(
        &self,
        inputs: usize,
        outputs: usize,
        output: Activation,
        seed: u64,
    ) -> Result<FeedForwardConfig, String> {
        let layers = self.hidden.len();
        let activations = match &self.activation {
            OneOrMany::One(f) => vec![*f; layers],
            OneOrMany::Many(list) if list.len() == layers => list.clone(),
            OneOrMany::Many(list) => {
                return Err(format!("activation lists {} activations for {layers} hidden layers", list.len()));
            }
        };
        let hidden =
            self.hidden.iter().zip(activations).map(|(&width, activation)| Hidden { width, activation }).collect();
        Ok(FeedForwardConfig::new(inputs, outputs)
            .with_hidden(hidden)
            .with_output_activation(self.output_activation.unwrap_or(output))
            .with_initializer(self.initializer)
            .with_bias(self.bias)
            .with_dropout(self.dropout)
            .with_norm(self.norm)
            .with_parts(self.extras(None))
            .with_seed(seed))
    }

    /// The parts of the network beyond dense layers; `None` if it has none.
    pub(crate) fn extras(&self, embedding: Option<EmbeddingConfig>) -> Option<Extras> {
        let Self { input_scale, parametric, ntk, members, .. } = *self;
        Some(Extras { embedding, input_scale, parametric, ntk, members }).filter(|parts| *parts != Extras::default())
    }

    /// The embedding of numeric columns; `edges` has the edges of the bins of each column, for a piecewise-linear one.
    pub(crate) fn number_embedding(&self, edges: Vec<Vec<f32>>) -> Result<NumberEmbedding, String> {
        let width = |default: usize, least: usize| match self.embedding_width.unwrap_or(default) {
            width if width < least => Err(format!("embedding_width is {width}, it must be at least {least}")),
            width => Ok(width),
        };
        let sigma = self.frequency_scale;
        Ok(match self.embedding {
            EmbeddingKind::None => NumberEmbedding::None,
            EmbeddingKind::Periodic if !(sigma > 0.0 && sigma.is_finite()) => {
                return Err(format!("frequency_scale is {sigma}, it must be above 0"));
            }
            EmbeddingKind::Periodic => {
                NumberEmbedding::Periodic { frequencies: self.frequencies, sigma, width: width(4, 2)? }
            }
            EmbeddingKind::PiecewiseLinear => NumberEmbedding::PiecewiseLinear { edges, width: width(16, 1)? },
        })
    }
}

/// Embedding of numeric columns before the first layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EmbeddingKind {
    /// No embedding.
    #[default]
    None,
    /// Learned cosines of the value, and the value itself: [`NumberEmbedding::Periodic`].
    Periodic,
    /// Piecewise-linear functions with knots at quantiles of the training rows: [`NumberEmbedding::PiecewiseLinear`].
    PiecewiseLinear,
}

perceptra_nn::all_variants! { EmbeddingKind: None, Periodic, PiecewiseLinear }

/// One activation for all layers, or a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected the name of an activation, such as relu, or a list of names")]
pub enum OneOrMany {
    /// One activation for all layers.
    One(Activation),
    /// One activation for each layer.
    Many(Vec<Activation>),
}
