//! Settings of a search.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The settings that a search varies, and the way it samples and ranks them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SearchOptions {
    /// Keys of the run file that are searched, with their domains, such as `lr = "log:1e-4..1e-1"` and `hidden = "32,64x64"`.
    pub space: BTreeMap<String, String>,
    /// Sampler of the points of the space.
    pub sampler: Sampler,
    /// Number of points to sample; ignored if the sampler is the grid.
    pub trials: usize,
    /// Number of cross-validation folds on which each point is scored; by default points are scored on the validation rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folds: Option<usize>,
    /// Factor η of successive halving: all points are trained for a few epochs, the best 1/η of them continue for η times as many, and so
    /// on. `None` for no halving.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub halving: Option<usize>,
    /// Maximum number of trials that successive halving has in progress at a time; when one ends, another starts. By default there is no
    /// limit.
    #[serde(alias = "places", skip_serializing_if = "Option::is_none")]
    pub max_parallel: Option<usize>,
    /// Number of different divisions into folds, or into training and validation rows, on which each point is scored.
    pub repeats: usize,
    /// Metric by which points are ranked; by default `train.monitor`, or `rmse` or `log-loss` if that is the loss.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric: Option<perceptra_train::Metric>,
    /// The networks to join into an ensemble; by default the final model is the best network alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ensemble: Option<Ensemble>,
}

/// The networks of a search that are joined into an ensemble: `"auto"` or a number in files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "EnsembleText", into = "EnsembleText")]
pub enum Ensemble {
    /// Greedy selection with replacement among the best points, by the score of the averaged predictions on rows that did not train them
    /// (Caruana et al., 2004). A network's weight is the number of times it is selected.
    Auto,
    /// This many of the best points, with equal weights.
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

/// The way in which points of a search space are sampled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sampler {
    /// Every combination of listed values.
    #[default]
    Grid,
    /// Uniformly at random (Bergstra, Bengio, 2012).
    Random,
    /// A Latin hypercube: every dimension is divided into as many strata as there are trials, with one point in each (McKay, Beckman,
    /// Conover, 1979).
    LatinHypercube,
    /// A Sobol sequence, scrambled (Sobol, 1967; Owen, 1995).
    Sobol,
}

perceptra_nn::all_variants! { Sampler: Grid, Random, LatinHypercube, Sobol }

impl Default for SearchOptions {
    fn default() -> Self {
        Self {
            space: BTreeMap::new(),
            sampler: Sampler::Grid,
            trials: 50,
            folds: None,
            halving: None,
            max_parallel: None,
            repeats: 1,
            metric: None,
            ensemble: None,
        }
    }
}

impl SearchOptions {
    /// Whether all options have their defaults, so that nothing is searched.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
