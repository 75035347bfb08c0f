//! Summaries of columns, for reports and pages.

use arrow::array::UInt32Array;

use crate::column::{Column, TypedColumn};
use crate::error::DataError;
use crate::kind::ColumnKind;
use crate::notation::Notation;
use crate::table::Table;

/// Bins of a histogram, at most.
const BINS: usize = 20;

/// A summary of a column.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// Rows without a value.
    pub missing: usize,
    /// Different values.
    pub distinct: usize,
    /// The values.
    pub values: Values,
}

/// The values of a column.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// Numbers, and dates in days since 1970-01-01; none where all values are missing.
    Numbers(Option<Numbers>),
    /// Texts and booleans with the number of rows of each, the most frequent first.
    Categories(Vec<(String, usize)>),
}

/// How numbers are distributed.
#[derive(Debug, Clone, PartialEq)]
pub struct Numbers {
    /// The smallest value.
    pub least: f64,
    /// The median; of an even number of values, the mean of the two in the middle.
    pub median: f64,
    /// The largest value.
    pub most: f64,
    /// The mean.
    pub mean: f64,
    /// Number of rows in each of up to 20 intervals of equal width from the smallest value to the largest.
    pub histogram: Vec<usize>,
}

impl Table {
    /// A summary of a column that is read as values of `kind` in this notation: see [`Schema::notation`](crate::Schema::notation).
    ///
    /// # Errors
    ///
    /// [`DataError::NoColumn`], and values that are not of this kind, with their place.
    pub fn summary(&self, column: &str, kind: ColumnKind, notation: &Notation) -> Result<Summary, DataError> {
        let counts = self.value_counts(column, notation.by_value)?;
        let missing = self.rows() - counts.values().sum::<usize>();
        let distinct = counts.len();
        let values = match kind {
            ColumnKind::Numeric | ColumnKind::Date => {
                Values::Numbers(Numbers::of(self.numbers(column, kind, notation)?.into_iter().flatten().collect()))
            }
            ColumnKind::Categorical | ColumnKind::Boolean => {
                let mut categories: Vec<(String, usize)> = counts.into_iter().collect();
                categories.sort_by_key(|(_, rows)| std::cmp::Reverse(*rows));
                Values::Categories(categories)
            }
        };
        Ok(Summary { missing, distinct, values })
    }

    /// The values of a column as numbers: dates in days since 1970-01-01, booleans as 0 and 1.
    ///
    /// # Errors
    ///
    /// As [`Table::summary`].
    pub fn numbers(&self, column: &str, kind: ColumnKind, notation: &Notation) -> Result<Vec<Option<f64>>, DataError> {
        self.column(column)?.numbers(kind, notation)
    }

    /// The values of a column as text; by value, if the notation says so, equal numbers have equal texts.
    ///
    /// # Errors
    ///
    /// [`DataError::NoColumn`].
    pub fn texts(&self, column: &str, notation: &Notation) -> Result<Vec<Option<String>>, DataError> {
        let texts = self.column(column)?.categories(notation.by_value);
        Ok(texts.map(|text| text.map(std::borrow::Cow::into_owned)).collect())
    }

    /// A copy of the table in which every row of `column` has the value of row `row` (from 0) of `donor`.
    ///
    /// # Errors
    ///
    /// [`DataError::NoColumn`].
    ///
    /// # Panics
    ///
    /// If `donor` has no such row.
    pub fn with_column(&self, column: &str, donor: &Self, row: usize) -> Result<Self, DataError> {
        self.column(column)?;
        let donated = donor.column(column)?.column;
        assert!(row < donor.rows(), "there is no row {row}");
        let row = donor.stored_row(row) as u32;
        Ok(self.with(donated.take(&UInt32Array::from_value(row, self.rows()))))
    }

