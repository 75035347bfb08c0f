//! The engine that is the definition of what is right: Burn's autodiff, for any network on any device.

use std::time::Instant;

use burn::optim::GradientsParams;
use burn::tensor::{Int, Tensor, TensorData};
use perceptra_nn::{DropoutDraw, Loss};
use perceptra_random::{Purpose, Stream};

use crate::engine::{Judged, Plan, Running};
use crate::optimizer::{edit_gradients, optimizer, schedule};
use crate::weighted::{Totals, Weighted};
use crate::{Metric, Network, Pass, TrainConfig, TrainError};

/// Rows gathered at once when an epoch's order is applied: as many numbers as this, in whole batches.
const GATHER: usize = 1 << 24;

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
