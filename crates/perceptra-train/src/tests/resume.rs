//! Runs that are interrupted and resumed, and rows that come in blocks.

use std::sync::atomic::{AtomicBool, Ordering};

use burn::module::Module;
use burn::tensor::Device;
use perceptra_nn::{Activation, FeedForward, FeedForwardConfig, Norm};
use perceptra_random::{Purpose, Stream};

use super::ENGINES;
use crate::*;

fn rows(n: usize) -> (Vec<f32>, Vec<f32>) {
    let stream = Stream::new(3, Purpose::Data, 0);
    let mut x = vec![0.0; 4 * n];
    stream.fill_normal(0, &mut x);
    let y = x.chunks(4).map(|r| (r[0] * r[1]).sin() + 0.5 * r[2]).collect();
    (x, y)
}

fn data(n: usize, device: &Device) -> Dataset {
    let (x, y) = rows(n);
    let weights = (0..n).map(|i| 0.5 + (i % 3) as f32).collect();
    Dataset::from_rows(x, y, (4, 1), device).unwrap().with_weights(weights).unwrap()
}

fn network(norm: Norm, device: &Device) -> FeedForward {
    let config = FeedForwardConfig::new(4, 1).with_widths(&[24, 16], Activation::Relu);
    config.with_dropout(0.1).with_norm(norm).init(device).unwrap()
}

fn bits(network: &FeedForward) -> Vec<u8> {
    // Records contain the ids of parameters, which are new for every network: compare the tensors.
    let mut all = Vec::new();
    for layer in network.layers() {
        all.extend(layer.linear.weight.val().into_data().as_bytes().to_vec());
        all.extend(layer.linear.bias.as_ref().unwrap().val().into_data().as_bytes().to_vec());
        if let Some(norm) = &layer.batch_norm {
            all.extend(norm.running_mean.value().into_data().as_bytes().to_vec());
            all.extend(norm.running_var.value().into_data().as_bytes().to_vec());
        }
    }
    all
}

/// Stores the state after one epoch.
struct Keep {
    after: usize,
    state: Option<TrainState>,
}

impl Observer for Keep {
    fn observe(&mut self, event: &Event<'_>) -> Control {
        if let Event::Epoch { epoch, run, .. } = event
            && epoch.epoch == self.after
        {
            self.state = Some(run.unwrap().state().unwrap());
        }
        Control::Continue
    }
}

#[test]
fn a_resumed_run_has_the_bits_of_one_without_interruption() {
    #[allow(deprecated)] // ndarray is kept because it was asked for.
    let devices = [Device::flex(), Device::ndarray()];
    for device in devices {
        let (train, validation) = (data(200, &device), data(60, &device));
        for (i, optimizer) in Optimizer::ALL.iter().copied().enumerate() {
            for engine in [Engine::Autodiff, Engine::Auto] {
                let config = TrainConfig {
                    optimizer,
                    engine,
                    learning_rate: 0.01,
                    momentum: if optimizer.has_momentum() { 0.9 } else { 0.0 },
                    weight_decay: 0.01,
                    schedule: [Schedule::Constant, Schedule::Cosine, Schedule::Linear][i % 3],
                    batch: Batch::Rows(32),
                    clip_norm: Some(1.0),
                    epochs: 8,
                    patience: Some(3),
                    ..TrainConfig::default()
                };
                let norm = if engine == Engine::Autodiff { Norm::Batch } else { Norm::None };
                let mut keep = Keep { after: 4, state: None };
                let whole = Fit::new(network(norm, &device), &train)
                    .validation(&validation)
                    .observe(&mut keep)
                    .run(&config)
                    .unwrap();
                let Some(state) = keep.state else {
                    panic!("{optimizer:?} ended after {} epochs", whole.history.epochs.len())
                };
                assert_eq!(state.epochs.len(), 4);
                let again = Fit::new(network(norm, &device), &train)
                    .validation(&validation)
                    .resume(&state)
                    .run(&config)
                    .unwrap();
                let name = format!("{optimizer:?} {engine:?} {device:?}");
                assert!(bits(&again.network) == bits(&whole.network), "{name}");
                let plain = |history: &History| {
                    let clear = |e: &Epoch| Epoch { seconds: 0.0, ..e.clone() };
                    History { epochs: history.epochs.iter().map(clear).collect(), ..history.clone() }
                };
                assert_eq!(plain(&again.history), plain(&whole.history), "{name}");
            }
        }
    }
}

