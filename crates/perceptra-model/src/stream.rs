//! Training on a table that is larger than memory.

use std::collections::BTreeMap;

use burn::tensor::Device;
use perceptra_data::{
    ColumnKind, DataError, Encoder, Notation, Pieces, ReadNote, Sample, Schema, SchemaOptions, Split, Table,
    TableStream, Values, class_rows,
};
use perceptra_random::{Purpose, Stream};
use perceptra_train::{Blocks, Dataset, TrainError};

use crate::encoded::Encoded;
use crate::error::ModelError;
use crate::run::RunConfig;

/// A table whose training rows are read again in every epoch.
pub(crate) struct Streamed {
    table: TableStream,
    seed: u64,
    /// Number of rows that are in memory at once.
    buffer: usize,
    division: Division,
    /// Choices that were made, and parts that were left out, when the files were read.
    notes: Vec<ReadNote>,
    /// Number of training rows.
    rows: usize,
    /// Number of training rows of each text of the target, if it may be a class.
    classes: BTreeMap<String, usize>,
}

impl std::fmt::Debug for Streamed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Streamed").field("table", &self.table.name()).field("rows", &self.rows).finish_non_exhaustive()
    }
}

/// Number of rows of a piece of the file.
const PIECE: usize = 1 << 13;
/// A target with more distinct values than this is not a class.
const MAX_CLASSES: usize = 10_000;

/// The part to which a row belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Train,
    Validation,
    Test,
    /// None: it has the weight 0.
    Nowhere,
}

/// The division of rows into training, validation and test rows, by the number of a row or by the split column.
#[derive(Debug, Clone)]
struct Division {
    seed: u64,
    column: Option<String>,
    /// Column of row weights.
    weights: Option<String>,
    /// Share of the test rows.
    test: f32,
    /// Share of the validation rows.
    validation: f32,
    /// Limits of the random numbers of test and validation rows: rows at or above the limit do not fit the buffer. They become training
    /// rows, or are left out if there is a split column.
    limits: [f32; 2],
}

impl Division {
    fn new(run: &RunConfig) -> Self {
        let split = &run.split;
        let test = if split.test_file.is_some() { 0.0 } else { split.test as f32 };
        let validation = if split.validation_file.is_some() { 0.0 } else { split.validation as f32 * (1.0 - test) };
        let column = run.data.schema.split.clone();
        let weights = run.data.schema.weights.clone();
        Self { seed: run.train.seed, column, weights, test, validation, limits: [f32::INFINITY; 2] }
    }

    /// The part to which each row of a piece belongs, and a random number in [0, 1) by which rows of a part are sampled.
    fn of(&self, table: &Table, first_row: u64) -> Result<Vec<(Part, f32)>, DataError> {
        let mut parts = self.of_all(table, first_row)?;
        if let Some(column) = &self.weights {
            for ((part, _), weight) in parts.iter_mut().zip(table.row_weights(column)?) {
                if weight <= 0.0 {
                    *part = Part::Nowhere;
                }
            }
        }
        Ok(parts)
    }

    /// As [`Division::of`], whatever weights the rows have.
    fn of_all(&self, table: &Table, first_row: u64) -> Result<Vec<(Part, f32)>, DataError> {
        let rows = first_row..first_row + table.rows() as u64;
        let numbers = rows.map(|row| {
            // Rows beyond 2³² draw from further streams.
            let stream = Stream::new(self.seed, Purpose::Split, 2 + (row >> 32) as u32);
            let mut number = [0.0];
            stream.fill_uniform(row as u32, &mut number);
            number[0]
        });
        match &self.column {
            Some(column) => {
                let split = Split::from_column(table, column)?;
                let mut parts = vec![Part::Train; table.rows()];
                split.validation.iter().for_each(|&row| parts[row as usize] = Part::Validation);
                split.test.iter().for_each(|&row| parts[row as usize] = Part::Test);
                Ok(parts.into_iter().zip(numbers).collect())
            }
            None => Ok(numbers
                .map(|u| match u {
                    u if u < self.test => (Part::Test, u),
                    u if u < self.test + self.validation => (Part::Validation, u - self.test),
                    u => (Part::Train, u),
                })
                .collect()),
        }
    }

