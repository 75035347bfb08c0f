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
use super::tile::{Aligned, BLOCK, Left, ROWS, Sums, dots, load, multiply, store, transpose};
use crate::pointwise::{Activation, Step};
use crate::settings::{Data, Layer, Settings};

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
}

/// A layer and its memory.
pub(super) struct Dense {
    pub(super) layer: Layer,
    /// Stored by output: `shape` is `[outputs, inputs]`, and there is no `flipped`.
    pub(super) narrow: bool,
    pub(super) shape: Panels,
    pub(super) weight: Param,
    /// The transposed weights, for the way back; not for the first layer.
    pub(super) flipped: Buffer,
    pub(super) flipped_shape: Panels,
    pub(super) bias: Param,
    /// f(z) of a chunk.
    pub(super) a: Buffer,
    /// f′(z) on the way forward, ∂R/∂z after the way back.
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
}

impl Net {
    /// A network of zeros with room for `chunk` rows, and for `kept` gradients of every weight.
    pub(super) fn new(layers: &[Layer], settings: Settings, chunk: usize, kept: usize) -> Self {
        let states = settings.rule.states();
        let mut at = 0;
        let mut param = |len: usize| {
            let len = len.next_multiple_of(16);
            let state = |i| Buffer::zeros(if i < states { len } else { 0 });
            let param = Param { values: Buffer::zeros(len), states: [state(0), state(1)], at };
            at += len;
            param
        };
        let dense = layers.iter().enumerate().map(|(i, &layer)| {
            let Layer { inputs, outputs, .. } = layer;
            let narrow = outputs <= NARROW;
            let shape = if narrow { Panels::new(outputs, inputs) } else { Panels::new(inputs, outputs) };
            let flipped_shape = Panels::new(outputs, inputs);
            let rows = Panels::new(chunk, outputs);
            Dense {
                layer,
                narrow,
                shape,
                weight: param(shape.len()),
                flipped: Buffer::zeros(if narrow || i == 0 { 0 } else { flipped_shape.len() }),
                flipped_shape,
                bias: param(outputs),
                a: Buffer::zeros(rows.len()),
                d: Buffer::zeros(rows.len()),
                rows,
            }
        });
        let dense: Vec<Dense> = dense.collect();
        let x_shape = Panels::new(chunk, layers[0].inputs);
        let grads = |i| Buffer::zeros(if i < kept { at } else { 0 });
        Self {
            settings,
            layers: dense,
            x: Buffer::zeros(x_shape.len()),
            x_shape,
            losses: Buffer::zeros(chunk),
            grads: [grads(0), grads(1)],
        }
    }

    /// (inputs, outputs)
    pub(super) fn shape(&self) -> (usize, usize) {
        (self.x_shape.columns, self.last().layer.outputs)
    }

    pub(super) fn last(&self) -> &Dense {
        &self.layers[self.layers.len() - 1]
    }

    /// All weights, in the order of their gradients.
    pub(super) fn values(&mut self) -> impl Iterator<Item = &mut [f32]> {
        self.layers.iter_mut().flat_map(|l| [l.weight.values.all(), l.bias.values.all()])
    }

