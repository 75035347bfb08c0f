//! `perceptra explain`

use std::path::PathBuf;

use clap::Args;
use perceptra::model::{Explanation, ImportanceOptions};
use perceptra::train::Metric;
use serde_json::json;

use crate::values::one_of;
use crate::{CliError, ReadArgs, load_both, print, print_json, tables};

/// Permutation importance: how much worse the model gets when the values of a column are shuffled among the rows.
///
/// Columns with the same information share their importance, since the model can use the other one.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  perceptra explain penguins.perceptra data/penguins.csv --repeats 20")]
pub(crate) struct ExplainArgs {
    /// Model file
    model: PathBuf,
    /// Table with features and targets, best with rows that were not used in training, or - for standard input
    table: PathBuf,
    /// Metric to measure [default: rmse or log-loss]
    #[arg(long, value_name = "METRIC", value_parser = one_of::<Metric>())]
    metric: Option<Metric>,
    #[command(flatten)]
    permutations: PermutationArgs,
    /// Device: auto, cpu, flex, ndarray, wgpu[:N], cuda[:N]...
    #[arg(long, default_value = "auto")]
    device: String,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    read: ReadArgs,
}

/// The flags of permutation importance.
#[derive(Debug, Args)]
pub(crate) struct PermutationArgs {
    /// Number of permutations of each column
    #[arg(long, value_name = "N", default_value_t = ImportanceOptions::default().repeats)]
    pub(crate) repeats: usize,
    /// Seed of the permutations
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
}

pub(crate) fn run(args: &ExplainArgs) -> Result<(), CliError> {
    let (model, table) = load_both(&args.model, &args.table, &args.device, &args.read)?;
    let PermutationArgs { repeats, seed } = args.permutations;
    let options = ImportanceOptions { metric: args.metric, repeats, seed };
    let found = model.importance(&table, &options)?;
    let positive = model.about().encoder.positive().filter(|_| found.metric.is_of_positive_class());
    if args.json {
        let mut json = json!(found);
        json["positive"] = json!(positive);
        return print_json(&json);
    }
    print(&text(&found, repeats, positive))
}

/// Length of the longest bar, in characters.
const BAR: f64 = 24.0;

fn text(found: &Explanation, repeats: usize, positive: Option<&str>) -> String {
    let longest = found.features.first().map_or(0.0, |f| f.importance).max(f64::MIN_POSITIVE);
    let rows = found.features.iter().map(|f| {
        let bar = "█".repeat((BAR * f.importance / longest).round().clamp(0.0, BAR) as usize);
        let importance = match repeats {
            1 => tables::number(f.importance),
            _ => format!("{} ± {}", tables::number(f.importance), tables::number(f.deviation)),
        };
        vec![f.feature.clone(), importance, format!("{bar:<24}")]
    });
    let worse = format!("worse {}", found.metric);
    let score = tables::number(found.score);
    let of = positive.map_or_else(String::new, |class| format!(" of the class {class:?}"));
    let head = format!(
        "{}{of} on {} rows: {score}. With the values of a column shuffled, it gets worse by:\n\n",
        found.metric, found.rows
    );
    head + &tables::table(&["column", &worse, ""], rows.collect())
}
