//! Tables in memory: named columns of text, numbers or booleans.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, RecordBatch, StringArray, UInt32Array};
use arrow::compute;
use arrow::datatypes::{DataType, Field, Float64Type};

use crate::DataError;
use crate::error::Place;

/// A table: an Arrow record batch whose columns are text (`Utf8`), numbers (`Float64`) or booleans (`Boolean`),
/// nulls for missing values, with the name of its source and, for CSV, the line of each row.
///
/// A CSV column is text until a schema says what it means.
#[derive(Debug, Clone)]
pub struct Table {
    name: String,
    batch: RecordBatch,
    lines: Option<Vec<u64>>,
    first_row: u64,
}

/// A column as stored.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Column<'a> {
    Text(&'a StringArray),
    Number(&'a Float64Array),
    Boolean(&'a BooleanArray),
}

impl Table {
    /// Wraps a record batch. Integers, decimals, dates (as days since 1970-01-01) and timestamps (likewise, with
    /// fractions) become `Float64`; dictionaries and large strings `Utf8`.
    ///
    /// # Errors
    ///
    /// [`DataError::DuplicateColumn`] and [`DataError::UnsupportedType`].
    pub fn from_batch(name: impl Into<String>, batch: &RecordBatch) -> Result<Self, DataError> {
        let name = name.into();
        check_names(&name, batch.schema().fields().iter().map(|f| f.name().as_str()))?;
        let columns: Vec<(String, ArrayRef)> = batch
            .schema()
            .fields()
            .iter()
            .zip(batch.columns())
            .map(|(field, array)| Ok((field.name().clone(), normalise(&name, field.name(), array)?)))
            .collect::<Result<_, DataError>>()?;
        Ok(Self::from_columns(name, columns, batch.num_rows(), None))
    }

    pub(crate) fn from_columns(
        name: String,
        columns: Vec<(String, ArrayRef)>,
        rows: usize,
        lines: Option<Vec<u64>>,
    ) -> Self {
        let fields: Vec<Field> = columns.iter().map(|(n, a)| Field::new(n, a.data_type().clone(), true)).collect();
        let arrays = columns.into_iter().map(|(_, array)| array).collect();
        let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(rows));
        let schema = Arc::new(arrow::datatypes::Schema::new(fields));
        // The fields are made from the arrays, all of one length.
        let batch = RecordBatch::try_new_with_options(schema, arrays, &options).expect("fields describe the arrays");
        Self { name, batch, lines, first_row: 0 }
    }

    /// Where the table came from: a path, or `standard input`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The columns as an Arrow record batch.
    pub fn batch(&self) -> &RecordBatch {
        &self.batch
    }

    /// Rows.
    pub fn rows(&self) -> usize {
        self.batch.num_rows()
    }

    /// Column names, in the order of the file.
    pub fn columns(&self) -> Vec<String> {
        self.batch.schema().fields().iter().map(|f| f.name().clone()).collect()
    }

    /// Whether there is a column of this name.
    pub fn has(&self, column: &str) -> bool {
        self.batch.schema().index_of(column).is_ok()
    }

    /// The line of a row (0-based) in its CSV file.
    pub fn line(&self, row: usize) -> Option<u64> {
        self.lines.as_ref().and_then(|lines| lines.get(row)).copied()
    }

    /// The rows with these numbers, in this order.
    #[must_use]
    pub fn take(&self, rows: &[u32]) -> Self {
        let indices = UInt32Array::from(rows.to_vec());
        let columns = self
            .batch
            .schema()
            .fields()
            .iter()
            .zip(self.batch.columns())
            .map(|(f, c)| {
                (f.name().clone(), compute::take(c, &indices, None).expect("row numbers below the row count"))
            })
            .collect();
        let lines = self.lines.as_ref().map(|lines| rows.iter().map(|&r| lines[r as usize]).collect());
        Self::from_columns(self.name.clone(), columns, rows.len(), lines)
    }

    /// The tables one below the other; none of none. They have the same columns.
    pub(crate) fn concat(tables: Vec<Self>) -> Result<Option<Self>, DataError> {
        let Some(first) = tables.first() else { return Ok(None) };
        if tables.len() == 1 {
            return Ok(tables.into_iter().next());
        }
        let schema = first.batch.schema();
        // Arrow refuses more than 2 GiB of text in a column.
        let batch = compute::concat_batches(&schema, tables.iter().map(|t| &t.batch))
            .map_err(|e| DataError::TooLarge { name: first.name.clone(), reason: e.to_string() })?;
        let lines = tables.iter().map(|t| t.lines.as_deref()).collect::<Option<Vec<_>>>().map(|l| l.concat());
        Ok(Some(Self { name: first.name.clone(), batch, lines, first_row: first.first_row }))
    }

    pub(crate) fn column(&self, column: &str) -> Result<Column<'_>, DataError> {
        let Some(array) = self.batch.column_by_name(column) else {
            return Err(DataError::NoColumn {
                name: self.name.clone(),
                column: column.to_owned(),
                nearest: nearest(column, &self.columns()),
                only: Some(self.columns()).filter(|c| c.len() == 1).map(|mut c| c.remove(0)),
            });
        };
        Ok(match array.data_type() {
            DataType::Utf8 => Column::Text(array.as_string()),
            DataType::Boolean => Column::Boolean(array.as_boolean()),
            _ => Column::Number(array.as_primitive::<Float64Type>()),
        })
    }

    /// Where row `row` (0-based) stands in the source.
    pub(crate) fn place(&self, row: usize) -> Place {
        match &self.lines {
            Some(lines) => Place::Line(lines[row]),
            None => Place::Row(self.first_row + row as u64 + 1),
        }
    }

    /// The table, of which `rows` rows of the source stand before it.
    pub(crate) fn at_row(mut self, rows: u64) -> Self {
        self.first_row = rows;
        self
    }

    /// Says that `rows` rows of the source stand before this table.
    pub(crate) fn set_first_row(&mut self, rows: u64) {
        self.first_row = rows;
    }
}

