//! From a table to a model.

use burn::tensor::Device;
use perceptra_data::{
    DataError, EncodeReport, Encoder, Schema, Split, Table, Task, row_weights, strata, target_numbers,
};
use perceptra_nn::{Activation, Loss};
use perceptra_train::{Dataset, Metric, Observer, fit};

use crate::model::About;
use crate::{Metrics, Model, ModelError, RunConfig, Tables};

/// A trained model and what there is to say of its making.
#[derive(Debug, Clone)]
pub struct Trained {
    /// The model.
    pub model: Model,
    /// Rows trained, validated, tested.
    pub rows: [usize; 3],
    /// How good it is on the validation rows, which chose the epoch.
    pub validation: Option<Metrics>,
    /// Missing values of the training rows that were filled in.
    pub report: EncodeReport,
}

/// Trains a model on `tables` as `run` says, on `device`.
///
/// The test rows are looked at once, at the end. The encoder learns from the training rows alone.
///
/// # Errors
///
/// Everything that can be wrong with settings, tables and training: see [`ModelError`].
pub fn train(
    run: &RunConfig,
    tables: &Tables,
    device: &Device,
    observer: &mut impl Observer,
) -> Result<Trained, ModelError> {
    run.validate()?;
    let table = &tables.table;
    let schema = Schema::infer(table, &run.data.schema)?;
    let loss = fitting_loss(run.train.loss, schema.task)?;
    check_monitor(run.train.monitor, schema.task)?;
    let labels = Encoder::labels_of(table, &schema)?;
    let [train_table, validation, test] = parts(run, tables, &schema)?;
    let train_table = train_table.unwrap_or_else(|| table.clone());

    let encoder = Encoder::fit(&train_table, &schema, labels, &run.encoder)?;
    let units: Vec<f32> = encoder.target_scales().iter().map(|s| *s as f32).collect();
    let dataset = |table: &Table| -> Result<(Dataset, EncodeReport), ModelError> {
        let (inputs, report) = encoder.inputs(table)?;
        let targets = encoder.outputs_of(table)?;
        let shape = (inputs.columns, targets.columns);
        let mut data = Dataset::from_rows(inputs.values, targets.values, shape, device)?;
        if let Some(column) = &schema.weights {
            data = data.with_weights(row_weights(table, column)?)?;
        }
        Ok((if units.is_empty() { data } else { data.with_units(units.clone()) }, report))
    };
    let (train_data, report) = dataset(&train_table)?;
    let validation_data = validation.as_ref().map(&dataset).transpose()?.map(|(data, _)| data);

    let output = match schema.task {
        Task::Regression => Activation::Identity,
        Task::Binary if encoder.outputs() == 1 => Activation::Sigmoid,
        _ => Activation::Softmax,
    };
    let (inputs, outputs) = train_data.shape();
    let network_config =
        run.feed_forward(inputs, outputs, output).map_err(|problem| ModelError::Settings(vec![problem]))?;
    let network = network_config.init(device)?;
    let mut training = run.train.clone();
    training.loss = Some(loss);
    let fitted = fit(network, &train_data, validation_data.as_ref(), &training, observer)?;

    let rows = [Some(&train_table), validation.as_ref(), test.as_ref()].map(|t| t.map_or(0, Table::rows));
    let about = About {
        schema,
        missing: run.data.read.missing.clone(),
        encoder,
        network: network_config,
        training,
        loss,
        history: fitted.history,
        metrics: None,
    };
    let mut model = Model { about, network: fitted.network };
    model.about.metrics = test.map(|t| model.evaluate(&t)).transpose()?;
    let validation = validation.map(|t| model.evaluate(&t)).transpose()?;
    Ok(Trained { model, rows, validation, report })
}

/// The training, validation and test tables; no training table where it is the whole one.
fn parts(run: &RunConfig, tables: &Tables, schema: &Schema) -> Result<[Option<Table>; 3], ModelError> {
    let table = &tables.table;
    let options = &run.split;
    if let Some(column) = &run.data.schema.split {
        let split = Split::from_column(table, column)?;
        let part = |rows: &[u32]| (!rows.is_empty()).then(|| table.take(rows));
        return Ok([
            part(&split.train),
            part(&split.validation).or_else(|| tables.validation.clone()),
            part(&split.test).or_else(|| tables.test.clone()),
        ]);
    }
    // A table of its own takes the place of a share.
    let test = if tables.test.is_some() { 0.0 } else { options.test };
    let validation = if tables.validation.is_some() { 0.0 } else { options.validation };
    let classes = match (options.stratify, schema.task, schema.targets.first()) {
        (false, ..) | (.., None) => None,
        (true, Task::Regression, Some(target)) => Some(strata(&target_numbers(table, target)?)),
        (true, _, Some(target)) => Some(stratified_classes(table, schema, target, test + validation > 0.0)?),
    };
    let split = Split::holdout(table.rows(), test, validation, classes.as_deref(), run.train.seed)?;
    let part = |rows: &[u32]| (!rows.is_empty()).then(|| table.take(rows));
    Ok([
        part(&split.train),
        tables.validation.clone().or_else(|| part(&split.validation)),
        tables.test.clone().or_else(|| part(&split.test)),
    ])
}

/// The class of each row. A class of one row cannot be in two parts.
fn stratified_classes(table: &Table, schema: &Schema, target: &str, divided: bool) -> Result<Vec<u32>, ModelError> {
    let labels = Encoder::labels_of(table, schema)?.unwrap_or_default();
    let classes = perceptra_data::class_numbers(table, target, &labels)?;
    let mut counts = vec![0; labels.len()];
    classes.iter().for_each(|&c| counts[c as usize] += 1);
    match counts.iter().position(|&n| n == 1) {
        Some(class) if divided => Err(DataError::ClassTooSmall { class: labels[class].clone() }.into()),
        _ => Ok(classes),
    }
}

/// The loss that was asked for, if it fits the task; else what suits it.
fn fitting_loss(loss: Option<Loss>, task: Task) -> Result<Loss, ModelError> {
    let suiting = match task {
        Task::Regression => Loss::MeanSquared,
        Task::Binary => Loss::BinaryCrossEntropy,
        Task::Multiclass => Loss::CategoricalCrossEntropy,
    };
    let loss = loss.unwrap_or(suiting);
    if loss.takes_logits() && loss != suiting {
        return Err(ModelError::LossMismatch { loss: loss.to_string(), task: task.to_string() });
    }
    Ok(loss)
}

fn check_monitor(monitor: Metric, task: Task) -> Result<(), ModelError> {
    if monitor == Metric::Loss || monitor.is_of_classes() == task.is_classification() {
        return Ok(());
    }
    Err(ModelError::MetricMismatch { metric: monitor.to_string(), task: task.to_string() })
}
