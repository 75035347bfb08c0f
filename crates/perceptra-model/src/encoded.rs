//! Encoded rows on the host, on their way from a table to a device.

use burn::tensor::Device;
use perceptra_data::{EncodeReport, Encoder, Matrix, Schema, Sorted, Table, Weights};
use perceptra_train::Dataset;

use crate::error::ModelError;

/// Encoded rows of a table.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Encoded {
    pub(crate) inputs: Matrix,
    pub(crate) targets: Matrix,
    pub(crate) weights: Option<Vec<f32>>,
}

impl Encoded {
    /// Encodes the rows of `table`, and reports the missing values that were imputed.
    pub(crate) fn of(table: &Table, encoder: &Encoder, schema: &Schema) -> Result<(Self, EncodeReport), ModelError> {
        let (inputs, report) = encoder.inputs(table)?;
        let targets = encoder.outputs_of(table)?;
        let weights = schema.weights.as_ref().map(|column| table.row_weights(column)).transpose()?;
        Ok((Self { inputs, targets, weights }, report))
    }

    /// Moves the rows to a device. `target_scales` are the standard deviations by which the targets were divided; they may be empty.
    pub(crate) fn dataset(self, target_scales: &[f32], device: &Device) -> Result<Dataset, ModelError> {
        let shape = (self.inputs.columns, self.targets.columns);
        let mut data = Dataset::from_rows(self.inputs.values, self.targets.values, shape, device)?;
        if let Some(weights) = self.weights {
            data = data.with_weights(weights)?;
        }
        Ok(if target_scales.is_empty() { data } else { data.with_target_scales(target_scales.to_vec()) })
    }

    /// Appends further rows of the same table.
    pub(crate) fn append(&mut self, mut more: Self) {
        for (matrix, more) in [(&mut self.inputs, &mut more.inputs), (&mut self.targets, &mut more.targets)] {
            matrix.rows += more.rows;
            matrix.values.append(&mut more.values);
        }
        if let (Some(weights), Some(more)) = (&mut self.weights, &mut more.weights) {
            weights.append(more);
        }
    }

    /// Keeps the first `rows` rows and returns the others.
    pub(crate) fn split_off(&mut self, rows: usize) -> Self {
        let rest = |matrix: &mut Matrix| {
            let rest = matrix.rows - rows;
            matrix.rows = rows;
            Matrix { rows: rest, columns: matrix.columns, values: matrix.values.split_off(rows * matrix.columns) }
        };
        Self {
            inputs: rest(&mut self.inputs),
            targets: rest(&mut self.targets),
            weights: self.weights.as_mut().map(|weights| weights.split_off(rows)),
        }
    }
}

/// The edges of at most `bins` bins of a column with about as many rows each, by their weights if they have some: its quantiles, without
/// bins that are narrower than [`widened`] allows.
pub(crate) fn bins(rows: &Matrix, weights: Option<&Weights>, column: usize, bins: usize) -> Vec<f32> {
    let values: Vec<f64> =
        rows.values.iter().skip(column).step_by(rows.columns.max(1)).map(|x| f64::from(*x)).collect();
    let Some(last) = values.len().checked_sub(1) else { return Vec::new() };
    let bins = bins.min(last.max(1));
    let sorted = Sorted::new(values, weights);
    widened((0..=bins).map(|i| sorted.quantile(i as f64 / bins as f64) as f32).collect())
}

/// The least width of a bin as a share of the range of its column.
const LEAST_WIDTH: f32 = 1e-6;
/// The least width of the first and the last bin as a share of the median width: their slope goes on outside of the training range.
const LEAST_OUTER: f32 = 0.01;

/// Ascending edges of bins without those between bins so narrow that a small step of a number, or a number beyond the last edge, becomes
/// a giant step of its code. A range within the rounding error of 32-bit floats has one edge, and so no bin.
fn widened(edges: Vec<f32>) -> Vec<f32> {
    let (Some(&first), Some(&last)) = (edges.first(), edges.last()) else { return edges };
    let least = |a: f32, b: f32| (LEAST_WIDTH * (last - first)).max(16.0 * f32::EPSILON * a.abs().max(b.abs()));
    let mut kept: Vec<f32> = Vec::with_capacity(edges.len());
    for edge in edges {
        if kept.last().is_none_or(|before| edge - before > least(*before, edge)) {
            kept.push(edge);
        }
    }
    // The last edge is the end of the range, whatever stands just before it.
    if kept.len() > 1 && kept.last() != Some(&last) {
        kept.pop();
        kept.push(last);
    }
    let mut widths: Vec<f32> = kept.windows(2).map(|pair| pair[1] - pair[0]).collect();
    widths.sort_by(f32::total_cmp);
    let Some(median) = widths.get(widths.len() / 2) else { return kept };
    while kept.len() > 2 && kept[1] - kept[0] < LEAST_OUTER * median {
        kept.remove(1);
    }
    while kept.len() > 2 && kept[kept.len() - 1] - kept[kept.len() - 2] < LEAST_OUTER * median {
        kept.remove(kept.len() - 2);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use perceptra_data::SchemaOptions;

    fn edges(values: &[f32], count: usize) -> Vec<f32> {
        let rows = Matrix { rows: values.len(), columns: 1, values: values.to_vec() };
        bins(&rows, None, 0, count)
    }

    #[test]
    fn bins_are_quantiles_and_none_is_too_narrow() {
        assert_eq!(edges(&[0.0, 1.0, 2.0, 3.0, 8.0], 2), [0.0, 2.0, 8.0]);
        assert_eq!(edges(&[5.0; 9], 4), [5.0]);
        assert_eq!(edges(&[], 4), [] as [f32; 0]);
        // Two numbers one unit in the last place apart: no bin where they are all, else not one of their own.
        let next = 1.0_f32.next_up();
        assert_eq!(edges(&[1.0, next, 1.0, next], 3), [1.0]);
        for end in [[1.0, next], [-next, -1.0]] {
            let mut values: Vec<f32> = (0..100).map(|i| i as f32 / 100.0 * end[0].signum()).collect();
            values.extend(end.repeat(20));
            let edges = edges(&values, 7);
            assert_eq!([edges[0], edges[edges.len() - 1]], if end[0] > 0.0 { [0.0, next] } else { [-next, 0.0] });
            assert!(edges.windows(2).all(|pair| pair[1] - pair[0] > 1e-3), "{edges:?}");
        }
        // Narrow bins in the midst of a long tail stay: they are where the rows are.
        let tail: Vec<f32> = (0..1000).map(|i| 10f32.powf((i - 500) as f32 / 333.0)).collect();
        assert_eq!(edges(&tail, 10).len(), 11);
    }

    #[test]
    fn weights_are_repetitions_in_bins() {
        let table = "x,y,w\n1,1,1\n2,7,3\n3,8,2\n4,9,1\n6,4,5\n";
        let table = Table::from_csv("t.csv", table, &Default::default()).unwrap();
        let options = SchemaOptions { target: vec!["y".into()], weights: Some("w".into()), ..Default::default() };
        let schema = Schema::infer(&table, &options).unwrap();
        let weights = Weights::of(&table, &schema).unwrap();
        let rows = Matrix { rows: 5, columns: 1, values: vec![4.0, -1.0, 0.5, 9.0, 2.0] };
        let repeated = [4.0, -1.0, -1.0, -1.0, 0.5, 0.5, 9.0, 2.0, 2.0, 2.0, 2.0, 2.0];
        assert_eq!(bins(&rows, weights.as_ref(), 0, 4), edges(&repeated, 4));
    }
}
