//! The keys of a run file, each of which can be set by its name and a text.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use perceptra_data::{
    DateOrder, EncoderOptions, ReadOptions, Scaling, SchemaOptions, SplitOptions, Tails, Task, nearest,
};
use perceptra_nn::{Activation, Initializer, Loss, Norm};
use perceptra_train::{Batch, ClassWeights, Engine, Factors, Metric, Optimizer, Reduction, Schedule, TrainConfig};
use toml::Value;

use crate::aliases::current_name;
use crate::error::ModelError;
use crate::run::{
    CheckpointConfig, DataConfig, EmbeddingKind, Ensemble, NetworkConfig, OneOrMany, OutputConfig, Preset, RunConfig,
    Sampler, SearchOptions,
};

/// Every key with the value it has in [`RunConfig::with_every_key`], which shows the kind of value it takes.
static KEYS: LazyLock<BTreeMap<String, Value>> = LazyLock::new(|| {
    let mut keys = BTreeMap::new();
    if let Ok(run) = Value::try_from(RunConfig::with_every_key()) {
        leaves("", run, &mut keys);
    }
    keys
});

/// Keys whose values are TOML tables, unlike sections, which are tables of keys.
const TABLES: [&str; 2] = ["search.space", "train.class_weights"];

impl RunConfig {
    /// Whether a key takes a list.
    pub(crate) fn is_list(key: &str) -> bool {
        KEYS.get(key).is_some_and(Value::is_array)
    }

