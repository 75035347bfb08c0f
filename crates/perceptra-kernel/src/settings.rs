//! What is trained, how, and on what.

use crate::activation::Activation;
use crate::loss::Loss;
use crate::rule::Rule;
use crate::stem::Stem;

/// One layer f(xW + b).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layer {
    /// Columns of x.
    pub inputs: usize,
    /// Columns of the result.
    pub outputs: usize,
    /// Whether there is a b.
    pub bias: bool,
    /// f. For a loss that takes logits, the last layer's is the identity.
    pub activation: Activation,
}

/// What a parameter is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// Weights of dense layers.
    Weight,
    /// Biases.
    Bias,
    /// Of embeddings.
    Embedding,
    /// Factors of the inputs of the first dense layer.
    InputScale,
    /// The α of parametric activations.
    Activation,
    /// Factors of the members of a batch ensemble.
    Member,
}

/// What a network has besides dense layers.
#[derive(Debug, Clone, PartialEq)]
pub struct Parts {
    /// What becomes of a row before the first layer.
    pub stem: Option<Stem>,
    /// Whether the inputs of the first layer have factors.
    pub input_scale: bool,
    /// Whether hidden units have an α in z + α·(f(z) − z).
    pub parametric: bool,
    /// Networks in one, which share the weights of hidden layers: f(((x⊙r)W)⊙s + b), each with its own r, s and b, and with an
    /// output layer of its own. Each is trained by its own loss.
    pub members: usize,
    /// Whether sums of weights are divided by √inputs. Weights are given and kept with this factor; steps are as if they were not.
    pub ntk: bool,
}

impl Default for Parts {
    fn default() -> Self {
        Self { stem: None, input_scale: false, parametric: false, members: 1, ntk: false }
    }
}

/// How a [`DenseTrainer`](crate::DenseTrainer) trains.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// What is minimised.
    pub loss: Loss,
    /// Whether a step follows the sum over its rows rather than the weighted mean.
    pub sum: bool,
    /// How gradients become steps.
    pub rule: Rule,
    /// Rows of a step; of several members, of each.
    pub batch: usize,
    /// Whether each of several members has rows of its own: an order then has, for each step, those of one member after another.
    pub own_rows: bool,
    /// Share of the hidden units dropped, in [0, 1).
    pub dropout: f64,
    /// Seed of the dropout.
    pub seed: u64,
    /// β₁ and β₂ of Adam and AdamW.
    pub betas: [f32; 2],
    /// By what learning rates are multiplied, of each [`Group`].
    pub rates: [f64; 6],
    /// Decay of each [`Group`], as the rule has it.
    pub decay: [f64; 6],
    /// λ of λΣ|w|, of weights, as the other penalty.
    pub l1: f64,
    /// λ of ½λΣw².
    pub l2: f64,
    /// The largest an element of the gradient may be.
    pub clip_value: Option<f64>,
    /// The longest the whole gradient may be.
    pub clip_norm: Option<f64>,
}

impl Settings {
    /// Whether a step is w ← w − ρ·∂R/∂w and nothing more.
    #[inline(always)]
    pub(crate) fn is_plain_descent(&self) -> bool {
        self.rule == Rule::Sgd { momentum: 0.0, nesterov: false }
            && (self.decay, self.rates, self.l1, self.l2) == ([0.0; 6], [1.0; 6], 0.0, 0.0)
            && self.clip_value.is_none()
    }
}

/// Rows, row by row.
#[derive(Debug, Clone, Copy)]
pub struct Data<'a> {
    /// `[rows, inputs]`
    pub inputs: &'a [f32],
    /// `[rows, outputs]`
    pub targets: &'a [f32],
    /// `[rows]`
    pub weights: Option<&'a [f32]>,
}

/// Sums over the rows of an epoch.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Totals {
    /// Σ wᵢlᵢ, each loss as it was when its batch was trained.
    pub loss: f64,
    /// Σ wᵢ, the number of rows where they have no weights.
    pub weight: f64,
    /// Steps made.
    pub steps: usize,
}