    /// A copy of the table with these numbers in `column`.
    ///
    /// # Errors
    ///
    /// [`DataError::NoColumn`].
    ///
    /// # Panics
    ///
    /// If there are not as many numbers as rows.
    pub fn with_numbers(&self, column: &str, numbers: Vec<f64>) -> Result<Self, DataError> {
        self.column(column)?;
        assert_eq!(numbers.len(), self.rows(), "a number for each row");
        Ok(self.with(Column::new(column, TypedColumn::Float64(numbers.into()))))
    }
}

impl Numbers {
    /// The distribution of finite numbers; none if there are no numbers.
    fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let (&least, &most) = (values.first()?, values.last()?);
        let (n, width) = (values.len(), most - least);
        let bins = if width > 0.0 { BINS.min(n) } else { 1 };
        let mut histogram = vec![0; bins];
        for x in &values {
            let place = if width > 0.0 { (x - least) / width * bins as f64 } else { 0.0 };
            histogram[(place as usize).min(bins - 1)] += 1;
        }
        let median = (values[(n - 1) / 2] + values[n / 2]) / 2.0;
        Some(Self { least, median, most, mean: values.iter().sum::<f64>() / n as f64, histogram })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        Table::from_csv("t.csv", "n,c,d\n1,u,2024-01-01\n,v,2024-01-03\n5,u,\n2,,2024-01-02\n", &Default::default())
            .unwrap()
    }

    #[test]
    fn columns_are_summed_up() {
        let n = table().summary("n", ColumnKind::Numeric, &Default::default()).unwrap();
        assert_eq!((n.missing, n.distinct), (1, 3));
        let Values::Numbers(Some(numbers)) = n.values else { panic!() };
        assert_eq!((numbers.least, numbers.median, numbers.most), (1.0, 2.0, 5.0));
        assert!((numbers.mean - 8.0 / 3.0).abs() < 1e-12);
        assert_eq!(numbers.histogram, [2, 0, 1]);
        let c = table().summary("c", ColumnKind::Categorical, &Default::default()).unwrap();
        assert_eq!((c.missing, c.distinct), (1, 2));
        assert_eq!(c.values, Values::Categories(vec![("u".into(), 2), ("v".into(), 1)]));
        let Values::Numbers(Some(dates)) = table().summary("d", ColumnKind::Date, &Default::default()).unwrap().values
        else {
            panic!()
        };
        assert_eq!(dates.most - dates.least, 2.0);
        assert!(
            table()
                .summary("c", ColumnKind::Numeric, &Default::default())
                .unwrap_err()
                .to_string()
                .contains("\"u\" is not a number")
        );
        assert!(matches!(
            table().summary("x", ColumnKind::Numeric, &Default::default()),
            Err(DataError::NoColumn { .. })
        ));
        let empty = table().take(&[1]).summary("n", ColumnKind::Numeric, &Default::default()).unwrap();
        assert_eq!((empty.missing, empty.values), (1, Values::Numbers(None)));
        let level = table().take(&[0, 0]).summary("n", ColumnKind::Numeric, &Default::default()).unwrap();
        assert!(matches!(level.values, Values::Numbers(Some(n)) if n.histogram == [2]));
    }

    #[test]
    fn one_value_goes_to_all_rows() {
        let spread = table().with_column("n", &table(), 2).unwrap();
        assert_eq!(spread.numbers("n", ColumnKind::Numeric, &Default::default()).unwrap(), vec![Some(5.0); 4]);
        assert_eq!(spread.texts("c", &Default::default()).unwrap(), table().texts("c", &Default::default()).unwrap());
        assert_eq!(
            table().with_column("n", &table(), 1).unwrap().texts("n", &Default::default()).unwrap(),
            vec![None; 4]
        );
        let numbers = table().with_numbers("n", vec![4.0, 3.0, 2.0, 1.0]).unwrap();
        assert_eq!(numbers.numbers("n", ColumnKind::Numeric, &Default::default()).unwrap()[1], Some(3.0));
        assert!(matches!(table().with_column("x", &table(), 0), Err(DataError::NoColumn { .. })));
    }
}
