//! The neuron of McCulloch and Pitts: y = f(Σ wᵢxᵢ + b), with weights given by hand.
//!
//! cargo run --release --example neuron [FOLDER]

#![allow(clippy::print_stdout)] // A program that shows its result.

use burn::tensor::Tensor;
use perceptra::nn::Neuron;
use perceptra::view::{Chart, picture};
use perceptra::{Activation, choose};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = choose("auto")?.device;
    let rows = || Tensor::<2>::from_floats([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], &device);
    println!("{:<18}{:>5}{:>5}{:>5}{:>5}   inputs", "x1 x2", "0 0", "0 1", "1 0", "1 1");
    for (name, weights, bias) in [
        ("and", [1.0, 1.0], -1.5),
        ("or", [1.0, 1.0], -0.5),
        ("x1 and not x2", [1.0, -1.0], -0.5),
        ("x2, whatever x1", [0.0, 1.0], -0.5),
    ] {
        for activation in [Activation::Step, Activation::Sign] {
            let neuron = Neuron::new(weights.to_vec(), bias, activation);
            let y = neuron.network(&device)?.forward(rows()).try_into_vec_as::<f32>()?;
            let y: String = y.iter().map(|y| format!("{y:>5}")).collect();
            let synapses: Vec<String> = neuron.synapses().iter().map(ToString::to_string).collect();
            println!("{name:<18}{y}   {}   {neuron}", synapses.join(", "));
        }
    }

    let z: Vec<f32> = (-400..=400).map(|i| i as f32 / 100.0).collect();
    let curve = |f: Activation| {
        let y = f.forward(Tensor::<1>::from_floats(z.as_slice(), &device).reshape([z.len(), 1]));
        Ok::<_, Box<dyn std::error::Error>>(z.iter().copied().zip(y.try_into_vec_as::<f32>()?))
    };
    let chart = |title: &str, all: &[Activation]| {
        let empty = Chart::new(title, "Σ wᵢxᵢ + b", "y");
        all.iter().enumerate().try_fold(empty, |chart, (i, f)| {
            let points = curve(*f)?.map(|(x, y)| (f64::from(x), f64::from(y)));
            Ok::<_, Box<dyn std::error::Error>>(match i % 2 {
                0 => chart.line(f.name(), points),
                _ => chart.dashed(f.name(), points),
            })
        })
    };
    use Activation::{Dendritic, Identity, Relu, Sigmoid, Sign, Step, Tanh};
    let mut charts = [
        chart("Thresholds, hard and soft", &[Step, Sign, Sigmoid, Tanh])?,
        chart("Identity, ReLU, dendrite", &[Identity, Relu, Dendritic])?,
    ];
    charts.iter_mut().for_each(|chart| chart.y.range = Some((-1.5, 2.0)));
    let folder = std::env::args().nth(1).unwrap_or("target/lecture".into());
    picture(&charts, 2, (800, 380))?.save_both(folder.as_ref(), "neuron")?;
    println!("{folder}/neuron.svg");
    Ok(())
}
