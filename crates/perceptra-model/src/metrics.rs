//! Scores of a model.

use perceptra_train::{ClassificationMetrics, Metric, RegressionMetrics};
use serde::{Deserialize, Serialize};

/// Scores of a model on the rows of a table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Number of rows.
    pub rows: usize,
    /// The scores; of several targets their means.
    #[serde(flatten)]
    pub values: MetricValues,
    /// The scores of each target, where there are several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<TargetMetrics>,
}

/// Scores of one of several targets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TargetMetrics {
    /// Name of the target.
    pub target: String,
    /// The scores, in the units of the target.
    #[serde(flatten)]
    pub metrics: RegressionMetrics,
}

/// Scores by kind of task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum MetricValues {
    /// Scores of regression, in the units of the targets.
    Regression(RegressionMetrics),
    /// Scores of classification.
    Classification {
        /// The scores.
        #[serde(flatten)]
        metrics: ClassificationMetrics,
        /// The classes, in the order of the confusion matrix.
        labels: Vec<String>,
    },
}

impl Metrics {
    /// The score by `metric`; `None` if the task does not have it.
    pub fn get(&self, metric: Metric) -> Option<f64> {
        match &self.values {
            MetricValues::Regression(values) => values.get(metric),
            MetricValues::Classification { metrics, .. } => metrics.get(metric),
        }
    }
}
