//! Gradient descent, θ ← θ − ρ∇R: paths over a loss surface, batches, and the size of ρ.
//!
//! cargo run --release --example descent [FOLDER]

#![allow(clippy::print_stdout)] // A program that shows its result.

use burn::module::Module;
use burn::tensor::Device;
use perceptra::nn::Neuron;
use perceptra::train::{Batch, Optimizer, Reduction};
use perceptra::view::{Chart, Colours, Field, picture};
use perceptra::{Activation, Control, Dataset, Event, FeedForward, Loss, TrainConfig, choose, fit};

type Any<T> = Result<T, Box<dyn std::error::Error>>;

/// y = tanh(w₂ tanh(w₁ x)): two weights, and two valleys that mirror each other.
fn network(w1: f32, w2: f32, device: &Device) -> Any<FeedForward> {
    let layer =
        |w| Ok::<_, Box<dyn std::error::Error>>(Neuron::new(vec![w], 0.0, Activation::Tanh).network(device)?.layers);
    let layers = [layer(w1)?, layer(w2)?].concat();
    let mut network = FeedForward { layers, dropout: 0.0 };
    network.layers.iter_mut().for_each(|layer| layer.linear.bias = None);
    Ok(network)
}

fn main() -> Any<()> {
    let device = choose("cpu")?.device;
    let x: Vec<f32> = (0..20).map(|i| i as f32 / 10.0 - 0.95).collect();
    let y: Vec<f32> = x.iter().map(|x| (1.5 * (2.0 * x).tanh()).tanh()).collect();
    let data = Dataset::from_rows(x, y, (1, 1), &device)?;
    let surface = |w1: f32, w2: f32| {
        Any::Ok(perceptra::train::evaluate_loss(&network(w1, w2, &device)?, &data, Loss::HalfSumSquared)?)
    };
    let range = (-3.5, 3.5);
    let grid = Field::points(range, range, 101);
    let heights = grid.chunks(2).map(|w| surface(w[0], w[1])).collect::<Any<Vec<f64>>>()?;
    // By its logarithm, the valleys show as well as the hills.
    let field = Field::new(range, range, 101, heights.iter().map(|r| (r + 0.01).ln()).collect())?;

    // Every epoch's weights, by an observer that asks for a snapshot.
    let descend = |from: [f32; 2], rho: f64, epochs: usize, batch: Batch, reduction| {
        let (mut path, mut losses) = (vec![(f64::from(from[0]), f64::from(from[1]))], Vec::new());
        let config = TrainConfig {
            loss: Some(Loss::HalfSumSquared),
            reduction,
            optimizer: Optimizer::Sgd,
            learning_rate: rho,
            batch,
            epochs,
            patience: None,
            ..TrainConfig::default()
        };
        let start = network(from[0], from[1], &device)?;
        let weight = |n: &FeedForward, i: usize| {
            n.layers[i].linear.weight.val().try_into_vec_as::<f32>().map_or(f64::NAN, |w| f64::from(w[0]))
        };
        let mut watch = |event: &Event<'_>| {
            if let Event::Epoch { epoch, run: Some(run), .. } = event {
                losses.push((epoch.epoch as f64, epoch.train_loss));
                let now = run.state().and_then(|state| perceptra::train::with_weights(start.valid(), &state.network));
                path.extend(now.map(|now| (weight(&now, 0), weight(&now, 1))));
            }
            Control::Continue
        };
        fit(start.clone(), &data, None, &config, &mut watch)?;
        Any::Ok((path, losses))
    };
    let mut paths = Chart::new("R over two weights, dark is low", "w1", "w2").field(&field, Colours::Heat);
    paths = paths.heights(&field, &[-4.0, -3.0, -2.0, -1.0, 0.0, 1.0, 2.0]);
    for (from, name) in
        [([3.0, 0.5], "from (3, 0.5)"), ([-0.5, -3.0], "from (−0.5, −3)"), ([0.3, -1.5], "from (0.3, −1.5)")]
    {
        let (path, losses) = descend(from, 0.1, 3000, Batch::Full, None)?;
        let (end, last) = (path[path.len() - 1], losses[losses.len() - 1].1);
        println!("{name}: to ({:.2}, {:.2}), R = {last:.4}", end.0, end.1);
        paths = paths.line(name, path.clone()).points("", 6, path.into_iter().take(1));
    }
    let mut rates = Chart::new("The size of ρ", "epoch", "R").log_y();
    for rho in [0.01, 0.1, 1.0, 4.0] {
        rates = rates.line(&format!("ρ = {rho}"), descend([3.0, 0.5], rho, 200, Batch::Full, None)?.1);
    }
    let mut batches = Chart::new("Rows of a step, ρ = 0.05", "epoch", "R").log_y();
    for (name, batch, reduction) in [
        ("all, summed", Batch::Full, None),
        ("all, averaged", Batch::Full, Some(Reduction::Mean)),
        ("5, summed", Batch::Rows(5), None),
        ("1, in a new order each epoch", Batch::Rows(1), None),
    ] {
        // An average is brought back to the sum's scale for the picture.
        let scale = if reduction.is_some() { data.rows() as f64 } else { 1.0 };
        let losses = descend([3.0, 0.5], 0.05, 200, batch, reduction)?.1;
        batches = batches.line(name, losses.into_iter().map(|(e, r)| (e, r * scale)));
    }
    let folder = std::env::args().nth(1).unwrap_or("target/lecture".into());
    picture(&[paths], 1, (800, 640))?.save_both(folder.as_ref(), "descent")?;
    picture(&[rates, batches], 2, (800, 420))?.save_both(folder.as_ref(), "descent_rates")?;
    println!("{folder}/descent.svg, descent_rates.svg");
    Ok(())
}
