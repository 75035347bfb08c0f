//! Predictions as CSV, JSON lines or Parquet.

use std::io::{Error, ErrorKind, Result as IoResult, Write};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::errors::ParquetError;
use perceptra_train::argmax;

use crate::error::ModelError;
use crate::model::Model;
use crate::predictions::Predictions;

/// A file format that predictions are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PredictionFormat {
    /// Fields separated by commas, after a header.
    Csv,
    /// Fields separated by tabs, after a header.
    Tsv,
    /// One JSON object a line.
    JsonLines,
    /// Apache Parquet.
    Parquet,
}

perceptra_nn::all_variants! { PredictionFormat: Csv, Tsv, JsonLines, Parquet }

impl PredictionFormat {
    /// The endings of names of such files, the usual one first.
    pub fn extensions(self) -> &'static [&'static str] {
        match self {
            Self::Csv => &["csv"],
            Self::Tsv => &["tsv", "tab"],
            Self::JsonLines => &["jsonl", "ndjson"],
            Self::Parquet => &["parquet"],
        }
    }

    /// The format that the name of a file asks for by its ending.
    pub fn of_path(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?;
        Self::ALL.iter().copied().find(|format| format.extensions().contains(&extension))
    }
}

/// The columns to write besides the predictions.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct PredictionOptions {
    /// Whether to write the probability of each class as `proba_CLASS`; ignored for regression.
    pub probabilities: bool,
    /// Whether to write the standard deviation over the members of an ensemble as `uncertainty`: that of the probability of the
    /// predicted class, or of each target.
    pub uncertainty: bool,
    /// Coverage of the prediction intervals to write as `lower` and `upper`, from [`Model::half_widths`].
    pub interval: Option<f64>,
}

/// The columns that predictions of a model are written in: `prediction`, or `prediction_TARGET` for each of several targets, and those
/// of [`PredictionOptions`].
#[derive(Debug, Clone)]
pub struct PredictionColumns<'a> {
    model: &'a Model,
    options: PredictionOptions,
    /// Half the width of each target's interval; none for no intervals.
    half_widths: Vec<f32>,
}

impl<'a> PredictionColumns<'a> {
    /// The columns of a model's predictions.
    ///
    /// # Errors
    ///
    /// [`ModelError::NoUncertainty`] for the uncertainty of a model of one network, and for intervals as [`Model::half_widths`].
    pub fn new(model: &'a Model, options: PredictionOptions) -> Result<Self, ModelError> {
        if options.uncertainty && model.members().count() == 1 {
            return Err(ModelError::NoUncertainty);
        }
        let half_widths = options.interval.map(|coverage| model.half_widths(coverage)).transpose()?.unwrap_or_default();
        Ok(Self { model, options, half_widths })
    }

    fn fields(&self) -> Vec<Field> {
        let encoder = &self.model.about().encoder;
        let number = |name: String| Field::new(name, DataType::Float32, false);
        match (encoder.labels(), encoder.targets().as_slice()) {
            (Some(labels), _) => {
                let probabilities = labels.iter().filter(|_| self.options.probabilities);
                std::iter::once(Field::new("prediction", DataType::Utf8, false))
                    .chain(probabilities.map(|label| number(format!("proba_{label}"))))
                    .chain(self.options.uncertainty.then(|| number("uncertainty".into())))
                    .collect()
            }
            (None, targets) => {
                let several = targets.len() > 1;
                let name = |kind: &str, target: &str| match several {
                    true => format!("{kind}_{target}"),
                    false => kind.to_owned(),
                };
                let bounds: &[&str] = if self.half_widths.is_empty() { &[] } else { &["lower", "upper"] };
                let kinds =
                    ["prediction"].iter().chain(self.options.uncertainty.then_some(&"uncertainty")).chain(bounds);
                let columns = kinds.flat_map(|kind| targets.iter().map(move |target| (kind, target)));
                columns.map(|(kind, target)| number(name(kind, target))).collect()
            }
        }
    }

    /// Whether the columns can be filled from `predictions`.
    fn fit(&self, predictions: &Predictions) -> bool {
        let encoder = &self.model.about().encoder;
        let columns = encoder.labels().map_or(encoder.targets().len(), <[String]>::len);
        predictions.labels.as_deref() == encoder.labels()
            && predictions.values.columns == columns
            && (!self.options.uncertainty || predictions.spread.is_some())
    }

