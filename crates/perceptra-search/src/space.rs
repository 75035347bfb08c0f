//! The search space, and the sampling of the points that are tried.

use std::collections::{BTreeMap, BTreeSet};

use perceptra_model::{ModelError, RunConfig, Sampler};
use perceptra_random::{Purpose, Stream};

use crate::domain::{Domain, Notation};
use crate::error::SearchError;
use crate::point::Point;

/// The settings that are searched, each with its domain.
///
/// Keys of the run file's sections `encoder`, `network` and `train` can be searched, under any name that
/// [`RunConfig::key`](perceptra_model::RunConfig::key) knows; [`Domain`] tells how domains are written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Space {
    /// The settings that are searched, in order of the keys as written.
    pub(crate) parameters: Vec<Parameter>,
}

/// A setting that is searched.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Parameter {
    /// Path of its key in a run file, such as `train.learning_rate`.
    pub(crate) key: String,
    /// The values among which the search chooses.
    pub(crate) domain: Domain,
    notation: Notation,
}

/// Sections of a run file whose keys can be searched.
const SECTIONS: [&str; 3] = ["encoder", "network", "train"];

/// Maximum number of points of a grid.
const MAX_POINTS: usize = 100_000;

/// Maximum number of points of a Sobol sequence: `sobol_burley` has no more.
const MAX_SOBOL: usize = 1 << 16;

impl Space {
    /// Reads a space, each key with its domain as written; `base` is the run whose settings are searched.
    ///
    /// # Errors
    ///
    /// [`SearchError::EmptySpace`]; [`SearchError::Key`] for names of keys that cannot be searched; [`SearchError::Domain`] for texts that
    /// do not describe a domain, or have values that the key does not accept.
    pub(crate) fn parse(base: &RunConfig, written: &BTreeMap<String, String>) -> Result<Self, SearchError> {
        if written.is_empty() {
            return Err(SearchError::EmptySpace);
        }
        let mut parameters: Vec<Parameter> = Vec::new();
        for (name, text) in written {
            let key = searched_key(name)?;
            if parameters.iter().any(|p| p.key == key) {
                return Err(SearchError::Key {
                    key: name.clone(),
                    reason: format!("{key} is there twice"),
                    nearest: None,
                });
            }
            let fail = |reason: String| SearchError::Domain { key: name.clone(), text: text.clone(), reason };
            let (domain, notation) = (Domain::parse(text).map_err(fail)?, Notation::of(key));
            // Values that a run does not accept are found now, not in some trial.
            let check = |value: &str| check(base, key, value).map_err(fail);
            let domain = match domain {
                Domain::Choice(values) => {
                    let values = values.iter().map(|value| check(value)).collect::<Result<Vec<_>, _>>()?;
                    if let Some(twice) = (1..values.len()).find(|&i| values[..i].contains(&values[i])) {
                        return Err(fail(format!("{} is there twice", values[twice])));
                    }
                    Domain::Choice(values)
                }
                range @ (Domain::Uniform(..) | Domain::Log(..) | Domain::Integer(..) | Domain::LogInteger(..)) => {
                    check(&range.at(0.0, notation))?;
                    check(&range.at(1.0, notation))?;
                    range
                }
            };
            parameters.push(Parameter { key: key.to_owned(), domain, notation });
        }
        Ok(Self { parameters })
    }

