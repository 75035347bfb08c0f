//! What is searched.

use std::collections::{BTreeMap, BTreeSet};

use perceptra_data::nearest;
use perceptra_model::{RunConfig, Sampler};
use perceptra_random::{Purpose, Stream};
use perceptra_train::TrainConfig;
use toml::Value;

use crate::SearchError;

/// The settings that are searched, each with its domain.
///
/// | written | domain |
/// |---|---|
/// | `lr=0.1,0.01` or `choice:0.1,0.01` | one of these |
/// | `dropout=0..0.5` | a number between these, all alike |
/// | `lr=log:1e-4..1e-1` | a number between these, all orders of magnitude alike |
/// | `hidden=int:8..256` | a whole number between these, both included |
/// | `hidden=log-int:8..256` | such, all orders of magnitude alike |
///
/// A key is one of the run file's sections `network`, `train` and `encoder`, with its section or without; `lr` is
/// `train.learning_rate`. A list is written with `x`, as in `hidden=64x64,32`; `none` is the empty one.
#[derive(Debug, Clone, PartialEq)]
pub struct Space {
    parameters: Vec<Parameter>,
}

/// One setting that is searched.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// Its path in the run file, such as `train.learning_rate`.
    pub key: String,
    /// What it may be.
    pub domain: Domain,
}

/// What a setting may be.
#[derive(Debug, Clone, PartialEq)]
pub enum Domain {
    /// One of these.
    Choice(Vec<Value>),
    /// From the first to the second, evenly.
    Uniform(f64, f64),
    /// From the first to the second, evenly by logarithm.
    Log(f64, f64),
    /// Whole numbers from the first to the second, evenly.
    Integer(i64, i64),
    /// Whole numbers from the first to the second, evenly by logarithm.
    LogInteger(i64, i64),
}

/// A point of a space: a value for each key.
#[derive(Debug, Clone, PartialEq)]
pub struct Point(pub(crate) BTreeMap<String, Value>);

/// Keys of a run file that have no value by default.
const OPTIONAL: [&str; 8] = [
    "network.output_activation",
    "train.loss",
    "train.reduction",
    "train.clip_norm",
    "train.clip_value",
    "train.target",
    "train.no_progress",
    "train.time_limit",
];

/// Sections whose keys can be searched.
const SECTIONS: [&str; 3] = ["network.", "train.", "encoder."];

/// The most points of a grid.
pub(crate) const MOST: usize = 100_000;

impl Space {
    /// Reads a space, each key with its domain as written; `base` is the run whose settings are searched.
    ///
    /// # Errors
    ///
    /// [`SearchError::EmptySpace`]; [`SearchError::Key`] for unknown keys, [`SearchError::Domain`] for domains that are none, or
    /// whose values the key does not take.
    pub fn parse(base: &RunConfig, written: &BTreeMap<String, String>) -> Result<Self, SearchError> {
        if written.is_empty() {
            return Err(SearchError::EmptySpace);
        }
        let known: Vec<String> = base
            .settings()
            .into_keys()
            .chain(OPTIONAL.map(str::to_owned))
            .filter(|key| SECTIONS.iter().any(|section| key.starts_with(section)))
            .collect();
        let table = toml::Value::try_from(base).ok();
        let mut parameters: Vec<Parameter> = Vec::new();
        for (name, text) in written {
            let key = full_key(name, &known)?;
            if parameters.iter().any(|p| p.key == key) {
                return Err(SearchError::Key {
                    key: name.clone(),
                    reason: format!("{key} is there twice"),
                    nearest: None,
                });
            }
            let like = table.as_ref().and_then(|table| find(table, &key));
            let fail = |reason: String| SearchError::Domain { key: name.clone(), text: text.clone(), reason };
            let domain = Domain::parse(text, like).map_err(fail)?;
            // What the run file would not take is found now, not in some trial.
            for value in domain.ends(like) {
                let point = Point(BTreeMap::from([(key.clone(), value)]));
                point.apply(base).map_err(|e| fail(e.to_string()))?;
            }
            parameters.push(Parameter { key, domain });
        }
        Ok(Self { parameters })
    }

