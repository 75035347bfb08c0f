//! A network with its memory.
//!
//! Nothing here waits for another thread. The phase of a step (see `step`) determines what a function may read and write. In the
//! first phase, from [`Gather`](super::forward::Gather) to [`Backward`](super::backward::Backward), the activations and ∂R/∂z of a
//! row (the derivatives of the loss R with respect to the sums z) belong to one thread, and parameters are only read. In the
//! second, gradients are computed and used: activations and ∂R/∂z are only read, and each parameter, with its states, gradients and
//! transposed copy, belongs to one thread.

use std::ops::Range;

use pulp::Simd;

use super::buffer::{Buffer, PANEL, Panels};
use super::gemm::{load, store, transpose};
use crate::activation::Activation;
use crate::embedding::{JOINT, Layout};
use crate::group::Group;
use crate::settings::{Extras, Layer, Settings};

/// Maximum number of outputs of a layer whose weights are stored by output, and whose sums are computed as dot products.
const NARROW: usize = 4;

/// Purpose for which a network's memory is allocated.
#[derive(Clone, Copy)]
pub(super) enum Memory {
    /// Predictions alone: no gradients, derivatives or states of the update rule.
    Predict,
    /// Training, with memory for `kept` gradients of every weight: 0 if they are used at once, 2 for both halves of a batch, else
    /// 1.
    Train { kept: usize },
}

/// A tensor of parameters, with the update rule's states and settings for it.
pub(super) struct Param {
    pub(super) values: Buffer,
    /// Values that the update rule keeps for each weight, such as its momentum; empty if it keeps fewer.
    pub(super) states: [Buffer; 2],
    /// Offset of its gradients in [`Net::grads`].
    pub(super) at: usize,
    pub(super) is_weight: bool,
    /// The tensor's factor of the learning rate, weight decay, and factor of the update rule's ε.
    pub(super) tuning: (f64, f64, f32),
}

/// A dense layer or the input embedding, with its parameters and memory.
pub(super) struct Dense {
    pub(super) layer: Layer,
    /// Whether weights are stored by output: `shape` is `[outputs, inputs]`, and there is no transposed copy.
    pub(super) dot_layout: bool,
    pub(super) shape: Panels,
    pub(super) weight: Param,
    /// Transposed weights, for the backward pass; empty where it needs none, as in the first layer. For an input embedding, the
    /// prefix sums of [`Layout::sum`].
    pub(super) transposed: Buffer,
    pub(super) transposed_shape: Panels,
    /// Biases b of each batch-ensemble member.
    pub(super) bias: Param,
    /// α of a parametric activation for each unit; empty for other activations.
    pub(super) alpha: Param,
    /// Factors s of the weighted sums for each batch-ensemble member; empty in single networks.
    pub(super) s: Param,
    /// Factors of the next layer's inputs: r of each batch-ensemble member, or the input scale; empty without them.
    pub(super) r: Param,
    /// The input embedding, if this is the layer before the first dense one; `None` for dense layers.
    pub(super) embedding: Option<Layout>,
    /// Number of members of a batch ensemble, 1 for a single network.
    pub(super) members: usize,
    /// Whether each member has weights of its own, stored one member after another.
    pub(super) per_member_weights: bool,
    /// Whether units or members have parameters besides weights and biases: α, s or r.
    pub(super) has_unit_params: bool,
    /// Contributions of rows to the gradients ∂R/∂b, ∂R/∂s, ∂R/∂α and ∂R/∂r of the loss R, in this order; empty for parameters that
    /// the layer lacks. The forward pass stores the derivatives of each row's activation a with respect to these parameters; the
    /// backward pass multiplies them by ∂R/∂a and puts their sum over each block of rows in the place of the block's first row.
    pub(super) parts: [Buffer; 4],
    /// Activations f(z) of the rows of a chunk, times dropout masks and the factors `r`.
    pub(super) a: Buffer,
    /// Derivatives f′(z) after the forward pass (unless `parts` has them); after the backward pass, the derivatives ∂R/∂z of the
    /// loss R with respect to the sums z.
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
    /// Gradients of all parameters from each half of the batch. If batches are not halved, the second is empty; if gradients are
    /// used at once, both are.
    pub(super) grads: [Buffer; 2],
    pub(super) members: usize,
    pub(super) zeros: Vec<f32>,
    /// Whether a step subtracts the learning rate times the gradient from the stored weights and nothing more.
    pub(super) plain: bool,
}