    /// Every key of a run file by its path, such as `train.learning_rate`, in alphabetical order. The `version` that wrote the file
    /// is not among them.
    ///
    /// ```
    /// use perceptra_model::RunConfig;
    ///
    /// let mut run = RunConfig::default();
    /// assert!(RunConfig::keys().any(|key| key == "network.hidden"));
    /// run.set("hidden", "64,32")?;
    /// run.set("lr", "0.01")?;
    /// assert_eq!(run.network.hidden, [64, 32]);
    /// assert_eq!(run.get("train.learning_rate").as_deref(), Some("0.01"));
    /// # Ok::<(), perceptra_model::ModelError>(())
    /// ```
    pub fn keys() -> impl Iterator<Item = &'static str> {
        KEYS.keys().map(String::as_str)
    }

    /// The path of a key that may be written without its section, with dashes, or by a short name: `train.learning_rate` is also
    /// `learning-rate` and `lr`.
    ///
    /// # Errors
    ///
    /// [`ModelError::Key`] for a name that belongs to no key or to several.
    pub fn key(name: &str) -> Result<&'static str, ModelError> {
        let written = name.trim().replace('-', "_");
        let mut found = named(&written);
        if found.is_empty() {
            let (section, last) = written.rsplit_once('.').map_or(("", written.as_str()), |(s, l)| (s, l));
            let last = current_name(last);
            found = named(&if section.is_empty() { last.to_owned() } else { format!("{section}.{last}") });
        }
        let error = |reason: String, nearest| Err(ModelError::Key { name: name.to_owned(), reason, nearest });
        match found.as_slice() {
            [key] => Ok(key),
            [] => {
                let inside = format!(".{written}.");
                let within: Vec<&str> = Self::keys().filter(|key| format!(".{key}").contains(&inside)).collect();
                if !within.is_empty() {
                    let shown = within.iter().take(8).copied().collect::<Vec<_>>().join(", ");
                    let more = if within.len() > 8 { ", ..." } else { "" };
                    return error(format!("it is a table of keys, write one of {shown}{more}"), None);
                }
                // A known name in the wrong section.
                let (_, last) = written.rsplit_once('.').unwrap_or_default();
                if let [key] = named(current_name(last)).as_slice() {
                    return error("there is no such key in a run file".to_owned(), Some((*key).to_owned()));
                }
                let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
                let names: Vec<String> = Self::keys().map(last).chain(Self::keys().map(str::to_owned)).collect();
                error("there is no such key in a run file".to_owned(), nearest(&written, &names))
            }
            several => error(format!("write one of {}", several.join(", ")), None),
        }
    }

    /// Sets a key from text. `key` may be any name that [`RunConfig::key`] knows. A list is written `128,64`, `[128, 64]` or, of numbers,
    /// `128x64`; `none` is the empty list, and removes the value of an optional key. A text in quotes is taken literally.
    ///
    /// # Errors
    ///
    /// [`ModelError::Key`], and [`ModelError::Value`] for a text that the key does not accept. [`RunConfig::validate`] checks whether
    /// values are in range.
    pub fn set(&mut self, key: &str, text: &str) -> Result<(), ModelError> {
        let key = Self::key(key)?;
        let fail = |reason: String| {
            let unknown = |names: &Vec<String>| {
                let parts = text.split([',', '[', ']']).map(|part| part.trim().trim_matches(['"', '\'']));
                parts.filter(|part| !names.iter().any(|name| name == part)).find_map(|part| nearest(part, names))
            };
            let nearest = names_of(key).and_then(|names| unknown(&names));
            ModelError::Value { key: key.to_owned(), text: text.trim().to_owned(), reason, nearest }
        };
        let base = Value::try_from(&*self).map_err(|e| fail(e.to_string()))?;
        let text = text.trim();
        if text.is_empty() {
            return Err(fail("a value is missing".to_owned()));
        }
        if text == "none" && is_optional(key) {
            *self = without(base, key).map_err(|e| fail(expected(&e)))?;
            return Ok(());
        }
        let mut reason = String::new();
        for value in KEYS.get(key).map_or_else(Vec::new, |like| readings(text, like)) {
            let mut run = base.clone();
            put(&mut run, key, value);
            match run.try_into() {
                Ok(run) => {
                    *self = run;
                    return Ok(());
                }
                Err(e) => reason = expected(&e),
            }
        }
        Err(fail(reason))
    }

    /// The value of a key, given by its whole path, as a run file writes it; `None` if a run file leaves it out.
    pub fn get(&self, key: &str) -> Option<String> {
        let run = Value::try_from(self).ok()?;
        key.split('.').try_fold(&run, |value, part| value.get(part)).map(Value::to_string)
    }

    /// A run with a value for every key, none of them the default. It shows the kind of value that each key takes; it is not meant to be
    /// trained.
    #[doc(hidden)]
    #[expect(clippy::too_many_lines, reason = "a line for each key")]
    pub fn with_every_key() -> Self {
        let factors = |first: f64| Factors {
            weight: first,
            bias: first + 1.0,
            norm: first + 2.0,
            embedding: first + 3.0,
            input_scale: first + 4.0,
            activation: first + 5.0,
            member: first + 6.0,
        };
        Self {
            version: None,
            preset: Some(Preset::Tabm),
            data: DataConfig {
                table: "table.csv".into(),
                stream: true,
                buffer: 1000,
                positive: Some("yes".into()),
                schema: SchemaOptions {
                    target: vec!["y".into()],
                    task: Some(Task::Regression),
                    numeric: vec!["a".into()],
                    categorical: vec!["b".into()],
                    ignore: vec!["c".into()],
                    weights: Some("weight".into()),
                    split: Some("part".into()),
                    decimal: Some(','),
                    thousands: Some('.'),
                    dates: Some(DateOrder::MonthFirst),
                },
                read: ReadOptions {
                    delimiter: Some(';'.into()),
                    comment: Some('#'),
                    header: false,
                    skip_rows: 2,
                    sheet: Some("Sheet 2".into()),
                    missing: vec!["-".into()],
                    keep_text: vec!["NA".into()],
                },
            },
            split: SplitOptions {
                test: 0.1,
                validation: 0.25,
                test_file: Some("test.csv".into()),
                validation_file: Some("validation.csv".into()),
                stratify: false,
            },
            encoder: EncoderOptions {
                scaling: Scaling::Robust,
                tails: Tails::Log,
                min_category_rows: 2,
                max_categories: Some(50),
                scale_categories: true,
                embed_above: Some(9),
                standardize_target: false,
                clamp_target: true,
            },
            network: NetworkConfig {
                hidden: vec![32, 16],
                activation: OneOrMany::Many(vec![Activation::Tanh, Activation::Softplus]),
                output_activation: Some(Activation::Softplus),
                initializer: Initializer::XavierUniform,
                bias: false,
                dropout: 0.2,
                norm: Norm::Layer,
                embedding: EmbeddingKind::Periodic,
                embedding_width: Some(5),
                frequencies: 8,
                frequency_scale: 0.2,
                bins: 16,
                category_width: 4,
                input_scale: true,
                parametric: true,
                ntk: true,
                members: 2,
                ensemble: 3,
            },
            train: TrainConfig {
                loss: Some(Loss::Huber { delta: 1.5 }),
                reduction: Some(Reduction::Sum),
                optimizer: Optimizer::RmsProp,
                learning_rate: 0.01,
                schedule: Schedule::Plateau,
                plateau_patience: 5,
                plateau_factor: 0.5,
                lr_factors: factors(2.0),
                betas: [0.8, 0.95],
                batch: Batch::Rows(16),
                drop_last: true,
                share_batches: false,
                momentum: 0.5,
                nesterov: true,
                weight_decay: 0.01,
                decay_factors: factors(3.0),
                decay_schedule: Schedule::Cosine,
                dropout_schedule: Schedule::Linear,
                l1: 0.001,
                l2: 0.002,
                clip_norm: Some(1.0),
                clip_value: Some(2.0),
                epochs: 100,
                patience: Some(20),
                min_delta: 0.001,
                last_best: true,
                monitor: Metric::Rmse,
                target: Some(0.1),
                no_progress: Some(10),
                time_limit: Some(60.0),
                class_weights: ClassWeights::Given(vec![1.0, 2.0]),
                label_smoothing: 0.1,
                seed: 1,
                engine: Engine::Autodiff,
            },
            output: OutputConfig { device: "cpu".into(), model: Some("model.perceptra".into()), calibrate: false },
            checkpoint: CheckpointConfig { folder: Some("run".into()), every: 2, keep: 3 },
            search: SearchOptions {
                space: BTreeMap::from([("seed".to_owned(), "1,2".to_owned())]),
                sampler: Sampler::Sobol,
                trials: 20,
                folds: Some(5),
                halving: Some(3),
                max_parallel: Some(8),
                repeats: 2,
                metric: Some(Metric::Mae),
                ensemble: Some(Ensemble::Best(4)),
            },
        }
    }
}

