//! `perceptra inspect`

use std::path::PathBuf;

use clap::Args;
use perceptra::data::{
    ColumnKind, DataError, Notation, Numbers, ReadOptions, SchemaOptions, Summary, TableColumn, Values, date_text,
};
use perceptra::model::Member;
use perceptra::{Model, Table};
use serde_json::json;

use crate::run_args::NotationArgs;
use crate::{CliError, ReadArgs, hints, load_model, note, print, print_json, read_notes, tables};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  perceptra inspect penguins.perceptra
  perceptra inspect sales.csv --decimal ,")]
pub(crate) struct InspectArgs {
    /// Model file, or a table, or - for a table from standard input
    file: PathBuf,
    /// Print everything as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    read: ReadArgs,
    #[command(flatten)]
    notation: NotationArgs,
}

pub(crate) fn run(args: &InspectArgs) -> Result<(), CliError> {
    let mut options = ReadOptions::default();
    args.read.apply(&mut options);
    match Table::read(&args.file, &options) {
        Ok(table) => of_table(args, &table),
        // Files of other kinds may be models.
        Err(DataError::Foreign { .. }) => of_model(args),
        Err(other) => Err(other.into()),
    }
}

/// The columns of a table, and its first rows.
fn of_table(args: &InspectArgs, table: &Table) -> Result<(), CliError> {
    let mut options = SchemaOptions::default();
    args.notation.apply(&mut options);
    let columns = table.inspect(&options);
    let shown = table.rows().min(FIRST_ROWS);
    let plain = Notation::default();
    let first: Vec<Vec<Option<String>>> = (columns.iter())
        .map(|column| {
            table.texts(&column.name, &plain).map_or_else(|_| vec![None; shown], |texts| texts[..shown].to_vec())
        })
        .collect();
    if args.json {
        let column = |(column, first): (&TableColumn, &Vec<Option<String>>)| match &column.values {
            Err(error) => json!({ "name": column.name, "problem": error.to_string(), "first": first }),
            Ok((kind, Summary { missing, distinct, values })) => json!({
                "name": column.name,
                "kind": kind,
                "missing": missing,
                "distinct": distinct,
                "least": numbers(values).map(|n| n.least),
                "median": numbers(values).map(|n| n.median),
                "mean": numbers(values).map(|n| n.mean),
                "most": numbers(values).map(|n| n.most),
                "categories": categories(values).map(|all| all.iter().take(10).collect::<Vec<_>>()),
                "notes": column.notes.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "first": first,
            }),
        };
        return print_json(&json!({
            "table": table.name(),
            "rows": table.rows(),
            "notes": table.notes().iter().map(ToString::to_string).collect::<Vec<_>>(),
            "columns": columns.iter().zip(&first).map(column).collect::<Vec<_>>(),
        }));
    }
    read_notes(table.notes());
    let rows = columns.iter().map(|column| match &column.values {
        Err(_) => vec![column.name.clone(), "cannot be read".to_owned()],
        Ok((kind, summary)) => vec![
            column.name.clone(),
            kind.name().to_owned(),
            tables::thousands(summary.missing as u64),
            tables::thousands(summary.distinct as u64),
            content(*kind, &summary.values),
        ],
    });
    let mut text =
        format!("{}: {} rows, {} columns\n\n", table.name(), tables::thousands(table.rows() as u64), columns.len());
    text += &tables::table(&["column", "kind", "missing", "different", "values"], rows.collect());
    text += "\n";
    let names: Vec<&str> = columns.iter().take(SHOWN_COLUMNS).map(|column| column.name.as_str()).collect();
    let cell = |texts: &Vec<Option<String>>, row: usize| texts[row].clone().unwrap_or_default();
    let rows = (0..shown).map(|row| first.iter().take(SHOWN_COLUMNS).map(|texts| cell(texts, row)).collect());
    text += &tables::table(&names, rows.collect());
    if columns.len() > SHOWN_COLUMNS {
        text += &format!("and {} more columns\n", columns.len() - SHOWN_COLUMNS);
    }
    print(&text)?;
    for column in &columns {
        column.notes.iter().for_each(|choice| note(&hints::note(choice)));
        if let Err(error) = &column.values {
            let hint =
                error.hint().map_or_else(String::new, |hint| format!(" ({})", hints::data(&hint, hints::Flags::Run)));
            note(&format!("warning: {error}{hint}"));
        }
    }
    Ok(())
}

/// Rows of a table that are shown.
const FIRST_ROWS: usize = 5;
/// Columns of these rows that are shown.
const SHOWN_COLUMNS: usize = 12;

fn numbers(values: &Values) -> Option<&Numbers> {
    match values {
        Values::Numbers(numbers) => numbers.as_ref(),
        Values::Categories(_) => None,
    }
}

fn categories(values: &Values) -> Option<&Vec<(String, usize)>> {
    match values {
        Values::Numbers(_) => None,
        Values::Categories(all) => Some(all),
    }
}

/// A line on the values of a column: their range, or the most frequent ones.
fn content(kind: ColumnKind, values: &Values) -> String {
    match values {
        Values::Numbers(None) => String::new(),
        Values::Numbers(Some(n)) => {
            let text = |x: f64| match kind {
                ColumnKind::Date => date_text(x),
                ColumnKind::Numeric | ColumnKind::Categorical | ColumnKind::Boolean => tables::number(x),
            };
            format!("{} to {}, median {}", text(n.least), text(n.most), text(n.median))
        }
        Values::Categories(all) => {
            let shown: Vec<String> = all.iter().take(4).map(|(name, rows)| format!("{name} {rows}")).collect();
            format!("{}{}", shown.join(", "), if all.len() > 4 { ", ..." } else { "" })
        }
    }
}

fn of_model(args: &InspectArgs) -> Result<(), CliError> {
    let model = load_model(&args.file, "cpu").or_else(|e| match e {
        // Without a CPU backend, any device is used.
        CliError::Device(_) => load_model(&args.file, "auto"),
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
