//! A run whose tables are encoded and whose network is built.

use burn::tensor::{Device, Tensor, TensorData};
use perceptra_data::{EncodeReport, Encoder, InputKind, Matrix, Schema, Table, Task, Weights, nearest};
use perceptra_nn::{Activation, Column, EmbeddingConfig, FeedForward, FeedForwardConfig, Initializer, Loss};
use perceptra_train::{ClassWeights, Dataset, Fitted, History, Metric, StopReason, TrainConfig};

use crate::calibration::Confidence;
use crate::encoded::{Encoded, bins};
use crate::error::ModelError;
use crate::fitting::{TargetScale, loss_fits, metric_fits, output_range, target_scale, usual_loss};
use crate::model::{About, Model};
use crate::note::{Note, RowHashes};
use crate::partition::{Partition, divide};
use crate::run::{EmbeddingKind, RunConfig, ValidRun};
use crate::tables::Tables;
use crate::trained::Trained;

/// A run whose tables are encoded, and whose network is built.
#[derive(Debug, Clone)]
pub(crate) struct Prepared {
    calibrate: bool,
    pub(crate) about: About,
    pub(crate) network: FeedForward,
    pub(crate) target_scales: Vec<f32>,
    pub(crate) train_table: Table,
    pub(crate) validation: Option<Table>,
    test: Option<Table>,
    pub(crate) train_rows: Encoded,
    pub(crate) validation_rows: Option<Encoded>,
    pub(crate) rows: [usize; 3],
    report: EncodeReport,
    train_hashes: RowHashes,
    notes: Vec<Note>,
    unreachable: usize,
}

impl Prepared {
    pub(crate) fn new(run: ValidRun<'_>, tables: &Tables, device: &Device) -> Result<Self, ModelError> {
        let weighted = tables.weighted(&run)?;
        let tables = weighted.as_ref().unwrap_or(tables);
        let table = &tables.table;
        let (schema, labels) = match &tables.stream {
            Some(stream) => stream.schema(table, &run.data.schema)?,
            None => {
                let schema = Schema::infer(table, &run.data.schema)?;
                let labels = Encoder::labels_of(table, &schema)?;
                (schema, labels)
            }
        };
        let loss = fitting_loss(run.train.loss, schema.task)?;
        check_monitor(run.train.monitor, schema.task)?;
        let Partition { train: train_table, validation, test, mut notes } = match &tables.stream {
            // The rows of a stream are divided already: its table is a sample of its training rows.
            Some(_) => {
                let (validation, test) = (tables.validation.clone(), tables.test.clone());
                let notes = if validation.is_none() { vec![Note::NoValidation] } else { Vec::new() };
                Partition { train: table.clone(), validation, test, notes }
            }
            None => divide(&run, tables, &schema, 2)?,
        };
        check_clashes(&run, schema.task, validation.is_some())?;
        let encoder = fit_encoder(&run, &train_table, &schema, labels)?;
        let (train_rows, report) = Encoded::of(&train_table, &encoder, &schema)?;
        let validation_rows =
            validation.as_ref().map(|t| Encoded::of(t, &encoder, &schema)).transpose()?.map(|(rows, _)| rows);
        let train_hashes = RowHashes::of(&train_rows.inputs, &train_rows.targets);
        if let Some(rows) = &validation_rows {
            notes.extend(train_hashes.repeated("validation", &rows.inputs, &rows.targets));
        }
        let weights = Weights::of(&train_table, &schema)?;
        let rows = (&train_rows.inputs, weights.as_ref());
        let (network_config, network) = build_network(&run, &schema, &encoder, rows, device)?;
        let unreachable = unreachable(&train_rows.targets, schema.task, network_config.output_activation);
        let target_scales: Vec<f32> = encoder.target_scales().iter().map(|s| *s as f32).collect();
        let training = TrainConfig { loss: Some(loss), ..run.train.clone() };
        let rows = [Some(&train_table), validation.as_ref(), test.as_ref()].map(|t| t.map_or(0, Table::rows));
        let history =
            History { monitor: training.monitor, epochs: Vec::new(), best_epoch: 0, stop: StopReason::Unfinished };
        let missing = run.data.read.missing_without_kept();
        let about = About {
            schema,
            missing,
            encoder,
            network: network_config,
            training,
            loss,
            history,
            metrics: None,
            confidence: Confidence::default(),
        };
        let calibrate = run.output.calibrate;
        Ok(Self {
            calibrate,
            about,
            network,
            target_scales,
            train_table,
            validation,
            test,
            train_rows,
            validation_rows,
            rows,
            report,
            train_hashes,
            notes,
            unreachable,
        })
    }

