//! Errors of training and using models.

use std::path::PathBuf;

use perceptra_data::{DataError, Task};
use perceptra_files::LockError;
use perceptra_nn::{Activation, Loss, NetworkError};
use perceptra_train::{Metric, TrainError};

use crate::fitting::{loss_hint, metric_hint};
use crate::hint::Hint;

/// An error of a run or of a model; [`ModelError::hint`] suggests a remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// An error in the data.
    #[error(transparent)]
    Data(#[from] DataError),
    /// An invalid description of the network.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// Training failed.
    #[error(transparent)]
    Train(TrainError),
    /// A run file that is not valid TOML or has unknown or wrong entries.
    #[error("{name}: {message}")]
    RunFile {
        /// The file.
        name: String,
        /// Message of the parser, with line, column and the offending text.
        message: String,
        /// The known key with the most similar name; `None` if none is similar.
        nearest: Option<String>,
    },
    /// A name that belongs to no key of a run file, or to several.
    #[error("`{name}`: {reason}")]
    Key {
        /// The name as written.
        name: String,
        /// Why the name does not stand for a key.
        reason: String,
        /// The known key with the most similar name; `None` if none is similar.
        nearest: Option<String>,
    },
    /// A text that a key of a run file does not accept as its value.
    #[error("`{key}={text}`: {reason}")]
    Value {
        /// The key by its path.
        key: String,
        /// The value as written.
        text: String,
        /// Why the key does not accept it.
        reason: String,
        /// The name with the most similar spelling, of a key whose values are names; `None` if none is similar.
        nearest: Option<String>,
    },
    /// Settings that are out of range or contradict each other; the list has every problem.
    #[error("{}", .0.join("; "))]
    Settings(Vec<String>),
    /// A loss that does not fit the task.
    #[error("the loss {loss} does not fit the task {task}")]
    LossMismatch {
        /// The loss.
        loss: Loss,
        /// The task.
        task: Task,
    },
    /// A positive class that the target does not have, or a target without two classes.
    #[error("the target {target:?} has no positive class {class:?}: {}", why_not(.classes))]
    Positive {
        /// The target.
        target: String,
        /// The class that was to be the positive one.
        class: String,
        /// The classes of the target; none of numbers.
        classes: Vec<String>,
        /// The class of the most similar name, if one is similar.
        nearest: Option<String>,
    },
    /// An activation of the output that would act on standardized targets, whose 0 is the mean and whose 1 is the standard deviation.
    #[error(
        "output_activation is {activation}, which would act on standardized targets: it would bend or end at so many standard \
         deviations from their mean, not where it does in their own units"
    )]
    OutputActivation {
        /// The activation.
        activation: Activation,
    },
    /// A metric that does not fit the task.
    #[error("the metric {metric} cannot be monitored for the task {task}")]
    MetricMismatch {
        /// The metric.
        metric: Metric,
        /// The task.
        task: Task,
    },
    /// Prediction intervals of a model that has no residuals of validation rows, or too few.
    #[error("the model has no prediction intervals: {0}")]
    NoIntervals(String),
    /// Rows of numbers, given to a model with a feature that is not numeric.
    #[error("the feature {column:?} is {kind}: rows of numbers cannot hold it, a table or a record batch can")]
    NotNumeric {
        /// The feature.
        column: String,
        /// The kind of its column.
        kind: &'static str,
    },
    /// A number of values that is not a multiple of the number of features.
    #[error("{values} values are no whole rows of {features} features")]
    RowLength {
        /// Number of values that were given.
        values: usize,
        /// Number of features, which is the number of values of a row.
        features: usize,
    },
    /// Uncertainty requested of a model of one network: uncertainty is the disagreement of the members of an ensemble.
    #[error("the model is one network, and only an ensemble knows its uncertainty")]
    NoUncertainty,
    /// A column of a table that is to stand beside predictions, and has the name of one of theirs.
    #[error("the column {column:?} of the table cannot be kept: predictions have a column of this name")]
    NameClash {
        /// The name.
        column: String,
    },
    /// A name of a file for predictions that does not say their format.
    #[error("{}: the name does not say a format", path.display())]
    UnknownFormat {
        /// The file.
        path: PathBuf,
        /// The endings of names that say one.
        endings: Vec<&'static str>,
    },
    /// A metric that does not measure the importance of features for the task.
    #[error("the metric {metric} cannot measure the importance of features for the task {task}")]
    ImportanceMetric {
        /// The metric.
        metric: String,
        /// The task.
        task: String,
    },
    /// Models that cannot be joined into an ensemble.
    #[error("the models cannot be joined: {0}")]
    Ensemble(String),
    /// Writing failed.
    #[error("{path}: cannot be written: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Error of the operating system.
        source: std::io::Error,
    },
    /// Reading failed.
    #[error("{path}: cannot be read: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Error of the operating system.
        source: std::io::Error,
    },
    /// Another process is writing the same files.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A folder to resume from that has no checkpoint.
    #[error("{folder}: there is no checkpoint in this folder")]
    NoCheckpoint {
        /// The folder.
        folder: PathBuf,
    },
    /// A folder for new checkpoints that already has those of an earlier run.
    #[error("{folder}: the folder has checkpoints of an earlier run")]
    Occupied {
        /// The folder.
        folder: PathBuf,
    },
    /// A checkpoint of a run with other settings or other data.
    #[error("{path}: the checkpoint was made with other settings or data: {}", .differences.join("; "))]
    OtherRun {
        /// The checkpoint.
        path: PathBuf,
        /// The differences.
        differences: Vec<String>,
    },
    /// A file that is not a model of this program.
    #[error("{name}: not a perceptra model: {reason}")]
    Foreign {
        /// The file.
        name: String,
        /// Apparent kind of the file, or the part that is missing.
        reason: String,
    },
    /// A model of a later version.
    #[error("{name}: the model has format {found}, this program reads formats up to {known}")]
    Version {
        /// The file.
        name: String,
        /// Format of the model.
        found: u32,
        /// The latest known format.
        known: u32,
    },
    /// A model file whose contents are inconsistent: cut off, altered or invented.
    #[error("{name}: the model is damaged: {reason}")]
    Damaged {
        /// The file.
        name: String,
        /// The inconsistency.
        reason: String,
    },
}

