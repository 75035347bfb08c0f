//! Times Perceptra on the workloads of `benches/workloads.json`, by the rules of `benches/peers.py`: whole epochs with the
//! rows in a new order each, the loss read once an epoch, one epoch before the clock starts.
//!
//! `cargo bench --bench workloads -- [--engines fused,autodiff] [--only NAME,...] [--seconds S] [--device D] [--smoke]`
//! prints one JSON object a line: {"peer", "workload", "rows_per_s", "us_per_step"}.

#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::collections::BTreeMap;
use std::time::Instant;

use perceptra::train::{Batch, Engine, FitJob, Optimizer, TrainConfig, fit_many};
use perceptra::{Activation, Control, Dataset, Event, FeedForwardConfig, Fit, choose};
use perceptra_random::{Purpose, Stream};
use serde::Deserialize;

#[derive(Deserialize)]
struct Workloads {
    train: BTreeMap<String, Workload>,
    sweep: BTreeMap<String, Workload>,
}

#[derive(Deserialize)]
struct Workload {
    dims: Vec<usize>,
    batch: usize,
    rows: usize,
    models: Option<usize>,
    epochs: Option<usize>,
}

/// Options by name, flags without a value as "true".
fn options() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut args = std::env::args().skip(1).peekable();
    while let Some(arg) = args.next() {
        let value = args.next_if(|next| !next.starts_with("--")).unwrap_or_else(|| "true".to_owned());
        found.insert(arg.trim_start_matches('-').to_owned(), value);
    }
    found
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = options();
    let get = |name: &str, default: &str| options.get(name).cloned().unwrap_or_else(|| default.to_owned());
    let smoke = options.contains_key("smoke");
    let seconds: f64 = if smoke { 0.0 } else { get("seconds", "3").parse()? };
    let only = get("only", "");
    let choice = choose(&get("device", "auto"))?;
    eprintln!("on {}", choice.name);
    let workloads: Workloads = serde_json::from_str(include_str!("workloads.json"))?;
    for engine in get("engines", "fused,autodiff").split(',') {
        let engine: Engine = serde_json::from_value(serde_json::json!(engine))?;
        for (name, workload) in workloads.train.iter().chain(&workloads.sweep) {
            if !only.is_empty() && !only.split(',').any(|o| o == name) {
                continue;
            }
            let workload = Workload {
                dims: workload.dims.clone(),
                rows: if smoke { workload.batch } else { workload.rows },
                models: workload.models.map(|m| if smoke { 2 } else { m }),
                ..*workload
            };
            let (steps, took, models) = time(&workload, engine, seconds, &choice.device)?;
            let rows_per_s = (steps * workload.batch * models) as f64 / took;
            let us_per_step = took / steps as f64 * 1e6;
            let peer = format!("perceptra-{}", engine.name());
            println!(
                "{}",
                serde_json::json!({"peer": peer, "workload": name, "rows_per_s": rows_per_s, "us_per_step": us_per_step})
            );
        }
    }
    Ok(())
}

/// Steps, the seconds they took, and the models of a sweep, each of which made the steps.
fn time(
    work: &Workload,
    engine: Engine,
    seconds: f64,
    device: &burn::tensor::Device,
) -> Result<(usize, f64, usize), Box<dyn std::error::Error>> {
    let (inputs, outputs) = (work.dims[0], work.dims[work.dims.len() - 1]);
    let normal = |n: usize, row: u32| {
        let mut x = vec![0.0; n];
        Stream::new(0, Purpose::Data, 0).fill_normal(row, &mut x);
        x
    };
    let (x, y) = (normal(work.rows * inputs, 0), normal(work.rows * outputs, 1));
    let data = Dataset::from_rows(x, y, (inputs, outputs), device)?;
    let steps = work.rows / work.batch;
    let member = |model: usize, models: usize| {
        let network = FeedForwardConfig::new(inputs, outputs)
            .with_widths(&work.dims[1..work.dims.len() - 1], Activation::Relu)
            .with_seed(model as u64)
            .init(device)?;
        let rate = if models == 1 { 1e-3 } else { 10f64.powf(-4.0 + 2.0 * model as f64 / (models - 1) as f64) };
        let config = TrainConfig {
            optimizer: Optimizer::Sgd,
            learning_rate: rate,
            batch: Batch::Rows(work.batch),
            drop_last: true,
            epochs: work.epochs.unwrap_or(1 << 30),
            patience: None,
            engine,
            ..TrainConfig::default()
        };
        Ok::<_, Box<dyn std::error::Error>>(FitJob { network, train: &data, validation: None, config })
    };
    if let Some(models) = work.models {
        let members = (0..models).map(|model| member(model, models)).collect::<Result<Vec<_>, _>>()?;
        // Two for warming up.
        fit_many(members[..2].to_vec(), None);
        let start = Instant::now();
        fit_many(members, None).into_iter().collect::<Result<Vec<_>, _>>()?;
        return Ok((steps * work.epochs.unwrap_or(1), start.elapsed().as_secs_f64(), models));
    }
    let (mut timed, mut start) = (0, Instant::now());
    let mut observer = |event: &Event<'_>| {
        if let Event::Epoch { epoch, .. } = event {
            match epoch.epoch {
                1 => start = Instant::now(),
                _ => timed += steps,
            }
        }
        if timed > 0 && start.elapsed().as_secs_f64() >= seconds { Control::Stop } else { Control::Continue }
    };
    let FitJob { network, train, config, .. } = member(0, 1)?;
    Fit::new(network, train).observe(&mut observer).run(&config)?;
    Ok((timed, start.elapsed().as_secs_f64(), 1))
}
