//! Training steps: forward, loss, backward and update of a minibatch, on a team of threads.
//!
//! Threads share the work of a step in one of two ways, chosen by the shapes alone:
//!
//! - **Large networks: by rows, then by weights.** First every thread takes some rows of the batch through the whole
//!   network and back, to ∂R/∂z of every layer. After a barrier every thread takes some weights: their gradient is the sum
//!   over all rows, Σᵢ xᵢ·∂Rᵢ/∂z, and the step rule is applied to it while it is in cache. No two threads ever add to one
//!   number.
//! - **Small networks: by halves of the batch.** Activations are then many and gradients few, and a cache line that two
//!   processors use in turn costs as much as a hundred multiplications. So each of two threads has a copy of the network
//!   and its own rows, they exchange their gradients, and both make the same step. One thread alone does the same halves
//!   in turn.
//!
//! Either way the bits do not depend on how many threads there are.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use pulp::{Arch, Simd, WithSimd};

use super::buffer::{Buffer, PANEL};
use super::net::{Backward, Chunk, Forward, Gather, Gradient, Kept, Net, Scratch, Settle, Slope, Term, Then, Unit};
use super::team::{Barrier, Team};
use super::tile::ROWS;
use crate::pointwise::{Loss, Step};
use crate::settings::{Data, Layer, Moment, Parts, Settings, Totals};
use crate::stem::Plan;

/// Rows that are taken through the network at once; larger batches are taken in several goes.
const CHUNK: usize = 512;
/// Multiplications of a step that keep one thread busy long enough to be worth another thread: some 3 µs.
const WORTH_A_THREAD: usize = 200_000;
/// Weights up to which threads take halves of the batch and exchange gradients.
const SMALL: usize = 1 << 15;

/// A dense network in training: weights, gradients, the step rule's memory and activations in buffers allocated once.
pub struct DenseTrainer {
    /// One network; where two threads take halves of the batch, one for each.
    nets: Vec<Net>,
    /// Parts of a batch whose gradients are summed on their own: 1 or 2.
    halves: usize,
    /// What the threads that take halves send each other, for even and odd steps.
    mail: Vec<[Mail; 2]>,
    /// The weights of each thread.
    plan: Vec<Vec<Unit>>,
    scratch: Vec<Mutex<Scratch>>,
    chunk: usize,
    team: Team,
    pub(super) arch: Arch,
    step: i32,
}

/// A part besides weights and biases of dense layers, which are counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// A tensor of the stem: of periodic embeddings w, b, V, c; of piecewise-linear ones the linear part, its bias, V; then the table
    /// of each categorical column.
    Embedding(usize),
    /// Factors of the inputs of a layer: r `[members, inputs]`.
    In(usize),
    /// Factors of the sums of a layer: s `[members, outputs]`.
    Out(usize),
    /// α of the units of a layer, `[outputs]`.
    Mix(usize),
}

impl Part {
    /// The layer that keeps it, of those with the stem: a layer keeps the factors of the next one's inputs.
    fn layer(self, has_stem: bool) -> usize {
        match self {
            Self::Embedding(_) => 0,
            Self::In(layer) => layer,
            Self::Out(layer) | Self::Mix(layer) => layer + usize::from(has_stem),
        }
    }
}

/// Copies rows of numbers to rows that begin at multiples of 16.
fn spread(from: &[f32], width: usize, to: &mut [f32]) {
    let rows = to.chunks_exact_mut(width.next_multiple_of(16));
    rows.zip(from.chunks_exact(width)).for_each(|(to, from)| to[..width].copy_from_slice(from));
}

/// The other way, so many rows.
fn gather(from: &[f32], width: usize, rows: usize) -> Vec<f32> {
    from.chunks_exact(width.next_multiple_of(16)).take(rows).flat_map(|row| row[..width].to_vec()).collect()
}

impl std::fmt::Debug for DenseTrainer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let layers: Vec<Layer> = self.nets[0].layers.iter().map(|l| l.layer).collect();
        f.debug_struct("DenseTrainer")
            .field("layers", &layers)
            .field("settings", &self.nets[0].settings)
            .field("threads", &self.team.threads())
            .finish_non_exhaustive()
    }
}

