//! RealMLP and TabM against the results of their own packages, which `reference/make.py` wrote to `reference/reference.json`.

use burn::tensor::{Device, Tensor, TensorData};
use perceptra_nn::{
    Activation, Column, EmbeddingConfig, EmbeddingTensor, Extras, FeedForward, FeedForwardConfig, Group, Initializer,
    Loss, NumberEmbedding, Predictor, Role,
};
use serde_json::Value;

use super::ENGINES;
use crate::weighted::read;
use crate::*;

fn reference() -> Value {
    serde_json::from_str(include_str!("reference/reference.json")).unwrap()
}

fn numbers(value: &Value) -> Vec<f32> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap() as f32).collect()
}

fn close(got: &[f32], want: &[f32], tolerance: f32) {
    assert_eq!(got.len(), want.len());
    let size = want.iter().fold(0.0f32, |m, x| m.max(x.abs())).max(1e-3);
    for (got, want) in got.iter().zip(want) {
        assert!((got - want).abs() <= tolerance * size, "{got} {want}\n");
    }
}

#[test]
fn real_mlp_computes_and_learns_as_pytabkit_does() {
    let reference = reference();
    let numbers_of = |part: &str| numbers(&reference["real_mlp"][part]);
    let parts = Extras {
        embedding: Some(EmbeddingConfig {
            columns: vec![Column::Number; 2],
            numbers: NumberEmbedding::Periodic { frequencies: 5, sigma: 0.5, width: 4 },
            category_width: 1,
        }),
        input_scale: true,
        parametric: true,
        ntk: true,
        members: 1,
    };
    let device = Device::flex();
    let config = FeedForwardConfig::new(2, 1).with_widths(&[6], Activation::Mish).with_parts(Some(parts));
    // In the reference, the numbers follow after all embeddings; here, each number follows its own embedding.
    const PLACES: [usize; 8] = [0, 1, 2, 6, 3, 4, 5, 7];
    let load = |when: &str| {
        let mut network = config.init(&device).unwrap();
        let of = |name: &str| {
            let values = numbers(&reference["real_mlp"][when][name]);
            if !["scale", "w1"].contains(&name) {
                return values;
            }
            let width = values.len() / PLACES.len();
            PLACES.iter().flat_map(|i| values[i * width..(i + 1) * width].to_vec()).collect()
        };
        for (role, name) in [
            (Role::Embedding(EmbeddingTensor::PeriodicWeight), "weight"),
            (Role::Embedding(EmbeddingTensor::PeriodicPhase), "phase"),
            (Role::Embedding(EmbeddingTensor::PeriodicOutput), "output"),
            (Role::Embedding(EmbeddingTensor::PeriodicBias), "bias"),
            (Role::InputScale, "scale"),
            (Role::Alpha(0), "a1"),
            (Role::Weight(0), "w1"),
            (Role::Bias(0), "b1"),
            (Role::Weight(1), "w2"),
            (Role::Bias(1), "b2"),
        ] {
            network.set_values(role, of(name));
        }
        network
    };
    let (start, x) = (load("start"), numbers_of("x"));
    close(&start.predict(&x).unwrap(), &numbers_of("outputs"), 1e-5);
    let data = Dataset::from_rows(x.clone(), numbers_of("y"), (2, 1), &device).unwrap();
    let lr_factors = Factors { bias: 0.1, input_scale: 6.0, embedding: 0.1, activation: 0.1, ..Factors::all(1.0) };
    for engine in ENGINES {
        let config = TrainConfig {
            optimizer: Optimizer::AdamW,
            betas: [0.9, 0.95],
            learning_rate: 0.02,
            lr_factors,
            weight_decay: 0.3,
            // In the reference, the factor of the learning rate multiplies the decay twice.
            decay_factors: Factors { bias: 0.0, ..lr_factors },
            batch: Batch::Full,
            epochs: 4,
            patience: None,
            engine,
            ..TrainConfig::default()
        };
        let trained = last(&start, &data, &config);
        close(&trained.predict(&x).unwrap(), &numbers_of("outputs_after"), 1e-4);
        for end in load("end").parameters().iter().filter(|p| p.role.group() != Some(Group::Bias)) {
            let values = trained.parameter(end.role).unwrap().values();
            close(&read(values).unwrap(), &read(end.values()).unwrap(), 2e-4);
        }
    }
}

