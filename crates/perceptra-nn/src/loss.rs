//! Losses, which measure how far outputs are from targets.

use burn::tensor::{Tensor, activation};
use serde::{Deserialize, Serialize};

use crate::all_variants;

/// A loss over a batch.
///
/// Each row has a loss ([`Loss::per_row`]); that of a batch is the mean of its rows' losses, or their sum for
/// [`Loss::HalfSumSquared`]. In training rows can have weights. The formulas are those of one row, with outputs fⱼ, targets yⱼ and J outputs.
///
/// In files and on the command line a loss is its [name](Loss::name); `huber` takes its δ behind a colon, as in `huber:1.5`.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Loss {
    /// Mean squared error, 1/J Σⱼ (fⱼ − yⱼ)².
    #[default]
    MeanSquared,
    /// Half the sum of squares, ½ Σⱼ (fⱼ − yⱼ)², summed over rows and outputs, not averaged.
    HalfSumSquared,
    /// Mean absolute error, 1/J Σⱼ |fⱼ − yⱼ|.
    MeanAbsolute,
    /// Huber's loss (1964): 1/J Σⱼ ½d² where d = |fⱼ − yⱼ| ≤ δ, else δ(d − ½δ).
    Huber {
        /// δ, where the parabola ends: above 0, in the unit of the target.
        delta: f64,
    },
    /// Cross-entropy of independent yes/no outputs, 1/J Σⱼ max(zⱼ, 0) − zⱼyⱼ + ln(1 + e^−|zⱼ|), z the logits. Targets in [0, 1].
    BinaryCrossEntropy,
    /// Cross-entropy of one distribution over the outputs, −Σⱼ yⱼ ln softmax(z)ⱼ, z the logits. Targets: one-hot or soft labels.
    CategoricalCrossEntropy,
}

all_variants! {
    Loss: MeanSquared, HalfSumSquared, MeanAbsolute, Huber { delta: 1.0 }, BinaryCrossEntropy, CategoricalCrossEntropy
}

impl Loss {
    /// The name used in files and messages, such as `mse`.
    pub fn name(self) -> &'static str {
        match self {
            Self::MeanSquared => "mse",
            Self::HalfSumSquared => "half-sse",
            Self::MeanAbsolute => "mae",
            Self::Huber { .. } => "huber",
            Self::BinaryCrossEntropy => "binary-cross-entropy",
            Self::CategoricalCrossEntropy => "categorical-cross-entropy",
        }
    }

    /// Whether the loss takes logits, the outputs before sigmoid or softmax.
    pub fn takes_logits(self) -> bool {
        match self {
            Self::BinaryCrossEntropy | Self::CategoricalCrossEntropy => true,
            Self::MeanSquared | Self::HalfSumSquared | Self::MeanAbsolute | Self::Huber { .. } => false,
        }
    }

    /// Whether the loss of a batch is the sum of its rows' losses rather than their mean.
    pub fn is_sum(self) -> bool {
        match self {
            Self::HalfSumSquared => true,
            Self::MeanSquared | Self::MeanAbsolute | Self::Huber { .. } => false,
            Self::BinaryCrossEntropy | Self::CategoricalCrossEntropy => false,
        }
    }

    /// The loss of each row.
    ///
    /// # Shapes
    ///
    /// - outputs, targets: `[batch, outputs]`
    /// - result: `[batch, 1]`
    pub fn per_row(self, outputs: Tensor<2>, targets: Tensor<2>) -> Tensor<2> {
        // The mean of one column is the column itself: leaving it out saves an operation of the backward pass.
        let mean = |t: Tensor<2>| if t.dims()[1] == 1 { t } else { t.mean_dim(1) };
        match self {
            Self::MeanSquared => {
                let error = outputs - targets;
                mean(error.clone() * error)
            }
            Self::HalfSumSquared => {
                let error = outputs - targets;
                (error.clone() * error).sum_dim(1) * 0.5
            }
            Self::MeanAbsolute => mean((outputs - targets).abs()),
            Self::Huber { delta } => {
                // With c = min(d, δ), both branches are c·(d − ½c).
                let distance = (outputs - targets).abs();
                let near = distance.clone().clamp_max(delta);
                mean(near.clone() * (distance - near * 0.5))
            }
            Self::BinaryCrossEntropy => {
                let z = outputs;
                let size = z.clone().abs();
                // max(z, 0), in a form whose gradient at 0 is the ½ that is right there.
                let positive = (z.clone() + size.clone()) * 0.5;
                mean(positive - z * targets + size.neg().exp().log1p())
            }
            Self::CategoricalCrossEntropy => (activation::log_softmax(outputs, 1) * targets).sum_dim(1).neg(),
        }
    }

    /// The loss of a batch whose rows count equally: the rows' losses averaged (summed for [`Loss::HalfSumSquared`]).
    ///
    /// # Shapes
    ///
    /// - outputs, targets: `[batch, outputs]`
    /// - result: `[1]`
    pub fn forward(self, outputs: Tensor<2>, targets: Tensor<2>) -> Tensor<1> {
        let per_row = self.per_row(outputs, targets);
        if self.is_sum() { per_row.sum() } else { per_row.mean() }
    }
}