impl DenseTrainer {
    /// A network with weights of 0, and at most `threads` threads to train it: fewer where the steps are too small to be
    /// shared.
    ///
    /// # Panics
    ///
    /// If there is no layer, a width or the batch is 0, or a layer's inputs are not the outputs of the one before.
    pub fn new(layers: &[Layer], settings: Settings, threads: usize) -> Self {
        Self::with_parts(layers, &Parts::default(), settings, threads)
    }

    /// As [`DenseTrainer::new`], with more than dense layers. Outputs are then those of one member after another, `[members, rows,
    /// outputs]`.
    ///
    /// # Panics
    ///
    /// As [`DenseTrainer::new`]; if the inputs of the first layer are not what the stem makes of a row; if there are no members; if
    /// there are several members and layers without biases, no hidden layer, or dropout in layers whose widths 4 does not divide; if
    /// weights are divided by √inputs and there are penalties, clipping, or decay that joins the gradient.
    pub fn with_parts(layers: &[Layer], parts: &Parts, settings: Settings, threads: usize) -> Self {
        assert!(!layers.is_empty() && settings.batch > 0 && parts.members > 0);
        assert!(layers.iter().all(|l| l.inputs > 0 && l.outputs > 0));
        assert!(layers.windows(2).all(|pair| pair[0].outputs == pair[1].inputs));
        assert!(parts.stem.as_ref().is_none_or(|stem| Plan::new(stem).outputs == layers[0].inputs));
        let divided = layers.iter().all(|l| l.bias) && layers.len() > 1;
        let aligned = settings.dropout == 0.0 || layers[..layers.len() - 1].iter().all(|l| l.outputs.is_multiple_of(4));
        assert!(parts.members == 1 || divided && aligned);
        let edited = settings.l1 > 0.0 || settings.l2 > 0.0 || settings.clip_norm.or(settings.clip_value).is_some();
        let coupled = settings.decay != [0.0; 6] && !settings.rule.decay_is_decoupled();
        assert!(!parts.ntk || !edited && !coupled);
        let weights: usize = layers.iter().map(|l| l.inputs * l.outputs).sum();
        let batch = settings.batch.saturating_mul(parts.members);
        let worth = batch.saturating_mul(3 * weights) / WORTH_A_THREAD;
        let plain = *parts == Parts::default();
        let halves = if weights <= SMALL && worth >= 2 && plain { 2 } else { 1 };
        let team = Team::new(threads.min(worth).min(if halves == 2 { 2 } else { usize::MAX }).max(1));
        let threads = team.threads();
        let chunk = batch.min(CHUNK);
        let keeps = batch > CHUNK || settings.clip_norm.is_some() || parts.members > 1 || parts.stem.is_some();
        let kept = if halves == 2 { 2 } else { usize::from(keeps) };
        let copies = if halves == 2 { threads } else { 1 };
        let nets: Vec<Net> = (0..copies).map(|_| Net::new(layers, parts, settings, chunk, kept)).collect();
        let mail = || Mail::new(nets[0].grads[0].len());
        Self {
            mail: if copies == 2 { (0..2).map(|_| [mail(), mail()]).collect() } else { Vec::new() },
            plan: if halves == 2 { vec![plan(&nets[0], 1).swap_remove(0); threads] } else { plan(&nets[0], threads) },
            halves,
            scratch: (0..threads).map(|_| Mutex::default()).collect(),
            chunk,
            team,
            arch: Arch::new(),
            step: 0,
            nets,
        }
    }

    /// Sets the weights `[inputs, outputs]`, row by row, and the bias `[outputs]` of a layer; of several members, the bias
    /// `[members, outputs]`, and of the output layer the weights `[members, inputs, outputs]`.
    ///
    /// # Panics
    ///
    /// If there are more or fewer numbers than that, or a bias for a layer without one.
    pub fn set_layer(&mut self, layer: usize, weight: &[f32], bias: &[f32]) {
        for net in &mut self.nets {
            let layer = layer + usize::from(net.layers[0].stem.is_some());
            let dense = &mut net.layers[layer];
            let Layer { inputs, outputs, bias: has_bias, .. } = dense.layer;
            let copies = if dense.own { dense.members } else { 1 };
            assert!(weight.len() == copies * inputs * outputs);
            assert!(bias.len() == if has_bias { dense.members * outputs } else { 0 });
            let (narrow, shape) = (dense.narrow, dense.shape);
            for (values, weight) in
                dense.weight.values.all().chunks_mut(shape.len()).zip(weight.chunks_exact(inputs * outputs))
            {
                shape.fill(values, |r, c| if narrow { weight[c * outputs + r] } else { weight[r * outputs + c] });
            }
            spread(bias, outputs, dense.bias.values.all());
            dense.flip_all();
        }
    }

