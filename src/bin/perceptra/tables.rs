//! Tables as text.

use comfy_table::{CellAlignment, Table, presets};
use perceptra::Metrics;
use perceptra::model::MetricValues;
pub(crate) use perceptra::view::{number, thousands};
use perceptra::view::{positive_note, scores};

/// A table without borders; the first column is aligned to the left, the others to the right.
pub(crate) fn table(header: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(header).add_rows(rows);
    let columns: Vec<_> = table.column_iter_mut().collect();
    for (i, column) in columns.into_iter().enumerate() {
        column.set_padding((0, 3));
        if i > 0 {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// Metrics on one or several sets of rows, side by side, and the confusion matrix on the last.
pub(crate) fn metrics_table(parts: &[(&str, &Metrics)]) -> String {
    let Some((_, last)) = parts.last() else { return String::new() };
    let header: Vec<&str> = std::iter::once("").chain(parts.iter().map(|(name, _)| *name)).collect();
    let all: Vec<_> = parts.iter().map(|(_, metrics)| scores(metrics)).collect();
    // A table for each of several targets, under its name, and one for their means.
    let blocks = scores(last).into_iter().enumerate().map(|(b, (target, titles))| {
        let header: Vec<&str> = std::iter::once(target.as_str()).chain(header.iter().skip(1).copied()).collect();
        let rows = titles.iter().enumerate().map(|(i, (title, _))| {
            let value = |blocks: &Vec<(String, Vec<(&str, f64)>)>| blocks.get(b)?.1.get(i).map(|(_, v)| number(*v));
            let values = all.iter().map(|blocks| value(blocks).unwrap_or_default());
            std::iter::once((*title).to_owned()).chain(values).collect()
        });
        table(&header, rows.collect())
    });
    let mut text = blocks.collect::<Vec<_>>().join("\n");
    if let Some(note) = positive_note(last) {
        text += &format!("{note}\n");
    }
    if let MetricValues::Classification { metrics, labels } = &last.values
        && labels.len() <= 12
    {
        let header: Vec<&str> = std::iter::once("true \\ predicted").chain(labels.iter().map(String::as_str)).collect();
        let rows = labels
            .iter()
            .zip(&metrics.confusion)
            .map(|(label, row)| std::iter::once(label.clone()).chain(row.iter().map(|n| number(*n))).collect())
            .collect();
        text += "\n";
        text += &table(&header, rows);
    }
    text
}
