//! Which rows train, which validate, which test.

use std::path::PathBuf;

use perceptra_random::{Purpose, Stream};
use serde::{Deserialize, Serialize};

use crate::error::DataError;
use crate::schema::{Schema, classes};
use crate::table::Table;
use crate::task::Task;

/// Row numbers of the three parts of a table, each sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Split {
    /// Rows to fit on.
    pub train: Vec<u32>,
    /// Rows that decide when to stop.
    pub validation: Vec<u32>,
    /// Rows to evaluate on.
    pub test: Vec<u32>,
}

/// How a table is split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SplitOptions {
    /// Share of all rows held out for testing, in [0, 1); 0 for none.
    pub test: f64,
    /// Share of the other rows held out for validation, in [0, 1); 0 for none.
    pub validation: f64,
    /// A separate table for testing, instead of a share.
    pub test_file: Option<PathBuf>,
    /// A separate table for validation, instead of a share.
    pub validation_file: Option<PathBuf>,
    /// Whether each part has the classes in the same proportions as the whole table, and a numeric target in the same distribution.
    pub stratify: bool,
}

impl Default for SplitOptions {
    fn default() -> Self {
        Self { test: 0.2, validation: 0.15, test_file: None, validation_file: None, stratify: true }
    }
}

impl Split {
    /// Draws a holdout: a `test` share of `rows`, then a `validation` share of the rest.
    ///
    /// With `classes`, one number per row, the split is stratified: each part has the classes in the proportions of the whole, to the
    /// nearest row, and the training part has every class.
    ///
    /// # Errors
    ///
    /// [`DataError::TooFewRows`] if a part that was asked for, or the training part, would be empty;
    /// [`DataError::ClassTooSmall`] (with the class's number) for a class of one row.
    pub fn holdout(
        rows: usize,
        test: f64,
        validation: f64,
        classes: Option<&[u32]>,
        seed: u64,
    ) -> Result<Self, DataError> {
        let all: Vec<u32> = (0..rows as u32).collect();
        let (rest, test_rows) = part(&all, test, classes, Stream::new(seed, Purpose::Split, 0));
        let (train, validation_rows) = part(&rest, validation, classes, Stream::new(seed, Purpose::Split, 1));
        let split = Self { train, validation: validation_rows, test: test_rows };
        let parts = [
            ("test", &split.test, test > 0.0),
            ("validation", &split.validation, validation > 0.0),
            ("training", &split.train, true),
        ];
        for (name, part, wanted) in parts {
            if wanted && part.is_empty() {
                return Err(DataError::TooFewRows { rows, part: name, got: 0, needed: 1 });
            }
        }
        Ok(split)
    }

    /// Divides `rows` into `folds` parts of equal size, to the row, for cross-validation: one split a fold, which tests on its
    /// part and trains on the others. Every row is tested once.
    ///
    /// With `classes`, one number per row, each part has the classes in the proportions of the whole.
    ///
    /// # Errors
    ///
    /// [`DataError::Folds`] for fewer rows than folds, or fewer than 2 folds.
    pub fn folds(rows: usize, folds: usize, classes: Option<&[u32]>, seed: u64) -> Result<Vec<Self>, DataError> {
        if folds < 2 || rows < folds {
            return Err(DataError::Folds { rows, folds });
        }
        let mut order: Vec<u32> = (0..rows as u32).collect();
        Stream::new(seed, Purpose::Split, 2).shuffle(&mut order);
        // Sorted by class, adjacent rows go to different folds.
        order.sort_by_key(|&row| classes.map_or(0, |classes| classes[row as usize]));
        let mut fold_of = vec![0; rows];
        order.iter().enumerate().for_each(|(i, &row)| fold_of[row as usize] = i % folds);
        let of = |fold: usize| {
            let (test, train) = (0..rows as u32).partition(|&row| fold_of[row as usize] == fold);
            Self { train, validation: Vec::new(), test }
        };
        Ok((0..folds).map(of).collect())
    }

