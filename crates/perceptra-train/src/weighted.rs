//! Rows with their weights, and the sums of their losses.

use burn::tensor::{Device, Tensor, TensorData};
use perceptra_nn::{Loss, class_weights};

use crate::metrics::monitored;
use crate::{ClassWeights, Dataset, Metric, Network, Pass, TrainConfig, TrainError};

/// Rows of a validation batch.
pub(crate) const EVALUATE: usize = 1 << 14;

/// Σ wᵢlᵢ and Σ wᵢ, still on the device.
#[derive(Clone)]
pub(crate) struct Totals {
    loss: Tensor<1>,
    /// Of the rows, where they have weights.
    weight: Option<Tensor<1>>,
    rows: usize,
}

impl Totals {
    pub(crate) fn none(device: &Device, weighted: bool) -> Self {
        let zero = || Tensor::zeros([1], device);
        Self { loss: zero(), weight: weighted.then(zero), rows: 0 }
    }

    pub(crate) fn add(self, loss: Tensor<1>, weight: Option<Tensor<1>>, rows: usize) -> Self {
        Self { loss: self.loss + loss, weight: self.weight.zip(weight).map(|(a, b)| a + b), rows: self.rows + rows }
    }

    /// The mean (or sum) of the loss: waits for the device.
    pub(crate) fn read(self, loss: Loss) -> Result<f64, TrainError> {
        let mut tensors = vec![self.loss];
        tensors.extend(self.weight);
        let values = read(Tensor::cat(tensors, 0))?;
        let total = f64::from(values[0]);
        Ok(match (loss.is_sum(), values.get(1)) {
            (true, _) => total,
            (false, Some(w)) if *w > 0.0 => total / f64::from(*w),
            (false, Some(_)) => 0.0,
            (false, None) => total / self.rows as f64,
        })
    }
}

pub(crate) fn read<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>, TrainError> {
    tensor.try_into_vec_as().map_err(|e| TrainError::Device(e.to_string()))
}

/// A data set whose row weights include its class weights.
pub(crate) struct Weighted {
    pub(crate) rows: usize,
    pub(crate) inputs: Tensor<2>,
    pub(crate) targets: Tensor<2>,
    pub(crate) weights: Option<Tensor<2>>,
    pub(crate) classes: Option<Tensor<1>>,
    pub(crate) units: Option<Vec<f32>>,
}

impl Weighted {
    /// Checks `data` against `network` and joins row and class weights; `classes` are those of the training set.
    pub(crate) fn new<N: Network>(
        data: &Dataset,
        network: &N,
        config: &TrainConfig,
        classes: Option<Tensor<1>>,
    ) -> Result<Self, TrainError> {
        let (inputs, outputs) = data.shape();
        if let Some((n, m)) = network.shape() {
            for (what, network, data) in [("inputs", n, inputs), ("outputs", m, outputs)] {
                if network != data {
                    return Err(TrainError::Width { what, network, data });
                }
            }
        }
        let classes = match (classes, &config.class_weights) {
            (Some(classes), _) => Some(classes),
            (None, ClassWeights::Equal) => None,
            (None, weights) => Some(class_weight_tensor(data, weights)?),
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
            units: data.units.clone(),
        })
    }

    /// The loss of a network in evaluation mode, and the metric where it is not the loss.
    pub(crate) fn judge<N: Network>(
        &self,
        network: &N,
        loss: Loss,
        metric: Metric,
    ) -> Result<(Totals, Option<f64>), TrainError> {
        let mut totals = Totals::none(&self.inputs.device(), self.weights.is_some());
        let mut outputs = Vec::new();
        for start in (0..self.rows).step_by(EVALUATE) {
            let range = start..(start + EVALUATE).min(self.rows);
            let slice = |t: &Tensor<2>| t.clone().slice(range.clone());
            let out = network.forward(slice(&self.inputs), Pass { logits: loss.takes_logits(), dropout: None });
            let per_row = loss.per_row(out.clone(), slice(&self.targets));
            let weights = self.weights.as_ref().map(slice);
            let sum = match &weights {
                Some(w) => (per_row * w.clone()).sum(),
                None => per_row.sum(),
            };
            totals = totals.add(sum, weights.map(|w| w.sum()), range.len());
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
        let units = self.units.as_deref();
        let value = monitored(outputs, &targets, self.targets.dims()[1], weights.as_deref(), units, loss, metric);
        Ok((totals, Some(value)))
    }
}

fn class_weight_tensor(data: &Dataset, weights: &ClassWeights) -> Result<Tensor<1>, TrainError> {
    let columns = data.shape().1;
    let classes = columns.max(2);
    let values: Vec<f32> = match weights {
        ClassWeights::Given(weights) if weights.len() == classes => weights.clone(),
        ClassWeights::Given(weights) => {
            return Err(TrainError::ClassWeights { found: weights.len(), expected: classes });
        }
        _ => {
            let mut counts = read(data.targets.clone().sum_dim(0))?;
            let rows = data.rows() as f32;
            if columns == 1 {
                counts = vec![rows - counts[0], counts[0]];
            }
            counts.iter().map(|n| if *n > 0.0 { rows / (classes as f32 * n) } else { 0.0 }).collect()
        }
    };
    Ok(Tensor::from_data(TensorData::new(values, [classes]), &data.device()))
}
