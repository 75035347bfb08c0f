//! The final model of a search.

use std::sync::atomic::AtomicBool;

use perceptra_model::{Ensemble, Partition, RunConfig, Trained, train, train_many};
use perceptra_train::{Metric, Observer};

use crate::error::SearchError;
use crate::leaderboard::Leaderboard;
use crate::search::Search;
use crate::selection::CANDIDATES;
use crate::trial::Trial;

impl Search<'_> {
    /// Trains the final model with the settings of the best trial and evaluates it on the test rows. After a cross-validation, it is
    /// trained on all other rows, for the mean of the best numbers of epochs over the cases; else it is trained as in the trial, which
    /// gives the trial's model.
    ///
    /// # Errors
    ///
    /// [`SearchError::AllFailed`] if no trial has a score, and as [`train`].
    pub fn refit(
        &self,
        board: &Leaderboard,
        observer: &mut impl Observer,
    ) -> Result<(RunConfig, Trained), SearchError> {
        let run = self.final_run(best_of(board)?)?;
        let trained = train(&run, self.tables, self.device, observer)?;
        Ok((run, trained))
    }

    /// Trains final models of several trials, each in the way of [`Search::refit`], and joins them into one ensemble. `which` chooses the
    /// trials: the best ones, or those of a greedy selection (see [`Ensemble`]). Returns the number and the weight of each chosen trial,
    /// and the model.
    ///
    /// # Errors
    ///
    /// As [`Search::refit`].
    pub fn ensemble(
        &self,
        board: &Leaderboard,
        which: Ensemble,
        interrupt: Option<&AtomicBool>,
    ) -> Result<(Vec<(usize, f64)>, Trained), SearchError> {
        let best = best_of(board)?;
        // Only trials that were trained for as many epochs as the best.
        let comparable = |t: &&Trial| t.budget == best.budget && t.score().is_some_and(f64::is_finite);
        let ranked = board.trials.iter().filter(comparable);
        let members: Vec<(&Trial, f64)> = match which {
            Ensemble::Best(n) => ranked.take(n).map(|t| (t, 1.0)).collect(),
            Ensemble::Auto => self.select(&ranked.take(CANDIDATES).collect::<Vec<_>>(), interrupt)?,
        };
        let total: f64 = members.iter().map(|(_, weight)| weight).sum();
        let weights: Vec<(usize, f64)> = members.iter().map(|(t, weight)| (t.number, weight / total)).collect();
        let mut split = self.run.clone();
        if self.run.search.folds.is_some() {
            split.split.validation = 0.0;
        }
        let parts = Partition::of(&split, self.tables)?;
        // The test rows judge only the joined model.
        let rows = Partition { test: None, ..parts.clone() };
        let tables = rows.tables();
        let run = |(trial, _): &(&Trial, f64)| Ok((rows.settle(&self.final_run(trial)?), &tables));
        let runs = members.iter().map(run).collect::<Result<Vec<_>, SearchError>>()?;
        let trained = train_many(&runs, self.device, interrupt).into_iter().collect::<Result<Vec<_>, _>>()?;
        let trained =
            Trained::join(weights.iter().map(|(_, weight)| *weight).zip(trained), &parts, self.run.output.calibrate)?;
        Ok((weights, trained))
    }

    /// The run that trains a trial's final model.
    fn final_run(&self, trial: &Trial) -> Result<RunConfig, SearchError> {
        let mut run = self.run_of(trial.number)?;
        if self.run.search.folds.is_some() {
            let epochs = trial.epochs.iter().sum::<usize>() as f64 / trial.epochs.len().max(1) as f64;
            run.train.epochs = (epochs.round() as usize).max(1);
            run.train.patience = None;
            run.train.target = None;
            run.train.no_progress = None;
            run.train.monitor = Metric::Loss;
            run.split.validation = 0.0;
        }
        Ok(run)
    }
}

fn best_of(board: &Leaderboard) -> Result<&Trial, SearchError> {
    board.best().ok_or_else(|| SearchError::AllFailed { reasons: board.failures() })
}
