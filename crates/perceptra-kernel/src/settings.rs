//! What is trained, how, and on what.

use crate::pointwise::{Activation, Loss, Rule};

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

/// How a [`DenseTrainer`](crate::DenseTrainer) trains.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// What is minimised.
    pub loss: Loss,
    /// Whether a step follows the sum over its rows rather than the weighted mean.
    pub sum: bool,
    /// How gradients become steps.
    pub rule: Rule,
    /// Rows of a step.
    pub batch: usize,
    /// Share of the hidden units dropped, in [0, 1).
    pub dropout: f64,
    /// Seed of the dropout.
    pub seed: u64,
    /// β₁ and β₂ of Adam and AdamW.
    pub betas: [f32; 2],
    /// By what learning rates of weights and of biases are multiplied.
    pub rates: [f64; 2],
    /// Decay of weights and of biases, as the rule has it.
    pub decay: [f64; 2],
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
            && (self.decay, self.rates, self.l1, self.l2) == ([0.0; 2], [1.0; 2], 0.0, 0.0)
            && self.clip_value.is_none()
    }
}

/// What changes from step to step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moment {
    /// The learning rate.
    pub rate: f64,
    /// The part of the decay that is used; 1 for rules whose decay joins the gradient.
    pub decay: f64,
    /// The part of the dropout that is used.
    pub dropout: f64,
}

impl From<f64> for Moment {
    /// This learning rate, with all decay and dropout.
    fn from(rate: f64) -> Self {
        Self { rate, decay: 1.0, dropout: 1.0 }
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
