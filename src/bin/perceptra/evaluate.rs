//! `perceptra evaluate`

use std::path::PathBuf;

use clap::Args;
use perceptra::Table;
use serde_json::json;

use crate::{CliError, ReadArgs, load_model, print, print_json, report};

#[derive(Debug, Args)]
#[command(after_help = "Example:
  perceptra evaluate penguins.perceptra new-penguins.csv --json")]
pub(crate) struct EvaluateArgs {
    /// The model file
    model: PathBuf,
    /// The table, with the features and the targets, or - for standard input
    table: PathBuf,
    /// auto, cpu, flex, ndarray, wgpu[:N], cuda[:N]...
    #[arg(long, default_value = "auto")]
    device: String,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    read: ReadArgs,
}

pub(crate) fn run(args: &EvaluateArgs) -> Result<(), CliError> {
    let model = load_model(&args.model, &args.device)?;
    let mut options = model.read_options();
    args.read.apply(&mut options);
    let table = Table::read(&args.table, &options)?;
    let metrics = model.evaluate(&table)?;
    if args.json {
        return print_json(&json!(metrics));
    }
    let name = format!("{} rows", metrics.rows);
    print(&report::metrics_table(&[(name.as_str(), &metrics)]))
}