    /// The weights and the bias (empty if there is none) of a layer, as [`DenseTrainer::set_layer`] takes them.
    pub fn layer(&mut self, layer: usize) -> (Vec<f32>, Vec<f32>) {
        let net = &mut self.nets[0];
        let layer = layer + usize::from(net.layers[0].stem.is_some());
        let dense = &mut net.layers[layer];
        let Layer { inputs, outputs, bias, .. } = dense.layer;
        let (narrow, shape) = (dense.narrow, dense.shape);
        let mut weight = vec![0.0; if dense.own { dense.members } else { 1 } * inputs * outputs];
        for (values, weight) in
            dense.weight.values.all().chunks(shape.len()).zip(weight.chunks_exact_mut(inputs * outputs))
        {
            shape.for_each(values, |r, c, w| weight[if narrow { c * outputs + r } else { r * outputs + c }] = w);
        }
        let biases = if bias { dense.members } else { 0 };
        (weight, gather(dense.bias.values.all(), outputs, biases))
    }

    /// Sets a further part.
    ///
    /// # Panics
    ///
    /// If the network does not have it, or there are more or fewer numbers.
    pub fn set_part(&mut self, part: Part, numbers: &[f32]) {
        for net in &mut self.nets {
            let layer = part.layer(net.layers[0].stem.is_some());
            let dense = &mut net.layers[layer];
            let (outputs, size) = (dense.layer.outputs, dense.layer.outputs.next_multiple_of(16));
            let param = match part {
                Part::Embedding(tensor) => {
                    let ranges = dense.stem.as_ref().map(|plan| plan.tensors().swap_remove(tensor)).unwrap_or_default();
                    let mut rest = numbers;
                    for range in ranges {
                        let (own, others) = rest.split_at(range.len());
                        dense.weight.values.all()[range].copy_from_slice(own);
                        rest = others;
                    }
                    assert!(rest.is_empty());
                    dense.flip_all();
                    continue;
                }
                Part::Mix(_) => &mut dense.mix,
                Part::In(_) => &mut dense.factor,
                Part::Out(_) => &mut dense.scale,
            };
            assert!(numbers.len().is_multiple_of(outputs) && numbers.len() / outputs * size == param.values.len());
            spread(numbers, outputs, param.values.all());
        }
    }

    /// The numbers of a further part.
    ///
    /// # Panics
    ///
    /// If the network does not have it.
    pub fn part(&mut self, part: Part) -> Vec<f32> {
        let net = &mut self.nets[0];
        let layer = part.layer(net.layers[0].stem.is_some());
        let dense = &mut net.layers[layer];
        let outputs = dense.layer.outputs;
        let param = match part {
            Part::Embedding(tensor) => {
                let ranges = dense.stem.as_ref().map(|plan| plan.tensors().swap_remove(tensor)).unwrap_or_default();
                let values = dense.weight.values.all();
                return ranges.into_iter().flat_map(|range| values[range].to_vec()).collect();
            }
            Part::Mix(_) => &mut dense.mix,
            Part::In(_) => &mut dense.factor,
            Part::Out(_) => &mut dense.scale,
        };
        let rows = param.values.len() / outputs.next_multiple_of(16);
        gather(param.values.all(), outputs, rows)
    }

    /// Copies all weights to `store`, in an order of their own.
    pub fn save(&mut self, store: &mut Vec<f32>) {
        store.clear();
        self.nets[0].values().for_each(|values| store.extend_from_slice(values));
    }

    /// Takes weights back that [`DenseTrainer::save`] stored.
    ///
    /// # Panics
    ///
    /// If they are of another network.
    pub fn restore(&mut self, store: &[f32]) {
        for net in &mut self.nets {
            let mut rest = store;
            for values in net.values() {
                let (head, tail) = rest.split_at(values.len());
                values.copy_from_slice(head);
                rest = tail;
            }
            assert!(rest.is_empty());
            net.layers.iter_mut().for_each(super::net::Dense::flip_all);
        }
    }

    /// Copies what the step rule remembers of every weight to `store`, in an order of their own; the number of steps made.
    pub fn save_rule(&mut self, store: &mut Vec<f32>) -> i32 {
        store.clear();
        self.nets[0].states().for_each(|states| store.extend_from_slice(states));
        self.step
    }

