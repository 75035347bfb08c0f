//! XOR: by networks from a hundred beginnings, and by one neuron with a dendrite's activation.
//!
//! cargo run --release --example xor [FOLDER]

#![allow(clippy::print_stdout)] // A program that shows its result.

use burn::tensor::{Tensor, TensorData};
use perceptra::nn::Neuron;
use perceptra::train::Batch;
use perceptra::view::{Chart, Colors, Field, picture};
use perceptra::{Activation, Dataset, FeedForward, FeedForwardConfig, Fit, Loss, TrainConfig, choose};

const CORNERS: [f32; 8] = [0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0];
const XOR: [f32; 4] = [0.0, 1.0, 1.0, 0.0];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = choose("cpu")?.device;
    let data = Dataset::from_rows(CORNERS.to_vec(), XOR.to_vec(), (2, 1), &device)?;
    let outputs = |network: &FeedForward, x: &[f32]| {
        let x = Tensor::<2>::from_data(TensorData::new(x.to_vec(), [x.len() / 2, 2]), &device);
        network.forward(x).try_into_vec_as::<f32>()
    };
    let solved = |y: &[f32]| y.iter().zip(XOR).all(|(f, y)| (f - y).abs() < 0.5);
    let map = |title: &str, network: &FeedForward| {
        let range = (-0.5, 1.5);
        let values = outputs(network, &Field::points(range, range, 81))?.into_iter().map(f64::from).collect();
        let field = Field::new(range, range, 81, values)?;
        let chart = Chart::new(title, "x1", "x2").field(&field, Colors::Probability).contour("", &field, &[0.5]);
        Ok::<_, Box<dyn std::error::Error>>(chart.classes(&CORNERS, &XOR.map(|y| y as u32)))
    };

    let config = TrainConfig {
        loss: Some(Loss::BinaryCrossEntropy),
        learning_rate: 0.05,
        batch: Batch::Full,
        epochs: 2000,
        patience: None,
        target: Some(0.01),
        ..TrainConfig::default()
    };
    let mut charts = Vec::new();
    println!("XOR solved, of 100 seeds (Adam, rate 0.05, at most 2000 epochs):");
    for activation in [Activation::Tanh, Activation::Sigmoid, Activation::Relu] {
        for width in [2, 3] {
            let mut solutions = Vec::new();
            for seed in 0..100 {
                let shape = FeedForwardConfig::new(2, 1).with_widths(&[width], activation).with_seed(seed);
                let network = shape.with_output_activation(Activation::Sigmoid).init(&device)?;
                let network = Fit::new(network, &data).run(&config)?.network;
                if solved(&outputs(&network, &CORNERS)?) {
                    solutions.push(network);
                }
            }
            println!("  2-{width}-1 {:<8} {:>3}", activation.name(), solutions.len());
            if let (2, Some(network)) = (width, solutions.first()) {
                charts.push(map(&format!("2-2-1, {activation}"), network)?);
            }
        }
    }

    // x1 + x2 − 1: the two inputs together go past the peak of the calcium spike.
    let neuron = Neuron::new(vec![1.0, 1.0], -1.0, Activation::Dendritic);
    let peaked = TrainConfig { loss: Some(Loss::MeanSquared), ..config };
    let found = (0..100).filter(|&seed| {
        let shape = FeedForwardConfig::new(2, 1).with_output_activation(Activation::Dendritic).with_seed(seed);
        let fitted = shape.init(&device).ok().and_then(|one| Fit::new(one, &data).run(&peaked).ok());
        fitted.is_some_and(|fitted| outputs(&fitted.network, &CORNERS).is_ok_and(|y| solved(&y)))
    });
    println!("  2-1   dendritic {:>2}", found.count());
    println!("one neuron, {neuron}: {:.2?}", outputs(&neuron.network(&device)?, &CORNERS)?);
    charts.push(map("One neuron, dendritic", &neuron.network(&device)?)?);
    let folder = std::env::args().nth(1).unwrap_or("target/lecture".into());
    picture(&charts, 2, (800, 720))?.save_both(folder.as_ref(), "xor")?;
    println!("{folder}/xor.svg");
    Ok(())
}
