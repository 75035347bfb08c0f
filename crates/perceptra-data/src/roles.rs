//! The values of targets and of row weights.

use std::collections::HashMap;

use crate::error::{DataError, Role};
use crate::notation::Notation;
use crate::table::Table;

impl Table {
    /// The values of a numeric target column that is written in this notation: see [`Schema::notation`](crate::Schema::notation).
    ///
    /// # Errors
    ///
    /// Missing values and values that are not numbers, with their place.
    pub fn target_values(&self, column: &str, notation: &Notation) -> Result<Vec<f64>, DataError> {
        let column = self.column(column)?;
        column.all_numbers(Role::Target, notation)
    }

    /// The class of each row in a target column, as an index into `labels`.
    ///
    /// # Errors
    ///
    /// [`DataError::MissingValue`] and [`DataError::UnknownClass`].
    pub(crate) fn class_numbers(&self, column: &str, labels: &[String], by_value: bool) -> Result<Vec<u32>, DataError> {
        let numbers: HashMap<&str, u32> = labels.iter().zip(0..).map(|(l, i)| (l.as_str(), i)).collect();
        let values = self.column(column)?;
        values.check_present(Role::Target)?;
        (values.categories(by_value).enumerate())
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
        let weights = values.all_numbers(Role::Weight, &Notation::default())?;
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
