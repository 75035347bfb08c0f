//! The extras of networks: the fused engine against autodiff, and the settings of single groups of parameters.

use burn::module::Module;
use burn::tensor::Device;
use perceptra_nn::{
    Activation, Column, EmbeddingConfig, Extras, FeedForward, FeedForwardConfig, Initializer, Loss, NumberEmbedding,
    Role,
};
use perceptra_random::{Purpose, Stream};

use super::ENGINES;
use crate::weighted::read;
use crate::*;

/// Rows of three numbers, a plain column and a category of four.
fn data(rows: usize, outputs: usize, seed: u64) -> Dataset {
    let mut x = vec![0.0; rows * 5];
    let mut y = vec![0.0; rows * outputs];
    Stream::new(seed, Purpose::Data, 0).fill_normal(0, &mut x);
    for (r, (x, y)) in x.chunks_exact_mut(5).zip(y.chunks_exact_mut(outputs)).enumerate() {
        x[3] = (r % 2) as f32;
        x[4] = (r % 4) as f32;
        let class = usize::from(x[0] + x[1] * x[2] > 0.0) + usize::from(x[4] == 2.0);
        match outputs {
            1 => y[0] = f32::from(u8::from(class > 0)),
            n => y[class % n] = 1.0,
        }
    }
    Dataset::from_rows(x, y, (5, outputs), &Device::flex()).unwrap()
}

fn embedding(numbers: NumberEmbedding) -> EmbeddingConfig {
    let columns = vec![Column::Number, Column::Number, Column::Number, Column::Plain, Column::Category(4)];
    EmbeddingConfig { columns, numbers, category_width: 3 }
}

fn periodic() -> NumberEmbedding {
    NumberEmbedding::Periodic { frequencies: 19, sigma: 0.5, width: 4 }
}

fn bent(width: usize) -> NumberEmbedding {
    let edges = vec![vec![-1.0, -0.2, 0.1, 0.9], vec![-2.0, 2.0], vec![-0.5, 0.0, 0.25]];
    NumberEmbedding::PiecewiseLinear { edges, width }
}

/// The role and the values of every tensor, in order.
fn all(network: &FeedForward) -> Vec<(Role, Vec<f32>)> {
    network.parameters().iter().map(|p| (p.role, read(p.values()).unwrap())).collect()
}

fn networks() -> Vec<(&'static str, FeedForwardConfig)> {
    let of = |outputs: usize, widths: &[usize], f: Activation, parts: Extras| {
        FeedForwardConfig::new(5, outputs)
            .with_widths(widths, f)
            .with_initializer(Initializer::Torch)
            .with_parts(Some(parts))
            .with_seed(3)
    };
    let none = Extras::default;
    vec![
        ("input scale", of(1, &[8, 70], Activation::Tanh, Extras { input_scale: true, ..none() })),
        ("NTK", of(3, &[9, 6], Activation::Silu, Extras { ntk: true, ..none() })),
        ("parametric", of(3, &[9, 70], Activation::Mish, Extras { parametric: true, ..none() }).with_dropout(0.3)),
        ("periodic", of(1, &[12], Activation::Selu, Extras { embedding: Some(embedding(periodic())), ..none() })),
        ("bent", of(1, &[12], Activation::Relu, Extras { embedding: Some(embedding(bent(5))), ..none() })),
        // 16 values for each number, whose gradients the kernel sums by bins.
        (
            "bent, scaled",
            of(
                3,
                &[70],
                Activation::Tanh,
                Extras { embedding: Some(embedding(bent(16))), input_scale: true, ..none() },
            ),
        ),
        (
            "members, bent by 16",
            of(1, &[72, 8], Activation::Relu, Extras { members: 3, embedding: Some(embedding(bent(16))), ..none() })
                .with_dropout(0.1),
        ),
        (
            "no numbers",
            of(6, &[], Activation::Relu, Extras { embedding: Some(embedding(NumberEmbedding::None)), ..none() }),
        ),
        ("members", of(1, &[8, 68], Activation::Tanh, Extras { members: 3, ..none() }).with_dropout(0.25)),
        ("many members", of(6, &[70], Activation::Silu, Extras { members: 20, ..none() })),
        (
            "members, embedded",
            of(3, &[16, 8, 12], Activation::Relu, Extras { members: 4, embedding: Some(embedding(bent(5))), ..none() })
                .with_dropout(0.1),
        ),
        (
            "members, bent",
            of(1, &[12, 8], Activation::Mish, Extras { members: 2, parametric: true, ntk: true, ..none() }),
        ),
        (
            "all of one",
            of(
                3,
                &[64, 65, 16],
                Activation::Selu,
                Extras {
                    embedding: Some(embedding(periodic())),
                    input_scale: true,
                    parametric: true,
                    ntk: true,
                    members: 1,
                },
            )
            .with_dropout(0.15),
        ),
    ]
}

