//! What can go wrong in training.

/// Settings or data that cannot be trained, or a training that failed. [`TrainError::hint`] says how to mend it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// Settings out of range or at odds: all of them at once.
    #[error("{}", problems(.0))]
    Settings(Vec<String>),
    /// Inputs, targets or weights that differ in their number of rows.
    #[error("{what} has {found} rows, the inputs have {expected}")]
    Rows {
        /// "targets" or "weights".
        what: &'static str,
        /// Its rows.
        found: usize,
        /// Rows of the inputs.
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
        /// Of the network.
        network: usize,
        /// Of the data.
        data: usize,
    },
    /// As many class weights as there are classes are needed.
    #[error("there are {found} class weights for {expected} classes")]
    ClassWeights {
        /// Weights given.
        found: usize,
        /// Classes of the targets.
        expected: usize,
    },
    /// The fused engine was asked for and cannot do what is asked of it.
    #[error("the fused engine cannot train this: {obstacle}")]
    Engine {
        /// What stands in the way.
        obstacle: String,
    },
    /// The device failed: out of memory, lost, or a kernel that could not run.
    #[error("the device failed: {0}")]
    Device(String),
    /// The training loss or the weights became NaN or infinite before any epoch could be kept. A run that has a best epoch
    /// by then ends with it, and with [`StopReason::Diverged`](crate::StopReason::Diverged).
    #[error("the training loss or the weights became NaN or infinite in epoch {epoch}")]
    Diverged {
        /// The epoch, from 1.
        epoch: usize,
    },
    /// What is monitored was NaN or infinite in every epoch, so that none could be chosen.
    #[error("the monitored {monitor} was not a finite number in any of {epochs} epochs")]
    Undefined {
        /// The metric.
        monitor: String,
        /// Epochs trained.
        epochs: usize,
    },
    /// A state that is not of this run, or damaged.
    #[error("the run cannot be resumed: {0}")]
    Resume(String),
    /// Rows that come in blocks and could not be had.
    #[error("{0}")]
    Blocks(String),
}

fn problems(list: &[String]) -> String {
    match list {
        [one] => one.clone(),
        several => format!("{} settings are wrong: {}", several.len(), several.join("; ")),
    }
}

impl TrainError {
    /// How to mend it, where there is a way.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Diverged { .. } => Some(
                "lower the learning rate, standardise the inputs, or clip the gradient with --clip-norm 1".to_owned(),
            ),
            Self::Engine { .. } => {
                Some("leave the engine at auto, or use autodiff, which can train everything".to_owned())
            }
            Self::Undefined { .. } => Some(
                "monitor the loss, or give validation rows in which the metric is defined, such as rows of every class"
                    .to_owned(),
            ),
            Self::Device(_) => Some("use a smaller batch, or --device cpu".to_owned()),
            _ => None,
        }
    }
}
