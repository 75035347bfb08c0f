//! What a search varies.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

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

perceptra_nn::all_variants! { Sampler: Grid, Random, LatinHypercube, Sobol }

impl Sampler {
    /// The name in files and messages, such as `latin-hypercube`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Grid => "grid",
            Self::Random => "random",
            Self::LatinHypercube => "latin-hypercube",
            Self::Sobol => "sobol",
        }
    }
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