    /// Takes back what [`DenseTrainer::save_rule`] stored, after `step` steps: whether it is as much as this network's rule
    /// remembers. If not, nothing is changed.
    #[must_use]
    pub fn restore_rule(&mut self, store: &[f32], step: i32) -> bool {
        if self.nets[0].states().map(|s| s.len()).sum::<usize>() != store.len() || step < 0 {
            return false;
        }
        for net in &mut self.nets {
            let mut rest = store;
            for states in net.states() {
                let (head, tail) = rest.split_at(states.len());
                states.copy_from_slice(head);
                rest = tail;
            }
        }
        self.step = step;
        true
    }

    /// Whether every weight is a finite number.
    pub fn is_finite(&mut self) -> bool {
        self.nets[0].values().all(|values| {
            // x·0 is 0 for a finite x, else NaN; sums by column, for the compiler to put into vectors.
            let mut sums = [0.0f32; 16];
            for line in values.chunks_exact(16) {
                sums.iter_mut().zip(line).for_each(|(s, x)| *s += x * 0.0);
            }
            sums.iter().all(|s| s.is_finite())
        })
    }

    /// Computes with other instructions than those found at run time: then another machine gets the same bits.
    pub fn set_instructions(&mut self, instructions: Arch) {
        self.arch = instructions;
    }

    /// Threads that train.
    pub fn threads(&self) -> usize {
        self.team.threads()
    }

    /// One pass over the rows in `order`, in batches; `moment(step)` is what a step is made with, counted from 0. Ends
    /// early, after the batch in work, once `until` is true or the sum of the losses is no longer finite; `until` is asked
    /// at the beginning of every step, by one thread.
    ///
    /// # Panics
    ///
    /// If the widths of the data are not the network's, or `order` names a row that there is not; if members have rows of their own
    /// and it does not have as many for each of them.
    pub fn epoch(
        &mut self,
        data: &Data<'_>,
        order: &[u32],
        epoch: u32,
        moment: &(dyn Fn(usize) -> Moment + Sync),
        until: Option<&(dyn Fn() -> bool + Sync)>,
    ) -> Totals {
        let rows = self.check(data);
        assert!(order.iter().all(|&r| (r as usize) < rows));
        let net = &self.nets[0];
        assert!(!net.settings.own_rows || order.len().is_multiple_of(net.members));
        let (totals, last) = (Mutex::new([Totals::default(); 2]), AtomicUsize::new(usize::MAX));
        let mut team = std::mem::replace(&mut self.team, Team::new(1));
        {
            let run = Epoch { trainer: self, data, order, epoch, moment, until, totals: &totals, last: &last };
            team.run(&|thread, barrier| self.arch.dispatch(Work { run: &run, thread, barrier }));
        }
        self.team = team;
        let [first, second] = *lock(&totals);
        self.step = self.step.wrapping_add(first.steps as i32);
        Totals { loss: first.loss + second.loss, ..first }
    }

    /// The outputs `[rows, outputs]` for `inputs` `[rows, inputs]`, without dropout; of several members `[members, rows, outputs]`.
    ///
    /// # Panics
    ///
    /// If the widths are not the network's.
    pub fn outputs(&mut self, inputs: &[f32], outputs: &mut [f32]) {
        let (n, m) = self.nets[0].shape();
        let rows = inputs.len() / n;
        let members = self.nets[0].members;
        assert!(inputs.len() == rows * n && outputs.len() == members * rows * m);
        let threads = self.team.threads();
        let share = rows.div_ceil(threads).max(1);
        // Of each thread its rows, and what they become, by member.
        type Rows<'a> = Mutex<(&'a [f32], Vec<&'a mut [f32]>)>;
        let mut parts: Vec<Rows<'_>> = inputs.chunks(share * n).map(|rows| Mutex::new((rows, Vec::new()))).collect();
        for outputs in outputs.chunks_mut((rows * m).max(1)) {
            for (part, outputs) in parts.iter_mut().zip(outputs.chunks_mut(share * m)) {
                part.get_mut().unwrap_or_else(PoisonError::into_inner).1.push(outputs);
            }
        }
        let mut team = std::mem::replace(&mut self.team, Team::new(1));
        let trainer = &*self;
        team.run(&|thread, _| {
            if let Some(part) = parts.get(thread) {
                let (inputs, outputs) = &mut *lock(part);
                for (member, outputs) in outputs.iter_mut().enumerate() {
                    trainer.arch.dispatch(Outputs { trainer, inputs, outputs, thread, member });
                }
            }
        });
        self.team = team;
    }

