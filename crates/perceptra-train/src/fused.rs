//! The engine for dense networks on the CPU: explicit backpropagation in fused kernels.

use perceptra_kernel as kernel;
use perceptra_nn::{FeedForward, Loss, host};

use crate::choices::{Engine, Factors, Optimizer, Reduction};
use crate::config::{StepSettings, TrainConfig};
use crate::engine::{self, EngineRun, EpochResult, Judged, Plan, Until};
use crate::error::TrainError;
use crate::metrics::{Metric, monitored};
use crate::network::Network;
use crate::schedule::Schedules;
use crate::state::{TrainState, record, with_weights};
use crate::threads::{has_own_memory, threads};
use crate::weighted::{Weighted, read};

/// A training run of a dense network on the CPU.
pub(crate) struct Fused<'a, N> {
    network: N,
    trainer: kernel::Trainer,
    config: &'a TrainConfig,
    loss: Loss,
    reduction: Reduction,
    monitor: Metric,
    schedules: Schedules,
    train: Option<Rows>,
    validation: Option<Rows>,
    steps: usize,
    batch: usize,
    /// Number of batch-ensemble members with batches of their own; 1 where members share batches.
    orders: usize,
    /// Whether the network has the NTK parametrization.
    ntk: bool,
    totals: kernel::Totals,
    outputs: Vec<f32>,
    best: Vec<f32>,
}

/// Rows in the host's memory, with weights that include the class weights.
#[expect(clippy::struct_field_names, reason = "`rows` is their number")]
struct Rows {
    rows: usize,
    inputs: Vec<f32>,
    targets: Vec<f32>,
    weights: Option<Vec<f32>>,
    target_scales: Option<Vec<f32>>,
}

impl Rows {
    fn new(data: &Weighted) -> Result<Self, TrainError> {
        Ok(Self {
            rows: data.rows,
            inputs: read(data.inputs.clone())?,
            targets: read(data.targets.clone())?,
            weights: data.weights.clone().map(read).transpose()?,
            target_scales: data.target_scales.clone(),
        })
    }

    fn data(&self) -> kernel::Data<'_> {
        kernel::Data { inputs: &self.inputs, targets: &self.targets, weights: self.weights.as_deref() }
    }
}

/// The kernel's update rule; `None` for optimizers that it does not have.
fn rule(optimizer: Optimizer, momentum: f64, nesterov: bool) -> Option<kernel::UpdateRule> {
    let momentum = momentum as f32;
    Some(match optimizer {
        Optimizer::Sgd => kernel::UpdateRule::Sgd { momentum, nesterov },
        Optimizer::Adam => kernel::UpdateRule::Adam,
        Optimizer::AdamW => kernel::UpdateRule::AdamW,
        Optimizer::RmsProp => kernel::UpdateRule::RmsProp { momentum },
        Optimizer::AdaGrad => kernel::UpdateRule::AdaGrad,
        Optimizer::Lion => kernel::UpdateRule::Lion,
        Optimizer::Adan | Optimizer::Lamb | Optimizer::Adafactor | Optimizer::Muon => return None,
    })
}

fn loss_of(loss: Loss) -> kernel::Loss {
    match loss {
        Loss::MeanSquared => kernel::Loss::MeanSquared,
        Loss::HalfSumSquared => kernel::Loss::HalfSumSquared,
        Loss::MeanAbsolute => kernel::Loss::MeanAbsolute,
        Loss::Huber { delta } => kernel::Loss::Huber(delta as f32),
        Loss::BinaryCrossEntropy => kernel::Loss::BinaryCrossEntropy,
        Loss::CategoricalCrossEntropy => kernel::Loss::CategoricalCrossEntropy,
    }
}

/// `value` times the factors of the kernel's groups of parameters, which has no normalizations.
fn per_group(factors: &Factors, value: f64) -> kernel::PerGroup<f64> {
    let Factors { weight, bias, norm: _, embedding, input_scale, activation, member } = *factors;
    kernel::PerGroup {
        weight: weight * value,
        bias: bias * value,
        embedding: embedding * value,
        input_scale: input_scale * value,
        activation: activation * value,
        member: member * value,
    }
}

