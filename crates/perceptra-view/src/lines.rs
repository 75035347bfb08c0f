//! Polylines, clipped to the axes and cut into dashes.

use crate::style::{Point, UNITS};

/// Lengths of dashes and of the gaps between them, in pixels.
pub(crate) const DASHES: Point = (7, 4);
pub(crate) const DOTS: Point = (2, 4);

/// The dash pattern of a line; `None` for a solid line.
pub(crate) fn dash(dashed: bool) -> Option<Point> {
    dashed.then_some(DASHES)
}

/// Whether a value lies in a range, ends included.
pub(crate) fn within(v: f64, (low, high): (f64, f64)) -> bool {
    (low..=high).contains(&v)
}

/// The parts of a polyline inside the rectangle `x` by `y`, by the algorithm of Liang and Barsky.
pub(crate) fn clip(points: &[(f64, f64)], x: (f64, f64), y: (f64, f64)) -> Vec<Vec<(f64, f64)>> {
    let mut pieces: Vec<Vec<(f64, f64)>> = Vec::new();
    for ends in points.windows(2) {
        let (a, b) = (ends[0], ends[1]);
        let (mut from, mut to) = (0.0, 1.0);
        for (start, step, (low, high)) in [(a.0, b.0 - a.0, x), (a.1, b.1 - a.1, y)] {
            let (mut enter, mut leave) = ((low - start) / step, (high - start) / step);
            if step == 0.0 {
                (enter, leave) = if within(start, (low, high)) { (0.0, 1.0) } else { (1.0, 0.0) };
            } else if step < 0.0 {
                (enter, leave) = (leave, enter);
            }
            (from, to) = (f64::max(from, enter), f64::min(to, leave));
        }
        if from > to || from.is_nan() || to.is_nan() {
            continue;
        }
        let at = |t: f64| (a.0 + (b.0 - a.0) * t, a.1 + (b.1 - a.1) * t);
        match pieces.last_mut() {
            Some(piece) if from == 0.0 && piece.last() == Some(&a) => piece.push(at(to)),
            _ => pieces.push(vec![at(from), if to == 1.0 { b } else { at(to) }]),
        }
    }
    pieces
}

/// A polyline, in drawing units, cut into dashes; the whole line without a dash pattern.
pub(crate) fn dashes(line: &[Point], dash: Option<Point>) -> Vec<Vec<Point>> {
    let Some((part, gap)) = dash else { return vec![line.to_vec()] };
    let (part, gap) = (f64::from(part * UNITS), f64::from(gap * UNITS));
    let (mut parts, mut drawing, mut left) = (vec![vec![line[0]]], true, part);
    for ends in line.windows(2) {
        let (dx, dy) = (f64::from(ends[1].0 - ends[0].0), f64::from(ends[1].1 - ends[0].1));
        let (length, mut done) = (dx.hypot(dy), 0.0);
        while length - done > left {
            done += left;
            let at = (ends[0].0 + (dx * done / length).round() as i32, ends[0].1 + (dy * done / length).round() as i32);
            match drawing {
                true => parts.last_mut().into_iter().for_each(|part| part.push(at)),
                false => parts.push(vec![at]),
            }
            drawing = !drawing;
            left = if drawing { part } else { gap };
        }
        left -= length - done;
        if drawing {
            parts.last_mut().into_iter().for_each(|part| part.push(ends[1]));
        }
    }
    parts.retain(|part| part.len() > 1);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_clipped_where_they_leave() {
        let unit = (0.0, 1.0);
        let zigzag = [(-1.0, 0.5), (0.5, 0.5), (0.5, 2.0), (0.75, 0.5), (2.0, 0.5)];
        let pieces = clip(&zigzag, unit, unit);
        assert_eq!(pieces.len(), 2);
        assert_eq!(pieces[0], [(0.0, 0.5), (0.5, 0.5), (0.5, 1.0)]);
        assert_eq!(pieces[1].last(), Some(&(1.0, 0.5)));
        assert!(clip(&[(2.0, 2.0), (3.0, 3.0)], unit, unit).is_empty());
    }

    #[test]
    fn dashes_add_up() {
        let parts = dashes(&[(0, 0), (22 * UNITS, 0), (22 * UNITS, 22 * UNITS)], Some(DASHES));
        assert_eq!(parts.len(), 4);
        assert_eq!(parts[0], [(0, 0), (7 * UNITS, 0)]);
        assert_eq!(parts[2], [(22 * UNITS, 0), (22 * UNITS, 7 * UNITS)]);
    }
}