    /// Sums of the losses of `data`, without dropout; `outputs` `[rows, outputs]` receives the network's outputs. Those of several
    /// members are made one by `join`, which is given all of them and leaves `[rows, outputs]`.
    ///
    /// # Panics
    ///
    /// If the widths are not the network's.
    pub fn evaluate(&mut self, data: &Data<'_>, outputs: &mut Vec<f32>, join: impl FnOnce(&mut Vec<f32>)) -> Totals {
        let rows = self.check(data);
        let (members, columns) = (self.nets[0].members, self.nets[0].shape().1);
        outputs.resize(members * rows * columns, 0.0);
        self.outputs(data.inputs, outputs);
        if members > 1 {
            join(outputs);
        }
        self.arch.dispatch(Judge { loss: self.nets[0].settings.loss, columns, outputs, data })
    }

    /// The rows of `data`.
    fn check(&self, data: &Data<'_>) -> usize {
        let (n, m) = self.nets[0].shape();
        let rows = data.inputs.len() / n;
        assert!(data.inputs.len() == rows * n && data.targets.len() == rows * m);
        assert!(data.weights.is_none_or(|w| w.len() == rows));
        rows
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Gives each thread about the same number of weights.
fn plan(net: &Net, threads: usize) -> Vec<Vec<Unit>> {
    let mut units = Vec::new();
    for (i, dense) in net.layers.iter().enumerate() {
        let Layer { inputs, outputs, bias, .. } = dense.layer;
        let joint = if i < 2 { net.joint() } else { 0 };
        // Factors of joint fields come with these.
        let loose = i > 0 || joint < outputs;
        let terms = [(bias, Term::Bias), (true, Term::Scale), (true, Term::Mix), (loose, Term::Factor)];
        for (_, term) in terms.into_iter().filter(|(there, term)| *there && !dense.term(*term).values.is_empty()) {
            units.push((outputs, Unit::Sum(i, term)));
        }
        if let Some(plan) = &dense.stem {
            let (behind, rows) = (net.layers[1].layer.outputs, net.settings.batch);
            units.extend((0..plan.joint).map(|f| (plan.joint_cost(f, behind, rows), Unit::Joint(f..f + 1))));
            let rest = plan.joint..plan.fields();
            units.extend(rest.map(|f| (plan.cost(f), Unit::Stem(f..f + 1))).filter(|(cost, _)| *cost > 0));
            continue;
        }
        if dense.own {
            units.extend((0..dense.members).map(|m| (inputs * outputs / dense.members + 1, Unit::Member(i, m))));
            continue;
        }
        let step = if dense.narrow { 1 } else { 16 };
        let all = if dense.narrow { dense.shape.count() } else { inputs };
        for start in (if i == 1 { joint } else { 0 }..all).step_by(step) {
            let range = start..(start + step).min(all);
            let cost = if dense.narrow { PANEL * ROWS } else { range.len() * outputs };
            units.push((cost, Unit::Weights(i, range)));
        }
    }
    let total: usize = units.iter().map(|(cost, _)| cost).sum();
    let mut plan: Vec<Vec<Unit>> = vec![Vec::new(); threads];
    let mut before = 0;
    for (cost, unit) in units {
        // The thread in whose share the middle of the unit lies.
        let mine = &mut plan[((before + cost / 2) * threads / total.max(1)).min(threads - 1)];
        before += cost;
        match (mine.last_mut(), &unit) {
            (Some(Unit::Weights(a, range)), Unit::Weights(b, next)) if a == b && range.end == next.start => {
                range.end = next.end;
            }
            (Some(Unit::Stem(range)), Unit::Stem(next)) if range.end == next.start => range.end = next.end,
            (Some(Unit::Joint(range)), Unit::Joint(next)) if range.end == next.start => range.end = next.end,
            _ => mine.push(unit),
        }
    }
    plan
}

/// The rows that belong to one of several.
fn share(rows: usize, one: usize, several: usize) -> Range<usize> {
    rows * one / several..rows * (one + 1) / several
}

struct Epoch<'a> {
    trainer: &'a DenseTrainer,
    data: &'a Data<'a>,
    order: &'a [u32],
    epoch: u32,
    moment: &'a (dyn Fn(usize) -> Moment + Sync),
    until: Option<&'a (dyn Fn() -> bool + Sync)>,
    totals: &'a Mutex<[Totals; 2]>,
    /// The last step, once it is known that the epoch ends early. Thread 0 writes it before a step in which the others
    /// wait for it, and they read it after: all end with the same step.
    last: &'a AtomicUsize,
}

/// One thread's part of an epoch.
struct Work<'a> {
    run: &'a Epoch<'a>,
    thread: usize,
    barrier: &'a Barrier,
}

