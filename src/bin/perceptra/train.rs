//! `perceptra train`

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use perceptra::data::{Scaling, Task};
use perceptra::model::{Checkpoint, OneOrMany, Trained, resume, train};
use perceptra::nn::{Initializer, Loss, Norm};
use perceptra::train::{
    Batch, ClassWeights, Engine, Lock, Optimizer, Schedule, StopReason, TrainError, clean, write_atomic,
};
use perceptra::{Activation, Control, Event, Metric, ModelError, Observer, RunConfig, choose};
use serde_json::json;

use crate::{CliError, ReadArgs, note, print, print_json, report, same_file, signals};

/// Every flag overrides one key of the run file (or of the defaults).
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  perceptra train data/penguins.csv --target species
  perceptra train diamonds.parquet --target price --hidden 256,128 --epochs 50 --device wgpu
  perceptra train sales.csv --target revenue,returns --ignore id --test-file sales-2024.csv
  perceptra train --config penguins.toml --seed 1
  perceptra train sales.csv --target revenue --checkpoint sales-run     # then, after an interruption:
  perceptra train --resume sales-run")]
pub(crate) struct TrainArgs {
    /// The table: CSV, TSV (also gzipped), Parquet, Arrow IPC, or - for CSV from standard input
    table: Option<PathBuf>,
    /// A run file (see `perceptra init`); flags override it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where the model goes [default: the table's name with .perceptra]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// auto, cpu, flex, ndarray, wgpu[:N], cuda[:N]... (see `perceptra devices`) [default: auto]
    #[arg(long)]
    device: Option<String>,
    /// Of the split, the initial weights, the order of rows and dropout [default: 0]
    #[arg(long)]
    seed: Option<u64>,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    /// No progress bar and no notes
    #[arg(short, long)]
    quiet: bool,
    /// Say what trains, and why
    #[arg(long, short)]
    verbose: bool,

