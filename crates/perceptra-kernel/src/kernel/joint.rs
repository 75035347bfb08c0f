//! Gradients of joint fields: embedded numeric columns whose gradients are computed from sums per bin.

use std::ops::Range;

use pulp::Simd;

use super::batch::Chunk;
use super::buffer::PANEL;
use super::gemm::{Left, ROWS, load, multiply, store, vectors};
use super::net::{Net, Param};
use super::scratch::{Joint, Scratch};
use super::sink::{How, Then, Written};
use crate::embedding::{JOINT, Sorted};

impl Net {
    /// Computes the gradients of joint fields, of their factors r, and of the weights W of the first dense layer that multiply
    /// their values.
    ///
    /// In row i a field has the value Cᵢ·P, where P `[2 + bins, 16]` are its parameters and Cᵢ encodes the number x: x for the
    /// linear part, 1 for the bias, 1 for each bin below x, and the share of x's own bin that lies below x. Let ∂R/∂z be the
    /// derivatives of the loss R with respect to the sums z of the first dense layer. Then G = Cᵀ·∂R/∂z has only as many rows as P,
    /// and all gradients are products with it: (P ⊙ r)ᵀ·G for W, (G·Wᵀ) ⊙ r for P, and the sums of P ⊙ (G·Wᵀ) for r. A row costs
    /// three operations for each unit of the first dense layer, instead of two times 16.
    #[inline(always)]
    pub(super) fn joint_gradients<S: Simd>(
        &self,
        simd: S,
        fields: Range<usize>,
        rows: Range<usize>,
        chunk: Chunk<'_>,
        then: Then,
        scratch: &mut Scratch,
    ) {
        let (first_layer, dense) = (&self.layers[0], &self.layers[1]);
        let (Some(layout), Then::Keep { half, first }) = (&first_layer.embedding, then) else { return };
        let Scratch { bins, sorted, joint: Joint { scaled, slopes, weights }, .. } = scratch;
        let grads = &self.grads[half];
        // SAFETY: these gradients are this thread's in this phase.
        let own =
            |param: &Param, place: Range<usize>| unsafe { grads.write(param.at + place.start..param.at + place.end) };
        let inputs = fields.start * JOINT..fields.end * JOINT;
        let size = first_layer.layer.outputs.next_multiple_of(16);
        let has_factors = !first_layer.r.values.is_empty();
        if first {
            own(&first_layer.weight, layout.place(fields.clone())).fill(0.0);
            for p in 0..dense.shape.count() {
                own(&dense.weight, dense.shape.range(p, inputs.clone())).fill(0.0);
            }
            for member in 0..if has_factors { first_layer.members } else { 0 } {
                own(&first_layer.r, member * size + inputs.start..member * size + inputs.end).fill(0.0);
            }
        }
        // SAFETY: parameters, rows of the data and ∂R/∂z are only read in this phase.
        let (values, factors, transposed, x, d) = unsafe {
            let (values, factors, transposed) = (&first_layer.weight.values, &first_layer.r.values, &dense.transposed);
            let (values, factors) = (values.read(0..layout.parameters), factors.read(0..factors.len()));
            let transposed = transposed.read(0..dense.transposed_shape.len());
            (values, factors, transposed, self.x.read(0..self.x_shape.len()), dense.d.read(0..dense.rows.len()))
        };
        for member in 0..first_layer.members {
            let rows = chunk.of(member, &rows);
            if rows.is_empty() {
                continue;
            }
            for field in fields.clone() {
                let (outputs, column, place) = layout.field(field);
                let p = column / PANEL;
                let xs = &x[self.x_shape.range(p, rows.clone())][column % PANEL..];
                layout.sort(field, xs, self.x_shape.width(p), sorted);
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
                    let (used, from) = (dense.rows.used(p), dense.transposed_shape);
                    let q = outputs.start / PANEL;
                    let rows = from.range(q, p * PANEL..p * PANEL + used);
                    let rows = transposed[rows].chunks_exact(from.width(q));
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
                let g = own(&first_layer.weight, place);
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
                    let g = own(&first_layer.r, member * size + outputs.start..member * size + outputs.end);
                    g.iter_mut().zip(sums).for_each(|(g, sum)| *g += sum);
                }
            }
        }
    }
}

/// Computes G = Cᵀ·D of [`Net::joint_gradients`], where D is ∂R/∂z, for the first N vectors of columns of `d`, and writes it to
/// `g`. The rows of both have a stride of `width`. Returns the number of columns computed.
#[inline(always)]
fn by_bins<S: Simd, const N: usize>(simd: S, sorted: &Sorted, d: &[f32], g: &mut [f32], width: usize) -> usize {
    let zeros = [simd.splat_f32s(0.0); N];
    let (mut linear, mut above) = (zeros, zeros);
    let mut end = sorted.rows.len();
    for bin in (0..sorted.ends.len()).rev() {
        let start = if bin == 0 { 0 } else { sorted.ends[bin - 1] };
        // Rows with numbers beyond this bin have all of it below them: a share of 1.
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
