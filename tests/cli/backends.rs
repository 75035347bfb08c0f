//! The same suite on every device of every backend that is compiled in.

use burn::tensor::{Device, Tensor};
use perceptra::model::{RunConfig, train};
use perceptra::nn::{
    Activation, Column, EmbeddingConfig, Extras, FeedForwardConfig, Initializer, Loss, Norm, NumberEmbedding,
};
use perceptra::train::{Batch, Engine, Factors, FitJob, Optimizer, Schedule, TrainConfig, fit_many};
use perceptra::{Dataset, FeedForward, Fit, Model};

use crate::data;

/// Devices to test, the reference first. `PERCEPTRA_EXPECT` names a backend that must be among them, so that a missing
/// driver is not taken for success.
pub(crate) fn devices() -> Vec<(String, Device)> {
    let devices: Vec<_> = perceptra::device::list().into_iter().map(|d| (d.flag, d.device)).collect();
    if let Ok(backend) = std::env::var("PERCEPTRA_EXPECT") {
        let names: Vec<&String> = devices.iter().map(|(name, _)| name).collect();
        assert!(names.iter().any(|n| n.starts_with(&backend)), "{backend} is not among {names:?}");
    }
    devices
}

fn values(tensor: Tensor<2>) -> Vec<f32> {
    tensor.try_into_vec_as().unwrap()
}

/// |a − b| ≤ tolerance · max(1, |b|), element by element.
fn close(name: &str, a: &[f32], b: &[f32], tolerance: f32) {
    assert_eq!(a.len(), b.len(), "{name}");
    for (i, (a, b)) in a.iter().zip(b).enumerate() {
        assert!((a - b).abs() <= tolerance * b.abs().max(1.0), "{name}, element {i}: {a} and {b}");
    }
}

#[test]
fn forward_passes_agree() {
    let mut reference: Option<Vec<Vec<f32>>> = None;
    for (name, device) in devices() {
        let rows: Vec<f32> = (0..40).map(|i| (i as f32 * 0.37).sin() * 3.0).collect();
        let x = Tensor::<1>::from_floats(rows.as_slice(), &device).reshape([10, 4]);
        let outputs: Vec<Vec<f32>> = Activation::ALL
            .iter()
            .copied()
            .filter(|f| *f != Activation::Softmax)
            .map(|activation| {
                let norm = [Norm::None, Norm::Batch, Norm::Layer][activation as usize % 3];
                let network = FeedForwardConfig::new(4, 3)
                    .with_widths(&[7, 5], activation)
                    .with_norm(norm)
                    .with_output_activation(Activation::Softmax)
                    .init(&device)
                    .unwrap();
                values(network.forward(x.clone()))
            })
            .collect();
        match &reference {
            None => reference = Some(outputs),
            Some(expected) => {
                for (a, b) in outputs.iter().zip(expected) {
                    close(&name, a, b, 1e-5);
                }
            }
        }
    }
}

