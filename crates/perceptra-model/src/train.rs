//! Training of models on tables.

use std::sync::atomic::AtomicBool;

use burn::tensor::Device;
use perceptra_nn::FeedForward;
use perceptra_train::{
    Control, Event, Fit, FitJob, Observer, StopReason, TrainError, TrainState, fit_many, has_own_memory, parallel,
};

use crate::checkpoint::{Checkpoint, Folder, Keeper};
use crate::encoded::Encoded;
use crate::error::ModelError;
use crate::file::Fingerprint;
use crate::partition::Partition;
use crate::prepared::Prepared;
use crate::run::{RunConfig, ValidRun};
use crate::tables::Tables;
use crate::trained::Trained;

/// Trains a model on `tables` as `run` describes, on `device`.
///
/// The encoder is fitted on the training rows alone, and the test rows are used once, at the end. Checkpoints are written if
/// `run.checkpoint` has a folder; [`resume`] continues from one. The members of an ensemble are trained in parallel, without the
/// observer.
///
/// # Errors
///
/// Invalid settings, and errors of the tables and of the training: see [`ModelError`].
pub fn train(
    run: &RunConfig,
    tables: &Tables,
    device: &Device,
    observer: &mut impl Observer,
) -> Result<Trained, ModelError> {
    let run = ValidRun::new(run)?;
    match run.network.ensemble {
        1 => train_from(run, None, None, tables, device, observer),
        _ => train_ensemble(run, tables, device, observer.interrupt()),
    }
}

/// Trains as [`train`] does, from the `state` of an earlier stage of the same run up to the epoch `until`. On the CPU backends the result
/// of the last stage is identical, to the bit, to that of a run without stages. Returns the best model so far and the state to continue
/// from, which is `None` if the run has ended.
///
/// # Errors
///
/// As [`train`].
#[doc(hidden)]
pub fn train_stage(
    run: &RunConfig,
    tables: &Tables,
    device: &Device,
    state: Option<&TrainState>,
    until: usize,
    observer: &mut impl Observer,
) -> Result<(Trained, Option<TrainState>), ModelError> {
    let mut stop = StopAt { observer, until, state: None };
    let trained = train_from(ValidRun::new(run)?, None, state, tables, device, &mut stop)?;
    let state = stop.state.transpose()?.filter(|_| trained.model.about().history.stop == StopReason::Asked);
    Ok((trained, state))
}

/// Passes events on to an observer, stops the run after an epoch and captures its state.
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

/// Continues the run of a checkpoint. On the CPU backends the model is identical, to the bit, to that of a run without interruption. `run`
/// is the run of the checkpoint; it may differ in the rules for stopping, the device and the output.
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
    train_from(ValidRun::new(run)?, Some(checkpoint), None, tables, device, observer)
}

