//! Errors of training.

use std::error::Error;
use std::fmt;

use perceptra_nn::NetworkError;

/// Error of settings or data with which training is impossible, or of a training that failed. [`TrainError::hint`] says how to fix it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// Settings that are out of range or contradict each other; the list has every problem.
    #[error("{}", problems(.0))]
    Settings(Vec<String>),
    /// Inputs, targets or weights that differ in their number of rows.
    #[error("{what} has {found} rows, the inputs have {expected}")]
    Rows {
        /// "targets" or "weights".
        what: &'static str,
        /// Number of rows of those targets or weights.
        found: usize,
        /// The number of rows of the inputs.
        expected: usize,
    },
    /// A data set without rows.
    #[error("the {0} set has no rows")]
    Empty(&'static str),
    /// A network and data of different widths.
    #[error("the network has {network} {what}, the data {data}")]
    Width {
        /// "inputs" or "outputs".
        what: &'static str,
        /// The number of inputs or outputs of the network.
        network: usize,
        /// The number of inputs or outputs of the data.
        data: usize,
    },
    /// The number of class weights is not that of the classes.
    #[error("there are {found} class weights for {expected} classes")]
    ClassWeights {
        /// The number of weights given.
        found: usize,
        /// The number of classes of the targets.
        expected: usize,
    },
    /// The fused engine was chosen and does not support the network or a setting.
    #[error("the fused engine cannot train this: {obstacle}")]
    Engine {
        /// Why the fused engine does not support it.
        obstacle: String,
    },
    /// The device failed: out of memory, lost, or a kernel that could not run.
    #[error("the device failed: {0}")]
    Device(String),
    /// The training loss or the weights became NaN or infinite before there was a best epoch. A run that already has a best epoch returns
    /// its weights instead, with [`StopReason::Diverged`](crate::StopReason::Diverged).
    #[error("the training loss or the weights became NaN or infinite in epoch {epoch}")]
    Diverged {
        /// The epoch, from 1.
        epoch: usize,
    },
    /// The monitored metric was NaN or infinite in every epoch, so that no epoch is the best.
    #[error("the monitored {monitor} was not a finite number in any of {epochs} epochs")]
    Undefined {
        /// Name of the metric.
        monitor: String,
        /// The number of epochs trained.
        epochs: usize,
    },
    /// The state to resume from is damaged, or belongs to another run.
    #[error("the run cannot be resumed: {0}")]
    Resume(String),
    /// The [`Blocks`](crate::Blocks) failed to provide their rows.
    #[error("{0}")]
    Blocks(BlocksError),
}

/// Error of [`Blocks`](crate::Blocks) that failed to provide their rows. Errors with the same message are equal; a clone keeps only the
/// message.
#[derive(Debug)]
pub struct BlocksError(pub Box<dyn Error + Send + Sync>);

impl fmt::Display for BlocksError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Clone for BlocksError {
    fn clone(&self) -> Self {
        Self(self.to_string().into())
    }
}

impl PartialEq for BlocksError {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

fn problems(list: &[String]) -> String {
    match list {
        [one] => one.clone(),
        several => format!("{} settings are wrong: {}", several.len(), several.join("; ")),
    }
}

impl From<NetworkError> for TrainError {
    fn from(error: NetworkError) -> Self {
        match error {
            NetworkError::Device(message) => Self::Device(message),
            error => Self::Settings(vec![error.to_string()]),
        }
    }
}

impl TrainError {
    /// Wraps any error, or a message, in a [`TrainError::Blocks`].
    pub fn blocks(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Blocks(BlocksError(error.into()))
    }

    /// Advice on how to fix the error; `None` where there is none. It names no flags: a program can match the error and name its own.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Diverged { .. } => {
                Some("lower the learning rate, standardize the inputs, or clip the norm of the gradient at 1")
            }
            Self::Engine { .. } => Some("choose the engine automatically, or use autodiff, which can train everything"),
            Self::Undefined { .. } => Some(
                "monitor the loss, or give validation rows in which the metric is defined, such as rows of every class",
            ),
            Self::Device(_) => Some("use a smaller batch, or compute on the CPU"),
            Self::Settings(_)
            | Self::Rows { .. }
            | Self::Empty(_)
            | Self::Width { .. }
            | Self::ClassWeights { .. }
            | Self::Resume(_)
            | Self::Blocks(_) => None,
        }
    }
}
