//! Errors of charts, pictures and reports.

use std::path::PathBuf;

/// A chart that cannot be drawn, or a picture that cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ViewError {
    /// A chart without any finite point.
    #[error("the chart {title:?} has no finite point to show")]
    Empty {
        /// The chart's title.
        title: String,
    },
    /// An axis whose ends are not finite or not in order (above 0, on a logarithmic axis).
    #[error("the chart {title:?} cannot show the range {low} to {high}")]
    Range {
        /// The chart's title.
        title: String,
        /// Lower end of the range.
        low: f64,
        /// Upper end of the range.
        high: f64,
    },
    /// A field without `columns`·`rows` values, or with fewer than two columns or rows.
    #[error("a field needs 2 by 2 values or more in full rows; it has {values} values in {columns} columns")]
    Field {
        /// Number of values along x.
        columns: usize,
        /// Number of values along y.
        rows: usize,
        /// Number of values that were given.
        values: usize,
    },
    /// The table of a report does not fit the model.
    #[error(transparent)]
    Model(#[from] perceptra_model::ModelError),
    /// The drawing library failed.
    #[error("the chart cannot be drawn: {0}")]
    Draw(String),
    /// The file could not be written.
    #[error("{}: {source}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// Error of the operating system.
        source: std::io::Error,
    },
}
