//! Predictions as CSV, JSON lines or Parquet.

use std::io::{Error, ErrorKind, Result as IoResult, Write};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use arrow::util::display::FormatOptions;
use parquet::arrow::ArrowWriter;
use parquet::errors::ParquetError;
use perceptra_data::Table;
use perceptra_train::argmax;

use crate::digits::written;
use crate::error::ModelError;
use crate::kept::{KeptCells, KeptJson, kept_of};
use crate::model::{About, Model};
use crate::predictions::Predictions;

/// A file format for predictions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PredictionFormat {
    /// Fields separated by commas, after a header.
    Csv,
    /// Fields separated by tabs, after a header.
    Tsv,
    /// One JSON object per line.
    JsonLines,
    /// Apache Parquet.
    Parquet,
}

perceptra_nn::all_variants! { PredictionFormat: Csv, Tsv, JsonLines, Parquet }

impl PredictionFormat {
    /// The file name extensions of the format, the usual one first.
    fn extensions(self) -> &'static [&'static str] {
        match self {
            Self::Csv => &["csv"],
            Self::Tsv => &["tsv", "tab"],
            Self::JsonLines => &["jsonl", "ndjson"],
            Self::Parquet => &["parquet"],
        }
    }

    /// The format that belongs to the extension of a file's name.
    ///
    /// # Errors
    ///
    /// [`ModelError::UnknownFormat`] for any other extension.
    pub fn of_path(path: &Path) -> Result<Self, ModelError> {
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        let known = Self::ALL.iter().copied().find(|format| format.extensions().contains(&extension));
        known.ok_or_else(|| ModelError::UnknownFormat {
            path: path.to_owned(),
            endings: Self::ALL.iter().map(|format| format.extensions()[0]).collect(),
        })
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
    /// Coverage of the prediction intervals to write as `lower` and `upper`, from [`Model::half_widths`]; `None` for no intervals.
    pub interval: Option<f64>,
}

/// The columns of a file of a model's predictions: `prediction`, or `prediction_TARGET` for each of several targets, and the columns that
/// [`PredictionOptions`] add.
#[derive(Debug, Clone)]
pub struct PredictionColumns<'a> {
    model: &'a Model,
    options: PredictionOptions,
    /// Half the width of each target's prediction interval; empty for no intervals.
    half_widths: Vec<f64>,
    /// The smallest difference of each numeric target that predictions express.
    steps: Vec<f64>,
    /// The type of the classes.
    labels: Labels,
    /// Columns of the table that stand before the predictions.
    kept: Fields,
}

/// The classes of a model in the type of its target's column, in the order of their numbers.
#[derive(Debug, Clone)]
enum Labels {
    Texts,
    Integers(Vec<i64>),
    Numbers(Vec<f64>),
    Booleans(Vec<bool>),
}

impl Labels {
    fn of(about: &About) -> Self {
        fn all<T: std::str::FromStr>(labels: &[String]) -> Option<Vec<T>> {
            labels.iter().map(|label| label.parse().ok()).collect()
        }
        let labels = about.encoder.labels().unwrap_or_default();
        let by_value = about.schema.targets.first().is_some_and(|target| about.schema.notation(target).by_value);
        match (by_value, all(labels), all(labels)) {
            // A code such as 007 is a text.
            (true, Some(_), _) if labels.iter().any(|label| label.len() > 1 && label.starts_with('0')) => Self::Texts,
            (true, Some(integers), _) => Self::Integers(integers),
            (true, None, Some(numbers)) => Self::Numbers(numbers),
            _ => all(labels).filter(|_| !labels.is_empty()).map_or(Self::Texts, Self::Booleans),
        }
    }

    fn data_type(&self) -> DataType {
        match self {
            Self::Texts => DataType::Utf8,
            Self::Integers(_) => DataType::Int64,
            Self::Numbers(_) => DataType::Float64,
            Self::Booleans(_) => DataType::Boolean,
        }
    }

    fn array(&self, labels: &[String], classes: &[usize]) -> ArrayRef {
        let classes = classes.iter();
        match self {
            Self::Texts => Arc::new(classes.map(|class| Some(labels[*class].as_str())).collect::<StringArray>()),
            Self::Integers(values) => Arc::new(classes.map(|class| Some(values[*class])).collect::<Int64Array>()),
            Self::Numbers(values) => Arc::new(classes.map(|class| Some(values[*class])).collect::<Float64Array>()),
            Self::Booleans(values) => Arc::new(classes.map(|class| Some(values[*class])).collect::<BooleanArray>()),
        }
    }