    /// Moves the training rows to the device.
    pub(crate) fn train_data(&mut self, device: &Device) -> Result<Dataset, ModelError> {
        std::mem::take(&mut self.train_rows).dataset(&self.target_scales, device)
    }

    /// Moves the validation rows to the device.
    pub(crate) fn validation_data(&mut self, device: &Device) -> Result<Option<Dataset>, ModelError> {
        self.validation_rows.take().map(|rows| rows.dataset(&self.target_scales, device)).transpose()
    }

    /// The model with the trained network, and its scores.
    pub(crate) fn finish(self, fitted: Fitted<FeedForward>) -> Result<Trained, ModelError> {
        let Self {
            calibrate,
            about,
            train_table,
            validation,
            test,
            rows,
            report,
            unreachable,
            train_hashes,
            mut notes,
            ..
        } = self;
        let mut model = Model::new(about, fitted.network);
        model.about.history = fitted.history;
        let dead = is_dead(&model, validation.as_ref().unwrap_or(&train_table))?;
        let judged = validation.map(|table| model.learn_confidence(&table, calibrate)).transpose()?;
        let (validation, calibration) = judged.map_or((None, None), |(metrics, done)| (Some(metrics), done));
        if let Some(test) = &test {
            let encoded = model.encode(test)?;
            let inputs: Vec<&[f32]> = encoded.iter().map(|(inputs, _)| inputs.values.as_slice()).collect();
            if let Some((inputs, _)) = encoded.first() {
                notes.extend(train_hashes.repeated("test", inputs, &model.about().encoder.outputs_of(test)?));
            }
            model.about.metrics = Some(model.score(test, &model.predict_encoded(&inputs)?)?);
        }
        Ok(Trained { model, rows, validation, calibration, report, notes, dead, unreachable })
    }
}

/// Whether the network gives the same outputs for all of the first 1000 rows of `table`, although their inputs differ.
fn is_dead(model: &Model, table: &Table) -> Result<bool, ModelError> {
    let rows: Vec<u32> = (0..table.rows().min(1000) as u32).collect();
    let (inputs, _) = model.about().encoder.inputs(&table.take(&rows))?;
    let outputs = model.network_outputs(&inputs.values)?;
    let same = |values: &[f32], columns: usize| values.chunks(columns).all(|row| row == &values[..columns]);
    Ok(same(&outputs, model.about().encoder.outputs()) && !same(&inputs.values, inputs.columns))
}

/// Maximum number of rows to which data-driven initial weights are fitted.
const INITIALIZER_ROWS: usize = 10_000;

/// Builds the network for the inputs and outputs of `encoder`, with its initial weights; `rows` are encoded training rows.
pub(crate) fn build_network(
    run: &RunConfig,
    schema: &Schema,
    encoder: &Encoder,
    (rows, weights): (&Matrix, Option<&Weights>),
    device: &Device,
) -> Result<(FeedForwardConfig, FeedForward), ModelError> {
    let output = match schema.task {
        Task::Regression => Activation::Identity,
        Task::Binary if encoder.outputs() == 1 => Activation::Sigmoid,
        _ => Activation::Softmax,
    };
    let config = describe(run, &encoder.kinds(), (rows, weights), encoder.outputs(), output);
    let config = config.map_err(|problem| ModelError::Settings(vec![problem]))?;
    let mut network = config.init(device)?;
    if config.initializer == Initializer::DataDriven && rows.rows > 0 {
        let n = rows.rows.min(INITIALIZER_ROWS);
        let seen = TensorData::new(rows.values[..n * rows.columns].to_vec(), [n, rows.columns]);
        network = network.fit_to(Tensor::from_data(seen, device), run.train.seed);
    }
    Ok((config, network))
}

/// The description of the network, with an embedding if inputs of these kinds need one. Bins have quantiles of `rows` as edges.
fn describe(
    run: &RunConfig,
    kinds: &[InputKind],
    (rows, weights): (&Matrix, Option<&Weights>),
    outputs: usize,
    output: Activation,
) -> Result<FeedForwardConfig, String> {
    let network = &run.network;
    let config = network.feed_forward(kinds.len(), outputs, output, run.train.seed)?;
    let is_embedded = |kind: &InputKind| match kind {
        InputKind::Number => network.embedding != EmbeddingKind::None,
        InputKind::Category(_) => true,
        InputKind::Code => false,
    };
    if !kinds.iter().any(is_embedded) {
        return Ok(config);
    }
    let binned = network.embedding == EmbeddingKind::PiecewiseLinear;
    let mut all_edges = Vec::new();
    let column = |(i, kind): (usize, &InputKind)| match kind {
        InputKind::Number if binned => match bins(rows, weights, i, network.bins) {
            // A column that never changes has no bins.
            edges if edges.len() < 2 => Column::Plain,
            edges => {
                all_edges.push(edges);
                Column::Number
            }
        },
        InputKind::Number => Column::Number,
        InputKind::Code => Column::Plain,
        InputKind::Category(n) => Column::Category(*n),
    };
    let columns = kinds.iter().enumerate().map(column).collect();
    let numbers = network.number_embedding(all_edges)?;
    let embedding = EmbeddingConfig { columns, numbers, category_width: network.category_width };
    Ok(config.with_parts(network.extras(Some(embedding))))
}

