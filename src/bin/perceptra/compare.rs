//! `perceptra compare`

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use perceptra::baselines::{CompareOptions, Comparison, Contender, compare};
use perceptra::choose;
use perceptra::model::Preset;
use serde_json::json;

use crate::run_args::RunArgs;
use crate::values::named;
use crate::{CliError, note, notes, print, print_json, tables};

/// Trains the network, a single linear or logistic neuron, support vector machines and presets on the same rows, and evaluates them on
/// the same test rows, beside a constant prediction (the mean or the most frequent class).
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  perceptra compare data/penguins.csv --target species
  perceptra compare data/concrete.csv --target compressive_strength --folds 5")]
pub(crate) struct CompareArgs {
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    /// Do not show progress or notes
    #[arg(short, long)]
    quiet: bool,
    /// Cross-validate with N folds instead of a single split
    #[arg(long, value_name = "N", help_heading = "Comparison")]
    folds: Option<usize>,
    /// Parameter C of the support vector machines: cost of a row on the wrong side of the margin
    #[arg(long, value_name = "C", default_value_t = CompareOptions::default().c, help_heading = "Comparison")]
    svm_c: f64,
    /// Epsilon of support vector regression: size of errors without cost, in standard deviations of the target
    #[arg(long, value_name = "SIZE", default_value_t = CompareOptions::default().epsilon, help_heading = "Comparison")]
    svm_epsilon: f64,
    /// Maximum number of training rows of the support vector machines, whose time grows with its square
    #[arg(long, value_name = "ROWS", default_value_t = CompareOptions::default().svm_rows, help_heading = "Comparison")]
    svm_rows: usize,
    /// Presets to compare with, separated by commas: fast, default, realmlp, realmlp-s, tabm, tabm-ple; or none [default: default]
    #[arg(long, value_name = "NAMES", value_parser = presets, help_heading = "Comparison")]
    presets: Option<Presets>,
    #[command(flatten)]
    run: RunArgs,
}

#[derive(Debug, Clone)]
struct Presets(Vec<Preset>);

fn presets(text: &str) -> Result<Presets, String> {
    match text {
        "none" => Ok(Presets(Vec::new())),
        _ => text.split(',').map(named).collect::<Result<_, _>>().map(Presets),
    }
}

pub(crate) fn run(args: &CompareArgs) -> Result<(), CliError> {
    let mut resolved = args.run.resolve(args.quiet || args.json, |_| ())?;
    let choice = choose(&resolved.run.output.device)?;
    let tables = resolved.tables()?;
    if !args.quiet && !args.json {
        notes::columns(&resolved.run, &tables)?;
    }
    let run = resolved.run;
    let presets = args.presets.as_ref().map_or_else(|| vec![Preset::Default], |presets| presets.0.clone());
    let options = CompareOptions {
        folds: args.folds,
        c: args.svm_c,
        epsilon: args.svm_epsilon,
        svm_rows: args.svm_rows,
        presets,
    };
    let bar = if args.quiet || args.json { ProgressBar::hidden() } else { ProgressBar::new_spinner() };
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(std::time::Duration::from_millis(250));
    let comparison = compare(&run, &tables, &options, &choice.device, &mut |what| bar.set_message(what.to_owned()))?;
    bar.finish_and_clear();
    if args.json {
        return print_json(&json!(comparison));
    }
    if !args.quiet {
        let mut notes: Vec<String> = Vec::new();
        for contender in &comparison.contenders {
            if let Some(text) = &contender.note
                && !notes.contains(text)
            {
                note(&format!("note: support vector machines: {text} (--svm-rows)"));
                notes.push(text.clone());
            }
        }
    }
    let rows: usize = comparison.test_rows.iter().sum();
    let how = match args.folds {
        Some(folds) => format!("mean ± standard deviation over {folds} folds, {rows} rows tested"),
        None => format!("{rows} test rows"),
    };
    let name = run.data.table.display();
    print(&format!("{name}: {} of {}, {how}\n\n", comparison.task, run.data.schema.target.join(", ")))?;
    print(&table(&comparison))?;
    if let Some(class) = &comparison.positive {
        print(&format!("F1 is of the class {class:?}\n"))?;
    }
    print(&format!("\n{}\n", comparison.advice))
}

fn table(comparison: &Comparison) -> String {
    let names = comparison.metrics.iter().map(|metric| metric.title());
    let header: Vec<&str> =
        ["model"].into_iter().chain(names).chain(["seconds", "parameters", "support vectors"]).collect();
    let row = |contender: &Contender| {
        let scores = (0..comparison.metrics.len()).map(|i| match contender.score(i) {
            (mean, None) => tables::number(mean),
            (mean, Some(deviation)) => format!("{} ± {}", tables::number(mean), tables::number(deviation)),
        });
        let rest = [
            format!("{:.2}", contender.seconds),
            tables::thousands(contender.parameters.round() as u64),
            contender.support_vectors.map_or_else(String::new, |n| tables::thousands(n.round() as u64)),
        ];
        std::iter::once(contender.name.clone()).chain(scores).chain(rest).collect()
    };
    tables::table(&header, comparison.contenders.iter().map(row).collect())
}
