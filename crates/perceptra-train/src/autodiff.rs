//! The reference engine: Burn's autodiff, for any network on any device.

use std::sync::Arc;

use burn::module::{ModuleVisitor, Param};
use burn::optim::{GradientsParams, OptimizerRecord};
use burn::tensor::{Bytes, Int, Tensor, TensorData};
use perceptra_nn::{DropoutDraw, Loss};

use crate::choices::{Engine, Reduction};
use crate::config::{StepSettings, TrainConfig};
use crate::engine::{self, EngineRun, EpochResult, GATHER, Judged, Plan, Until};
use crate::error::TrainError;
use crate::metrics::Metric;
use crate::network::{ForwardMode, Network};
use crate::optimizer::{DecayShare, edit_gradients, optimizer};
use crate::schedule::Schedules;
use crate::state::{TrainState, record, with_weights};
use crate::weighted::{Totals, Weighted};

/// A training run by Burn's autodiff.
pub(crate) struct Autodiff<'a, N> {
    stepper: Stepper<'a>,
    /// The network in training; `None` only during a pass.
    network: Option<N>,
    train: Option<&'a Weighted>,
    validation: Option<&'a Weighted>,
    monitor: Metric,
    totals: Totals,
    /// The network after the last pass, without autodiff.
    snapshot: N,
    /// The network after the best epoch, without autodiff.
    best: N,
}

impl<'a, N: Network> Autodiff<'a, N> {
    pub(crate) fn new(network: N, plan: &Plan<'a>) -> Self {
        let StepSettings {
            loss,
            reduction,
            seed,
            // Honored by `optimizer`.
            optimizer: _,
            lr_factors: _,
            betas: _,
            momentum: _,
            nesterov: _,
            weight_decay: _,
            decay_factors: _,
            // Honored by `Schedules`; `optimizer` leaves out a decay that changes.
            learning_rate: _,
            schedule: _,
            decay_schedule: _,
            dropout_schedule: _,
            // Honored by `edit_gradients`.
            l1: _,
            l2: _,
            clip_norm: _,
            clip_value: _,
        } = plan.config.step_settings();
        let network = network.train();
        let decay = Arc::default();
        let stepper = Stepper {
            optimizer: optimizer(plan.config, &network, &decay),
            schedules: Schedules::new(plan.config, plan.steps.saturating_mul(plan.config.epochs)),
            decay,
            config: plan.config,
            loss,
            reduction,
            seed,
            batch: plan.batch,
            orders: plan.orders,
            steps: plan.steps,
        };
        let snapshot = network.valid();
        Self {
            stepper,
            network: Some(network),
            train: plan.train,
            validation: plan.validation,
            monitor: plan.monitor,
            totals: Totals::none(&plan.device),
            best: snapshot.clone(),
            snapshot,
        }
    }
}

impl<N: Network> EngineRun<N> for Autodiff<'_, N> {
    fn begin(&mut self) {
        self.totals = self.totals.cleared();
    }

    fn scale_rate(&mut self, factor: f64) {
        self.stepper.schedules.scale_rate(factor);
    }

    fn pass(&mut self, block: Option<&Weighted>, draw: u32, until: &Until<'_>) -> Result<EpochResult, TrainError> {
        // Both are always present: the network is put back below, and a run without training rows is given blocks.
        let (Some(network), Some(rows)) = (self.network.take(), block.or(self.train)) else {
            return Err(TrainError::Empty("training"));
        };
        let (network, pass) = self.stepper.pass(network, rows, &mut self.totals, draw, until);
        self.snapshot = network.valid();
        self.network = Some(network);
        Ok(pass)
    }

    fn judge(&mut self) -> Result<Judged, TrainError> {
        let (loss, reduction) = (self.stepper.loss, self.stepper.reduction);
        // Everything is launched before the first result is read.
        let judged = self.validation.map(|data| data.judge(&self.snapshot, loss, self.monitor)).transpose()?;
        let mut sums = Sums(Vec::new());
        self.snapshot.visit(&mut sums);
        let (train_loss, sums) = self.totals.clone().read_with(reduction, sums.0)?;
        let finite = sums.iter().all(|s| s.is_finite());
        Ok(match judged {
            None => Judged { train_loss, validation_loss: None, monitored: None, finite },
            Some((totals, monitored)) => {
                Judged { train_loss, validation_loss: Some(totals.read(reduction)?), monitored, finite }
            }
        })
    }

    fn keep(&mut self) {
        self.best = self.snapshot.clone();
    }

    fn state(&mut self) -> Result<TrainState, TrainError> {
        let optimizer = self.stepper.optimizer.into_bytes().map_err(|e| TrainError::Device(e.to_string()))?;
        Ok(TrainState {
            engine: Engine::Autodiff,
            epochs: Vec::new(),
            // Includes the parameters' ids, by which the optimizer's state refers to them.
            network: record(&self.snapshot)?,
            best: record(&self.best)?,
            optimizer: optimizer.to_vec(),
        })
    }

    fn resume(&mut self, state: &TrainState) -> Result<(), TrainError> {
        self.snapshot = with_weights(self.snapshot.clone(), &state.network)?;
        self.best = with_weights(self.best.clone(), &state.best)?;
        let network =
            with_weights(self.network.take().unwrap_or_else(|| self.snapshot.clone()).valid(), &state.network)?;
        let network = network.train();
        // A new optimizer, for the ids of the loaded parameters.
        let optimizer = optimizer(self.stepper.config, &network, &self.stepper.decay);
        let record = OptimizerRecord::from_bytes(Bytes::from_bytes_vec(state.optimizer.clone()))
            .map_err(|e| TrainError::Resume(e.to_string()))?;
        self.stepper.optimizer = optimizer.load_record(record);
        self.network = Some(network);
        self.stepper.schedules.skip(state.epochs.len() * self.stepper.steps);
        Ok(())
    }

    fn best(self: Box<Self>) -> N {
        self.best
    }
}

