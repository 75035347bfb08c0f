//! Many networks in one tensor program: for devices on which a launch costs more than the work of a small network.

use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};
use perceptra_nn::{Activation, DropoutDraw, FeedForward, Loss, Population};

use crate::engine::{self, Until};
use crate::fit::Course;
use crate::many::{Member, Placed};
use crate::metrics::monitored;
use crate::network::Network;
use crate::optimizer::Course as Over;
use crate::rule::{Rule, Scales};
use crate::weighted::{Weighted, read};
use crate::{Fitted, History, Metric, Reduction, Schedule, StopReason, TrainConfig, TrainError};

/// Numbers that are gathered at once, of all members together.
const GATHER: usize = 1 << 24;
/// How many times its own weights a member may have with what it is filled up to.
const FILLED: usize = 4;

/// A member that can be in a population.
struct Entry<'a, N> {
    /// Its place among the members.
    place: usize,
    member: Member<'a, N>,
    dense: FeedForward,
    train: Weighted,
    validation: Option<Weighted>,
    batch: usize,
}

/// What the members of a population have in common.
#[derive(PartialEq)]
struct Kind {
    activations: Vec<Activation>,
    biases: Vec<bool>,
    ends: (usize, usize),
    loss: Loss,
    reduction: Reduction,
    rule: Rule,
    batch: usize,
    device: Device,
}

impl Kind {
    fn of<N>(entry: &Entry<'_, N>) -> Self {
        let config = &entry.member.config;
        let loss = config.loss.unwrap_or_default();
        Self {
            activations: entry.dense.layers().iter().map(|l| l.activation).collect(),
            biases: entry.dense.layers().iter().map(|l| l.linear.bias.is_some()).collect(),
            ends: (entry.train.inputs.dims()[1], entry.train.targets.dims()[1]),
            loss,
            reduction: config.reduction_of(loss),
            rule: Rule::of(config).unwrap_or(Rule::Sgd),
            batch: entry.batch,
            device: entry.train.inputs.device(),
        }
    }
}

/// Whether a member can be trained in a population.
pub(crate) fn takes<N: Network>(member: &Member<'_, N>) -> bool {
    let Some(dense) = member.network.as_feed_forward() else { return false };
    let (config, usual) = (&member.config, TrainConfig::default());
    let tuned = (config.betas, config.lr_factors, config.decay_factors)
        != (usual.betas, usual.lr_factors, usual.decay_factors)
        || config.decay_schedule != Schedule::Constant
        || config.dropout_schedule != Schedule::Constant
        || config.schedule == Schedule::Plateau;
    let parameters: usize = dense.num_params();
    // Adapters and other parts show as more parameters.
    dense.is_plain() && !tuned && member.network.num_params() == parameters && Rule::of(&member.config).is_some()
}

