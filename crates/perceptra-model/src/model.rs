//! The trained model.

use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{ArrayRef, Float32Array, RecordBatch};
use perceptra_data::{ColumnKind, DataError, EncodeReport, Encoder, Matrix, ReadOptions, Schema, Table, Task};
use perceptra_nn::{FeedForward, FeedForwardConfig, Loss, Predictor};
use perceptra_train::{ClassificationMetrics, History, RegressionMetrics, TrainConfig, TrainError, probabilities};
use serde::{Deserialize, Serialize};

use crate::calibration::{Confidence, temper};
use crate::error::ModelError;
use crate::metrics::{MetricValues, Metrics, TargetMetrics};
use crate::predictions::Predictions;

/// A trained network, or an ensemble, with everything it needs to predict tables: schema and encoder, and the history and scores of
/// its training.
#[derive(Debug, Clone)]
pub struct Model {
    pub(crate) about: About,
    /// The first network. The field is private, because the network must not change once it has a predictor.
    network: FeedForward,
    predictor: Idle,
    /// Share of `network` in the predictions; 1 without further members.
    pub(crate) share: f64,
    /// Further members of an ensemble with their shares.
    pub(crate) others: Vec<(f64, Model)>,
}

/// The cached predictor of a model's network; `None` before the first prediction and during one. A clone of a model creates its own.
#[derive(Debug, Default)]
struct Idle(Mutex<Option<Predictor>>);

impl Clone for Idle {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Idle {
    fn replace(&self, predictor: Option<Predictor>) -> Option<Predictor> {
        std::mem::replace(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner), predictor)
    }
}

/// Everything in a model file but the weights. For an ensemble, it describes the first network, except for the scores.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct About {
    /// Features, targets and task.
    pub schema: Schema,
    /// Texts that stand for a missing value in tables.
    pub(crate) missing: Vec<String>,
    /// The encoder from features to inputs and from outputs to targets.
    pub encoder: Encoder,
    /// Description of the network.
    pub network: FeedForwardConfig,
    /// Settings of the training.
    pub training: TrainConfig,
    /// The loss that was minimized.
    pub loss: Loss,
    /// Losses and learning rate of each epoch of the training, and why it ended.
    pub history: History,
    /// Scores on the test rows; `None` without test rows.
    pub metrics: Option<Metrics>,
    /// Temperature and residuals, from the validation rows.
    #[serde(default, skip_serializing_if = "Confidence::is_empty")]
    pub(crate) confidence: Confidence,
}

/// One network of a model.
#[derive(Debug, Clone, Copy)]
pub struct Member<'a> {
    /// Share in the predictions; the shares of all members add up to 1.
    pub share: f64,
    /// The network.
    pub network: &'a FeedForward,
    /// Losses and learning rate of each epoch of its training, and why it ended.
    pub history: &'a History,
}

/// Checks that two models have the same task, targets and classes.
pub(crate) fn fits(first: &About, other: &About) -> Result<(), String> {
    let (a, b) = (&first.encoder, &other.encoder);
    if a.targets() != b.targets() || first.schema.task != other.schema.task {
        let targets = |about: &About| format!("{} of {}", about.schema.task, about.encoder.targets().join(", "));
        return Err(format!("a member learns {}, the first one {}", targets(other), targets(first)));
    }
    if a.labels() != b.labels() {
        let labels = |about: &About| about.encoder.labels().unwrap_or_default().join(", ");
        return Err(format!("a member has the classes {}, the first one {}", labels(other), labels(first)));
    }
    Ok(())
}

impl Model {
    /// A model of one network.
    pub(crate) fn new(about: About, network: FeedForward) -> Self {
        Self { about, network, predictor: Idle::default(), share: 1.0, others: Vec::new() }
    }

    /// Everything the model knows but its weights: schema, encoder, settings, history and scores.
    pub fn about(&self) -> &About {
        &self.about
    }

    /// Options for reading tables for this model: the texts that stand for missing values are those of its training table.
    pub fn read_options(&self) -> ReadOptions {
        ReadOptions { missing: self.about.missing.clone(), ..ReadOptions::default() }
    }

