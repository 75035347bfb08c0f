//! The description of a run: one TOML file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use perceptra_data::{
    EncoderOptions, InputKind, Matrix, ReadOptions, SchemaOptions, SplitOptions, Table, Task, nearest,
};
use perceptra_nn::{
    Activation, Column, EmbeddingConfig, Extras, FeedForwardConfig, Hidden, Initializer, Norm, NumberEmbedding,
};
use perceptra_train::TrainConfig;
use serde::{Deserialize, Serialize};

use crate::{CheckpointConfig, ModelError, Preset, Streamed};

/// A run, completely: data, encoder, network, training, device, output.
///
/// ```
/// use perceptra_model::RunConfig;
///
/// let run = RunConfig::from_toml(
///     "example",
///     r#"
///     [data]
///     table = "data/penguins.csv"
///     target = ["species"]
///
///     [network]
///     hidden = [64, 32]
///     "#,
/// )?;
/// assert_eq!(run.network.hidden, [64, 32]);
/// assert_eq!(run.split.test, 0.2);
/// # Ok::<(), perceptra_model::ModelError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RunConfig {
    /// Version of the program that wrote the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Where settings come from that are not given: see [`RunConfig::over`]. Training does not look at it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preset: Option<Preset>,
    /// The table and the meaning of its columns.
    pub data: DataConfig,
    /// Parts of the table.
    pub split: SplitOptions,
    /// Features to numbers.
    pub encoder: EncoderOptions,
    /// Shape of the network.
    pub network: NetworkConfig,
    /// How it is trained; `train.seed` is also the seed of the split and of the initial weights.
    pub train: TrainConfig,
    /// Where it runs and what is written.
    pub output: OutputConfig,
    /// What is kept while it trains.
    pub checkpoint: CheckpointConfig,
    /// Which settings a search varies, and how; one training run does not look at it.
    #[serde(skip_serializing_if = "SearchOptions::is_empty")]
    pub search: SearchOptions,
}

/// Which settings a search varies, and how it judges them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SearchOptions {
    /// Keys of this file with what they may be, such as `lr = "log:1e-4..1e-1"` and `hidden = "32,64x64"`.
    pub space: BTreeMap<String, String>,
    /// How points of the space are chosen.
    pub sampler: Sampler,
    /// Points to try, where the sampler is not the grid.
    pub trials: usize,
    /// Folds of a cross-validation of each point; without, it is judged on the validation rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folds: Option<usize>,
    /// η of successive halving: all points are trained for a few epochs, one in η goes on for η times as many, and so on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub halving: Option<usize>,
    /// Of successive halving, trials in work at once: a place that becomes free is taken by a new point. By default all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub places: Option<usize>,
    /// How often the rows are divided anew into folds, or into training and validation rows.
    pub repeats: usize,
    /// What points are ranked by; by default `train.monitor`, and where that is the loss, `rmse` or `log-loss`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric: Option<perceptra_train::Metric>,
    /// The networks of the best points as one model, instead of the best alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ensemble: Option<Ensemble>,
}

/// Which networks of a search become one model: `"auto"` or a number in files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "EnsembleText", into = "EnsembleText")]
pub enum Ensemble {
    /// Those of the best points that serve each other best, with weights: greedy selection, with replacement, by what the average
    /// of their predictions scores on rows that did not train them (Caruana et al., 2004).
    Auto,
    /// Those of the best points, so many, with equal weights.
    Best(usize),
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum EnsembleText {
    Number(usize),
    Name(String),
}

impl TryFrom<EnsembleText> for Ensemble {
    type Error = String;

