//! Permutation importance of features.

use perceptra_data::{Matrix, Table};
use perceptra_random::{Purpose, Stream};
use perceptra_train::{Metric, parallel};
use serde::Serialize;

use crate::error::ModelError;
use crate::fitting::{metric_fits, usual_metric};
use crate::model::Model;
use crate::predictions::Predictions;

/// Maximum number of input values that are predicted at once, over all permuted copies of the rows.
const AT_ONCE: usize = 1 << 22;

/// How the importance of features is measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ImportanceOptions {
    /// Metric whose change is the importance; by default RMSE for regression, log loss for classes.
    pub metric: Option<Metric>,
    /// Number of permutations of each feature.
    pub repeats: usize,
    /// Seed of the permutations.
    pub seed: u64,
}

impl Default for ImportanceOptions {
    fn default() -> Self {
        Self { metric: None, repeats: 10, seed: 0 }
    }
}

/// Importance of every feature of a model on the rows of a table.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// Metric whose change is the importance.
    pub metric: Metric,
    /// Score of the model on the unpermuted rows.
    pub score: f64,
    /// Number of rows.
    pub rows: usize,
    /// Features, the most important first.
    pub features: Vec<Importance>,
}

/// Importance of a feature.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Importance {
    /// Name of its column.
    pub feature: String,
    /// Amount by which the score gets worse when the feature's values are permuted, averaged over the permutations.
    pub importance: f64,
    /// Standard deviation of that amount over the permutations.
    pub deviation: f64,
}

