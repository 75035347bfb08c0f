//! The description of a feed-forward network.

use burn::config::Config;
use serde::{Deserialize, Serialize};

use crate::activation::Activation;
use crate::all_variants;
use crate::embedding::EmbeddingConfig;
use crate::error::NetworkError;
use crate::initializer::Initializer;
use crate::role::Role;
use crate::variants::named;

/// The most parameters a network may have: GPU kernels index them by 32-bit integers.
const MAX_PARAMETERS: u128 = i32::MAX as u128;
/// The most members that a batch ensemble may have.
const MAX_MEMBERS: usize = 1 << 12;

/// One hidden layer: its width and its activation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hidden {
    /// Units of the layer.
    pub width: usize,
    /// Activation, applied to each unit.
    pub activation: Activation,
}

/// Normalization between a hidden layer's linear map and its activation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Norm {
    /// No normalization.
    #[default]
    None,
    /// Batch normalization, over the rows of a batch (Ioffe, Szegedy, 2015); outside training, by running averages.
    Batch,
    /// Layer normalization, over the units of each row (Ba, Kiros, Hinton, 2016).
    Layer,
}

all_variants! { Norm: None, Batch, Layer }
named!(Norm);

impl Norm {
    /// The name used in files and messages, such as `batch`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Batch => "batch",
            Self::Layer => "layer",
        }
    }
}

/// Extras of a network beyond dense layers and normalization, as RealMLP and TabM have them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Extras {
    /// Embedding of the input columns before the first layer.
    pub embedding: Option<EmbeddingConfig>,
    /// Whether each input of the first layer has a learned factor, initially 1.
    pub input_scale: bool,
    /// Whether each hidden unit has a learned α, initially 1, in its activation z + α·(f(z) − z).
    pub parametric: bool,
    /// Whether weighted sums are divided by √inputs, the neural-tangent-kernel parametrization (Jacot, Gabriel, Hongler, 2018):
    /// weights then have a size of about 1, and a step has the same effect at every width.
    pub ntk: bool,
    /// Number of members of a batch ensemble, 1 for a single network. Members share the weights W of hidden layers,
    /// f(((x⊙r)W)⊙s + b); each has factors r and s of a layer's inputs and outputs, biases b and an output layer of its own
    /// (BatchEnsemble: Wen, Tran, Ba, 2020; as in TabM: Gorishniy, Kotelnikov, Babenko, 2025). Each is trained by its own loss;
    /// predictions are averaged.
    pub members: usize,
}

impl Default for Extras {
    fn default() -> Self {
        Self { embedding: None, input_scale: false, parametric: false, ntk: false, members: 1 }
    }
}

/// Describes a [`FeedForward`](crate::FeedForward).
#[derive(Config, Debug)]
pub struct FeedForwardConfig {
    /// Number of input columns, at least 1.
    pub inputs: usize,
    /// Number of outputs, at least 1.
    pub outputs: usize,
    /// Hidden layers, first to last. Without any, each output is one (linear or generalized linear) neuron.
    #[config(default = "Vec::new()")]
    pub hidden: Vec<Hidden>,
    /// Activation of the output layer.
    #[config(default = "Activation::Identity")]
    pub output_activation: Activation,
    /// How the initial weights are drawn.
    #[config(default = "Initializer::Auto")]
    pub initializer: Initializer,
    /// Whether the layers have biases.
    #[config(default = true)]
    pub bias: bool,
    /// Share of the hidden units dropped at each training step, in [0, 1).
    #[config(default = 0.0)]
    pub dropout: f64,
    /// Normalization of the hidden layers.
    #[config(default = "Norm::None")]
    pub norm: Norm,
    /// Seed of the initial weights.
    #[config(default = 0)]
    pub seed: u64,
    /// Extras beyond dense layers and normalization, if any. The field is named `parts` because it is called so in model files.
    pub parts: Option<Extras>,
}

impl FeedForwardConfig {
    /// Sets hidden layers of these widths, all with one activation.
    #[must_use]
    pub fn with_widths(self, widths: &[usize], activation: Activation) -> Self {
        self.with_hidden(widths.iter().map(|&width| Hidden { width, activation }).collect())
    }

    /// Checks that the network can be built.
    ///
    /// # Errors
    ///
    /// The first fault found: [`NetworkError::ZeroWidth`], [`NetworkError::Dropout`], [`NetworkError::HiddenSoftmax`],
    /// [`NetworkError::Embedding`], [`NetworkError::Clash`] or [`NetworkError::TooLarge`].
    pub fn validate(&self) -> Result<(), NetworkError> {
        let zero = |what: String| Err(NetworkError::ZeroWidth { what });
        match (self.inputs, self.outputs, self.hidden.iter().position(|h| h.width == 0)) {
            (0, _, _) => return zero("the number of inputs".into()),
            (_, 0, _) => return zero("the number of outputs".into()),
            (_, _, Some(i)) => return zero(format!("the width of hidden layer {}", i + 1)),
            _ => {}
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return Err(NetworkError::Dropout { rate: self.dropout });
        }
        if let Some(i) = self.hidden.iter().position(|h| h.activation == Activation::Softmax) {
            return Err(NetworkError::HiddenSoftmax { layer: i + 1 });
        }
        let extras = self.extras();
        if let Some(embedding) = &extras.embedding {
            embedding.validate()?;
            if embedding.columns.len() != self.inputs {
                let what = format!("it has {} columns, the network {} inputs", embedding.columns.len(), self.inputs);
                return Err(NetworkError::Embedding { what });
            }
        }
        let clash = |what: &str| Err(NetworkError::Clash { what: what.to_owned() });
        match extras.members {
            0 => return zero("the number of members".into()),
            1 => {}
            n if n > MAX_MEMBERS => return clash(&format!("a network has at most {MAX_MEMBERS} members, not {n}")),
            _ if self.norm != Norm::None => return clash("a network of several members has no normalization"),
            _ if self.initializer == Initializer::DataDriven => {
                return clash("a network of several members has no data-driven initial weights");
            }
            _ if !self.bias || self.hidden.is_empty() => {
                return clash("a network of several members has biases and hidden layers");
            }
            _ => {}
        }
        match self.parameters() {
            n if n > MAX_PARAMETERS => Err(NetworkError::TooLarge { parameters: n, limit: MAX_PARAMETERS }),
            _ => Ok(()),
        }
    }

