//! What becomes of a row before the first dense layer: embeddings of numbers and of categories.

use std::ops::Range;

use crate::math::sin_cos;

/// Numbers that a joint field becomes.
pub(crate) const JOINT: usize = 16;

/// What a column of the input is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// A number, which is embedded.
    Number,
    /// A number that goes on as it is.
    Plain,
    /// The number of one of so many categories.
    Category(usize),
}

/// What becomes of numbers.
#[derive(Debug, Clone, PartialEq)]
pub enum Numbers {
    /// They go on as they are.
    Plain,
    /// (cos(2πwx + b)·V + c, x); so many cosines, so many numbers.
    Periodic(usize, usize),
    /// Linear in x and in its piecewise-linear code, whose edges, at least two, are given for each number; so many numbers.
    PiecewiseLinear(Vec<Vec<f32>>, usize),
}

/// Columns to the inputs of the first dense layer: numbers first, then plain columns, then categories.
#[derive(Debug, Clone, PartialEq)]
pub struct Stem {
    /// What each column of the input is.
    pub columns: Vec<Column>,
    /// What becomes of numbers.
    pub numbers: Numbers,
    /// Numbers that a category becomes.
    pub category_width: usize,
}

/// A stem laid out: what becomes of each column, and where its parameters lie.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    fields: Vec<Field>,
    /// Numbers that a row becomes.
    pub(crate) outputs: usize,
    /// Numbers of all parameters, those of each field from a multiple of 16 on.
    pub(crate) parameters: usize,
    /// Fields, the first ones, whose gradients are made together with those of the weights behind them: of each bin, not of each row.
    /// They become [`JOINT`] numbers each.
    pub(crate) joint: usize,
}

#[derive(Debug)]
struct Field {
    column: usize,
    /// Where its numbers and its parameters lie.
    outputs: Range<usize>,
    parameters: Range<usize>,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Plain,
    /// w, b, V and c; so many cosines.
    Periodic(usize),
    /// The linear part, its bias and V, whose rows are the bins, so many with those that other numbers have.
    Bent(Bins, usize),
    /// The rows of a table.
    Category(usize),
}

/// The bins of a number.
#[derive(Debug)]
struct Bins {
    /// Where each begins, and 1/width.
    all: Vec<(f32, f32)>,
    /// The edges between them, filled up with infinity.
    between: Vec<[f32; 16]>,
}

/// Rows in the order of the bins that their numbers lie in.
#[derive(Debug, Default)]
pub(crate) struct Sorted {
    /// The bin of each row, and how much of it lies below the number.
    codes: Vec<(usize, f32)>,
    /// Each row, how much of its bin lies below its number, and the number.
    pub(crate) rows: Vec<(usize, f32, f32)>,
    /// Where the rows of each bin end.
    pub(crate) ends: Vec<usize>,
}

impl Bins {
    fn new(edges: &[f32]) -> Self {
        let all = edges.windows(2).map(|e| (e[0], 1.0 / (e[1] - e[0]).max(f32::MIN_POSITIVE))).collect();
        let fill = |edges: &[f32]| std::array::from_fn(|i| edges.get(i).copied().unwrap_or(f32::INFINITY));
        Self { all, between: edges[1..edges.len() - 1].chunks(16).map(fill).collect() }
    }

    /// The bin that x lies in, and how much of it lies below x; the first and the last bin have no end.
    #[inline(always)]
    fn code(&self, x: f32) -> (usize, f32) {
        let mut counts = [0u32; 16];
        for edges in &self.between {
            counts.iter_mut().zip(edges).for_each(|(n, edge)| *n += u32::from(*edge < x));
        }
        let bin = counts.iter().sum::<u32>() as usize;
        let (start, inverse) = self.all[bin];
        let code = (x - start) * inverse;
        let code = if bin == 0 { code } else { code.max(0.0) };
        (bin, if bin + 1 == self.all.len() { code } else { code.min(1.0) })
    }
}

