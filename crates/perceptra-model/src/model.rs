//! The trained model: from tables to predictions.

use perceptra_data::{EncodeReport, Encoder, Matrix, ReadOptions, Schema, Table, Task};
use perceptra_nn::{FeedForward, FeedForwardConfig, Loss};
use perceptra_train::{
    ClassificationMetrics, History, Metric, RegressionMetrics, TrainConfig, argmax, outputs, probabilities,
};
use serde::{Deserialize, Serialize};

use crate::ModelError;
use crate::confidence::{Confidence, temper};

/// A trained network with all it takes to use it on a table: schema, encoder, history, scores.
#[derive(Debug, Clone)]
pub struct Model {
    pub(crate) about: About,
    pub(crate) network: FeedForward,
    /// The share of `network` in the predictions, and the further members of an ensemble with theirs.
    pub(crate) share: f64,
    pub(crate) others: Vec<(f64, Model)>,
}

/// What a model file says besides the weights.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct About {
    pub(crate) schema: Schema,
    /// Texts that mean "no value" in the tables the model is for.
    pub(crate) missing: Vec<String>,
    pub(crate) encoder: Encoder,
    pub(crate) network: FeedForwardConfig,
    pub(crate) training: TrainConfig,
    pub(crate) loss: Loss,
    pub(crate) history: History,
    pub(crate) metrics: Option<Metrics>,
    /// What was learned from the validation rows about how sure predictions are.
    #[serde(default, skip_serializing_if = "Confidence::is_empty")]
    pub(crate) confidence: Confidence,
}

/// How good a model is on some rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Rows that were judged.
    pub rows: usize,
    /// The numbers.
    #[serde(flatten)]
    pub values: MetricValues,
}

/// Numbers by kind of task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum MetricValues {
    /// Of numeric targets, in their own units.
    Regression(RegressionMetrics),
    /// Of classes.
    Classification {
        /// The numbers.
        #[serde(flatten)]
        metrics: ClassificationMetrics,
        /// The classes, in the order of the confusion matrix.
        labels: Vec<String>,
    },
}

impl Metrics {
    /// One of the numbers, if the task has it.
    pub fn get(&self, metric: Metric) -> Option<f64> {
        match &self.values {
            MetricValues::Regression(values) => values.get(metric),
            MetricValues::Classification { metrics, .. } => metrics.get(metric),
        }
    }
}

/// Predictions, row by row as the table.
#[derive(Debug, Clone, PartialEq)]
pub struct Predictions {
    /// Regression: `[rows, targets]` in the targets' own units. Classes: `[rows, classes]` probabilities.
    pub values: Matrix,
    /// Of an ensemble, the standard deviation of each value over the members: where they disagree, the prediction is uncertain.
    pub spread: Option<Matrix>,
    /// Target columns.
    pub targets: Vec<String>,
    /// The classes, for classification.
    pub labels: Option<Vec<String>>,
    /// Missing values that were filled in and categories that were not known.
    pub report: EncodeReport,
}

impl Predictions {
    /// The most probable class of each row, as an index into `labels`; nothing for regression.
    pub fn classes(&self) -> Vec<usize> {
        match self.labels {
            Some(_) => self.values.values.chunks_exact(self.values.columns).map(argmax).collect(),
            None => Vec::new(),
        }
    }
}

impl Model {
    /// What the columns mean.
    pub fn schema(&self) -> &Schema {
        &self.about.schema
    }

    /// How to read the tables the model is for: with the texts for missing values of the table it was trained on.
    pub fn read_options(&self) -> ReadOptions {
        ReadOptions { missing: self.about.missing.clone(), ..ReadOptions::default() }
    }

    /// Features to inputs, outputs to targets.
    pub fn encoder(&self) -> &Encoder {
        &self.about.encoder
    }

    /// The network.
    pub fn network(&self) -> &FeedForward {
        &self.network
    }

