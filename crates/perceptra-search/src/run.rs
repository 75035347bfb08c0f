//! Running of a search: trains its trials, promotes them from rung to rung, and writes its files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use perceptra_train::Metric;

use crate::error::SearchError;
use crate::file::write;
use crate::fingerprint;
use crate::halving::{Ladder, budgets};
use crate::journal::{Head, Journal};
use crate::leaderboard::Leaderboard;
use crate::outcome::Outcome;
use crate::search::Search;
use crate::trial::Trial;
use crate::workers::Job;

/// The folder of a search, and the share of its trials that this process runs.
#[derive(Debug, Clone)]
pub struct SearchPlace {
    /// The folder for the journal, the leaderboard and the run files.
    pub folder: PathBuf,
    /// Whether to resume the search in the folder, instead of starting a new one.
    pub resume: bool,
    /// The shard (i, n): every n-th trial from the i-th on, counted from 1. Other machines run the other shards.
    pub shard: (usize, usize),
    /// Trials trained at the same time; by default one for each thread of the CPU, and one on a GPU.
    pub workers: Option<usize>,
}

impl From<&Path> for SearchPlace {
    /// A new search in this folder, with all of its trials.
    fn from(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), resume: false, shard: (1, 1), workers: None }
    }
}

/// An event of a running search.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum SearchEvent<'a> {
    /// The search begins.
    Started {
        /// Number of trials of this shard, including the finished ones.
        planned: usize,
        /// Number of this shard's trials that were finished before.
        finished: usize,
    },
    /// A trial is finished.
    Trial {
        /// The trial that has finished.
        trial: &'a Trial,
        /// Number of finished trials of this shard.
        finished: usize,
        /// The best score so far; `None` if no trial has a score.
        best: Option<f64>,
    },
}

