//! What happened in a training run, and who watches it.

use serde::{Deserialize, Serialize};

use crate::{Engine, Metric};

/// One epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// From 1.
    pub epoch: usize,
    /// Loss of the training rows, each as it was when its batch was trained.
    pub train_loss: f64,
    /// Loss of the validation rows after the epoch.
    pub validation_loss: Option<f64>,
    /// The monitored metric of the validation rows, where that is not the loss.
    pub monitored: Option<f64>,
    /// Learning rate of the epoch's last step.
    pub learning_rate: f64,
    /// Seconds the epoch took. Not stored: equal runs have equal histories.
    #[serde(skip)]
    pub seconds: f64,
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
    },
    /// Training has ended.
    Stopped {
        /// The whole run.
        history: &'a History,
    },
}

/// Whether to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// Go on.
    Continue,
    /// End after this epoch and keep the best weights.
    Stop,
}

/// Watches a training run: progress bars, logs, checkpoints.
///
/// `()` watches nothing, and any `FnMut(&Event) -> Control` is an observer.
pub trait Observer {
    /// Takes an event; the answer counts for [`Event::Epoch`].
    fn observe(&mut self, event: &Event<'_>) -> Control;
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
