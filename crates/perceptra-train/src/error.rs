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
    /// The training loss became NaN or infinite.
    #[error("the training loss became {loss} in epoch {epoch}{}", last(.last_finite))]
    Diverged {
        /// The epoch, from 1.
        epoch: usize,
        /// What the loss became: NaN or an infinity, as text so that errors can be compared.
        loss: String,
        /// The loss of the epoch before, if there was one.
        last_finite: Option<f64>,
    },
}

fn problems(list: &[String]) -> String {
    match list {
        [one] => one.clone(),
        several => format!("{} settings are wrong: {}", several.len(), several.join("; ")),
    }
}

fn last(loss: &Option<f64>) -> String {
    loss.map_or_else(String::new, |loss| format!(", after {loss:.6} in the epoch before"))
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
            Self::Device(_) => Some("use a smaller batch, or --device cpu".to_owned()),
            _ => None,
        }
    }
}
