//! A network with its memory, and what a step does to one of its layers.
//!
//! Nothing here waits for another thread. What a function reads and writes, and who may do so at that time, is said in
//! `step`, whose two phases these functions belong to: activations and ∂R/∂z of a row belong to one thread from
//! [`Net::gather`] to [`Backward`], and are only read while gradients are computed; weights, their states, their gradients
//! and their transposed copies belong to one thread while gradients are computed and used, and are only read before.

use std::ops::Range;

use perceptra_random::{Purpose, Stream};
use pulp::{Simd, WithSimd};

use super::buffer::{Buffer, PANEL, Panels};
use super::tile::{Aligned, BLOCK, Left, ROWS, Sums, dots, each, load, multiply, prefetch, store, transpose, vectors};
use crate::pointwise::{Activation, Rule, Step};
use crate::settings::{Data, Group, Layer, Parts, Settings};
use crate::stem::{JOINT, Plan, Sorted};

/// Panels of a sum over k that stay in cache.
const DEPTH: usize = 16;
/// Kept gradients that are used at once: they, their weights and what the rule remembers fit the nearest cache.
const SETTLED: usize = 1024;
/// Terms of a sum that are too few for blocks of rows to be worth their while.
const FEW: usize = 8;
/// Outputs up to which a layer is stored by output, and computed by dot products.
const NARROW: usize = 4;

/// Weights with what belongs to each of them.
pub(super) struct Param {
    pub(super) values: Buffer,
    /// What the step rule remembers.
    pub(super) states: [Buffer; 2],
    /// Where their gradients begin.
    pub(super) at: usize,
    is_weight: bool,
    /// Factor of the learning rate, decay, factor of ε.
    tuning: (f64, f64, f32),
}

/// A layer and its memory.
pub(super) struct Dense {
    pub(super) layer: Layer,
    /// Stored by output: `shape` is `[outputs, inputs]`, and there is no `flipped`.
    pub(super) narrow: bool,
    pub(super) shape: Panels,
    pub(super) weight: Param,
    /// The transposed weights, for the way back; not for the first layer. Of the stem, the sums of [`Plan::sum`].
    pub(super) flipped: Buffer,
    pub(super) flipped_shape: Panels,
    /// Of each member.
    pub(super) bias: Param,
    /// α of a parametric activation.
    pub(super) mix: Param,
    /// s of each member.
    pub(super) scale: Param,
    /// r of the next layer of each member.
    pub(super) factor: Param,
    /// What becomes of rows, if this is no dense layer.
    pub(super) stem: Option<Plan>,
    /// Networks in one.
    pub(super) members: usize,
    /// Whether each member has weights of its own, one after another.
    pub(super) own: bool,
    /// Whether z and f(z) are changed by more than biases and dropout.
    pub(super) extended: bool,
    /// What ∂R/∂b, ∂R/∂s, ∂R/∂α and ∂R/∂r of a row are, without ∂R/∂a, on the way forward; after the way back, with it, the sums of
    /// these over the rows of each block, where its first row is.
    pub(super) parts: [Buffer; 4],
    /// f(z) of a chunk.
    pub(super) a: Buffer,
    /// f′(z) on the way forward, unless it is among the parts; ∂R/∂z after the way back.
    pub(super) d: Buffer,
    pub(super) rows: Panels,
}

/// A network and its memory.
pub(super) struct Net {
    pub(super) settings: Settings,
    pub(super) layers: Vec<Dense>,
    pub(super) x: Buffer,
    pub(super) x_shape: Panels,
    pub(super) losses: Buffer,
    /// Gradients of each half of the batch, where they are kept.
    pub(super) grads: [Buffer; 2],
    pub(super) members: usize,
    zeros: Vec<f32>,
    /// Whether a step is w ← w − ρ·∂R/∂w and nothing more.
    plain: bool,
}

/// Rows of a batch that are in work; a batch of several members has each row once for each of them.
#[derive(Clone, Copy)]
pub(super) struct Chunk<'a> {
    /// By their numbers in the data.
    pub(super) ids: &'a [u32],
    /// Rows of the batch before them, and rows of each member.
    pub(super) start: usize,
    pub(super) batch: usize,
    pub(super) epoch: u32,
    /// Share of the units that is dropped.
    pub(super) drop: f64,
}

impl Chunk<'_> {
    /// Rows outside training, of the first member.
    pub(super) fn new(rows: usize) -> Self {
        Self { ids: &[], start: 0, batch: rows, epoch: 0, drop: 0.0 }
    }

    /// The member that a row belongs to.
    #[inline(always)]
    fn member(&self, row: usize) -> usize {
        (self.start + row) / self.batch
    }

    /// Some rows in blocks of 6, of which each is of one member. Rows of members begin new blocks, and so must `rows`.
    #[inline(always)]
    pub(super) fn blocks(&self, rows: Range<usize>) -> Blocks {
        Blocks { at: rows.start, end: rows.end, turn: self.end(rows.start), batch: self.batch }
    }

    /// Where the rows of the member that a row belongs to end.
    #[inline(always)]
    fn end(&self, row: usize) -> usize {
        (self.member(row) + 1) * self.batch - self.start
    }

    /// Rows of the chunk for one of several threads, in whole blocks.
    pub(super) fn share(&self, one: usize, several: usize) -> Range<usize> {
        let rows = self.ids.len();
        let place = |one: usize| {
            let row = rows * one / several;
            let first = (self.end(row) - self.batch.min(self.end(row))).min(row);
            if row == rows { row } else { row - (row - first) % ROWS }
        };
        place(one)..place(one + 1)
    }

    /// Those of some rows that belong to a member.
    #[inline(always)]
    pub(super) fn of(&self, member: usize, rows: &Range<usize>) -> Range<usize> {
        let place = |row: usize| (row.saturating_sub(self.start)).clamp(rows.start, rows.end);
        place(member * self.batch)..place((member + 1) * self.batch)
    }
}

/// See [`Chunk::blocks`].
#[derive(Clone)]
pub(super) struct Blocks {
    at: usize,
    end: usize,
    /// Where the next member begins.
    turn: usize,
    batch: usize,
}

impl Iterator for Blocks {
    type Item = Range<usize>;

    #[inline(always)]
    fn next(&mut self) -> Option<Range<usize>> {
        if self.at >= self.end {
            return None;
        }
        if self.at == self.turn {
            self.turn += self.batch;
        }
        let block = self.at..(self.at + ROWS).min(self.turn).min(self.end);
        self.at = block.end;
        Some(block)
    }
}

impl Net {
    /// A network of zeros with room for `chunk` rows, and for `kept` gradients of every weight.
    pub(super) fn new(layers: &[Layer], parts: &Parts, settings: Settings, chunk: usize, kept: usize) -> Self {
        let states = settings.rule.states();
        let members = parts.members;
        let mut at = 0;
        let mut param = |len: usize, group: Group, gain: f64| {
            let len = len.next_multiple_of(16);
            let state = |i| Buffer::zeros(if i < states { len } else { 0 });
            // Weights are gain times those that steps are defined for: their gradients are 1/gain times as large.
            let step = if matches!(settings.rule, Rule::Sgd { .. }) { gain * gain } else { gain };
            let kind = group as usize;
            let tuning = (settings.rates[kind] * step, settings.decay[kind] / step, (1.0 / gain) as f32);
            let is_weight = group == Group::Weight;
            let param = Param { values: Buffer::zeros(len), states: [state(0), state(1)], at, is_weight, tuning };
            at += len;
            param
        };
        let padded = |n: usize| n.next_multiple_of(16);
        let several = members > 1;
        let plan = parts.stem.as_ref().map(Plan::new);
        let columns = parts.stem.as_ref().map_or(layers[0].inputs, |stem| stem.columns.len());
        let first = (plan.is_some() || parts.input_scale || several).then(|| {
            let width = layers[0].inputs;
            let layer = Layer { inputs: columns, outputs: width, bias: false, activation: Activation::Identity };
            (layer, true)
        });
        let mut plan = plan;
        if let Some(plan) = plan.as_mut().filter(|_| layers[0].outputs > NARROW) {
            plan.join(settings.batch.min(chunk));
        }
        let all: Vec<(Layer, bool)> = first.into_iter().chain(layers.iter().map(|l| (*l, false))).collect();
        let last = all.len() - 1;
        let dense = all.iter().enumerate().map(|(i, &(layer, is_stem))| {
            let Layer { inputs, outputs, .. } = layer;
            let own = several && i == last;
            let (narrow, hidden) = (outputs <= NARROW && !is_stem, i < last);
            let shape = if narrow { Panels::new(outputs, inputs) } else { Panels::new(inputs, outputs) };
            let flipped_shape = Panels::new(outputs, inputs);
            let rows = Panels::new(chunk, outputs);
            let gain = if parts.ntk { (inputs as f64).sqrt().recip() } else { 1.0 };
            let copies = if own { members } else { 1 };
            let stem = is_stem.then(|| plan.take()).map(|plan| plan.unwrap_or_default());
            let weight = match &stem {
                Some(plan) => param(plan.parameters, Group::Embedding, 1.0),
                None => param(copies * shape.len(), Group::Weight, gain),
            };
            let mixed = parts.parametric && hidden && !is_stem;
            let scaled = several && hidden && !is_stem;
            // The first layer's r, or its factors; the output layer has none.
            let factored = if is_stem { parts.input_scale || several } else { several && i + 1 < last };
            let group = if several { Group::Member } else { Group::InputScale };
            let part = |there: bool| Buffer::zeros(if there { rows.len() } else { 0 });
            let flipped = match &stem {
                Some(plan) => plan.parameters,
                None if narrow || i == 0 => 0,
                None => copies * flipped_shape.len(),
            };
            Dense {
                layer,
                narrow,
                shape,
                weight,
                flipped: Buffer::zeros(flipped),
                flipped_shape,
                bias: param(if is_stem { 0 } else { members * padded(outputs) }, Group::Bias, 1.0),
                mix: param(if mixed { outputs } else { 0 }, Group::Activation, 1.0),
                scale: param(if scaled { members * padded(outputs) } else { 0 }, Group::Member, 1.0),
                factor: param(if factored { members * padded(outputs) } else { 0 }, group, 1.0),
                stem,
                members,
                own,
                extended: is_stem || mixed || scaled || factored,
                parts: [part(scaled), part(scaled), part(mixed), part(factored)],
                a: Buffer::zeros(rows.len()),
                d: Buffer::zeros(rows.len()),
                rows,
            }
        });
        let dense: Vec<Dense> = dense.collect();
        let x_shape = Panels::new(chunk, columns);
        let grads = |i| Buffer::zeros(if i < kept { at } else { 0 });
        Self {
            plain: settings.is_plain_descent() && !parts.ntk,
            settings,
            layers: dense,
            x: Buffer::zeros(x_shape.len()),
            x_shape,
            losses: Buffer::zeros(chunk),
            grads: [grads(0), grads(1)],
            members,
            zeros: vec![0.0; all.iter().map(|(l, _)| padded(l.outputs)).max().unwrap_or(0)],
        }
    }

