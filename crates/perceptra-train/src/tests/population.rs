//! Populations against networks trained one by one.

use std::sync::atomic::AtomicBool;

use burn::tensor::Device;
use perceptra_nn::{Activation, FeedForward, FeedForwardConfig, Initializer, Loss, Norm};
use perceptra_random::{Purpose, Stream};

use crate::job::IndexedResult;
use crate::population::{fit_population, takes};
use crate::rule::Rule;
use crate::weighted::read;
use crate::*;

fn rows(n: usize, seed: u64, classes: usize, weighted: bool, device: &Device) -> Dataset {
    let stream = Stream::new(seed, Purpose::Data, 0);
    let (mut x, mut y) = (vec![0.0; n * 3], Vec::new());
    stream.fill_normal(0, &mut x);
    for row in x.chunks(3) {
        let value = row[0] * row[1] - row[2];
        match classes {
            0 => y.extend([value, value * value]),
            1 => y.push(f32::from(u8::from(value > 0.0))),
            _ => {
                let class = if value < -0.5 { 0 } else { 1 + usize::from(value > 0.5) };
                y.extend((0..3).map(|c| f32::from(u8::from(c == class))));
            }
        }
    }
    let columns = y.len() / n;
    let data = Dataset::from_rows(x, y, (3, columns), device).unwrap();
    match weighted {
        true => data.with_weights((0..n).map(|i| (i % 4) as f32).collect()).unwrap(),
        false => data,
    }
}

fn close(a: f64, b: f64, what: &str) {
    // With steps this long, sums of gradients that nearly cancel show their rounding.
    let tolerance = if a.abs() > 1e9 { 1e-3 } else { 1e-5 };
    assert!((a - b).abs() <= tolerance * a.abs().max(1.0), "{what}: {a} {b}");
}

