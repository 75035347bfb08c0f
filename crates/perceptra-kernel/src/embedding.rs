//! The input embedding: turns the numbers and categories of a row into the inputs of the first dense layer.

use std::ops::Range;

use crate::error::Unsupported;
use crate::math::sin_cos;

/// Width of the embedding of a joint field, a numeric column whose gradients are computed from sums per bin. Columns with another
/// width are not joint.
pub(crate) const JOINT: usize = 16;

/// Kind of an input column: how its value becomes inputs of the first dense layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// A number, which is embedded as the [`NumberEmbedding`] says.
    Number,
    /// A number that is passed to the first dense layer unchanged.
    Plain,
    /// The index of a category, counted from 0, which becomes a trained vector. The field is the number of categories; larger
    /// indices count as the last one.
    Category(usize),
}

impl Column {
    /// Place of this kind of column in the inputs of the first dense layer: embedded numbers first, then plain columns, then
    /// categories.
    fn rank(self) -> usize {
        match self {
            Self::Number => 0,
            Self::Plain => 1,
            Self::Category(_) => 2,
        }
    }
}

/// How the numbers of a row are embedded: turned into inputs of the first dense layer.
#[derive(Debug, Clone, PartialEq)]
pub enum NumberEmbedding {
    /// No embedding: numbers are passed to the first dense layer unchanged.
    Plain,
    /// A number x becomes (cos(2πwx + b)·V + c, x), with trained w, b, V and c. The fields are the number of cosines and the width
    /// of the result, x included.
    Periodic(usize, usize),
    /// A number x becomes a vector that is linear in x and in its piecewise-linear encoding: for each bin, the share of the bin
    /// that lies below x. The fields are the edges of the bins of each column (at least two) and the width of the result.
    PiecewiseLinear(Vec<Vec<f32>>, usize),
}

/// Embedding of the columns of a row, which gives the inputs of the first dense layer: embedded numbers first, then plain columns,
/// then categories.
#[derive(Debug, Clone, PartialEq)]
pub struct InputEmbedding {
    /// The kind of each input column.
    pub columns: Vec<Column>,
    /// How the columns of the kind [`Column::Number`] are embedded.
    pub numbers: NumberEmbedding,
    /// Length of the vector that each category becomes.
    pub category_width: usize,
}

impl InputEmbedding {
    /// Number of values that a row becomes, or the reason why the kernel cannot compute this embedding.
    pub(crate) fn outputs(&self) -> Result<usize, Unsupported> {
        let numbers = self.columns.iter().filter(|column| **column == Column::Number).count();
        match &self.numbers {
            NumberEmbedding::Plain => {}
            NumberEmbedding::Periodic(_, width) => {
                if *width == 0 {
                    return Err(Unsupported::Embedding("numbers of width 0"));
                }
            }
            NumberEmbedding::PiecewiseLinear(edges, width) => {
                if *width == 0 {
                    return Err(Unsupported::Embedding("numbers of width 0"));
                }
                if edges.len() != numbers || edges.iter().any(|edges| edges.len() < 2) {
                    return Err(Unsupported::Embedding("not two edges or more for each number"));
                }
            }
        }
        for column in &self.columns {
            match column {
                Column::Category(0) => return Err(Unsupported::Embedding("a column of no categories")),
                Column::Category(_) if self.category_width == 0 => {
                    return Err(Unsupported::Embedding("categories of width 0"));
                }
                Column::Number | Column::Plain | Column::Category(_) => {}
            }
        }
        Ok(Layout::new(self).outputs)
    }
}

/// An input embedding laid out in memory: the fields, one for each column, and where their outputs and parameters lie.
#[derive(Debug, Default)]
pub(crate) struct Layout {
    fields: Vec<Field>,
    /// Number of values that a row becomes; 0 if columns are not embedded.
    pub(crate) outputs: usize,
    /// Length of the buffer of all parameters, in which those of each field begin at a multiple of 16.
    pub(crate) parameters: usize,
    /// Number of joint fields, which come first. Their gradients, and those of the first dense layer's weights that multiply their
    /// values, are computed from sums per bin instead of row by row. Each of these fields is [`JOINT`] wide.
    pub(crate) joint: usize,
}

#[derive(Debug)]
struct Field {
    column: usize,
    outputs: Range<usize>,
    parameters: Range<usize>,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Plain,
    /// (cos(2πwx + b)·V + c, x) of a number x. The field is the number of cosines; the parameters are w, b, V and c, in this order.
    Periodic(usize),
    /// Piecewise linear in a number x. The parameters are the weights of x, biases, and V with a row for each bin, padded to as
    /// many rows as the second field says.
    Bent(Bins, usize),
    /// A category. The field is the number of categories; the parameters are a table with a row for each.
    Category(usize),
}

/// The bins of one column's piecewise-linear encoding.
#[derive(Debug)]
struct Bins {
    /// Lower edge and 1/width of each bin.
    all: Vec<(f32, f32)>,
    /// Edges between neighboring bins, in groups of 16; the last group is padded with infinity.
    between: Vec<[f32; 16]>,
}

/// Rows sorted by the bin into which their number in one column falls.
#[derive(Debug, Default)]
pub(crate) struct Sorted {
    /// For each row, the bin of its number, and the share of the bin that lies below the number.
    codes: Vec<(usize, f32)>,
    /// Rows in the order of their bins: the row's index, the share of its bin that lies below its number, and the number.
    pub(crate) rows: Vec<(usize, f32, f32)>,
    /// For each bin, the index in `rows` after its last row.
    pub(crate) ends: Vec<usize>,
}

