//! Charts of networks (curves, points, decision regions, loss surfaces) as SVG and PNG, and reports on models as HTML.
//!
//! ```
//! use perceptra_view::{Chart, picture};
//!
//! let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
//! let chart = Chart::new("The sigmoid", "Σ wᵢxᵢ + b", "y")
//!     .line("sigmoid", (-40..=40).map(|i| 0.1 * f64::from(i)).map(|x| (x, sigmoid(x))))
//!     .vertical("threshold", 0.0);
//! let picture = picture(&[chart], 1, (800, 500))?;
//! assert!(picture.svg().starts_with("<svg"));
//! assert_eq!(picture.png()?[1..4], *b"PNG");
//! # Ok::<(), perceptra_view::ViewError>(())
//! ```
//!
//! A [`Chart`] is a list of layers, drawn in order; [`picture`] draws one or several charts side by side. A [`report`] is an HTML page
//! about a model, evaluated on a table. The same input gives the same bytes. Colors can be told apart by color-blind readers (Okabe and
//! Ito, 2008; cividis: Nuñez, Anderton, Renslow, 2018), and points also differ in shape. The text of a PNG is set in DejaVu Sans, which is
//! part of the crate.

mod axis;
mod chart;
mod colors;
mod diagnostics;
mod diagram;
mod draw;
mod error;
mod field;
mod lines;
mod picture;
mod report;
mod scores;
mod style;
mod text;

pub use self::{
    chart::{Axis, Chart, Colors},
    error::ViewError,
    field::Field,
    picture::{Picture, picture},
    report::{ReportOptions, report},
    scores::{positive_note, scores},
    text::{number, thousands},
};
