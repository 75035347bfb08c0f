//! The training loop.

use std::time::{Duration, Instant};

use perceptra_nn::Loss;

use crate::autodiff::Autodiff;
use crate::engine::{Judged, Plan, Running};
use crate::fused::Fused;
use crate::weighted::Weighted;
use crate::{
    Control, Dataset, Engine, Epoch, Event, History, Metric, Network, Observer, StopReason, TrainConfig, TrainError,
};

/// A trained network and how it came about.
#[derive(Debug, Clone)]
pub struct Fitted<N> {
    /// The network with the weights of the best epoch, ready for evaluation (no autodiff).
    pub network: N,
    /// Every epoch.
    pub history: History,
}

/// Trains `network` on `train`, judged on `validation` if there is one.
///
/// The rows stay on their device. Each epoch they are put into a new order, drawn from `(seed, epoch)`, and taken in
/// minibatches; losses are added up on the device and read once at the end of the epoch. The weights of the best epoch
/// come back whatever ended the run; an epoch whose monitored number is NaN is never the best. Without validation rows
/// the training loss is monitored. What trains is one of two [`Engine`](crate::Engine)s, which make the same steps.
///
/// # Errors
///
/// Settings and shapes that do not fit, [`TrainError::Engine`], and [`TrainError::Diverged`] when the training loss is no longer finite.
pub fn fit<N: Network>(
    network: N,
    train: &Dataset,
    validation: Option<&Dataset>,
    config: &TrainConfig,
    observer: &mut impl Observer,
) -> Result<Fitted<N>, TrainError> {
    config.validate()?;
    let loss = config.loss.unwrap_or_default();
    let train = Weighted::new(train, &network, config, None)?;
    let validation = match validation {
        Some(data) => Some(Weighted::new(data, &network, config, train.classes.clone())?),
        None => None,
    };
    let rows = train.rows;
    let batch = config.batch.size(rows);
    let steps = if config.drop_last { rows / batch } else { rows.div_ceil(batch) };
    let monitor = if validation.is_some() { config.monitor } else { Metric::Loss };

    let plan = Plan { config, loss, train: &train, validation: validation.as_ref(), monitor, batch, steps };
    let Started { mut running, engine, obstacle } = start(network, &plan)?;
    let deadline = config.time_limit.map(|s| Instant::now() + Duration::from_secs_f64(s.min(1e9)));
    let mut best = (f64::NAN, 0);
    let mut patience = Progress::new(monitor);
    let mut progress = Progress::new(Metric::Loss);
    let mut epochs: Vec<Epoch> = Vec::new();
    let obstacle = obstacle.as_deref();
    observer.observe(&Event::Started { epochs: config.epochs, rows, steps, engine, obstacle });

    let stop = loop {
        let epoch = epochs.len() + 1;
        let start = Instant::now();
        let learning_rate = running.epoch(epoch as u32, deadline);
        // The one place where the host waits for the device.
        let Judged { train_loss, validation_loss, monitored } = running.judge()?;
        if !train_loss.is_finite() {
            return Err(TrainError::Diverged {
                epoch,
                loss: train_loss.to_string(),
                last_finite: epochs.last().map(|e| e.train_loss),
            });
        }
        let value = monitored.or(validation_loss).unwrap_or(train_loss);
        let improved = best.1 == 0 || monitor.better(value, best.0, 0.0);
        if improved {
            best = (value, epoch);
            running.keep();
        }
        epochs.push(Epoch {
            epoch,
            train_loss,
            validation_loss,
            monitored,
            learning_rate,
            seconds: start.elapsed().as_secs_f64(),
        });
        let idle = patience.advance(value, config.min_delta);
        let flat = progress.advance(train_loss, config.min_delta);
        let control = observer.observe(&Event::Epoch { epoch: &epochs[epoch - 1], improved });
        let reached = config.target.is_some_and(|t| value == t || monitor.better(value, t, 0.0));
        if reached {
            break StopReason::Target;
        } else if control == Control::Stop {
            break StopReason::Asked;
        } else if deadline.is_some_and(|d| Instant::now() >= d) {
            break StopReason::TimeLimit;
        } else if config.patience.is_some_and(|p| idle >= p) {
            break StopReason::Patience;
        } else if config.no_progress.is_some_and(|p| flat >= p) {
            break StopReason::NoProgress;
        } else if epoch == config.epochs {
            break StopReason::Epochs;
        }
    };
    let history = History { monitor, epochs, best_epoch: best.1, stop };
    observer.observe(&Event::Stopped { history: &history });
    Ok(Fitted { network: running.best(), history })
}

/// The loss of `network` on `data`, with its row weights.
///
/// # Errors
///
/// [`TrainError::Width`].
pub fn evaluate_loss<N: Network>(network: &N, data: &Dataset, loss: Loss) -> Result<f64, TrainError> {
    let config = TrainConfig { loss: Some(loss), ..TrainConfig::default() };
    let data = Weighted::new(data, network, &config, None)?;
    data.judge(&network.valid(), loss, Metric::Loss)?.0.read(loss)
}

/// How long a number has not got better.
struct Progress {
    metric: Metric,
    best: f64,
    idle: usize,
}

impl Progress {
    fn new(metric: Metric) -> Self {
        Self { metric, best: f64::NAN, idle: 0 }
    }

    /// Epochs since `value` last got better by more than `delta`.
    fn advance(&mut self, value: f64, delta: f64) -> usize {
        if self.metric.better(value, self.best, delta) {
            self.best = value;
            self.idle = 0;
        } else {
            self.idle += 1;
        }
        self.idle
    }
}

/// An engine at work.
struct Started<'a, N> {
    running: Box<dyn Running<N> + 'a>,
    engine: Engine,
    /// Why it is not the fused one, where that would have been taken.
    obstacle: Option<String>,
}

/// The engine that is asked for, or the best one.
fn start<'a, N: Network + 'a>(network: N, plan: &Plan<'a>) -> Result<Started<'a, N>, TrainError> {
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