    fn try_from(text: EnsembleText) -> Result<Self, String> {
        match text {
            EnsembleText::Number(n) => n.to_string().parse(),
            EnsembleText::Name(name) => name.parse(),
        }
    }
}

impl From<Ensemble> for EnsembleText {
    fn from(ensemble: Ensemble) -> Self {
        match ensemble {
            Ensemble::Auto => Self::Name("auto".into()),
            Ensemble::Best(n) => Self::Number(n),
        }
    }
}

impl std::str::FromStr for Ensemble {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.parse()) {
            ("auto", _) => Ok(Self::Auto),
            (_, Ok(n)) if n > 0 => Ok(Self::Best(n)),
            _ => Err(format!("`{text}` is neither a number of networks, from 1, nor `auto`")),
        }
    }
}

/// How points of a search space are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sampler {
    /// Every combination of listed values.
    #[default]
    Grid,
    /// At random (Bergstra, Bengio, 2012).
    Random,
    /// One point in each of as many strata of every dimension as there are trials (McKay, Beckman, Conover, 1979).
    LatinHypercube,
    /// A Sobol sequence, scrambled (Sobol, 1967; Owen, 1995).
    Sobol,
}

impl Default for SearchOptions {
    fn default() -> Self {
        Self {
            space: BTreeMap::new(),
            sampler: Sampler::Grid,
            trials: 50,
            folds: None,
            halving: None,
            places: None,
            repeats: 1,
            metric: None,
            ensemble: None,
        }
    }
}

impl SearchOptions {
    /// Whether nothing is searched.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The table and the meaning of its columns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DataConfig {
    /// The file, or `-` for standard input.
    pub table: PathBuf,
    /// Whether the table is read anew every epoch instead of being held in memory.
    ///
    /// Its rows are then divided into parts one by one, without regard to classes, and no more validation and test rows are
    /// taken than fit the buffer. The encoder learns from a sample of that many training rows. Pieces of the file are read in
    /// a new order every epoch, and rows are put into a new order within the buffer.
    pub stream: bool,
    /// Rows of a streamed table that are in memory for training at once.
    pub buffer: usize,
    /// What the columns mean.
    #[serde(flatten)]
    pub schema: SchemaOptions,
    /// How the file is read.
    #[serde(flatten)]
    pub read: ReadOptions,
}

impl Default for DataConfig {
    fn default() -> Self {
        let (schema, read) = (SchemaOptions::default(), ReadOptions::default());
        Self { table: PathBuf::new(), stream: false, buffer: 65_536, schema, read }
    }
}

/// Shape of the network; its inputs and outputs follow from the data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NetworkConfig {
    /// Widths of the hidden layers; none for a single neuron per output.
    pub hidden: Vec<usize>,
    /// Activations of the hidden layers: one for all, or one for each.
    pub activation: OneOrMany,
    /// Activation of the output; by default none for numbers, sigmoid or softmax for classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_activation: Option<Activation>,
    /// How weights are drawn.
    pub initializer: Initializer,
    /// Whether layers have biases.
    pub bias: bool,
    /// Share of hidden units dropped in training.
    pub dropout: f64,
    /// Normalisation of hidden layers.
    pub norm: Norm,
    /// What becomes of numbers before the first layer.
    pub embedding: EmbeddingKind,
    /// Numbers that an embedded number becomes; by default 4 for `periodic`, 16 for `piecewise-linear`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub embedding_width: Option<usize>,
    /// Cosines of each number of a periodic embedding.
    pub frequencies: usize,
    /// Standard deviation of the frequencies of a periodic embedding to begin with.
    pub frequency_scale: f64,
    /// Bins of each number of a piecewise-linear embedding, of about as many training rows each.
    pub bins: usize,
    /// Numbers that an embedded category becomes, see [`EncoderOptions::embed_above`].
    pub category_width: usize,
    /// Whether inputs have learned factors.
    pub input_scale: bool,
    /// Whether the activations of hidden units are parametric.
    pub parametric: bool,
    /// Whether weights are in the neural-tangent-kernel parametrisation.
    pub ntk: bool,
    /// Networks in one that share most of their weights (TabM).
    pub members: usize,
    /// Networks of the model, which differ in their seeds; their predictions are averaged.
    pub ensemble: usize,
}

