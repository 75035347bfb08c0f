//! The flags that describe a run: of `train`, `compare`, `search` and `gradcheck`.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};

use clap::Args;
use perceptra::data::{DateOrder, ReadOptions, Scaling, SchemaOptions, TableReader, Tails, Task};
use perceptra::model::{EmbeddingKind, NetworkConfig, OneOrMany, Preset};
use perceptra::nn::{Initializer, Loss, Norm};
use perceptra::train::{Batch, ClassWeights, Engine, Optimizer, Reduction, Schedule};
use perceptra::{Activation, Metric, ModelError, RunConfig, Tables};

use crate::set_args::SetArgs;
use crate::values::{OrAuto, OrNone, Widths, auto_or, class_weights, hidden_activation, one_of, or_none, widths};
use crate::{CliError, ReadArgs, read_notes};

/// The settings of a run file as flags: each overrides one key.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Table: CSV, TSV, JSON lines, Parquet, Arrow IPC or a workbook, also compressed, or - for standard input
    pub(crate) table: Option<PathBuf>,
    /// Run file (see `perceptra init`); flags override its keys
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Recommended settings to start from; the run file and flags override them
    #[arg(long, value_name = "NAME", value_parser = one_of::<Preset>())]
    preset: Option<Preset>,
    #[command(flatten)]
    set: SetArgs,
    /// Device: auto, cpu, flex, ndarray, wgpu[:N], cuda[:N]... (see `perceptra devices`) [default: auto]
    #[arg(long)]
    device: Option<String>,
    /// Seed of the split, the initial weights, the order of rows and dropout [default: 0]
    #[arg(long, value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    seed: Option<u64>,
    /// Target column; several numeric targets with commas, or by repeating the flag
    #[arg(long, value_name = "COLUMN", allow_hyphen_values = true, help_heading = "Columns")]
    target: Vec<String>,
    /// Task [default: auto, inferred from the target]
    #[arg(long, value_name = "TASK", value_parser = auto_or::<Task>(), help_heading = "Columns")]
    task: Option<OrAuto<Task>>,
    /// The positive class of two, of which precision, recall, F1 and average precision are [default: the last]
    #[arg(long, value_name = "CLASS", allow_hyphen_values = true, help_heading = "Columns")]
    positive: Option<String>,
    /// Columns to treat as numbers, with commas, or by repeating the flag
    #[arg(long, value_name = "COLUMN", allow_hyphen_values = true, help_heading = "Columns")]
    numeric: Vec<String>,
    /// Columns to treat as categories, with commas, or by repeating the flag
    #[arg(long, value_name = "COLUMN", allow_hyphen_values = true, help_heading = "Columns")]
    categorical: Vec<String>,
    /// Columns to ignore, with commas, or by repeating the flag
    #[arg(long, value_name = "COLUMN", allow_hyphen_values = true, help_heading = "Columns")]
    ignore: Vec<String>,
    /// Column with the weight of each row
    #[arg(long, value_name = "COLUMN", allow_hyphen_values = true, help_heading = "Columns")]
    weights: Option<String>,
    /// Column that assigns each row to train, validation or test
    #[arg(long, value_name = "COLUMN", allow_hyphen_values = true, help_heading = "Columns")]
    split: Option<String>,
    /// Share of the rows held out for testing [default: 0.2]
    #[arg(long, value_name = "SHARE", help_heading = "Data split")]
    test: Option<f64>,
    /// Share of the remaining rows held out for validation [default: 0.15]
    #[arg(long, value_name = "SHARE", help_heading = "Data split")]
    validation: Option<f64>,
    /// Separate table for testing
    #[arg(long, value_name = "FILE", conflicts_with = "test", help_heading = "Data split")]
    test_file: Option<PathBuf>,
    /// Separate table for validation
    #[arg(long, value_name = "FILE", conflicts_with = "validation", help_heading = "Data split")]
    validation_file: Option<PathBuf>,
    /// Split purely at random, without keeping the distribution of the target in every part
    #[arg(long, help_heading = "Data split")]
    no_stratify: bool,
    #[command(flatten)]
    read: ReadArgs,
    #[command(flatten)]
    notation: NotationArgs,
    /// Read the table anew in every epoch instead of holding it in memory, for tables larger than memory
    #[arg(long, help_heading = "Reading tables")]
    stream: bool,
    /// Rows of a streamed table held in memory at once [default: 65536]
    #[arg(long, value_name = "ROWS", help_heading = "Reading tables")]
    buffer: Option<usize>,
    /// Scaling of numeric columns [default: standard]
    #[arg(long, value_name = "NAME", value_parser = one_of::<Scaling>(), help_heading = "Encoding")]
    scaling: Option<Scaling>,
    /// Treatment of values beyond the ends of standard scaling [default: clip]
    #[arg(long, value_name = "NAME", value_parser = one_of::<Tails>(), help_heading = "Encoding")]
    tails: Option<Tails>,
    /// Categories with fewer rows than this share one input [default: 3]
    #[arg(long, value_name = "ROWS", help_heading = "Encoding")]
    min_category_rows: Option<usize>,
    /// Maximum number of categories of a column that have an input of their own; the rarer ones share one [default: 1000, fewer for wide tables]
    #[arg(long, value_name = "N", help_heading = "Encoding")]
    max_categories: Option<usize>,
    /// Widths of the hidden layers, such as 128,64; `none` for a single neuron per output [default: 128,64]
    #[arg(long, value_name = "WIDTHS", value_parser = widths, help_heading = "Network")]
    hidden: Option<Widths>,
    /// Activation of the hidden layers, or one for each layer, separated by commas [default: relu]
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = hidden_activation(), help_heading = "Network")]
    activation: Vec<Activation>,
    /// Activation of the output layer [default: identity for numbers, sigmoid or softmax for classes]
    #[arg(long, value_name = "NAME", value_parser = one_of::<Activation>(), help_heading = "Network")]
    output_activation: Option<Activation>,
    /// Initializer of the weights [default: torch]
    #[arg(long, value_name = "NAME", value_parser = one_of::<Initializer>(), help_heading = "Network")]
    initializer: Option<Initializer>,
    /// Share of the hidden units dropped in training [default: 0.1]
    #[arg(long, value_name = "SHARE", help_heading = "Network")]
    dropout: Option<f64>,
    /// Normalization of the hidden layers [default: none]
    #[arg(long, value_name = "NAME", value_parser = one_of::<Norm>(), help_heading = "Network")]
    norm: Option<Norm>,
    /// Embedding of numeric columns [default: none]
    #[arg(long, value_name = "NAME", value_parser = one_of::<EmbeddingKind>(), help_heading = "Network")]
    embedding: Option<EmbeddingKind>,
    /// Members of a batch ensemble: networks that share most of their weights (TabM) [default: 1]
    #[arg(long, value_name = "N", help_heading = "Network")]
    members: Option<usize>,
    /// Layers without biases
    #[arg(long, help_heading = "Network")]
    no_bias: bool,
    /// Do not calibrate class probabilities on the validation rows (temperature scaling)
    #[arg(long, help_heading = "Training")]
    no_calibrate: bool,
    /// Share of each class's target that is spread evenly over all classes [default: 0]
    #[arg(long, value_name = "SHARE", help_heading = "Training")]
    label_smoothing: Option<f64>,
    /// Loss; huber takes a delta, such as huber:1.5 [default: chosen by the task]
    #[arg(long, value_name = "NAME", value_parser = one_of::<Loss>(), help_heading = "Training")]
    loss: Option<Loss>,
    /// Reduction of the loss over the rows of a step [default: sum for half-sse, mean for the others]
    #[arg(long, value_name = "NAME", value_parser = one_of::<Reduction>(), help_heading = "Training")]
    reduction: Option<Reduction>,
    /// Optimizer [default: adam]
    #[arg(long, value_name = "NAME", value_parser = one_of::<Optimizer>(), help_heading = "Training")]
    optimizer: Option<Optimizer>,
    /// Learning rate [default: 0.002]
    #[arg(long, alias = "lr", value_name = "RATE", allow_negative_numbers = true, help_heading = "Training")]
    learning_rate: Option<f64>,
    /// Schedule of the learning rate [default: constant]
    #[arg(long, value_name = "NAME", value_parser = one_of::<Schedule>(), help_heading = "Training")]
    schedule: Option<Schedule>,
    /// Rows per step: a number, auto (by the number of rows) or full [default: auto]
    #[arg(long, value_name = "ROWS", help_heading = "Training")]
    batch: Option<Batch>,
    /// Drop the last batch of an epoch if it is short
    #[arg(long, help_heading = "Training")]
    drop_last: bool,
    /// Momentum of sgd and rmsprop [default: 0]
    #[arg(long, help_heading = "Training")]
    momentum: Option<f64>,
    /// Nesterov momentum, for sgd
    #[arg(long, help_heading = "Training")]
    nesterov: bool,
    /// Weight decay; biases are left alone [default: 0]
    #[arg(long, value_name = "RATE", help_heading = "Training")]
    weight_decay: Option<f64>,
    /// L1 penalty: factor of the absolute values of the weights [default: 0]
    #[arg(long, value_name = "LAMBDA", help_heading = "Training")]
    l1: Option<f64>,
    /// L2 penalty: factor of the squares of the weights [default: 0]
    #[arg(long, value_name = "LAMBDA", help_heading = "Training")]
    l2: Option<f64>,
    /// Clip the gradient's norm to this
    #[arg(long, value_name = "NORM", help_heading = "Training")]
    clip_norm: Option<f64>,
    /// Clip the magnitude of each element of the gradient to this
    #[arg(long, value_name = "VALUE", help_heading = "Training")]
    clip_value: Option<f64>,
    /// Class weights: equal, balanced, or one for each class, such as 1,5 [default: equal]
    #[arg(long, value_name = "WEIGHTS", value_parser = class_weights, help_heading = "Training")]
    class_weights: Option<ClassWeights>,
    /// Training engine: fused kernels for dense networks on the CPU, autodiff for everything else [default: auto]
    #[arg(long, value_name = "NAME", value_parser = one_of::<Engine>(), help_heading = "Training")]
    engine: Option<Engine>,
    /// Maximum number of epochs [default: 200]
    #[arg(long, help_heading = "Stopping")]
    epochs: Option<usize>,
    /// Early stopping: epochs without improvement before the run stops, or none to switch it off [default: 30]
    #[arg(long, value_name = "EPOCHS", value_parser = or_none, help_heading = "Stopping")]
    patience: Option<OrNone>,
    /// Smallest change of the monitored metric that counts as an improvement [default: 0]
    #[arg(long, value_name = "AMOUNT", help_heading = "Stopping")]
    min_delta: Option<f64>,
    /// Metric to monitor on the validation rows [default: loss]
    #[arg(long, value_name = "METRIC", value_parser = one_of::<Metric>(), help_heading = "Stopping")]
    monitor: Option<Metric>,
    /// Stop once the monitored metric is this good
    #[arg(long, value_name = "VALUE", help_heading = "Stopping")]
    target_value: Option<f64>,
    /// Stop after this many epochs without a lower training loss
    #[arg(long, value_name = "EPOCHS", help_heading = "Stopping")]
    no_progress: Option<usize>,
    /// Stop after this many seconds
    #[arg(long, value_name = "SECONDS", help_heading = "Stopping")]
    time_limit: Option<f64>,
}