    /// Write the state of the run to this folder after every epoch (see --every), to --resume it from
    #[arg(long, value_name = "FOLDER", help_heading = "Checkpoints")]
    checkpoint: Option<PathBuf>,
    /// Go on with the run of this folder, as if it had not been interrupted; flags may say when to stop, and where to write
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["checkpoint", "config"], help_heading = "Checkpoints")]
    resume: Option<PathBuf>,
    /// Epochs from one checkpoint to the next [default: 1]
    #[arg(long, value_name = "EPOCHS", help_heading = "Checkpoints")]
    every: Option<usize>,
    /// How many of the latest checkpoints are kept, besides that of the best epoch [default: 2]
    #[arg(long, value_name = "N", help_heading = "Checkpoints")]
    keep: Option<usize>,

    /// Target column; several, of numbers, with commas or repeated
    #[arg(long, value_name = "COLUMN", value_delimiter = ',', help_heading = "Columns")]
    target: Vec<String>,
    /// What to learn [default: found from the target]
    #[arg(long, value_name = "TASK", help_heading = "Columns")]
    task: Option<TaskArg>,
    /// Columns to take as numbers
    #[arg(long, value_name = "COLUMN", value_delimiter = ',', help_heading = "Columns")]
    numeric: Vec<String>,
    /// Columns to take as categories
    #[arg(long, value_name = "COLUMN", value_delimiter = ',', help_heading = "Columns")]
    categorical: Vec<String>,
    /// Columns to leave out
    #[arg(long, value_name = "COLUMN", value_delimiter = ',', help_heading = "Columns")]
    ignore: Vec<String>,
    /// Column of row weights
    #[arg(long, value_name = "COLUMN", help_heading = "Columns")]
    weights: Option<String>,
    /// Column that says train, validation or test
    #[arg(long, value_name = "COLUMN", help_heading = "Columns")]
    split: Option<String>,

    /// Share of the rows held out for testing [default: 0.2]
    #[arg(long, value_name = "SHARE", help_heading = "Parts of the data")]
    test: Option<f64>,
    /// Share of the other rows held out to stop by [default: 0.15]
    #[arg(long, value_name = "SHARE", help_heading = "Parts of the data")]
    validation: Option<f64>,
    /// A table of its own for testing
    #[arg(long, value_name = "FILE", conflicts_with = "test", help_heading = "Parts of the data")]
    test_file: Option<PathBuf>,
    /// A table of its own to stop by
    #[arg(long, value_name = "FILE", conflicts_with = "validation", help_heading = "Parts of the data")]
    validation_file: Option<PathBuf>,
    /// Do not keep the shares of the classes, or the distribution of a numeric target, in the parts
    #[arg(long, help_heading = "Parts of the data")]
    no_stratify: bool,

    #[command(flatten)]
    read: ReadArgs,
    /// Read the table anew every epoch instead of holding it in memory: for tables larger than that
    #[arg(long, help_heading = "Reading tables")]
    stream: bool,
    /// Rows of a streamed table in memory at once [default: 65536]
    #[arg(long, value_name = "ROWS", help_heading = "Reading tables")]
    buffer: Option<usize>,

    /// Scale of numeric columns: standard, min-max, robust, quantile, none [default: standard]
    #[arg(long, value_parser = named::<Scaling>, help_heading = "Encoding")]
    scaling: Option<Scaling>,
    /// Categories with fewer rows share one input [default: 3]
    #[arg(long, value_name = "ROWS", help_heading = "Encoding")]
    min_category_rows: Option<usize>,
    /// The most categories of a column with an input of their own [default: 100]
    #[arg(long, value_name = "N", help_heading = "Encoding")]
    max_categories: Option<usize>,

    /// Widths of the hidden layers, such as 128,64; `none` for a single neuron per output [default: 128,64]
    #[arg(long, value_name = "WIDTHS", value_parser = widths, help_heading = "Network")]
    hidden: Option<Widths>,
    /// Activation of the hidden layers, or a list with one for each: identity, step, sign, sigmoid, tanh, relu, leaky-relu,
    /// elu, selu, gelu, silu, softplus
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = named::<Activation>, help_heading = "Network")]
    activation: Vec<Activation>,
    /// Activation of the output [default: none for numbers, sigmoid or softmax for classes]
    #[arg(long, value_name = "NAME", value_parser = named::<Activation>, help_heading = "Network")]
    output_activation: Option<Activation>,
    /// auto, kaiming-uniform, kaiming-normal, xavier-uniform, xavier-normal, lecun-uniform, torch, zeros [default: torch]
    #[arg(long, value_name = "NAME", value_parser = named::<Initializer>, help_heading = "Network")]
    initializer: Option<Initializer>,
    /// Share of hidden units dropped in training [default: 0.1]
    #[arg(long, value_name = "SHARE", help_heading = "Network")]
    dropout: Option<f64>,
    /// Normalisation of hidden layers: none, batch, layer
    #[arg(long, value_name = "NAME", value_parser = named::<Norm>, help_heading = "Network")]
    norm: Option<Norm>,
    /// Layers without biases
    #[arg(long, help_heading = "Network")]
    no_bias: bool,

    /// mse, half-sse, mae, huber[:delta], binary-cross-entropy, categorical-cross-entropy [default: by the task]
    #[arg(long, value_name = "NAME", help_heading = "Training")]
    loss: Option<Loss>,
    /// sgd, adam, adamw, rmsprop, adagrad, adan, lion, lamb, adafactor, muon [default: adam]
    #[arg(long, value_name = "NAME", value_parser = named::<Optimizer>, help_heading = "Training")]
    optimizer: Option<Optimizer>,
    /// Size of steps [default: 0.002]
    #[arg(long, alias = "lr", value_name = "RATE", allow_negative_numbers = true, help_heading = "Training")]
    learning_rate: Option<f64>,
    /// constant, linear, cosine, exponential, step [default: constant]
    #[arg(long, value_name = "NAME", value_parser = named::<Schedule>, help_heading = "Training")]
    schedule: Option<Schedule>,
    /// Rows of a step, auto (by the number of rows) or full [default: auto]
    #[arg(long, value_name = "ROWS", help_heading = "Training")]
    batch: Option<Batch>,
    /// Leave out a last batch that is short
    #[arg(long, help_heading = "Training")]
    drop_last: bool,
    /// Of sgd and rmsprop
    #[arg(long, help_heading = "Training")]
    momentum: Option<f64>,
    /// Nesterov's form of momentum
    #[arg(long, help_heading = "Training")]
    nesterov: bool,
    /// Decay of weights (not of biases)
    #[arg(long, value_name = "RATE", help_heading = "Training")]
    weight_decay: Option<f64>,
    /// Penalty on the absolute values of weights
    #[arg(long, value_name = "LAMBDA", help_heading = "Training")]
    l1: Option<f64>,
    /// Penalty on the squares of weights
    #[arg(long, value_name = "LAMBDA", help_heading = "Training")]
    l2: Option<f64>,
    /// The longest the gradient may be
    #[arg(long, value_name = "LENGTH", help_heading = "Training")]
    clip_norm: Option<f64>,
    /// The largest an element of the gradient may be
    #[arg(long, value_name = "SIZE", help_heading = "Training")]
    clip_value: Option<f64>,
    /// equal, balanced, or a weight for each class, such as 1,5
    #[arg(long, value_name = "WEIGHTS", value_parser = class_weights, help_heading = "Training")]
    class_weights: Option<ClassWeights>,
    /// fused (kernels for dense networks on the CPU), autodiff (everything else) or auto [default: auto]
    #[arg(long, value_name = "NAME", value_parser = named::<Engine>, help_heading = "Training")]
    engine: Option<Engine>,

    /// The most passes over the data [default: 200]
    #[arg(long, help_heading = "Stopping")]
    epochs: Option<usize>,
    /// Epochs without progress before stopping, or none [default: 30]
    #[arg(long, value_name = "EPOCHS", value_parser = or_none, help_heading = "Stopping")]
    patience: Option<OrNone>,
    /// What counts as progress [default: 0]
    #[arg(long, value_name = "AMOUNT", help_heading = "Stopping")]
    min_delta: Option<f64>,
    /// What is judged: loss, mse, rmse, mae, r2, explained-variance, accuracy, balanced-accuracy, precision, recall, f1,
    /// roc-auc, log-loss [default: loss]
    #[arg(long, value_name = "METRIC", value_parser = named::<Metric>, help_heading = "Stopping")]
    monitor: Option<Metric>,
    /// Stop when the judged number is this good
    #[arg(long, value_name = "VALUE", help_heading = "Stopping")]
    target_value: Option<f64>,
    /// Epochs without a lower training loss before stopping
    #[arg(long, value_name = "EPOCHS", help_heading = "Stopping")]
    no_progress: Option<usize>,
    /// Seconds after which the run ends
    #[arg(long, value_name = "SECONDS", help_heading = "Stopping")]
    time_limit: Option<f64>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum TaskArg {
    Auto,
    Regression,
    Binary,
    Multiclass,
}

