//! The interface of the two engines, which make the same steps.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use perceptra_random::{Purpose, Stream};

use crate::config::TrainConfig;
use crate::error::TrainError;
use crate::metrics::Metric;
use crate::state::TrainState;
use crate::weighted::Weighted;

/// The run for which an engine is created: settings, rows and batches.
pub(crate) struct Plan<'a> {
    pub(crate) config: &'a TrainConfig,
    /// The training rows, unless they come in blocks.
    pub(crate) train: Option<&'a Weighted>,
    pub(crate) device: burn::tensor::Device,
    pub(crate) validation: Option<&'a Weighted>,
    pub(crate) monitor: Metric,
    /// Number of rows in a step; per batch-ensemble member, if members have batches of their own.
    pub(crate) batch: usize,
    /// Number of batch-ensemble members with batches of their own; 1 where members share batches.
    pub(crate) orders: usize,
    /// Steps per epoch.
    pub(crate) steps: usize,
}

/// Largest number of input and target values that are gathered at once when rows are put in an epoch's order, for all networks that are
/// trained together; at least one batch is.
pub(crate) const GATHER: usize = 1 << 24;

/// Conditions under which an epoch ends early, after the current batch.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Until<'a> {
    pub(crate) deadline: Option<Instant>,
    pub(crate) interrupt: Option<&'a AtomicBool>,
}

impl Until<'_> {
    pub(crate) fn past_deadline(&self) -> bool {
        self.deadline.is_some_and(|d| Instant::now() >= d)
    }

    pub(crate) fn interrupted(&self) -> bool {
        self.interrupt.is_some_and(|flag| flag.load(Ordering::Relaxed))
    }

    pub(crate) fn should_stop(&self) -> bool {
        self.interrupted() || self.past_deadline()
    }
}

/// How a pass over the training rows ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EpochResult {
    /// The learning rate of the last step.
    pub(crate) rate: f64,
    /// The number of steps made; 0 if there were no rows.
    pub(crate) steps: usize,
    /// Whether the pass trained on all rows; false if it ended early.
    pub(crate) whole: bool,
}

/// The row numbers of an epoch in the order of training, without a short last batch if the settings drop it. With several `orders`, each
/// step has a batch of the first order, then one of the second, and so on. `draw` selects the random order: the epoch's number, or another
/// number for each further block of streamed rows.
pub(crate) fn order(config: &TrainConfig, rows: usize, batch: usize, orders: usize, draw: u32) -> Vec<u32> {
    let shuffled = |purpose: Purpose| {
        let mut order = perceptra_kernel::order(&Stream::new(config.seed, purpose, draw), rows);
        if config.drop_last {
            order.truncate(rows / batch * batch);
        }
        order
    };
    if orders == 1 {
        return shuffled(Purpose::Shuffle);
    }
    let all: Vec<Vec<u32>> = (0..orders).map(|member| shuffled(Purpose::MemberShuffle(member as u16))).collect();
    let mut order = Vec::with_capacity(orders * rows);
    for start in (0..all[0].len()).step_by(batch) {
        all.iter().for_each(|rows| order.extend(rows[start..].iter().take(batch)));
    }
    order
}

/// The losses and the monitored metric of an epoch.
pub(crate) struct Judged {
    pub(crate) train_loss: f64,
    pub(crate) validation_loss: Option<f64>,
    /// The monitored metric of the validation rows; `None` if the loss is monitored.
    pub(crate) monitored: Option<f64>,
    /// Whether all weights are finite numbers.
    pub(crate) finite: bool,
}

/// A training run in progress; each of the two engines implements it.
pub(crate) trait EngineRun<N> {
    /// Begins an epoch: clears the sums of losses.
    fn begin(&mut self);

    /// Multiplies the schedule's learning rates by `factor` from now on; replaces an earlier factor.
    fn scale_rate(&mut self, factor: f64);

    /// Trains once on the training rows, or on `block` if rows come in blocks, in the random order that `draw` selects.
    fn pass(&mut self, block: Option<&Weighted>, draw: u32, until: &Until<'_>) -> Result<EpochResult, TrainError>;

    /// Computes the epoch's losses and monitored metric.
    fn judge(&mut self) -> Result<Judged, TrainError>;

    /// Keeps the current weights as the best.
    fn keep(&mut self);

    /// The current state of the run, with an empty list of epochs.
    fn state(&mut self) -> Result<TrainState, TrainError>;

    /// Continues the run from `state`.
    fn resume(&mut self, state: &TrainState) -> Result<(), TrainError>;

    /// The network with the best weights.
    fn best(self: Box<Self>) -> N;
}
