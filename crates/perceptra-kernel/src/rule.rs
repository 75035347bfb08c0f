//! Update rules of optimizers: how a gradient changes the weights.
//!
//! Everything here is inlined into code that is compiled for the instruction set found at run time.

use crate::variants::all_variants;

/// Learning rate of one training step, and factors of its weight decay and dropout.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepRates {
    /// The learning rate.
    pub rate: f64,
    /// Factor of the weight decay in this step. Only rules with decoupled decay (AdamW, Lion) use it.
    pub decay: f64,
    /// Factor of the dropout rate in this step.
    pub dropout: f64,
}

impl From<f64> for StepRates {
    /// This learning rate; decay and dropout stay as the settings have them.
    fn from(rate: f64) -> Self {
        Self { rate, decay: 1.0, dropout: 1.0 }
    }
}

/// Formula of an optimizer that turns gradients into changes of the weights. The formulas, and the order of their operations, are
/// those of Burn's optimizers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum UpdateRule {
    /// Stochastic gradient descent.
    Sgd {
        /// Share of the previous step's velocity that is kept, 0 for none.
        momentum: f32,
        /// Whether the momentum is Nesterov's.
        nesterov: bool,
    },
    /// Adam; ε = 1e-8.
    Adam,
    /// Adam with decoupled decay; ε = 1e-8.
    AdamW,
    /// RMSProp; the mean of squares keeps α = 0.99 of its previous value; ε = 1e-8.
    RmsProp {
        /// Share of the previous step that is added to the next, 0 for none.
        momentum: f32,
    },
    /// AdaGrad; ε = 1e-8.
    AdaGrad,
    /// Lion; β₁ = 0.9, β₂ = 0.99, decoupled decay.
    Lion,
}

all_variants! {
    UpdateRule: Sgd { momentum: 0.9, nesterov: false }, Adam, AdamW, RmsProp { momentum: 0.9 }, AdaGrad, Lion,
}

/// Coefficients of one step of an update rule.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    rate: f64,
    /// Factor of decoupled weight decay in this step.
    decay: f64,
    /// Factor of the dropout rate in this step.
    pub(crate) dropout: f64,
    first: bool,
    betas: (f32, f32),
    /// Bias corrections 1 − β₁ᵗ and 1 − β₂ᵗ of Adam and AdamW in step t; 1 for other rules.
    corrections: (f32, f32),
}

const EPSILON: f32 = 1e-8;

impl Step {
    #[inline(always)]
    pub(crate) fn rate(self) -> f32 {
        self.rate as f32
    }

    /// Plain gradient descent: subtracts the sum of two gradients, `g` and `h`, times the learning rate from the weights `w`.
    #[inline(always)]
    pub(crate) fn descend(self, w: &mut [f32], g: &[f32], h: &[f32]) {
        let rate = self.rate as f32;
        for ((w, g), h) in w.iter_mut().zip(g).zip(h) {
            *w -= (g + h) * rate;
        }
    }
}

impl UpdateRule {
    /// Coefficients of the optimizer's update number `step`, counted from 1.
    pub(crate) fn at(self, step: i32, rates: StepRates, betas: [f32; 2]) -> Step {
        // Not inlined, because LLVM would hoist `powi` into the path of all rules.
        #[cold]
        #[inline(never)]
        fn corrections(step: i32, betas: [f32; 2]) -> (f32, f32) {
            (1.0 - betas[0].powi(step), 1.0 - betas[1].powi(step))
        }
        let corrections = match self {
            Self::Adam | Self::AdamW => corrections(step, betas),
            Self::Sgd { .. } | Self::RmsProp { .. } | Self::AdaGrad | Self::Lion => (1.0, 1.0),
        };
        let StepRates { rate, decay, dropout } = rates;
        Step { rate, decay, dropout, first: step == 1, betas: (betas[0], betas[1]), corrections }
    }

    /// Number of values that the rule keeps for each weight from step to step, such as its momentum: 0 to 2.
    pub(crate) fn states(self) -> usize {
        match self {
            Self::Sgd { momentum, .. } => usize::from(momentum > 0.0),
            Self::AdaGrad | Self::Lion => 1,
            Self::RmsProp { momentum } => 1 + usize::from(momentum > 0.0),
            Self::Adam | Self::AdamW => 2,
        }
    }

    /// Whether decay shrinks weights directly rather than being added to the gradient.
    #[inline(always)]
    pub(crate) const fn decay_is_decoupled(self) -> bool {
        match self {
            Self::AdamW | Self::Lion => true,
            Self::Sgd { .. } | Self::Adam | Self::RmsProp { .. } | Self::AdaGrad => false,
        }
    }

