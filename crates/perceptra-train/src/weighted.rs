//! Rows with their weights, and sums of their losses.

use burn::tensor::{Device, Tensor, TensorData};
use perceptra_nn::{FeedForward, Loss};

use crate::choices::{ClassWeights, Reduction};
use crate::config::TrainConfig;
use crate::dataset::Dataset;
use crate::error::TrainError;
use crate::metrics::{Metric, monitored};
use crate::network::{ForwardMode, Network};

/// Largest number of rows in a validation batch, counted once per batch-ensemble member.
pub(crate) const EVALUATE: usize = 1 << 14;

/// Σ wᵢlᵢ and Σ wᵢ over rows with losses lᵢ and weights wᵢ, on the device.
#[derive(Clone)]
pub(crate) struct Totals {
    loss: Tensor<1>,
    /// Σ wᵢ; `None` if rows have no weights.
    weight: Option<Tensor<1>>,
    rows: usize,
}

impl Totals {
    pub(crate) fn none(device: &Device) -> Self {
        Self { loss: Tensor::zeros([1], device), weight: None, rows: 0 }
    }

    /// Empty sums on the same device.
    pub(crate) fn cleared(&self) -> Self {
        Self::none(&self.loss.device())
    }

    pub(crate) fn add(self, loss: Tensor<1>, weight: Option<Tensor<1>>, rows: usize) -> Self {
        let weight = match (self.weight, weight) {
            (Some(a), Some(b)) => Some(a + b),
            (a, b) => a.or(b),
        };
        Self { loss: self.loss + loss, weight, rows: self.rows + rows }
    }

    /// The mean (or sum) of the losses; waits for the device.
    pub(crate) fn read(self, reduction: Reduction) -> Result<f64, TrainError> {
        Ok(self.read_with(reduction, Vec::new())?.0)
    }

    /// Does the same as [`Totals::read`], and also reads `more` in the same transfer.
    pub(crate) fn read_with(self, reduction: Reduction, more: Vec<Tensor<1>>) -> Result<(f64, Vec<f32>), TrainError> {
        let weighted = self.weight.is_some();
        let mut tensors = vec![self.loss];
        tensors.extend(self.weight);
        tensors.extend(more);
        let values = read(Tensor::cat(tensors, 0))?;
        let weight = if weighted { f64::from(values[1]) } else { self.rows as f64 };
        Ok((reduction.reduce(f64::from(values[0]), weight), values[1 + usize::from(weighted)..].to_vec()))
    }
}

pub(crate) fn read<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>, TrainError> {
    tensor.try_into_vec_as().map_err(|e| TrainError::Device(e.to_string()))
}

/// Rows whose weights include the class weights.
pub(crate) struct Weighted {
    pub(crate) rows: usize,
    pub(crate) inputs: Tensor<2>,
    pub(crate) targets: Tensor<2>,
    pub(crate) weights: Option<Tensor<2>>,
    pub(crate) classes: Option<Tensor<1>>,
    pub(crate) target_scales: Option<Vec<f32>>,
}

impl Weighted {
    /// Checks `data` against the `shape` of the network and multiplies row weights by class weights. `classes` are the class weights of
    /// the training rows, for validation rows.
    pub(crate) fn new(
        data: &Dataset,
        shape: Option<(usize, usize)>,
        config: &TrainConfig,
        classes: Option<Tensor<1>>,
    ) -> Result<Self, TrainError> {
        let (inputs, outputs) = data.shape();
        if let Some((n, m)) = shape {
            for (what, network, data) in [("inputs", n, inputs), ("outputs", m, outputs)] {
                if network != data {
                    return Err(TrainError::Width { what, network, data });
                }
            }
        }
        let classes = match (classes, &config.class_weights) {
            (Some(classes), _) => Some(classes),
            (None, ClassWeights::Equal) => None,
            (None, weights) => {
                let values = class_weight_values(weights, data.shape().1, || class_rows(data))?;
                Some(class_weight_tensor(values, &data.device()))
            }
        };
        let by_class = classes.clone().map(|w| class_weights(data.targets.clone(), w));
        let weights = match (data.weights.clone(), by_class) {
            (Some(a), Some(b)) => Some(a * b),
            (a, b) => a.or(b),
        };
        Ok(Self {
            rows: data.rows(),
            inputs: data.inputs.clone(),
            targets: data.targets.clone(),
            weights,
            classes,
            target_scales: data.target_scales.clone(),
        })
    }

    /// The rows with smoothed labels, for training.
    pub(crate) fn smoothed(self, config: &TrainConfig) -> Self {
        let smoothing = config.label_smoothing;
        if smoothing == 0.0 || !config.objective().0.takes_logits() {
            return self;
        }
        let classes = self.targets.dims()[1].max(2) as f64;
        let targets = self.targets.clone() * (1.0 - smoothing) + smoothing / classes;
        Self { targets, ..self }
    }

    /// The losses of a network in evaluation mode, and the value of `metric`, or `None` if that is the loss.
    pub(crate) fn judge<N: Network>(
        &self,
        network: &N,
        loss: Loss,
        metric: Metric,
    ) -> Result<(Totals, Option<f64>), TrainError> {
        let mut totals = Totals::none(&self.inputs.device());
        let mut outputs = Vec::new();
        let size = (EVALUATE / network.as_feed_forward().map_or(1, FeedForward::members)).max(1);
        for start in (0..self.rows).step_by(size) {
            let range = start..(start + size).min(self.rows);
            let slice = |t: &Tensor<2>| t.clone().slice(range.clone());
            let out = network.forward(slice(&self.inputs), ForwardMode { logits: loss.takes_logits(), dropout: None });
            let per_row = loss.per_row(out.clone(), slice(&self.targets));
            let weights = self.weights.as_ref().map(slice);
            let sum = match &weights {
                Some(w) => (per_row * w.clone()).sum(),
                None => per_row.sum(),
            };
            totals = totals.add(sum, weights.map(Tensor::sum), range.len());
            if metric != Metric::Loss {
                outputs.push(out);
            }
        }
        if metric == Metric::Loss {
            return Ok((totals, None));
        }
        let targets = read(self.targets.clone())?;
        let weights = self.weights.clone().map(read).transpose()?;
        let outputs = read(Tensor::cat(outputs, 0))?;
        let scales = self.target_scales.as_deref();
        let value = monitored(outputs, &targets, self.targets.dims()[1], weights.as_deref(), scales, loss, metric);
        Ok((totals, Some(value)))
    }
}

