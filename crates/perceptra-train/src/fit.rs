//! The training loop.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use burn::tensor::Device;
use perceptra_nn::{FeedForward, Loss};

use crate::autodiff::Autodiff;
use crate::engine::{Judged, Plan, Running, Until};
use crate::fused::Fused;
use crate::weighted::{Weighted, class_weight_tensor, class_weight_values};
use crate::{
    Blocks, ClassWeights, Control, Dataset, Engine, Epoch, Event, History, Metric, Network, Observer, Schedule,
    Snapshot, StopReason, TrainConfig, TrainError, TrainState,
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
/// come back whatever ended the run; an epoch whose monitored number is not finite is never the best. Without validation
/// rows the training loss is monitored. What trains is one of two [`Engine`](crate::Engine)s, which make the same steps.
///
/// A training loss or weights that are no longer finite are noticed at the end of their epoch. The run then ends with
/// [`StopReason::Diverged`] and the best weights so far.
///
/// # Errors
///
/// Settings and shapes that do not fit, [`TrainError::Engine`], [`TrainError::Diverged`] without any finite epoch,
/// [`TrainError::Undefined`].
pub fn fit<N: Network>(
    network: N,
    train: &Dataset,
    validation: Option<&Dataset>,
    config: &TrainConfig,
    observer: &mut impl Observer,
) -> Result<Fitted<N>, TrainError> {
    run(network, None, Rows::Whole(train), validation, config, observer)
}

/// As [`fit`], from a `state` that an earlier run with the same network, rows and settings was in: on the CPU backends the
/// result has the bits of a run without interruption. `config` may allow more epochs than that run had.
///
/// # Errors
///
/// As [`fit`], and [`TrainError::Resume`].
pub fn resume<N: Network>(
    network: N,
    state: &TrainState,
    train: &Dataset,
    validation: Option<&Dataset>,
    config: &TrainConfig,
    observer: &mut impl Observer,
) -> Result<Fitted<N>, TrainError> {
    run(network, Some(state), Rows::Whole(train), validation, config, observer)
}

/// As [`fit`], with training rows that come in blocks, on `device`. Rows are put into a new order within their block.
///
/// # Errors
///
/// As [`fit`], and [`TrainError::Blocks`].
pub fn fit_blocks<N: Network>(
    network: N,
    train: &mut dyn Blocks,
    validation: Option<&Dataset>,
    config: &TrainConfig,
    device: &Device,
    observer: &mut impl Observer,
) -> Result<Fitted<N>, TrainError> {
    run(network, None, Rows::Blocks(train, device), validation, config, observer)
}

/// As [`resume`], with training rows that come in blocks.
///
/// # Errors
///
/// As [`resume`] and [`fit_blocks`].
pub fn resume_blocks<N: Network>(
    network: N,
    state: &TrainState,
    train: &mut dyn Blocks,
    validation: Option<&Dataset>,
    config: &TrainConfig,
    device: &Device,
    observer: &mut impl Observer,
) -> Result<Fitted<N>, TrainError> {
    run(network, Some(state), Rows::Blocks(train, device), validation, config, observer)
}

/// Training rows.
enum Rows<'a> {
    Whole(&'a Dataset),
    Blocks(&'a mut dyn Blocks, &'a Device),
}

/// What each further block adds to the number that chooses orders and dropout: blocks have draws of their own.
const BLOCK: u32 = 0x9E37_79B9;

fn run<N: Network>(
    network: N,
    state: Option<&TrainState>,
    rows: Rows<'_>,
    validation: Option<&Dataset>,
    config: &TrainConfig,
    observer: &mut impl Observer,
) -> Result<Fitted<N>, TrainError> {
    config.validate()?;
    let loss = config.loss.unwrap_or_default();
    let shape = network.shape();
    let (count, device, classes, whole, mut blocks) = match rows {
        Rows::Whole(data) => {
            let data = Weighted::new(data, shape, config, None)?.smoothed(config, loss);
            (data.rows, data.inputs.device(), data.classes.clone(), Some(data), None)
        }
        Rows::Blocks(blocks, device) => {
            (blocks.rows(), device.clone(), block_classes(blocks, config, device)?, None, Some(blocks))
        }
    };
    let validation = match validation {
        Some(data) => Some(Weighted::new(data, shape, config, classes.clone())?),
        None => None,
    };
    let batch = config.batch.size(count);
    let steps = if config.drop_last { count / batch } else { count.div_ceil(batch) };
    let monitor = if validation.is_some() { config.monitor } else { Metric::Loss };

    let train = whole.as_ref();
    let members = network.as_feed_forward().map_or(1, FeedForward::members);
    let orders = if config.share_batches { 1 } else { members };
    let plan = Plan { config, loss, train, device, validation: validation.as_ref(), monitor, batch, orders, steps };
    let Started { running, engine, obstacle } = start(network, &plan, state)?;
    let running = RefCell::new(running);
    let deadline = config.time_limit.map(|s| Instant::now() + Duration::from_secs_f64(s.min(1e9)));
    let mut course = Course::new(monitor, config);
    if let Some(state) = state {
        running.borrow_mut().resume(state)?;
        state.epochs.iter().for_each(|epoch| {
            course.push(epoch.clone());
        });
        running.borrow_mut().slow(course.slow());
    }
    let obstacle = obstacle.as_deref();
    observer.observe(&Event::Started { epochs: config.epochs, rows: count, steps, engine, obstacle });

    let mut whole_epoch = true;
    let mut asked = None;
    // What the observer multiplies learning rates by.
    let mut scale = 1.0;
    let stop = loop {
        let until = Until { deadline, interrupt: observer.interrupt() };
        // A run that is taken up again makes at least an epoch, unless it had come to its end.
        if let Some(stop) = course.stop().or(asked) {
            break stop;
        } else if !course.epochs.is_empty() && until.interrupted() {
            break StopReason::Interrupted;
        } else if !course.epochs.is_empty() && until.late() {
            break StopReason::TimeLimit;
        }
        let epoch = course.epochs.len() + 1;
        let start = Instant::now();
        running.borrow_mut().begin();
        let learning_rate = match &mut blocks {
            None => {
                let pass = running.borrow_mut().pass(None, epoch as u32, &until)?;
                whole_epoch = pass.whole;
                pass.rate
            }
            Some(blocks) => {
                blocks.begin(epoch as u32, batch)?;
                let (mut draw, mut rate) = (epoch as u32, config.learning_rate);
                whole_epoch = true;
                while let Some(block) = blocks.next()? {
                    let block = Weighted::new(&block, shape, config, classes.clone())?.smoothed(config, loss);
                    let pass = running.borrow_mut().pass(Some(&block), draw, &until)?;
                    (draw, rate, whole_epoch) = (draw.wrapping_add(BLOCK), pass.rate, pass.whole);
                    if !whole_epoch {
                        break;
                    }
                }
                rate
            }
        };
        // The one place where the host waits for the device.
        let Judged { train_loss, validation_loss, monitored, finite } = running.borrow_mut().judge()?;
        if !train_loss.is_finite() || !finite {
            whole_epoch = false;
            break StopReason::Diverged;
        }
        let seconds = start.elapsed().as_secs_f64();
        let improved = course.push(Epoch { epoch, train_loss, validation_loss, monitored, learning_rate, seconds });
        if improved {
            running.borrow_mut().keep();
        }
        let capture = || capture(&running, &course.epochs);
        let run = whole_epoch.then_some(Snapshot { capture: &capture });
        let epoch = &course.epochs[epoch - 1];
        match observer.observe(&Event::Epoch { epoch, improved, run }) {
            Control::Stop => asked = Some(StopReason::Asked),
            Control::Scale(factor) => scale *= factor,
            Control::Continue => {}
        }
        running.borrow_mut().slow(scale * course.slow());
    };
    let Course { epochs, best, .. } = course;
    if best.1 == 0 {
        return Err(match stop {
            StopReason::Diverged => TrainError::Diverged { epoch: epochs.len() + 1 },
            _ => TrainError::Undefined { monitor: monitor.to_string(), epochs: epochs.len() },
        });
    }
    let history = History { monitor, epochs, best_epoch: best.1, stop };
    let capture = || capture(&running, &history.epochs);
    let run = whole_epoch.then_some(Snapshot { capture: &capture });
    observer.observe(&Event::Stopped { history: &history, run });
    Ok(Fitted { network: running.into_inner().best(), history })
}

/// The state of a run after these epochs.
fn capture<N: Network>(
    running: &RefCell<Box<dyn Running<N> + '_>>,
    epochs: &[Epoch],
) -> Result<TrainState, TrainError> {
    Ok(TrainState { epochs: epochs.to_vec(), ..running.borrow_mut().state()? })
}

/// The weights of the classes of rows that come in blocks.
fn block_classes(
    blocks: &mut dyn Blocks,
    config: &TrainConfig,
    device: &Device,
) -> Result<Option<burn::tensor::Tensor<1>>, TrainError> {
    if config.class_weights == ClassWeights::Equal {
        return Ok(None);
    }
    let counts = blocks.class_rows().unwrap_or_default().into_iter().map(|n| n as f32).collect();
    let values = class_weight_values(&config.class_weights, blocks.shape().1, || Ok(counts))?;
    Ok(Some(class_weight_tensor(values, device)))
}

/// The loss of `network` on `data`, with its row weights.
///
/// # Errors
///
/// [`TrainError::Width`].
pub fn evaluate_loss<N: Network>(network: &N, data: &Dataset, loss: Loss) -> Result<f64, TrainError> {
    let config = TrainConfig { loss: Some(loss), ..TrainConfig::default() };
    let data = Weighted::new(data, network.shape(), &config, None)?;
    data.judge(&network.valid(), loss, Metric::Loss)?.0.read(config.reduction_of(loss))
}

/// The epochs so far, and what follows from them alone.
pub(crate) struct Course {
    config: TrainConfig,
    pub(crate) epochs: Vec<Epoch>,
    /// The best value, and its epoch; 0 for none.
    pub(crate) best: (f64, usize),
    patience: Progress,
    progress: Progress,
    /// Of the schedule `plateau`, and how often it has stepped down.
    plateau: (Progress, i32),
}

impl Course {
    pub(crate) fn new(monitor: Metric, config: &TrainConfig) -> Self {
        let (patience, progress) = (Progress::new(monitor), Progress::new(Metric::Loss));
        let plateau = (Progress::new(monitor), 0);
        Self { config: config.clone(), epochs: Vec::new(), best: (f64::NAN, 0), patience, progress, plateau }
    }

    /// Adds an epoch: whether it is the best.
    pub(crate) fn push(&mut self, epoch: Epoch) -> bool {
        let value = epoch.value();
        let better = self.patience.metric.better(value, self.best.0, 0.0);
        let improved = value.is_finite() && (better || self.config.last_best && value == self.best.0);
        if improved {
            self.best = (value, epoch.epoch);
        }
        self.patience.advance(value, self.config.min_delta);
        self.progress.advance(epoch.train_loss, self.config.min_delta);
        let (plateau, steps) = &mut self.plateau;
        plateau.advance(value, self.config.min_delta);
        if plateau.idle >= self.config.plateau_patience {
            plateau.idle = 0;
            *steps += 1;
        }
        self.epochs.push(epoch);
        improved
    }

    /// What the schedule `plateau` multiplies learning rates by now; 1 for others.
    pub(crate) fn slow(&self) -> f64 {
        let config = &self.config;
        if config.schedule == Schedule::Plateau { config.plateau_factor.powi(self.plateau.1) } else { 1.0 }
    }

    /// Whether the run has come to its end.
    pub(crate) fn stop(&self) -> Option<StopReason> {
        let config = &self.config;
        let last = self.epochs.last()?.value();
        if config.target.is_some_and(|t| last == t || self.patience.metric.better(last, t, 0.0)) {
            Some(StopReason::Target)
        } else if config.patience.is_some_and(|p| self.patience.idle >= p) {
            Some(StopReason::Patience)
        } else if config.no_progress.is_some_and(|p| self.progress.idle >= p) {
            Some(StopReason::NoProgress)
        } else if self.epochs.len() >= config.epochs {
            Some(StopReason::Epochs)
        } else {
            None
        }
    }
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

    /// Takes the value of the next epoch; what is not finite is no progress.
    fn advance(&mut self, value: f64, delta: f64) {
        if value.is_finite() && self.metric.better(value, self.best, delta) {
            self.best = value;
            self.idle = 0;
        } else {
            self.idle += 1;
        }
    }
}

/// An engine at work.
struct Started<'a, N> {
    running: Box<dyn Running<N> + 'a>,
    engine: Engine,
    /// Why it is not the fused one, where that would have been taken.
    obstacle: Option<String>,
}

/// The engine that is asked for, or the best one; for a run that goes on, the one it began with.
fn start<'a, N: Network + 'a>(
    network: N,
    plan: &Plan<'a>,
    state: Option<&TrainState>,
) -> Result<Started<'a, N>, TrainError> {
    let wanted = state.map_or(plan.config.engine, |state| state.engine);
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