    /// Whether steps are proportional to the gradient. Steps of the other rules do not depend on the gradient's scale.
    pub(crate) fn is_linear(self) -> bool {
        match self {
            Self::Sgd { .. } => true,
            Self::Adam | Self::AdamW | Self::RmsProp { .. } | Self::AdaGrad | Self::Lion => false,
        }
    }

    /// Updates the weights `w` with their gradient `g`. `factor` multiplies the learning rate of these weights, `decay` is their
    /// weight decay, and `small` multiplies ε. `s` and `t` are the values that the rule keeps, empty if it keeps fewer.
    #[inline(always)]
    pub(crate) fn apply(
        self,
        now: Step,
        (factor, decay, small): (f64, f64, f32),
        w: &mut [f32],
        g: &[f32],
        s: &mut [f32],
        t: &mut [f32],
    ) {
        let rate = (now.rate * factor) as f32;
        let (beta, small) = (now.betas, EPSILON * small);
        let decay_coupled = if self.decay_is_decoupled() { 0.0 } else { decay as f32 };
        let keep = (1.0 - now.rate * factor * f64::from((decay * now.decay) as f32)) as f32;
        let gradient = |w: f32, g: f32| w * decay_coupled + g;
        match self {
            Self::Sgd { momentum: 0.0, .. } if decay_coupled == 0.0 => {
                for (w, g) in w.iter_mut().zip(g) {
                    *w -= g * rate;
                }
            }
            Self::Sgd { momentum: 0.0, .. } => {
                for (w, g) in w.iter_mut().zip(g) {
                    *w -= gradient(*w, *g) * rate;
                }
            }
            Self::Sgd { momentum, nesterov } => {
                for ((w, g), v) in w.iter_mut().zip(g).zip(s) {
                    let g = gradient(*w, *g);
                    *v = g + *v * momentum;
                    *w -= if nesterov { *v * momentum + g } else { *v } * rate;
                }
            }
            Self::Adam => {
                let correct = now.corrections.1.sqrt();
                let factor = correct / now.corrections.0;
                let epsilon = small * correct;
                for (((w, g), m), v) in w.iter_mut().zip(g).zip(s).zip(t) {
                    let g = gradient(*w, *g);
                    *m = *m * beta.0 + g * (1.0 - beta.0);
                    *v = *v * beta.1 + g * g * (1.0 - beta.1);
                    *w -= *m * factor / (v.sqrt() + epsilon) * rate;
                }
            }
            Self::AdamW => {
                let corrections = now.corrections;
                for (((w, g), m), v) in w.iter_mut().zip(g).zip(s).zip(t) {
                    *m = *m * beta.0 + g * (1.0 - beta.0);
                    *v = *v * beta.1 + g * g * (1.0 - beta.1);
                    let step = *m / corrections.0 / ((*v / corrections.1).sqrt() + small);
                    *w = *w * keep - step * rate;
                }
            }
            Self::RmsProp { momentum: 0.0 } => {
                for ((w, g), v) in w.iter_mut().zip(g).zip(s) {
                    let g = gradient(*w, *g);
                    *v = *v * 0.99 + g * g * (1.0 - 0.99);
                    *w -= g / (v.sqrt() + small) * rate;
                }
            }
            Self::RmsProp { momentum } => {
                for (((w, g), v), b) in w.iter_mut().zip(g).zip(s).zip(t) {
                    let g = gradient(*w, *g);
                    *v = *v * 0.99 + g * g * (1.0 - 0.99);
                    let step = g / (v.sqrt() + small);
                    *b = if now.first { step } else { *b * momentum + step };
                    *w -= *b * rate;
                }
            }
            Self::AdaGrad => {
                for ((w, g), v) in w.iter_mut().zip(g).zip(s) {
                    let g = gradient(*w, *g);
                    *v += g * g;
                    *w -= g / (v.sqrt() + small) * rate;
                }
            }
            Self::Lion => {
                for ((w, g), m) in w.iter_mut().zip(g).zip(s) {
                    let u = *m * 0.9 + g * (1.0 - 0.9);
                    *m = *m * 0.99 + g * (1.0 - 0.99);
                    let sign = if u > 0.0 { 1.0 } else { 0.0 } - if u < 0.0 { 1.0 } else { 0.0 };
                    *w = *w * keep - sign * rate;
                }
            }
        }
    }
}
