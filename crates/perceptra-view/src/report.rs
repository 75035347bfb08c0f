//! A report on a model: one page of HTML that needs nothing else.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use perceptra_data::{ColumnKind, Matrix, Summary, Table, Values};
use perceptra_model::{Explanation, ImportanceOptions, MetricValues, Metrics, Model, Predictions};
use perceptra_train::{ClassificationMetrics, Metric};

use crate::diagnostics::{Thresholds, reliability, thinned};
use crate::diagram::diagram;
use crate::{Chart, ViewError, number, picture, thousands};

/// Rows that the importance of features is judged by, at most.
const JUDGED: usize = 2000;
/// Rows whose predictions are averaged for a partial dependence, at most.
const AVERAGED: usize = 500;
/// Features whose partial dependence is drawn, and values of each.
const DEPENDENCES: (usize, usize) = (6, 20);
/// Points of a cloud or of a curve, at most.
const POINTS: usize = 1500;
/// Features and classes in tables and legends.
const LISTED: usize = 60;
const CLASSES: usize = 7;
/// The worst predictions that are shown, and their columns besides.
const WORST: (usize, usize) = (15, 8);
const SIZE: (u32, u32) = (560, 380);
const STYLE: &str = include_str!("report.css");

/// What a report is made of besides the model and the table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ReportOptions<'a> {
    /// The name of the model, for the title.
    pub name: &'a str,
    /// Which rows of the table these are, such as `test`, if they are what the run itself left for it.
    pub part: Option<&'a str>,
    /// The run file that trains the model, as TOML.
    pub run: Option<&'a str>,
    /// Permutations of each feature.
    pub repeats: usize,
    /// Of the permutations.
    pub seed: u64,
}

impl Default for ReportOptions<'_> {
    fn default() -> Self {
        let ImportanceOptions { repeats, seed, .. } = ImportanceOptions::default();
        Self { name: "model", part: None, run: None, repeats, seed }
    }
}

/// A report on `model` by the rows of `table`, which has the targets, as one HTML page: pictures and styles are in it, it loads nothing
/// and runs no script. The same model, table and options give the same bytes.
///
/// It has the scores, what is in the columns, the network, its learning curves, predictions beside the truth, permutation importance,
/// partial dependences (Friedman, 2001), the worst predictions, and what it takes to train the model again. Of large tables, rows that
/// lie evenly in them stand for all where every row would take long.
///
/// # Errors
///
/// What [`Model::evaluate`] says of the table.
pub fn report(model: &Model, table: &Table, options: &ReportOptions<'_>) -> Result<String, ViewError> {
    let predictions = model.predict(table)?;
    let metrics = model.score(table, &predictions)?;
    let importance = ImportanceOptions { metric: None, repeats: options.repeats, seed: options.seed };
    let explanation = model.importance(&evenly(table, JUDGED), &importance)?;
    let target = model.schema().targets.join(", ");
    let sections = [
        ("scores", "Scores", scores(model, &metrics)),
        ("data", "Data", data(model, table, &predictions)?),
        ("network", "Network", network(model)),
        ("training", "Training", training(model)?),
        ("predictions", "Predictions", judged(model, table, &predictions, &metrics)?),
        ("importance", "Importance of features", important(&explanation)),
        ("dependence", "Partial dependence", dependence(model, table, &explanation)?),
        ("worst", "Worst predictions", worst(model, table, &predictions, &explanation)?),
        ("again", "Make it again", again(model, table, options)),
    ];
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:";
                link rel="icon" href="data:,";
                title { (target) " by " (options.name) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { (target) }
                    p { (model.task().to_string()) " by " code { (options.name) } ", on " (thousands(table.rows() as u64)) " " @if let Some(part) = options.part { (part) " " } "rows of " code { (table.name()) } }
                    nav { @for (id, title, _) in &sections { a href={ "#" (id) } { (title) } } }
                }
                main {
                    @for (id, title, content) in &sections {
                        section id=(id) { h2 { (title) } (content) }
                    }
                }
                footer { "Perceptra " (env!("CARGO_PKG_VERSION")) }
            }
        }
    };
    Ok(page.into_string())
}