#[derive(Debug, Clone)]
struct Widths(Vec<usize>);

#[derive(Debug, Clone, Copy)]
struct OrNone(Option<usize>);

fn widths(text: &str) -> Result<Widths, String> {
    if text == "none" {
        return Ok(Widths(Vec::new()));
    }
    let parse = |width: &str| width.trim().parse().map_err(|_| format!("`{width}` is not a width"));
    text.split([',', 'x']).map(parse).collect::<Result<_, _>>().map(Widths)
}

fn or_none(text: &str) -> Result<OrNone, String> {
    match text {
        "none" => Ok(OrNone(None)),
        _ => text.parse().map(|n| OrNone(Some(n))).map_err(|_| "a number of epochs, or none".into()),
    }
}

fn class_weights(text: &str) -> Result<ClassWeights, String> {
    match text {
        "equal" => Ok(ClassWeights::Equal),
        "balanced" => Ok(ClassWeights::Balanced),
        _ => text
            .split(',')
            .map(|w| w.trim().parse().map_err(|_| format!("`{w}` is not a weight")))
            .collect::<Result<_, _>>()
            .map(ClassWeights::Given),
    }
}

/// A value by the name it has in run files.
fn named<T: serde::de::DeserializeOwned>(name: &str) -> Result<T, String> {
    serde_json::from_value(json!(name)).map_err(|e| {
        let text = e.to_string();
        text.split_once("expected ").map_or(text.clone(), |(_, expected)| format!("expected {expected}"))
    })
}