    /// What is searched, in order of the keys as written.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// The points to try: the whole grid, or `trials` samples. Points that repeat are left out, so that a small space gives fewer.
    /// The same seed gives the same points.
    ///
    /// # Errors
    ///
    /// [`SearchError::NotAGrid`], [`SearchError::TooManyTrials`].
    pub fn points(
        &self,
        base: &RunConfig,
        sampler: Sampler,
        trials: usize,
        seed: u64,
    ) -> Result<Vec<Point>, SearchError> {
        let table = toml::Value::try_from(base).ok();
        let likes: Vec<Option<&Value>> =
            self.parameters.iter().map(|p| table.as_ref().and_then(|table| find(table, &p.key))).collect();
        let point = |place: &[f64]| {
            let values = self.parameters.iter().zip(&likes).zip(place);
            Point(values.map(|((p, like), u)| (p.key.clone(), p.domain.at(*u, *like))).collect())
        };
        if sampler == Sampler::Grid {
            return self.grid();
        }
        // A Sobol sequence of this library ends there.
        let most = if sampler == Sampler::Sobol { 1 << 16 } else { MOST };
        if trials > most {
            return Err(SearchError::TooManyTrials { points: trials as u128, most });
        }
        let dimensions = self.parameters.len();
        let mut seen = BTreeSet::new();
        let mut points = Vec::new();
        let mut take = |place: &[f64]| {
            let point = point(place);
            if seen.insert(format!("{point}")) {
                points.push(point);
            }
            points.len()
        };
        let draw = |row: u32| {
            let mut place = vec![0.0; dimensions];
            Stream::new(seed, Purpose::Search, 0).fill_uniform(row, &mut place);
            place.into_iter().map(f64::from).collect::<Vec<f64>>()
        };
        match sampler {
            Sampler::Grid => {}
            Sampler::Random => {
                // A space of few points is soon exhausted.
                for row in 0..(trials as u32).saturating_mul(20) {
                    if take(&draw(row)) == trials {
                        break;
                    }
                }
            }
            Sampler::LatinHypercube => {
                let order = |d: usize| Stream::new(seed, Purpose::Search, 1 + d as u32).permutation(trials);
                let orders: Vec<Vec<u32>> = (0..dimensions).map(order).collect();
                for row in 0..trials {
                    let strata = orders.iter().map(|order| f64::from(order[row]));
                    let within = draw(row as u32);
                    let place: Vec<f64> = strata.zip(within).map(|(n, u)| (n + u) / trials as f64).collect();
                    take(&place);
                }
            }
            Sampler::Sobol => {
                for row in 0..trials as u32 {
                    let place: Vec<f64> = (0..dimensions as u32)
                        .map(|d| f64::from(sobol_burley::sample(row, d % 256, seed as u32 ^ (d / 256))))
                        .collect();
                    take(&place);
                }
            }
        }
        Ok(points)
    }

    fn grid(&self) -> Result<Vec<Point>, SearchError> {
        let mut lists = Vec::new();
        for parameter in &self.parameters {
            match &parameter.domain {
                Domain::Choice(values) => lists.push((&parameter.key, values)),
                _ => return Err(SearchError::NotAGrid { key: parameter.key.clone() }),
            }
        }
        let points = lists.iter().map(|(_, values)| values.len() as u128).fold(1, u128::saturating_mul);
        if points > MOST as u128 {
            return Err(SearchError::TooManyTrials { points, most: MOST });
        }
        let at = |mut index: usize| {
            // The last key turns fastest.
            let mut point = BTreeMap::new();
            for (key, values) in lists.iter().rev() {
                point.insert((*key).clone(), values[index % values.len()].clone());
                index /= values.len();
            }
            Point(point)
        };
        Ok((0..points as usize).map(at).collect())
    }
}

/// The path of a key that may be written short.
fn full_key(name: &str, known: &[String]) -> Result<String, SearchError> {
    let name = if name == "lr" { "learning_rate" } else { name };
    let name = &name.replace('-', "_");
    if known.contains(name) {
        return Ok(name.clone());
    }
    let short = |key: &String| key.rsplit('.').next().unwrap_or_default().to_owned();
    if let Some(key) = known.iter().find(|key| short(key) == *name) {
        return Ok(key.clone());
    }
    let outside = ["data", "split", "output", "checkpoint", "search"];
    let reason = match name.split('.').next() {
        Some(section) if name.contains('.') && outside.contains(&section) => {
            "only keys of network, train and encoder can, the rows and the files are the same for all trials".to_owned()
        }
        _ => "there is no such key in a run file".to_owned(),
    };
    let all: Vec<String> = known.iter().map(short).chain(known.iter().cloned()).collect();
    Err(SearchError::Key { key: name.clone(), reason, nearest: nearest(name, &all) })
}

fn find<'a>(table: &'a Value, key: &str) -> Option<&'a Value> {
    key.split('.').try_fold(table, |value, part| value.get(part))
}