    /// The points to try: the whole grid, or `trials` samples. Repeated points are left out, so that a small space gives fewer than
    /// `trials`. The same seed gives the same points.
    ///
    /// # Errors
    ///
    /// [`SearchError::NotAGrid`], [`SearchError::TooManyTrials`].
    pub(crate) fn points(&self, sampler: Sampler, trials: usize, seed: u64) -> Result<Vec<Point>, SearchError> {
        let most = if sampler == Sampler::Sobol { MAX_SOBOL } else { MAX_POINTS };
        if sampler != Sampler::Grid && trials > most {
            return Err(SearchError::TooManyTrials { points: trials as u128, most });
        }
        let dimensions = self.parameters.len();
        let uniform = move |row: u32| {
            let mut position = vec![0.0; dimensions];
            Stream::new(seed, Purpose::Search, 0).fill_uniform(row, &mut position);
            position.into_iter().map(f64::from).collect::<Vec<f64>>()
        };
        let positions: Box<dyn Iterator<Item = Vec<f64>>> = match sampler {
            Sampler::Grid => return self.grid(),
            // Draws repeat in a space of few points, so more are made than needed.
            Sampler::Random => Box::new((0..(trials as u32).saturating_mul(20)).map(uniform)),
            Sampler::LatinHypercube => {
                let order = |d: usize| Stream::new(seed, Purpose::Search, 1 + d as u32).permutation(trials);
                let orders: Vec<Vec<u32>> = (0..dimensions).map(order).collect();
                Box::new((0..trials).map(move |row| {
                    let strata = orders.iter().map(|order| f64::from(order[row]));
                    strata.zip(uniform(row as u32)).map(|(n, u)| (n + u) / trials as f64).collect()
                }))
            }
            Sampler::Sobol => {
                let coordinate = move |row, d| f64::from(sobol_burley::sample(row, d % 256, seed as u32 ^ (d / 256)));
                Box::new(
                    (0..trials as u32).map(move |row| (0..dimensions as u32).map(|d| coordinate(row, d)).collect()),
                )
            }
        };
        let (mut seen, mut points) = (BTreeSet::new(), Vec::new());
        for position in positions {
            let values = self.parameters.iter().zip(position);
            let point = Point { settings: values.map(|(p, u)| (p.key.clone(), p.domain.at(u, p.notation))).collect() };
            if seen.insert(point.to_string()) {
                points.push(point);
            }
            if points.len() == trials {
                break;
            }
        }
        Ok(points)
    }

    fn grid(&self) -> Result<Vec<Point>, SearchError> {
        let mut lists = Vec::new();
        for parameter in &self.parameters {
            match &parameter.domain {
                Domain::Choice(values) => lists.push((&parameter.key, values)),
                Domain::Uniform(..) | Domain::Log(..) | Domain::Integer(..) | Domain::LogInteger(..) => {
                    return Err(SearchError::NotAGrid { key: parameter.key.clone() });
                }
            }
        }
        let points = lists.iter().map(|(_, values)| values.len() as u128).fold(1, u128::saturating_mul);
        if points > MAX_POINTS as u128 {
            return Err(SearchError::TooManyTrials { points, most: MAX_POINTS });
        }
        let at = |mut index: usize| {
            // The last key varies fastest.
            let mut settings = BTreeMap::new();
            for (key, values) in lists.iter().rev() {
                settings.insert((*key).clone(), values[index % values.len()].clone());
                index /= values.len();
            }
            Point { settings }
        };
        Ok((0..points as usize).map(at).collect())
    }
}

/// The path of the searched key `name`. A short name stands for a key in one of the sections that can be searched.
pub(crate) fn searched_key(name: &str) -> Result<&'static str, SearchError> {
    let is_searched =
        |key: &str| SECTIONS.iter().any(|s| key.strip_prefix(s).is_some_and(|rest| rest.starts_with('.')));
    if let Some(key) = SECTIONS.iter().find_map(|section| RunConfig::key(&format!("{section}.{name}")).ok()) {
        return Ok(key);
    }
    let error = |reason: String, nearest| SearchError::Key { key: name.to_owned(), reason, nearest };
    match RunConfig::key(name) {
        Ok(key) if is_searched(key) => Ok(key),
        Ok(_) => Err(error(
            "only keys of encoder, network and train can be; rows and files are the same for all trials".to_owned(),
            None,
        )),
        Err(ModelError::Key { reason, nearest, .. }) => Err(error(reason, nearest)),
        Err(other) => Err(other.into()),
    }
}

