//! The training loop.

use std::time::{Duration, Instant};

use burn::optim::GradientsParams;
use burn::tensor::{Device, Int, Tensor, TensorData};
use perceptra_nn::{DropoutDraw, Loss, class_weights};
use perceptra_random::{Purpose, Stream};

use crate::optimizer::{edit_gradients, optimizer, schedule};
use crate::{
    ClassWeights, ClassificationMetrics, Control, Dataset, Epoch, Event, History, Metric, Network, Observer, Pass,
    RegressionMetrics, StopReason, TrainConfig, TrainError, argmax, probabilities,
};

/// A trained network and how it came about.
#[derive(Debug, Clone)]
pub struct Fitted<N> {
    /// The network with the weights of the best epoch, ready for evaluation (no autodiff).
    pub network: N,
    /// Every epoch.
    pub history: History,
}

/// Rows gathered at once when an epoch's order is applied: as many numbers as this, in whole batches.
const GATHER: usize = 1 << 24;
/// Rows of a validation batch.
const EVALUATE: usize = 1 << 14;

/// Trains `network` on `train`, judged on `validation` if there is one.
///
/// The rows stay on their device. Each epoch they are put into a new order, drawn from `(seed, epoch)`, and taken in
/// minibatches; losses are added up on the device and read once at the end of the epoch. The weights of the best epoch
/// come back whatever ended the run; an epoch whose monitored number is NaN is never the best. Without validation rows
/// the training loss is monitored.
///
/// # Errors
///
/// Settings and shapes that do not fit, and [`TrainError::Diverged`] when the training loss is no longer finite.
pub fn fit<N: Network>(
    network: N,
    train: &Dataset,
    validation: Option<&Dataset>,
    config: &TrainConfig,
    observer: &mut impl Observer,
) -> Result<Fitted<N>, TrainError> {
    config.validate()?;
    let loss = config.loss.unwrap_or_default();
    let train = Weighted::new(train, &network, config, None)?;
    let validation = match validation {
        Some(data) => Some(Weighted::new(data, &network, config, train.classes.clone())?),
        None => None,
    };
    let rows = train.rows;
    let batch = config.batch.size(rows);
    let steps = if config.drop_last { rows / batch } else { rows.div_ceil(batch) };
    let monitor = if validation.is_some() { config.monitor } else { Metric::Loss };

    let mut network = network.train();
    let mut stepper = Stepper {
        optimizer: optimizer(config, &network),
        schedule: schedule(config, steps * config.epochs),
        config,
        loss,
        batch,
        used: steps * batch,
    };
    let deadline = config.time_limit.map(|s| Instant::now() + Duration::from_secs_f64(s.min(1e9)));
    let mut best = (f64::NAN, 0, network.valid());
    let mut patience = Progress::new(monitor);
    let mut progress = Progress::new(Metric::Loss);
    let mut epochs: Vec<Epoch> = Vec::new();
    observer.observe(&Event::Started { epochs: config.epochs, rows, steps });

    let stop = loop {
        let epoch = epochs.len() + 1;
        let start = Instant::now();
        let (trained, totals, learning_rate) = stepper.epoch(network, &train, epoch as u32, deadline);
        network = trained;
        let snapshot = network.valid();
        let judged = validation.as_ref().map(|data| data.judge(&snapshot, loss, monitor)).transpose()?;
        // The one place where the host waits for the device.
        let train_loss = totals.read(loss)?;
        if !train_loss.is_finite() {
            return Err(TrainError::Diverged {
                epoch,
                loss: train_loss.to_string(),
                last_finite: epochs.last().map(|e| e.train_loss),
            });
        }
        let (validation_loss, monitored) = match judged {
            None => (None, None),
            Some((totals, metric)) => (Some(totals.read(loss)?), metric),
        };
        let value = monitored.or(validation_loss).unwrap_or(train_loss);
        let improved = best.1 == 0 || monitor.better(value, best.0, 0.0);
        if improved {
            best = (value, epoch, snapshot);
        }
        epochs.push(Epoch {
            epoch,
            train_loss,
            validation_loss,
            monitored,
            learning_rate,
            seconds: start.elapsed().as_secs_f64(),
        });
        let idle = patience.advance(value, config.min_delta);
        let flat = progress.advance(train_loss, config.min_delta);
        let control = observer.observe(&Event::Epoch { epoch: &epochs[epoch - 1], improved });
        let reached = config.target.is_some_and(|t| value == t || monitor.better(value, t, 0.0));
        if reached {
            break StopReason::Target;
        } else if control == Control::Stop {
            break StopReason::Asked;
        } else if deadline.is_some_and(|d| Instant::now() >= d) {
            break StopReason::TimeLimit;
        } else if config.patience.is_some_and(|p| idle >= p) {
            break StopReason::Patience;
        } else if config.no_progress.is_some_and(|p| flat >= p) {
            break StopReason::NoProgress;
        } else if epoch == config.epochs {
            break StopReason::Epochs;
        }
    };
    let history = History { monitor, epochs, best_epoch: best.1, stop };
    observer.observe(&Event::Stopped { history: &history });
    Ok(Fitted { network: best.2, history })
}