/// The network after the last epoch.
fn last(network: &FeedForward, data: &Dataset, config: &TrainConfig) -> FeedForward {
    struct Last(usize, Option<Vec<u8>>);
    impl Observer for Last {
        fn observe(&mut self, event: &Event<'_>) -> Control {
            if let Event::Epoch { epoch, run: Some(run), .. } = event
                && epoch.epoch == self.0
            {
                self.1 = Some(run.state().unwrap().network);
            }
            Control::Continue
        }
    }
    let mut keep = Last(config.epochs, None);
    Fit::new(network.clone(), data).observe(&mut keep).run(config).unwrap();
    with_weights(burn::module::Module::valid(network), &keep.1.unwrap()).unwrap()
}

#[test]
fn tabm_computes_and_learns_as_the_package_tabm_does() {
    let reference = reference();
    let tabm = &reference["tabm"];
    let bins: Vec<Vec<f32>> = tabm["bins"].as_array().unwrap().iter().map(numbers).collect();
    let parts = Extras {
        embedding: Some(EmbeddingConfig {
            columns: [vec![Column::Number; 2], vec![Column::Plain; 3]].concat(),
            numbers: NumberEmbedding::PiecewiseLinear { edges: bins, width: 4 },
            category_width: 1,
        }),
        members: 3,
        ..Extras::default()
    };
    let device = Device::flex();
    let config = FeedForwardConfig::new(5, 3)
        .with_widths(&[8, 8], Activation::Relu)
        .with_output_activation(Activation::Softmax)
        .with_initializer(Initializer::Torch)
        .with_parts(Some(parts));
    let load = |when: &str| {
        let mut network = config.init(&device).unwrap();
        let of = |name: &str| numbers(&tabm[when][name]["values"]);
        for (role, name) in [
            (Role::Embedding(EmbeddingTensor::PiecewiseWeight), "num_module.linear0.weight"),
            (Role::Embedding(EmbeddingTensor::PiecewiseBias), "num_module.linear0.bias"),
            (Role::Embedding(EmbeddingTensor::PiecewiseOutput), "num_module.linear.weight"),
            (Role::R(0), "backbone.blocks.0.0.r"),
            (Role::S(0), "backbone.blocks.0.0.s"),
            (Role::R(1), "backbone.blocks.1.0.r"),
            (Role::S(1), "backbone.blocks.1.0.s"),
            (Role::Bias(0), "backbone.blocks.0.0.bias"),
            (Role::Bias(1), "backbone.blocks.1.0.bias"),
            (Role::Bias(2), "output.bias"),
        ] {
            network.set_values(role, of(name));
        }
        let widths = network.widths();
        for (i, name) in ["backbone.blocks.0.0", "backbone.blocks.1.0", "output"].into_iter().enumerate() {
            let mut weight = of(&format!("{name}.weight"));
            if name != "output" {
                // In the reference, weights are stored by output; here, by input.
                let (inputs, outputs) = widths[i];
                let there = weight.clone();
                for i in 0..inputs {
                    for j in 0..outputs {
                        weight[i * outputs + j] = there[j * inputs + i];
                    }
                }
            }
            network.set_values(Role::Weight(i), weight);
        }
        network
    };
    let x_num = numbers(&tabm["x_num"]);
    let (mut x, mut y) = (Vec::new(), Vec::new());
    for (i, (category, class)) in numbers(&tabm["x_cat"]).into_iter().zip(numbers(&tabm["y"])).enumerate() {
        let one_hot = |of: f32| [0.0, 1.0, 2.0].map(|k| f32::from(u8::from(k == of)));
        x.extend_from_slice(&x_num[2 * i..2 * i + 2]);
        x.extend(one_hot(category));
        y.extend(one_hot(class));
    }
    let loss = Loss::CategoricalCrossEntropy;
    let probabilities = |network: &FeedForward| {
        let logits = Predictor::new(network, true).unwrap().predict(&x).unwrap();
        crate::probabilities(&logits, 3, loss)
    };
    let start = load("start");
    close(&probabilities(&start), &numbers(&tabm["probabilities"]), 1e-5);
    let data = Dataset::from_rows(x.clone(), y, (5, 3), &device).unwrap();
    for engine in ENGINES {
        let config = TrainConfig {
            loss: Some(loss),
            optimizer: Optimizer::AdamW,
            learning_rate: 0.01,
            batch: Batch::Full,
            epochs: 5,
            patience: None,
            engine,
            ..TrainConfig::default()
        };
        let history = Fit::new(start.clone(), &data).run(&config).unwrap().history;
        let losses: Vec<f32> = history.epochs.iter().map(|e| e.train_loss as f32).collect();
        close(&losses, &numbers(&tabm["losses"]), 1e-5);
        let trained = last(&start, &data, &config);
        close(&probabilities(&trained), &numbers(&tabm["probabilities_after"]), 1e-4);
        for end in load("end").parameters() {
            if let Role::Weight(_) | Role::Bias(_) = end.role {
                let values = trained.parameter(end.role).unwrap().values();
                close(&read(values).unwrap(), &read(end.values()).unwrap(), 2e-4);
            }
        }
    }
}