/// At most so many rows, evenly from the whole table.
fn evenly(table: &Table, most: usize) -> Table {
    match table.rows() > most {
        true => table.take(&thinned(&(0..table.rows() as u32).collect::<Vec<_>>(), most)),
        false => table.clone(),
    }
}

/// Charts beside each other.
fn charts(charts: Vec<Chart>) -> Result<Markup, ViewError> {
    let draw = |chart: Chart| {
        let what = format!("{}: {} over {}", chart.title, chart.labels[1], chart.labels[0]);
        let svg = picture(&[chart], 1, SIZE)?;
        Ok(html! { figure class="chart" role="img" aria-label=(what) { (PreEscaped(svg.svg())) } })
    };
    let drawn = charts.into_iter().map(draw).collect::<Result<Vec<_>, ViewError>>()?;
    Ok(html! { div class="charts" { @for chart in drawn { (chart) } } })
}

fn names_and_scores(metrics: &Metrics) -> Vec<(Metric, f64)> {
    Metric::ALL.iter().filter_map(|m| Some((*m, metrics.get(*m)?))).collect()
}

fn scores(model: &Model, metrics: &Metrics) -> Markup {
    let trained_with = model.metrics();
    html! {
        table {
            thead { tr { th { "metric" } th class="number" { "this table, " (thousands(metrics.rows as u64)) " rows" }
                @if let Some(held_out) = trained_with { th class="number" { "held out in training, " (thousands(held_out.rows as u64)) " rows" } } } }
            tbody {
                @for (metric, value) in names_and_scores(metrics) {
                    tr { th { (metric.title()) } td class="number" { (number(value)) }
                        @if let Some(held_out) = trained_with { td class="number" { (held_out.get(metric).map_or_else(String::new, number)) } } }
                }
            }
        }
    }
}

