//! What can go wrong with a picture.

use std::path::PathBuf;

/// A chart that cannot be drawn, or a picture that cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ViewError {
    /// A chart without a finite point, and without ranges that say what it shows.
    #[error("the chart {title:?} has nothing to show: no finite point")]
    Empty {
        /// The chart's title.
        title: String,
    },
    /// A range that is no range on its axis.
    #[error("the range {low} to {high} of the chart {title:?} cannot be drawn")]
    Range {
        /// The chart's title.
        title: String,
        /// Its lower end.
        low: f64,
        /// Its upper end.
        high: f64,
    },
    /// A field whose values are not as many as its columns times its rows, or of fewer than two columns or rows.
    #[error("a field of {columns} by {rows} needs as many values, 2 by 2 or more; it has {values}")]
    Field {
        /// Values along x.
        columns: usize,
        /// Values along y.
        rows: usize,
        /// Values given.
        values: usize,
    },
    /// The model and the table of a report do not go together.
    #[error(transparent)]
    Model(#[from] perceptra_model::ModelError),
    /// The drawing library failed.
    #[error("the chart cannot be drawn: {0}")]
    Draw(String),
    /// A file name that says neither SVG nor PNG.
    #[error("{}: pictures are .svg or .png", path.display())]
    Format {
        /// The file.
        path: PathBuf,
    },
    /// The file could not be written.
    #[error("{}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}
