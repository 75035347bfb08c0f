//! From a table to a model.

use std::sync::atomic::AtomicBool;

use burn::tensor::{Device, Tensor, TensorData};
use perceptra_data::{DataError, EncodeReport, Encoder, Matrix, Schema, Split, Table, Task, strata};
use perceptra_nn::{Activation, FeedForward, FeedForwardConfig, Initializer, Loss};
use perceptra_train::{
    ClassWeights, Control, Dataset, Event, Fitted, History, Member, Metric, Observer, Quiet, StopReason, TrainConfig,
    TrainError, TrainState, fit, fit_blocks, fit_many, parallel, resume_blocks,
};

use crate::checkpoint::{Fingerprint, Folder, Keeper};
use crate::confidence::{Calibration, Confidence};
use crate::encoded::Encoded;
use crate::ensemble::train_ensemble;
use crate::model::About;
use crate::{Checkpoint, Metrics, Model, ModelError, RunConfig, Tables};

/// A trained model and what there is to say of its making.
#[derive(Debug, Clone)]
pub struct Trained {
    /// The model.
    pub model: Model,
    /// Rows trained, validated, tested.
    pub rows: [usize; 3],
    /// How good it is on the validation rows, which chose the epoch.
    pub validation: Option<Metrics>,
    /// What the temperature that the validation rows chose did to their probabilities.
    pub calibration: Option<Calibration>,
    /// Missing values of the training rows that were filled in.
    pub report: EncodeReport,
    /// Whether the network gives the same output for every row: all units of a hidden layer are off, or it learned nothing.
    pub dead: bool,
}

/// Trains a model on `tables` as `run` says, on `device`.
///
/// The test rows are looked at once, at the end. The encoder learns from the training rows alone. Checkpoints are written if
/// `run.checkpoint` has a folder; [`resume`] goes on from one. Members of an ensemble are trained at once; of them the observer
/// is told nothing.
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
    match run.network.ensemble {
        1 => train_from(run, None, None, tables, device, observer),
        _ => train_ensemble(run, tables, device, observer.interrupt()),
    }
}

/// A run that was trained up to an epoch.
#[derive(Debug, Clone)]
pub struct Stage {
    /// The best model so far.
    pub trained: Trained,
    /// The run as it is, to go on from; none if it has come to its end.
    pub state: Option<TrainState>,
}

/// As [`train`], up to the epoch `until`, from the `state` of an earlier stage of the same run: stage by stage, on the CPU
/// backends, the result has the bits of one run.
///
/// # Errors
///
/// As [`train`].
pub fn train_stage(
    run: &RunConfig,
    tables: &Tables,
    device: &Device,
    state: Option<&TrainState>,
    until: usize,
    observer: &mut impl Observer,
) -> Result<Stage, ModelError> {
    let mut stop = StopAt { observer, until, state: None };
    let trained = train_from(run, None, state, tables, device, &mut stop)?;
    let state = stop.state.transpose()?.filter(|_| trained.model.history().stop == StopReason::Asked);
    Ok(Stage { trained, state })
}

/// Stops a run after an epoch and keeps its state, beside another observer.
struct StopAt<'a, O> {
    observer: &'a mut O,
    until: usize,
    state: Option<Result<TrainState, TrainError>>,
}

impl<O: Observer> Observer for StopAt<'_, O> {
    fn observe(&mut self, event: &Event<'_>) -> Control {
        let asked = self.observer.observe(event);
        match event {
            Event::Epoch { epoch, run: Some(run), .. } if epoch.epoch >= self.until => {
                self.state = Some(run.state());
                Control::Stop
            }
            _ => asked,
        }
    }

    fn interrupt(&self) -> Option<&AtomicBool> {
        self.observer.interrupt()
    }
}

/// Goes on with the run of which `checkpoint` is, as [`train`]: on the CPU backends the model has the bits of a run without
/// interruption. `run` is that of the checkpoint, except for when to stop, where to compute and what to write.
///
/// # Errors
///
/// As [`train`], and [`ModelError::OtherRun`] for other settings or other data.
pub fn resume(
    checkpoint: &Checkpoint,
    run: &RunConfig,
    tables: &Tables,
    device: &Device,
    observer: &mut impl Observer,
) -> Result<Trained, ModelError> {
    train_from(run, Some(checkpoint), None, tables, device, observer)
}