/// Why a target has no such positive class.
fn why_not(classes: &[String]) -> String {
    match classes {
        [] => "it is a number".to_owned(),
        [a, b] => format!("its classes are {a:?} and {b:?}"),
        more => format!("only one of two classes is positive, and it has {}", more.len()),
    }
}

impl From<TrainError> for ModelError {
    fn from(error: TrainError) -> Self {
        match error {
            // An error of a streamed table is unwrapped as it comes back through the training loop, so that it keeps its place in the file
            // and its hint.
            TrainError::Blocks(error) => match error.0.downcast::<Self>() {
                Ok(error) => *error,
                Err(error) => Self::Train(TrainError::blocks(error)),
            },
            error => Self::Train(error),
        }
    }
}

impl ModelError {
    /// A suggestion for a remedy; `None` if there is none.
    pub fn hint(&self) -> Option<Hint> {
        let advice = |text: &'static str| Some(Hint::Advice(text.into()));
        match self {
            Self::Data(e) => e.hint().map(Hint::Data),
            Self::Train(e) => e.hint().map(|hint| Hint::Advice(hint.into())),
            Self::RunFile { nearest, .. } | Self::Key { nearest, .. } | Self::Value { nearest, .. } => {
                nearest.clone().map(Hint::DidYouMean)
            }
            Self::LossMismatch { task, .. } => Some(Hint::Advice(loss_hint(*task).into())),
            Self::Positive { nearest, .. } => {
                nearest.clone().map(|class| Hint::Data(perceptra_data::Hint::DidYouMean(class)))
            }
            Self::OutputActivation { .. } => Some(Hint::DoNotStandardizeTargets),
            Self::MetricMismatch { task, .. } => Some(Hint::Advice(metric_hint(*task).into())),
            Self::Lock(LockError::Held { .. }) => advice("wait for it to end, or write somewhere else"),
            Self::NoCheckpoint { .. } => Some(Hint::WriteCheckpoints),
            Self::Occupied { folder } => Some(Hint::ResumeOrChangeFolder(folder.clone())),
            Self::OtherRun { .. } => Some(Hint::ResumeSameRun),
            Self::UnknownFormat { endings, .. } => {
                Some(Hint::Advice(format!("end it in .{}", endings.join(", .")).into()))
            }
            Self::NoUncertainty => Some(Hint::TrainEnsemble),
            Self::NameClash { .. } => advice("give the column another name in the table, or keep other columns"),
            Self::Version { .. } => advice("use a later version of perceptra"),
            Self::Damaged { .. } => advice("copy the file again from where it was made, or train again"),
            Self::Network(_)
            | Self::Settings(_)
            | Self::NoIntervals(_)
            | Self::NotNumeric { .. }
            | Self::RowLength { .. }
            | Self::ImportanceMetric { .. }
            | Self::Ensemble(_)
            | Self::Write { .. }
            | Self::Read { .. }
            | Self::Lock(_)
            | Self::Foreign { .. } => None,
        }
    }
}