impl Net {
    /// A network whose parameters are all 0, with memory for `chunk` rows.
    pub(super) fn new(layers: &[Layer], extras: &Extras, settings: Settings, chunk: usize, memory: Memory) -> Self {
        let (trains, kept) = match memory {
            Memory::Predict => (false, 0),
            Memory::Train { kept } => (true, kept),
        };
        let states = if trains { settings.rule.states() } else { 0 };
        let members = extras.members;
        let mut at = 0;
        let mut param = |len: usize, group: Group, gain: f64| {
            let len = len.next_multiple_of(16);
            let state = |i| Buffer::zeros(if i < states { len } else { 0 });
            // Stored weights are `gain` times those that steps are defined for, so that their gradients are 1/gain times as large.
            let step = if settings.rule.is_linear() { gain * gain } else { gain };
            let tuning = (settings.rates.of(group) * step, settings.decay.of(group) / step, (1.0 / gain) as f32);
            let is_weight = group == Group::Weight;
            let param = Param { values: Buffer::zeros(len), states: [state(0), state(1)], at, is_weight, tuning };
            at += len;
            param
        };
        let padded = |n: usize| n.next_multiple_of(16);
        let several = members > 1;
        let embedding = extras.embedding.as_ref().map(Layout::new);
        let columns = extras.embedding.as_ref().map_or(layers[0].inputs, |embedding| embedding.columns.len());
        let first = (embedding.is_some() || extras.input_scale || several).then(|| {
            let width = layers[0].inputs;
            let layer = Layer { inputs: columns, outputs: width, bias: false, activation: Activation::Identity };
            (layer, true)
        });
        let mut embedding = embedding;
        if let Some(embedding) = embedding.as_mut().filter(|_| trains && layers[0].outputs > NARROW) {
            embedding.join(settings.batch.min(chunk));
        }
        let all: Vec<(Layer, bool)> = first.into_iter().chain(layers.iter().map(|l| (*l, false))).collect();
        let last = all.len() - 1;
        let dense = all.iter().enumerate().map(|(i, &(layer, is_embedding))| {
            let Layer { inputs, outputs, .. } = layer;
            let per_member_weights = several && i == last;
            let (dot_layout, hidden) = (outputs <= NARROW && !is_embedding, i < last);
            let shape = if dot_layout { Panels::new(outputs, inputs) } else { Panels::new(inputs, outputs) };
            let transposed_shape = Panels::new(outputs, inputs);
            let rows = Panels::new(chunk, outputs);
            let gain = if extras.ntk { (inputs as f64).sqrt().recip() } else { 1.0 };
            let copies = if per_member_weights { members } else { 1 };
            let embedding = is_embedding.then(|| embedding.take().unwrap_or_default());
            let weight = match &embedding {
                Some(embedding) => param(embedding.parameters, Group::Embedding, 1.0),
                None => param(copies * shape.len(), Group::Weight, gain),
            };
            let mixed = extras.parametric && hidden && !is_embedding;
            let scaled = several && hidden && !is_embedding;
            // r of the first dense layer, or the input scale; the output layer has none.
            let factored = if is_embedding { extras.input_scale || several } else { several && i + 1 < last };
            let group = if several { Group::Member } else { Group::InputScale };
            let part = |there: bool| Buffer::zeros(if there && trains { rows.len() } else { 0 });
            let transposed = match &embedding {
                Some(embedding) => embedding.parameters,
                None if dot_layout || i == 0 || !trains => 0,
                None => copies * transposed_shape.len(),
            };
            Dense {
                layer,
                dot_layout,
                shape,
                weight,
                transposed: Buffer::zeros(transposed),
                transposed_shape,
                bias: param(if is_embedding { 0 } else { members * padded(outputs) }, Group::Bias, 1.0),
                alpha: param(if mixed { outputs } else { 0 }, Group::Activation, 1.0),
                s: param(if scaled { members * padded(outputs) } else { 0 }, Group::Member, 1.0),
                r: param(if factored { members * padded(outputs) } else { 0 }, group, 1.0),
                embedding,
                members,
                per_member_weights,
                has_unit_params: is_embedding || mixed || scaled || factored,
                parts: [part(scaled), part(scaled), part(mixed), part(factored)],
                a: Buffer::zeros(rows.len()),
                d: part(true),
                rows,
            }
        });
        let dense: Vec<Dense> = dense.collect();
        let x_shape = Panels::new(chunk, columns);
        let grads = |i| Buffer::zeros(if i < kept { at } else { 0 });
        Self {
            plain: settings.is_plain_descent() && !extras.ntk,
            settings,
            layers: dense,
            x: Buffer::zeros(x_shape.len()),
            x_shape,
            losses: Buffer::zeros(if trains { chunk } else { 0 }),
            grads: [grads(0), grads(1)],
            members,
            zeros: vec![0.0; all.iter().map(|(l, _)| padded(l.outputs)).max().unwrap_or(0)],
        }
    }

