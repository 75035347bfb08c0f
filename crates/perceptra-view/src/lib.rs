//! Charts of what networks do: curves, points, decision regions and loss surfaces, as SVG and PNG; reports on models, as HTML.
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
//! A [`report`] has them all for one model and one table. A [`Chart`] is a list of layers, drawn in order; [`picture`] sets one or several side by side. The same charts give the
//! same bytes. Colours are told apart by colour-blind eyes (Okabe and Ito, 2008; cividis: Nuñez, Anderton, Renslow, 2018), and
//! lines and points differ in dashes and shapes as well. The text of a PNG is set in DejaVu Sans, which is part of the crate.

mod chart;
mod diagnostics;
mod diagram;
mod draw;
mod error;
mod field;
mod report;
mod text;

pub use chart::{Chart, Colours};
pub use draw::{Picture, picture};
pub use error::ViewError;
pub use field::Field;
pub use report::{ReportOptions, report};
pub use text::{number, thousands};
