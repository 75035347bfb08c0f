//! The trained model: from tables to predictions.

use perceptra_data::{EncodeReport, Encoder, Matrix, ReadOptions, Schema, Table, Task, row_weights};
use perceptra_nn::{FeedForward, FeedForwardConfig, Loss};
use perceptra_train::{ClassificationMetrics, History, RegressionMetrics, TrainConfig, probabilities};
use serde::{Deserialize, Serialize};

use crate::calibration::{Confidence, temper};
use crate::error::ModelError;
use crate::metrics::{MetricValues, Metrics};
use crate::predictions::Predictions;

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

/// A network of a model.
#[derive(Debug, Clone, Copy)]
pub struct Member<'a> {
    /// Its share in the predictions; those of all members add up to 1.
    pub share: f64,
    /// The network.
    pub network: &'a FeedForward,
    /// The epochs of its training.
    pub history: &'a History,
}

/// Whether two models predict the same things.
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

    /// The outputs of the model's own network for encoded rows, `[rows, outputs]`; logits under a loss that takes them. Every
    /// prediction passes through here.
    pub(crate) fn network_outputs(&self, inputs: &[f32]) -> Result<Vec<f32>, ModelError> {
        Ok(perceptra_train::outputs(&self.network, inputs, self.about.loss)?)
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
            Some(column) if table.has(column) => Some(row_weights(table, column)?),
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