impl TrainArgs {
    /// The run of the checkpoint, the run file or the defaults, with the flags put in.
    fn resolve(&self, from: Option<&Checkpoint>) -> Result<RunConfig, CliError> {
        let mut run = match (&self.config, from) {
            (_, Some(checkpoint)) => checkpoint.run().clone(),
            (Some(path), None) => RunConfig::read(path)?,
            (None, None) => RunConfig::default(),
        };
        fn set<T: Clone>(key: &mut T, flag: &Option<T>) {
            if let Some(value) = flag {
                *key = value.clone();
            }
        }
        fn set_some<T: Clone>(key: &mut Option<T>, flag: &Option<T>) {
            if flag.is_some() {
                key.clone_from(flag);
            }
        }
        fn set_list<T: Clone>(key: &mut Vec<T>, flag: &[T]) {
            if !flag.is_empty() {
                *key = flag.to_vec();
            }
        }
        set(&mut run.data.table, &self.table);
        let schema = &mut run.data.schema;
        set_list(&mut schema.target, &self.target);
        set_list(&mut schema.numeric, &self.numeric);
        set_list(&mut schema.categorical, &self.categorical);
        set_list(&mut schema.ignore, &self.ignore);
        set_some(&mut schema.weights, &self.weights);
        set_some(&mut schema.split, &self.split);
        if let Some(task) = self.task {
            schema.task = match task {
                TaskArg::Auto => None,
                TaskArg::Regression => Some(Task::Regression),
                TaskArg::Binary => Some(Task::Binary),
                TaskArg::Multiclass => Some(Task::Multiclass),
            };
        }
        self.read.apply(&mut run.data.read);
        run.data.stream |= self.stream;
        set(&mut run.data.buffer, &self.buffer);
        set(&mut run.split.test, &self.test);
        set(&mut run.split.validation, &self.validation);
        set_some(&mut run.split.test_file, &self.test_file);
        set_some(&mut run.split.validation_file, &self.validation_file);
        run.split.stratify &= !self.no_stratify;
        set(&mut run.encoder.scaling, &self.scaling);
        set(&mut run.encoder.min_category_rows, &self.min_category_rows);
        set(&mut run.encoder.max_categories, &self.max_categories);
        set(&mut run.network.hidden, &self.hidden.as_ref().map(|w| w.0.clone()));
        match self.activation.as_slice() {
            [] => {}
            [one] => run.network.activation = OneOrMany::One(*one),
            many => run.network.activation = OneOrMany::Many(many.to_vec()),
        }
        set_some(&mut run.network.output_activation, &self.output_activation);
        set(&mut run.network.initializer, &self.initializer);
        set(&mut run.network.dropout, &self.dropout);
        set(&mut run.network.norm, &self.norm);
        run.network.bias &= !self.no_bias;
        let train = &mut run.train;
        set_some(&mut train.loss, &self.loss);
        set(&mut train.optimizer, &self.optimizer);
        set(&mut train.learning_rate, &self.learning_rate);
        set(&mut train.schedule, &self.schedule);
        set(&mut train.batch, &self.batch);
        train.drop_last |= self.drop_last;
        set(&mut train.momentum, &self.momentum);
        train.nesterov |= self.nesterov;
        set(&mut train.weight_decay, &self.weight_decay);
        set(&mut train.l1, &self.l1);
        set(&mut train.l2, &self.l2);
        set_some(&mut train.clip_norm, &self.clip_norm);
        set_some(&mut train.clip_value, &self.clip_value);
        set(&mut train.class_weights, &self.class_weights);
        set(&mut train.epochs, &self.epochs);
        set(&mut train.patience, &self.patience.map(|p| p.0));
        set(&mut train.min_delta, &self.min_delta);
        set(&mut train.monitor, &self.monitor);
        set_some(&mut train.target, &self.target_value);
        set_some(&mut train.no_progress, &self.no_progress);
        set_some(&mut train.time_limit, &self.time_limit);
        set(&mut train.engine, &self.engine);
        set(&mut train.seed, &self.seed);
        set(&mut run.output.device, &self.device);
        set_some(&mut run.output.model, &self.output);
        set_some(&mut run.checkpoint.folder, &self.checkpoint);
        set_some(&mut run.checkpoint.folder, &self.resume);
        set(&mut run.checkpoint.every, &self.every);
        set(&mut run.checkpoint.keep, &self.keep);
        if run.data.table.as_os_str().is_empty() {
            return Err(CliError::usage(
                "no table is named",
                "perceptra train TABLE --target COLUMN, or --config FILE with a table in it",
            ));
        }
        if run.data.schema.target.is_empty() {
            return Err(CliError::usage("no target column is named", "name it with --target COLUMN"));
        }
        Ok(run)
    }
}