impl Plan {
    pub(crate) fn new(stem: &Stem) -> Self {
        let mut plan = Self::default();
        let bins = |edges: &[Vec<f32>]| edges.iter().map(|e| e.len() - 1).max().unwrap_or(1);
        let numbers = stem.columns.iter().enumerate().filter(|(_, c)| **c == Column::Number);
        for (number, (column, _)) in numbers.enumerate() {
            match &stem.numbers {
                Numbers::Plain => plan.push(column, 1, 0, Kind::Plain),
                Numbers::Periodic(q, width) => {
                    plan.push(column, *width, 2 * q + (q + 1) * (width - 1), Kind::Periodic(*q));
                }
                Numbers::PiecewiseLinear(edges, width) => {
                    let all = bins(edges);
                    plan.push(column, *width, (2 + all) * width, Kind::Bent(Bins::new(&edges[number]), all));
                }
            }
        }
        for (column, _) in stem.columns.iter().enumerate().filter(|(_, c)| **c == Column::Plain) {
            plan.push(column, 1, 0, Kind::Plain);
        }
        for (column, kind) in stem.columns.iter().enumerate() {
            if let Column::Category(n) = kind {
                plan.push(column, stem.category_width, n * stem.category_width, Kind::Category(*n));
            }
        }
        plan
    }

    fn push(&mut self, column: usize, width: usize, parameters: usize, kind: Kind) {
        let outputs = self.outputs..self.outputs + width;
        let parameters = self.parameters..self.parameters + parameters;
        (self.outputs, self.parameters) = (outputs.end, parameters.end.next_multiple_of(16));
        self.fields.push(Field { column, outputs, parameters, kind });
    }

    pub(crate) fn fields(&self) -> usize {
        self.fields.len()
    }

    /// Makes fields joint where their bins are so much fewer than `rows` that this is less work.
    pub(crate) fn join(&mut self, rows: usize) {
        let few = |field: &&Field| match &field.kind {
            Kind::Bent(_, bins) => field.outputs.len() == JOINT && 2 * (2 + bins) <= rows,
            _ => false,
        };
        self.joint = self.fields.iter().take_while(few).count();
    }

    /// About how many multiplications the gradients of a joint field, and of `outputs` weights behind each of its numbers, take for
    /// a row of `rows`.
    pub(crate) fn joint_cost(&self, field: usize, outputs: usize, rows: usize) -> usize {
        let terms = self.fields[field].parameters.len() / JOINT;
        3 * outputs + 2 * JOINT * terms * outputs / rows
    }

    /// Where the parameters of some fields lie, with what fills them up.
    pub(crate) fn place(&self, fields: Range<usize>) -> Range<usize> {
        let end = self.fields.get(fields.end).map_or(self.parameters, |f| f.parameters.start);
        self.fields.get(fields.start).map_or(end, |f| f.parameters.start)..end
    }

    /// About how many multiplications the gradient of a field takes for a row.
    pub(crate) fn cost(&self, field: usize) -> usize {
        let field = &self.fields[field];
        match field.kind {
            Kind::Plain => 0,
            Kind::Periodic(q) => q * (30 + 2 * field.outputs.len()),
            Kind::Bent(..) => 20 + 4 * field.outputs.len(),
            Kind::Category(_) => field.outputs.len(),
        }
    }

    /// The tensors of the parameters, in the order of `perceptra_nn`'s embeddings, as ranges of the parameters, number by number.
    pub(crate) fn tensors(&self) -> Vec<Vec<Range<usize>>> {
        let mut tensors: Vec<Vec<Range<usize>>> = Vec::new();
        let mut tables = Vec::new();
        for field in &self.fields {
            let (start, width) = (field.parameters.start, field.outputs.len());
            let lengths = match field.kind {
                Kind::Plain => continue,
                Kind::Periodic(q) => vec![q, q, q * (width - 1), width - 1],
                Kind::Bent(_, bins) => vec![width, width, bins * width],
                Kind::Category(_) => {
                    tables.push(vec![field.parameters.clone()]);
                    continue;
                }
            };
            tensors.resize(lengths.len(), Vec::new());
            let mut at = start;
            for (tensor, length) in tensors.iter_mut().zip(lengths) {
                tensor.push(at..at + length);
                at += length;
            }
        }
        tensors.extend(tables);
        tensors
    }