impl Default for NetworkConfig {
    fn default() -> Self {
        Self {
            hidden: vec![128, 64],
            activation: OneOrMany::One(Activation::Relu),
            output_activation: None,
            initializer: Initializer::Torch,
            bias: true,
            dropout: 0.1,
            norm: Norm::None,
            embedding: EmbeddingKind::None,
            embedding_width: None,
            frequencies: 16,
            frequency_scale: 0.1,
            bins: 48,
            category_width: 8,
            input_scale: false,
            parametric: false,
            ntk: false,
            members: 1,
            ensemble: 1,
        }
    }
}

/// What becomes of numbers before the first layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EmbeddingKind {
    /// They go on as they are.
    #[default]
    None,
    /// Learned cosines of each, and itself: [`NumberEmbedding::Periodic`].
    Periodic,
    /// A line that is bent at quantiles of the training rows: [`NumberEmbedding::PiecewiseLinear`].
    PiecewiseLinear,
}

/// One activation for all layers, or a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected the name of an activation, such as relu, or a list of names")]
pub enum OneOrMany {
    /// For all.
    One(Activation),
    /// One a layer.
    Many(Vec<Activation>),
}

/// Where a run runs and what it writes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OutputConfig {
    /// `auto`, `cpu`, `ndarray`, `flex`, `wgpu[:N]`, `cuda[:N]`...
    pub device: String,
    /// The model file; by default named after the table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<PathBuf>,
    /// Whether the validation rows choose the temperature of the probabilities of classes (Guo et al., 2017).
    pub calibrate: bool,
}

impl Default for OutputConfig {
    fn default() -> Self {
        Self { device: "auto".into(), model: None, calibrate: true }
    }
}

/// The tables of a run.
#[derive(Debug)]
pub struct Tables {
    /// The table to train on, and to split; of a streamed one, a sample of its training rows.
    pub table: Table,
    /// A validation table of its own; of a streamed table, its validation rows.
    pub validation: Option<Table>,
    /// A test table of its own; of a streamed table, its test rows.
    pub test: Option<Table>,
    /// The table that is streamed.
    pub stream: Option<Streamed>,
}

impl From<Table> for Tables {
    /// A table in memory, without further ones.
    fn from(table: Table) -> Self {
        Self { table, validation: None, test: None, stream: None }
    }
}

impl RunConfig {
    /// Reads a run from TOML; `name` is for messages.
    ///
    /// # Errors
    ///
    /// [`ModelError::RunFile`] with the line, and the nearest known key to an unknown one.
    pub fn from_toml(name: &str, text: &str) -> Result<Self, ModelError> {
        check_data_keys(name, text)?;
        let run: Self = toml::from_str(text).map_err(|e| run_file_error(name, &e))?;
        if let Some(version) = &run.version
            && is_later(version, env!("CARGO_PKG_VERSION"))
        {
            return Err(ModelError::RunFile {
                name: name.to_owned(),
                message: format!("made by perceptra {version}, this is {}", env!("CARGO_PKG_VERSION")),
                nearest: None,
            });
        }
        Ok(run)
    }

