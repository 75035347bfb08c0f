//! What is done to one number at a time: activations with their derivatives, losses with theirs, the step rules.
//!
//! Everything here is inlined into code that is compiled for the instruction set found at run time.

#![allow(clippy::inline_always)]

use crate::Moment;
use crate::math::{erf, exp, log1p, sigmoid, tanh};

/// An activation function of one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "as in perceptra_nn::Activation, which has the formulas")]
pub enum Activation {
    Identity,
    Step,
    Sign,
    Sigmoid,
    Tanh,
    Relu,
    LeakyRelu,
    Elu,
    Selu,
    Gelu,
    Silu,
    Mish,
    Softplus,
    Dendritic,
}

const SELU: (f32, f32) = (1.050_701, 1.673_263_2);

/// Calls a function for each number. A macro, as a function that is handed on would not always be inlined, and only inlined ones have
/// the wide instructions.
macro_rules! each {
    ($z:ident, $a:ident, $d:ident, $f:ident) => {
        for ((z, a), d) in $z.iter().zip($a).zip($d) {
            (*a, *d) = $f(*z);
        }
    };
}

impl Activation {
    /// a = f(z) and d = f′(z).
    #[inline(always)]
    pub(crate) fn apply(self, z: &[f32], a: &mut [f32], d: &mut [f32]) {
        match self {
            Self::Identity => {
                a.copy_from_slice(z);
                d.fill(1.0);
            }
            Self::Step => each!(z, a, d, step),
            Self::Sign => each!(z, a, d, sign),
            Self::Sigmoid => each!(z, a, d, sigmoid_and_slope),
            Self::Tanh => each!(z, a, d, tanh_and_slope),
            Self::Relu => each!(z, a, d, relu),
            Self::LeakyRelu => each!(z, a, d, leaky_relu),
            Self::Elu => each!(z, a, d, elu),
            Self::Selu => each!(z, a, d, selu),
            Self::Gelu => each!(z, a, d, gelu),
            Self::Silu => each!(z, a, d, silu),
            Self::Mish => each!(z, a, d, mish),
            Self::Softplus => each!(z, a, d, softplus),
            Self::Dendritic => each!(z, a, d, dendritic),
        }
    }

    /// Whether f(0) ≠ 0.
    pub(crate) fn moves_zero(self) -> bool {
        matches!(self, Self::Step | Self::Sigmoid | Self::Softplus | Self::Dendritic)
    }
}

// f(z) and f′(z).

#[inline(always)]
fn step(z: f32) -> (f32, f32) {
    (if z >= 0.0 { 1.0 } else { 0.0 }, 0.0)
}

#[inline(always)]
fn sign(z: f32) -> (f32, f32) {
    (if z > 0.0 { 1.0 } else { 0.0 } - if z < 0.0 { 1.0 } else { 0.0 }, 0.0)
}

#[inline(always)]
fn sigmoid_and_slope(z: f32) -> (f32, f32) {
    let s = sigmoid(z);
    (s, s * (1.0 - s))
}

#[inline(always)]
fn tanh_and_slope(z: f32) -> (f32, f32) {
    let t = tanh(z);
    (t, 1.0 - t * t)
}

/// The comparisons are so written that NaN stays NaN.
#[inline(always)]
fn relu(z: f32) -> (f32, f32) {
    (if z <= 0.0 { 0.0 } else { z }, if z > 0.0 { 1.0 } else { 0.0 })
}

#[inline(always)]
fn leaky_relu(z: f32) -> (f32, f32) {
    if z < 0.0 { (0.01 * z, 0.01) } else { (z, 1.0) }
}

#[inline(always)]
fn elu(z: f32) -> (f32, f32) {
    let e = exp(z.min(0.0));
    if z <= 0.0 { (e - 1.0, e) } else { (z, 1.0) }
}

#[inline(always)]
fn selu(z: f32) -> (f32, f32) {
    let e = exp(z.min(0.0)) * SELU.1;
    if z <= 0.0 { (SELU.0 * (e - SELU.1), SELU.0 * e) } else { (SELU.0 * z, SELU.0) }
}