impl Bins {
    fn new(edges: &[f32]) -> Self {
        let all = edges.windows(2).map(|e| (e[0], 1.0 / (e[1] - e[0]).max(f32::MIN_POSITIVE))).collect();
        let fill = |edges: &[f32]| std::array::from_fn(|i| edges.get(i).copied().unwrap_or(f32::INFINITY));
        Self { all, between: edges[1..edges.len() - 1].chunks(16).map(fill).collect() }
    }

    /// The bin into which x falls, and the share of the bin that lies below x: negative for x below the first bin, above 1 for x
    /// beyond the last.
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

impl Layout {
    pub(crate) fn new(embedding: &InputEmbedding) -> Self {
        let mut layout = Self::default();
        let bins = |edges: &[Vec<f32>]| edges.iter().map(|e| e.len() - 1).max().unwrap_or(1);
        let mut columns: Vec<(usize, Column)> = embedding.columns.iter().copied().enumerate().collect();
        columns.sort_by_key(|(_, column)| column.rank());
        let mut number = 0;
        for (index, column) in columns {
            match column {
                Column::Number => {
                    match &embedding.numbers {
                        NumberEmbedding::Plain => layout.push(index, 1, 0, Kind::Plain),
                        NumberEmbedding::Periodic(q, width) => {
                            layout.push(index, *width, 2 * q + (q + 1) * (width - 1), Kind::Periodic(*q));
                        }
                        NumberEmbedding::PiecewiseLinear(edges, width) => {
                            let all = bins(edges);
                            layout.push(index, *width, (2 + all) * width, Kind::Bent(Bins::new(&edges[number]), all));
                        }
                    }
                    number += 1;
                }
                Column::Plain => layout.push(index, 1, 0, Kind::Plain),
                Column::Category(n) => {
                    layout.push(index, embedding.category_width, n * embedding.category_width, Kind::Category(n));
                }
            }
        }
        layout
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

    /// Makes the leading fields joint that are [`JOINT`] wide and have so few bins, for batches of `rows` rows, that sums per bin
    /// are less work than sums over rows.
    pub(crate) fn join(&mut self, rows: usize) {
        let few = |field: &&Field| match &field.kind {
            Kind::Bent(_, bins) => field.outputs.len() == JOINT && 2 * (2 + bins) <= rows,
            Kind::Plain | Kind::Periodic(_) | Kind::Category(_) => false,
        };
        self.joint = self.fields.iter().take_while(few).count();
    }

    /// Approximate number of multiplications per row, in batches of `rows` rows, for the gradients of a joint field and of the
    /// first dense layer's weights that multiply its values. `outputs` is the number of that layer's units.
    pub(crate) fn joint_cost(&self, field: usize, outputs: usize, rows: usize) -> usize {
        let terms = self.fields[field].parameters.len() / JOINT;
        3 * outputs + 2 * JOINT * terms * outputs / rows
    }

    /// Range of the parameters of some fields in the buffer of all parameters, with their padding.
    pub(crate) fn place(&self, fields: Range<usize>) -> Range<usize> {
        let end = self.fields.get(fields.end).map_or(self.parameters, |f| f.parameters.start);
        self.fields.get(fields.start).map_or(end, |f| f.parameters.start)..end
    }

    /// Approximate number of multiplications per row for the gradient of a field that is not joint.
    pub(crate) fn cost(&self, field: usize) -> usize {
        let field = &self.fields[field];
        match field.kind {
            Kind::Plain => 0,
            Kind::Periodic(q) => q * (30 + 2 * field.outputs.len()),
            Kind::Bent(..) => 20 + 4 * field.outputs.len(),
            Kind::Category(_) => field.outputs.len(),
        }
    }

    /// Places of the embedding's tensors in the buffer of all parameters, in the order of
    /// [`Part::Embedding`](crate::Part::Embedding). Each tensor is a list of ranges, one for each column that it covers.
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

    /// Writes the prefix sums that [`Layout::forward`] needs of piecewise-linear fields: in the place of each bin's row of V, the
    /// biases plus all earlier rows of V.
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

    /// Embeds the row `x` into `out`, with the parameters `p` and the prefix sums of [`Layout::sum`].
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

    /// Sorts rows by the bins of a joint field. The numbers of the rows lie in `xs` with a stride of `next`.
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

    /// Range of a field's values in the embedded row, index of its input column, and range of its parameters.
    pub(crate) fn field(&self, field: usize) -> (Range<usize>, usize, Range<usize>) {
        let field = &self.fields[field];
        (field.outputs.clone(), field.column, field.parameters.clone())
    }

    /// Adds the gradient with respect to the parameters `p` of a field, summed over some rows, to `g`. `xs` has the rows' numbers,
    /// with a stride of `next_x`; `slopes` has the derivatives of the loss with respect to the field's values, with a stride of
    /// `next`. `WIDTH` is the width of the field if it is known at compile time, else 0.
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
                // For each bin, the sum of its rows' slopes. The row of V of every earlier bin receives it too, since that bin lies
                // below these rows' numbers.
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

/// Adds one row's gradient with respect to the parameters `p` of a periodic embedding with `q` cosines to `g`. `slopes` are the
/// derivatives of the loss with respect to the embedded values without x.
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
