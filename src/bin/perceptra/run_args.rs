//! The flags that describe a run: of `train`, `compare` and `gradcheck`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use perceptra::data::{Scaling, Task};
use perceptra::model::{EmbeddingKind, OneOrMany, Preset};
use perceptra::nn::{Initializer, Loss, Norm};
use perceptra::train::{Batch, ClassWeights, Engine, Optimizer, Reduction, Schedule};
use perceptra::{Activation, Metric, ModelError, RunConfig, Tables};
use serde_json::json;

use crate::set_args::SetArgs;
use crate::{CliError, ReadArgs};

/// What a run file says, by flags: each overrides one of its keys.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The table: CSV, TSV (also gzipped), Parquet, Arrow IPC, or - for CSV from standard input
    pub(crate) table: Option<PathBuf>,
    /// A run file (see `perceptra init`); flags override it
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Settings that go together, where neither flags nor the run file say otherwise: fast,
    /// default, realmlp, realmlp-s, tabm, tabm-ple
    #[arg(long, value_name = "NAME", value_parser = named::<Preset>)]
    preset: Option<Preset>,
    #[command(flatten)]
    set: SetArgs,
    /// auto, cpu, flex, ndarray, wgpu[:N], cuda[:N]... (see `perceptra devices`) [default: auto]
    #[arg(long)]
    device: Option<String>,
    /// Of the split, the initial weights, the order of rows and dropout [default: 0]
    #[arg(long)]
    seed: Option<u64>,
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
    /// elu, selu, gelu, silu, mish, softplus, dendritic
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = named::<Activation>, help_heading = "Network")]
    activation: Vec<Activation>,
    /// Activation of the output [default: none for numbers, sigmoid or softmax for classes]
    #[arg(long, value_name = "NAME", value_parser = named::<Activation>, help_heading = "Network")]
    output_activation: Option<Activation>,
    /// auto, kaiming-uniform, kaiming-normal, xavier-uniform, xavier-normal, lecun-uniform, lecun-normal, torch,
    /// data-driven, zeros [default: torch]
    #[arg(long, value_name = "NAME", value_parser = named::<Initializer>, help_heading = "Network")]
    initializer: Option<Initializer>,
    /// Share of hidden units dropped in training [default: 0.1]
    #[arg(long, value_name = "SHARE", help_heading = "Network")]
    dropout: Option<f64>,
    /// Normalisation of hidden layers: none, batch, layer
    #[arg(long, value_name = "NAME", value_parser = named::<Norm>, help_heading = "Network")]
    norm: Option<Norm>,
    /// What becomes of numbers before the first layer: none, periodic, piecewise-linear [default: none]
    #[arg(long, value_name = "NAME", value_parser = named::<EmbeddingKind>, help_heading = "Network")]
    embedding: Option<EmbeddingKind>,
    /// Networks in one that share most of their weights (TabM) [default: 1]
    #[arg(long, value_name = "N", help_heading = "Network")]
    members: Option<usize>,
    /// Layers without biases
    #[arg(long, help_heading = "Network")]
    no_bias: bool,
    /// Probabilities as the network has them, without a temperature chosen by the validation rows
    #[arg(long, help_heading = "Parts of the data")]
    no_calibrate: bool,
    /// The part of each class's target that goes to all classes alike [default: 0]
    #[arg(long, value_name = "PART", help_heading = "Training")]
    label_smoothing: Option<f64>,
    /// mse, half-sse, mae, huber[:delta], binary-cross-entropy, categorical-cross-entropy [default: by the task]
    #[arg(long, value_name = "NAME", help_heading = "Training")]
    loss: Option<Loss>,
    /// Over the rows of a step: sum or mean [default: sum for half-sse, mean for others]
    #[arg(long, value_name = "NAME", value_parser = named::<Reduction>, help_heading = "Training")]
    reduction: Option<Reduction>,
    /// sgd, adam, adamw, rmsprop, adagrad, adan, lion, lamb, adafactor, muon [default: adam]
    #[arg(long, value_name = "NAME", value_parser = named::<Optimizer>, help_heading = "Training")]
    optimizer: Option<Optimizer>,
    /// Size of steps [default: 0.002]
    #[arg(long, alias = "lr", value_name = "RATE", allow_negative_numbers = true, help_heading = "Training")]
    learning_rate: Option<f64>,
    /// constant, linear, cosine, exponential, step, flat-cosine, one-cycle, coslog4, plateau
    /// [default: constant]
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

