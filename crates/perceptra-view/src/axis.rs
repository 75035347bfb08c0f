//! The axes of a chart: their ranges and labels.

use crate::chart::{Axis, Chart, Layer};
use crate::error::ViewError;

impl Chart {
    /// The lower and upper end of axis 0 (x) or 1 (y): those that were set, else the range of the layers with a margin. On a logarithmic
    /// axis, they are base-10 logarithms.
    pub(crate) fn range(&self, axis: usize) -> Result<(f64, f64), ViewError> {
        let Axis { range, log, names, .. } = if axis == 0 { &self.x } else { &self.y };
        let scale = |v: f64| if *log { v.log10() } else { v };
        let set = range.or_else(|| (!names.is_empty()).then(|| (-0.5, names.len() as f64 - 0.5)));
        if let Some((low, high)) = set {
            let (a, b) = (scale(low), scale(high));
            return match a.is_finite() && b.is_finite() && a < b {
                true => Ok((a, b)),
                false => Err(ViewError::Range { title: self.title.clone(), low, high }),
            };
        }
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        let mut reach = |v: f64| {
            let v = scale(v);
            if v.is_finite() {
                (low, high) = (low.min(v), high.max(v));
            }
        };
        let mut filled = false;
        for layer in &self.layers {
            match layer {
                Layer::Line { points, .. } | Layer::Points { points, .. } | Layer::Shaded { points, .. } => {
                    points.iter().for_each(|&(x, y)| reach(if axis == 0 { x } else { y }));
                }
                Layer::Vertical { x, .. } => {
                    if axis == 0 {
                        reach(*x);
                    }
                }
                Layer::Field { field, .. } | Layer::Contour { field, .. } => {
                    let (a, b) = if axis == 0 { field.x } else { field.y };
                    filled = true;
                    reach(a);
                    reach(b);
                }
            }
        }
        if low > high {
            return Err(ViewError::Empty { title: self.title.clone() });
        }
        let margin = match (filled, high - low) {
            (true, _) => 0.0,
            (_, 0.0) => 0.5 * high.abs().max(1.0),
            (_, width) => 0.04 * width,
        };
        Ok((low - margin, high + margin))
    }

    /// Whether the background is colored by a field.
    pub(crate) fn has_field(&self) -> bool {
        self.layers.iter().any(|layer| layer.field_colors().is_some())
    }

    /// A point in the coordinates of the axes: base-10 logarithms on a logarithmic axis.
    pub(crate) fn scaled(&self, (x, y): (f64, f64)) -> (f64, f64) {
        (if self.x.log { x.log10() } else { x }, if self.y.log { y.log10() } else { y })
    }
}

/// The name at position `v` of a categorical axis; empty between positions and beyond the last name.
pub(crate) fn name(names: &[String], v: f64) -> String {
    let place = v.round();
    let named = ((v - place).abs() < 1e-6 && place >= 0.0).then(|| names.get(place as usize));
    named.flatten().cloned().unwrap_or_default()
}

/// The label of value `v` on an axis that spans `length`, with as few digits as distinguish it from neighboring labels.
pub(crate) fn short(v: f64, length: f64) -> String {
    let v = if v.abs() < length * 1e-9 { 0.0 } else { v };
    if v != 0.0 && (v.abs() >= 1e5 || v.abs() < 1e-3) {
        return format!("{v:.0e}").replace('-', "−");
    }
    let digits = (1.0 - length.abs().log10()).ceil().clamp(0.0, 6.0) as usize;
    let digits = if v.abs() < 0.1 { digits.max(3) } else { digits };
    let text = format!("{v:.digits$}");
    let text = match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => &text,
    };
    text.replace('-', "−")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_on_axes_are_short() {
        for (v, length, text) in [
            (0.5, 1.0, "0.5"),
            (20.0, 100.0, "20"),
            (-1.5, 4.0, "−1.5"),
            (1e-17, 1.0, "0"),
            (250_000.0, 1e6, "2e5"),
            (1e-4, 1e-3, "1e−4"),
            (0.01, 1.0, "0.01"),
        ] {
            assert_eq!(short(v, length), text, "{v}");
        }
    }
}
