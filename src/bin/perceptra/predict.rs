//! `perceptra predict`

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use clap::Args;
use parquet::arrow::ArrowWriter;
use perceptra::data::{EncodeReport, TableReader};
use perceptra::train::write_atomic;
use perceptra::{Model, Predictions};

use crate::{CliError, ReadArgs, load_model, note, same_file, signals};

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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Separated(u8),
    JsonLines,
    Parquet,
}

impl Format {
    fn of(path: &Path) -> Result<Self, CliError> {
        match path.extension().and_then(|e| e.to_str()).unwrap_or_default() {
            "csv" => Ok(Self::Separated(b',')),
            "tsv" | "tab" => Ok(Self::Separated(b'\t')),
            "jsonl" | "ndjson" => Ok(Self::JsonLines),
            "parquet" => Ok(Self::Parquet),
            _ => Err(CliError::usage(
                format!("{}: the name does not say a format", path.display()),
                "end it in .csv, .tsv, .jsonl or .parquet",
            )),
        }
    }
}

pub(crate) fn run(args: &PredictArgs) -> Result<(), CliError> {
    let format = args.output.as_deref().map_or(Ok(Format::Separated(b',')), Format::of)?;
    if let Some(output) = &args.output
        && (same_file(output, &args.table) || same_file(output, &args.model))
    {
        return Err(CliError::usage("the predictions would overwrite their own input", "choose another --output"));
    }
    let model = load_model(&args.model, &args.device)?;
    if args.uncertainty && model.members().count() == 1 {
        return Err(CliError::Other {
            message: format!(
                "{}: the model is one network, which says nothing of its uncertainty",
                args.model.display()
            ),
            hint: Some(
                "train several as one model: perceptra train --ensemble 5, or perceptra search --ensemble auto".into(),
            ),
        });
    }
    // A file that is half written is removed.
    if args.output.is_some() {
        signals::watch();
    }
    let mut options = model.read_options();
    args.read.apply(&mut options);
    let reader = TableReader::open(&args.table, &options, CHUNK)?;
    model.encoder().check_columns(&args.table.display().to_string(), reader.columns())?;
    let unknown = model.schema().unknown(reader.columns());
    if args.strict && !unknown.is_empty() {
        return Err(CliError::Other {
            message: format!("{}: the model does not know the columns {}", args.table.display(), unknown.join(", ")),
            hint: Some("without --strict they are ignored".into()),
        });
    }
    let half_widths = args.interval.map(|coverage| model.half_widths(coverage)).transpose()?;
    let half_widths = half_widths.as_deref().unwrap_or_default();
    let columns = Columns { proba: args.proba, uncertainty: args.uncertainty, half_widths };
    let mut job = Job { model: &model, columns, report: EncodeReport::default() };
    match &args.output {
        None => {
            let out = std::io::BufWriter::with_capacity(1 << 16, std::io::stdout());
            job.write(reader, format, out)?;
        }
        Some(path) => write_atomic(path, |file| job.write(reader, format, file)).map_err(|e| match e {
            CliError::Io(source) => CliError::write(path, source),
            other => other,
        })?,
    }
    if !args.quiet {
        if !unknown.is_empty() {
            note(&format!("note: columns that the model does not know are ignored: {}", unknown.join(", ")));
        }
        for (column, n) in &job.report.missing {
            note(&format!("note: column {column:?}: {n} missing values were filled in"));
        }
        for (column, n) in &job.report.unseen {
            note(&format!("note: column {column:?}: {n} values are not among the categories known from training"));
        }
    }
    Ok(())
}

/// What is written besides the predictions.
#[derive(Debug, Clone, Copy)]
struct Columns<'a> {
    proba: bool,
    uncertainty: bool,
    /// Half the width of the interval of each target, if there are intervals.
    half_widths: &'a [f32],
}

struct Job<'a> {
    model: &'a Model,
    columns: Columns<'a>,
    report: EncodeReport,
}