    /// The cells of a row.
    fn cells<'p>(&'p self, predictions: &'p Predictions, row: usize) -> impl Iterator<Item = Cell<'p>> {
        let columns = predictions.values.columns;
        let values = &predictions.values.values[row * columns..(row + 1) * columns];
        let label = predictions.labels.as_ref().map(|labels| Cell::Label(&labels[argmax(values)]));
        let numbers = if label.is_none() || self.options.probabilities { values } else { &[] };
        let uncertainties = if self.options.uncertainty { uncertainties(predictions, row) } else { &[] };
        let bound = move |sign: f32| values.iter().zip(&self.half_widths).map(move |(x, half)| x + sign * half);
        let numbers = numbers.iter().chain(uncertainties).copied().chain(bound(-1.0)).chain(bound(1.0));
        label.into_iter().chain(numbers.map(Cell::Number))
    }

    /// The cells of all rows, column by column.
    fn arrays(&self, predictions: &Predictions) -> Vec<ArrayRef> {
        let matrix = &predictions.values;
        let column = |j: usize| matrix.values.iter().skip(j).step_by(matrix.columns).copied();
        let number = |j: usize| -> ArrayRef { Arc::new(column(j).collect::<Float32Array>()) };
        let mut arrays: Vec<ArrayRef> = match &predictions.labels {
            None => (0..matrix.columns).map(number).collect(),
            Some(labels) => {
                let classes: StringArray =
                    predictions.classes().into_iter().map(|c| Some(labels[c].as_str())).collect();
                let count = if self.options.probabilities { labels.len() } else { 0 };
                std::iter::once(Arc::new(classes) as ArrayRef).chain((0..count).map(number)).collect()
            }
        };
        if self.options.uncertainty {
            let count = if predictions.labels.is_some() { 1 } else { matrix.columns };
            for j in 0..count {
                let values = (0..matrix.rows).map(|row| uncertainties(predictions, row)[j]);
                arrays.push(Arc::new(values.collect::<Float32Array>()));
            }
        }
        for sign in [-1.0, 1.0] {
            for (j, half) in self.half_widths.iter().enumerate() {
                arrays.push(Arc::new(column(j).map(|x| x + sign * half).collect::<Float32Array>()));
            }
        }
        arrays
    }
}

/// The uncertainties of a row: of every target, or of the predicted class.
fn uncertainties(predictions: &Predictions, row: usize) -> &[f32] {
    let Some(spread) = &predictions.spread else { return &[] };
    let range = row * spread.columns..(row + 1) * spread.columns;
    let values = &spread.values[range.clone()];
    match predictions.labels {
        None => values,
        Some(_) => std::slice::from_ref(&values[argmax(&predictions.values.values[range])]),
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

    /// The cell in JSON, which has no NaN: null stands for it.
    fn json(&self) -> serde_json::Value {
        match self {
            Self::Number(x) => serde_json::Number::from_f64(f64::from(*x)).map_or(serde_json::Value::Null, Into::into),
            Self::Label(label) => (*label).into(),
        }
    }
}

/// Writes predictions piece by piece.
///
/// ```
/// # use burn::tensor::Device;
/// # use perceptra_data::Table;
/// use perceptra_model::{PredictionColumns, PredictionFormat, PredictionOptions, PredictionWriter};
/// # use perceptra_model::{RunConfig, Tables, train};
///
/// # let rows: String = (0..100).map(|i| format!("{i},{}\n", 3 * i + 1)).collect();
/// # let table = Table::from_csv("line.csv", format!("x,y\n{rows}"), &Default::default())?;
/// # let mut run = RunConfig::default();
/// # run.data.schema.target = vec!["y".into()];
/// # run.train.epochs = 2;
/// # let model = train(&run, &Tables::from(table.clone()), &Device::flex(), &mut ())?.model;
/// let mut file = Vec::new();
/// let options = PredictionOptions { interval: Some(0.8), ..PredictionOptions::default() };
/// let columns = PredictionColumns::new(&model, options)?;
/// let mut writer = PredictionWriter::new(&mut file, PredictionFormat::Csv, columns)?;
/// for piece in [&table, &table] {
///     writer.write(&model.predict(piece)?)?;
/// }
/// writer.finish()?;
/// assert!(file.starts_with(b"prediction,lower,upper\n"));
/// assert_eq!(file.iter().filter(|byte| **byte == b'\n').count(), 1 + 2 * 100);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct PredictionWriter<'a, W: Write + Send> {
    columns: PredictionColumns<'a>,
    schema: SchemaRef,
    encoder: FormatWriter<W>,
}

impl<W: Write + Send> std::fmt::Debug for PredictionWriter<'_, W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PredictionWriter").field("schema", &self.schema).finish_non_exhaustive()
    }
}

