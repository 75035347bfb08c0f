//! `perceptra predict`

use std::io::Write;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, sync_channel};

use clap::Args;
use perceptra::data::{DataError, EncodeReport, ReadNote, Schema, TableReader};
use perceptra::model::{PredictionColumns, PredictionFormat, PredictionOptions, PredictionWriter};
use perceptra::{Model, ModelError, Table};
use perceptra_files::write_atomic;

use crate::run_args::columns_in;
use crate::{CliError, ReadArgs, hints, load_model, notes, read_notes, same_file, signals};

/// Number of rows in memory at once.
const CHUNK: usize = 1 << 14;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  perceptra predict penguins.perceptra new.csv
  perceptra predict penguins.perceptra new.parquet -o species.parquet --proba
  perceptra predict ensemble.perceptra new.csv --uncertainty
  perceptra predict churn.perceptra new.csv --keep customer,region
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
    /// Columns of the table to write before the predictions, as they are; `all` for all of them
    #[arg(long, value_name = "COLUMN", allow_hyphen_values = true)]
    keep: Vec<String>,
    /// Predict although none of a column's categories is known to the model
    #[arg(long)]
    allow_unseen: bool,
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

pub(crate) fn run(args: &PredictArgs) -> Result<(), CliError> {
    let format = args.output.as_deref().map_or(Ok(PredictionFormat::Csv), PredictionFormat::of_path);
    let format =
        format.map_err(|e| CliError::Usage { message: e.to_string(), hint: e.hint().map(|hint| hint.to_string()) })?;
    if let Some(output) = &args.output
        && (same_file(output, &args.table) || same_file(output, &args.model))
    {
        return Err(CliError::usage("the predictions would overwrite their own input", "choose another --output"));
    }
    let model = load_model(&args.model, &args.device)?;
    let (probabilities, uncertainty, interval) = (args.proba, args.uncertainty, args.interval);
    if probabilities && !model.about().schema.task.is_classification() {
        return Err(CliError::Other {
            message: format!(
                "{}: the model predicts numbers, and only classes have probabilities",
                args.model.display()
            ),
            hint: Some("leave out --proba; --interval 0.9 adds bounds that hold 9 of 10 values".into()),
        });
    }
    let options = PredictionOptions { probabilities, uncertainty, interval };
    let mut columns = PredictionColumns::new(&model, options).map_err(|e| match e {
        // These say what the model lacks, and not which model.
        ModelError::NoUncertainty | ModelError::NoIntervals(_) => CliError::Other {
            message: format!("{}: {e}", args.model.display()),
            hint: e.hint().map(|hint| hints::model(&hint, hints::Flags::Model)),
        },
        other => other.into(),
    })?;
    // A file that is half written is removed.
    if args.output.is_some() {
        signals::watch();
    }
    let mut options = model.read_options();
    args.read.apply(&mut options);
    let mut reader = TableReader::open(&args.table, &options, CHUNK)?;
    model.about().encoder.check_columns(&args.table.display().to_string(), reader.columns())?;
    let columns_read = reader.columns().to_vec();
    // What has no name may be empty: that is known in the end.
    let nameless: Vec<String> = reader.empty_columns().into_iter().map(str::to_owned).collect();
    let named: Vec<String> = columns_read.iter().filter(|column| !nameless.contains(column)).cloned().collect();
    let unknown = model.about().schema.unknown(&named);
    let kept = kept(&args.keep, &columns_read);
    if !kept.is_empty() {
        columns = columns.keep(&*reader.keep(&kept)?)?;
    }
    if args.strict && !unknown.is_empty() {
        return Err(CliError::Other {
            message: format!("{}: the model does not know the columns {}", args.table.display(), unknown.join(", ")),
            hint: Some("without --strict they are ignored".into()),
        });
    }
    let name = args.table.display().to_string();
    let mut seen = Seen { name, allow_unseen: args.allow_unseen, ..Seen::default() };
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
        let is_used = |name: &String| !kept.contains(name) && !seen.empty.contains(name);
        let others: Vec<String> = columns_read.into_iter().filter(is_used).collect();
        notes::unknown(&model.about().schema, &others);
        notes::using(&seen.report, seen.rows, &model.about().encoder);
    }
    Ok(())
}

/// The columns to keep of a table with these columns, each once.
fn kept(asked: &[String], columns: &[String]) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for column in asked.iter().flat_map(|text| columns_in(text, &|| columns)) {
        let named: &[String] = if column == "all" { columns } else { std::slice::from_ref(&column) };
        for name in named {
            if !kept.contains(name) {
                kept.push(name.clone());
            }
        }
    }
    kept
}

/// Notes on the rows that were predicted.
#[derive(Debug, Default)]
struct Seen {
    /// The table.
    name: String,
    rows: usize,
    allow_unseen: bool,
    report: EncodeReport,
    notes: Vec<ReadNote>,
    /// Columns without a name and without a value.
    empty: Vec<String>,
}

/// A message of the thread that reads.
enum Read {
    Piece(Box<Result<Table, DataError>>),
    /// There are no more pieces: what there is to say of all of them, and the columns without a name and without a value.
    End(Vec<ReadNote>, Vec<String>),
}

/// Reads a table in a thread of its own, a piece ahead. It is not waited for: it may wait for a slow writer when the program ends.
fn read_ahead(mut reader: TableReader, schema: Schema) -> Receiver<Read> {
    let (sender, receiver) = sync_channel(1);
    std::thread::spawn(move || {
        for piece in reader.by_ref() {
            if let Ok(table) = &piece {
                table.parse(&schema);
            }
            // Nobody listens after an error.
            if sender.send(Read::Piece(Box::new(piece))).is_err() {
                return;
            }
        }
        let empty = reader.empty_columns().into_iter().map(str::to_owned).collect();
        let _ = sender.send(Read::End(reader.notes(), empty));
    });
    receiver
}

/// Predicts a table piece by piece and writes each piece at once; adds up what there is to note of them.
fn write<W: Write + Send>(
    model: &Model,
    reader: TableReader,
    mut writer: PredictionWriter<'_, W>,
    seen: &mut Seen,
) -> Result<(), CliError> {
    let reading = read_ahead(reader, model.about().schema.clone());
    let next = |seen: &mut Seen| match reading.recv() {
        Ok(Read::Piece(piece)) => Ok(Some((*piece)?)),
        Ok(Read::End(notes, empty)) => {
            (seen.notes, seen.empty) = (notes, empty);
            Ok::<_, CliError>(None)
        }
        Err(_) => Err(CliError::Internal("the thread that reads has ended".to_owned())),
    };
    let mut piece = next(seen)?;
    while let Some(table) = piece.take() {
        if let Some(interrupted) = CliError::interrupted("the predictions are not complete") {
            return Err(interrupted);
        }
        let predictions = model.predict(&table)?;
        seen.report += &predictions.report;
        seen.rows += table.rows();
        let mut ended = false;
        if seen.rows == table.rows() && seen.report.all_unseen(seen.rows).is_some() {
            // If there are no other rows, nothing is written.
            piece = next(seen)?;
            ended = piece.is_none();
            if ended {
                notes::refuse_unseen(&seen.name, &seen.report, seen.rows, seen.allow_unseen)?;
            }
        }
        writer.write_with(&predictions, &table)?;
        // Who gives rows one by one may wait for the predictions.
        writer.flush()?;
        if piece.is_none() && !ended {
            piece = next(seen)?;
        }
    }
    notes::refuse_unseen(&seen.name, &seen.report, seen.rows, seen.allow_unseen)?;
    Ok(writer.finish()?)
}
