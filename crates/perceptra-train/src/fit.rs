//! The training loop.

use std::cell::RefCell;
use std::time::Instant;

use burn::tensor::Device;
use perceptra_nn::{FeedForward, Loss};

use crate::autodiff::Autodiff;
use crate::blocks::Blocks;
use crate::choices::{ClassWeights, Engine};
use crate::config::TrainConfig;
use crate::dataset::Dataset;
use crate::engine::{EngineRun, EpochResult, Judged, Plan, Until};
use crate::error::TrainError;
use crate::fused::Fused;
use crate::history::{Epoch, History, StopReason};
use crate::metrics::Metric;
use crate::network::Network;
use crate::observer::{Control, Event, Observer};
use crate::progress::Progress;
use crate::state::{Snapshot, TrainState};
use crate::weighted::{Weighted, class_weight_tensor, class_weight_values};

/// A trained network and the history of its training.
#[derive(Debug, Clone)]
pub struct Fitted<N> {
    /// The network with the weights of the best epoch, ready for evaluation (no autodiff).
    pub network: N,
    /// Every epoch, and why the training ended.
    pub history: History,
}

/// A training run: a network and its rows, with or without validation rows, an earlier state and an observer.
///
/// The rows stay on their device. Each epoch they are shuffled by `(seed, epoch)` and taken in minibatches; losses are added up on the
/// device and read once at the end of the epoch. The weights of the best epoch are returned whatever ended the run; an epoch whose
/// monitored value is not finite is never the best. One of two [`Engine`]s trains; both make the same steps, up to rounding.
///
/// ```
/// # use burn::tensor::Device;
/// # use perceptra_nn::{Activation, FeedForwardConfig};
/// # use perceptra_train::{Dataset, Fit, TrainConfig};
/// # let device = Device::flex();
/// # let rows = |n: usize| {
/// #     let x: Vec<f32> = (0..n).map(|i| i as f32 / n as f32).collect();
/// #     Dataset::from_rows(x.clone(), x, (1, 1), &device)
/// # };
/// # let (train, validation) = (rows(64)?, rows(16)?);
/// let network = FeedForwardConfig::new(1, 1).with_widths(&[8], Activation::Relu).init(&device)?;
/// let fitted = Fit::new(network, &train).validation(&validation).run(&TrainConfig::default())?;
/// println!("{} epochs", fitted.history.epochs.len());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "nothing is trained before `run`"]
pub struct Fit<'a, N> {
    network: N,
    rows: Rows<'a>,
    validation: Option<&'a Dataset>,
    state: Option<&'a TrainState>,
    observer: Option<&'a mut dyn Observer>,
}

/// The training rows: all in memory, or in blocks.
enum Rows<'a> {
    Whole(&'a Dataset),
    Blocks(&'a mut dyn Blocks, &'a Device),
}

impl<'a, N: Network> Fit<'a, N> {
    /// Trains `network` on `rows`.
    pub fn new(network: N, rows: &'a Dataset) -> Self {
        Self { network, rows: Rows::Whole(rows), validation: None, state: None, observer: None }
    }

    /// Trains `network` on rows that come in blocks, on `device`. Rows are shuffled within their block.
    pub fn blocks(network: N, blocks: &'a mut dyn Blocks, device: &'a Device) -> Self {
        Self { network, rows: Rows::Blocks(blocks, device), validation: None, state: None, observer: None }
    }

    /// Sets the validation rows, by which epochs are compared. Without them, epochs are compared by the training loss.
    pub fn validation(mut self, rows: impl Into<Option<&'a Dataset>>) -> Self {
        self.validation = rows.into();
        self
    }

    /// Continues from the state of an earlier run with the same network, rows and settings: on the CPU the result is identical, to the bit,
    /// to that of a run without interruption. The settings may allow more epochs than that run had.
    pub fn resume(mut self, state: impl Into<Option<&'a TrainState>>) -> Self {
        self.state = state.into();
        self
    }

    /// Reports the run to `observer`, which can stop it.
    pub fn observe(mut self, observer: &'a mut dyn Observer) -> Self {
        self.observer = Some(observer);
        self
    }

    /// Runs the training.
    ///
    /// A training loss or weights that are no longer finite are noticed at the end of their epoch. The run then ends with
    /// [`StopReason::Diverged`] and the best weights so far.
    ///
    /// # Errors
    ///
    /// [`TrainError::Settings`]; rows that do not fit the network; [`TrainError::Engine`]; [`TrainError::Diverged`] and
    /// [`TrainError::Undefined`] if there is no best epoch; [`TrainError::Resume`] and [`TrainError::Blocks`].
    pub fn run(self, config: &TrainConfig) -> Result<Fitted<N>, TrainError> {
        let Self { network, rows, validation, state, observer } = self;
        run(network, state, rows, validation, config, observer.unwrap_or(&mut ()))
    }
}

/// Increment, for each further block of an epoch, of the number that selects row orders and dropout masks, so that blocks get different
/// ones.
const BLOCK: u32 = 0x9E37_79B9;