/// A number without zeros at its end.
fn brief(x: f64) -> String {
    match number(x) {
        text if text.contains('.') && !text.contains('e') => {
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        text => text,
    }
}

/// A histogram in a table's cell.
fn bars(counts: &[usize]) -> Markup {
    let most = counts.iter().copied().max().unwrap_or(1).max(1) as f64;
    let width = 120.0 / counts.len().max(1) as f64;
    let bar = |(i, n): (usize, &usize)| {
        let height = (26.0 * *n as f64 / most).max(if *n > 0 { 1.0 } else { 0.0 });
        format!(
            "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height:.1}\"/>",
            i as f64 * width,
            28.0 - height,
            (width - 1.0).max(0.8)
        )
    };
    let bars: String = counts.iter().enumerate().map(bar).collect();
    html! { (PreEscaped(format!("<svg class=\"bars\" viewBox=\"0 0 120 28\" width=\"120\" height=\"28\" aria-hidden=\"true\">{bars}</svg>"))) }
}

fn data(model: &Model, table: &Table, predictions: &Predictions) -> Result<Markup, ViewError> {
    let schema = model.schema();
    let targets = if schema.task.is_classification() { ColumnKind::Categorical } else { ColumnKind::Numeric };
    let columns: Vec<(&str, ColumnKind, &str)> = (schema.targets.iter().map(|t| (t.as_str(), targets, "target")))
        .chain(schema.features.iter().map(|f| (f.name.as_str(), f.kind, "feature")))
        .collect();
    let summaries = (columns.iter().take(LISTED).map(|(name, kind, _)| table.summary(name, *kind)))
        .collect::<Result<Vec<Summary>, _>>()
        .map_err(perceptra_model::ModelError::from)?;
    let what = |summary: &Summary| match &summary.values {
        Values::Numbers(None) => html! { "no value" },
        Values::Numbers(Some(n)) => {
            html! { (brief(n.least)) " – " (brief(n.most)) ", median " (brief(n.median)) ", mean " (brief(n.mean)) }
        }
        Values::Categories(all) => html! {
            @for (i, (name, rows)) in all.iter().take(4).enumerate() { @if i > 0 { ", " } (name) " " span class="quiet" { (rows) } }
            @if all.len() > 4 { ", …" }
        },
    };
    let shape = |summary: &Summary| match &summary.values {
        Values::Numbers(Some(n)) => bars(&n.histogram),
        Values::Numbers(None) => html! {},
        Values::Categories(all) => bars(&all.iter().take(20).map(|(_, n)| *n).collect::<Vec<_>>()),
    };
    Ok(html! {
        div class="wide" { table {
            thead { tr { th { "column" } th { "role" } th { "kind" } th class="number" { "missing" } th class="number" { "different" } th { "values" } th { "distribution" } } }
            tbody {
                @for ((name, kind, role), summary) in columns.iter().zip(&summaries) {
                    tr { th { (name) } td { (role) } td { (kind.name()) } td class="number" { (summary.missing) } td class="number" { (summary.distinct) }
                        td { (what(summary)) } td { (shape(summary)) } }
                }
            }
        } }
        @if columns.len() > LISTED { p { "and " (columns.len() - LISTED) " more" } }
        @for (column, reason) in &schema.dropped { p class="quiet" { code { (column) } " is left out: " (reason) } }
        @for (column, n) in &predictions.report.unseen { p class="quiet" { code { (column) } ": " (n) " rows have values that training did not" } }
    })
}

fn network(model: &Model) -> Markup {
    let encoder = model.encoder();
    let outputs: Vec<String> = match encoder.labels() {
        Some(labels) if encoder.outputs() == labels.len() => labels.to_vec(),
        Some(labels) => labels.last().cloned().into_iter().collect(),
        None => encoder.targets().into_iter().map(str::to_owned).collect(),
    };
    let members = model.members().count();
    html! {
        p { (model.network().to_string())
            @if members > 1 { "; the first of " (members) " networks, whose predictions are averaged" } }
        figure class="network" role="img" aria-label=(model.network().to_string()) {
            (PreEscaped(diagram(model.network(), &encoder.input_names(), &outputs)))
        }
        @if model.network().is_plain() { p class="quiet" { "Lines are weights: blue above 0, orange below, wider the larger they are." } }
    }
}

fn training(model: &Model) -> Result<Markup, ViewError> {
    let history = model.history();
    let drawn = match history.epochs.is_empty() {
        true => Vec::new(),
        false => {
            let losses: Vec<f64> =
                history.epochs.iter().flat_map(|e| [Some(e.train_loss), e.validation_loss]).flatten().collect();
            let (low, high) = losses.iter().fold((f64::INFINITY, 0.0), |(l, h), v| (f64::min(l, *v), f64::max(h, *v)));
            let chart = Chart::history("Loss", history);
            let chart = if low > 0.0 && high / low > 30.0 { chart.log_y() } else { chart };
            let rates = history.epochs.iter().map(|e| (e.epoch as f64, e.learning_rate));
            let monitored = history.epochs.iter().filter_map(|e| Some((e.epoch as f64, e.monitored?)));
            let mut all = vec![chart];
            if history.epochs.iter().any(|e| e.monitored.is_some()) {
                let monitor = history.monitor.name();
                let best = history.best_epoch as f64;
                all.push(
                    Chart::new("Monitored", "epoch", monitor)
                        .line("validation", monitored)
                        .vertical("best epoch", best),
                );
            }
            if history.epochs.windows(2).any(|e| e[0].learning_rate != e[1].learning_rate) {
                all.push(Chart::new("Learning rate", "epoch", "learning rate").line("", rates));
            }
            all
        }
    };
    Ok(html! {
        p { (history.epochs.len()) " epochs, " (history.stop.to_string()) "; the weights are those of epoch " (history.best_epoch) "." }
        (charts(drawn)?)
    })
}

/// The column `j` of a matrix.
fn column(matrix: &Matrix, j: usize) -> Vec<f32> {
    matrix.values.iter().skip(j).step_by(matrix.columns).copied().collect()
}

fn judged(model: &Model, table: &Table, predictions: &Predictions, metrics: &Metrics) -> Result<Markup, ViewError> {
    match &metrics.values {
        MetricValues::Regression(_) => regression(model, table, predictions),
        MetricValues::Classification { metrics, labels } => classes(model, table, predictions, metrics, labels),
    }
}

fn regression(model: &Model, table: &Table, predictions: &Predictions) -> Result<Markup, ViewError> {
    let mut all = Vec::new();
    for (j, name) in model.schema().targets.iter().enumerate().take(CLASSES) {
        let truth = table.target_values(name).map_err(perceptra_model::ModelError::from)?;
        let said: Vec<f64> = column(&predictions.values, j).into_iter().map(f64::from).collect();
        let pairs: Vec<(f64, f64)> = said.iter().copied().zip(truth).collect();
        let residuals: Vec<f64> = pairs.iter().map(|(f, y)| y - f).collect();
        let shown = thinned(&pairs, POINTS);
        let (low, high) = pairs
            .iter()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), (f, y)| (l.min(*f).min(*y), h.max(*f).max(*y)));
        let ends = said.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), f| (f64::min(l, *f), f64::max(h, *f)));
        all.push(
            Chart::new(&format!("{name}: actual and predicted"), "predicted", "actual")
                .points("rows", 0, shown.iter().copied())
                .dashed("right", [(low, low), (high, high)]),
        );
        all.push(
            Chart::new(&format!("{name}: residuals"), "predicted", "actual − predicted")
                .points("rows", 0, shown.iter().map(|(f, y)| (*f, y - f)))
                .dashed("right", [(ends.0, 0.0), (ends.1, 0.0)]),
        );
        all.push(distribution(&format!("{name}: distribution of residuals"), "actual − predicted", &residuals));
    }
    charts(all)
}