/// How numbers and dates are written.
#[derive(Debug, Clone, Args)]
pub(crate) struct NotationArgs {
    /// Decimal separator, where the numbers of a column do not show it themselves: 1,234 may be 1234 or 1.234
    #[arg(long, value_name = "CHAR", help_heading = "Reading tables")]
    decimal: Option<char>,
    /// Separator of thousands, where the numbers of a column do not show it themselves
    #[arg(long, value_name = "CHAR", help_heading = "Reading tables")]
    thousands: Option<char>,
    /// Order of day and month in dates such as 4/5/2024, where the dates of a column do not show it themselves
    #[arg(long, value_name = "ORDER", value_parser = one_of::<DateOrder>(), help_heading = "Reading tables")]
    dates: Option<DateOrder>,
}

impl NotationArgs {
    /// Overrides `options` with the flags.
    pub(crate) fn apply(&self, options: &mut SchemaOptions) {
        let Self { decimal, thousands, dates } = self;
        options.decimal = decimal.or(options.decimal);
        options.thousands = thousands.or(options.thousands);
        options.dates = dates.or(options.dates);
    }
}

/// A run, combined from the flags of a command and its run file.
pub(crate) struct Resolved {
    pub(crate) run: RunConfig,
    /// Name and text of the run file; `None` without one.
    pub(crate) file: Option<(String, String)>,
    /// The tables; `None` if they have not been read yet.
    tables: Option<Tables>,
    /// Whether there are no notes on how tables were read.
    quiet: bool,
}

