//! Where activations come from: how fast a squid's axon fires by the current that drives it.
//!
//! cargo run --release --example firing_rate [FOLDER]

#![allow(clippy::print_stdout)] // A program that shows its result.

use burn::tensor::Tensor;
use perceptra::nn::HodgkinHuxley;
use perceptra::view::{Chart, picture};
use perceptra::{Activation, choose};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = choose("cpu")?.device;
    let membrane = HodgkinHuxley::default();
    // One membrane for each current, integrated together.
    let currents: Vec<f32> = (0..=120).map(|i| 0.5 * i as f32).collect();
    let tensor = |values: &[f32]| Tensor::<1>::from_floats(values, &device);
    let rates = membrane.firing_rates(tensor(&currents), 500.0).try_into_vec_as::<f32>()?;
    let onset = rates.iter().position(|r| *r > 0.0).ok_or("no membrane fires")?;
    let (threshold, top) = (currents[onset], rates[rates.len() - 1]);
    println!("silent up to {} µA/cm², from {threshold} on it fires", currents[onset - 1]);
    for i in [0, onset, 20, 40, 80, 120] {
        println!("{:>6} µA/cm²  {:>6.1} spikes a second", currents[i], rates[i]);
    }

    // The activations, stretched to the same threshold and to the highest rate.
    let stretched = |f: Activation, slope: f32, height: f32| {
        let z: Vec<f32> = currents.iter().map(|i| slope * (i - threshold)).collect();
        let y = f.forward(tensor(&z).reshape([z.len(), 1])).try_into_vec_as::<f32>()?;
        let points: Vec<_> = currents.iter().zip(y).map(|(i, y)| (f64::from(*i), f64::from(height * y))).collect();
        Ok::<_, Box<dyn std::error::Error>>(points)
    };
    let points = currents.iter().zip(&rates).map(|(i, r)| (f64::from(*i), f64::from(*r)));
    let curve = Chart::new("Rate by current", "current, µA/cm²", "spikes a second")
        .line("Hodgkin and Huxley", points)
        .dashed("step", stretched(Activation::Step, 1.0, top)?)
        .dashed("sigmoid", stretched(Activation::Sigmoid, 0.15, top)?)
        .dashed("ReLU", stretched(Activation::Relu, 1.0, top / 50.0)?);

    let shown = [5.0, 10.0];
    let v = membrane.potentials(tensor(&shown), 60.0).try_into_vec_as::<f32>()?;
    let trace = |k: usize| v.chunks(2).enumerate().map(move |(i, v)| (0.05 * (i + 1) as f64, f64::from(v[k])));
    let traces = Chart::new("The membrane", "time, ms", "potential, mV")
        .line("10 µA/cm²", trace(1))
        .dashed("5 µA/cm²", trace(0));
    let folder = std::env::args().nth(1).unwrap_or("target/lecture".into());
    picture(&[traces, curve], 1, (800, 720))?.save_both(folder.as_ref(), "firing_rate")?;
    println!("{folder}/firing_rate.svg");
    Ok(())
}