    /// The settings of a run file over those of a preset, which depend on the task and the rows, as [`Preset::run`] says; `flags` puts
    /// what counts more than the file into a run.
    ///
    /// What belongs to the loss or the optimizer of the preset goes where another one is asked for: label smoothing, the betas and the
    /// decay over the run.
    ///
    /// # Errors
    ///
    /// As [`RunConfig::from_toml`], and those of `flags`.
    pub fn over<E: From<ModelError>>(
        preset: Preset,
        task: Task,
        rows: usize,
        name: &str,
        text: &str,
        flags: impl Fn(Self) -> Result<Self, E>,
    ) -> Result<Self, E> {
        fn merge(base: &mut toml::Table, over: toml::Table) {
            for (key, value) in over {
                match (base.get_mut(&key), value) {
                    (Some(toml::Value::Table(base)), toml::Value::Table(over)) => merge(base, over),
                    (_, value) => {
                        base.insert(key, value);
                    }
                }
            }
        }
        let asked = flags(Self::from_toml(name, text)?)?;
        let mut all = toml::Table::try_from(preset.run(task, rows, asked.is_validated())).unwrap_or_default();
        merge(&mut all, text.parse().unwrap_or_default());
        let mut run = flags(all.try_into().map_err(|e| run_file_error(name, &e))?)?;
        run.preset = None;
        run.train = run.train.yielding_to(&asked.train);
        Ok(run)
    }

    /// Whether rows are put aside to stop by: a share of the table, a file, or what a column says.
    pub fn is_validated(&self) -> bool {
        self.split.validation > 0.0 || self.split.validation_file.is_some() || self.data.schema.split.is_some()
    }

