//! The built-in data sets of the playground, as tables.

use perceptra_data::{Pattern, Points, Table, Task};
use perceptra_random::{Purpose, Stream};

use crate::error::Refusal;

/// A data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Problem {
    Xor,
    And,
    Or,
    Moons,
    Circles,
    Spirals,
    Blobs,
    Plane,
    Wave,
    Peaks,
}

perceptra_nn::all_variants! { Problem: Xor, And, Or, Moons, Circles, Spirals, Blobs, Plane, Wave, Peaks }

impl Problem {
    /// The name in the menu of a page.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Xor => "xor",
            Self::And => "and",
            Self::Or => "or",
            Self::Moons => "moons",
            Self::Circles => "circles",
            Self::Spirals => "spirals",
            Self::Blobs => "blobs",
            Self::Plane => "plane",
            Self::Wave => "wave",
            Self::Peaks => "peaks",
        }
    }

    /// The names of all data sets, classification first.
    pub(crate) fn names() -> Vec<&'static str> {
        Self::ALL.iter().map(|problem| problem.name()).collect()
    }

    /// The data set with this name.
    pub(crate) fn named(name: &str) -> Result<Self, Refusal> {
        let unknown =
            || Refusal::Request(format!("there is no data set {name:?}; choose one of {}", Self::names().join(", ")));
        Self::ALL.iter().copied().find(|problem| problem.name() == name).ok_or_else(unknown)
    }

    /// The table that is learned.
    pub(crate) fn task(self) -> Task {
        match self {
            Self::Xor | Self::And | Self::Or | Self::Moons | Self::Circles | Self::Spirals => Task::Binary,
            Self::Blobs => Task::Multiclass,
            Self::Plane | Self::Wave | Self::Peaks => Task::Regression,
        }
    }
}

/// Names of the classes, which are also the colors of their points.
const CLASSES: [&str; 3] = ["orange", "blue", "green"];

/// The rows of a data set as CSV, with the columns `x1`, `x2` and the target, and the name of the target.
///
/// Noise moves the points of a classification and changes the targets of a regression.
pub(crate) fn csv(problem: Problem, rows: usize, noise: f32, seed: u64) -> (String, &'static str) {
    let classes = |points: Points, class: &dyn Fn(&[f32], u32) -> u32| {
        let rows = points.inputs.values.chunks(2).zip(&points.classes);
        let row = |(p, c): (&[f32], &u32)| format!("{},{},{}\n", p[0], p[1], CLASSES[class(p, *c) as usize]);
        (format!("x1,x2,class\n{}", rows.map(row).collect::<String>()), "class")
    };
    let surface = |height: &dyn Fn(f32, f32) -> f32| {
        let (places, noises) = (Stream::new(seed, Purpose::Data, 0), Stream::new(seed, Purpose::Data, 1));
        let row = |row: u32| {
            let (mut u, mut deviation) = ([0.0; 2], [0.0]);
            places.fill_uniform(row, &mut u);
            noises.fill_normal(row, &mut deviation);
            let [x, y] = u.map(|u| 3.0 * u - 1.5);
            format!("{x},{y},{}\n", height(x, y) + noise * deviation[0])
        };
        (format!("x1,x2,y\n{}", (0..rows as u32).map(row).collect::<String>()), "y")
    };
    let unchanged = |_: &[f32], class: u32| class;
    match problem {
        Problem::Xor => classes(Points::draw(Pattern::Xor, rows, noise, seed), &unchanged),
        Problem::And => {
            classes(Points::draw(Pattern::Xor, rows, noise, seed), &|p, _| u32::from(p[0] > 0.0 && p[1] > 0.0))
        }
        Problem::Or => {
            classes(Points::draw(Pattern::Xor, rows, noise, seed), &|p, _| u32::from(p[0] > 0.0 || p[1] > 0.0))
        }
        Problem::Moons => classes(Points::draw(Pattern::Moons, rows, noise, seed), &unchanged),
        Problem::Circles => classes(Points::draw(Pattern::Circles, rows, noise, seed), &unchanged),
        Problem::Spirals => classes(Points::draw(Pattern::Spirals, rows, noise, seed), &unchanged),
        Problem::Blobs => classes(Points::draw(Pattern::Blobs(3), rows, noise, seed), &unchanged),
        Problem::Plane => surface(&|x, y| 0.5 * (x + y)),
        Problem::Wave => surface(&|x, y| (std::f32::consts::PI * x).sin() * (std::f32::consts::FRAC_PI_2 * y).cos()),
        Problem::Peaks => surface(&|x, y| {
            let peak = |cx: f32, cy: f32| (-3.0 * ((x - cx).powi(2) + (y - cy).powi(2))).exp();
            peak(0.7, 0.7) + peak(-0.7, -0.7) - peak(0.7, -0.7) - peak(-0.7, 0.7)
        }),
    }
}

/// At most `most` rows of a table, evenly spaced over all of it.
pub(crate) fn evenly(table: Table, most: usize) -> Table {
    match table.rows() {
        n if n <= most => table,
        n => table.take(&(0..most).map(|i| (i * n / most) as u32).collect::<Vec<_>>()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_is_a_table() {
        for &problem in Problem::ALL {
            assert_eq!(Problem::named(problem.name()).unwrap(), problem);
            let (text, target) = csv(problem, 60, 0.1, 1);
            let table = Table::from_csv("t.csv", text, &Default::default()).unwrap();
            assert_eq!((table.rows(), table.columns().len()), (60, 3), "{problem:?}");
            let classes =
                table.summary(target, perceptra_data::ColumnKind::Categorical, &Default::default()).unwrap().distinct;
            let expected = match problem.task() {
                Task::Regression => 60,
                Task::Binary => 2,
                Task::Multiclass => 3,
            };
            assert_eq!(classes, expected, "{problem:?}");
        }
        assert!(Problem::named("nothing").is_err());
    }

    #[test]
    fn gates_are_right_at_their_corners() {
        for (problem, of) in [
            (Problem::Xor, (|a, b| a != b) as fn(bool, bool) -> bool),
            (Problem::And, |a, b| a && b),
            (Problem::Or, |a, b| a || b),
        ] {
            let (text, _) = csv(problem, 40, 0.0, 3);
            for line in text.lines().skip(1) {
                let [x, y, class] = line.split(',').collect::<Vec<_>>().try_into().unwrap();
                assert_eq!(class == "blue", of(x == "1", y == "1"), "{problem:?}: {line}");
            }
        }
    }

    #[test]
    fn long_tables_are_thinned() {
        let rows: String = (0..100).map(|i| format!("{i}\n")).collect();
        let table = Table::from_csv("t.csv", format!("a\n{rows}"), &Default::default()).unwrap();
        let thin = evenly(table, 4).texts("a", &Default::default()).unwrap();
        assert_eq!(thin.into_iter().flatten().collect::<Vec<_>>(), ["0", "25", "50", "75"]);
    }
}
