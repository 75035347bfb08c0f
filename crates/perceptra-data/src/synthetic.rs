//! Points in the plane with classes, to try classifiers on.

use perceptra_random::{Purpose, Stream};

use crate::matrix::Matrix;

/// Points in the plane, in two or more classes: row `i` is of class `i` modulo their number.
#[derive(Debug, Clone, PartialEq)]
pub struct Points {
    /// `[rows, 2]`
    pub inputs: Matrix,
    /// The class of each row, from 0.
    pub classes: Vec<u32>,
}

/// Where points of each class lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pattern {
    /// Two half circles of radius 1, one hooked into the other.
    Moons,
    /// A circle of radius 0.5 within one of radius 1.
    Circles,
    /// Two arms that wind one and a half times around the origin (after Lang and Witbrock, 1988), out to radius 1.
    Spirals,
    /// Clouds around the corners of a square with sides of 2, in the classes of XOR.
    Xor,
    /// A cloud for each of so many classes, with their centers evenly on a circle of radius 1.
    Blobs(u32),
}

impl Points {
    /// Draws `rows` points of a pattern, with normal noise of standard deviation `noise` added to both coordinates.
    pub fn draw(pattern: Pattern, rows: usize, noise: f32, seed: u64) -> Self {
        use std::f32::consts::{PI, TAU};
        match pattern {
            Pattern::Moons => Self::place(rows, 2, noise, seed, |class, u| {
                let angle = PI * u;
                match class {
                    0 => [angle.cos(), angle.sin()],
                    _ => [1.0 - angle.cos(), 0.5 - angle.sin()],
                }
            }),
            Pattern::Circles => Self::place(rows, 2, noise, seed, |class, u| {
                let (angle, radius) = (TAU * u, if class == 0 { 1.0 } else { 0.5 });
                [radius * angle.cos(), radius * angle.sin()]
            }),
            Pattern::Spirals => Self::place(rows, 2, noise, seed, |class, u| {
                // By the square root, rows lie as densely outside as inside.
                let radius = 0.1 + 0.9 * u.sqrt();
                let angle = PI * (3.0 * radius + class as f32);
                [radius * angle.cos(), radius * angle.sin()]
            }),
            Pattern::Xor => Self::place(rows, 2, noise, seed, |class, u| {
                let side = if u < 0.5 { 1.0 } else { -1.0 };
                [side, if class == 0 { side } else { -side }]
            }),
            Pattern::Blobs(classes) => Self::place(rows, classes.max(1), noise, seed, |class, _| {
                let angle = TAU * class as f32 / classes as f32;
                [angle.cos(), angle.sin()]
            }),
        }
    }

    /// `place` maps a class and a number that is uniform in [0, 1) to a point without noise.
    fn place(rows: usize, classes: u32, noise: f32, seed: u64, place: impl Fn(u32, f32) -> [f32; 2]) -> Self {
        let (along, around) = (Stream::new(seed, Purpose::Data, 0), Stream::new(seed, Purpose::Data, 1));
        let mut values = Vec::with_capacity(2 * rows);
        let classes: Vec<u32> = (0..rows).map(|row| row as u32 % classes).collect();
        for (row, &class) in (0..).zip(&classes) {
            let (mut u, mut deviation) = ([0.0], [0.0; 2]);
            along.fill_uniform(row, &mut u);
            around.fill_normal(row, &mut deviation);
            let [x, y] = place(class, u[0]);
            values.extend([x + noise * deviation[0], y + noise * deviation[1]]);
        }
        Self { inputs: Matrix { rows, columns: 2, values }, classes }
    }

    /// The classes as numbers, 0 for class 0 and 1 for the others: targets of one output.
    pub fn targets(&self) -> Vec<f32> {
        self.classes.iter().map(|&c| f32::from(c > 0)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(points: &Points) -> impl Iterator<Item = (f32, f32, u32)> + '_ {
        points.inputs.values.chunks(2).zip(&points.classes).map(|(p, &c)| (p[0], p[1], c))
    }

    #[test]
    fn points_lie_on_their_curves() {
        for (x, y, class) in rows(&Points::draw(Pattern::Circles, 100, 0.0, 1)) {
            approx::assert_relative_eq!(x.hypot(y), if class == 0 { 1.0 } else { 0.5 }, max_relative = 1e-5);
        }
        for (x, y, class) in rows(&Points::draw(Pattern::Moons, 100, 0.0, 1)) {
            let (cx, cy, side) = if class == 0 { (0.0, 0.0, 1.0) } else { (1.0, 0.5, -1.0) };
            approx::assert_relative_eq!((x - cx).hypot(y - cy), 1.0, max_relative = 1e-5);
            assert!(side * (y - cy) >= -1e-6);
        }
        for (x, y, class) in rows(&Points::draw(Pattern::Spirals, 100, 0.0, 1)) {
            let turned = y.atan2(x) - std::f32::consts::PI * (3.0 * x.hypot(y) + class as f32);
            let turns = turned / std::f32::consts::TAU;
            assert!((turns - turns.round()).abs() < 1e-4, "{x} {y}");
        }
        assert!(rows(&Points::draw(Pattern::Xor, 100, 0.0, 1)).all(|(x, y, class)| (x * y < 0.0) == (class == 1)));
        assert!(rows(&Points::draw(Pattern::Xor, 100, 0.0, 1)).any(|(x, ..)| x > 0.0));
        let corners: Vec<_> =
            rows(&Points::draw(Pattern::Blobs(4), 4, 0.0, 1)).map(|(x, y, _)| (x.round(), y.round())).collect();
        assert_eq!(corners, [(1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0)]);
    }

    #[test]
    fn noise_and_seed() {
        let clean = Points::draw(Pattern::Moons, 2000, 0.0, 1);
        let noisy = Points::draw(Pattern::Moons, 2000, 0.1, 1);
        let squares: f32 = clean.inputs.values.iter().zip(&noisy.inputs.values).map(|(a, b)| (a - b).powi(2)).sum();
        approx::assert_relative_eq!((squares / 4000.0).sqrt(), 0.1, max_relative = 0.05);
        assert_eq!(noisy, Points::draw(Pattern::Moons, 2000, 0.1, 1));
        assert_ne!(noisy, Points::draw(Pattern::Moons, 2000, 0.1, 2));
        // The first rows do not depend on how many there are.
        assert_eq!(Points::draw(Pattern::Moons, 10, 0.1, 1).inputs.values, noisy.inputs.values[..20]);
        assert_eq!(Points::draw(Pattern::Moons, 4, 0.0, 1).targets(), [0.0, 1.0, 0.0, 1.0]);
    }
}
