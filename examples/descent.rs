//! Gradient descent, θ ← θ − ρ∇R: paths over a loss surface.
//!
//! cargo run --release --example descent [FOLDER]

#![allow(clippy::print_stdout)] // A program that shows its result.

use burn::module::Module;
use burn::tensor::Device;
use perceptra::nn::Neuron;
use perceptra::train::{Batch, Optimizer};
use perceptra::view::{Chart, Colors, Field, picture};
use perceptra::{Activation, Control, Dataset, Event, FeedForward, Fit, Loss, TrainConfig, choose};

type Any<T> = Result<T, Box<dyn std::error::Error>>;

/// y = tanh(w₂ tanh(w₁ x)): two weights, and two valleys that mirror each other.
fn network(w1: f32, w2: f32, device: &Device) -> Any<FeedForward> {
    let layer = |w| {
        Ok::<_, Box<dyn std::error::Error>>(
            Neuron::new(vec![w], 0.0, Activation::Tanh).network(device)?.layers().to_vec(),
        )
    };
    let layers = [layer(w1)?, layer(w2)?].concat();
    let mut network = FeedForward::new(layers, 0.0);
    network.layers_mut().iter_mut().for_each(|layer| layer.linear.bias = None);
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
    let descend = |from: [f32; 2]| {
        let mut path = vec![(f64::from(from[0]), f64::from(from[1]))];
        let config = TrainConfig {
            loss: Some(Loss::HalfSumSquared),
            optimizer: Optimizer::Sgd,
            learning_rate: 0.1,
            batch: Batch::Full,
            epochs: 3000,
            patience: None,
            ..TrainConfig::default()
        };
        let start = network(from[0], from[1], &device)?;
        let weight = |n: &FeedForward, i: usize| {
            n.layers()[i].linear.weight.val().try_into_vec_as::<f32>().map_or(f64::NAN, |w| f64::from(w[0]))
        };
        let mut watch = |event: &Event<'_>| {
            if let Event::Epoch { run: Some(run), .. } = event {
                let now = run.state().and_then(|state| perceptra::train::with_weights(start.valid(), &state.network));
                path.extend(now.map(|now| (weight(&now, 0), weight(&now, 1))));
            }
            Control::Continue
        };
        let history = Fit::new(start.clone(), &data).observe(&mut watch).run(&config)?.history;
        Any::Ok((path, history.epochs.last().map_or(f64::NAN, |e| e.train_loss)))
    };
    let mut paths = Chart::new("R over two weights, dark is low", "w1", "w2").field(&field, Colors::Heat);
    paths = paths.contour("", &field, &[-4.0, -3.0, -2.0, -1.0, 0.0, 1.0, 2.0]);
    for (from, name) in
        [([3.0, 0.5], "from (3, 0.5)"), ([-0.5, -3.0], "from (−0.5, −3)"), ([0.3, -1.5], "from (0.3, −1.5)")]
    {
        let (path, last) = descend(from)?;
        let end = path[path.len() - 1];
        println!("{name}: to ({:.2}, {:.2}), R = {last:.4}", end.0, end.1);
        paths = paths.line(name, path.clone()).points("", 6, path.into_iter().take(1));
    }
    let folder = std::env::args().nth(1).unwrap_or("target/lecture".into());
    picture(&[paths], 1, (800, 640))?.save_both(folder.as_ref(), "descent")?;
    println!("{folder}/descent.svg");
    Ok(())
}
