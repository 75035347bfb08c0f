//! The command-line program: arguments, messages and exit codes. The library crates do the work.

mod compare;
mod devices;
mod evaluate;
mod explain;
mod gradcheck;
#[cfg(test)]
mod help_tests;
mod hints;
mod init;
mod inspect;
mod live;
mod notes;
mod playground;
mod plots;
mod predict;
mod report;
mod run_args;
mod search;
mod set_args;
mod signals;
mod tables;
mod train;
mod values;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use perceptra::data::{DataError, Delimiter, ReadNote, ReadOptions, nearest};
use perceptra::{DeviceError, Model, ModelError};

/// Dense neural networks for tables: train, evaluate, predict.
#[derive(Debug, Parser)]
#[command(
    name = "perceptra",
    version,
    max_term_width = 110,
    arg_required_else_help = true,
    after_help = "Examples:
  perceptra train data/penguins.csv --target species
  perceptra evaluate penguins.perceptra new.csv
  perceptra predict penguins.perceptra new.csv -o species.csv --proba
  perceptra inspect penguins.perceptra"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Train a network on a table and save the model
    Train(Box<train::TrainArgs>),
    /// Evaluate a model on a table with targets
    Evaluate(evaluate::EvaluateArgs),
    /// Show which columns matter to a model, on a table with targets
    Explain(explain::ExplainArgs),
    /// Write an HTML report on a model, evaluated on a table with targets
    Report(report::ReportArgs),
    /// Predict the rows of a table
    Predict(predict::PredictArgs),
    /// Compare the network with simpler models and presets on the same rows
    Compare(Box<compare::CompareArgs>),
    /// Search for the best settings, and train a model with them
    Search(Box<search::SearchArgs>),
    /// Watch networks train, in the browser
    Playground(playground::PlaygroundArgs),
    /// Check the gradients of a network against central differences
    Gradcheck(Box<gradcheck::GradcheckArgs>),
    /// Show the network, the schema and the training history of a model
    Inspect(inspect::InspectArgs),
    /// List the devices that this program can use
    Devices(devices::DevicesArgs),
    /// Write a commented run file to start from
    Init(init::InitArgs),
    /// Print shell completions
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// How tables are read.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Reading tables")]
struct ReadArgs {
    /// Field separator of CSV files: a character, tab, or whitespace for runs of blanks [default: detected from the header]
    #[arg(long, value_name = "CHAR")]
    delimiter: Option<Delimiter>,
    /// The first line is a row and not the header; the columns are named 1, 2, 3...
    #[arg(long)]
    no_header: bool,
    /// Skip the first N lines, which stand before the header [default: 0]
    #[arg(long, value_name = "N")]
    skip_rows: Option<usize>,
    /// Sheet of a workbook [default: the first one]
    #[arg(long, value_name = "NAME")]
    sheet: Option<String>,
    /// Skip lines that begin with this character
    #[arg(long, value_name = "CHAR", value_parser = one_character)]
    comment: Option<char>,
    /// Additional text that means a missing value (repeatable)
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    missing: Vec<String>,
    /// Text that is a value although it usually means a missing one, such as a class called None (repeatable)
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    keep_text: Vec<String>,
}

impl ReadArgs {
    /// Overrides `options` with the flags; texts for missing values are added.
    fn apply(&self, options: &mut ReadOptions) {
        let Self { delimiter, no_header, skip_rows, sheet, comment, missing, keep_text } = self;
        options.delimiter = delimiter.or(options.delimiter);
        options.header &= !no_header;
        options.skip_rows = skip_rows.unwrap_or(options.skip_rows);
        if sheet.is_some() {
            options.sheet.clone_from(sheet);
        }
        options.comment = comment.or(options.comment);
        for text in missing {
            if !options.missing.contains(text) {
                options.missing.push(text.clone());
            }
        }
        for text in keep_text {
            if !options.keep_text.contains(text) {
                options.keep_text.push(text.clone());
            }
        }
    }
}

fn one_character(text: &str) -> Result<char, String> {
    let mut characters = text.chars();
    match (characters.next(), characters.next()) {
        (Some(c), None) if c.is_ascii() => Ok(c),
        _ => Err("expected one ASCII character".into()),
    }
}