/// Reads the tables of a run, and notes what was chosen or left out.
pub(crate) fn read_tables(run: &RunConfig, quiet: bool) -> Result<Tables, ModelError> {
    let tables = Tables::read(run)?;
    if !quiet {
        read_notes(tables.notes());
    }
    Ok(tables)
}

impl Resolved {
    /// Applies the command's own flags, and checks all settings.
    fn with(mut self, own: impl FnOnce(&mut RunConfig)) -> Result<Self, CliError> {
        own(&mut self.run);
        self.run.validate()?;
        Ok(self)
    }

    /// The tables of the run.
    pub(crate) fn tables(&mut self) -> Result<Tables, CliError> {
        Ok(self.tables.take().map_or_else(|| read_tables(&self.run, self.quiet), Ok)?)
    }
}

impl RunArgs {
    /// The run file or the defaults, with these flags and those of the command (`own`) put in; what neither says is as a preset has
    /// it. The run file is read once, and so are the tables: here if a preset depends on them, else by [`Resolved::tables`].
    pub(crate) fn resolve(&self, quiet: bool, own: impl Fn(&mut RunConfig)) -> Result<Resolved, CliError> {
        self.check_keys(&own, Vec::new())?;
        let (name, text) = match &self.config {
            None => (String::new(), String::new()),
            Some(path) => {
                let read = |source| ModelError::Read { path: path.clone(), source };
                (path.display().to_string(), std::fs::read_to_string(path).map_err(read)?)
            }
        };
        let mut run = self.apply(RunConfig::from_toml(&name, &text)?)?;
        let (mut tables, asked) = (None, run.network.ensemble);
        if let Some(preset) = self.preset.or(run.preset) {
            let read = read_tables(&run, quiet)?;
            run = RunConfig::over(preset, &read, &name, &text, |run| self.apply(run))?;
            tables = Some(read);
        }
        let file = self.config.is_some().then_some((name, text));
        // The networks of an ensemble that the user did not ask for.
        let given = RunConfig { network: NetworkConfig { ensemble: asked, ..run.network.clone() }, ..run.clone() };
        let with_own = |mut run: RunConfig| {
            own(&mut run);
            run
        };
        let (networks, given) = (with_own(run.clone()).network.ensemble, with_own(given));
        let what = match () {
            () if given.checkpoint.folder.is_some() => "checkpoints are of one network",
            () if given.data.stream => "a streamed table trains one network",
            () => "",
        };
        if networks > 1 && given.network.ensemble == 1 && !what.is_empty() {
            return Err(CliError::usage(
                format!("the preset trains {networks} networks, and {what}"),
                "add --ensemble 1, which trains one of them",
            ));
        }
        Resolved { run, file, tables, quiet }.with(own)
    }