/// The network and the run described in the kernel's types, or why the kernel does not support them.
fn description(
    network: &FeedForward,
    plan: &Plan<'_>,
) -> Result<(Vec<kernel::Layer>, kernel::Extras, kernel::Settings), String> {
    let StepSettings {
        loss,
        reduction,
        optimizer,
        lr_factors,
        betas,
        momentum,
        nesterov,
        weight_decay,
        decay_factors,
        l1,
        l2,
        clip_norm,
        clip_value,
        seed,
        // Honored by `Schedules`, step by step.
        learning_rate: _,
        schedule: _,
        decay_schedule: _,
        dropout_schedule: _,
    } = plan.config.step_settings();
    let (layers, extras) = host::describe(network, loss.takes_logits())?;
    let settings = kernel::Settings {
        loss: loss_of(loss),
        sum: reduction == Reduction::Sum,
        rule: rule(optimizer, momentum, nesterov).ok_or_else(|| format!("it has no optimizer {}", optimizer.name()))?,
        batch: plan.batch,
        share_batches: plan.orders == 1,
        dropout: network.dropout(),
        seed,
        betas: betas.map(|b| b as f32),
        rates: per_group(lr_factors, 1.0),
        decay: per_group(decay_factors, weight_decay),
        l1,
        l2,
        clip_value,
        clip_norm,
        instructions: None,
    };
    settings.check(&layers, &extras).map_err(|e| e.to_string())?;
    Ok((layers, extras, settings))
}

impl<'a, N: Network> Fused<'a, N> {
    /// Why this engine does not support the run; `None` if it does.
    pub(crate) fn obstacle(network: &N, plan: &Plan<'_>) -> Option<String> {
        let Some(dense) = network.as_feed_forward() else {
            return Some("the network is not a FeedForward".to_owned());
        };
        if has_own_memory(&plan.device) {
            return Some("the device is not the CPU".to_owned());
        }
        description(dense, plan).err().or_else(|| host::untrained(dense).map(str::to_owned))
    }

    /// Starts a run that has no [`Fused::obstacle`].
    pub(crate) fn new(network: N, plan: &Plan<'a>) -> Result<Self, TrainError> {
        let config = plan.config;
        let (loss, reduction) = config.objective();
        let impossible = || TrainError::Engine { obstacle: "the network is not a FeedForward".to_owned() };
        let dense = network.as_feed_forward().ok_or_else(impossible)?;
        let unsupported = |obstacle| TrainError::Engine { obstacle };
        let (layers, extras, settings) = description(dense, plan).map_err(unsupported)?;
        let mut trainer = kernel::Trainer::new(&layers, &extras, settings, threads())
            .map_err(|e: kernel::Unsupported| unsupported(e.to_string()))?;
        host::set_weights(dense, |part, values| trainer.set(part, values))?;
        let mut best = Vec::new();
        trainer.save(&mut best, None);
        Ok(Self {
            trainer,
            config,
            loss,
            reduction,
            monitor: plan.monitor,
            schedules: Schedules::new(config, plan.steps.saturating_mul(config.epochs)),
            train: plan.train.map(Rows::new).transpose()?,
            validation: plan.validation.map(Rows::new).transpose()?,
            steps: plan.steps,
            batch: plan.batch,
            orders: plan.orders,
            ntk: extras.ntk,
            totals: kernel::Totals::default(),
            outputs: Vec::new(),
            best,
            network,
        })
    }

    /// The network with the trainer's weights.
    fn trained(&mut self) -> N {
        let mut network = self.network.valid();
        if let Some(dense) = network.as_feed_forward_mut() {
            host::get_weights(dense, |part| self.trainer.get(part));
        }
        network
    }

    /// Loads the weights of the network from Burn's `record` into the trainer.
    fn set(&mut self, record: &[u8]) -> Result<(), TrainError> {
        let network = with_weights(self.network.valid(), record)?;
        match network.as_feed_forward() {
            Some(dense) => Ok(host::set_weights(dense, |part, values| self.trainer.set(part, values))?),
            None => Err(TrainError::Resume("the network is not a FeedForward".to_owned())),
        }
    }
}

