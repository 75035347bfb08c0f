//! Linear and logistic regression: each is one neuron.
//!
//! cargo run --release --example regression [FOLDER]

#![allow(clippy::print_stdout)] // A program that shows its result.

use burn::tensor::{Device, Tensor};
use perceptra::nn::Neuron;
use perceptra::train::{Batch, Optimizer};
use perceptra::view::{Chart, picture};
use perceptra::{Activation, Dataset, FeedForwardConfig, Fit, Loss, TrainConfig, choose};

/// Gradient descent on all rows at once, until R falls no longer.
fn learn(
    x: &[f32],
    y: &[f32],
    f: Activation,
    loss: Loss,
    device: &Device,
) -> Result<Neuron, Box<dyn std::error::Error>> {
    let data = Dataset::from_rows(x.to_vec(), y.to_vec(), (1, 1), device)?;
    let network = FeedForwardConfig::new(1, 1).with_output_activation(f).init(device)?;
    let config = TrainConfig {
        loss: Some(loss),
        optimizer: Optimizer::Sgd,
        learning_rate: 0.5,
        batch: Batch::Full,
        epochs: 20_000,
        patience: None,
        no_progress: Some(50),
        ..TrainConfig::default()
    };
    Ok(Neuron::of(&Fit::new(network, &data).run(&config)?.network)?)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = choose("auto")?.device;
    let x: Vec<f32> = (0..40).map(|i| i as f32 / 20.0 - 1.0).collect();
    let wave = |i: usize| ((i * 17) % 41) as f32 / 40.0 - 0.5;

    let y: Vec<f32> = x.iter().enumerate().map(|(i, x)| 0.8 * x + 0.3 + 0.6 * wave(i)).collect();
    let line = learn(&x, &y, Activation::Identity, Loss::MeanSquared, &device)?;
    // The least squares by their formula: w = cov(x, y) / var(x), b = ȳ − w x̄.
    let mean = |v: &[f32]| v.iter().map(|v| f64::from(*v)).sum::<f64>() / v.len() as f64;
    let (mx, my) = (mean(&x), mean(&y));
    let moment = |a: &[f32], ma: f64, b: &[f32], mb: f64| {
        a.iter().zip(b).map(|(a, b)| (f64::from(*a) - ma) * (f64::from(*b) - mb)).sum::<f64>()
    };
    let w = moment(&x, mx, &y, my) / moment(&x, mx, &x, mx);
    println!("descent:       {line}");
    println!("least squares: y = identity({w:.6}·x1 + {:.6})", my - w * mx);

    let class: Vec<f32> = x.iter().enumerate().map(|(i, x)| f32::from(x + 1.2 * wave(i) > 0.1)).collect();
    let logistic = learn(&x, &class, Activation::Sigmoid, Loss::BinaryCrossEntropy, &device)?;
    println!("logistic:      {logistic}");
    let network = logistic.network(&device)?;
    let p =
        network.forward(Tensor::<1>::from_floats(x.as_slice(), &device).reshape([40, 1])).try_into_vec_as::<f32>()?;
    println!("P(class 1) at x = {}: {:.3}, at x = {}: {:.3}", x[10], p[10], x[30], p[30]);

    let pairs =
        |y: &[f32]| x.iter().copied().zip(y.to_vec()).map(|(x, y)| (f64::from(x), f64::from(y))).collect::<Vec<_>>();
    let fitted: Vec<f32> = x.iter().map(|x| line.potential(&[*x]) as f32).collect();
    let of = |c: f32| pairs(&class).into_iter().filter(move |(_, y)| *y == f64::from(c));
    let boundary = f64::from(-logistic.bias / logistic.weights[0]);
    let charts = [
        Chart::new("Linear regression: identity", "x", "y").points("rows", 0, pairs(&y)).line("neuron", pairs(&fitted)),
        Chart::new("Logistic regression: sigmoid", "x", "class, P(class 1)")
            .points("class 0", 0, of(0.0))
            .points("class 1", 1, of(1.0))
            .line("neuron", pairs(&p))
            .vertical("P = ½", boundary),
    ];
    let folder = std::env::args().nth(1).unwrap_or("target/lecture".into());
    picture(&charts, 2, (800, 400))?.save_both(folder.as_ref(), "regression")?;
    println!("{folder}/regression.svg");
    Ok(())
}
