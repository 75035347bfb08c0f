//! Columns in the rows of a table.

use std::borrow::Cow;

use arrow::array::{Array, PrimitiveArray};

use crate::cell::Cell;
use crate::column::{Column, Parsed, TypedColumn};
use crate::error::{DataError, Offending};
use crate::kind::ColumnKind;
use crate::table::Table;

/// A column in the rows of a table.
#[derive(Clone, Copy)]
pub(crate) struct ColumnView<'a> {
    pub(crate) table: &'a Table,
    pub(crate) column: &'a Column,
}

impl<'a> ColumnView<'a> {
    /// Whether each row lacks a value.
    pub(crate) fn nulls(self) -> impl Iterator<Item = bool> + 'a {
        let nulls = self.column.stored.array().and_then(Array::nulls);
        self.table.stored_rows().map(move |row| nulls.is_some_and(|nulls| nulls.is_null(row)))
    }

    /// Rows with a value.
    pub(crate) fn present(self) -> usize {
        self.nulls().filter(|null| !null).count()
    }

    /// The values as text, trimmed; numbers in their shortest form, booleans in small letters.
    pub(crate) fn texts(self) -> impl Iterator<Item = Option<Cow<'a, str>>> {
        self.table.stored_rows().map(move |row| self.column.stored.text(row))
    }

    /// The value of one row as text.
    pub(crate) fn text(self, row: usize) -> Option<Cow<'a, str>> {
        self.column.stored.text(self.table.stored_row(row))
    }

    /// The inferred kind of the rows; for text of no other kind, how many of its cells are numbers.
    pub(crate) fn kind(self) -> Result<ColumnKind, usize> {
        let of = |parsed: &Parsed| match &parsed.values {
            Some(TypedColumn::Int64(_) | TypedColumn::UInt64(_) | TypedColumn::Float64(_)) => Ok(ColumnKind::Numeric),
            Some(TypedColumn::Date(_)) => Ok(ColumnKind::Date),
            Some(TypedColumn::Boolean(_)) => Ok(ColumnKind::Boolean),
            Some(TypedColumn::Text(_) | TypedColumn::Opaque(_)) | None => Err(parsed.numbers),
        };
        match &self.column.stored {
            TypedColumn::Text(text) => match of(self.column.parsed(text)) {
                // Some rows of mixed text may be all of one kind.
                Err(_) if self.table.is_selection() => of(&Parsed::new(self.written())),
                kind => kind,
            },
            TypedColumn::Int64(_) | TypedColumn::UInt64(_) | TypedColumn::Float64(_) | TypedColumn::Date(_) => {
                Ok(ColumnKind::Numeric)
            }
            TypedColumn::Boolean(_) => Ok(ColumnKind::Boolean),
            TypedColumn::Opaque(_) => Err(0),
        }
    }

    /// The values as numbers, read as values of this kind: dates as days since 1970-01-01, booleans as 0 and 1.
    ///
    /// # Errors
    ///
    /// Cells that are not of the kind, and numbers that are not finite as 32-bit floats, with their place.
    pub(crate) fn numbers(self, kind: ColumnKind) -> Result<Vec<Option<f64>>, DataError> {
        let numbers = match &self.column.stored {
            TypedColumn::Text(text) => match (&self.column.parsed(text).values, kind) {
                (
                    Some(values @ (TypedColumn::Int64(_) | TypedColumn::UInt64(_) | TypedColumn::Float64(_))),
                    ColumnKind::Numeric | ColumnKind::Categorical,
                )
                | (Some(values @ TypedColumn::Date(_)), ColumnKind::Date)
                | (Some(values @ TypedColumn::Boolean(_)), ColumnKind::Boolean) => self.read(values),
                _ => self.parse(kind)?,
            },
            stored => self.read(stored),
        };
        let too_large = |x: &Option<f64>| x.is_some_and(|x| x.abs() > f64::from(f32::MAX));
        match numbers.iter().position(too_large) {
            None => Ok(numbers),
            Some(row) => Err(DataError::NotFinite {
                name: self.table.name().to_owned(),
                line: self.table.place(row),
                column: self.column.name().to_owned(),
                value: self.text(row).unwrap_or_default().into_owned(),
            }),
        }
    }

    fn read(self, typed: &TypedColumn) -> Vec<Option<f64>> {
        fn each<A: Array>(array: &A, table: &Table, value: impl Fn(&A, usize) -> f64) -> Vec<Option<f64>> {
            table.stored_rows().map(|row| array.is_valid(row).then(|| value(array, row))).collect()
        }
        match typed {
            TypedColumn::Int64(a) => each(a, self.table, |a, row| a.value(row) as f64),
            TypedColumn::UInt64(a) => each(a, self.table, |a, row| a.value(row) as f64),
            TypedColumn::Float64(a) | TypedColumn::Date(a) => each(a, self.table, PrimitiveArray::value),
            TypedColumn::Boolean(a) => each(a, self.table, |a, row| f64::from(a.value(row))),
            TypedColumn::Text(_) | TypedColumn::Opaque(_) => vec![None; self.table.rows()],
        }
    }

    /// Parses each cell of a column of text that is not, as a whole, of this kind.
    fn parse(self, kind: ColumnKind) -> Result<Vec<Option<f64>>, DataError> {
        let (value, expected): (fn(Cell) -> Option<f64>, _) = match kind {
            ColumnKind::Numeric | ColumnKind::Categorical => (|cell| cell.number(), "a number"),
            ColumnKind::Date => (|cell| if let Cell::Date(x) = cell { Some(x) } else { None }, "an ISO 8601 date"),
            ColumnKind::Boolean => {
                (|cell| if let Cell::Boolean(x) = cell { Some(f64::from(x)) } else { None }, "true or false")
            }
        };
        let mut wrong = Vec::new();
        let numbers = (self.written().enumerate())
            .map(|(row, text)| {
                let number = value(Cell::parse(text?));
                if number.is_none() {
                    wrong.push(row);
                }
                number
            })
            .collect();
        match wrong.split_first() {
            None => Ok(numbers),
            Some((&row, others)) => Err(DataError::NotA {
                name: self.table.name().to_owned(),
                line: self.table.place(row),
                column: self.column.name().to_owned(),
                value: self.written().nth(row).flatten().unwrap_or_default().to_owned(),
                expected,
                all: Box::new(Offending {
                    count: wrong.len(),
                    further: others.iter().take(2).map(|&row| self.table.place(row)).collect(),
                }),
            }),
        }
    }

    /// The cells of a column of text, as they are written.
    pub(crate) fn written(self) -> impl Iterator<Item = Option<&'a str>> {
        let text = match &self.column.stored {
            TypedColumn::Text(text) => Some(text),
            _ => None,
        };
        self.table.stored_rows().map(move |row| text.filter(|t| t.is_valid(row)).map(|t| t.value(row)))
    }

    /// Refuses a column that lacks a value where `role` needs one.
    pub(crate) fn check_present(self, role: &'static str) -> Result<(), DataError> {
        let mut missing = self.nulls().enumerate().filter_map(|(row, null)| null.then_some(row));
        match missing.next() {
            None => Ok(()),
            Some(row) => Err(DataError::MissingValue {
                name: self.table.name().to_owned(),
                line: self.table.place(row),
                column: self.column.name().to_owned(),
                role,
                count: 1 + missing.count(),
            }),
        }
    }
}

impl Table {
    /// A column of values that a table can use.
    pub(crate) fn column(&self, column: &str) -> Result<ColumnView<'_>, DataError> {
        let found = self.find(column)?;
        match found.opaque() {
            None => Ok(ColumnView { table: self, column: found }),
            Some(data_type) => Err(DataError::UnsupportedType {
                name: self.name().to_owned(),
                column: column.to_owned(),
                data_type: data_type.to_owned(),
            }),
        }
    }
}
