//! Training many networks in one tensor program, for devices on which a launch costs more than the work of a small network.

use std::sync::atomic::AtomicBool;
use std::time::Instant;

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};
use perceptra_nn::{Activation, DropoutDraw, FeedForward, Loss};

use crate::choices::{Engine, Factors, Reduction, Schedule};
use crate::config::{BETAS, TrainConfig};
use crate::dataset::Dataset;
use crate::engine::{self, GATHER, Until};
use crate::error::TrainError;
use crate::fit::Fitted;
use crate::history::{Epoch, StopReason};
use crate::job::{FitJob, Indexed, IndexedResult};
use crate::metrics::{Metric, monitored};
use crate::network::Network;
use crate::pool::Pool;
use crate::progress::Progress;
use crate::rule::{Rule, Scales};
use crate::schedule::Schedules;
use crate::stack::Population;
use crate::weighted::{Weighted, read};

/// A member is padded to the size of its population's largest network, at most this many times its own number of parameters.
const PADDED: usize = 4;

/// A job whose network can be a member of a population.
struct Entry<'a, N> {
    /// Index of the job among all jobs.
    index: usize,
    job: FitJob<'a, N>,
    dense: FeedForward,
    train: Weighted,
    validation: Option<Weighted>,
    batch: usize,
}

/// The properties that all members of a population share.
#[derive(PartialEq)]
struct Kind {
    activations: Vec<Activation>,
    biases: Vec<bool>,
    /// Numbers of inputs and of outputs.
    ends: (usize, usize),
    loss: Loss,
    reduction: Reduction,
    rule: Rule,
    batch: usize,
    device: Device,
}

impl Kind {
    fn of<N>(entry: &Entry<'_, N>) -> Self {
        let config = &entry.job.config;
        let (loss, reduction) = config.objective();
        Self {
            activations: entry.dense.layers().iter().map(|l| l.activation).collect(),
            biases: entry.dense.layers().iter().map(|l| l.linear.bias.is_some()).collect(),
            ends: (entry.train.inputs.dims()[1], entry.train.targets.dims()[1]),
            loss,
            reduction,
            rule: Rule::of(config).unwrap_or(Rule::Sgd),
            batch: entry.batch,
            device: entry.train.inputs.device(),
        }
    }
}

/// Whether a population can train a job.
pub(crate) fn takes<N: Network>(job: &FitJob<'_, N>) -> bool {
    let Some(dense) = job.network.as_feed_forward() else { return false };
    let TrainConfig {
        // Settings that a population supports only with these values.
        lr_factors,
        betas,
        decay_factors,
        schedule,
        decay_schedule,
        dropout_schedule,
        engine,
        // Honored by `Rule` and `Scales`.
        optimizer: _,
        learning_rate: _,
        momentum: _,
        nesterov: _,
        weight_decay: _,
        l1: _,
        l2: _,
        clip_norm: _,
        clip_value: _,
        // Common to the members of a population: see `Kind`.
        loss: _,
        reduction: _,
        batch: _,
        // Honored by `Weighted` and `engine::order`; a plain network has no members that could share batches.
        class_weights: _,
        label_smoothing: _,
        drop_last: _,
        seed: _,
        share_batches: _,
        // Honored by the loop below and by `Progress`.
        epochs: _,
        patience: _,
        min_delta: _,
        last_best: _,
        monitor: _,
        target: _,
        no_progress: _,
        time_limit: _,
        // Settings of the schedule `plateau`, which is not supported.
        plateau_patience: _,
        plateau_factor: _,
    } = &job.config;
    let supported = (*lr_factors, *betas, *decay_factors) == (Factors::all(1.0), BETAS, Factors::weights_only())
        && *schedule != Schedule::Plateau
        && [*decay_schedule, *dropout_schedule] == [Schedule::Constant; 2]
        && *engine != Engine::Fused
        && Rule::of(&job.config).is_some();
    // Adapters and other additions show as more parameters.
    supported && dense.is_plain() && job.network.num_params() == dense.num_params()
}