    /// (inputs, outputs)
    pub(super) fn shape(&self) -> (usize, usize) {
        (self.x_shape.columns, self.last().layer.outputs)
    }

    /// Columns of the inputs of the first dense layer whose gradients are those of joint fields.
    #[inline(always)]
    pub(super) fn joint(&self) -> usize {
        self.layers[0].stem.as_ref().map_or(0, |plan| plan.joint * JOINT)
    }

    /// The first panel of the inputs of the first dense layer with others.
    #[inline(always)]
    fn loose(&self) -> usize {
        let Panels { columns, .. } = self.layers[0].rows;
        if self.joint() < columns { self.joint() / PANEL } else { columns.div_ceil(PANEL) }
    }

    /// The first column of a layer whose gradients are the sums of what rows say.
    #[inline(always)]
    fn summed(&self, l: usize, term: Term) -> usize {
        if l == 0 && term == Term::Factor { self.joint() } else { 0 }
    }

    pub(super) fn last(&self) -> &Dense {
        &self.layers[self.layers.len() - 1]
    }

    /// All weights, in the order of their gradients.
    pub(super) fn values(&mut self) -> impl Iterator<Item = &mut [f32]> {
        self.params().map(|p| p.values.all())
    }

    fn params(&mut self) -> impl Iterator<Item = &mut Param> {
        self.layers.iter_mut().flat_map(|l| [&mut l.weight, &mut l.bias, &mut l.mix, &mut l.scale, &mut l.factor])
    }

    /// What the step rule remembers of them.
    pub(super) fn states(&mut self) -> impl Iterator<Item = &mut [f32]> {
        self.params().flat_map(|p| &mut p.states).map(Buffer::all)
    }

    /// Copies rows `ids` into panels, as rows of the chunk.
    #[inline(always)]
    pub(super) fn put_rows<S: Simd>(&self, simd: S, rows: Range<usize>, inputs: &[f32], ids: &[u32]) {
        let n = self.x_shape.columns;
        if n < S::F32_LANES && !self.layers[0].narrow {
            // One vector a row, which reads into the next rows: only the dot products of narrow layers look beyond the columns.
            let width = self.x_shape.width(0);
            // SAFETY: the rows are this thread's.
            let to = unsafe { self.x.write(self.x_shape.range(0, rows.clone())) };
            for (i, (to, id)) in to.chunks_exact_mut(width).zip(ids).enumerate() {
                let at = *id as usize * n;
                match inputs.get(at..at + S::F32_LANES) {
                    Some(from) => store::<S>(to, 0, load::<S>(from, 0)),
                    None => self.put_row(simd, rows.start + i, inputs, *id as usize),
                }
            }
            return;
        }
        for (r, id) in rows.zip(ids) {
            self.put_row(simd, r, inputs, *id as usize);
        }
    }

    /// Copies a row into panels.
    #[inline(always)]
    pub(super) fn put_row<S: Simd>(&self, simd: S, r: usize, inputs: &[f32], row: usize) {
        let n = self.x_shape.columns;
        for (p, part) in inputs[row * n..(row + 1) * n].chunks(PANEL).enumerate() {
            // SAFETY: the row is this thread's.
            let to = unsafe { self.x.write(self.x_shape.range(p, r..r + 1)) };
            // Widths are multiples of 16, and what lies beyond the row is 0.
            for (to, part) in to.chunks_exact_mut(S::F32_LANES).zip(part.chunks(S::F32_LANES)) {
                let whole = part.len() == S::F32_LANES;
                store::<S>(to, 0, if whole { load::<S>(part, 0) } else { simd.partial_load_f32s(part) });
            }
        }
    }

    /// Copies a row of the data out of its panels.
    ///
    /// # Safety
    ///
    /// Nobody writes the row meanwhile.
    #[inline(always)]
    unsafe fn raw_row(&self, r: usize, to: &mut [f32]) {
        for p in 0..self.x_shape.count() {
            let used = self.x_shape.used(p);
            // SAFETY: the caller's promise.
            let from = unsafe { self.x.read(self.x_shape.range(p, r..r + 1)) };
            to[p * PANEL..p * PANEL + used].copy_from_slice(&from[..used]);
        }
    }

    /// What layer `l` takes: the rows of the data, or the layer before.
    #[inline(always)]
    fn inputs_of(&self, l: usize) -> (&Buffer, Panels) {
        if l == 0 { (&self.x, self.x_shape) } else { (&self.layers[l - 1].a, self.layers[l - 1].rows) }
    }

    /// The sum of the losses of some rows.
    pub(super) fn lost(&self, rows: Range<usize>) -> f64 {
        // SAFETY: the losses are written before, by this thread or before a barrier, and not again in this phase.
        let losses = unsafe { self.losses.read(rows) };
        let (fours, rest) = losses.as_chunks::<4>();
        let mut sums = [0.0; 4];
        for four in fours {
            sums.iter_mut().zip(four).for_each(|(sum, l)| *sum += f64::from(*l));
        }
        sums.iter().sum::<f64>() + rest.iter().map(|&l| f64::from(l)).sum::<f64>()
    }

    /// The length of a gradient.
    pub(super) fn norm(&self) -> f64 {
        let mut total = 0.0;
        // SAFETY: gradients are only read in this phase.
        for block in unsafe { self.grads[0].read(0..self.grads[0].len()) }.chunks(4096) {
            let mut sums = [0.0f32; 16];
            for line in block.chunks_exact(16) {
                sums.iter_mut().zip(line).for_each(|(s, g)| *s += g * g);
            }
            total += sums.iter().map(|&s| f64::from(s)).sum::<f64>();
        }
        total.sqrt()
    }
}

/// Copies rows of a chunk into panels, and their targets.
pub(super) struct Gather<'a> {
    pub(super) net: &'a Net,
    pub(super) data: &'a Data<'a>,
    pub(super) ids: &'a [u32],
    pub(super) rows: Range<usize>,
    pub(super) targets: &'a mut Vec<f32>,
}

impl WithSimd for Gather<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { net, data, ids, rows, targets } = self;
        let m = net.shape().1;
        targets.resize(rows.len() * m, 0.0);
        net.put_rows(simd, rows.clone(), data.inputs, &ids[rows.clone()]);
        if m == 1 {
            targets.iter_mut().zip(&ids[rows]).for_each(|(y, id)| *y = data.targets[*id as usize]);
            return;
        }
        for (y, id) in targets.chunks_exact_mut(m).zip(&ids[rows]) {
            y.copy_from_slice(&data.targets[*id as usize * m..(*id as usize + 1) * m]);
        }
    }
}

/// a = f(xW + b) and d = f′(xW + b) of some rows, with dropout.
pub(super) struct Forward<'a> {
    pub(super) net: &'a Net,
    pub(super) l: usize,
    pub(super) rows: Range<usize>,
    pub(super) chunk: Chunk<'a>,
    pub(super) scratch: &'a mut Scratch,
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { net, l, rows, chunk, scratch } = self;
        let dense = &net.layers[l];
        if let Some(plan) = &dense.stem {
            dense.begin(simd, net, plan, rows, chunk, scratch);
        } else if dense.own {
            for member in 0..dense.members {
                let rows = chunk.of(member, &rows);
                if !rows.is_empty() {
                    Forward { net, l, rows, chunk, scratch: &mut *scratch }.dense(simd, member);
                }
            }
        } else {
            Self { net, l, rows, chunk, scratch }.dense(simd, 0);
        }
    }
}

