//! The tables of a run.

use std::path::PathBuf;

use perceptra_data::{DataError, Schema, SchemaOptions, Table, Task};

use crate::error::ModelError;
use crate::run::RunConfig;
use crate::stream::{Streamed, open};

/// The tables of a run.
#[derive(Debug)]
pub struct Tables {
    /// The table that is split and trained on; for a streamed table, a sample of its training rows.
    pub table: Table,
    /// Validation rows from a file of their own, or those of a streamed table. If `None`, validation rows are split from `table`.
    pub validation: Option<Table>,
    /// Test rows from a file of their own, or those of a streamed table. If `None`, test rows are split from `table`.
    pub test: Option<Table>,
    /// The table that is streamed; `None` for tables in memory.
    pub(crate) stream: Option<Streamed>,
}

impl From<Table> for Tables {
    /// A table in memory, without validation and test tables of their own.
    fn from(table: Table) -> Self {
        Self { table, validation: None, test: None, stream: None }
    }
}

impl Tables {
    /// Reads the tables that `run` names. A streamed table is read twice, and only part of it is kept in memory.
    ///
    /// # Errors
    ///
    /// As [`Table::read`], and too few validation or test rows of a streamed table.
    pub fn read(run: &RunConfig) -> Result<Self, ModelError> {
        if !run.data.stream {
            let read = |path: &PathBuf| Table::read(path, &run.data.read);
            return Ok(Self {
                table: read(&run.data.table)?,
                validation: run.split.validation_file.as_ref().map(read).transpose()?,
                test: run.split.test_file.as_ref().map(read).transpose()?,
                stream: None,
            });
        }
        let opened = open(run)?;
        for (part, share, rows) in
            [("validation", run.split.validation, &opened.validation), ("test", run.split.test, &opened.test)]
        {
            let (needed, got) = (fewest_rows(part), rows.as_ref().map_or(0, Table::rows));
            if run.data.schema.split.is_none() && share > 0.0 && got < needed {
                return Err(DataError::TooFewRows { rows: opened.sample.rows(), part, got, needed }.into());
            }
        }
        Ok(Self { table: opened.sample, validation: opened.validation, test: opened.test, stream: Some(opened.stream) })
    }

    /// The task: that of `options`, else the one that the values of the targets suggest.
    ///
    /// # Errors
    ///
    /// As [`Schema::infer`].
    pub(crate) fn task(&self, options: &SchemaOptions) -> Result<Task, ModelError> {
        Ok(Schema::infer(&self.table, options)?.task)
    }

    /// Whether the table is streamed.
    pub fn is_streamed(&self) -> bool {
        self.stream.is_some()
    }

    /// Number of rows of the table that is split and trained on; for a streamed table, of its training rows.
    pub(crate) fn rows(&self) -> usize {
        self.stream.as_ref().map_or(self.table.rows(), Streamed::rows)
    }
}

/// Minimum number of rows of a part: 2 for `validation`, because a single row cannot rank epochs, and 1 for others.
pub(crate) fn fewest_rows(part: &str) -> usize {
    if part == "validation" { 2 } else { 1 }
}
