//! Notes on how a table was read.

use std::fmt;

/// A choice that was made, or something that was left out, when a table was read. [`Display`](fmt::Display) words it without flags; a
/// program can match it, and name the flag that changes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadNote {
    /// File or stream.
    pub name: String,
    /// The choice, or the part that was left out.
    pub kind: ReadNoteKind,
}

/// The kinds of [`ReadNote`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadNoteKind {
    /// Columns of a CSV file are taken to be separated by whitespace.
    Whitespace,
    /// Names in the header look like values: the file may have none.
    NumericHeader {
        /// The first such name.
        first: String,
    },
    /// Each row has one field more than the header: its first field is taken as the name of the row, and left out.
    RowNames,
    /// Each row has more fields than the header, all of them empty: they are left out.
    TrailingSeparators,
    /// Columns without a name, by the names that they were given.
    Unnamed {
        /// The given names.
        columns: Vec<String>,
    },
    /// Columns without a name and without a value are left out.
    EmptyColumns {
        /// How many there are.
        columns: usize,
    },
    /// Rows without any value are left out.
    EmptyRows {
        /// How many there are.
        rows: u64,
        /// The line of the first one.
        first: u64,
    },
    /// One of several sheets of a workbook was read.
    Sheet {
        /// The one that was read.
        read: String,
        /// The others.
        others: Vec<String>,
    },
}

impl fmt::Display for ReadNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.kind)
    }
}

impl fmt::Display for ReadNoteKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = |names: &[String]| names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ");
        match self {
            Self::Whitespace => f.write_str("the columns are taken to be separated by blanks"),
            Self::NumericHeader { first } => {
                write!(f, "the first line is read as the header, but {first:?} looks like a value of a row")
            }
            Self::RowNames => f.write_str(
                "each row has one field more than the header: the first one is taken as the name of the row and left out",
            ),
            Self::TrailingSeparators => {
                f.write_str("each row ends with a separator that the header lacks: the empty fields after it are left out")
            }
            Self::Unnamed { columns } if columns.len() == 1 => {
                write!(f, "a column without a name is called {}", quoted(columns))
            }
            Self::Unnamed { columns } => write!(f, "columns without a name are called {}", quoted(columns)),
            Self::EmptyColumns { columns: 1 } => f.write_str("a column without a name and without a value is left out"),
            Self::EmptyColumns { columns } => {
                write!(f, "{columns} columns without a name and without a value are left out")
            }
            Self::EmptyRows { rows: 1, first } => write!(f, "a row without any value is left out, line {first}"),
            Self::EmptyRows { rows, first } => {
                write!(f, "{rows} rows without any value are left out, the first one in line {first}")
            }
            Self::Sheet { read, others } => write!(f, "the sheet {read:?} is read, and not {}", quoted(others)),
        }
    }
}
