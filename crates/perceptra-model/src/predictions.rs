//! Predictions of the rows of a table.

use perceptra_data::{EncodeReport, Matrix};
use perceptra_train::argmax;

/// Predictions of the rows of a table, in their order.
#[derive(Debug, Clone, PartialEq)]
pub struct Predictions {
    /// `[rows, targets]` in the units of the targets; for classification probabilities, `[rows, classes]`.
    pub values: Matrix<f64>,
    /// Standard deviation of each value over the members of an ensemble, which tells how uncertain it is.
    pub spread: Option<Matrix<f64>>,
    /// Names of the target columns.
    pub targets: Vec<String>,
    /// Names of the classes; `None` for regression.
    pub labels: Option<Vec<String>>,
    /// Missing values that were imputed, and categories that the training rows do not have.
    pub report: EncodeReport,
}

impl Predictions {
    /// The most probable class of each row, as an index into `labels`; empty for regression.
    pub fn classes(&self) -> Vec<usize> {
        match self.labels {
            Some(_) => self.values.values.chunks_exact(self.values.columns).map(argmax).collect(),
            None => Vec::new(),
        }
    }

    /// The weighted averages of several predictions of the same rows and targets; weights must add up to 1. The report is that of the first
    /// predictions. `None` without predictions.
    #[doc(hidden)]
    pub fn average<'a>(weighted: impl Iterator<Item = (f64, &'a Self)> + Clone) -> Option<Self> {
        let (_, first) = weighted.clone().next()?;
        let n = first.values.values.len();
        let (mut mean, mut variance) = (vec![0.0; n], vec![0.0; n]);
        for (weight, predictions) in weighted.clone() {
            mean.iter_mut().zip(&predictions.values.values).for_each(|(sum, x)| *sum += weight * x);
        }
        for (weight, predictions) in weighted {
            for ((sum, mean), x) in variance.iter_mut().zip(&mean).zip(&predictions.values.values) {
                *sum += weight * (x - mean).powi(2);
            }
        }
        let matrix = |values: Vec<f64>| Matrix { rows: first.values.rows, columns: first.values.columns, values };
        let spread = matrix(variance.into_iter().map(f64::sqrt).collect());
        Some(Self { values: matrix(mean), spread: Some(spread), ..first.clone() })
    }
}
