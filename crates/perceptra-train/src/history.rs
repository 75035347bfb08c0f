//! The epochs of a training run and why it ended.

use serde::{Deserialize, Serialize};

use crate::metrics::Metric;

/// Losses, learning rate and duration of one epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// Number of the epoch, from 1.
    pub epoch: usize,
    /// Loss of the training rows, each row's computed when its batch was trained.
    pub train_loss: f64,
    /// Loss of the validation rows after the epoch; `None` without validation rows.
    #[serde(with = "any_number")]
    pub validation_loss: Option<f64>,
    /// The monitored metric of the validation rows; `None` if the loss is monitored.
    #[serde(with = "any_number")]
    pub monitored: Option<f64>,
    /// Learning rate of the epoch's last step.
    pub learning_rate: f64,
    /// Seconds the epoch took. They are not stored, so that equal runs have equal histories.
    #[serde(skip)]
    pub seconds: f64,
}

impl Epoch {
    /// The value by which epochs are compared: the monitored metric, else the validation loss, else the training loss.
    pub fn value(&self) -> f64 {
        self.monitored.or(self.validation_loss).unwrap_or(self.train_loss)
    }
}

/// Reads and writes numbers that may be NaN or infinite; JSON does not have these, so they are written as text.
mod any_number {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Number {
        Finite(f64),
        Text(String),
    }

    #[expect(clippy::ref_option, reason = "serde passes a reference")]
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
    /// Early stopping: the monitored value has not improved for `patience` epochs.
    Patience,
    /// The monitored value has reached its target.
    Target,
    /// The training loss has not fallen for `no_progress` epochs.
    NoProgress,
    /// The time limit has passed.
    TimeLimit,
    /// An observer asked to stop.
    Asked,
    /// The observer's [`interrupt`](crate::Observer::interrupt) was set; the run ended after the current batch.
    Interrupted,
    /// The training loss or the weights became NaN or infinite in the epoch after the last one in the history.
    Diverged,
    /// The run has not ended: this is the history of a checkpoint.
    Unfinished,
}

impl std::fmt::Display for StopReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Epochs => "all epochs are done",
            Self::Patience => "stopped early: no improvement within the patience",
            Self::Target => "the target value is reached",
            Self::NoProgress => "the training loss no longer falls",
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
    /// The metric by which epochs were compared.
    pub monitor: Metric,
    /// Every epoch, in order.
    pub epochs: Vec<Epoch>,
    /// The epoch whose weights were kept, from 1.
    pub best_epoch: usize,
    /// Why the run ended.
    pub stop: StopReason,
}

impl History {
    /// The epoch whose weights were kept; `None` in a history without epochs.
    pub fn best(&self) -> Option<&Epoch> {
        self.epochs.get(self.best_epoch.wrapping_sub(1))
    }
}