/// A histogram as a stepped line.
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
    let truth = model.encoder().class_numbers(table).map_err(perceptra_model::ModelError::from)?;
    let mut roc = Chart::new("ROC", "false positive rate", "true positive rate");
    let mut curve = Chart::new("Precision and recall", "recall", "precision");
    // Of two classes, the second is the one that is asked for.
    let asked: Vec<usize> = if labels.len() == 2 { vec![1] } else { (0..labels.len().min(CLASSES)).collect() };
    let mut any = false;
    for &class in &asked {
        let is: Vec<bool> = truth.iter().map(|t| *t as usize == class).collect();
        if let Some(t) = Thresholds::of(&column(&predictions.values, class), &is) {
            any = true;
            roc = roc.line(&format!("{}, area {:.3}", labels[class], t.area), thinned(&t.roc, POINTS));
            let name = format!("{}, {:.0} % of the rows", labels[class], 100.0 * t.share);
            curve = curve.line(&name, thinned(&t.precision_recall, POINTS));
        }
    }
    let said = predictions.classes();
    let sure: Vec<f32> =
        said.iter().zip(predictions.values.values.chunks(labels.len())).map(|(class, p)| p[*class]).collect();
    let right: Vec<bool> = said.iter().zip(&truth).map(|(said, truth)| *said == *truth as usize).collect();
    let bins = reliability(&sure, &right, ClassificationMetrics::BINS);
    let calibration = Chart::new("Calibration", "probability of what is said", "share that is right")
        .points("rows, in bins", 0, bins.iter().map(|(p, share, _)| (*p, *share)))
        .line("", bins.iter().map(|(p, share, _)| (*p, *share)))
        .dashed("as sure as right", [(0.0, 0.0), (1.0, 1.0)])
        .x_range(-0.02, 1.02)
        .y_range(-0.02, 1.02);
    let mut all = Vec::new();
    if any {
        let range = |chart: Chart| chart.x_range(-0.02, 1.02).y_range(-0.02, 1.02);
        all.push(range(roc.dashed("guessing", [(0.0, 0.0), (1.0, 1.0)])));
        all.push(range(curve));
    }
    all.push(calibration);
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
            caption { "Rows by their class, columns by what is said" }
            thead { tr { th { "true \\ said" } @for label in labels { th class="number" { (label) } } th class="number" { "recall" } } }
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