pub(crate) fn train_from(
    run: &RunConfig,
    from: Option<&Checkpoint>,
    state: Option<&TrainState>,
    tables: &Tables,
    device: &Device,
    observer: &mut impl Observer,
) -> Result<Trained, ModelError> {
    run.validate()?;
    if let Some(from) = from {
        let differences = from.differences(run);
        if !differences.is_empty() {
            return Err(ModelError::OtherRun { path: from.path().to_owned(), differences });
        }
    }
    let folder = Folder::take(run, from)?;
    let mut prepared = Prepared::new(run, tables, device)?;
    let data = match from.is_some() || run.checkpoint.folder.is_some() {
        true => Fingerprint::of([&prepared.train_rows].into_iter().chain(&prepared.validation_rows)),
        false => Fingerprint::default(),
    };
    if let Some(from) = from {
        from.check_data(&data)?;
    }
    let about = prepared.about.clone();
    let mut keeper = Keeper::new(run, folder, about.clone(), data, from, device, observer)?;
    let validation_data = prepared.validation_data(device)?;
    let (state, validation_data) = (from.map(|from| &from.state).or(state), validation_data.as_ref());
    let (network, units) = (prepared.network.clone(), prepared.units.clone());
    let fitted = match &tables.stream {
        None => {
            let train_data = prepared.train_data(device)?;
            match state {
                None => fit(network, &train_data, validation_data, &about.training, &mut keeper),
                Some(state) => {
                    let config = &about.training;
                    perceptra_train::resume(network, state, &train_data, validation_data, config, &mut keeper)
                }
            }?
        }
        Some(stream) => {
            prepared.train_rows = Encoded::default();
            prepared.rows[0] = stream.rows();
            let mut blocks = stream.blocks(&about.encoder, &about.schema, units, device);
            let fitted = match state {
                None => fit_blocks(network, &mut blocks, validation_data, &about.training, device, &mut keeper),
                Some(state) => {
                    resume_blocks(network, state, &mut blocks, validation_data, &about.training, device, &mut keeper)
                }
            };
            // The error of the table, with its place and its hint, rather than its message alone.
            fitted.map_err(|e| blocks.error.take().unwrap_or_else(|| e.into()))?
        }
    };
    drop(keeper);
    prepared.finish(fitted)
}

/// Trains several models, as [`train`] does each: as many at once as the CPU has threads; on a device with memory of its own,
/// where there is one network a model, in few tensor programs (see [`fit_many`]). Of checkpoints and streams there are none.
/// `interrupt` ends all early.
pub fn train_many(
    runs: &[(RunConfig, &Tables)],
    device: &Device,
    interrupt: Option<&AtomicBool>,
) -> Vec<Result<Trained, ModelError>> {
    if device.memory_pool_usage().is_none() {
        return parallel(device, runs.len(), |i| train(&runs[i].0, runs[i].1, device, &mut Quiet(interrupt)));
    }
    train_together(runs, device, interrupt)
}

