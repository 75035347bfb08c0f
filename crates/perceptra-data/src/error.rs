//! Errors of tables.

use std::path::PathBuf;

use crate::file_kind::{FileKind, JSON_ARRAY, UTF_16};
use crate::hint::Hint;

/// A table that cannot be read, understood, encoded or split. The message says what and where;
/// [`DataError::hint`] says how to mend it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// No file at the path.
    #[error("{path}: no such file")]
    NotFound {
        /// The path as given.
        path: PathBuf,
    },
    /// A folder where a file was expected.
    #[error("{path}: is a folder, not a table")]
    IsFolder {
        /// The path as given.
        path: PathBuf,
    },
    /// Reading failed.
    #[error("{name}: cannot be read: {source}")]
    Io {
        /// File or stream.
        name: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// An input that can be read only once, where it has to be read several times.
    #[error("{name}: can be read only once, and streaming reads a table several times")]
    ReadOnce {
        /// File or stream.
        name: String,
    },
    /// A file that has changed since it was read first.
    #[error("{name}: the file has changed while it was in use")]
    Changed {
        /// File or stream.
        name: String,
    },
    /// A file of 0 bytes, or of comments and blank lines alone.
    #[error("{name}: the file is empty")]
    Empty {
        /// File or stream.
        name: String,
    },
    /// A header and nothing else.
    #[error("{name}: there is a header but no row of data")]
    NoRows {
        /// File or stream.
        name: String,
    },
    /// A row with more or fewer fields than the header.
    #[error("{name}:{line}: {found} fields, the header has {expected}")]
    Ragged {
        /// File or stream.
        name: String,
        /// Physical line, the header is line 1.
        line: u64,
        /// Fields in this row.
        found: usize,
        /// Fields in the header.
        expected: usize,
    },
    /// Lines above the header that are no part of the table.
    #[error("{name}:{line}: this line looks like the header, and not the lines above it, which have fewer fields")]
    TitleLines {
        /// File or stream.
        name: String,
        /// Physical line of what looks like the header.
        line: u64,
    },
    /// A row that is too long: the file is no table, or a quote never closes.
    #[error("{name}:{line}: the row is longer than {} MiB", .limit >> 20)]
    RowTooLong {
        /// File or stream.
        name: String,
        /// Physical line at which the row begins.
        line: u64,
        /// The limit in bytes.
        limit: usize,
    },
    /// A quote that never closes.
    #[error("{name}:{line}: the quote opened in this row never closes")]
    UnclosedQuote {
        /// File or stream.
        name: String,
        /// Physical line of the row.
        line: u64,
    },
    /// Bytes that are not UTF-8.
    #[error("{name}:{line}, column {column}: byte {byte} of the field is not UTF-8")]
    NotUtf8 {
        /// File or stream.
        name: String,
        /// Physical line.
        line: u64,
        /// Column name, quoted, or number.
        column: String,
        /// 1-based byte in the field.
        byte: usize,
    },
    /// A line of JSON lines that is no object.
    #[error("{name}:{line}: the line is not a JSON object: {reason}")]
    JsonLine {
        /// File or stream.
        name: String,
        /// Physical line.
        line: u64,
        /// The reason.
        reason: String,
    },
    /// A key that appears after rows of JSON lines have been read without it.
    #[error("{name}:{line}: the key {key:?} appears here first, after rows have been read without it")]
    LateKey {
        /// File or stream.
        name: String,
        /// Physical line.
        line: u64,
        /// The key.
        key: String,
    },
    /// A workbook without a sheet of the name that was asked for.
    #[error("{name}: there is no sheet {sheet:?}, but {}", list(.sheets))]
    NoSheet {
        /// File or stream.
        name: String,
        /// The missing name.
        sheet: String,
        /// The sheets that there are.
        sheets: Vec<String>,
        /// The most similar one of them.
        nearest: Option<String>,
    },
    /// A file of a kind that is not read.
    #[error("{name}: this looks like {looks_like}, not like a table this program reads")]
    Foreign {
        /// File or stream.
        name: String,
        /// The kind of file that its first bytes show.
        looks_like: &'static str,
    },
    /// Parquet or Arrow that does not decode.
    #[error("{name}: the {format} file is damaged: {reason}")]
    Damaged {
        /// File or stream.
        name: String,
        /// Parquet, Arrow IPC or workbook.
        format: &'static str,
        /// The decoder's reason.
        reason: String,
    },
    /// A Parquet or Arrow column of a type that cannot be used, and is not ignored.
    #[error("{name}, column {column:?}: columns of type {data_type} are not supported")]
    UnsupportedType {
        /// File or stream.
        name: String,
        /// Column name.
        column: String,
        /// Arrow's name of the type.
        data_type: String,
    },
    /// Two columns of one name.
    #[error("{name}: columns {first} and {second} are both named {column:?}")]
    DuplicateColumn {
        /// File or stream.
        name: String,
        /// The name they share.
        column: String,
        /// 1-based position.
        first: usize,
        /// 1-based position.
        second: usize,
    },
    /// A column that does not exist.
    #[error("{name}: there is no column {column:?}")]
    NoColumn {
        /// File or stream.
        name: String,
        /// The missing name.
        column: String,
        /// The most similar name of those that exist.
        nearest: Option<String>,
        /// The name of the column, if the table has one only: the separator may be wrong.
        only: Option<String>,
    },
    /// A table that lacks columns that a model needs.
    #[error("{name}: {} that the model needs {} missing: {}", plural(.columns.len(), "column"), if .columns.len() == 1 { "is" } else { "are" }, list(.columns))]
    MissingColumns {
        /// File or stream.
        name: String,
        /// All missing names.
        columns: Vec<String>,
        /// The name most similar to the first missing one.
        nearest: Option<String>,
    },
    /// A column named twice among the roles (target, weights, ignored...).
    #[error("column {column:?} cannot be {first} and {second} at once")]
    RoleClash {
        /// Column name.
        column: String,
        /// One role.
        first: &'static str,
        /// The other role.
        second: &'static str,
    },
    /// Text where numbers are needed.
    #[error("{name}{}, column {column:?}: {value:?} is not {expected}{}", at(.line), others(.all.count, &.all.further))]
    NotA {
        /// File or stream.
        name: String,
        /// Physical line, if the file has lines, else the 1-based row.
        line: Place,
        /// Column name.
        column: String,
        /// The first offending value.
        value: String,
        /// "a number", "a date"...
        expected: &'static str,
        /// All offending values in the column.
        all: Box<Offending>,
    },
    /// An infinite number, or one too large for 32-bit floats.
    #[error("{name}{}, column {column:?}: {value} is not finite in 32-bit floats", at(.line))]
    NotFinite {
        /// File or stream.
        name: String,
        /// Line or row.
        line: Place,
        /// Column name.
        column: String,
        /// The value as written.
        value: String,
    },
    /// A missing value where none may be.
    #[error("{name}{}, column {column:?}: the {role} is missing{}", at(.line), others(*.count, &[]))]
    MissingValue {
        /// File or stream.
        name: String,
        /// Line or row of the first.
        line: Place,
        /// Column name.
        column: String,
        /// The role that the column is needed for.
        role: Role,
        /// Missing values in the column.
        count: usize,
        /// The most frequent text in the column that is taken as missing, if there is one.
        text: Option<String>,
    },
    /// A weight below 0.
    #[error("{name}{}, column {column:?}: the weight {value} is below 0", at(.line))]
    NegativeWeight {
        /// File or stream.
        name: String,
        /// Line or row.
        line: Place,
        /// Column name.
        column: String,
        /// The weight.
        value: f64,
    },
    /// A part of the data whose rows all have the weight 0, and so are no rows.
    #[error("{name}, column {column:?}: all rows of the {part} part have the weight 0")]
    NoWeight {
        /// File or stream.
        name: String,
        /// The column of row weights.
        column: String,
        /// Which part.
        part: &'static str,
    },
    /// Numbers that are one number with one decimal separator and another with another.
    #[error("column {column:?}: {value:?} may be {} or {}", .readings[0], .readings[1])]
    AmbiguousNumber {
        /// Column name.
        column: String,
        /// Such a number as written.
        value: String,
        /// The two numbers that it may be.
        readings: [f64; 2],
    },
    /// Numbers or dates in a column that are not written in one way.
    #[error("column {column:?} has numbers or dates that are not written in one way: {:?} and {:?}", .values[0], .values[1])]
    MixedNotations {
        /// Column name.
        column: String,
        /// Two of them as written.
        values: [String; 2],
    },
    /// Dates of which nobody knows whether the day or the month is first.
    #[error("column {column:?} has dates such as {value:?}: is the day first, or the month?")]
    AmbiguousDate {
        /// Column name.
        column: String,
        /// The first value.
        value: String,
    },
    /// A column without a single value.
    #[error("column {column:?} has no value at all")]
    AllMissing {
        /// Column name.
        column: String,
    },
    /// No feature column is left.
    #[error("no usable feature column is left: {reason}")]
    NoFeatures {
        /// Why the other columns are no features.
        reason: String,
    },
    /// A target with a single value.
    #[error("the target {column:?} is {value} in every row: there is nothing to learn")]
    ConstantTarget {
        /// Column name.
        column: String,
        /// Its only value.
        value: String,
    },
    /// A task that does not fit the target.
    #[error("the target {column:?} does not fit the task {task}: {reason}")]
    TaskMismatch {
        /// Column name.
        column: String,
        /// The task that was asked for.
        task: String,
        /// Why it does not fit.
        reason: String,
    },
    /// A column of which every value is a category that the model does not know.
    #[error("{name}, column {column:?}: none of its {rows} values is among the categories known from training")]
    AllUnseen {
        /// File or stream.
        name: String,
        /// Column name.
        column: String,
        /// Rows with a value.
        rows: usize,
    },
    /// A class label the model does not know.
    #[error("{name}{}, column {column:?}: the class {value:?} did not occur in training", at(.line))]
    UnknownClass {
        /// File or stream.
        name: String,
        /// Line or row.
        line: Place,
        /// Column name.
        column: String,
        /// The label.
        value: String,
    },
    /// A target so far from those of the training rows that, standardized as they are, it is not finite as a 32-bit float.
    #[error("{name}{}, column {column:?}: the target {value} lies too far from those of the training rows", at(.line))]
    FarTarget {
        /// File or stream.
        name: String,
        /// Line or row.
        line: Place,
        /// Column name.
        column: String,
        /// The target.
        value: f64,
    },
    /// A class with fewer rows than the data has parts, so that some part would be without it.
    #[error("the class {class:?} has {}", too_few(*.rows, *.held_out, *.needed))]
    ClassTooSmall {
        /// The label.
        class: String,
        /// Rows of the class in the table.
        rows: usize,
        /// Those of them that are test rows and in none of the parts.
        held_out: usize,
        /// Parts of which each needs a row.
        needed: usize,
    },
    /// Too few rows for all parts of a split.
    #[error("{rows} rows cannot be split: the {part} part would have {got}, it needs at least {needed}")]
    TooFewRows {
        /// Rows to split.
        rows: usize,
        /// Which part.
        part: &'static str,
        /// Rows it would get.
        got: usize,
        /// Rows it needs.
        needed: usize,
    },
    /// Fewer than two folds, or more folds than rows.
    #[error("{rows} rows cannot be divided into {folds} folds: there must be 2 or more, and no more than rows")]
    Folds {
        /// Rows to divide.
        rows: usize,
        /// Folds asked for.
        folds: usize,
    },
    /// A value of the split column that names no part.
    #[error("{name}{}, column {column:?}: {value:?} names no part of the data", at(.line))]
    SplitValue {
        /// File or stream.
        name: String,
        /// Line or row.
        line: Place,
        /// Column name.
        column: String,
        /// The value.
        value: String,
    },
    /// More text in a column than one table can hold.
    #[error("{name}: the table is too large to be held at once: {reason}")]
    TooLarge {
        /// File or stream.
        name: String,
        /// The reason.
        reason: String,
    },
    /// More encoded numbers than one table may have.
    #[error("{rows} rows of {width} encoded columns are more than the {limit} numbers that one table may have")]
    TooWide {
        /// Rows.
        rows: usize,
        /// Encoded columns.
        width: usize,
        /// The limit.
        limit: usize,
    },
}