/// Trains jobs that a population [`takes`]. Results are those of [`Fit`](crate::Fit) but for rounding.
pub(crate) fn fit_population<N: Network>(
    jobs: Vec<Indexed<'_, N>>,
    interrupt: Option<&AtomicBool>,
) -> Vec<IndexedResult<N>> {
    let (mut results, mut groups) = (Vec::new(), Vec::<(Kind, Vec<Entry<'_, N>>)>::new());
    let mut entries = Vec::new();
    for (index, job) in jobs {
        match entry(index, job) {
            Ok(entry) => entries.push(entry),
            Err(error) => results.push((index, Err(error))),
        }
    }
    // The largest networks first: smaller ones are padded to their widths.
    entries.sort_by_key(|e| (std::cmp::Reverse(e.dense.num_params()), e.index));
    for entry in entries {
        let kind = Kind::of(&entry);
        let own = entry.dense.num_params();
        let suits =
            |group: &(Kind, Vec<Entry<'_, N>>)| group.0 == kind && group.1[0].dense.num_params() <= PADDED * own;
        match groups.iter().position(suits) {
            Some(i) => groups[i].1.push(entry),
            None => groups.push((kind, vec![entry])),
        }
    }
    for (kind, entries) in groups {
        let indices: Vec<usize> = entries.iter().map(|e| e.index).collect();
        match Cohort::new(kind, entries).and_then(|cohort| cohort.train(interrupt)) {
            Ok(fitted) => results.extend(fitted),
            // The device failed for all members.
            Err(error) => results.extend(indices.into_iter().map(|index| (index, Err(error.clone())))),
        }
    }
    results
}

/// Prepares a job: its rows with their weights, its batch.
fn entry<N: Network>(index: usize, job: FitJob<'_, N>) -> Result<Entry<'_, N>, TrainError> {
    let config = &job.config;
    config.validate()?;
    let shape = job.network.shape();
    let train = Weighted::new(job.train, shape, config, None)?;
    let classes = train.classes.clone();
    let validation = job.validation.map(|data| Weighted::new(data, shape, config, classes)).transpose()?;
    let train = train.smoothed(config);
    let dense = job.network.valid().as_feed_forward().cloned();
    let dense = dense.ok_or_else(|| TrainError::Engine { obstacle: "the network is not a FeedForward".to_owned() })?;
    let batch = config.batch.size(train.rows);
    Ok(Entry { index, job, dense, train, validation, batch })
}

/// A member that is still in training.
struct Alive<N> {
    index: usize,
    network: N,
    config: TrainConfig,
    progress: Progress,
    monitor: Metric,
    schedules: Schedules,
    deadline: Option<Instant>,
    target_scales: Option<Vec<f32>>,
    /// The targets and weights of its validation rows; `None` if the loss is monitored.
    judged: Option<(Vec<f32>, Option<Vec<f32>>)>,
    /// The first row and the number of rows of its training rows in their pool; `validation` likewise.
    train: (usize, usize),
    validation: Option<(usize, usize)>,
    /// The number of its steps so far; `rate` is the learning rate of the last.
    steps: usize,
    rate: f64,
}

/// The members that are trained together.
struct Cohort<N> {
    kind: Kind,
    population: Population,
    alive: Vec<Alive<N>>,
    weights: Vec<Tensor<3>>,
    best: Vec<Tensor<3>>,
    /// The optimizer's state of each tensor of weights, such as both moments of Adam.
    memory: Vec<[Option<Tensor<3>>; 2]>,
    scales: Scales,
    train: Pool,
    validation: Option<Pool>,
}

/// The step settings of the members that are still in training.
fn scales<N>(kind: &Kind, alive: &[Alive<N>]) -> Scales {
    Scales::new(kind.rule, &alive.iter().map(|m| &m.config).collect::<Vec<_>>(), &kind.device)
}

/// Sums of an epoch's losses and of its row weights, `[members, 1, 1]` each, and the outputs for the validation rows, if a metric other
/// than the loss is monitored.
struct Sums {
    train: [Tensor<3>; 2],
    validation: Option<[Tensor<3>; 2]>,
    outputs: Option<Vec<f32>>,
}

impl<N: Network> Cohort<N> {
    fn new(kind: Kind, entries: Vec<Entry<'_, N>>) -> Result<Self, TrainError> {
        let dense: Vec<FeedForward> = entries.iter().map(|e| e.dense.clone()).collect();
        let population = Population::stack(&dense).map_err(|obstacle| TrainError::Engine { obstacle })?;
        let identity = |data: &Dataset| (std::ptr::from_ref(data).addr(), 0);
        let smoothed = |e: &Entry<'_, N>| e.job.config.label_smoothing.to_bits();
        let sets: Vec<_> = entries.iter().map(|e| (&e.train, (identity(e.job.train).0, smoothed(e)))).collect();
        let train = Pool::new(&sets);
        let sets = entries.iter().filter_map(|e| Some((e.validation.as_ref()?, identity(e.job.validation?))));
        let sets: Vec<_> = sets.collect();
        let validation = (!sets.is_empty()).then(|| Pool::new(&sets));
        let mut ranges = validation.iter().flat_map(|pool| pool.ranges.clone()).collect::<Vec<_>>().into_iter();
        let mut alive = Vec::new();
        for (entry, train) in entries.into_iter().zip(&train.ranges) {
            let config = entry.job.config;
            let monitor = config.monitored(entry.validation.is_some());
            let judged = match &entry.validation {
                Some(v) if monitor != Metric::Loss => {
                    Some((read(v.targets.clone())?, v.weights.clone().map(read).transpose()?))
                }
                _ => None,
            };
            let steps = config.steps(train.1, entry.batch);
            alive.push(Alive {
                index: entry.index,
                network: entry.job.network,
                progress: Progress::new(monitor, &config),
                monitor,
                schedules: Schedules::new(&config, steps.saturating_mul(config.epochs)),
                deadline: config.deadline(),
                target_scales: entry.validation.as_ref().and_then(|v| v.target_scales.clone()),
                judged,
                train: *train,
                validation: entry.validation.as_ref().and_then(|_| ranges.next()),
                steps: 0,
                rate: config.learning_rate,
                config,
            });
        }
        let weights = population.tensors();
        let memory = weights.iter().map(|_| [None, None]).collect();
        let scales = scales(&kind, &alive);
        Ok(Self { scales, kind, alive, best: weights.clone(), weights, memory, train, validation, population })
    }

    fn train(mut self, interrupt: Option<&AtomicBool>) -> Result<Vec<IndexedResult<N>>, TrainError> {
        let mut done = Vec::new();
        for epoch in 1.. {
            let until = Until { deadline: None, interrupt };
            let ended: Vec<Option<StopReason>> = self
                .alive
                .iter()
                .map(|member| {
                    let begun = !member.progress.epochs.is_empty();
                    let late = member.deadline.is_some_and(|d| Instant::now() >= d);
                    member.progress.stop().or(match (begun, until.interrupted(), late) {
                        (true, true, _) => Some(StopReason::Interrupted),
                        (true, _, true) => Some(StopReason::TimeLimit),
                        _ => None,
                    })
                })
                .collect();
            self.retire(&ended, &mut done);
            if self.alive.is_empty() {
                return Ok(done);
            }
            let start = Instant::now();
            let train = self.pass(epoch, &until);
            let (validation, outputs) = self.judge()?;
            let sums = Sums { train, validation, outputs };
            let seconds = start.elapsed().as_secs_f64() / self.alive.len() as f64;
            let diverged = self.close(epoch as usize, &sums, seconds)?;
            self.retire(&diverged, &mut done);
        }
        Ok(done)
    }

    /// Trains an epoch and returns the sums of the losses and of the row weights, `[members, 1, 1]` each.
    fn pass(&mut self, epoch: u32, until: &Until<'_>) -> [Tensor<3>; 2] {
        let device = self.kind.device.clone();
        let (k, batch) = (self.alive.len(), self.kind.batch);
        let orders: Vec<Vec<u32>> =
            self.alive.iter().map(|m| engine::order(&m.config, m.train.1, batch, 1, epoch)).collect();
        let longest = orders.iter().map(Vec::len).max().unwrap_or(0);
        let steps = longest.div_ceil(batch);
        // A step in which every member has a full batch needs no mask for padding.
        let whole = |step: usize| orders.iter().all(|order| order.len() >= (step + 1) * batch);
        let width = self.kind.ends.0 + self.kind.ends.1;
        let at_once = (GATHER / width / batch / k).clamp(1, steps.max(1));
        let zero = || Tensor::<3>::zeros([k, 1, 1], &device);
        let (mut losses, mut total) = (zero(), zero());
        let population = self.population.clone();
        let drops = population.drops();
        'epoch: for first in (0..steps).step_by(at_once) {
            let span = first..(first + at_once).min(steps);
            let counted = self.train.weights.is_some() || !span.clone().all(whole);
            let n = span.len() * k * batch;
            let (mut rows, mut counts) = (Vec::with_capacity(n), Vec::with_capacity(if counted { n } else { 0 }));
            for step in span.clone() {
                for (member, order) in self.alive.iter().zip(&orders) {
                    let own = &order[order.len().min(step * batch)..order.len().min((step + 1) * batch)];
                    rows.extend(own.iter().map(|r| (member.train.0 + *r as usize) as i32));
                    rows.extend(std::iter::repeat_n(member.train.0 as i32, batch - own.len()));
                    if counted {
                        counts.extend(std::iter::repeat_n(1.0, own.len()));
                        counts.extend(std::iter::repeat_n(0.0, batch - own.len()));
                    }
                }
            }
            let [inputs, targets, weights] = self.train.take(rows, counted.then_some(counts));
            for step in span.clone() {
                let range = (step - first) * k * batch..(step - first + 1) * k * batch;
                let slice = |t: &Option<Tensor<2>>| t.as_ref().map(|t| t.clone().slice(range.clone()));
                let (Some(x), Some(y)) = (slice(&inputs), slice(&targets)) else { break 'epoch };
                let weights = slice(&weights).map(|w| w.reshape([k, batch, 1]));
                let tracked: Vec<Tensor<3>> =
                    self.weights.iter().map(|w| w.clone().autodiff().require_grad()).collect();
                let network = population.with_tensors(tracked.clone());
                let x = x.reshape([k, batch, self.kind.ends.0]).autodiff();
                let outputs = if drops {
                    // The dropout of rows that pad a short batch does not matter: their weight is 0.
                    let padded: Vec<Vec<u32>> = orders
                        .iter()
                        .map(|order| {
                            let own = &order[order.len().min(step * batch)..order.len().min((step + 1) * batch)];
                            own.iter().copied().chain(std::iter::repeat(0)).take(batch).collect()
                        })
                        .collect();
                    let draws = self.alive.iter().zip(&padded);
                    let draws: Vec<DropoutDraw<'_>> = draws
                        .map(|(m, rows)| DropoutDraw {
                            seed: m.config.seed,
                            epoch,
                            rows,
                            share_batches: true,
                            part: 1.0,
                        })
                        .collect();
                    network.forward_dropout(x, &draws)
                } else {
                    network.forward_logits(x)
                };
                let per_row = self.per_row(outputs, y.autodiff());
                let (sum, weight) = match weights {
                    None => (per_row.sum_dim(1), None),
                    Some(w) => ((per_row * w.clone().autodiff()).sum_dim(1), Some(w.sum_dim(1))),
                };
                let weights = weight.clone().map(Tensor::autodiff);
                let means = self.kind.reduction.of(sum.clone(), weights, batch);
                let grads = means.sum().backward();
                let grads: Vec<Tensor<3>> = (tracked.iter().zip(&self.weights))
                    .map(|(t, w)| t.grad(&grads).unwrap_or_else(|| w.zeros_like()))
                    .collect();
                let works: Vec<bool> = orders.iter().map(|order| order.len() > step * batch).collect();
                self.step(grads, &works);
                losses = losses + sum.inner();
                total = total + weight.unwrap_or_else(|| Tensor::full([k, 1, 1], batch as f64, &device));
                if until.interrupted() {
                    break 'epoch;
                }
            }
        }
        [losses, total]
    }

    /// The loss of each row, `[members, rows, 1]`, from outputs before the output activation.
    fn per_row(&self, outputs: Tensor<3>, targets: Tensor<2>) -> Tensor<3> {
        let [k, rows, columns] = outputs.dims();
        let outputs = self.outputs(outputs.reshape([k * rows, columns]));
        self.kind.loss.per_row(outputs, targets).reshape([k, rows, 1])
    }

    /// Outputs in the form that the loss takes: logits, or the result of the output activation.
    fn outputs(&self, logits: Tensor<2>) -> Tensor<2> {
        match self.kind.activations.last() {
            Some(g) if g.makes_probabilities() && self.kind.loss.takes_logits() => logits,
            Some(g) => g.forward(logits),
            None => logits,
        }
    }

    /// Updates the weights of the members that have rows in this step, those with a true value in `works`.
    fn step(&mut self, grads: Vec<Tensor<3>>, works: &[bool]) {
        for (member, works) in self.alive.iter_mut().zip(works) {
            if *works {
                member.steps += 1;
                member.rate = member.schedules.next().rate;
            }
        }
        let all = works.iter().all(|w| *w);
        let members: Vec<(&TrainConfig, f64, usize)> =
            self.alive.iter().map(|m| (&m.config, m.rate, m.steps)).collect();
        self.scales.next(&members, (!all).then_some(works));
        let scales = &self.scales;
        let is_weight: Vec<bool> =
            self.kind.biases.iter().flat_map(|bias| std::iter::once(true).chain(bias.then_some(false))).collect();
        let grads = scales.edit(grads, &self.weights, &is_weight);
        for (i, grad) in grads.into_iter().enumerate() {
            let weight = self.weights[i].clone();
            self.weights[i] = self.kind.rule.step(weight, grad, &mut self.memory[i], scales, is_weight[i]);
        }
    }

    /// The sums of the losses and weights of the validation rows, and the outputs for them if a metric other than the loss is monitored.
    #[expect(clippy::type_complexity, reason = "a pair of options, used once")]
    fn judge(&self) -> Result<(Option<[Tensor<3>; 2]>, Option<Vec<f32>>), TrainError> {
        let Some(pool) = &self.validation else { return Ok((None, None)) };
        let (k, device) = (self.alive.len(), &self.kind.device);
        let network = self.population.with_tensors(self.weights.clone());
        let ranges: Vec<(usize, usize)> = self.alive.iter().map(|m| m.validation.unwrap_or((0, 0))).collect();
        let longest = ranges.iter().map(|(_, rows)| *rows).max().unwrap_or(0);
        let width = self.kind.ends.0 + self.kind.ends.1;
        let chunk = (GATHER / width / k).clamp(1, longest.max(1));
        let zero = || Tensor::<3>::zeros([k, 1, 1], device);
        let (mut losses, mut total, mut outputs) = (zero(), zero(), Vec::new());
        let monitored = self.alive.iter().any(|m| m.judged.is_some());
        for first in (0..longest).step_by(chunk) {
            let last = (first + chunk).min(longest);
            let at = |(start, rows): (usize, usize)| {
                (first..last)
                    .map(move |r| ((start + if r < rows { r } else { 0 }) as i32, f32::from(u8::from(r < rows))))
            };
            let (rows, counts): (Vec<i32>, Vec<f32>) = ranges.iter().flat_map(|range| at(*range)).unzip();
            let [Some(x), Some(y), Some(w)] = pool.take(rows, Some(counts)) else { break };
            let (n, w) = (last - first, w.reshape([k, last - first, 1]));
            let out = network.forward_logits(x.reshape([k, n, self.kind.ends.0]));
            losses = losses + (self.per_row(out.clone(), y) * w.clone()).sum_dim(1);
            total = total + w.sum_dim(1);
            if monitored {
                let columns = self.kind.ends.1;
                outputs.push(self.outputs(out.reshape([k * n, columns])).reshape([k, n, columns]));
            }
        }
        let outputs = if monitored { Some(read(Tensor::cat(outputs, 1))?) } else { None };
        Ok((Some([losses, total]), outputs))
    }

    /// Ends an epoch: reads its losses, the only transfer from the device, and keeps the best weights. Returns [`StopReason::Diverged`] for
    /// each member that diverged.
    fn close(&mut self, epoch: usize, sums: &Sums, seconds: f64) -> Result<Vec<Option<StopReason>>, TrainError> {
        let k = self.alive.len();
        let finite = self.weights.iter().map(|w| w.clone().sum_dim(1).sum_dim(2));
        let finite = finite.reduce(|a, b| a + b).unwrap_or_else(|| sums.train[0].zeros_like());
        let mut all: Vec<Tensor<3>> = sums.train.to_vec();
        all.extend(sums.validation.iter().flatten().cloned());
        all.push(finite);
        let values = read(Tensor::cat(all, 1).swap_dims(0, 1))?;
        let row = |i: usize, member: usize| f64::from(values[i * k + member]);
        let last = values.len() / k - 1;
        let longest = self.alive.iter().filter_map(|m| m.validation).map(|(_, rows)| rows).max().unwrap_or(0);
        let (mut ends, mut improved) = (Vec::new(), Vec::new());
        for (i, member) in self.alive.iter_mut().enumerate() {
            let train_loss = self.kind.reduction.reduce(row(0, i), row(1, i));
            if !(train_loss.is_finite() && row(last, i).is_finite()) {
                ends.push(Some(StopReason::Diverged));
                improved.push(0.0);
                continue;
            }
            let validation_loss = member.validation.map(|_| self.kind.reduction.reduce(row(2, i), row(3, i)));
            let columns = self.kind.ends.1;
            let monitored = match (&member.judged, &sums.outputs) {
                (Some((targets, weights)), Some(outputs)) => {
                    let start = i * longest * columns;
                    let own = outputs[start..start + targets.len()].to_vec();
                    let (weights, scales) = (weights.as_deref(), member.target_scales.as_deref());
                    Some(monitored(own, targets, columns, weights, scales, self.kind.loss, member.monitor))
                }
                _ => None,
            };
            let learning_rate = member.rate;
            let epoch = Epoch { epoch, train_loss, validation_loss, monitored, learning_rate, seconds };
            improved.push(f32::from(u8::from(member.progress.push(epoch))));
            ends.push(None);
        }
        if improved.contains(&1.0) {
            if improved.contains(&0.0) {
                let chosen = Tensor::<3>::from_data(TensorData::new(improved, [k, 1, 1]), &self.kind.device);
                let chosen = chosen.greater_elem(0.5);
                for (best, weight) in self.best.iter_mut().zip(&self.weights) {
                    let mask = chosen.clone().expand(weight.dims());
                    *best = best.clone().mask_where(mask, weight.clone());
                }
            } else {
                self.best.clone_from(&self.weights);
            }
        }
        Ok(ends)
    }

    /// Removes the members that have a reason to stop in `ends` and adds their results to `done`.
    fn retire(&mut self, ends: &[Option<StopReason>], done: &mut Vec<IndexedResult<N>>) {
        if ends.iter().all(Option::is_none) {
            return;
        }
        let best = self.population.with_tensors(self.best.clone());
        let mut kept = Vec::new();
        let alive = std::mem::take(&mut self.alive);
        for (i, (member, end)) in alive.into_iter().zip(ends).enumerate() {
            let Some(stop) = end else {
                kept.push(i);
                self.alive.push(member);
                continue;
            };
            let Alive { index, network, progress, .. } = member;
            let history = match progress.history(*stop) {
                Ok(history) => history,
                Err(error) => {
                    done.push((index, Err(error)));
                    continue;
                }
            };
            let mut network = network.valid();
            if let Some(dense) = network.as_feed_forward_mut() {
                for (to, from) in dense.layers_mut().iter_mut().zip(best.member(i).layers()) {
                    to.linear.weight = to.linear.weight.clone().map(|_| from.linear.weight.val());
                    to.linear.bias = match (to.linear.bias.take(), &from.linear.bias) {
                        (Some(to), Some(from)) => Some(to.map(|_| from.val())),
                        (to, _) => to,
                    };
                }
            }
            done.push((index, Ok(Fitted { network, history })));
        }
        if kept.is_empty() {
            return;
        }
        self.population = self.population.with_tensors(self.weights.clone()).select(&kept);
        self.weights = self.population.tensors();
        self.best = best.select(&kept).tensors();
        self.scales = scales(&self.kind, &self.alive);
        let numbers: Vec<i32> = kept.iter().map(|&i| i as i32).collect();
        let numbers = Tensor::<1, Int>::from_data(TensorData::new(numbers, [kept.len()]), &self.kind.device);
        for memory in self.memory.iter_mut().flatten() {
            *memory = memory.take().map(|m| m.select(0, numbers.clone()));
        }
    }
}
