//! Activation functions and their derivatives.
//!
//! Everything here is inlined into code that is compiled for the instruction set found at run time.

use crate::math::{erf, exp, log1p, sigmoid, tanh};
use crate::variants::all_variants;

/// An activation function of one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// f(x) = x
    Identity,
    /// 1 where x ≥ 0, else 0
    Step,
    /// −1, 0 or 1 by the sign of x
    Sign,
    /// 1 / (1 + e⁻ˣ)
    Sigmoid,
    /// tanh x
    Tanh,
    /// max(0, x)
    Relu,
    /// x where x ≥ 0, else 0.01·x
    LeakyRelu,
    /// x where x ≥ 0, else eˣ − 1
    Elu,
    /// 1.0507·x where x ≥ 0, else 1.0507·1.6733·(eˣ − 1)
    Selu,
    /// x·Φ(x), Φ the normal distribution function
    Gelu,
    /// x·sigmoid(x)
    Silu,
    /// x·tanh(ln(1 + eˣ))
    Mish,
    /// ln(1 + eˣ)
    Softplus,
    /// e^(−x/0.3) where x ≥ 0, else 0
    Dendritic,
}

all_variants! {
    Activation: Identity, Step, Sign, Sigmoid, Tanh, Relu, LeakyRelu, Elu, Selu, Gelu, Silu, Mish, Softplus, Dendritic,
}

const SELU: (f32, f32) = (1.050_701, 1.673_263_2);

/// Applies `$f` to each value of `$z`, and writes its value to `$a` and its derivative to `$d`. A macro, because a function passed
/// as an argument is not always inlined, and only inlined code is compiled for the wide vector instructions.
macro_rules! each {
    ($z:ident, $a:ident, $d:ident, $f:ident) => {
        for ((z, a), d) in $z.iter().zip($a).zip($d) {
            (*a, *d) = $f(*z);
        }
    };
}

impl Activation {
    /// Writes f(z) of each value of `z` to `a`, and the derivative f′(z) to `d`.
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

    /// Whether f(0) ≠ 0: then units that only pad a layer do not stay 0 by themselves.
    #[inline(always)]
    pub const fn moves_zero(self) -> bool {
        match self {
            Self::Step | Self::Sigmoid | Self::Softplus | Self::Dendritic => true,
            Self::Identity
            | Self::Sign
            | Self::Tanh
            | Self::Relu
            | Self::LeakyRelu
            | Self::Elu
            | Self::Selu
            | Self::Gelu
            | Self::Silu
            | Self::Mish => false,
        }
    }
}

// Each function below returns f(z) and f′(z).

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

/// ReLU. NaN stays NaN, since it is neither below nor above 0.
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

/// Mish, z·tanh(ln(1 + e)) with e = eᶻ. As tanh(ln(1 + e)) = n/(n + 2) with n = e(e + 2), one exponential is enough.
#[inline(always)]
fn mish(z: f32) -> (f32, f32) {
    // Above 15 the result is z to all bits of an f32.
    let e = exp(z.min(15.0));
    let n = e * (e + 2.0);
    let t = n / (n + 2.0);
    // 1 − t² = 4(n + 1)/(n + 2)²
    let fall = 4.0 * (n + 1.0) / ((n + 2.0) * (n + 2.0));
    (z * t, t + z * (e / (1.0 + e)) * fall)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn activations_that_move_zero_do_so() {
        for f in Activation::ALL {
            let (mut a, mut d) = ([f32::NAN], [f32::NAN]);
            f.apply(&[0.0], &mut a, &mut d);
            assert_eq!(f.moves_zero(), a[0] != 0.0, "{f:?}");
        }
    }
}