impl std::fmt::Display for Loss {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Huber { delta } => write!(f, "huber:{delta}"),
            Self::MeanSquared
            | Self::HalfSumSquared
            | Self::MeanAbsolute
            | Self::BinaryCrossEntropy
            | Self::CategoricalCrossEntropy => f.write_str(self.name()),
        }
    }
}

impl std::str::FromStr for Loss {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, argument) = text.split_once(':').map_or((text, None), |(name, x)| (name, Some(x)));
        let Some(loss) = Self::ALL.iter().copied().find(|loss| loss.name() == name) else {
            let names: Vec<&str> = Self::ALL.iter().map(|loss| loss.name()).collect();
            return Err(format!("`{text}` is no loss; there are {}", names.join(", ")));
        };
        match (loss, argument) {
            (loss, None) => Ok(loss),
            (Self::Huber { .. }, Some(delta)) => match delta.parse() {
                Ok(delta) if delta > 0.0 && f64::is_finite(delta) => Ok(Self::Huber { delta }),
                _ => Err(format!("`{text}`: the delta of huber is a number above 0, such as huber:1.5")),
            },
            (
                Self::MeanSquared
                | Self::HalfSumSquared
                | Self::MeanAbsolute
                | Self::BinaryCrossEntropy
                | Self::CategoricalCrossEntropy,
                Some(_),
            ) => Err(format!("`{text}`: {name} takes no number")),
        }
    }
}

impl TryFrom<String> for Loss {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Loss> for String {
    fn from(loss: Loss) -> Self {
        loss.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;
    use burn::tensor::Device;

    #[test]
    fn gradients_at_a_logit_of_0_are_right() {
        let device = Device::flex();
        for (loss, slope) in [(Loss::BinaryCrossEntropy, 0.5 - 0.9), (Loss::CategoricalCrossEntropy, 0.0)] {
            let z = Tensor::<2>::zeros([1, 1], &device).autodiff().require_grad();
            let y = Tensor::<2>::full([1, 1], 0.9, &device).autodiff();
            let grads = loss.per_row(z.clone(), y).sum().backward();
            let grad = z.grad(&grads).unwrap().into_data().try_into_vec::<f32>().unwrap()[0];
            assert!((grad - slope).abs() < 1e-6, "{loss}: {grad}");
        }
    }
    fn tensor<const R: usize, const C: usize>(x: [[f32; C]; R]) -> Tensor<2> {
        Tensor::from_floats(x, &Device::flex())
    }

    fn value(loss: Loss, f: Tensor<2>, y: Tensor<2>) -> f32 {
        loss.forward(f, y).into_scalar()
    }

    #[test]
    fn regression_losses_by_hand() {
        // errors: 1, -2 | 0, 4
        let f = || tensor([[1.0, 0.0], [3.0, 5.0]]);
        let y = || tensor([[0.0, 2.0], [3.0, 1.0]]);
        let table = [
            (Loss::MeanSquared, 21.0 / 4.0, [2.5, 8.0]),
            (Loss::HalfSumSquared, 10.5, [2.5, 8.0]),
            (Loss::MeanAbsolute, 7.0 / 4.0, [1.5, 2.0]),
            // delta 1.5: 0.5, 1.5(2-.75)=1.875 | 0, 1.5(4-.75)=4.875
            (Loss::Huber { delta: 1.5 }, 7.25 / 4.0, [1.1875, 2.4375]),
        ];
        for (loss, batch, rows) in table {
            assert_relative_eq!(value(loss, f(), y()), batch, max_relative = 1e-6);
            assert_eq!(crate::testing::values(loss.per_row(f(), y())), rows, "{loss}");
        }
    }

    // torch.nn.functional.binary_cross_entropy_with_logits and cross_entropy give the same numbers.
    #[test]
    fn cross_entropies_by_hand_and_at_extreme_logits() {
        let ln = f32::ln;
        let z = tensor([[0.0], [2.0], [200.0], [-200.0]]);
        let y = tensor([[1.0], [0.0], [0.0], [0.0]]);
        let expected = (ln(2.0) + 2.126_928 + 200.0 + 0.0) / 4.0;
        assert_relative_eq!(value(Loss::BinaryCrossEntropy, z, y), expected, max_relative = 1e-6);

        let z = tensor([[0.0, 0.0, 0.0], [1000.0, 0.0, 0.0]]);
        let y = tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]);
        let expected = (ln(3.0) + 1000.0) / 2.0;
        assert_relative_eq!(value(Loss::CategoricalCrossEntropy, z, y), expected, max_relative = 1e-6);
    }

    #[test]
    fn names_are_read_back() {
        for loss in Loss::ALL.iter().copied().chain([Loss::Huber { delta: 1.5 }]) {
            assert_eq!(loss.to_string().parse(), Ok(loss));
            assert!("cross".parse::<Loss>().unwrap_err().contains(loss.name()));
        }
        assert_eq!("huber".parse(), Ok(Loss::Huber { delta: 1.0 }));
        for wrong in ["huber:0", "huber:nan", "mse:1", "cross"] {
            assert!(wrong.parse::<Loss>().is_err(), "{wrong}");
        }
    }
}
