//! Notes that several commands print.

use perceptra::data::{EncodeReport, Schema};

use crate::note;

/// What a model made of the columns of a table, and of values that it does not know.
pub(crate) fn of_table(schema: &Schema, columns: &[String], report: &EncodeReport) {
    let unknown = schema.unknown(columns);
    if !unknown.is_empty() {
        note(&format!("note: columns that the model does not know are ignored: {}", unknown.join(", ")));
    }
    for (column, n) in &report.missing {
        note(&format!("note: column {column:?}: {n} missing values were filled in"));
    }
    for (column, n) in &report.unseen {
        note(&format!("note: column {column:?}: {n} values are not among the categories known from training"));
    }
}
