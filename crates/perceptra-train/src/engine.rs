//! What trains: one of two engines, which make the same steps.

use std::time::Instant;

use perceptra_nn::Loss;
use serde::{Deserialize, Serialize};

use crate::weighted::Weighted;
use crate::{Metric, TrainConfig, TrainError};

/// Which engine trains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// `Fused` where it can, else `Autodiff`.
    #[default]
    Auto,
    /// Burn's autodiff: any network, any device, any optimiser.
    Autodiff,
    /// Explicit backpropagation in fused kernels, on the CPU: [`FeedForward`](perceptra_nn::FeedForward) networks without
    /// normalisation, with SGD, Adam, AdamW, RMSProp, AdaGrad or Lion. It makes the same steps, but for rounding.
    Fused,
}

impl Engine {
    /// The name used in files and messages, such as `fused`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Autodiff => "autodiff",
            Self::Fused => "fused",
        }
    }
}

/// What an engine needs to know.
pub(crate) struct Plan<'a> {
    pub(crate) config: &'a TrainConfig,
    pub(crate) loss: Loss,
    pub(crate) train: &'a Weighted,
    pub(crate) validation: Option<&'a Weighted>,
    pub(crate) monitor: Metric,
    /// Rows of a step.
    pub(crate) batch: usize,
    /// Steps of an epoch.
    pub(crate) steps: usize,
}

/// An epoch, judged.
pub(crate) struct Judged {
    pub(crate) train_loss: f64,
    pub(crate) validation_loss: Option<f64>,
    pub(crate) monitored: Option<f64>,
}

/// A network in training.
pub(crate) trait Running<N> {
    /// One pass over the rows in a new order; the last learning rate. Ends early at the deadline, after the batch in work.
    fn epoch(&mut self, epoch: u32, deadline: Option<Instant>) -> f64;

    /// The losses of the epoch.
    fn judge(&mut self) -> Result<Judged, TrainError>;

    /// Remembers the weights as they are now as the best.
    fn keep(&mut self);

    /// The network with the weights that were kept.
    fn best(self: Box<Self>) -> N;
}
