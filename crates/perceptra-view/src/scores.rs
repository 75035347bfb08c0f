//! The metrics that tables and reports show for a model.

use perceptra_data::positive;
use perceptra_model::{MetricValues, Metrics};
use perceptra_train::Metric;

/// Titles and values of metrics.
type Scores = Vec<(&'static str, f64)>;

/// The metrics that tables and reports show, in their order: of each of several targets under its name, then their means; of one target,
/// or of classes, without a name.
#[doc(hidden)]
pub fn scores(metrics: &Metrics) -> Vec<(String, Scores)> {
    let all = |get: &dyn Fn(Metric) -> Option<f64>| -> Scores {
        Metric::ALL.iter().filter_map(|metric| Some((metric.title(), get(*metric)?))).collect()
    };
    let targets = metrics.targets.iter().map(|t| (t.target.clone(), all(&|metric| t.metrics.get(metric))));
    let name = match metrics.targets.len() {
        0 => String::new(),
        n => format!("mean of {n} targets"),
    };
    targets.chain([(name, all(&|metric| metrics.get(metric)))]).collect()
}

/// A sentence on the class that some metrics of two classes are of.
#[doc(hidden)]
pub fn positive_note(metrics: &Metrics) -> Option<String> {
    let MetricValues::Classification { labels, .. } = &metrics.values else { return None };
    let class = positive(labels)?;
    let titles: Vec<&str> = Metric::ALL.iter().filter(|m| m.is_of_positive_class()).map(|m| m.title()).collect();
    let (last, others) = titles.split_last()?;
    Some(format!("{} and {last} are of the class {class:?}", others.join(", ")))
}
