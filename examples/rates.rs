//! Gradient descent by the size of ρ, and by the rows of a step.
//!
//! cargo run --release --example rates [FOLDER]

#![allow(clippy::print_stdout)] // A program that shows its result.

use perceptra::train::{Batch, Optimizer, Reduction};
use perceptra::view::{Chart, picture};
use perceptra::{Activation, Dataset, FeedForwardConfig, Fit, Loss, TrainConfig, choose};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = choose("cpu")?.device;
    let x: Vec<f32> = (0..20).map(|i| i as f32 / 10.0 - 0.95).collect();
    let y: Vec<f32> = x.iter().map(|x| (1.5 * (2.0 * x).tanh()).tanh()).collect();
    let data = Dataset::from_rows(x, y, (1, 1), &device)?;
    // y = tanh(w₂ tanh(w₁ x)), by R = ½ Σ (y − f)², always from the same weights: the loss of each epoch.
    let descend = |rho: f64, batch: Batch, reduction: Option<Reduction>| {
        let shape = FeedForwardConfig::new(1, 1).with_widths(&[1], Activation::Tanh).with_bias(false);
        let network = shape.with_output_activation(Activation::Tanh).with_seed(4).init(&device)?;
        let config = TrainConfig {
            loss: Some(Loss::HalfSumSquared),
            reduction,
            optimizer: Optimizer::Sgd,
            learning_rate: rho,
            batch,
            epochs: 200,
            patience: None,
            ..TrainConfig::default()
        };
        let epochs = Fit::new(network, &data).run(&config)?.history.epochs;
        // An average is brought back to the scale of the sum.
        let scale = if reduction == Some(Reduction::Mean) { data.rows() as f64 } else { 1.0 };
        let losses: Vec<_> = epochs.iter().map(|e| (e.epoch as f64, scale * e.train_loss)).collect();
        println!("ρ = {rho}, {batch:?}, {reduction:?}: R = {:.5} after 200 epochs", losses[losses.len() - 1].1);
        Ok::<_, Box<dyn std::error::Error>>(losses)
    };
    let mut rates = Chart::new("The size of ρ, all rows", "epoch", "R");
    for rho in [0.01, 0.1, 1.0, 4.0] {
        rates = rates.line(&format!("ρ = {rho}"), descend(rho, Batch::Full, None)?);
    }
    rates.y.log = true;
    let mut batches = Chart::new("Rows of a step, ρ = 0.05", "epoch", "R");
    batches.y.log = true;
    for (name, batch, reduction) in [
        ("all, summed", Batch::Full, None),
        ("all, averaged", Batch::Full, Some(Reduction::Mean)),
        ("5, summed", Batch::Rows(5), None),
        ("1, in a new order each epoch", Batch::Rows(1), None),
    ] {
        batches = batches.line(name, descend(0.05, batch, reduction)?);
    }
    let folder = std::env::args().nth(1).unwrap_or("target/lecture".into());
    picture(&[rates, batches], 2, (800, 420))?.save_both(folder.as_ref(), "rates")?;
    println!("{folder}/rates.svg");
    Ok(())
}
