//! The report's section about the columns of the table.

use maud::{Markup, html};
use perceptra_data::{ColumnKind, Summary, Table, Values};
use perceptra_model::{Model, ModelError, Predictions};

use super::page::{LISTED, bars, brief};
use crate::error::ViewError;

pub(super) fn columns(model: &Model, table: &Table, predictions: &Predictions) -> Result<Markup, ViewError> {
    let schema = &model.about().schema;
    let targets = if schema.task.is_classification() { ColumnKind::Categorical } else { ColumnKind::Numeric };
    let columns: Vec<(&str, ColumnKind, &str)> = (schema.targets.iter().map(|t| (t.as_str(), targets, "target")))
        .chain(schema.features.iter().map(|f| (f.name.as_str(), f.kind, "feature")))
        .collect();
    let summaries =
        (columns.iter().take(LISTED).map(|(name, kind, _)| table.summary(name, *kind, &schema.notation(name))))
            .collect::<Result<Vec<Summary>, _>>()
            .map_err(ModelError::from)?;
    let what = |summary: &Summary| match &summary.values {
        Values::Numbers(None) => html! { "no values" },
        Values::Numbers(Some(n)) => {
            html! { (brief(n.least)) " – " (brief(n.most)) ", median " (brief(n.median)) ", mean " (brief(n.mean)) }
        }
        Values::Categories(all) => html! {
            @for (i, (name, rows)) in all.iter().take(4).enumerate() { @if i > 0 { ", " } (name) " " span class="quiet" { (rows) } }
            @if all.len() > 4 { ", …" }
        },
    };
    let shape = |summary: &Summary| match &summary.values {
        Values::Numbers(Some(n)) => bars(&n.histogram),
        Values::Numbers(None) => html! {},
        Values::Categories(all) => bars(&all.iter().take(20).map(|(_, n)| *n).collect::<Vec<_>>()),
    };
    Ok(html! {
        div class="wide" { table {
            thead { tr { th { "column" } th { "role" } th { "kind" } th class="number" { "missing" } th class="number" { "distinct" } th { "values" } th { "distribution" } } }
            tbody {
                @for ((name, kind, role), summary) in columns.iter().zip(&summaries) {
                    tr { th { (name) } td { (role) } td { (kind.name()) } td class="number" { (summary.missing) } td class="number" { (summary.distinct) }
                        td { (what(summary)) } td { (shape(summary)) } }
                }
            }
        } }
        @if columns.len() > LISTED { p { "and " (columns.len() - LISTED) " more columns" } }
        @for (column, reason) in &schema.dropped { p class="quiet" { code { (column) } " is ignored: " (reason) } }
        @for (column, n) in &predictions.report.unseen { p class="quiet" { code { (column) } ": " (n) " rows have categories that were not seen in training" } }
    })
}
