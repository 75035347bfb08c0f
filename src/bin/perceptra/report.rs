//! Numbers as text.

use comfy_table::{CellAlignment, Table, presets};
use perceptra::Metrics;
use perceptra::model::MetricValues;

/// A table without frames: the first column text, the others numbers.
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

/// Metrics of one or several sets of rows, side by side, and the confusion matrix of the last.
pub(crate) fn metrics_table(parts: &[(&str, &Metrics)]) -> String {
    let Some((_, last)) = parts.last() else { return String::new() };
    let header: Vec<&str> = std::iter::once("").chain(parts.iter().map(|(name, _)| *name)).collect();
    let names: Vec<&str> = numbers(last).into_iter().map(|(name, _)| name).collect();
    let rows = names
        .iter()
        .enumerate()
        .map(|(i, name)| {
            let values = parts.iter().map(|(_, m)| numbers(m).get(i).map_or_else(String::new, |(_, v)| number(*v)));
            std::iter::once((*name).to_owned()).chain(values).collect()
        })
        .collect();
    let mut text = table(&header, rows);
    if let MetricValues::Classification { metrics, labels } = &last.values
        && labels.len() <= 12
    {
        let header: Vec<&str> = std::iter::once("true \\ said").chain(labels.iter().map(String::as_str)).collect();
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

fn numbers(metrics: &Metrics) -> Vec<(&'static str, f64)> {
    match &metrics.values {
        MetricValues::Regression(m) => vec![
            ("RMSE", m.rmse),
            ("MAE", m.mae),
            ("MSE", m.mse),
            ("R²", m.r2),
            ("explained variance", m.explained_variance),
        ],
        MetricValues::Classification { metrics: m, .. } => vec![
            ("accuracy", m.accuracy),
            ("balanced accuracy", m.balanced_accuracy),
            ("precision", m.precision),
            ("recall", m.recall),
            ("F1", m.f1),
            ("ROC AUC", m.roc_auc),
            ("log loss", m.log_loss),
            ("calibration error", m.calibration_error),
        ],
    }
}

/// A number in few digits: whole ones as they are, others with four decimals, very large and small ones with exponents.
pub(crate) fn number(x: f64) -> String {
    if x.is_nan() {
        "-".into()
    } else if x.fract() == 0.0 && x.abs() < 1e9 {
        format!("{x}")
    } else if x.abs() >= 1e9 || x.abs() < 1e-4 {
        format!("{x:.4e}")
    } else if x.abs() >= 1000.0 {
        format!("{x:.1}")
    } else {
        format!("{x:.4}")
    }
}

/// `1234567` as `1 234 567`.
pub(crate) fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        for (x, text) in [
            (3.0, "3"),
            (0.97123, "0.9712"),
            (572.123_45, "572.1235"),
            (5432.16, "5432.2"),
            (1.5e-7, "1.5000e-7"),
            (f64::NAN, "-"),
        ] {
            assert_eq!(number(x), text);
        }
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(1_234_567), "1 234 567");
    }
}