    /// Reads the split from a column of `train`, `validation` (or `valid`, `val`) and `test`.
    ///
    /// # Errors
    ///
    /// [`DataError::SplitValue`] for anything else.
    pub fn from_column(table: &Table, column: &str) -> Result<Self, DataError> {
        let mut split = Self::default();
        for (row, value) in table.column(column)?.texts().enumerate() {
            let value = value.unwrap_or_default();
            let part = match value.to_lowercase().as_str() {
                "train" | "training" => &mut split.train,
                "validation" | "valid" | "val" => &mut split.validation,
                "test" => &mut split.test,
                _ => {
                    return Err(DataError::SplitValue {
                        name: table.name().to_owned(),
                        line: table.place(row),
                        column: column.to_owned(),
                        value: value.into_owned(),
                    });
                }
            };
            part.push(row as u32);
        }
        Ok(split)
    }
}

/// The stratum of each row, whose shares a stratified split keeps: its class, or its group of ten rows with similar targets; none
/// without a target. A class needs as many rows as it is divided into parts: `fewest`.
///
/// # Errors
///
/// [`DataError::ClassTooSmall`]; missing targets, values that are not numbers.
pub fn strata(table: &Table, schema: &Schema, fewest: usize) -> Result<Option<Vec<u32>>, DataError> {
    let Some(target) = schema.targets.first() else { return Ok(None) };
    if schema.task == Task::Regression {
        return Ok(Some(groups_of_ten(&table.target_values(target, &schema.notation(target))?)));
    }
    let by_value = schema.notation(target).by_value;
    let labels = classes(table, target, by_value)?;
    let classes = table.class_numbers(target, &labels, by_value)?;
    let mut counts = vec![0; labels.len()];
    classes.iter().for_each(|&c| counts[c as usize] += 1);
    match counts.iter().position(|&n| n < fewest) {
        Some(class) => Err(DataError::ClassTooSmall {
            class: labels[class].clone(),
            rows: counts[class],
            held_out: 0,
            needed: fewest,
        }),
        None => Ok(Some(classes)),
    }
}

/// The number of a group of ten rows with similar values for each row.
pub(crate) fn groups_of_ten(numbers: &[f64]) -> Vec<u32> {
    let mut order: Vec<usize> = (0..numbers.len()).collect();
    order.sort_by(|&a, &b| numbers[a].total_cmp(&numbers[b]));
    let mut groups = vec![0; numbers.len()];
    order.into_iter().enumerate().for_each(|(rank, row)| groups[row] = (rank / 10) as u32);
    groups
}