/// Collects the values below `path` by their paths, such as `train.seed`. Tables in [`TABLES`] count as values, other tables are sections.
fn leaves(path: &str, value: Value, all: &mut BTreeMap<String, Value>) {
    match value {
        Value::Table(table) if !TABLES.contains(&path) => {
            let separator = if path.is_empty() { "" } else { "." };
            table.into_iter().for_each(|(key, value)| leaves(&format!("{path}{separator}{key}"), value, all));
        }
        value => {
            all.insert(path.to_owned(), value);
        }
    }
}

/// The keys that `name` may stand for: the key with that path, else, of the keys whose paths end with it, those that are nested least
/// deeply.
fn named(name: &str) -> Vec<&'static str> {
    if let Some((key, _)) = KEYS.get_key_value(name) {
        return vec![key];
    }
    let end = format!(".{name}");
    let depth = |key: &str| key.split('.').count();
    let keys: Vec<&str> = RunConfig::keys().filter(|key| key.ends_with(&end)).collect();
    let least = keys.iter().map(|key| depth(key)).min();
    keys.into_iter().filter(|key| Some(depth(key)) == least).collect()
}

/// Sets the value of a key in a run, and creates the sections around it if they were left out because they had their defaults.
fn put(run: &mut Value, key: &str, value: Value) {
    match (key.split_once('.'), run.as_table_mut()) {
        (None, Some(table)) => drop(table.insert(key.to_owned(), value)),
        (Some((section, rest)), Some(table)) => {
            let section = table.entry(section).or_insert_with(|| Value::Table(toml::Table::new()));
            put(section, rest, value);
        }
        (_, None) => {}
    }
}

/// The run after removal of a key, which then has its default.
fn without(mut run: Value, key: &str) -> Result<RunConfig, toml::de::Error> {
    let (path, last) = key.rsplit_once('.').unwrap_or(("", key));
    let mut sections = path.split('.').filter(|section| !section.is_empty());
    if let Some(section) = sections.try_fold(&mut run, |table, section| table.get_mut(section)) {
        section.as_table_mut().and_then(|table| table.remove(last));
    }
    run.try_into()
}

