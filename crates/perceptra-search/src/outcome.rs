//! How the training of a trial on one case ended.

use perceptra_model::Trained;
use perceptra_train::{History, Metric, StopReason, TrainState};

/// How the training of a trial on one case ended.
pub(crate) enum Outcome {
    /// The trial has a score; its training can continue if there is a `state`.
    Score {
        score: f64,
        /// The best epoch, counted from 1.
        epoch: usize,
        /// Seconds of training.
        seconds: f64,
        curve: Vec<(usize, f64)>,
        /// The state to continue from; `None` if training has come to its end.
        state: Option<Box<TrainState>>,
    },
    /// The trial has no score: training failed, diverged or gave a score that is not finite.
    Failed { reason: String, seconds: f64 },
    /// The user interrupted the training.
    Interrupted,
}

impl Outcome {
    /// The outcome of a training that ended without an error, scored by `metric`. `seconds` is its duration; `None` for the sum over its
    /// epochs.
    pub(crate) fn of(trained: &Trained, metric: Metric, state: Option<TrainState>, seconds: Option<f64>) -> Self {
        let history = &trained.model.about().history;
        let seconds = seconds.unwrap_or_else(|| history.epochs.iter().map(|e| e.seconds).sum());
        let reason = match history.stop {
            StopReason::Interrupted => return Self::Interrupted,
            StopReason::Diverged => format!("it diverged in epoch {}", history.epochs.len() + 1),
            StopReason::Epochs
            | StopReason::Patience
            | StopReason::Target
            | StopReason::NoProgress
            | StopReason::TimeLimit
            | StopReason::Asked
            | StopReason::Unfinished => {
                let metrics = trained.model.about().metrics.as_ref().or(trained.validation.as_ref());
                let score = metrics.and_then(|m| m.get(metric)).filter(|score| score.is_finite());
                if let Some(score) = score {
                    let (epoch, curve) = (history.best_epoch, curve(history));
                    return Self::Score { score, epoch, seconds, curve, state: state.map(Box::new) };
                }
                format!("its {metric} is not a finite number")
            }
        };
        Self::Failed { reason, seconds }
    }

    pub(crate) fn is_failed(&self) -> bool {
        match self {
            Self::Failed { .. } => true,
            Self::Score { .. } | Self::Interrupted => false,
        }
    }

    pub(crate) fn is_interrupted(&self) -> bool {
        match self {
            Self::Interrupted => true,
            Self::Score { .. } | Self::Failed { .. } => false,
        }
    }
}

/// Largest number of points of a learning curve that are kept, apart from the last epoch.
const CURVE: usize = 64;

/// Learning curve: (epoch, monitored metric) after some of the epochs, including the last; values that are not finite are left out.
fn curve(history: &History) -> Vec<(usize, f64)> {
    let n = history.epochs.len();
    let kept = history.epochs.iter().filter(|e| e.epoch % n.div_ceil(CURVE) == 0 || e.epoch == n);
    kept.map(|e| (e.epoch, e.value())).filter(|(_, value)| value.is_finite()).collect()
}
