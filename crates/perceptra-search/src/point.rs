//! Points of a search space.

use std::collections::BTreeMap;
use std::fmt;

use perceptra_model::RunConfig;
use perceptra_train::TrainConfig;

use crate::error::SearchError;

/// A point of a search space: one value for each searched key.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Point {
    /// The values by their keys, as a run file writes them.
    pub(crate) settings: BTreeMap<String, String>,
}

impl Point {
    /// The run `base` with the values of this point.
    ///
    /// # Errors
    ///
    /// [`SearchError::Model`] for values that a run does not accept.
    pub(crate) fn apply(&self, base: &RunConfig) -> Result<RunConfig, SearchError> {
        let mut run = base.clone();
        for (key, value) in &self.settings {
            run.set(key, value)?;
        }
        // Settings of the run's optimizer and loss do not carry over to those of the point.
        if ["train.optimizer", "train.loss"].iter().any(|key| self.settings.contains_key(*key)) {
            run.train = run.train.yielding_to(&TrainConfig::default());
        }
        run.validate()?;
        Ok(run)
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (key, value)) in self.settings.iter().enumerate() {
            let separator = if i > 0 { " " } else { "" };
            let short = key.rsplit('.').next().unwrap_or(key);
            write!(f, "{separator}{short}={value}")?;
        }
        Ok(())
    }
}
