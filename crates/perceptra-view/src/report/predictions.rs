//! The report's section that compares predictions with the actual values.

use maud::{Markup, html};
use perceptra_data::{Table, positive};
use perceptra_model::{MetricValues, Metrics, Model, ModelError, Predictions};
use perceptra_train::ClassificationMetrics;

use super::page::{CLASSES, LISTED, POINTS, charts, column};
use crate::chart::Chart;
use crate::diagnostics::{Thresholds, reliability, thinned};
use crate::error::ViewError;
use crate::text::number;

pub(super) fn predictions(
    model: &Model,
    table: &Table,
    predictions: &Predictions,
    metrics: &Metrics,
) -> Result<Markup, ViewError> {
    match &metrics.values {
        MetricValues::Regression(_) => regression(model, table, predictions),
        MetricValues::Classification { metrics, labels } => classes(model, table, predictions, metrics, labels),
    }
}

fn regression(model: &Model, table: &Table, predictions: &Predictions) -> Result<Markup, ViewError> {
    let mut all = Vec::new();
    for (j, name) in model.about().schema.targets.iter().enumerate().take(CLASSES) {
        let truth = table.target_values(name, &model.about().schema.notation(name)).map_err(ModelError::from)?;
        let predicted = column(&predictions.values, j);
        let pairs: Vec<(f64, f64)> = predicted.iter().copied().zip(truth).collect();
        let residuals: Vec<f64> = pairs.iter().map(|(f, y)| y - f).collect();
        let shown = thinned(&pairs, POINTS);
        let (low, high) = pairs
            .iter()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), (f, y)| (l.min(*f).min(*y), h.max(*f).max(*y)));
        let ends =
            predicted.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), f| (f64::min(l, *f), f64::max(h, *f)));
        all.push(
            Chart::new(&format!("{name}: actual and predicted"), "predicted", "actual")
                .points("rows", 0, shown.iter().copied())
                .dashed("perfect", [(low, low), (high, high)]),
        );
        all.push(
            Chart::new(&format!("{name}: residuals"), "predicted", "actual − predicted")
                .points("rows", 0, shown.iter().map(|(f, y)| (*f, y - f)))
                .dashed("perfect", [(ends.0, 0.0), (ends.1, 0.0)]),
        );
        all.push(distribution(&format!("{name}: distribution of residuals"), "actual − predicted", &residuals));
    }
    charts(all)
}

/// A histogram, drawn as a stepped line.
fn distribution(title: &str, what: &str, values: &[f64]) -> Chart {
    let (low, high) = values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(*v), h.max(*v)));
    let bins = ((values.len() as f64).sqrt() as usize).clamp(5, 40);
    let width = ((high - low) / bins as f64).max(f64::MIN_POSITIVE);
    let mut counts = vec![0; bins];
    for v in values {
        counts[(((v - low) / width) as usize).min(bins - 1)] += 1;
    }
    let edge = |i: usize| low + width * i as f64;
    let steps = counts.iter().enumerate().flat_map(|(i, n)| [(edge(i), f64::from(*n)), (edge(i + 1), f64::from(*n))]);
    let outline = std::iter::once((low, 0.0)).chain(steps).chain([(high, 0.0)]);
    Chart::new(title, what, "rows").line("", outline).vertical("0", 0.0)
}

fn classes(
    model: &Model,
    table: &Table,
    predictions: &Predictions,
    metrics: &ClassificationMetrics,
    labels: &[String],
) -> Result<Markup, ViewError> {
    let truth = model.about().encoder.class_numbers(table).map_err(ModelError::from)?;
    let mut roc = Chart::new("ROC", "false positive rate", "true positive rate");
    let mut curve = Chart::new("Precision and recall", "recall", "precision");
    let is_shown = |class: &usize| positive(labels).is_none_or(|positive| labels[*class] == positive);
    let shown: Vec<usize> = (0..labels.len()).filter(is_shown).take(CLASSES).collect();
    let mut any = false;
    for &class in &shown {
        let positive: Vec<bool> = truth.iter().map(|t| *t as usize == class).collect();
        if let Some(t) = Thresholds::new(&column(&predictions.values, class), &positive) {
            any = true;
            roc = roc.line(&format!("{}, area {:.3}", labels[class], t.area), thinned(&t.roc, POINTS));
            let name = format!("{}, {:.0} % of the rows", labels[class], 100.0 * t.share);
            curve = curve.line(&name, thinned(&t.precision_recall, POINTS));
        }
    }
    let predicted = predictions.classes();
    let confidence: Vec<f64> =
        predicted.iter().zip(predictions.values.values.chunks(labels.len())).map(|(class, p)| p[*class]).collect();
    let correct: Vec<bool> = predicted.iter().zip(&truth).map(|(p, t)| *p == *t as usize).collect();
    let bins = reliability(&confidence, &correct, ClassificationMetrics::BINS);
    let range = |mut chart: Chart| {
        (chart.x.range, chart.y.range) = (Some((-0.02, 1.02)), Some((-0.02, 1.02)));
        chart
    };
    let calibration = Chart::new("Calibration", "probability of the predicted class", "share of correct rows")
        .points("rows, in bins", 0, bins.iter().map(|(p, share, _)| (*p, *share)))
        .line("", bins.iter().map(|(p, share, _)| (*p, *share)))
        .dashed("perfectly calibrated", [(0.0, 0.0), (1.0, 1.0)]);
    let mut all = Vec::new();
    if any {
        all.push(range(roc.dashed("guessing", [(0.0, 0.0), (1.0, 1.0)])));
        all.push(range(curve));
    }
    all.push(range(calibration));
    Ok(html! {
        @if labels.len() <= LISTED { (confusion(metrics, labels)) }
        (charts(all)?)
        @if labels.len() > CLASSES { p class="quiet" { "Curves of the first " (CLASSES) " of " (labels.len()) " classes." } }
    })
}

fn confusion(metrics: &ClassificationMetrics, labels: &[String]) -> Markup {
    let share = |row: &[f64], n: f64| n / row.iter().sum::<f64>().max(1.0);
    html! {
        div class="wide" { table class="confusion" {
            caption { "Rows: actual class; columns: predicted class" }
            thead { tr { th { "true \\ predicted" } @for label in labels { th class="number" { (label) } } th class="number" { "recall" } } }
            tbody {
                @for (i, (label, row)) in labels.iter().zip(&metrics.confusion).enumerate() {
                    tr { th { (label) }
                        @for (j, n) in row.iter().enumerate() {
                            td class={ "number " @if i == j { "hit" } @else if *n > 0.0 { "miss" } }
                                style={ "--share:" (format!("{:.2}", share(row, *n))) } { (number(*n)) }
                        }
                        td class="number" { (number(share(row, row[i]))) } }
                }
            }
        } }
    }
}