/// As [`train_many`], all by one call of [`fit_many`].
pub(crate) fn train_together(
    runs: &[(RunConfig, &Tables)],
    device: &Device,
    interrupt: Option<&AtomicBool>,
) -> Vec<Result<Trained, ModelError>> {
    let (mut results, mut ready) = (Vec::new(), Vec::<(usize, Prepared)>::new());
    for (i, (run, tables)) in runs.iter().enumerate() {
        let plain = run.network.ensemble == 1 && run.checkpoint.folder.is_none() && tables.stream.is_none();
        let prepare = || run.validate().and_then(|()| Prepared::new(run, tables, device));
        results.push(match plain.then(prepare) {
            None => Some(train(run, tables, device, &mut Quiet(interrupt))),
            Some(Err(error)) => Some(Err(error)),
            Some(Ok(prepared)) => {
                ready.push((i, prepared));
                None
            }
        });
    }
    // Rows that are the same are on the device once: members know them by their place.
    let same = |of: &dyn Fn(&Prepared) -> Option<&Encoded>| -> Vec<usize> {
        let first = |i: usize| (0..i).find(|j| of(&ready[*j].1) == of(&ready[i].1)).unwrap_or(i);
        (0..ready.len()).map(first).collect()
    };
    let (train, validation) = (same(&|p| Some(&p.train_rows)), same(&|p| p.validation_rows.as_ref()));
    let mut data = Vec::new();
    for (i, (_, prepared)) in ready.iter_mut().enumerate() {
        let own = (train[i] == i).then(|| prepared.train_data(device)).transpose();
        let judged = if validation[i] == i { prepared.validation_data(device) } else { Ok(None) };
        data.push(own.and_then(|own| Ok((own, judged?))));
    }
    let member = |i: usize| -> Option<Member<'_, FeedForward>> {
        let (of, judged) = (data[train[i]].as_ref().ok()?, data[validation[i]].as_ref().ok()?);
        let (network, config) = (ready[i].1.network.clone(), ready[i].1.about.training.clone());
        Some(Member { network, train: of.0.as_ref()?, validation: judged.1.as_ref(), config })
    };
    let members: Vec<_> = (0..ready.len()).map(member).collect();
    let here: Vec<bool> = members.iter().map(Option::is_some).collect();
    let mut fitted = fit_many(members.into_iter().flatten().collect(), interrupt).into_iter();
    // A device that does not take the rows says so for those that asked first.
    let failed = data.into_iter().find_map(Result::err).map_or_else(String::new, |e| e.to_string());
    for ((i, prepared), here) in ready.into_iter().zip(here) {
        let result = if here { fitted.next() } else { None };
        let result = result.unwrap_or_else(|| Err(TrainError::Device(failed.clone())));
        results[i] = Some(result.map_err(ModelError::from).and_then(|fitted| prepared.finish(fitted)));
    }
    results.into_iter().flatten().collect()
}

/// A run whose tables are encoded, and whose network is built.
#[derive(Debug, Clone)]
pub(crate) struct Prepared {
    calibrate: bool,
    pub(crate) about: About,
    pub(crate) network: FeedForward,
    units: Vec<f32>,
    pub(crate) train_table: Table,
    pub(crate) validation: Option<Table>,
    test: Option<Table>,
    train_rows: Encoded,
    validation_rows: Option<Encoded>,
    rows: [usize; 3],
    report: EncodeReport,
}

impl Prepared {
    pub(crate) fn new(run: &RunConfig, tables: &Tables, device: &Device) -> Result<Self, ModelError> {
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
        let [train_table, validation, test] = match &tables.stream {
            // Its rows are in their parts already.
            Some(_) => [None, tables.validation.clone(), tables.test.clone()],
            None => parts(run, tables, &schema)?,
        };
        check_clashes(run, schema.task, validation.is_some())?;
        // Of a stream, a sample.
        let train_table = train_table.unwrap_or_else(|| table.clone());

        let encoder = Encoder::fit(&train_table, &schema, labels, &run.encoder)?;
        let (train_rows, report) = Encoded::of(&train_table, &encoder, &schema)?;
        let validation_rows =
            validation.as_ref().map(|t| Encoded::of(t, &encoder, &schema)).transpose()?.map(|(rows, _)| rows);
        let (network_config, network) = build_network(run, &schema, &encoder, &train_rows.inputs, device)?;
        let units: Vec<f32> = encoder.target_scales().iter().map(|s| *s as f32).collect();
        let training = TrainConfig { loss: Some(loss), ..run.train.clone() };
        let rows = [Some(&train_table), validation.as_ref(), test.as_ref()].map(|t| t.map_or(0, Table::rows));
        let history =
            History { monitor: training.monitor, epochs: Vec::new(), best_epoch: 0, stop: StopReason::Unfinished };
        let missing = run.data.read.missing.clone();
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
            units,
            train_table,
            validation,
            test,
            train_rows,
            validation_rows,
            rows,
            report,
        })
    }

    /// The training rows on the device; they are no longer here.
    pub(crate) fn train_data(&mut self, device: &Device) -> Result<Dataset, ModelError> {
        std::mem::take(&mut self.train_rows).dataset(&self.units, device)
    }

    /// The validation rows on the device; they are no longer here.
    pub(crate) fn validation_data(&mut self, device: &Device) -> Result<Option<Dataset>, ModelError> {
        self.validation_rows.take().map(|rows| rows.dataset(&self.units, device)).transpose()
    }

    /// The model of the trained network, judged.
    pub(crate) fn finish(self, fitted: Fitted<FeedForward>) -> Result<Trained, ModelError> {
        let Self { calibrate, about, train_table, validation, test, rows, report, .. } = self;
        let mut model = Model { about, network: fitted.network, share: 1.0, others: Vec::new() };
        model.about.history = fitted.history;
        let dead = is_dead(&model, validation.as_ref().unwrap_or(&train_table))?;
        let judged = validation.map(|table| model.learn_confidence(&table, calibrate)).transpose()?;
        let (validation, calibration) = judged.map_or((None, None), |(metrics, done)| (Some(metrics), done));
        model.about.metrics = test.map(|t| model.evaluate(&t)).transpose()?;
        Ok(Trained { model, rows, validation, calibration, report, dead })
    }
}