/// A network that predicts classes, with the loss that suits it and the number of its outputs.
fn classifying(config: FeedForwardConfig) -> (FeedForwardConfig, Loss, usize) {
    let outputs = config.outputs;
    let (g, loss) = match outputs {
        1 => (Activation::Sigmoid, Loss::BinaryCrossEntropy),
        _ => (Activation::Softmax, Loss::CategoricalCrossEntropy),
    };
    (config.with_output_activation(g), loss, outputs)
}

#[test]
fn the_engines_make_the_same_steps_with_all_extras() {
    for (name, config) in networks() {
        let (config, loss, outputs) = classifying(config);
        let network = config.init(&Device::flex()).unwrap();
        let (train, judged) = (data(75, outputs, 1), data(40, outputs, 2));
        let several = network.members() > 1;
        let rules = [(Optimizer::Sgd, 0.05), (Optimizer::AdamW, 1e-3), (Optimizer::Lion, 1e-4)];
        for (share_batches, (optimizer, rate)) in rules.into_iter().flat_map(|rule| [(true, rule), (false, rule)]) {
            if !share_batches && !several {
                continue;
            }
            let adam = optimizer != Optimizer::Sgd;
            let weights = (0..75).map(|r| [1.0, 0.0, 2.5][r % 3]).collect();
            let train = if share_batches { train.clone() } else { train.clone().with_weights(weights).unwrap() };
            let config = TrainConfig {
                loss: Some(loss),
                optimizer,
                learning_rate: rate,
                betas: if optimizer == Optimizer::AdamW { [0.9, 0.95] } else { [0.9, 0.999] },
                schedule: Schedule::Coslog4,
                lr_factors: Factors {
                    bias: 0.1,
                    input_scale: 6.0,
                    embedding: 0.5,
                    activation: 0.2,
                    member: 2.0,
                    ..Factors::all(1.0)
                },
                weight_decay: if adam { 0.3 } else { 0.0 },
                decay_factors: Factors { bias: 0.0, ..Factors::all(0.5) },
                decay_schedule: if adam { Schedule::FlatCosine } else { Schedule::Constant },
                dropout_schedule: Schedule::FlatCosine,
                label_smoothing: 0.1,
                monitor: Metric::LogLoss,
                batch: Batch::Rows(33),
                share_batches,
                epochs: 2,
                last_best: true,
                patience: None,
                ..TrainConfig::default()
            };
            let [a, b] = ENGINES.map(|engine| {
                let config = TrainConfig { engine, ..config.clone() };
                Fit::new(network.clone(), &train)
                    .validation(&judged)
                    .run(&config)
                    .unwrap_or_else(|e| panic!("{name}: {e}"))
            });
            for (a, b) in a.history.epochs.iter().zip(&b.history.epochs) {
                let close = |a: f64, b: f64| assert!((a - b).abs() <= 1e-5 * a.abs().max(1.0), "{name}: {a} {b}");
                close(a.train_loss, b.train_loss);
                close(a.validation_loss.unwrap(), b.validation_loss.unwrap());
                close(a.monitored.unwrap(), b.monitored.unwrap());
            }
            let (mut count, mut apart) = (0, 0);
            for ((role, a), (_, b)) in all(&a.network).into_iter().zip(all(&b.network)) {
                let size = a.iter().fold(0.0f32, |m, x| m.max(x.abs())).max(1e-2);
                let far = a.iter().zip(&b).filter(|(a, b)| (*a - *b).abs() > 2e-5 * size).count();
                if optimizer == Optimizer::Sgd {
                    assert_eq!(far, 0, "{name}: {role}\n{a:?}\n{b:?}");
                }
                (count, apart) = (count + a.len(), apart + far);
            }
            // The others divide gradients by their own size: those that are 0 but for rounding have either sign.
            assert!(apart * 50 <= count, "{name}, {}: {apart} of {count}", optimizer.name());
            // Every tensor has changed.
            for ((role, a), (_, b)) in all(&network.valid()).into_iter().zip(all(&b.network)) {
                assert!(a != b, "{name}: {role}");
            }
        }
        // Predictions are the same too.
        let rows = read(judged.inputs.clone()).unwrap();
        let kernel = perceptra_nn::Predictor::new(&network, true).unwrap().predict(&rows).unwrap();
        let mode = ForwardMode { logits: true, dropout: None };
        let burn = read(Network::forward(&network.valid(), judged.inputs.clone(), mode)).unwrap();
        assert!(kernel.iter().zip(&burn).all(|(a, b)| (a - b).abs() <= 1e-5 * b.abs().max(1.0)), "{name}");
    }
}