/// `data/penguins.csv.gz` → `penguins`.
fn stem(table: &Path) -> String {
    let name = table.file_name().map_or_else(|| "model".into(), |n| n.to_string_lossy().into_owned());
    match name.split('.').next() {
        Some(stem) if !stem.is_empty() && stem != "-" => stem.to_owned(),
        _ => "model".to_owned(),
    }
}

pub(crate) fn run(args: &TrainArgs) -> Result<(), CliError> {
    let from = match &args.resume {
        Some(folder) if folder.is_dir() => Some(Checkpoint::latest(folder)?),
        Some(folder) => return Err(ModelError::NoCheckpoint { folder: folder.clone() }.into()),
        None => None,
    };
    let mut run = args.resolve(from.as_ref())?;
    run.validate()?;
    if let (Some(path), false) = (&args.config, args.quiet || args.json) {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|source| ModelError::Read { path: path.clone(), source })?;
        for [key, there, here] in run.overridden(&name, &text)? {
            note(&format!("note: {key} is {here}, by a flag, not {there}, as in {name}"));
        }
    }
    if let Some(from) = &from {
        for problem in from.skipped() {
            note(&format!("note: {problem}"));
        }
        if !args.quiet && !args.json {
            note(&format!("note: going on after epoch {}, from {}", from.epochs(), from.path().display()));
        }
    }
    let model_path = run.output.model.clone().unwrap_or_else(|| format!("{}.perceptra", stem(&run.data.table)).into());
    run.output.model = Some(model_path.clone());
    let run_path = model_path.with_extension("toml");
    let inputs = [Some(&run.data.table), run.split.test_file.as_ref(), run.split.validation_file.as_ref()];
    if inputs.into_iter().flatten().any(|input| same_file(input, &model_path) || same_file(input, &run_path)) {
        return Err(CliError::usage("the model would overwrite the table", "choose another --output"));
    }
    if run_path == model_path || args.config.as_deref().is_some_and(|config| same_file(config, &model_path)) {
        return Err(CliError::usage(
            "the model and its run file would be one file",
            "give --output another ending than .toml",
        ));
    }
    check_writable(&model_path)?;
    // Two runs that would write the same files are kept apart. What a run that was killed left is removed.
    let lock = Lock::acquire(&run_path.with_extension("toml.lock")).map_err(ModelError::from)?;
    if let Some(pid) = lock.stale() {
        note(&format!("note: process {pid}, which was writing {}, has ended without doing so", model_path.display()));
    }
    clean(folder_of(&model_path));
    let choice = choose(&run.output.device)?;
    let tables = run.tables()?;

    signals::watch();
    let mut progress = Progress::new(args.quiet || args.json, args.verbose);
    let trained = match &from {
        None => train(&run, &tables, &choice.device, &mut progress),
        Some(from) => resume(from, &run, &tables, &choice.device, &mut progress),
    }?;
    progress.finish();
    save(&trained, &model_path, &run)?;
    // The run file is ours to write, but not over the user's own.
    let own_file = args.config.as_deref().is_some_and(|config| same_file(config, &run_path));
    if !own_file {
        write_atomic(&run_path, |file| std::io::Write::write_all(file, run.to_toml().as_bytes()))
            .map_err(|source| CliError::write(&run_path, source))?;
    }

    if args.json {
        return print_json(&json!({
            "model": model_path,
            "run": run_path,
            "device": choice.name,
            "engine": progress.engine,
            "task": trained.model.task(),
            "network": trained.model.network().to_string(),
            "rows": { "train": trained.rows[0], "validation": trained.rows[1], "test": trained.rows[2] },
            "dropped": trained.model.schema().dropped,
            "missing": trained.report.missing,
            "validation": trained.validation,
            "test": trained.model.metrics(),
            "history": trained.model.history(),
        }))
        .and(outcome(&trained, &model_path));
    }
    if !args.quiet {
        for (column, reason) in &trained.model.schema().dropped {
            note(&format!("note: column {column:?} is left out: {reason}"));
        }
        for (column, n) in &trained.report.missing {
            note(&format!("note: column {column:?}: {n} missing values of the training rows are filled in"));
        }
    }
    if let Batch::Rows(rows) = run.train.batch
        && rows > trained.rows[0]
        && !args.quiet
    {
        note(&format!(
            "note: a batch of {rows} rows is more than the {} training rows, it has all of them",
            trained.rows[0]
        ));
    }
    if trained.dead {
        note(
            "warning: the network gives the same output for every row: it learned nothing, or a layer's units are all off; \
             try a lower --learning-rate, or --activation leaky-relu",
        );
    }
    print(&summary(&trained, &run, &choice.name, &model_path, &run_path))?;
    outcome(&trained, &model_path)
}