/// The role that a column is needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A feature.
    Feature,
    /// A target.
    Target,
    /// The weight of each row.
    Weight,
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Feature => "feature",
            Self::Target => "target",
            Self::Weight => "weight",
        })
    }
}

/// The values of a column that do not fit it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offending {
    /// How many there are.
    pub count: usize,
    /// Where the second and third of them stand.
    pub further: Vec<Place>,
    /// The role that the column is needed for.
    pub role: Role,
}

/// The position of a value in its source: a line where the file has lines, else a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Physical line, 1-based; the header is line 1.
    Line(u64),
    /// Row of data, 1-based.
    Row(u64),
}

fn at(place: &Place) -> String {
    match place {
        Place::Line(line) => format!(":{line}"),
        Place::Row(row) => format!(", row {row}"),
    }
}

fn others(count: usize, further: &[Place]) -> String {
    if count < 2 {
        return String::new();
    }
    let unit = match further.first() {
        Some(Place::Row(_)) => "row",
        _ => "line",
    };
    let next = match further {
        [] => String::new(),
        [Place::Line(a) | Place::Row(a)] => format!(", the next in {unit} {a}"),
        [Place::Line(a) | Place::Row(a), Place::Line(b) | Place::Row(b), ..] => {
            format!(", the next in {unit}s {a} and {b}")
        }
    };
    format!(" ({count} such values in the column{next})")
}