    /// The indices of the training rows of a piece.
    fn training(&self, table: &Table, first_row: u64) -> Result<Vec<u32>, DataError> {
        let trains = |(part, number): (Part, f32)| match part {
            Part::Train => true,
            Part::Nowhere => false,
            Part::Test | Part::Validation if self.column.is_some() => false,
            Part::Test => number >= self.limits[0],
            Part::Validation => number >= self.limits[1],
        };
        Ok((0..).zip(self.of(table, first_row)?).filter_map(|(row, part)| trains(part).then_some(row)).collect())
    }
}

/// A streamed table after its first reading: the rows that stay in memory, and the stream itself.
pub(crate) struct Opened {
    /// A sample of the training rows, from which schema and encoder are learned.
    pub(crate) sample: Table,
    pub(crate) validation: Option<Table>,
    pub(crate) test: Option<Table>,
    pub(crate) stream: Streamed,
    /// Rows of weight 0, which are left out.
    pub(crate) without_weight: usize,
}

/// Reads the table of a run twice: for a sample of its training rows, its validation and test rows (each at most as many as the
/// buffer holds) and its classes, then to count the training rows.
pub(crate) fn open(run: &RunConfig) -> Result<Opened, ModelError> {
    let buffer = run.data.buffer;
    let mut division = Division::new(run);
    let target = run.data.schema.target.first().cloned().unwrap_or_default();
    let [mut train, mut validation, mut test] = [(); 3].map(|()| Sample::new(buffer));
    let mut classes = BTreeMap::new();
    let mut zeros = Zeros::default();
    let table = TableStream::open(&run.data.table, &run.data.read, PIECE.min(buffer), |first_row, table| {
        let rows = division.of(&table, first_row)?;
        for (part, sample) in [(Part::Train, &mut train), (Part::Validation, &mut validation), (Part::Test, &mut test)]
        {
            let keys: Vec<_> = rows.iter().map(|(p, number)| (*p == part).then_some(*number)).collect();
            sample.offer(&table, &keys)?;
        }
        if division.weights.is_none() {
            return count(&table, &target, &mut classes);
        }
        zeros.count(&division.of_all(&table, first_row)?, &rows);
        let weighted = (0..).zip(&rows).filter(|(_, (part, _))| *part != Part::Nowhere).map(|(row, _)| row);
        count(&table.take(&weighted.collect::<Vec<u32>>()), &target, &mut classes)
    })?;
    zeros.check(table.name(), division.weights.as_deref(), division.column.is_some())?;
    let mut without_weight = zeros.total();
    let (sample, _) = train.finish()?;
    let ((validation, validation_limit), (test, test_limit)) = (validation.finish()?, test.finish()?);
    division.limits = [test_limit, validation_limit];
    let Some(sample) = sample else {
        return Err(DataError::TooFewRows { rows: 0, part: "training", got: 0, needed: 1 }.into());
    };
    let (notes, seed) = (table.notes().to_vec(), run.train.seed);
    let mut streamed = Streamed { table, seed, buffer, division, notes, rows: 0, classes: BTreeMap::new() };
    // The limits decide which rows are training rows.
    let mut counts = BTreeMap::new();
    for piece in streamed.table.read(|pieces| (0..pieces as u32).collect())? {
        let (first_row, table) = piece?;
        let rows = streamed.division.training(&table, first_row)?;
        streamed.rows += rows.len();
        if classes.len() <= MAX_CLASSES {
            count(&table.take(&rows), &target, &mut counts)?;
        }
    }
    // Classes without a training row count too.
    classes.into_keys().for_each(|class| {
        counts.entry(class).or_insert(0);
    });
    streamed.classes = counts;
    let mut notes = Vec::new();
    let mut read = |file: &Option<std::path::PathBuf>, part: &'static str| -> Result<Option<Table>, ModelError> {
        let Some(path) = file else { return Ok(None) };
        let mut sample = Sample::new(buffer);
        let stream = TableStream::open(path, &run.data.read, PIECE.min(buffer), |first_row, table| {
            let rows = streamed.division.of(&table, first_row)?;
            let keys: Vec<_> = rows.iter().map(|(p, number)| (*p != Part::Nowhere).then_some(*number)).collect();
            without_weight += keys.iter().filter(|key| key.is_none()).count();
            sample.offer(&table, &keys)
        })?;
        notes.extend_from_slice(stream.notes());
        let name = path.display().to_string();
        let none = || match &streamed.division.weights {
            Some(column) => DataError::NoWeight { name, column: column.clone(), part },
            None => DataError::NoRows { name },
        };
        Ok(Some(sample.finish()?.0.ok_or_else(none)?))
    };
    let validation_file = read(&run.split.validation_file, "validation")?;
    let test_file = read(&run.split.test_file, "test")?;
    streamed.notes.append(&mut notes);
    let (validation, test) = (validation_file.or(validation), test_file.or(test));
    Ok(Opened { sample, validation, test, stream: streamed, without_weight })
}