    /// The network's description.
    pub fn network_config(&self) -> &FeedForwardConfig {
        &self.about.network
    }

    /// How it was trained.
    pub fn training(&self) -> &TrainConfig {
        &self.about.training
    }

    /// The loss it was trained with.
    pub fn loss(&self) -> Loss {
        self.about.loss
    }

    /// The epochs of its training.
    pub fn history(&self) -> &History {
        &self.about.history
    }

    /// How good it was on the held-out rows, if there were any.
    pub fn metrics(&self) -> Option<&Metrics> {
        self.about.metrics.as_ref()
    }

    /// Predicts every row of `table`. Columns are found by name; others than the features are not looked at. The predictions of
    /// an ensemble are the averages of those of its members.
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

    /// The model's own part, and those of the further members of an ensemble, with their shares.
    pub(crate) fn parts(&self) -> impl Iterator<Item = (f64, &Self)> {
        std::iter::once((self.share, self)).chain(self.others.iter().map(|(share, model)| (*share, model)))
    }

    /// The rows of `table` as the inputs of each member.
    pub(crate) fn encode(&self, table: &Table) -> Result<Vec<(Matrix, EncodeReport)>, ModelError> {
        Ok(self.parts().map(|(_, model)| model.about.encoder.inputs(table)).collect::<Result<_, _>>()?)
    }

    /// The predictions for rows that are inputs of each member.
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

    /// The predictions of the first network, for rows that are its inputs.
    fn predict_alone(&self, inputs: &[f32]) -> Result<Predictions, ModelError> {
        let encoder = &self.about.encoder;
        let columns = encoder.outputs();
        let outputs = outputs(&self.network, inputs, self.about.loss)?;
        let rows = outputs.len() / columns;
        let labels = encoder.labels().map(<[String]>::to_vec);
        let values = match &labels {
            Some(labels) => {
                Matrix { rows, columns: labels.len(), values: probabilities(&outputs, columns, self.about.loss) }
            }
            None => {
                let mut values = Matrix { rows, columns, values: outputs };
                encoder.decode(&mut values);
                encoder.clamp(&mut values);
                values
            }
        };
        let targets = encoder.targets().into_iter().map(str::to_owned).collect();
        Ok(Predictions { values, spread: None, targets, labels, report: EncodeReport::default() })
    }

    /// Judges the model by the rows of `table`, which has the targets too, with row weights if the model was trained with
    /// them and the table has that column.
    ///
    /// # Errors
    ///
    /// As [`Model::predict`], and missing or unknown targets.
    pub fn evaluate(&self, table: &Table) -> Result<Metrics, ModelError> {
        self.judge(table, &self.predict(table)?)
    }

    /// Judges predictions of this model's targets, made by whatever means, by the rows of `table`.
    ///
    /// # Errors
    ///
    /// As [`Model::evaluate`].
    pub fn judge(&self, table: &Table, predictions: &Predictions) -> Result<Metrics, ModelError> {
        let encoder = &self.about.encoder;
        let mut targets = encoder.outputs_of(table)?;
        let weights = match &self.about.schema.weights {
            Some(column) if table.has(column) => Some(table.row_weights(column)?),
            _ => None,
        };
        let p = &predictions.values;
        let values = match &predictions.labels {
            None => {
                encoder.decode(&mut targets);
                MetricValues::Regression(RegressionMetrics::of(
                    &p.values,
                    &targets.values,
                    p.columns,
                    weights.as_deref(),
                ))
            }
            Some(labels) => {
                let truth = encoder.class_numbers(table)?;
                let metrics = ClassificationMetrics::of(&p.values, &truth, labels.len(), weights.as_deref());
                MetricValues::Classification { metrics, labels: labels.clone() }
            }
        };
        Ok(Metrics { rows: table.rows(), values })
    }

    /// What the model learned to do.
    pub fn task(&self) -> Task {
        self.about.schema.task
    }
}