/// Whether the outputs are the same for all of some rows, whose inputs are not.
fn is_dead(model: &Model, table: &Table) -> Result<bool, ModelError> {
    let rows: Vec<u32> = (0..table.rows().min(1000) as u32).collect();
    let (inputs, _) = model.encoder().inputs(&table.take(&rows))?;
    let outputs = perceptra_train::outputs(&model.network, &inputs.values, model.loss())?;
    let same = |values: &[f32], columns: usize| values.chunks(columns).all(|row| row == &values[..columns]);
    Ok(same(&outputs, model.encoder().outputs()) && !same(&inputs.values, inputs.columns))
}

/// The most rows that a data-driven initializer looks at.
const SEEN: usize = 10_000;

/// The network for what the encoder makes, with its first weights; `rows` are those that train.
pub(crate) fn build_network(
    run: &RunConfig,
    schema: &Schema,
    encoder: &Encoder,
    rows: &Matrix,
    device: &Device,
) -> Result<(FeedForwardConfig, FeedForward), ModelError> {
    let output = match schema.task {
        Task::Regression => Activation::Identity,
        Task::Binary if encoder.outputs() == 1 => Activation::Sigmoid,
        _ => Activation::Softmax,
    };
    let config = run.feed_forward_for(&encoder.kinds(), rows, encoder.outputs(), output);
    let config = config.map_err(|problem| ModelError::Settings(vec![problem]))?;
    let mut network = config.init(device)?;
    if config.initializer == Initializer::DataDriven && rows.rows > 0 {
        let n = rows.rows.min(SEEN);
        let seen = TensorData::new(rows.values[..n * rows.columns].to_vec(), [n, rows.columns]);
        network = network.fit_to(Tensor::from_data(seen, device), run.train.seed);
    }
    Ok((config, network))
}

/// The rows of a run, by what they are for.
#[derive(Debug, Clone)]
pub struct Parts {
    /// Rows to fit on.
    pub train: Table,
    /// Rows to stop by.
    pub validation: Option<Table>,
    /// Rows to judge by.
    pub test: Option<Table>,
}

impl Parts {
    /// The parts into which [`train`] divides these tables, which are not streamed.
    ///
    /// # Errors
    ///
    /// What can be wrong with the schema and the split.
    pub fn of(run: &RunConfig, tables: &Tables) -> Result<Self, ModelError> {
        let schema = Schema::infer(&tables.table, &run.data.schema)?;
        let [train, validation, test] = parts(run, tables, &schema)?;
        Ok(Self { train: train.unwrap_or_else(|| tables.table.clone()), validation, test })
    }

