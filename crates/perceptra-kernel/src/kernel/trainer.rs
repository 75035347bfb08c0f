//! A network in training, as others see it.

use std::sync::atomic::AtomicUsize;
use std::sync::{Mutex, PoisonError};

use pulp::{Arch, Simd, WithSimd};

use super::batch::{Chunk, share};
use super::exchange::Mail;
use super::forward::Forward;
use super::net::{Dense, Net};
use super::scratch::{Scratch, lock};
use super::step::{Epoch, Work};
use super::team::Team;
use super::work::{Unit, plan};
use crate::loss::Loss;
use crate::rule::Moment;
use crate::settings::{Data, Layer, Parts, Settings, Totals};
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
            net.layers.iter_mut().for_each(Dense::flip_all);
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
            let run = Epoch {
                nets: &self.nets,
                halves: self.halves,
                mail: &self.mail,
                plan: &self.plan,
                scratch: &self.scratch,
                chunk: self.chunk,
                step: self.step,
                data,
                order,
                epoch,
                moment,
                until,
                totals: &totals,
                last: &last,
            };
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