    /// The network; for an ensemble, the first one.
    pub fn network(&self) -> &FeedForward {
        &self.network
    }

    /// Predicts every row of `table`. Columns are found by name, and other columns than the features are ignored. An ensemble
    /// averages the predictions of its members.
    ///
    /// # Errors
    ///
    /// Missing columns, and values that do not fit their column.
    pub fn predict(&self, table: &Table) -> Result<Predictions, ModelError> {
        let encoded = self.encode(table)?;
        let inputs: Vec<&[f32]> = encoded.iter().map(|(inputs, _)| inputs.values.as_slice()).collect();
        let mut predictions = self.predict_encoded(&inputs)?;
        predictions.report = encoded.into_iter().next().map(|(_, report)| report).unwrap_or_default();
        Ok(predictions)
    }

    /// Predicts the rows of an Arrow record batch in the same way as [`Model::predict`] predicts a table.
    ///
    /// # Errors
    ///
    /// As [`Table::from_batch`] and [`Model::predict`].
    pub fn predict_batch(&self, batch: &RecordBatch) -> Result<Predictions, ModelError> {
        self.predict(&Table::from_batch("record batch", batch, &self.read_options())?)
    }

    /// Predicts rows of numbers, stored row by row. A row has the unscaled values of the features, as in a table, in the order of
    /// [`Schema::features`]; NaN stands for a missing value.
    ///
    /// # Errors
    ///
    /// [`ModelError::NotNumeric`] for a model with a feature that is not numeric, [`ModelError::RowLength`] for a number of values that is
    /// not a multiple of the number of features; as [`Model::predict`].
    pub fn predict_rows(&self, values: &[f32]) -> Result<Predictions, ModelError> {
        let features = &self.about.schema.features;
        if let Some(feature) = features.iter().find(|feature| feature.kind != ColumnKind::Numeric) {
            let (column, kind) = (feature.name.clone(), feature.kind.name());
            return Err(ModelError::NotNumeric { column, kind });
        }
        if !values.len().is_multiple_of(features.len().max(1)) {
            return Err(ModelError::RowLength { values: values.len(), features: features.len() });
        }
        let columns = features.iter().enumerate().map(|(j, feature)| {
            let column: Float32Array = values.iter().skip(j).step_by(features.len()).copied().collect();
            (feature.name.as_str(), Arc::new(column) as ArrayRef)
        });
        let batch = RecordBatch::try_from_iter(columns).map_err(|e| ModelError::Settings(vec![e.to_string()]))?;
        self.predict_batch(&batch)
    }

    /// The networks of the model, each as (share in the predictions, model): this model's own network, then the further members of an
    /// ensemble.
    pub(crate) fn parts(&self) -> impl Iterator<Item = (f64, &Self)> {
        std::iter::once((self.share, self)).chain(self.others.iter().map(|(share, model)| (*share, model)))
    }

    /// Encodes the rows of `table` for each member: its inputs, and a report of missing values and unseen categories.
    pub(crate) fn encode(&self, table: &Table) -> Result<Vec<(Matrix, EncodeReport)>, ModelError> {
        Ok(self.parts().map(|(_, model)| model.about.encoder.inputs(table)).collect::<Result<_, _>>()?)
    }

    /// Predictions from the encoded inputs of each member.
    pub(crate) fn predict_encoded(&self, inputs: &[&[f32]]) -> Result<Predictions, ModelError> {
        let mut all = Vec::new();
        for ((share, model), inputs) in self.parts().zip(inputs) {
            all.push((share, model.predict_alone(inputs)?));
        }
        let average = if all.len() > 1 { Predictions::average(all.iter().map(|(share, p)| (*share, p))) } else { None };
        let mut predictions = average.unwrap_or_else(|| all.swap_remove(0).1);
        if let (Some(temperature), true) = (self.about.confidence.temperature, predictions.labels.is_some()) {
            temper(&mut predictions.values, temperature);
        }
        Ok(predictions)
    }

