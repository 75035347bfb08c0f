//! What can go wrong from a table to a model and back.

use std::path::PathBuf;

use perceptra_data::DataError;
use perceptra_nn::NetworkError;
use perceptra_train::{LockError, TrainError};

/// A run or a model that failed. [`ModelError::hint`] says how to mend it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The data is at fault.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The description of the network is at fault.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// Training failed.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// A run file that is not valid TOML or has unknown or wrong entries.
    #[error("{name}: {message}")]
    RunFile {
        /// The file.
        name: String,
        /// What the parser says, with line, column and the text in question.
        message: String,
        /// The nearest known key.
        nearest: Option<String>,
    },
    /// Settings out of range or at odds: all of them at once.
    #[error("{}", .0.join("; "))]
    Settings(Vec<String>),
    /// A loss that does not fit the task.
    #[error("the loss {loss} does not fit the task {task}")]
    LossMismatch {
        /// The loss.
        loss: String,
        /// The task.
        task: String,
    },
    /// A metric that does not fit the task.
    #[error("the metric {metric} cannot be monitored for the task {task}")]
    MetricMismatch {
        /// The metric.
        metric: String,
        /// The task.
        task: String,
    },
    /// Intervals of a model that does not know how far its predictions are off.
    #[error("the model has no intervals: {0}")]
    NoIntervals(String),
    /// A metric that says nothing of how much a feature matters.
    #[error("the metric {metric} cannot judge the features of the task {task}")]
    NotJudged {
        /// The metric.
        metric: String,
        /// The task.
        task: String,
    },
    /// Models that cannot be one.
    #[error("the models cannot be joined: {0}")]
    Ensemble(String),
    /// Writing failed.
    #[error("{path}: cannot be written: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Reading failed.
    #[error("{path}: cannot be read: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Another run is at work on the same files.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A folder to resume from that has no checkpoint.
    #[error("{folder}: there is no checkpoint in this folder")]
    NoCheckpoint {
        /// The folder.
        folder: PathBuf,
    },
    /// A folder for checkpoints that has those of an earlier run.
    #[error("{folder}: the folder has checkpoints of an earlier run")]
    Occupied {
        /// The folder.
        folder: PathBuf,
    },
    /// A checkpoint of a run with other settings or other data.
    #[error("{path}: the run was begun otherwise: {}", .differences.join("; "))]
    OtherRun {
        /// The checkpoint.
        path: PathBuf,
        /// What differs.
        differences: Vec<String>,
    },
    /// A file that is no model of this program.
    #[error("{name}: not a perceptra model: {reason}")]
    Foreign {
        /// The file.
        name: String,
        /// What it looks like or lacks.
        reason: String,
    },
    /// A model of a later version.
    #[error("{name}: the model has format {found}, this program reads formats up to {known}")]
    Version {
        /// The file.
        name: String,
        /// Its format.
        found: u32,
        /// The latest known format.
        known: u32,
    },
    /// A model whose contents do not fit together: cut off, altered, or made up.
    #[error("{name}: the model is damaged: {reason}")]
    Damaged {
        /// The file.
        name: String,
        /// What does not fit.
        reason: String,
    },
}

impl ModelError {
    /// How to mend it, where there is a way.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Data(e) => e.hint().map(|hint| hint.to_string()),
            Self::Train(e) => e.hint(),
            Self::RunFile { nearest: Some(key), .. } => Some(format!("did you mean `{key}`?")),
            Self::LossMismatch { task, .. } => Some(match task.as_str() {
                "regression" => "use mse, half-sse, mae or huber".into(),
                "binary" => "use binary-cross-entropy, or mse or half-sse on the probability".into(),
                _ => "use categorical-cross-entropy, or mse or half-sse on the probabilities".into(),
            }),
            Self::MetricMismatch { task, .. } => Some(match task.as_str() {
                "regression" => "use loss, mse, rmse, mae, r2 or explained-variance".into(),
                _ => "use loss, accuracy, balanced-accuracy, precision, recall, f1, roc-auc or log-loss".into(),
            }),
            Self::Lock(LockError::Held { .. }) => Some("wait for it to end, or write somewhere else".into()),
            Self::NoCheckpoint { .. } => Some("begin the run with --checkpoint FOLDER".into()),
            Self::Occupied { folder } => Some(format!(
                "--resume {} goes on with that run; for a new one choose another folder or remove this one",
                folder.display()
            )),
            Self::OtherRun { .. } => {
                Some("go on with the same table and settings, or begin a new run with --checkpoint FOLDER".into())
            }
            Self::Version { .. } => Some("use a later version of perceptra".into()),
            Self::Damaged { .. } => Some("copy the file again from where it was made, or train again".into()),
            _ => None,
        }
    }
}