#[test]
fn training_steps_agree_for_every_loss() {
    let losses: Vec<Loss> = Loss::ALL.iter().copied().chain([Loss::Huber { delta: 0.5 }]).collect();
    let mut reference: Option<Vec<Vec<f32>>> = None;
    let all_devices = devices();
    // The fused engine is for CPUs: elsewhere there is one engine to test.
    let runs = all_devices.iter().flat_map(|(name, device)| {
        let cpu = name == "flex" || name == "ndarray";
        let engines = if cpu { vec![Engine::Autodiff, Engine::Fused] } else { vec![Engine::Auto] };
        engines.into_iter().map(move |engine| (name, device, engine))
    });
    for (name, device, engine) in runs {
        let all: Vec<Vec<f32>> = losses
            .iter()
            .map(|&loss| {
                let x: Vec<f32> = (0..60).map(|i| (i as f32 * 0.61).cos()).collect();
                let y: Vec<f32> = (0..40).map(|i| if i % 2 == i / 2 % 2 { 1.0 } else { 0.0 }).collect();
                let weights: Vec<f32> = (0..20).map(|i| 0.5 + (i % 3) as f32).collect();
                let data = Dataset::from_rows(x, y, (3, 2), device).unwrap().with_weights(weights).unwrap();
                let network = FeedForwardConfig::new(3, 2)
                    .with_widths(&[6], Activation::Tanh)
                    .with_dropout(0.2)
                    .init(device)
                    .unwrap();
                let config = TrainConfig {
                    loss: Some(loss),
                    optimizer: Optimizer::Sgd,
                    momentum: 0.9,
                    learning_rate: 0.01,
                    batch: Batch::Rows(8),
                    epochs: 3,
                    l2: 0.01,
                    clip_norm: Some(5.0),
                    engine,
                    ..TrainConfig::default()
                };
                let fitted = Fit::new(network, &data).validation(&data).run(&config).unwrap();
                let mut numbers = values(fitted.network.layers()[0].linear.weight.val());
                numbers.extend(fitted.history.epochs.iter().map(|e| e.train_loss as f32));
                numbers.extend(fitted.history.epochs.iter().filter_map(|e| e.validation_loss).map(|l| l as f32));
                numbers
            })
            .collect();
        match &reference {
            None => reference = Some(all),
            Some(expected) => all.iter().zip(expected).for_each(|(a, b)| close(name, a, b, 1e-3)),
        }
    }
}

#[test]
fn models_move_between_devices() {
    let text = format!(
        "[data]\ntable = {:?}\ntarget = ['species']\n[network]\nhidden = [8]\n[train]\nepochs = 2\nbatch = 64\n",
        data("penguins.csv")
    );
    let run = RunConfig::from_toml("t", &text).unwrap();
    let tables = perceptra::Tables::read(&run).unwrap();
    let all = devices();
    for (name, device) in &all {
        let model = train(&run, &tables, device, &mut ()).unwrap().model;
        let bytes = model.to_bytes().unwrap();
        let predictions = model.predict(&tables.table).unwrap();
        let same = Model::from_bytes("m", &bytes, device).unwrap();
        assert_eq!(same.predict(&tables.table).unwrap(), predictions, "{name}");
        for (other, device) in &all {
            let moved = Model::from_bytes("m", &bytes, device).unwrap().predict(&tables.table).unwrap();
            let [moved, here] =
                [&moved, &predictions].map(|p| p.values.values.iter().map(|x| *x as f32).collect::<Vec<_>>());
            close(&format!("{name} to {other}"), &moved, &here, 1e-4);
        }
    }
}

/// Members on all devices at once; on those with memory of their own they are trained in one tensor program. The reference trains
/// each alone.
#[test]
fn a_population_trains_as_its_members_alone() {
    let x: Vec<f32> = (0..150).map(|i| (i as f32 * 0.7).sin()).collect();
    let y: Vec<f32> = x.chunks(3).map(|row| row[0] * row[1] - row[2]).collect();
    let devices = devices();
    let data: Vec<[Dataset; 2]> = devices
        .iter()
        .map(|(_, device)| {
            let of =
                |rows: usize| Dataset::from_rows(x[..3 * rows].to_vec(), y[..rows].to_vec(), (3, 1), device).unwrap();
            [of(50), of(20)]
        })
        .collect();
    let member = |d: usize, k: usize| FitJob {
        network: FeedForwardConfig::new(3, 1)
            .with_widths(&[4 + k, 5], Activation::Tanh)
            .with_seed(k as u64)
            .with_dropout(0.1 * (k % 2) as f64)
            .init(&devices[d].1)
            .unwrap(),
        train: &data[d][usize::from(k == 1)],
        validation: (k == 2).then_some(&data[d][1]),
        config: TrainConfig {
            learning_rate: 0.002 * (k + 1) as f64,
            batch: Batch::Rows(16),
            epochs: 2 + k / 2,
            ..TrainConfig::default()
        },
    };
    let places: Vec<(usize, usize)> = (0..3).flat_map(|k| (0..devices.len()).map(move |d| (d, k))).collect();
    let members: Vec<FitJob<'_, FeedForward>> = places.iter().map(|&(d, k)| member(d, k)).collect();
    let weights = |network: &FeedForward| -> Vec<Vec<f32>> {
        network.layers().iter().map(|l| values(l.linear.weight.val())).collect()
    };
    let expected: Vec<_> = (0..3)
        .map(|k| member(0, k))
        .map(|m| weights(&Fit::new(m.network, m.train).validation(m.validation).run(&m.config).unwrap().network))
        .collect();
    for ((d, k), fitted) in places.into_iter().zip(fit_many(members, None)) {
        let fitted = fitted.unwrap();
        assert_eq!(fitted.network.layers()[0].linear.weight.val().device(), devices[d].1);
        for (a, b) in weights(&fitted.network).iter().zip(&expected[k]) {
            close(&devices[d].0, a, b, 1e-4);
        }
    }
}

