//! Checkpoints, from which a run can be resumed.
//!
//! A checkpoint is the model file of the best epoch so far, with the state of the run in it, so it also predicts. Files are named
//! after their epoch, `epoch-000012.perceptra`, and appear whole or not at all; an older one is removed once a newer one is on the
//! disk.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use burn::tensor::Device;
use perceptra_files::{Lock, remove_stale, write_atomic};
use perceptra_nn::{FeedForward, Initializer};
use perceptra_train::{Control, Engine, Event, Observer, Snapshot, StopReason, TrainState, with_weights};

use crate::error::ModelError;
use crate::file::{Fingerprint, Parsed, Resume};
use crate::model::{About, Model};
use crate::run::{CheckpointConfig, RunConfig, ValidRun};

/// Settings that may change when a run is resumed: keys, or sections with a dot.
const FREE: [&str; 11] = [
    "version",
    "output.",
    "checkpoint.",
    "data.table",
    "split.test_file",
    "split.validation_file",
    "train.patience",
    "train.target",
    "train.no_progress",
    "train.time_limit",
    "train.min_delta",
];

/// A checkpoint, read from its folder.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    /// The settings of the run.
    pub run: RunConfig,
    /// The checkpoint's file.
    pub path: PathBuf,
    /// Number of epochs trained.
    pub epochs: usize,
    /// Errors of later checkpoints that could not be read, the latest first.
    pub skipped: Vec<String>,
    pub(crate) state: TrainState,
    data: Fingerprint,
    best_epoch: usize,
}

impl Checkpoint {
    /// The latest undamaged checkpoint in `folder`.
    ///
    /// # Errors
    ///
    /// [`ModelError::NoCheckpoint`]; the error of the latest checkpoint if all are damaged.
    pub fn latest(folder: &Path) -> Result<Self, ModelError> {
        let files = files(folder).map_err(|source| ModelError::Read { path: folder.to_owned(), source })?;
        let mut skipped = Vec::new();
        let mut first = None;
        for path in files.into_values().rev() {
            match Self::read(&path) {
                Ok(checkpoint) => return Ok(Self { skipped, ..checkpoint }),
                Err(e) => {
                    skipped.push(e.to_string());
                    first.get_or_insert(e);
                }
            }
        }
        Err(first.unwrap_or_else(|| ModelError::NoCheckpoint { folder: folder.to_owned() }))
    }

    /// Reads one checkpoint.
    ///
    /// # Errors
    ///
    /// As [`Model::load`], and [`ModelError::Foreign`] for a model that is no checkpoint.
    pub fn read(path: &Path) -> Result<Self, ModelError> {
        let name = path.display().to_string();
        let damaged = |reason| ModelError::Damaged { name: name.clone(), reason };
        let parsed = Parsed::read(path)?;
        let (epochs, best_epoch) = (parsed.about.history.epochs.clone(), parsed.about.history.best_epoch);
        let Some((resume, [network, best, optimizer])) = parsed.resume() else {
            return Err(ModelError::Foreign { name, reason: "it is a model, but no checkpoint of a run".into() });
        };
        let run = RunConfig::from_toml(&name, &resume.run).map_err(|e| damaged(e.to_string()))?;
        let in_order = epochs.iter().zip(1..).all(|(epoch, number)| epoch.epoch == number);
        if epochs.is_empty() || !in_order || resume.engine == Engine::Auto {
            return Err(damaged("its epochs are out of order, or its engine is not known".into()));
        }
        let (path, skipped) = (path.to_owned(), Vec::new());
        let (count, data) = (epochs.len(), resume.data);
        let state = TrainState { engine: resume.engine, epochs, network, best, optimizer };
        Ok(Self { run, path, epochs: count, skipped, state, data, best_epoch })
    }

    /// Settings of `run` that differ from those of the checkpoint and keep it from resuming, each with both values. Rules for stopping,
    /// device and output may differ.
    pub(crate) fn differences(&self, run: &RunConfig) -> Vec<String> {
        let (old, new) = (self.run.settings(), run.settings());
        let keys: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        let constant = run.train.schedule == perceptra_train::Schedule::Constant;
        keys.into_iter()
            .filter(|key| !(FREE.iter().any(|free| key.starts_with(free)) || constant && *key == "train.epochs"))
            .filter_map(|key| {
                let text = |map: &BTreeMap<String, String>| map.get(key).map_or("not set", String::as_str).to_owned();
                let (was, is) = (text(&old), text(&new));
                (was != is).then(|| format!("{key} was {was}, is {is}"))
            })
            .collect()
    }

    /// Checks that `data` is the data of the checkpoint.
    pub(crate) fn check_data(&self, data: &Fingerprint) -> Result<(), ModelError> {
        match self.data.differences(data) {
            none if none.is_empty() => Ok(()),
            differences => Err(ModelError::OtherRun { path: self.path.clone(), differences }),
        }
    }
}

/// The checkpoints in a folder by epoch.
fn files(folder: &Path) -> std::io::Result<BTreeMap<usize, PathBuf>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let epoch = path.file_name().and_then(|n| n.to_str()).and_then(|name| {
            let number = name.strip_prefix("epoch-")?.strip_suffix(".perceptra")?;
            number.parse().ok()
        });
        if let Some(epoch) = epoch {
            files.insert(epoch, path);
        }
    }
    Ok(files)
}

