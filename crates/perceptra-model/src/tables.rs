//! The tables of a run.

use std::path::PathBuf;

use perceptra_data::{DataError, Note, Schema, SchemaOptions, Table, Task};

use crate::error::ModelError;
use crate::run::RunConfig;
use crate::stream::{Streamed, open};

/// The tables of a run.
#[derive(Debug)]
pub struct Tables {
    /// The table to train on, and to split; of a streamed table a sample of its training rows.
    pub table: Table,
    /// Validation rows from a file of their own, or those of a streamed table.
    pub validation: Option<Table>,
    /// Test rows from a file of their own, or those of a streamed table.
    pub test: Option<Table>,
    /// The table that is streamed.
    pub(crate) stream: Option<Streamed>,
}

impl From<Table> for Tables {
    /// A table in memory, without validation and test tables of their own.
    fn from(table: Table) -> Self {
        Self { table, validation: None, test: None, stream: None }
    }
}

impl Tables {
    /// Reads the tables that `run` names. A streamed one is read twice here, and only a part of it is kept.
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

    /// What was chosen or left out when the tables were read.
    pub fn notes(&self) -> impl Iterator<Item = &Note> {
        let tables = [Some(&self.table), self.validation.as_ref(), self.test.as_ref()];
        let streamed = self.stream.iter().flat_map(Streamed::notes);
        tables.into_iter().flatten().flat_map(Table::notes).chain(streamed)
    }

    /// Whether the table is streamed.
    pub fn is_streamed(&self) -> bool {
        self.stream.is_some()
    }

    /// Rows of the table to train on and to split; of a streamed table its training rows.
    pub(crate) fn rows(&self) -> usize {
        self.stream.as_ref().map_or(self.table.rows(), Streamed::rows)
    }
}

/// The fewest rows that a part may have. One validation row cannot tell epochs apart.
pub(crate) fn fewest_rows(part: &str) -> usize {
    if part == "validation" { 2 } else { 1 }
}