/// A value as written, of the kind that stands in its place.
fn value(text: &str, like: Option<&Value>) -> Value {
    let text = text.trim();
    let scalar = |text: &str| {
        if let (Ok(n), false) = (text.parse::<i64>(), matches!(like, Some(Value::Float(_)))) {
            Value::Integer(n)
        } else if let Ok(x) = text.parse::<f64>() {
            Value::Float(x)
        } else if let Ok(b) = text.parse::<bool>() {
            Value::Boolean(b)
        } else {
            Value::String(text.to_owned())
        }
    };
    match like {
        Some(Value::Array(_)) if text == "none" => Value::Array(Vec::new()),
        Some(Value::Array(_)) => Value::Array(text.split('x').map(|part| scalar(part.trim())).collect()),
        _ => scalar(text),
    }
}

impl Domain {
    fn parse(text: &str, like: Option<&Value>) -> Result<Self, String> {
        let (kind, rest) = match text.split_once(':') {
            Some((kind @ ("choice" | "log" | "int" | "log-int"), rest)) => (kind, rest),
            _ if text.contains("..") => ("uniform", text),
            _ => ("choice", text),
        };
        if kind == "choice" {
            let values: Vec<Value> = rest.split(',').map(|part| value(part, like)).collect();
            if values.iter().any(|v| v.as_str() == Some("")) {
                return Err("a value is missing".to_owned());
            }
            return match (1..values.len()).find(|&i| values[..i].contains(&values[i])) {
                Some(twice) => Err(format!("{} is there twice", values[twice])),
                None => Ok(Self::Choice(values)),
            };
        }
        let (low, high) = rest.split_once("..").ok_or("a range is written low..high")?;
        let number = |text: &str| {
            let x: Result<f64, _> = text.trim().parse();
            x.ok().filter(|x| x.is_finite()).ok_or_else(|| format!("`{}` is not a number", text.trim()))
        };
        let (low, high) = (number(low)?, number(high)?);
        if low > high {
            return Err(format!("{low} is above {high}"));
        }
        if kind.starts_with("log") && low <= 0.0 {
            return Err(format!("a logarithmic range begins above 0, not at {low}"));
        }
        let whole = low.fract() == 0.0 && high.fract() == 0.0 && high.abs().max(low.abs()) < 9e15;
        match kind {
            "uniform" => Ok(Self::Uniform(low, high)),
            "log" => Ok(Self::Log(low, high)),
            _ if !whole => Err("its ends must be whole numbers".to_owned()),
            "int" => Ok(Self::Integer(low as i64, high as i64)),
            _ => Ok(Self::LogInteger(low as i64, high as i64)),
        }
    }

    /// The value at a place in [0, 1).
    fn at(&self, u: f64, like: Option<&Value>) -> Value {
        // As many digits as anybody wants to read.
        let float = |x: f64| Value::Float(format!("{x:.4e}").parse().unwrap_or(x));
        let whole = |n: i64| match like {
            Some(Value::Array(_)) => Value::Array(vec![Value::Integer(n)]),
            Some(Value::Float(_)) => Value::Float(n as f64),
            _ => Value::Integer(n),
        };
        match self {
            Self::Choice(values) => values[((u * values.len() as f64) as usize).min(values.len() - 1)].clone(),
            Self::Uniform(low, high) => float(low + (high - low) * u),
            Self::Log(low, high) => float((low.ln() + (high.ln() - low.ln()) * u).exp().clamp(*low, *high)),
            Self::Integer(low, high) => whole((low + ((high - low + 1) as f64 * u) as i64).min(*high)),
            Self::LogInteger(low, high) => {
                // Each number has the interval from half below it to half above it.
                let (a, b) = ((*low as f64 - 0.5).max(0.5).ln(), (*high as f64 + 0.5).ln());
                whole(((a + (b - a) * u).exp().round() as i64).clamp(*low, *high))
            }
        }
    }

    /// Values that stand for all.
    fn ends(&self, like: Option<&Value>) -> Vec<Value> {
        match self {
            Self::Choice(values) => values.clone(),
            _ => vec![self.at(0.0, like), self.at(1.0, like)],
        }
    }
}

