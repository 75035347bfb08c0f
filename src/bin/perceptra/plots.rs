//! Charts of a search.

use std::path::Path;

use perceptra::search::{Leaderboard, Search, Trial};
use perceptra::view::{Chart, Colors, Field, ViewError, picture};

use crate::CliError;

/// Number of settings, from the first on, of which heat maps are drawn for each pair.
const PAIRED: usize = 4;
/// Approximate number of cells along a side of a heat map.
const CELLS: usize = 60;
/// Standard deviation of the Gaussian kernel that averages the trials near a cell of a heat map, as a share of the map's side.
const REACH: f64 = 0.08;

/// Draws a search into its folder, as SVG and PNG: `search` (the metric against each setting and in order of the trials, learning
/// curves), `parallel` (all settings of all trials), and, for two settings or more, `heat` (the metric over pairs of settings).
pub(crate) fn draw(search: &Search<'_>, board: &Leaderboard, folder: &Path) -> Result<(), CliError> {
    let scored: Vec<(&Trial, f64)> = board.trials.iter().filter_map(|t| Some((t, t.score()?))).collect();
    let axes: Vec<Axis> = board.keys().into_iter().map(|key| Axis::new(search, key, &scored)).collect();
    let plots =
        Plots { metric: board.metric.to_string(), less_is_better: !board.metric.more_is_better(), scored, axes };
    let fail = |e: ViewError| CliError::Other { message: e.to_string(), hint: None };
    let save = |charts: &[Chart], columns: usize, size: (u32, u32), name: &str| {
        picture(charts, columns, size).and_then(|p| p.save_both(folder, name)).map_err(fail)
    };
    let mut charts: Vec<Chart> = plots.axes.iter().map(|axis| plots.against(axis)).collect();
    charts.push(plots.in_order());
    charts.extend(plots.curves());
    save(&charts, 2, (800, 380 * charts.len().div_ceil(2) as u32), "search")?;
    let width = (180 * (plots.axes.len() as u32 + 1)).clamp(600, 1800);
    save(&[plots.parallel()], 1, (width, 420), "parallel")?;
    let maps = plots.heat_maps().map_err(fail)?;
    match maps.len() {
        0 => Ok(()),
        1 => save(&maps, 1, (560, 460), "heat"),
        n => save(&maps, 2, (960, 420 * n.div_ceil(2) as u32), "heat"),
    }
}

/// A setting as an axis, with the position of every scored trial.
struct Axis {
    short: String,
    positions: Vec<f64>,
    /// Names of the values at the positions 0, 1, 2... of the axis; empty if the values are numbers.
    names: Vec<String>,
    log: bool,
}

impl Axis {
    fn new(search: &Search<'_>, key: &str, scored: &[(&Trial, f64)]) -> Self {
        let short = key.rsplit('.').next().unwrap_or(key).to_owned();
        let texts: Vec<&str> = scored.iter().map(|(t, _)| t.settings[key].trim_matches('"')).collect();
        let numbers: Option<Vec<f64>> = texts.iter().map(|text| text.parse().ok()).collect();
        if let Some(positions) = numbers {
            let log = search.is_logarithmic(key).unwrap_or_else(|| spread(&positions) >= 50.0);
            return Self { short, positions, names: Vec::new(), log };
        }
        let mut names: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        names.sort();
        names.dedup();
        let place = |text: &&str| names.iter().position(|n| n == text).unwrap_or(0) as f64;
        Self { short, positions: texts.iter().map(place).collect(), names, log: false }
    }

    fn ends(&self) -> (f64, f64) {
        if !self.names.is_empty() {
            return (-0.5, self.names.len() as f64 - 0.5);
        }
        let (low, high) = ends(&self.positions);
        match (low < high, self.log) {
            (true, _) => (low, high),
            (false, true) => (low / 2.0, low * 2.0),
            (false, false) => (low - 0.5, low + 0.5),
        }
    }

    /// The position of a value between the ends, from 0 to 1.
    fn part(&self, value: f64) -> f64 {
        let (low, high) = self.ends();
        match self.log {
            true => (value / low).ln() / (high / low).ln(),
            false => (value - low) / (high - low),
        }
    }