#[test]
fn schedules_and_initial_biases_are_those_of_pytabkit() {
    let reference = reference();
    for (schedule, name) in [(Schedule::Coslog4, "coslog4"), (Schedule::FlatCosine, "flat_cos")] {
        let config = TrainConfig { schedule, learning_rate: 1.0, ..TrainConfig::default() };
        let mut schedules = crate::schedule::Schedules::new(&config, 10);
        let rates: Vec<f32> = (0..=10).map(|_| schedules.next().rate as f32).collect();
        close(&rates, &numbers(&reference[name]), 1e-6);
    }
    // A layer whose weights were 1 for its only input z: z is divided by its standard deviation.
    let z = numbers(&reference["he5"]["z"]);
    let mean = z.iter().sum::<f32>() / z.len() as f32;
    let deviation = (z.iter().map(|z| (z - mean).powi(2)).sum::<f32>() / z.len() as f32).sqrt();
    let device = Device::flex();
    let network =
        FeedForwardConfig::new(1, 4000).with_initializer(Initializer::DataDriven).with_seed(1).init(&device).unwrap();
    let rows = Tensor::from_data(TensorData::new(z.clone(), [z.len(), 1]), &device);
    let network = network.fit_to(rows, 1);
    let weights = read(network.layers()[0].linear.weight.val()).unwrap();
    assert!(weights.iter().all(|w| (w.abs() * deviation - 1.0).abs() < 1e-4));
    // Biases are compared after division by their weights.
    let biases = read(network.layers()[0].linear.bias.as_ref().unwrap().val()).unwrap();
    let biases: Vec<f32> = biases.iter().zip(&weights).map(|(b, w)| b / w).collect();
    let average = biases.iter().sum::<f32>() / 4000.0;
    let spread = (biases.iter().map(|b| (b - average).powi(2)).sum::<f32>() / 4000.0).sqrt();
    let of = |name: &str| reference["he5"][name].as_f64().unwrap() as f32;
    assert!((average - of("mean")).abs() < 4.0 * of("deviation") / 4000f32.sqrt() * 2f32.sqrt(), "{average}");
    assert!((spread / of("deviation") - 1.0).abs() < 0.06, "{spread}");
}
