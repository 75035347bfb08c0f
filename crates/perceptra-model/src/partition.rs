//! The division of a table into training, validation and test rows.

use perceptra_data::{DataError, Schema, Split, Table, strata};

use crate::error::ModelError;
use crate::note::Note;
use crate::run::{RunConfig, ValidRun};
use crate::tables::{Tables, fewest_rows};

/// The training, validation and test rows of a run.
#[derive(Debug, Clone)]
pub struct Partition {
    /// Training rows.
    pub train: Table,
    /// Validation rows; `None` if there are none.
    pub validation: Option<Table>,
    /// Test rows; `None` if there are none.
    pub test: Option<Table>,
    /// Choices that were made for the user.
    pub notes: Vec<Note>,
}

impl Partition {
    /// Divides the tables of a run, which must not be streamed, in the same way as training does.
    ///
    /// # Errors
    ///
    /// Settings out of range, and the errors of the schema and the split.
    pub fn of(run: &RunConfig, tables: &Tables) -> Result<Self, ModelError> {
        let run = ValidRun::new(run)?;
        let weighted = tables.weighted(&run)?;
        let tables = weighted.as_ref().unwrap_or(tables);
        let schema = Schema::infer(&tables.table, &run.data.schema)?;
        divide(&run, tables, &schema, 2)
    }

    /// Divides a table for cross-validation: each of the `folds` partitions tests on its own rows and trains on all others, except for the
    /// validation share of the run. Other splits in the run's settings are ignored.
    ///
    /// # Errors
    ///
    /// As [`Partition::of`], and an error for a number of folds that does not suit the number of rows.
    pub fn folds(run: &RunConfig, table: &Table, folds: usize) -> Result<Vec<Self>, ModelError> {
        let run = ValidRun::new(run)?;
        let weighted = Tables::from(table.clone()).weighted(&run)?;
        let table = weighted.as_ref().map_or(table, |tables| &tables.table);
        let schema = Schema::infer(table, &run.data.schema)?;
        let classes = strata_of(&run, table, &schema, folds)?;
        let splits = Split::folds(table.rows(), folds, classes.as_deref(), run.train.seed)?;
        let partition = |split: &Split| {
            let test = Some(table.take(&split.test));
            let rest = Tables { validation: None, test, ..Tables::from(table.take(&split.train)) };
            let mut run = RunConfig::clone(&run);
            run.data.schema.split = None;
            let schema = Schema::infer(&rest.table, &run.data.schema)?;
            // A class of which one row is left stays in the training rows.
            divide(&run, &rest, &schema, 1)
        };
        splits.iter().map(partition).collect()
    }

    /// Adapts `run` to the tables of [`Partition::tables`]: the result does not divide them again, ignores the split column and writes no
    /// checkpoints.
    #[doc(hidden)]
    pub fn settle(&self, run: &RunConfig) -> RunConfig {
        let mut run = run.clone();
        run.checkpoint.folder = None;
        if let Some(column) = run.data.schema.split.take() {
            run.data.schema.ignore.push(column);
        }
        let share = |part: &Option<Table>, share: f64| if part.is_some() { share } else { 0.0 };
        run.split.validation = share(&self.validation, run.split.validation);
        run.split.test = share(&self.test, run.split.test);
        run
    }

    /// The three parts as tables, for a run that does not divide them again.
    pub fn tables(&self) -> Tables {
        let (validation, test) = (self.validation.clone(), self.test.clone());
        Tables { validation, test, ..Tables::from(self.train.clone()) }
    }
}

/// The stratum of each row; `None` if the run does not stratify its splits, or the table has no strata.
fn strata_of(run: &RunConfig, table: &Table, schema: &Schema, fewest: usize) -> Result<Option<Vec<u32>>, ModelError> {
    Ok(if run.split.stratify { strata(table, schema, fewest)? } else { None })
}

/// Divides the rows of `tables` into training, validation and test rows. Where a share of the rows is taken, each class needs `fewest`
/// rows.
pub(crate) fn divide(
    run: &RunConfig,
    tables: &Tables,
    schema: &Schema,
    fewest: usize,
) -> Result<Partition, ModelError> {
    let table = &tables.table;
    let options = &run.split;
    // A separate validation or test table replaces the share of this table.
    let validation = if tables.validation.is_some() { 0.0 } else { options.validation };
    let mut notes = Vec::new();
    let split = if let Some(column) = &run.data.schema.split {
        let mut split = Split::from_column(table, column)?;
        if split.train.is_empty() {
            return Err(DataError::TooFewRows { rows: table.rows(), part: "training", got: 0, needed: 1 }.into());
        }
        if split.validation.is_empty() && validation > 0.0 {
            let train = table.take(&split.train);
            let classes = strata_of(run, &train, schema, 1)?;
            let own = Split::holdout(train.rows(), 0.0, validation, classes.as_deref(), run.train.seed)?;
            let rows = |rows: &[u32]| rows.iter().map(|&row| split.train[row as usize]).collect();
            (split.validation, split.train) = (rows(&own.validation), rows(&own.train));
            notes.push(Note::ValidationTaken { column: column.clone(), rows: split.validation.len() });
        }
        split
    } else {
        let test = if tables.test.is_some() { 0.0 } else { options.test };
        let fewest = if test + validation > 0.0 { fewest } else { 1 };
        let classes = strata_of(run, table, schema, fewest)?;
        let split = Split::holdout(table.rows(), test, validation, classes.as_deref(), run.train.seed)?;
        let got = tables.validation.as_ref().map_or(split.validation.len(), Table::rows);
        if options.validation > 0.0 && got < fewest_rows("validation") {
            let (rows, needed) = (table.rows(), fewest_rows("validation"));
            return Err(DataError::TooFewRows { rows, part: "validation", got, needed }.into());
        }
        split
    };
    let part = |rows: &[u32]| (!rows.is_empty()).then(|| table.take(rows));
    let validation = part(&split.validation).or_else(|| tables.validation.clone());
    let test = part(&split.test).or_else(|| tables.test.clone());
    if validation.is_none() {
        notes.push(Note::NoValidation);
    }
    Ok(Partition { train: part(&split.train).unwrap_or_else(|| table.clone()), validation, test, notes })
}
