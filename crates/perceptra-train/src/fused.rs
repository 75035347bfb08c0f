//! The engine for dense networks on the CPU: the formulas of backpropagation in fused kernels.

use std::cell::Cell;
use std::sync::OnceLock;

use burn::module::Module;
use burn::tensor::{DType, Tensor, TensorData};
use perceptra_kernel as kernel;
use perceptra_nn::{Activation, Column, EmbeddingTensor, FeedForward, Group, Layer, Loss, NumberEmbedding, Role};

use crate::engine::{self, Judged, Plan, Running, Until};
use crate::metrics::monitored;
use crate::optimizer::{Course, Moment};
use crate::state::{record, with_weights};
use crate::weighted::{EVALUATE, Weighted, read};
use crate::{Engine, Metric, Network, Optimizer, Pass, Reduction, TrainConfig, TrainError, TrainState};

/// A dense network in training on the CPU.
pub(crate) struct Fused<'a, N> {
    network: N,
    trainer: kernel::DenseTrainer,
    config: &'a TrainConfig,
    loss: Loss,
    reduction: Reduction,
    monitor: Metric,
    course: Course,
    train: Option<Rows>,
    validation: Option<Rows>,
    steps: usize,
    batch: usize,
    /// Members that have batches of their own, else 1.
    orders: usize,
    totals: kernel::Totals,
    outputs: Vec<f32>,
    best: Vec<f32>,
}

/// Rows in the host's memory, their weights those of the rows and of their classes.
struct Rows {
    rows: usize,
    inputs: Vec<f32>,
    targets: Vec<f32>,
    weights: Option<Vec<f32>>,
    units: Option<Vec<f32>>,
}

impl Rows {
    fn new(data: &Weighted) -> Result<Self, TrainError> {
        Ok(Self {
            rows: data.rows,
            inputs: read(data.inputs.clone())?,
            targets: read(data.targets.clone())?,
            weights: data.weights.clone().map(read).transpose()?,
            units: data.units.clone(),
        })
    }

    fn data(&self) -> kernel::Data<'_> {
        kernel::Data { inputs: &self.inputs, targets: &self.targets, weights: self.weights.as_deref() }
    }
}

/// The same activation in the kernel; none for softmax, which is not of one number.
fn activation(f: Activation) -> Option<kernel::Activation> {
    Some(match f {
        Activation::Identity => kernel::Activation::Identity,
        Activation::Step => kernel::Activation::Step,
        Activation::Sign => kernel::Activation::Sign,
        Activation::Sigmoid => kernel::Activation::Sigmoid,
        Activation::Tanh => kernel::Activation::Tanh,
        Activation::Relu => kernel::Activation::Relu,
        Activation::LeakyRelu => kernel::Activation::LeakyRelu,
        Activation::Elu => kernel::Activation::Elu,
        Activation::Selu => kernel::Activation::Selu,
        Activation::Gelu => kernel::Activation::Gelu,
        Activation::Silu => kernel::Activation::Silu,
        Activation::Mish => kernel::Activation::Mish,
        Activation::Softplus => kernel::Activation::Softplus,
        Activation::Dendritic => kernel::Activation::Dendritic,
        Activation::Softmax => return None,
    })
}

/// The activation of each layer as the loss sees it: without a sigmoid or softmax where it takes logits.
fn activations(network: &FeedForward, loss: Loss) -> Option<Vec<kernel::Activation>> {
    let last = network.layers().len().checked_sub(1)?;
    let of = |(i, f): (usize, Activation)| match f {
        Activation::Sigmoid | Activation::Softmax if i == last && loss.takes_logits() => {
            Some(kernel::Activation::Identity)
        }
        f => activation(f),
    };
    network.layers().iter().map(|layer| layer.activation).enumerate().map(of).collect()
}

