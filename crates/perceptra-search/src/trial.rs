//! Trials of a search.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A trial of a search: one point of the space, trained and judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// Number of the trial in the plan, from 1.
    pub number: usize,
    /// The values of the searched keys, as a run file writes them.
    pub settings: BTreeMap<String, String>,
    /// Score on each case; empty if the trial failed.
    pub scores: Vec<f64>,
    /// Best epoch on each case, counted from 1; empty if the trial failed.
    pub epochs: Vec<usize>,
    /// Seconds of training, on all cases together.
    pub seconds: f64,
    /// Why the trial has no score; `None` if it has one.
    pub error: Option<String>,
    /// Number of epochs after which successive halving dropped the trial; `None` if it was trained to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<usize>,
    /// Mean score at each rung of successive halving from which the trial was promoted or dropped.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rungs: Vec<f64>,
    /// Learning curve on the first case: some epochs, each with the monitored metric after it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub curve: Vec<(usize, f64)>,
}

impl Trial {
    /// The mean of the scores; `None` if the trial failed.
    pub fn score(&self) -> Option<f64> {
        match self.error {
            None if !self.scores.is_empty() => Some(self.scores.iter().sum::<f64>() / self.scores.len() as f64),
            _ => None,
        }
    }

    /// The standard deviation of the scores; `None` if there are fewer than two.
    pub fn deviation(&self) -> Option<f64> {
        let mean = self.score().filter(|_| self.scores.len() > 1)?;
        let squares: f64 = self.scores.iter().map(|s| (s - mean).powi(2)).sum();
        Some((squares / (self.scores.len() - 1) as f64).sqrt())
    }
}
