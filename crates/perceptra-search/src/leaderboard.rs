//! The ranking of trials.

use std::path::Path;

use perceptra_train::Metric;
use serde::{Deserialize, Serialize};

use crate::error::SearchError;
use crate::file::write;
use crate::trial::Trial;

/// The trials of a search, the best first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Leaderboard {
    /// The metric by which trials are ranked.
    pub metric: Metric,
    /// Number of planned trials.
    pub planned: usize,
    /// Finished trials: the best first, those without a score last.
    pub trials: Vec<Trial>,
    /// Whether the search was interrupted.
    pub interrupted: bool,
}

impl Leaderboard {
    pub(crate) fn new(metric: Metric, planned: usize, mut trials: Vec<Trial>, interrupted: bool) -> Self {
        trials.sort_by(|a, b| {
            let rank = |trial: &Trial| trial.score().filter(|s| s.is_finite());
            // Scores of trials that were trained for different numbers of epochs are not compared: a trial that was trained longer has won
            // against the others before.
            let epochs = |trial: &Trial| trial.budget.unwrap_or(usize::MAX);
            match (rank(a), rank(b)) {
                (Some(_), Some(_)) if a.budget != b.budget => epochs(b).cmp(&epochs(a)),
                (Some(x), Some(y)) if metric.more_is_better() => y.total_cmp(&x),
                (Some(x), Some(y)) => x.total_cmp(&y),
                (x, y) => y.is_some().cmp(&x.is_some()),
            }
            .then(a.number.cmp(&b.number))
        });
        Self { metric, planned, trials, interrupted }
    }

    /// The best trial; `None` if no trial has a score.
    pub(crate) fn best(&self) -> Option<&Trial> {
        self.trials.first().filter(|trial| trial.score().is_some_and(f64::is_finite))
    }

    /// The reasons why trials failed, each with the number of trials that failed for it, the most frequent first.
    pub fn failures(&self) -> Vec<(String, usize)> {
        let mut reasons: Vec<(String, usize)> = Vec::new();
        for reason in self.trials.iter().filter_map(|t| t.error.as_ref()) {
            match reasons.iter_mut().find(|(known, _)| known == reason) {
                Some((_, count)) => *count += 1,
                None => reasons.push((reason.clone(), 1)),
            }
        }
        reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        reasons
    }

    /// The keys that were searched.
    pub fn keys(&self) -> Vec<&str> {
        self.trials.first().map_or_else(Vec::new, |t| t.settings.keys().map(String::as_str).collect())
    }

    /// Writes the ranking as `leaderboard.csv` and `leaderboard.json` into a folder.
    ///
    /// # Errors
    ///
    /// [`SearchError::File`].
    pub(crate) fn save(&self, folder: &Path) -> Result<(), SearchError> {
        let path = folder.join("leaderboard.json");
        let json = serde_json::to_vec_pretty(self).unwrap_or_default();
        write(&path, &json)?;
        let path = folder.join("leaderboard.csv");
        let table = self.to_csv().map_err(|e| SearchError::File { path: path.clone(), source: e.into() })?;
        write(&path, &table)
    }

    fn to_csv(&self) -> Result<Vec<u8>, csv::Error> {
        let keys = self.keys();
        let mut writer = csv::Writer::from_writer(Vec::new());
        let head = ["rank", "trial", "score", "deviation", "seconds", "epochs", "error"];
        writer.write_record(head.into_iter().chain(keys.iter().copied()))?;
        let text = |x: Option<f64>| x.map_or_else(String::new, |x| x.to_string());
        for (i, trial) in self.trials.iter().enumerate() {
            let epochs: Vec<String> = trial.epochs.iter().map(ToString::to_string).collect();
            let fields = [
                (i + 1).to_string(),
                trial.number.to_string(),
                text(trial.score()),
                text(trial.deviation()),
                format!("{:.3}", trial.seconds),
                epochs.join(" "),
                trial.error.clone().unwrap_or_default(),
            ];
            let values = keys.iter().map(|key| trial.settings.get(*key).cloned().unwrap_or_default());
            writer.write_record(fields.into_iter().chain(values))?;
        }
        writer.into_inner().map_err(|e| e.into_error().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn trial(number: usize, scores: &[f64], error: Option<&str>) -> Trial {
        Trial {
            number,
            settings: BTreeMap::from([("train.learning_rate".to_owned(), format!("0.{number}"))]),
            scores: scores.to_vec(),
            epochs: vec![3; scores.len()],
            seconds: 0.5,
            error: error.map(str::to_owned),
            budget: None,
            rungs: Vec::new(),
            curve: Vec::new(),
        }
    }

    #[test]
    fn the_best_is_first_and_failures_are_last() {
        let trials = || {
            vec![
                trial(1, &[], Some("it diverged, \"far\"")),
                trial(2, &[3.0, 5.0], None),
                trial(3, &[1.0, 1.0], None),
                trial(4, &[f64::NAN], None),
                trial(5, &[1.0, 1.0], None),
            ]
        };
        let order = |board: &Leaderboard| board.trials.iter().map(|t| t.number).collect::<Vec<_>>();
        let low = Leaderboard::new(Metric::Rmse, 5, trials(), false);
        assert_eq!(order(&low), [3, 5, 2, 1, 4]);
        assert_eq!(low.best().map(|t| t.number), Some(3));
        let high = Leaderboard::new(Metric::R2, 5, trials(), false);
        assert_eq!(order(&high), [2, 3, 5, 1, 4]);
        assert_eq!((low.trials[2].score(), low.trials[2].deviation()), (Some(4.0), Some(2f64.sqrt())));
        let failed = vec![trial(1, &[], Some("a")), trial(2, &[], Some("b")), trial(3, &[], Some("b"))];
        let failures = Leaderboard::new(Metric::Rmse, 3, failed, false).failures();
        assert_eq!(failures, [("b".to_owned(), 2), ("a".to_owned(), 1)]);
        assert_eq!(Leaderboard::new(Metric::Rmse, 1, vec![trial(1, &[], Some("no"))], false).best(), None);
    }

    #[test]
    fn the_ranking_is_written_as_csv_and_json() {
        let folder = tempfile::tempdir().unwrap();
        let trials = vec![trial(1, &[], Some("it diverged, \"far\"")), trial(2, &[3.0, 5.0], None)];
        let board = Leaderboard::new(Metric::Rmse, 2, trials, false);
        board.save(folder.path()).unwrap();
        let csv = std::fs::read_to_string(folder.path().join("leaderboard.csv")).unwrap();
        assert_eq!(
            csv,
            "rank,trial,score,deviation,seconds,epochs,error,train.learning_rate\n\
             1,2,4,1.4142135623730951,0.500,3 3,,0.2\n\
             2,1,,,0.500,,\"it diverged, \"\"far\"\"\",0.1\n"
        );
        let json = std::fs::read(folder.path().join("leaderboard.json")).unwrap();
        assert_eq!(serde_json::from_slice::<Leaderboard>(&json).unwrap(), board);
    }
}