    /// The outputs of the model's own network for encoded rows, `[rows, outputs]`; logits under a loss that takes them. Every
    /// prediction passes through here.
    pub(crate) fn network_outputs(&self, inputs: &[f32]) -> Result<Vec<f32>, ModelError> {
        // Concurrent predictions use a predictor each, and one of these is kept.
        let mut predictor = match self.predictor.replace(None) {
            Some(predictor) => predictor,
            None => Predictor::new(&self.network, self.about.loss.takes_logits()).map_err(TrainError::from)?,
        };
        let outputs = predictor.predict(inputs).map_err(TrainError::from)?;
        self.predictor.replace(Some(predictor));
        Ok(outputs)
    }

    /// The predictions of the model's own network for encoded rows.
    fn predict_alone(&self, inputs: &[f32]) -> Result<Predictions, ModelError> {
        let encoder = &self.about.encoder;
        let columns = encoder.outputs();
        let outputs = self.network_outputs(inputs)?;
        let rows = outputs.len() / columns;
        let labels = encoder.labels().map(<[String]>::to_vec);
        let values = match &labels {
            Some(labels) => {
                let values = probabilities(&outputs, columns, self.about.loss).into_iter().map(f64::from).collect();
                Matrix { rows, columns: labels.len(), values }
            }
            None => {
                let mut values = encoder.decode(&Matrix { rows, columns, values: outputs });
                encoder.clamp(&mut values);
                values
            }
        };
        let targets = encoder.targets().into_iter().map(str::to_owned).collect();
        Ok(Predictions { values, spread: None, targets, labels, report: EncodeReport::default() })
    }

    /// Scores the model on `table`, which needs the targets too. Rows are weighted if the model was trained with row weights and the
    /// table has their column; those of weight 0 are left out.
    ///
    /// # Errors
    ///
    /// As [`Model::predict`], and missing or unknown targets.
    pub fn evaluate(&self, table: &Table) -> Result<Metrics, ModelError> {
        let table = &self.weighted(table)?;
        self.score(table, &self.predict(table)?)
    }

    /// The rows of `table` that have a weight; all of them, if the model was trained without row weights or the table lacks their column.
    /// Rows of weight 0 are rows that are not there.
    ///
    /// # Errors
    ///
    /// [`DataError::NoWeight`] for a table without such rows, and as [`Table::row_weights`].
    pub fn weighted(&self, table: &Table) -> Result<Table, ModelError> {
        let Some(column) = self.about.schema.weights.as_ref().filter(|column| table.columns().contains(column)) else {
            return Ok(table.clone());
        };
        match table.weighted_rows(column)? {
            None => Ok(table.clone()),
            Some(rows) if rows.is_empty() => {
                let (name, column) = (table.name().to_owned(), column.clone());
                Err(DataError::NoWeight { name, column, part: "evaluated" }.into())
            }
            Some(rows) => Ok(table.take(&rows)),
        }
    }

    /// Scores given predictions of this model's targets on `table`.
    ///
    /// # Errors
    ///
    /// As [`Model::evaluate`].
    pub fn score(&self, table: &Table, predictions: &Predictions) -> Result<Metrics, ModelError> {
        let encoder = &self.about.encoder;
        let weights = match &self.about.schema.weights {
            Some(column) if table.columns().contains(column) => Some(table.row_weights(column)?),
            _ => None,
        };
        let p = &predictions.values;
        let (values, targets) = match &predictions.labels {
            None => {
                let truth = encoder.numbers_of(table)?;
                let each = RegressionMetrics::each(&p.values, &truth.values, p.columns, weights.as_deref());
                let mean = RegressionMetrics::mean(&each);
                let named = predictions.targets.iter().zip(each).filter(|_| p.columns > 1);
                let targets = named.map(|(target, metrics)| TargetMetrics { target: target.clone(), metrics });
                (MetricValues::Regression(mean), targets.collect())
            }
            Some(labels) => {
                let truth = encoder.class_numbers(table)?;
                let metrics = ClassificationMetrics::of(&p.values, &truth, labels.len(), weights.as_deref());
                (MetricValues::Classification { metrics, labels: labels.clone() }, Vec::new())
            }
        };
        Ok(Metrics { rows: table.rows(), values, targets })
    }