impl Search<'_> {
    /// Runs the trials that are not finished yet, and ranks all finished ones. Each trial that ends is written to the journal, and its run
    /// file as `trial-N.toml`, which `perceptra train --config` takes; a search that was interrupted or killed continues from there with
    /// [`SearchPlace::resume`]. A trial that fails or diverges is kept with the reason.
    ///
    /// With `halving` all trials are trained for a few epochs first, and the best of them are promoted from rung to rung, each time for
    /// more epochs. With `max_parallel`, at most that many trials are in progress at once: when one ends, a promoted trial takes its place,
    /// else a new one.
    ///
    /// The result does not depend on how many trials are trained at the same time.
    ///
    /// # Errors
    ///
    /// [`SearchError::Occupied`], [`SearchError::NoSearch`], [`SearchError::OtherSearch`], [`SearchError::Damaged`],
    /// [`SearchError::File`], [`SearchError::Lock`]; [`SearchError::Settings`] for a shard that does not exist.
    pub fn run(
        &self,
        place: &SearchPlace,
        watch: &mut dyn FnMut(&SearchEvent<'_>),
        interrupt: Option<&AtomicBool>,
    ) -> Result<Leaderboard, SearchError> {
        let (shard, shards) = place.shard;
        if shard == 0 || shard > shards {
            return Err(SearchError::Settings(format!("there is no shard {shard} of {shards}")));
        }
        let (mut journal, mut trials) = Journal::open(&place.folder, &self.head(), place.resume)?;
        let done: BTreeSet<usize> = trials.iter().map(|t| t.number).collect();
        let mine: Vec<usize> = (1..=self.planned).filter(|n| (n - 1) % shards == shard - 1).collect();
        let mut finished = mine.iter().filter(|n| done.contains(n)).count();
        watch(&SearchEvent::Started { planned: mine.len(), finished });

        let budgets = budgets(self.run.train.epochs, self.run.search.halving, mine.len());
        let max_parallel = self.run.search.max_parallel.filter(|_| budgets.len() > 1).unwrap_or(mine.len()).max(1);
        let mut ladder = Ladder::new(&mine, budgets.len(), self.run.search.halving.unwrap_or(1), self.metric);
        // The scores of each trial at the rungs it has passed; for trials that were finished before, they come from the journal.
        let mut rungs: BTreeMap<usize, Vec<f64>> = trials.iter().map(|t| (t.number, t.rungs.clone())).collect();
        // The outcomes of trials that wait at a rung.
        let mut waiting: BTreeMap<usize, Vec<Outcome>> = BTreeMap::new();
        loop {
            let generation = ladder.next(max_parallel);
            let mut keep = |trial: Trial| -> Result<(), SearchError> {
                journal.add(&trial)?;
                self.write_run(&place.folder, trial.number)?;
                finished += 1;
                trials.push(trial);
                let best = best_score(&trials, self.metric);
                watch(&SearchEvent::Trial { trial: &trials[trials.len() - 1], finished, best });
                Ok(())
            };
            for (number, rung) in generation.dropped {
                if let Some(outcomes) = waiting.remove(&number) {
                    keep(self.trial(number, &outcomes, budgets[rung], rungs.get(&number)))?;
                }
            }
            if generation.promoted.is_empty() {
                break;
            }
            let mut jobs = Vec::new();
            for &(number, rung) in &generation.promoted {
                match (done.contains(&number), rungs.get(&number).and_then(|scores| scores.get(rung))) {
                    (true, score) => ladder.arrive(number, rung, score.copied()),
                    (false, _) => jobs.push(Job { number, until: budgets[rung], outcomes: waiting.remove(&number) }),
                }
            }
            let rung_of: BTreeMap<usize, usize> = generation.promoted.iter().copied().collect();
            let complete = self.train_jobs(jobs, place.workers, interrupt, &mut |number, outcomes| {
                let rung = rung_of[&number];
                let trial = self.trial(number, &outcomes, budgets[rung], rungs.get(&number));
                let score = trial.score().filter(|_| rung + 1 < budgets.len());
                ladder.arrive(number, rung, score);
                match score {
                    None => keep(trial),
                    Some(score) => {
                        rungs.entry(number).or_default().push(score);
                        waiting.insert(number, outcomes);
                        Ok(())
                    }
                }
            })?;
            if !complete {
                break;
            }
        }
        let whole = trials.iter().filter(|t| mine.contains(&t.number)).count() == mine.len();
        let board = Leaderboard::new(self.metric, self.planned, trials, !whole);
        board.save(&place.folder)?;
        Ok(board)
    }

    fn head(&self) -> Head {
        Head {
            settings: fingerprint::of_settings(&self.run),
            data: self.data,
            metric: self.metric,
            planned: self.planned,
            run: self.run.to_toml(),
        }
    }

    fn write_run(&self, folder: &Path, number: usize) -> Result<(), SearchError> {
        // Settings that contradict each other make no run file: the trial has failed, and its reason is in the journal.
        let Ok(mut run) = self.run_of(number) else { return Ok(()) };
        run.output.model = Some(format!("trial-{number}.perceptra").into());
        write(&folder.join(format!("trial-{number}.toml")), run.to_toml().as_bytes())
    }

    /// Trial `number` with these outcomes on its cases, of which the last may have failed. `budget` is the epoch up to which it was
    /// trained, `rungs` has its scores at the rungs it has passed.
    pub(crate) fn trial(&self, number: usize, outcomes: &[Outcome], budget: usize, rungs: Option<&Vec<f64>>) -> Trial {
        let mut trial = Trial {
            number,
            settings: self.points[number - 1].settings.clone(),
            scores: Vec::new(),
            epochs: Vec::new(),
            seconds: 0.0,
            error: None,
            budget: (budget < usize::MAX).then_some(budget),
            rungs: rungs.cloned().unwrap_or_default(),
            curve: Vec::new(),
        };
        for outcome in outcomes {
            match outcome {
                Outcome::Score { score, epoch, seconds, curve, .. } => {
                    if trial.curve.is_empty() {
                        trial.curve.clone_from(curve);
                    }
                    trial.scores.push(*score);
                    trial.epochs.push(*epoch);
                    trial.seconds += seconds;
                }
                Outcome::Failed { reason, seconds } => {
                    trial.seconds += seconds;
                    trial.error = Some(reason.clone());
                }
                Outcome::Interrupted => {}
            }
        }
        if trial.error.is_some() {
            trial.scores.clear();
            trial.epochs.clear();
            trial.curve.clear();
        }
        trial
    }
}

fn best_score(trials: &[Trial], metric: Metric) -> Option<f64> {
    let scores = trials.iter().filter_map(Trial::score).filter(|s| s.is_finite());
    scores.reduce(|a, b| if metric.better(b, a, 0.0) { b } else { a })
}
