//! The columns of a table, and the values that their cells stand for.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, Float64Array, Int64Array, PrimitiveArray,
    PrimitiveBuilder, StringArray, UInt32Array, UInt64Array,
};
use arrow::compute;
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit};
use arrow::error::ArrowError;

use crate::cell::{Cell, is_code};
use crate::date::{days_of_micros, iso};
use crate::missing::{MissingTexts, is_mark};

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
    /// The texts that mean "no value", if numbers are among them.
    missing: Option<Arc<MissingTexts>>,
    /// The texts that were taken as missing, each with the number of its cells.
    nulls: BTreeMap<String, usize>,
}

/// A column of text whose cells have been parsed.
#[derive(Debug, Clone)]
pub(crate) struct Parsed {
    /// The values, of the narrowest type that all cells have; none if they have none in common but text.
    pub(crate) values: Option<TypedColumn>,
    /// How many cells are codes such as `007`.
    pub(crate) codes: usize,
    /// Marks of missing values among numbers or dates, each with the number of its cells.
    pub(crate) marks: BTreeMap<String, usize>,
}

impl TypedColumn {
    /// The values of an Arrow array. Dates and timestamps become days; what else is neither number, text nor boolean is opaque.
    pub(crate) fn from_arrow(array: &ArrayRef) -> Self {
        Self::usable(array).unwrap_or_else(|_| Self::Opaque(array.data_type().to_string()))
    }

