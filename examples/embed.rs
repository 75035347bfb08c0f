//! A `FeedForward` inside another Burn module, beside a part that is not dense, trained by the same loop.
//!
//! cargo run --release --example embed

#![allow(clippy::print_stdout)] // A program that shows its result.

use burn::module::Module;
use burn::nn::{Embedding, EmbeddingConfig};
use burn::tensor::Tensor;
use perceptra::{Activation, Dataset, FeedForward, FeedForwardConfig, Fit, ForwardMode, Network, TrainConfig, choose};

/// Days of the week by an embedding, the hour as a number.
#[derive(Module, Debug)]
struct Traffic {
    day: Embedding,
    dense: FeedForward,
}

impl Network for Traffic {
    fn forward(&self, inputs: Tensor<2>, mode: ForwardMode<'_>) -> Tensor<2> {
        let [rows, _] = inputs.dims();
        let day = self.day.forward(inputs.clone().slice([0..rows, 0..1]).int()).reshape([rows, 3]);
        let hour = inputs.slice([0..rows, 1..2]);
        Network::forward(&self.dense, Tensor::cat(vec![day, hour], 1), mode)
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = choose("auto")?.device;
    // Cars a minute: rush hours on working days, a hump on the weekend.
    let cars = |day: usize, hour: f32| {
        let peak = |at: f32| (-(hour - at).powi(2) / 4.0).exp();
        if day < 5 { peak(8.0) + peak(17.5) } else { 0.6 * peak(13.0) }
    };
    let rows: Vec<(usize, f32)> = (0..7 * 96).map(|i| (i % 7, (i / 7) as f32 / 4.0)).collect();
    let inputs = rows.iter().flat_map(|&(day, hour)| [day as f32, hour / 12.0 - 1.0]).collect();
    let targets = rows.iter().map(|&(day, hour)| cars(day, hour)).collect();
    let data = Dataset::from_rows(inputs, targets, (2, 1), &device)?;

    let network = Traffic {
        day: EmbeddingConfig::new(7, 3).init(&device),
        dense: FeedForwardConfig::new(4, 1).with_widths(&[64, 64], Activation::Tanh).init(&device)?,
    };
    let config = TrainConfig { learning_rate: 0.01, epochs: 400, target: Some(0.0005), ..TrainConfig::default() };
    let fitted = Fit::new(network, &data).run(&config)?;
    let best = fitted.history.best().ok_or("no epoch")?;
    println!("{}: mean squared error {:.5} after {} epochs", fitted.network.dense, best.train_loss, best.epoch);
    Ok(())
}