    /// For each bin of these fields, where its row of V lies, the sum of the bias and the rows of V before it.
    #[inline(always)]
    pub(crate) fn sum(&self, fields: Range<usize>, p: &[f32], sums: &mut [f32]) {
        let first = self.place(fields.clone()).start;
        for field in &self.fields[fields] {
            if let Kind::Bent(bins, _) = &field.kind {
                let (own, width) = (field.parameters.start - first, field.outputs.len());
                let (p, sums) = (&p[own..][..field.parameters.len()], &mut sums[own..][..field.parameters.len()]);
                sums[2 * width..3 * width].copy_from_slice(&p[width..2 * width]);
                for at in (3 * width..(2 + bins.all.len()) * width).step_by(width) {
                    for k in at..at + width {
                        sums[k] = sums[k - width] + p[k - width];
                    }
                }
            }
        }
    }

    /// What the row `x` becomes, with the parameters `p` and the sums of [`Plan::sum`].
    #[inline(always)]
    pub(crate) fn forward(&self, p: &[f32], sums: &[f32], x: &[f32], out: &mut [f32]) {
        for field in &self.fields {
            let (x, out) = (x[field.column], &mut out[field.outputs.clone()]);
            let (p, sums, width) = (&p[field.parameters.clone()], &sums[field.parameters.clone()], field.outputs.len());
            match &field.kind {
                Kind::Plain => out[0] = x,
                Kind::Periodic(q) => {
                    let (q, width) = (*q, width - 1);
                    let (waves, c) = p[2 * q..].split_at(q * width);
                    out[..width].copy_from_slice(&c[..width]);
                    let mut cosines = [0.0; 16];
                    for start in (0..q).step_by(16) {
                        let n = (q - start).min(16);
                        let (w, b) = (&p[start..start + n], &p[q + start..q + start + n]);
                        for ((cos, w), b) in cosines.iter_mut().zip(w).zip(b) {
                            *cos = sin_cos(x * (w * std::f32::consts::TAU) + b).1;
                        }
                        for (cos, v) in cosines[..n].iter().zip(waves[start * width..].chunks_exact(width)) {
                            out.iter_mut().zip(v).for_each(|(out, v)| *out += cos * v);
                        }
                    }
                    out[width] = x;
                }
                Kind::Bent(bins, _) => {
                    let (bin, code) = bins.code(x);
                    let (w, at) = (&p[..width], (2 + bin) * width);
                    let (v, sums) = (&p[at..at + width], &sums[at..at + width]);
                    for (((out, sum), w), v) in out.iter_mut().zip(sums).zip(w).zip(v) {
                        *out = sum + x * w + code * v;
                    }
                }
                Kind::Category(n) => out.copy_from_slice(&p[category(x, *n) * width..][..width]),
            }
        }
    }

    /// Sorts rows by the bins of a joint field, from its numbers, `next` apart.
    #[inline(always)]
    pub(crate) fn sort(&self, field: usize, xs: &[f32], next: usize, sorted: &mut Sorted) {
        let Kind::Bent(bins, _) = &self.fields[field].kind else { return };
        let Sorted { codes, rows, ends } = sorted;
        codes.clear();
        codes.extend(xs.iter().step_by(next).map(|x| bins.code(*x)));
        ends.clear();
        ends.resize(bins.all.len(), 0);
        codes.iter().for_each(|(bin, _)| ends[*bin] += 1);
        let mut before = 0;
        for end in &mut *ends {
            (*end, before) = (before, before + *end);
        }
        rows.resize(codes.len(), (0, 0.0, 0.0));
        for (row, ((bin, code), x)) in codes.iter().zip(xs.iter().step_by(next)).enumerate() {
            rows[ends[*bin]] = (row, *code, *x);
            ends[*bin] += 1;
        }
    }

    /// Where the outputs of a field lie, its column, and where its parameters lie.
    pub(crate) fn field(&self, field: usize) -> (Range<usize>, usize, Range<usize>) {
        let field = &self.fields[field];
        (field.outputs.clone(), field.column, field.parameters.clone())
    }

