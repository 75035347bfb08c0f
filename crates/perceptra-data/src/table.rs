//! Tables in memory.

use std::sync::Arc;

use arrow::array::{RecordBatch, UInt32Array};

use crate::column::{Column, TypedColumn};
use crate::error::{DataError, Place};
use crate::missing::MissingTexts;
use crate::read_note::ReadNote;
use crate::read_options::ReadOptions;

/// A table: named columns of equal length, the name of its source and, for CSV, the line of each row.
///
/// A column of a CSV file is text until it is first used; then each of its cells is parsed, once. Tables that are made of the rows of
/// another one, by [`Table::take`], share its columns.
#[derive(Debug, Clone)]
pub struct Table {
    name: String,
    columns: Vec<Arc<Column>>,
    /// How many rows the columns have.
    stored: usize,
    /// Which of them are the table's, in this order; none for all of them.
    selected: Option<Arc<[u32]>>,
    rows: usize,
    origin: Origin,
    /// The columns that [`TableReader::keep`](crate::TableReader::keep) asked for, as they are in the file.
    kept: Option<RecordBatch>,
    notes: Arc<[ReadNote]>,
}

/// Where the rows of the columns stand in their source.
#[derive(Debug, Clone)]
enum Origin {
    /// At these lines.
    Lines(Arc<[u64]>),
    /// At these row numbers, from 0.
    Rows(Arc<[u64]>),
    /// One after another from this row number on.
    From(u64),
}

/// A selection of fewer rows than one in so many of a table's is copied, so that it does not keep the table in memory.
const COPIED: usize = 16;

impl Table {
    /// Takes the columns of an Arrow record batch. Of `options`, those count that say which values are missing.
    ///
    /// Numbers, text, booleans, dates and timestamps (in days since 1970-01-01), and dictionaries of these, can be used. Columns of
    /// other types are an error only for who asks for their values.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use arrow::array::{ArrayRef, Float32Array, RecordBatch, StringArray};
    /// use perceptra_data::Table;
    ///
    /// let batch = RecordBatch::try_from_iter([
    ///     ("size", Arc::new(Float32Array::from(vec![1.0, 2.5])) as ArrayRef),
    ///     ("color", Arc::new(StringArray::from(vec![Some("red"), None]))),
    /// ])?;
    /// let table = Table::from_batch("prices", &batch, &Default::default())?;
    /// assert_eq!((table.rows(), table.columns()), (2, vec!["size".to_owned(), "color".to_owned()]));
    /// assert_eq!(table.texts("size", &Default::default())?, [Some("1".to_owned()), Some("2.5".to_owned())]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`DataError::DuplicateColumn`].
    pub fn from_batch(name: impl Into<String>, batch: &RecordBatch, options: &ReadOptions) -> Result<Self, DataError> {
        Self::of_batch(name.into(), batch, &options.missing_texts())
    }

    /// The columns of a record batch, in which these texts mean "no value".
    pub(crate) fn of_batch(name: String, batch: &RecordBatch, missing: &Arc<MissingTexts>) -> Result<Self, DataError> {
        let schema = batch.schema();
        check_names(&name, schema.fields().iter().map(|f| f.name().as_str()))?;
        let columns = (schema.fields().iter().zip(batch.columns()))
            .map(|(field, array)| Column::new(field.name(), TypedColumn::from_arrow(array)).with_missing(missing))
            .collect();
        Ok(Self::new(name, columns, batch.num_rows(), None))
    }

    /// A table of columns that each have so many rows, which stand at these lines of a file.
    pub(crate) fn new(name: String, columns: Vec<Column>, rows: usize, lines: Option<Vec<u64>>) -> Self {
        let origin = lines.map_or(Origin::From(0), |lines| Origin::Lines(lines.into()));
        let (columns, notes) = (columns.into_iter().map(Arc::new).collect(), Arc::new([]));
        Self { name, columns, stored: rows, selected: None, rows, origin, kept: None, notes }
    }

    /// The table with columns as they are in its file.
    pub(crate) fn keeping(self, kept: Option<RecordBatch>) -> Self {
        Self { kept, ..self }
    }

    /// The columns that [`TableReader::keep`](crate::TableReader::keep) asked for, as they are in the file: cells of CSV files as text,
    /// other values in their types. None of a table that was not read so, or was made of rows of another.
    pub fn kept(&self) -> Option<&RecordBatch> {
        self.kept.as_ref()
    }

    /// Where the table came from: a path, or `standard input`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Column names, in the order of the file.
    pub fn columns(&self) -> Vec<String> {
        self.columns.iter().map(|c| c.name().to_owned()).collect()
    }

    /// Choices that were made, and parts that were left out, when the table was read.
    pub fn notes(&self) -> &[ReadNote] {
        &self.notes
    }

    /// The table with these notes, and without columns of these names.
    pub(crate) fn noted(mut self, notes: Vec<ReadNote>, without: &[&str]) -> Self {
        self.columns.retain(|column| !without.contains(&column.name()));
        Self { notes: notes.into(), ..self }
    }

    /// The line of a row (from 0) in its CSV file.
    pub fn line(&self, row: usize) -> Option<u64> {
        match &self.origin {
            Origin::Lines(lines) if row < self.rows => Some(lines[self.stored_row(row)]),
            _ => None,
        }
    }

    /// The rows with these numbers, in this order.
    ///
    /// # Panics
    ///
    /// If there is no row of one of the numbers.
    #[must_use]
    pub fn take(&self, rows: &[u32]) -> Self {
        assert!(rows.iter().all(|&row| (row as usize) < self.rows), "row numbers are below {}", self.rows);
        let selected = rows.iter().map(|&row| self.stored_row(row as usize) as u32).collect();
        let taken = Self { selected: Some(selected), rows: rows.len(), kept: None, ..self.clone() };
        if rows.len() * COPIED < self.stored { taken.copied() } else { taken }
    }

