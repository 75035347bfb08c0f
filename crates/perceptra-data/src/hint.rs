//! How errors can be mended.

use std::fmt;

use crate::file_kind::FileKind;
use crate::task::Task;

/// How to mend a `DataError`. [`Display`](fmt::Display) words it without flags; a program can match it, and name its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hint {
    /// Advice that needs no setting.
    Advice(&'static str),
    /// A name that is there, and much like one that is not.
    DidYouMean(String),
    /// Give a file of a kind that can be read.
    ReadableFiles,
    /// Quote fields with a separator in them, or set the separator.
    QuoteFields,
    /// Set the separator: with the present one the table has a single column.
    SetDelimiter,
    /// Skip so many lines in front of the header.
    SkipRows(u64),
    /// Read the file as one without a header.
    NoHeader,
    /// Leave out this column.
    IgnoreColumn(String),
    /// Write the input to a file, or read it at once instead of piece by piece.
    DoNotStream,
    /// Take a value as missing, or its column as categories, or leave the column out.
    MissingOrCategorical {
        /// The column.
        column: String,
        /// The value that does not fit.
        value: String,
    },
    /// Keep this text as a value, which is taken as missing, or remove the rows without a target.
    KeepText(String),
    /// Say whether the day or the month is first in the dates of this column.
    SetDateOrder(String),
    /// Say which character separates decimals or thousands in the numbers of this column.
    SetSeparators(String),
    /// Write the values of this column in one way, or take them as categories, or leave the column out.
    WriteOneWay(String),
    /// Correct a far target, or leave targets in their own unit.
    DoNotStandardize,
    /// Join a small class with another, do not stratify the split, or ask for a regression.
    DoNotStratify,
    /// Write the categories of this column as the training table does, allow unknown ones, or train without the column.
    AllowUnseen(String),
    /// Divide the rows into fewer folds, join a small class with another, or do not stratify the folds.
    FewerFolds,
    /// Ignore columns with many categories, or allow fewer categories a column.
    FewerCategories,
    /// Ask for another task.
    ChangeTask,
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Advice(text) => f.write_str(text),
            Self::DidYouMean(name) => write!(f, "did you mean {name:?}?"),
            Self::ReadableFiles => {
                let tables: Vec<&str> = FileKind::ALL.iter().filter_map(|kind| kind.table()).collect();
                write!(f, "files of these kinds are read: {}", tables.join(", "))
            },
            Self::QuoteFields => f.write_str(
                "each row needs as many fields as the header; a field with the separator in it needs quotes, or the file has \
                 another separator",
            ),
            Self::SetDelimiter => f.write_str("the table has one column only: set the separator"),
            Self::SkipRows(1) => f.write_str("skip the first line"),
            Self::SkipRows(lines) => write!(f, "skip the first {lines} lines"),
            Self::NoHeader => f.write_str("if the file has no header, read it as one without"),
            Self::IgnoreColumn(column) => write!(f, "ignore column {column:?}"),
            Self::DoNotStream => f.write_str("write it to a file first, or do not stream it"),
            Self::MissingOrCategorical { column, value } => write!(
                f,
                "take {value:?} as a missing value, or column {column:?} as categorical, or ignore the column"
            ),
            Self::KeepText(text) => {
                write!(f, "{text:?} is taken as missing: keep the text as a value, or remove the rows without a target")
            }
            Self::SetDateOrder(column) => write!(
                f,
                "set the order of dates to day-first or month-first, or ignore column {column:?}, or take it as categorical"
            ),
            Self::SetSeparators(column) => write!(
                f,
                "set the separator of decimals or of thousands, or ignore column {column:?}, or take it as categorical"
            ),
            Self::WriteOneWay(column) => write!(
                f,
                "write the values in one way, or ignore column {column:?}, or take it as categorical"
            ),
            Self::DoNotStandardize => f.write_str("correct or remove the value, or do not standardize the targets"),
            Self::DoNotStratify => f.write_str(
                "remove the row, join the class with another, or do not stratify the split; if the targets are numbers and no \
                 classes, the task is regression",
            ),
            Self::AllowUnseen(column) => write!(
                f,
                "write the categories as the training table does, allow unknown ones, or train without the column {column:?}"
            ),
            Self::FewerFolds => f.write_str(
                "divide the rows into fewer folds, join the class with another, or do not stratify the folds",
            ),
            Self::FewerCategories => f.write_str("ignore columns with many categories, or allow fewer categories a column"),
            Self::ChangeTask => {
                let tasks: Vec<&str> = Task::ALL.iter().map(|task| task.name()).collect();
                write!(f, "choose another task, or have it inferred: {}", tasks.join(", "))
            },
        }
    }
}