/// Collects the sum of each parameter, which is not finite if one of its values is not.
struct Sums(Vec<Tensor<1>>);

impl ModuleVisitor for Sums {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.push(param.val().inner().sum());
    }
}

/// The loss of each row, `[rows, 1]`. If `outputs` has several batch-ensemble members, `[members·rows, columns]`, it is the mean of their
/// losses.
pub(crate) fn each_member(loss: Loss, outputs: Tensor<2>, targets: Tensor<2>, members: usize) -> Tensor<2> {
    if members <= 1 {
        return loss.per_row(outputs, targets);
    }
    let rows = targets.dims()[0];
    let losses = loss.per_row(outputs, targets.repeat_dim(0, members));
    losses.reshape([members, rows]).mean_dim(0).reshape([rows, 1])
}

/// Makes the steps of an epoch.
struct Stepper<'a> {
    optimizer: burn::optim::ModuleOptimizer,
    schedules: Schedules,
    decay: Arc<DecayShare>,
    config: &'a TrainConfig,
    loss: Loss,
    reduction: Reduction,
    seed: u64,
    batch: usize,
    /// Number of batch-ensemble members with batches of their own; 1 where members share batches.
    orders: usize,
    /// Steps per epoch.
    steps: usize,
}

impl Stepper<'_> {
    /// Trains once on the rows, in the random order that `draw` selects.
    fn pass<N: Network>(
        &mut self,
        mut network: N,
        data: &Weighted,
        totals: &mut Totals,
        draw: u32,
        until: &Until<'_>,
    ) -> (N, EpochResult) {
        let device = data.inputs.device();
        let orders = self.orders;
        let order = engine::order(self.config, data.rows, self.batch, orders, draw);
        let width = data.inputs.dims()[1] + data.targets.dims()[1];
        let step = self.batch * orders;
        let gather = (GATHER / width / step).max(1) * step;
        let mut rate = self.config.learning_rate;
        let (mut left, mut steps) = (order.len(), 0);
        'epoch: for chunk in order.chunks(gather) {
            let indices = TensorData::new(chunk.iter().map(|&r| r as i32).collect::<Vec<_>>(), [chunk.len()]);
            let indices = Tensor::<1, Int>::from_data(indices, &device);
            let gathered = |t: &Tensor<2>| t.clone().select(0, indices.clone());
            let (inputs, targets) = (gathered(&data.inputs), gathered(&data.targets));
            let weights = data.weights.as_ref().map(gathered);
            for (i, rows) in chunk.chunks(step).enumerate() {
                let range = i * step..i * step + rows.len();
                let slice = |t: &Tensor<2>| {
                    if range.len() == chunk.len() { t.clone() } else { t.clone().slice(range.clone()) }
                };
                let rates = self.schedules.next();
                rate = rates.rate;
                self.decay.set(rates.decay);
                let (seed, part) = (self.seed, rates.dropout);
                let drops = DropoutDraw { seed, epoch: draw, rows, share_batches: orders == 1, part };
                let mode = ForwardMode { logits: self.loss.takes_logits(), dropout: Some(drops) };
                let outputs = network.forward(slice(&inputs), mode);
                let members = outputs.dims()[0] / rows.len();
                let per_row = each_member(self.loss, outputs, slice(&targets), members);
                let (sum, weight) = match weights.as_ref().map(slice) {
                    None => (per_row.sum(), None),
                    Some(w) => ((per_row * w.clone()).sum(), Some(w.sum())),
                };
                // The mean over the members; where they share batches, `each_member` has taken it already.
                let mean = |t: Tensor<1>| if orders == 1 { t } else { t / orders as f64 };
                let (sum, weight, count) = (mean(sum), weight.map(mean), rows.len() / orders);
                let objective = self.reduction.of(sum.clone(), weight.clone(), count);
                // Without a trainable parameter there is nothing to backpropagate through.
                let grads = match objective.is_tracked() {
                    true => GradientsParams::from_grads(objective.backward(), &network),
                    false => GradientsParams::new(),
                };
                let grads = edit_gradients(self.config, &network, grads);
                network = self.optimizer.step(rate, network, grads);
                *totals = totals.clone().add(sum.inner(), weight, count);
                left -= rows.len();
                steps += 1;
                if until.should_stop() {
                    break 'epoch;
                }
            }
        }
        (network, EpochResult { rate, steps, whole: left == 0 })
    }
}