impl Point {
    /// The run with the values of this point.
    ///
    /// # Errors
    ///
    /// [`SearchError::Model`] for values that the run file does not take.
    pub fn apply(&self, base: &RunConfig) -> Result<RunConfig, SearchError> {
        let wrong = |message: String| SearchError::Settings(message);
        let mut table = Value::try_from(base).map_err(|e| wrong(e.to_string()))?;
        for (key, value) in &self.0 {
            let (path, last) = key.rsplit_once('.').unwrap_or(("", key));
            let section = path.split('.').filter(|p| !p.is_empty()).try_fold(&mut table, |t, part| t.get_mut(part));
            if let Some(section) = section.and_then(Value::as_table_mut) {
                section.insert(last.to_owned(), value.clone());
            }
        }
        let mut run: RunConfig = table.try_into().map_err(|e: toml::de::Error| {
            // serde: wrong value, then "in `train.batch`" on a line of its own.
            wrong(e.message().trim().replace('\n', " "))
        })?;
        // What the optimizer and the loss of the run had is not asked of those of the point.
        if ["train.optimizer", "train.loss"].iter().any(|key| self.0.contains_key(*key)) {
            run.train = run.train.yielding_to(&TrainConfig::default());
        }
        run.validate()?;
        Ok(run)
    }

    /// The values by their keys, as a run file writes them.
    pub fn settings(&self) -> BTreeMap<String, String> {
        self.0.iter().map(|(key, value)| (key.clone(), value.to_string())).collect()
    }
}

impl std::fmt::Display for Point {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, (key, value)) in self.0.iter().enumerate() {
            let separator = if i > 0 { " " } else { "" };
            let short = key.rsplit('.').next().unwrap_or(key);
            write!(f, "{separator}{short}={value}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space(pairs: &[(&str, &str)]) -> Result<Space, SearchError> {
        let written = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Space::parse(&RunConfig::default(), &written)
    }

    fn points(pairs: &[(&str, &str)], sampler: Sampler, trials: usize) -> Vec<Point> {
        space(pairs).unwrap().points(&RunConfig::default(), sampler, trials, 7).unwrap()
    }

    #[test]
    fn a_grid_is_every_combination_once() {
        let grid = points(
            &[("lr", "0.1,1e-2"), ("hidden", "none,32,64x64"), ("train.batch", "auto,full,16")],
            Sampler::Grid,
            0,
        );
        assert_eq!(grid.len(), 18);
        let runs: Vec<RunConfig> = grid.iter().map(|p| p.apply(&RunConfig::default()).unwrap()).collect();
        assert!((0..18).all(|i| !runs[..i].contains(&runs[i])));
        assert_eq!(runs.iter().filter(|r| r.network.hidden == [64, 64] && r.train.learning_rate == 0.1).count(), 3);
        assert_eq!(runs.iter().filter(|r| r.network.hidden.is_empty()).count(), 6);
        assert_eq!(grid[0].to_string(), "hidden=[] batch=\"auto\" learning_rate=0.1");
    }

    #[test]
    fn optimizers_and_losses_of_a_preset_can_be_searched() {
        let base = perceptra_model::Preset::Realmlp.run(perceptra_data::Task::Binary, 100, true);
        let pairs = [("optimizer", "sgd,lion,adamw"), ("loss", "mse,binary-cross-entropy")];
        let written = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let points = Space::parse(&base, &written).unwrap().points(&base, Sampler::Grid, 0, 7).unwrap();
        let runs: Vec<TrainConfig> = points.iter().map(|p| p.apply(&base).unwrap().train).collect();
        assert_eq!(runs.len(), 6);
        for run in runs {
            let is = |name: &str| run.optimizer.name() == name;
            assert_eq!(run.betas == base.train.betas, is("adamw"));
            assert_eq!(run.decay_schedule == base.train.decay_schedule, !is("sgd"));
            assert_eq!(run.label_smoothing == 0.1, run.loss.unwrap().takes_logits());
        }
    }

    #[test]
    fn any_key_of_a_run_can_be_searched() {
        for (key, text) in [
            ("encoder.scaling", "standard,quantile"),
            ("max-categories", "int:2..50"),
            ("activation", "relu,tanh"),
            ("norm", "none,batch,layer"),
            ("dropout", "0..0.5"),
            ("clip_norm", "0.5,1"),
            ("loss", "mse,huber:1.5"),
            ("patience", "10,none"),
            ("optimizer", "adam,sgd"),
            ("nesterov", "false"),
            ("seed", "int:0..99"),
            ("hidden", "log-int:4..256"),
            ("epochs", "choice:10,20"),
        ] {
            let found = space(&[(key, text)]).unwrap_or_else(|e| panic!("{key}={text}: {e}"));
            let some = found.points(&RunConfig::default(), Sampler::Random, 3, 1).unwrap();
            assert!(!some.is_empty());
            some.iter().for_each(|p| drop(p.apply(&RunConfig::default()).unwrap()));
        }
        for key in OPTIONAL {
            let text = match key {
                "network.output_activation" => "softplus",
                "train.loss" => "mae",
                "train.reduction" => "sum",
                _ => "3",
            };
            space(&[(key, text)]).unwrap_or_else(|e| panic!("{key}: {e}"));
        }
    }