/// Writes the model; what cannot be written where it was to go is written elsewhere rather than lost.
fn save(trained: &Trained, path: &Path, run: &RunConfig) -> Result<(), CliError> {
    let Err(error) = trained.model.save(path) else { return Ok(()) };
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let elsewhere = std::env::temp_dir().join(format!("{name}-{}.perceptra", std::process::id()));
    let mut hint = match trained.model.save(&elsewhere) {
        Ok(()) => format!("the model is in {} instead", elsewhere.display()),
        Err(also) => format!("{also}"),
    };
    if let Some(folder) = &run.checkpoint.folder {
        hint += &format!("; perceptra train --resume {} --output FILE writes it again", folder.display());
    }
    Err(CliError::Other { message: error.to_string(), hint: Some(hint) })
}

/// A run that did not come to its own end is no success, though its model is kept.
fn outcome(trained: &Trained, path: &Path) -> Result<(), CliError> {
    let history = trained.model.history();
    let kept = format!("the model of epoch {}, the best one, is in {}", history.best_epoch, path.display());
    match history.stop {
        StopReason::Interrupted => Err(CliError::interrupted(kept.clone())
            .unwrap_or(CliError::Other { message: format!("interrupted; {kept}"), hint: None })),
        StopReason::Diverged => {
            let last = history.epochs.last().map_or(f64::NAN, |epoch| epoch.train_loss);
            let epoch = history.epochs.len() + 1;
            Err(CliError::Other {
                message: format!(
                    "the training loss or the weights became NaN or infinite in epoch {epoch}, after a loss of {last:.6} in the \
                     epoch before; {kept}"
                ),
                hint: TrainError::Diverged { epoch }.hint(),
            })
        }
        _ => Ok(()),
    }
}