    /// Reads a run from a TOML file.
    ///
    /// # Errors
    ///
    /// [`ModelError::Read`] and as [`RunConfig::from_toml`].
    pub fn read(path: &Path) -> Result<Self, ModelError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| ModelError::Read { path: path.to_owned(), source })?;
        Self::from_toml(&path.display().to_string(), &text)
    }

    /// The run as TOML: running that again gives the same model.
    pub fn to_toml(&self) -> String {
        let mut run = self.clone();
        run.version = Some(env!("CARGO_PKG_VERSION").to_owned());
        // Maps with text keys, numbers and lists: TOML can write all of it.
        toml::to_string(&run).unwrap_or_default()
    }

    /// Every setting by its path, such as `train.seed`, as TOML writes it.
    pub fn settings(&self) -> BTreeMap<String, String> {
        let mut all = BTreeMap::new();
        if let Ok(value) = toml::Value::try_from(self) {
            flatten("", value, &mut all);
        }
        all
    }

    /// Settings that stand in a run file and are another way in `self`: path, value in the file, value here.
    ///
    /// # Errors
    ///
    /// As [`RunConfig::from_toml`].
    pub fn overridden(&self, name: &str, file: &str) -> Result<Vec<[String; 3]>, ModelError> {
        let (mut written, there, here) = (BTreeMap::new(), Self::from_toml(name, file)?.settings(), self.settings());
        if let Ok(table) = file.parse::<toml::Table>() {
            flatten("", toml::Value::Table(table), &mut written);
        }
        let text =
            |all: &BTreeMap<String, String>, key: &str| all.get(key).map_or("not set", String::as_str).to_owned();
        let pairs = written.into_keys().map(|key| [key.clone(), text(&there, &key), text(&here, &key)]);
        Ok(pairs.filter(|[key, there, here]| there != here && key != "version").collect())
    }

    /// Checks every setting that can be checked without data.
    ///
    /// # Errors
    ///
    /// [`ModelError::Settings`] with all that is wrong.
    pub fn validate(&self) -> Result<(), ModelError> {
        let mut problems = Vec::new();
        if let Err(perceptra_train::TrainError::Settings(found)) = self.train.validate() {
            problems = found;
        }
        for (key, share) in [("test", self.split.test), ("validation", self.split.validation)] {
            if !(0.0..1.0).contains(&share) {
                problems.push(format!("{key} is {share}, it must lie in [0, 1)"));
            }
        }
        match self.feed_forward(1, 1, Activation::Identity) {
            Ok(network) => {
                if let Err(e) = network.validate() {
                    problems.push(e.to_string());
                }
            }
            Err(problem) => problems.push(problem),
        }
        for (key, value) in [
            ("buffer", self.data.buffer),
            ("checkpoint.every", self.checkpoint.every),
            ("checkpoint.keep", self.checkpoint.keep),
            ("ensemble", self.network.ensemble),
        ] {
            if value == 0 {
                problems.push(format!("{key} is 0, it must be at least 1"));
            }
        }
        let network = &self.network;
        for (key, value) in [
            ("frequencies", network.frequencies),
            ("bins", network.bins),
            ("category_width", network.category_width),
            ("members", network.members),
        ] {
            if value == 0 {
                problems.push(format!("{key} is 0, it must be at least 1"));
            }
        }
        if let Err(problem) = self.number_embedding(Vec::new()) {
            problems.push(problem);
        }
        if self.network.ensemble > 1 && self.checkpoint.folder.is_some() {
            problems.push("ensemble is more than 1, and checkpoints are of one network: leave one of them out".into());
        }
        if self.encoder.max_categories == 0 {
            problems.push("max_categories is 0, it must be at least 1".into());
        }
        if problems.is_empty() { Ok(()) } else { Err(ModelError::Settings(problems)) }
    }

    /// The network's description for so many inputs and outputs; `output` is its output activation unless the run says
    /// otherwise.
    pub(crate) fn feed_forward(
        &self,
        inputs: usize,
        outputs: usize,
        output: Activation,
    ) -> Result<FeedForwardConfig, String> {
        let network = &self.network;
        let layers = network.hidden.len();
        let activations = match &network.activation {
            OneOrMany::One(f) => vec![*f; layers],
            OneOrMany::Many(list) if list.len() == layers => list.clone(),
            OneOrMany::Many(list) => {
                return Err(format!("activation lists {} activations for {layers} hidden layers", list.len()));
            }
        };
        let hidden =
            network.hidden.iter().zip(activations).map(|(&width, activation)| Hidden { width, activation }).collect();
        Ok(FeedForwardConfig::new(inputs, outputs)
            .with_hidden(hidden)
            .with_output_activation(network.output_activation.unwrap_or(output))
            .with_initializer(network.initializer)
            .with_bias(network.bias)
            .with_dropout(network.dropout)
            .with_norm(network.norm)
            .with_parts(self.parts(None))
            .with_seed(self.train.seed))
    }

    /// Further parts of the network, none if it has none.
    fn parts(&self, embedding: Option<EmbeddingConfig>) -> Option<Extras> {
        let NetworkConfig { input_scale, parametric, ntk, members, .. } = self.network;
        Some(Extras { embedding, input_scale, parametric, ntk, members }).filter(|extras| *extras != Extras::default())
    }

    /// What becomes of numbers, with the edges of their bins.
    fn number_embedding(&self, edges: Vec<Vec<f32>>) -> Result<NumberEmbedding, String> {
        let network = &self.network;
        let width = |usual: usize, least: usize| match network.embedding_width.unwrap_or(usual) {
            width if width < least => Err(format!("embedding_width is {width}, it must be at least {least}")),
            width => Ok(width),
        };
        let sigma = network.frequency_scale;
        Ok(match network.embedding {
            EmbeddingKind::None => NumberEmbedding::None,
            EmbeddingKind::Periodic if !(sigma > 0.0 && sigma.is_finite()) => {
                return Err(format!("frequency_scale is {sigma}, it must be above 0"));
            }
            EmbeddingKind::Periodic => {
                NumberEmbedding::Periodic { frequencies: network.frequencies, sigma, width: width(4, 2)? }
            }
            EmbeddingKind::PiecewiseLinear => NumberEmbedding::PiecewiseLinear { edges, width: width(16, 1)? },
        })
    }

    /// As [`RunConfig::feed_forward`], with the embedding for these columns, whose bins suit these rows.
    pub(crate) fn feed_forward_for(
        &self,
        kinds: &[InputKind],
        rows: &Matrix,
        outputs: usize,
        output: Activation,
    ) -> Result<FeedForwardConfig, String> {
        let config = self.feed_forward(kinds.len(), outputs, output)?;
        let embedded = |kind: &InputKind| match kind {
            InputKind::Number => self.network.embedding != EmbeddingKind::None,
            InputKind::Category(_) => true,
            InputKind::Code => false,
        };
        if !kinds.iter().any(embedded) {
            return Ok(config);
        }
        let bent = self.network.embedding == EmbeddingKind::PiecewiseLinear;
        let mut edges = Vec::new();
        let column = |(i, kind): (usize, &InputKind)| match kind {
            InputKind::Number if bent => match bins(rows, i, self.network.bins) {
                // A number that never changes says nothing, and has no bins.
                own if own.len() < 2 => Column::Plain,
                own => {
                    edges.push(own);
                    Column::Number
                }
            },
            InputKind::Number => Column::Number,
            InputKind::Code => Column::Plain,
            InputKind::Category(n) => Column::Category(*n),
        };
        let columns = kinds.iter().enumerate().map(column).collect();
        let numbers = self.number_embedding(edges)?;
        let embedding = EmbeddingConfig { columns, numbers, category_width: self.network.category_width };
        Ok(config.with_parts(self.parts(Some(embedding))))
    }

    /// Reads the run's tables; a streamed one is read twice, and only a part of it is kept.
    ///
    /// # Errors
    ///
    /// What [`Table::read`] finds.
    pub fn tables(&self) -> Result<Tables, ModelError> {
        if self.data.stream {
            return crate::stream::open(self);
        }
        let read = |path: &PathBuf| Table::read(path, &self.data.read);
        Ok(Tables {
            table: read(&self.data.table)?,
            validation: self.split.validation_file.as_ref().map(read).transpose()?,
            test: self.split.test_file.as_ref().map(read).transpose()?,
            stream: None,
        })
    }
}

