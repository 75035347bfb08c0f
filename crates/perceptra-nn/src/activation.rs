//! Activation functions.

use burn::tensor::{Tensor, activation};
use perceptra_kernel as kernel;
use serde::{Deserialize, Serialize};

use crate::all_variants;
use crate::variants::named;

/// An activation function f, applied to each element; softmax alone takes all outputs of a row.
///
/// In files and on the command line it is its [name](Activation::name), such as `leaky-relu`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Activation {
    /// f(x) = x
    #[default]
    Identity,
    /// 1 where x ≥ 0, else 0 (McCulloch and Pitts, 1943). Its gradient is 0, so gradient descent does not train what lies before it.
    Step,
    /// −1, 0 or 1 by the sign of x. Its gradient is 0, so gradient descent does not train what lies before it.
    Sign,
    /// 1 / (1 + e⁻ˣ)
    Sigmoid,
    /// tanh x
    Tanh,
    /// max(0, x)
    Relu,
    /// x where x ≥ 0, else 0.01·x
    LeakyRelu,
    /// x where x ≥ 0, else eˣ − 1 (Clevert, Unterthiner, Hochreiter, 2015)
    Elu,
    /// 1.0507·x where x ≥ 0, else 1.0507·1.6733·(eˣ − 1) (Klambauer et al., 2017)
    Selu,
    /// x·Φ(x), Φ the normal distribution function (Hendrycks, Gimpel, 2016), by the error function
    Gelu,
    /// x·sigmoid(x), also called swish (Elfwing, Uchibe, Doya, 2017)
    Silu,
    /// x·tanh(ln(1 + eˣ)) (Misra, 2019)
    Mish,
    /// ln(1 + eˣ)
    Softplus,
    /// e^(−x/0.3) where x ≥ 0, else 0: the calcium spike of a human dendrite, largest at its threshold and smaller beyond
    /// (Gidon et al., *Science* 367:83, 2020). Not monotonic: one neuron with it computes XOR.
    Dendritic,
    /// eˣⁱ / Σⱼ eˣʲ over the outputs of a row; only for the output layer
    Softmax,
}

/// An activation that turns logits into probabilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Link {
    /// A probability of each output.
    Sigmoid,
    /// A distribution over the outputs of a row.
    Softmax,
}

all_variants! {
    Activation: Identity, Step, Sign, Sigmoid, Tanh, Relu, LeakyRelu, Elu, Selu, Gelu, Silu, Mish, Softplus, Dendritic, Softmax
}
named!(Activation);

