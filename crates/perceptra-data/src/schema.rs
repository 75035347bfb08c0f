//! The meaning of the columns of a table.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use crate::cell::{Cell, canonical, is_code};
use crate::column_view::ColumnView;
use crate::date::{DateOrder, iso};
use crate::error::{DataError, Role};
use crate::kind::ColumnKind;
use crate::missing::is_mark;
use crate::notation::{Evidence, Finding, Notation, could_be_thousands};
use crate::note::Note;
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
    /// The decimal separator of numbers in text, where columns do not show it themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decimal: Option<char>,
    /// The separator of thousands of numbers in text, where columns do not show it themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thousands: Option<char>,
    /// The order of day and month in dates such as `4/5/2024`, where columns do not show it themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dates: Option<DateOrder>,
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
    /// How the numbers, dates and categories of columns are written, where that is not as programs write them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) notations: BTreeMap<String, Notation>,
    /// Choices that were made for the user; none in a schema that was read from a file.
    #[serde(skip)]
    pub notes: Vec<Note>,
    /// Why the task is what it is; none if it was set, or read from a file.
    #[serde(skip)]
    pub reason: Option<String>,
}

/// A numeric target of at most this many different whole numbers from 0 is a class.
const MAX_INTEGER_CLASSES: usize = 15;
/// Fewer numbers than this show no habit of writing them.
const FEWEST: usize = 5;
/// Text columns with more different values than this, in more than half of the rows, identify rows.
const ID_LIKE: usize = 20;

impl Schema {
    /// Infers the roles and kinds of the columns of `table` that `options` do not set.
    ///
    /// Text columns whose values are all numbers are numeric, all `true`/`false` boolean, all dates dates, others categorical. Marks
    /// such as `-` among numbers and dates are missing values, and numbers such as `1.234,5` or `$12` are read if all of a column are
    /// written in one way. Numbers with zeros in front, as in `007`, are categories. Left out, with a reason in [`Schema::dropped`],
    /// are constant and empty columns, text that identifies rows, and columns that are the numbers of the rows by name and values.
    ///
    /// A target of text, booleans, codes, two different values or at most 15 different whole numbers from 0 is a class.
    /// [`Schema::notes`] has the choices that a user may want to change.
    ///
    /// # Errors
    ///
    /// Names that are not there or clash, columns without a value, columns of which half the values or more are numbers or dates and
    /// some are not, or that can be read in two ways, targets that do not fit the task, no feature left.
    pub fn infer(table: &Table, options: &SchemaOptions) -> Result<Self, DataError> {
        check_roles(table, options)?;
        let mut schema = Self {
            features: Vec::new(),
            targets: options.target.clone(),
            task: Task::Regression,
            weights: options.weights.clone(),
            dropped: Vec::new(),
            notations: BTreeMap::new(),
            notes: Vec::new(),
            reason: None,
        };
        let mut row_numbers = Vec::new();
        let is_left_out =
            |name: &str| options.ignore.iter().any(|ignored| ignored == name) || options.split.as_deref() == Some(name);
        table.parse_columns(|name| !is_left_out(name));
        for name in table.columns() {
            let is_role =
                options.target.contains(&name) || is_left_out(&name) || options.weights.as_ref() == Some(&name);
            if is_role {
                continue;
            }
            let column = table.column(&name)?;
            let Interpreted { kind, notation, mut notes } = interpret(&name, column, options)?;
            let forced = options.numeric.contains(&name) || options.categorical.contains(&name);
            let present = column.present();
            if present == 0 {
                if forced {
                    return Err(DataError::AllMissing { column: name });
                }
                schema.leave_out(name, "it has no value at all".to_owned(), &[]);
                continue;
            }
            if kind == ColumnKind::Numeric {
                // Wrong values are named here, of all rows, before the table is split.
                column.numbers(kind, &notation)?;
            }
            if present == table.rows() && has_one_value(column) {
                schema.leave_out(name, "it has one value only".to_owned(), &[]);
                continue;
            }
            if kind == ColumnKind::Categorical && !forced {
                let distinct = Distinct::of(column, notation.by_value);
                if distinct.identify_rows() {
                    let mut texts = column.texts().flatten();
                    let [one, other] = [texts.next(), texts.last()].map(Option::unwrap_or_default);
                    let n = distinct.counts.len();
                    let reason = format!("its {n} different texts identify rows, as {one:?} and {other:?} do");
                    schema.leave_out(name, reason, &[ColumnKind::Categorical]);
                    continue;
                }
            }
            if !forced && kind == ColumnKind::Numeric && is_written_index(&name) && all_different(column) {
                row_numbers.push((schema.features.len(), name));
                continue;
            }
            if !forced && kind == ColumnKind::Numeric && counts_rows(column) {
                if is_index(&name) {
                    row_numbers.push((schema.features.len(), name));
                    continue;
                }
                if is_consecutive(column) {
                    notes.push(Note::CountsRows { column: name.clone() });
                }
            }
            schema.notes.append(&mut notes);
            schema.set_notation(&name, notation);
            schema.features.push(ColumnSpec { name, kind });
        }
        // The numbers of the rows, unless there is nothing else.
        if schema.features.is_empty() {
            for (_, column) in row_numbers.drain(..) {
                schema.features.push(ColumnSpec { name: column.clone(), kind: ColumnKind::Numeric });
                schema.notes.push(Note::CountsRows { column });
            }
        }
        row_numbers
            .into_iter()
            .for_each(|(_, name)| schema.leave_out(name, "it numbers the rows".to_owned(), &[ColumnKind::Numeric]));
        if schema.features.is_empty() {
            let reason = match schema.dropped.as_slice() {
                [] => "the table has no column besides those with another role".to_owned(),
                some => some.iter().map(|(n, why)| format!("{n:?}: {why}")).collect::<Vec<_>>().join("; "),
            };
            return Err(DataError::NoFeatures { reason });
        }
        infer_task(table, options, &mut schema)?;
        Ok(schema)
    }

