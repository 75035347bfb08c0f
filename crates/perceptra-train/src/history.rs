//! What happened in a training run, and who watches it.

use serde::{Deserialize, Serialize};

use std::path::Path;
use std::sync::atomic::AtomicBool;

use crate::{Engine, Metric, Snapshot};

/// One epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// From 1.
    pub epoch: usize,
    /// Loss of the training rows, each as it was when its batch was trained.
    pub train_loss: f64,
    /// Loss of the validation rows after the epoch.
    #[serde(with = "any_number")]
    pub validation_loss: Option<f64>,
    /// The monitored metric of the validation rows, where that is not the loss.
    #[serde(with = "any_number")]
    pub monitored: Option<f64>,
    /// Learning rate of the epoch's last step.
    pub learning_rate: f64,
    /// Seconds the epoch took. Not stored: equal runs have equal histories.
    #[serde(skip)]
    pub seconds: f64,
}

impl Epoch {
    /// What epochs are compared by: the monitored metric, else the validation loss, else the training loss.
    pub fn value(&self) -> f64 {
        self.monitored.or(self.validation_loss).unwrap_or(self.train_loss)
    }
}

/// Numbers that may be NaN or infinite, which JSON does not have: then they are text.
mod any_number {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Number {
        Finite(f64),
        Text(String),
    }

    pub(super) fn serialize<S: Serializer>(value: &Option<f64>, s: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(x) if !x.is_finite() => x.to_string().serialize(s),
            value => value.serialize(s),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<f64>, D::Error> {
        Ok(match Option::<Number>::deserialize(d)? {
            None => None,
            Some(Number::Finite(x)) => Some(x),
            Some(Number::Text(text)) => Some(text.parse().map_err(|_| D::Error::custom("expected a number"))?),
        })
    }
}

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StopReason {
    /// All epochs are done.
    Epochs,
    /// The monitored number has not improved for `patience` epochs.
    Patience,
    /// The monitored number has reached its target.
    Target,
    /// The training loss has not fallen for `no_progress` epochs.
    NoProgress,
    /// The time limit has passed.
    TimeLimit,
    /// An observer asked to stop.
    Asked,
    /// The observer's [`interrupt`](Observer::interrupt) was set, after the batch in work.
    Interrupted,
    /// The training loss or the weights became NaN or infinite in the epoch after the last one here.
    Diverged,
    /// It has not ended: this is the history of a checkpoint.
    Unfinished,
}

impl std::fmt::Display for StopReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Epochs => "all epochs are done",
            Self::Patience => "no improvement on the validation rows for as long as patience allows",
            Self::Target => "the target value is reached",
            Self::NoProgress => "the training loss falls no longer",
            Self::TimeLimit => "the time limit has passed",
            Self::Asked => "stopped on request",
            Self::Interrupted => "interrupted",
            Self::Unfinished => "not finished, this is a checkpoint",
            Self::Diverged => "then the training loss or the weights became NaN or infinite",
        })
    }
}

/// The epochs of a run, which one was best, and why it ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// What was monitored.
    pub monitor: Metric,
    /// Every epoch, in order.
    pub epochs: Vec<Epoch>,
    /// The epoch whose weights were kept, from 1.
    pub best_epoch: usize,
    /// Why the run ended.
    pub stop: StopReason,
}

impl History {
    /// The epoch whose weights were kept.
    pub fn best(&self) -> Option<&Epoch> {
        self.epochs.get(self.best_epoch.wrapping_sub(1))
    }
}

/// What an [`Observer`] is told.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Event<'a> {
    /// Training begins.
    Started {
        /// The most epochs there will be.
        epochs: usize,
        /// Training rows.
        rows: usize,
        /// Training steps an epoch.
        steps: usize,
        /// What trains.
        engine: Engine,
        /// Why that is not the fused engine, if it would have been taken.
        obstacle: Option<&'a str>,
    },
    /// An epoch has ended.
    Epoch {
        /// The epoch.
        epoch: &'a Epoch,
        /// Whether it is the best so far.
        improved: bool,
        /// The run as it is now; none after an epoch that ended early.
        run: Option<Snapshot<'a>>,
    },
    /// A checkpoint was to be written.
    Checkpoint {
        /// The file.
        path: &'a Path,
        /// Why it could not be written; the run goes on.
        error: Option<&'a str>,
    },
    /// Training has ended.
    Stopped {
        /// The whole run.
        history: &'a History,
        /// The run as it ended; none after an epoch that ended early.
        run: Option<Snapshot<'a>>,
    },
}

/// Whether to go on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Control {
    /// Go on.
    Continue,
    /// Go on with learning rates, as the schedule has them, times this factor; of several, times all of them. A run that is resumed
    /// goes on without.
    Scale(f64),
    /// End after this epoch and keep the best weights.
    Stop,
}

/// Watches a training run: progress bars, logs, checkpoints.
///
/// `()` watches nothing, and any `FnMut(&Event) -> Control` is an observer.
pub trait Observer {
    /// Takes an event; the answer counts for [`Event::Epoch`].
    fn observe(&mut self, event: &Event<'_>) -> Control;

    /// A flag that ends the run after the batch in work once it is set, such as by a signal handler.
    fn interrupt(&self) -> Option<&AtomicBool> {
        None
    }
}

impl Observer for () {
    fn observe(&mut self, _: &Event<'_>) -> Control {
        Control::Continue
    }
}

impl<F: FnMut(&Event<'_>) -> Control> Observer for F {
    fn observe(&mut self, event: &Event<'_>) -> Control {
        self(event)
    }
}
