//! Calibrated probabilities and prediction intervals, from rows that did not train the weights.

use perceptra_data::{Matrix, Table, Weights};

use crate::calibration::{Calibration, Confidence, KEPT, temper, temperature};
use crate::digits::written;
use crate::error::ModelError;
use crate::metrics::{MetricValues, Metrics};
use crate::model::Model;
use crate::predictions::Predictions;

impl Model {
    /// Fits the temperature (with `calibrate`) or the residuals on rows that did not train the weights, with their weights if the schema
    /// has a column of them. Returns the scores on these
    /// rows with the temperature applied, and its effect.
    pub(crate) fn learn_confidence(
        &mut self,
        table: &Table,
        calibrate: bool,
    ) -> Result<(Metrics, Option<Calibration>), ModelError> {
        let predictions = self.predict(table)?;
        let before = self.score(table, &predictions)?;
        if predictions.labels.is_none() {
            self.about.confidence = self.residuals(table, &predictions)?;
            return Ok((before, None));
        }
        if !calibrate {
            return Ok((before, None));
        }
        let truth = self.about.encoder.class_numbers(table)?;
        let weights = Weights::of(table, &self.about.schema)?;
        let temperature = temperature(&predictions.values, &truth, weights.as_ref().map(Weights::each));
        self.about.confidence.temperature = Some(temperature);
        let mut after = predictions;
        temper(&mut after.values, temperature);
        let metrics = self.score(table, &after)?;
        let errors = |metrics: &Metrics| match &metrics.values {
            MetricValues::Classification { metrics, .. } => (metrics.log_loss, metrics.calibration_error),
            MetricValues::Regression(_) => (f64::NAN, f64::NAN),
        };
        let (before, after) = (errors(&before), errors(&metrics));
        let (log_loss, calibration_error) = ([before.0, after.0], [before.1, after.1]);
        Ok((metrics, Some(Calibration { temperature, log_loss, calibration_error })))
    }

    fn residuals(&self, table: &Table, predictions: &Predictions) -> Result<Confidence, ModelError> {
        let targets = self.about.encoder.numbers_of(table)?;
        let (columns, rows) = (targets.columns, targets.rows);
        let weights = Weights::of(table, &self.about.schema)?;
        let of_target = |j: usize| {
            let column = |m: &Matrix<f64>| m.values.iter().skip(j).step_by(columns).copied().collect::<Vec<f64>>();
            let pairs = column(&targets).into_iter().zip(column(&predictions.values));
            let mut all: Vec<f64> = pairs.map(|(y, f)| written((y - f).abs(), 0.0)).collect();
            // The largest residual of each of the `kept` groups, so that intervals are too wide rather than too narrow.
            let kept = rows.min(KEPT);
            match &weights {
                None => {
                    all.sort_by(f64::total_cmp);
                    (1..=kept).map(|i| all[i * rows / kept - 1]).collect()
                }
                Some(weights) => ends_of_groups(&all, weights.each(), kept),
            }
        };
        let residuals: Vec<Vec<f64>> = (0..columns).map(of_target).collect();
        let finite = residuals.iter().flatten().all(|r| r.is_finite());
        Ok(if finite { Confidence { residuals, rows, temperature: None } } else { Confidence::default() })
    }