    /// The task that the model learned.
    pub fn task(&self) -> Task {
        self.about.schema.task
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::StringArray;
    use burn::tensor::Device;

    use crate::run::RunConfig;
    use crate::tables::Tables;
    use crate::train::train;

    fn model(ignored: &str) -> (Model, Table) {
        let row = |i: usize| format!("{},{},{},{}\n", i % 11, ["u", "v"][i % 2], i % 7, (i % 11) * (i % 7));
        let rows: String = (0..90).map(row).collect();
        let table = Table::from_csv("t.csv", format!("a,b,c,y\n{rows}"), &Default::default()).unwrap();
        let mut run = RunConfig::default();
        run.data.schema.target = vec!["y".into()];
        run.data.schema.ignore = vec![ignored.into()];
        run.network.hidden = vec![4];
        run.train.epochs = 2;
        (train(&run, &Tables::from(table.clone()), &Device::flex(), &mut ()).unwrap().model, table)
    }

    #[test]
    fn rows_of_numbers_and_record_batches_are_predicted_as_tables_are() {
        let (model, table) = model("b");
        let expected = model.predict(&table).unwrap();
        let values: Vec<f32> = (0..90).flat_map(|i| [(i % 11) as f32, (i % 7) as f32]).collect();
        assert_eq!(model.predict_rows(&values).unwrap(), expected);
        assert_eq!(model.predict_rows(&values[10..12]).unwrap().values.values, expected.values.values[5..6]);
        assert_eq!(model.predict_rows(&[]).unwrap().values.rows, 0);
        let missing = model.predict_rows(&[f32::NAN, 3.0]).unwrap();
        assert_eq!(missing.report.missing, [("a".to_owned(), 1)]);
        let error = model.predict_rows(&values[..3]).unwrap_err().to_string();
        assert_eq!(error, "3 values are no whole rows of 2 features");

        let column = |f: &dyn Fn(usize) -> f32| -> ArrayRef { Arc::new((0..90).map(f).collect::<Float32Array>()) };
        let batch = [("c", column(&|i| (i % 7) as f32)), ("a", column(&|i| (i % 11) as f32))];
        let batch = RecordBatch::try_from_iter(batch).unwrap();
        assert_eq!(model.predict_batch(&batch).unwrap(), expected);
    }

    #[test]
    fn pieces_and_threads_get_the_predictions_of_the_whole() {
        let (model, table) = model("b");
        let expected = model.predict(&table).unwrap().values.values;
        let rows: Vec<f32> = (0..90).flat_map(|i| [(i % 11) as f32, (i % 7) as f32]).collect();
        let predict = |model: &Model| -> Vec<f64> {
            rows.chunks(2 * 20).flat_map(|piece| model.predict_rows(piece).unwrap().values.values).collect()
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..3).map(|_| scope.spawn(|| predict(&model))).collect();
            threads.into_iter().for_each(|thread| assert_eq!(thread.join().unwrap(), expected));
        });
        assert_eq!(predict(&model.clone()), expected);
    }

    #[test]
    fn categories_are_predicted_from_batches_alone() {
        let (model, table) = model("c");
        let error = model.predict_rows(&[1.0, 2.0]).unwrap_err().to_string();
        assert_eq!(
            error,
            "the feature \"b\" is categorical: rows of numbers cannot hold it, a table or a record batch can"
        );
        let a: ArrayRef = Arc::new((0..90).map(|i| (i % 11) as f32).collect::<Float32Array>());
        let b: ArrayRef = Arc::new((0..90).map(|i| Some(["u", "v"][i % 2])).collect::<StringArray>());
        let batch = RecordBatch::try_from_iter([("a", a), ("b", b)]).unwrap();
        assert_eq!(model.predict_batch(&batch).unwrap(), model.predict(&table).unwrap());
    }
}