impl Column<'_> {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Text(a) => a.len(),
            Self::Number(a) => a.len(),
            Self::Boolean(a) => a.len(),
        }
    }

    pub(crate) fn is_null(&self, row: usize) -> bool {
        match self {
            Self::Text(a) => a.is_null(row),
            Self::Number(a) => a.is_null(row),
            Self::Boolean(a) => a.is_null(row),
        }
    }

    /// The value of `row` as text, trimmed; a number in its shortest form, a truth value in small letters.
    pub(crate) fn text(&self, row: usize) -> Option<std::borrow::Cow<'_, str>> {
        use std::borrow::Cow;
        (!self.is_null(row)).then(|| match self {
            Self::Text(a) => Cow::Borrowed(match a.value(row).trim() {
                text if text.eq_ignore_ascii_case("true") => "true",
                text if text.eq_ignore_ascii_case("false") => "false",
                text => text,
            }),
            Self::Number(a) => Cow::Owned(a.value(row).to_string()),
            Self::Boolean(a) => Cow::Borrowed(if a.value(row) { "true" } else { "false" }),
        })
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

/// The name among `names` that is most like `name`, if one is like it at all.
pub fn nearest(name: &str, names: &[String]) -> Option<String> {
    names
        .iter()
        .map(|n| (strsim::jaro_winkler(&name.to_lowercase(), &n.to_lowercase()), n))
        .filter(|(likeness, _)| *likeness > 0.7)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, n)| n.clone())
}

/// The array as text, numbers or booleans.
fn normalise(name: &str, column: &str, array: &ArrayRef) -> Result<ArrayRef, DataError> {
    let unsupported = |data_type: &DataType| DataError::UnsupportedType {
        name: name.to_owned(),
        column: column.to_owned(),
        data_type: data_type.to_string(),
    };
    let cast = |array: &ArrayRef, to: &DataType| compute::cast(array, to).map_err(|_| unsupported(array.data_type()));
    let per_day = |array: ArrayRef, units: f64| -> ArrayRef {
        Arc::new(array.as_primitive::<Float64Type>().unary::<_, Float64Type>(|x| x / units))
    };
    let array = match array.data_type() {
        DataType::Dictionary(_, value) => &cast(array, value)?,
        _ => array,
    };
    let normal = match array.data_type() {
        DataType::Utf8 | DataType::Boolean => array.clone(),
        DataType::LargeUtf8 | DataType::Utf8View => cast(array, &DataType::Utf8)?,
        t if t.is_numeric() => cast(array, &DataType::Float64)?,
        DataType::Date32 => cast(&cast(array, &DataType::Int32)?, &DataType::Float64)?,
        DataType::Date64 => per_day(cast(&cast(array, &DataType::Int64)?, &DataType::Float64)?, 86_400_000.0),
        DataType::Timestamp(unit, _) => {
            use arrow::datatypes::TimeUnit;
            let seconds = match unit {
                TimeUnit::Second => 1.0,
                TimeUnit::Millisecond => 1e3,
                TimeUnit::Microsecond => 1e6,
                TimeUnit::Nanosecond => 1e9,
            };
            per_day(cast(&cast(array, &DataType::Int64)?, &DataType::Float64)?, 86_400.0 * seconds)
        }
        DataType::Null => Arc::new(StringArray::new_null(array.len())),
        other => return Err(unsupported(other)),
    };
    // A NaN in a column of numbers is a missing value, as in a CSV file.
    Ok(match normal.data_type() {
        DataType::Float64 => {
            let numbers = normal.as_primitive::<Float64Type>();
            match numbers.iter().flatten().any(f64::is_nan) {
                true => Arc::new(numbers.iter().map(|x| x.filter(|x| !x.is_nan())).collect::<Float64Array>()),
                false => normal,
            }
        }
        _ => normal,
    })
}
