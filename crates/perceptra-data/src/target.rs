//! Targets: columns to what a network learns, and its outputs back to values.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::encoder_options::EncoderOptions;
use crate::error::DataError;
use crate::matrix::Matrix;
use crate::notation::Notation;
use crate::scaling::mean_and_deviation;
use crate::schema::Schema;
use crate::table::Table;
use crate::weights::Weights;

/// How targets are encoded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Target {
    Numbers {
        names: Vec<String>,
        means: Vec<f64>,
        scales: Vec<f64>,
        /// The smallest and the largest training value of each target, if predictions stay between them.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        ranges: Vec<[f64; 2]>,
        /// How the numbers of the targets are written, where it is not as programs write them.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        notations: BTreeMap<String, Notation>,
    },
    Classes {
        name: String,
        labels: Vec<String>,
        /// Whether the classes are known by the values of their texts: `1` and `1.0` are one class.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        by_value: bool,
    },
}

impl Target {
    /// Learns the encoding of the targets from the training rows; `labels` are the classes, if the task is a classification.
    pub(crate) fn fit(
        table: &Table,
        weights: Option<&Weights>,
        schema: &Schema,
        labels: Option<Vec<String>>,
        options: &EncoderOptions,
    ) -> Result<Self, DataError> {
        if let (Some(labels), Some(name)) = (labels, schema.targets.first()) {
            return Ok(Self::Classes { name: name.clone(), labels, by_value: schema.notation(name).by_value });
        }
        let (mut means, mut scales, mut ranges) = (Vec::new(), Vec::new(), Vec::new());
        for name in &schema.targets {
            let values = table.target_values(name, &schema.notation(name))?;
            let (mean, deviation) = mean_and_deviation(&values, weights.map(Weights::each));
            let scaled = options.standardize_target && deviation > 0.0;
            means.push(if options.standardize_target { mean } else { 0.0 });
            scales.push(if scaled { deviation } else { 1.0 });
            if options.clamp_target && !values.is_empty() {
                let smallest = values.iter().copied().fold(f64::INFINITY, f64::min);
                ranges.push([smallest, values.iter().copied().fold(f64::NEG_INFINITY, f64::max)]);
            }
        }
        let notations = schema.notations.iter().filter(|(name, _)| schema.targets.contains(name));
        let notations = notations.map(|(name, notation)| (name.clone(), *notation)).collect();
        Ok(Self::Numbers { names: schema.targets.clone(), means, scales, ranges, notations })
    }

    pub(crate) fn names(&self) -> Vec<&str> {
        match self {
            Self::Classes { name, .. } => vec![name],
            Self::Numbers { names, .. } => names.iter().map(String::as_str).collect(),
        }
    }

    pub(crate) fn labels(&self) -> Option<&[String]> {
        match self {
            Self::Classes { labels, .. } => Some(labels),
            Self::Numbers { .. } => None,
        }
    }

    pub(crate) fn scales(&self) -> &[f64] {
        match self {
            Self::Numbers { scales, .. } => scales,
            Self::Classes { .. } => &[],
        }
    }

    /// Columns of the encoded targets.
    pub(crate) fn width(&self) -> usize {
        match self {
            Self::Numbers { names, .. } => names.len(),
            Self::Classes { labels, .. } if labels.len() == 2 => 1,
            Self::Classes { labels, .. } => labels.len(),
        }
    }

