//! Choices that were made for the user when the columns of a table were interpreted.

use std::fmt;

use crate::kind::ColumnKind;
use crate::notation::Notation;

/// A choice that was made for the user when a [`Schema`](crate::Schema) was inferred. [`Display`](fmt::Display) words it without
/// flags; a program can match it, and name those that change it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// A column was left out.
    LeftOut {
        /// The column.
        column: String,
        /// The reason, as in `Schema::dropped`.
        reason: String,
        /// The kinds of column of which one has to be declared to keep it; none for a column that says nothing.
        kept_as: &'static [ColumnKind],
    },
    /// Well-known marks among numbers or dates are taken as missing values.
    Marks {
        /// The column.
        column: String,
        /// Each mark with the number of its rows.
        marks: Vec<(String, usize)>,
    },
    /// Numbers or dates of a column are read in another way than programs write them.
    Read {
        /// The column.
        column: String,
        /// How they are written.
        notation: Notation,
        /// A text of the column, and how it is read.
        example: [String; 2],
    },
    /// Numbers that all have three digits after a point are read with a decimal point, although it could separate thousands.
    DecimalPoint {
        /// The column.
        column: String,
        /// One of them.
        example: String,
    },
    /// Numbers with zeros in front are taken as codes, that is, as categories.
    Codes {
        /// The column.
        column: String,
        /// One of them.
        example: String,
    },
    /// Codes with zeros in front that are nearly all different are taken as numbers.
    CodesAsNumbers {
        /// The column.
        column: String,
        /// One of them.
        example: String,
    },
    /// A column of which half the values or more are numbers is taken as categories, because many others are not.
    Mixed {
        /// The column.
        column: String,
        /// A value that is a number, and one that is not.
        examples: [String; 2],
    },
    /// A column counts the rows, and is a feature nevertheless.
    CountsRows {
        /// The column.
        column: String,
    },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LeftOut { column, reason, .. } => write!(f, "column {column:?} is left out: {reason}"),
            Self::Marks { column, marks } => {
                let marks: Vec<String> = marks.iter().map(|(mark, rows)| format!("{mark:?} in {rows} rows")).collect();
                write!(f, "column {column:?}: {} is taken as missing", marks.join(", "))
            }
            Self::Read { column, notation, example: [text, value] } => {
                write!(f, "column {column:?} is read as {notation}: {text:?} is {value}")
            }
            Self::DecimalPoint { column, example } => write!(
                f,
                "column {column:?}: {example:?} is read with a decimal point, although in every row three digits follow it, as they \
                 would a separator of thousands"
            ),
            Self::Codes { column, example } => {
                write!(f, "column {column:?} is taken as categories, because of zeros in front, as in {example:?}")
            }
            Self::CodesAsNumbers { column, example } => write!(
                f,
                "column {column:?} is taken as numbers in spite of zeros in front, as in {example:?}: nearly all of its values are \
                 different"
            ),
            Self::Mixed { column, examples: [number, other] } => {
                write!(
                    f,
                    "column {column:?} is taken as categories: half or more are numbers, such as {number:?}, but not {other:?}"
                )
            }
            Self::CountsRows { column } => write!(f, "column {column:?} counts the rows, in the order of the table"),
        }
    }
}
