//! Kinds of columns.

use crate::variants::named_variants;

/// The kind of values in a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnKind {
    /// Numbers.
    Numeric,
    /// Categories without an order.
    Categorical,
    /// `true` or `false`.
    Boolean,
    /// Dates, with or without a time of day, read as days since 1970-01-01.
    Date,
}

named_variants!(ColumnKind {
    Numeric = "numeric",
    Categorical = "categorical",
    Boolean = "boolean",
    Date = "date",
});

impl ColumnKind {
    /// A word for one of the values.
    pub(crate) fn value_name(self) -> &'static str {
        match self {
            Self::Numeric => "number",
            Self::Categorical => "text",
            Self::Boolean => "truth value",
            Self::Date => "date",
        }
    }
}
