//! Initial weights, drawn by [`perceptra_random`] on the host: the same on every backend.

use perceptra_random::Stream;
use serde::{Deserialize, Serialize};

use crate::activation::Activation;
use crate::all_variants;
use crate::variants::named;

/// How the initial weights of a layer are drawn. In the formulas, n is the number of the layer's inputs and m that of its outputs.
/// Biases are 0 unless noted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Initializer {
    /// Chosen by the layer's activation: `KaimingUniform` for the ReLU family, `LecunUniform` for SELU, `XavierUniform` for the
    /// others.
    #[default]
    Auto,
    /// U(−√(6/n), √(6/n)) for n inputs (He, Zhang, Ren, Sun, 2015)
    KaimingUniform,
    /// N(0, 2/n) for n inputs (He, Zhang, Ren, Sun, 2015)
    KaimingNormal,
    /// U(−√(6/(n+m)), √(6/(n+m))) for n inputs and m outputs (Glorot, Bengio, 2010)
    XavierUniform,
    /// N(0, 2/(n+m)) for n inputs and m outputs (Glorot, Bengio, 2010)
    XavierNormal,
    /// U(−√(3/n), √(3/n)) for n inputs (LeCun, Bottou, Orr, Müller, 1998)
    LecunUniform,
    /// U(−√(1/n), √(1/n)) for n inputs, biases too, as in PyTorch's `Linear`
    Torch,
    /// N(0, 1/n) for n inputs, biases N(0, 1), all of the output layer 0: the initial weights of RealMLP-TD-S (Holzmüller,
    /// Grinsztajn, Steinwart, 2024)
    LecunNormal,
    /// N(0, 1/n) for n inputs, then scaled layer by layer so that each unit's sum has variance 1 over the training rows; each bias
    /// makes its unit's sum 0 at a random point between five training rows ("std" and "he+5": Steinwart, 2019; Holzmüller,
    /// Grinsztajn, Steinwart, 2024). Needs the rows: see [`FeedForward::fit_to`](crate::FeedForward::fit_to).
    DataDriven,
    /// All 0: only for networks without a hidden layer, since others cannot learn from zeros
    Zeros,
}

all_variants! {
    Initializer: Auto, KaimingUniform, KaimingNormal, XavierUniform, XavierNormal, LecunUniform, Torch, LecunNormal,
        DataDriven, Zeros
}
named!(Initializer);

impl Initializer {
    /// The name used in files and messages, such as `kaiming-uniform`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::KaimingUniform => "kaiming-uniform",
            Self::KaimingNormal => "kaiming-normal",
            Self::XavierUniform => "xavier-uniform",
            Self::XavierNormal => "xavier-normal",
            Self::LecunUniform => "lecun-uniform",
            Self::Torch => "torch",
            Self::LecunNormal => "lecun-normal",
            Self::DataDriven => "data-driven",
            Self::Zeros => "zeros",
        }
    }

    /// Draws the initial weights `[inputs, outputs]`, row by row, and biases `[outputs]` of a layer.
    pub(crate) fn draw(
        self,
        stream: &Stream,
        inputs: usize,
        outputs: usize,
        activation: Activation,
    ) -> (Vec<f32>, Vec<f32>) {
        let (n, m) = (inputs as f64, outputs as f64);
        let mut weights = vec![0.0; inputs * outputs];
        let mut biases = vec![0.0; outputs];
        let uniform = |row: u32, values: &mut [f32], bound: f64| {
            stream.fill_uniform(row, values);
            values.iter_mut().for_each(|w| *w = (f64::from(*w).mul_add(2.0, -1.0) * bound) as f32);
        };
        let normal = |values: &mut [f32], deviation: f64| {
            stream.fill_normal(0, values);
            values.iter_mut().for_each(|w| *w = (f64::from(*w) * deviation) as f32);
        };
        match self {
            Self::Auto => return Self::suiting(activation).draw(stream, inputs, outputs, activation),
            Self::KaimingUniform => uniform(0, &mut weights, (6.0 / n).sqrt()),
            Self::KaimingNormal => normal(&mut weights, (2.0 / n).sqrt()),
            Self::XavierUniform => uniform(0, &mut weights, (6.0 / (n + m)).sqrt()),
            Self::XavierNormal => normal(&mut weights, (2.0 / (n + m)).sqrt()),
            Self::LecunUniform => uniform(0, &mut weights, (3.0 / n).sqrt()),
            Self::Torch => {
                uniform(0, &mut weights, (1.0 / n).sqrt());
                uniform(1, &mut biases, (1.0 / n).sqrt());
            }
            Self::LecunNormal => {
                normal(&mut weights, (1.0 / n).sqrt());
                stream.fill_normal(1, &mut biases);
            }
            Self::DataDriven => normal(&mut weights, (1.0 / n).sqrt()),
            Self::Zeros => {}
        }
        (weights, biases)
    }

    /// The distribution that [`Initializer::Auto`] stands for before this activation.
    fn suiting(activation: Activation) -> Self {
        match activation {
            Activation::Relu
            | Activation::LeakyRelu
            | Activation::Elu
            | Activation::Gelu
            | Activation::Silu
            | Activation::Mish => Self::KaimingUniform,
            Activation::Selu => Self::LecunUniform,
            Activation::Identity
            | Activation::Step
            | Activation::Sign
            | Activation::Sigmoid
            | Activation::Tanh
            | Activation::Softplus
            | Activation::Dendritic
            | Activation::Softmax => Self::XavierUniform,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use perceptra_random::Purpose;

    #[test]
    fn every_initializer_has_the_spread_of_its_formula() {
        let (n, m) = (64, 32);
        let table = [
            (Initializer::KaimingUniform, 2.0 / 64.0, Some(6f64 / 64.0)),
            (Initializer::KaimingNormal, 2.0 / 64.0, None),
            (Initializer::XavierUniform, 2.0 / 96.0, Some(6.0 / 96.0)),
            (Initializer::XavierNormal, 2.0 / 96.0, None),
            (Initializer::LecunUniform, 1.0 / 64.0, Some(3.0 / 64.0)),
            (Initializer::Torch, 1.0 / 192.0, Some(1.0 / 64.0)),
            (Initializer::LecunNormal, 1.0 / 64.0, None),
            (Initializer::DataDriven, 1.0 / 64.0, None),
        ];
        // Auto is one of the others, and all zeros have no spread.
        assert_eq!(table.len() + 2, Initializer::ALL.len());
        for (initializer, variance, bound) in table {
            let stream = Stream::new(1, Purpose::Init(0), 0);
            let (weights, biases) = initializer.draw(&stream, n, m, Activation::Tanh);
            let squares: f64 = weights.iter().map(|&w| f64::from(w).powi(2)).sum();
            approx::assert_relative_eq!(squares / (n * m) as f64, variance, max_relative = 0.1);
            if let Some(bound) = bound {
                assert!(weights.iter().all(|&w| f64::from(w).abs() <= bound.sqrt() * 1.000_001));
            }
            assert_eq!(
                biases.iter().all(|&b| b == 0.0),
                !matches!(initializer, Initializer::Torch | Initializer::LecunNormal)
            );
        }
    }

    #[test]
    fn names_are_read_back() {
        for initializer in Initializer::ALL {
            assert_eq!(initializer.to_string().parse(), Ok(*initializer));
            assert_eq!(serde_json::to_string(initializer).unwrap(), format!("\"{initializer}\""));
        }
    }
}
