//! Fields, which are values on a rectangular grid, and their contour lines.

use std::collections::BTreeMap;

use crate::error::ViewError;

/// Values at the points of a rectangular grid, `[rows, columns]`, starting at the bottom left.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    pub(crate) x: (f64, f64),
    pub(crate) y: (f64, f64),
    pub(crate) columns: usize,
    pub(crate) rows: usize,
    pub(crate) values: Vec<f64>,
    /// Whether the points of the grid are spaced evenly on a logarithmic x axis and y axis.
    pub log: (bool, bool),
}

impl Field {
    /// Creates a field over the rectangle `x.0..=x.1` by `y.0..=y.1`, with its values row by row, starting at the bottom left.
    ///
    /// # Errors
    ///
    /// [`ViewError::Field`] if there are not `columns`·`rows` values, or fewer than two columns or rows.
    pub fn new(x: (f64, f64), y: (f64, f64), columns: usize, values: Vec<f64>) -> Result<Self, ViewError> {
        let rows = values.len() / columns.max(1);
        if columns < 2 || rows < 2 || rows * columns != values.len() {
            return Err(ViewError::Field { columns, rows, values: values.len() });
        }
        Ok(Self { x, y, columns, rows, values, log: (false, false) })
    }

    /// The points of an `n` by `n` grid as pairs (x, y), one after another, in the order of the values of a field.
    pub fn points(x: (f64, f64), y: (f64, f64), n: usize) -> Vec<f32> {
        let at = |(low, high): (f64, f64), i: usize| (low + (high - low) * i as f64 / (n.max(2) - 1) as f64) as f32;
        (0..n).flat_map(|row| (0..n).flat_map(move |column| [at(x, column), at(y, row)])).collect()
    }

    /// The coordinates (x, y) at a position of the grid, which need not be a whole number.
    pub(crate) fn place(&self, column: f64, row: f64) -> (f64, f64) {
        let at = |(low, high): (f64, f64), i: f64, n: usize, log: bool| match i / (n - 1) as f64 {
            t if log => low * (high / low).powf(t),
            t => low + (high - low) * t,
        };
        (at(self.x, column, self.columns, self.log.0), at(self.y, row, self.rows, self.log.1))
    }

    fn value(&self, column: usize, row: usize) -> f64 {
        self.values[row * self.columns + column]
    }

    /// The contour lines at `level`, by marching squares (Lorensen, Cline, 1987).
    pub(crate) fn contour(&self, level: f64) -> Vec<Vec<(f64, f64)>> {
        // An edge of the grid: the column and row of its start, and whether it goes up instead of right.
        type Edge = (usize, usize, bool);
        let above = |c: usize, r: usize| self.value(c, r) > level;
        let mut next: BTreeMap<Edge, Vec<Edge>> = BTreeMap::new();
        let mut join = |a: Edge, b: Edge| {
            next.entry(a).or_default().push(b);
            next.entry(b).or_default().push(a);
        };
        for r in 0..self.rows - 1 {
            for c in 0..self.columns - 1 {
                let corners = [(c, r), (c + 1, r), (c + 1, r + 1), (c, r + 1)];
                if corners.iter().any(|&(c, r)| !self.value(c, r).is_finite()) {
                    continue;
                }
                let sides = [(c, r, false), (c + 1, r, true), (c, r + 1, false), (c, r, true)];
                let corners = corners.map(|(c, r)| above(c, r));
                let crossed: Vec<Edge> =
                    (0..4).filter(|&i| corners[i] != corners[(i + 1) % 4]).map(|i| sides[i]).collect();
                match crossed.as_slice() {
                    [a, b] => join(*a, *b),
                    // A saddle: the value in the middle decides which two corners are connected.
                    &[bottom, right, top, left] => {
                        let middle = (0..4).map(|i| self.value(c + i % 2, r + i / 2)).sum::<f64>() / 4.0;
                        if (middle > level) == corners[0] {
                            join(bottom, right);
                            join(top, left);
                        } else {
                            join(bottom, left);
                            join(top, right);
                        }
                    }
                    _ => {}
                }
            }
        }
        let place = |(c, r, up): Edge| {
            let (a, b) = (self.value(c, r), self.value(c + usize::from(!up), r + usize::from(up)));
            let t = (level - a) / (b - a);
            self.place(c as f64 + if up { 0.0 } else { t }, r as f64 + if up { t } else { 0.0 })
        };
        let mut lines = Vec::new();
        // Open lines first, each from one of its ends, then closed ones.
        let ends: Vec<Edge> = next.iter().filter(|(_, to)| to.len() == 1).map(|(&edge, _)| edge).collect();
        let starts: Vec<Edge> = ends.into_iter().chain(next.keys().copied()).collect();
        for start in starts {
            let mut line = vec![place(start)];
            let mut at = start;
            while let Some(to) = next.get_mut(&at).and_then(Vec::pop) {
                if let Some(back) = next.get_mut(&to) {
                    back.iter().position(|&e| e == at).map(|i| back.remove(i));
                }
                line.push(place(to));
                at = to;
            }
            if line.len() > 1 {
                lines.push(line);
            }
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(n: usize, f: impl Fn(f64, f64) -> f64) -> Field {
        let range = (-1.0, 1.0);
        let points = Field::points(range, range, n);
        let values = points.chunks(2).map(|p| f(f64::from(p[0]), f64::from(p[1]))).collect();
        Field::new(range, range, n, values).unwrap()
    }

    #[test]
    fn the_contour_of_a_cone_is_a_ring() {
        let lines = field(41, f64::hypot).contour(0.5);
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0].first(), lines[0].last());
        assert!(lines[0].iter().all(|(x, y)| (x.hypot(*y) - 0.5).abs() < 1e-3));
        assert!(lines[0].len() > 60);
    }

    #[test]
    fn the_contour_of_a_plane_is_one_line() {
        let lines = field(11, |x, y| x + 0.5 * y).contour(0.05);
        assert_eq!(lines.len(), 1);
        assert!(lines[0].iter().all(|(x, y)| (x + 0.5 * y - 0.05).abs() < 1e-6));
        assert!(field(11, |x, _| x).contour(2.0).is_empty());
    }

    #[test]
    fn a_saddle_makes_two_lines_that_do_not_cross() {
        let lines = field(2, |x, y| x * y + 0.1).contour(0.0);
        assert_eq!(lines.len(), 2);
        assert!(lines.iter().all(|line| line.len() == 2 && line.iter().all(|(x, y)| x.abs() == 1.0 || y.abs() == 1.0)));
    }

    #[test]
    fn wrong_numbers_of_values_are_errors() {
        for (columns, values) in [(2, 3), (1, 4), (4, 4), (0, 0)] {
            let error = Field::new((0.0, 1.0), (0.0, 1.0), columns, vec![0.0; values]).unwrap_err();
            assert!(matches!(error, ViewError::Field { .. }), "{error}");
        }
    }
}