/// Divides `rows` into (kept, taken): `share` of them taken at random, by class if there are classes.
fn part(rows: &[u32], share: f64, classes: Option<&[u32]>, stream: Stream) -> (Vec<u32>, Vec<u32>) {
    if share == 0.0 {
        return (rows.to_vec(), Vec::new());
    }
    let mut shuffled = rows.to_vec();
    stream.shuffle(&mut shuffled);
    let mut groups: Vec<Vec<u32>> = match classes {
        None => vec![shuffled],
        Some(classes) => {
            let mut groups = vec![Vec::new(); classes.iter().max().map_or(0, |&c| c as usize + 1)];
            shuffled.into_iter().for_each(|row| groups[classes[row as usize] as usize].push(row));
            groups
        }
    };
    // Each group gives the whole part of its share, and those with the largest remainders one row more, until the total is right. Each
    // group keeps a row.
    let total = (rows.len() as f64 * share).round() as usize;
    let mut counts: Vec<usize> = groups.iter().map(|g| (g.len() as f64 * share) as usize).collect();
    let mut by_remainder: Vec<usize> = (0..groups.len()).filter(|&g| counts[g] + 1 < groups[g].len()).collect();
    let remainder = |g: usize| (groups[g].len() as f64 * share).fract();
    by_remainder.sort_by(|&a, &b| remainder(b).total_cmp(&remainder(a)).then(a.cmp(&b)));
    let missing = total.saturating_sub(counts.iter().sum());
    by_remainder.into_iter().take(missing).for_each(|g| counts[g] += 1);
    let mut taken = Vec::with_capacity(total);
    let mut kept = Vec::with_capacity(rows.len() - total);
    for (group, count) in groups.iter_mut().zip(counts) {
        kept.extend(group.drain(count..));
        taken.append(group);
    }
    kept.sort_unstable();
    taken.sort_unstable();
    (kept, taken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_row_is_in_one_part(rows in 10usize..300, test in 0.1..0.4, validation in 0.1..0.4, seed in 0u64..9) {
            let classes: Vec<u32> = (0..rows).map(|r| (r % 3) as u32).collect();
            for classes in [None, Some(classes.as_slice())] {
                let split = Split::holdout(rows, test, validation, classes, seed).unwrap();
                let mut all = [split.train.clone(), split.validation.clone(), split.test.clone()].concat();
                all.sort_unstable();
                prop_assert!(all.iter().copied().eq(0..rows as u32));
                prop_assert_eq!(split.test.len(), (rows as f64 * test).round() as usize);
                prop_assert_eq!(&Split::holdout(rows, test, validation, classes, seed).unwrap(), &split);
                prop_assert!(Split::holdout(rows, test, validation, classes, seed + 1).unwrap() != split);
            }
        }
    }

    #[test]
    fn folds_test_every_row_once_and_keep_the_shares() {
        let classes: Vec<u32> = (0..103).map(|r| u32::from(r % 5 == 0)).collect();
        let folds = Split::folds(103, 5, Some(&classes), 1).unwrap();
        let mut tested: Vec<u32> = folds.iter().flat_map(|f| f.test.clone()).collect();
        tested.sort_unstable();
        assert!(tested.into_iter().eq(0..103));
        for fold in &folds {
            assert!((20..=21).contains(&fold.test.len()) && fold.train.len() == 103 - fold.test.len());
            let ones = fold.test.iter().filter(|&&r| classes[r as usize] == 1).count();
            assert!((4..=5).contains(&ones), "{ones}");
            assert!(fold.train.iter().all(|r| !fold.test.contains(r)));
        }
        assert_eq!(Split::folds(103, 5, Some(&classes), 1).unwrap(), folds);
        assert_ne!(Split::folds(103, 5, Some(&classes), 2).unwrap(), folds);
        for (rows, folds) in [(3, 4), (3, 1), (3, 0)] {
            assert!(matches!(Split::folds(rows, folds, None, 1), Err(DataError::Folds { .. })));
        }
    }

    #[test]
    fn classes_keep_their_shares() {
        // 80 of class 0, 15 of class 1, 5 of class 2.
        let classes: Vec<u32> = (0..100)
            .map(|r| {
                if r < 80 {
                    0
                } else if r < 95 {
                    1
                } else {
                    2
                }
            })
            .collect();
        let split = Split::holdout(100, 0.2, 0.25, Some(&classes), 0).unwrap();
        let count = |rows: &[u32], class| rows.iter().filter(|&&r| classes[r as usize] == class).count();
        assert_eq!([0, 1, 2].map(|c| count(&split.test, c)), [16, 3, 1]);
        assert_eq!([0, 1, 2].map(|c| count(&split.validation, c)), [16, 3, 1]);
        assert_eq!([0, 1, 2].map(|c| count(&split.train, c)), [48, 9, 3]);
    }

    #[test]
    fn strata_give_both_parts_the_same_range() {
        let numbers: Vec<f64> = (0..200).map(|i| f64::from(i * 7919 % 200)).collect();
        let split = Split::holdout(200, 0.2, 0.0, Some(&groups_of_ten(&numbers)), 3).unwrap();
        // Two of every ten adjacent numbers.
        let mut tens: Vec<usize> = split.test.iter().map(|&r| numbers[r as usize] as usize / 10).collect();
        tens.sort_unstable();
        assert!(tens.chunks(2).enumerate().all(|(i, pair)| pair == [i, i]), "{tens:?}");
    }

    #[test]
    fn a_part_without_rows_is_an_error() {
        let error = Split::holdout(2, 0.2, 0.0, None, 0).unwrap_err();
        assert!(matches!(error, DataError::TooFewRows { rows: 2, part: "test", .. }), "{error}");
        let error = Split::holdout(1, 0.0, 0.9, None, 0).unwrap_err();
        assert!(matches!(error, DataError::TooFewRows { rows: 1, part: "validation", .. }), "{error}");
    }

    #[test]
    fn a_column_names_the_parts() {
        let table = Table::from_csv("t.csv", "a,part\n1,train\n2,Test\n3,val\n4,train\n", &Default::default()).unwrap();
        let split = Split::from_column(&table, "part").unwrap();
        assert_eq!(split, Split { train: vec![0, 3], validation: vec![2], test: vec![1] });
        let table = Table::from_csv("t.csv", "a,part\n1,train\n2,other\n", &Default::default()).unwrap();
        let error = Split::from_column(&table, "part").unwrap_err();
        assert_eq!(error.to_string(), "t.csv:3, column \"part\": \"other\" names no part of the data");
    }
}