/// Checks that `together` are the results of the jobs trained alone.
fn same(together: Vec<IndexedResult<FeedForward>>, members: &[FitJob<'_, FeedForward>]) {
    assert_eq!(together.len(), members.len());
    for (index, result) in together {
        let m = &members[index];
        let alone = Fit::new(m.network.clone(), m.train).validation(m.validation).run(&m.config);
        let (one, other) = match (result, alone) {
            (Ok(one), Ok(other)) => (one, other),
            (one, other) => {
                assert_eq!(one.err(), other.err());
                continue;
            }
        };
        let what = format!("member {index}, {:?}", m.config);
        assert_eq!(
            (one.history.best_epoch, one.history.stop),
            (other.history.best_epoch, other.history.stop),
            "{what}"
        );
        assert_eq!(one.history.epochs.len(), other.history.epochs.len());
        for (a, b) in one.history.epochs.iter().zip(&other.history.epochs) {
            close(a.train_loss, b.train_loss, &what);
            close(a.value(), b.value(), &what);
            close(a.learning_rate, b.learning_rate, &what);
        }
        for (a, b) in one.network.layers().iter().zip(other.network.layers()) {
            let values = |layer: &perceptra_nn::Layer| {
                let mut all = read(layer.linear.weight.val()).unwrap();
                all.extend(layer.linear.bias.iter().flat_map(|b| read(b.val()).unwrap()));
                all
            };
            let (a, b) = (values(a), values(b));
            assert_eq!(a.len(), b.len());
            a.iter().zip(&b).for_each(|(a, b)| close(f64::from(*a), f64::from(*b), &what));
        }
    }
}

fn has_rule(optimizer: Optimizer) -> bool {
    Rule::of(&TrainConfig { optimizer, ..TrainConfig::default() }).is_some()
}

#[test]
fn members_of_a_population_train_as_they_do_alone() {
    let device = Device::flex();
    for (case, optimizer) in Optimizer::ALL.iter().copied().filter(|o| has_rule(*o)).enumerate() {
        let classes = case % 3;
        // Sets of different lengths, as the folds of a cross-validation are.
        let sets: Vec<Dataset> =
            (0..3).map(|i| rows(40 + 7 * i, i as u64, classes, i == 1 && case % 2 == 0, &device)).collect();
        let validation: Vec<Dataset> =
            (0..2).map(|i| rows(20 + 9 * i, 9 + i as u64, classes, i == 1, &device)).collect();
        let loss = [Loss::MeanSquared, Loss::BinaryCrossEntropy, Loss::CategoricalCrossEntropy][classes];
        let g = [Activation::Identity, Activation::Sigmoid, Activation::Softmax][classes];
        let members: Vec<FitJob<'_, FeedForward>> = (0..6)
            .map(|k| FitJob {
                network: FeedForwardConfig::new(3, [2, 1, 3][classes])
                    .with_widths(&[5 + k % 3, 4 + k % 2], [Activation::Tanh, Activation::Sigmoid][case % 2])
                    .with_output_activation(g)
                    .with_initializer(Initializer::Torch)
                    .with_dropout(0.1 * (k % 3) as f64)
                    .with_seed(k as u64)
                    .init(&device)
                    .unwrap(),
                train: &sets[k % 3],
                validation: [None, Some(&validation[0]), Some(&validation[1])][k % 3],
                config: TrainConfig {
                    loss: Some(loss),
                    optimizer,
                    learning_rate: 0.002 * (1 + k) as f64,
                    schedule: [Schedule::Constant, Schedule::Cosine][k % 2],
                    batch: Batch::Rows(16),
                    drop_last: k == 5,
                    momentum: if optimizer.has_momentum() { 0.1 * (k % 3) as f64 } else { 0.0 },
                    weight_decay: 0.01 * (k % 2) as f64,
                    l1: if k == 1 { 1e-3 } else { 0.0 },
                    l2: if k == 2 { 1e-2 } else { 0.0 },
                    clip_norm: (k == 3).then_some(0.5),
                    clip_value: (k == 4).then_some(0.1),
                    epochs: 3 + k % 3,
                    patience: (k == 0).then_some(1),
                    monitor: if k == 2 && classes == 0 { Metric::Rmse } else { Metric::Loss },
                    label_smoothing: if classes > 0 { 0.05 * (k % 3) as f64 } else { 0.0 },
                    class_weights: if classes == 2 && k == 4 { ClassWeights::Balanced } else { ClassWeights::Equal },
                    seed: k as u64,
                    ..TrainConfig::default()
                },
            })
            .collect();
        assert!(members.iter().all(takes));
        same(fit_population(members.iter().cloned().enumerate().collect(), None), &members);
    }
}

#[test]
fn a_member_that_fails_or_diverges_does_not_affect_the_others() {
    let device = Device::flex();
    let data = rows(40, 1, 0, false, &device);
    let network =
        |inputs: usize| FeedForwardConfig::new(inputs, 2).with_widths(&[4], Activation::Relu).init(&device).unwrap();
    let config = |rate: f64| TrainConfig {
        optimizer: Optimizer::Sgd,
        learning_rate: rate,
        epochs: 4,
        batch: Batch::Full,
        ..TrainConfig::default()
    };
    let member = |inputs: usize, rate: f64| FitJob {
        network: network(inputs),
        train: &data,
        validation: None,
        config: config(rate),
    };
    let members = [member(3, 0.01), member(3, 1e30), member(2, 0.01), member(3, 0.02), member(3, -1.0)];
    same(fit_population(members.iter().cloned().enumerate().collect(), None), &members);
    // An interrupt ends all after an epoch.
    let flag = AtomicBool::new(true);
    let ended = fit_population(vec![(0, member(3, 0.01)), (1, member(3, 0.02))], Some(&flag));
    for (_, fitted) in ended {
        let history = fitted.unwrap().history;
        assert_eq!((history.stop, history.epochs.len()), (StopReason::Interrupted, 1));
    }
    // Networks and settings that a population does not support are not taken.
    let default = TrainConfig::default;
    for config in [
        TrainConfig { optimizer: Optimizer::Muon, ..default() },
        TrainConfig { engine: Engine::Fused, ..default() },
        TrainConfig { schedule: Schedule::Plateau, ..default() },
        TrainConfig { dropout_schedule: Schedule::Cosine, ..default() },
        TrainConfig { betas: [0.9, 0.95], ..default() },
        TrainConfig { lr_factors: Factors { bias: 0.1, ..Factors::all(1.0) }, ..default() },
        TrainConfig { decay_factors: Factors::all(1.0), ..default() },
    ] {
        assert!(!takes(&FitJob { config, ..member(3, 0.01) }));
    }
    let mut other = member(3, 0.01);
    other.network =
        FeedForwardConfig::new(3, 2).with_widths(&[4], Activation::Relu).with_norm(Norm::Batch).init(&device).unwrap();
    assert!(!takes(&other) && takes(&member(3, 0.01)));
}

/// Hashes of the weights, for the instruction sets on which somebody recorded them.
const BITS: &str = include_str!("population.txt");

#[test]
#[expect(clippy::print_stderr, reason = "it says that it is skipped")]
fn golden_bits_of_a_population() {
    let device = Device::flex();
    let mut hash = 0xCBF2_9CE4_8422_2325_u64;
    for optimizer in Optimizer::ALL.iter().copied().filter(|o| has_rule(*o)) {
        let sets: Vec<Dataset> = (0..2).map(|i| rows(40 + 7 * i, i as u64, 2, i == 1, &device)).collect();
        let members = (0..4_usize).map(|k| {
            let network = FeedForwardConfig::new(3, 3)
                .with_widths(&[5 + k % 3, 4], Activation::Tanh)
                .with_output_activation(Activation::Softmax)
                .with_initializer(Initializer::Torch)
                .with_dropout(0.1 * (k % 3) as f64)
                .with_seed(k as u64)
                .init(&device)
                .unwrap();
            let config = TrainConfig {
                loss: Some(Loss::CategoricalCrossEntropy),
                optimizer,
                learning_rate: 0.002 * (1 + k) as f64,
                schedule: [Schedule::Constant, Schedule::Cosine][k % 2],
                batch: Batch::Rows(16),
                weight_decay: 0.01 * (k % 2) as f64,
                l1: if k == 1 { 1e-3 } else { 0.0 },
                clip_norm: (k == 3).then_some(0.5),
                epochs: 3,
                seed: k as u64,
                ..TrainConfig::default()
            };
            (k, FitJob { network, train: &sets[k % 2], validation: Some(&sets[1 - k % 2]), config })
        });
        let mut fitted = fit_population(members.collect(), None);
        fitted.sort_by_key(|(place, _)| *place);
        for (_, result) in fitted {
            for layer in result.unwrap().network.layers() {
                for value in read(layer.linear.weight.val()).unwrap() {
                    hash = (hash ^ u64::from(value.to_bits())).wrapping_mul(0x0100_0000_01B3);
                }
            }
        }
    }
    let set = instructions();
    let others = BITS.lines().filter(|line| line.split_once(' ').is_some_and(|(known, _)| known != set));
    if std::env::var("PERCEPTRA_GOLDEN").is_ok_and(|value| value == "record") {
        let all = others.fold(format!("{set} {hash:016x}\n"), |all, line| all + line + "\n");
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/tests/population.txt");
        #[expect(clippy::disallowed_methods, reason = "it writes a file of this repository, when asked")]
        std::fs::write(path, all).unwrap();
        return;
    }
    match BITS.lines().find_map(|line| line.strip_prefix(set)) {
        Some(recorded) => assert_eq!(format!("{hash:016x}"), recorded.trim(), "{set}"),
        None => eprintln!("skipped: nobody has recorded the bits of a population for {set}"),
    }
}

/// The instruction set with which Burn computes here.
fn instructions() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    {
        if std::is_x86_feature_detected!("avx512f") {
            return "avx512";
        } else if std::is_x86_feature_detected!("avx2") {
            return "avx2";
        }
    }
    std::env::consts::ARCH
}

#[test]
fn jobs_with_and_without_class_weights_share_a_data_set_but_not_the_weights() {
    let device = Device::flex();
    let data = rows(60, 3, 2, false, &device);
    let network = FeedForwardConfig::new(3, 3)
        .with_widths(&[6], Activation::Tanh)
        .with_output_activation(Activation::Softmax)
        .init(&device)
        .unwrap();
    let member = |class_weights| FitJob {
        network: network.clone(),
        train: &data,
        validation: Some(&data),
        config: TrainConfig {
            loss: Some(Loss::CategoricalCrossEntropy),
            class_weights,
            epochs: 3,
            batch: Batch::Rows(16),
            ..TrainConfig::default()
        },
    };
    let given = || ClassWeights::Given(vec![5.0, 0.5, 1.0]);
    let members = [ClassWeights::Balanced, ClassWeights::Equal, given(), ClassWeights::Equal].map(member);
    same(fit_population(members.iter().cloned().enumerate().collect(), None), &members);
}
