//! The fused engine against autodiff, the reference engine.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use perceptra_nn::{Activation, FeedForward, FeedForwardConfig, Hidden, Initializer, Loss, Norm};
use perceptra_random::{Purpose, Stream};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::ENGINES;
use crate::*;

fn normal(n: usize, seed: u64, row: u32) -> Vec<f32> {
    let mut x = vec![0.0; n];
    Stream::new(seed, Purpose::Data, 0).fill_normal(row, &mut x);
    x
}

/// Rows with targets that suit the loss.
fn data(loss: Loss, rows: usize, (inputs, outputs): (usize, usize), weighted: bool, seed: u64) -> Dataset {
    let mut y = normal(rows * outputs, seed, 1);
    match loss {
        Loss::BinaryCrossEntropy => y.iter_mut().for_each(|y| *y = if *y > 0.0 { 1.0 } else { 0.0 }),
        Loss::CategoricalCrossEntropy => {
            for row in y.chunks_exact_mut(outputs) {
                let class = argmax(row);
                row.fill(0.0);
                row[class] = 1.0;
            }
        }
        Loss::MeanSquared | Loss::HalfSumSquared | Loss::MeanAbsolute | Loss::Huber { .. } => {}
    }
    let data = Dataset::from_rows(normal(rows * inputs, seed, 0), y, (inputs, outputs), &Device::flex()).unwrap();
    if !weighted {
        return data;
    }
    let weights = normal(rows, seed, 2).into_iter().map(|w| if w < -1.0 { 0.0 } else { w.abs() });
    data.with_weights(weights.collect()).unwrap()
}

/// All weights, a list for each tensor.
fn weights(network: &FeedForward) -> Vec<Vec<f32>> {
    let of = |t: Tensor<1>| t.try_into_vec_as().unwrap();
    let layers = network.layers().iter().map(|l| &l.linear);
    layers
        .flat_map(|l| [Some(l.weight.val().flatten(0, 1)), l.bias.as_ref().map(Param::val)])
        .flatten()
        .map(of)
        .collect()
}

fn losses() -> impl Strategy<Value = Loss> {
    prop::sample::select(Loss::ALL.iter().copied().chain([Loss::Huber { delta: 0.7 }]).collect::<Vec<_>>())
}

fn networks() -> impl Strategy<Value = FeedForwardConfig> {
    let width = prop_oneof![1usize..20, 60usize..70, Just(130)];
    let elementwise = Activation::ALL.iter().copied().filter(|f| *f != Activation::Softmax);
    let activation = prop::sample::select(elementwise.collect::<Vec<_>>());
    let hidden = prop::collection::vec((width.clone(), activation.clone()), 0..4);
    let parts = (width, hidden, prop_oneof![1usize..6, Just(66)], activation, any::<bool>(), any::<bool>(), 0u64..1000);
    parts.prop_map(|(inputs, hidden, outputs, output, bias, dropout, seed)| {
        FeedForwardConfig::new(inputs, outputs)
            .with_hidden(hidden.into_iter().map(|(width, activation)| Hidden { width, activation }).collect())
            .with_output_activation(output)
            .with_initializer(Initializer::Torch)
            .with_bias(bias)
            .with_dropout(if dropout { 0.3 } else { 0.0 })
            .with_seed(seed)
    })
}

/// The update rules of the fused engine: optimizer, momentum, whether that is Nesterov's.
fn rules() -> Vec<(Optimizer, f64, bool)> {
    let variants = |optimizer: Optimizer| match optimizer {
        Optimizer::Sgd => vec![(0.0, false), (0.9, false), (0.9, true)],
        Optimizer::RmsProp => vec![(0.0, false), (0.5, false)],
        Optimizer::Adam | Optimizer::AdamW | Optimizer::AdaGrad | Optimizer::Lion => vec![(0.0, false)],
        Optimizer::Adan | Optimizer::Lamb | Optimizer::Adafactor | Optimizer::Muon => vec![],
    };
    let all = Optimizer::ALL.iter().flat_map(|&o| variants(o).into_iter().map(move |(m, nesterov)| (o, m, nesterov)));
    all.collect()
}

