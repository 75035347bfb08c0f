//! What the columns of a table mean.

use serde::{Deserialize, Serialize};

use crate::error::Offending;
use crate::table::Column;
use crate::{DataError, Table};

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ColumnKind {
    /// Numbers.
    Numeric,
    /// Labels without an order.
    Categorical,
    /// `true` or `false`.
    Boolean,
    /// ISO 8601 dates, with or without a time of day: taken as days since 1970-01-01.
    Date,
}

impl ColumnKind {
    /// The kind's name, such as `numeric`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Numeric => "numeric",
            Self::Categorical => "categorical",
            Self::Boolean => "boolean",
            Self::Date => "date",
        }
    }
}

/// What a network is to learn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    /// Numbers, one or several.
    Regression,
    /// One of two classes; asked for as `Multiclass`, two classes are this all the same.
    Binary,
    /// One of three classes or more.
    Multiclass,
}

impl Task {
    /// The task's name, such as `regression`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Regression => "regression",
            Self::Binary => "binary",
            Self::Multiclass => "multiclass",
        }
    }

    /// Whether the target is a class.
    pub fn is_classification(self) -> bool {
        self != Self::Regression
    }
}

impl std::fmt::Display for Task {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// What a user says of the columns; the rest is inferred.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SchemaOptions {
    /// Target columns: one, or several numeric ones.
    pub target: Vec<String>,
    /// The task; by default it follows from the target.
    pub task: Option<Task>,
    /// Columns to take as numbers.
    pub numeric: Vec<String>,
    /// Columns to take as categories.
    pub categorical: Vec<String>,
    /// Columns to leave out.
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
    /// What it holds.
    pub kind: ColumnKind,
}

/// The meaning of a table's columns: features, targets, task, weights.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schema {
    /// Feature columns, in the order of the file.
    pub features: Vec<ColumnSpec>,
    /// Target columns.
    pub targets: Vec<String>,
    /// What is to be learned.
    pub task: Task,
    /// Column of row weights.
    pub weights: Option<String>,
    /// Columns left out without being told to, each with the reason.
    pub dropped: Vec<(String, String)>,
}

/// A numeric target with at most this many different whole numbers of 0 or more is taken as a class.
const MAX_INTEGER_CLASSES: usize = 15;
/// Text columns with more different values than this, in more than half of the rows, identify rows.
const ID_LIKE: usize = 20;

impl Schema {
    /// Infers what the columns of `table` mean, as far as `options` do not say it.
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
                None => infer_kind(table, &name, column)?,
            };
            let distinct = Distinct::of(column);
            if distinct.present == 0 {
                if forced.is_some() {
                    return Err(DataError::AllMissing { column: name });
                }
                dropped.push((name, "it has no value at all".to_owned()));
                continue;
            }
            if kind == ColumnKind::Numeric {
                // Wrong values are named here, of all rows, before the table is split.
                number_column(table, &name)?;
            }
            let has_missing = distinct.present < column.len();
            if distinct.values.len() == 1 && !has_missing {
                dropped.push((name, "it has one value only".to_owned()));
            } else if kind == ColumnKind::Categorical && forced.is_none() && distinct.identifies_rows() {
                let n = distinct.values.len();
                dropped.push((name, format!("its {n} different texts identify rows; --categorical keeps it")));
            } else {
                features.push(ColumnSpec { name, kind });
            }
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
    /// Those of `columns` that are no feature, target or weight, and were not left out, quoted.
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

