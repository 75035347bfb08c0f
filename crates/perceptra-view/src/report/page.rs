//! Parts that several sections of a report use.

use maud::{Markup, PreEscaped, html};
use perceptra_data::{Matrix, Table};

use crate::chart::Chart;
use crate::diagnostics::thinned;
use crate::error::ViewError;
use crate::picture::picture;
use crate::text::number;

/// Maximum number of points of a scatter plot or a curve.
pub(super) const POINTS: usize = 1500;
/// Maximum number of rows of a table in the report.
pub(super) const LISTED: usize = 60;
/// Maximum number of classes or targets drawn in a chart.
pub(super) const CLASSES: usize = 7;
/// Width and height of a chart in pixels.
const SIZE: (u32, u32) = (560, 380);

/// At most `most` rows, evenly spaced over the whole table.
pub(super) fn evenly(table: &Table, most: usize) -> Table {
    match table.rows() > most {
        true => table.take(&thinned(&(0..table.rows() as u32).collect::<Vec<_>>(), most)),
        false => table.clone(),
    }
}

/// Draws charts side by side.
pub(super) fn charts(charts: Vec<Chart>) -> Result<Markup, ViewError> {
    let draw = |chart: Chart| {
        let what = format!("{}: {} over {}", chart.title, chart.y.label, chart.x.label);
        let svg = picture(&[chart], 1, SIZE)?;
        Ok(html! { figure class="chart" role="img" aria-label=(what) { (PreEscaped(svg.svg())) } })
    };
    let drawn = charts.into_iter().map(draw).collect::<Result<Vec<_>, ViewError>>()?;
    Ok(html! { div class="charts" { @for chart in drawn { (chart) } } })
}

/// A number without trailing zeros.
pub(super) fn brief(x: f64) -> String {
    match number(x) {
        text if text.contains('.') && !text.contains('e') => {
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        text => text,
    }
}

/// A small histogram for a cell of a table.
pub(super) fn bars(counts: &[usize]) -> Markup {
    let most = counts.iter().copied().max().unwrap_or(1).max(1) as f64;
    let width = 120.0 / counts.len().max(1) as f64;
    let bar = |(i, n): (usize, &usize)| {
        let height = (26.0 * *n as f64 / most).max(if *n > 0 { 1.0 } else { 0.0 });
        format!(
            "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height:.1}\"/>",
            i as f64 * width,
            28.0 - height,
            (width - 1.0).max(0.8)
        )
    };
    let bars: String = counts.iter().enumerate().map(bar).collect();
    html! { (PreEscaped(format!("<svg class=\"bars\" viewBox=\"0 0 120 28\" width=\"120\" height=\"28\" aria-hidden=\"true\">{bars}</svg>"))) }
}

/// Column `j` of a matrix.
pub(super) fn column(matrix: &Matrix<f64>, j: usize) -> Vec<f64> {
    matrix.values.iter().skip(j).step_by(matrix.columns).copied().collect()
}