    /// The parts of cross-validation: each of `folds` tests on rows of its own, the others train, but for the share that
    /// the run takes for validation. Splits that the run asks for otherwise are left aside.
    ///
    /// # Errors
    ///
    /// As [`Parts::of`], and a number of folds that does not suit the rows.
    pub fn folds(run: &RunConfig, table: &Table, folds: usize) -> Result<Vec<Self>, ModelError> {
        let schema = Schema::infer(table, &run.data.schema)?;
        let classes = strata_of(run, table, &schema, true)?;
        let splits = Split::folds(table.rows(), folds, classes.as_deref(), run.train.seed)?;
        let of = |split: &Split| {
            let test = Some(table.take(&split.test));
            let rest = Tables { validation: None, test, ..Tables::from(table.take(&split.train)) };
            let mut run = run.clone();
            run.data.schema.split = None;
            Self::of(&run, &rest)
        };
        splits.iter().map(of).collect()
    }

    /// `run` for these parts alone: it does not divide them again, the column that said how is no feature, and no checkpoint is
    /// written.
    pub fn settle(&self, run: &RunConfig) -> RunConfig {
        let mut run = run.clone();
        run.checkpoint.folder = None;
        if let Some(column) = run.data.schema.split.take() {
            run.data.schema.ignore.push(column);
        }
        let share = |part: &Option<Table>, share: f64| if part.is_some() { share } else { 0.0 };
        run.split.validation = share(&self.validation, run.split.validation);
        run.split.test = share(&self.test, run.split.test);
        run
    }

    /// The parts as tables of a run that does not split them again.
    pub fn tables(&self) -> Tables {
        let (validation, test) = (self.validation.clone(), self.test.clone());
        Tables { validation, test, ..Tables::from(self.train.clone()) }
    }
}

/// What a split keeps the shares of: classes, or groups of neighbouring numbers.
fn strata_of(run: &RunConfig, table: &Table, schema: &Schema, divided: bool) -> Result<Option<Vec<u32>>, ModelError> {
    Ok(match (run.split.stratify, schema.task, schema.targets.first()) {
        (false, ..) | (.., None) => None,
        (true, Task::Regression, Some(target)) => Some(strata(&table.target_values(target)?)),
        (true, _, Some(target)) => Some(stratified_classes(table, schema, target, divided)?),
    })
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
    let classes = strata_of(run, table, schema, test + validation > 0.0)?;
    let split = Split::holdout(table.rows(), test, validation, classes.as_deref(), run.train.seed)?;
    let got = tables.validation.as_ref().map_or(split.validation.len(), Table::rows);
    if options.validation > 0.0 && got < least("validation") {
        let (rows, needed) = (table.rows(), least("validation"));
        return Err(DataError::TooFewRows { rows, part: "validation", got, needed }.into());
    }
    let part = |rows: &[u32]| (!rows.is_empty()).then(|| table.take(rows));
    Ok([
        part(&split.train),
        tables.validation.clone().or_else(|| part(&split.validation)),
        tables.test.clone().or_else(|| part(&split.test)),
    ])
}

/// Rows that a part needs at least: one validation row says nothing.
pub(crate) fn least(part: &str) -> usize {
    if part == "validation" { 2 } else { 1 }
}

/// The class of each row. A class of one row cannot be in two parts.
fn stratified_classes(table: &Table, schema: &Schema, target: &str, divided: bool) -> Result<Vec<u32>, ModelError> {
    let labels = Encoder::labels_of(table, schema)?.unwrap_or_default();
    let classes = table.class_numbers(target, &labels)?;
    let mut counts = vec![0; labels.len()];
    classes.iter().for_each(|&c| counts[c as usize] += 1);
    match counts.iter().position(|&n| n == 1) {
        Some(class) if divided => Err(DataError::ClassTooSmall { class: labels[class].clone() }.into()),
        _ => Ok(classes),
    }
}

/// The loss that was asked for, if it fits the task; else what suits it.
pub(crate) fn fitting_loss(loss: Option<Loss>, task: Task) -> Result<Loss, ModelError> {
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

/// Settings that are at odds with the task or with each other.
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

fn check_monitor(monitor: Metric, task: Task) -> Result<(), ModelError> {
    if monitor == Metric::Loss || monitor.is_of_classes() == task.is_classification() {
        return Ok(());
    }
    Err(ModelError::MetricMismatch { metric: monitor.to_string(), task: task.to_string() })
}