impl Forward<'_> {
    /// With the weights and biases of a member; where the members share weights, that of the first.
    #[inline(always)]
    fn dense<S: Simd>(self, simd: S, member: usize) {
        let Self { net, l, rows, chunk, scratch } = self;
        let Scratch { partial, block, masks, .. } = scratch;
        let (c, masks) = (&mut block.0, &mut masks.0);
        let dense = &net.layers[l];
        let drop = Some(chunk).filter(|chunk| chunk.drop > 0.0 && l + 1 < net.layers.len());
        let (x, shape) = net.inputs_of(l);
        let size = dense.layer.outputs.next_multiple_of(16);
        let place = member * dense.shape.len()..(member + 1) * dense.shape.len();
        // SAFETY: weights are only read in this phase.
        let weights = unsafe { dense.weight.values.read(place) };
        // Where members have biases of their own they are added later.
        let bias = if dense.extended {
            &net.zeros
        } else {
            // SAFETY: as above.
            unsafe { dense.bias.values.read(member * size..(member + 1) * size) }
        };
        if dense.narrow {
            c.fill(0.0);
            for start in rows.clone().step_by(BLOCK / 16) {
                let end = rows.end.min(start + BLOCK / 16);
                for i in (start..end).step_by(ROWS) {
                    for j in 0..dense.layer.outputs {
                        let mut z = [0.0; ROWS];
                        // SAFETY: these rows are this thread's.
                        unsafe { dots(simd, (x, shape), i, (end - i).min(ROWS), (weights, dense.shape), j, &mut z) };
                        for (c, z) in c[(i - start) * 16..].chunks_exact_mut(16).zip(&z) {
                            c[j] = z + bias[j];
                        }
                    }
                }
                dense.activate(net, l, 0, start..end, &c[..(end - start) * 16], chunk, drop.is_some());
            }
            return;
        }
        // The usual case is done in registers.
        let relu = dense.layer.activation == Activation::Relu && drop.is_none() && !dense.extended;
        if shape.columns <= FEW && dense.shape.count() == 1 && relu {
            let (width, wide) = (dense.shape.width(0), shape.width(0));
            let range = dense.rows.range(0, rows.clone());
            // SAFETY: these rows are this thread's.
            let (a, d) = unsafe { (dense.a.write(range.clone()), dense.d.write(range)) };
            // SAFETY: as above.
            let x = unsafe { x.read(shape.range(0, rows)) }.chunks_exact(wide);
            let (zero, one) = (simd.splat_f32s(0.0), simd.splat_f32s(1.0));
            for ((a, d), x) in a.chunks_exact_mut(width).zip(d.chunks_exact_mut(width)).zip(x) {
                for column in (0..width).step_by(S::F32_LANES) {
                    let z = few(simd, &x[..shape.columns], &weights[column..], width, load::<S>(bias, column));
                    let low = simd.less_than_or_equal_f32s(z, zero);
                    store::<S>(a, column, simd.select_f32s(low, zero, z));
                    store::<S>(d, column, simd.select_f32s(low, zero, one));
                }
            }
            return;
        }
        let members = dense.layer.activation == Activation::Relu && dense.extended && !dense.scale.values.is_empty();
        let members = members && dense.mix.values.is_empty();
        let parts = shape.count().div_ceil(DEPTH);
        if parts > 1 {
            partial.resize(rows.len() * PANEL, 0.0);
        }
        for p in 0..dense.shape.count() {
            let width = dense.shape.width(p);
            let bias = &bias[p * PANEL..p * PANEL + width];
            for part in 0..parts {
                let panels = (part * DEPTH, ((part + 1) * DEPTH).min(shape.count()));
                let b = &weights[dense.shape.range(p, panels.0 * PANEL..dense.layer.inputs)];
                let last = part + 1 == parts;
                for block in chunk.blocks(rows.clone()) {
                    let (i, n) = (block.start, block.len());
                    let left = Left::Rows { matrix: x, shape, row: i, panels };
                    let range = dense.rows.range(p, block.clone());
                    // SAFETY: these rows are this thread's.
                    let (a, d) = unsafe { (dense.a.write(range.clone()), dense.d.write(range.clone())) };
                    let kept = (i - rows.start) * PANEL..(i - rows.start) * PANEL + n * width;
                    let kept = if parts > 1 { kept } else { 0..0 };
                    let partial = &mut partial[kept];
                    let members = if members && last {
                        Some(dense.members_of(net, l, p, block.clone(), chunk, drop.is_some(), masks))
                    } else {
                        None
                    };
                    let done = relu || members.is_some();
                    let first = part == 0;
                    let sums = ForwardSums { simd, bias, partial, z: &mut *c, a, d, first, last, relu, members };
                    // SAFETY: these rows are this thread's.
                    unsafe { multiply(simd, n, width, left, b, sums) };
                    if last && !done {
                        dense.activate(net, l, p, block, &c[..n * width], chunk, drop.is_some());
                    }
                }
            }
        }
    }
}

/// The sum and x·W of a vector of columns, the first ones of W, whose rows are `width` apart.
#[inline(always)]
fn few<S: Simd>(simd: S, x: &[f32], w: &[f32], width: usize, mut sum: S::f32s) -> S::f32s {
    for (k, x) in x.iter().enumerate() {
        sum = simd.mul_add_e_f32s(simd.splat_f32s(*x), load::<S>(w, k * width), sum);
    }
    sum
}

/// xW + b of a block, or the part of it that some panels of x make.
struct ForwardSums<'a, S> {
    simd: S,
    bias: &'a [f32],
    partial: &'a mut [f32],
    z: &'a mut [f32; BLOCK],
    a: &'a mut [f32],
    d: &'a mut [f32],
    first: bool,
    last: bool,
    relu: bool,
    members: Option<Members<'a>>,
}

/// What a block of rows of a member, whose activation is ReLU, needs and leaves beside a, as in [`Dense::activate_extended`].
struct Members<'a> {
    bias: &'a [f32],
    scale: &'a [f32],
    factor: &'a [f32],
    masks: &'a [f32],
    e: &'a mut [f32],
    q: &'a mut [f32],
    v: &'a mut [f32],
}

impl Members<'_> {
    /// From sums xW of columns from `column` on.
    #[inline(always)]
    fn activate<S: Simd, const M: usize, const N: usize>(
        &mut self,
        simd: S,
        width: usize,
        column: usize,
        sums: &[[S::f32s; N]; M],
        a: &mut [f32],
    ) {
        let (zero, one) = (simd.splat_f32s(0.0), simd.splat_f32s(1.0));
        for v in 0..N {
            let column = column + v * S::F32_LANES;
            let (bias, scale) = (load::<S>(self.bias, column), load::<S>(self.scale, column));
            let factor = if self.factor.is_empty() { one } else { load::<S>(self.factor, column) };
            for (i, row) in sums.iter().enumerate() {
                let place = i * width + column;
                let mask = if self.masks.is_empty() { one } else { load::<S>(self.masks, place) };
                let z = simd.add_f32s(simd.mul_f32s(row[v], scale), bias);
                // As in `Activation::apply`: NaN stays.
                let kept = simd.mul_f32s(simd.select_f32s(simd.less_than_or_equal_f32s(z, zero), zero, z), mask);
                let slope = simd.select_f32s(simd.greater_than_f32s(z, zero), simd.mul_f32s(mask, factor), zero);
                store::<S>(self.e, place, slope);
                store::<S>(self.q, place, simd.mul_f32s(slope, row[v]));
                if self.factor.is_empty() {
                    store::<S>(a, place, kept);
                } else {
                    store::<S>(self.v, place, kept);
                    store::<S>(a, place, simd.mul_f32s(kept, factor));
                }
            }
        }
    }
}

impl<S: Simd> Sums<S> for ForwardSums<'_, S> {
    #[inline(always)]
    fn ahead(&self, part: usize, parts: usize) {
        if let Some(Members { e, q, v, .. }) = &self.members {
            for numbers in [&*self.a, e, q, v] {
                prefetch(numbers, part, parts);
            }
        }
    }

    #[inline(always)]
    fn finish_all<const M: usize, const N: usize>(&mut self, width: usize, column: usize, sums: &[[S::f32s; N]; M]) {
        match &mut self.members {
            Some(members) => members.activate(self.simd, width, column, sums, self.a),
            None => each(self, width, column, sums),
        }
    }

    #[inline(always)]
    fn start(&self, place: usize, column: usize) -> S::f32s {
        if self.first { load::<S>(self.bias, column) } else { load::<S>(self.partial, place) }
    }

    #[inline(always)]
    fn finish(&mut self, place: usize, z: S::f32s) {
        let simd = self.simd;
        if !self.last {
            store::<S>(self.partial, place, z);
        } else if self.relu {
            // NaN is not below 0, and stays.
            let (zero, one) = (simd.splat_f32s(0.0), simd.splat_f32s(1.0));
            let low = simd.less_than_or_equal_f32s(z, zero);
            store::<S>(self.a, place, simd.select_f32s(low, zero, z));
            store::<S>(self.d, place, simd.select_f32s(low, zero, one));
        } else {
            store::<S>(self.z, place, z);
        }
    }
}

impl Dense {
    /// What becomes of rows before the first dense layer.
    #[inline(always)]
    fn begin<S: Simd>(
        &self,
        simd: S,
        net: &Net,
        plan: &Plan,
        rows: Range<usize>,
        chunk: Chunk<'_>,
        scratch: &mut Scratch,
    ) {
        let size = self.layer.outputs.next_multiple_of(16);
        let (raw, row) = (&mut scratch.raw, &mut scratch.row);
        raw.resize(net.x_shape.columns, 0.0);
        row.clear();
        row.resize(size, 0.0);
        let (values, factors) = (&self.weight.values, &self.factor.values);
        // SAFETY: parameters are only read in this phase.
        let (values, factors) = unsafe { (values.read(0..values.len()), factors.read(0..factors.len())) };
        // SAFETY: as above.
        let sums = unsafe { self.flipped.read(0..self.flipped.len()) };
        for r in rows {
            // SAFETY: the row is this thread's.
            unsafe { net.raw_row(r, raw) };
            if plan.outputs == 0 {
                row[..raw.len()].copy_from_slice(raw);
            } else {
                plan.forward(values, sums, raw, row);
            }
            let factors = factors.get(chunk.member(r) * size..(chunk.member(r) + 1) * size);
            for p in 0..self.rows.count() {
                let (range, width) = (self.rows.range(p, r..r + 1), self.rows.width(p));
                let x = &row[p * PANEL..p * PANEL + width];
                // SAFETY: as above.
                let a = unsafe { self.a.write(range.clone()) };
                let Some(factors) = factors else {
                    a.copy_from_slice(x);
                    continue;
                };
                for place in (0..width).step_by(S::F32_LANES) {
                    let (x, factor) = (load::<S>(x, place), load::<S>(factors, p * PANEL + place));
                    store::<S>(a, place, simd.mul_f32s(x, factor));
                }
                if p >= net.loose() {
                    // SAFETY: as above.
                    unsafe { self.parts[3].write(range) }.copy_from_slice(x);
                }
            }
        }
    }