    /// A run that is known without a run file, with these flags and those of the command put in.
    pub(crate) fn resolve_from(
        &self,
        run: RunConfig,
        quiet: bool,
        own: impl Fn(&mut RunConfig),
    ) -> Result<Resolved, CliError> {
        self.check_keys(&own, Vec::new())?;
        Resolved { run: self.apply(run)?, file: None, tables: None, quiet }.with(own)
    }

    /// Checks that no key is set twice, by `--set`, by these flags, by those of the command or by a search (`searched`, each key with the
    /// flag as written).
    pub(crate) fn check_keys(
        &self,
        own: impl Fn(&mut RunConfig),
        searched: Vec<(&'static str, String)>,
    ) -> Result<(), CliError> {
        let flags = |run: &mut RunConfig| {
            run.preset = self.preset.or(run.preset);
            self.put(run);
            own(run);
        };
        self.set.check(flags, searched)
    }

    /// Applies `--set` and these flags to a run, and checks that it names a table and a target.
    pub(crate) fn apply(&self, mut run: RunConfig) -> Result<RunConfig, CliError> {
        self.set.apply(&mut run)?;
        self.put(&mut run);
        if run.data.table.as_os_str().is_empty() {
            return Err(CliError::usage(
                "no table is named",
                "give TABLE --target COLUMN, or --config FILE with a table in it",
            ));
        }
        if run.data.schema.target.is_empty() {
            let mut names = names_of_columns(&run.data.table, &run.data.read);
            let more = if names.len() > 20 { ", ..." } else { "" };
            names.truncate(20);
            let one_of = if names.is_empty() { String::new() } else { format!(", one of {}{more}", names.join(", ")) };
            return Err(CliError::usage("no target column is named", &format!("name it with --target COLUMN{one_of}")));
        }
        Ok(run)
    }

    /// Applies the flags that set a key each, thus not `--set`, to a run.
    #[expect(clippy::ref_option, reason = "`set` and `set_some` take the fields of flags as they are")]
    #[expect(clippy::too_many_lines, reason = "a line for each flag, taken apart so that none is forgotten")]
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
        // Without `..`: the compiler warns of a flag that sets no key.
        let Self {
            table,
            config: _,
            preset: _,
            set: _,
            device,
            seed,
            target,
            task,
            positive,
            numeric,
            categorical,
            ignore,
            weights,
            split,
            test,
            validation,
            test_file,
            validation_file,
            no_stratify,
            read,
            notation,
            stream,
            buffer,
            scaling,
            tails,
            min_category_rows,
            max_categories,
            hidden,
            activation,
            output_activation,
            initializer,
            dropout,
            norm,
            embedding,
            members,
            no_bias,
            no_calibrate,
            label_smoothing,
            loss,
            reduction,
            optimizer,
            learning_rate,
            schedule,
            batch,
            drop_last,
            momentum,
            nesterov,
            weight_decay,
            l1,
            l2,
            clip_norm,
            clip_value,
            class_weights,
            engine,
            epochs,
            patience,
            min_delta,
            monitor,
            target_value,
            no_progress,
            time_limit,
        } = self;
        set(&mut run.data.table, table);
        read.apply(&mut run.data.read);
        let schema = &mut run.data.schema;
        let header = OnceCell::new();
        let header = || header.get_or_init(|| names_of_columns(&run.data.table, &run.data.read)).as_slice();
        for (key, flag) in [
            (&mut schema.target, target),
            (&mut schema.numeric, numeric),
            (&mut schema.categorical, categorical),
            (&mut schema.ignore, ignore),
        ] {
            if !flag.is_empty() {
                *key = flag.iter().flat_map(|text| columns_in(text, &header)).collect();
            }
        }
        set_some(&mut schema.weights, weights);
        set_some(&mut schema.split, split);
        set(&mut schema.task, &task.map(|task| task.0));
        notation.apply(schema);
        set_some(&mut run.data.positive, positive);
        run.data.stream |= *stream;
        set(&mut run.data.buffer, buffer);
        set(&mut run.split.test, test);
        set(&mut run.split.validation, validation);
        set_some(&mut run.split.test_file, test_file);
        set_some(&mut run.split.validation_file, validation_file);
        run.split.stratify &= !no_stratify;
        set(&mut run.encoder.scaling, scaling);
        set(&mut run.encoder.tails, tails);
        set(&mut run.encoder.min_category_rows, min_category_rows);
        set_some(&mut run.encoder.max_categories, max_categories);
        set(&mut run.network.hidden, &hidden.as_ref().map(|w| w.0.clone()));
        match activation.as_slice() {
            [] => {}
            [one] => run.network.activation = OneOrMany::One(*one),
            many => run.network.activation = OneOrMany::Many(many.to_vec()),
        }
        set_some(&mut run.network.output_activation, output_activation);
        set(&mut run.network.initializer, initializer);
        set(&mut run.network.dropout, dropout);
        set(&mut run.network.norm, norm);
        set(&mut run.network.embedding, embedding);
        set(&mut run.network.members, members);
        run.network.bias &= !no_bias;
        run.output.calibrate &= !no_calibrate;
        let train = &mut run.train;
        set(&mut train.label_smoothing, label_smoothing);
        set_some(&mut train.loss, loss);
        set_some(&mut train.reduction, reduction);
        set(&mut train.optimizer, optimizer);
        set(&mut train.learning_rate, learning_rate);
        set(&mut train.schedule, schedule);
        set(&mut train.batch, batch);
        train.drop_last |= *drop_last;
        set(&mut train.momentum, momentum);
        train.nesterov |= *nesterov;
        set(&mut train.weight_decay, weight_decay);
        set(&mut train.l1, l1);
        set(&mut train.l2, l2);
        set_some(&mut train.clip_norm, clip_norm);
        set_some(&mut train.clip_value, clip_value);
        set(&mut train.class_weights, class_weights);
        set(&mut train.epochs, epochs);
        set(&mut train.patience, &patience.map(|p| p.0));
        set(&mut train.min_delta, min_delta);
        set(&mut train.monitor, monitor);
        set_some(&mut train.target, target_value);
        set_some(&mut train.no_progress, no_progress);
        set_some(&mut train.time_limit, time_limit);
        set(&mut train.engine, engine);
        set(&mut train.seed, seed);
        set(&mut run.output.device, device);
    }
}