    pub(crate) fn encode(&self, table: &Table) -> Result<Matrix, DataError> {
        let (rows, columns) = (table.rows(), self.width());
        let mut values = vec![0.0; rows * columns];
        match self {
            Self::Numbers { names, means, scales, notations, .. } => {
                for (j, name) in names.iter().enumerate() {
                    let notation = notations.get(name).copied().unwrap_or_default();
                    for (i, y) in table.target_values(name, &notation)?.into_iter().enumerate() {
                        let scaled = ((y - means[j]) / scales[j]) as f32;
                        if !scaled.is_finite() {
                            return Err(DataError::FarTarget {
                                name: table.name().to_owned(),
                                line: table.place(i),
                                column: name.clone(),
                                value: y,
                            });
                        }
                        values[i * columns + j] = scaled;
                    }
                }
            }
            Self::Classes { name, labels, by_value } => {
                for (i, class) in table.class_numbers(name, labels, *by_value)?.into_iter().enumerate() {
                    if columns == 1 {
                        values[i] = class as f32;
                    } else {
                        values[i * columns + class as usize] = 1.0;
                    }
                }
            }
        }
        Ok(Matrix { rows, columns, values })
    }

    /// Numeric targets as they are in the table; no columns for classes.
    pub(crate) fn numbers(&self, table: &Table) -> Result<Matrix<f64>, DataError> {
        let Self::Numbers { names, notations, .. } = self else {
            return Ok(Matrix { rows: table.rows(), columns: 0, values: Vec::new() });
        };
        let (rows, columns) = (table.rows(), names.len());
        let mut values = vec![0.0; rows * columns];
        for (j, name) in names.iter().enumerate() {
            let column = values.iter_mut().skip(j).step_by(columns);
            let notation = notations.get(name).copied().unwrap_or_default();
            column.zip(table.target_values(name, &notation)?).for_each(|(value, y)| *value = y);
        }
        Ok(Matrix { rows, columns, values })
    }

    /// Undoes the standardization of numbers.
    pub(crate) fn decode(&self, outputs: &Matrix) -> Matrix<f64> {
        let mut values: Vec<f64> = outputs.values.iter().map(|y| f64::from(*y)).collect();
        if let Self::Numbers { means, scales, .. } = self {
            for row in values.chunks_exact_mut(outputs.columns) {
                for ((y, mean), scale) in row.iter_mut().zip(means).zip(scales) {
                    *y = *y * scale + mean;
                }
            }
        }
        Matrix { rows: outputs.rows, columns: outputs.columns, values }
    }

    /// Keeps decoded numbers in the range of the training rows, where there is one.
    pub(crate) fn clamp(&self, outputs: &mut Matrix<f64>) {
        if let Self::Numbers { ranges, .. } = self {
            for row in outputs.values.chunks_exact_mut(outputs.columns) {
                for (y, [smallest, largest]) in row.iter_mut().zip(ranges) {
                    *y = y.clamp(*smallest, *largest);
                }
            }
        }
    }

    /// Scales numbers without shifting them, so that 0 stays 0.
    pub(crate) fn keep_zero(&mut self) {
        if let Self::Numbers { means, .. } = self {
            means.fill(0.0);
        }
    }

    /// The smallest difference between two values of each shifted number that outputs around 1 express; 0 for one that is not shifted,
    /// of which small outputs express ever smaller differences.
    pub(crate) fn steps(&self) -> Vec<f64> {
        match self {
            Self::Numbers { means, scales, .. } => {
                let step =
                    |(mean, scale): (&f64, &f64)| if *mean == 0.0 { 0.0 } else { scale * f64::from(f32::EPSILON) };
                means.iter().zip(scales).map(step).collect()
            }
            Self::Classes { .. } => Vec::new(),
        }
    }

    /// Whether the parts fit together: for targets read from files.
    pub(crate) fn is_sound(&self) -> bool {
        match self {
            Self::Numbers { names, means, scales, ranges, notations: _ } => {
                !names.is_empty()
                    && (ranges.is_empty() || ranges.len() == names.len())
                    && ranges.iter().all(|[a, b]| a <= b && a.is_finite() && b.is_finite())
                    && names.len() == means.len()
                    && names.len() == scales.len()
                    && means.iter().chain(scales).all(|x| x.is_finite())
            }
            Self::Classes { labels, .. } => labels.len() >= 2,
        }
    }
}