impl Activation {
    /// The name used in files and messages, such as `leaky-relu`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Step => "step",
            Self::Sign => "sign",
            Self::Sigmoid => "sigmoid",
            Self::Tanh => "tanh",
            Self::Relu => "relu",
            Self::LeakyRelu => "leaky-relu",
            Self::Elu => "elu",
            Self::Selu => "selu",
            Self::Gelu => "gelu",
            Self::Silu => "silu",
            Self::Mish => "mish",
            Self::Softplus => "softplus",
            Self::Dendritic => "dendritic",
            Self::Softmax => "softmax",
        }
    }

    /// The same activation in the kernel; `None` for softmax, which is not a function of one number.
    pub(crate) fn in_kernel(self) -> Option<kernel::Activation> {
        Some(match self {
            Self::Identity => kernel::Activation::Identity,
            Self::Step => kernel::Activation::Step,
            Self::Sign => kernel::Activation::Sign,
            Self::Sigmoid => kernel::Activation::Sigmoid,
            Self::Tanh => kernel::Activation::Tanh,
            Self::Relu => kernel::Activation::Relu,
            Self::LeakyRelu => kernel::Activation::LeakyRelu,
            Self::Elu => kernel::Activation::Elu,
            Self::Selu => kernel::Activation::Selu,
            Self::Gelu => kernel::Activation::Gelu,
            Self::Silu => kernel::Activation::Silu,
            Self::Mish => kernel::Activation::Mish,
            Self::Softplus => kernel::Activation::Softplus,
            Self::Dendritic => kernel::Activation::Dendritic,
            Self::Softmax => return None,
        })
    }

    /// Whether the function turns logits into probabilities, as sigmoid and softmax do. A loss that takes logits is computed from
    /// the outputs before such an output activation.
    pub fn makes_probabilities(self) -> bool {
        self.link().is_some()
    }

    /// The function, if it turns logits into probabilities.
    pub(crate) fn link(self) -> Option<Link> {
        match self {
            Self::Sigmoid => Some(Link::Sigmoid),
            Self::Softmax => Some(Link::Softmax),
            Self::Identity
            | Self::Step
            | Self::Sign
            | Self::Tanh
            | Self::Relu
            | Self::LeakyRelu
            | Self::Elu
            | Self::Selu
            | Self::Gelu
            | Self::Silu
            | Self::Mish
            | Self::Softplus
            | Self::Dendritic => None,
        }
    }

    /// Whether f(0) = 0: then units that are only padding stay 0.
    #[doc(hidden)]
    pub fn keeps_zero(self) -> bool {
        // Softmax is not in the kernel, and turns zeros into equal shares.
        self.in_kernel().is_some_and(|f| !f.moves_zero())
    }

    /// Applies the function.
    ///
    /// # Shapes
    ///
    /// - x: `[batch, units]`
    /// - result: `[batch, units]`
    pub fn forward(self, x: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Identity => x,
            // By signs, which autodiff knows to have gradient 0; a comparison would end its graph.
            Self::Step => (x.sign() + 0.5).sign() * 0.5 + 0.5,
            Self::Sign => x.sign(),
            Self::Sigmoid => activation::sigmoid(x),
            Self::Tanh => activation::tanh(x),
            Self::Relu => activation::relu(x),
            Self::LeakyRelu => activation::leaky_relu(x, 0.01),
            Self::Elu => activation::elu(x, 1.0),
            Self::Selu => activation::selu(x),
            // Burn's own function has the gradient of an approximation on its ndarray backend, 0.0006 away.
            Self::Gelu => ((x.clone() * std::f64::consts::FRAC_1_SQRT_2).erf() + 1.0) * x * 0.5,
            Self::Silu => activation::silu(x),
            Self::Mish => x.clone() * activation::tanh(Self::Softplus.forward(x)),
            // ln(1 + eˣ) = max(x, 0) + ln(1 + e^−|x|) does not overflow; ½(x + |x|) has the right gradient at 0 too.
            Self::Softplus => {
                let size = x.clone().abs();
                (x + size.clone()) * 0.5 + size.neg().exp().log1p()
            }
            Self::Dendritic => Self::Step.forward(x.clone()) * (x.clamp_min(0.0) * (-1.0 / 0.3)).exp(),
            Self::Softmax => activation::softmax(x, 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;
    use burn::tensor::Device;

    fn apply(f: Activation, x: &[f32]) -> Vec<f32> {
        let x = Tensor::<1>::from_floats(x, &Device::flex()).unsqueeze::<2>();
        crate::testing::values(f.forward(x))
    }

    // By Python's math module: math.tanh, math.erf, math.exp, math.log1p at -30, -1, 0, 0.5, 2, 30.
    #[test]
    fn every_activation_has_the_values_of_its_formula() {
        let x = [-30.0, -1.0, 0.0, 0.5, 2.0, 30.0];
        let table: [(Activation, [f32; 6]); 14] = [
            (Activation::Identity, x),
            (Activation::Step, [0.0, 0.0, 1.0, 1.0, 1.0, 1.0]),
            (Activation::Sign, [-1.0, -1.0, 0.0, 1.0, 1.0, 1.0]),
            (Activation::Sigmoid, [9.357_623e-14, 0.268_941_43, 0.5, 0.622_459_35, 0.880_797_1, 1.0]),
            (Activation::Tanh, [-1.0, -0.761_594_2, 0.0, 0.462_117_16, 0.964_027_6, 1.0]),
            (Activation::Relu, [0.0, 0.0, 0.0, 0.5, 2.0, 30.0]),
            (Activation::LeakyRelu, [-0.3, -0.01, 0.0, 0.5, 2.0, 30.0]),
            (Activation::Elu, [-1.0, -0.632_120_55, 0.0, 0.5, 2.0, 30.0]),
            (Activation::Selu, [-1.758_099_3, -1.111_330_7, 0.0, 0.525_350_5, 2.101_402, 31.521_029]),
            (Activation::Gelu, [0.0, -0.158_655_25, 0.0, 0.345_731_23, 1.954_499_7, 30.0]),
            (Activation::Silu, [-2.807_287e-12, -0.268_941_43, 0.0, 0.311_229_67, 1.761_594_2, 30.0]),
            (Activation::Mish, [-2.807_287e-12, -0.303_401_5, 0.0, 0.375_245_2, 1.943_959, 30.0]),
            (Activation::Softplus, [9.357_623e-14, 0.313_261_7, std::f32::consts::LN_2, 0.974_077, 2.126_928, 30.0]),
            (Activation::Dendritic, [0.0, 0.0, 1.0, 0.188_875_6, 1.272_633_8e-3, 0.0]),
        ];
        // Softmax has a test of its own.
        assert_eq!(table.len() + 1, Activation::ALL.len());
        for (f, expected) in table {
            for (got, want) in apply(f, &x).into_iter().zip(expected) {
                assert_relative_eq!(got, want, max_relative = 2e-5, epsilon = 1e-12);
            }
        }
    }

    #[test]
    fn softmax_is_a_distribution_even_for_large_inputs() {
        let p = apply(Activation::Softmax, &[1000.0, 1000.0, -1000.0]);
        assert_eq!(p, [0.5, 0.5, 0.0]);
    }

    #[test]
    fn zero_stays_zero_where_it_is_said_to() {
        for f in Activation::ALL {
            assert_eq!(apply(*f, &[0.0, 0.0]) == [0.0, 0.0], f.keeps_zero(), "{f}");
        }
    }

    #[test]
    fn names_are_read_back() {
        for f in Activation::ALL {
            assert_eq!(f.to_string().parse(), Ok(*f));
            assert_eq!(serde_json::to_string(f).unwrap(), format!("\"{f}\""));
            assert_eq!(serde_json::from_str::<Activation>(&format!("\"{f}\"")).unwrap(), *f);
        }
        let error = "swish".parse::<Activation>().unwrap_err();
        assert!(error.starts_with("unknown variant `swish`, expected one of `identity`, `step`"), "{error}");
        assert!(Activation::ALL.iter().all(|f| error.contains(f.name())), "{error}");
    }
}
