//! The engine that is the definition of what is right: Burn's autodiff, for any network on any device.

use std::sync::Arc;

use burn::module::{ModuleVisitor, Param};
use burn::optim::{GradientsParams, OptimizerRecord};
use burn::tensor::{Bytes, Int, Tensor, TensorData};
use perceptra_nn::{DropoutDraw, Loss};

use crate::engine::{self, Judged, Plan, Running, Until};
use crate::optimizer::{Course, Now, edit_gradients, optimizer};
use crate::state::{record, with_weights};
use crate::weighted::{Totals, Weighted};
use crate::{Engine, Metric, Network, Pass, Reduction, TrainConfig, TrainError, TrainState};

/// Rows gathered at once when an epoch's order is applied: as many numbers as this, in whole batches.
const GATHER: usize = 1 << 24;

/// A network in training by Burn's autodiff.
pub(crate) struct Autodiff<'a, N> {
    stepper: Stepper<'a>,
    /// Absent only while it is being changed.
    network: Option<N>,
    train: Option<&'a Weighted>,
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
        let now = Arc::default();
        let stepper = Stepper {
            optimizer: optimizer(plan.config, &network, &now),
            course: Course::new(plan.config, plan.steps.saturating_mul(plan.config.epochs)),
            now,
            config: plan.config,
            loss: plan.loss,
            reduction: plan.config.reduction_of(plan.loss),
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

impl<N: Network> Running<N> for Autodiff<'_, N> {
    fn begin(&mut self) {
        self.totals = self.totals.cleared();
    }

    fn slow(&mut self, factor: f64) {
        self.stepper.course.plateau = factor;
    }

    fn pass(&mut self, block: Option<&Weighted>, draw: u32, until: &Until<'_>) -> Result<engine::Pass, TrainError> {
        // Both are always there: the network is put back below, and a run without its own rows is given blocks.
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
        // All that is computed is read after the last of it is asked for.
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
            // With the numbers of the parameters, by which the optimiser knows them.
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
        // The optimiser is that of the new parameters: weights decay, others do not.
        let optimizer = optimizer(self.stepper.config, &network, &self.stepper.now);
        let record = OptimizerRecord::from_bytes(Bytes::from_bytes_vec(state.optimizer.clone()))
            .map_err(|e| TrainError::Resume(e.to_string()))?;
        self.stepper.optimizer = optimizer.load_record(record);
        self.network = Some(network);
        self.stepper.course.skip(state.epochs.len() * self.stepper.steps);
        Ok(())
    }

    fn best(self: Box<Self>) -> N {
        self.best
    }
}

/// The sum of each parameter: not finite if one of its numbers is not.
struct Sums(Vec<Tensor<1>>);

impl ModuleVisitor for Sums {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.push(param.val().inner().sum());
    }
}

/// The losses of rows `[rows]`, of several members their mean.
pub(crate) fn each_member(loss: Loss, outputs: Tensor<2>, targets: Tensor<2>, members: usize) -> Tensor<2> {
    if members <= 1 {
        return loss.per_row(outputs, targets);
    }
    let rows = targets.dims()[0];
    let losses = loss.per_row(outputs, targets.repeat_dim(0, members));
    losses.reshape([members, rows]).mean_dim(0).reshape([rows, 1])
}

/// Trains epochs.
struct Stepper<'a> {
    optimizer: burn::optim::ModuleOptimizer,
    course: Course,
    now: Arc<Now>,
    config: &'a TrainConfig,
    loss: Loss,
    reduction: Reduction,
    batch: usize,
    /// Members that have batches of their own, else 1.
    orders: usize,
    /// Steps of an epoch.
    steps: usize,
}

impl Stepper<'_> {
    /// One pass over the rows in a new order: the network, the last learning rate.
    fn pass<N: Network>(
        &mut self,
        mut network: N,
        data: &Weighted,
        totals: &mut Totals,
        draw: u32,
        until: &Until<'_>,
    ) -> (N, engine::Pass) {
        let device = data.inputs.device();
        let orders = self.orders;
        let order = engine::order(self.config, data.rows, self.batch, orders, draw);
        let width = data.inputs.dims()[1] + data.targets.dims()[1];
        let step = self.batch * orders;
        let gather = (GATHER / width / step).max(1) * step;
        let mut rate = self.config.learning_rate;
        let mut left = order.len();
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
                let moment = self.course.next();
                rate = moment.rate;
                self.now.set(moment.decay);
                let (seed, part) = (self.config.seed, moment.dropout);
                let drops = DropoutDraw { seed, epoch: draw, rows, share_batches: orders == 1, part };
                let pass = Pass { logits: self.loss.takes_logits(), dropout: Some(drops) };
                let outputs = network.forward(slice(&inputs), pass);
                let members = outputs.dims()[0] / rows.len();
                let per_row = each_member(self.loss, outputs, slice(&targets), members);
                let (sum, weight) = match weights.as_ref().map(slice) {
                    None => (per_row.sum(), None),
                    Some(w) => ((per_row * w.clone()).sum(), Some(w.sum())),
                };
                // Of members with rows of their own the mean, as of those that share them.
                let mean = |t: Tensor<1>| if orders == 1 { t } else { t / orders as f64 };
                let (sum, weight, count) = (mean(sum), weight.map(mean), rows.len() / orders);
                let objective = match (self.reduction == Reduction::Sum, &weight) {
                    (true, _) => sum.clone(),
                    (false, None) => sum.clone() / count as f64,
                    // A batch whose weights are all 0 changes nothing.
                    (false, Some(w)) => sum.clone() / w.clone().clamp_min(f32::MIN_POSITIVE),
                };
                // Where no weight is trained there is nothing to go back through.
                let grads = match objective.is_tracked() {
                    true => GradientsParams::from_grads(objective.backward(), &network),
                    false => GradientsParams::new(),
                };
                let grads = edit_gradients(self.config, &network, grads);
                network = self.optimizer.step(rate, network, grads);
                *totals = totals.clone().add(sum.inner(), weight, count);
                left -= rows.len();
                if until.reached() {
                    break 'epoch;
                }
            }
        }
        (network, engine::Pass { rate, whole: left == 0 })
    }
}