/// Whether a key may have no value: true if a run file that leaves it out gives it none, instead of a default.
fn is_optional(key: &str) -> bool {
    let every = Value::try_from(RunConfig::with_every_key());
    every.is_ok_and(|run| without(run, key).is_ok_and(|run| run.get(key).is_none()))
}

/// The values that a text may mean for a key that takes values like `like`, in the order in which they are tried.
fn readings(text: &str, like: &Value) -> Vec<Value> {
    let brackets = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    match like {
        Value::Array(items) => {
            let item = items.first().unwrap_or(&Value::Boolean(false));
            let parts = match brackets {
                Some(inside) if inside.trim().is_empty() => Vec::new(),
                Some(inside) => split_list(inside),
                None if text == "none" => Vec::new(),
                None if item.is_str() => split_list(text),
                None => text.split([',', 'x']).collect(),
            };
            let list = Value::Array(parts.iter().map(|part| scalar(part, item)).collect());
            // A key that takes a list may also take one value for all.
            let one = (brackets.is_none() && parts.len() == 1).then(|| scalar(text, item));
            one.into_iter().chain([list]).collect()
        }
        Value::Table(_) if text.starts_with('{') => text.parse().into_iter().collect(),
        Value::Table(table) => {
            // The text may be a name, or a list for the one name that takes a list, such as `{ given = [1, 2] }`.
            let list = table.iter().find(|(_, value)| value.is_array());
            let lists = list.into_iter().flat_map(|(name, like)| {
                readings(text, like)
                    .into_iter()
                    .map(move |list| Value::Table([(name.clone(), list)].into_iter().collect()))
            });
            let name = scalar(text, &Value::String(String::new()));
            [name].into_iter().chain(lists).collect()
        }
        like => vec![scalar(text, like)],
    }
}

/// The text as a value of the same type as `like`, or as a string if it cannot be read as such.
fn scalar(text: &str, like: &Value) -> Value {
    let text = text.trim();
    let quoted = || text.starts_with(['"', '\'']).then(|| text.parse().ok().filter(Value::is_str)).flatten();
    let string = || quoted().unwrap_or_else(|| Value::String(text.to_owned()));
    match like {
        Value::Float(_) => text.parse().map_or_else(|_| string(), Value::Float),
        Value::Integer(_) => match (text.parse(), text.parse()) {
            (Ok(n), _) => Value::Integer(n),
            (_, Ok(x)) => Value::Float(x),
            _ => string(),
        },
        Value::Boolean(_) => text.parse().map_or_else(|_| string(), Value::Boolean),
        _ => string(),
    }
}

/// The names that a key may have as its value; `None` for a key whose values are not names.
fn names_of(key: &str) -> Option<Vec<String>> {
    if key == "network.activation" {
        return Some(Activation::ALL.iter().map(ToString::to_string).collect());
    }
    // serde: unknown variant `a`, expected one of `b`, `c`
    let error = without_value(key)?;
    let (_, names) = error.message().split_once("expected ")?;
    let names: Vec<String> = names.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    (!names.is_empty()).then_some(names)
}

/// The error of a key whose value is a name that nothing has; `None` for a key that takes any text.
fn without_value(key: &str) -> Option<toml::de::Error> {
    let mut run = Value::try_from(RunConfig::default()).ok()?;
    put(&mut run, key, Value::String(String::new()));
    run.try_into::<RunConfig>().err()
}