#[inline(always)]
fn gelu(z: f32) -> (f32, f32) {
    let phi = 0.5 * (1.0 + erf(z * std::f32::consts::FRAC_1_SQRT_2));
    let density = exp(-0.5 * z * z) * 0.398_942_3;
    (z * phi, phi + z * density)
}

#[inline(always)]
fn silu(z: f32) -> (f32, f32) {
    let s = sigmoid(z);
    (z * s, s * (1.0 + z * (1.0 - s)))
}

#[inline(always)]
fn softplus(z: f32) -> (f32, f32) {
    (z.max(0.0) + log1p(exp(-z.abs())), sigmoid(z))
}

#[inline(always)]
fn dendritic(z: f32) -> (f32, f32) {
    let e = if z < 0.0 { 0.0 } else { exp(z * (-1.0 / 0.3)) };
    (e, if z > 0.0 { e * (-1.0 / 0.3) } else { 0.0 })
}

/// tanh(ln(1 + e)) = n/(n + 2) with n = e(e + 2): one exponential.
#[inline(always)]
fn mish(z: f32) -> (f32, f32) {
    // Beyond 15 it is z.
    let e = exp(z.min(15.0));
    let n = e * (e + 2.0);
    let t = n / (n + 2.0);
    // 1 − t² = 4(n + 1)/(n + 2)²
    let fall = 4.0 * (n + 1.0) / ((n + 2.0) * (n + 2.0));
    (z * t, t + z * (e / (1.0 + e)) * fall)
}

/// What is minimised; a number per output, averaged (or summed) over the outputs of a row. [`Settings`](crate::Settings) say
/// what happens over the rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Loss {
    /// (f − y)², the mean over outputs.
    MeanSquared,
    /// ½(f − y)², summed over outputs.
    HalfSumSquared,
    /// |f − y|, the mean over outputs.
    MeanAbsolute,
    /// Huber's loss with this δ, the mean over outputs.
    Huber(f32),
    /// Of logits; the mean over outputs.
    BinaryCrossEntropy,
    /// Of logits; one distribution a row.
    CategoricalCrossEntropy,
}

impl Loss {
    /// The loss of each row, and its derivative by each output. `f`, `y` and `slope` are `[rows, outputs]`, `f` is
    /// overwritten; `loss` is `[rows]`.
    #[inline(always)]
    pub(crate) fn apply(self, outputs: usize, f: &mut [f32], y: &[f32], slope: &mut [f32], loss: &mut [f32]) {
        let mean = 1.0 / outputs as f32;
        match self {
            Self::MeanSquared => each_loss(f, y, slope, |f, y| (mean * (f - y) * (f - y), 2.0 * mean * (f - y))),
            Self::HalfSumSquared => each_loss(f, y, slope, |f, y| (0.5 * (f - y) * (f - y), f - y)),
            Self::MeanAbsolute => each_loss(f, y, slope, |f, y| {
                let e = f - y;
                (mean * e.abs(), mean * (if e > 0.0 { 1.0 } else { 0.0 } - if e < 0.0 { 1.0 } else { 0.0 }))
            }),
            Self::Huber(delta) => each_loss(f, y, slope, |f, y| {
                let e = f - y;
                let near = if e.abs() > delta { delta } else { e.abs() };
                (mean * near * (e.abs() - 0.5 * near), mean * near.copysign(e))
            }),
            Self::BinaryCrossEntropy => each_loss(f, y, slope, |z, y| {
                let positive = if z <= 0.0 { 0.0 } else { z };
                (mean * (positive - z * y + log1p(exp(-z.abs()))), mean * (sigmoid(z) - y))
            }),
            Self::CategoricalCrossEntropy => {
                let rows =
                    f.chunks_exact_mut(outputs).zip(y.chunks_exact(outputs)).zip(slope.chunks_exact_mut(outputs));
                for (((z, y), slope), loss) in rows.zip(loss) {
                    let max = z.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                    for (e, z) in slope.iter_mut().zip(&*z) {
                        *e = exp(z - max);
                    }
                    let sum: f32 = slope.iter().sum();
                    let log_sum = max + sum.ln();
                    let total: f32 = y.iter().sum();
                    let factor = total / sum;
                    *loss = z.iter().zip(y).map(|(z, y)| y * (log_sum - z)).sum();
                    slope.iter_mut().zip(y).for_each(|(e, y)| *e = *e * factor - y);
                }
                return;
            }
        }
        // `f` now holds the losses of single outputs.
        if outputs == 1 {
            loss.copy_from_slice(f);
        } else {
            for (loss, row) in loss.iter_mut().zip(f.chunks_exact(outputs)) {
                *loss = row.iter().sum();
            }
        }
    }
}

