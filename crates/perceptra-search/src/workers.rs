//! Training of trials, many at once.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::Instant;

use perceptra_model::{Partition, Tables, train_many, train_stage};
use perceptra_train::{has_own_memory, threads, with_threads};

use crate::error::SearchError;
use crate::outcome::Outcome;
use crate::search::Search;

/// Number of networks that are trained at once on a device with memory of its own.
const TOGETHER: usize = 256;

/// A trial to train, or to continue, up to an epoch.
pub(crate) struct Job {
    /// Number of the trial.
    pub(crate) number: usize,
    /// The epoch up to which it is trained.
    pub(crate) until: usize,
    /// Outcome on each case so far; `None` if the trial has not been trained before.
    pub(crate) outcomes: Option<Vec<Outcome>>,
}

/// Callback for a trained trial, with its number and its outcomes on the cases, of which the last may have failed.
pub(crate) type Finished<'a> = dyn FnMut(usize, Vec<Outcome>) -> Result<(), SearchError> + 'a;

impl Search<'_> {
    /// Trains each job's trial up to the job's epoch and calls `finished` for it. Returns whether all were trained, which is false if the
    /// user interrupted.
    pub(crate) fn train_jobs(
        &self,
        mut jobs: Vec<Job>,
        workers: Option<usize>,
        interrupt: Option<&AtomicBool>,
        finished: &mut Finished<'_>,
    ) -> Result<bool, SearchError> {
        let cases = self.cases;
        let units = jobs.len() * cases;
        let on_cpu = !has_own_memory(self.device);
        if !on_cpu && workers.is_none() && self.run.search.halving.is_none() {
            let numbers: Vec<usize> = jobs.iter().map(|job| job.number).collect();
            return self.train_together(&numbers, interrupt, finished);
        }
        let workers = workers.unwrap_or(if on_cpu { threads() } else { 1 }).clamp(1, units.max(1));
        let mut before: BTreeMap<(usize, usize), Mutex<Option<Outcome>>> = BTreeMap::new();
        for job in &mut jobs {
            let outcomes = job.outcomes.take().into_iter().flatten().enumerate();
            before.extend(outcomes.map(|(case, o)| ((job.number, case), Mutex::new(Some(o)))));
        }
        let jobs = &jobs;
        let (next, failed) = (AtomicUsize::new(0), jobs.iter().map(|_| AtomicBool::new(false)).collect::<Vec<_>>());
        let interrupted = || interrupt.is_some_and(|flag| flag.load(Ordering::Relaxed));
        // The channel is bounded, so that workers do not run far ahead of the results that are kept.
        let (send, receive) = mpsc::sync_channel(workers);
        let (mut problem, mut complete) = (None, 0);
        std::thread::scope(|scope| {
            for _ in 0..workers {
                let (send, next, failed, before) = (send.clone(), &next, &failed, &before);
                scope.spawn(move || {
                    loop {
                        let unit = next.fetch_add(1, Ordering::Relaxed);
                        if unit >= units || interrupted() {
                            break;
                        }
                        let (job, case) = (unit / cases, unit % cases);
                        // A trial that failed on another case has no score, whatever this case's outcome.
                        if failed[job].load(Ordering::Relaxed) {
                            continue;
                        }
                        let Job { number, until, .. } = jobs[job];
                        let so_far = before.get(&(number, case));
                        let so_far = so_far.and_then(|o| o.lock().unwrap_or_else(PoisonError::into_inner).take());
                        let work = || self.train_case(number, case, until, so_far, interrupt);
                        let outcome = if workers > 1 { with_threads(1, work) } else { work() };
                        failed[job].fetch_or(outcome.is_failed(), Ordering::Relaxed);
                        if send.send((job, case, outcome)).is_err() {
                            break;
                        }
                    }
                });
            }
            drop(send);
            let mut slots: Vec<Vec<Option<Outcome>>> =
                jobs.iter().map(|_| (0..cases).map(|_| None).collect()).collect();
            for (job, case, outcome) in receive {
                let slot = &mut slots[job];
                if slot.is_empty() || outcome.is_interrupted() {
                    continue;
                }
                let failure = outcome.is_failed();
                slot[case] = Some(outcome);
                if !failure && slot.iter().any(Option::is_none) {
                    continue;
                }
                let outcomes = std::mem::take(slot).into_iter().flatten().collect();
                complete += 1;
                if let Err(error) = finished(jobs[job].number, outcomes) {
                    // Later trials could not be kept either.
                    problem.get_or_insert(error);
                    next.store(units, Ordering::Relaxed);
                }
            }
        });
        match problem {
            Some(problem) => Err(problem),
            None => Ok(complete == jobs.len()),
        }
    }

    /// Trains trials to their end on a device with memory of its own, all cases of many trials at once. Returns whether all were trained,
    /// which is false if the user interrupted.
    pub(crate) fn train_together(
        &self,
        numbers: &[usize],
        interrupt: Option<&AtomicBool>,
        finished: &mut Finished<'_>,
    ) -> Result<bool, SearchError> {
        let tables: Vec<Tables> = self.partitions.iter().map(Partition::tables).collect();
        for numbers in numbers.chunks(TOGETHER.div_ceil(self.cases)) {
            let (mut runs, mut planned) = (Vec::new(), Vec::new());
            for number in numbers {
                let run = self.run_of(*number);
                let settled = run.map(|run| self.partitions.iter().map(|case| case.settle(&run)).collect::<Vec<_>>());
                planned.push(settled.map(|settled| {
                    runs.extend(settled.into_iter().zip(&tables));
                }));
            }
            let trained = catch_unwind(AssertUnwindSafe(|| train_many(&runs, self.device, interrupt)));
            // A panic of the driver would fail all trials that are trained together. Trained one by one, only the trials that cause it
            // fail.
            let Ok(trained) = trained else {
                for number in numbers {
                    let cases = 0..self.cases;
                    let outcomes: Vec<Outcome> =
                        cases.map(|case| self.train_case(*number, case, usize::MAX, None, interrupt)).collect();
                    if outcomes.iter().any(Outcome::is_interrupted) {
                        return Ok(false);
                    }
                    finished(*number, outcomes)?;
                }
                continue;
            };
            let mut trained = trained.into_iter();
            for (number, planned) in numbers.iter().zip(planned) {
                let failed = |reason: String| Outcome::Failed { reason, seconds: 0.0 };
                let outcomes = match planned {
                    Err(error) => vec![failed(error.to_string())],
                    Ok(()) => {
                        let cases = trained.by_ref().take(self.cases);
                        let outcome = |trained: &_| Outcome::of(trained, self.metric, None, None);
                        cases.map(|t| t.map_or_else(|e| failed(e.to_string()), |t| outcome(&t))).collect()
                    }
                };
                if outcomes.iter().any(Outcome::is_interrupted) {
                    return Ok(false);
                }
                finished(*number, outcomes)?;
            }
        }
        Ok(true)
    }

    /// Trains a trial on one case up to epoch `until`, continuing from its outcome so far.
    fn train_case(
        &self,
        number: usize,
        case: usize,
        until: usize,
        so_far: Option<Outcome>,
        interrupt: Option<&AtomicBool>,
    ) -> Outcome {
        let (from, spent) = match so_far {
            Some(Outcome::Score { state: Some(state), seconds, .. }) => (Some(state), seconds),
            // The training on this case has ended before.
            Some(ended) => return ended,
            None => (None, 0.0),
        };
        let start = Instant::now();
        let work = || {
            let case = &self.partitions[case];
            let run = case.settle(&self.run_of(number)?);
            let mut observer = interrupt;
            let stage = train_stage(&run, &case.tables(), self.device, from.as_deref(), until, &mut observer);
            stage.map_err(SearchError::from)
        };
        let stage = catch_unwind(AssertUnwindSafe(work));
        let seconds = spent + start.elapsed().as_secs_f64();
        match stage {
            Ok(Ok((trained, state))) => Outcome::of(&trained, self.metric, state, Some(seconds)),
            Ok(Err(error)) => Outcome::Failed { reason: error.to_string(), seconds },
            Err(panic) => {
                let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
                Outcome::Failed { reason: format!("internal error: {}", text.unwrap_or("no message")), seconds }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;
    use perceptra_model::Sampler;

    use crate::leaderboard::Leaderboard;
    use crate::run::SearchPlace;
    use crate::tests::{run, table, timeless};

    #[test]
    fn trials_trained_together_are_those_trained_one_by_one() {
        let tables = Tables::from(table(120));
        let device = Device::flex();
        for folds in [None, Some(3)] {
            let mut run = run(&[("lr", "0.01,1e20"), ("hidden", "4,8")], Sampler::Grid, 0);
            run.train.optimizer = perceptra_train::Optimizer::Sgd;
            run.search.folds = folds;
            let plan = Search::new(&run, &tables, &device).unwrap();
            let folder = tempfile::tempdir().unwrap();
            let board = plan.run(&SearchPlace::from(folder.path()), &mut |_| (), None).unwrap();
            let mut trials = Vec::new();
            let mut keep = |number: usize, outcomes: Vec<Outcome>| {
                trials.push(plan.trial(number, &outcomes, usize::MAX, None));
                Ok(())
            };
            assert!(plan.train_together(&[1, 2, 3, 4], None, &mut keep).unwrap());
            assert!(trials.iter().filter(|t| t.error.is_some()).count() == 2);
            let together = Leaderboard::new(board.metric, 4, trials, false);
            assert_eq!(timeless(&together), timeless(&board));
            let stop = AtomicBool::new(true);
            assert!(!plan.train_together(&[1], Some(&stop), &mut |_, _| panic!("it was interrupted")).unwrap());
        }
    }
}