    #[test]
    fn samples_fill_their_ranges() {
        let pairs =
            [("lr", "log:1e-4..1e-1"), ("dropout", "0.1..0.5"), ("hidden", "int:3..6"), ("epochs", "log-int:1..64")];
        for sampler in [Sampler::Random, Sampler::LatinHypercube, Sampler::Sobol] {
            let runs: Vec<RunConfig> =
                points(&pairs, sampler, 256).iter().map(|p| p.apply(&RunConfig::default()).unwrap()).collect();
            assert_eq!(runs.len(), 256, "{sampler:?}");
            let share = |what: &dyn Fn(&RunConfig) -> bool| runs.iter().filter(|r| what(r)).count() as f64 / 256.0;
            assert!(share(&|r| (1e-4..=1e-1).contains(&r.train.learning_rate)) == 1.0);
            assert!((share(&|r| r.train.learning_rate < 1e-3) - 1.0 / 3.0).abs() < 0.1, "{sampler:?}");
            assert!((share(&|r| r.network.dropout < 0.2) - 0.25).abs() < 0.1);
            for width in 3..=6 {
                assert!((share(&|r| r.network.hidden == [width]) - 0.25).abs() < 0.1, "{sampler:?} {width}");
            }
            assert!((share(&|r| r.train.epochs < 8) - 0.5).abs() < 0.12, "{sampler:?}");
            assert_eq!(points(&pairs, sampler, 256), points(&pairs, sampler, 256));
        }
    }

    #[test]
    fn a_latin_hypercube_has_one_point_in_each_stratum() {
        let rates: Vec<f64> = points(&[("dropout", "0..0.8")], Sampler::LatinHypercube, 40)
            .iter()
            .map(|p| p.apply(&RunConfig::default()).unwrap().network.dropout)
            .collect();
        let mut strata: Vec<usize> = rates.iter().map(|r| (r / 0.02) as usize).collect();
        strata.sort_unstable();
        assert_eq!(strata, (0..40).collect::<Vec<_>>());
    }

    #[test]
    fn a_small_space_is_not_tried_twice() {
        let all = points(&[("lr", "0.1,0.01"), ("norm", "none,batch")], Sampler::Random, 50);
        assert_eq!(all.len(), 4);
    }

    #[test]
    fn wrong_spaces_are_errors() {
        let message = |pairs: &[(&str, &str)]| {
            let error = space(pairs).unwrap_err();
            format!("{error} | {}", error.hint().unwrap_or_default())
        };
        for (key, text, part) in [
            ("learning_rat", "0.1", "did you mean `learning_rate`?"),
            ("data.target", "a,b", "the rows and the files are the same"),
            ("lr", "log:0..1", "begins above 0, not at 0"),
            ("lr", "1..0.1", "1 is above 0.1"),
            ("lr", "log:1e-4", "a range is written low..high"),
            ("lr", "a..b", "`a` is not a number"),
            ("lr", "0.1,,0.2", "a value is missing"),
            ("lr", "-0.1,0.1", "learning_rate is -0.1"),
            ("lr", "0.1,0.2,1e-1", "0.1 is there twice"),
            ("epochs", "int:1..2.5", "whole numbers"),
            ("dropout", "0..1", "dropout is 1"),
            ("activation", "relu,tan", "expected the name of an activation"),
            ("hidden", "32,axb", "invalid type"),
        ] {
            let got = message(&[(key, text)]);
            assert!(got.contains(part), "{key}={text}: {got}");
        }
        assert!(message(&[]).contains("is empty"));
        assert!(message(&[("lr", "0.1"), ("train.learning_rate", "0.2")]).contains("is there twice"));
        let range = space(&[("lr", "0.1..0.2")]).unwrap();
        let error = range.points(&RunConfig::default(), Sampler::Grid, 0, 0).unwrap_err();
        assert!(matches!(error, SearchError::NotAGrid { .. }));
        let error = range.points(&RunConfig::default(), Sampler::Sobol, 1 << 17, 0).unwrap_err();
        assert!(matches!(error, SearchError::TooManyTrials { .. }));
        let wide = (1..=400).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
        let grid = space(&[("epochs", &wide), ("seed", &wide)]).unwrap();
        assert!(matches!(
            grid.points(&RunConfig::default(), Sampler::Grid, 0, 0),
            Err(SearchError::TooManyTrials { .. })
        ));
    }
}