fn important(found: &Explanation) -> Markup {
    let shown = &found.features[..found.features.len().min(LISTED)];
    let reach = |f: &perceptra_model::Importance| f.importance + f.deviation;
    let most = shown.iter().map(reach).fold(f64::MIN_POSITIVE, f64::max);
    let place = |v: f64| (v / most * 300.0).clamp(0.0, 300.0);
    let bar = |f: &perceptra_model::Importance| {
        let (length, from, to) =
            (place(f.importance), place(f.importance - f.deviation), place(f.importance + f.deviation));
        format!(
            "<svg class=\"bars\" viewBox=\"0 0 310 18\" width=\"310\" height=\"18\" aria-hidden=\"true\"><rect x=\"0\" y=\"3\" \
             width=\"{length:.1}\" height=\"12\"/><line x1=\"{from:.1}\" x2=\"{to:.1}\" y1=\"9\" y2=\"9\" class=\"spread\"/></svg>"
        )
    };
    html! {
        p { "How much worse the " (found.metric.name()) " of " (number(found.score)) " becomes when a column's values are dealt out to the rows anew; the line is the \
             standard deviation over the permutations, of " (found.rows) " rows. Columns that say the same share their importance." }
        div class="wide" { table {
            thead { tr { th { "column" } th class="number" { "worse by" } th class="number" { "±" } th {} } }
            tbody { @for f in shown { tr { th { (f.feature) } td class="number" { (number(f.importance)) } td class="number" { (number(f.deviation)) } td { (PreEscaped(bar(f))) } } } }
        } }
        @if shown.len() < found.features.len() { p { "and " (found.features.len() - shown.len()) " more" } }
    }
}

