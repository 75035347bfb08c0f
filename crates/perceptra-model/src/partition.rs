//! The division of a table into training, validation and test rows.

use perceptra_data::{DataError, Schema, Split, Table, strata};

use crate::error::ModelError;
use crate::run::{RunConfig, ValidRun};
use crate::tables::{Tables, fewest_rows};

/// The training, validation and test rows of a run.
#[derive(Debug, Clone)]
pub struct Partition {
    /// Training rows.
    pub train: Table,
    /// Validation rows.
    pub validation: Option<Table>,
    /// Test rows.
    pub test: Option<Table>,
}

impl Partition {
    /// Divides tables, which are not streamed, as training does. Rows of weight 0 are in no part.
    ///
    /// # Errors
    ///
    /// Settings out of range, and the errors of the schema and the split.
    pub fn of(run: &RunConfig, tables: &Tables) -> Result<Self, ModelError> {
        let run = ValidRun::new(run)?;
        let weighted = tables.weighted(&run)?;
        let tables = weighted.as_ref().unwrap_or(tables);
        let schema = Schema::infer(&tables.table, &run.data.schema)?;
        let [train, validation, test] = divide(&run, tables, &schema)?;
        Ok(Self { train: train.unwrap_or_else(|| tables.table.clone()), validation, test })
    }

    /// Divides a table for cross-validation: each of the `folds` partitions tests on its own rows and trains on all others, except
    /// for the validation share of the run. Other splits that the run asks for are ignored.
    ///
    /// # Errors
    ///
    /// As [`Partition::of`], and a number of folds that does not suit the rows.
    pub fn folds(run: &RunConfig, table: &Table, folds: usize) -> Result<Vec<Self>, ModelError> {
        let run = ValidRun::new(run)?;
        let weighted = Tables::from(table.clone()).weighted(&run)?;
        let table = weighted.as_ref().map_or(table, |tables| &tables.table);
        let schema = Schema::infer(table, &run.data.schema)?;
        let classes = strata_of(&run, table, &schema, true)?;
        let splits = Split::folds(table.rows(), folds, classes.as_deref(), run.train.seed)?;
        let partition = |split: &Split| {
            let test = Some(table.take(&split.test));
            let rest = Tables { validation: None, test, ..Tables::from(table.take(&split.train)) };
            let mut run = RunConfig::clone(&run);
            run.data.schema.split = None;
            Self::of(&run, &rest)
        };
        splits.iter().map(partition).collect()
    }

    /// `run` for [`Partition::tables`]: it does not divide them again, ignores the split column and writes no checkpoints.
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

    /// The rows as tables of a run that does not divide them again.
    pub fn tables(&self) -> Tables {
        let (validation, test) = (self.validation.clone(), self.test.clone());
        Tables { validation, test, ..Tables::from(self.train.clone()) }
    }
}

/// The stratum of each row, if the run stratifies its splits.
fn strata_of(run: &RunConfig, table: &Table, schema: &Schema, divided: bool) -> Result<Option<Vec<u32>>, ModelError> {
    Ok(if run.split.stratify { strata(table, schema, divided)? } else { None })
}

/// The training, validation and test rows; no training rows where these are the whole table.
pub(crate) fn divide(run: &RunConfig, tables: &Tables, schema: &Schema) -> Result<[Option<Table>; 3], ModelError> {
    let table = &tables.table;
    let options = &run.split;
    if let Some(column) = &run.data.schema.split {
        let split = Split::from_column(table, column)?;
        if split.train.is_empty() {
            return Err(DataError::TooFewRows { rows: table.rows(), part: "training", got: 0, needed: 1 }.into());
        }
        let part = |rows: &[u32]| (!rows.is_empty()).then(|| table.take(rows));
        return Ok([
            part(&split.train),
            part(&split.validation).or_else(|| tables.validation.clone()),
            part(&split.test).or_else(|| tables.test.clone()),
        ]);
    }
    // A table of its own takes the place of a share.
    let test = if tables.test.is_some() { 0.0 } else { options.test };
    let validation = if tables.validation.is_some() { 0.0 } else { options.validation };
    let classes = strata_of(run, table, schema, test + validation > 0.0)?;
    let split = Split::holdout(table.rows(), test, validation, classes.as_deref(), run.train.seed)?;
    let got = tables.validation.as_ref().map_or(split.validation.len(), Table::rows);
    if options.validation > 0.0 && got < fewest_rows("validation") {
        let (rows, needed) = (table.rows(), fewest_rows("validation"));
        return Err(DataError::TooFewRows { rows, part: "validation", got, needed }.into());
    }
    let part = |rows: &[u32]| (!rows.is_empty()).then(|| table.take(rows));
    Ok([
        part(&split.train),
        tables.validation.clone().or_else(|| part(&split.validation)),
        tables.test.clone().or_else(|| part(&split.test)),
    ])
}