    /// What is done to sums of a block, some rows of panel `p`, of a member.
    #[inline(always)]
    #[allow(clippy::too_many_arguments)]
    fn members_of<'a>(
        &'a self,
        net: &Net,
        l: usize,
        p: usize,
        rows: Range<usize>,
        chunk: Chunk<'_>,
        drops: bool,
        masks: &'a mut [f32; BLOCK],
    ) -> Members<'a> {
        let (width, size) = (self.rows.width(p), self.layer.outputs.next_multiple_of(16));
        let masks = &mut masks[..if drops { rows.len() * width } else { 0 }];
        for (row, mask) in rows.clone().zip(masks.chunks_exact_mut(width)) {
            self.mask(net, l, p, row, chunk, mask);
        }
        let place = chunk.member(rows.start) * size + p * PANEL;
        let place = place..place + width;
        let range = self.rows.range(p, rows);
        Members {
            bias: own_numbers(&self.bias, place.clone()),
            scale: own_numbers(&self.scale, place.clone()),
            factor: own_numbers(&self.factor, place),
            masks,
            // SAFETY: these rows are this thread's.
            e: unsafe { self.part(0, range.clone()) },
            // SAFETY: as above.
            q: unsafe { self.part(1, range.clone()) },
            // SAFETY: as above.
            v: unsafe { self.part(3, range) },
        }
    }

    /// From z of a block, some rows of panel `p`, to a and d.
    #[inline(always)]
    #[allow(clippy::too_many_arguments)]
    fn activate(&self, net: &Net, l: usize, p: usize, rows: Range<usize>, z: &[f32], chunk: Chunk<'_>, drops: bool) {
        if self.extended {
            self.activate_extended(net, l, p, rows, z, chunk, drops);
            return;
        }
        let (range, width) = (self.rows.range(p, rows.clone()), self.rows.width(p));
        // SAFETY: these rows are this thread's.
        let (a, d) = unsafe { (self.a.write(range.clone()), self.d.write(range)) };
        self.layer.activation.apply(z, a, d);
        if drops {
            for ((r, a), d) in rows.zip(a.chunks_exact_mut(width)).zip(d.chunks_exact_mut(width)) {
                let mut mask = [0.0; PANEL];
                self.mask(net, l, p, r, chunk, &mut mask[..width]);
                for ((mask, a), d) in mask.iter().zip(a).zip(d) {
                    *a *= mask;
                    *d *= mask;
                }
            }
        }
        let used = self.rows.used(p);
        if used < width && self.layer.activation.moves_zero() {
            a.chunks_exact_mut(width).for_each(|row| row[used..].fill(0.0));
        }
    }

    /// 0 for each unit of a panel that is dropped in a row, else 1/(1 − rate).
    #[inline(always)]
    fn mask(&self, net: &Net, l: usize, p: usize, row: usize, chunk: Chunk<'_>, mask: &mut [f32]) {
        let number = l - usize::from(net.layers[0].stem.is_some());
        let stream = Stream::new(net.settings.seed, Purpose::Dropout(number as u16), chunk.epoch);
        let (rate, kept) = (chunk.drop as f32, (1.0 / (1.0 - chunk.drop)) as f32);
        // Of several members, the numbers of one after another.
        let first = if self.members > 1 { chunk.member(row) * self.layer.outputs } else { 0 };
        stream.fill_uniform_from(chunk.ids[row], ((first + p * PANEL) / 4) as u32, mask);
        mask.iter_mut().for_each(|u| *u = if *u < rate { 0.0 } else { kept });
    }

    /// As [`Dense::activate`], with what members and parametric activations add: a = (z + α(f(z) − z))·mask·r with z = s·xW + b.
    #[inline(always)]
    #[allow(clippy::too_many_arguments)]
    fn activate_extended(
        &self,
        net: &Net,
        l: usize,
        p: usize,
        rows: Range<usize>,
        sums: &[f32],
        chunk: Chunk<'_>,
        drops: bool,
    ) {
        let (width, used, size) = (self.rows.width(p), self.rows.used(p), self.layer.outputs.next_multiple_of(16));
        for (sums, row) in sums.chunks_exact(width).zip(rows) {
            let range = self.rows.range(p, row..row + 1);
            let member = if self.members > 1 { chunk.member(row) * size } else { 0 } + p * PANEL;
            let own = |param, place| own_numbers(param, place..place + width);
            let (bias, scale, factor) = (own(&self.bias, member), own(&self.scale, member), own(&self.factor, member));
            let mix = own(&self.mix, p * PANEL);
            // SAFETY: the row is this thread's.
            let part = |i: usize| unsafe { self.part(i, range.clone()) };
            // SAFETY: as above.
            let (a, d) = unsafe { (self.a.write(range.clone()), self.d.write(range.clone())) };
            let (mut z, mut slope, mut mask) = ([0.0; PANEL], [0.0; PANEL], [1.0; PANEL]);
            let (z, slope, mask) = (&mut z[..width], &mut slope[..width], &mut mask[..width]);
            if scale.is_empty() {
                z.iter_mut().zip(sums).zip(bias).for_each(|((z, x), b)| *z = x + b);
            } else {
                z.iter_mut().zip(sums).zip(bias).zip(scale).for_each(|(((z, x), b), s)| *z = x * s + b);
            }
            self.layer.activation.apply(z, a, slope);
            if drops {
                self.mask(net, l, p, row, chunk, mask);
            }
            if !mix.is_empty() {
                let u = part(2);
                for i in 0..width {
                    let bent = a[i] - z[i];
                    u[i] = bent * mask[i];
                    a[i] = z[i] + mix[i] * bent;
                    slope[i] = 1.0 + mix[i] * (slope[i] - 1.0);
                }
            }
            a.iter_mut().zip(&*mask).for_each(|(a, m)| *a *= m);
            slope.iter_mut().zip(&*mask).for_each(|(d, m)| *d *= m);
            if !factor.is_empty() {
                part(3).copy_from_slice(a);
                a.iter_mut().zip(factor).for_each(|(a, r)| *a *= r);
                slope.iter_mut().zip(factor).for_each(|(d, r)| *d *= r);
                if !mix.is_empty() {
                    part(2).iter_mut().zip(factor).for_each(|(u, r)| *u *= r);
                }
            }
            if scale.is_empty() {
                d.copy_from_slice(slope);
            } else {
                let (e, q) = (part(0), part(1));
                e.copy_from_slice(slope);
                q.iter_mut().zip(&*slope).zip(sums).for_each(|((q, d), x)| *q = d * x);
            }
            a[used..].fill(0.0);
            d[used..].fill(0.0);
        }
    }

    /// Some numbers of a part, none if there is no such part.
    ///
    /// # Safety
    ///
    /// As for [`Buffer::write`].
    #[inline(always)]
    #[allow(clippy::mut_from_ref)]
    unsafe fn part(&self, part: usize, range: Range<usize>) -> &mut [f32] {
        let part = &self.parts[part];
        // SAFETY: the caller's promise.
        unsafe { part.write(if part.is_empty() { 0..0 } else { range }) }
    }

    /// The layer's activations, row by row without padding.
    #[inline(always)]
    pub(super) fn take_outputs(&self, rows: Range<usize>, to: &mut [f32]) {
        let m = self.layer.outputs;
        for p in 0..self.rows.count() {
            let (width, used) = (self.rows.width(p), self.rows.used(p));
            // SAFETY: these rows are this thread's.
            let a = unsafe { self.a.read(self.rows.range(p, rows.clone())) };
            if m == 1 {
                to.iter_mut().zip(a.chunks_exact(width)).for_each(|(to, a)| *to = a[0]);
                continue;
            }
            for (to, a) in to.chunks_exact_mut(m).zip(a.chunks_exact(width)) {
                to[p * PANEL..p * PANEL + used].copy_from_slice(&a[..used]);
            }
        }
    }

    /// Brings the transposed weights, or the sums of a stem, up to date.
    pub(super) fn flip_all(&mut self) {
        if let Some(plan) = &self.stem {
            plan.sum(0..plan.fields(), self.weight.values.all(), self.flipped.all());
            return;
        }
        for member in 0..if self.own { self.members } else { 1 } {
            // SAFETY: `&mut self` excludes every other thread.
            unsafe { self.flip::<pulp::Scalar>(0..self.layer.inputs, member) };
        }
    }

    /// Copies rows of the weights, from a multiple of 16 on, to columns of the transposed ones, if there are such.
    ///
    /// # Safety
    ///
    /// Nobody else writes these rows or uses these columns meanwhile.
    #[inline(always)]
    unsafe fn flip<S: Simd>(&self, rows: Range<usize>, member: usize) {
        if self.flipped.is_empty() || self.stem.is_some() {
            return;
        }
        let (from, to) = (self.shape, self.flipped_shape);
        let (before, behind) = (member * from.len(), member * to.len());
        for p in 0..from.count() {
            let width = from.width(p);
            for i in rows.clone().step_by(16) {
                let n = (rows.end - i).min(16);
                // SAFETY: the caller's promise.
                let place = from.range(p, i..i + n);
                // SAFETY: as above.
                let source = unsafe { self.weight.values.read(before + place.start..before + place.end) };
                for c in (0..from.used(p)).step_by(16) {
                    let first = p * PANEL + c;
                    let columns = (self.layer.outputs - first).min(16);
                    let start = behind + to.range(i / PANEL, first..first).start + i % PANEL;
                    let wide = to.width(i / PANEL);
                    if n == 16 && columns == 16 {
                        // SAFETY: the caller's promise; 16 columns from a multiple of 16 on lie within the panel.
                        let to = unsafe { self.flipped.write(start..start + 15 * wide + 16) };
                        if transpose::<S>(&source[c..], width, to, wide) {
                            continue;
                        }
                    }
                    for k in 0..columns {
                        let mut line = [0.0; 16];
                        line.iter_mut().zip(source[c + k..].iter().step_by(width)).for_each(|(to, w)| *to = *w);
                        let start = start + k * wide;
                        // SAFETY: the caller's promise; 16 columns from a multiple of 16 on lie within the panel.
                        unsafe { self.flipped.write(start..start + 16) }.copy_from_slice(&line);
                    }
                }
            }
        }
    }
}

