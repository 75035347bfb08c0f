//! The backward pass: computes the losses of rows, and the derivatives ∂R/∂z of the loss R with respect to every layer's sums z,
//! from the last layer to the first.

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::batch::Chunk;
use super::buffer::PANEL;
use super::gemm::{DEPTH, FEW, Left, Sums, each, few, load, multiply, prefetch, store};
use super::net::{Net, values_of};
use super::scratch::Scratch;
use crate::data::Data;

/// Computes the losses of some rows, and the derivatives ∂R/∂z of the loss R with respect to the last layer's sums z.
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

impl Net {
    /// Sums the losses of some rows.
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
}

/// Computes ∂R/∂z of the layer before `l` as (∂R/∂z Wᵀ) ⊙ f′, from ∂R/∂z and the weights W of layer `l`. R is the loss, z are a
/// layer's sums, f′ is the derivative of the earlier layer's activation.
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
        if !dense.per_member_weights {
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
    /// Propagates ∂R/∂z back through a dense layer with the weights of `member`, which is 0 if members share weights.
    #[inline(always)]
    fn dense<S: Simd>(self, simd: S, member: usize) {
        let Self { net, l, rows, chunk, partial } = self;
        let (dense, before) = (&net.layers[l], &net.layers[l - 1]);
        let transposed = if dense.dot_layout { &dense.weight.values } else { &dense.transposed };
        let (shape, wide) = (dense.transposed_shape, dense.rows);
        // SAFETY: weights are only read in this phase.
        let weights = unsafe { transposed.read(member * shape.len()..(member + 1) * shape.len()) };
        if !before.has_unit_params && wide.columns <= FEW && shape.count() == 1 {
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
                    let own = |param| values_of(param, place..place + width);
                    let slope = match own(&before.s) {
                        [] if before.embedding.is_none() => Known::Kept,
                        [] => Known::R(own(&before.r)),
                        scale => Known::S(scale),
                    };
                    let sums = BackwardSums { simd, partial: &mut partial[kept], d, parts, slope, first, last };
                    // SAFETY: these rows are this thread's.
                    unsafe { multiply(simd, n, width, left, b, sums) };
                }
            }
        }
    }
}

/// Destination of the sums ∂R/∂z Wᵀ of a block, or of their part from some panels of ∂R/∂z. Multiplies finished sums by f′.
struct BackwardSums<'a, S> {
    simd: S,
    partial: &'a mut [f32],
    d: &'a mut [f32],
    /// Contributions to the gradients of the layer's b, s, α and r: multiplied by the sums too, and added up over the block's rows.
    /// Empty if the layer lacks the parameter.
    parts: [&'a mut [f32]; 4],
    slope: Known<'a>,
    first: bool,
    last: bool,
}

/// Factor that turns ∂R/∂a into ∂R/∂z, for the loss R, a layer's activation a and its pre-activation z.
#[derive(Clone, Copy)]
enum Known<'a> {
    /// The derivative f′(z), which the forward pass stored.
    Kept,
    /// The factors r, or the input scale, after an input embedding; an empty slice stands for 1.
    R(&'a [f32]),
    /// The contribution to ∂R/∂b, times the factors s of a batch-ensemble member.
    S(&'a [f32]),
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
                Known::R([]) => {
                    for (i, row) in sums.iter().enumerate() {
                        store::<S>(self.d, i * width + column, row[v]);
                    }
                }
                Known::R(factor) | Known::S(factor) => {
                    let factor = load::<S>(factor, column);
                    for (i, row) in sums.iter().enumerate() {
                        let place = i * width + column;
                        let slope = match self.slope {
                            Known::S(_) => simd.mul_f32s(load::<S>(self.parts[0], place), row[v]),
                            Known::Kept | Known::R(_) => row[v],
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
