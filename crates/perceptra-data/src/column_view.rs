//! Columns in the rows of a table.

use std::borrow::Cow;

use arrow::array::{Array, PrimitiveArray};

use crate::cell::{Cell, canonical, is_code};
use crate::column::{Column, Parsed, TypedColumn};
use crate::error::{DataError, Offending, Role};
use crate::kind::ColumnKind;
use crate::missing::is_mark;
use crate::notation::Notation;
use crate::table::Table;

/// Whole numbers up to here are exact as 64-bit floats.
const EXACT: f64 = 9_007_199_254_740_992.0;

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

    /// The inferred kind of the rows; none for text that has no kind in common but text.
    pub(crate) fn kind(self) -> Option<ColumnKind> {
        match &self.column.stored {
            TypedColumn::Text(text) => match self.column.parsed(text).values.as_ref().map(Self::kind_of) {
                // Some rows of mixed text may be all of one kind.
                None if self.table.is_selection() => {
                    self.column.parse(self.written()).values.as_ref().and_then(Self::kind_of)
                }
                kind => kind.flatten(),
            },
            stored => Self::kind_of(stored),
        }
    }

    fn kind_of(values: &TypedColumn) -> Option<ColumnKind> {
        match values {
            TypedColumn::Int64(_) | TypedColumn::UInt64(_) | TypedColumn::Float64(_) => Some(ColumnKind::Numeric),
            TypedColumn::Date(_) => Some(ColumnKind::Date),
            TypedColumn::Boolean(_) => Some(ColumnKind::Boolean),
            TypedColumn::Text(_) | TypedColumn::Opaque(_) => None,
        }
    }

    /// Findings from parsing the cells of a column of text; none for columns that came with values.
    pub(crate) fn parsed(self) -> Option<&'a Parsed> {
        match &self.column.stored {
            TypedColumn::Text(text) => Some(self.column.parsed(text)),
            TypedColumn::Int64(_) | TypedColumn::UInt64(_) | TypedColumn::Float64(_) => None,
            TypedColumn::Date(_) | TypedColumn::Boolean(_) | TypedColumn::Opaque(_) => None,
        }
    }

    /// The texts of the values; by value, all that stand for the same value are one.
    pub(crate) fn categories(self, by_value: bool) -> impl Iterator<Item = Option<Cow<'a, str>>> {
        let parsed = by_value.then(|| self.parsed()).flatten();
        self.table.stored_rows().map(move |row| {
            let text = self.column.stored.text(row)?;
            let Some(parsed) = parsed else { return Some(text) };
            // Cells that have been parsed need not be parsed again, unless they lost digits in floats.
            let known = parsed.values.as_ref().filter(|_| !is_code(&text)).and_then(|values| match values {
                TypedColumn::Float64(a) if !a.is_valid(row) || a.value(row).abs() > EXACT => None,
                TypedColumn::Float64(_) | TypedColumn::Int64(_) | TypedColumn::UInt64(_) => values.text(row),
                TypedColumn::Date(_) | TypedColumn::Boolean(_) => values.text(row),
                TypedColumn::Text(_) | TypedColumn::Opaque(_) => None,
            });
            known.or_else(|| Some(canonical(&text).into_owned().into()))
        })
    }

    /// The values as numbers, read as values of this kind: dates as days since 1970-01-01, booleans as 0 and 1.
    ///
    /// # Errors
    ///
    /// Cells that are not of the kind, and numbers that are not finite as 32-bit floats, with their place.
    pub(crate) fn numbers(self, kind: ColumnKind, notation: &Notation) -> Result<Vec<Option<f64>>, DataError> {
        self.numbers_of(Role::Feature, kind, notation)
    }

    /// As [`ColumnView::numbers`], of a column with this role.
    fn numbers_of(self, role: Role, kind: ColumnKind, notation: &Notation) -> Result<Vec<Option<f64>>, DataError> {
        let numbers = match (&self.column.stored, kind) {
            (TypedColumn::Text(text), _) => match (&self.column.parsed(text).values, kind) {
                (
                    Some(values @ (TypedColumn::Int64(_) | TypedColumn::UInt64(_) | TypedColumn::Float64(_))),
                    ColumnKind::Numeric | ColumnKind::Categorical,
                ) if !notation.has_separators() => self.read(values),
                (Some(values @ TypedColumn::Date(_)), ColumnKind::Date)
                | (Some(values @ TypedColumn::Boolean(_)), ColumnKind::Boolean) => self.read(values),
                _ => self.parse(role, kind, notation)?,
            },
            (
                TypedColumn::Boolean(_)
                | TypedColumn::Date(_)
                | TypedColumn::Int64(_)
                | TypedColumn::UInt64(_)
                | TypedColumn::Float64(_),
                ColumnKind::Numeric | ColumnKind::Categorical,
            )
            | (TypedColumn::Boolean(_), ColumnKind::Boolean)
            | (TypedColumn::Date(_), ColumnKind::Date) => self.read(&self.column.stored),
            // Truth values as 0 and 1; in other cases the types do not fit.
            (stored, ColumnKind::Boolean | ColumnKind::Date) | (stored @ TypedColumn::Opaque(_), _) => {
                let numbers = self.read(stored);
                let is_truth = |x: &Option<f64>| x.is_none_or(|x| x == 0.0 || x == 1.0);
                let is_wrong = |number: &Option<f64>| match (stored, kind) {
                    (TypedColumn::Int64(_) | TypedColumn::UInt64(_) | TypedColumn::Float64(_), ColumnKind::Boolean) => {
                        !is_truth(number)
                    }
                    (TypedColumn::Int64(_) | TypedColumn::UInt64(_) | TypedColumn::Float64(_), _) => number.is_some(),
                    (TypedColumn::Date(_) | TypedColumn::Boolean(_), _) => number.is_some(),
                    (TypedColumn::Text(_) | TypedColumn::Opaque(_), _) => number.is_some(),
                };
                let wrong: Vec<usize> = (0..numbers.len()).filter(|&row| is_wrong(&numbers[row])).collect();
                self.refuse(&wrong, role, kind)?;
                numbers
            }
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
    fn parse(self, role: Role, kind: ColumnKind, notation: &Notation) -> Result<Vec<Option<f64>>, DataError> {
        let value = |text: &str| match kind {
            // Truth values as numbers, as they are in files with types.
            ColumnKind::Numeric | ColumnKind::Categorical => {
                notation.number(text).or_else(|| match Cell::parse(text) {
                    Cell::Boolean(x) => Some(f64::from(x)),
                    Cell::Int(_) | Cell::Unsigned(_) | Cell::Float(_) | Cell::Date(_) | Cell::Text => None,
                })
            }
            ColumnKind::Date => notation.date(text),
            ColumnKind::Boolean => match Cell::parse(text) {
                Cell::Boolean(x) => Some(f64::from(x)),
                cell => cell.number().filter(|x| *x == 0.0 || *x == 1.0),
            },
        };
        let marks = match kind {
            ColumnKind::Numeric | ColumnKind::Categorical | ColumnKind::Date => true,
            ColumnKind::Boolean => false,
        };
        let is_missing = |number: f64| self.column.is_missing(number);
        let mut wrong = Vec::new();
        let numbers = (self.written().enumerate())
            .map(|(row, text)| {
                let text = text?;
                let number = value(text);
                if number.is_none() && !(marks && is_mark(text.trim())) {
                    wrong.push(row);
                }
                number.filter(|x| kind == ColumnKind::Date || !is_missing(*x))
            })
            .collect();
        self.refuse(&wrong, role, kind)?;
        Ok(numbers)
    }

    /// The error for these rows, if there are any, whose values are not what was expected.
    fn refuse(self, wrong: &[usize], role: Role, kind: ColumnKind) -> Result<(), DataError> {
        let Some((&row, others)) = wrong.split_first() else { return Ok(()) };
        let further = others.iter().take(2).map(|&row| self.table.place(row)).collect();
        Err(self.wrong(row, kind, Offending { count: wrong.len(), further, role }))
    }

    /// The error for a row whose value is not of this kind, as those of `count` rows are.
    pub(crate) fn not_a(self, row: usize, role: Role, kind: ColumnKind, count: usize) -> DataError {
        self.wrong(row, kind, Offending { count, further: Vec::new(), role })
    }

    fn wrong(self, row: usize, kind: ColumnKind, all: Offending) -> DataError {
        let written = self.written().nth(row).flatten().map(str::to_owned);
        DataError::NotA {
            name: self.table.name().to_owned(),
            line: self.table.place(row),
            column: self.column.name().to_owned(),
            value: written.unwrap_or_else(|| self.text(row).unwrap_or_default().into_owned()),
            expected: expected(kind),
            all: Box::new(all),
        }
    }

    /// The values in rows that have one, if all are whole numbers of 64 bits.
    pub(crate) fn integers(self) -> Option<Vec<i64>> {
        let values = match &self.column.stored {
            TypedColumn::Text(text) => self.column.parsed(text).values.as_ref()?,
            stored => stored,
        };
        match values {
            TypedColumn::Int64(a) => {
                Some(self.table.stored_rows().filter(|&row| a.is_valid(row)).map(|row| a.value(row)).collect())
            }
            TypedColumn::UInt64(a) => {
                let rows = self.table.stored_rows().filter(|&row| a.is_valid(row));
                rows.map(|row| i64::try_from(a.value(row)).ok()).collect()
            }
            TypedColumn::Float64(a) => {
                // An index with a missing value elsewhere was written as 0.0, 1.0...
                let rows = self.table.stored_rows().filter(|&row| a.is_valid(row)).map(|row| a.value(row));
                rows.map(|x| (x.fract() == 0.0 && x.abs() < 9e15).then_some(x as i64)).collect()
            }
            TypedColumn::Date(_) | TypedColumn::Boolean(_) | TypedColumn::Text(_) | TypedColumn::Opaque(_) => None,
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
    pub(crate) fn check_present(self, role: Role) -> Result<(), DataError> {
        self.refuse_missing(self.nulls(), role)
    }

    /// The numbers of a column that has one in every row, which `role` needs.
    pub(crate) fn all_numbers(self, role: Role, notation: &Notation) -> Result<Vec<f64>, DataError> {
        self.check_present(role)?;
        let numbers = self.numbers_of(role, ColumnKind::Numeric, notation)?;
        // A mark for a missing value among numbers.
        self.refuse_missing(numbers.iter().map(Option::is_none), role)?;
        Ok(numbers.into_iter().flatten().collect())
    }

    fn refuse_missing(self, missing: impl Iterator<Item = bool>, role: Role) -> Result<(), DataError> {
        let mut missing = missing.enumerate().filter_map(|(row, missing)| missing.then_some(row));
        match missing.next() {
            None => Ok(()),
            Some(row) => Err(DataError::MissingValue {
                name: self.table.name().to_owned(),
                line: self.table.place(row),
                column: self.column.name().to_owned(),
                role,
                count: 1 + missing.count(),
                text: self.column.frequent_missing(),
            }),
        }
    }
}

/// The name of values of a kind in errors.
fn expected(kind: ColumnKind) -> &'static str {
    match kind {
        ColumnKind::Numeric | ColumnKind::Categorical => "a number",
        ColumnKind::Date => "a date",
        ColumnKind::Boolean => "true or false",
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