fn optimizers() -> impl Strategy<Value = TrainConfig> {
    let rule = prop::sample::select(rules());
    let penalty = || prop_oneof![Just(0.0), Just(0.01)];
    let clip = || prop_oneof![Just(None), Just(Some(0.05))];
    let schedule = prop::sample::select(vec![Schedule::Constant, Schedule::Cosine]);
    let reduction = prop::sample::select(vec![None, Some(Reduction::Sum), Some(Reduction::Mean)]);
    (rule, penalty(), penalty(), penalty(), clip(), clip(), schedule, any::<bool>(), reduction).prop_map(
        |(
            (optimizer, momentum, nesterov),
            weight_decay,
            l1,
            l2,
            clip_norm,
            clip_value,
            schedule,
            drop_last,
            reduction,
        )| {
            TrainConfig {
                optimizer,
                momentum,
                nesterov,
                weight_decay,
                l1,
                l2,
                clip_norm,
                clip_value,
                schedule,
                drop_last,
                reduction,
                // The steps of the others have about this size whatever the gradient: small, so that the paths stay together.
                learning_rate: if optimizer == Optimizer::Sgd { 0.1 } else { 1e-4 },
                patience: None,
                ..TrainConfig::default()
            }
        },
    )
}

/// Trains with both engines.
fn try_both(
    network: &FeedForward,
    data: &Dataset,
    config: &TrainConfig,
) -> [Result<Fitted<FeedForward>, TrainError>; 2] {
    ENGINES.map(|engine| {
        let config = TrainConfig { engine, ..config.clone() };
        Fit::new(network.clone(), data).validation(data).run(&config)
    })
}

fn both(network: &FeedForward, data: &Dataset, config: &TrainConfig) -> [Fitted<FeedForward>; 2] {
    try_both(network, data, config).map(Result::unwrap)
}

proptest! {
    // The cases are always the same: at a kink, two ways to round may differ though both engines are correct.
    #![proptest_config(ProptestConfig { cases: 200, rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

    #[test]
    fn the_engines_make_the_same_steps(
        network in networks(),
        config in optimizers(),
        loss in losses(),
        rows in 1usize..90,
        batch in prop_oneof![Just(Batch::Full), Just(Batch::Rows(1)), (2usize..100).prop_map(Batch::Rows)],
        weighted: bool,
        seed in 0u64..1000,
    ) {
        // Few steps: rounding grows with each.
        let rows = if let Batch::Rows(n) = batch { rows.min(5 * n) } else { rows };
        let data = data(loss, rows, (network.inputs, network.outputs), weighted, seed);
        let start = network.init(&Device::flex()).unwrap();
        let sgd = config.optimizer == Optimizer::Sgd;
        let steps_an_epoch = rows.div_ceil(batch.size(rows));
        let config = TrainConfig { loss: Some(loss), batch, epochs: 1 + 4 / steps_an_epoch, seed, ..config };
        // The gradient of a sum over the rows of a batch is that of the mean times the number of rows.
        let steepness = if config.objective().1 == Reduction::Sum { batch.size(rows) as f64 } else { 1.0 };
        let config = TrainConfig { learning_rate: config.learning_rate / steepness, ..config };
        // Where a steep loss makes training diverge there is nothing to compare.
        let [autodiff, fused] = match try_both(&start, &data, &config) {
            [Ok(autodiff), Ok(fused)] => [autodiff, fused],
            [Err(TrainError::Diverged { .. }), Err(TrainError::Diverged { .. })] => return Ok(()),
            [a, b] => return Err(TestCaseError::fail(format!("{:?} {:?}", a.err(), b.err()))),
        };
        if [&autodiff, &fused].iter().all(|fitted| fitted.history.stop == StopReason::Diverged) {
            return Ok(());
        }
        let tolerance = 1e-5;
        for (a, b) in autodiff.history.epochs.iter().zip(&fused.history.epochs) {
            prop_assert!((a.train_loss - b.train_loss).abs() <= tolerance * a.train_loss.abs().max(1.0), "{:?} {:?}", a, b);
            let (v, w) = (a.validation_loss.unwrap(), b.validation_loss.unwrap());
            prop_assert!((v - w).abs() <= tolerance * v.abs().max(1.0), "{:?} {:?}", a, b);
            prop_assert_eq!(a.learning_rate, b.learning_rate);
        }
        prop_assert_eq!(autodiff.history.epochs.len(), fused.history.epochs.len());
        if autodiff.history.best_epoch != fused.history.best_epoch {
            // Two epochs whose losses are the same but for rounding.
            return Ok(());
        }
        let (mut all, mut apart) = (0, 0);
        for (a, b) in weights(&autodiff.network).into_iter().zip(weights(&fused.network)) {
            let size = a.iter().fold(0.0f32, |m, x| m.max(x.abs())).max(1e-3);
            all += a.len();
            apart += a.iter().zip(&b).filter(|(a, b)| (*a - *b).abs() > tolerance as f32 * size).count();
        }
        // The others divide a gradient by its own size: one that is 0 but for rounding has either sign. (Their rules are
        // compared weight by weight below.)
        let allowed = if sgd { 0 } else { all / 20 };
        prop_assert!(apart <= allowed, "{} of {} weights are apart", apart, all);
    }
}