impl Reduction {
    /// Combined loss, on the device, of rows with losses lᵢ and weights wᵢ, from `sum` = Σ wᵢlᵢ and `weight` = Σ wᵢ, which is the number
    /// of `rows` where it is `None`. The mean is 0 if all weights are 0.
    pub(crate) fn of<const D: usize>(self, sum: Tensor<D>, weight: Option<Tensor<D>>, rows: usize) -> Tensor<D> {
        match (self, weight) {
            (Self::Sum, _) => sum,
            (Self::Mean, None) => sum / rows as f64,
            (Self::Mean, Some(weight)) => sum / weight.clamp_min(f32::MIN_POSITIVE),
        }
    }
}

/// The weight of each row, which is the weight of its class.
///
/// # Shapes
///
/// - targets: `[rows, classes]` one-hot (or soft), or `[rows, 1]` of 0 and 1
/// - weights: `[classes]`; for `[rows, 1]` targets `[2]`, of the classes 0 and 1
/// - result: `[rows, 1]`
fn class_weights(targets: Tensor<2>, weights: Tensor<1>) -> Tensor<2> {
    let classes = weights.dims()[0];
    if targets.dims()[1] == 1 && classes == 2 {
        let zero = weights.clone().slice(0..1).unsqueeze::<2>();
        let one = weights.slice(1..2).unsqueeze::<2>();
        targets * (one - zero.clone()) + zero
    } else {
        targets.matmul(weights.reshape([classes, 1]))
    }
}

/// The number of rows of each class.
fn class_rows(data: &Dataset) -> Result<Vec<f32>, TrainError> {
    let mut counts = read(data.targets.clone().sum_dim(0))?;
    if counts.len() == 1 {
        counts = vec![data.rows() as f32 - counts[0], counts[0]];
    }
    Ok(counts)
}

/// The weight of each class, for targets of `columns` columns; `rows` counts the rows of each class.
pub(crate) fn class_weight_values(
    weights: &ClassWeights,
    columns: usize,
    rows: impl FnOnce() -> Result<Vec<f32>, TrainError>,
) -> Result<Vec<f32>, TrainError> {
    let classes = columns.max(2);
    match weights {
        ClassWeights::Given(weights) if weights.len() == classes => Ok(weights.clone()),
        ClassWeights::Given(weights) => Err(TrainError::ClassWeights { found: weights.len(), expected: classes }),
        ClassWeights::Equal => Ok(vec![1.0; classes]),
        ClassWeights::Balanced => {
            let counts = rows()?;
            let all: f32 = counts.iter().sum();
            Ok(counts.iter().map(|n| if *n > 0.0 { all / (classes as f32 * n) } else { 0.0 }).collect())
        }
    }
}

/// The weight of each class, on a device.
pub(crate) fn class_weight_tensor(values: Vec<f32>, device: &Device) -> Tensor<1> {
    let classes = values.len();
    Tensor::from_data(TensorData::new(values, [classes]), device)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor<const R: usize, const C: usize>(x: [[f32; C]; R]) -> Tensor<2> {
        Tensor::from_floats(x, &Device::flex())
    }

    #[test]
    fn class_and_row_weights_multiply() {
        let config = TrainConfig {
            class_weights: ClassWeights::Given(vec![2.0, 0.5]),
            loss: Some(Loss::CategoricalCrossEntropy),
            ..TrainConfig::default()
        };
        let z = tensor([[0.0, 0.0], [0.0, 3.0]]);
        let data =
            Dataset::new(z.clone(), tensor([[1.0, 0.0], [0.0, 1.0]])).unwrap().with_weights(vec![3.0, 1.0]).unwrap();
        let data = Weighted::new(&data, None, &config, None).unwrap();
        let weights = data.weights.clone().unwrap();
        assert_eq!(read(weights.clone()).unwrap(), [6.0, 0.5]);
        let (loss, reduction) = config.objective();
        let sum = (loss.per_row(z, data.targets) * weights.clone()).sum();
        let (a, b) = (2f32.ln(), (-3f32).exp().ln_1p());
        let got = reduction.of(sum, Some(weights.sum()), 2).into_scalar::<f32>();
        assert!((got - (6.0 * a + 0.5 * b) / 6.5).abs() < 1e-6, "{got}");
        // One output: the classes are 0 and 1.
        let one = class_weights(tensor([[0.0], [1.0]]), Tensor::from_floats([2.0, 0.5], &Device::flex()));
        assert_eq!(read(one).unwrap(), [2.0, 0.5]);
    }

    #[test]
    fn rows_of_weight_0_have_a_mean_of_0_on_the_device_and_on_the_host() {
        let zero = || Tensor::<1>::zeros([1], &Device::flex());
        for reduction in Reduction::ALL {
            assert_eq!(reduction.of(zero(), Some(zero()), 2).into_scalar::<f32>(), 0.0);
            assert_eq!(reduction.reduce(0.0, 0.0), 0.0);
        }
    }
}
