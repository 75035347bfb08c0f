//! Rosenblatt's rule learns what a line can separate, and shows what none can.
//!
//! cargo run --release --example perceptron [FOLDER]

#![allow(clippy::print_stdout)] // A program that shows its result.

use perceptra::data::{Pattern, Points};
use perceptra::nn::Neuron;
use perceptra::train::{PerceptronConfig, mistake_bound};
use perceptra::view::{Chart, picture};

/// Where a neuron of two inputs is undecided: a line through the point nearest to the origin.
fn boundary(neuron: &Neuron) -> impl Iterator<Item = (f64, f64)> {
    let [w1, w2, b] = [neuron.weights[0], neuron.weights[1], neuron.bias].map(f64::from);
    let square = w1 * w1 + w2 * w2;
    [-9.0, 9.0].into_iter().map(move |t| ((-b * w1 - t * w2) / square, (-b * w2 + t * w1) / square))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let corners = [0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0];
    let config = PerceptronConfig::default();
    let mut charts = Vec::new();
    for (name, y) in [("AND", [0.0, 0.0, 0.0, 1.0]), ("OR", [0.0, 1.0, 1.0, 1.0]), ("XOR", [0.0, 1.0, 1.0, 0.0])] {
        let learned = config.learn(&corners, &y)?;
        println!(
            "{name:<4} {} corrections in {} epochs, {} rows wrong: {}",
            learned.updates, learned.epochs, learned.errors, learned.separability
        );
        println!("     {}", learned.neuron);
        if let Some(bound) = mistake_bound(&learned.neuron, &corners, &y)? {
            println!("     Novikoff: at most {bound:.0} corrections, by the margin of this neuron");
        }
        let classes = y.map(|y| y as u32);
        let chart = Chart::new(name, "x1", "x2").line("", boundary(&learned.neuron)).classes(&corners, &classes);
        charts.push(square(chart, -0.5, 1.5));
    }

    // Clouds that overlap: the rule never comes to rest, the pocket keeps the best of its lines.
    let points = Points::draw(Pattern::Blobs(2), 200, 0.6, 1);
    let targets = points.targets();
    let mut chart = Chart::new("Two clouds", "x1", "x2");
    for (name, pocket) in [("last line", false), ("pocket", true)] {
        let learned = PerceptronConfig { pocket, max_epochs: 200, ..config }.learn(&points.inputs.values, &targets)?;
        println!("two clouds, {name}: {} of 200 rows wrong, {}", learned.errors, learned.separability);
        chart = match pocket {
            false => chart.line(name, boundary(&learned.neuron)),
            true => chart.dashed(name, boundary(&learned.neuron)),
        };
    }
    charts.push(square(chart.classes(&points.inputs.values, &points.classes), -3.0, 3.0));
    let folder = std::env::args().nth(1).unwrap_or("target/lecture".into());
    picture(&charts, 2, (800, 720))?.save_both(folder.as_ref(), "perceptron")?;
    println!("{folder}/perceptron.svg");
    Ok(())
}

/// The chart with both axes from `low` to `high`.
fn square(mut chart: Chart, low: f64, high: f64) -> Chart {
    (chart.x.range, chart.y.range) = (Some((low, high)), Some((low, high)));
    chart
}