    fn leave_out(&mut self, column: String, reason: String, kept_as: &'static [ColumnKind]) {
        self.notes.push(Note::LeftOut { column: column.clone(), reason: reason.clone(), kept_as });
        self.dropped.push((column, reason));
    }

    fn set_notation(&mut self, column: &str, notation: Notation) {
        if !notation.is_default() {
            self.notations.insert(column.to_owned(), notation);
        }
    }

    /// How the values of a column are written.
    pub fn notation(&self, column: &str) -> Notation {
        self.notations.get(column).copied().unwrap_or_default()
    }

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
    fn of(column: ColumnView<'a>, by_value: bool) -> Self {
        Self::up_to(usize::MAX, column, by_value)
    }

    /// Stops counting once there are more than `most` different texts.
    fn up_to(most: usize, column: ColumnView<'a>, by_value: bool) -> Self {
        let mut distinct = Self { counts: HashMap::new(), present: 0 };
        for text in column.categories(by_value).flatten() {
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

/// Whether the values are whole numbers that grow from row to row: it is the number of a row, or something that grows as it does.
fn counts_rows(column: ColumnView<'_>) -> bool {
    column.nulls().all(|null| !null)
        && column.integers().is_some_and(|numbers| numbers.len() > ID_LIKE && numbers.is_sorted_by(|a, b| a < b))
}

/// Whether the values that grow are 0, 1, 2... or 1, 2, 3...
fn is_consecutive(column: ColumnView<'_>) -> bool {
    column.integers().is_some_and(|numbers| match numbers.as_slice() {
        [first @ (0 | 1), .., last] => last - first == numbers.len() as i64 - 1,
        _ => false,
    })
}

/// Whether the categories of a column are known by the values of their texts: they are all numbers or dates.
fn is_by_value(column: ColumnView<'_>) -> bool {
    column.kind().is_some_and(|kind| match kind {
        ColumnKind::Numeric | ColumnKind::Date => true,
        ColumnKind::Categorical | ColumnKind::Boolean => false,
    })
}

/// Whether a name is one that programs and people give to the numbers of rows.
fn is_index(name: &str) -> bool {
    let name = name.trim().to_lowercase();
    let names = [
        "",
        "#",
        "id",
        "_id",
        "idx",
        "index",
        "no",
        "no.",
        "nr",
        "nr.",
        "row",
        "rowid",
        "row_id",
        "rowname",
        "rownames",
        "row_names",
        "row.names",
        "row_number",
        "rownumber",
        "serial",
        "s.no",
        "s.no.",
        "sno",
        "...1",
    ];
    names.contains(&name.as_str()) || is_written_index(&name)
}

/// Whether a name is one that pandas gives to an index, or to a column without a name.
fn is_written_index(name: &str) -> bool {
    let name = name.trim().to_lowercase();
    name.is_empty() || name.starts_with("unnamed:") || name.starts_with("__index_level_")
}

/// Whether the values are whole numbers of which no two are equal: those of an index, also of shuffled rows.
fn all_different(column: ColumnView<'_>) -> bool {
    column.nulls().all(|null| !null)
        && column.integers().is_some_and(|mut numbers| {
            numbers.sort_unstable();
            numbers.len() > ID_LIKE && numbers.is_sorted_by(|a, b| a < b)
        })
}

/// A column as it was understood.
pub(crate) struct Interpreted {
    pub(crate) kind: ColumnKind,
    pub(crate) notation: Notation,
    pub(crate) notes: Vec<Note>,
}

/// The kind of a column, and how its values are written.
pub(crate) fn interpret(name: &str, column: ColumnView<'_>, options: &SchemaOptions) -> Result<Interpreted, DataError> {
    let fixed = Notation {
        decimal: options.decimal,
        thousands: options.thousands,
        dates: options.dates,
        ..Notation::default()
    };
    let (numeric, categorical) =
        (options.numeric.iter().any(|n| n == name), options.categorical.iter().any(|n| n == name));
    let kind = column.kind();
    let by_value = Notation { by_value: is_by_value(column), ..Notation::default() };
    if categorical {
        let notation = by_value;
        return Ok(Interpreted { kind: ColumnKind::Categorical, notation, notes: Vec::new() });
    }
    let mut notes = Vec::new();
    if let Some(parsed) = column.parsed().filter(|parsed| kind.is_some() && !parsed.marks.is_empty()) {
        let marks = parsed.marks.iter().map(|(mark, rows)| (mark.clone(), *rows)).collect();
        notes.push(Note::Marks { column: name.to_owned(), marks });
    }
    let codes = column.parsed().filter(|_| !numeric).map_or(0, |parsed| parsed.codes);
    if codes > 0 && kind == Some(ColumnKind::Numeric) && column.integers().is_some() {
        let example = column.written().flatten().find(|text| is_code(text)).unwrap_or_default().trim().to_owned();
        let column_name = name.to_owned();
        return Ok(if Distinct::of(column, true).identify_rows() {
            notes.push(Note::CodesAsNumbers { column: column_name, example });
            Interpreted { kind: ColumnKind::Numeric, notation: Notation::default(), notes }
        } else {
            notes.push(Note::Codes { column: column_name, example });
            Interpreted { kind: ColumnKind::Categorical, notation: by_value, notes }
        });
    }
    let has_points = || column.written().flatten().any(|text| text.contains(['.', ',']));
    let is_set = fixed.decimal.is_some() || fixed.thousands.is_some();
    match kind {
        Some(ColumnKind::Numeric) if is_set && column.parsed().is_some() && has_points() => {}
        Some(kind) => {
            notes.extend(decimal_point(name, column));
            let kind = if numeric { ColumnKind::Numeric } else { kind };
            return Ok(Interpreted { kind, notation: Notation::default(), notes });
        }
        None => {}
    }
    let mut evidence = Evidence::default();
    column.written().flatten().for_each(|text| evidence.add(text));
    let mut read = |kind: ColumnKind, notation: Notation| -> Result<Interpreted, DataError> {
        let numbers = column.numbers(kind, &notation)?;
        let plain = Notation::default();
        let shows = |text: &str| match kind {
            ColumnKind::Date => plain.date(text).is_none(),
            ColumnKind::Numeric | ColumnKind::Categorical | ColumnKind::Boolean => {
                plain.number(text) != notation.number(text)
            }
        };
        let example = column.written().zip(&numbers).find_map(|(text, number)| {
            let text = text.filter(|text| !is_mark(text.trim()) && shows(text))?.trim();
            let value = match kind {
                ColumnKind::Date => iso((*number)?)?,
                ColumnKind::Numeric | ColumnKind::Categorical | ColumnKind::Boolean => (*number)?.to_string(),
            };
            Some([text.to_owned(), value])
        });
        if let (Some(example), false) = (example, notation.is_default()) {
            notes.push(Note::Read { column: name.to_owned(), notation, example });
        }
        let mut marks = BTreeMap::new();
        for text in column.written().flatten().map(str::trim).filter(|text| is_mark(text)) {
            *marks.entry(text.to_owned()).or_insert(0) += 1;
        }
        if !marks.is_empty() {
            notes.push(Note::Marks { column: name.to_owned(), marks: marks.into_iter().collect() });
        }
        Ok(Interpreted { kind, notation, notes: std::mem::take(&mut notes) })
    };
    match evidence.finding(fixed) {
        Finding::Numbers(notation) => {
            let mut found = read(ColumnKind::Numeric, notation)?;
            if notation.thousands.is_none() && notation.decimal.is_none() {
                found.notes.extend(decimal_point(name, column));
            }
            Ok(found)
        }
        Finding::Dates(notation) if !numeric => read(ColumnKind::Date, notation),
        _ if numeric => Ok(Interpreted { kind: ColumnKind::Numeric, notation: Notation::default(), notes }),
        Finding::Dates(_) | Finding::Other => {
            Ok(Interpreted { kind: ColumnKind::Categorical, notation: Notation::default(), notes })
        }
        Finding::Texts(examples) => {
            notes.push(Note::Mixed { column: name.to_owned(), examples });
            Ok(Interpreted { kind: ColumnKind::Categorical, notation: Notation::default(), notes })
        }
        Finding::AmbiguousNumbers(value, a, b) => {
            Err(DataError::AmbiguousNumber { column: name.to_owned(), value, readings: [a, b] })
        }
        Finding::AmbiguousDates(value) => Err(DataError::AmbiguousDate { column: name.to_owned(), value }),
        Finding::Mixed(one, other) => Err(DataError::MixedNotations { column: name.to_owned(), values: [one, other] }),
        Finding::Mostly { dates, other } => {
            let row = column.written().position(|text| text.is_some_and(|text| text.trim() == other)).unwrap_or(0);
            let role = if options.target.iter().any(|n| n == name) { Role::Target } else { Role::Feature };
            let kind = if dates { ColumnKind::Date } else { ColumnKind::Numeric };
            Err(column.not_a(row, role, kind, evidence.others.1.max(1)))
        }
    }
}

/// The note on a column in which every number has a point and three digits after it.
fn decimal_point(name: &str, column: ColumnView<'_>) -> Option<Note> {
    column.parsed()?;
    let (mut numbers, mut example) = (0, None);
    for text in column.written().flatten().map(str::trim).filter(|text| !is_mark(text)) {
        if !could_be_thousands(text) {
            return None;
        }
        numbers += 1;
        if text.contains('.') {
            example.get_or_insert(text);
        }
    }
    let example = example.filter(|_| numbers > FEWEST)?.to_owned();
    Some(Note::DecimalPoint { column: name.to_owned(), example })
}

/// Infers the task from the targets.
fn infer_task(table: &Table, options: &SchemaOptions, schema: &mut Schema) -> Result<(), DataError> {
    let Some(first) = options.target.first() else {
        return Err(DataError::NoFeatures { reason: "no target column was named".into() });
    };
    let several = options.target.len() > 1;
    let mut inferred = Task::Regression;
    let mut reason = None;
    let mut identify_rows = None;
    for name in &options.target {
        let column = table.column(name)?;
        column.check_present(Role::Target)?;
        let classes_set = options.task.is_some_and(Task::is_classification) || options.categorical.contains(name);
        let found = match interpret(name, column, options) {
            // Classes may be called anything.
            Err(_) if classes_set => {
                Interpreted { kind: ColumnKind::Categorical, notation: Notation::default(), notes: Vec::new() }
            }
            found => found?,
        };
        let is_code = found.notes.iter().any(|note| match note {
            Note::Codes { .. } => true,
            Note::LeftOut { .. } | Note::Marks { .. } | Note::Read { .. } | Note::CodesAsNumbers { .. } => false,
            Note::DecimalPoint { .. } | Note::Mixed { .. } | Note::CountsRows { .. } => false,
        });
        let numbers = match found.kind {
            ColumnKind::Numeric => true,
            // A regression of codes is one of numbers.
            ColumnKind::Categorical => is_code,
            // Dates are numbers to those who ask for a regression, days since 1970-01-01.
            ColumnKind::Date => options.task == Some(Task::Regression) && column.parsed().is_none(),
            ColumnKind::Boolean => false,
        } && !options.categorical.contains(name);
        let is_number = numbers && (!is_code || options.task == Some(Task::Regression) || several);
        let by_value = is_by_value(column);
        // Numbers may have as many values as rows: how many does not matter where they cannot be classes.
        let most = match options.task {
            None | Some(Task::Regression) if is_number => MAX_INTEGER_CLASSES,
            _ => usize::MAX,
        };
        let distinct = Distinct::up_to(most, column, by_value);
        let n = distinct.counts.len();
        if let (1, Some(value)) = (n, distinct.counts.keys().next()) {
            return Err(DataError::ConstantTarget { column: name.clone(), value: value.clone().into_owned() });
        }
        let is_whole = |text: &str| Cell::parse(text).number().is_some_and(|x| x.fract() == 0.0 && x >= 0.0);
        let few_whole = n <= MAX_INTEGER_CLASSES && distinct.counts.keys().all(|text| is_whole(text));
        let is_class = !is_number || (!options.numeric.contains(name) && (n == 2 || few_whole));
        let classes = if n == 2 { Task::Binary } else { Task::Multiclass };
        let mismatch = |task: Task, reason: String| DataError::TaskMismatch {
            column: name.clone(),
            task: task.name().to_owned(),
            reason,
        };
        match (options.task, several, is_class) {
            (Some(Task::Regression), ..) if !is_number => {
                // The value that is not a number, and where it is, if there is one.
                column.all_numbers(Role::Target, &found.notation)?;
                return Err(mismatch(Task::Regression, format!("it holds {}s, not numbers", found.kind.value_name())));
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
            (None, false, true) => {
                inferred = classes;
                let mut values: Vec<&str> = distinct.counts.keys().map(AsRef::as_ref).collect();
                values.sort_unstable();
                reason = Some(match values.as_slice() {
                    [one, other] => format!("it has two different values, {one:?} and {other:?}"),
                    _ if is_code => "it has codes with zeros in front".to_owned(),
                    _ if !is_number => format!("its values are {}s", found.kind.value_name()),
                    _ => format!("it has {n} different whole numbers, none below 0"),
                });
            }
            (None, false, false) => {
                reason = Some(match n {
                    n if n > MAX_INTEGER_CLASSES => format!("it has more than {MAX_INTEGER_CLASSES} different numbers"),
                    n => format!("its {n} different numbers are not all whole, or some are below 0"),
                });
            }
        }
        let notes = found.notes.into_iter().filter(|note| match note {
            Note::Read { .. } | Note::Marks { .. } | Note::DecimalPoint { .. } => true,
            Note::LeftOut { .. } | Note::Codes { .. } | Note::CodesAsNumbers { .. } => false,
            Note::Mixed { .. } | Note::CountsRows { .. } => false,
        });
        schema.notes.extend(notes);
        let notation = if inferred == Task::Regression {
            Notation { by_value: false, ..found.notation }
        } else {
            Notation { by_value, ..Notation::default() }
        };
        schema.set_notation(name, notation);
        identify_rows = distinct.identify_rows().then_some((n, distinct.present));
    }
    if inferred == Task::Regression {
        for name in &options.target {
            table.target_values(name, &schema.notation(name))?;
        }
    } else if let Some((n, rows)) = identify_rows {
        // As many classes as half the rows: rows would be identified, not classified.
        return Err(DataError::TaskMismatch {
            column: first.clone(),
            task: inferred.name().to_owned(),
            reason: format!("it has {n} different values in {rows} rows"),
        });
    }
    (schema.task, schema.reason) = (inferred, reason);
    Ok(())
}

/// The classes of a target column, in order.
pub(crate) fn classes(table: &Table, target: &str, by_value: bool) -> Result<Vec<String>, DataError> {
    let distinct = Distinct::of(table.column(target)?, by_value);
    Ok(class_order(distinct.counts.into_keys().map(Cow::into_owned).collect()))
}

/// Sorts classes: by value if all are numbers, else as text.
fn class_order(mut classes: Vec<String>) -> Vec<String> {
    classes.sort();
    let numbers: Option<Vec<f64>> = classes.iter().map(|c| Cell::parse(c).number()).collect();
    if let Some(numbers) = numbers {
        let mut numbered: Vec<(f64, String)> = numbers.into_iter().zip(classes).collect();
        numbered.sort_by(|a, b| a.0.total_cmp(&b.0));
        classes = numbered.into_iter().map(|(_, class)| class).collect();
    }
    classes
}

/// The classes that these texts of a target stand for, in order, each with the number of its rows.
#[doc(hidden)]
pub fn class_rows(texts: &BTreeMap<String, usize>, notation: &Notation) -> Vec<(String, usize)> {
    let mut rows: BTreeMap<String, usize> = BTreeMap::new();
    for (text, n) in texts {
        let class = if notation.by_value { canonical(text).into_owned() } else { text.clone() };
        *rows.entry(class).or_insert(0) += n;
    }
    let mut ordered = Vec::new();
    for class in class_order(rows.keys().cloned().collect()) {
        let n = rows.remove(&class).unwrap_or(0);
        ordered.push((class, n));
    }
    ordered
}

impl Table {
    /// The different values of a column, as text, each with the number of its rows.
    ///
    /// # Errors
    ///
    /// [`DataError::NoColumn`].
    pub(crate) fn value_counts(&self, column: &str, by_value: bool) -> Result<BTreeMap<String, usize>, DataError> {
        let distinct = Distinct::of(self.column(column)?, by_value);
        Ok(distinct.counts.into_iter().map(|(text, n)| (text.into_owned(), n)).collect())
    }
}