fn train_from(
    run: ValidRun<'_>,
    from: Option<&Checkpoint>,
    state: Option<&TrainState>,
    tables: &Tables,
    device: &Device,
    observer: &mut impl Observer,
) -> Result<Trained, ModelError> {
    if let Some(from) = from {
        let differences = from.differences(&run);
        if !differences.is_empty() {
            return Err(ModelError::OtherRun { path: from.path.clone(), differences });
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
    let (network, target_scales) = (prepared.network.clone(), prepared.target_scales.clone());
    let fitted = match &tables.stream {
        None => {
            let rows = prepared.train_data(device)?;
            let fit = Fit::new(network, &rows).validation(validation_data).resume(state);
            fit.observe(&mut keeper).run(&about.training)
        }
        Some(stream) => {
            prepared.train_rows = Encoded::default();
            prepared.rows[0] = stream.rows();
            let mut blocks = stream.blocks(&about.encoder, &about.schema, target_scales, device);
            let fit = Fit::blocks(network, &mut blocks, device).validation(validation_data).resume(state);
            fit.observe(&mut keeper).run(&about.training)
        }
    }?;
    drop(keeper);
    prepared.finish(fitted)
}

/// Trains several models, each in the way of [`train`]. On the CPU, as many are trained at once as there are threads; on a device with its
/// own memory, runs of one network are trained together by [`fit_many`]. Setting `interrupt` stops all of them.
pub fn train_many(
    runs: &[(RunConfig, &Tables)],
    device: &Device,
    interrupt: Option<&AtomicBool>,
) -> Vec<Result<Trained, ModelError>> {
    if !has_own_memory(device) {
        return parallel(device, runs.len(), |i| train(&runs[i].0, runs[i].1, device, &mut { interrupt }));
    }
    train_together(runs, device, interrupt)
}

/// Trains as [`train_many`] does, with one call of [`fit_many`] for all runs of one network.
pub(crate) fn train_together(
    runs: &[(RunConfig, &Tables)],
    device: &Device,
    interrupt: Option<&AtomicBool>,
) -> Vec<Result<Trained, ModelError>> {
    let (mut results, mut ready) = (Vec::new(), Vec::<(usize, Prepared)>::new());
    for (i, (run, tables)) in runs.iter().enumerate() {
        let plain = run.network.ensemble == 1 && run.checkpoint.folder.is_none() && tables.stream.is_none();
        let prepare = || ValidRun::new(run).and_then(|run| Prepared::new(run, tables, device));
        results.push(match plain.then(prepare) {
            None => Some(train(run, tables, device, &mut { interrupt })),
            Some(Err(error)) => Some(Err(error)),
            Some(Ok(prepared)) => {
                ready.push((i, prepared));
                None
            }
        });
    }
    // Equal rows are stored on the device once: for each run, the index of the first run with the same rows.
    let first_with = |rows: &dyn Fn(&Prepared) -> Option<&Encoded>| -> Vec<usize> {
        let first = |i: usize| (0..i).find(|j| rows(&ready[*j].1) == rows(&ready[i].1)).unwrap_or(i);
        (0..ready.len()).map(first).collect()
    };
    let (train_of, validation_of) = (first_with(&|p| Some(&p.train_rows)), first_with(&|p| p.validation_rows.as_ref()));
    let mut data = Vec::new();
    for (i, (_, prepared)) in ready.iter_mut().enumerate() {
        let train = (train_of[i] == i).then(|| prepared.train_data(device)).transpose();
        let validation = if validation_of[i] == i { prepared.validation_data(device) } else { Ok(None) };
        data.push(train.and_then(|train| Ok((train, validation?))));
    }
    let member = |i: usize| -> Option<FitJob<'_, FeedForward>> {
        let (train, _) = data[train_of[i]].as_ref().ok()?;
        let (_, validation) = data[validation_of[i]].as_ref().ok()?;
        let (network, config) = (ready[i].1.network.clone(), ready[i].1.about.training.clone());
        Some(FitJob { network, train: train.as_ref()?, validation: validation.as_ref(), config })
    };
    let members: Vec<_> = (0..ready.len()).map(member).collect();
    let is_member: Vec<bool> = members.iter().map(Option::is_some).collect();
    let mut fitted = fit_many(members.into_iter().flatten().collect(), interrupt).into_iter();
    // The error of a device that could not store the rows.
    let device_error = data.into_iter().find_map(Result::err).map_or_else(String::new, |e| e.to_string());
    for ((i, prepared), is_member) in ready.into_iter().zip(is_member) {
        let result = if is_member { fitted.next() } else { None };
        let result = result.unwrap_or_else(|| Err(TrainError::Device(device_error.clone())));
        results[i] = Some(result.map_err(ModelError::from).and_then(|fitted| prepared.finish(fitted)));
    }
    results.into_iter().flatten().collect()
}

/// Trains `run.network.ensemble` networks on the same rows, with the seed of the run and those that follow it.
fn train_ensemble(
    run: ValidRun<'_>,
    tables: &Tables,
    device: &Device,
    interrupt: Option<&AtomicBool>,
) -> Result<Trained, ModelError> {
    if tables.stream.is_some() {
        let problem = "ensemble is more than 1, and stream is set: members are trained on tables in memory";
        return Err(ModelError::Settings(vec![problem.to_owned()]));
    }
    let parts = Partition::of(&run, tables)?;
    let untested = Partition { test: None, ..parts.clone() };
    let mut member_run = untested.settle(&run);
    member_run.network.ensemble = 1;
    let rows = untested.tables();
    let member = |i: usize| {
        let mut run = member_run.clone();
        run.train.seed = run.train.seed.wrapping_add(i as u64);
        (run, &rows)
    };
    let runs: Vec<_> = (0..run.network.ensemble).map(member).collect();
    let members = train_many(&runs, device, interrupt).into_iter().collect::<Result<Vec<_>, _>>()?;
    let mut trained = Trained::join(members.into_iter().map(|member| (1.0, member)), &parts, run.output.calibrate)?;
    trained.model.about.training.seed = run.train.seed;
    Ok(trained)
}