    fn json(&self, labels: &[String], class: usize) -> serde_json::Value {
        match self {
            Self::Texts => labels[class].as_str().into(),
            Self::Integers(values) => values[class].into(),
            Self::Numbers(values) => values[class].into(),
            Self::Booleans(values) => values[class].into(),
        }
    }
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
        let steps = model.about().encoder.target_steps();
        Ok(Self { model, options, half_widths, steps, labels: Labels::of(model.about()), kept: Fields::empty() })
    }

    /// Writes columns of the predicted table before the predictions, as they are in its file: those with these fields, which
    /// [`TableReader::keep`](perceptra_data::TableReader::keep) gives. [`PredictionWriter::write_with`] writes them.
    ///
    /// # Errors
    ///
    /// [`ModelError::NameClash`] for a column with the name of a column of predictions.
    pub fn keep(mut self, columns: &Schema) -> Result<Self, ModelError> {
        let own = self.own_fields();
        let clash = columns.fields().iter().find(|kept| own.iter().any(|field| field.name() == kept.name()));
        if let Some(column) = clash {
            return Err(ModelError::NameClash { column: column.name().clone() });
        }
        self.kept = columns.fields().clone();
        Ok(self)
    }

    /// All columns.
    fn fields(&self) -> Fields {
        self.kept.iter().cloned().chain(self.own_fields().into_iter().map(Arc::new)).collect()
    }

    /// The columns of predictions.
    fn own_fields(&self) -> Vec<Field> {
        let encoder = &self.model.about().encoder;
        let number = |name: String| Field::new(name, DataType::Float64, false);
        match (encoder.labels(), encoder.targets().as_slice()) {
            (Some(labels), _) => {
                let probabilities = labels.iter().filter(|_| self.options.probabilities);
                std::iter::once(Field::new("prediction", self.labels.data_type(), false))
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

    /// The cells of one row of the file.
    fn cells<'p>(&'p self, predictions: &'p Predictions, row: usize) -> impl Iterator<Item = Cell<'p>> {
        let columns = predictions.values.columns;
        let values = &predictions.values.values[row * columns..(row + 1) * columns];
        let label = predictions.labels.as_ref().map(|labels| {
            let class = argmax(values);
            Cell::Label(&labels[class], &self.labels, labels, class)
        });
        label.into_iter().chain(self.numbers(predictions, row).map(Cell::Number))
    }

    /// The numbers of a row.
    fn numbers<'p>(&'p self, predictions: &'p Predictions, row: usize) -> impl Iterator<Item = f64> + use<'p, 'a> {
        let columns = predictions.values.columns;
        let values = &predictions.values.values[row * columns..(row + 1) * columns];
        let shown = if predictions.labels.is_none() || self.options.probabilities { values } else { &[] };
        let uncertainties = if self.options.uncertainty { uncertainties(predictions, row) } else { &[] };
        let steps = self.steps.iter().copied().chain(std::iter::repeat(0.0));
        let numbers = shown.iter().zip(steps).map(|(x, step)| written(*x, step));
        let bound = move |sign: f64| {
            let target = values.iter().zip(&self.half_widths).zip(&self.steps);
            target.map(move |((x, half), step)| written(x + sign * half, *step))
        };
        numbers.chain(uncertainties.iter().map(|x| written(*x, 0.0))).chain(bound(-1.0)).chain(bound(1.0))
    }

    /// The cells of all rows, column by column.
    fn arrays(&self, predictions: &Predictions) -> Vec<ArrayRef> {
        let classes = predictions.labels.as_ref().map(|labels| {
            let classes: Vec<usize> = predictions.classes().into_iter().collect();
            self.labels.array(labels, &classes)
        });
        let rows = predictions.values.rows;
        let mut columns = vec![Vec::with_capacity(rows); self.own_fields().len() - usize::from(classes.is_some())];
        for row in 0..rows {
            columns.iter_mut().zip(self.numbers(predictions, row)).for_each(|(column, x)| column.push(x));
        }
        let numbers = columns.into_iter().map(|column| Arc::new(Float64Array::from(column)) as ArrayRef);
        classes.into_iter().chain(numbers).collect()
    }
}

/// The uncertainties of a row: of every target, or of the predicted class.
fn uncertainties(predictions: &Predictions, row: usize) -> &[f64] {
    let Some(spread) = &predictions.spread else { return &[] };
    let range = row * spread.columns..(row + 1) * spread.columns;
    let values = &spread.values[range.clone()];
    match predictions.labels {
        None => values,
        Some(_) => std::slice::from_ref(&values[argmax(&predictions.values.values[range])]),
    }
}

enum Cell<'a> {
    Number(f64),
    /// The text of a class, and what it is made of.
    Label(&'a str, &'a Labels, &'a [String], usize),
}

impl Cell<'_> {
    fn write_to(&self, text: &mut String) {
        use std::fmt::Write;
        // Writing to a string does not fail.
        let _ = match self {
            Self::Number(x) => write!(text, "{x}"),
            Self::Label(label, ..) => write!(text, "{label}"),
        };
    }

    /// The cell as JSON; NaN, which JSON does not have, becomes null.
    fn json(&self) -> serde_json::Value {
        match self {
            Self::Number(x) => serde_json::Number::from_f64(*x).map_or(serde_json::Value::Null, Into::into),
            Self::Label(_, types, labels, class) => types.json(labels, *class),
        }
    }
}

