//! Losses and their derivatives.
//!
//! Everything here is inlined into code that is compiled for the instruction set found at run time.

use crate::math::{exp, log1p, sigmoid};
use crate::variants::all_variants;

/// Loss of a row, computed from its outputs f and its targets y. [`Settings`](crate::Settings) say whether the losses of rows are
/// averaged or summed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Loss {
    /// Squared error (f − y)² of outputs f and targets y, averaged over the outputs of a row.
    MeanSquared,
    /// Half the squared error, ½(f − y)², of outputs f and targets y, summed over the outputs of a row.
    HalfSumSquared,
    /// Absolute error |f − y| of outputs f and targets y, averaged over the outputs of a row.
    MeanAbsolute,
    /// Huber's loss, averaged over the outputs of a row. The field is δ: the loss is quadratic in errors up to δ and linear beyond.
    Huber(f32),
    /// Binary cross-entropy −y·ln σ(f) − (1 − y)·ln(1 − σ(f)) of logits f and targets y, σ the sigmoid, averaged over the outputs
    /// of a row.
    BinaryCrossEntropy,
    /// Cross-entropy −Σ y·ln softmax(f) of a row's logits f and its target distribution y over the classes.
    CategoricalCrossEntropy,
}

all_variants! {
    Loss: MeanSquared, HalfSumSquared, MeanAbsolute, Huber(1.0), BinaryCrossEntropy, CategoricalCrossEntropy,
}

impl Loss {
    /// Computes the loss of each row, and its derivatives `slope` with respect to the outputs `f`, for the targets `y`. `f`, `y`
    /// and `slope` are `[rows, outputs]`, `loss` is `[rows]`; `f` is overwritten.
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