    /// Adds to `g` what rows add to the gradients of a field with the parameters `p`, from ∂R/∂(what its number became). The numbers
    /// of rows, and these slopes, lie so far from each other. `WIDTH` is the width of the field if the compiler is to know it, or 0.
    #[inline(always)]
    pub(crate) fn backward<const WIDTH: usize>(
        &self,
        field: usize,
        p: &[f32],
        (xs, next_x): (&[f32], usize),
        (slopes, next): (&[f32], usize),
        g: &mut [f32],
        sums: &mut Vec<f32>,
    ) {
        let field = &self.fields[field];
        let width = if WIDTH > 0 { WIDTH } else { field.outputs.len() };
        let rows = xs.iter().step_by(next_x).zip(slopes.chunks(next).map(|s| &s[..width]));
        match &field.kind {
            Kind::Plain => {}
            Kind::Periodic(q) => {
                for (x, slopes) in rows {
                    waves(*q, p, *x, &slopes[..width - 1], g);
                }
            }
            Kind::Bent(bins, _) => {
                // Of each bin Σ s over its rows: that is what they add to the bins before it.
                sums.clear();
                sums.resize(bins.all.len() * width, 0.0);
                let (gw, rest) = g.split_at_mut(width);
                let (gb, gv) = rest.split_at_mut(width);
                for (x, slopes) in rows {
                    let (bin, code) = bins.code(*x);
                    let own = bin * width..(bin + 1) * width;
                    let (sums, gv) = (&mut sums[own.clone()], &mut gv[own]);
                    for (((gw, sum), gv), s) in gw.iter_mut().zip(sums).zip(gv).zip(slopes) {
                        *gw += x * s;
                        *sum += s;
                        *gv += code * s;
                    }
                }
                for bin in (1..bins.all.len()).rev() {
                    let (before, own) = sums.split_at_mut(bin * width);
                    let (before, own) = (&mut before[(bin - 1) * width..], &own[..width]);
                    let gv = &mut gv[(bin - 1) * width..bin * width];
                    for ((gv, before), own) in gv.iter_mut().zip(before).zip(own) {
                        *gv += own;
                        *before += own;
                    }
                }
                gb.iter_mut().zip(sums).for_each(|(g, sum)| *g += *sum);
            }
            Kind::Category(n) => {
                for (x, slopes) in rows {
                    let at = category(*x, *n) * width;
                    g[at..at + width].iter_mut().zip(slopes).for_each(|(g, s)| *g += s);
                }
            }
        }
    }
}

/// What a row adds to the gradients of a periodic embedding with q cosines.
#[inline(always)]
fn waves(q: usize, p: &[f32], x: f32, slopes: &[f32], g: &mut [f32]) {
    let width = slopes.len();
    let (w, rest) = p.split_at(q);
    let (b, v) = rest.split_at(q);
    let (gw, rest) = g.split_at_mut(q);
    let (gb, rest) = rest.split_at_mut(q);
    let (gv, gc) = rest.split_at_mut(q * width);
    let (mut sines, mut cosines) = ([0.0; 16], [0.0; 16]);
    for start in (0..q).step_by(16) {
        let n = (q - start).min(16);
        let parts = w[start..start + n].iter().zip(&b[start..start + n]);
        for ((sin, cos), (w, b)) in sines.iter_mut().zip(&mut cosines).zip(parts) {
            (*sin, *cos) = sin_cos(x * (w * std::f32::consts::TAU) + b);
        }
        for k in 0..n {
            let at = (start + k) * width;
            let mut slope = 0.0;
            for ((gv, v), s) in gv[at..at + width].iter_mut().zip(&v[at..at + width]).zip(slopes) {
                *gv += cosines[k] * s;
                slope += v * s;
            }
            slope *= -sines[k];
            gb[start + k] += slope;
            gw[start + k] += slope * x * std::f32::consts::TAU;
        }
    }
    gc.iter_mut().zip(slopes).for_each(|(g, s)| *g += s);
}

#[inline(always)]
fn category(x: f32, n: usize) -> usize {
    (x.max(0.0) as usize).min(n - 1)
}
