//! `perceptra report`

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use perceptra::model::Partition;
use perceptra::view::{ReportOptions, ViewError, report};
use perceptra::{Model, RunConfig, Table, Tables};
use perceptra_files::write_atomic;

use crate::explain::PermutationArgs;
use crate::{CliError, ReadArgs, load_both, print, same_file};

/// Writes one HTML file on a model and its quality on a table: data, network, learning curves, predicted and actual values, feature
/// importance, partial dependence, worst predictions.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  perceptra report penguins.perceptra --data new-penguins.csv -o penguins.html")]
pub(crate) struct ReportArgs {
    /// Model file
    model: PathBuf,
    /// Table with features and targets, best with rows that were not used in training, or - for standard input
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    /// Report to write [default: the model's name with .html]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    permutations: PermutationArgs,
    /// Device: auto, cpu, flex, ndarray, wgpu[:N], cuda[:N]...
    #[arg(long, default_value = "auto")]
    device: String,
    #[command(flatten)]
    read: ReadArgs,
}

pub(crate) fn run(args: &ReportArgs) -> Result<(), CliError> {
    let output = args.output.clone().unwrap_or_else(|| args.model.with_extension("html"));
    if same_file(&output, &args.model) || same_file(&output, &args.data) {
        return Err(CliError::usage("the report would overwrite the model or the table", "choose another --output"));
    }
    let (model, table) = load_both(&args.model, &args.data, &args.device, &args.read)?;
    let name = args.model.display().to_string();
    let run = std::fs::read_to_string(args.model.with_extension("toml")).ok();
    let PermutationArgs { repeats, seed } = args.permutations;
    let options = ReportOptions { name: &name, part: None, run: run.as_deref(), repeats, seed };
    write(&model, &table, &options, &output)?;
    print(&format!("report: {}\n", output.display()))
}

/// Writes a report on a run's model beside the model file and returns its path. It uses the test rows, else the validation rows, else the
/// training rows.
pub(crate) fn of_run(model: &Model, run: &RunConfig, tables: &Tables, path: &Path) -> Result<PathBuf, CliError> {
    let output = path.with_extension("html");
    let name = path.display().to_string();
    let text = run.to_toml();
    let (part, table) = match tables.is_streamed() {
        true => rows(tables.test.clone(), tables.validation.clone(), &tables.table),
        false => {
            let parts = Partition::of(run, tables)?;
            rows(parts.test, parts.validation, &parts.train)
        }
    };
    let options = ReportOptions { name: &name, part: Some(part), run: Some(&text), ..ReportOptions::default() };
    write(model, &table, &options, &output)?;
    Ok(output)
}

fn rows(test: Option<Table>, validation: Option<Table>, train: &Table) -> (&'static str, Table) {
    match (test, validation) {
        (Some(test), _) => ("test", test),
        (None, Some(validation)) => ("validation", validation),
        (None, None) => ("training", train.clone()),
    }
}

fn write(model: &Model, table: &Table, options: &ReportOptions<'_>, output: &Path) -> Result<(), CliError> {
    let page = report(model, table, options).map_err(|error| match error {
        ViewError::Model(error) => CliError::Model(error),
        other => CliError::Other { message: other.to_string(), hint: None },
    })?;
    write_atomic(output, |file| file.write_all(page.as_bytes())).map_err(|source| CliError::write(output, source))
}