/// The names of a table's columns; none of standard input, which can be read once only, or of a table that cannot be read.
fn names_of_columns(table: &Path, options: &ReadOptions) -> Vec<String> {
    let reader = (table != Path::new("-")).then(|| TableReader::open(table, options, 1));
    reader.and_then(Result::ok).map_or_else(Vec::new, |reader| reader.columns().to_vec())
}

/// The columns in the text of a flag: names between commas, of which one with a comma in it is in quotes; or the whole text, if a column
/// of the table has that name.
pub(crate) fn columns_in<'a>(text: &str, header: &impl Fn() -> &'a [String]) -> Vec<String> {
    if !text.contains([',', '"']) || header().iter().any(|name| name == text) {
        return vec![text.to_owned()];
    }
    let mut names = vec![String::new()];
    let (mut quoted, mut characters) = (false, text.chars().peekable());
    while let Some(c) = characters.next() {
        let begins = names.last().is_some_and(|name| name.trim().is_empty());
        match c {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                names.iter_mut().last().into_iter().for_each(|name| name.push('"'));
            }
            '"' if quoted => quoted = false,
            '"' if begins => {
                quoted = true;
                names.iter_mut().last().into_iter().for_each(String::clear);
            }
            ',' if !quoted => names.push(String::new()),
            c => names.iter_mut().last().into_iter().for_each(|name| name.push(c)),
        }
    }
    names
}

/// The text of a flag that names one column, whatever characters are in the name.
pub(crate) fn column_text(name: &str) -> String {
    if name.contains([',', '"']) { format!("\"{}\"", name.replace('"', "\"\"")) } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_list_of_columns_is_split_at_commas_outside_of_quotes() {
        let header = ["price, usd".to_owned(), "a".to_owned()];
        let columns = |text: &str| columns_in(text, &|| header.as_slice());
        assert_eq!(columns("a,b"), ["a", "b"]);
        assert_eq!(columns("price, usd"), ["price, usd"]);
        assert_eq!(columns("\"price, usd\",a"), ["price, usd", "a"]);
        assert_eq!(columns("a,\"b \"\"c\"\", d\""), ["a", "b \"c\", d"]);
        assert_eq!(columns("5\" pipe"), ["5\" pipe"]);
        assert_eq!(columns(""), [""]);
    }

    proptest! {
        #[test]
        fn every_name_can_be_written(name in ".{0,12}") {
            prop_assert_eq!(columns_in(&column_text(&name), &|| [].as_slice()), [name]);
        }
    }
}