    /// The value at a position between the ends, from 0 to 1.
    fn value(&self, part: f64) -> f64 {
        let (low, high) = self.ends();
        if self.log { low * (high / low).powf(part) } else { low + (high - low) * part }
    }

    /// The name of the setting with its range.
    fn title(&self) -> String {
        let (first, last) = match self.names.as_slice() {
            [first, .., last] => (first.clone(), last.clone()),
            [only] => (only.clone(), only.clone()),
            [] => {
                let (low, high) = ends(&self.positions);
                (number(low), number(high))
            }
        };
        format!("{} {first}–{last}", self.short)
    }
}

fn number(x: f64) -> String {
    let x = format!("{x:.2e}").parse().unwrap_or(x);
    if x != 0.0 && !(1e-3..1e5).contains(&f64::abs(x)) { format!("{x:e}") } else { x.to_string() }
}

fn ends(values: &[f64]) -> (f64, f64) {
    values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(*v), h.max(*v)))
}

/// Ratio of the largest value to the smallest; 0 unless all are above 0.
fn spread(values: &[f64]) -> f64 {
    let (low, high) = ends(values);
    if low > 0.0 { high / low } else { 0.0 }
}

struct Plots<'a> {
    metric: String,
    less_is_better: bool,
    /// Trials with their scores, the best first.
    scored: Vec<(&'a Trial, f64)>,
    axes: Vec<Axis>,
}