#[test]
fn networks_with_all_extras_agree() {
    let embedding = |numbers| {
        let columns = vec![Column::Number, Column::Number, Column::Plain, Column::Category(3)];
        Some(EmbeddingConfig { columns, numbers, category_width: 2 })
    };
    let periodic = NumberEmbedding::Periodic { frequencies: 4, sigma: 0.3, width: 3 };
    let bent = NumberEmbedding::PiecewiseLinear { edges: vec![vec![-0.5, 0.0, 0.7], vec![-1.0, 1.0]], width: 2 };
    let one = Extras { embedding: embedding(periodic), input_scale: true, parametric: true, ntk: true, members: 1 };
    let several = Extras { embedding: embedding(bent), members: 3, ..Extras::default() };
    let base = || FeedForwardConfig::new(4, 3).with_output_activation(Activation::Softmax).with_dropout(0.1);
    let networks = [
        base().with_widths(&[8, 4], Activation::Mish).with_initializer(Initializer::DataDriven).with_parts(Some(one)),
        base().with_widths(&[8, 4], Activation::Relu).with_initializer(Initializer::Torch).with_parts(Some(several)),
    ];
    let mut reference: Option<Vec<Vec<f32>>> = None;
    for (name, device) in devices() {
        let x: Vec<f32> = (0..120)
            .map(|i| match i % 4 {
                3 => (i / 4 % 3) as f32,
                2 => (i / 4 % 2) as f32,
                _ => (i as f32 * 0.61).cos(),
            })
            .collect();
        let y: Vec<f32> = (0..90).map(|i| if i % 3 == i / 7 % 3 { 1.0 } else { 0.0 }).collect();
        let data = Dataset::from_rows(x.clone(), y, (4, 3), &device).unwrap();
        let rows = Tensor::<1>::from_floats(x.as_slice(), &device).reshape([30, 4]);
        let of = |config: &FeedForwardConfig| {
            let mut network = config.init(&device).unwrap();
            if config.initializer == Initializer::DataDriven {
                network = network.fit_to(rows.clone(), 1);
            }
            let mut numbers = values(network.forward(rows.clone()));
            let config = TrainConfig {
                loss: Some(Loss::CategoricalCrossEntropy),
                optimizer: Optimizer::AdamW,
                betas: [0.9, 0.95],
                lr_factors: Factors { bias: 0.1, input_scale: 6.0, ..Factors::default() },
                weight_decay: 0.1,
                decay_schedule: Schedule::FlatCosine,
                batch: Batch::Rows(12),
                // Of several members; as they predict, they share rows in any case.
                share_batches: false,
                epochs: 3,
                patience: None,
                ..TrainConfig::default()
            };
            let fitted = Fit::new(network, &data).validation(&data).run(&config).unwrap();
            numbers.extend(fitted.history.epochs.iter().map(|e| e.train_loss as f32));
            numbers.extend(fitted.history.epochs.iter().filter_map(|e| e.validation_loss).map(|l| l as f32));
            numbers
        };
        let all: Vec<Vec<f32>> = networks.iter().map(of).collect();
        match &reference {
            None => reference = Some(all),
            Some(expected) => all.iter().zip(expected).for_each(|(a, b)| close(&name, a, b, 1e-3)),
        }
    }
}