#[inline(always)]
fn each_loss(f: &mut [f32], y: &[f32], slope: &mut [f32], rule: impl Fn(f32, f32) -> (f32, f32)) {
    for ((f, y), slope) in f.iter_mut().zip(y).zip(slope) {
        (*f, *slope) = rule(*f, *y);
    }
}

/// How gradients become steps. The formulas, and the order of their operations, are those of Burn's optimisers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rule {
    /// Gradient descent.
    Sgd {
        /// Share of the last step's velocity that is kept.
        momentum: f32,
        /// Whether the momentum is Nesterov's.
        nesterov: bool,
    },
    /// Adam; ε = 1e-8.
    Adam,
    /// Adam with decoupled decay.
    AdamW,
    /// RMSProp; α = 0.99, ε = 1e-8.
    RmsProp {
        /// Share of the last step that is kept.
        momentum: f32,
    },
    /// AdaGrad; ε = 1e-8.
    AdaGrad,
    /// Lion; β₁ = 0.9, β₂ = 0.99, decoupled decay.
    Lion,
}

/// One step of a rule.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    rate: f64,
    /// The part of the decay that is used.
    decay: f64,
    /// The part of the dropout that is used.
    pub(crate) dropout: f64,
    first: bool,
    betas: (f32, f32),
    /// 1 − β₁ᵗ and 1 − β₂ᵗ of Adam.
    corrections: (f32, f32),
}

const EPSILON: f32 = 1e-8;

impl Step {
    #[inline(always)]
    pub(crate) fn rate(self) -> f32 {
        self.rate as f32
    }

    /// Plain descent by the sum of two gradients.
    #[inline(always)]
    pub(crate) fn descend(self, w: &mut [f32], g: &[f32], h: &[f32]) {
        let rate = self.rate as f32;
        for ((w, g), h) in w.iter_mut().zip(g).zip(h) {
            *w -= (g + h) * rate;
        }
    }
}

impl Rule {
    /// Step `step`, from 1.
    pub(crate) fn at(self, step: i32, moment: Moment, betas: [f32; 2]) -> Step {
        // Not computed where it is not needed, as a compiler would that sees no harm in it.
        #[cold]
        #[inline(never)]
        fn corrections(step: i32, betas: [f32; 2]) -> (f32, f32) {
            (1.0 - betas[0].powi(step), 1.0 - betas[1].powi(step))
        }
        let corrections = match self {
            Self::Adam | Self::AdamW => corrections(step, betas),
            _ => (1.0, 1.0),
        };
        let Moment { rate, decay, dropout } = moment;
        Step { rate, decay, dropout, first: step == 1, betas: (betas[0], betas[1]), corrections }
    }

    /// How many numbers are remembered for each weight.
    pub(crate) fn states(self) -> usize {
        match self {
            Self::Sgd { momentum, .. } => usize::from(momentum > 0.0),
            Self::AdaGrad | Self::Lion => 1,
            Self::RmsProp { momentum } => 1 + usize::from(momentum > 0.0),
            Self::Adam | Self::AdamW => 2,
        }
    }

    /// Whether decay shrinks weights rather than joining the gradient.
    pub(crate) fn decay_is_decoupled(self) -> bool {
        matches!(self, Self::AdamW | Self::Lion)
    }

    /// Moves the weights `w` by their gradients `g`, with factors of the learning rate and of ε, and a decay; `s` and `t` are what
    /// the rule remembers.
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