/// Rows of weight 0 and other rows of each part.
#[derive(Debug, Default)]
struct Zeros {
    zeros: [usize; 3],
    others: [usize; 3],
}

impl Zeros {
    /// The parts with their names.
    const PARTS: [(Part, &str); 3] =
        [(Part::Train, "training"), (Part::Validation, "validation"), (Part::Test, "test")];

    /// Counts the rows of a piece: the parts that they would belong to, and those that they do.
    fn count(&mut self, all: &[(Part, f32)], parts: &[(Part, f32)]) {
        for (i, (part, _)) in Self::PARTS.iter().enumerate() {
            let of_part = all.iter().zip(parts).filter(|((p, _), _)| p == part);
            let others = of_part.clone().filter(|(_, (p, _))| p == part).count();
            self.others[i] += others;
            self.zeros[i] += of_part.count() - others;
        }
    }

    fn total(&self) -> usize {
        self.zeros.iter().sum()
    }

    /// Checks that no part that a column asks for, nor the whole table, has weights of 0 alone.
    fn check(&self, name: &str, column: Option<&str>, asked: bool) -> Result<(), DataError> {
        let Some(column) = column else { return Ok(()) };
        let none = |part| Err(DataError::NoWeight { name: name.to_owned(), column: column.to_owned(), part });
        if self.others == [0; 3] {
            return none("training");
        }
        match Self::PARTS.iter().enumerate().find(|(i, _)| asked && self.others[*i] == 0 && self.zeros[*i] > 0) {
            Some((_, (_, part))) => none(part),
            None => Ok(()),
        }
    }
}

/// Adds the number of rows of each value of the target to `counts`, as long as there are few enough values for classes.
fn count(table: &Table, target: &str, counts: &mut BTreeMap<String, usize>) -> Result<(), DataError> {
    if counts.len() <= MAX_CLASSES {
        let Values::Categories(categories) =
            table.summary(target, ColumnKind::Categorical, &Notation::default())?.values
        else {
            return Ok(());
        };
        for (value, n) in categories {
            *counts.entry(value).or_insert(0) += n;
        }
    }
    Ok(())
}

impl Streamed {
    /// Choices that were made, and parts that were left out, when the files were read.
    pub(crate) fn notes(&self) -> &[ReadNote] {
        &self.notes
    }

    /// Number of training rows.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// The schema of the sample, with the classes of all rows.
    pub(crate) fn schema(
        &self,
        sample: &Table,
        options: &SchemaOptions,
    ) -> Result<(Schema, Option<Vec<String>>), ModelError> {
        let mut schema = Schema::infer(sample, options)?;
        if !schema.task.is_classification() {
            return Ok((schema, None));
        }
        let notation = schema.targets.first().map(|target| schema.notation(target)).unwrap_or_default();
        let labels: Vec<String> = class_rows(&self.classes, &notation).into_iter().map(|(class, _)| class).collect();
        if labels.len() > MAX_CLASSES {
            let column = schema.targets.first().cloned().unwrap_or_default();
            let reason = format!("it has more than {MAX_CLASSES} different values");
            return Err(DataError::TaskMismatch { column, task: schema.task.name().to_owned(), reason }.into());
        }
        schema.task = if labels.len() == 2 { perceptra_data::Task::Binary } else { perceptra_data::Task::Multiclass };
        Ok((schema, Some(labels)))
    }