/// The loss of `network` on `data`, with its row weights.
///
/// # Errors
///
/// [`TrainError::Width`].
pub fn evaluate_loss<N: Network>(network: &N, data: &Dataset, loss: Loss) -> Result<f64, TrainError> {
    let config = TrainConfig { loss: Some(loss), ..TrainConfig::default() };
    let data = Weighted::new(data, network, &config, None)?;
    data.judge(&network.valid(), loss, Metric::Loss)?.0.read(loss)
}

/// How long a number has not got better.
struct Progress {
    metric: Metric,
    best: f64,
    idle: usize,
}

impl Progress {
    fn new(metric: Metric) -> Self {
        Self { metric, best: f64::NAN, idle: 0 }
    }

    /// Epochs since `value` last got better by more than `delta`.
    fn advance(&mut self, value: f64, delta: f64) -> usize {
        if self.metric.better(value, self.best, delta) {
            self.best = value;
            self.idle = 0;
        } else {
            self.idle += 1;
        }
        self.idle
    }
}

/// Σ wᵢlᵢ and Σ wᵢ, still on the device.
struct Totals {
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
    fn read(self, loss: Loss) -> Result<f64, TrainError> {
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

fn read<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>, TrainError> {
    tensor.try_into_vec_as().map_err(|e| TrainError::Device(e.to_string()))
}

/// A data set whose row weights include its class weights.
struct Weighted {
    rows: usize,
    inputs: Tensor<2>,
    targets: Tensor<2>,
    weights: Option<Tensor<2>>,
    classes: Option<Tensor<1>>,
    units: Option<Vec<f32>>,
}

impl Weighted {
    /// Checks `data` against `network` and joins row and class weights; `classes` are those of the training set.
    fn new<N: Network>(
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
    fn judge<N: Network>(&self, network: &N, loss: Loss, metric: Metric) -> Result<(Totals, Option<f64>), TrainError> {
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
        let value = self.metric(read(Tensor::cat(outputs, 0))?, loss, metric)?;
        Ok((totals, Some(value)))
    }

    fn metric(&self, mut outputs: Vec<f32>, loss: Loss, metric: Metric) -> Result<f64, TrainError> {
        let columns = self.targets.dims()[1];
        let mut targets = read(self.targets.clone())?;
        let weights = self.weights.clone().map(read).transpose()?;
        if metric.is_of_classes() {
            let truth: Vec<u32> = match columns {
                1 => targets.iter().map(|&t| u32::from(t > 0.5)).collect(),
                _ => targets.chunks_exact(columns).map(|t| argmax(t) as u32).collect(),
            };
            let p = probabilities(&outputs, columns, loss);
            let m = ClassificationMetrics::of(&p, &truth, columns.max(2), weights.as_deref());
            return Ok(m.get(metric).unwrap_or(f64::NAN));
        }
        if let Some(units) = &self.units {
            for row in outputs.chunks_exact_mut(columns).chain(targets.chunks_exact_mut(columns)) {
                row.iter_mut().zip(units).for_each(|(x, unit)| *x *= unit);
            }
        }
        let m = RegressionMetrics::of(&outputs, &targets, columns, weights.as_deref());
        Ok(m.get(metric).unwrap_or(f64::NAN))
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
                let grads = GradientsParams::from_grads(objective.backward(), &network);
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