    /// Allocates memory for the inputs and activations of `rows` rows, to predict them.
    pub(super) fn resize(&mut self, rows: usize) {
        self.x_shape.rows = rows;
        self.x = Buffer::zeros(self.x_shape.len());
        for dense in &mut self.layers {
            dense.rows.rows = rows;
            dense.a = Buffer::zeros(dense.rows.len());
        }
    }

    /// Number of inputs and number of outputs of a row.
    pub(super) fn shape(&self) -> (usize, usize) {
        (self.x_shape.columns, self.last().layer.outputs)
    }

    /// Number of the first dense layer's inputs that come from joint fields. They are the first inputs.
    #[inline(always)]
    pub(super) fn joint(&self) -> usize {
        self.layers[0].embedding.as_ref().map_or(0, |layout| layout.joint * JOINT)
    }

    /// Index of the first panel of the first dense layer's inputs that has inputs from other than joint fields; the number of
    /// panels if none has.
    #[inline(always)]
    pub(super) fn loose(&self) -> usize {
        let Panels { columns, .. } = self.layers[0].rows;
        if self.joint() < columns { self.joint() / PANEL } else { columns.div_ceil(PANEL) }
    }

    /// First column of a layer's parameter `term` whose gradient is summed from contributions of rows. Earlier columns belong to
    /// joint fields.
    #[inline(always)]
    pub(super) fn summed(&self, l: usize, term: Term) -> usize {
        if l == 0 && term == Term::R { self.joint() } else { 0 }
    }

    pub(super) fn last(&self) -> &Dense {
        &self.layers[self.layers.len() - 1]
    }

    /// Values of all parameters, tensor by tensor, in the order of their gradients in memory.
    pub(super) fn values(&mut self) -> impl Iterator<Item = &mut [f32]> {
        self.params().map(|p| p.values.all())
    }

    fn params(&mut self) -> impl Iterator<Item = &mut Param> {
        self.layers.iter_mut().flat_map(|l| [&mut l.weight, &mut l.bias, &mut l.alpha, &mut l.s, &mut l.r])
    }

    /// The update rule's states of all parameters.
    pub(super) fn states(&mut self) -> impl Iterator<Item = &mut [f32]> {
        self.params().flat_map(|p| &mut p.states).map(Buffer::all)
    }