    /// What the step rule remembers of them.
    pub(super) fn states(&mut self) -> impl Iterator<Item = &mut [f32]> {
        self.layers.iter_mut().flat_map(|l| [&mut l.weight, &mut l.bias]).flat_map(|p| &mut p.states).map(Buffer::all)
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

/// What dropout needs to know of the rows in work.
#[derive(Clone, Copy)]
pub(super) struct Drop<'a> {
    pub(super) epoch: u32,
    pub(super) rate: f64,
    /// The rows of the chunk, by their numbers in the data.
    pub(super) ids: &'a [u32],
}

/// a = f(xW + b) and d = f′(xW + b) of some rows, with dropout.
pub(super) struct Forward<'a> {
    pub(super) net: &'a Net,
    pub(super) l: usize,
    pub(super) rows: Range<usize>,
    pub(super) drop: Option<Drop<'a>>,
    pub(super) scratch: &'a mut Scratch,
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { net, l, rows, drop, scratch } = self;
        let Scratch { partial, block, .. } = scratch;
        let c = &mut block.0;
        let dense = &net.layers[l];
        let drop = drop.filter(|drop| drop.rate > 0.0 && l + 1 < net.layers.len());
        let (x, shape) = net.inputs_of(l);
        let (weights, bias) = (&dense.weight.values, &dense.bias.values);
        // SAFETY: weights are only read in this phase.
        let (weights, bias) = unsafe { (weights.read(0..weights.len()), bias.read(0..bias.len())) };
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
                dense.activate(net, l, 0, start, end - start, &c[..(end - start) * 16], drop);
            }
            return;
        }
        // The usual case is done in registers.
        let relu = dense.layer.activation == Activation::Relu && drop.is_none();
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
                for i in rows.clone().step_by(ROWS) {
                    let n = (rows.end - i).min(ROWS);
                    let left = Left::Rows { matrix: x, shape, row: i, panels };
                    let range = dense.rows.range(p, i..i + n);
                    // SAFETY: these rows are this thread's.
                    let (a, d) = unsafe { (dense.a.write(range.clone()), dense.d.write(range)) };
                    let kept = (i - rows.start) * PANEL..(i - rows.start) * PANEL + n * width;
                    let kept = if parts > 1 { kept } else { 0..0 };
                    let partial = &mut partial[kept];
                    let sums = ForwardSums { simd, bias, partial, z: &mut *c, a, d, first: part == 0, last, relu };
                    // SAFETY: these rows are this thread's.
                    unsafe { multiply(simd, n, width, left, b, sums) };
                    if last && !relu {
                        dense.activate(net, l, p, i, n, &c[..n * width], drop);
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
}

impl<S: Simd> Sums<S> for ForwardSums<'_, S> {
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
    /// From z of a block, `n` rows of panel `p` from row `i` on, to a and d.
    #[inline(always)]
    #[allow(clippy::too_many_arguments)]
    fn activate(&self, net: &Net, l: usize, p: usize, i: usize, n: usize, z: &[f32], drop: Option<Drop<'_>>) {
        let (range, width) = (self.rows.range(p, i..i + n), self.rows.width(p));
        // SAFETY: these rows are this thread's.
        let (a, d) = unsafe { (self.a.write(range.clone()), self.d.write(range)) };
        self.layer.activation.apply(z, a, d);
        if let Some(drop) = drop {
            let stream = Stream::new(net.settings.seed, Purpose::Dropout(l as u16), drop.epoch);
            let (rate, kept) = (drop.rate as f32, (1.0 / (1.0 - drop.rate)) as f32);
            let ids = &drop.ids[i..i + n];
            for ((id, a), d) in ids.iter().zip(a.chunks_exact_mut(width)).zip(d.chunks_exact_mut(width)) {
                let mut u = [0.0; PANEL];
                stream.fill_uniform_from(*id, (p * PANEL / 4) as u32, &mut u[..width]);
                for ((u, a), d) in u.iter().zip(a).zip(d) {
                    let mask = if *u < rate { 0.0 } else { kept };
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

    /// Brings the transposed weights up to date.
    pub(super) fn flip_all(&mut self) {
        let rows = 0..self.layer.inputs;
        // SAFETY: `&mut self` excludes every other thread.
        unsafe { self.flip::<pulp::Scalar>(rows) };
    }

    /// Copies rows of the weights, from a multiple of 16 on, to columns of the transposed ones, if there are such.
    ///
    /// # Safety
    ///
    /// Nobody else writes these rows or uses these columns meanwhile.
    #[inline(always)]
    unsafe fn flip<S: Simd>(&self, rows: Range<usize>) {
        if self.flipped.is_empty() {
            return;
        }
        let (from, to) = (self.shape, self.flipped_shape);
        for p in 0..from.count() {
            let width = from.width(p);
            for i in rows.clone().step_by(16) {
                let n = (rows.end - i).min(16);
                // SAFETY: the caller's promise.
                let source = unsafe { self.weight.values.read(from.range(p, i..i + n)) };
                for c in (0..from.used(p)).step_by(16) {
                    let first = p * PANEL + c;
                    let columns = (self.layer.outputs - first).min(16);
                    let start = to.range(i / PANEL, first..first).start + i % PANEL;
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

/// A thread's own memory.
#[derive(Default)]
pub(super) struct Scratch {
    /// Of sums that are looked at before they are used.
    pub(super) block: Aligned,
    /// Sums over a part of k, `[rows, 64]`.
    pub(super) partial: Vec<f32>,
    pub(super) targets: Vec<f32>,
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
    pub(super) partial: &'a mut Vec<f32>,
}

impl WithSimd for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { net, l, rows, partial } = self;
        let (dense, before) = (&net.layers[l], &net.layers[l - 1]);
        let flipped = if dense.narrow { &dense.weight.values } else { &dense.flipped };
        let (shape, wide) = (dense.flipped_shape, dense.rows);
        // SAFETY: weights are only read in this phase.
        let weights = unsafe { flipped.read(0..flipped.len()) };
        if wide.columns <= FEW && shape.count() == 1 {
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
        for p in 0..shape.count() {
            let width = shape.width(p);
            for part in 0..parts {
                let panels = (part * DEPTH, ((part + 1) * DEPTH).min(wide.count()));
                let b = &weights[shape.range(p, panels.0 * PANEL..dense.layer.outputs)];
                for i in rows.clone().step_by(ROWS) {
                    let n = (rows.end - i).min(ROWS);
                    let left = Left::Rows { matrix: &dense.d, shape: wide, row: i, panels };
                    // SAFETY: these rows are this thread's.
                    let d = unsafe { before.d.write(before.rows.range(p, i..i + n)) };
                    let kept = (i - rows.start) * PANEL..(i - rows.start) * PANEL + n * width;
                    let kept = if parts > 1 { kept } else { 0..0 };
                    let (first, last) = (part == 0, part + 1 == parts);
                    let sums = BackwardSums { simd, partial: &mut partial[kept], d, first, last };
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
    first: bool,
    last: bool,
}

impl<S: Simd> Sums<S> for BackwardSums<'_, S> {
    #[inline(always)]
    fn start(&self, place: usize, _: usize) -> S::f32s {
        if self.first { self.simd.splat_f32s(0.0) } else { load::<S>(self.partial, place) }
    }

    #[inline(always)]
    fn finish(&mut self, place: usize, sum: S::f32s) {
        if self.last {
            let slope = load::<S>(self.d, place);
            store::<S>(self.d, place, self.simd.mul_f32s(slope, sum));
        } else {
            store::<S>(self.partial, place, sum);
        }
    }
}

/// Weights whose gradients one thread computes.
#[derive(Debug, Clone)]
pub(super) enum Unit {
    /// Of a layer, rows of the weights; panels of a narrow layer's.
    Weights(usize, Range<usize>),
    /// Of a layer.
    Bias(usize),
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
    pub(super) unit: &'a Unit,
    pub(super) then: Then,
    pub(super) block: &'a mut Aligned,
}

impl WithSimd for Gradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { net, rows, unit, then, block } = self;
        let k = rows.len();
        let c = &mut block.0;
        match unit {
            Unit::Bias(l) => {
                let dense = &net.layers[*l];
                for p in 0..dense.rows.count() {
                    let width = dense.rows.width(p);
                    // SAFETY: ∂R/∂z is only read in this phase.
                    let slopes = unsafe { dense.d.read(dense.rows.range(p, rows.clone())) };
                    let place = p * PANEL..p * PANEL + width;
                    let mut sums = net.sums(simd, then, &dense.bias, place.clone(), c);
                    for place in (0..width).step_by(S::F32_LANES) {
                        let mut sum = simd.splat_f32s(0.0);
                        for row in slopes.chunks_exact(width) {
                            sum = simd.add_f32s(sum, load::<S>(row, place));
                        }
                        sums.finish(place, sum);
                    }
                    net.take(then, &dense.bias, false, place, c);
                }
            }
            Unit::Weights(l, range) => {
                let dense = &net.layers[*l];
                let (x, shape) = net.inputs_of(*l);
                // SAFETY: activations and ∂R/∂z are only read in this phase.
                let (x, slopes) = unsafe { (x.read(0..shape.len()), dense.d.read(0..dense.rows.len())) };
                if dense.narrow {
                    let m = dense.layer.outputs;
                    let left = Left::Columns { matrix: &slopes[rows.start * 16..], stride: 16, k };
                    for p in range.clone() {
                        let (width, b) = (shape.width(p), &x[shape.range(p, rows.clone())]);
                        let place = dense.shape.range(p, 0..m);
                        let sums = net.sums(simd, then, &dense.weight, place.clone(), c);
                        // SAFETY: as above.
                        unsafe { multiply(simd, m, width, left, b, sums) };
                        net.take(then, &dense.weight, true, place, c);
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
                        let left = Left::Columns { matrix, stride: shape.width(q), k };
                        let place = dense.shape.range(p, i..i + n);
                        let sums = net.sums(simd, then, &dense.weight, place.clone(), c);
                        // SAFETY: as above.
                        unsafe { multiply(simd, n, width, left, b, sums) };
                        net.take(then, &dense.weight, true, place, c);
                        i += n;
                    }
                }
                if matches!(then, Then::Use(_)) {
                    // SAFETY: these weights, and their transposed copies, are this thread's in this phase.
                    unsafe { dense.flip::<S>(range.clone()) };
                }
            }
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
            Then::Use(now) if self.settings.is_plain_descent() => {
                // SAFETY: these weights are this thread's in this phase.
                let to = unsafe { param.values.write(place) };
                Written { simd, to, how: How::Descend(now.rate()) }
            }
            Then::Use(_) => Written { simd, to: &mut c[..place.len()], how: How::Write },
        }
    }

    /// Uses a gradient that is not kept.
    #[inline(always)]
    fn take(&self, then: Then, param: &Param, is_weight: bool, place: Range<usize>, c: &mut [f32; BLOCK]) {
        if let Then::Use(now) = then
            && !self.settings.is_plain_descent()
        {
            let g = &mut c[..place.len()];
            self.edit(param, is_weight, place.clone(), g);
            self.update(param, is_weight, place, g, now);
        }
    }

    /// Adds penalties and clips by value.
    #[inline(always)]
    fn edit(&self, param: &Param, is_weight: bool, place: Range<usize>, g: &mut [f32]) {
        let (l1, l2) = (self.settings.l1 as f32, self.settings.l2 as f32);
        if is_weight && (l1 > 0.0 || l2 > 0.0) {
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
    fn update(&self, param: &Param, is_weight: bool, place: Range<usize>, g: &[f32], now: Step) {
        let state = |i: usize| {
            let place = if param.states[i].is_empty() { 0..0 } else { place.clone() };
            // SAFETY: these weights, and what belongs to them, are this thread's in this phase.
            unsafe { param.states[i].write(place) }
        };
        // SAFETY: as above.
        let w = unsafe { param.values.write(place.clone()) };
        let kind = usize::from(!is_weight);
        let tuning = (self.settings.rates[kind], self.settings.decay[kind]);
        self.settings.rule.apply(now, tuning, w, g, state(0), state(1));
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
            Unit::Bias(l) => net.settle(settle, &net.layers[*l].bias, false, 0..net.layers[*l].bias.values.len()),
            Unit::Weights(l, range) => {
                let dense = &net.layers[*l];
                if dense.narrow {
                    for p in range.clone() {
                        net.settle(settle, &dense.weight, true, dense.shape.range(p, 0..dense.layer.outputs));
                    }
                    return;
                }
                for p in 0..dense.shape.count() {
                    net.settle(settle, &dense.weight, true, dense.shape.range(p, range.clone()));
                }
                if !matches!(settle, Settle::Whole) {
                    // SAFETY: these weights, and their transposed copies, are this thread's in this phase.
                    unsafe { dense.flip::<S>(range.clone()) };
                }
            }
        }
    }
}

impl Net {
    #[inline(always)]
    fn settle(&self, settle: Settle, param: &Param, is_weight: bool, range: Range<usize>) {
        let [first, second] = &self.grads;
        if let Settle::WholeUse(now) = settle
            && !second.is_empty()
            && self.settings.is_plain_descent()
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
                self.edit(param, is_weight, place.clone(), g);
            }
            match settle {
                Settle::Whole => {}
                Settle::WholeUse(now) => self.update(param, is_weight, place, g, now),
                Settle::Use(factor, now) => {
                    g.iter_mut().for_each(|g| *g *= factor);
                    self.update(param, is_weight, place, g, now);
                }
            }
        }
    }
}
