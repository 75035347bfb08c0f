//! How sure predictions are: temperatures and intervals, from rows that did not train the weights.

use perceptra_data::{Matrix, Table};
use perceptra_train::argmax;
use serde::{Deserialize, Serialize};

use crate::{MetricValues, Metrics, Model, ModelError, Predictions};

/// Residuals that are kept, of each target.
const KEPT: usize = 2000;
/// Rows that choose a temperature, at most.
const CHOOSING: usize = 20_000;
/// How far, as a factor e^±1/2, temperatures go from 1 unless the rows insist: a few rows that are all right would have it near 0.
const PRIOR: f64 = 0.5;

/// What the validation rows taught.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Confidence {
    /// By which logits are divided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) temperature: Option<f64>,
    /// |y − f| of each target, from the least to the largest: all, or so many that lie evenly among them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) residuals: Vec<Vec<f32>>,
    /// Rows that they are of.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) rows: usize,
}

fn is_zero(n: &usize) -> bool {
    *n == 0
}

impl Confidence {
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether it can be of a model with so many targets of numbers, or none.
    pub(crate) fn is_sound(&self, targets: usize) -> bool {
        let sorted = |r: &Vec<f32>| {
            !r.is_empty()
                && r.len() == self.rows.min(KEPT)
                && r[0] >= 0.0
                && r.is_sorted()
                && r.iter().all(|x| x.is_finite())
        };
        self.temperature.is_none_or(|t| t.is_finite() && t > 0.0)
            && (self.residuals.is_empty() || self.residuals.len() == targets && self.residuals.iter().all(sorted))
    }
}

/// What a temperature did to the probabilities of some rows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Calibration {
    /// By which logits are divided: above 1 where the network was too sure.
    pub temperature: f64,
    /// The mean negative logarithm of the probability of the true class, before and after.
    pub log_loss: [f64; 2],
    /// The expected calibration error, before and after.
    pub calibration_error: [f64; 2],
}

/// p^(1/T), as shares: of a softmax, the softmax of z/T.
pub(crate) fn temper(probabilities: &mut Matrix, temperature: f64) {
    let power = (1.0 / temperature) as f32;
    for row in probabilities.values.chunks_exact_mut(probabilities.columns) {
        let largest = row[argmax(row)];
        if largest.is_nan() || largest <= 0.0 {
            continue;
        }
        row.iter_mut().for_each(|p| *p = (*p / largest).powf(power));
        let sum: f32 = row.iter().sum();
        row.iter_mut().for_each(|p| *p /= sum);
    }
}

impl Model {
    /// Learns from rows with targets, which are not those that trained the weights: the temperature if `calibrate`; of numbers the
    /// residuals. Gives the scores on these rows, as the model has them from then on, and what the temperature did.
    pub(crate) fn learn_confidence(
        &mut self,
        table: &Table,
        calibrate: bool,
    ) -> Result<(Metrics, Option<Calibration>), ModelError> {
        let predictions = self.predict(table)?;
        let before = self.judge(table, &predictions)?;
        if predictions.labels.is_none() {
            self.about.confidence = self.residuals(table, &predictions)?;
            return Ok((before, None));
        }
        if !calibrate {
            return Ok((before, None));
        }
        let truth = self.encoder().class_numbers(table)?;
        let temperature = temperature(&predictions.values, &truth);
        self.about.confidence.temperature = Some(temperature);
        let mut after = predictions;
        temper(&mut after.values, temperature);
        let metrics = self.judge(table, &after)?;
        let of = |metrics: &Metrics| match &metrics.values {
            MetricValues::Classification { metrics, .. } => (metrics.log_loss, metrics.calibration_error),
            MetricValues::Regression(_) => (f64::NAN, f64::NAN),
        };
        let (before, after) = (of(&before), of(&metrics));
        let (log_loss, calibration_error) = ([before.0, after.0], [before.1, after.1]);
        Ok((metrics, Some(Calibration { temperature, log_loss, calibration_error })))
    }

