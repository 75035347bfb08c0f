//! A network with its memory.
//!
//! Nothing here waits for another thread. What a function reads and writes, and who may do so at that time, is said in
//! `step`, whose two phases these functions belong to: activations and ∂R/∂z of a row belong to one thread from
//! [`Gather`](super::forward::Gather) to [`Backward`](super::backward::Backward), and are only read while gradients are computed; weights,
//! their states, their gradients and their transposed copies belong to one thread while gradients are computed and used, and are only
//! read before.

use std::ops::Range;

use pulp::Simd;

use super::buffer::{Buffer, PANEL, Panels};
use super::gemm::{load, store, transpose};
use crate::activation::Activation;
use crate::rule::Rule;
use crate::settings::{Group, Layer, Parts, Settings};
use crate::stem::{JOINT, Plan};

/// Outputs up to which a layer is stored by output, and computed by dot products.
const NARROW: usize = 4;

/// Weights with what belongs to each of them.
pub(super) struct Param {
    pub(super) values: Buffer,
    /// What the step rule remembers.
    pub(super) states: [Buffer; 2],
    /// Where their gradients begin.
    pub(super) at: usize,
    pub(super) is_weight: bool,
    /// Factor of the learning rate, decay, factor of ε.
    pub(super) tuning: (f64, f64, f32),
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
    pub(super) zeros: Vec<f32>,
    /// Whether a step is w ← w − ρ·∂R/∂w and nothing more.
    pub(super) plain: bool,
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
    pub(super) fn loose(&self) -> usize {
        let Panels { columns, .. } = self.layers[0].rows;
        if self.joint() < columns { self.joint() / PANEL } else { columns.div_ceil(PANEL) }
    }

    /// The first column of a layer whose gradients are the sums of what rows say.
    #[inline(always)]
    pub(super) fn summed(&self, l: usize, term: Term) -> usize {
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
    pub(super) unsafe fn raw_row(&self, r: usize, to: &mut [f32]) {
        for p in 0..self.x_shape.count() {
            let used = self.x_shape.used(p);
            // SAFETY: the caller's promise.
            let from = unsafe { self.x.read(self.x_shape.range(p, r..r + 1)) };
            to[p * PANEL..p * PANEL + used].copy_from_slice(&from[..used]);
        }
    }

    /// What layer `l` takes: the rows of the data, or the layer before.
    #[inline(always)]
    pub(super) fn inputs_of(&self, l: usize) -> (&Buffer, Panels) {
        if l == 0 { (&self.x, self.x_shape) } else { (&self.layers[l - 1].a, self.layers[l - 1].rows) }
    }
}

impl Dense {
    /// Some numbers of a part, none if there is no such part.
    ///
    /// # Safety
    ///
    /// As for [`Buffer::write`].
    #[inline(always)]
    #[allow(clippy::mut_from_ref)]
    pub(super) unsafe fn part(&self, part: usize, range: Range<usize>) -> &mut [f32] {
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
    pub(super) unsafe fn flip<S: Simd>(&self, rows: Range<usize>, member: usize) {
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
pub(super) fn own_numbers(param: &Param, place: Range<usize>) -> &[f32] {
    // SAFETY: parameters are only read while rows go through the network, which is when this is called.
    unsafe { param.values.read(if param.values.is_empty() { 0..0 } else { place }) }
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
    pub(super) fn said(&self, term: Term) -> (&Buffer, bool) {
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
