//! The values of targets and of row weights.

use std::collections::HashMap;

use crate::error::DataError;
use crate::kind::ColumnKind;
use crate::table::Table;

impl Table {
    /// The values of a numeric target column.
    ///
    /// # Errors
    ///
    /// Missing values and values that are not numbers, with their place.
    pub fn target_values(&self, column: &str) -> Result<Vec<f64>, DataError> {
        let column = self.column(column)?;
        column.check_present("target")?;
        Ok(column.numbers(ColumnKind::Numeric)?.into_iter().flatten().collect())
    }

    /// The class of each row in a target column, as an index into `labels`.
    ///
    /// # Errors
    ///
    /// [`DataError::MissingValue`] and [`DataError::UnknownClass`].
    pub(crate) fn class_numbers(&self, column: &str, labels: &[String]) -> Result<Vec<u32>, DataError> {
        let numbers: HashMap<&str, u32> = labels.iter().zip(0..).map(|(l, i)| (l.as_str(), i)).collect();
        let values = self.column(column)?;
        values.check_present("target")?;
        (values.texts().enumerate())
            .map(|(row, label)| {
                let label = label.unwrap_or_default();
                numbers.get(label.as_ref()).copied().ok_or_else(|| DataError::UnknownClass {
                    name: self.name().to_owned(),
                    line: self.place(row),
                    column: column.to_owned(),
                    value: label.into_owned(),
                })
            })
            .collect()
    }

    /// The values of a column of row weights.
    ///
    /// # Errors
    ///
    /// Missing weights, weights below 0 and values that are not numbers, with their place.
    pub fn row_weights(&self, column: &str) -> Result<Vec<f32>, DataError> {
        Ok(self.weight_values(column)?.into_iter().map(|weight| weight as f32).collect())
    }

    /// As [`Table::row_weights`], in full.
    pub(crate) fn weight_values(&self, column: &str) -> Result<Vec<f64>, DataError> {
        let values = self.column(column)?;
        values.check_present("weight")?;
        let weights: Vec<f64> = values.numbers(ColumnKind::Numeric)?.into_iter().flatten().collect();
        match weights.iter().position(|weight| *weight < 0.0) {
            None => Ok(weights),
            Some(row) => Err(DataError::NegativeWeight {
                name: self.name().to_owned(),
                line: self.place(row),
                column: column.to_owned(),
                value: weights[row],
            }),
        }
    }

    /// The numbers of the rows with a weight above 0; `None` if these are all rows.
    ///
    /// # Errors
    ///
    /// As [`Table::row_weights`].
    pub fn weighted_rows(&self, column: &str) -> Result<Option<Vec<u32>>, DataError> {
        let weights = self.row_weights(column)?;
        let rows: Vec<u32> = (0..).zip(&weights).filter_map(|(row, w)| (*w > 0.0).then_some(row)).collect();
        Ok((rows.len() < weights.len()).then_some(rows))
    }
}