    fn residuals(&self, table: &Table, predictions: &Predictions) -> Result<Confidence, ModelError> {
        let mut targets = self.encoder().outputs_of(table)?;
        self.encoder().decode(&mut targets);
        let (columns, rows) = (targets.columns, targets.rows);
        let of = |j: usize| {
            let column = |m: &Matrix| m.values.iter().skip(j).step_by(columns).copied().collect::<Vec<f32>>();
            let pairs = column(&targets).into_iter().zip(column(&predictions.values));
            let mut all: Vec<f32> = pairs.map(|(y, f)| (y - f).abs()).collect();
            all.sort_by(f32::total_cmp);
            // Of each part the largest: intervals are rather too wide than too narrow.
            let kept = rows.min(KEPT);
            (1..=kept).map(|i| all[i * rows / kept - 1]).collect::<Vec<f32>>()
        };
        let residuals: Vec<Vec<f32>> = (0..columns).map(of).collect();
        let finite = residuals.iter().flatten().all(|r| r.is_finite());
        Ok(if finite { Confidence { residuals, rows, temperature: None } } else { Confidence::default() })
    }

    /// Half the width of the interval around each target's prediction that holds the truth with this probability, in the target's
    /// units: split conformal prediction (Vovk, Gammerman, Shafer, 2005; Lei et al., 2018) with the absolute residuals of the
    /// validation rows, `⌈(n + 1)·coverage⌉` th of n. It holds for rows that come as those did, on average over rows; that the
    /// validation rows also chose the epoch makes intervals a little too narrow.
    ///
    /// # Errors
    ///
    /// [`ModelError::NoIntervals`] for classes, for a model without validation rows or with too few for this coverage, and for a
    /// coverage outside (0, 1).
    pub fn half_widths(&self, coverage: f64) -> Result<Vec<f32>, ModelError> {
        let none = |why: String| Err(ModelError::NoIntervals(why));
        if !(coverage > 0.0 && coverage < 1.0) {
            return none(format!("the coverage {coverage} does not lie between 0 and 1"));
        }
        if self.task().is_classification() {
            return none("it predicts classes".to_owned());
        }
        let Confidence { residuals, rows, .. } = &self.about.confidence;
        if residuals.is_empty() {
            return none("it was trained without validation rows".to_owned());
        }
        let rank = ((*rows + 1) as f64 * coverage - 1e-9).ceil() as usize;
        if rank > *rows {
            let needed = (coverage / (1.0 - coverage) - 1e-6).ceil();
            return none(format!("a coverage of {coverage} needs {needed} validation rows, it had {rows}"));
        }
        let place = |kept: usize| (rank * kept).div_ceil(*rows).clamp(1, kept) - 1;
        Ok(residuals.iter().map(|r| r[place(r.len())]).collect())
    }
}