/// The parts of a text between commas that are not in brackets, braces or quotes.
#[doc(hidden)]
pub fn split_list(text: &str) -> Vec<&str> {
    let (mut depth, mut quote, mut start, mut parts) = (0_usize, None, 0, Vec::new());
    for (at, c) in text.char_indices() {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            (_, Some(_)) => {}
            ('"' | '\'', None) if text[start..at].trim().is_empty() || depth > 0 => quote = Some(c),
            ('[' | '{', None) => depth += 1,
            (']' | '}', None) => depth = depth.saturating_sub(1),
            (',', None) if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

/// Serde's error message in the terms of a run file, such as "expected a number".
fn expected(error: &toml::de::Error) -> String {
    // serde: "invalid type: string "a", expected f64", then "in `train.l1`" on a line of its own.
    let message = error.message().lines().next().unwrap_or_default();
    let Some((_, expected)) = message.rsplit_once("expected ") else { return message.to_owned() };
    let expected = match expected {
        "f32" | "f64" => "a number",
        "u32" | "u64" | "usize" => "a whole number of 0 or more",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "a map" => "a table in braces",
        other => other,
    };
    format!("expected {expected}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_set_saved_and_read_back() {
        let (every, mut run) = (RunConfig::with_every_key(), RunConfig::default());
        for key in RunConfig::keys() {
            let text = every.get(key).unwrap();
            assert_ne!(run.get(key), Some(text.clone()), "{key} has its default");
            run.set(key, &text).unwrap_or_else(|e| panic!("{e}"));
            assert_eq!(run.get(key), Some(text), "{key}");
            let saved = RunConfig::from_toml("t", &run.to_toml()).unwrap();
            assert_eq!(RunConfig { version: None, ..saved }, run, "{key}");
        }
        assert_eq!(run, every);
        for key in RunConfig::keys().filter(|key| is_optional(key)) {
            run.set(key, "none").unwrap();
            assert_eq!(run.get(key), None, "{key}");
        }
        let some = ["network.embedding_width", "encoder.embed_above", "train.loss", "data.weights", "preset"];
        assert!(
            some.into_iter().all(is_optional)
                && !["train.patience", "train.lr_factors.bias"].into_iter().any(is_optional)
        );
    }

    #[test]
    fn no_key_is_left_out() {
        let every = format!("{:?}", RunConfig { version: Some(String::new()), ..RunConfig::with_every_key() });
        assert!(!every.contains("None"), "a key without a value has no kind: {every}");
        assert!(RunConfig::keys().any(|key| key == "network.embedding_width"));
        assert!(RunConfig::keys().any(|key| key == "train.lr_factors.input_scale"));
    }

    #[test]
    fn keys_have_short_names() {
        for (name, key) in [
            ("train.learning_rate", "train.learning_rate"),
            ("learning-rate", "train.learning_rate"),
            ("lr", "train.learning_rate"),
            ("train.lr", "train.learning_rate"),
            ("bias", "network.bias"),
            ("lr_factors.bias", "train.lr_factors.bias"),
            ("preset", "preset"),
            ("data.split", "data.split"),
        ] {
            assert_eq!(RunConfig::key(name).unwrap(), key);
        }
        let message = |name: &str| {
            let error = RunConfig::key(name).unwrap_err();
            format!("{error} | {}", error.hint().map(|hint| hint.to_string()).unwrap_or_default())
        };
        assert_eq!(
            message("learningrate"),
            "`learningrate`: there is no such key in a run file | did you mean `learning_rate`?"
        );
        assert_eq!(message("target"), "`target`: write one of data.target, train.target | ");
        assert_eq!(message("version"), "`version`: there is no such key in a run file | ");
        assert!(message("").contains("there is no such key"));
        assert_eq!(
            message("train.hidden"),
            "`train.hidden`: there is no such key in a run file | did you mean `network.hidden`?"
        );
        let factors = message("lr_factors");
        assert!(factors.contains("it is a table of keys, write one of train.lr_factors.activation, "), "{factors}");
        assert!(message("train").ends_with(", ... | "), "{}", message("train"));
    }

    #[test]
    fn the_nearest_name_to_a_value_is_suggested() {
        for (key, text, nearest) in [
            ("activation", "reul", "relu"),
            ("activation", "relu,tnah", "tanh"),
            ("scaling", "robost", "robust"),
            ("preset", "defaults", "default"),
        ] {
            let hint = RunConfig::default().set(key, text).unwrap_err().hint();
            assert_eq!(hint.map(|hint| hint.to_string()), Some(format!("did you mean `{nearest}`?")), "{key}={text}");
        }
        for (key, text) in [("lr", "fast"), ("scaling", "zzzzzzzz")] {
            assert_eq!(RunConfig::default().set(key, text).unwrap_err().hint(), None, "{key}={text}");
        }
    }

    #[test]
    fn lists_are_written_in_every_way() {
        let mut run = RunConfig::default();
        for text in ["128,64", "128x64", "[128, 64]", "[128,64]", " 128 , 64 "] {
            run.network.hidden.clear();
            run.set("hidden", text).unwrap();
            assert_eq!(run.network.hidden, [128, 64], "{text}");
        }
        for text in ["none", "[]", "[ ]"] {
            run.network.hidden = vec![1];
            run.set("hidden", text).unwrap();
            assert!(run.network.hidden.is_empty(), "{text}");
        }
        run.set("hidden", "8").unwrap();
        assert_eq!(run.network.hidden, [8]);
        run.set("activation", "softmax").unwrap();
        assert_eq!(run.network.activation, OneOrMany::One(Activation::Softmax));
        for text in ["relu,softmax", "[relu, softmax]", "[\"relu\", \"softmax\"]"] {
            run.set("activation", text).unwrap();
            assert_eq!(run.network.activation, OneOrMany::Many(vec![Activation::Relu, Activation::Softmax]), "{text}");
        }
        for text in ["tax,'a, b',\"x\\\"y\"", "[tax, 'a, b', \"x\\\"y\"]"] {
            run.set("data.target", text).unwrap();
            assert_eq!(run.data.schema.target, ["tax", "a, b", "x\"y"], "{text}");
        }
        for text in ["1,5", "1x5", "[1, 5]", "{ given = [1.0, 5.0] }"] {
            run.set("class_weights", text).unwrap();
            assert_eq!(run.train.class_weights, ClassWeights::Given(vec![1.0, 5.0]), "{text}");
        }
        run.set("class_weights", "balanced").unwrap();
        assert_eq!(run.train.class_weights, ClassWeights::Balanced);
        run.set("betas", "0.8x0.9").unwrap();
        assert_eq!(run.train.betas, [0.8, 0.9]);
    }

    #[test]
    fn values_are_of_the_kind_that_the_key_takes() {
        let mut run = RunConfig::default();
        for (key, text, got) in [
            ("lr", "1", Some("1.0")),
            ("lr", "1e-3", Some("0.001")),
            ("epochs", "12", Some("12")),
            ("patience", "none", Some("\"none\"")),
            ("patience", "5", Some("5")),
            ("batch", "full", Some("\"full\"")),
            ("batch", "64", Some("64")),
            ("loss", "huber:2", Some("\"huber:2\"")),
            ("loss", "none", None),
            ("embedding-width", "4", Some("4")),
            ("embedding_width", "none", None),
            ("norm", "none", Some("\"none\"")),
            ("data.weights", "1", Some("\"1\"")),
            ("data.weights", "\"none\"", Some("\"none\"")),
            ("delimiter", ",", Some("\",\"")),
            ("delimiter", "\"\\t\"", Some("\"\\t\"")),
            ("delimiter", "whitespace", Some("\"whitespace\"")),
            ("nesterov", "true", Some("true")),
            ("table", "[a,b].csv", Some("\"[a,b].csv\"")),
            ("lr_factors.bias", "0.5", Some("0.5")),
            ("search.ensemble", "auto", Some("\"auto\"")),
            ("search.ensemble", "3", Some("3")),
        ] {
            run.set(key, text).unwrap_or_else(|e| panic!("{e}"));
            assert_eq!(run.get(RunConfig::key(key).unwrap()).as_deref(), got, "{key}={text}");
        }
        assert_eq!(run.train.lr_factors, Factors { bias: 0.5, ..Factors::default() });
        for (key, text, message) in [
            ("lr", "fast", "`train.learning_rate=fast`: expected a number"),
            ("lr", "", "`train.learning_rate=`: a value is missing"),
            ("epochs", "-1", "`train.epochs=-1`: expected a whole number of 0 or more"),
            ("epochs", "1.5", "`train.epochs=1.5`: expected a whole number of 0 or more"),
            ("nesterov", "yes", "`train.nesterov=yes`: expected true or false"),
            ("hidden", "8,axb", "`network.hidden=8,axb`: expected a whole number of 0 or more"),
            ("delimiter", "§", "expected one ASCII character, `tab` or `whitespace`"),
            ("norm", "all", "`network.norm=all`: expected one of `none`, `batch`, `layer`"),
            ("activation", "tan", "expected the name of an activation"),
            ("betas", "0.9", "expected a"),
            ("space", "0.1", "expected a table in braces"),
            ("patience", "never", "`never` is neither a number of epochs nor \"none\""),
        ] {
            let error = run.clone().set(key, text).unwrap_err().to_string();
            assert!(error.contains(message), "{key}={text}: {error}");
        }
    }
}
