//! The meaning of the columns of a table.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use crate::cell::{Cell, looks_like_date};
use crate::column_view::ColumnView;
use crate::error::DataError;
use crate::kind::ColumnKind;
use crate::table::Table;
use crate::task::Task;

/// The roles and kinds of columns, as far as they are not to be inferred.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SchemaOptions {
    /// Target columns: one, or several numeric ones.
    pub target: Vec<String>,
    /// The task; by default it follows from the target.
    pub task: Option<Task>,
    /// Columns to read as numbers.
    pub numeric: Vec<String>,
    /// Columns to read as categories.
    pub categorical: Vec<String>,
    /// Columns to ignore.
    pub ignore: Vec<String>,
    /// Column of row weights (0 or more).
    pub weights: Option<String>,
    /// Column that says which part of the data a row belongs to.
    pub split: Option<String>,
}

/// A feature column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnSpec {
    /// Name in the file.
    pub name: String,
    /// Kind of its values.
    pub kind: ColumnKind,
}

/// The meaning of a table's columns: features, targets, task, weights.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schema {
    /// Feature columns, in the order of the file.
    pub features: Vec<ColumnSpec>,
    /// Target columns.
    pub targets: Vec<String>,
    /// The task.
    pub task: Task,
    /// Column of row weights.
    pub weights: Option<String>,
    /// Columns that were left out by inference, each with the reason.
    pub dropped: Vec<(String, String)>,
}

/// A numeric target of at most this many different whole numbers from 0 is a class.
const MAX_INTEGER_CLASSES: usize = 15;
/// Text columns with more different values than this, in more than half of the rows, identify rows.
const ID_LIKE: usize = 20;

impl Schema {
    /// Infers the roles and kinds of the columns of `table` that `options` do not set.
    ///
    /// Text columns whose values are all numbers are numeric, all `true`/`false` boolean, all ISO 8601 dates dates, others
    /// categorical. Constant and empty columns, and text columns that identify rows are left out, with a reason in
    /// [`Schema::dropped`]. A target of text or booleans is a class, and so is one of at most 15 different whole numbers
    /// from 0.
    ///
    /// # Errors
    ///
    /// Names that are not there or clash, columns without a value, targets that do not fit the task, no feature left.
    pub fn infer(table: &Table, options: &SchemaOptions) -> Result<Self, DataError> {
        check_roles(table, options)?;
        let mut features = Vec::new();
        let mut dropped = Vec::new();
        for name in table.columns() {
            let is_role = options.target.contains(&name)
                || options.ignore.contains(&name)
                || options.weights.as_ref() == Some(&name)
                || options.split.as_ref() == Some(&name);
            if is_role {
                continue;
            }
            let column = table.column(&name)?;
            let forced = if options.numeric.contains(&name) {
                Some(ColumnKind::Numeric)
            } else if options.categorical.contains(&name) {
                Some(ColumnKind::Categorical)
            } else {
                None
            };
            let kind = match forced {
                Some(kind) => kind,
                None => infer_kind(&name, column)?,
            };
            let present = column.present();
            if present == 0 {
                if forced.is_some() {
                    return Err(DataError::AllMissing { column: name });
                }
                dropped.push((name, "it has no value at all".to_owned()));
                continue;
            }
            if kind == ColumnKind::Numeric {
                // Wrong values are named here, of all rows, before the table is split.
                column.numbers(kind)?;
            }
            if present == table.rows() && has_one_value(column) {
                dropped.push((name, "it has one value only".to_owned()));
                continue;
            }
            if kind == ColumnKind::Categorical && forced.is_none() {
                let distinct = Distinct::of(column);
                if distinct.identify_rows() {
                    let n = distinct.counts.len();
                    dropped.push((
                        name,
                        format!("its {n} different texts identify rows; declare it categorical to keep it"),
                    ));
                    continue;
                }
            }
            features.push(ColumnSpec { name, kind });
        }
        if features.is_empty() {
            let reason = match dropped.as_slice() {
                [] => "the table has no column besides those with another role".to_owned(),
                some => some.iter().map(|(n, why)| format!("{n:?}: {why}")).collect::<Vec<_>>().join("; "),
            };
            return Err(DataError::NoFeatures { reason });
        }
        let task = infer_task(table, options)?;
        Ok(Self { features, targets: options.target.clone(), task, weights: options.weights.clone(), dropped })
    }
}