/// A batch, and what a step with it needs to know.
#[derive(Clone, Copy)]
struct Batch<'a> {
    ids: &'a [u32],
    /// Rows of each member.
    rows: usize,
    /// What the slopes of the rows' losses are multiplied by.
    scale: f32,
    now: Step,
}

impl WithSimd for Work<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Epoch { trainer, data, order, .. } = *self.run;
        let settings = &trainer.nets[0].settings;
        let orders = if settings.own_rows { trainer.nets[0].members } else { 1 };
        let scratch = &mut *lock(&trainer.scratch[self.thread]);
        let mut totals = [Totals::default(); 2];
        for (number, ids) in order.chunks(settings.batch * orders).enumerate() {
            let early = || !totals[0].loss.is_finite() || self.run.until.is_some_and(|until| until());
            if self.thread == 0 && early() {
                self.run.last.fetch_min(number, Ordering::Relaxed);
            }
            let step = trainer.step.wrapping_add(number as i32 + 1);
            let now = settings.rule.at(step, (self.run.moment)(number), settings.betas);
            let weight = match data.weights {
                None => (ids.len() / orders) as f64,
                Some(weights) => ids.iter().map(|&r| f64::from(weights[r as usize])).sum::<f64>() / orders as f64,
            };
            // A batch whose weights are all 0 changes nothing.
            let scale = if settings.sum { 1.0 } else { 1.0 / (weight as f32).max(f32::MIN_POSITIVE) };
            let batch = Batch { ids, rows: ids.len() / orders, scale, now };
            if trainer.halves == 2 {
                self.by_halves(simd, batch, number, scratch, &mut totals);
            } else {
                self.by_weights(simd, batch, scratch, &mut totals);
            }
            if self.thread == 0 {
                totals[0].weight += weight;
                totals[0].steps += 1;
            }
            if number >= self.run.last.load(Ordering::Relaxed) {
                break;
            }
        }
        let mut all = lock(self.run.totals);
        for (all, mine) in all.iter_mut().zip(totals) {
            all.loss += mine.loss;
            all.weight += mine.weight;
            all.steps += mine.steps;
        }
    }
}

