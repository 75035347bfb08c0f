//! Types of the training settings: batch size, optimizer, reduction, schedules, factors per group of parameters, class weights, engine.

use perceptra_nn::Group;
use serde::{Deserialize, Serialize};

use crate::names::names;

/// Number of rows in a training step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "BatchText", into = "BatchText")]
pub enum Batch {
    /// Minibatches sized by the number of rows n: n/256 rounded up to a power of two, between 32 and 256, but at most n.
    Auto,
    /// Minibatches of this many rows; 1 is one row at a time.
    Rows(usize),
    /// The whole training set in one step.
    Full,
}

impl Batch {
    /// Number of rows in a step for a training set of `rows` rows.
    pub(crate) fn size(self, rows: usize) -> usize {
        match self {
            Self::Auto => (rows / 256).next_power_of_two().clamp(32, 256).min(rows),
            Self::Rows(n) => n.min(rows),
            Self::Full => rows,
        }
    }
}

/// A batch as written in files: a number, `"auto"` or `"full"`.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum BatchText {
    Rows(u64),
    Name(String),
}

impl TryFrom<BatchText> for Batch {
    type Error = String;

    fn try_from(text: BatchText) -> Result<Self, String> {
        match text {
            BatchText::Rows(rows) => usize::try_from(rows).map(Self::Rows).map_err(|e| e.to_string()),
            BatchText::Name(name) => name.parse(),
        }
    }
}

impl From<Batch> for BatchText {
    fn from(batch: Batch) -> Self {
        match batch {
            Batch::Rows(rows) => Self::Rows(rows as u64),
            Batch::Full => Self::Name("full".into()),
            Batch::Auto => Self::Name("auto".into()),
        }
    }
}

impl std::str::FromStr for Batch {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.parse()) {
            ("auto", _) => Ok(Self::Auto),
            ("full", _) => Ok(Self::Full),
            (_, Ok(rows)) => Ok(Self::Rows(rows)),
            _ => Err(format!("`{text}` is neither a number of rows nor `auto` or `full`")),
        }
    }
}

/// The update rule, which turns gradients into changes of the weights. All are Burn's, with the betas and epsilons of their papers as
/// defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Optimizer {
    /// Gradient descent, θ ← θ − ρ∇R, for parameters θ, learning rate ρ and loss R, with optional momentum.
    Sgd,
    /// Adam (Kingma, Ba, 2015).
    #[default]
    Adam,
    /// Adam with decoupled weight decay (Loshchilov, Hutter, 2019).
    AdamW,
    /// RMSProp (Hinton, 2012), with optional momentum.
    RmsProp,
    /// AdaGrad (Duchi, Hazan, Singer, 2011).
    AdaGrad,
    /// Adan (Xie et al., 2022).
    Adan,
    /// Lion (Chen et al., 2023).
    Lion,
    /// LAMB (You et al., 2020).
    Lamb,
    /// Adafactor (Shazeer, Stern, 2018).
    Adafactor,
    /// Muon (Jordan et al., 2024) for weights, AdamW for all other parameters.
    Muon,
}

names! {
    Optimizer:
    Sgd = "sgd",
    Adam = "adam",
    AdamW = "adamw",
    RmsProp = "rmsprop",
    AdaGrad = "adagrad",
    Adan = "adan",
    Lion = "lion",
    Lamb = "lamb",
    Adafactor = "adafactor",
    Muon = "muon",
}

impl Optimizer {
    /// Whether `weight_decay` λ shrinks weights directly, w ← (1 − ρλ)w at learning rate ρ, instead of adding λw to their gradients.
    pub(crate) fn decay_is_decoupled(self) -> bool {
        match self {
            Self::AdamW | Self::Adan | Self::Lion | Self::Lamb | Self::Adafactor | Self::Muon => true,
            Self::Sgd | Self::Adam | Self::RmsProp | Self::AdaGrad => false,
        }
    }

    /// Whether this optimizer uses the setting `momentum`.
    pub(crate) fn has_momentum(self) -> bool {
        match self {
            Self::Sgd | Self::RmsProp => true,
            Self::Adam
            | Self::AdamW
            | Self::AdaGrad
            | Self::Adan
            | Self::Lion
            | Self::Lamb
            | Self::Adafactor
            | Self::Muon => false,
        }
    }

    /// Whether this optimizer uses the setting `betas`.
    pub(crate) fn has_betas(self) -> bool {
        match self {
            Self::Adam | Self::AdamW => true,
            Self::Sgd
            | Self::RmsProp
            | Self::AdaGrad
            | Self::Adan
            | Self::Lion
            | Self::Lamb
            | Self::Adafactor
            | Self::Muon => false,
        }
    }

    /// Whether `decay_schedule` can change this optimizer's weight decay over the run.
    pub(crate) fn has_decay_schedule(self) -> bool {
        match self {
            Self::AdamW | Self::Lion => true,
            Self::Sgd
            | Self::Adam
            | Self::RmsProp
            | Self::AdaGrad
            | Self::Adan
            | Self::Lamb
            | Self::Adafactor
            | Self::Muon => false,
        }
    }
}

/// How the losses of a batch's rows are combined into one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reduction {
    /// Σ wᵢlᵢ, where row i has the loss lᵢ and the weight wᵢ; the gradient grows with the batch.
    Sum,
    /// Σ wᵢlᵢ / Σ wᵢ, the weighted mean.
    Mean,
}

names! {
    Reduction:
    Sum = "sum",
    Mean = "mean",
}