#[test]
fn both_engines_have_the_same_update_rules() {
    // One layer and gradients far from 0.
    let data = data(Loss::MeanSquared, 40, (30, 2), false, 7);
    let network = FeedForwardConfig::new(30, 2).init(&Device::flex()).unwrap();
    let start = weights(&network);
    for (optimizer, momentum, nesterov) in rules() {
        for weight_decay in [0.0, 0.1] {
            let base = TrainConfig { learning_rate: 0.01, batch: Batch::Rows(20), ..TrainConfig::default() };
            let config = TrainConfig { optimizer, momentum, nesterov, weight_decay, epochs: 3, ..base };
            let [autodiff, fused] = both(&network, &data, &config);
            assert_eq!(autodiff.history.best_epoch, 3);
            for ((a, b), before) in weights(&autodiff.network).iter().zip(weights(&fused.network)).zip(&start) {
                assert_ne!(a, before);
                for (a, b) in a.iter().zip(&b) {
                    assert!((a - b).abs() <= 1e-5 * a.abs().max(0.01), "{optimizer:?} {weight_decay}: {a} {b}");
                }
            }
        }
    }
}

#[test]
fn the_engines_reach_the_same_metrics() {
    // y = sin of a sum, with noise: a few hundred steps with dropout, early stopping and a monitored metric.
    let rows = 400;
    let x = normal(rows * 6, 1, 0);
    let noise = normal(rows, 1, 1);
    let y: Vec<f32> = x.chunks(6).zip(noise).map(|(x, e)| (x.iter().sum::<f32>() / 2.0).sin() + 0.1 * e).collect();
    let data = Dataset::from_rows(x, y, (6, 1), &Device::flex()).unwrap();
    for (optimizer, dropout) in [(Optimizer::Sgd, 0.0), (Optimizer::Adam, 0.1), (Optimizer::AdamW, 0.0)] {
        let network = FeedForwardConfig::new(6, 1)
            .with_widths(&[64, 32], Activation::Tanh)
            .with_dropout(dropout)
            .init(&Device::flex())
            .unwrap();
        let config = TrainConfig {
            optimizer,
            learning_rate: if optimizer == Optimizer::Sgd { 0.05 } else { 0.003 },
            batch: Batch::Rows(64),
            epochs: 40,
            monitor: Metric::R2,
            ..TrainConfig::default()
        };
        let [autodiff, fused] = both(&network, &data, &config);
        let (a, b) = (autodiff.history.best().unwrap(), fused.history.best().unwrap());
        assert!(a.monitored.unwrap() > 0.3, "{a:?}");
        approx::assert_relative_eq!(a.monitored.unwrap(), b.monitored.unwrap(), max_relative = 1e-3);
        approx::assert_relative_eq!(a.train_loss, b.train_loss, max_relative = 1e-3);
    }
}