#[test]
fn bits_do_not_depend_on_the_threads_or_on_being_resumed() {
    for (name, config) in networks() {
        let (config, loss, outputs) = classifying(config);
        let network = config.init(&Device::flex()).unwrap();
        let train = data(600, outputs, 1);
        let config = TrainConfig {
            loss: Some(loss),
            optimizer: Optimizer::AdamW,
            batch: Batch::Rows(256),
            share_batches: false,
            engine: Engine::Fused,
            epochs: 4,
            patience: None,
            ..TrainConfig::default()
        };
        let run = |threads: usize| with_threads(threads, || Fit::new(network.clone(), &train).run(&config).unwrap());
        let (one, two) = (run(1), run(2));
        assert_eq!(all(&one.network), all(&two.network), "{name}");

        struct Keep(Option<TrainState>);
        impl Observer for Keep {
            fn observe(&mut self, event: &Event<'_>) -> Control {
                match event {
                    Event::Epoch { epoch, run: Some(run), .. } if epoch.epoch == 2 => {
                        self.0 = Some(run.state().unwrap());
                        Control::Stop
                    }
                    _ => Control::Continue,
                }
            }
        }
        let mut keep = Keep(None);
        Fit::new(network.clone(), &train).observe(&mut keep).run(&config).unwrap();
        let again = Fit::new(network.clone(), &train).resume(&keep.0.unwrap()).run(&config).unwrap();
        assert_eq!(all(&again.network), all(&one.network), "{name}");
    }
}

#[test]
fn members_with_batches_of_their_own_each_see_every_row_once() {
    let config = TrainConfig { seed: 5, ..TrainConfig::default() };
    let order = crate::engine::order(&config, 10, 4, 3, 2);
    // Each step has the rows of one member after another: 4, 4 and 2 of each member.
    let (steps, mut seen) = ([&order[..12], &order[12..24], &order[24..]], vec![Vec::new(); 3]);
    for step in steps {
        for (seen, rows) in seen.iter_mut().zip(step.chunks(step.len() / 3)) {
            seen.extend_from_slice(rows);
        }
    }
    assert!(seen[0] != seen[1] && seen[1] != seen[2] && seen[0] != seen[2]);
    for mut rows in seen {
        rows.sort_unstable();
        assert_eq!(rows, (0..10).collect::<Vec<_>>());
    }
    let config = TrainConfig { drop_last: true, ..config };
    assert_eq!(crate::engine::order(&config, 10, 4, 3, 2), order[..24]);

    // Batches of all rows are the same for all members.
    let network = FeedForwardConfig::new(5, 1)
        .with_widths(&[12, 7], Activation::Tanh)
        .with_parts(Some(Extras { members: 3, ..Extras::default() }))
        .init(&Device::flex())
        .unwrap();
    let train = data(40, 1, 1);
    for engine in ENGINES {
        let [own, shared] = [false, true].map(|share_batches| {
            let config = TrainConfig {
                optimizer: Optimizer::Sgd,
                learning_rate: 0.1,
                batch: Batch::Full,
                epochs: 20,
                share_batches,
                engine,
                ..TrainConfig::default()
            };
            Fit::new(network.clone(), &train).run(&config).unwrap()
        });
        for (own, shared) in own.history.epochs.iter().zip(&shared.history.epochs) {
            assert!((own.train_loss - shared.train_loss).abs() < 1e-6, "{own:?} {shared:?}");
        }
        assert!(own.history.epochs[19].train_loss < 0.9 * own.history.epochs[0].train_loss);
    }
}

#[test]
fn a_plateau_lowers_the_learning_rate_and_ties_keep_the_last() {
    let device = Device::flex();
    let network = FeedForwardConfig::new(5, 1).init(&device).unwrap();
    let train = data(50, 1, 1);
    for engine in ENGINES {
        let config = TrainConfig {
            optimizer: Optimizer::Sgd,
            schedule: Schedule::Plateau,
            plateau_patience: 2,
            plateau_factor: 0.5,
            // Nothing counts as progress.
            min_delta: 1e9,
            learning_rate: 0.01,
            epochs: 7,
            patience: None,
            engine,
            ..TrainConfig::default()
        };
        let fitted = Fit::new(network.clone(), &train).run(&config).unwrap();
        let rates: Vec<f64> = fitted.history.epochs.iter().map(|e| e.learning_rate).collect();
        assert_eq!(rates, [0.01, 0.01, 0.01, 0.005, 0.005, 0.0025, 0.0025]);
        // With a learning rate of almost 0 every epoch is as good as the others.
        let still = TrainConfig { learning_rate: 1e-30, schedule: Schedule::Constant, epochs: 4, ..config };
        for (last_best, best) in [(false, 1), (true, 4)] {
            let config = TrainConfig { last_best, batch: Batch::Full, ..still.clone() };
            let fitted = Fit::new(network.clone(), &train).validation(&train).run(&config).unwrap();
            assert_eq!(fitted.history.best_epoch, best);
        }
    }
}