impl Work<'_> {
    /// Takes rows of a chunk through the network and back.
    #[inline(always)]
    fn there_and_back<S: Simd>(
        &self,
        simd: S,
        net: &Net,
        (chunk, scale): (Chunk<'_>, f32),
        rows: Range<usize>,
        scratch: &mut Scratch,
    ) {
        let (data, ids) = (self.run.data, chunk.ids);
        simd.vectorize(Gather { net, data, ids, rows: rows.clone(), targets: &mut scratch.targets });
        for l in 0..net.layers.len() {
            simd.vectorize(Forward { net, l, rows: rows.clone(), chunk, scratch: &mut *scratch });
        }
        simd.vectorize(Slope { net, data, ids, rows: rows.clone(), scale, scratch });
        for l in (1..net.layers.len()).rev() {
            simd.vectorize(Backward { net, l, rows: rows.clone(), chunk, partial: &mut scratch.partial });
        }
    }

    /// A step of a large network: rows, then weights.
    #[inline(always)]
    fn by_weights<S: Simd>(&self, simd: S, batch: Batch<'_>, scratch: &mut Scratch, totals: &mut [Totals; 2]) {
        let trainer = self.run.trainer;
        let (net, plan) = (&trainer.nets[0], &trainer.plan[self.thread]);
        let (members, drop) = (net.members, net.settings.dropout * batch.now.dropout);
        let mut all = std::mem::take(&mut scratch.ids);
        let repeated = members > 1 && !net.settings.own_rows;
        if repeated {
            all.clear();
            (0..members).for_each(|_| all.extend_from_slice(batch.ids));
        }
        let ids = if repeated { &all } else { batch.ids };
        let (chunks, scale) = (ids.len().div_ceil(trainer.chunk), batch.scale / members as f32);
        let keep = !net.grads[0].is_empty();
        for (c, ids) in ids.chunks(trainer.chunk).enumerate() {
            let start = c * trainer.chunk;
            let chunk = Chunk { ids, start, batch: batch.rows, epoch: self.run.epoch, drop };
            let rows = chunk.share(self.thread, trainer.plan.len());
            if !rows.is_empty() {
                self.there_and_back(simd, net, (chunk, scale), rows, scratch);
            }
            self.barrier.wait();
            let then = if keep { Then::Keep { half: 0, first: c == 0 } } else { Then::Use(batch.now) };
            for unit in plan {
                simd.vectorize(Gradient { net, rows: 0..ids.len(), chunk, unit, then, scratch: &mut *scratch });
            }
            if self.thread == 0 {
                totals[0].loss += net.lost(0..ids.len()) / members as f64;
            }
            if c + 1 < chunks {
                self.barrier.wait();
            }
        }
        scratch.ids = all;
        if keep {
            self.settle(simd, net, plan, batch.now);
        }
        self.barrier.wait();
    }

    /// A step of a small network: halves of the batch, exchanged.
    #[inline(always)]
    fn by_halves<S: Simd>(
        &self,
        simd: S,
        batch: Batch<'_>,
        number: usize,
        scratch: &mut Scratch,
        totals: &mut [Totals; 2],
    ) {
        let trainer = self.run.trainer;
        let (net, plan) = (&trainer.nets[self.thread], &trainer.plan[self.thread]);
        let alone = trainer.nets.len() == 1;
        let mine = if alone { 0..2 } else { self.thread..self.thread + 1 };
        for (c, ids) in batch.ids.chunks(trainer.chunk).enumerate() {
            for half in mine.clone() {
                let rows = share(ids.len(), half, 2);
                let then = Then::Keep { half, first: c == 0 };
                if rows.is_empty() {
                    if c == 0 {
                        // SAFETY: the gradients of this half are this thread's.
                        unsafe { net.grads[half].write(0..net.grads[half].len()) }.fill(0.0);
                    }
                    continue;
                }
                let drop = net.settings.dropout * batch.now.dropout;
                let chunk = Chunk { ids, start: 0, batch: ids.len(), epoch: self.run.epoch, drop };
                self.there_and_back(simd, net, (chunk, batch.scale), rows.clone(), scratch);
                totals[half].loss += net.lost(rows.clone());
                for unit in plan {
                    simd.vectorize(Gradient { net, rows: rows.clone(), chunk, unit, then, scratch: &mut *scratch });
                }
            }
        }
        if !alone {
            let (own, other) = (self.thread, 1 - self.thread);
            // SAFETY: this network is this thread's alone.
            let grads = unsafe {
                [net.grads[own].write(0..net.grads[own].len()), net.grads[other].write(0..net.grads[other].len())]
            };
            let [own_grads, other_grads] = grads;
            // SAFETY: a box is written by its sender before this barrier, read by the other thread between this one and
            // the next, and written again two barriers later.
            unsafe { trainer.mail[own][number % 2].send(own_grads) };
            self.barrier.wait();
            // SAFETY: as above.
            unsafe { trainer.mail[other][number % 2].receive(other_grads) };
        }
        self.settle(simd, net, plan, batch.now);
    }

    /// Uses kept gradients. Networks that are shared wait for each other's parts, as the length of the gradient is that of
    /// all parts.
    #[inline(always)]
    fn settle<S: Simd>(&self, simd: S, net: &Net, plan: &[Unit], now: Step) {
        let shared = self.run.trainer.halves == 1;
        let all = |settle| plan.iter().for_each(|unit| simd.vectorize(Kept { net, unit, settle }));
        let Some(limit) = net.settings.clip_norm else { return all(Settle::WholeUse(now)) };
        all(Settle::Whole);
        if shared {
            self.barrier.wait();
        }
        let factor = (limit / (net.norm() + 1e-6)).min(1.0) as f32;
        if shared {
            self.barrier.wait();
        }
        all(Settle::Use(factor, now));
    }
}

/// Numbers on their way from one thread to another.
///
/// The last place of every cache line carries none: the reader writes it before it reads the line. A line that a processor
/// has written stays its own, and giving it to another to write costs a few nanoseconds; a line that two have read must be
/// taken back before it is written, which costs ten times that (measured: 4 and 41 ns a line, Zen 4).
struct Mail {
    lines: Buffer,
    len: usize,
}

