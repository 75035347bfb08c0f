//! The description of a run: one TOML file.

mod data;
mod network;
mod output;
mod preset;
mod search;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use perceptra_data::{EncoderOptions, Scaling, SplitOptions, Tails, nearest};
use perceptra_nn::Activation;
use perceptra_train::TrainConfig;
use serde::{Deserialize, Serialize};

pub use self::{
    data::DataConfig,
    network::{EmbeddingKind, NetworkConfig, OneOrMany},
    output::{CheckpointConfig, OutputConfig},
    preset::Preset,
    search::{Ensemble, Sampler, SearchOptions},
};
use crate::aliases::current_name;
use crate::error::ModelError;

/// The complete description of a run: data, encoder, network, training, device and output.
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
    /// Preset that provides settings which are not given, see [`RunConfig::over`]; `None` for no preset. Training ignores it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preset: Option<Preset>,
    /// The table and the meaning of its columns.
    pub data: DataConfig,
    /// Division into training, validation and test rows.
    pub split: SplitOptions,
    /// Encoding of features as numbers.
    pub encoder: EncoderOptions,
    /// Shape of the network.
    pub network: NetworkConfig,
    /// Training; `train.seed` is also the seed of the split and of the initial weights.
    pub train: TrainConfig,
    /// Device and output files.
    pub output: OutputConfig,
    /// Checkpoints.
    pub checkpoint: CheckpointConfig,
    /// Settings that a search varies; training ignores them.
    #[serde(skip_serializing_if = "SearchOptions::is_empty")]
    pub search: SearchOptions,
}

impl RunConfig {
    /// A run that learns the target columns of a table, with default settings.
    ///
    /// ```
    /// use perceptra_model::RunConfig;
    ///
    /// let mut run = RunConfig::new("sales.csv", ["revenue"]);
    /// run.network.hidden = vec![64, 32];
    /// run.train.epochs = 50;
    /// assert_eq!(run.data.schema.target, ["revenue"]);
    /// ```
    pub fn new(table: impl Into<PathBuf>, target: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let mut run = Self::default();
        run.data.table = table.into();
        run.data.schema.target = target.into_iter().map(Into::into).collect();
        run
    }

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