impl Plots<'_> {
    fn scores(&self) -> Vec<f64> {
        self.scored.iter().map(|(_, score)| *score).collect()
    }

    /// Adds the trials' scores to a chart as points, over the positions `x`; trials that halving stopped early get a mark of their own.
    fn scatter(&self, chart: Chart, x: &[f64]) -> Chart {
        let points = |dropped: bool| {
            let chosen = self.scored.iter().zip(x).filter(move |((t, _), _)| t.budget.is_some() == dropped);
            chosen.map(|((_, score), x)| (*x, *score)).collect::<Vec<_>>()
        };
        let mut chart = chart.points("trials", 0, points(false));
        if self.scored.iter().any(|(t, _)| t.budget.is_some()) {
            chart = chart.points("stopped early", 1, points(true));
        }
        chart = chart.rings("best", x.first().map(|x| (*x, self.scored[0].1)));
        chart.y.log = spread(&self.scores()) >= 20.0;
        chart
    }

    fn against(&self, axis: &Axis) -> Chart {
        let mut chart = self.scatter(Chart::new(&axis.short, &axis.short, &self.metric), &axis.positions);
        (chart.x.log, chart.x.names) = (axis.log && axis.names.is_empty(), axis.names.clone());
        chart
    }

    fn in_order(&self) -> Chart {
        let numbers: Vec<f64> = self.scored.iter().map(|(t, _)| t.number as f64).collect();
        self.scatter(Chart::new("In order of the trials", "trial", &self.metric), &numbers)
    }

    /// The shade of a trial: 0 for the best, 1 for the worst, by rank.
    fn shade(&self, rank: usize) -> f64 {
        rank as f64 / (self.scored.len().max(2) - 1) as f64
    }

    /// The monitored metric of all trials by epoch; `None` if no trial has more than one epoch.
    fn curves(&self) -> Option<Chart> {
        let curve = |trial: &Trial| trial.curve.iter().map(|(epoch, v)| (*epoch as f64, *v)).collect::<Vec<_>>();
        let curves: Vec<_> = self.scored.iter().map(|(t, _)| curve(t)).collect();
        if curves.iter().all(|c| c.len() < 2) {
            return None;
        }
        let mut chart = Chart::new("Learning curves, the best ones dark", "epoch", "monitored");
        for (rank, curve) in curves.iter().enumerate().rev() {
            chart = chart.shaded(curve.clone(), self.shade(rank));
        }
        chart = chart.line("best", curves[0].clone());
        // Diverging trials would flatten the other curves.
        let mut all: Vec<f64> = curves.iter().flatten().map(|(_, v)| *v).collect();
        all.sort_by(f64::total_cmp);
        let (low, high) = (all[0], all[all.len() * 95 / 100]);
        if low < high {
            (chart.y.range, chart.y.log) = (Some((low, high)), low > 0.0 && high / low >= 20.0);
        }
        Some(chart)
    }

    /// Parallel coordinates: a line for each trial through its settings and its rank.
    fn parallel(&self) -> Chart {
        let line = |rank: usize| {
            let parts = self.axes.iter().map(|axis| axis.part(axis.positions[rank])).chain([1.0 - self.shade(rank)]);
            parts.enumerate().map(|(i, part)| (i as f64, part)).collect::<Vec<_>>()
        };
        let titles = self.axes.iter().map(Axis::title).chain([format!("{}, by rank", self.metric)]);
        let mut chart = Chart::new("All trials, the best ones dark", "", "");
        for rank in (0..self.scored.len()).rev() {
            chart = chart.shaded(line(rank), self.shade(rank));
        }
        let last = self.axes.len() as f64;
        chart = chart.line("best", line(0));
        (chart.x.names, chart.x.range) = (titles.collect(), Some((-0.4, last + 0.4)));
        (chart.y.names, chart.y.range) = (["lowest", "highest"].map(str::to_owned).to_vec(), Some((-0.03, 1.03)));
        chart
    }

    /// The metric over pairs of the first settings, averaged over nearby trials.
    fn heat_maps(&self) -> Result<Vec<Chart>, ViewError> {
        let n = self.axes.len().min(PAIRED);
        let pairs = (0..n).flat_map(|i| (i + 1..n).map(move |j| (i, j)));
        pairs.map(|(i, j)| self.heat_map(&self.axes[i], &self.axes[j])).collect()
    }

    fn heat_map(&self, x: &Axis, y: &Axis) -> Result<Chart, ViewError> {
        // Scores are clipped at the worst tenth, because the worst trials would otherwise determine the scale.
        let mut scores = self.scores();
        scores.sort_by(f64::total_cmp);
        let (low, high) = match self.less_is_better {
            true => (scores[0], scores[scores.len() * 9 / 10]),
            false => (scores[scores.len() / 10], scores[scores.len() - 1]),
        };
        let trials: Vec<([f64; 2], f64)> = (self.scored.iter().enumerate())
            .map(|(i, (_, score))| ([x.part(x.positions[i]), y.part(y.positions[i])], score.clamp(low, high)))
            .collect();
        let size = |axis: &Axis| axis.names.len().max(1) * CELLS.div_ceil(axis.names.len().max(1));
        let (columns, rows) = (size(x), size(y));
        // A named value is near only to itself.
        let near = |axis: &Axis, a: f64, b: f64| match axis.names.is_empty() {
            true => (-0.5 * ((a - b) / REACH).powi(2)).exp(),
            false => f64::from(u8::from(axis.value(a).round() == axis.value(b).round())),
        };
        let value = |column: usize, row: usize| {
            let at = [(column as f64 + 0.5) / columns as f64, (row as f64 + 0.5) / rows as f64];
            let (mut sum, mut weights) = (0.0, 0.0);
            for (place, score) in &trials {
                let weight = near(x, at[0], place[0]) * near(y, at[1], place[1]);
                sum += weight * score;
                weights += weight;
            }
            if weights < 0.02 { f64::NAN } else { sum / weights }
        };
        let cells = (0..rows).flat_map(|row| (0..columns).map(move |column| (column, row)));
        let values: Vec<f64> = cells.map(|(column, row)| value(column, row)).collect();
        let finite: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
        let (dark, light) = ends(&finite);
        let title = format!("{}: dark {}, light {}", self.metric, number(dark), number(light));
        let mut field = Field::new(x.ends(), y.ends(), columns, values)?;
        field.log = (x.log, y.log);
        let positions = || x.positions.iter().copied().zip(y.positions.iter().copied());
        let mut chart = Chart::new(&title, &x.short, &y.short).field(&field, Colors::Heat).points("", 6, positions());
        chart = chart.rings("best", positions().next());
        (chart.x.names, chart.x.log) = (x.names.clone(), x.log);
        (chart.y.names, chart.y.log) = (y.names.clone(), y.log);
        Ok(chart)
    }
}