/// Every named column exists, and has one role.
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
            table.column(name)?;
            if let Some((_, first)) = roles.iter().find(|(n, _)| n == name) {
                return Err(DataError::RoleClash { column: name.clone(), first, second: role });
            }
            roles.push((name, role));
        }
    }
    for (names, role) in [(&options.numeric, "numeric"), (&options.categorical, "categorical")] {
        for name in names {
            table.column(name)?;
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

/// The different values of a column, sorted as text, each with its count.
struct Distinct {
    values: std::collections::BTreeMap<String, usize>,
    present: usize,
}

impl Distinct {
    fn of(column: Column<'_>) -> Self {
        let mut values = std::collections::HashMap::<String, usize>::new();
        let mut present = 0;
        for row in 0..column.len() {
            if let Some(text) = column.text(row) {
                present += 1;
                match values.get_mut(text.as_ref()) {
                    Some(count) => *count += 1,
                    None => {
                        values.insert(text.into_owned(), 1);
                    }
                }
            }
        }
        Self { values: values.into_iter().collect(), present }
    }

    fn identifies_rows(&self) -> bool {
        self.values.len() > ID_LIKE && self.values.len() * 2 > self.present
    }
}

fn infer_kind(table: &Table, name: &str, column: Column<'_>) -> Result<ColumnKind, DataError> {
    let text = match column {
        Column::Number(_) => return Ok(ColumnKind::Numeric),
        Column::Boolean(_) => return Ok(ColumnKind::Boolean),
        Column::Text(text) => text,
    };
    let present: Vec<usize> = (0..column.len()).filter(|&row| !column.is_null(row)).collect();
    let count = |is: fn(&str) -> bool| present.iter().filter(|&&row| is(text.value(row))).count();
    let all = present.len();
    let numbers = count(|s| parse_number(s).is_some());
    if numbers == all {
        return Ok(ColumnKind::Numeric);
    }
    if count(|s| parse_boolean(s).is_some()) == all {
        return Ok(ColumnKind::Boolean);
    }
    if count(|s| parse_date(s).is_some()) == all {
        return Ok(ColumnKind::Date);
    }
    if count(looks_like_date) == all {
        return Err(DataError::AmbiguousDate { column: name.to_owned(), value: text.value(present[0]).to_owned() });
    }
    // Numbers but for a few values: more likely a marker for missing values than categories.
    if numbers * 10 >= all * 9 && all - numbers < all.min(50) {
        number_column(table, name)?;
    }
    Ok(ColumnKind::Categorical)
}

fn infer_task(table: &Table, options: &SchemaOptions) -> Result<Task, DataError> {
    let Some(first) = options.target.first() else {
        return Err(DataError::NoFeatures { reason: "no target column was named".into() });
    };
    let several = options.target.len() > 1;
    let mut inferred = Task::Regression;
    for name in &options.target {
        let column = table.column(name)?;
        let missing: Vec<usize> = (0..column.len()).filter(|&r| column.is_null(r)).collect();
        if let Some(&row) = missing.first() {
            return Err(DataError::MissingValue {
                name: table.name().to_owned(),
                line: table.place(row),
                column: name.clone(),
                role: "target",
                count: missing.len(),
            });
        }
        let distinct = Distinct::of(column);
        if let (1, Some(value)) = (distinct.values.len(), distinct.values.keys().next()) {
            return Err(DataError::ConstantTarget { column: name.clone(), value: value.clone() });
        }
        let forced_text = options.categorical.contains(name);
        let numbers: Option<Vec<f64>> =
            if forced_text { None } else { distinct.values.keys().map(|v| parse_number(v)).collect() };
        let is_class = match &numbers {
            None => true,
            Some(numbers) => {
                !options.numeric.contains(name)
                    && numbers.len() <= MAX_INTEGER_CLASSES
                    && numbers.iter().all(|x| x.fract() == 0.0 && *x >= 0.0)
            }
        };
        let classes = if distinct.values.len() == 2 { Task::Binary } else { Task::Multiclass };
        let mismatch = |task: Task, reason: String| DataError::TaskMismatch {
            column: name.clone(),
            task: task.name().to_owned(),
            reason,
        };
        match (options.task, several, is_class, &numbers) {
            (Some(Task::Regression), _, _, None) => {
                // Say which value is not a number, and where.
                number_column(table, name)?;
                return Err(mismatch(Task::Regression, "it holds text, not numbers".into()));
            }
            (Some(Task::Regression), ..) => {}
            (Some(task), false, ..) => {
                if task == Task::Binary && distinct.values.len() != 2 {
                    return Err(mismatch(task, format!("it has {} different values", distinct.values.len())));
                }
                // Two classes are two classes, whatever they are called.
                inferred = classes;
            }
            (Some(task), true, ..) => {
                return Err(mismatch(task, "several targets can only be numbers".into()));
            }
            (None, true, _, None) => {
                return Err(mismatch(Task::Regression, "several targets must all be numbers".into()));
            }
            (None, true, ..) => {}
            (None, false, true, _) => inferred = classes,
            (None, false, false, _) => {}
        }
    }
    if inferred == Task::Regression {
        for name in &options.target {
            number_column(table, name)?;
        }
    } else {
        // As many classes as half the rows: rows would be identified, not classified.
        let distinct = Distinct::of(table.column(first)?);
        if distinct.identifies_rows() {
            return Err(DataError::TaskMismatch {
                column: first.clone(),
                task: inferred.name().to_owned(),
                reason: format!("it has {} different values in {} rows", distinct.values.len(), distinct.present),
            });
        }
    }
    Ok(inferred)
}

/// The classes of a target column, in order.
pub(crate) fn classes(table: &Table, target: &str) -> Result<Vec<String>, DataError> {
    Ok(class_order(Distinct::of(table.column(target)?).values.into_keys().collect()))
}

/// Classes in their order: numbers by value, others as text.
pub fn class_order(mut classes: Vec<String>) -> Vec<String> {
    classes.sort();
    if classes.iter().all(|c| parse_number(c).is_some()) {
        classes.sort_by(|a, b| parse_number(a).unwrap_or(0.0).total_cmp(&parse_number(b).unwrap_or(0.0)));
    }
    classes
}

impl Table {
    /// The different values of a column, as text, each with the number of its rows.
    ///
    /// # Errors
    ///
    /// [`DataError::NoColumn`].
    pub fn value_counts(&self, column: &str) -> Result<std::collections::BTreeMap<String, usize>, DataError> {
        Ok(Distinct::of(self.column(column)?).values)
    }
}

/// A decimal number as Rust reads one, spaces around it allowed: `-1.5`, `.5`, `1e-3`, `inf`. Not hexadecimal, no
/// separators between digits, no decimal comma.
pub(crate) fn parse_number(text: &str) -> Option<f64> {
    let text = text.trim();
    text.parse().ok().filter(|x: &f64| !x.is_nan())
}

pub(crate) fn parse_boolean(text: &str) -> Option<bool> {
    let text = text.trim();
    if text.eq_ignore_ascii_case("true") {
        Some(true)
    } else if text.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

/// Days since 1970-01-01 of an ISO 8601 date, with a fraction for a time of day.
pub(crate) fn parse_date(text: &str) -> Option<f64> {
    use chrono::{DateTime, NaiveDate, NaiveDateTime};
    let text = text.trim();
    if text.len() < 8 || !text.as_bytes()[0].is_ascii_digit() {
        return None;
    }
    let seconds = if let Ok(date) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        date.and_hms_opt(0, 0, 0)?.and_utc()
    } else if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        time.to_utc()
    } else {
        ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M"]
            .iter()
            .find_map(|f| NaiveDateTime::parse_from_str(text, f).ok())?
            .and_utc()
    };
    Some(seconds.timestamp_millis() as f64 / 86_400_000.0)
}

/// Three numbers joined by `/`, `.` or `-`: a date, but which number is the day?
fn looks_like_date(text: &str) -> bool {
    let date = text.trim().split(' ').next().unwrap_or_default();
    ['/', '.', '-'].into_iter().any(|separator| {
        let parts: Vec<&str> = date.split(separator).collect();
        parts.len() == 3 && parts.iter().all(|p| matches!(p.len(), 1..=4) && p.bytes().all(|b| b.is_ascii_digit()))
    })
}

/// A column as numbers.
pub(crate) fn number_column(table: &Table, name: &str) -> Result<Vec<Option<f64>>, DataError> {
    let numbers = match table.column(name)? {
        Column::Number(a) => a.iter().collect::<Vec<_>>(),
        Column::Boolean(a) => a.iter().map(|b| b.map(f64::from)).collect(),
        Column::Text(_) => parse_column(table, name, "a number", parse_number)?,
    };
    for (row, x) in numbers.iter().enumerate() {
        if x.is_some_and(|x| x.abs() > f64::from(f32::MAX)) {
            let value = table.column(name)?.text(row).unwrap_or_default().into_owned();
            return Err(DataError::NotFinite {
                name: table.name().to_owned(),
                line: table.place(row),
                column: name.to_owned(),
                value,
            });
        }
    }
    Ok(numbers)
}

/// A column as dates or booleans, as numbers.
pub(crate) fn kind_column(table: &Table, name: &str, kind: ColumnKind) -> Result<Vec<Option<f64>>, DataError> {
    match (kind, table.column(name)?) {
        (ColumnKind::Date, Column::Text(_)) => parse_column(table, name, "an ISO 8601 date", parse_date),
        (ColumnKind::Boolean, Column::Text(_)) => {
            parse_column(table, name, "true or false", |s| parse_boolean(s).map(f64::from))
        }
        _ => number_column(table, name),
    }
}

fn parse_column(
    table: &Table,
    name: &str,
    expected: &'static str,
    parse: impl Fn(&str) -> Option<f64>,
) -> Result<Vec<Option<f64>>, DataError> {
    let Column::Text(text) = table.column(name)? else {
        return Ok(Vec::new());
    };
    // The first three, and how many there are.
    let mut wrong = Vec::new();
    let mut count = 0;
    let numbers = text
        .iter()
        .enumerate()
        .map(|(row, value)| {
            let value = value?;
            let number = parse(value);
            if number.is_none() {
                count += 1;
                if wrong.len() < 3 {
                    wrong.push(row);
                }
            }
            number
        })
        .collect();
    match wrong.split_first() {
        None => Ok(numbers),
        Some((&row, further)) => Err(DataError::NotA {
            name: table.name().to_owned(),
            line: table.place(row),
            column: name.to_owned(),
            value: text.value(row).to_owned(),
            expected,
            all: Box::new(Offending { count, further: further.iter().map(|&row| table.place(row)).collect() }),
        }),
    }
}