    /// The training rows, encoded block by block.
    pub(crate) fn blocks<'a>(
        &'a self,
        encoder: &'a Encoder,
        schema: &'a Schema,
        target_scales: Vec<f32>,
        device: &'a Device,
    ) -> EncodedBlocks<'a> {
        EncodedBlocks {
            streamed: self,
            encoder,
            schema,
            target_scales,
            device,
            pass: None,
            block: self.buffer,
            waiting: None,
            seen: 0,
        }
    }
}

/// The training rows of a stream, encoded.
pub(crate) struct EncodedBlocks<'a> {
    streamed: &'a Streamed,
    encoder: &'a Encoder,
    schema: &'a Schema,
    target_scales: Vec<f32>,
    device: &'a Device,
    pass: Option<Pieces<'a>>,
    /// Number of rows of a block.
    block: usize,
    /// Rows that have been read and not yet returned.
    waiting: Option<Encoded>,
    seen: usize,
}

impl EncodedBlocks<'_> {
    /// Reads until a block is full or the file ends, and returns the block; `None` at the end of the file.
    fn fill(&mut self) -> Result<Option<Dataset>, ModelError> {
        while self.waiting.as_ref().is_none_or(|rows| rows.inputs.rows < self.block) {
            let Some(piece) = self.pass.as_mut().and_then(Iterator::next) else { break };
            let (first_row, table) = piece?;
            let rows = self.streamed.division.training(&table, first_row)?;
            self.seen += rows.len();
            if rows.is_empty() {
                continue;
            }
            let (more, _) = Encoded::of(&table.take(&rows), self.encoder, self.schema)?;
            match &mut self.waiting {
                Some(waiting) => waiting.append(more),
                None => self.waiting = Some(more),
            }
        }
        let Some(mut waiting) = self.waiting.take() else {
            return match self.seen == self.streamed.rows {
                true => Ok(None),
                false => Err(DataError::Changed { name: self.streamed.table.name().to_owned() }.into()),
            };
        };
        if waiting.inputs.rows > self.block {
            self.waiting = Some(waiting.split_off(self.block));
        }
        waiting.dataset(&self.target_scales, self.device).map(Some)
    }
}

impl Blocks for EncodedBlocks<'_> {
    fn rows(&self) -> usize {
        self.streamed.rows
    }

    fn shape(&self) -> (usize, usize) {
        (self.encoder.width(), self.encoder.outputs())
    }

    fn class_rows(&self) -> Option<Vec<usize>> {
        let notation = self.schema.targets.first().map(|target| self.schema.notation(target)).unwrap_or_default();
        let rows: BTreeMap<String, usize> = class_rows(&self.streamed.classes, &notation).into_iter().collect();
        let count = |label: &String| rows.get(label).copied().unwrap_or(0);
        self.encoder.labels().map(|labels| labels.iter().map(count).collect())
    }

    fn begin(&mut self, epoch: u32, batch: usize) -> Result<(), TrainError> {
        self.block = (self.streamed.buffer / batch * batch).max(batch);
        (self.waiting, self.seen) = (None, 0);
        let order = |pieces| Stream::new(self.streamed.seed, Purpose::Pieces, epoch).permutation(pieces);
        // Wrapped as a `ModelError`, which comes back unchanged from the training loop: see `From<TrainError>`.
        self.pass = Some(self.streamed.table.read(order).map_err(ModelError::from).map_err(TrainError::blocks)?);
        Ok(())
    }

    fn next(&mut self) -> Result<Option<Dataset>, TrainError> {
        self.fill().map_err(TrainError::blocks)
    }
}