enum FormatWriter<W: Write + Send> {
    Separated(csv::Writer<W>),
    JsonLines(W),
    Parquet(ArrowWriter<W>),
}

impl<'a, W: Write + Send> PredictionWriter<'a, W> {
    /// Begins a file in `out`, which should be buffered.
    ///
    /// # Errors
    ///
    /// Errors of `out`.
    pub fn new(out: W, format: PredictionFormat, columns: PredictionColumns<'a>) -> IoResult<Self> {
        let schema = Arc::new(Schema::new(columns.fields()));
        let separated = |separator: u8, out: W| {
            let mut writer = csv::WriterBuilder::new().delimiter(separator).from_writer(out);
            writer.write_record(schema.fields().iter().map(|f| f.name())).map_err(csv_error)?;
            Ok::<_, Error>(FormatWriter::Separated(writer))
        };
        let encoder = match format {
            PredictionFormat::Csv => separated(b',', out)?,
            PredictionFormat::Tsv => separated(b'\t', out)?,
            PredictionFormat::JsonLines => FormatWriter::JsonLines(out),
            PredictionFormat::Parquet => {
                FormatWriter::Parquet(ArrowWriter::try_new(out, schema.clone(), None).map_err(parquet_error)?)
            }
        };
        Ok(Self { columns, schema, encoder })
    }

    /// Writes the rows of `predictions`, which the model of the columns made.
    ///
    /// # Errors
    ///
    /// Errors of `out`; [`ErrorKind::InvalidInput`] for predictions of another model.
    pub fn write(&mut self, predictions: &Predictions) -> IoResult<()> {
        let columns = &self.columns;
        if !columns.fit(predictions) {
            return Err(Error::new(ErrorKind::InvalidInput, "the predictions are those of another model"));
        }
        let rows = 0..predictions.values.rows;
        match &mut self.encoder {
            FormatWriter::Separated(writer) => {
                let mut text = String::new();
                for row in rows {
                    for cell in columns.cells(predictions, row) {
                        text.clear();
                        cell.write_to(&mut text);
                        writer.write_field(&text).map_err(csv_error)?;
                    }
                    writer.write_record(None::<&[u8]>).map_err(csv_error)?;
                }
                Ok(())
            }
            FormatWriter::JsonLines(out) => {
                for row in rows {
                    let fields = self.schema.fields().iter().zip(columns.cells(predictions, row));
                    let object: serde_json::Map<String, serde_json::Value> =
                        fields.map(|(field, cell)| (field.name().clone(), cell.json())).collect();
                    serde_json::to_writer(&mut *out, &object).map_err(Error::from)?;
                    out.write_all(b"\n")?;
                }
                Ok(())
            }
            FormatWriter::Parquet(writer) => {
                let batch = RecordBatch::try_new(self.schema.clone(), columns.arrays(predictions));
                writer.write(&batch.map_err(Error::other)?).map_err(parquet_error)
            }
        }
    }

    /// Passes on what has been written, so that who reads along sees it. A Parquet file is written in larger parts, at its own pace.
    ///
    /// # Errors
    ///
    /// Errors of `out`.
    pub fn flush(&mut self) -> IoResult<()> {
        match &mut self.encoder {
            FormatWriter::Separated(writer) => writer.flush(),
            FormatWriter::JsonLines(out) => out.flush(),
            FormatWriter::Parquet(_) => Ok(()),
        }
    }

    /// Ends the file.
    ///
    /// # Errors
    ///
    /// Errors of `out`.
    pub fn finish(self) -> IoResult<()> {
        match self.encoder {
            FormatWriter::Separated(mut writer) => writer.flush(),
            FormatWriter::JsonLines(mut out) => out.flush(),
            FormatWriter::Parquet(writer) => writer.close().map_err(parquet_error).map(|_| ()),
        }
    }
}

fn csv_error(error: csv::Error) -> Error {
    let text = error.to_string();
    match error.into_kind() {
        csv::ErrorKind::Io(e) => e,
        _ => Error::other(text),
    }
}

