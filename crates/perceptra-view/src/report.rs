//! Reports about models, each a self-contained HTML page.

mod data;
mod explanations;
mod page;
mod predictions;

use maud::{DOCTYPE, Markup, PreEscaped, html};
use perceptra_data::Table;
use perceptra_model::{ImportanceOptions, Metrics, Model};

use crate::chart::Chart;
use crate::diagram::diagram;
use crate::error::ViewError;
use crate::text::{number, thousands};
use page::{charts, evenly};

/// Maximum number of rows on which the importance of features is computed.
const JUDGED: usize = 2000;
const STYLE: &str = include_str!("report.css");

/// Options of a [`report`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ReportOptions<'a> {
    /// Name of the model, for the title.
    pub name: &'a str,
    /// Which part of a run's split the rows are, such as `test`; `None` for another table.
    pub part: Option<&'a str>,
    /// Run file that trains the model, as TOML; `None` if it is not known.
    pub run: Option<&'a str>,
    /// Number of permutations of each feature, for its importance.
    pub repeats: usize,
    /// Seed of the permutations.
    pub seed: u64,
}

impl Default for ReportOptions<'_> {
    fn default() -> Self {
        let ImportanceOptions { repeats, seed, .. } = ImportanceOptions::default();
        Self { name: "model", part: None, run: None, repeats, seed }
    }
}

/// Creates a report about a model, evaluated on a table with targets, as one HTML page with pictures and styles included; it loads nothing
/// and runs no script. The same model, table and options give the same bytes.
///
/// The report has the scores, the columns of the table, the network, its learning curves, predicted and actual values, permutation
/// importance, partial dependences (Friedman, 2001), the worst predictions, and how to train the model again. For large tables, the
/// slower sections use a sample of the rows.
///
/// # Errors
///
/// Those of [`Model::evaluate`].
pub fn report(model: &Model, table: &Table, options: &ReportOptions<'_>) -> Result<String, ViewError> {
    let predictions = model.predict(table)?;
    let metrics = model.score(table, &predictions)?;
    let importance = ImportanceOptions { metric: None, repeats: options.repeats, seed: options.seed };
    let explanation = model.importance(&evenly(table, JUDGED), &importance)?;
    let target = model.about().schema.targets.join(", ");
    let sections = [
        ("scores", "Scores", scores(model, &metrics)),
        ("data", "Data", data::columns(model, table, &predictions)?),
        ("network", "Network", network(model)),
        ("training", "Training", training(model)?),
        ("predictions", "Predictions", predictions::predictions(model, table, &predictions, &metrics)?),
        ("importance", "Importance of features", explanations::importance(&explanation)),
        ("dependence", "Partial dependence", explanations::dependence(model, table, &explanation)?),
        ("worst", "Worst predictions", explanations::worst(model, table, &predictions, &explanation)?),
        ("again", "Reproduce", again(model, table, options)),
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
                    p { (model.about().schema.task.to_string()) " by " code { (options.name) } ", on " (thousands(table.rows() as u64)) " " @if let Some(part) = options.part { (part) " " } "rows of " code { (table.name()) } }
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

fn scores(model: &Model, metrics: &Metrics) -> Markup {
    let held_out = model.about().metrics.as_ref().map(crate::scores::scores);
    let rows = model.about().metrics.as_ref().map_or(0, |m| m.rows);
    // The same metric of the same target, which files of older versions may lack.
    let of_test = |target: &str, title: &str| {
        let (_, scores) = held_out.iter().flatten().find(|(name, _)| name == target)?;
        scores.iter().find(|(other, _)| *other == title).map(|(_, value)| number(*value))
    };
    html! {
        @for (target, scores) in crate::scores::scores(metrics) {
            table {
                thead { tr { th { (if target.is_empty() { "metric" } else { &target }) } th class="number" { "this table, " (thousands(metrics.rows as u64)) " rows" }
                    @if held_out.is_some() { th class="number" { "test part of the training run, " (thousands(rows as u64)) " rows" } } } }
                tbody {
                    @for (title, value) in scores {
                        tr { th { (title) } td class="number" { (number(value)) }
                            @if held_out.is_some() { td class="number" { (of_test(&target, title).unwrap_or_default()) } } }
                    }
                }
            }
        }
        @if let Some(note) = crate::scores::positive_note(metrics) { p class="quiet" { (note) "." } }
    }
}

fn network(model: &Model) -> Markup {
    let encoder = &model.about().encoder;
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
        @if model.network().is_plain() { p class="quiet" { "Lines are weights: blue if positive, orange if negative, wider the larger they are." } }
    }
}

fn training(model: &Model) -> Result<Markup, ViewError> {
    let history = &model.about().history;
    let drawn = match history.epochs.is_empty() {
        true => Vec::new(),
        false => {
            let losses: Vec<f64> =
                history.epochs.iter().flat_map(|e| [Some(e.train_loss), e.validation_loss]).flatten().collect();
            let (low, high) = losses.iter().fold((f64::INFINITY, 0.0), |(l, h), v| (f64::min(l, *v), f64::max(h, *v)));
            let mut chart = Chart::history("Loss", history);
            chart.y.log = low > 0.0 && high / low > 30.0;
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
        p { (history.epochs.len()) " epochs, " (history.stop.to_string()) "; the model has the weights of epoch " (history.best_epoch) "." }
        (charts(drawn)?)
    })
}

fn again(model: &Model, table: &Table, options: &ReportOptions<'_>) -> Markup {
    let training = serde_json::to_string_pretty(&model.about().training).unwrap_or_default();
    let network = serde_json::to_string_pretty(&model.about().network).unwrap_or_default();
    html! {
        @match options.run {
            Some(run) => {
                p { "With this file as " code { "run.toml" } ", the model is trained again, bit for bit on the same kind of processor:" }
                pre { code { "perceptra train --config run.toml" } }
                pre { code { (run) } }
            }
            None => p { "The run file that " code { "perceptra train" } " writes beside the model trains it again; it was not found." }
        }
        p { "This report is made by:" }
        pre { code {
            @match options.part {
                Some(_) => "perceptra train --config run.toml --report",
                None => { "perceptra report " (options.name) " --data " (table.name()) " --repeats " (options.repeats) " --seed " (options.seed) }
            }
        } }
        details { summary { "Training settings stored in the model" } pre { code { (training) } } }
        details { summary { "Network configuration stored in the model" } pre { code { (network) } } }
    }
}