/// The loss to train with: `loss`, by default the usual loss of the task. It is an error if `loss` does not fit the task.
pub(crate) fn fitting_loss(loss: Option<Loss>, task: Task) -> Result<Loss, ModelError> {
    let loss = loss.unwrap_or_else(|| usual_loss(task));
    if loss_fits(loss, task) { Ok(loss) } else { Err(ModelError::LossMismatch { loss, task }) }
}

/// Checks the settings against the task and against each other.
fn check_clashes(run: &RunConfig, task: Task, validated: bool) -> Result<(), ModelError> {
    let mut problems = Vec::new();
    if task == Task::Regression && run.train.class_weights != ClassWeights::Equal {
        problems.push("class_weights are set, and the task is regression, which has no classes".to_owned());
    }
    if task != Task::Multiclass && run.network.output_activation == Some(Activation::Softmax) {
        problems.push(format!("output_activation is softmax, which is for several classes, and the task is {task}"));
    }
    let monitor = run.train.monitor;
    if monitor != Metric::Loss && !validated {
        problems.push(format!(
            "monitor is {monitor}, which is judged on validation rows, and there are none: put some aside, or monitor the loss"
        ));
    }
    if problems.is_empty() { Ok(()) } else { Err(ModelError::Settings(problems)) }
}

/// The encoder of a run, learned from its training rows.
pub(crate) fn fit_encoder(
    run: &RunConfig,
    train: &Table,
    schema: &Schema,
    labels: Option<Vec<String>>,
) -> Result<Encoder, ModelError> {
    let keeps_zero = keeps_zero(run, schema.task)?;
    let labels = with_positive(labels, run.data.positive.as_deref(), schema)?;
    let mut encoder = Encoder::fit(train, schema, labels, &run.encoder)?;
    if keeps_zero {
        encoder.keep_zero();
    }
    Ok(encoder)
}

/// The rows with a target that the activation of the output cannot give.
fn unreachable(targets: &Matrix, task: Task, output: Activation) -> usize {
    let [least, largest] = output_range(output);
    let beyond = |row: &&[f32]| row.iter().any(|y| *y < least || *y > largest);
    match task {
        Task::Regression => targets.values.chunks(targets.columns.max(1)).filter(beyond).count(),
        Task::Binary | Task::Multiclass => 0,
    }
}

/// Whether numeric targets are scaled and not shifted, because the activation of the output bends at 0.
fn keeps_zero(run: &RunConfig, task: Task) -> Result<bool, ModelError> {
    let activation = match (task, run.network.output_activation) {
        (Task::Regression, Some(activation)) if run.encoder.standardize_target => activation,
        (Task::Regression | Task::Binary | Task::Multiclass, _) => return Ok(false),
    };
    match target_scale(activation) {
        TargetScale::Any => Ok(false),
        TargetScale::KeepsZero => Ok(true),
        TargetScale::Unscaled => Err(ModelError::OutputActivation { activation }),
    }
}

/// The classes in an order in which the positive one of two is the last.
fn with_positive(
    labels: Option<Vec<String>>,
    positive: Option<&str>,
    schema: &Schema,
) -> Result<Option<Vec<String>>, ModelError> {
    let Some(class) = positive else { return Ok(labels) };
    let classes = labels.unwrap_or_default();
    // Numbers are the same however they are written.
    let number = |text: &str| text.trim().parse::<f64>().ok();
    let found = (classes.iter().position(|label| label == class))
        .or_else(|| classes.iter().position(|label| number(label).is_some_and(|x| number(class) == Some(x))));
    match (classes.as_slice(), found) {
        ([first, second], Some(0)) => Ok(Some(vec![second.clone(), first.clone()])),
        ([_, _], Some(_)) => Ok(Some(classes)),
        _ => {
            let nearest = if classes.len() == 2 { nearest(class, &classes) } else { None };
            let target = schema.targets.first().cloned().unwrap_or_default();
            Err(ModelError::Positive { target, class: class.to_owned(), classes, nearest })
        }
    }
}

fn check_monitor(monitor: Metric, task: Task) -> Result<(), ModelError> {
    if metric_fits(monitor, task) { Ok(()) } else { Err(ModelError::MetricMismatch { metric: monitor, task }) }
}
