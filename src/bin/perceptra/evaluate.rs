//! `perceptra evaluate`

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::{CliError, ReadArgs, load_both, notes, print, print_json, tables};

#[derive(Debug, Args)]
#[command(after_help = "Example:
  perceptra evaluate penguins.perceptra new-penguins.csv --json")]
pub(crate) struct EvaluateArgs {
    /// Model file
    model: PathBuf,
    /// Table with features and targets, or - for standard input
    table: PathBuf,
    /// Device: auto, cpu, flex, ndarray, wgpu[:N], cuda[:N]...
    #[arg(long, default_value = "auto")]
    device: String,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    /// Do not show notes
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    read: ReadArgs,
}

pub(crate) fn run(args: &EvaluateArgs) -> Result<(), CliError> {
    let (model, table) = load_both(&args.model, &args.table, &args.device, &args.read)?;
    let predictions = model.predict(&table)?;
    let metrics = model.score(&table, &predictions)?;
    let report = &predictions.report;
    if !args.quiet {
        notes::unknown(&model.about().schema, &table.columns());
        notes::using(report, &model.about().encoder);
    }
    if args.json {
        let mut json = json!(metrics);
        json["positive"] = json!(model.about().encoder.positive());
        json["missing"] = json!(report.missing);
        json["unseen"] = json!(report.unseen);
        return print_json(&json);
    }
    let name = format!("{} rows", metrics.rows);
    print(&tables::metrics_table(&[(name.as_str(), &metrics)]))
}