/// The temperature with the least log loss, by golden section over its logarithm.
fn temperature(probabilities: &Matrix, truth: &[u32]) -> f64 {
    let step = truth.len().div_ceil(CHOOSING).max(1);
    let columns = probabilities.columns;
    let rows = probabilities.values.chunks_exact(columns).zip(truth).step_by(step);
    // ln p, of which p = 0 is as small as 32-bit floats are.
    let logs: Vec<f64> = rows.clone().flat_map(|(p, _)| p).map(|p| f64::from(p.max(f32::MIN_POSITIVE)).ln()).collect();
    let classes: Vec<usize> = rows.map(|(_, class)| *class as usize).collect();
    let cost = |t: f64| {
        let power = (-t).exp();
        let mut total = t * t / (2.0 * PRIOR * PRIOR);
        for (logs, class) in logs.chunks_exact(columns).zip(&classes) {
            let largest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = logs.iter().map(|l| (power * (l - largest)).exp()).sum();
            total += sum.ln() - power * (logs[*class] - largest);
        }
        total
    };
    let golden = (5f64.sqrt() - 1.0) / 2.0;
    let (mut low, mut high) = (-3.0, 3.0);
    let (mut a, mut b) = (high - golden * (high - low), low + golden * (high - low));
    let (mut fa, mut fb) = (cost(a), cost(b));
    while high - low > 1e-4 {
        if fa <= fb {
            (high, b, fb) = (b, a, fa);
            a = high - golden * (high - low);
            fa = cost(a);
        } else {
            (low, a, fa) = (a, b, fb);
            b = low + golden * (high - low);
            fb = cost(b);
        }
    }
    f64::exp(0.5 * (low + high))
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;
    use perceptra_random::{Purpose, Stream};

    use crate::{RunConfig, Tables, train};

    fn uniform(n: usize, row: u32) -> Vec<f32> {
        let mut x = vec![0.0; n];
        Stream::new(3, Purpose::Data, 0).fill_uniform(row, &mut x);
        x
    }

    #[test]
    fn the_temperature_undoes_what_was_done_to_the_logits() {
        // Rows whose classes are drawn with the probabilities of their logits: these times 3 are too sure by that.
        let (n, z, u) = (20_000, uniform(20_000 * 3, 0), uniform(20_000, 1));
        let softmax = |z: &[f32], factor: f32| {
            let e: Vec<f32> = z.iter().map(|z| (4.0 * factor * z).exp()).collect();
            let sum: f32 = e.iter().sum();
            e.into_iter().map(|e| e / sum).collect::<Vec<f32>>()
        };
        let truth: Vec<u32> = (z.chunks(3).zip(&u))
            .map(|(z, u)| {
                let p = softmax(z, 1.0);
                if *u < p[0] { 0 } else { 1 + u32::from(*u >= p[0] + p[1]) }
            })
            .collect();
        let matrix = |factor: f32| Matrix {
            rows: n,
            columns: 3,
            values: z.chunks(3).flat_map(|z| softmax(z, factor)).collect(),
        };
        for factor in [0.5, 1.0, 3.0] {
            let found = temperature(&matrix(factor), &truth);
            assert!((found / f64::from(factor) - 1.0).abs() < 0.06, "{factor}: {found}");
            let mut tempered = matrix(factor);
            temper(&mut tempered, f64::from(factor));
            for (a, b) in tempered.values.iter().zip(matrix(1.0).values) {
                assert!((a - b).abs() < 1e-5, "{a} {b}");
            }
        }
        // A few rows that are all right do not make it sure of everything.
        let sure = Matrix { rows: 20, columns: 2, values: [0.9, 0.1].repeat(20) };
        let found = temperature(&sure, &[0; 20]);
        assert!((0.4..1.0).contains(&found), "{found}");
        // Probabilities of 0 and NaN stay what they are.
        let mut odd = Matrix { rows: 2, columns: 2, values: vec![1.0, 0.0, f32::NAN, 0.5] };
        temper(&mut odd, 2.0);
        assert_eq!(odd.values[..2], [1.0, 0.0]);
    }

    #[test]
    fn the_calibration_error_by_hand() {
        use perceptra_train::ClassificationMetrics;
        // Four rows that say 0.8, of which two are right; two that say 0.6, both right.
        let p = [0.8, 0.2, 0.8, 0.2, 0.2, 0.8, 0.2, 0.8, 0.6, 0.4, 0.4, 0.6];
        let metrics = ClassificationMetrics::of(&p, &[0, 1, 1, 0, 0, 1], 2, None);
        let expected = (4.0 * 0.3 + 2.0 * 0.4) / 6.0;
        assert!((metrics.calibration_error - expected).abs() < 1e-6, "{}", metrics.calibration_error);
    }

    fn noisy(rows: usize, seed: u32, classes: bool) -> Table {
        let (x, noise) = (uniform(rows, 10 * seed), uniform(rows, 10 * seed + 1));
        let row = |(x, e): (&f32, &f32)| match classes {
            true => format!("{x},{}\n", if *e < 1.0 / (1.0 + (6.0 * (0.5 - x)).exp()) { "b" } else { "a" }),
            false => format!("{x},{}\n", 3.0 * x + e),
        };
        let rows: String = x.iter().zip(&noise).map(row).collect();
        Table::from_csv("t.csv", format!("x,y\n{rows}"), &Default::default()).unwrap()
    }

    fn run() -> RunConfig {
        let mut run = RunConfig::default();
        run.data.schema.target = vec!["y".into()];
        run.network.hidden = vec![16];
        run.train.epochs = 40;
        run.split.validation = 0.4;
        run.split.test = 0.0;
        run
    }

    #[test]
    fn intervals_hold_the_truth_as_often_as_they_say() {
        let device = Device::flex();
        let model = train(&run(), &Tables::from(noisy(1500, 1, false)), &device, &mut ()).unwrap().model;
        let model = Model::from_bytes("m", &model.to_bytes().unwrap(), &device).unwrap();
        let unseen = noisy(4000, 2, false);
        let predictions = model.predict(&unseen).unwrap();
        let truth = unseen.target_values("y").unwrap();
        for coverage in [0.5, 0.8, 0.9, 0.95] {
            let half = model.half_widths(coverage).unwrap()[0];
            let held =
                truth.iter().zip(&predictions.values.values).filter(|(y, f)| (**y as f32 - **f).abs() <= half).count();
            let share = held as f64 / 4000.0;
            // 600 validation rows: three standard deviations of what they teach.
            assert!(
                (share - coverage).abs() < 3.0 * (coverage * (1.0 - coverage) / 600.0).sqrt() + 0.01,
                "{coverage}: {share}"
            );
        }
        let message = |coverage: f64| model.half_widths(coverage).unwrap_err().to_string();
        assert!(message(1.0).contains("does not lie between 0 and 1"));
        assert!(message(0.9999).contains("needs 9999 validation rows, it had 600"), "{}", message(0.9999));
        let mut without = run();
        without.split.validation = 0.0;
        let model = train(&without, &Tables::from(noisy(100, 1, false)), &device, &mut ()).unwrap().model;
        assert!(model.half_widths(0.9).unwrap_err().to_string().contains("without validation rows"));
    }

    #[test]
    fn ranks_by_hand() {
        let device = Device::flex();
        let mut model = train(&run(), &Tables::from(noisy(100, 1, false)), &device, &mut ()).unwrap().model;
        let residuals = vec![(1..=9).map(|i| i as f32).collect::<Vec<_>>()];
        model.about.confidence = Confidence { temperature: None, residuals, rows: 9 };
        // The 5th of 9 for a half, the 9th for 9/10, none for more.
        assert_eq!(model.half_widths(0.5).unwrap(), [5.0]);
        assert_eq!(model.half_widths(0.9).unwrap(), [9.0]);
        assert!(model.half_widths(0.91).is_err());
    }

    #[test]
    fn a_network_that_is_too_sure_is_calibrated() {
        let device = Device::flex();
        // Trained by heart: 40 rows, a wide network, no stop.
        let mut run = run();
        (run.network.hidden, run.network.dropout) = (vec![128, 128], 0.0);
        (run.train.epochs, run.train.patience, run.train.learning_rate) = (300, None, 0.02);
        run.train.monitor = perceptra_train::Metric::Accuracy;
        run.split.validation = 0.8;
        let trained = train(&run, &Tables::from(noisy(600, 4, true)), &device, &mut ()).unwrap();
        let calibration = trained.calibration.unwrap();
        assert!(calibration.log_loss[1] <= calibration.log_loss[0], "{calibration:?}");
        let unseen = noisy(3000, 5, true);
        let of = |model: &Model| match model.evaluate(&unseen).unwrap().values {
            MetricValues::Classification { metrics, .. } => metrics,
            MetricValues::Regression(_) => unreachable!(),
        };
        run.output.calibrate = false;
        let plain = train(&run, &Tables::from(noisy(600, 4, true)), &device, &mut ()).unwrap();
        assert!(plain.calibration.is_none());
        let (after, before) = (of(&trained.model), of(&plain.model));
        // What is said stays, how sure it is changes for the better.
        assert_eq!(after.confusion, before.confusion);
        assert!(after.log_loss < before.log_loss && (calibration.temperature - 1.0).abs() > 0.05, "{calibration:?}");
        assert!(trained.model.half_widths(0.9).unwrap_err().to_string().contains("it predicts classes"));
    }
}
