//! Notes on what an encoder made of the values of a table.

use perceptra::data::{ColumnKind, DataError, EncodeReport, Encoder, Schema};
use perceptra::{RunConfig, Tables};

use crate::tables::number;
use crate::{CliError, hints, note};

/// The most lines of one kind: a table may have thousands of columns.
const MOST: usize = 10;

/// Notes on the training rows, with the flags that change what was done.
pub(crate) fn training(report: &EncodeReport) {
    lines(&report.missing, |column, n| {
        let (values, are) = if *n == 1 { ("value", "is") } else { ("values", "are") };
        format!("note: column {column:?}: {n} missing {values} of the training rows {are} filled in")
    });
    lines(&report.grouped, |column, categories| {
        let rows = report.unseen.iter().find(|(c, _)| c == column).map_or(0, |(_, n)| *n);
        format!(
            "note: column {column:?}: {categories} of its categories, in {rows} training rows, share one input; --max-categories or a \
             lower --min-category-rows gives more of them an input each"
        )
    });
    lines(&report.clipped, |column, n| {
        format!(
            "note: column {column:?}: {n} values of the training rows beyond the ends of the scale are taken as these; --tails log or \
             another --scaling keeps them apart"
        )
    });
}

/// The error for a column of which every value is unknown to a model, unless `allowed`.
pub(crate) fn refuse_unseen(table: &str, report: &EncodeReport, rows: usize, allowed: bool) -> Result<(), CliError> {
    match report.all_unseen(rows).filter(|_| !allowed) {
        None => Ok(()),
        Some((column, rows)) => {
            Err(DataError::AllUnseen { name: table.to_owned(), column: column.to_owned(), rows }.into())
        }
    }
}

/// Notes on how the columns of a run are read, for commands that train several models on them.
pub(crate) fn columns(run: &RunConfig, tables: &Tables) -> Result<(), CliError> {
    let schema = Schema::infer(&tables.table, &run.data.schema)?;
    schema.notes.iter().for_each(|choice| note(&hints::note(choice)));
    Ok(())
}

/// A note on columns that a model does not know.
pub(crate) fn unknown(schema: &Schema, columns: &[String]) {
    let unknown = schema.unknown(columns);
    if !unknown.is_empty() {
        note(&format!("note: columns that the model does not know are ignored: {}", unknown.join(", ")));
    }
}

/// Notes on rows that a trained model is used for.
pub(crate) fn using(report: &EncodeReport, rows: usize, encoder: &Encoder) {
    lines(&report.missing, |column, n| {
        let values = if *n == 1 { "value was" } else { "values were" };
        format!("note: column {column:?}: {n} missing {values} filled in")
    });
    let most = |column: &String, n: usize| {
        let missing = report.missing.iter().find(|(name, _)| name == column).map_or(0, |(_, n)| *n);
        if 2 * n > rows - missing.min(rows) { "warning" } else { "note" }
    };
    lines(&report.unseen, |column, n| match report.grouped.iter().find(|(c, _)| c == column) {
        None => format!(
            "{}: column {column:?}: {n} values are not among the categories known from training",
            most(column, *n)
        ),
        Some((_, grouped)) => format!(
            "note: column {column:?}: {n} values are of the {grouped} categories that share one input since training, or of unknown ones"
        ),
    });
    let outside = |column: &String| report.outside.iter().any(|(c, _)| c == column);
    let clipped: Vec<_> = report.clipped.iter().filter(|(column, _)| !outside(column)).cloned().collect();
    lines(&clipped, |column, n| {
        let tails = encoder.tails(column).map_or_else(String::new, |tails| format!(": values are {tails}"));
        format!("note: column {column:?}: {n} values beyond the ends of the scale are taken as these{tails}")
    });
    lines(&report.outside, |column, n| {
        let kind = encoder.features().find(|(name, ..)| name == column).map(|(_, kind, _)| kind);
        let range = match (encoder.range(column), kind) {
            (Some([min, max]), Some(ColumnKind::Numeric)) => format!(" ({} to {})", number(min), number(max)),
            _ => String::new(),
        };
        let values = if *n == 1 { "1 value lies".to_owned() } else { format!("{n} values lie") };
        format!(
            "warning: column {column:?}: {values} far outside of the range of the training rows{range}; the network has not learned what \
             is there"
        )
    });
}

/// A line for each column; the number of those that are left out, if there are many.
fn lines(counts: &[(String, usize)], line: impl Fn(&String, &usize) -> String) {
    counts.iter().take(MOST).for_each(|(column, n)| note(&line(column, n)));
    if counts.len() > MOST {
        note(&format!("note: it is so in {} more columns", counts.len() - MOST));
    }
}