/// A value of the key, written as in `--set`.
fn value_of<T>(key: &str, text: &str, get: impl Fn(RunConfig) -> T) -> Result<T, String> {
    let mut run = RunConfig::default();
    run.set(key, text).map_err(|e| match e {
        ModelError::Value { reason, .. } => reason,
        other => other.to_string(),
    })?;
    Ok(get(run))
}

fn widths(text: &str) -> Result<Widths, String> {
    value_of("network.hidden", text, |run| Widths(run.network.hidden))
}

fn or_none(text: &str) -> Result<OrNone, String> {
    match text {
        "none" => Ok(OrNone(None)),
        _ => text.parse().map(|n| OrNone(Some(n))).map_err(|_| "a number of epochs, or none".into()),
    }
}

fn class_weights(text: &str) -> Result<ClassWeights, String> {
    value_of("train.class_weights", text, |run| run.train.class_weights)
}

/// A value by the name it has in run files.
pub(crate) fn named<T: serde::de::DeserializeOwned>(name: &str) -> Result<T, String> {
    serde_json::from_value(json!(name)).map_err(|e| {
        let text = e.to_string();
        text.split_once("expected ").map_or(text.clone(), |(_, expected)| format!("expected {expected}"))
    })
}

/// What the flags of a command and its run file ask for.
pub(crate) struct Resolved {
    pub(crate) run: RunConfig,
    /// Name and text of the run file.
    pub(crate) file: Option<(String, String)>,
    /// The tables, if they have been read.
    tables: Option<Tables>,
}

impl Resolved {
    /// Puts in the flags of the command, and checks the settings.
    fn with(mut self, own: impl FnOnce(&mut RunConfig)) -> Result<Self, CliError> {
        own(&mut self.run);
        self.run.validate()?;
        Ok(self)
    }

    /// The tables of the run.
    pub(crate) fn tables(&mut self) -> Result<Tables, CliError> {
        Ok(self.tables.take().map_or_else(|| Tables::read(&self.run), Ok)?)
    }
}

impl RunArgs {
    /// The run file or the defaults, with these flags and those of the command (`own`) put in; what neither says is as a preset has
    /// it. The run file is read once, and so are the tables: here if a preset depends on them, else by [`Resolved::tables`].
    pub(crate) fn resolve(&self, own: impl Fn(&mut RunConfig)) -> Result<Resolved, CliError> {
        self.check_keys(&own)?;
        let (name, text) = match &self.config {
            None => (String::new(), String::new()),
            Some(path) => {
                let read = |source| ModelError::Read { path: path.clone(), source };
                (path.display().to_string(), std::fs::read_to_string(path).map_err(read)?)
            }
        };
        let mut run = self.apply(RunConfig::from_toml(&name, &text)?)?;
        let mut tables = None;
        if let Some(preset) = self.preset.or(run.preset) {
            let read = Tables::read(&run)?;
            let task = read.task(&run.data.schema)?;
            run = RunConfig::over(preset, task, read.rows(), &name, &text, |run| self.apply(run))?;
            tables = Some(read);
        }
        let file = self.config.is_some().then_some((name, text));
        Resolved { run, file, tables }.with(own)
    }

    /// A run that is known without a run file, with these flags and those of the command put in.
    pub(crate) fn resolve_from(&self, run: RunConfig, own: impl Fn(&mut RunConfig)) -> Result<Resolved, CliError> {
        self.check_keys(&own)?;
        Resolved { run: self.apply(run)?, file: None, tables: None }.with(own)
    }

    /// Checks that no key is set twice, by `--set`, by these flags or by those of the command.
    fn check_keys(&self, own: impl Fn(&mut RunConfig)) -> Result<(), CliError> {
        self.set.check(|run| {
            run.preset = self.preset.or(run.preset);
            self.put(run);
            own(run);
        })
    }

    /// A run with the flags put in.
    pub(crate) fn apply(&self, mut run: RunConfig) -> Result<RunConfig, CliError> {
        self.set.apply(&mut run)?;
        self.put(&mut run);
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

    /// Puts the flags that have keys of their own into a run.
    fn put(&self, run: &mut RunConfig) {
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
        set(&mut run.network.embedding, &self.embedding);
        set(&mut run.network.members, &self.members);
        run.network.bias &= !self.no_bias;
        run.output.calibrate &= !self.no_calibrate;
        let train = &mut run.train;
        set(&mut train.label_smoothing, &self.label_smoothing);
        set_some(&mut train.loss, &self.loss);
        set_some(&mut train.reduction, &self.reduction);
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
    }
}
