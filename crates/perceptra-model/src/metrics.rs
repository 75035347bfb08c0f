//! Scores of a model.

use perceptra_train::{ClassificationMetrics, Metric, RegressionMetrics};
use serde::{Deserialize, Serialize};

/// How good a model is on some rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Rows that were judged.
    pub rows: usize,
    /// The numbers.
    #[serde(flatten)]
    pub values: MetricValues,
}

/// Numbers by kind of task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum MetricValues {
    /// Of numeric targets, in their own units.
    Regression(RegressionMetrics),
    /// Of classes.
    Classification {
        /// The numbers.
        #[serde(flatten)]
        metrics: ClassificationMetrics,
        /// The classes, in the order of the confusion matrix.
        labels: Vec<String>,
    },
}

impl Metrics {
    /// One of the numbers, if the task has it.
    pub fn get(&self, metric: Metric) -> Option<f64> {
        match &self.values {
            MetricValues::Regression(values) => values.get(metric),
            MetricValues::Classification { metrics, .. } => metrics.get(metric),
        }
    }
}
