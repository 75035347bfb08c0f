//! The forward pass: takes rows of the data through the layers, and computes their activations a and the derivatives f′.

use std::ops::Range;

use perceptra_random::{Purpose, Stream};
use pulp::{Simd, WithSimd};

use super::batch::Chunk;
use super::buffer::PANEL;
use super::gemm::{BLOCK, DEPTH, FEW, Left, ROWS, Sums, dots, each, few, load, multiply, prefetch, store};
use super::net::{Dense, Net, values_of};
use super::scratch::Scratch;
use crate::activation::Activation;
use crate::data::Data;
use crate::embedding::Layout;

/// Copies the inputs of some rows of a chunk into panels, and their targets to `targets`.
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

/// Computes the activations a = f(xW + b) of layer `l` for some rows. In training (`TRAINS`), it also applies dropout and stores
/// the derivatives d = f′(xW + b) and everything else that the backward pass needs.
pub(super) struct Forward<'a, const TRAINS: bool> {
    pub(super) net: &'a Net,
    pub(super) l: usize,
    pub(super) rows: Range<usize>,
    pub(super) chunk: Chunk<'a>,
    pub(super) scratch: &'a mut Scratch,
}

impl<const TRAINS: bool> WithSimd for Forward<'_, TRAINS> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { net, l, rows, chunk, scratch } = self;
        let dense = &net.layers[l];
        if let Some(layout) = &dense.embedding {
            dense.begin::<S, TRAINS>(simd, net, layout, rows, chunk, scratch);
        } else if dense.per_member_weights {
            for member in 0..dense.members {
                let rows = chunk.of(member, &rows);
                if !rows.is_empty() {
                    Forward::<TRAINS> { net, l, rows, chunk, scratch: &mut *scratch }.dense(simd, member);
                }
            }
        } else {
            Self { net, l, rows, chunk, scratch }.dense(simd, 0);
        }
    }
}

impl<const TRAINS: bool> Forward<'_, TRAINS> {
    /// Computes a dense layer with the weights and biases of `member`, which is 0 if members share weights.
    #[inline(always)]
    fn dense<S: Simd>(self, simd: S, member: usize) {
        let Self { net, l, rows, chunk, scratch } = self;
        let Scratch { partial, block, masks, spare, .. } = scratch;
        let (c, masks, spare) = (&mut block.0, &mut masks.0, &mut spare.0);
        let dense = &net.layers[l];
        let drops = TRAINS && chunk.drop > 0.0 && l + 1 < net.layers.len();
        let (x, shape) = net.inputs_of(l);
        let size = dense.layer.outputs.next_multiple_of(16);
        let place = member * dense.shape.len()..(member + 1) * dense.shape.len();
        // SAFETY: weights are only read in this phase.
        let weights = unsafe { dense.weight.values.read(place) };
        // Biases of members are added later.
        let bias = if dense.has_unit_params {
            &net.zeros
        } else {
            // SAFETY: as above.
            unsafe { dense.bias.values.read(member * size..(member + 1) * size) }
        };
        if dense.dot_layout {
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
                dense.activate::<TRAINS>(net, l, 0, start..end, &c[..(end - start) * 16], chunk, drops, spare);
            }
            return;
        }
        // The usual activation, ReLU, is applied in registers.
        let relu = dense.layer.activation == Activation::Relu && !drops && !dense.has_unit_params;
        if shape.columns <= FEW && dense.shape.count() == 1 && relu {
            let (width, wide) = (dense.shape.width(0), shape.width(0));
            let range = dense.rows.range(0, rows.clone());
            // SAFETY: these rows are this thread's.
            let (a, d) = unsafe { (dense.a.write(range.clone()), dense.d.write(if TRAINS { range } else { 0..0 })) };
            let mut d = d.chunks_exact_mut(width);
            // SAFETY: as above.
            let x = unsafe { x.read(shape.range(0, rows)) }.chunks_exact(wide);
            let (zero, one) = (simd.splat_f32s(0.0), simd.splat_f32s(1.0));
            for (a, x) in a.chunks_exact_mut(width).zip(x) {
                let d = d.next().unwrap_or_default();
                for column in (0..width).step_by(S::F32_LANES) {
                    let z = few(simd, &x[..shape.columns], &weights[column..], width, load::<S>(bias, column));
                    let low = simd.less_than_or_equal_f32s(z, zero);
                    store::<S>(a, column, simd.select_f32s(low, zero, z));
                    if TRAINS {
                        store::<S>(d, column, simd.select_f32s(low, zero, one));
                    }
                }
            }
            return;
        }
        let members = dense.layer.activation == Activation::Relu && dense.has_unit_params && !dense.s.values.is_empty();
        let members = members && dense.alpha.values.is_empty();
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
                    let (a, d) =
                        unsafe { (dense.a.write(range.clone()), dense.d.write(if TRAINS { range } else { 0..0 })) };
                    let kept = (i - rows.start) * PANEL..(i - rows.start) * PANEL + n * width;
                    let kept = if parts > 1 { kept } else { 0..0 };
                    let partial = &mut partial[kept];
                    let members = if members && last {
                        Some(dense.members_of(net, l, p, block.clone(), chunk, drops, masks))
                    } else {
                        None
                    };
                    let done = relu || members.is_some();
                    let first = part == 0;
                    let sums =
                        ForwardSums::<_, TRAINS> { simd, bias, partial, z: &mut *c, a, d, first, last, relu, members };
                    // SAFETY: these rows are this thread's.
                    unsafe { multiply(simd, n, width, left, b, sums) };
                    if last && !done {
                        dense.activate::<TRAINS>(net, l, p, block, &c[..n * width], chunk, drops, spare);
                    }
                }
            }
        }
    }
}