/// Some numbers of a parameter, none if there is no such parameter.
#[inline(always)]
fn own_numbers(param: &Param, place: Range<usize>) -> &[f32] {
    // SAFETY: parameters are only read while rows go through the network, which is when this is called.
    unsafe { param.values.read(if param.values.is_empty() { 0..0 } else { place }) }
}

/// A thread's own memory.
#[derive(Default)]
pub(super) struct Scratch {
    /// Of sums that are looked at before they are used.
    pub(super) block: Aligned,
    /// What units of a block are multiplied by.
    masks: Aligned,
    /// Sums over a part of k, `[rows, 64]`.
    pub(super) partial: Vec<f32>,
    pub(super) targets: Vec<f32>,
    /// Rows of the data, of each member once.
    pub(super) ids: Vec<u32>,
    /// A row of the data, and what becomes of it.
    raw: Vec<f32>,
    row: Vec<f32>,
    /// Sums of the bins of a number.
    bins: Vec<f32>,
    /// Of a joint field.
    sorted: Sorted,
    joint: Joint,
    outputs: Vec<f32>,
    slopes: Vec<f32>,
    losses: Vec<f32>,
}

/// The losses of some rows and ∂R/∂z of the last layer.
pub(super) struct Slope<'a> {
    pub(super) net: &'a Net,
    pub(super) data: &'a Data<'a>,
    pub(super) ids: &'a [u32],
    pub(super) rows: Range<usize>,
    pub(super) scale: f32,
    pub(super) scratch: &'a mut Scratch,
}

impl WithSimd for Slope<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { net, data, ids, rows, scale, scratch } = self;
        let dense = net.last();
        let (shape, m) = (dense.rows, dense.layer.outputs);
        let Scratch { outputs, targets, slopes, losses, .. } = scratch;
        outputs.resize(rows.len() * m, 0.0);
        slopes.resize(rows.len() * m, 0.0);
        losses.resize(rows.len(), 0.0);
        dense.take_outputs(rows.clone(), outputs);
        net.settings.loss.apply(m, outputs, targets, slopes, losses);
        if let Some(weights) = data.weights {
            for ((id, loss), slopes) in ids[rows.clone()].iter().zip(&mut *losses).zip(slopes.chunks_exact_mut(m)) {
                let weight = weights[*id as usize];
                *loss *= weight;
                slopes.iter_mut().for_each(|s| *s *= weight);
            }
        }
        // SAFETY: the losses of these rows are this thread's.
        unsafe { net.losses.write(rows.clone()) }.copy_from_slice(losses);
        for p in 0..shape.count() {
            let (width, used) = (shape.width(p), shape.used(p));
            // SAFETY: these rows are this thread's.
            let d = unsafe { dense.d.write(shape.range(p, rows.clone())) };
            if m == 1 {
                for (d, slope) in d.chunks_exact_mut(16).zip(&*slopes) {
                    let slope = d[0] * slope * scale;
                    d.copy_from_slice(&[0.0; 16]);
                    d[0] = slope;
                }
                continue;
            }
            for (d, slopes) in d.chunks_exact_mut(width).zip(slopes.chunks_exact(m)) {
                let (d, padding) = d.split_at_mut(used);
                for (d, slope) in d.iter_mut().zip(&slopes[p * PANEL..]) {
                    *d *= slope * scale;
                }
                padding.fill(0.0);
            }
        }
    }
}

/// ∂R/∂z of the layer before `l`: (∂R/∂z Wᵀ) ⊙ f′.
pub(super) struct Backward<'a> {
    pub(super) net: &'a Net,
    pub(super) l: usize,
    pub(super) rows: Range<usize>,
    pub(super) chunk: Chunk<'a>,
    pub(super) partial: &'a mut Vec<f32>,
}

impl WithSimd for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { net, l, rows, chunk, partial } = self;
        let dense = &net.layers[l];
        if !dense.own {
            Self { net, l, rows, chunk, partial }.dense(simd, 0);
            return;
        }
        for member in 0..dense.members {
            let rows = chunk.of(member, &rows);
            if !rows.is_empty() {
                Backward { net, l, rows, chunk, partial: &mut *partial }.dense(simd, member);
            }
        }
    }
}

impl Backward<'_> {
    /// With the weights of a member.
    #[inline(always)]
    fn dense<S: Simd>(self, simd: S, member: usize) {
        let Self { net, l, rows, chunk, partial } = self;
        let (dense, before) = (&net.layers[l], &net.layers[l - 1]);
        let flipped = if dense.narrow { &dense.weight.values } else { &dense.flipped };
        let (shape, wide) = (dense.flipped_shape, dense.rows);
        // SAFETY: weights are only read in this phase.
        let weights = unsafe { flipped.read(member * shape.len()..(member + 1) * shape.len()) };
        if !before.extended && wide.columns <= FEW && shape.count() == 1 {
            let (width, m) = (shape.width(0), dense.layer.outputs);
            // SAFETY: these rows are this thread's.
            let d = unsafe { before.d.write(before.rows.range(0, rows.clone())) };
            // SAFETY: as above.
            let slopes = unsafe { dense.d.read(wide.range(0, rows)) }.chunks_exact(wide.width(0));
            for (d, slopes) in d.chunks_exact_mut(width).zip(slopes) {
                for column in (0..width).step_by(S::F32_LANES) {
                    let sum = few(simd, &slopes[..m], &weights[column..], width, simd.splat_f32s(0.0));
                    store::<S>(d, column, simd.mul_f32s(load::<S>(d, column), sum));
                }
            }
            return;
        }
        let parts = wide.count().div_ceil(DEPTH);
        if parts > 1 {
            partial.resize(rows.len() * PANEL, 0.0);
        }
        for p in if l == 1 { net.loose() } else { 0 }..shape.count() {
            let width = shape.width(p);
            for part in 0..parts {
                let panels = (part * DEPTH, ((part + 1) * DEPTH).min(wide.count()));
                let b = &weights[shape.range(p, panels.0 * PANEL..dense.layer.outputs)];
                for block in chunk.blocks(rows.clone()) {
                    let (i, n) = (block.start, block.len());
                    let left = Left::Rows { matrix: &dense.d, shape: wide, row: i, panels };
                    let range = before.rows.range(p, block);
                    // SAFETY: these rows are this thread's.
                    let d = unsafe { before.d.write(range.clone()) };
                    let kept = (i - rows.start) * PANEL..(i - rows.start) * PANEL + n * width;
                    let kept = if parts > 1 { kept } else { 0..0 };
                    let (first, last) = (part == 0, part + 1 == parts);
                    // SAFETY: as above.
                    let parts = [0, 1, 2, 3].map(|k| unsafe { before.part(k, range.clone()) });
                    let place = if before.members > 1 { chunk.member(i) } else { 0 };
                    let place = place * before.layer.outputs.next_multiple_of(16) + p * PANEL;
                    let own = |param| own_numbers(param, place..place + width);
                    let slope = match own(&before.scale) {
                        [] if before.stem.is_none() => Known::Kept,
                        [] => Known::Factor(own(&before.factor)),
                        scale => Known::Scale(scale),
                    };
                    let sums = BackwardSums { simd, partial: &mut partial[kept], d, parts, slope, first, last };
                    // SAFETY: these rows are this thread's.
                    unsafe { multiply(simd, n, width, left, b, sums) };
                }
            }
        }
    }
}

/// ∂R/∂z Wᵀ of a block, or the part of it that some panels of ∂R/∂z make, times f′.
struct BackwardSums<'a, S> {
    simd: S,
    partial: &'a mut [f32],
    d: &'a mut [f32],
    /// What is multiplied by the sums too, and added up over the rows; empty where there is nothing.
    parts: [&'a mut [f32]; 4],
    slope: Known<'a>,
    first: bool,
    last: bool,
}

