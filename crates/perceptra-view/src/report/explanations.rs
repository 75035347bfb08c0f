//! The report's sections that explain predictions: importance of features, partial dependence, worst predictions.

use maud::{Markup, PreEscaped, html};
use perceptra_data::{ColumnKind, Notation, Table, Values};
use perceptra_model::{Explanation, Importance, Model, ModelError, Predictions};

use super::page::{CLASSES, LISTED, charts, column, evenly};
use crate::chart::Chart;
use crate::diagnostics::thinned;
use crate::error::ViewError;
use crate::text::number;

/// Maximum number of rows whose predictions are averaged for a partial dependence.
const AVERAGED: usize = 500;
/// Number of features whose partial dependence is drawn, and number of values of each.
const DEPENDENCES: (usize, usize) = (6, 20);
/// Number of worst predictions shown, and number of features shown with them.
const WORST: (usize, usize) = (15, 8);

pub(super) fn importance(found: &Explanation) -> Markup {
    let shown = &found.features[..found.features.len().min(LISTED)];
    let reach = |f: &Importance| f.importance + f.deviation;
    let most = shown.iter().map(reach).fold(f64::MIN_POSITIVE, f64::max);
    let place = |v: f64| (v / most * 300.0).clamp(0.0, 300.0);
    let bar = |f: &Importance| {
        let (length, from, to) =
            (place(f.importance), place(f.importance - f.deviation), place(f.importance + f.deviation));
        format!(
            "<svg class=\"bars\" viewBox=\"0 0 310 18\" width=\"310\" height=\"18\" aria-hidden=\"true\"><rect x=\"0\" y=\"3\" \
             width=\"{length:.1}\" height=\"12\"/><line x1=\"{from:.1}\" x2=\"{to:.1}\" y1=\"9\" y2=\"9\" class=\"spread\"/></svg>"
        )
    };
    html! {
        p { "How much worse the " (found.metric.name()) " of " (number(found.score)) " gets when the values of a column are shuffled among the " (found.rows) " rows; \
             the line is the standard deviation over the permutations. Columns with the same information share their importance." }
        div class="wide" { table {
            thead { tr { th { "column" } th class="number" { "worse by" } th class="number" { "±" } th {} } }
            tbody { @for f in shown { tr { th { (f.feature) } td class="number" { (number(f.importance)) } td class="number" { (number(f.deviation)) } td { (PreEscaped(bar(f))) } } } }
        } }
        @if shown.len() < found.features.len() { p { "and " (found.features.len() - shown.len()) " more features" } }
    }
}

/// The partial dependence section: the average prediction if all rows had the same value of a feature, for several values.
pub(super) fn dependence(model: &Model, table: &Table, found: &Explanation) -> Result<Markup, ViewError> {
    let rows = evenly(table, AVERAGED);
    let (features, most) = DEPENDENCES;
    let kinds: Vec<(&str, ColumnKind)> = model.about().encoder.features().map(|(name, kind, _)| (name, kind)).collect();
    let mut all = Vec::new();
    for importance in found.features.iter().take(features) {
        let name = importance.feature.as_str();
        let kind = kinds.iter().find(|(n, _)| *n == name).map_or(ColumnKind::Categorical, |(_, kind)| *kind);
        let notation = model.about().schema.notation(name);
        // For each value shown, its position on the axis and a row that has it: quantiles for numbers, the first row of each category for
        // categories.
        let (values, names): (Vec<(f64, usize)>, Vec<String>) = match kind {
            ColumnKind::Numeric | ColumnKind::Date => {
                let numbers = table.numbers(name, kind, &notation).map_err(ModelError::from)?;
                let mut present: Vec<(f64, usize)> =
                    numbers.iter().enumerate().filter_map(|(row, x)| Some(((*x)?, row))).collect();
                present.sort_by(|a, b| a.0.total_cmp(&b.0));
                present.dedup_by(|a, b| a.0 == b.0);
                (thinned(&present, most), Vec::new())
            }
            ColumnKind::Categorical | ColumnKind::Boolean => {
                let texts = table.texts(name, &notation).map_err(ModelError::from)?;
                let summary = table.summary(name, kind, &notation).map_err(ModelError::from)?;
                let Values::Categories(categories) = summary.values else { continue };
                let found = categories.iter().take(8).enumerate().filter_map(|(i, (category, _))| {
                    let row = texts.iter().position(|t| t.as_ref() == Some(category))?;
                    Some(((i as f64, row), category.clone()))
                });
                found.unzip()
            }
        };
        if values.len() < 2 {
            continue;
        }
        let mut averages: Vec<(f64, Vec<f64>)> = Vec::new();
        for (x, row) in values {
            // The value comes from a row of the whole table, the other columns from the rows over which predictions are averaged.
            let donor = table.take(&[row as u32]);
            let spread = rows.with_column(name, &donor, 0).map_err(ModelError::from)?;
            let predicted = model.predict(&spread)?.values;
            let mean = |j: usize| column(&predicted, j).iter().sum::<f64>() / predicted.rows as f64;
            averages.push((x, (0..predicted.columns).map(mean).collect()));
        }
        let (what, lines): (&str, Vec<(usize, &str)>) = match model.about().encoder.labels() {
            Some([_, second]) => ("probability", vec![(1, second.as_str())]),
            Some(labels) => ("probability", labels.iter().map(String::as_str).enumerate().take(CLASSES).collect()),
            None => (
                "prediction",
                model.about().schema.targets.iter().map(String::as_str).enumerate().take(CLASSES).collect(),
            ),
        };
        let axis = if kind == ColumnKind::Date { format!("{name}, days since 1970") } else { name.to_owned() };
        let mut chart = Chart::new(name, &axis, what);
        for (j, line) in lines {
            let points = || averages.iter().map(|(x, means)| (*x, means[j]));
            chart = match names.is_empty() {
                true => chart.line(line, points()),
                false => chart.points(line, j, points()),
            };
        }
        chart.x.names = names;
        all.push(chart);
    }
    Ok(html! {
        p { "Average prediction over " (rows.rows()) " rows if all of them had the same value of a column, with the other columns unchanged." }
        (charts(all)?)
    })
}