    /// Copies the rows `ids` of `inputs` into panels, as the rows `rows` of the chunk.
    #[inline(always)]
    pub(super) fn put_rows<S: Simd>(&self, simd: S, rows: Range<usize>, inputs: &[f32], ids: &[u32]) {
        let n = self.x_shape.columns;
        if n < S::F32_LANES && !self.layers[0].dot_layout {
            // Copies one vector for each row. It reads into the next rows, but values beyond the columns are used by dot products
            // only.
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

    /// Copies row number `row` of `inputs` into panels, as row `r` of the chunk.
    #[inline(always)]
    pub(super) fn put_row<S: Simd>(&self, simd: S, r: usize, inputs: &[f32], row: usize) {
        let n = self.x_shape.columns;
        for (p, part) in inputs[row * n..(row + 1) * n].chunks(PANEL).enumerate() {
            // SAFETY: the row is this thread's.
            let to = unsafe { self.x.write(self.x_shape.range(p, r..r + 1)) };
            // Widths are multiples of 16; values beyond the row are 0.
            for (to, part) in to.chunks_exact_mut(S::F32_LANES).zip(part.chunks(S::F32_LANES)) {
                let whole = part.len() == S::F32_LANES;
                store::<S>(to, 0, if whole { load::<S>(part, 0) } else { simd.partial_load_f32s(part) });
            }
        }
    }

    /// Copies the inputs of row `r` of the chunk from panels to `to`, without padding.
    ///
    /// # Safety
    ///
    /// Nobody writes the row meanwhile.
    #[inline(always)]
    pub(super) unsafe fn raw_row(&self, r: usize, to: &mut [f32]) {
        for p in 0..self.x_shape.count() {
            let used = self.x_shape.used(p);
            // SAFETY: the caller's promise.
            let from = unsafe { self.x.read(self.x_shape.range(p, r..r + 1)) };
            to[p * PANEL..p * PANEL + used].copy_from_slice(&from[..used]);
        }
    }

    /// The inputs of layer `l`: the rows of the data, or the activations of the layer before.
    #[inline(always)]
    pub(super) fn inputs_of(&self, l: usize) -> (&Buffer, Panels) {
        if l == 0 { (&self.x, self.x_shape) } else { (&self.layers[l - 1].a, self.layers[l - 1].rows) }
    }
}

impl Dense {
    /// Contributions of some rows to one of the gradients in `parts`, counted from 0; empty if the layer lacks the parameter.
    ///
    /// # Safety
    ///
    /// As for [`Buffer::write`].
    #[inline(always)]
    #[expect(clippy::mut_from_ref, reason = "as for `Buffer::write`")]
    pub(super) unsafe fn part(&self, part: usize, range: Range<usize>) -> &mut [f32] {
        let part = &self.parts[part];
        // SAFETY: the caller's promise.
        unsafe { part.write(if part.is_empty() { 0..0 } else { range }) }
    }

    /// Copies the layer's activations of some rows to `to`, row by row and without padding, as `[rows, outputs]`.
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

    /// Recomputes the transposed weights, or the prefix sums of an input embedding, after the weights were set.
    pub(super) fn transpose_all(&mut self) {
        if let Some(layout) = &self.embedding {
            layout.sum(0..layout.fields(), self.weight.values.all(), self.transposed.all());
            return;
        }
        for member in 0..if self.per_member_weights { self.members } else { 1 } {
            // SAFETY: `&mut self` excludes every other thread.
            unsafe { self.transpose_rows::<pulp::Scalar>(0..self.layer.inputs, member) };
        }
    }

    /// Copies some rows of the weights to columns of the transposed weights, if the layer has those. The rows begin at a multiple
    /// of 16; `member` is 0 if members share weights.
    ///
    /// # Safety
    ///
    /// Nobody else writes these rows or uses these columns meanwhile.
    #[inline(always)]
    pub(super) unsafe fn transpose_rows<S: Simd>(&self, rows: Range<usize>, member: usize) {
        if self.transposed.is_empty() || self.embedding.is_some() {
            return;
        }
        let (from, to) = (self.shape, self.transposed_shape);
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
                        let to = unsafe { self.transposed.write(start..start + 15 * wide + 16) };
                        if transpose::<S>(&source[c..], width, to, wide) {
                            continue;
                        }
                    }
                    for k in 0..columns {
                        let mut line = [0.0; 16];
                        line.iter_mut().zip(source[c + k..].iter().step_by(width)).for_each(|(to, w)| *to = *w);
                        let start = start + k * wide;
                        // SAFETY: the caller's promise; 16 columns from a multiple of 16 on lie within the panel.
                        unsafe { self.transposed.write(start..start + 16) }.copy_from_slice(&line);
                    }
                }
            }
        }
    }
}

/// Values of a parameter in the range `place`; empty if the layer does not have the parameter.
#[inline(always)]
pub(super) fn values_of(param: &Param, place: Range<usize>) -> &[f32] {
    // SAFETY: parameters are only read while rows go through the network, which is when this is called.
    unsafe { param.values.read(if param.values.is_empty() { 0..0 } else { place }) }
}

/// Parameter of a layer's units whose gradient is a sum of contributions of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Term {
    Bias,
    S,
    Alpha,
    R,
}

impl Dense {
    pub(super) fn term(&self, term: Term) -> &Param {
        match term {
            Term::Bias => &self.bias,
            Term::S => &self.s,
            Term::Alpha => &self.alpha,
            Term::R => &self.r,
        }
    }

    /// Contributions of rows to the gradient of a parameter, and whether they are already summed over blocks of rows.
    pub(super) fn contributions(&self, term: Term) -> (&Buffer, bool) {
        let part = match term {
            Term::Bias if self.parts[0].is_empty() => return (&self.d, false),
            Term::Bias => 0,
            Term::S => 1,
            Term::Alpha => 2,
            Term::R => 3,
        };
        (&self.parts[part], true)
    }
}
