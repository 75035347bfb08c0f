//! The metrics that are shown of a model.

use perceptra_model::Metrics;
use perceptra_train::Metric;

/// Titles and values of the metrics that tables and reports show, in their order.
#[doc(hidden)]
pub fn scores(metrics: &Metrics) -> Vec<(&'static str, f64)> {
    Metric::ALL.iter().filter_map(|metric| Some((metric.title(), metrics.get(*metric)?))).collect()
}