/// Numbers in a line of 16.
const CARRIED: usize = 15;

impl Mail {
    fn new(len: usize) -> Self {
        Self { lines: Buffer::zeros(len.div_ceil(CARRIED) * 16), len }
    }

    /// # Safety
    ///
    /// Nobody else uses this mail meanwhile.
    #[inline(always)]
    unsafe fn send(&self, from: &[f32]) {
        // SAFETY: the caller's promise.
        let lines = unsafe { self.lines.write(0..self.lines.len()) };
        let mut numbers = from.chunks_exact(CARRIED);
        let mut lines = lines.chunks_exact_mut(16);
        for (numbers, line) in (&mut numbers).zip(&mut lines) {
            line[..CARRIED].copy_from_slice(numbers);
        }
        if let Some(line) = lines.next() {
            line[..numbers.remainder().len()].copy_from_slice(numbers.remainder());
        }
    }

    /// # Safety
    ///
    /// As for [`Mail::send`].
    #[inline(always)]
    unsafe fn receive(&self, to: &mut [f32]) {
        debug_assert_eq!(to.len(), self.len);
        // SAFETY: the caller's promise.
        let lines = unsafe { self.lines.write(0..self.lines.len()) };
        for line in lines.chunks_exact_mut(16) {
            line[CARRIED] = 1.0;
        }
        // The compiler must not join the loops.
        std::sync::atomic::compiler_fence(Ordering::SeqCst);
        let mut numbers = to.chunks_exact_mut(CARRIED);
        let mut lines = lines.chunks_exact(16);
        for (numbers, line) in (&mut numbers).zip(&mut lines) {
            numbers.copy_from_slice(&line[..CARRIED]);
        }
        let rest = numbers.into_remainder();
        if let Some(line) = lines.next() {
            rest.copy_from_slice(&line[..rest.len()]);
        }
    }
}

/// One thread's share of the outputs.
struct Outputs<'a> {
    trainer: &'a DenseTrainer,
    inputs: &'a [f32],
    outputs: &'a mut [f32],
    thread: usize,
    member: usize,
}

impl WithSimd for Outputs<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { trainer, inputs, outputs, thread, member } = self;
        let net = &trainer.nets[thread.min(trainer.nets.len() - 1)];
        let (n, m) = net.shape();
        // The thread's own rows of the buffers, at least one; there are no more threads than rows of a batch worth it.
        let own =
            if trainer.nets.len() > 1 { 0..trainer.chunk } else { share(trainer.chunk, thread, trainer.plan.len()) };
        let scratch = &mut *lock(&trainer.scratch[thread]);
        for (inputs, outputs) in inputs.chunks(own.len() * n).zip(outputs.chunks_mut(own.len() * m)) {
            let rows = own.start..own.start + inputs.len() / n;
            for (row, r) in rows.clone().enumerate() {
                net.put_row(simd, r, inputs, row);
            }
            for l in 0..net.layers.len() {
                let chunk = Chunk { start: member * trainer.chunk, ..Chunk::new(trainer.chunk) };
                simd.vectorize(Forward { net, l, rows: rows.clone(), chunk, scratch: &mut *scratch });
            }
            net.last().take_outputs(rows, outputs);
        }
    }
}

/// The losses of given outputs.
struct Judge<'a> {
    loss: Loss,
    columns: usize,
    outputs: &'a [f32],
    data: &'a Data<'a>,
}

impl WithSimd for Judge<'_> {
    type Output = Totals;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Totals {
        let Self { loss, columns, outputs, data } = self;
        let block = (4096 / columns).max(1);
        let (mut f, mut slopes, mut losses) = (Vec::new(), vec![0.0; block * columns], vec![0.0; block]);
        let mut totals = Totals::default();
        for (i, (out, y)) in outputs.chunks(block * columns).zip(data.targets.chunks(block * columns)).enumerate() {
            f.clear();
            f.extend_from_slice(out);
            let rows = out.len() / columns;
            loss.apply(columns, &mut f, y, &mut slopes[..out.len()], &mut losses[..rows]);
            let weights = data.weights.map(|w| &w[i * block..i * block + rows]);
            for (r, l) in losses[..rows].iter().enumerate() {
                let weight = weights.map_or(1.0, |w| f64::from(w[r]));
                totals.loss += weight * f64::from(*l);
                totals.weight += weight;
            }
        }
        totals
    }
}