fn run<N: Network>(
    network: N,
    state: Option<&TrainState>,
    rows: Rows<'_>,
    validation: Option<&Dataset>,
    config: &TrainConfig,
    observer: &mut dyn Observer,
) -> Result<Fitted<N>, TrainError> {
    config.validate()?;
    let shape = network.shape();
    let (count, device, classes, whole, mut blocks) = match rows {
        Rows::Whole(data) => {
            let data = Weighted::new(data, shape, config, None)?.smoothed(config);
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
    if count == 0 {
        return Err(TrainError::Empty("training"));
    }
    let batch = config.batch.size(count);
    let steps = config.steps(count, batch);
    let monitor = config.monitored(validation.is_some());

    let train = whole.as_ref();
    let members = network.as_feed_forward().map_or(1, FeedForward::members);
    let orders = if config.share_batches { 1 } else { members };
    let plan = Plan { config, train, device, validation: validation.as_ref(), monitor, batch, orders, steps };
    let Started { run, engine, obstacle } = start(network, &plan, state)?;
    let engine_run = RefCell::new(run);
    let deadline = config.deadline();
    let mut progress = Progress::new(monitor, config);
    if let Some(state) = state {
        engine_run.borrow_mut().resume(state)?;
        state.epochs.iter().for_each(|epoch| {
            progress.push(epoch.clone());
        });
        engine_run.borrow_mut().scale_rate(progress.plateau_scale());
    }
    let obstacle = obstacle.as_deref();
    observer.observe(&Event::Started { epochs: config.epochs, rows: count, steps, engine, obstacle });

    let mut whole_epoch = true;
    let mut asked = None;
    // The product of the observer's factors of learning rates.
    let mut scale = 1.0;
    let stop = loop {
        let until = Until { deadline, interrupt: observer.interrupt() };
        // An interrupt or the deadline ends a run after its first epoch at the earliest.
        if let Some(stop) = progress.stop().or(asked) {
            break stop;
        } else if !progress.epochs.is_empty() && until.interrupted() {
            break StopReason::Interrupted;
        } else if !progress.epochs.is_empty() && until.past_deadline() {
            break StopReason::TimeLimit;
        }
        let epoch = progress.epochs.len() + 1;
        let start = Instant::now();
        engine_run.borrow_mut().begin();
        let pass = match &mut blocks {
            None => engine_run.borrow_mut().pass(None, epoch as u32, &until)?,
            Some(blocks) => {
                blocks.begin(epoch as u32, batch)?;
                let mut draw = epoch as u32;
                let mut all = EpochResult { rate: config.learning_rate, steps: 0, whole: true };
                while let Some(block) = blocks.next()? {
                    let block = Weighted::new(&block, shape, config, classes.clone())?.smoothed(config);
                    let pass = engine_run.borrow_mut().pass(Some(&block), draw, &until)?;
                    draw = draw.wrapping_add(BLOCK);
                    // A last block whose only batch is short and dropped has no step, and no rate.
                    let rate = if pass.steps == 0 { all.rate } else { pass.rate };
                    all = EpochResult { rate, steps: all.steps + pass.steps, whole: pass.whole };
                    if !all.whole {
                        break;
                    }
                }
                all
            }
        };
        // Blocks that promised rows and gave none, or none but a short batch that is dropped.
        if pass.steps == 0 {
            return Err(TrainError::Empty("training"));
        }
        let learning_rate = pass.rate;
        whole_epoch = pass.whole;
        // The one place where the host waits for the device.
        let Judged { train_loss, validation_loss, monitored, finite } = engine_run.borrow_mut().judge()?;
        if !train_loss.is_finite() || !finite {
            whole_epoch = false;
            break StopReason::Diverged;
        }
        let seconds = start.elapsed().as_secs_f64();
        let improved = progress.push(Epoch { epoch, train_loss, validation_loss, monitored, learning_rate, seconds });
        if improved {
            engine_run.borrow_mut().keep();
        }
        let capture = || capture(&engine_run, &progress.epochs);
        let snapshot = whole_epoch.then_some(Snapshot { capture: &capture });
        let epoch = &progress.epochs[epoch - 1];
        match observer.observe(&Event::Epoch { epoch, improved, run: snapshot }) {
            Control::Stop => asked = Some(StopReason::Asked),
            Control::Scale(factor) => scale *= factor,
            Control::Continue => {}
        }
        engine_run.borrow_mut().scale_rate(scale * progress.plateau_scale());
    };
    let history = progress.history(stop)?;
    let capture = || capture(&engine_run, &history.epochs);
    let run = whole_epoch.then_some(Snapshot { capture: &capture });
    observer.observe(&Event::Stopped { history: &history, run });
    Ok(Fitted { network: engine_run.into_inner().best(), history })
}

/// The state of the run after `epochs`.
fn capture<N: Network>(
    engine_run: &RefCell<Box<dyn EngineRun<N> + '_>>,
    epochs: &[Epoch],
) -> Result<TrainState, TrainError> {
    Ok(TrainState { epochs: epochs.to_vec(), ..engine_run.borrow_mut().state()? })
}

/// The class weights of rows that come in blocks; `None` if all classes count equally.
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
    data.judge(&network.valid(), loss, Metric::Loss)?.0.read(config.objective().1)
}

/// A started run and the engine that was chosen for it.
struct Started<'a, N> {
    run: Box<dyn EngineRun<N> + 'a>,
    engine: Engine,
    /// Why autodiff was chosen instead of the fused engine; `None` if autodiff was requested or the fused engine trains.
    obstacle: Option<String>,
}

/// Starts the requested engine, or the fastest that supports the run; a resumed run continues with the engine that began it.
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
            Ok(Started { run: Box::new(Fused::new(network, plan)?), engine: Engine::Fused, obstacle: None })
        }
        (Engine::Autodiff | Engine::Auto, obstacle) => {
            Ok(Started { run: Box::new(Autodiff::new(network, plan)), engine: Engine::Autodiff, obstacle })
        }
    }
}