impl<N: Network> EngineRun<N> for Fused<'_, N> {
    fn begin(&mut self) {
        self.totals = kernel::Totals::default();
    }

    fn scale_rate(&mut self, factor: f64) {
        self.schedules.scale_rate(factor);
    }

    fn pass(&mut self, block: Option<&Weighted>, draw: u32, until: &Until<'_>) -> Result<EpochResult, TrainError> {
        let block = block.map(Rows::new).transpose()?;
        let rows = block.as_ref().or(self.train.as_ref()).ok_or(TrainError::Empty("training"))?;
        let order = engine::order(self.config, rows.rows, self.batch, self.orders, draw);
        let steps = order.len().div_ceil(self.batch * self.orders);
        let rates: Vec<kernel::StepRates> = (0..steps).map(|_| self.schedules.next()).collect();
        let totals = self.trainer.epoch(&rows.data(), &order, draw, &|step| rates[step], Some(&|| until.should_stop()));
        self.totals.loss += totals.loss;
        self.totals.weight += totals.weight;
        self.totals.steps += totals.steps;
        let last = rates.get(totals.steps.saturating_sub(1));
        Ok(EpochResult { rate: last.map_or(0.0, |m| m.rate), steps: totals.steps, whole: totals.steps == steps })
    }

    fn judge(&mut self) -> Result<Judged, TrainError> {
        let train_loss = self.reduction.reduce(self.totals.loss, self.totals.weight);
        let finite = self.trainer.is_finite();
        let Some(data) = &self.validation else {
            return Ok(Judged { train_loss, validation_loss: None, monitored: None, finite });
        };
        let dense = self.network.as_feed_forward();
        let logits = self.loss.takes_logits();
        let joined = |outputs: &mut Vec<f32>| {
            if let Some(dense) = dense {
                host::average_members(outputs, dense, logits);
            }
        };
        let totals = self.trainer.evaluate(&data.data(), &mut self.outputs, joined);
        let value = (self.monitor != Metric::Loss).then(|| {
            let (outputs, columns) = (self.outputs.clone(), data.targets.len() / data.rows);
            let (weights, scales) = (data.weights.as_deref(), data.target_scales.as_deref());
            monitored(outputs, &data.targets, columns, weights, scales, self.loss, self.monitor)
        });
        Ok(Judged {
            train_loss,
            validation_loss: Some(self.reduction.reduce(totals.loss, totals.weight)),
            monitored: value,
            finite,
        })
    }

    fn keep(&mut self) {
        self.trainer.save(&mut self.best, None);
    }

    fn state(&mut self) -> Result<TrainState, TrainError> {
        let network = record(&self.trained())?;
        let (mut weights, mut remembered) = (Vec::new(), Vec::new());
        let step = self.trainer.save(&mut weights, Some(&mut remembered));
        self.trainer.restore(&self.best, None);
        let best = record(&self.trained());
        self.trainer.restore(&weights, None);
        let mut optimizer = step.to_le_bytes().to_vec();
        optimizer.extend(remembered.iter().flat_map(|x| x.to_le_bytes()));
        if self.ntk {
            // The record has the kernel's weights divided by their gain; multiplied by it again, they would not be the same to the bit.
            optimizer.extend(weights.iter().chain(&self.best).flat_map(|x| x.to_le_bytes()));
        }
        Ok(TrainState { engine: Engine::Fused, epochs: Vec::new(), network, best: best?, optimizer })
    }

    fn resume(&mut self, state: &TrainState) -> Result<(), TrainError> {
        self.set(&state.best)?;
        self.keep();
        self.set(&state.network)?;
        let (words, rest) = state.optimizer.as_chunks::<4>();
        let (step, remembered) = words.split_first().unwrap_or((&[0; 4], &[]));
        let mut remembered: Vec<f32> = remembered.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        let mut weights = Vec::new();
        self.trainer.save(&mut weights, None);
        if self.ntk && remembered.len() >= 2 * self.best.len() {
            let n = self.best.len();
            self.best = remembered.split_off(remembered.len() - n);
            weights = remembered.split_off(remembered.len() - n);
        }
        if !rest.is_empty() || !self.trainer.restore(&weights, Some((&remembered, i32::from_le_bytes(*step)))) {
            let n = state.optimizer.len();
            return Err(TrainError::Resume(format!("the optimizer's state of {n} bytes does not fit the network")));
        }
        self.schedules.skip(state.epochs.len() * self.steps);
        Ok(())
    }

    fn best(mut self: Box<Self>) -> N {
        self.trainer.restore(&self.best, None);
        self.trained()
    }
}