/// The value as a run file writes it, or why the run does not accept it.
fn check(base: &RunConfig, key: &str, value: &str) -> Result<String, String> {
    let mut run = base.clone();
    run.set(key, value).map_err(|e| match e {
        ModelError::Value { reason, .. } => reason,
        other => other.to_string(),
    })?;
    let value = run.get(key).unwrap_or_else(|| value.to_owned());
    let point = Point { settings: BTreeMap::from([(key.to_owned(), value.clone())]) };
    point.apply(base).map(|_| value).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use perceptra_model::Preset;
    use perceptra_train::TrainConfig;

    fn space(pairs: &[(&str, &str)]) -> Result<Space, SearchError> {
        let written = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Space::parse(&RunConfig::default(), &written)
    }

    fn points(pairs: &[(&str, &str)], sampler: Sampler, trials: usize) -> Vec<Point> {
        space(pairs).unwrap().points(sampler, trials, 7).unwrap()
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
        let base = Preset::Realmlp.apply(&RunConfig::default(), perceptra_data::Task::Binary, 100);
        let pairs = [("optimizer", "sgd,lion,adamw"), ("loss", "mse,binary-cross-entropy")];
        let written = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let points = Space::parse(&base, &written).unwrap().points(Sampler::Grid, 0, 7).unwrap();
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
    fn every_key_of_encoder_network_and_train_can_be_searched() {
        let (run, every) = (RunConfig::default(), RunConfig::with_every_key());
        let is_searched = |key: &&str| SECTIONS.iter().any(|s| key.starts_with(&format!("{s}.")));
        let keys: Vec<&str> = RunConfig::keys().filter(is_searched).collect();
        assert!(["network.embedding_width", "encoder.embed_above", "train.clip_norm"].iter().all(|k| keys.contains(k)));
        for key in keys {
            // The key's own value, or, if it has none, one that it may have.
            let value = run.get(key).or_else(|| every.get(key)).unwrap();
            let found = space(&[(key, &value)]).unwrap_or_else(|e| panic!("{key}={value}: {e}"));
            assert_eq!(found.parameters[0].key, key);
            let point = &found.points(Sampler::Grid, 0, 0).unwrap()[0];
            assert_eq!(point.settings, BTreeMap::from([(key.to_owned(), value.clone())]));
            assert_eq!(point.apply(&run).unwrap().get(key).unwrap_or(value.clone()), value, "{key}");
        }
    }

    #[test]
    fn keys_are_searched_in_every_kind_of_domain() {
        for (key, text) in [
            ("encoder.scaling", "standard,quantile"),
            ("max-categories", "int:2..50"),
            ("activation", "relu,tanh,[relu, tanh]"),
            ("norm", "none,batch,layer"),
            ("dropout", "0..0.5"),
            ("clip_norm", "0.5,none"),
            ("embedding_width", "int:2..8"),
            ("embed_above", "none,5,9"),
            ("loss", "mse,huber:1.5"),
            ("patience", "10,none"),
            ("optimizer", "adam,sgd"),
            ("nesterov", "false"),
            ("seed", "int:0..99"),
            ("hidden", "log-int:4..256"),
            ("hidden", "8x8,[16, 16],none"),
            ("class_weights", "equal,balanced,[1, 2]"),
            ("lr_factors.bias", "0.1,1"),
            ("l1", "int:0..1"),
            ("target", "0.1"),
            ("epochs", "choice:10,20"),
        ] {
            let found = space(&[(key, text)]).unwrap_or_else(|e| panic!("{key}={text}: {e}"));
            let some = found.points(Sampler::Random, 3, 1).unwrap();
            assert!(!some.is_empty());
            some.iter().for_each(|p| drop(p.apply(&RunConfig::default()).unwrap()));
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
            ("data.target", "a,b", "rows and files are the same for all trials"),
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
            ("hidden", "32,axb", "expected a whole number of 0 or more"),
            ("clip_norm", "a", "`clip_norm=a`: expected a number"),
        ] {
            let got = message(&[(key, text)]);
            assert!(got.contains(part), "{key}={text}: {got}");
        }
        assert!(message(&[]).contains("is empty"));
        assert!(message(&[("lr", "0.1"), ("train.learning_rate", "0.2")]).contains("is there twice"));
        let range = space(&[("lr", "0.1..0.2")]).unwrap();
        let error = range.points(Sampler::Grid, 0, 0).unwrap_err();
        assert!(matches!(error, SearchError::NotAGrid { .. }));
        let error = range.points(Sampler::Sobol, 1 << 17, 0).unwrap_err();
        assert!(matches!(error, SearchError::TooManyTrials { .. }));
        let wide = (1..=400).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
        let grid = space(&[("epochs", &wide), ("seed", &wide)]).unwrap();
        assert!(matches!(grid.points(Sampler::Grid, 0, 0), Err(SearchError::TooManyTrials { .. })));
    }
}
