//! The tables of a run.

use std::path::PathBuf;

use perceptra_data::{DataError, ReadNote, Schema, SchemaOptions, Split, Table, Task};

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
    /// Rows of weight 0, which are in none of the tables.
    pub(crate) without_weight: usize,
}

impl From<Table> for Tables {
    /// A table in memory, without validation and test tables of their own.
    fn from(table: Table) -> Self {
        Self { table, validation: None, test: None, stream: None, without_weight: 0 }
    }
}

impl Tables {
    /// Reads the tables that `run` names. A streamed table is read twice, and only part of it is kept in memory.
    ///
    /// # Errors
    ///
    /// As [`Table::read`], [`ModelError::Settings`] for a buffer or a share out of range, parts whose rows all have the weight 0, and too few validation or test rows of a streamed table.
    pub fn read(run: &RunConfig) -> Result<Self, ModelError> {
        run.check_tables()?;
        if !run.data.stream {
            let read = |path: &PathBuf| Table::read(path, &run.data.read);
            let all = Self {
                table: read(&run.data.table)?,
                validation: run.split.validation_file.as_ref().map(read).transpose()?,
                test: run.split.test_file.as_ref().map(read).transpose()?,
                stream: None,
                without_weight: 0,
            };
            return Ok(all.weighted(run)?.unwrap_or(all));
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
        Ok(Self {
            table: opened.sample,
            validation: opened.validation,
            test: opened.test,
            without_weight: opened.without_weight,
            stream: Some(opened.stream),
        })
    }

    /// The tables without rows of weight 0, which are rows that are not there; `None` if they have none. Weights that are wrong are left
    /// to those who use them.
    pub(crate) fn weighted(&self, run: &RunConfig) -> Result<Option<Self>, ModelError> {
        let Some(column) = run.data.schema.weights.as_ref().filter(|_| self.stream.is_none()) else { return Ok(None) };
        let of = |part: &'static str, table: &Table| match table.weighted_rows(column) {
            Ok(Some(rows)) => without_zeros(table, &rows, part, column, run).map(Some),
            Ok(None) | Err(_) => Ok(None),
        };
        let table = of("training", &self.table)?;
        let [validation, test] = [("validation", &self.validation), ("test", &self.test)]
            .map(|(part, table)| table.as_ref().map_or(Ok(None), |table| of(part, table)));
        let (validation, test) = (validation?, test?);
        if table.is_none() && validation.is_none() && test.is_none() {
            return Ok(None);
        }
        let left = |new: &Option<Table>, old: &Table| new.as_ref().map_or(0, |new| old.rows() - new.rows());
        let of_part = |new: &Option<Table>, old: &Option<Table>| old.as_ref().map_or(0, |old| left(new, old));
        let zeros = left(&table, &self.table) + of_part(&validation, &self.validation) + of_part(&test, &self.test);
        Ok(Some(Self {
            table: table.unwrap_or_else(|| self.table.clone()),
            validation: validation.or_else(|| self.validation.clone()),
            test: test.or_else(|| self.test.clone()),
            stream: None,
            without_weight: self.without_weight + zeros,
        }))
    }

    /// How many rows have the weight 0. They are rows that are not there, for schema, split, encoder, training and scores, and are in none
    /// of the tables.
    pub fn rows_without_weight(&self) -> usize {
        self.without_weight
    }

    /// The task: that of `options`, else the one that the values of the targets suggest.
    ///
    /// # Errors
    ///
    /// As [`Schema::infer`].
    pub(crate) fn task(&self, options: &SchemaOptions) -> Result<Task, ModelError> {
        Ok(Schema::infer(&self.table, options)?.task)
    }

    /// Choices that were made, and parts that were left out, when the tables were read.
    pub fn notes(&self) -> impl Iterator<Item = &ReadNote> {
        let tables = [Some(&self.table), self.validation.as_ref(), self.test.as_ref()];
        let streamed = self.stream.iter().flat_map(Streamed::notes);
        tables.into_iter().flatten().flat_map(Table::notes).chain(streamed)
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

/// The rows of `table` with these numbers, which have a weight.
fn without_zeros(
    table: &Table,
    rows: &[u32],
    part: &'static str,
    column: &str,
    run: &RunConfig,
) -> Result<Table, DataError> {
    let none = |part| DataError::NoWeight { name: table.name().to_owned(), column: column.to_owned(), part };
    if rows.is_empty() {
        return Err(none(part));
    }
    let rest = table.take(rows);
    // A part that a column asks for.
    if let Some(split) = &run.data.schema.split
        && let (Ok(all), Ok(left)) = (Split::from_column(table, split), Split::from_column(&rest, split))
    {
        for (part, all, left) in [
            ("training", &all.train, &left.train),
            ("validation", &all.validation, &left.validation),
            ("test", &all.test, &left.test),
        ] {
            if left.is_empty() && !all.is_empty() {
                return Err(none(part));
            }
        }
    }
    Ok(rest)
}

/// The fewest rows that a part may have. One validation row cannot tell epochs apart.
pub(crate) fn fewest_rows(part: &str) -> usize {
    if part == "validation" { 2 } else { 1 }
}
