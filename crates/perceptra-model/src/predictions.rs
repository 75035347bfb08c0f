//! Predictions of rows.

use perceptra_data::{EncodeReport, Matrix};
use perceptra_train::argmax;

/// Predictions, row by row as the table.
#[derive(Debug, Clone, PartialEq)]
pub struct Predictions {
    /// Regression: `[rows, targets]` in the targets' own units. Classes: `[rows, classes]` probabilities.
    pub values: Matrix,
    /// Of an ensemble, the standard deviation of each value over the members: where they disagree, the prediction is uncertain.
    pub spread: Option<Matrix>,
    /// Target columns.
    pub targets: Vec<String>,
    /// The classes, for classification.
    pub labels: Option<Vec<String>>,
    /// Missing values that were filled in and categories that were not known.
    pub report: EncodeReport,
}

impl Predictions {
    /// The most probable class of each row, as an index into `labels`; nothing for regression.
    pub fn classes(&self) -> Vec<usize> {
        match self.labels {
            Some(_) => self.values.values.chunks_exact(self.values.columns).map(argmax).collect(),
            None => Vec::new(),
        }
    }

    /// The averages of predictions of the same rows and targets, by their weights, which add up to 1. Notes on missing values are
    /// those of the first. Nothing comes of nothing.
    pub fn average<'a>(weighted: impl Iterator<Item = (f64, &'a Self)> + Clone) -> Option<Self> {
        let (_, first) = weighted.clone().next()?;
        let n = first.values.values.len();
        let (mut mean, mut variance) = (vec![0.0; n], vec![0.0; n]);
        for (weight, predictions) in weighted.clone() {
            mean.iter_mut().zip(&predictions.values.values).for_each(|(sum, x)| *sum += weight * f64::from(*x));
        }
        for (weight, predictions) in weighted {
            for ((sum, mean), x) in variance.iter_mut().zip(&mean).zip(&predictions.values.values) {
                *sum += weight * (f64::from(*x) - mean).powi(2);
            }
        }
        let matrix = |values: Vec<f64>, f: fn(f64) -> f64| Matrix {
            values: values.into_iter().map(|x| f(x) as f32).collect(),
            ..first.values
        };
        Some(Self { values: matrix(mean, |x| x), spread: Some(matrix(variance, f64::sqrt)), ..first.clone() })
    }
}