fn too_few(rows: usize, held_out: usize, needed: usize) -> String {
    let has = if rows == 1 { "1 row only".to_owned() } else { format!("{rows} rows") };
    match (needed, held_out) {
        (..=2, _) => format!("{has}, a stratified split needs at least 2 of each class"),
        (_, 0) => format!("{has}, fewer than the {needed} folds"),
        (_, held_out) => format!("{has}, {held_out} of them for testing: the others are fewer than the {needed} folds"),
    }
}

fn plural(n: usize, noun: &str) -> String {
    if n == 1 { format!("a {noun}") } else { format!("{n} {noun}s") }
}

fn list(names: &[String]) -> String {
    const SHOWN: usize = 20;
    let mut text = names.iter().take(SHOWN).map(|n| format!("{n:?}")).collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN {
        text += &format!(" and {} more", names.len() - SHOWN);
    }
    text
}

impl DataError {
    /// The error for a file from which no table can be read.
    pub(crate) fn refuse(name: String, kind: FileKind) -> Self {
        match kind {
            FileKind::Empty => Self::Empty { name },
            other => Self::Foreign { name, looks_like: other.looks_like() },
        }
    }

    /// How to mend it, where there is a way.
    pub fn hint(&self) -> Option<Hint> {
        Some(match self {
            Self::Ragged { .. } => Hint::QuoteFields,
            Self::TitleLines { line, .. } => Hint::SkipRows(line - 1),
            Self::JsonLine { .. } => Hint::Advice("write an object in each line: jq -c . FILE"),
            Self::LateKey { .. } => Hint::Advice(
                "write the key in the first row too, as null if it has no value there, or give a file instead of a pipe",
            ),
            Self::NoSheet { nearest, .. } => return nearest.clone().map(Hint::DidYouMean),
            Self::Foreign { looks_like: JSON_ARRAY, .. } => {
                Hint::Advice("write an object in each line: jq -c '.[]' FILE")
            }
            Self::NotUtf8 { .. } => Hint::Advice("convert the file first: iconv -f latin1 -t utf-8 FILE"),
            Self::Foreign { looks_like: UTF_16, .. } => {
                Hint::Advice("convert the file first: iconv -f utf-16 -t utf-8 FILE")
            }
            Self::Foreign { .. } => Hint::ReadableFiles,
            Self::UnsupportedType { column, .. } | Self::AllMissing { column } => Hint::IgnoreColumn(column.clone()),
            Self::ReadOnce { .. } => Hint::DoNotStream,
            Self::Changed { .. } => Hint::Advice("begin again, with a file that nobody writes to"),
            Self::DuplicateColumn { column, .. } if column.parse::<f64>().is_ok() => Hint::NoHeader,
            Self::DuplicateColumn { .. } => Hint::Advice("give each column its own name"),
            Self::RowTooLong { .. } => Hint::Advice("look for a quote that does not close in this row"),
            Self::NoColumn { only: Some(_), .. } => Hint::SetDelimiter,
            // The numbers that name the columns of a file without a header.
            Self::MissingColumns { columns, nearest: None, .. }
                if columns.iter().all(|column| column.parse::<usize>().is_ok()) =>
            {
                Hint::NoHeader
            }
            Self::NoColumn { nearest, .. } | Self::MissingColumns { nearest, .. } => {
                return nearest.clone().map(Hint::DidYouMean);
            }
            Self::NotA { column, value, all, .. } => match all.role {
                Role::Feature => Hint::MissingOrCategorical { column: column.clone(), value: value.clone() },
                Role::Target => Hint::ChangeTask,
                Role::Weight => {
                    Hint::Advice("a row weight is a number of 0 or more: correct the value, or name another column")
                }
            },
            Self::NotFinite { .. } => Hint::Advice("remove or replace the value, or leave it empty to have it imputed"),
            Self::FarTarget { .. } => Hint::DoNotStandardize,
            Self::MissingValue { role: Role::Target, text: Some(text), .. } => Hint::KeepText(text.clone()),
            Self::MissingValue { role: Role::Target, text: None, .. } => {
                Hint::Advice("remove the rows without a target")
            }
            Self::MissingValue { role: Role::Weight | Role::Feature, .. } => {
                Hint::Advice("give each row a value, 0 for a row that does not count")
            }
            Self::AmbiguousDate { column, .. } => Hint::SetDateOrder(column.clone()),
            Self::AmbiguousNumber { column, .. } => Hint::SetSeparators(column.clone()),
            Self::MixedNotations { column, .. } => Hint::WriteOneWay(column.clone()),
            Self::AllUnseen { column, .. } => Hint::AllowUnseen(column.clone()),
            Self::ClassTooSmall { needed: ..=2, .. } => Hint::DoNotStratify,
            Self::ClassTooSmall { .. } => Hint::FewerFolds,
            Self::TooFewRows { .. } => Hint::Advice("give more rows or another fraction"),
            Self::SplitValue { .. } => Hint::Advice("use train, validation (or valid, val) and test"),
            Self::NoWeight { .. } => {
                Hint::Advice("give rows of the part a weight, or leave the part out: its rows are no rows as they are")
            }
            Self::TooWide { .. } => Hint::FewerCategories,
            Self::TaskMismatch { .. } => Hint::ChangeTask,
            Self::NotFound { .. }
            | Self::IsFolder { .. }
            | Self::Io { .. }
            | Self::Empty { .. }
            | Self::NoRows { .. }
            | Self::UnclosedQuote { .. }
            | Self::Damaged { .. }
            | Self::RoleClash { .. }
            | Self::NegativeWeight { .. }
            | Self::NoFeatures { .. }
            | Self::ConstantTarget { .. }
            | Self::UnknownClass { .. }
            | Self::Folds { .. }
            | Self::TooLarge { .. } => return None,
        })
    }
}