/// Destination of the sums xW + b of a block, or of their part from some panels of x. Applies ReLU if that is the activation.
struct ForwardSums<'a, S, const TRAINS: bool> {
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

/// Parameters of one batch-ensemble member and contributions to their gradients, for a block of rows in a layer whose activation is
/// ReLU. The formulas are those of [`Dense::activate_extended`].
struct Members<'a> {
    bias: &'a [f32],
    s: &'a [f32],
    r: &'a [f32],
    masks: &'a [f32],
    e: &'a mut [f32],
    q: &'a mut [f32],
    v: &'a mut [f32],
}

impl Members<'_> {
    /// Computes activations from the sums xW of the columns from `column` on. In training (`TRAINS`), also computes the
    /// contributions to gradients.
    #[inline(always)]
    fn activate<S: Simd, const TRAINS: bool, const M: usize, const N: usize>(
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
            let (bias, s) = (load::<S>(self.bias, column), load::<S>(self.s, column));
            let r = if self.r.is_empty() { one } else { load::<S>(self.r, column) };
            for (i, row) in sums.iter().enumerate() {
                let place = i * width + column;
                let mask = if self.masks.is_empty() { one } else { load::<S>(self.masks, place) };
                let z = simd.add_f32s(simd.mul_f32s(row[v], s), bias);
                // As in `Activation::apply`: NaN stays.
                let kept = simd.mul_f32s(simd.select_f32s(simd.less_than_or_equal_f32s(z, zero), zero, z), mask);
                if TRAINS {
                    let slope = simd.select_f32s(simd.greater_than_f32s(z, zero), simd.mul_f32s(mask, r), zero);
                    store::<S>(self.e, place, slope);
                    store::<S>(self.q, place, simd.mul_f32s(slope, row[v]));
                }
                if self.r.is_empty() {
                    store::<S>(a, place, kept);
                } else {
                    if TRAINS {
                        store::<S>(self.v, place, kept);
                    }
                    store::<S>(a, place, simd.mul_f32s(kept, r));
                }
            }
        }
    }
}