/// What ∂R/∂a is multiplied by to be ∂R/∂z.
#[derive(Clone, Copy)]
enum Known<'a> {
    /// What is kept from the way forward.
    Kept,
    /// These factors, of what becomes of a row; 1 if there are none.
    Factor(&'a [f32]),
    /// What the first of the parts says, times these factors of xW.
    Scale(&'a [f32]),
}

impl<S: Simd> Sums<S> for BackwardSums<'_, S> {
    #[inline(always)]
    fn start(&self, place: usize, _: usize) -> S::f32s {
        if self.first { self.simd.splat_f32s(0.0) } else { load::<S>(self.partial, place) }
    }

    #[inline(always)]
    fn ahead(&self, part: usize, parts: usize) {
        if self.last {
            prefetch(self.d, part, parts);
            for numbers in &self.parts {
                prefetch(numbers, part, parts);
            }
        }
    }

    #[inline(always)]
    fn finish(&mut self, place: usize, sum: S::f32s) {
        store::<S>(self.partial, place, sum);
    }

    #[inline(always)]
    fn finish_all<const M: usize, const N: usize>(&mut self, width: usize, column: usize, sums: &[[S::f32s; N]; M]) {
        let simd = self.simd;
        if !self.last {
            each(self, width, column, sums);
            return;
        }
        for v in 0..N {
            let column = column + v * S::F32_LANES;
            match self.slope {
                Known::Kept => {
                    for (i, row) in sums.iter().enumerate() {
                        let slope = load::<S>(self.d, i * width + column);
                        store::<S>(self.d, i * width + column, simd.mul_f32s(slope, row[v]));
                    }
                }
                Known::Factor([]) => {
                    for (i, row) in sums.iter().enumerate() {
                        store::<S>(self.d, i * width + column, row[v]);
                    }
                }
                Known::Factor(factor) | Known::Scale(factor) => {
                    let factor = load::<S>(factor, column);
                    for (i, row) in sums.iter().enumerate() {
                        let place = i * width + column;
                        let slope = match self.slope {
                            Known::Scale(_) => simd.mul_f32s(load::<S>(self.parts[0], place), row[v]),
                            _ => row[v],
                        };
                        store::<S>(self.d, place, simd.mul_f32s(slope, factor));
                    }
                }
            }
            for part in &mut self.parts {
                if !part.is_empty() {
                    let mut total = simd.splat_f32s(0.0);
                    for (i, row) in sums.iter().enumerate() {
                        total = simd.mul_add_e_f32s(load::<S>(part, i * width + column), row[v], total);
                    }
                    store::<S>(part, column, total);
                }
            }
        }
    }
}

/// Weights whose gradients one thread computes.
#[derive(Debug, Clone)]
pub(super) enum Unit {
    /// Of a layer, rows of the weights; panels of a narrow layer's.
    Weights(usize, Range<usize>),
    /// Of a layer.
    Sum(usize, Term),
    /// Of the output layer of several members, the weights of one.
    Member(usize, usize),
    /// Of the first layer, what becomes of some columns.
    Stem(Range<usize>),
    /// Some joint fields: their parameters, their factors and the weights of the next layer behind them.
    Joint(Range<usize>),
}

/// A parameter whose gradient is the sum over rows of what each row says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Term {
    Bias,
    Scale,
    Mix,
    Factor,
}

impl Dense {
    pub(super) fn term(&self, term: Term) -> &Param {
        match term {
            Term::Bias => &self.bias,
            Term::Scale => &self.scale,
            Term::Mix => &self.mix,
            Term::Factor => &self.factor,
        }
    }

    /// What rows say of it; whether that is said by blocks.
    fn said(&self, term: Term) -> (&Buffer, bool) {
        let part = match term {
            Term::Bias if self.parts[0].is_empty() => return (&self.d, false),
            Term::Bias => 0,
            Term::Scale => 1,
            Term::Mix => 2,
            Term::Factor => 3,
        };
        (&self.parts[part], true)
    }
}

/// What becomes of a gradient.
#[derive(Clone, Copy)]
pub(super) enum Then {
    /// It is kept among those of this half of the batch, added to what is there unless it is the first.
    Keep { half: usize, first: bool },
    /// It is used at once.
    Use(Step),
}

/// The gradient of some weights over some rows of a chunk.
pub(super) struct Gradient<'a> {
    pub(super) net: &'a Net,
    pub(super) rows: Range<usize>,
    pub(super) chunk: Chunk<'a>,
    pub(super) unit: &'a Unit,
    pub(super) then: Then,
    pub(super) scratch: &'a mut Scratch,
}

impl WithSimd for Gradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { net, rows, chunk, unit, then, scratch } = self;
        let Scratch { block, row, bins, .. } = scratch;
        let c = &mut block.0;
        let absent = |param: &Param, place: Range<usize>| {
            if let Then::Keep { half, first: true } = then {
                // SAFETY: the gradients of these weights are this thread's in this phase.
                unsafe { net.grads[half].write(param.at + place.start..param.at + place.end) }.fill(0.0);
            }
        };
        match unit {
            Unit::Sum(l, term) => {
                let dense = &net.layers[*l];
                let (param, (said, by_blocks)) = (dense.term(*term), dense.said(*term));
                let size = dense.layer.outputs.next_multiple_of(16);
                let shared = dense.members == 1 || *term == Term::Mix;
                let summed = net.summed(*l, *term);
                for member in 0..if shared { 1 } else { dense.members } {
                    let rows = if shared { rows.clone() } else { chunk.of(member, &rows) };
                    if rows.is_empty() {
                        absent(param, member * size + summed..(member + 1) * size);
                        continue;
                    }
                    for p in summed / PANEL..dense.rows.count() {
                        let columns = summed.saturating_sub(p * PANEL)..dense.rows.width(p);
                        // SAFETY: what rows say is only read in this phase.
                        let said = unsafe { said.read(dense.rows.range(p, 0..dense.rows.rows)) };
                        let start = member * size + p * PANEL;
                        let place = start + columns.start..start + columns.end;
                        let mut sums = net.sums(simd, then, param, place.clone(), c);
                        if by_blocks {
                            let rows = chunk.blocks(rows.clone()).map(|block| block.start);
                            total(simd, said, rows, columns, &mut sums);
                        } else {
                            total(simd, said, rows.clone(), columns, &mut sums);
                        }
                        net.take(then, param, place, c);
                    }
                }
            }
            Unit::Weights(l, range) => net.weights(simd, *l, range.clone(), rows, then, 0, c),
            Unit::Member(l, member) => {
                let dense = &net.layers[*l];
                let rows = chunk.of(*member, &rows);
                if rows.is_empty() {
                    absent(&dense.weight, member * dense.shape.len()..(member + 1) * dense.shape.len());
                    return;
                }
                let range = if dense.narrow { 0..dense.shape.count() } else { 0..dense.layer.inputs };
                net.weights(simd, *l, range, rows, then, *member, c);
            }
            Unit::Joint(fields) => net.joint_gradients(simd, fields.clone(), rows, chunk, then, scratch),
            Unit::Stem(fields) => {
                let dense = &net.layers[0];
                let (Some(plan), Then::Keep { half, first }) = (&dense.stem, then) else { return };
                let place = plan.place(fields.clone());
                let at = dense.weight.at;
                // SAFETY: these gradients are this thread's in this phase.
                let g = unsafe { net.grads[half].write(at + place.start..at + place.end) };
                if first {
                    g.fill(0.0);
                }
                // SAFETY: parameters, rows of the data and ∂R/∂z are only read in this phase.
                let (values, x, d) = unsafe {
                    let (values, x, d) = (&dense.weight.values, &net.x, &dense.d);
                    (values.read(0..plan.parameters), x.read(0..net.x_shape.len()), d.read(0..dense.rows.len()))
                };
                for field in fields.clone() {
                    let (outputs, column, own) = plan.field(field);
                    let g = &mut g[own.start - place.start..own.end - place.start];
                    let p = column / PANEL;
                    let x = (&x[net.x_shape.range(p, rows.clone())][column % PANEL..], net.x_shape.width(p));
                    let p = outputs.start / PANEL;
                    let slopes = if outputs.end <= (p + 1) * PANEL {
                        (&d[dense.rows.range(p, rows.clone())][outputs.start % PANEL..], dense.rows.width(p))
                    } else {
                        // Those that lie in two panels are brought together.
                        row.clear();
                        for r in rows.clone() {
                            let place = |o: usize| dense.rows.range(o / PANEL, r..r).start + o % PANEL;
                            row.extend(outputs.clone().map(|o| d[place(o)]));
                        }
                        (&row[..], outputs.len())
                    };
                    let p = &values[own];
                    // Of the usual width the compiler makes one vector.
                    if outputs.len() == 16 {
                        plan.backward::<16>(field, p, x, slopes, g, bins);
                    } else {
                        plan.backward::<0>(field, p, x, slopes, g, bins);
                    }
                }
            }
        }
    }
}

/// What is made on the way to the gradients of a joint field: numbers `[2 + bins, 16]`, as its parameters are, and weights.
#[derive(Default)]
struct Joint {
    /// The parameters, times the factors of a member.
    scaled: Vec<f32>,
    /// Their gradients, without these factors.
    slopes: Vec<f32>,
    /// Some of the weights behind it, `[outputs, 16]`.
    weights: Vec<f32>,
}

