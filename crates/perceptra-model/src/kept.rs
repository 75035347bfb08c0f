//! Columns of a table that go through to the file of its predictions.

use std::io::{Error, ErrorKind, Result as IoResult};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute;
use arrow::datatypes::{DataType, Float64Type, Int64Type, UInt64Type};
use arrow::util::display::{ArrayFormatter, FormatOptions};

/// The kept columns of some rows, as cells.
pub(crate) struct KeptCells<'a> {
    batch: &'a RecordBatch,
    texts: Vec<ArrayFormatter<'a>>,
}

impl<'a> KeptCells<'a> {
    pub(crate) fn new(batch: &'a RecordBatch, options: &'a FormatOptions<'a>) -> IoResult<Self> {
        let texts = batch.columns().iter().map(|array| ArrayFormatter::try_new(array, options));
        Ok(Self { batch, texts: texts.collect::<Result<_, _>>().map_err(Error::other)? })
    }

    /// The cells of a row as text; empty where a value is missing.
    pub(crate) fn texts(&self, row: usize) -> impl Iterator<Item = String> + '_ {
        self.texts.iter().map(move |text| text.value(row).to_string())
    }
}

/// The kept columns of some rows, as JSON.
pub(crate) struct KeptJson<'a> {
    cells: KeptCells<'a>,
    /// Whole numbers and others in types that JSON has; none for a column of another type, which is written as text.
    numbers: Vec<Option<ArrayRef>>,
}

impl<'a> KeptJson<'a> {
    pub(crate) fn new(batch: &'a RecordBatch, options: &'a FormatOptions<'a>) -> IoResult<Self> {
        let number = |array: &ArrayRef| {
            let like = match array.data_type() {
                DataType::Boolean => DataType::Boolean,
                t if t.is_unsigned_integer() => DataType::UInt64,
                t if t.is_signed_integer() => DataType::Int64,
                t if t.is_floating() => DataType::Float64,
                _ => return Ok(None),
            };
            compute::cast(array, &like).map(Some)
        };
        let numbers = batch.columns().iter().map(number).collect::<Result<_, _>>().map_err(Error::other)?;
        Ok(Self { cells: KeptCells::new(batch, options)?, numbers })
    }

    /// The values of a row; null where a value is missing.
    pub(crate) fn values(&self, row: usize) -> impl Iterator<Item = serde_json::Value> + '_ {
        (self.cells.batch.columns().iter().zip(&self.numbers).zip(self.cells.texts(row))).map(
            move |((array, number), text)| match number {
                _ if array.is_null(row) => serde_json::Value::Null,
                None => text.into(),
                Some(number) => match number.data_type() {
                    DataType::Boolean => number.as_boolean().value(row).into(),
                    DataType::Int64 => number.as_primitive::<Int64Type>().value(row).into(),
                    DataType::UInt64 => number.as_primitive::<UInt64Type>().value(row).into(),
                    _ => number.as_primitive::<Float64Type>().value(row).into(),
                },
            },
        )
    }
}

/// The kept columns of a table, if there have to be some.
pub(crate) fn kept_of<'a>(
    wanted: &arrow::datatypes::Fields,
    kept: Option<&'a RecordBatch>,
    rows: usize,
) -> IoResult<Option<&'a RecordBatch>> {
    if wanted.is_empty() {
        return Ok(None);
    }
    match kept.filter(|kept| kept.num_rows() == rows && kept.schema().fields() == wanted) {
        Some(kept) => Ok(Some(kept)),
        None => Err(Error::new(ErrorKind::InvalidInput, "the table was not read with the columns to keep")),
    }
}