impl Model {
    /// Permutation importance (Breiman, 2001; Fisher, Rudin, Dominici, 2019): how much worse the model scores on `table`, which
    /// needs the targets, when the values of a feature are shuffled among the rows. Correlated features share their importance, and a
    /// value below 0 is noise. Nothing is trained.
    ///
    /// # Errors
    ///
    /// As [`Model::evaluate`]; [`ModelError::ImportanceMetric`] for a metric of another task, [`ModelError::Settings`] for no repeats.
    pub fn importance(&self, table: &Table, options: &ImportanceOptions) -> Result<Explanation, ModelError> {
        let task = self.about.schema.task;
        let metric = options.metric.unwrap_or_else(|| usual_metric(task));
        if metric == Metric::Loss || !metric_fits(metric, task) {
            return Err(ModelError::ImportanceMetric { metric: metric.to_string(), task: task.to_string() });
        }
        if options.repeats == 0 {
            return Err(ModelError::Settings(vec!["repeats is 0, it must be at least 1".to_owned()]));
        }
        let table = &self.weighted(table)?;
        let encoded: Vec<_> = self.encode(table)?.into_iter().map(|(inputs, _)| inputs).collect();
        let rows = table.rows();
        let plain: Vec<&[f32]> = encoded.iter().map(|inputs| inputs.values.as_slice()).collect();
        let score_of = |inputs: &[&[f32]]| -> Result<f64, ModelError> {
            let metrics = self.score(table, &self.predict_encoded(inputs)?)?;
            Ok(metrics.get(metric).unwrap_or(f64::NAN))
        };
        let score = score_of(&plain)?;
        let orders: Vec<Vec<u32>> = (0..options.repeats)
            .map(|r| Stream::new(options.seed, Purpose::Shuffle, r as u32).permutation(rows))
            .collect();
        // For each member the first input and the number of inputs of every feature; encoders may differ in their widths.
        let names: Vec<String> = self.about.encoder.features().map(|(name, ..)| name.to_owned()).collect();
        let ranges: Vec<Vec<(usize, usize)>> = self
            .parts()
            .map(|(_, model)| {
                let mut start = 0;
                let mut range = |width: usize| {
                    start += width;
                    (start - width, width)
                };
                model.about().encoder.features().map(|(.., width)| range(width)).collect()
            })
            .collect();
        let columns: usize = encoded.iter().map(|inputs| inputs.columns).sum();
        let at_once = (AT_ONCE / (rows * columns).max(1)).clamp(1, options.repeats);
        let device = self.network().layers()[0].linear.weight.val().device();
        let losses = parallel(&device, names.len(), |feature| -> Result<Vec<f64>, ModelError> {
            let mut losses = Vec::new();
            for orders in orders.chunks(at_once) {
                // The permuted copies of the rows, one after another, encoded for each member.
                let copies: Vec<Vec<f32>> = (encoded.iter().zip(&ranges))
                    .map(|(inputs, ranges)| {
                        let ((start, width), columns) = (ranges[feature], inputs.columns);
                        let mut copies = inputs.values.repeat(orders.len());
                        for (copy, order) in copies.chunks_exact_mut(rows * columns).zip(orders) {
                            for (row, from) in copy.chunks_exact_mut(columns).zip(order) {
                                let from = *from as usize * columns + start;
                                row[start..start + width].copy_from_slice(&inputs.values[from..from + width]);
                            }
                        }
                        copies
                    })
                    .collect();
                let inputs: Vec<&[f32]> = copies.iter().map(Vec::as_slice).collect();
                let all = self.predict_encoded(&inputs)?;
                let Predictions { values, targets, labels, report, .. } = all;
                for copy in values.values.chunks_exact(rows * values.columns) {
                    let values = Matrix { rows, columns: values.columns, values: copy.to_vec() };
                    let (targets, labels, report) = (targets.clone(), labels.clone(), report.clone());
                    let one = Predictions { values, spread: None, targets, labels, report };
                    losses.push(self.score(table, &one)?.get(metric).unwrap_or(f64::NAN));
                }
            }
            Ok(losses)
        });
        let mut features = Vec::new();
        for (feature, losses) in names.into_iter().zip(losses) {
            let worse = |s: f64| if metric.more_is_better() { score - s } else { s - score };
            let all: Vec<f64> = losses?.into_iter().map(worse).collect();
            let n = all.len() as f64;
            let importance = all.iter().sum::<f64>() / n;
            let squares: f64 = all.iter().map(|x| (x - importance).powi(2)).sum();
            features.push(Importance { feature, importance, deviation: (squares / (n - 1.0).max(1.0)).sqrt() });
        }
        features.sort_by(|a, b| b.importance.total_cmp(&a.importance));
        Ok(Explanation { metric, score, rows, features })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    use crate::run::RunConfig;
    use crate::tables::Tables;
    use crate::train::train;

    fn table(rows: usize, classes: bool) -> Table {
        let row = |i: usize| {
            let (a, b, c) = ((i * 37 % 101) as f64 / 101.0, (i * 53 % 97) as f64 / 97.0, ["u", "v", "w"][i * 29 % 3]);
            let noise = (i * 71 % 89) as f64;
            let value = 4.0 * a + if c == "u" { 1.0 } else { 0.0 } + 0.0 * b;
            let y = if classes { if value > 2.3 { "high" } else { "low" }.to_owned() } else { value.to_string() };
            format!("{a},{b},{c},{noise},{y}\n")
        };
        let rows: String = (0..rows).map(row).collect();
        Table::from_csv("t.csv", format!("a,b,c,noise,y\n{rows}"), &Default::default()).unwrap()
    }

    #[test]
    fn what_the_target_is_made_of_matters_and_the_rest_does_not() {
        let device = Device::flex();
        for (classes, members) in [(false, 1), (true, 1), (false, 2)] {
            let mut run = RunConfig::default();
            run.data.schema.target = vec!["y".into()];
            run.network.hidden = vec![16];
            run.network.ensemble = members;
            run.train.epochs = 60;
            let table = table(600, classes);
            let model = train(&run, &Tables::from(table.clone()), &device, &mut ()).unwrap().model;
            let options = ImportanceOptions::default();
            let found = model.importance(&table, &options).unwrap();
            let names: Vec<&str> = found.features.iter().map(|f| f.feature.as_str()).collect();
            assert_eq!(names[..2], ["a", "c"], "{found:?}");
            let [a, c, rest @ ..] = found.features.as_slice() else { panic!() };
            assert!(a.importance > 2.0 * c.importance && c.importance > 10.0 * c.deviation, "{found:?}");
            assert!(rest.iter().all(|f| f.importance.abs() < 0.1 * c.importance), "{found:?}");
            assert_eq!(found.score, model.evaluate(&table).unwrap().get(found.metric).unwrap());
            // A second call gives the same; for one feature and one order, so does the computation by hand.
            assert_eq!(model.importance(&table, &options).unwrap(), found);
            let once = ImportanceOptions { repeats: 1, ..options };
            let once = model.importance(&table, &once).unwrap();
            let order = Stream::new(0, Purpose::Shuffle, 0).permutation(600);
            let inputs: Vec<Vec<f32>> = (model.encode(&table).unwrap().into_iter())
                .map(|(mut inputs, _)| {
                    let column: Vec<f32> = inputs.values.iter().step_by(inputs.columns).copied().collect();
                    let cells = inputs.values.iter_mut().step_by(inputs.columns);
                    cells.zip(&order).for_each(|(cell, from)| *cell = column[*from as usize]);
                    inputs.values
                })
                .collect();
            let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
            let metrics = model.score(&table, &model.predict_encoded(&inputs).unwrap()).unwrap();
            let worse = metrics.get(found.metric).unwrap() - found.score;
            assert!((once.features[0].importance - worse).abs() < 1e-6, "{once:?} {worse}");
            assert_eq!(once.features[0].deviation, 0.0);
        }
    }

    #[test]
    fn metrics_of_another_task_are_refused() {
        let device = Device::flex();
        let mut run = RunConfig::default();
        run.data.schema.target = vec!["y".into()];
        run.train.epochs = 1;
        let table = table(100, false);
        let model = train(&run, &Tables::from(table.clone()), &device, &mut ()).unwrap().model;
        let error = |metric: Option<Metric>, repeats: usize| {
            let options = ImportanceOptions { metric, repeats, ..Default::default() };
            model.importance(&table, &options).unwrap_err().to_string()
        };
        assert!(
            error(Some(Metric::Accuracy), 1)
                .contains("the metric accuracy cannot measure the importance of features for the task regression")
        );
        assert!(error(Some(Metric::Loss), 1).contains("the metric loss"));
        assert!(error(None, 0).contains("repeats is 0"));
    }
}