#[test]
fn four_epochs_and_four_resumed_ones_are_eight() {
    let device = Device::flex();
    let train = data(200, &device);
    let config = |epochs| TrainConfig { epochs, batch: Batch::Rows(32), ..TrainConfig::default() };
    let mut last = None;
    let mut keep = |event: &Event<'_>| {
        if let Event::Stopped { run: Some(run), .. } = event {
            last = Some(run.state().unwrap());
        }
        Control::Continue
    };
    Fit::new(network(Norm::None, &device), &train).observe(&mut keep).run(&config(4)).unwrap();
    let state = last.unwrap();
    let eight = Fit::new(network(Norm::None, &device), &train).run(&config(8)).unwrap();
    let more = Fit::new(network(Norm::None, &device), &train).resume(&state).run(&config(8)).unwrap();
    assert!(bits(&more.network) == bits(&eight.network));
    // A run that had ended is not trained further, and ends for the same reason.
    let ended = Fit::new(network(Norm::None, &device), &train).resume(&state).run(&config(4)).unwrap();
    assert_eq!((ended.history.epochs.len(), ended.history.stop), (4, StopReason::Epochs));
    let best = with_weights(network(Norm::None, &device), &state.best).unwrap();
    assert!(bits(&ended.network) == bits(&best.valid()));
}

#[test]
fn a_state_of_another_network_is_refused() {
    let device = Device::flex();
    let train = data(64, &device);
    for engine in ENGINES {
        let config = TrainConfig { epochs: 2, engine, ..TrainConfig::default() };
        let mut keep = Keep { after: 1, state: None };
        Fit::new(network(Norm::None, &device), &train).observe(&mut keep).run(&config).unwrap();
        let state = keep.state.unwrap();
        assert_eq!(state.engine, engine);
        let try_with = |state: &TrainState, network: FeedForward| {
            Fit::new(network, &train).resume(state).run(&config).map(|_| ()).unwrap_err()
        };
        let other = FeedForwardConfig::new(4, 1).with_widths(&[7], Activation::Relu).init(&device).unwrap();
        assert!(matches!(try_with(&state, other), TrainError::Resume(_)));
        for damaged in [
            TrainState { network: state.network[..state.network.len() / 2].to_vec(), ..state.clone() },
            TrainState { best: Vec::new(), ..state.clone() },
            TrainState { optimizer: state.optimizer[..9].to_vec(), ..state.clone() },
        ] {
            assert!(matches!(try_with(&damaged, network(Norm::None, &device)), TrainError::Resume(_)), "{engine:?}");
        }
    }
}

/// Sets its flag after some epochs.
struct Interrupt {
    flag: AtomicBool,
    after: usize,
    whole: Vec<bool>,
}

impl Observer for Interrupt {
    fn observe(&mut self, event: &Event<'_>) -> Control {
        match event {
            Event::Epoch { epoch, run, .. } => {
                self.whole.push(run.is_some());
                if epoch.epoch == self.after {
                    self.flag.store(true, Ordering::Relaxed);
                }
            }
            Event::Stopped { run, .. } => self.whole.push(run.is_some()),
            _ => {}
        }
        Control::Continue
    }

    fn interrupt(&self) -> Option<&AtomicBool> {
        Some(&self.flag)
    }
}

#[test]
fn an_interrupt_ends_the_run_after_the_current_batch() {
    let device = Device::flex();
    let train = data(200, &device);
    for engine in ENGINES {
        let config = TrainConfig { engine, batch: Batch::Rows(8), epochs: 50, ..TrainConfig::default() };
        let run = |flag, after| {
            let mut observer = Interrupt { flag: AtomicBool::new(flag), after, whole: Vec::new() };
            let fitted = Fit::new(network(Norm::None, &device), &train).observe(&mut observer).run(&config).unwrap();
            (fitted.history, observer.whole)
        };
        let (history, whole) = run(false, 3);
        assert_eq!((history.stop, history.epochs.len()), (StopReason::Interrupted, 3));
        assert_eq!(whole, [true; 4]);
        // Set from the beginning: one batch, which is not a whole epoch, so that there is no state to resume from.
        let (history, whole) = run(true, 0);
        assert_eq!((history.stop, history.epochs.len(), history.best_epoch), (StopReason::Interrupted, 1, 1));
        assert_eq!(whole, [false; 2]);
    }
}

/// The error of blocks that end too early.
#[derive(Debug)]
struct Gone(usize);

impl std::fmt::Display for Gone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the table is gone after row {}", self.0)
    }
}

impl std::error::Error for Gone {}

/// Rows in blocks of `size` rows.
struct InBlocks {
    rows: usize,
    size: usize,
    next: usize,
    device: Device,
    fail: bool,
}

impl Blocks for InBlocks {
    fn rows(&self) -> usize {
        self.rows
    }

    fn shape(&self) -> (usize, usize) {
        (4, 1)
    }

    fn begin(&mut self, _: u32, _: usize) -> Result<(), TrainError> {
        self.next = 0;
        Ok(())
    }

