//! Encoded rows on the host, on their way from a table to a device.

use burn::tensor::Device;
use perceptra_data::{EncodeReport, Encoder, Matrix, Schema, Table};
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

/// The edges of at most `bins` bins of a column with about as many rows each: quantiles of its values, without repetitions.
pub(crate) fn bins(rows: &Matrix, column: usize, bins: usize) -> Vec<f32> {
    let mut values: Vec<f32> = rows.values.iter().skip(column).step_by(rows.columns.max(1)).copied().collect();
    values.sort_by(f32::total_cmp);
    let Some(last) = values.len().checked_sub(1) else { return Vec::new() };
    let bins = bins.min(last.max(1));
    let quantile = |i: usize| {
        let position = i as f64 / bins as f64 * last as f64;
        let (low, part) = (position as usize, position.fract());
        let (a, b) = (f64::from(values[low]), f64::from(values[(low + 1).min(last)]));
        (a + part * (b - a)) as f32
    };
    let mut edges: Vec<f32> = (0..=bins).map(quantile).collect();
    edges.dedup();
    edges
}