/// What the model says on average if all rows had the same value of a feature.
fn dependence(model: &Model, table: &Table, found: &Explanation) -> Result<Markup, ViewError> {
    let rows = evenly(table, AVERAGED);
    let (features, values) = DEPENDENCES;
    let kinds: Vec<(&str, ColumnKind)> = model.encoder().features().map(|(name, kind, _)| (name, kind)).collect();
    let mut all = Vec::new();
    for importance in found.features.iter().take(features) {
        let name = importance.feature.as_str();
        let kind = kinds.iter().find(|(n, _)| *n == name).map_or(ColumnKind::Categorical, |(_, kind)| *kind);
        // Rows that have the values in question: evenly over the sorted ones, or the first of each category.
        let (places, names): (Vec<(f64, usize)>, Vec<String>) = match kind {
            ColumnKind::Numeric | ColumnKind::Date => {
                let numbers = table.numbers(name, kind).map_err(perceptra_model::ModelError::from)?;
                let mut present: Vec<(f64, usize)> =
                    numbers.iter().enumerate().filter_map(|(row, x)| Some(((*x)?, row))).collect();
                present.sort_by(|a, b| a.0.total_cmp(&b.0));
                present.dedup_by(|a, b| a.0 == b.0);
                (thinned(&present, values), Vec::new())
            }
            ColumnKind::Categorical | ColumnKind::Boolean => {
                let texts = table.texts(name).map_err(perceptra_model::ModelError::from)?;
                let summary = table.summary(name, kind).map_err(perceptra_model::ModelError::from)?;
                let Values::Categories(categories) = summary.values else { continue };
                let found = categories.iter().take(8).enumerate().filter_map(|(i, (category, _))| {
                    let row = texts.iter().position(|t| t.as_ref() == Some(category))?;
                    Some(((i as f64, row), category.clone()))
                });
                found.unzip()
            }
        };
        if places.len() < 2 {
            continue;
        }
        let mut averages: Vec<(f64, Vec<f64>)> = Vec::new();
        for (x, row) in places {
            // The value comes from a row of the whole table; the other columns from the rows that are averaged.
            let donor = table.take(&[row as u32]);
            let spread = rows.with_column(name, &donor, 0).map_err(perceptra_model::ModelError::from)?;
            let said = model.predict(&spread)?.values;
            let mean = |j: usize| column(&said, j).iter().map(|v| f64::from(*v)).sum::<f64>() / said.rows as f64;
            averages.push((x, (0..said.columns).map(mean).collect()));
        }
        let (what, lines): (&str, Vec<(usize, &str)>) = match model.encoder().labels() {
            Some([_, second]) => ("probability", vec![(1, second.as_str())]),
            Some(labels) => ("probability", labels.iter().map(String::as_str).enumerate().take(CLASSES).collect()),
            None => {
                ("prediction", model.schema().targets.iter().map(String::as_str).enumerate().take(CLASSES).collect())
            }
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
        all.push(if names.is_empty() { chart } else { chart.x_names(&names) });
    }
    Ok(html! {
        p { "What the model says on average if all of " (rows.rows()) " rows had the same value of a column, the others as they are." }
        (charts(all)?)
    })
}

fn worst(model: &Model, table: &Table, predictions: &Predictions, found: &Explanation) -> Result<Markup, ViewError> {
    let schema = model.schema();
    let fail = perceptra_model::ModelError::from;
    // Of each row: how bad it is, what is true, what is said, how wrong that is.
    let mut rows: Vec<(f64, usize, String, String, String)> = Vec::new();
    match &predictions.labels {
        Some(labels) => {
            let truth = model.encoder().class_numbers(table).map_err(fail)?;
            let said = predictions.classes();
            for (row, p) in predictions.values.values.chunks(labels.len()).enumerate() {
                let p = f64::from(p[truth[row] as usize]);
                let (is, said) = (labels[truth[row] as usize].clone(), labels[said[row]].clone());
                rows.push((1.0 - p, row, is, said, number(p)));
            }
        }
        None => {
            let scales = model.encoder().target_scales();
            let columns = predictions.values.columns;
            let truths =
                (schema.targets.iter().map(|t| table.target_values(t))).collect::<Result<Vec<_>, _>>().map_err(fail)?;
            for (row, said) in predictions.values.values.chunks(columns).enumerate() {
                let error = |j: usize| truths[j][row] - f64::from(said[j]);
                let bad = (0..columns).map(|j| error(j).abs() / scales[j]).sum();
                let list = |f: &dyn Fn(usize) -> f64| (0..columns).map(|j| number(f(j))).collect::<Vec<_>>().join(", ");
                let is = list(&|j| truths[j][row]);
                rows.push((bad, row, is, list(&|j| f64::from(said[j])), list(&error)));
            }
        }
    }
    rows.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    rows.truncate(WORST.0);
    let features: Vec<&str> = found.features.iter().take(WORST.1).map(|f| f.feature.as_str()).collect();
    let bad = table.take(&rows.iter().map(|r| r.1 as u32).collect::<Vec<_>>());
    let texts = features.iter().map(|f| bad.texts(f)).collect::<Result<Vec<_>, _>>().map_err(fail)?;
    let lined = table.line(0).is_some();
    let wrong = if predictions.labels.is_some() { "probability of the true class" } else { "actual − predicted" };
    Ok(html! {
        div class="wide" { table {
            thead { tr { th class="number" { (if lined { "line" } else { "row" }) } th { "actual" } th { "predicted" } th class="number" { (wrong) }
                @for f in &features { th { (f) } } } }
            tbody {
                @for (i, (_, row, is, said, wrong)) in rows.iter().enumerate() {
                    tr { th class="number" { (table.line(*row).unwrap_or(*row as u64 + 1)) } td { (is) } td { (said) } td class="number" { (wrong) }
                        @for text in &texts { td { (text[i].as_deref().unwrap_or("–")) } } }
                }
            }
        } }
        p class="quiet" { @if lined { "Lines are those of the file." } @else { "Rows are numbered from 1." } }
    })
}

fn again(model: &Model, table: &Table, options: &ReportOptions<'_>) -> Markup {
    let training = serde_json::to_string_pretty(model.training()).unwrap_or_default();
    let network = serde_json::to_string_pretty(model.network_config()).unwrap_or_default();
    html! {
        @match options.run {
            Some(run) => {
                p { "This file as " code { "run.toml" } " trains the model again, to the same bits on the same kind of processor:" }
                pre { code { "perceptra train --config run.toml" } }
                pre { code { (run) } }
            }
            None => p { "The run file that " code { "perceptra train" } " wrote beside the model trains it again; it was not here." }
        }
        p { "This report:" }
        pre { code {
            @match options.part {
                Some(_) => "perceptra train --config run.toml --report",
                None => { "perceptra report " (options.name) " --data " (table.name()) " --repeats " (options.repeats) " --seed " (options.seed) }
            }
        } }
        details { summary { "Settings of the training, as in the model" } pre { code { (training) } } }
        details { summary { "The network, as in the model" } pre { code { (network) } } }
    }
}