impl Schema {
    /// The names in `columns` that the schema does not know, each in quotes: neither features, targets, weights nor left out.
    pub fn unknown(&self, columns: &[String]) -> Vec<String> {
        let known = |name: &String| {
            self.features.iter().any(|f| f.name == *name)
                || self.targets.contains(name)
                || self.weights.as_ref() == Some(name)
                || self.dropped.iter().any(|(dropped, _)| dropped == name)
        };
        columns.iter().filter(|name| !known(name)).map(|name| format!("{name:?}")).collect()
    }
}

/// Checks that every named column exists and has one role only.
fn check_roles(table: &Table, options: &SchemaOptions) -> Result<(), DataError> {
    let mut roles: Vec<(&str, &'static str)> = Vec::new();
    let lists: [(&[String], &'static str); 4] = [
        (&options.target, "the target"),
        (&options.ignore, "ignored"),
        (options.weights.as_slice(), "the row weight"),
        (options.split.as_slice(), "the split column"),
    ];
    for (names, role) in lists {
        for name in names {
            table.find(name)?;
            if let Some((_, first)) = roles.iter().find(|(n, _)| n == name) {
                return Err(DataError::RoleClash { column: name.clone(), first, second: role });
            }
            roles.push((name, role));
        }
    }
    for (names, role) in [(&options.numeric, "numeric"), (&options.categorical, "categorical")] {
        for name in names {
            table.find(name)?;
            let taken = roles.iter().find(|(n, first)| n == name && *first != "the target");
            if let Some((_, first)) = taken {
                return Err(DataError::RoleClash { column: name.clone(), first, second: role });
            }
            if role == "categorical" && options.numeric.contains(name) {
                return Err(DataError::RoleClash { column: name.clone(), first: "numeric", second: role });
            }
        }
    }
    Ok(())
}

/// How many rows have each of the texts of a column.
struct Distinct<'a> {
    counts: HashMap<Cow<'a, str>, usize>,
    present: usize,
}

impl<'a> Distinct<'a> {
    fn of(column: ColumnView<'a>) -> Self {
        Self::up_to(usize::MAX, column)
    }

    /// Stops counting where there are more than `most` different texts.
    fn up_to(most: usize, column: ColumnView<'a>) -> Self {
        let mut distinct = Self { counts: HashMap::new(), present: 0 };
        for text in column.texts().flatten() {
            distinct.present += 1;
            *distinct.counts.entry(text).or_insert(0) += 1;
            if distinct.counts.len() > most {
                break;
            }
        }
        distinct
    }

    fn identify_rows(&self) -> bool {
        self.counts.len() > ID_LIKE && self.counts.len() * 2 > self.present
    }
}

fn has_one_value(column: ColumnView<'_>) -> bool {
    let mut texts = column.texts().flatten();
    let first = texts.next();
    texts.all(|text| Some(text) == first)
}

fn infer_kind(name: &str, column: ColumnView<'_>) -> Result<ColumnKind, DataError> {
    let numbers = match column.kind() {
        Ok(kind) => return Ok(kind),
        Err(numbers) => numbers,
    };
    let mut written = column.written().flatten();
    if let Some(first) = written.next()
        && looks_like_date(first)
        && written.all(looks_like_date)
    {
        return Err(DataError::AmbiguousDate { column: name.to_owned(), value: first.to_owned() });
    }
    // Numbers but for a few values: more likely a marker for missing values than categories.
    let all = column.present();
    if numbers * 10 >= all * 9 && all - numbers < all.min(50) {
        column.numbers(ColumnKind::Numeric)?;
    }
    Ok(ColumnKind::Categorical)
}

fn infer_task(table: &Table, options: &SchemaOptions) -> Result<Task, DataError> {
    let Some(first) = options.target.first() else {
        return Err(DataError::NoFeatures { reason: "no target column was named".into() });
    };
    let several = options.target.len() > 1;
    let mut inferred = Task::Regression;
    let mut identify_rows = None;
    for name in &options.target {
        let column = table.column(name)?;
        column.check_present("target")?;
        let is_number = column.kind() == Ok(ColumnKind::Numeric) && !options.categorical.contains(name);
        // Numbers may have as many values as rows: how many does not matter where they cannot be classes.
        let most = match options.task {
            None | Some(Task::Regression) if is_number => MAX_INTEGER_CLASSES,
            _ => usize::MAX,
        };
        let distinct = Distinct::up_to(most, column);
        let n = distinct.counts.len();
        if let (1, Some(value)) = (n, distinct.counts.keys().next()) {
            return Err(DataError::ConstantTarget { column: name.clone(), value: value.clone().into_owned() });
        }
        let is_whole = |text: &str| Cell::parse(text).number().is_some_and(|x| x.fract() == 0.0 && x >= 0.0);
        let is_class = !is_number
            || (!options.numeric.contains(name)
                && n <= MAX_INTEGER_CLASSES
                && distinct.counts.keys().all(|text| is_whole(text)));
        let classes = if n == 2 { Task::Binary } else { Task::Multiclass };
        let mismatch = |task: Task, reason: String| DataError::TaskMismatch {
            column: name.clone(),
            task: task.name().to_owned(),
            reason,
        };
        match (options.task, several, is_class) {
            (Some(Task::Regression), ..) if !is_number => {
                // The value that is not a number, and where it is, if there is one.
                column.numbers(ColumnKind::Numeric)?;
                return Err(mismatch(Task::Regression, "it holds text, not numbers".into()));
            }
            (Some(Task::Regression), ..) => {}
            (Some(task), false, _) => {
                if task == Task::Binary && n != 2 {
                    return Err(mismatch(task, format!("it has {n} different values")));
                }
                // Two classes are two classes, whatever they are called.
                inferred = classes;
            }
            (Some(task), true, _) => {
                return Err(mismatch(task, "several targets can only be numbers".into()));
            }
            (None, true, _) if !is_number => {
                return Err(mismatch(Task::Regression, "several targets must all be numbers".into()));
            }
            (None, true, _) => {}
            (None, false, true) => inferred = classes,
            (None, false, false) => {}
        }
        identify_rows = distinct.identify_rows().then_some((n, distinct.present));
    }
    if inferred == Task::Regression {
        for name in &options.target {
            table.column(name)?.numbers(ColumnKind::Numeric)?;
        }
    } else if let Some((n, rows)) = identify_rows {
        // As many classes as half the rows: rows would be identified, not classified.
        return Err(DataError::TaskMismatch {
            column: first.clone(),
            task: inferred.name().to_owned(),
            reason: format!("it has {n} different values in {rows} rows"),
        });
    }
    Ok(inferred)
}

/// The classes of a target column, in order.
pub(crate) fn classes(table: &Table, target: &str) -> Result<Vec<String>, DataError> {
    let distinct = Distinct::of(table.column(target)?);
    Ok(class_order(distinct.counts.into_keys().map(Cow::into_owned).collect()))
}

/// Sorts classes: by value if all are numbers, else as text.
pub fn class_order(mut classes: Vec<String>) -> Vec<String> {
    classes.sort();
    let numbers: Option<Vec<f64>> = classes.iter().map(|c| Cell::parse(c).number()).collect();
    if let Some(numbers) = numbers {
        let mut numbered: Vec<(f64, String)> = numbers.into_iter().zip(classes).collect();
        numbered.sort_by(|a, b| a.0.total_cmp(&b.0));
        classes = numbered.into_iter().map(|(_, class)| class).collect();
    }
    classes
}

impl Table {
    /// The different values of a column, as text, each with the number of its rows.
    ///
    /// # Errors
    ///
    /// [`DataError::NoColumn`].
    pub(crate) fn value_counts(&self, column: &str) -> Result<BTreeMap<String, usize>, DataError> {
        let distinct = Distinct::of(self.column(column)?);
        Ok(distinct.counts.into_iter().map(|(text, n)| (text.into_owned(), n)).collect())
    }
}