/// Writes the checkpoints of a run, removes old ones, and passes events on to another observer.
pub(crate) struct Keeper<'a, O> {
    observer: &'a mut O,
    folder: Option<Folder>,
    every: usize,
    keep: usize,
    about: About,
    network: FeedForward,
    run: String,
    data: Fingerprint,
    /// Epoch of the latest checkpoint on the disk.
    written: usize,
    best: usize,
}

/// The locked folder of a run's checkpoints.
pub(crate) struct Folder {
    path: PathBuf,
    _lock: Lock,
}

impl Folder {
    /// Creates and locks the checkpoint folder of `run`; `None` if the run has none. It must be empty of checkpoints, unless the run
    /// resumes `from` one of them.
    pub(crate) fn take(run: ValidRun<'_>, from: Option<&Checkpoint>) -> Result<Option<Self>, ModelError> {
        let Some(path) = run.checkpoint.folder.clone() else { return Ok(None) };
        let fail = |source| ModelError::Write { path: path.clone(), source };
        std::fs::create_dir_all(&path).map_err(fail)?;
        let lock = Lock::acquire(&path.join("lock"))?;
        remove_stale(&path);
        let epochs = from.map_or(0, |from| from.epochs);
        for (epoch, file) in files(&path).map_err(fail)? {
            match from {
                None => return Err(ModelError::Occupied { folder: path }),
                // A later checkpoint, which is damaged and will be written again.
                Some(_) if epoch > epochs => std::fs::remove_file(&file).map_err(fail)?,
                Some(_) => {}
            }
        }
        Ok(Some(Self { path, _lock: lock }))
    }
}

impl<'a, O: Observer> Keeper<'a, O> {
    /// Creates the keeper of a new run, or of one that resumes `from` a checkpoint.
    pub(crate) fn new(
        run: ValidRun<'_>,
        folder: Option<Folder>,
        about: About,
        data: Fingerprint,
        from: Option<&Checkpoint>,
        device: &Device,
        observer: &'a mut O,
    ) -> Result<Self, ModelError> {
        let CheckpointConfig { every, keep, .. } = run.checkpoint;
        let (written, best) = from.map_or((0, 0), |from| (from.epochs, from.best_epoch));
        let network = about.network.clone().with_initializer(Initializer::Zeros).init(device)?;
        let run = run.to_toml();
        Ok(Self { observer, folder, every, keep, about, network, run, data, written, best })
    }

    /// Writes the state of the run after `epoch`.
    fn write(&mut self, run: Snapshot<'_>, epoch: usize, stop: StopReason) {
        let Some(folder) = self.folder.as_ref().map(|folder| folder.path.clone()) else { return };
        let path = folder.join(format!("epoch-{epoch:06}.perceptra"));
        let result = run.state().map_err(ModelError::from).and_then(|state| {
            let network = with_weights(self.network.clone(), &state.best)?;
            let mut about = self.about.clone();
            about.history.epochs.clone_from(&state.epochs);
            (about.history.best_epoch, about.history.stop) = (self.best, stop);
            let resume = Resume { engine: state.engine, data: self.data.clone(), run: self.run.clone() };
            let bytes = Model::new(about, network).bytes(Some((resume, &state)))?;
            write_atomic(&path, |file| file.write_all(&bytes))
                .map_err(|source| ModelError::Write { path: path.clone(), source })?;
            self.written = epoch;
            self.remove_old(&folder);
            Ok(())
        });
        let error = result.err().map(|e| e.to_string());
        self.observer.observe(&Event::Checkpoint { path: &path, error: error.as_deref() });
    }

    /// Removes all checkpoints but the latest ones and that of the best epoch. One that cannot be removed is left.
    fn remove_old(&self, folder: &Path) {
        let Ok(files) = files(folder) else { return };
        let old = files.len().saturating_sub(self.keep);
        for (epoch, path) in files.into_iter().take(old) {
            if epoch != self.best {
                let _ = std::fs::remove_file(path);
            }
        }
    }
}

impl<O: Observer> Observer for Keeper<'_, O> {
    fn observe(&mut self, event: &Event<'_>) -> Control {
        match event {
            Event::Epoch { epoch, improved, run } => {
                if *improved {
                    self.best = epoch.epoch;
                }
                if let Some(run) = run
                    && self.best > 0
                    && epoch.epoch % self.every == 0
                {
                    self.write(*run, epoch.epoch, StopReason::Unfinished);
                }
            }
            Event::Stopped { run: Some(run), history } if history.epochs.len() > self.written => {
                self.write(*run, history.epochs.len(), history.stop);
            }
            _ => {}
        }
        self.observer.observe(event)
    }

    fn interrupt(&self) -> Option<&AtomicBool> {
        self.observer.interrupt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_that_may_change_is_a_key() {
        for free in FREE.into_iter().filter(|free| *free != "version") {
            assert!(RunConfig::keys().any(|key| key.starts_with(free)), "{free}");
        }
    }
}