fn summary(trained: &Trained, run: &RunConfig, device: &str, model_path: &Path, run_path: &Path) -> String {
    let model = &trained.model;
    let history = model.history();
    let [train, validation, test] = trained.rows;
    let target = model.schema().targets.join(", ");
    let classes = model.encoder().labels().map_or_else(String::new, |l| format!(", {} classes", l.len()));
    let mut text = format!(
        "{}: {} of {target}{classes}\n{train} training, {validation} validation and {test} test rows, {} features as {} \
         inputs, on {device}\n{}\n{} epochs, {}; best epoch {}\n\n",
        run.data.table.display(),
        model.task(),
        model.encoder().features().count(),
        model.encoder().width(),
        model.network(),
        history.epochs.len(),
        history.stop,
        history.best_epoch,
    );
    let parts = [("validation", trained.validation.as_ref()), ("test", model.metrics())];
    let parts: Vec<_> = parts.into_iter().filter_map(|(name, m)| m.map(|m| (name, m))).collect();
    text += &report::metrics_table(&parts);
    if !parts.is_empty() {
        text += "\n";
    }
    text += &format!("model: {}\nrun file: {}\n", model_path.display(), run_path.display());
    text
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Finds out before the training whether the model can be written after it.
fn check_writable(path: &Path) -> Result<(), CliError> {
    let fail = |source| Err(CliError::write(path, source));
    if path.is_dir() {
        return fail(std::io::Error::other("it is a folder"));
    }
    if path.metadata().is_ok_and(|m| m.permissions().readonly()) {
        return fail(std::io::Error::other("the file is read-only"));
    }
    let folder = folder_of(path);
    // What is written at the end is written beside the model first: try just that.
    match tempfile::Builder::new().prefix(".perceptra-").suffix(".tmp").tempfile_in(folder) {
        Ok(_) => Ok(()),
        Err(e) => fail(std::io::Error::new(
            e.kind(),
            format!("the folder {} does not take files: {}", folder.display(), e.kind()),
        )),
    }
}

/// A bar with losses, rows per second and time left; nothing where standard error is no terminal.
struct Progress {
    bar: ProgressBar,
    rows: usize,
    verbose: bool,
    engine: Engine,
}

impl Progress {
    fn new(quiet: bool, verbose: bool) -> Self {
        let target = match !quiet && std::io::stderr().is_terminal() {
            true => ProgressDrawTarget::stderr(),
            false => ProgressDrawTarget::hidden(),
        };
        Self { bar: ProgressBar::with_draw_target(None, target), rows: 0, verbose, engine: Engine::Auto }
    }

    fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl Observer for Progress {
    fn observe(&mut self, event: &Event<'_>) -> Control {
        match event {
            Event::Started { epochs, rows, steps, engine, obstacle } => {
                (self.rows, self.engine) = (*rows, *engine);
                if self.verbose {
                    let why = obstacle.map_or_else(String::new, |o| format!(", not by the fused one: {o}"));
                    note(&format!("note: {steps} steps an epoch by the {} engine{why}", engine.name()));
                }
                self.bar.set_length(*epochs as u64);
                if let Ok(style) = ProgressStyle::with_template("epoch {pos}/{len} {bar:24} {msg}  at most {eta} left")
                {
                    self.bar.set_style(style);
                }
                self.bar.enable_steady_tick(Duration::from_millis(250));
            }
            Event::Epoch { epoch, improved, .. } => {
                let validation = epoch.validation_loss.map_or_else(String::new, |v| format!(", validation {v:.4}"));
                let monitored = epoch.monitored.map_or_else(String::new, |v| format!(" ({v:.4})"));
                let mark = if *improved { " *" } else { "  " };
                let speed = self.rows as f64 / epoch.seconds.max(1e-9);
                self.bar.set_message(format!(
                    "training {:.4}{validation}{monitored}{mark} {} rows/s",
                    epoch.train_loss,
                    report::thousands(speed as u64)
                ));
                self.bar.set_position(epoch.epoch as u64);
            }
            Event::Checkpoint { path, error: Some(error) } => {
                self.bar.suspend(|| note(&format!("warning: no checkpoint {}: {error}", path.display())));
            }
            Event::Stopped { .. } => self.finish(),
            _ => {}
        }
        Control::Continue
    }

    fn interrupt(&self) -> Option<&AtomicBool> {
        signals::came()
    }
}