/// Puts the leaves of a value into a map by their paths.
fn flatten(prefix: &str, value: toml::Value, all: &mut BTreeMap<String, String>) {
    match value {
        toml::Value::Table(table) => {
            table.into_iter().for_each(|(key, value)| flatten(&format!("{prefix}.{key}"), value, all));
        }
        value => {
            all.insert(prefix.trim_start_matches('.').to_owned(), value.to_string());
        }
    }
}

/// `[data]` joins two groups of keys, which serde cannot check for unknown ones.
fn check_data_keys(name: &str, text: &str) -> Result<(), ModelError> {
    let Ok(document) = text.parse::<toml::Table>() else { return Ok(()) };
    let Some(toml::Value::Table(data)) = document.get("data") else { return Ok(()) };
    let known = data_keys();
    match data.keys().find(|key| !known.contains(key)) {
        None => Ok(()),
        Some(key) => {
            let line = text.lines().position(|l| l.trim_start().starts_with(key.as_str())).map_or(0, |i| i + 1);
            Err(ModelError::RunFile {
                name: format!("{name}:{line}"),
                message: format!("unknown key `{key}` in [data]; there are {}", known.join(", ")),
                nearest: nearest(key, &known),
            })
        }
    }
}

/// The keys of `[data]`.
fn data_keys() -> Vec<String> {
    [
        "table",
        "stream",
        "buffer",
        "target",
        "task",
        "numeric",
        "categorical",
        "ignore",
        "weights",
        "split",
        "delimiter",
        "comment",
        "missing",
    ]
    .map(String::from)
    .to_vec()
}

fn run_file_error(name: &str, error: &toml::de::Error) -> ModelError {
    let message = error.to_string();
    // serde: unknown field `lr`, expected one of `loss`, `optimizer`, ...
    let nearest_key = message.split_once("unknown field `").and_then(|(_, rest)| {
        let names: Vec<String> = rest.split('`').step_by(2).map(str::to_owned).collect();
        let (unknown, known) = names.split_first()?;
        nearest(unknown, known)
    });
    ModelError::RunFile { name: name.to_owned(), message: message.trim_end().to_owned(), nearest: nearest_key }
}