/// A value of a target with this standard deviation, with the digits that tell it from other values.
fn beside(value: f64, deviation: f64) -> String {
    if value.abs() < 1000.0 * deviation {
        return number(value);
    }
    let decimals = (3.0 - deviation.log10()).ceil().clamp(0.0, 12.0) as usize;
    format!("{value:.decimals$}")
}

pub(super) fn worst(
    model: &Model,
    table: &Table,
    predictions: &Predictions,
    found: &Explanation,
) -> Result<Markup, ViewError> {
    let schema = &model.about().schema;
    let fail = ModelError::from;
    // For each row: how bad its prediction is, its index, the actual and predicted value, and the error as text.
    let mut rows: Vec<(f64, usize, String, String, String)> = Vec::new();
    match &predictions.labels {
        Some(labels) => {
            let truth = model.about().encoder.class_numbers(table).map_err(fail)?;
            let predicted = predictions.classes();
            for (row, p) in predictions.values.values.chunks(labels.len()).enumerate() {
                let p = p[truth[row] as usize];
                let (actual, predicted) = (labels[truth[row] as usize].clone(), labels[predicted[row]].clone());
                rows.push((1.0 - p, row, actual, predicted, number(p)));
            }
        }
        None => {
            let scales = model.about().encoder.target_scales();
            let columns = predictions.values.columns;
            let truths = (schema.targets.iter().map(|t| table.target_values(t, &schema.notation(t))))
                .collect::<Result<Vec<_>, _>>()
                .map_err(fail)?;
            for (row, predicted) in predictions.values.values.chunks(columns).enumerate() {
                let error = |j: usize| truths[j][row] - predicted[j];
                let bad = (0..columns).map(|j| error(j).abs() / scales[j]).sum();
                let list = |f: &dyn Fn(usize) -> String| (0..columns).map(f).collect::<Vec<_>>().join(", ");
                let actual = list(&|j| beside(truths[j][row], scales[j]));
                let predicted = list(&|j| beside(predicted[j], scales[j]));
                rows.push((bad, row, actual, predicted, list(&|j| number(error(j)))));
            }
        }
    }
    rows.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    rows.truncate(WORST.0);
    let features: Vec<&str> = found.features.iter().take(WORST.1).map(|f| f.feature.as_str()).collect();
    let bad = table.take(&rows.iter().map(|r| r.1 as u32).collect::<Vec<_>>());
    let texts =
        features.iter().map(|f| bad.texts(f, &Notation::default())).collect::<Result<Vec<_>, _>>().map_err(fail)?;
    let lined = table.line(0).is_some();
    let wrong = if predictions.labels.is_some() { "probability of the true class" } else { "actual − predicted" };
    Ok(html! {
        div class="wide" { table {
            thead { tr { th class="number" { (if lined { "line" } else { "row" }) } th { "actual" } th { "predicted" } th class="number" { (wrong) }
                @for f in &features { th { (f) } } } }
            tbody {
                @for (i, (_, row, actual, predicted, error)) in rows.iter().enumerate() {
                    tr { th class="number" { (table.line(*row).unwrap_or(*row as u64 + 1)) } td { (actual) } td { (predicted) } td class="number" { (error) }
                        @for text in &texts { td { (text[i].as_deref().unwrap_or("–")) } } }
                }
            }
        } }
        p class="quiet" { @if lined { "Line numbers are those of the file." } @else { "Rows are counted from 1." } }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_far_from_zero_have_the_digits_that_differ() {
        for (value, deviation, text) in [
            (35.123_456, 17.0, "35.1235"),
            (1_700_000_012.3, 100.0, "1700000012.3"),
            (1_700_000_012.345_6, 1.0, "1700000012.346"),
            (-2e9, 1e6, "-2000000000"),
        ] {
            assert_eq!(beside(value, deviation), text);
        }
    }
}
