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
    /// Weight decay, as the rule has it. Of weights, as the penalties; not of biases.
    pub decay: f64,
    /// λ of λΣ|w|.
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
            && (self.decay, self.l1, self.l2) == (0.0, 0.0, 0.0)
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