fn parquet_error(error: ParquetError) -> Error {
    Error::other(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;
    use perceptra_data::Table;

    use crate::run::RunConfig;
    use crate::tables::Tables;
    use crate::train::train;

    fn model(targets: &[&str], ensemble: usize) -> (Model, Table) {
        let row = |i: usize| format!("{},{},{},{}\n", i % 11, 2 * (i % 11), i % 7, ["a", "b", "c"][i % 3]);
        let rows: String = (0..90).map(row).collect();
        let table = Table::from_csv("t.csv", format!("x,y,z,class\n{rows}"), &Default::default()).unwrap();
        let mut run = RunConfig::default();
        run.data.schema.target = targets.iter().map(|&t| t.to_owned()).collect();
        run.network.hidden = vec![4];
        run.network.ensemble = ensemble;
        run.train.epochs = 2;
        (train(&run, &Tables::from(table.clone()), &Device::flex(), &mut ()).unwrap().model, table)
    }

    fn text(format: PredictionFormat, columns: PredictionColumns<'_>, predictions: &Predictions) -> String {
        let mut out = Vec::new();
        let mut writer = PredictionWriter::new(&mut out, format, columns).unwrap();
        writer.write(predictions).unwrap();
        writer.finish().unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_format_has_the_same_columns_and_cells() {
        use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
        let (model, table) = model(&["y", "z"], 2);
        let predictions = model.predict(&table).unwrap();
        let options = PredictionOptions { uncertainty: true, interval: Some(0.7), ..Default::default() };
        let columns = || PredictionColumns::new(&model, options).unwrap();
        let names = "prediction_y,prediction_z,uncertainty_y,uncertainty_z,lower_y,lower_z,upper_y,upper_z";
        for &format in PredictionFormat::ALL {
            let path = format!("p.{}", format.extensions()[0]);
            assert_eq!(PredictionFormat::of_path(path.as_ref()), Some(format));
            if format == PredictionFormat::Parquet {
                let file = tempfile::tempfile().unwrap();
                let mut writer = PredictionWriter::new(file.try_clone().unwrap(), format, columns()).unwrap();
                writer.write(&predictions).unwrap();
                writer.finish().unwrap();
                let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
                let batch = reader.build().unwrap().next().unwrap().unwrap();
                assert_eq!(
                    batch.schema().fields().iter().map(|f| f.name().as_str()).collect::<Vec<_>>().join(","),
                    names
                );
                let upper = batch.column(7).as_any().downcast_ref::<Float32Array>().unwrap();
                assert_eq!(upper.value(5), predictions.values.values[11] + columns().half_widths[1]);
                continue;
            }
            let text = text(format, columns(), &predictions);
            let line = text.lines().nth(6).unwrap();
            let cells: Vec<f32> = match format {
                PredictionFormat::Csv | PredictionFormat::Tsv => {
                    let separator = if format == PredictionFormat::Csv { ',' } else { '\t' };
                    assert_eq!(text.lines().next().unwrap(), names.replace(',', &separator.to_string()));
                    line.split(separator).map(|cell| cell.parse().unwrap()).collect()
                }
                PredictionFormat::JsonLines => {
                    let object: serde_json::Value = serde_json::from_str(text.lines().nth(5).unwrap()).unwrap();
                    names.split(',').map(|name| object[name].as_f64().unwrap() as f32).collect()
                }
                PredictionFormat::Parquet => unreachable!(),
            };
            let [y, z] = [10, 11].map(|i| predictions.values.values[i]);
            assert_eq!(cells[..2], [y, z], "{format:?}");
            assert_eq!(cells[6..], [y + columns().half_widths[0], z + columns().half_widths[1]], "{format:?}");
        }
        assert_eq!(PredictionFormat::of_path("p.xlsx".as_ref()), None);
        assert_eq!(PredictionFormat::of_path("csv".as_ref()), None);
    }

    #[test]
    fn columns_that_a_model_does_not_have_are_errors() {
        let ((classes, table), (numbers, _)) = (model(&["class"], 1), model(&["y"], 1));
        let plain = PredictionOptions::default();
        let uncertain = PredictionOptions { uncertainty: true, ..plain };
        let error = PredictionColumns::new(&classes, uncertain).unwrap_err();
        assert!(error.to_string().contains("the model is one network"), "{error}");
        assert!(PredictionColumns::new(&classes, PredictionOptions { interval: Some(0.9), ..plain }).is_err());
        let of_classes = classes.predict(&table).unwrap();
        let columns = PredictionColumns::new(&classes, PredictionOptions { probabilities: true, ..plain }).unwrap();
        let csv = text(PredictionFormat::Csv, columns, &of_classes);
        assert!(csv.starts_with("prediction,proba_a,proba_b,proba_c\n"), "{csv}");
        let mut out = Vec::new();
        let columns = PredictionColumns::new(&numbers, plain).unwrap();
        let mut writer = PredictionWriter::new(&mut out, PredictionFormat::Csv, columns).unwrap();
        assert_eq!(writer.write(&of_classes).unwrap_err().kind(), ErrorKind::InvalidInput);
    }
}