    /// The same table with columns of its own.
    pub(crate) fn copied(&self) -> Self {
        let Some(selected) = &self.selected else { return self.clone() };
        let rows = UInt32Array::from(selected.to_vec());
        let at = |numbers: &Arc<[u64]>| selected.iter().map(|&row| numbers[row as usize]).collect();
        let origin = match &self.origin {
            Origin::Lines(lines) => Origin::Lines(at(lines)),
            Origin::Rows(numbers) => Origin::Rows(at(numbers)),
            Origin::From(first) => Origin::Rows(selected.iter().map(|&row| first + u64::from(row)).collect()),
        };
        let columns = self.columns.iter().map(|c| Arc::new(c.take(&rows))).collect();
        Self { columns, stored: self.rows, selected: None, origin, kept: None, ..self.clone() }
    }

    /// The tables one below the other; none of none. They have the same columns.
    #[expect(clippy::needless_pass_by_value, reason = "their memory is freed here, before the caller goes on")]
    pub(crate) fn concat(tables: Vec<Self>) -> Result<Option<Self>, DataError> {
        let tables: Vec<Self> = tables.iter().map(Self::copied).collect();
        let [first, ..] = tables.as_slice() else { return Ok(None) };
        if tables.len() == 1 {
            return Ok(Some(first.clone()));
        }
        let columns = (0..first.columns.len())
            .map(|i| tables.iter().filter_map(|t| t.columns.get(i).map(Arc::as_ref)).collect::<Vec<_>>())
            .map(|parts| Column::concat(&parts).map(Arc::new))
            .collect::<Result<_, _>>()
            // Arrow refuses more than 2 GiB of text in a column.
            .map_err(|e| DataError::TooLarge { name: first.name.clone(), reason: e.to_string() })?;
        let rows = tables.iter().map(Self::rows).sum();
        let numbers = || tables.iter().flat_map(|t| (0..t.rows).map(|row| t.number(row)));
        let origin = match &first.origin {
            Origin::Lines(_) => Origin::Lines(numbers().collect()),
            Origin::From(start) if numbers().eq(*start..start + rows as u64) => Origin::From(*start),
            Origin::Rows(_) | Origin::From(_) => Origin::Rows(numbers().collect()),
        };
        Ok(Some(Self { columns, stored: rows, selected: None, rows, origin, kept: None, ..first.clone() }))
    }

    /// The table with another column in the place of the one of its name.
    pub(crate) fn with(&self, column: Column) -> Self {
        let (mut table, column) = (self.copied(), Arc::new(column));
        for old in table.columns.iter_mut().filter(|c| c.name() == column.name()) {
            *old = column.clone();
        }
        table
    }

    /// A column, whatever it holds.
    pub(crate) fn find(&self, column: &str) -> Result<&Column, DataError> {
        self.columns.iter().map(Arc::as_ref).find(|c| c.name() == column).ok_or_else(|| DataError::NoColumn {
            name: self.name.clone(),
            column: column.to_owned(),
            nearest: nearest(column, &self.columns()),
            only: Some(self.columns()).filter(|c| c.len() == 1).map(|mut c| c.remove(0)),
        })
    }

    /// Whether the columns have other rows than the table.
    pub(crate) fn is_selection(&self) -> bool {
        self.selected.is_some()
    }

    /// The row of the columns that is the table's row `row`.
    pub(crate) fn stored_row(&self, row: usize) -> usize {
        self.selected.as_ref().map_or(row, |selected| selected[row] as usize)
    }

    /// The rows of the columns that are the table's.
    pub(crate) fn stored_rows(&self) -> impl Iterator<Item = usize> + '_ {
        let selected = self.selected.as_deref();
        (0..self.rows).map(move |row| selected.map_or(row, |selected| selected[row] as usize))
    }

    /// The line of a row in its source, or its number there, from 0.
    fn number(&self, row: usize) -> u64 {
        let row = self.stored_row(row);
        match &self.origin {
            Origin::Lines(numbers) | Origin::Rows(numbers) => numbers[row],
            Origin::From(first) => first + row as u64,
        }
    }

    /// Where row `row` (from 0) stands in the source.
    pub(crate) fn place(&self, row: usize) -> Place {
        match &self.origin {
            Origin::Lines(_) => Place::Line(self.number(row)),
            Origin::Rows(_) | Origin::From(_) => Place::Row(self.number(row) + 1),
        }
    }

    /// The table, of which `rows` rows of the source stand before it.
    pub(crate) fn at_row(mut self, rows: u64) -> Self {
        if let Origin::From(first) = &mut self.origin {
            *first = rows;
        }
        self
    }
}

pub(crate) fn check_names<'a>(name: &str, columns: impl Iterator<Item = &'a str>) -> Result<(), DataError> {
    let mut seen = std::collections::HashMap::new();
    for (i, column) in columns.enumerate() {
        if let Some(first) = seen.insert(column, i + 1) {
            return Err(DataError::DuplicateColumn {
                name: name.to_owned(),
                column: column.to_owned(),
                first,
                second: i + 1,
            });
        }
    }
    Ok(())
}

/// The name among `names` that is most similar to `name`, if one is similar enough to be meant.
pub fn nearest(name: &str, names: &[String]) -> Option<String> {
    names
        .iter()
        .map(|n| (strsim::jaro_winkler(&name.to_lowercase(), &n.to_lowercase()), n))
        .filter(|(likeness, _)| *likeness > 0.7)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, n)| n.clone())
}