impl Reduction {
    /// Combined loss of rows with losses lᵢ and weights wᵢ, from `loss` = Σ wᵢlᵢ and `weight` = Σ wᵢ. The mean is 0 if all weights are 0.
    pub(crate) fn reduce(self, loss: f64, weight: f64) -> f64 {
        match self {
            Self::Sum => loss,
            Self::Mean if weight > 0.0 => loss / weight,
            Self::Mean => 0.0,
        }
    }
}

/// How a setting, such as the learning rate, changes over the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// No change.
    #[default]
    Constant,
    /// Linear decrease to 1% of the setting's value at the end of the run.
    Linear,
    /// Decrease along half a cosine to 0 at the end of the run (Loshchilov, Hutter, 2017).
    Cosine,
    /// Decrease by the same factor at each step, to 1% of the setting's value at the end of the run.
    Exponential,
    /// Drop to a tenth after each third of the run.
    Step,
    /// No change in the first half of the run, then decrease along half a cosine to 0 at its end.
    FlatCosine,
    /// Rise from 1/25 of the setting's value to that value in the first three tenths of the run, then fall to 10⁻⁴ of the initial 1/25,
    /// both along half a cosine (Smith, Topin, 2019).
    OneCycle,
    /// Four waves from 0 up to the setting's value and back, each about twice as long as the one before: ½(1 − cos(2π log₂(1 + 15t))) at
    /// the fraction t of the run (Holzmüller, Grinsztajn, Steinwart, 2024).
    Coslog4,
    /// Multiplication by `plateau_factor` whenever `monitor` has not improved for `plateau_patience` epochs, like PyTorch's
    /// `ReduceLROnPlateau`.
    Plateau,
}

names! {
    Schedule:
    Constant = "constant",
    Linear = "linear",
    Cosine = "cosine",
    Exponential = "exponential",
    Step = "step",
    FlatCosine = "flat-cosine",
    OneCycle = "one-cycle",
    Coslog4 = "coslog4",
    Plateau = "plateau",
}

/// Factors of the learning rate or the weight decay, one for each group of parameters.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Factors {
    /// Factor for the weights of dense layers.
    pub weight: f64,
    /// Factor for biases.
    pub bias: f64,
    /// Factor for the scales and shifts of normalization layers.
    pub norm: f64,
    /// Factor for embeddings.
    pub embedding: f64,
    /// Factor for the learned scale of each input.
    pub input_scale: f64,
    /// Factor for the parameters of parametric activations.
    pub activation: f64,
    /// Factor for the factors r and s of batch-ensemble members.
    pub member: f64,
}

impl Default for Factors {
    fn default() -> Self {
        Self::all(1.0)
    }
}

impl Factors {
    /// The same factor for every group.
    pub(crate) const fn all(factor: f64) -> Self {
        Self {
            weight: factor,
            bias: factor,
            norm: factor,
            embedding: factor,
            input_scale: factor,
            activation: factor,
            member: factor,
        }
    }

    /// The factor of a group.
    pub(crate) fn of(&self, group: Group) -> f64 {
        match group {
            Group::Weight => self.weight,
            Group::Bias => self.bias,
            Group::Norm => self.norm,
            Group::Embedding => self.embedding,
            Group::InputScale => self.input_scale,
            Group::Activation => self.activation,
            Group::Member => self.member,
        }
    }

    /// 1 for weights and 0 for all other groups, the default of `decay_factors`.
    pub(crate) const fn weights_only() -> Self {
        Self { weight: 1.0, ..Self::all(0.0) }
    }
}

/// Weight of each class in the loss and the monitored metric.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClassWeights {
    /// 1 for every class.
    #[default]
    Equal,
    /// n / (K · nₖ) for class k of K, which has nₖ of the n training rows.
    Balanced,
    /// These weights, in the order of the classes.
    Given(Vec<f32>),
}

/// Implementation of training steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// `Fused` where it supports the network and the settings, else `Autodiff`.
    #[default]
    Auto,
    /// Burn's autodiff: any network, any device, any optimizer.
    Autodiff,
    /// Explicit backpropagation in fused kernels, on the CPU: [`FeedForward`](perceptra_nn::FeedForward) networks without normalization,
    /// with SGD, Adam, AdamW, RMSProp, AdaGrad or Lion. It makes the same steps as `Autodiff`, up to rounding.
    Fused,
}

names! {
    Engine:
    Auto = "auto",
    Autodiff = "autodiff",
    Fused = "fused",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_automatic_batch_grows_with_the_rows() {
        for (rows, batch) in [(1, 1), (20, 20), (500, 32), (10_000, 64), (30_000, 128), (1_000_000, 256)] {
            assert_eq!(Batch::Auto.size(rows), batch, "{rows}");
        }
        assert_eq!(Batch::Rows(50).size(20), 20);
        assert_eq!(Batch::Full.size(20), 20);
    }

    #[test]
    fn every_name_is_the_one_in_files() {
        fn in_files(value: impl Serialize) -> String {
            serde_json::to_string(&value).unwrap().trim_matches('"').to_owned()
        }
        Optimizer::ALL.iter().for_each(|x| assert_eq!(in_files(x), x.name()));
        Schedule::ALL.iter().for_each(|x| assert_eq!(in_files(x), x.name()));
        Reduction::ALL.iter().for_each(|x| assert_eq!(in_files(x), x.name()));
        Engine::ALL.iter().for_each(|x| assert_eq!(in_files(x), x.name()));
    }
}
