//! Font, units and text styles of all drawings.

use plotters::coord::Shift;
use plotters::prelude::*;

use crate::error::ViewError;

pub(crate) const FONT: &[u8] = include_bytes!("../fonts/DejaVuSans.ttf");
/// Font family of texts: an SVG uses a font of the reader's machine, a PNG uses [`FONT`].
pub(crate) const FAMILY: &str = "sans-serif";

/// Drawing units per pixel. Plotters rounds every coordinate to whole units, which would be visible in curves.
pub(crate) const UNITS: i32 = 4;

pub(crate) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
/// Coordinates in drawing units.
pub(crate) type Point = (i32, i32);

/// Style of text with a font size in pixels.
pub(crate) fn text(size: i32) -> TextStyle<'static> {
    (FAMILY, size * UNITS).into_text_style(&(10, 10)).color(&RGBColor(0x22, 0x22, 0x22))
}

/// Converts an error of the drawing library.
pub(crate) fn failed(error: impl std::fmt::Display) -> ViewError {
    ViewError::Draw(error.to_string())
}
