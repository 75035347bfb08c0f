//! Learning curves: where training goes on and learning does not; network sizes; batch sizes.
//!
//! cargo run --release --example overfitting [FOLDER]

#![allow(clippy::print_stdout)] // A program that shows its result.

use std::time::Instant;

use perceptra::data::{Pattern, Points};
use perceptra::train::Batch;
use perceptra::view::{Chart, picture};
use perceptra::{Activation, Dataset, FeedForwardConfig, Fit, Fitted, Loss, TrainConfig, choose};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = choose("cpu")?.device;
    // Few rows with much noise to train on, many to judge by.
    let rows = |rows, seed| {
        let points = Points::draw(Pattern::Moons, rows, 0.35, seed);
        Dataset::from_rows(points.inputs.values.clone(), points.targets(), (2, 1), &device)
    };
    let (train, validation) = (rows(80, 1)?, rows(1000, 2)?);
    let run = |width: usize, train: &Dataset, config: &TrainConfig| {
        let shape = FeedForwardConfig::new(2, 1).with_widths(&[width, width], Activation::Tanh);
        let network = shape.with_output_activation(Activation::Sigmoid).init(&device)?;
        Ok::<Fitted<_>, Box<dyn std::error::Error>>(Fit::new(network, train).validation(&validation).run(config)?)
    };
    let config = TrainConfig {
        loss: Some(Loss::BinaryCrossEntropy),
        learning_rate: 0.01,
        batch: Batch::Rows(16),
        epochs: 300,
        patience: None,
        ..TrainConfig::default()
    };
    let all = run(32, &train, &config)?.history;
    let early = run(32, &train, &TrainConfig { patience: Some(30), ..config.clone() })?.history;
    println!("early stopping ends after epoch {} and keeps epoch {}", early.epochs.len(), early.best_epoch);
    let curve = Chart::history("A network 2-32-32-1 on 80 rows", &all);
    let mut curve = curve.vertical("early stopping ends", early.epochs.len() as f64);
    curve.y.range = Some((0.0, 0.8));

    let (mut last, mut kept, mut trained) = (Vec::new(), Vec::new(), Vec::new());
    for width in [1, 2, 3, 4, 8, 16, 32, 64, 128] {
        let history = run(width, &train, &config)?.history;
        let end = history.epochs.last().ok_or("no epoch")?;
        let at = |loss: f64| (width as f64, loss);
        trained.push(at(end.train_loss));
        last.extend(end.validation_loss.map(at));
        kept.extend(history.best().and_then(|e| e.validation_loss).map(at));
        println!(
            "width {width:>3}: training {:.3}, validation {:.3} at the end",
            end.train_loss,
            end.validation_loss.unwrap_or(f64::NAN)
        );
    }
    let mut sizes = Chart::new("By the width of two hidden layers", "units a layer", "loss")
        .line("training", trained)
        .line("validation at the end", last)
        .dashed("validation, best epoch", kept);
    (sizes.x.log, sizes.y.range) = (true, Some((0.0, 0.8)));

    let many = rows(4000, 3)?;
    let mut results = Vec::new();
    for batch in [1, 4, 16, 64, 256, 1024, 4000] {
        let start = Instant::now();
        let config = TrainConfig { batch: Batch::Rows(batch), epochs: 20, ..config.clone() };
        let history = run(32, &many, &config)?.history;
        let loss = history.best().and_then(|e| e.validation_loss).ok_or("no epoch")?;
        println!(
            "batch {batch:>4}: validation {loss:.4} after 20 epochs of 4000 rows, in {:.3} s",
            start.elapsed().as_secs_f64()
        );
        results.push((batch as f64, loss));
    }
    let batches = Chart::new("By the rows of a step: 4000 rows, 20 epochs", "rows of a step", "validation loss");
    let mut batches = batches.line("", results.clone()).points("", 0, results);
    batches.x.log = true;
    let folder = std::env::args().nth(1).unwrap_or("target/lecture".into());
    picture(&[curve], 1, (800, 420))?.save_both(folder.as_ref(), "overfitting")?;
    picture(&[sizes, batches], 2, (800, 420))?.save_both(folder.as_ref(), "overfitting_sizes")?;
    println!("{folder}/overfitting.svg, overfitting_sizes.svg");
    Ok(())
}
