//! The columns of a table, and the values that their cells stand for.

use std::borrow::Cow;
use std::sync::OnceLock;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, Float64Array, Int64Array, PrimitiveArray,
    PrimitiveBuilder, StringArray, UInt32Array, UInt64Array,
};
use arrow::compute;
use arrow::datatypes::{DataType, Float64Type, TimeUnit};
use arrow::error::ArrowError;

use crate::cell::Cell;

/// The values of a column, all of one type; null where a value is missing.
#[derive(Debug, Clone)]
pub(crate) enum TypedColumn {
    Int64(Int64Array),
    UInt64(UInt64Array),
    Float64(Float64Array),
    /// Days since 1970-01-01, with a fraction for a time of day.
    Date(Float64Array),
    Boolean(BooleanArray),
    Text(StringArray),
    /// Values of a type that a table cannot use: only the type's name is kept.
    Opaque(String),
}

/// A column of a file: text for CSV, else values.
#[derive(Debug)]
pub(crate) struct Column {
    name: String,
    pub(crate) stored: TypedColumn,
    /// The values of the cells of a column of text, parsed when they are first needed.
    parsed: OnceLock<Parsed>,
}

/// A column of text whose cells have been parsed.
#[derive(Debug, Clone)]
pub(crate) struct Parsed {
    /// The values, of the narrowest type that all cells have; none if they have none in common but text.
    pub(crate) values: Option<TypedColumn>,
    /// How many cells are numbers.
    pub(crate) numbers: usize,
}

impl TypedColumn {
    /// The values of an Arrow array. Dates and timestamps become days; what else is neither number, text nor boolean is opaque.
    pub(crate) fn from_arrow(array: &ArrayRef) -> Self {
        Self::usable(array).unwrap_or_else(|_| Self::Opaque(array.data_type().to_string()))
    }

    fn usable(array: &ArrayRef) -> Result<Self, ArrowError> {
        let days = |units_per_day: f64| -> Result<Self, ArrowError> {
            let units = cast::<Float64Type>(&compute::cast(array, &DataType::Int64)?)?;
            Ok(Self::Date(units.unary(|x| x / units_per_day)))
        };
        Ok(match array.data_type() {
            DataType::Dictionary(_, value) => Self::usable(&compute::cast(array, value)?)?,
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
                Self::Text(compute::cast(array, &DataType::Utf8)?.as_string().clone())
            }
            DataType::Null => Self::Text(StringArray::new_null(array.len())),
            DataType::Boolean => Self::Boolean(array.as_boolean().clone()),
            t if t.is_signed_integer() => Self::Int64(cast(array)?),
            t if t.is_unsigned_integer() => Self::UInt64(cast(array)?),
            t if t.is_numeric() => {
                let numbers = cast::<Float64Type>(array)?;
                // NaN means that the value is missing, as it does in a CSV file.
                Self::Float64(match numbers.iter().flatten().any(f64::is_nan) {
                    true => numbers.iter().map(|x| x.filter(|x| !x.is_nan())).collect(),
                    false => numbers,
                })
            }
            DataType::Date32 => Self::Date(cast(&compute::cast(array, &DataType::Int32)?)?),
            DataType::Date64 | DataType::Timestamp(TimeUnit::Millisecond, _) => days(86_400e3)?,
            DataType::Timestamp(TimeUnit::Second, _) => days(86_400.0)?,
            DataType::Timestamp(TimeUnit::Microsecond, _) => days(86_400e6)?,
            DataType::Timestamp(TimeUnit::Nanosecond, _) => days(86_400e9)?,
            other => return Err(ArrowError::NotYetImplemented(other.to_string())),
        })
    }

    /// The array, if the type has one.
    pub(crate) fn array(&self) -> Option<&dyn Array> {
        match self {
            Self::Int64(a) => Some(a),
            Self::UInt64(a) => Some(a),
            Self::Float64(a) | Self::Date(a) => Some(a),
            Self::Boolean(a) => Some(a),
            Self::Text(a) => Some(a),
            Self::Opaque(_) => None,
        }
    }

    /// A column of the same type with the values of `array`, which was made from its own.
    fn with_array(&self, array: &ArrayRef) -> Self {
        match self {
            Self::Int64(_) => Self::Int64(array.as_primitive().clone()),
            Self::UInt64(_) => Self::UInt64(array.as_primitive().clone()),
            Self::Float64(_) => Self::Float64(array.as_primitive().clone()),
            Self::Date(_) => Self::Date(array.as_primitive().clone()),
            Self::Boolean(_) => Self::Boolean(array.as_boolean().clone()),
            Self::Text(_) => Self::Text(array.as_string().clone()),
            Self::Opaque(_) => self.clone(),
        }
    }

    fn take(&self, rows: &UInt32Array) -> Self {
        match self.array() {
            Some(array) => self.with_array(&compute::take(array, rows, None).expect("row numbers below the row count")),
            None => self.clone(),
        }
    }
}

fn cast<T: ArrowPrimitiveType>(array: &ArrayRef) -> Result<PrimitiveArray<T>, ArrowError> {
    Ok(compute::cast(array, &T::DATA_TYPE)?.as_primitive::<T>().clone())
}