fn rule(config: &TrainConfig) -> Option<kernel::Rule> {
    let momentum = config.momentum as f32;
    Some(match config.optimizer {
        Optimizer::Sgd => kernel::Rule::Sgd { momentum, nesterov: config.nesterov },
        Optimizer::Adam => kernel::Rule::Adam,
        Optimizer::AdamW => kernel::Rule::AdamW,
        Optimizer::RmsProp => kernel::Rule::RmsProp { momentum },
        Optimizer::AdaGrad => kernel::Rule::AdaGrad,
        Optimizer::Lion => kernel::Rule::Lion,
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

thread_local! {
    /// The most threads that trainings begun on this one may take.
    static LIMIT: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// Calls `f`, in which the fused engine takes at most so many threads: where several networks are trained at once, each by
/// a thread of its own. The numbers do not depend on it.
pub fn with_threads<T>(threads: usize, f: impl FnOnce() -> T) -> T {
    struct Restore(usize);
    impl Drop for Restore {
        fn drop(&mut self) {
            LIMIT.set(self.0);
        }
    }
    let _restore = Restore(LIMIT.replace(threads.max(1)));
    f()
}

/// Threads to compute with: `RAYON_NUM_THREADS`, which Burn's CPU backends obey too, or as many as there are; no more than
/// [`with_threads`] allows.
pub fn threads() -> usize {
    // Asked once: the answer takes several files of the system, which is longer than a small network trains.
    static THREADS: OnceLock<usize> = OnceLock::new();
    let all = THREADS.get_or_init(|| {
        let asked = std::env::var("RAYON_NUM_THREADS").ok().and_then(|n| n.parse().ok()).filter(|&n| n > 0);
        asked.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
    });
    LIMIT.get().min(*all)
}

/// What a network has besides dense layers, as the kernel has it.
fn parts(network: &FeedForward) -> kernel::Parts {
    let stem = network.embedding().cloned().map(|config| kernel::Stem {
        columns: config
            .columns
            .iter()
            .map(|column| match column {
                Column::Number => kernel::Column::Number,
                Column::Plain => kernel::Column::Plain,
                Column::Category(n) => kernel::Column::Category(*n),
            })
            .collect(),
        numbers: match config.numbers {
            NumberEmbedding::None => kernel::Numbers::Plain,
            NumberEmbedding::Periodic { frequencies, width, .. } => kernel::Numbers::Periodic(frequencies, width),
            NumberEmbedding::PiecewiseLinear { edges, width } => kernel::Numbers::PiecewiseLinear(edges, width),
        },
        category_width: config.category_width,
    });
    kernel::Parts {
        stem,
        input_scale: network.parameter(Role::InputScale).is_some(),
        parametric: (0..network.layers().len()).any(|i| network.parameter(Role::Alpha(i)).is_some()),
        members: network.members(),
        ntk: network.is_ntk(),
    }
}

/// The kernel's trainer with the weights of `network`, which has these activations.
fn trainer(
    network: &FeedForward,
    activations: Vec<kernel::Activation>,
    settings: kernel::Settings,
) -> Result<kernel::DenseTrainer, TrainError> {
    let layers = network.layers().iter().zip(network.widths()).zip(activations);
    let layers = layers.map(|((layer, (inputs, outputs)), activation)| kernel::Layer {
        inputs,
        outputs,
        bias: layer.linear.bias.is_some(),
        activation,
    });
    let mut trainer =
        kernel::DenseTrainer::with_parts(&layers.collect::<Vec<_>>(), &parts(network), settings, threads());
    set_weights(&mut trainer, network)?;
    Ok(trainer)
}

/// What weights are multiplied by on their way to the kernel.
fn gain(network: &FeedForward, layer: usize) -> f32 {
    if network.is_ntk() { (network.widths()[layer].0 as f64).sqrt().recip() as f32 } else { 1.0 }
}

/// Gives the trainer the weights of `network`.
fn set_weights(trainer: &mut kernel::DenseTrainer, network: &FeedForward) -> Result<(), TrainError> {
    let values = |role: Role| network.parameter(role).map(|p| read(p.values().inner())).transpose();
    for i in 0..network.layers().len() {
        let (mut weight, bias) = (values(Role::Weight(i))?.unwrap_or_default(), values(Role::Bias(i))?);
        let gain = gain(network, i);
        weight.iter_mut().for_each(|w| *w *= gain);
        trainer.set_layer(i, &weight, &bias.unwrap_or_default());
    }
    for parameter in network.parameters() {
        if let Some(part) = kernel_part(parameter.role, network) {
            trainer.set_part(part, &read(parameter.values().inner())?);
        }
    }
    Ok(())
}

/// The kernel's name of a tensor; none for weights and biases, which it takes by layers, and for normalizations, which it has not.
fn kernel_part(role: Role, network: &FeedForward) -> Option<kernel::Part> {
    Some(match role {
        Role::Embedding(tensor) => kernel::Part::Embedding(match tensor {
            EmbeddingTensor::PeriodicWeight | EmbeddingTensor::PiecewiseWeight => 0,
            EmbeddingTensor::PeriodicPhase | EmbeddingTensor::PiecewiseBias => 1,
            EmbeddingTensor::PeriodicOutput | EmbeddingTensor::PiecewiseOutput => 2,
            EmbeddingTensor::PeriodicBias => 3,
            EmbeddingTensor::Category(i) => {
                let has = |tensor| network.parameter(Role::Embedding(tensor)).is_some();
                // Behind the tensors of numbers.
                match (has(EmbeddingTensor::PeriodicWeight), has(EmbeddingTensor::PiecewiseWeight)) {
                    (true, _) => 4 + i,
                    (_, true) => 3 + i,
                    (false, false) => i,
                }
            }
        }),
        Role::InputScale => kernel::Part::In(0),
        Role::Alpha(i) => kernel::Part::Mix(i),
        Role::R(i) => kernel::Part::In(i),
        Role::S(i) => kernel::Part::Out(i),
        Role::Weight(_) | Role::Bias(_) => return None,
        Role::Gamma(_) | Role::Beta(_) | Role::RunningMean(_) | Role::RunningVariance(_) => return None,
    })
}

/// The outputs of several members as one: `[members, rows, outputs]` to `[rows, outputs]`, with `logits` those of the average of
/// their probabilities.
fn join(outputs: &mut Vec<f32>, network: &FeedForward, logits: bool) {
    let (members, m, g) = (network.members(), network.outputs(), network.output_activation());
    let n = outputs.len() / members;
    let lines = |i: usize| outputs.iter().skip(i).step_by(n).map(|x| f64::from(*x));
    let log_sum = |values: &[f64]| {
        let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        most + values.iter().map(|x| (x - most).exp()).sum::<f64>().ln()
    };
    let softplus = |z: f64| z.max(0.0) + (-z.abs()).exp().ln_1p();
    let joined: Vec<f32> = match g {
        Activation::Softmax if logits => {
            // Of each member, what makes its logits logarithms of probabilities.
            let sums: Vec<f64> = outputs
                .chunks_exact(m)
                .map(|row| log_sum(&row.iter().map(|z| f64::from(*z)).collect::<Vec<_>>()))
                .collect();
            let rows = n / m;
            let of = |i: usize| {
                let logs: Vec<f64> = lines(i).enumerate().map(|(k, z)| z - sums[k * rows + i / m]).collect();
                log_sum(&logs) as f32
            };
            (0..n).map(of).collect()
        }
        Activation::Sigmoid if logits => {
            let of = |i: usize| {
                let log = |sign: f64| log_sum(&lines(i).map(|z| -softplus(sign * z)).collect::<Vec<_>>());
                (log(-1.0) - log(1.0)) as f32
            };
            (0..n).map(of).collect()
        }
        _ => (0..n).map(|i| (lines(i).sum::<f64>() / members as f64) as f32).collect(),
    };
    *outputs = joined;
}

/// The outputs of a dense network for rows in the host's memory, as `loss` takes them: logits where it takes logits.
/// Computed by the fused engine's kernels where the network's device is the CPU.
///
/// # Shapes
///
/// - inputs: `[rows, inputs]`, row by row
/// - result: `[rows, outputs]`, row by row
///
/// # Errors
///
/// [`TrainError::Device`], and [`TrainError::Width`] if the numbers do not make rows.
pub fn outputs(network: &FeedForward, inputs: &[f32], loss: Loss) -> Result<Vec<f32>, TrainError> {
    let (n, m) = Network::shape(network).unwrap_or((1, 1));
    let rows = inputs.len() / n;
    if inputs.len() != rows * n {
        return Err(TrainError::Width { what: "inputs", network: n, data: inputs.len() - rows * n });
    }
    let device = network.layers()[0].linear.weight.val().device();
    let on_host = device.memory_pool_usage().is_none() && network.layers()[0].linear.weight.dtype() == DType::F32;
    if let Some(activations) = activations(network, loss).filter(|_| !has_norm(network) && on_host) {
        let settings = kernel::Settings {
            loss: loss_of(loss),
            sum: loss.is_sum(),
            rule: kernel::Rule::Sgd { momentum: 0.0, nesterov: false },
            batch: rows.clamp(1, PREDICT),
            own_rows: false,
            dropout: 0.0,
            seed: 0,
            betas: [0.9, 0.999],
            rates: [1.0; 6],
            decay: [0.0; 6],
            l1: 0.0,
            l2: 0.0,
            clip_value: None,
            clip_norm: None,
        };
        let mut values = vec![0.0; network.members() * rows * m];
        trainer(network, activations, settings)?.outputs(inputs, &mut values);
        if network.members() > 1 {
            join(&mut values, network, loss.takes_logits());
        }
        return Ok(values);
    }
    let network = network.valid();
    let mut values = Vec::with_capacity(rows * m);
    for chunk in inputs.chunks((EVALUATE / network.members()).max(1) * n) {
        let data = TensorData::new(chunk.to_vec(), [chunk.len() / n, n]);
        let pass = Pass { logits: loss.takes_logits(), dropout: None };
        values.extend(read(Network::forward(&network, Tensor::from_data(data, &device.clone().inner()), pass))?);
    }
    Ok(values)
}

/// Rows that the kernels take at once.
const PREDICT: usize = 512;

/// In the order of the kernel's.
const GROUPS: [Group; 6] =
    [Group::Weight, Group::Bias, Group::Embedding, Group::InputScale, Group::Activation, Group::Member];

fn has_norm(network: &FeedForward) -> bool {
    network.layers().iter().any(Layer::has_norm)
}

/// Why not all that the network has would be trained by the kernels, if so: frozen or other numbers, adapters.
fn untrained(dense: &FeedForward) -> Option<String> {
    // What is trained shows on the network in training; adapters show as more parameters than weights.
    let active = dense.clone().train();
    let device = active.layers().first()?.linear.weight.val().device();
    let tensors = active.parameters();
    let trained = tensors.iter().all(|p| p.is_trained() && p.dtype() == DType::F32);
    let weights: usize = tensors.iter().map(|p| p.shape().iter().product::<usize>()).sum();
    let parameters = active.num_params();
    // Burn's autodiff forgets parameters that no backward pass has reached at the next backward pass, of whatever: without one they would
    // stay for good.
    drop(tensors);
    drop(active);
    Tensor::<1>::ones([1], &device).require_grad().backward();
    if !trained {
        return Some("it trains all weights, as 32-bit numbers".to_owned());
    }
    (parameters != weights).then(|| "the network has parameters besides its weights and biases".to_owned())
}

impl<'a, N: Network> Fused<'a, N> {
    /// Why this engine cannot train `network` so, if it cannot.
    pub(crate) fn obstacle(network: &N, plan: &Plan<'_>) -> Option<String> {
        let Some(dense) = network.as_feed_forward() else {
            return Some("the network is not a FeedForward".to_owned());
        };
        // Devices with memory of their own report it.
        if plan.device.memory_pool_usage().is_some() {
            return Some("the device is not the CPU".to_owned());
        }
        if has_norm(dense) {
            return Some("it has no normalisation layers".to_owned());
        }
        let config = plan.config;
        if dense.members() > 1 && dense.parameter(Role::InputScale).is_some() {
            return Some("it has no input scale before several members".to_owned());
        }
        let widths = dense.widths();
        let aligned = widths[..widths.len() - 1].iter().all(|(_, m)| m.is_multiple_of(4));
        if dense.members() > 1 && dense.dropout() > 0.0 && !aligned {
            return Some("it drops units of several members by fours".to_owned());
        }
        let edited = config.l1 > 0.0 || config.l2 > 0.0 || config.clip_norm.or(config.clip_value).is_some();
        let coupled = config.weight_decay > 0.0 && !matches!(config.optimizer, Optimizer::AdamW | Optimizer::Lion);
        if dense.is_ntk() && (edited || coupled) {
            return Some("it has no penalties, clipping or coupled decay in the NTK parametrisation".to_owned());
        }
        if let Some(obstacle) = untrained(dense) {
            return Some(obstacle);
        }
        if activations(dense, plan.loss).is_none() {
            return Some(format!("it has no softmax under the loss {}", plan.loss));
        }
        rule(plan.config).is_none().then(|| format!("it has no optimiser {}", plan.config.optimizer.name()))
    }

    /// Takes over a network without [`Fused::obstacle`]s.
    pub(crate) fn new(network: N, plan: &Plan<'a>) -> Result<Self, TrainError> {
        let config = plan.config;
        let impossible = || TrainError::Engine { obstacle: "the network is not a FeedForward".to_owned() };
        let dense = network.as_feed_forward().ok_or_else(impossible)?;
        let activations = activations(dense, plan.loss).ok_or_else(impossible)?;
        let settings = kernel::Settings {
            loss: loss_of(plan.loss),
            sum: config.reduction_of(plan.loss) == Reduction::Sum,
            rule: rule(config).ok_or_else(impossible)?,
            batch: plan.batch,
            own_rows: plan.orders > 1,
            dropout: dense.dropout(),
            seed: config.seed,
            betas: config.betas.map(|b| b as f32),
            rates: GROUPS.map(|group| config.lr_factors.of(group)),
            decay: GROUPS.map(|group| config.decay_factors.of(group) * config.weight_decay),
            l1: config.l1,
            l2: config.l2,
            clip_value: config.clip_value,
            clip_norm: config.clip_norm,
        };
        let mut trainer = trainer(dense, activations, settings)?;
        let mut best = Vec::new();
        trainer.save(&mut best);
        Ok(Self {
            trainer,
            config,
            loss: plan.loss,
            reduction: config.reduction_of(plan.loss),
            monitor: plan.monitor,
            course: Course::new(config, plan.steps.saturating_mul(config.epochs)),
            train: plan.train.map(Rows::new).transpose()?,
            validation: plan.validation.map(Rows::new).transpose()?,
            steps: plan.steps,
            batch: plan.batch,
            orders: plan.orders,
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
            for i in 0..dense.layers().len() {
                let gain = gain(dense, i);
                let (mut weight, bias) = self.trainer.layer(i);
                weight.iter_mut().for_each(|w| *w /= gain);
                dense.set_values(Role::Weight(i), weight);
                if dense.parameter(Role::Bias(i)).is_some() {
                    dense.set_values(Role::Bias(i), bias);
                }
            }
            let roles: Vec<Role> = dense.parameters().iter().map(|p| p.role).collect();
            for role in roles {
                if let Some(part) = kernel_part(role, dense) {
                    dense.set_values(role, self.trainer.part(part));
                }
            }
        }
        network
    }

    fn is_ntk(&self) -> bool {
        self.network.as_feed_forward().is_some_and(FeedForward::is_ntk)
    }

    /// Gives the trainer the weights of a record of the network.
    fn set(&mut self, record: &[u8]) -> Result<(), TrainError> {
        let network = with_weights(self.network.valid(), record)?;
        match network.as_feed_forward() {
            Some(dense) => set_weights(&mut self.trainer, dense),
            None => Err(TrainError::Resume("the network is not a FeedForward".to_owned())),
        }
    }
}

/// The loss of summed rows.
fn reduced(totals: kernel::Totals, reduction: Reduction) -> f64 {
    match totals.weight {
        _ if reduction == Reduction::Sum => totals.loss,
        weight if weight > 0.0 => totals.loss / weight,
        _ => 0.0,
    }
}

impl<N: Network> Running<N> for Fused<'_, N> {
    fn begin(&mut self) {
        self.totals = kernel::Totals::default();
    }

    fn slow(&mut self, factor: f64) {
        self.course.plateau = factor;
    }

    fn pass(&mut self, block: Option<&Weighted>, draw: u32, until: &Until<'_>) -> Result<engine::Pass, TrainError> {
        let block = block.map(Rows::new).transpose()?;
        let rows = block.as_ref().or(self.train.as_ref()).ok_or(TrainError::Empty("training"))?;
        let order = engine::order(self.config, rows.rows, self.batch, self.orders, draw);
        let steps = order.len().div_ceil(self.batch * self.orders);
        let moments: Vec<Moment> = (0..steps).map(|_| self.course.next()).collect();
        let moment = |step: usize| {
            let Moment { rate, decay, dropout } = moments[step];
            kernel::Moment { rate, decay, dropout }
        };
        let totals = self.trainer.epoch(&rows.data(), &order, draw, &moment, Some(&|| until.reached()));
        self.totals.loss += totals.loss;
        self.totals.weight += totals.weight;
        self.totals.steps += totals.steps;
        let last = moments.get(totals.steps.saturating_sub(1));
        Ok(engine::Pass { rate: last.map_or(0.0, |m| m.rate), whole: totals.steps == steps })
    }

    fn judge(&mut self) -> Result<Judged, TrainError> {
        let train_loss = reduced(self.totals, self.reduction);
        let finite = self.trainer.is_finite();
        let Some(data) = &self.validation else {
            return Ok(Judged { train_loss, validation_loss: None, monitored: None, finite });
        };
        let dense = self.network.as_feed_forward();
        let logits = self.loss.takes_logits();
        let joined = |outputs: &mut Vec<f32>| {
            if let Some(dense) = dense {
                join(outputs, dense, logits);
            }
        };
        let totals = self.trainer.evaluate(&data.data(), &mut self.outputs, joined);
        let value = (self.monitor != Metric::Loss).then(|| {
            let (outputs, columns) = (self.outputs.clone(), data.targets.len() / data.rows);
            let (weights, units) = (data.weights.as_deref(), data.units.as_deref());
            monitored(outputs, &data.targets, columns, weights, units, self.loss, self.monitor)
        });
        Ok(Judged { train_loss, validation_loss: Some(reduced(totals, self.reduction)), monitored: value, finite })
    }

    fn keep(&mut self) {
        self.trainer.save(&mut self.best);
    }

    fn state(&mut self) -> Result<TrainState, TrainError> {
        let network = record(&self.trained())?;
        let (mut weights, mut remembered) = (Vec::new(), Vec::new());
        self.trainer.save(&mut weights);
        self.trainer.restore(&self.best);
        let best = record(&self.trained());
        self.trainer.restore(&weights);
        let step = self.trainer.save_rule(&mut remembered);
        let mut optimizer = step.to_le_bytes().to_vec();
        optimizer.extend(remembered.iter().flat_map(|x| x.to_le_bytes()));
        if self.is_ntk() {
            // Divided and multiplied again, weights would not be the same to the bit.
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
        if self.is_ntk() && remembered.len() >= 2 * self.best.len() {
            let n = self.best.len();
            self.best = remembered.split_off(remembered.len() - n);
            self.trainer.restore(&remembered.split_off(remembered.len() - n));
        }
        if !rest.is_empty() || !self.trainer.restore_rule(&remembered, i32::from_le_bytes(*step)) {
            let n = state.optimizer.len();
            return Err(TrainError::Resume(format!("the optimiser's state of {n} bytes does not fit the network")));
        }
        self.course.skip(state.epochs.len() * self.steps);
        Ok(())
    }

    fn best(mut self: Box<Self>) -> N {
        self.trainer.restore(&self.best);
        self.trained()
    }
}