/// An error that ends the program.
#[derive(Debug, thiserror::Error)]
enum CliError {
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    Search(#[from] perceptra::search::SearchError),
    #[error(transparent)]
    Data(#[from] DataError),
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// An error of standard output; errors of files carry the name of the file.
    #[error("standard output: {0}")]
    Io(#[from] std::io::Error),
    /// The program was ended by a signal, with its work saved.
    #[error("{message}")]
    Interrupted { signal: u8, message: String },
    /// Another error, for example one that occurs after the model has been saved.
    #[error("{message}")]
    Other { message: String, hint: Option<String> },
    #[error("internal error: {0}")]
    Internal(String),
    #[error("{message}")]
    Usage { message: String, hint: Option<String> },
}

impl CliError {
    fn usage(message: impl Into<String>, hint: &str) -> Self {
        Self::Usage { message: message.into(), hint: Some(hint.to_owned()) }
    }

    /// The error for a signal that has arrived; `None` if none has.
    fn interrupted(message: impl Into<String>) -> Option<Self> {
        let (signal, name) = signals::which()?;
        Some(Self::Interrupted { signal, message: format!("{name}: {}", message.into()) })
    }

    fn write(path: &Path, source: std::io::Error) -> Self {
        ModelError::Write { path: path.to_owned(), source }.into()
    }

    /// A remedy, for a command with these flags.
    fn hint(&self, flags: hints::Flags) -> Option<String> {
        use perceptra::search::SearchError;
        match self {
            Self::Model(ModelError::Train(e)) | Self::Search(SearchError::Model(ModelError::Train(e))) => {
                hints::train(e)
            }
            Self::Model(ModelError::Foreign { .. }) if flags == hints::Flags::Model => {
                Some("the model comes first, then the table".into())
            }
            Self::Model(e) | Self::Search(SearchError::Model(e)) => e.hint().map(|hint| hints::model(&hint, flags)),
            Self::Data(e) => e.hint().map(|hint| hints::data(&hint, flags)),
            Self::Search(e) => search::hint(e),
            Self::Device(e) => e.hint(),
            Self::Usage { hint, .. } => hint.clone(),
            Self::Internal(_) => Some("please report this; another --device may work".into()),
            Self::Other { hint, .. } => hint.clone(),
            Self::Io(_) | Self::Interrupted { .. } => None,
        }
    }

    /// Whether the reader of standard output has closed it, as `head` does; this is not reported.
    fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Io(e) if e.kind() == std::io::ErrorKind::BrokenPipe)
    }

    fn exit_code(&self) -> u8 {
        match self {
            Self::Usage { .. } => 2,
            Self::Interrupted { signal, .. } => 128 + signal,
            _ => 1,
        }
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    // A panic, for example of a GPU driver, is reported below as an error, without a backtrace.
    std::panic::set_hook(Box::new(|_| {}));
    signals::files_too_large_are_errors();
    let flags = cli.command.flags();
    let outcome = std::panic::catch_unwind(|| run(cli.command)).unwrap_or_else(|panic| {
        let message = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("no message");
        Err(CliError::Internal(message.to_owned()))
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is_broken_pipe() => ExitCode::SUCCESS,
        Err(error) => {
            let kind = if matches!(error, CliError::Interrupted { .. }) { "interrupted" } else { "error" };
            let mut text = format!("{kind}: {error}\n");
            if let Some(hint) = error.hint(flags) {
                text += &format!("hint: {hint}\n");
            }
            // If standard error is closed, there is nowhere to report to.
            let _ = std::io::stderr().write_all(text.as_bytes());
            ExitCode::from(error.exit_code())
        }
    }
}

impl Command {
    /// Which flags the command has for the meaning of columns.
    fn flags(&self) -> hints::Flags {
        match self {
            Self::Train(_) | Self::Compare(_) | Self::Search(_) | Self::Gradcheck(_) | Self::Init(_) => {
                hints::Flags::Run
            }
            Self::Evaluate(_) | Self::Explain(_) | Self::Report(_) | Self::Predict(_) | Self::Inspect(_) => {
                hints::Flags::Model
            }
            Self::Playground(_) | Self::Devices(_) | Self::Completions { .. } => hints::Flags::Model,
        }
    }
}

fn run(command: Command) -> Result<(), CliError> {
    match command {
        Command::Train(args) => train::run(&args),
        Command::Evaluate(args) => evaluate::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Predict(args) => predict::run(&args),
        Command::Compare(args) => compare::run(&args),
        Command::Search(args) => search::run(&args),
        Command::Playground(args) => playground::run(&args),
        Command::Gradcheck(args) => gradcheck::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Devices(args) => devices::run(&args),
        Command::Init(args) => init::run(&args),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "perceptra", &mut script);
            Ok(std::io::stdout().write_all(&script)?)
        }
    }
}

/// Reads a model onto the device with this name.
fn load_model(path: &Path, device: &str) -> Result<Model, CliError> {
    let choice = perceptra::choose(device)?;
    Ok(Model::load(path, &choice.device)?)
}

/// Reads a model, and a table with the model's read options, which the flags in `read` override.
fn load_both(model: &Path, table: &Path, device: &str, read: &ReadArgs) -> Result<(Model, perceptra::Table), CliError> {
    let model = load_model(model, device)?;
    let mut options = model.read_options();
    read.apply(&mut options);
    let table = perceptra::Table::read(table, &options)?;
    read_notes(table.notes());
    let columns = table.columns();
    model.about().encoder.check_columns(table.name(), &columns)?;
    let lacks = |target: &&String| !columns.contains(target) && nearest(target, &columns).is_none();
    if let Some(target) = model.about().schema.targets.iter().find(lacks) {
        return Err(CliError::Other {
            message: format!("{}: there is no column {target:?}, the target of the model", table.name()),
            hint: Some("scores need the target; perceptra predict needs none".into()),
        });
    }
    let weighted = model.weighted(&table)?;
    if let zeros @ 1.. = table.rows() - weighted.rows() {
        note(&format!("note: {zeros} rows of weight 0 are left out"));
    }
    Ok((model, weighted))
}

/// Whether two paths name the same file.
fn same_file(a: &Path, b: &Path) -> bool {
    a == b || (a.exists() && a.canonicalize().ok() == b.canonicalize().ok())
}

/// Writes text to standard output.
fn print(text: &str) -> Result<(), CliError> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// Writes a note to standard error.
fn note(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Writes what was chosen or left out when tables were read.
fn read_notes<'a>(notes: impl IntoIterator<Item = &'a ReadNote>) {
    for of_table in notes {
        note(&format!("note: {}: {}", of_table.name, hints::reading(&of_table.kind)));
    }
}

/// Writes a value as JSON to standard output.
fn print_json(value: &serde_json::Value) -> Result<(), CliError> {
    print(&format!("{value:#}\n"))
}
