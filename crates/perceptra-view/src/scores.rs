//! The metrics that tables and reports show for a model.

use perceptra_model::Metrics;
use perceptra_train::Metric;

/// Titles and values of the metrics that tables and reports show, in the order of [`Metric::ALL`].
#[doc(hidden)]
pub fn scores(metrics: &Metrics) -> Vec<(&'static str, f64)> {
    Metric::ALL.iter().filter_map(|metric| Some((metric.title(), metrics.get(*metric)?))).collect()
}
