//! What trains: one of two engines, which make the same steps.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use perceptra_nn::Loss;
use perceptra_random::{Purpose, Stream};
use serde::{Deserialize, Serialize};

use crate::weighted::Weighted;
use crate::{Metric, TrainConfig, TrainError, TrainState};

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
    /// Where the rows are that train, unless they come in blocks.
    pub(crate) train: Option<&'a Weighted>,
    pub(crate) device: burn::tensor::Device,
    pub(crate) validation: Option<&'a Weighted>,
    pub(crate) monitor: Metric,
    /// Rows of a step; of each member, where there are several.
    pub(crate) batch: usize,
    /// Members that have batches of their own, else 1.
    pub(crate) orders: usize,
    /// Steps of an epoch.
    pub(crate) steps: usize,
}

/// When to end an epoch early, after the batch in work.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Until<'a> {
    pub(crate) deadline: Option<Instant>,
    pub(crate) interrupt: Option<&'a AtomicBool>,
}

impl Until<'_> {
    pub(crate) fn late(&self) -> bool {
        self.deadline.is_some_and(|d| Instant::now() >= d)
    }

    pub(crate) fn interrupted(&self) -> bool {
        self.interrupt.is_some_and(|flag| flag.load(Ordering::Relaxed))
    }

    pub(crate) fn reached(&self) -> bool {
        self.interrupted() || self.late()
    }
}

/// A pass over rows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pass {
    /// The learning rate of the last step.
    pub(crate) rate: f64,
    /// Whether all rows were taken.
    pub(crate) whole: bool,
}

/// The rows of a pass in their order, of whole batches if the last may not be short; for several `orders`, of each step the rows
/// of one after another. `draw` is the epoch, or another number for each further block.
pub(crate) fn order(config: &TrainConfig, rows: usize, batch: usize, orders: usize, draw: u32) -> Vec<u32> {
    let of = |purpose: Purpose| {
        let mut order = perceptra_kernel::order(&Stream::new(config.seed, purpose, draw), rows);
        if config.drop_last {
            order.truncate(rows / batch * batch);
        }
        order
    };
    if orders == 1 {
        return of(Purpose::Shuffle);
    }
    let all: Vec<Vec<u32>> = (0..orders).map(|member| of(Purpose::MemberShuffle(member as u16))).collect();
    let mut order = Vec::with_capacity(orders * rows);
    for start in (0..all[0].len()).step_by(batch) {
        all.iter().for_each(|rows| order.extend(rows[start..].iter().take(batch)));
    }
    order
}

/// An epoch, judged.
pub(crate) struct Judged {
    pub(crate) train_loss: f64,
    pub(crate) validation_loss: Option<f64>,
    pub(crate) monitored: Option<f64>,
    /// Whether all weights are finite numbers.
    pub(crate) finite: bool,
}

/// A network in training.
pub(crate) trait Running<N> {
    /// Begins an epoch: no losses yet.
    fn begin(&mut self);

    /// Multiplies learning rates by this from now on.
    fn slow(&mut self, factor: f64);

    /// One pass over the training rows, or over a block of them, in a new order, which `draw` chooses.
    fn pass(&mut self, block: Option<&Weighted>, draw: u32, until: &Until<'_>) -> Result<Pass, TrainError>;

    /// The losses of the epoch.
    fn judge(&mut self) -> Result<Judged, TrainError>;

    /// Remembers the weights as they are now as the best.
    fn keep(&mut self);

    /// The run as it is now, without its epochs.
    fn state(&mut self) -> Result<TrainState, TrainError>;

    /// Takes up the run that `state` is of.
    fn resume(&mut self, state: &TrainState) -> Result<(), TrainError>;

    /// The network with the weights that were kept.
    fn best(self: Box<Self>) -> N;
}