    /// Whether there are validation rows: a share of the table, a file, or rows that the split column names.
    pub(crate) fn is_validated(&self) -> bool {
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

    /// The run as TOML, which trains the same model again.
    pub fn to_toml(&self) -> String {
        let mut run = self.clone();
        run.version = Some(env!("CARGO_PKG_VERSION").to_owned());
        // A run consists of maps with text keys, numbers and lists: TOML can write all of it.
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

    /// Settings of a run file that have other values in `self`, each as [path, value in the file, value in `self`].
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
        // An earlier name of a key stands for the key.
        let keys: BTreeSet<String> =
            written.into_keys().map(|key| Self::key(&key).map_or(key, str::to_owned)).collect();
        let pairs = keys.into_iter().map(|key| [key.clone(), text(&there, &key), text(&here, &key)]);
        Ok(pairs.filter(|[key, there, here]| there != here && key != "version" && key != "preset").collect())
    }

    /// Problems of the settings with which tables are read and divided.
    fn table_problems(&self) -> Vec<String> {
        let shares = [("test", self.split.test), ("validation", self.split.validation)];
        let wrong = shares.into_iter().filter(|(_, share)| !(0.0..1.0).contains(share));
        let shares = wrong.map(|(key, share)| format!("{key} is {share}, it must lie in [0, 1)"));
        let buffer = (self.data.buffer == 0).then(|| "buffer is 0, it must be at least 1".to_owned());
        shares.chain(buffer).collect()
    }

    /// Checks the settings with which tables are read and divided; [`RunConfig::validate`] checks all.
    pub(crate) fn check_tables(&self) -> Result<(), ModelError> {
        let problems = self.table_problems();
        if problems.is_empty() { Ok(()) } else { Err(ModelError::Settings(problems)) }
    }

    /// Checks every setting that can be checked without data.
    ///
    /// # Errors
    ///
    /// [`ModelError::Settings`], which lists every problem.
    pub fn validate(&self) -> Result<(), ModelError> {
        let mut problems = Vec::new();
        if let Err(perceptra_train::TrainError::Settings(found)) = self.train.validate() {
            problems = found;
        }
        problems.extend(self.table_problems());
        match self.network.feed_forward(1, 1, Activation::Identity, self.train.seed) {
            Ok(network) => {
                if let Err(e) = network.validate() {
                    problems.push(e.to_string());
                }
            }
            Err(problem) => problems.push(problem),
        }
        for (key, value) in [
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
        if let Err(problem) = network.number_embedding(Vec::new()) {
            problems.push(problem);
        }
        if network.ensemble > 1 && self.checkpoint.folder.is_some() {
            problems.push(format!(
                "ensemble is {}, and checkpoints are of one network: leave one of them out",
                network.ensemble
            ));
        }
        if self.encoder.max_categories == Some(0) {
            problems.push("max_categories is 0, it must be at least 1".into());
        }
        let (scaling, tails) = (self.encoder.scaling, self.encoder.tails);
        if tails != Tails::default() && scaling != Scaling::Standard {
            problems.push(format!("tails is {tails}, which belongs to standard scaling, and scaling is {scaling}"));
        }
        if problems.is_empty() { Ok(()) } else { Err(ModelError::Settings(problems)) }
    }
}

/// A run whose settings have been checked; only such a run can be trained.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ValidRun<'a>(&'a RunConfig);

impl<'a> ValidRun<'a> {
    /// Checks every setting with [`RunConfig::validate`].
    pub(crate) fn new(run: &'a RunConfig) -> Result<Self, ModelError> {
        run.validate().map(|()| Self(run))
    }
}

impl std::ops::Deref for ValidRun<'_> {
    type Target = RunConfig;

    fn deref(&self) -> &RunConfig {
        self.0
    }
}

/// Puts the values of a tree of TOML tables into a map by their paths.
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

/// Checks the section `[data]` for unknown keys: it joins several groups of keys, so that serde cannot check it.
fn check_data_keys(name: &str, text: &str) -> Result<(), ModelError> {
    let Ok(document) = text.parse::<toml::Table>() else { return Ok(()) };
    let Some(toml::Value::Table(data)) = document.get("data") else { return Ok(()) };
    let fail = |key: &str, message: String, nearest| {
        let line = text.lines().position(|l| l.trim_start().starts_with(key)).map_or(0, |i| i + 1);
        ModelError::RunFile { name: format!("{name}:{line}"), message, nearest }
    };
    let lists = data.iter().find(|(key, value)| value.is_str() && RunConfig::is_list(&format!("data.{key}")));
    if let Some((key, value)) = lists {
        return Err(fail(key, format!("`{key}` is a list of texts: write {key} = [{value}]"), None));
    }
    let known: Vec<String> = RunConfig::keys().filter_map(|key| key.strip_prefix("data.")).map(str::to_owned).collect();
    match data.keys().find(|key| !known.contains(key)) {
        None => Ok(()),
        Some(key) => {
            let message = format!("unknown key `{key}` in [data]; there are {}", known.join(", "));
            Err(fail(key, message, nearest(key, &known)))
        }
    }
}

/// The error of a run file that TOML or serde rejects; for an unknown key it has the known key with the most similar name.
pub(crate) fn run_file_error(name: &str, error: &toml::de::Error) -> ModelError {
    let message = error.to_string();
    // serde: unknown field `lr`, expected one of `loss`, `optimizer`, ...
    let nearest_key = message.split_once("unknown field `").and_then(|(_, rest)| {
        let names: Vec<String> = rest.split('`').step_by(2).map(str::to_owned).collect();
        let (unknown, known) = names.split_first()?;
        let now = current_name(unknown);
        if known.iter().any(|key| key == now) { Some(now.to_owned()) } else { nearest(unknown, known) }
    });
    ModelError::RunFile { name: name.to_owned(), message: message.trim_end().to_owned(), nearest: nearest_key }
}

/// Whether version `a` comes after version `b`, by their numbers.
fn is_later(a: &str, b: &str) -> bool {
    let numbers = |v: &str| v.split(['.', '-', '+']).map_while(|n| n.parse::<u64>().ok()).collect::<Vec<_>>();
    numbers(a) > numbers(b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hint::Hint;
    use perceptra_nn::Loss;
    use perceptra_train::{Batch, ClassWeights, Metric, Optimizer, Schedule};

    #[test]
    fn a_run_is_read_back_as_written() {
        let mut run = RunConfig::default();
        assert_eq!(RunConfig::from_toml("t", "").unwrap(), run);
        run.data.table = "a b.csv".into();
        run.data.schema.target = vec!["y \"1\"".into()];
        run.data.read.delimiter = Some(';'.into());
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
            ("[train]\nlr = 1.0\n", "learning_rate", "line 2"),
        ] {
            let error = RunConfig::from_toml("t", text).unwrap_err();
            assert_eq!(error.hint(), Some(Hint::DidYouMean(key.to_owned())), "{error}");
            assert!(error.to_string().contains(line), "{error}");
        }
        let error = RunConfig::from_toml("t", "[data]\ntable = 't'\ntarget = \"y\"").unwrap_err();
        assert_eq!(error.to_string(), "t:3: `target` is a list of texts: write target = [\"y\"]");
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