    /// Half the width of each target's prediction interval of this coverage, in the units of the target. The interval is that of split
    /// conformal prediction (Vovk, Gammerman, Shafer, 2005; Lei et al., 2018): the `⌈(n + 1)·coverage⌉`-th of the n absolute
    /// residuals of the validation rows, of which each stands for as large a share of the n as its weight if rows have weights. On average over rows from the same distribution it holds the target with this probability;
    /// intervals are a little too narrow because the validation rows also chose the epoch.
    ///
    /// # Errors
    ///
    /// [`ModelError::NoIntervals`] for classes, and for a model without validation rows or with too few for this coverage;
    /// [`ModelError::Settings`] for a coverage outside (0, 1).
    pub fn half_widths(&self, coverage: f64) -> Result<Vec<f64>, ModelError> {
        let none = |why: String| Err(ModelError::NoIntervals(why));
        if !(coverage > 0.0 && coverage < 1.0) {
            let share = if (1.0..100.0).contains(&coverage) {
                format!(": write {} for {coverage} %", coverage / 100.0)
            } else {
                String::new()
            };
            let text = format!("the coverage {coverage} of prediction intervals does not lie between 0 and 1{share}");
            return Err(ModelError::Settings(vec![text]));
        }
        if self.about.schema.task.is_classification() {
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
        let index = |kept: usize| (rank * kept).div_ceil(*rows).clamp(1, kept) - 1;
        Ok(residuals.iter().map(|r| r[index(r.len())]).collect())
    }
}

/// The largest value of each of `groups` groups of the same weight, into which the values are divided in ascending order.
fn ends_of_groups(values: &[f64], weights: &[f64], groups: usize) -> Vec<f64> {
    let mut pairs: Vec<(f64, f64)> = values.iter().copied().zip(weights.iter().copied()).collect();
    pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
    let ends: Vec<f64> = pairs
        .iter()
        .scan(0.0, |sum, (_, weight)| {
            *sum += weight;
            Some(*sum)
        })
        .collect();
    let total = ends.last().copied().unwrap_or(0.0);
    let end = |group: usize| {
        let weight = total * (group as f64 / groups as f64) * (1.0 - 1e-12);
        pairs[ends.partition_point(|end| *end < weight).min(pairs.len() - 1)].0
    };
    (1..=groups).map(end).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;
    use perceptra_random::{Purpose, Stream};

    use crate::run::RunConfig;
    use crate::tables::Tables;
    use crate::train::train;

    fn uniform(n: usize, row: u32) -> Vec<f32> {
        let mut x = vec![0.0; n];
        Stream::new(3, Purpose::Data, 0).fill_uniform(row, &mut x);
        x
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
    fn intervals_hold_the_target_as_often_as_their_coverage_says() {
        let device = Device::flex();
        let model = train(&run(), &Tables::from(noisy(1500, 1, false)), &device, &mut ()).unwrap().model;
        let model = Model::from_bytes("m", &model.to_bytes().unwrap(), &device).unwrap();
        let unseen = noisy(4000, 2, false);
        let predictions = model.predict(&unseen).unwrap();
        let truth = unseen.target_values("y", &Default::default()).unwrap();
        for coverage in [0.5, 0.8, 0.9, 0.95] {
            let half = model.half_widths(coverage).unwrap()[0];
            let held = truth.iter().zip(&predictions.values.values).filter(|(y, f)| (**y - **f).abs() <= half).count();
            let share = held as f64 / 4000.0;
            // Three standard deviations of a share of 600 validation rows.
            assert!(
                (share - coverage).abs() < 3.0 * (coverage * (1.0 - coverage) / 600.0).sqrt() + 0.01,
                "{coverage}: {share}"
            );
        }
        let message = |coverage: f64| model.half_widths(coverage).unwrap_err().to_string();
        assert_eq!(
            message(90.0),
            "the coverage 90 of prediction intervals does not lie between 0 and 1: write 0.9 for 90 %"
        );
        assert!(message(-1.0).ends_with("does not lie between 0 and 1"));
        assert!(message(0.9999).contains("needs 9999 validation rows, it had 600"), "{}", message(0.9999));
        let mut without = run();
        without.split.validation = 0.0;
        let model = train(&without, &Tables::from(noisy(100, 1, false)), &device, &mut ()).unwrap().model;
        assert!(model.half_widths(0.9).unwrap_err().to_string().contains("without validation rows"));
    }

    #[test]
    fn weighted_residuals_are_those_of_repeated_rows() {
        let (values, weights) = ([0.5, 3.0, 1.0, 2.0, 0.1], [2, 1, 3, 1, 5]);
        let mut repeated: Vec<f64> = values.iter().zip(weights).flat_map(|(x, n)| std::iter::repeat_n(*x, n)).collect();
        repeated.sort_by(f64::total_cmp);
        for factor in [1.0, 0.3] {
            let weights = weights.map(|w| w as f64 * factor);
            // Twelve groups of one repeated row each, and four of three.
            assert_eq!(ends_of_groups(&values, &weights, 12), repeated);
            assert_eq!(ends_of_groups(&values, &weights, 4), [repeated[2], repeated[5], repeated[8], repeated[11]]);
        }
    }

    #[test]
    fn half_widths_are_the_residuals_of_the_right_rank() {
        let device = Device::flex();
        let mut model = train(&run(), &Tables::from(noisy(100, 1, false)), &device, &mut ()).unwrap().model;
        let residuals = vec![(1..=9).map(f64::from).collect::<Vec<_>>()];
        model.about.confidence = Confidence { temperature: None, residuals, rows: 9 };
        // The 5th of 9 residuals for a coverage of 1/2, the 9th for 9/10, none beyond.
        assert_eq!(model.half_widths(0.5).unwrap(), [5.0]);
        assert_eq!(model.half_widths(0.9).unwrap(), [9.0]);
        assert!(model.half_widths(0.91).is_err());
    }

    #[test]
    fn an_overconfident_network_is_calibrated() {
        let device = Device::flex();
        // Overfitted: few rows, a wide network, no early stopping.
        let mut run = run();
        (run.network.hidden, run.network.dropout) = (vec![128, 128], 0.0);
        (run.train.epochs, run.train.patience, run.train.learning_rate) = (300, None, 0.02);
        run.train.monitor = perceptra_train::Metric::Accuracy;
        run.split.validation = 0.8;
        let trained = train(&run, &Tables::from(noisy(600, 4, true)), &device, &mut ()).unwrap();
        let calibration = trained.calibration.unwrap();
        assert!(calibration.log_loss[1] <= calibration.log_loss[0], "{calibration:?}");
        let unseen = noisy(3000, 5, true);
        let score = |model: &Model| match model.evaluate(&unseen).unwrap().values {
            MetricValues::Classification { metrics, .. } => metrics,
            MetricValues::Regression(_) => unreachable!(),
        };
        run.output.calibrate = false;
        let plain = train(&run, &Tables::from(noisy(600, 4, true)), &device, &mut ()).unwrap();
        assert!(plain.calibration.is_none());
        let (after, before) = (score(&trained.model), score(&plain.model));
        // Predicted classes stay the same, and their probabilities are better.
        assert_eq!(after.confusion, before.confusion);
        assert!(after.log_loss < before.log_loss && (calibration.temperature - 1.0).abs() > 0.05, "{calibration:?}");
        assert!(trained.model.half_widths(0.9).unwrap_err().to_string().contains("it predicts classes"));
    }
}