    /// Number of trainable parameters of the network.
    pub fn parameters(&self) -> u128 {
        let size = |shape: &[usize]| shape.iter().fold(1u128, |n, &m| n.saturating_mul(m as u128));
        self.tensors()
            .iter()
            .filter(|(role, _)| role.group().is_some())
            .fold(0, |sum, (_, shape)| sum.saturating_add(size(shape)))
    }

    /// Every tensor of the network with its shape, in the order of [`FeedForward::parameters`](crate::FeedForward::parameters).
    pub fn tensors(&self) -> Vec<(Role, Vec<usize>)> {
        let extras = self.extras();
        let widths = self.widths();
        let embedding = extras.embedding.iter().flat_map(EmbeddingConfig::tensors);
        let others = Role::all(widths.len(), 0).filter_map(|role| Some((role, self.shape(role, &extras, &widths)?)));
        embedding.map(|(tensor, shape)| (Role::Embedding(tensor), shape.to_vec())).chain(others).collect()
    }

    /// The shape of a tensor that does not belong to the embedding; `None` if the network does not have it.
    fn shape(&self, role: Role, extras: &Extras, widths: &[(usize, usize)]) -> Option<Vec<usize>> {
        let members = extras.members;
        // (inputs, outputs) of a hidden layer; `None` for the output layer.
        let hidden = |i: usize| widths.get(i).copied().filter(|_| i < self.hidden.len());
        let (ensemble, batch_norm) = (members > 1, self.norm == Norm::Batch);
        Some(match role {
            Role::Embedding(_) => return None,
            Role::InputScale => extras.input_scale.then(|| vec![1, widths[0].0])?,
            Role::Weight(i) => {
                let (n, m) = *widths.get(i)?;
                vec![if hidden(i).is_some() { n } else { n.saturating_mul(members) }, m]
            }
            Role::Bias(i) => {
                let (_, m) = *widths.get(i).filter(|_| self.bias)?;
                vec![m.saturating_mul(members)]
            }
            Role::Gamma(i) | Role::Beta(i) => vec![hidden(i).filter(|_| self.norm != Norm::None)?.1],
            Role::RunningMean(i) | Role::RunningVariance(i) => vec![hidden(i).filter(|_| batch_norm)?.1],
            Role::Alpha(i) => vec![1, hidden(i).filter(|_| extras.parametric)?.1],
            Role::R(i) => vec![members, hidden(i).filter(|_| ensemble)?.0],
            Role::S(i) => vec![members, hidden(i).filter(|_| ensemble)?.1],
        })
    }

    /// The extras, or the default, which is none of them.
    pub(crate) fn extras(&self) -> Extras {
        self.parts.clone().unwrap_or_default()
    }

    /// (inputs, outputs) of each layer, the output layer last.
    pub(crate) fn widths(&self) -> Vec<(usize, usize)> {
        let embedding = self.parts.as_ref().and_then(|extras| extras.embedding.as_ref());
        let widths: Vec<usize> = std::iter::once(embedding.map_or(self.inputs, EmbeddingConfig::outputs))
            .chain(self.hidden.iter().map(|h| h.width))
            .chain(std::iter::once(self.outputs))
            .collect();
        widths.windows(2).map(|w| (w[0], w[1])).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn each_wrong_description_has_its_error() {
        let good = || FeedForwardConfig::new(2, 1).with_widths(&[3], Activation::Relu);
        let error = |config: FeedForwardConfig| config.init(&Device::flex()).unwrap_err();
        let zero = |what: &str| NetworkError::ZeroWidth { what: what.into() };
        assert_eq!(good().validate(), Ok(()));
        assert_eq!(error(FeedForwardConfig::new(0, 1)), zero("the number of inputs"));
        assert_eq!(error(FeedForwardConfig::new(1, 0)), zero("the number of outputs"));
        assert_eq!(error(good().with_widths(&[3, 0], Activation::Relu)), zero("the width of hidden layer 2"));
        assert_eq!(error(good().with_dropout(1.0)), NetworkError::Dropout { rate: 1.0 });
        assert!(matches!(error(good().with_dropout(f64::NAN)), NetworkError::Dropout { .. }));
        assert_eq!(error(good().with_widths(&[3], Activation::Softmax)), NetworkError::HiddenSoftmax { layer: 1 });
        let huge = good().with_widths(&[1_000_000_000], Activation::Relu);
        assert!(matches!(error(huge), NetworkError::TooLarge { parameters: 4_000_000_001, .. }));
        assert!(matches!(error(good().with_widths(&[usize::MAX; 3], Activation::Relu)), NetworkError::TooLarge { .. }));
    }
}