    fn next(&mut self) -> Result<Option<Dataset>, TrainError> {
        if self.next >= self.rows {
            return Ok(None);
        }
        if self.fail && self.next > 0 {
            return Err(TrainError::blocks(Gone(self.next)));
        }
        let range = self.next..(self.next + self.size).min(self.rows);
        self.next = range.end;
        let (x, y) = rows(self.rows);
        let part =
            Dataset::from_rows(x[4 * range.start..4 * range.end].to_vec(), y[range].to_vec(), (4, 1), &self.device);
        part.map(Some)
    }
}

#[test]
fn blocks_are_trained_as_whole_tables_are() {
    let device = Device::flex();
    let (x, y) = rows(300);
    let whole = Dataset::from_rows(x, y, (4, 1), &device).unwrap();
    for engine in ENGINES {
        let config = TrainConfig {
            engine,
            batch: Batch::Rows(32),
            epochs: 10,
            schedule: Schedule::Cosine,
            ..TrainConfig::default()
        };
        let blocks = |size| InBlocks { rows: 300, size, next: 0, device: device.clone(), fail: false };
        let fitted = |size, observer: &mut Keep| {
            Fit::blocks(network(Norm::None, &device), &mut blocks(size), &device)
                .validation(&whole)
                .observe(observer)
                .run(&config)
                .unwrap()
        };
        let mut none = Keep { after: 0, state: None };
        // One block of all rows is the table, to the last bit.
        let one = fitted(300, &mut none);
        let plain = Fit::new(network(Norm::None, &device), &whole).validation(&whole).run(&config).unwrap();
        assert!(bits(&one.network) == bits(&plain.network), "{engine:?}");
        // Several blocks make the same number of steps, with rows in another order.
        let mut keep = Keep { after: 5, state: None };
        let several = fitted(96, &mut keep);
        assert_eq!(several.history.epochs.len(), 10);
        let (a, b) = (several.history.best().unwrap(), plain.history.best().unwrap());
        assert_eq!(a.learning_rate, b.learning_rate);
        assert!((a.value() - b.value()).abs() < 0.2 * b.value(), "{a:?} {b:?}");
        assert!(bits(&several.network) != bits(&plain.network));
        // A run with blocks can be resumed too.
        let state = keep.state.unwrap();
        let (net, mut rest) = (network(Norm::None, &device), blocks(96));
        let again = Fit::blocks(net, &mut rest, &device).validation(&whole).resume(&state).run(&config).unwrap();
        assert!(bits(&again.network) == bits(&several.network), "{engine:?}");

        let mut failing = InBlocks { fail: true, ..blocks(96) };
        let error = Fit::blocks(network(Norm::None, &device), &mut failing, &device).run(&config).unwrap_err();
        // The error of the blocks comes back as it is; a copy has its message.
        assert_eq!(error.clone(), TrainError::blocks("the table is gone after row 96"));
        let TrainError::Blocks(error) = error else { panic!("{error}") };
        assert_eq!(error.0.downcast::<Gone>().unwrap().0, 96);
    }
}

/// Blocks that promise rows and give fewer.
struct Few {
    promised: usize,
    given: Option<Dataset>,
}

impl Blocks for Few {
    fn rows(&self) -> usize {
        self.promised
    }

    fn shape(&self) -> (usize, usize) {
        (1, 1)
    }

    fn begin(&mut self, _: u32, _: usize) -> Result<(), TrainError> {
        Ok(())
    }

    fn next(&mut self) -> Result<Option<Dataset>, TrainError> {
        Ok(self.given.take())
    }
}

#[test]
fn a_last_block_whose_short_batch_is_dropped_leaves_the_rate_of_the_epoch() {
    let device = Device::flex();
    for engine in ENGINES {
        let mut blocks = InBlocks { rows: 300, size: 96, next: 0, device: device.clone(), fail: false };
        let batch = Batch::Rows(32);
        let config =
            TrainConfig { engine, drop_last: true, batch, learning_rate: 0.01, epochs: 2, ..TrainConfig::default() };
        let history = Fit::blocks(network(Norm::None, &device), &mut blocks, &device).run(&config).unwrap().history;
        assert!(history.epochs.iter().all(|epoch| epoch.learning_rate == 0.01), "{engine:?}: {history:?}");
    }
}

#[test]
fn an_epoch_without_rows_is_an_error() {
    let device = Device::flex();
    let few = || Dataset::from_rows(vec![1.0; 3], vec![1.0; 3], (1, 1), &device).unwrap();
    for engine in ENGINES {
        // No rows at all, none of those promised, and less than a batch, which is dropped.
        for (promised, given) in [(0, None), (40, None), (40, Some(few()))] {
            let network = FeedForwardConfig::new(1, 1).init(&device).unwrap();
            let config = TrainConfig { engine, drop_last: true, batch: Batch::Rows(20), ..TrainConfig::default() };
            let mut blocks = Few { promised, given };
            let error = Fit::blocks(network, &mut blocks, &device).run(&config).unwrap_err();
            assert_eq!(error, TrainError::Empty("training"), "{engine:?}, {promised} rows");
        }
    }
}