impl Parsed {
    /// Parses each cell once.
    pub(crate) fn new<'a>(cells: impl Iterator<Item = Option<&'a str>>) -> Self {
        let cells: Vec<Option<Cell>> = cells.map(|cell| cell.map(Cell::parse)).collect();
        let [mut ints, mut naturals, mut numbers, mut booleans, mut dates, mut texts] = [0; 6];
        for cell in cells.iter().flatten() {
            let count = match cell {
                Cell::Int(x) => {
                    naturals += usize::from(*x >= 0);
                    ints += 1;
                    &mut numbers
                }
                Cell::Unsigned(_) => {
                    naturals += 1;
                    &mut numbers
                }
                Cell::Float(_) => &mut numbers,
                Cell::Boolean(_) => &mut booleans,
                Cell::Date(_) => &mut dates,
                Cell::Text => &mut texts,
            };
            *count += 1;
        }
        let values = match [numbers, booleans, dates, texts] {
            [n, 0, 0, 0] if n > 0 && n == ints => Some(TypedColumn::Int64(collect(&cells, |cell| match cell {
                Cell::Int(x) => Some(x),
                _ => None,
            }))),
            [n, 0, 0, 0] if n > 0 && n == naturals => Some(TypedColumn::UInt64(collect(&cells, |cell| match cell {
                Cell::Int(x) => u64::try_from(x).ok(),
                Cell::Unsigned(x) => Some(x),
                _ => None,
            }))),
            [_, 0, 0, 0] => Some(TypedColumn::Float64(collect(&cells, |cell| cell.number()))),
            [0, _, 0, 0] => {
                let values = cells.iter().map(|cell| cell.map(|cell| cell == Cell::Boolean(true)));
                Some(TypedColumn::Boolean(values.collect()))
            }
            [0, 0, _, 0] => Some(TypedColumn::Date(collect(&cells, |cell| match cell {
                Cell::Date(x) => Some(x),
                _ => None,
            }))),
            _ => None,
        };
        Self { values, numbers }
    }
}

fn collect<T: ArrowPrimitiveType>(
    cells: &[Option<Cell>],
    value: impl Fn(Cell) -> Option<T::Native>,
) -> PrimitiveArray<T> {
    let mut values = PrimitiveBuilder::with_capacity(cells.len());
    cells.iter().for_each(|cell| values.append_option(cell.and_then(&value)));
    values.finish()
}

impl Column {
    pub(crate) fn new(name: impl Into<String>, stored: TypedColumn) -> Self {
        Self { name: name.into(), stored, parsed: OnceLock::new() }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The name of the type, if it is one that a table cannot use.
    pub(crate) fn opaque(&self) -> Option<&str> {
        match &self.stored {
            TypedColumn::Opaque(data_type) => Some(data_type),
            _ => None,
        }
    }

    /// The values in these rows, also those that have been parsed.
    pub(crate) fn take(&self, rows: &UInt32Array) -> Self {
        let parsed = match self.parsed.get() {
            Some(Parsed { values: Some(values), numbers }) => {
                Parsed { values: Some(values.take(rows)), numbers: *numbers }.into()
            }
            // Some rows of mixed text may be all numbers: they are parsed anew.
            Some(Parsed { values: None, .. }) | None => OnceLock::new(),
        };
        Self { name: self.name.clone(), stored: self.stored.take(rows), parsed }
    }

    /// The columns of one name of several tables, one below the other.
    pub(crate) fn concat(columns: &[&Self]) -> Result<Self, ArrowError> {
        let [first, ..] = columns else { return Err(ArrowError::InvalidArgumentError("no columns".into())) };
        let arrays: Option<Vec<&dyn Array>> = columns.iter().map(|c| c.stored.array()).collect();
        let stored = match arrays {
            // Arrow refuses arrays of several types.
            Some(arrays) => first.stored.with_array(&compute::concat(&arrays)?),
            None => first.stored.clone(),
        };
        Ok(Self::new(&first.name, stored))
    }

    /// The values of the cells of a column of text.
    pub(crate) fn parsed(&self, text: &StringArray) -> &Parsed {
        self.parsed.get_or_init(|| Parsed::new(text.iter()))
    }
}

impl TypedColumn {
    /// The value of a row as text, trimmed; numbers in their shortest form, booleans in small letters.
    pub(crate) fn text(&self, row: usize) -> Option<Cow<'_, str>> {
        if self.array().is_none_or(|array| array.is_null(row)) {
            return None;
        }
        // Whole numbers are written as 64-bit floats are: labels and categories in model files are.
        Some(match self {
            Self::Int64(a) => Cow::Owned((a.value(row) as f64).to_string()),
            Self::UInt64(a) => Cow::Owned((a.value(row) as f64).to_string()),
            Self::Float64(a) | Self::Date(a) => Cow::Owned(a.value(row).to_string()),
            Self::Boolean(a) => Cow::Borrowed(if a.value(row) { "true" } else { "false" }),
            Self::Text(a) => Cow::Borrowed(match a.value(row).trim() {
                text if text.eq_ignore_ascii_case("true") => "true",
                text if text.eq_ignore_ascii_case("false") => "false",
                text => text,
            }),
            Self::Opaque(_) => return None,
        })
    }
}
