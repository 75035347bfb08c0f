//! Checkpoints: a run that can be taken up again.
//!
//! A checkpoint is a model file, that of the best epoch so far, which also holds the state of the run: `perceptra predict`
//! takes it as it is. Files are named after their epoch, `epoch-000012.perceptra`, and appear whole or not at all; older
//! ones are removed once a newer one is on the disk.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use burn::tensor::Device;
use perceptra_files::{Lock, remove_stale, write_atomic};
use perceptra_nn::{FeedForward, Initializer};
use perceptra_train::{Control, Engine, Event, Observer, Snapshot, StopReason, TrainState, with_weights};
use serde::{Deserialize, Serialize};

use crate::encoded::Encoded;
use crate::file::{Parsed, Resume};
use crate::model::About;
use crate::{Model, ModelError, RunConfig};

/// Which checkpoints a run writes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CheckpointConfig {
    /// The folder; none for no checkpoints.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folder: Option<PathBuf>,
    /// Epochs from one to the next.
    pub every: usize,
    /// How many of the latest are kept, besides that of the best epoch.
    pub keep: usize,
}

impl Default for CheckpointConfig {
    fn default() -> Self {
        Self { folder: None, every: 1, keep: 2 }
    }
}

/// What a run was trained on, as far as it can be told without keeping it: a run goes on with the same data only.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fingerprint {
    /// Training and validation rows.
    pub(crate) rows: [usize; 2],
    /// Encoded columns.
    pub(crate) inputs: usize,
    /// CRC-32 of the encoded numbers.
    pub(crate) checksum: String,
}

impl Fingerprint {
    /// Of encoded training and validation rows, with their row weights.
    pub(crate) fn of<'a>(parts: impl Iterator<Item = &'a Encoded>) -> Self {
        let mut hasher = crc32fast::Hasher::new();
        let mut add = |values: &[f32]| {
            for chunk in values.chunks(1024) {
                let bytes: Vec<u8> = chunk.iter().flat_map(|x| x.to_le_bytes()).collect();
                hasher.update(&bytes);
            }
        };
        let mut fingerprint = Self::default();
        for (part, rows) in parts.zip(&mut fingerprint.rows) {
            *rows = part.inputs.rows;
            fingerprint.inputs = part.inputs.columns;
            add(&part.inputs.values);
            add(&part.targets.values);
            add(part.weights.as_deref().unwrap_or_default());
        }
        fingerprint.checksum = format!("{:08x}", hasher.finalize());
        fingerprint
    }

    /// How `self`, the data of a checkpoint, differs from `now`.
    fn differences(&self, now: &Self) -> Vec<String> {
        let mut all = Vec::new();
        let names = ["training rows", "validation rows"];
        for ((name, old), new) in names.into_iter().zip(self.rows).zip(now.rows) {
            if old != new {
                all.push(format!("{name} were {old}, are {new}"));
            }
        }
        if self.inputs != now.inputs {
            all.push(format!("encoded columns were {}, are {}", self.inputs, now.inputs));
        }
        if all.is_empty() && self.checksum != now.checksum {
            all.push("values in the table have changed".to_owned());
        }
        all
    }
}

/// A run that can be taken up again, read from its folder.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    pub(crate) run: RunConfig,
    pub(crate) state: TrainState,
    data: Fingerprint,
    best_epoch: usize,
    path: PathBuf,
    skipped: Vec<String>,
}

impl Checkpoint {
    /// The latest checkpoint in `folder` that is whole.
    ///
    /// # Errors
    ///
    /// [`ModelError::NoCheckpoint`]; if all are damaged, what is wrong with the latest.
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
            return Err(damaged("its epochs or its engine make no sense".into()));
        }
        let state = TrainState { engine: resume.engine, epochs, network, best, optimizer };
        Ok(Self { run, state, data: resume.data, best_epoch, path: path.to_owned(), skipped: Vec::new() })
    }

    /// The run as it was begun.
    pub fn run(&self) -> &RunConfig {
        &self.run
    }

    /// Epochs done.
    pub fn epochs(&self) -> usize {
        self.state.epochs.len()
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Later checkpoints that could not be read: why, the latest first.
    pub fn skipped(&self) -> &[String] {
        &self.skipped
    }

    /// Settings of `run` that keep it from going on from here, each with what it was and is: all but when to stop, where to
    /// compute and what to write.
    pub fn differences(&self, run: &RunConfig) -> Vec<String> {
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

    /// Checks that `data` is what the run was begun with.
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

/// Writes the checkpoints of a run and removes those that are not kept, beside another observer.
pub(crate) struct Keeper<'a, O> {
    observer: &'a mut O,
    folder: Option<Folder>,
    every: usize,
    keep: usize,
    about: About,
    network: FeedForward,
    run: String,
    data: Fingerprint,
    /// The latest epoch on the disk.
    written: usize,
    best: usize,
}

/// A folder of checkpoints that is this run's alone.
pub(crate) struct Folder {
    path: PathBuf,
    _lock: Lock,
}

impl Folder {
    /// Takes the folder that `run` asks for, which is made, and must not hold another run than that which goes on `from`
    /// a checkpoint.
    pub(crate) fn take(run: &RunConfig, from: Option<&Checkpoint>) -> Result<Option<Self>, ModelError> {
        let Some(path) = run.checkpoint.folder.clone() else { return Ok(None) };
        let fail = |source| ModelError::Write { path: path.clone(), source };
        std::fs::create_dir_all(&path).map_err(fail)?;
        let lock = Lock::acquire(&path.join("lock"))?;
        remove_stale(&path);
        let epochs = from.map_or(0, Checkpoint::epochs);
        for (epoch, file) in files(&path).map_err(fail)? {
            match from {
                None => return Err(ModelError::Occupied { folder: path }),
                // A damaged one after that which the run goes on from: it will be written again.
                Some(_) if epoch > epochs => std::fs::remove_file(&file).map_err(fail)?,
                Some(_) => {}
            }
        }
        Ok(Some(Self { path, _lock: lock }))
    }
}

impl<'a, O: Observer> Keeper<'a, O> {
    /// For a run that begins, or goes on `from` a checkpoint.
    pub(crate) fn new(
        run: &RunConfig,
        folder: Option<Folder>,
        about: About,
        data: Fingerprint,
        from: Option<&Checkpoint>,
        device: &Device,
        observer: &'a mut O,
    ) -> Result<Self, ModelError> {
        let CheckpointConfig { every, keep, .. } = run.checkpoint;
        let (written, best) = from.map_or((0, 0), |from| (from.epochs(), from.best_epoch));
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
            let bytes = Model { about, network, share: 1.0, others: Vec::new() }.bytes(Some((resume, &state)))?;
            write_atomic(&path, |file| file.write_all(&bytes))
                .map_err(|source| ModelError::Write { path: path.clone(), source })?;
            self.written = epoch;
            self.remove_old(&folder);
            Ok(())
        });
        let error = result.err().map(|e| e.to_string());
        self.observer.observe(&Event::Checkpoint { path: &path, error: error.as_deref() });
    }

    /// Removes all but the latest and the best. A file that cannot be removed stays: it does no harm.
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
