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
    /// Evaluate although none of a column's categories is known to the model
    #[arg(long)]
    allow_unseen: bool,
}

pub(crate) fn run(args: &EvaluateArgs) -> Result<(), CliError> {
    let (model, table) = load_both(&args.model, &args.table, &args.device, &args.read)?;
    let predictions = model.predict(&table)?;
    let report = &predictions.report;
    notes::refuse_unseen(table.name(), report, table.rows(), args.allow_unseen)?;
    let metrics = model.score(&table, &predictions)?;
    if !args.quiet {
        notes::unknown(&model.about().schema, &table.columns());
        notes::using(report, table.rows(), &model.about().encoder);
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