impl Job<'_> {
    /// Predicts piece by piece and writes each at once.
    fn write(&mut self, reader: TableReader, format: Format, out: impl Write + Send) -> Result<(), CliError> {
        let schema = Arc::new(Schema::new(self.fields()));
        match format {
            Format::Separated(separator) => {
                let mut writer = csv::WriterBuilder::new().delimiter(separator).from_writer(out);
                writer.write_record(schema.fields().iter().map(|f| f.name())).map_err(csv_error)?;
                let mut cell = String::new();
                self.each(reader, |predictions, columns| {
                    for row in 0..predictions.values.rows {
                        for value in cells(predictions, row, columns) {
                            cell.clear();
                            value.write_to(&mut cell);
                            writer.write_field(&cell).map_err(csv_error)?;
                        }
                        writer.write_record(None::<&[u8]>).map_err(csv_error)?;
                    }
                    Ok(())
                })?;
                Ok(writer.flush()?)
            }
            Format::JsonLines => {
                let mut out = out;
                self.each(reader, |predictions, columns| {
                    for row in 0..predictions.values.rows {
                        let object: serde_json::Map<String, serde_json::Value> = schema
                            .fields()
                            .iter()
                            .zip(cells(predictions, row, columns))
                            .map(|(field, value)| (field.name().clone(), value.json()))
                            .collect();
                        serde_json::to_writer(&mut out, &object).map_err(std::io::Error::from)?;
                        out.write_all(b"\n")?;
                    }
                    Ok(())
                })?;
                Ok(out.flush()?)
            }
            Format::Parquet => {
                let parquet = |e: parquet::errors::ParquetError| CliError::Io(std::io::Error::other(e));
                let mut writer = ArrowWriter::try_new(out, schema.clone(), None).map_err(parquet)?;
                self.each(reader, |predictions, columns| {
                    let batch = RecordBatch::try_new(schema.clone(), arrays(predictions, columns))
                        .map_err(|e| CliError::Io(std::io::Error::other(e)))?;
                    writer.write(&batch).map_err(parquet)
                })?;
                writer.close().map_err(parquet).map(|_| ())
            }
        }
    }

    fn each(
        &mut self,
        reader: TableReader,
        mut write: impl FnMut(&Predictions, Columns<'_>) -> Result<(), CliError>,
    ) -> Result<(), CliError> {
        for table in reader {
            if let Some(interrupted) = CliError::interrupted("the predictions are not complete") {
                return Err(interrupted);
            }
            let predictions = self.model.predict(&table?)?;
            self.report.add(&predictions.report);
            write(&predictions, self.columns)?;
        }
        Ok(())
    }

    /// The columns of the output: `prediction`, or one for each of several targets, then the probabilities, then the uncertainty.
    fn fields(&self) -> Vec<Field> {
        let encoder = self.model.encoder();
        let Columns { proba, uncertainty, half_widths } = self.columns;
        let number = |name: String| Field::new(name, DataType::Float32, false);
        match (encoder.labels(), encoder.targets().as_slice()) {
            (Some(labels), _) => {
                let proba = labels.iter().filter(|_| proba).map(|l| number(format!("proba_{l}")));
                std::iter::once(Field::new("prediction", DataType::Utf8, false))
                    .chain(proba)
                    .chain(uncertainty.then(|| number("uncertainty".into())))
                    .collect()
            }
            (None, targets) => {
                let several = targets.len() > 1;
                let name = |what: &str, t: &str| if several { format!("{what}_{t}") } else { what.to_owned() };
                let bounds: &[&str] = if half_widths.is_empty() { &[] } else { &["lower", "upper"] };
                let whats = ["prediction"].iter().chain(uncertainty.then_some(&"uncertainty")).chain(bounds);
                whats.flat_map(|what| targets.iter().map(move |t| (what, t))).map(|(w, t)| number(name(w, t))).collect()
            }
        }
    }
}

enum Cell<'a> {
    Number(f32),
    Label(&'a str),
}

impl Cell<'_> {
    fn write_to(&self, text: &mut String) {
        use std::fmt::Write;
        // Writing to a string does not fail.
        let _ = match self {
            Self::Number(x) => write!(text, "{x}"),
            Self::Label(label) => write!(text, "{label}"),
        };
    }

    fn json(&self) -> serde_json::Value {
        match self {
            Self::Number(x) => serde_json::Number::from_f64(f64::from(*x)).map_or(serde_json::Value::Null, Into::into),
            Self::Label(label) => (*label).into(),
        }
    }
}

/// The uncertainties of a row: of every number, or of the class that is predicted.
fn uncertainties(predictions: &Predictions, row: usize) -> &[f32] {
    let Some(spread) = &predictions.spread else { return &[] };
    let range = row * spread.columns..(row + 1) * spread.columns;
    let values = &spread.values[range.clone()];
    match predictions.labels {
        None => values,
        Some(_) => std::slice::from_ref(&values[perceptra::train::argmax(&predictions.values.values[range])]),
    }
}

fn cells<'a>(predictions: &'a Predictions, row: usize, what: Columns<'a>) -> impl Iterator<Item = Cell<'a>> {
    let columns = predictions.values.columns;
    let values = &predictions.values.values[row * columns..(row + 1) * columns];
    let label = predictions.labels.as_ref().map(|labels| Cell::Label(&labels[perceptra::train::argmax(values)]));
    let numbers = if label.is_none() || what.proba { values } else { &[] };
    let uncertainties = if what.uncertainty { uncertainties(predictions, row) } else { &[] };
    let bound = move |sign: f32| values.iter().zip(what.half_widths).map(move |(x, half)| x + sign * half);
    let numbers = numbers.iter().chain(uncertainties).copied().chain(bound(-1.0)).chain(bound(1.0));
    label.into_iter().chain(numbers.map(Cell::Number))
}

fn arrays(predictions: &Predictions, what: Columns<'_>) -> Vec<ArrayRef> {
    let matrix = &predictions.values;
    let number = |j: usize| -> ArrayRef {
        Arc::new(matrix.values.iter().skip(j).step_by(matrix.columns).copied().collect::<Float32Array>())
    };
    let mut arrays: Vec<ArrayRef> = match &predictions.labels {
        None => (0..matrix.columns).map(number).collect(),
        Some(labels) => {
            let classes: StringArray = predictions.classes().into_iter().map(|c| Some(labels[c].as_str())).collect();
            let count = if what.proba { labels.len() } else { 0 };
            std::iter::once(Arc::new(classes) as ArrayRef).chain((0..count).map(number)).collect()
        }
    };
    if what.uncertainty {
        let count = if predictions.labels.is_some() { 1 } else { matrix.columns };
        for j in 0..count {
            let column = (0..matrix.rows).map(|row| uncertainties(predictions, row)[j]);
            arrays.push(Arc::new(column.collect::<Float32Array>()));
        }
    }
    for sign in [-1.0, 1.0] {
        for (j, half) in what.half_widths.iter().enumerate() {
            let column = matrix.values.iter().skip(j).step_by(matrix.columns).map(|x| x + sign * half);
            arrays.push(Arc::new(column.collect::<Float32Array>()));
        }
    }
    arrays
}

fn csv_error(error: csv::Error) -> CliError {
    let text = error.to_string();
    match error.into_kind() {
        csv::ErrorKind::Io(e) => CliError::Io(e),
        _ => CliError::Io(std::io::Error::other(text)),
    }
}
