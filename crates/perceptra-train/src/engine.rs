//! What trains: one of two engines, which make the same steps.

use std::time::Instant;

use perceptra_nn::Loss;
use serde::{Deserialize, Serialize};

use crate::autodiff::{Autodiff, Weighted};
use crate::fused::Fused;
use crate::{
    ClassificationMetrics, Metric, Network, RegressionMetrics, TrainConfig, TrainError, argmax, probabilities,
};

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

/// An engine at work.
pub(crate) struct Started<'a, N> {
    pub(crate) running: Box<dyn Running<N> + 'a>,
    pub(crate) engine: Engine,
    /// Why it is not the fused one, where that would have been taken.
    pub(crate) obstacle: Option<String>,
}

/// The engine that is asked for, or the best one.
pub(crate) fn start<'a, N: Network + 'a>(network: N, plan: &Plan<'a>) -> Result<Started<'a, N>, TrainError> {
    let wanted = plan.config.engine;
    let obstacle = if wanted == Engine::Autodiff { None } else { Fused::obstacle(&network, plan) };
    match (wanted, obstacle) {
        (Engine::Fused, Some(obstacle)) => Err(TrainError::Engine { obstacle }),
        (Engine::Fused | Engine::Auto, None) => {
            Ok(Started { running: Box::new(Fused::new(network, plan)?), engine: Engine::Fused, obstacle: None })
        }
        (_, obstacle) => {
            Ok(Started { running: Box::new(Autodiff::new(network, plan)), engine: Engine::Autodiff, obstacle })
        }
    }
}

/// A metric of outputs, in the targets' units.
pub(crate) fn monitored(
    mut outputs: Vec<f32>,
    targets: &[f32],
    columns: usize,
    weights: Option<&[f32]>,
    units: Option<&[f32]>,
    loss: Loss,
    metric: Metric,
) -> f64 {
    if metric.is_of_classes() {
        let truth: Vec<u32> = match columns {
            1 => targets.iter().map(|&t| u32::from(t > 0.5)).collect(),
            _ => targets.chunks_exact(columns).map(|t| argmax(t) as u32).collect(),
        };
        let p = probabilities(&outputs, columns, loss);
        let m = ClassificationMetrics::of(&p, &truth, columns.max(2), weights);
        return m.get(metric).unwrap_or(f64::NAN);
    }
    let mut targets = targets.to_vec();
    if let Some(units) = units {
        for row in outputs.chunks_exact_mut(columns).chain(targets.chunks_exact_mut(columns)) {
            row.iter_mut().zip(units).for_each(|(x, unit)| *x *= unit);
        }
    }
    RegressionMetrics::of(&outputs, &targets, columns, weights).get(metric).unwrap_or(f64::NAN)
}
