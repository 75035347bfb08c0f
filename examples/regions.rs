//! Decision regions of networks with 1, 2 and 8 hidden units, and of a deep network without nonlinearities.
//!
//! cargo run --release --example regions [FOLDER]

#![allow(clippy::print_stdout)] // A program that shows its result.

use burn::tensor::{Tensor, TensorData};
use perceptra::data::{Pattern, Points};
use perceptra::view::{Chart, Colors, Field, picture};
use perceptra::{Activation, Dataset, FeedForward, FeedForwardConfig, Fit, Loss, TrainConfig, choose};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = choose("cpu")?.device;
    let outputs = |network: &FeedForward, x: &[f32]| {
        let x = Tensor::<2>::from_data(TensorData::new(x.to_vec(), [x.len() / 2, 2]), &device);
        network.forward(x).try_into_vec_as::<f32>()
    };
    let config = TrainConfig {
        loss: Some(Loss::BinaryCrossEntropy),
        learning_rate: 0.02,
        epochs: 1500,
        patience: Some(300),
        ..TrainConfig::default()
    };
    let mut charts = Vec::new();
    for (name, points, reach) in [
        ("moons", Points::draw(Pattern::Moons, 300, 0.12, 1), 2.6),
        ("circles", Points::draw(Pattern::Circles, 300, 0.08, 1), 1.5),
        ("spirals", Points::draw(Pattern::Spirals, 300, 0.03, 1), 1.3),
    ] {
        let data = Dataset::from_rows(points.inputs.values.clone(), points.targets(), (2, 1), &device)?;
        for width in [1, 2, 8] {
            // From five beginnings the best: few units have bad ones.
            let mut best: Option<(f64, FeedForward)> = None;
            for seed in 0..5 {
                let shape = FeedForwardConfig::new(2, 1).with_widths(&[width], Activation::Tanh).with_seed(seed);
                let network = shape.with_output_activation(Activation::Sigmoid).init(&device)?;
                let fitted = Fit::new(network, &data).run(&config)?;
                let loss = fitted.history.best().map_or(f64::INFINITY, |e| e.train_loss);
                if best.as_ref().is_none_or(|(least, _)| loss < *least) {
                    best = Some((loss, fitted.network));
                }
            }
            let (_, network) = best.ok_or("nothing was trained")?;
            let y = outputs(&network, &points.inputs.values)?;
            let right = y.iter().zip(&points.classes).filter(|(y, c)| (**y >= 0.5) == (**c == 1)).count();
            println!("{name:<8} {width} hidden: {:>3} % of the rows right", right * 100 / y.len());
            let range = (-reach, reach);
            let values = outputs(&network, &Field::points(range, range, 61))?.into_iter().map(f64::from).collect();
            let field = Field::new(range, range, 61, values)?;
            let units = if width == 1 { "1 unit".into() } else { format!("{width} units") };
            let chart = Chart::new(&format!("{name}, {units}"), "x1", "x2").field(&field, Colors::Probability);
            charts.push(chart.contour("", &field, &[0.5]).classes(&points.inputs.values, &points.classes));
        }
    }

    let deep = FeedForwardConfig::new(2, 1).with_widths(&[8, 8], Activation::Identity).init(&device)?;
    let one = deep.collapse()?;
    let x = [0.3, -0.8, 1.5, 2.0];
    println!("{deep}: {:.5?}", outputs(&deep, &x)?);
    println!("collapsed to {one}: {:.5?}", outputs(&one, &x)?);
    let folder = std::env::args().nth(1).unwrap_or("target/lecture".into());
    picture(&charts, 3, (800, 800))?.save_both(folder.as_ref(), "regions")?;
    println!("{folder}/regions.svg");
    Ok(())
}