/// Trains members that a population takes: the results of [`fit`](crate::fit), but for rounding, by their places.
pub(crate) fn fit_population<N: Network>(
    members: Vec<(usize, Member<'_, N>)>,
    interrupt: Option<&AtomicBool>,
) -> Vec<Placed<N>> {
    let (mut results, mut groups) = (Vec::new(), Vec::<(Kind, Vec<Entry<'_, N>>)>::new());
    let mut entries = Vec::new();
    for (place, member) in members {
        match entry(place, member) {
            Ok(entry) => entries.push(entry),
            Err(error) => results.push((place, Err(error))),
        }
    }
    // The largest first, for those after them to be filled up to.
    entries.sort_by_key(|e| (std::cmp::Reverse(e.dense.num_params()), e.place));
    for entry in entries {
        let kind = Kind::of(&entry);
        let own = entry.dense.num_params();
        let suits =
            |group: &(Kind, Vec<Entry<'_, N>>)| group.0 == kind && group.1[0].dense.num_params() <= FILLED * own;
        match groups.iter().position(suits) {
            Some(i) => groups[i].1.push(entry),
            None => groups.push((kind, vec![entry])),
        }
    }
    for (kind, entries) in groups {
        let places: Vec<usize> = entries.iter().map(|e| e.place).collect();
        match Cohort::new(kind, entries).and_then(|cohort| cohort.train(interrupt)) {
            Ok(fitted) => results.extend(fitted),
            // The device failed for all.
            Err(error) => results.extend(places.into_iter().map(|place| (place, Err(error.clone())))),
        }
    }
    results
}

fn entry<N: Network>(place: usize, member: Member<'_, N>) -> Result<Entry<'_, N>, TrainError> {
    let config = &member.config;
    config.validate()?;
    let shape = member.network.shape();
    let train = Weighted::new(member.train, shape, config, None)?;
    let classes = train.classes.clone();
    let validation = member.validation.map(|data| Weighted::new(data, shape, config, classes)).transpose()?;
    let train = train.smoothed(config, config.loss.unwrap_or_default());
    let dense = member.network.valid().as_feed_forward().cloned();
    let dense = dense.ok_or_else(|| TrainError::Engine { obstacle: "the network is not a FeedForward".to_owned() })?;
    let batch = config.batch.size(train.rows);
    Ok(Entry { place, dense, train, validation, batch, member })
}

/// Where a data set lies, and how its targets were changed.
type Identity = (usize, u64);

/// Rows of several data sets, one after another, each data set once.
struct Pool {
    inputs: Tensor<2>,
    targets: Tensor<2>,
    /// `[rows, 1]`, if one of the sets has them.
    weights: Option<Tensor<2>>,
    /// Where the rows of each member begin, and how many they are.
    places: Vec<(usize, usize)>,
}

impl Pool {
    /// `sets` with the identities of their data: equal ones are kept once.
    fn new(sets: &[(&Weighted, Identity)]) -> Self {
        let (mut kept, mut starts, mut rows) = (Vec::<&Weighted>::new(), Vec::<(Identity, usize)>::new(), 0);
        let mut places = Vec::new();
        for (set, identity) in sets {
            let known = starts.iter().find(|(known, _)| known == identity).map(|(_, start)| *start);
            // Weights by class may differ for the same rows.
            let start = known.filter(|_| set.weights.is_none()).unwrap_or_else(|| {
                kept.push(set);
                starts.push((*identity, rows));
                rows += set.rows;
                rows - set.rows
            });
            places.push((start, set.rows));
        }
        let cat = |f: &dyn Fn(&Weighted) -> Tensor<2>| match kept.as_slice() {
            [one] => f(one),
            many => Tensor::cat(many.iter().map(|set| f(set)).collect(), 0),
        };
        let ones = |set: &Weighted| Tensor::ones([set.rows, 1], &set.inputs.device());
        let weighted = kept.iter().any(|set| set.weights.is_some());
        Self {
            inputs: cat(&|set| set.inputs.clone()),
            targets: cat(&|set| set.targets.clone()),
            weights: weighted.then(|| cat(&|set| set.weights.clone().unwrap_or_else(|| ones(set)))),
            places,
        }
    }

    /// Rows by their numbers: inputs, targets and weights `[rows, columns]`; `counts` says which are there (1) and which fill up
    /// (0), if some do.
    fn take(&self, rows: Vec<i32>, counts: Option<Vec<f32>>) -> [Option<Tensor<2>>; 3] {
        let (n, device) = (rows.len(), self.inputs.device());
        let rows = Tensor::<1, Int>::from_data(TensorData::new(rows, [n]), &device);
        let taken = |t: &Tensor<2>| t.clone().select(0, rows.clone());
        let counts = counts.map(|counts| Tensor::from_data(TensorData::new(counts, [n, 1]), &device));
        let weights = match (self.weights.as_ref().map(taken), counts) {
            (Some(a), Some(b)) => Some(a * b),
            (a, b) => a.or(b),
        };
        [Some(taken(&self.inputs)), Some(taken(&self.targets)), weights]
    }
}

/// A member at work.
struct Alive<N> {
    place: usize,
    network: N,
    config: TrainConfig,
    course: Course,
    monitor: Metric,
    over: Over,
    deadline: Option<Instant>,
    units: Option<Vec<f32>>,
    /// Targets and weights of its validation rows, where a metric is monitored.
    judged: Option<(Vec<f32>, Option<Vec<f32>>)>,
    /// Its places in the pools.
    train: (usize, usize),
    validation: Option<(usize, usize)>,
    /// Steps that it has made, and its learning rate at the last of them.
    steps: usize,
    rate: f64,
}

/// Members that are trained together.
struct Cohort<N> {
    kind: Kind,
    population: Population,
    alive: Vec<Alive<N>>,
    weights: Vec<Tensor<3>>,
    best: Vec<Tensor<3>>,
    /// What the rule remembers of each tensor.
    memory: Vec<[Option<Tensor<3>>; 2]>,
    scales: Scales,
    train: Pool,
    validation: Option<Pool>,
}

fn scales<N>(kind: &Kind, alive: &[Alive<N>]) -> Scales {
    Scales::new(kind.rule, &alive.iter().map(|m| &m.config).collect::<Vec<_>>(), &kind.device)
}

/// What an epoch's losses add up to, `[members, 1, 1]` each: of training rows and weights, of validation rows and weights.
struct Sums {
    train: [Tensor<3>; 2],
    validation: Option<[Tensor<3>; 2]>,
    outputs: Option<Vec<f32>>,
}

impl<N: Network> Cohort<N> {
    fn new(kind: Kind, entries: Vec<Entry<'_, N>>) -> Result<Self, TrainError> {
        let dense: Vec<FeedForward> = entries.iter().map(|e| e.dense.clone()).collect();
        let population = Population::stack(&dense).map_err(|e| TrainError::Engine { obstacle: e.to_string() })?;
        let identity = |data: &crate::Dataset| (std::ptr::from_ref(data).addr(), 0);
        let smoothed = |e: &Entry<'_, N>| e.member.config.label_smoothing.to_bits();
        let sets: Vec<_> = entries.iter().map(|e| (&e.train, (identity(e.member.train).0, smoothed(e)))).collect();
        let train = Pool::new(&sets);
        let sets = entries.iter().filter_map(|e| Some((e.validation.as_ref()?, identity(e.member.validation?))));
        let sets: Vec<_> = sets.collect();
        let validation = (!sets.is_empty()).then(|| Pool::new(&sets));
        let mut places = validation.iter().flat_map(|pool| pool.places.clone()).collect::<Vec<_>>().into_iter();
        let mut alive = Vec::new();
        for (entry, train) in entries.into_iter().zip(&train.places) {
            let config = entry.member.config;
            let monitor = if entry.validation.is_some() { config.monitor } else { Metric::Loss };
            let judged = match &entry.validation {
                Some(v) if monitor != Metric::Loss => {
                    Some((read(v.targets.clone())?, v.weights.clone().map(read).transpose()?))
                }
                _ => None,
            };
            let steps = if config.drop_last { train.1 / entry.batch } else { train.1.div_ceil(entry.batch) };
            alive.push(Alive {
                place: entry.place,
                network: entry.member.network,
                course: Course::new(monitor, &config),
                monitor,
                over: Over::new(&config, steps.saturating_mul(config.epochs)),
                deadline: config.time_limit.map(|s| Instant::now() + Duration::from_secs_f64(s.min(1e9))),
                units: entry.validation.as_ref().and_then(|v| v.units.clone()),
                judged,
                train: *train,
                validation: entry.validation.as_ref().and_then(|_| places.next()),
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

    fn train(mut self, interrupt: Option<&AtomicBool>) -> Result<Vec<Placed<N>>, TrainError> {
        let mut done = Vec::new();
        for epoch in 1.. {
            let until = Until { deadline: None, interrupt };
            let ended: Vec<Option<StopReason>> = self
                .alive
                .iter()
                .map(|member| {
                    let begun = !member.course.epochs.is_empty();
                    let late = member.deadline.is_some_and(|d| Instant::now() >= d);
                    member.course.stop().or(match (begun, until.interrupted(), late) {
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
            let diverged = self.close(epoch as usize, sums, seconds)?;
            self.retire(&diverged, &mut done);
        }
        Ok(done)
    }

    /// Trains an epoch: the sums of the losses, and of the weights of the rows.
    fn pass(&mut self, epoch: u32, until: &Until<'_>) -> [Tensor<3>; 2] {
        let device = self.kind.device.clone();
        let (k, batch) = (self.alive.len(), self.kind.batch);
        let orders: Vec<Vec<u32>> =
            self.alive.iter().map(|m| engine::order(&m.config, m.train.1, batch, 1, epoch)).collect();
        let longest = orders.iter().map(Vec::len).max().unwrap_or(0);
        let steps = longest.div_ceil(batch);
        // A batch that all members have whole needs no counting.
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
                    // Rows that fill up a short batch drop nothing that is looked at.
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
                let means = match (self.kind.reduction == Reduction::Sum, &weight) {
                    (true, _) => sum.clone(),
                    (false, None) => sum.clone() / batch as f64,
                    (false, Some(w)) => sum.clone() / w.clone().clamp_min(f32::MIN_POSITIVE).autodiff(),
                };
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

    /// The loss of each row, `[members, rows, 1]`, of outputs before their activation.
    fn per_row(&self, outputs: Tensor<3>, targets: Tensor<2>) -> Tensor<3> {
        let [k, rows, columns] = outputs.dims();
        let outputs = self.outputs(outputs.reshape([k * rows, columns]));
        self.kind.loss.per_row(outputs, targets).reshape([k, rows, 1])
    }

    /// Outputs as the loss takes them.
    fn outputs(&self, logits: Tensor<2>) -> Tensor<2> {
        match self.kind.activations.last() {
            Some(Activation::Sigmoid | Activation::Softmax) if self.kind.loss.takes_logits() => logits,
            Some(g) => g.forward(logits),
            None => logits,
        }
    }

    /// Makes the step of the members that have rows in it.
    fn step(&mut self, grads: Vec<Tensor<3>>, works: &[bool]) {
        for (member, works) in self.alive.iter_mut().zip(works) {
            if *works {
                member.steps += 1;
                member.rate = member.over.next().rate;
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

    /// The sums of the losses and weights of the validation rows, and their outputs where a metric is monitored.
    #[allow(clippy::type_complexity)]
    fn judge(&self) -> Result<(Option<[Tensor<3>; 2]>, Option<Vec<f32>>), TrainError> {
        let Some(pool) = &self.validation else { return Ok((None, None)) };
        let (k, device) = (self.alive.len(), &self.kind.device);
        let network = self.population.with_tensors(self.weights.clone());
        let places: Vec<(usize, usize)> = self.alive.iter().map(|m| m.validation.unwrap_or((0, 0))).collect();
        let longest = places.iter().map(|(_, rows)| *rows).max().unwrap_or(0);
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
            let (rows, counts): (Vec<i32>, Vec<f32>) = places.iter().flat_map(|p| at(*p)).unzip();
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

    /// Ends an epoch: its losses, the one thing that is read from the device, and the best weights. Gives those that diverged.
    fn close(&mut self, epoch: usize, sums: Sums, seconds: f64) -> Result<Vec<Option<StopReason>>, TrainError> {
        let k = self.alive.len();
        let finite = self.weights.iter().map(|w| w.clone().sum_dim(1).sum_dim(2));
        let finite = finite.reduce(|a, b| a + b).unwrap_or_else(|| sums.train[0].zeros_like());
        let mut all: Vec<Tensor<3>> = sums.train.to_vec();
        all.extend(sums.validation.iter().flatten().cloned());
        all.push(finite);
        let values = read(Tensor::cat(all, 1).swap_dims(0, 1))?;
        let row = |i: usize, member: usize| f64::from(values[i * k + member]);
        let mean = |loss: f64, weight: f64| match self.kind.reduction {
            Reduction::Sum => loss,
            Reduction::Mean if weight > 0.0 => loss / weight,
            Reduction::Mean => 0.0,
        };
        let last = values.len() / k - 1;
        let longest = self.alive.iter().filter_map(|m| m.validation).map(|(_, rows)| rows).max().unwrap_or(0);
        let (mut ends, mut improved) = (Vec::new(), Vec::new());
        for (i, member) in self.alive.iter_mut().enumerate() {
            let train_loss = mean(row(0, i), row(1, i));
            if !(train_loss.is_finite() && row(last, i).is_finite()) {
                ends.push(Some(StopReason::Diverged));
                improved.push(0.0);
                continue;
            }
            let validation_loss = member.validation.map(|_| mean(row(2, i), row(3, i)));
            let columns = self.kind.ends.1;
            let monitored = match (&member.judged, &sums.outputs) {
                (Some((targets, weights)), Some(outputs)) => {
                    let start = i * longest * columns;
                    let own = outputs[start..start + targets.len()].to_vec();
                    let (weights, units) = (weights.as_deref(), member.units.as_deref());
                    Some(monitored(own, targets, columns, weights, units, self.kind.loss, member.monitor))
                }
                _ => None,
            };
            let learning_rate = member.rate;
            let epoch = crate::Epoch { epoch, train_loss, validation_loss, monitored, learning_rate, seconds };
            improved.push(f32::from(u8::from(member.course.push(epoch))));
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

    /// Takes out the members that have come to their ends, and moves the others together.
    fn retire(&mut self, ends: &[Option<StopReason>], done: &mut Vec<Placed<N>>) {
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
            let Alive { place, network, course, monitor, .. } = member;
            let (epochs, best_epoch) = (course.epochs, course.best.1);
            if best_epoch == 0 {
                let error = match stop {
                    StopReason::Diverged => TrainError::Diverged { epoch: epochs.len() + 1 },
                    _ => TrainError::Undefined { monitor: monitor.to_string(), epochs: epochs.len() },
                };
                done.push((place, Err(error)));
                continue;
            }
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
            let history = History { monitor, epochs, best_epoch, stop: *stop };
            done.push((place, Ok(Fitted { network, history })));
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

#[cfg(test)]
mod tests {
    use super::*;
    use perceptra_nn::{FeedForwardConfig, Initializer, Norm};
    use perceptra_random::{Purpose, Stream};

    use crate::{Batch, ClassWeights, Dataset, Optimizer, Schedule, fit};

    fn rows(n: usize, seed: u64, classes: usize, weighted: bool, device: &Device) -> Dataset {
        let stream = Stream::new(seed, Purpose::Data, 0);
        let (mut x, mut y) = (vec![0.0; n * 3], Vec::new());
        stream.fill_normal(0, &mut x);
        for row in x.chunks(3) {
            let value = row[0] * row[1] - row[2];
            match classes {
                0 => y.extend([value, value * value]),
                1 => y.push(f32::from(u8::from(value > 0.0))),
                _ => {
                    let class = if value < -0.5 { 0 } else { 1 + usize::from(value > 0.5) };
                    y.extend((0..3).map(|c| f32::from(u8::from(c == class))));
                }
            }
        }
        let columns = y.len() / n;
        let data = Dataset::from_rows(x, y, (3, columns), device).unwrap();
        match weighted {
            true => data.with_weights((0..n).map(|i| (i % 4) as f32).collect()).unwrap(),
            false => data,
        }
    }

    fn close(a: f64, b: f64, what: &str) {
        // Where steps are of such a length, sums of gradients that nearly cancel show their rounding.
        let tolerance = if a.abs() > 1e9 { 1e-3 } else { 1e-5 };
        assert!((a - b).abs() <= tolerance * a.abs().max(1.0), "{what}: {a} {b}");
    }

    fn same(together: Vec<Placed<FeedForward>>, members: &[Member<'_, FeedForward>]) {
        assert_eq!(together.len(), members.len());
        for (place, result) in together {
            let m = &members[place];
            let alone = fit(m.network.clone(), m.train, m.validation, &m.config, &mut ());
            let (one, other) = match (result, alone) {
                (Ok(one), Ok(other)) => (one, other),
                (one, other) => {
                    assert_eq!(one.err(), other.err());
                    continue;
                }
            };
            let what = format!("member {place}, {:?}", m.config);
            assert_eq!(
                (one.history.best_epoch, one.history.stop),
                (other.history.best_epoch, other.history.stop),
                "{what}"
            );
            assert_eq!(one.history.epochs.len(), other.history.epochs.len());
            for (a, b) in one.history.epochs.iter().zip(&other.history.epochs) {
                close(a.train_loss, b.train_loss, &what);
                close(a.value(), b.value(), &what);
                close(a.learning_rate, b.learning_rate, &what);
            }
            for (a, b) in one.network.layers().iter().zip(other.network.layers()) {
                let values = |layer: &perceptra_nn::Layer| {
                    let mut all = read(layer.linear.weight.val()).unwrap();
                    all.extend(layer.linear.bias.iter().flat_map(|b| read(b.val()).unwrap()));
                    all
                };
                let (a, b) = (values(a), values(b));
                assert_eq!(a.len(), b.len());
                a.iter().zip(&b).for_each(|(a, b)| close(f64::from(*a), f64::from(*b), &what));
            }
        }
    }

    #[test]
    fn members_are_what_they_are_alone() {
        let device = Device::flex();
        for (case, optimizer) in
            [Optimizer::Sgd, Optimizer::Adam, Optimizer::AdamW, Optimizer::RmsProp, Optimizer::AdaGrad, Optimizer::Lion]
                .into_iter()
                .enumerate()
        {
            let classes = case % 3;
            // Of different lengths, as folds are.
            let sets: Vec<Dataset> =
                (0..3).map(|i| rows(40 + 7 * i, i as u64, classes, i == 1 && case % 2 == 0, &device)).collect();
            let validation: Vec<Dataset> =
                (0..2).map(|i| rows(20 + 9 * i, 9 + i as u64, classes, i == 1, &device)).collect();
            let loss = [Loss::MeanSquared, Loss::BinaryCrossEntropy, Loss::CategoricalCrossEntropy][classes];
            let g = [Activation::Identity, Activation::Sigmoid, Activation::Softmax][classes];
            let members: Vec<Member<'_, FeedForward>> = (0..6)
                .map(|k| Member {
                    network: FeedForwardConfig::new(3, [2, 1, 3][classes])
                        .with_widths(&[5 + k % 3, 4 + k % 2], [Activation::Tanh, Activation::Sigmoid][case % 2])
                        .with_output_activation(g)
                        .with_initializer(Initializer::Torch)
                        .with_dropout(0.1 * (k % 3) as f64)
                        .with_seed(k as u64)
                        .init(&device)
                        .unwrap(),
                    train: &sets[k % 3],
                    validation: [None, Some(&validation[0]), Some(&validation[1])][k % 3],
                    config: TrainConfig {
                        loss: Some(loss),
                        optimizer,
                        learning_rate: 0.002 * (1 + k) as f64,
                        schedule: [Schedule::Constant, Schedule::Cosine][k % 2],
                        batch: Batch::Rows(16),
                        drop_last: k == 5,
                        momentum: if matches!(optimizer, Optimizer::Sgd | Optimizer::RmsProp) {
                            0.1 * (k % 3) as f64
                        } else {
                            0.0
                        },
                        weight_decay: 0.01 * (k % 2) as f64,
                        l1: if k == 1 { 1e-3 } else { 0.0 },
                        l2: if k == 2 { 1e-2 } else { 0.0 },
                        clip_norm: (k == 3).then_some(0.5),
                        clip_value: (k == 4).then_some(0.1),
                        epochs: 3 + k % 3,
                        patience: (k == 0).then_some(1),
                        monitor: if k == 2 && classes == 0 { Metric::Rmse } else { Metric::Loss },
                        label_smoothing: if classes > 0 { 0.05 * (k % 3) as f64 } else { 0.0 },
                        class_weights: if classes == 2 && k == 4 {
                            ClassWeights::Balanced
                        } else {
                            ClassWeights::Equal
                        },
                        seed: k as u64,
                        ..TrainConfig::default()
                    },
                })
                .collect();
            assert!(members.iter().all(takes));
            same(fit_population(members.iter().cloned().enumerate().collect(), None), &members);
        }
    }

    #[test]
    fn one_that_fails_or_diverges_leaves_the_others_alone() {
        let device = Device::flex();
        let data = rows(40, 1, 0, false, &device);
        let network = |inputs: usize| {
            FeedForwardConfig::new(inputs, 2).with_widths(&[4], Activation::Relu).init(&device).unwrap()
        };
        let config = |rate: f64| TrainConfig {
            optimizer: Optimizer::Sgd,
            learning_rate: rate,
            epochs: 4,
            batch: Batch::Full,
            ..TrainConfig::default()
        };
        let member = |inputs: usize, rate: f64| Member {
            network: network(inputs),
            train: &data,
            validation: None,
            config: config(rate),
        };
        let members = [member(3, 0.01), member(3, 1e30), member(2, 0.01), member(3, 0.02), member(3, -1.0)];
        same(fit_population(members.iter().cloned().enumerate().collect(), None), &members);
        // An interrupt ends all after an epoch.
        let flag = AtomicBool::new(true);
        let ended = fit_population(vec![(0, member(3, 0.01)), (1, member(3, 0.02))], Some(&flag));
        for (_, fitted) in ended {
            let history = fitted.unwrap().history;
            assert_eq!((history.stop, history.epochs.len()), (StopReason::Interrupted, 1));
        }
        // What a population does not take is known before.
        let mut other = member(3, 0.01);
        other.config.optimizer = Optimizer::Muon;
        assert!(!takes(&other));
        other = member(3, 0.01);
        other.network = FeedForwardConfig::new(3, 2)
            .with_widths(&[4], Activation::Relu)
            .with_norm(Norm::Batch)
            .init(&device)
            .unwrap();
        assert!(!takes(&other) && takes(&member(3, 0.01)));
    }
}