    fn usable(array: &ArrayRef) -> Result<Self, ArrowError> {
        let days = |unit: &TimeUnit| -> Result<Self, ArrowError> {
            let micros: fn(i64) -> f64 = match unit {
                TimeUnit::Second => |x| days_of_micros(x.saturating_mul(1_000_000)),
                TimeUnit::Millisecond => |x| days_of_micros(x.saturating_mul(1000)),
                TimeUnit::Microsecond => days_of_micros,
                TimeUnit::Nanosecond => |x| days_of_micros(x.div_euclid(1000)),
            };
            Ok(Self::Date(cast::<Int64Type>(array)?.unary(micros)))
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
            DataType::Date64 => days(&TimeUnit::Millisecond)?,
            DataType::Timestamp(unit, _) => days(unit)?,
            other => return Err(ArrowError::NotYetImplemented(other.to_string())),
        })
    }

    /// The column without the values that mean "no value".
    pub(crate) fn without(self, missing: &MissingTexts) -> Self {
        let float = |x: &f64| !missing.contains_number(*x);
        match self {
            Self::Text(a) if a.iter().flatten().any(|text| missing.contains(text.trim())) => {
                Self::Text(a.iter().map(|text| text.filter(|text| !missing.contains(text.trim()))).collect())
            }
            Self::Int64(a) if missing.has_numbers() => {
                Self::Int64(a.iter().map(|x| x.filter(|x| float(&(*x as f64)))).collect())
            }
            Self::UInt64(a) if missing.has_numbers() => {
                Self::UInt64(a.iter().map(|x| x.filter(|x| float(&(*x as f64)))).collect())
            }
            Self::Float64(a) if missing.has_numbers() => Self::Float64(a.iter().map(|x| x.filter(float)).collect()),
            Self::Int64(_) | Self::UInt64(_) | Self::Float64(_) | Self::Date(_) | Self::Boolean(_) | Self::Text(_) => {
                self
            }
            Self::Opaque(_) => self,
        }
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

    /// The values of `rows` rows as an array of text; nothing but missing values of a type that a table cannot use.
    pub(crate) fn texts(&self, rows: usize) -> StringArray {
        (0..rows).map(|row| self.text(row)).collect()
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
    /// Parses each cell once. Well-known marks for missing values, and the numbers in `missing`, are missing among numbers and dates.
    pub(crate) fn new<'a>(texts: impl Iterator<Item = Option<&'a str>>, missing: Option<&MissingTexts>) -> Self {
        let mut marks: BTreeMap<String, usize> = BTreeMap::new();
        let [mut ints, mut naturals, mut numbers, mut booleans, mut dates, mut others, mut codes] = [0; 7];
        let mut read = |text: &'a str| {
            let cell = Cell::parse(text);
            let count = match cell {
                Cell::Int(_) | Cell::Unsigned(_) | Cell::Float(_)
                    if missing.is_some_and(|m| cell.number().is_some_and(|x| m.contains_number(x))) =>
                {
                    return None;
                }
                Cell::Int(x) => {
                    naturals += usize::from(x >= 0);
                    ints += 1;
                    codes += usize::from(is_code(text));
                    &mut numbers
                }
                Cell::Unsigned(_) => {
                    naturals += 1;
                    codes += usize::from(is_code(text));
                    &mut numbers
                }
                Cell::Float(_) => &mut numbers,
                Cell::Boolean(_) => &mut booleans,
                Cell::Date(_) => &mut dates,
                Cell::Text if others == 0 && is_mark(text.trim()) => {
                    *marks.entry(text.trim().to_owned()).or_insert(0) += 1;
                    return None;
                }
                Cell::Text => &mut others,
            };
            *count += 1;
            Some(cell)
        };
        let cells: Vec<Option<Cell>> = texts.map(|text| text.and_then(&mut read)).collect();
        // Among truth values a mark is a value of its own, and so it is alone.
        let texts = others + if numbers + dates == 0 { marks.len() } else { 0 };
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
        if values.is_none() {
            marks.clear();
        }
        Self { values, codes, marks }
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
        Self { name: name.into(), stored, parsed: OnceLock::new(), missing: None, nulls: BTreeMap::new() }
    }

    /// The column, in which these texts mean "no value".
    pub(crate) fn with_missing(self, missing: &Arc<MissingTexts>) -> Self {
        let mut nulls = self.nulls;
        if let TypedColumn::Text(texts) = &self.stored {
            let texts = texts.iter().flatten().map(str::trim).filter(|text| !text.is_empty() && missing.contains(text));
            texts.for_each(|text| *nulls.entry(text.to_owned()).or_insert(0) += 1);
        }
        let stored = self.stored.without(missing);
        Self { stored, nulls, missing: missing.has_numbers().then(|| missing.clone()), ..self }
    }

    /// The column of a reader that left these texts out itself.
    pub(crate) fn with_nulls(self, nulls: BTreeMap<String, usize>, missing: &Arc<MissingTexts>) -> Self {
        Self { nulls, missing: missing.has_numbers().then(|| missing.clone()), ..self }
    }

    /// The text that was taken as missing most often.
    pub(crate) fn frequent_missing(&self) -> Option<String> {
        self.nulls.iter().max_by_key(|(_, n)| **n).map(|(text, _)| text.clone())
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether a number means "no value".
    pub(crate) fn is_missing(&self, number: f64) -> bool {
        self.missing.as_ref().is_some_and(|missing| missing.contains_number(number))
    }

    /// Parses cells of this column.
    pub(crate) fn parse<'a>(&self, cells: impl Iterator<Item = Option<&'a str>>) -> Parsed {
        Parsed::new(cells, self.missing.as_deref())
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
            // What is counted is counted in all rows.
            Some(Parsed { values: Some(values), codes, marks }) => {
                Parsed { values: Some(values.take(rows)), codes: *codes, marks: marks.clone() }.into()
            }
            // Some rows of mixed text may be all numbers: they are parsed anew.
            Some(Parsed { values: None, .. }) | None => OnceLock::new(),
        };
        Self {
            name: self.name.clone(),
            stored: self.stored.take(rows),
            parsed,
            missing: self.missing.clone(),
            nulls: self.nulls.clone(),
        }
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
        let mut nulls = BTreeMap::new();
        for (text, n) in columns.iter().flat_map(|column| &column.nulls) {
            *nulls.entry(text.clone()).or_insert(0) += n;
        }
        Ok(Self { missing: first.missing.clone(), nulls, ..Self::new(&first.name, stored) })
    }

    /// The values of the cells of a column of text.
    pub(crate) fn parsed(&self, text: &StringArray) -> &Parsed {
        self.parsed.get_or_init(|| self.parse(text.iter()))
    }
}

impl TypedColumn {
    /// The value of a row as text, trimmed; numbers in their shortest form, dates as ISO 8601, booleans in small letters.
    pub(crate) fn text(&self, row: usize) -> Option<Cow<'_, str>> {
        if self.array().is_none_or(|array| array.is_null(row)) {
            return None;
        }
        Some(match self {
            Self::Int64(a) => Cow::Owned(a.value(row).to_string()),
            Self::UInt64(a) => Cow::Owned(a.value(row).to_string()),
            Self::Float64(a) => Cow::Owned((a.value(row) + 0.0).to_string()),
            Self::Date(a) => Cow::Owned(iso(a.value(row)).unwrap_or_else(|| a.value(row).to_string())),
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
