//! `perceptra predict`

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use perceptra::Model;
use perceptra::data::{EncodeReport, Note, TableReader};
use perceptra::model::{PredictionColumns, PredictionFormat, PredictionOptions, PredictionWriter};
use perceptra_files::write_atomic;

use crate::{CliError, ReadArgs, load_model, note, read_notes, same_file, signals};

/// Rows in memory at once.
const CHUNK: usize = 1 << 14;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  perceptra predict penguins.perceptra new.csv
  perceptra predict penguins.perceptra new.parquet -o species.parquet --proba
  perceptra predict ensemble.perceptra new.csv --uncertainty
  cat new.csv | perceptra predict penguins.perceptra - | head")]
pub(crate) struct PredictArgs {
    /// Model file
    model: PathBuf,
    /// Table, or - for standard input; columns are matched by name, unknown ones are ignored
    table: PathBuf,
    /// File to write, in the format of its extension: .csv, .tsv, .parquet, .jsonl [default: CSV to standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Add the probability of each class as a column proba_CLASS
    #[arg(long)]
    proba: bool,
    /// For an ensemble, add the standard deviation of the prediction, or of the class's probability, over its networks
    #[arg(long)]
    uncertainty: bool,
    /// For numbers, add the bounds of a prediction interval with this coverage, from the residuals of the validation rows
    #[arg(long, value_name = "COVERAGE")]
    interval: Option<f64>,
    /// Fail on columns that the model does not know, except its targets
    #[arg(long)]
    strict: bool,
    /// Device: auto, cpu, flex, ndarray, wgpu[:N], cuda[:N]...
    #[arg(long, default_value = "auto")]
    device: String,
    /// Do not show notes
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    read: ReadArgs,
}

/// The format that the name of the output asks for.
fn format_of(path: &Path) -> Result<PredictionFormat, CliError> {
    PredictionFormat::of_path(path).ok_or_else(|| {
        let endings: Vec<_> = PredictionFormat::ALL.iter().map(|format| format.extensions()[0]).collect();
        CliError::usage(
            format!("{}: the name does not say a format", path.display()),
            &format!("end it in .{}", endings.join(", .")),
        )
    })
}

pub(crate) fn run(args: &PredictArgs) -> Result<(), CliError> {
    let format = args.output.as_deref().map_or(Ok(PredictionFormat::Csv), format_of)?;
    if let Some(output) = &args.output
        && (same_file(output, &args.table) || same_file(output, &args.model))
    {
        return Err(CliError::usage("the predictions would overwrite their own input", "choose another --output"));
    }
    let model = load_model(&args.model, &args.device)?;
    let (probabilities, uncertainty, interval) = (args.proba, args.uncertainty, args.interval);
    let columns = PredictionColumns::new(&model, PredictionOptions { probabilities, uncertainty, interval })?;
    // A file that is half written is removed.
    if args.output.is_some() {
        signals::watch();
    }
    let mut options = model.read_options();
    args.read.apply(&mut options);
    let reader = TableReader::open(&args.table, &options, CHUNK)?;
    model.about().encoder.check_columns(&args.table.display().to_string(), reader.columns())?;
    let unknown = model.about().schema.unknown(reader.columns());
    // What has no name may be empty: that is known in the end.
    let nameless = reader.empty_columns();
    let named: Vec<&str> = unknown.iter().map(String::as_str).filter(|column| !nameless.contains(column)).collect();
    if args.strict && !named.is_empty() {
        return Err(CliError::Other {
            message: format!("{}: the model does not know the columns {}", args.table.display(), named.join(", ")),
            hint: Some("without --strict they are ignored".into()),
        });
    }
    let mut seen = Seen::default();
    match &args.output {
        None => {
            let out = std::io::BufWriter::with_capacity(1 << 16, std::io::stdout());
            write(&model, reader, PredictionWriter::new(out, format, columns)?, &mut seen)?;
        }
        Some(path) => {
            write_atomic(path, |file| write(&model, reader, PredictionWriter::new(file, format, columns)?, &mut seen))
                .map_err(|e| match e {
                    CliError::Io(source) => CliError::write(path, source),
                    other => other,
                })?;
        }
    }
    if !args.quiet {
        read_notes(&seen.notes);
        let unknown: Vec<&str> = unknown
            .iter()
            .map(String::as_str)
            .filter(|column| !seen.empty.iter().any(|empty| empty == column))
            .collect();
        if !unknown.is_empty() {
            note(&format!("note: columns that the model does not know are ignored: {}", unknown.join(", ")));
        }
        for (column, n) in &seen.report.missing {
            note(&format!("note: column {column:?}: {n} missing values were filled in"));
        }
        for (column, n) in &seen.report.unseen {
            note(&format!("note: column {column:?}: {n} values are not among the categories known from training"));
        }
    }
    Ok(())
}

/// What there is to note of the rows that were predicted.
#[derive(Debug, Default)]
struct Seen {
    report: EncodeReport,
    notes: Vec<Note>,
    /// Columns without a name and without a value.
    empty: Vec<String>,
}

/// Predicts a table piece by piece and writes each piece at once; adds up what there is to note of them.
fn write<W: Write + Send>(
    model: &Model,
    mut reader: TableReader,
    mut writer: PredictionWriter<'_, W>,
    seen: &mut Seen,
) -> Result<(), CliError> {
    while let Some(table) = reader.next() {
        if let Some(interrupted) = CliError::interrupted("the predictions are not complete") {
            return Err(interrupted);
        }
        let predictions = model.predict(&table?)?;
        seen.report += &predictions.report;
        writer.write(&predictions)?;
        // Who gives rows one by one may wait for the predictions.
        writer.flush()?;
    }
    seen.notes = reader.notes();
    seen.empty = reader.empty_columns().into_iter().map(str::to_owned).collect();
    Ok(writer.finish()?)
}