#[test]
fn a_trained_network_can_be_trained_further() {
    let data = data(Loss::MeanSquared, 50, (3, 1), false, 1);
    let network = FeedForwardConfig::new(3, 1).with_widths(&[8], Activation::Tanh).init(&Device::flex()).unwrap();
    let config = TrainConfig { epochs: 5, ..TrainConfig::default() };
    let once = Fit::new(network, &data).run(&config).unwrap();
    assert!(!once.network.devices().iter().any(Device::is_autodiff));
    for again in both(&once.network, &data, &config) {
        assert_ne!(weights(&once.network), weights(&again.network));
    }
}

/// A network that contains a `FeedForward` and computes something else.
#[derive(Module, Debug)]
struct Doubled {
    dense: FeedForward,
}

impl Network for Doubled {
    fn forward(&self, inputs: Tensor<2>, mode: ForwardMode<'_>) -> Tensor<2> {
        Network::forward(&self.dense, inputs, mode) * 2.0
    }
}

/// The engine that trained, and why it was not the fused one.
fn engine_of<N: Network>(network: N, config: TrainConfig) -> (Engine, String) {
    let data = data(Loss::MeanSquared, 8, (2, 2), false, 1);
    let mut seen = (Engine::Auto, String::new());
    let mut observer = |event: &Event<'_>| {
        if let Event::Started { engine, obstacle, .. } = event {
            seen = (*engine, obstacle.unwrap_or_default().to_owned());
        }
        Control::Continue
    };
    Fit::new(network, &data).observe(&mut observer).run(&TrainConfig { epochs: 1, ..config }).unwrap();
    seen
}

#[test]
fn the_fused_engine_is_used_where_possible_and_the_reason_why_not_is_given() {
    let plain = || FeedForwardConfig::new(2, 2).with_widths(&[3], Activation::Relu);
    let net = |config: FeedForwardConfig| config.init(&Device::flex()).unwrap();
    let default = TrainConfig::default;
    assert_eq!(engine_of(net(plain()), default()), (Engine::Fused, String::new()));
    let forced = TrainConfig { engine: Engine::Autodiff, ..default() };
    assert_eq!(engine_of(net(plain()), forced), (Engine::Autodiff, String::new()));
    let mut frozen = net(plain());
    frozen.layers_mut()[0].linear = frozen.layers()[0].linear.clone().no_grad();
    let lamb = TrainConfig { optimizer: Optimizer::Lamb, ..default() };
    let table = [
        (engine_of(net(plain().with_norm(Norm::Layer)), default()), "normalization"),
        (engine_of(net(plain()), lamb.clone()), "lamb"),
        (engine_of(net(plain().with_output_activation(Activation::Softmax)), default()), "softmax"),
        (engine_of(frozen, default()), "all weights"),
        (engine_of(Doubled { dense: net(plain()) }, default()), "FeedForward"),
    ];
    for ((engine, obstacle), part) in table {
        assert_eq!(engine, Engine::Autodiff);
        assert!(obstacle.contains(part), "{obstacle}");
    }
    let data = data(Loss::MeanSquared, 8, (2, 2), false, 1);
    let error = Fit::new(net(plain()), &data).run(&TrainConfig { engine: Engine::Fused, ..lamb }).unwrap_err();
    assert!(matches!(&error, TrainError::Engine { obstacle } if obstacle.contains("lamb")), "{error}");
    assert!(error.hint().unwrap().contains("autodiff"));
}
