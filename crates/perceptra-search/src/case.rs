//! The cases of a search: the rows on which each trial is trained and judged.

use perceptra_data::{DataError, Notation};
use perceptra_model::{ModelError, Partition, RunConfig, Tables};

use crate::error::SearchError;

/// The error for a class with too few rows, with its rows in the whole table.
fn of_whole_table(error: ModelError, run: &RunConfig, tables: &Tables) -> ModelError {
    let ModelError::Data(DataError::ClassTooSmall { class, rows, needed, .. }) = error else { return error };
    let by_value = Notation { by_value: true, ..Notation::default() };
    let target = run.data.schema.target.first().cloned().unwrap_or_default();
    let texts = |notation: &Notation| tables.table.texts(&target, notation).unwrap_or_default();
    let count = |texts: Vec<Option<String>>| texts.iter().flatten().filter(|text| **text == class).count();
    let all = count(texts(&Notation::default())).max(count(texts(&by_value))).max(rows);
    DataError::ClassTooSmall { class, rows: all, held_out: all - rows, needed }.into()
}

/// The cases on which each trial is tried. A trial trains on the training rows of a case and is judged by the case's test rows, if it is a
/// fold, else by its validation rows. No case contains the run's own test rows.
pub(crate) fn cases(run: &RunConfig, base: &RunConfig, tables: &Tables) -> Result<Vec<Partition>, SearchError> {
    let (folds, repeats) = (run.search.folds, run.search.repeats);
    let no_validation = || {
        let text = "there are no validation rows to judge trials by: set a share of validation rows, or folds";
        SearchError::Settings(text.to_owned())
    };
    if folds.is_none() && repeats == 1 {
        let parts = Partition::of(base, tables)?;
        if parts.validation.is_none() {
            return Err(no_validation());
        }
        return Ok(vec![Partition { test: None, ..parts }]);
    }
    if tables.validation.is_some() || run.data.schema.split.is_some() {
        let text = "the validation rows are given by a file or a column, but folds and repeats split the rows anew";
        return Err(SearchError::Settings(text.to_owned()));
    }
    // Sets the test rows aside first: they are those that `perceptra train` would choose, and no trial sees them.
    let mut test_only = base.clone();
    test_only.split.validation = 0.0;
    let rest = Partition::of(&test_only, tables)?.train;
    let mut cases = Vec::new();
    for repeat in 0..repeats {
        let mut again = base.clone();
        again.split.test = 0.0;
        again.train.seed = base.train.seed.wrapping_add(repeat as u64);
        match folds {
            Some(folds) => {
                let parts = Partition::folds(&again, &rest, folds).map_err(|error| of_whole_table(error, run, tables));
                cases.extend(parts?);
            }
            None => cases.push(Partition::of(&again, &Tables::from(rest.clone()))?),
        }
    }
    if folds.is_none() && cases.iter().any(|case| case.validation.is_none()) {
        return Err(no_validation());
    }
    Ok(cases)
}