/// The edges of about `bins` bins of equally many rows, of a column: its quantiles, each once.
fn bins(rows: &Matrix, column: usize, bins: usize) -> Vec<f32> {
    let mut values: Vec<f32> = rows.values.iter().skip(column).step_by(rows.columns.max(1)).copied().collect();
    values.sort_by(f32::total_cmp);
    let Some(last) = values.len().checked_sub(1) else { return Vec::new() };
    let bins = bins.min(last.max(1));
    let quantile = |i: usize| {
        let place = i as f64 / bins as f64 * last as f64;
        let (low, part) = (place as usize, place.fract());
        let (a, b) = (f64::from(values[low]), f64::from(values[(low + 1).min(last)]));
        (a + part * (b - a)) as f32
    };
    let mut edges: Vec<f32> = (0..=bins).map(quantile).collect();
    edges.dedup();
    edges
}

/// Whether version `a` comes after version `b`, by their numbers.
fn is_later(a: &str, b: &str) -> bool {
    let numbers = |v: &str| v.split(['.', '-', '+']).map_while(|n| n.parse::<u64>().ok()).collect::<Vec<_>>();
    numbers(a) > numbers(b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use perceptra_nn::Loss;
    use perceptra_train::{Batch, ClassWeights, Metric, Optimizer, Schedule};

    #[test]
    fn a_run_is_read_back_as_written() {
        let mut run = RunConfig::default();
        assert_eq!(RunConfig::from_toml("t", "").unwrap(), run);
        run.data.table = "a b.csv".into();
        run.data.schema.target = vec!["y \"1\"".into()];
        run.data.read.delimiter = Some(';');
        run.split.test_file = Some("test.csv".into());
        run.network.activation = OneOrMany::Many(vec![Activation::Tanh, Activation::LeakyRelu]);
        run.network.output_activation = Some(Activation::Softplus);
        run.train = TrainConfig {
            loss: Some(Loss::Huber { delta: 0.5 }),
            optimizer: Optimizer::AdamW,
            schedule: Schedule::Cosine,
            batch: Batch::Full,
            clip_norm: Some(1.0),
            patience: None,
            monitor: Metric::R2,
            class_weights: ClassWeights::Given(vec![1.0, 2.5]),
            ..run.train
        };
        let mut back = RunConfig::from_toml("t", &run.to_toml()).unwrap();
        assert_eq!(back.version.take().as_deref(), Some(env!("CARGO_PKG_VERSION")));
        // TOML has no null: a setting switched off must be read back as off.
        assert_eq!(back, run, "{}", run.to_toml());
    }

    #[test]
    fn unknown_keys_name_the_nearest() {
        for (text, key, line) in [
            ("[train]\nlearning_rat = 1.0\n", "learning_rate", "line 2"),
            ("[data]\ntargte = ['y']\n", "target", "t:2"),
            ("[netwrok]\n", "network", "line 1"),
        ] {
            let error = RunConfig::from_toml("t", text).unwrap_err();
            assert_eq!(error.hint(), Some(format!("did you mean `{key}`?")), "{error}");
            assert!(error.to_string().contains(line), "{error}");
        }
        let error = RunConfig::from_toml("t", "version = '99.0.0'").unwrap_err();
        assert!(error.to_string().contains("made by perceptra 99.0.0"), "{error}");
    }

    #[test]
    fn all_wrong_settings_are_listed_at_once() {
        let text =
            "[train]\nlearning_rate = -1.0\nbatch = 0\npatience = 0\n[split]\ntest = 1.0\n[network]\nhidden = [0]";
        let error = RunConfig::from_toml("t", text).unwrap().validate().unwrap_err().to_string();
        for part in ["learning_rate is -1", "batch is 0", "patience is 0", "test is 1", "hidden layer 1 is 0"] {
            assert!(error.contains(part), "{error}");
        }
    }
}