/// Writes predictions to a file, piece by piece.
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
    /// Whether the header has been written.
    begun: bool,
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
            FormatWriter::Separated(csv::WriterBuilder::new().delimiter(separator).from_writer(out))
        };
        let encoder = match format {
            PredictionFormat::Csv => separated(b',', out),
            PredictionFormat::Tsv => separated(b'\t', out),
            PredictionFormat::JsonLines => FormatWriter::JsonLines(out),
            PredictionFormat::Parquet => {
                FormatWriter::Parquet(ArrowWriter::try_new(out, schema.clone(), None).map_err(parquet_error)?)
            }
        };
        Ok(Self { columns, schema, encoder, begun: false })
    }

    /// Writes the header, if the format has one, in front of the first rows: where there is an error before, nothing is written.
    fn begin(&mut self) -> IoResult<()> {
        if std::mem::replace(&mut self.begun, true) {
            return Ok(());
        }
        match &mut self.encoder {
            FormatWriter::Separated(writer) => {
                writer.write_record(self.schema.fields().iter().map(|f| f.name())).map_err(csv_error)
            }
            FormatWriter::JsonLines(_) | FormatWriter::Parquet(_) => Ok(()),
        }
    }

    /// Writes the rows of `predictions`, which must come from the model of the columns.
    ///
    /// # Errors
    ///
    /// Errors of `out`; [`ErrorKind::InvalidInput`] for predictions of another model, and where columns are to be kept.
    pub fn write(&mut self, predictions: &Predictions) -> IoResult<()> {
        self.write_rows(predictions, None)
    }

    /// Writes the rows of `predictions`, and the columns to keep of the `table` that was predicted.
    ///
    /// # Errors
    ///
    /// As [`PredictionWriter::write`], and [`ErrorKind::InvalidInput`] for a table that was not read with the columns to keep.
    pub fn write_with(&mut self, predictions: &Predictions, table: &Table) -> IoResult<()> {
        self.write_rows(predictions, table.kept())
    }

    fn write_rows(&mut self, predictions: &Predictions, kept: Option<&RecordBatch>) -> IoResult<()> {
        if !self.columns.fit(predictions) {
            return Err(Error::new(ErrorKind::InvalidInput, "the predictions are those of another model"));
        }
        self.begin()?;
        let columns = &self.columns;
        let rows = 0..predictions.values.rows;
        let kept = kept_of(&columns.kept, kept, rows.len())?;
        let options = FormatOptions::default();
        match &mut self.encoder {
            FormatWriter::Separated(writer) => {
                let kept = kept.map(|kept| KeptCells::new(kept, &options)).transpose()?;
                let mut text = String::new();
                for row in rows {
                    for cell in kept.iter().flat_map(|kept| kept.texts(row)) {
                        writer.write_field(&cell).map_err(csv_error)?;
                    }
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
                let kept = kept.map(|kept| KeptJson::new(kept, &options)).transpose()?;
                for row in rows {
                    let values = kept.iter().flat_map(|kept| kept.values(row));
                    let values = values.chain(columns.cells(predictions, row).map(|cell| cell.json()));
                    let fields = self.schema.fields().iter().zip(values);
                    let object: serde_json::Map<String, serde_json::Value> =
                        fields.map(|(field, value)| (field.name().clone(), value)).collect();
                    serde_json::to_writer(&mut *out, &object).map_err(Error::from)?;
                    out.write_all(b"\n")?;
                }
                Ok(())
            }
            FormatWriter::Parquet(writer) => {
                let mut arrays = kept.map_or_else(Vec::new, |kept| kept.columns().to_vec());
                arrays.extend(columns.arrays(predictions));
                let batch = RecordBatch::try_new(self.schema.clone(), arrays);
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
    pub fn finish(mut self) -> IoResult<()> {
        self.begin()?;
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
        let mut seen: Option<Vec<f64>> = None;
        for &format in PredictionFormat::ALL {
            let path = format!("p.{}", format.extensions()[0]);
            assert_eq!(PredictionFormat::of_path(path.as_ref()).unwrap(), format);
            let lines = |format| text(format, columns(), &predictions).lines().map(str::to_owned).collect::<Vec<_>>();
            let cells: Vec<f64> = match format {
                PredictionFormat::Csv | PredictionFormat::Tsv => {
                    let separator = if format == PredictionFormat::Csv { ',' } else { '\t' };
                    let lines = lines(format);
                    assert_eq!(lines[0], names.replace(',', &separator.to_string()));
                    lines[6].split(separator).map(|cell| cell.parse().unwrap()).collect()
                }
                PredictionFormat::JsonLines => {
                    let object: serde_json::Value = serde_json::from_str(&lines(format)[5]).unwrap();
                    names.split(',').map(|name| object[name].to_string().parse().unwrap()).collect()
                }
                PredictionFormat::Parquet => {
                    let file = tempfile::tempfile().unwrap();
                    let mut writer = PredictionWriter::new(file.try_clone().unwrap(), format, columns()).unwrap();
                    writer.write(&predictions).unwrap();
                    writer.finish().unwrap();
                    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
                    let batch = reader.build().unwrap().next().unwrap().unwrap();
                    let schema = batch.schema();
                    assert_eq!(schema.fields().iter().map(|f| f.name().as_str()).collect::<Vec<_>>().join(","), names);
                    let array = |j: usize| batch.column(j).as_any().downcast_ref::<Float64Array>().unwrap();
                    (0..batch.num_columns()).map(|j| array(j).value(5)).collect()
                }
            };
            let [y, z] = [10, 11].map(|i| predictions.values.values[i]);
            let half = columns().half_widths;
            let exact = [y, z, y - half[0], z - half[1], y + half[0], z + half[1]];
            let shown = [0, 1, 4, 5, 6, 7].map(|j| cells[j]);
            assert_eq!(shown.map(|x| x as f32), exact.map(|x| x as f32), "{format:?}");
            assert_eq!(*seen.get_or_insert(cells.clone()), cells, "{format:?}");
        }
        for name in ["p.xlsx", "csv"] {
            let error = PredictionFormat::of_path(name.as_ref()).unwrap_err();
            assert_eq!(error.to_string(), format!("{name}: the name does not say a format"));
            assert_eq!(error.hint().unwrap().to_string(), "end it in .csv, .tsv, .jsonl, .parquet");
        }
    }

    #[test]
    fn far_targets_are_written_with_all_their_digits() {
        let row = |i: usize| format!("{},{}.5\n", i % 11, 1_700_000_000 + 10 * (i % 11));
        let rows: String = (0..90).map(row).collect();
        let table = Table::from_csv("t.csv", format!("x,y\n{rows}"), &Default::default()).unwrap();
        let mut run = RunConfig::new("t.csv", ["y"]);
        (run.network.hidden, run.train.epochs) = (vec![4], 2);
        let model = train(&run, &Tables::from(table.clone()), &Device::flex(), &mut ()).unwrap().model;
        let predictions = model.predict(&table).unwrap();
        let options = PredictionOptions { interval: Some(0.5), ..PredictionOptions::default() };
        let csv = text(PredictionFormat::Csv, PredictionColumns::new(&model, options).unwrap(), &predictions);
        let half = model.half_widths(0.5).unwrap()[0];
        for (line, y) in csv.lines().skip(1).zip(&predictions.values.values) {
            let cells: Vec<f64> = line.split(',').map(|cell| cell.parse().unwrap()).collect();
            for (cell, exact) in cells.into_iter().zip([*y, y - half, y + half]) {
                assert!((cell - exact).abs() < 1e-5, "{line} {exact}");
            }
            assert!(line.split(',').all(|cell| cell.len() <= 17), "{line}");
        }
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