impl<S: Simd, const TRAINS: bool> Sums<S> for ForwardSums<'_, S, TRAINS> {
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
            Some(members) => members.activate::<S, TRAINS, M, N>(self.simd, width, column, sums, self.a),
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
            if TRAINS {
                store::<S>(self.d, place, simd.select_f32s(low, zero, one));
            }
        } else {
            store::<S>(self.z, place, z);
        }
    }
}

impl Dense {
    /// Computes the inputs of the first dense layer: embeds rows, and multiplies them by the input scale or by the factors r of
    /// their member.
    #[inline(always)]
    fn begin<S: Simd, const TRAINS: bool>(
        &self,
        simd: S,
        net: &Net,
        layout: &Layout,
        rows: Range<usize>,
        chunk: Chunk<'_>,
        scratch: &mut Scratch,
    ) {
        let size = self.layer.outputs.next_multiple_of(16);
        let (raw, row) = (&mut scratch.raw, &mut scratch.row);
        raw.resize(net.x_shape.columns, 0.0);
        row.clear();
        row.resize(size, 0.0);
        let (values, factors) = (&self.weight.values, &self.r.values);
        // SAFETY: parameters are only read in this phase.
        let (values, factors) = unsafe { (values.read(0..values.len()), factors.read(0..factors.len())) };
        // SAFETY: as above.
        let sums = unsafe { self.transposed.read(0..self.transposed.len()) };
        for r in rows {
            // SAFETY: the row is this thread's.
            unsafe { net.raw_row(r, raw) };
            if layout.outputs == 0 {
                row[..raw.len()].copy_from_slice(raw);
            } else {
                layout.forward(values, sums, raw, row);
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
                    let (x, r) = (load::<S>(x, place), load::<S>(factors, p * PANEL + place));
                    store::<S>(a, place, simd.mul_f32s(x, r));
                }
                if TRAINS && p >= net.loose() {
                    // SAFETY: as above.
                    unsafe { self.parts[3].write(range) }.copy_from_slice(x);
                }
            }
        }
    }

    /// A member's parameters, and the places for contributions to their gradients, for a block: some rows of this member, in panel
    /// `p`. Draws the block's dropout masks.
    #[inline(always)]
    #[expect(clippy::too_many_arguments, reason = "what a block of rows needs, in registers: it is always inlined")]
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
            bias: values_of(&self.bias, place.clone()),
            s: values_of(&self.s, place.clone()),
            r: values_of(&self.r, place),
            masks,
            // SAFETY: these rows are this thread's.
            e: unsafe { self.part(0, range.clone()) },
            // SAFETY: as above.
            q: unsafe { self.part(1, range.clone()) },
            // SAFETY: as above.
            v: unsafe { self.part(3, range) },
        }
    }

    /// Computes the activations a = f(z) with dropout, and the derivatives d = f′(z), from the sums z of a block: some rows of
    /// panel `p`.
    #[inline(always)]
    #[expect(clippy::too_many_arguments, reason = "what a block of rows needs, in registers: it is always inlined")]
    fn activate<const TRAINS: bool>(
        &self,
        net: &Net,
        l: usize,
        p: usize,
        rows: Range<usize>,
        z: &[f32],
        chunk: Chunk<'_>,
        drops: bool,
        spare: &mut [f32; BLOCK],
    ) {
        if self.has_unit_params {
            self.activate_extended::<TRAINS>(net, l, p, rows, z, chunk, drops);
            return;
        }
        let (range, width) = (self.rows.range(p, rows.clone()), self.rows.width(p));
        // SAFETY: these rows are this thread's.
        let a = unsafe { self.a.write(range.clone()) };
        // SAFETY: as above.
        let d = if TRAINS { unsafe { self.d.write(range) } } else { &mut spare[..z.len()] };
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

    /// Writes the dropout mask of a row and a panel: 0 for a unit that is dropped, else 1/(1 − rate).
    #[inline(always)]
    fn mask(&self, net: &Net, l: usize, p: usize, row: usize, chunk: Chunk<'_>, mask: &mut [f32]) {
        let number = l - usize::from(net.layers[0].embedding.is_some());
        let stream = Stream::new(net.settings.seed, Purpose::Dropout(number as u16), chunk.epoch);
        let (rate, kept) = (chunk.drop as f32, (1.0 / (1.0 - chunk.drop)) as f32);
        // A row's random numbers belong to the first member, then to the second, and so on.
        let first = if self.members > 1 { chunk.member(row) * self.layer.outputs } else { 0 };
        stream.fill_uniform_from(chunk.ids[row], ((first + p * PANEL) / 4) as u32, mask);
        mask.iter_mut().for_each(|u| *u = if *u < rate { 0.0 } else { kept });
    }

    /// Does what [`Dense::activate`] does, in layers with factors r and s of members or with parametric activations:
    /// a = (z + α(f(z) − z))·mask·r with z = s·xW + b, where `sums` is xW, mask is the dropout mask, and r belongs to the next
    /// layer.
    #[inline(always)]
    #[expect(clippy::too_many_arguments, reason = "what a block of rows needs, in registers: it is always inlined")]
    fn activate_extended<const TRAINS: bool>(
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
            let own = |param, place| values_of(param, place..place + width);
            let (bias, s, r) = (own(&self.bias, member), own(&self.s, member), own(&self.r, member));
            let alpha = own(&self.alpha, p * PANEL);
            // SAFETY: the row is this thread's.
            let part = |i: usize| unsafe { self.part(i, range.clone()) };
            // SAFETY: as above.
            let a = unsafe { self.a.write(range.clone()) };
            let (mut z, mut slope, mut mask) = ([0.0; PANEL], [0.0; PANEL], [1.0; PANEL]);
            let (z, slope, mask) = (&mut z[..width], &mut slope[..width], &mut mask[..width]);
            if s.is_empty() {
                z.iter_mut().zip(sums).zip(bias).for_each(|((z, x), b)| *z = x + b);
            } else {
                z.iter_mut().zip(sums).zip(bias).zip(s).for_each(|(((z, x), b), s)| *z = x * s + b);
            }
            self.layer.activation.apply(z, a, slope);
            if drops {
                self.mask(net, l, p, row, chunk, mask);
            }
            if !alpha.is_empty() {
                let u = part(2);
                for i in 0..width {
                    let bent = a[i] - z[i];
                    if TRAINS {
                        u[i] = bent * mask[i];
                    }
                    a[i] = z[i] + alpha[i] * bent;
                    slope[i] = 1.0 + alpha[i] * (slope[i] - 1.0);
                }
            }
            a.iter_mut().zip(&*mask).for_each(|(a, m)| *a *= m);
            slope.iter_mut().zip(&*mask).for_each(|(d, m)| *d *= m);
            if !r.is_empty() {
                if TRAINS {
                    part(3).copy_from_slice(a);
                }
                a.iter_mut().zip(r).for_each(|(a, r)| *a *= r);
                slope.iter_mut().zip(r).for_each(|(d, r)| *d *= r);
                if !alpha.is_empty() {
                    part(2).iter_mut().zip(r).for_each(|(u, r)| *u *= r);
                }
            }
            a[used..].fill(0.0);
            if !TRAINS {
                continue;
            }
            // SAFETY: as above.
            let d = unsafe { self.d.write(range.clone()) };
            if s.is_empty() {
                d.copy_from_slice(slope);
            } else {
                let (e, q) = (part(0), part(1));
                e.copy_from_slice(slope);
                q.iter_mut().zip(&*slope).zip(sums).for_each(|((q, d), x)| *q = d * x);
            }
            d[used..].fill(0.0);
        }
    }
}
