//! Gradients of parameters: sums over the rows of a chunk.

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::batch::Chunk;
use super::buffer::PANEL;
use super::gemm::{BLOCK, Left, ROWS, Sums, load, multiply};
use super::net::{Net, Param, Term};
use super::scratch::Scratch;
use super::sink::Then;
use super::work::Unit;

/// Computes the gradients of one unit of work, summed over some rows of a chunk.
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
                let (param, (contributions, by_blocks)) = (dense.term(*term), dense.contributions(*term));
                let size = dense.layer.outputs.next_multiple_of(16);
                let shared = dense.members == 1 || *term == Term::Alpha;
                let summed = net.summed(*l, *term);
                for member in 0..if shared { 1 } else { dense.members } {
                    let rows = if shared { rows.clone() } else { chunk.of(member, &rows) };
                    if rows.is_empty() {
                        absent(param, member * size + summed..(member + 1) * size);
                        continue;
                    }
                    for p in summed / PANEL..dense.rows.count() {
                        let columns = summed.saturating_sub(p * PANEL)..dense.rows.width(p);
                        // SAFETY: contributions of rows are only read in this phase.
                        let contributions = unsafe { contributions.read(dense.rows.range(p, 0..dense.rows.rows)) };
                        let start = member * size + p * PANEL;
                        let place = start + columns.start..start + columns.end;
                        let mut sums = net.sums(simd, then, param, place.clone(), c);
                        if by_blocks {
                            let rows = chunk.blocks(rows.clone()).map(|block| block.start);
                            total(simd, contributions, rows, columns, &mut sums);
                        } else {
                            total(simd, contributions, rows.clone(), columns, &mut sums);
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
                let range = if dense.dot_layout { 0..dense.shape.count() } else { 0..dense.layer.inputs };
                net.weights(simd, *l, range, rows, then, *member, c);
            }
            Unit::Joint(fields) => net.joint_gradients(simd, fields.clone(), rows, chunk, then, scratch),
            Unit::Embedding(fields) => {
                let dense = &net.layers[0];
                let (Some(layout), Then::Keep { half, first }) = (&dense.embedding, then) else { return };
                let place = layout.place(fields.clone());
                let at = dense.weight.at;
                // SAFETY: these gradients are this thread's in this phase.
                let g = unsafe { net.grads[half].write(at + place.start..at + place.end) };
                if first {
                    g.fill(0.0);
                }
                // SAFETY: parameters, rows of the data and ∂R/∂z are only read in this phase.
                let (values, x, d) = unsafe {
                    let (values, x, d) = (&dense.weight.values, &net.x, &dense.d);
                    (values.read(0..layout.parameters), x.read(0..net.x_shape.len()), d.read(0..dense.rows.len()))
                };
                for field in fields.clone() {
                    let (outputs, column, own) = layout.field(field);
                    let g = &mut g[own.start - place.start..own.end - place.start];
                    let p = column / PANEL;
                    let x = (&x[net.x_shape.range(p, rows.clone())][column % PANEL..], net.x_shape.width(p));
                    let p = outputs.start / PANEL;
                    let slopes = if outputs.end <= (p + 1) * PANEL {
                        (&d[dense.rows.range(p, rows.clone())][outputs.start % PANEL..], dense.rows.width(p))
                    } else {
                        // Derivatives that lie in two panels are copied into one slice.
                        row.clear();
                        for r in rows.clone() {
                            let place = |o: usize| dense.rows.range(o / PANEL, r..r).start + o % PANEL;
                            row.extend(outputs.clone().map(|o| d[place(o)]));
                        }
                        (&row[..], outputs.len())
                    };
                    let p = &values[own];
                    // With the usual width known at compile time, a row is one vector.
                    if outputs.len() == 16 {
                        layout.backward::<16>(field, p, x, slopes, g, bins);
                    } else {
                        layout.backward::<0>(field, p, x, slopes, g, bins);
                    }
                }
            }
        }
    }
}

/// Sums the columns `range` of `contributions` over some rows. A row is `range.end` wide.
#[inline(always)]
#[expect(clippy::needless_pass_by_value, reason = "an iterator over rows is a few registers")]
fn total<S: Simd>(
    simd: S,
    contributions: &[f32],
    rows: impl Iterator<Item = usize> + Clone,
    range: Range<usize>,
    to: &mut impl Sums<S>,
) {
    let (mut place, width) = (range.start, range.end);
    while place < width {
        let rows = rows.clone().map(|r| &contributions[r * width + place..(r + 1) * width]);
        let at = place - range.start;
        // Several vectors of a row at once, so that memory is read in order.
        place += match (width - place) / S::F32_LANES {
            1 => columns::<S, 1>(simd, rows, at, to),
            2 => columns::<S, 2>(simd, rows, at, to),
            3 => columns::<S, 3>(simd, rows, at, to),
            _ => columns::<S, 4>(simd, rows, at, to),
        };
    }
}

/// Sums the first N vectors of columns over rows, and passes the sums on for index `place`. Returns the number of columns summed.
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
    /// Computes the gradients of a range of rows of a layer's weights (of panels, if weights are stored by output). `member` is the
    /// member whose weights they are, and 0 if all members share them.
    #[inline(always)]
    #[expect(clippy::too_many_arguments, reason = "what a block of rows needs, in registers: it is always inlined")]
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
        if dense.dot_layout {
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
        if then.updates() {
            // SAFETY: these weights, and their transposed copies, are this thread's in this phase.
            unsafe { dense.transpose_rows::<S>(range, member) };
        }
    }
}