impl Net {
    /// The gradients of joint fields, of their factors and of the weights behind them.
    ///
    /// A row of the field is Cᵢ·P, of the parameters P and a code of the number that says how much of each of them it takes: x of the
    /// linear part, 1 of the bias, 1 of each bin below, a share of its own bin. With ∂R/∂z of the layer behind, G = Cᵀ·∂R/∂z is as
    /// short as there are parameters, and all gradients are products of it: of W (P ⊙ r)ᵀ·G, of P (G·Wᵀ) ⊙ r, of r the sums of
    /// P ⊙ (G·Wᵀ). A row costs three additions for each output of the layer behind, not two times 16.
    #[inline(always)]
    fn joint_gradients<S: Simd>(
        &self,
        simd: S,
        fields: Range<usize>,
        rows: Range<usize>,
        chunk: Chunk<'_>,
        then: Then,
        scratch: &mut Scratch,
    ) {
        let (stem, dense) = (&self.layers[0], &self.layers[1]);
        let (Some(plan), Then::Keep { half, first }) = (&stem.stem, then) else { return };
        let Scratch { bins, sorted, joint: Joint { scaled, slopes, weights }, .. } = scratch;
        let grads = &self.grads[half];
        // SAFETY: these gradients are this thread's in this phase.
        let own =
            |param: &Param, place: Range<usize>| unsafe { grads.write(param.at + place.start..param.at + place.end) };
        let inputs = fields.start * JOINT..fields.end * JOINT;
        let size = stem.layer.outputs.next_multiple_of(16);
        let has_factors = !stem.factor.values.is_empty();
        if first {
            own(&stem.weight, plan.place(fields.clone())).fill(0.0);
            for p in 0..dense.shape.count() {
                own(&dense.weight, dense.shape.range(p, inputs.clone())).fill(0.0);
            }
            for member in 0..if has_factors { stem.members } else { 0 } {
                own(&stem.factor, member * size + inputs.start..member * size + inputs.end).fill(0.0);
            }
        }
        // SAFETY: parameters, rows of the data and ∂R/∂z are only read in this phase.
        let (values, factors, flipped, x, d) = unsafe {
            let (values, factors, flipped) = (&stem.weight.values, &stem.factor.values, &dense.flipped);
            let (values, factors) = (values.read(0..plan.parameters), factors.read(0..factors.len()));
            let flipped = flipped.read(0..dense.flipped_shape.len());
            (values, factors, flipped, self.x.read(0..self.x_shape.len()), dense.d.read(0..dense.rows.len()))
        };
        for member in 0..stem.members {
            let rows = chunk.of(member, &rows);
            if rows.is_empty() {
                continue;
            }
            for field in fields.clone() {
                let (outputs, column, place) = plan.field(field);
                let p = column / PANEL;
                let xs = &x[self.x_shape.range(p, rows.clone())][column % PANEL..];
                plan.sort(field, xs, self.x_shape.width(p), sorted);
                let terms = 2 + sorted.ends.len();
                let values = &values[place.start..place.start + terms * JOINT];
                let mut factor = [1.0; JOINT];
                if has_factors {
                    factor.copy_from_slice(&factors[member * size + outputs.start..member * size + outputs.end]);
                }
                scaled.clear();
                scaled.extend(values.chunks_exact(JOINT).flat_map(|row| row.iter().zip(&factor).map(|(v, r)| v * r)));
                slopes.clear();
                slopes.resize(terms * JOINT, 0.0);
                weights.resize(PANEL * JOINT, 0.0);
                for p in 0..dense.rows.count() {
                    let width = dense.rows.width(p);
                    bins.resize(terms * PANEL, 0.0);
                    let g = &mut bins[..terms * width];
                    let d = &d[dense.rows.range(p, rows.clone())];
                    let mut column = 0;
                    while column < width {
                        let (d, g) = (&d[column..], &mut g[column..]);
                        column += match vectors::<S>().min((width - column) / S::F32_LANES) {
                            1 => by_bins::<S, 1>(simd, sorted, d, g, width),
                            2 => by_bins::<S, 2>(simd, sorted, d, g, width),
                            3 => by_bins::<S, 3>(simd, sorted, d, g, width),
                            _ => by_bins::<S, 4>(simd, sorted, d, g, width),
                        };
                    }
                    let g = &bins[..terms * width];
                    for i in (0..JOINT).step_by(ROWS) {
                        let n = ROWS.min(JOINT - i);
                        let left = Left::Numbers { matrix: &scaled[i..], row: 1, next: JOINT, k: terms };
                        let place = dense.shape.range(p, outputs.start + i..outputs.start + i + n);
                        let sums = Written { simd, to: own(&dense.weight, place), how: How::Add };
                        // SAFETY: the promise is for `Left::Rows`.
                        unsafe { multiply(simd, n, width, left, g, sums) };
                    }
                    let (used, from) = (dense.rows.used(p), dense.flipped_shape);
                    let q = outputs.start / PANEL;
                    let rows = from.range(q, p * PANEL..p * PANEL + used);
                    let rows = flipped[rows].chunks_exact(from.width(q));
                    for (to, row) in weights.chunks_exact_mut(JOINT).zip(rows) {
                        to.copy_from_slice(&row[outputs.start % PANEL..][..JOINT]);
                    }
                    for j in (0..terms).step_by(ROWS) {
                        let n = ROWS.min(terms - j);
                        let left = Left::Numbers { matrix: &g[j * width..], row: width, next: 1, k: used };
                        let to = &mut slopes[j * JOINT..(j + n) * JOINT];
                        let sums = Written { simd, to, how: How::Add };
                        // SAFETY: the promise is for `Left::Rows`.
                        unsafe { multiply(simd, n, JOINT, left, weights, sums) };
                    }
                }
                let g = own(&stem.weight, place);
                let mut sums = [0.0; JOINT];
                for ((g, slopes), values) in
                    g.chunks_exact_mut(JOINT).zip(slopes.chunks_exact(JOINT)).zip(values.chunks_exact(JOINT))
                {
                    for i in 0..JOINT {
                        g[i] += slopes[i] * factor[i];
                        sums[i] += slopes[i] * values[i];
                    }
                }
                if has_factors {
                    let g = own(&stem.factor, member * size + outputs.start..member * size + outputs.end);
                    g.iter_mut().zip(sums).for_each(|(g, sum)| *g += sum);
                }
            }
        }
    }
}

/// Cᵀ·D of [`Net::joint_gradients`], of N vectors of D's columns, the first ones; rows of both are `width` apart. How many columns these
/// are.
#[inline(always)]
fn by_bins<S: Simd, const N: usize>(simd: S, sorted: &Sorted, d: &[f32], g: &mut [f32], width: usize) -> usize {
    let zeros = [simd.splat_f32s(0.0); N];
    let (mut linear, mut above) = (zeros, zeros);
    let mut end = sorted.rows.len();
    for bin in (0..sorted.ends.len()).rev() {
        let start = if bin == 0 { 0 } else { sorted.ends[bin - 1] };
        // All that lies above this bin takes all of it.
        let (mut own, mut all) = (above, above);
        for (row, code, x) in &sorted.rows[start..end] {
            let (code, x) = (simd.splat_f32s(*code), simd.splat_f32s(*x));
            for v in 0..N {
                let d = load::<S>(d, row * width + v * S::F32_LANES);
                all[v] = simd.add_f32s(all[v], d);
                own[v] = simd.mul_add_e_f32s(code, d, own[v]);
                linear[v] = simd.mul_add_e_f32s(x, d, linear[v]);
            }
        }
        for (v, own) in own.into_iter().enumerate() {
            store::<S>(g, (2 + bin) * width + v * S::F32_LANES, own);
        }
        (above, end) = (all, start);
    }
    for v in 0..N {
        store::<S>(g, v * S::F32_LANES, linear[v]);
        store::<S>(g, width + v * S::F32_LANES, above[v]);
    }
    N * S::F32_LANES
}

/// The sums of some columns, to the end, of some rows.
#[inline(always)]
fn total<S: Simd>(
    simd: S,
    said: &[f32],
    rows: impl Iterator<Item = usize> + Clone,
    range: Range<usize>,
    to: &mut impl Sums<S>,
) {
    let (mut place, width) = (range.start, range.end);
    while place < width {
        let rows = rows.clone().map(|r| &said[r * width + place..(r + 1) * width]);
        let at = place - range.start;
        // Several vectors of a row at once: the memory is then read from one end to the other.
        place += match (width - place) / S::F32_LANES {
            1 => columns::<S, 1>(simd, rows, at, to),
            2 => columns::<S, 2>(simd, rows, at, to),
            3 => columns::<S, 3>(simd, rows, at, to),
            _ => columns::<S, 4>(simd, rows, at, to),
        };
    }
}

/// The sums of the first N vectors of rows, which go to `place`; how many columns these are.
#[inline(always)]
fn columns<'a, S: Simd, const N: usize>(
    simd: S,
    rows: impl Iterator<Item = &'a [f32]>,
    place: usize,
    to: &mut impl Sums<S>,
) -> usize {
    let mut sums = [simd.splat_f32s(0.0); N];
    for row in rows {
        for (v, sum) in sums.iter_mut().enumerate() {
            *sum = simd.add_f32s(*sum, load::<S>(row, v * S::F32_LANES));
        }
    }
    for (v, sum) in sums.into_iter().enumerate() {
        to.finish(place + v * S::F32_LANES, sum);
    }
    N * S::F32_LANES
}

impl Net {
    /// The gradients of some rows of a layer's weights, or of panels of a narrow one's, of a member that has its own.
    #[inline(always)]
    #[allow(clippy::too_many_arguments)]
    fn weights<S: Simd>(
        &self,
        simd: S,
        l: usize,
        range: Range<usize>,
        rows: Range<usize>,
        then: Then,
        member: usize,
        c: &mut [f32; BLOCK],
    ) {
        let dense = &self.layers[l];
        let (k, before) = (rows.len(), member * dense.shape.len());
        let own = |place: Range<usize>| before + place.start..before + place.end;
        let (x, shape) = self.inputs_of(l);
        // SAFETY: activations and ∂R/∂z are only read in this phase.
        let (x, slopes) = unsafe { (x.read(0..shape.len()), dense.d.read(0..dense.rows.len())) };
        if dense.narrow {
            let m = dense.layer.outputs;
            let left = Left::Numbers { matrix: &slopes[rows.start * 16..], row: 1, next: 16, k };
            for p in range {
                let (width, b) = (shape.width(p), &x[shape.range(p, rows.clone())]);
                let place = own(dense.shape.range(p, 0..m));
                let sums = self.sums(simd, then, &dense.weight, place.clone(), c);
                // SAFETY: as above.
                unsafe { multiply(simd, m, width, left, b, sums) };
                self.take(then, &dense.weight, place, c);
            }
            return;
        }
        for p in 0..dense.shape.count() {
            let width = dense.shape.width(p);
            let b = &slopes[dense.rows.range(p, rows.clone())];
            let mut i = range.start;
            while i < range.end {
                let q = i / PANEL;
                let n = ROWS.min(range.end - i).min((q + 1) * PANEL - i);
                let matrix = &x[shape.range(q, rows.clone())][i - q * PANEL..];
                let left = Left::Numbers { matrix, row: 1, next: shape.width(q), k };
                let place = own(dense.shape.range(p, i..i + n));
                let sums = self.sums(simd, then, &dense.weight, place.clone(), c);
                // SAFETY: as above.
                unsafe { multiply(simd, n, width, left, b, sums) };
                self.take(then, &dense.weight, place, c);
                i += n;
            }
        }
        if matches!(then, Then::Use(_)) {
            // SAFETY: these weights, and their transposed copies, are this thread's in this phase.
            unsafe { dense.flip::<S>(range, member) };
        }
    }
}

