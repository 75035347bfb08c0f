//! The epochs of a run so far and what follows from them: the best epoch, early stopping, plateaus.

use crate::choices::Schedule;
use crate::config::TrainConfig;
use crate::error::TrainError;
use crate::history::{Epoch, History, StopReason};
use crate::metrics::Metric;

/// The epochs so far, and what follows from them.
pub(crate) struct Progress {
    config: TrainConfig,
    pub(crate) epochs: Vec<Epoch>,
    /// The best value of `monitor` and the number of its epoch, from 1; the number is 0 before there is a best epoch.
    pub(crate) best: (f64, usize),
    /// Epochs since `monitor` last improved, which `patience` limits.
    monitored: Stagnation,
    /// Epochs since the training loss last improved, which `no_progress` limits.
    train_loss: Stagnation,
    /// Epochs since `monitor` last improved or the schedule `plateau` last lowered the learning rate, and how often it has lowered it.
    plateau: (Stagnation, i32),
}

impl Progress {
    pub(crate) fn new(monitor: Metric, config: &TrainConfig) -> Self {
        let (monitored, train_loss) = (Stagnation::new(monitor), Stagnation::new(Metric::Loss));
        let plateau = (Stagnation::new(monitor), 0);
        Self { config: config.clone(), epochs: Vec::new(), best: (f64::NAN, 0), monitored, train_loss, plateau }
    }

    /// Adds an epoch and returns whether it is the best so far.
    pub(crate) fn push(&mut self, epoch: Epoch) -> bool {
        let value = epoch.value();
        let better = self.monitored.metric.better(value, self.best.0, 0.0);
        let improved = value.is_finite() && (better || self.config.last_best && value == self.best.0);
        if improved {
            self.best = (value, epoch.epoch);
        }
        self.monitored.advance(value, self.config.min_delta);
        self.train_loss.advance(epoch.train_loss, self.config.min_delta);
        let (plateau, steps) = &mut self.plateau;
        plateau.advance(value, self.config.min_delta);
        if plateau.idle >= self.config.plateau_patience {
            plateau.idle = 0;
            *steps += 1;
        }
        self.epochs.push(epoch);
        improved
    }

    /// The history of a run that stops now.
    ///
    /// # Errors
    ///
    /// [`TrainError::Diverged`] or [`TrainError::Undefined`] if no epoch is the best.
    pub(crate) fn history(self, stop: StopReason) -> Result<History, TrainError> {
        let (monitor, epochs, best_epoch) = (self.monitored.metric, self.epochs, self.best.1);
        if best_epoch > 0 {
            return Ok(History { monitor, epochs, best_epoch, stop });
        }
        Err(match stop {
            StopReason::Diverged => TrainError::Diverged { epoch: epochs.len() + 1 },
            StopReason::Epochs
            | StopReason::Patience
            | StopReason::Target
            | StopReason::NoProgress
            | StopReason::TimeLimit
            | StopReason::Asked
            | StopReason::Interrupted
            | StopReason::Unfinished => TrainError::Undefined { monitor: monitor.to_string(), epochs: epochs.len() },
        })
    }

    /// Factor by which the schedule `plateau` has lowered the learning rate so far; 1 under other schedules.
    pub(crate) fn plateau_scale(&self) -> f64 {
        let config = &self.config;
        if config.schedule == Schedule::Plateau { config.plateau_factor.powi(self.plateau.1) } else { 1.0 }
    }

    /// Why the run must stop after the last epoch; `None` if it must not.
    pub(crate) fn stop(&self) -> Option<StopReason> {
        let config = &self.config;
        let last = self.epochs.last()?.value();
        if config.target.is_some_and(|t| last == t || self.monitored.metric.better(last, t, 0.0)) {
            Some(StopReason::Target)
        } else if config.patience.is_some_and(|p| self.monitored.idle >= p) {
            Some(StopReason::Patience)
        } else if config.no_progress.is_some_and(|p| self.train_loss.idle >= p) {
            Some(StopReason::NoProgress)
        } else if self.epochs.len() >= config.epochs {
            Some(StopReason::Epochs)
        } else {
            None
        }
    }
}

/// The number of epochs since a metric last improved.
struct Stagnation {
    metric: Metric,
    best: f64,
    idle: usize,
}

impl Stagnation {
    fn new(metric: Metric) -> Self {
        Self { metric, best: f64::NAN, idle: 0 }
    }

    /// Takes the value of the next epoch. It is an improvement if it is finite and better than the best by more than `delta`.
    fn advance(&mut self, value: f64, delta: f64) {
        if value.is_finite() && self.metric.better(value, self.best, delta) {
            self.best = value;
            self.idle = 0;
        } else {
            self.idle += 1;
        }
    }
}
