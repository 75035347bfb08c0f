//! The engine that is the definition of what is right: Burn's autodiff, for any network on any device.

use std::time::Instant;

use burn::optim::GradientsParams;
use burn::tensor::{Device, Int, Tensor, TensorData};
use perceptra_nn::{DropoutDraw, Loss, class_weights};
use perceptra_random::{Purpose, Stream};

use crate::engine::{Judged, Plan, Running, monitored};
use crate::optimizer::{edit_gradients, optimizer, schedule};
use crate::{ClassWeights, Dataset, Metric, Network, Pass, TrainConfig, TrainError};

/// Rows gathered at once when an epoch's order is applied: as many numbers as this, in whole batches.
const GATHER: usize = 1 << 24;
/// Rows of a validation batch.
pub(crate) const EVALUATE: usize = 1 << 14;

/// A network in training by Burn's autodiff.
pub(crate) struct Autodiff<'a, N> {
    stepper: Stepper<'a>,
    /// Absent only while it is being changed.
    network: Option<N>,
    train: &'a Weighted,
    validation: Option<&'a Weighted>,
    monitor: Metric,
    totals: Totals,
    /// The weights after the epoch, and those of the best one.
    snapshot: N,
    best: N,
}

impl<'a, N: Network> Autodiff<'a, N> {
    pub(crate) fn new(network: N, plan: &Plan<'a>) -> Self {
        let network = network.train();
        let stepper = Stepper {
            optimizer: optimizer(plan.config, &network),
            schedule: schedule(plan.config, plan.steps.saturating_mul(plan.config.epochs)),
            config: plan.config,
            loss: plan.loss,
            batch: plan.batch,
            used: plan.steps * plan.batch,
        };
        let snapshot = network.valid();
        Self {
            stepper,
            network: Some(network),
            train: plan.train,
            validation: plan.validation,
            monitor: plan.monitor,
            totals: Totals::none(&plan.train.inputs.device(), false),
            best: snapshot.clone(),
            snapshot,
        }
    }
}

impl<N: Network> Running<N> for Autodiff<'_, N> {
    fn epoch(&mut self, epoch: u32, deadline: Option<Instant>) -> f64 {
        let Some(network) = self.network.take() else { return 0.0 };
        let (network, totals, rate) = self.stepper.epoch(network, self.train, epoch, deadline);
        self.snapshot = network.valid();
        self.network = Some(network);
        self.totals = totals;
        rate
    }

    fn judge(&mut self) -> Result<Judged, TrainError> {
        let loss = self.stepper.loss;
        // All that is computed is read after the last of it is asked for.
        let judged = self.validation.map(|data| data.judge(&self.snapshot, loss, self.monitor)).transpose()?;
        let train_loss = self.totals.clone().read(loss)?;
        Ok(match judged {
            None => Judged { train_loss, validation_loss: None, monitored: None },
            Some((totals, monitored)) => Judged { train_loss, validation_loss: Some(totals.read(loss)?), monitored },
        })
    }

    fn keep(&mut self) {
        self.best = self.snapshot.clone();
    }

    fn best(self: Box<Self>) -> N {
        self.best
    }
}

/// Σ wᵢlᵢ and Σ wᵢ, still on the device.
#[derive(Clone)]
pub(crate) struct Totals {
    loss: Tensor<1>,
    /// Of the rows, where they have weights.
    weight: Option<Tensor<1>>,
    rows: usize,
}

impl Totals {
    fn none(device: &Device, weighted: bool) -> Self {
        let zero = || Tensor::zeros([1], device);
        Self { loss: zero(), weight: weighted.then(zero), rows: 0 }
    }

    fn add(self, loss: Tensor<1>, weight: Option<Tensor<1>>, rows: usize) -> Self {
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

/// Trains epochs.
struct Stepper<'a> {
    optimizer: burn::optim::ModuleOptimizer,
    schedule: Option<burn::lr_scheduler::module_lr_scheduler::ModuleLrScheduler>,
    config: &'a TrainConfig,
    loss: Loss,
    batch: usize,
    /// Rows of an epoch: all, or those of whole batches.
    used: usize,
}

impl Stepper<'_> {
    /// One pass over the rows in a new order: the network, the sums of its losses, the last learning rate. Ends early
    /// at the deadline, after the batch in work.
    fn epoch<N: Network>(
        &mut self,
        mut network: N,
        data: &Weighted,
        epoch: u32,
        deadline: Option<Instant>,
    ) -> (N, Totals, f64) {
        let device = data.inputs.device();
        let mut order = Stream::new(self.config.seed, Purpose::Shuffle, epoch).permutation(data.rows);
        order.truncate(self.used);
        let width = data.inputs.dims()[1] + data.targets.dims()[1];
        let gather = (GATHER / width / self.batch).max(1) * self.batch;
        let mut totals = Totals::none(&device, data.weights.is_some());
        let mut rate = self.config.learning_rate;
        'epoch: for chunk in order.chunks(gather) {
            let indices = TensorData::new(chunk.iter().map(|&r| r as i32).collect::<Vec<_>>(), [chunk.len()]);
            let indices = Tensor::<1, Int>::from_data(indices, &device);
            let gathered = |t: &Tensor<2>| t.clone().select(0, indices.clone());
            let (inputs, targets) = (gathered(&data.inputs), gathered(&data.targets));
            let weights = data.weights.as_ref().map(gathered);
            for (i, rows) in chunk.chunks(self.batch).enumerate() {
                let range = i * self.batch..i * self.batch + rows.len();
                let slice = |t: &Tensor<2>| {
                    if range.len() == chunk.len() { t.clone() } else { t.clone().slice(range.clone()) }
                };
                let draw = DropoutDraw { seed: self.config.seed, epoch, rows };
                let pass = Pass { logits: self.loss.takes_logits(), dropout: Some(draw) };
                let outputs = network.forward(slice(&inputs), pass);
                let per_row = self.loss.per_row(outputs, slice(&targets));
                let (sum, weight) = match weights.as_ref().map(slice) {
                    None => (per_row.sum(), None),
                    Some(w) => ((per_row * w.clone()).sum(), Some(w.sum())),
                };
                let objective = match (self.loss.is_sum(), &weight) {
                    (true, _) => sum.clone(),
                    (false, None) => sum.clone() / rows.len() as f64,
                    // A batch whose weights are all 0 changes nothing.
                    (false, Some(w)) => sum.clone() / w.clone().clamp_min(f32::MIN_POSITIVE),
                };
                // Where no weight is trained there is nothing to go back through.
                let grads = match objective.is_tracked() {
                    true => GradientsParams::from_grads(objective.backward(), &network),
                    false => GradientsParams::new(),
                };
                let grads = edit_gradients(self.config, &network, grads);
                if let Some(schedule) = &mut self.schedule {
                    rate = self.config.learning_rate * schedule.step().base();
                }
                network = self.optimizer.step(rate, network, grads);
                totals = totals.add(sum.inner(), weight, rows.len());
                if deadline.is_some_and(|d| Instant::now() >= d) {
                    break 'epoch;
                }
            }
        }
        (network, totals, rate)
    }
}