/// Sums from 0, and what is done with them.
struct Written<'a, S> {
    simd: S,
    to: &'a mut [f32],
    how: How,
}

#[derive(Clone, Copy)]
enum How {
    Write,
    /// To what was there.
    Add,
    /// What was there are weights, which descend by this rate.
    Descend(f32),
}

impl<S: Simd> Sums<S> for Written<'_, S> {
    #[inline(always)]
    fn start(&self, _: usize, _: usize) -> S::f32s {
        self.simd.splat_f32s(0.0)
    }

    #[inline(always)]
    fn finish(&mut self, place: usize, sum: S::f32s) {
        let simd = self.simd;
        let new = match self.how {
            How::Write => sum,
            How::Add => simd.add_f32s(load::<S>(self.to, place), sum),
            How::Descend(rate) => simd.sub_f32s(load::<S>(self.to, place), simd.mul_f32s(sum, simd.splat_f32s(rate))),
        };
        store::<S>(self.to, place, new);
    }
}

impl Net {
    /// Where a gradient is summed: where it is kept, into the weights, or in `c`.
    #[inline(always)]
    fn sums<'a, S: Simd>(
        &'a self,
        simd: S,
        then: Then,
        param: &'a Param,
        place: Range<usize>,
        c: &'a mut [f32; BLOCK],
    ) -> Written<'a, S> {
        match then {
            Then::Keep { half, first } => {
                // SAFETY: the gradients of these weights are this thread's in this phase.
                let to = unsafe { self.grads[half].write(param.at + place.start..param.at + place.end) };
                Written { simd, to, how: if first { How::Write } else { How::Add } }
            }
            // The most frequent rule needs no memory between.
            Then::Use(now) if self.plain => {
                // SAFETY: these weights are this thread's in this phase.
                let to = unsafe { param.values.write(place) };
                Written { simd, to, how: How::Descend(now.rate()) }
            }
            Then::Use(_) => Written { simd, to: &mut c[..place.len()], how: How::Write },
        }
    }

    /// Uses a gradient that is not kept.
    #[inline(always)]
    fn take(&self, then: Then, param: &Param, place: Range<usize>, c: &mut [f32; BLOCK]) {
        if let Then::Use(now) = then
            && !self.plain
        {
            let g = &mut c[..place.len()];
            self.edit(param, place.clone(), g);
            self.update(param, place, g, now);
        }
    }

    /// Adds penalties and clips by value.
    #[inline(always)]
    fn edit(&self, param: &Param, place: Range<usize>, g: &mut [f32]) {
        let (l1, l2) = (self.settings.l1 as f32, self.settings.l2 as f32);
        if param.is_weight && (l1 > 0.0 || l2 > 0.0) {
            // SAFETY: nobody writes these weights now.
            let w = unsafe { param.values.read(place) };
            for (g, w) in g.iter_mut().zip(w) {
                let sign = if *w > 0.0 { 1.0 } else { 0.0 } - if *w < 0.0 { 1.0 } else { 0.0 };
                *g = *g + sign * l1 + w * l2;
            }
        }
        if let Some(limit) = self.settings.clip_value {
            let limit = limit as f32;
            g.iter_mut().for_each(|g| *g = g.clamp(-limit, limit));
        }
    }

    #[inline(always)]
    fn update(&self, param: &Param, place: Range<usize>, g: &[f32], now: Step) {
        let state = |i: usize| {
            let place = if param.states[i].is_empty() { 0..0 } else { place.clone() };
            // SAFETY: these weights, and what belongs to them, are this thread's in this phase.
            unsafe { param.states[i].write(place) }
        };
        // SAFETY: as above.
        let w = unsafe { param.values.write(place.clone()) };
        self.settings.rule.apply(now, param.tuning, w, g, state(0), state(1));
    }
}

/// What is done to kept gradients.
#[derive(Clone, Copy)]
pub(super) enum Settle {
    /// They are made whole: those of both halves of the batch are added, with penalties, and clipped by value.
    Whole,
    /// They are used, times a factor.
    Use(f32, Step),
    /// Both at once.
    WholeUse(Step),
}

/// Kept gradients of some weights.
pub(super) struct Kept<'a> {
    pub(super) net: &'a Net,
    pub(super) unit: &'a Unit,
    pub(super) settle: Settle,
}

impl WithSimd for Kept<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { net, unit, settle } = self;
        match unit {
            Unit::Sum(l, term) => {
                let size = net.layers[*l].layer.outputs.next_multiple_of(16);
                net.settle_terms(settle, *l, *term, net.summed(*l, *term)..size);
            }
            Unit::Stem(fields) => net.settle_fields(settle, fields.clone()),
            Unit::Joint(fields) => {
                let inputs = fields.start * JOINT..fields.end * JOINT;
                net.settle_fields(settle, fields.clone());
                net.settle_terms(settle, 0, Term::Factor, inputs.clone());
                net.settle_weights::<S>(settle, 1, inputs);
            }
            Unit::Member(l, member) => {
                let dense = &net.layers[*l];
                net.settle(settle, &dense.weight, member * dense.shape.len()..(member + 1) * dense.shape.len());
                if !matches!(settle, Settle::Whole) {
                    // SAFETY: these weights, and their transposed copies, are this thread's in this phase.
                    unsafe { dense.flip::<S>(0..dense.layer.inputs, *member) };
                }
            }
            Unit::Weights(l, range) => {
                let dense = &net.layers[*l];
                if dense.narrow {
                    for p in range.clone() {
                        net.settle(settle, &dense.weight, dense.shape.range(p, 0..dense.layer.outputs));
                    }
                    return;
                }
                net.settle_weights::<S>(settle, *l, range.clone());
            }
        }
    }
}

impl Net {
    /// Rows of the weights of a layer.
    #[inline(always)]
    fn settle_weights<S: Simd>(&self, settle: Settle, l: usize, rows: Range<usize>) {
        let dense = &self.layers[l];
        for p in 0..dense.shape.count() {
            self.settle(settle, &dense.weight, dense.shape.range(p, rows.clone()));
        }
        if !matches!(settle, Settle::Whole) {
            // SAFETY: these weights, and their transposed copies, are this thread's in this phase.
            unsafe { dense.flip::<S>(rows, 0) };
        }
    }

    /// Some columns of a parameter of every member.
    #[inline(always)]
    fn settle_terms(&self, settle: Settle, l: usize, term: Term, columns: Range<usize>) {
        let (param, size) = (self.layers[l].term(term), self.layers[l].layer.outputs.next_multiple_of(16));
        for row in (0..param.values.len()).step_by(size) {
            self.settle(settle, param, row + columns.start..row + columns.end);
        }
    }

    /// The parameters of some fields.
    #[inline(always)]
    fn settle_fields(&self, settle: Settle, fields: Range<usize>) {
        let dense = &self.layers[0];
        let Some(plan) = &dense.stem else { return };
        let place = plan.place(fields.clone());
        self.settle(settle, &dense.weight, place.clone());
        if !matches!(settle, Settle::Whole) {
            // SAFETY: these parameters and their sums are this thread's in this phase.
            unsafe {
                let (values, sums) = (dense.weight.values.read(place.clone()), dense.flipped.write(place));
                plan.sum(fields, values, sums);
            }
        }
    }

    #[inline(always)]
    fn settle(&self, settle: Settle, param: &Param, range: Range<usize>) {
        let [first, second] = &self.grads;
        if let Settle::WholeUse(now) = settle
            && !second.is_empty()
            && self.plain
        {
            let kept = param.at + range.start..param.at + range.end;
            // SAFETY: these weights and their gradients are this thread's in this phase.
            let (w, g, h) = unsafe { (param.values.write(range), first.read(kept.clone()), second.read(kept)) };
            now.descend(w, g, h);
            return;
        }
        for start in range.clone().step_by(SETTLED) {
            let place = start..(start + SETTLED).min(range.end);
            let kept = param.at + place.start..param.at + place.end;
            // SAFETY: the gradients of these weights are this thread's in this phase.
            let g = unsafe { first.write(kept.clone()) };
            if !matches!(settle, Settle::Use(..)) {
                if !second.is_empty() {
                    // SAFETY: as above.
                    let h = unsafe { second.read(kept) };
                    g.iter_mut().zip(h).for_each(|(g, h)| *g += h);
                }
                self.edit(param, place.clone(), g);
            }
            match settle {
                Settle::Whole => {}
                Settle::WholeUse(now) => self.update(param, place, g, now),
                Settle::Use(factor, now) => {
                    g.iter_mut().for_each(|g| *g *= factor);
                    self.update(param, place, g, now);
                }
            }
        }
    }
}
