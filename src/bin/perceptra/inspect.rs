//! `perceptra inspect`

use std::path::PathBuf;

use clap::Args;
use perceptra::Model;
use perceptra::data::ColumnKind;
use perceptra::model::Member;
use serde_json::json;

use crate::{CliError, load_model, print, print_json, tables};

#[derive(Debug, Args)]
#[command(after_help = "Example:
  perceptra inspect penguins.perceptra")]
pub(crate) struct InspectArgs {
    /// Model file
    model: PathBuf,
    /// Print everything as JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &InspectArgs) -> Result<(), CliError> {
    let model = load_model(&args.model, "cpu").or_else(|e| match e {
        // Without a CPU backend, any device is used.
        CliError::Device(_) => load_model(&args.model, "auto"),
        other => Err(other),
    })?;
    let about = model.about();
    if args.json {
        return print_json(&json!({
            "task": about.schema.task,
            "network": model.network().to_string(),
            "members": members(&model),
            "config": about.network,
            "schema": about.schema,
            "inputs": about.encoder.input_names(),
            "classes": about.encoder.labels(),
            "positive": about.encoder.positive(),
            "training": about.training,
            "test": about.metrics,
            "history": about.history,
        }));
    }
    print(&text(&model))
}

fn members(model: &Model) -> Vec<serde_json::Value> {
    let member = |m: Member<'_>| json!({ "share": m.share, "network": m.network.to_string(), "best_epoch": m.history.best_epoch });
    model.members().map(member).collect()
}

fn text(model: &Model) -> String {
    let about = model.about();
    let config = &about.network;
    let (shapes, tensors) = (model.network().widths(), config.tensors());
    // Number of parameters in the tensors whose names begin with `start`.
    let parameters = |start: &str| {
        let own = tensors.iter().filter(|(role, _)| role.group().is_some() && role.to_string().starts_with(start));
        tables::thousands(own.map(|(_, shape)| shape.iter().product::<usize>() as u64).sum())
    };
    let layer = |(i, (inputs, outputs)): (usize, &(usize, usize))| {
        let hidden = config.hidden.get(i);
        let activation = hidden.map_or(config.output_activation, |h| h.activation);
        vec![
            if hidden.is_some() { format!("hidden {}", i + 1) } else { "output".to_owned() },
            inputs.to_string(),
            outputs.to_string(),
            activation.to_string(),
            parameters(&format!("layers.{i}.")),
        ]
    };
    let extras = config.parts.clone().unwrap_or_default();
    let part = |name: &str, inputs: usize, start: &str| {
        vec![name.to_owned(), inputs.to_string(), shapes[0].0.to_string(), String::new(), parameters(start)]
    };
    let embedding = extras.embedding.as_ref().map(|e| part("embedding", e.columns.len(), "embedding."));
    let scale = extras.input_scale.then(|| part("input scale", shapes[0].0, "input_scale"));
    let rows = embedding.into_iter().chain(scale).chain(shapes.iter().enumerate().map(layer)).collect();
    let mut text = format!("{}\n\n", model.network());
    let members: Vec<_> = model.members().collect();
    if members.len() > 1 {
        let row = |(i, m): (usize, &Member<'_>)| {
            let (share, best) = (format!("{:.1}%", 100.0 * m.share), m.history.best_epoch.to_string());
            vec![format!("network {}", i + 1), share, best, m.network.to_string()]
        };
        text = tables::table(&["", "share", "best epoch", ""], members.iter().enumerate().map(row).collect());
        text += "\nthe first one:\n\n";
    }
    text += &tables::table(&["layer", "inputs", "units", "activation", "parameters"], rows);
    text += &format!("\nlearns {} of {}", about.schema.task, about.schema.targets.join(", "));
    if let Some(labels) = about.encoder.labels() {
        text += &format!(": {}", labels.join(", "));
    }
    text += "\n\n";
    let rows = about
        .encoder
        .features()
        .map(|(name, kind, width)| {
            let range = about.encoder.range(name).filter(|_| kind == ColumnKind::Numeric);
            let range =
                range.map_or_else(String::new, |[a, b]| format!("{} to {}", tables::number(a), tables::number(b)));
            let tails = about.encoder.tails(name).unwrap_or_default();
            vec![name.to_owned(), kind.name().to_owned(), width.to_string(), range, tails]
        })
        .collect();
    text += &tables::table(&["feature", "kind", "inputs", "training range", "values far out"], rows);
    for (name, reason) in &about.schema.dropped {
        text += &format!("{name} is ignored: {reason}\n");
    }
    let history = &about.history;
    text += &format!(
        "\ntrained with {} and {}, batch {}, learning rate {}, seed {}\n{} epochs, {}; best epoch {}\n\n",
        about.loss,
        about.training.optimizer.name(),
        match about.training.batch {
            perceptra::train::Batch::Rows(n) => n.to_string(),
            perceptra::train::Batch::Full => "full".to_owned(),
            perceptra::train::Batch::Auto => "auto".to_owned(),
        },
        about.training.learning_rate,
        about.training.seed,
        history.epochs.len(),
        crate::train::stopped(model),
        history.best_epoch
    );
    // Shows the first, the best, the last, and about ten epochs in between.
    let n = history.epochs.len();
    let shown: Vec<usize> =
        (0..n).filter(|i| i % n.div_ceil(10) == 0 || i + 1 == n || i + 1 == history.best_epoch).collect();
    let rows = shown
        .into_iter()
        .map(|i| {
            let e = &history.epochs[i];
            let mark = if e.epoch == history.best_epoch { " *" } else { "" };
            let mut row = vec![
                format!("{}{mark}", e.epoch),
                tables::number(e.train_loss),
                e.validation_loss.map_or_else(String::new, tables::number),
            ];
            row.extend(e.monitored.map(tables::number));
            row
        })
        .collect();
    let mut header = vec!["epoch", "training loss", "validation loss"];
    if history.epochs.iter().any(|e| e.monitored.is_some()) {
        header.push(history.monitor.name());
    }
    text += &tables::table(&header, rows);
    if let Some(metrics) = &about.metrics {
        text += "\n";
        text += &tables::metrics_table(&[("test", metrics)]);
    }
    text
}
