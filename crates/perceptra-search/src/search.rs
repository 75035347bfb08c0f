//! Trials, many at once.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::Instant;

use burn::tensor::Device;
use perceptra_data::{Encoder, Schema, Table, Task};
use perceptra_model::{
    Ensemble, ModelError, Partition, Predictions, RunConfig, Tables, Trained, train, train_many, train_stage,
};
use perceptra_train::{
    History, Metric, Observer, Quiet, StopReason, TrainState, has_own_memory, parallel, threads, with_threads,
};

use crate::board::write;
use crate::halving::Ladder;
use crate::journal::{Head, Journal};
use crate::{Leaderboard, Point, SearchError, Space, Trial};

/// A search that is planned: its points, and the parts of the rows on which each is tried.
#[derive(Debug)]
pub struct Search<'a> {
    run: RunConfig,
    tables: &'a Tables,
    device: &'a Device,
    space: Space,
    points: Vec<Point>,
    /// What a trial trains on; it is judged by the test rows of folds, else by the validation rows. Test rows of the run are in
    /// none.
    cases: Vec<Partition>,
    metric: Metric,
    data: u32,
}

/// Where a search keeps what is finished, and how much of it is done here.
#[derive(Debug, Clone)]
pub struct SearchPlace {
    /// The folder of journal, ranking and run files.
    pub folder: PathBuf,
    /// Whether the search in the folder goes on.
    pub resume: bool,
    /// (i, n): only every n-th trial from the i-th on, i from 1; the others are for other machines.
    pub shard: (usize, usize),
    /// Trials at once; by default one for each thread of the CPU, and one on a GPU.
    pub workers: Option<usize>,
}

impl SearchPlace {
    /// A new search in this folder, all of it.
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), resume: false, shard: (1, 1), workers: None }
    }
}

/// What the caller of [`Search::run`] is told.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum SearchEvent<'a> {
    /// It begins.
    Started {
        /// Trials to run here, those that are finished included.
        planned: usize,
        /// Trials that were finished before.
        finished: usize,
    },
    /// A trial is finished.
    Trial {
        /// The trial.
        trial: &'a Trial,
        /// Trials finished.
        finished: usize,
        /// The best score so far.
        best: Option<f64>,
    },
}

/// Trials among which greedy selection chooses.
const CANDIDATES: usize = 20;
/// Networks that are trained at once on a device with memory of its own.
const TOGETHER: usize = 256;
/// Members that it takes at most, each as often as it is taken.
const ROUNDS: usize = 30;

/// What became of a trial on one of its cases.
enum Outcome {
    /// With the state to go on from, if there is more to train.
    Score {
        score: f64,
        epoch: usize,
        seconds: f64,
        curve: Vec<(usize, f64)>,
        state: Option<Box<TrainState>>,
    },
    Failed {
        reason: String,
        seconds: f64,
    },
    Interrupted,
}

/// The outcomes of trials on each case, by their numbers.
type Standing = BTreeMap<usize, Vec<Outcome>>;

/// A trial that is to be trained up to an epoch, from these outcomes on.
struct Step {
    number: usize,
    until: usize,
    outcomes: Option<Vec<Outcome>>,
}

/// What is done with a trial that is through: its outcomes on each case.
type Through<'a> = dyn FnMut(usize, Vec<Outcome>) -> Result<(), SearchError> + 'a;

impl<'a> Search<'a> {
    /// Plans the search that `run.search` describes, on `tables`, whose test rows it leaves aside.
    ///
    /// The encoder is part of a trial: it learns from the rows of the trial's own training part alone.
    ///
    /// # Errors
    ///
    /// What can be wrong with the run, its space and its tables.
    pub fn new(run: &RunConfig, tables: &'a Tables, device: &'a Device) -> Result<Self, SearchError> {
        run.validate()?;
        let options = &run.search;
        let settings = |text: &str| Err(SearchError::Settings(text.to_owned()));
        if tables.is_streamed() {
            return settings("stream is set, and searches are made on tables in memory");
        }
        if options.repeats == 0 {
            return settings("repeats is 0, it must be at least 1");
        }
        let mut base = run.clone();
        base.search = Default::default();
        base.checkpoint.folder = None;
        let space = Space::parse(&base, &options.space)?;
        let points = space.points(options.sampler, options.trials, run.train.seed)?;
        if options.halving.is_some_and(|factor| factor < 2) {
            return settings("halving is below 2: one trial in so many goes on to the next rung");
        }
        if points.is_empty() {
            return settings("trials is 0, it must be at least 1");
        }
        if options.places == Some(0) {
            return settings("places is 0, it must be at least 1");
        }
        if run.network.ensemble > 1 || options.space.keys().any(|key| key == "ensemble" || key == "network.ensemble") {
            return settings(
                "network.ensemble is set, and a trial has one network: search.ensemble joins those of the best",
            );
        }
        let cases = cases(run, &base, tables)?;
        let schema = Schema::infer(&tables.table, &run.data.schema).map_err(ModelError::from)?;
        let metric = match (options.metric, run.train.monitor, schema.task) {
            (Some(Metric::Loss), ..) => return settings("trials differ in their loss: rank them by another metric"),
            (Some(metric), ..) => metric,
            (None, Metric::Loss, Task::Regression) => Metric::Rmse,
            (None, Metric::Loss, _) => Metric::LogLoss,
            (None, monitor, _) => monitor,
        };
        if metric.is_of_classes() != schema.task.is_classification() {
            let (metric, task) = (metric.to_string(), schema.task.to_string());
            return Err(ModelError::MetricMismatch { metric, task }.into());
        }
        let data = fingerprint(run, tables, &schema)?;
        Ok(Self { run: run.clone(), tables, device, space, points, cases, metric, data })
    }

    /// What is searched.
    pub fn space(&self) -> &Space {
        &self.space
    }

    /// Points that are tried, in order of their numbers.
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// What trials are ranked by.
    pub fn metric(&self) -> Metric {
        self.metric
    }

    /// Partition on which each trial is judged.
    pub fn cases(&self) -> usize {
        self.cases.len()
    }

    /// Runs the trials that are not finished, and ranks all that are. Each one that ends is written to the journal and as
    /// `trial-N.toml`, which `perceptra train --config` takes; a search that is interrupted, or killed, goes on from there with
    /// [`SearchPlace::resume`]. A trial that fails, or diverges, is a row with its reason.
    ///
    /// With `halving` all trials are trained for a few epochs first, and the best of them go on from where they stand, rung by rung.
    /// With `places` only so many are in work at once: a place that becomes free is taken by one that goes on, else by a new one.
    ///
    /// The result does not depend on how many trials run at once.
    ///
    /// # Errors
    ///
    /// [`SearchError::Occupied`], [`SearchError::NoSearch`], [`SearchError::OtherSearch`], [`SearchError::Damaged`],
    /// [`SearchError::File`], [`SearchError::Lock`]; [`SearchError::Settings`] for a shard that is none.
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
        let head = self.head();
        let (mut journal, mut trials) = Journal::open(&place.folder, &head, place.resume)?;
        let done: BTreeSet<usize> = trials.iter().map(|t| t.number).collect();
        let mine: Vec<usize> = (1..=self.points.len()).filter(|n| (n - 1) % shards == shard - 1).collect();
        let open: Vec<usize> = mine.iter().copied().filter(|n| !done.contains(n)).collect();
        let finished = mine.len() - open.len();
        watch(&SearchEvent::Started { planned: mine.len(), finished });

        let budgets = self.budgets(mine.len());
        let places = self.run.search.places.filter(|_| budgets.len() > 1).unwrap_or(mine.len()).max(1);
        let mut ladder = Ladder::new(&mine, budgets.len(), self.run.search.halving.unwrap_or(1), self.metric);
        // The scores of each trial at the rungs it has passed; of those that were decided before, the journal knows.
        let mut rungs: BTreeMap<usize, Vec<f64>> = trials.iter().map(|t| (t.number, t.rungs.clone())).collect();
        let (mut standing, mut count) = (Standing::new(), finished);
        loop {
            let (go, drop) = ladder.next(places);
            let mut keep = |trial: Trial| -> Result<(), SearchError> {
                journal.add(&trial)?;
                self.write_run(&place.folder, trial.number)?;
                count += 1;
                trials.push(trial);
                let best = best_of(&trials, self.metric);
                watch(&SearchEvent::Trial { trial: &trials[trials.len() - 1], finished: count, best });
                Ok(())
            };
            for (number, rung) in drop {
                if let Some(outcomes) = standing.remove(&number) {
                    keep(self.trial(number, &outcomes, budgets[rung], rungs.get(&number)))?;
                }
            }
            if go.is_empty() {
                break;
            }
            let mut open = Vec::new();
            for &(number, rung) in &go {
                match (done.contains(&number), rungs.get(&number).and_then(|scores| scores.get(rung))) {
                    (true, score) => ladder.arrive(number, rung, score.copied()),
                    _ => open.push(Step { number, until: budgets[rung], outcomes: standing.remove(&number) }),
                }
            }
            let at: BTreeMap<usize, usize> = go.iter().copied().collect();
            let complete = self.climb(open, place.workers, interrupt, &mut |number, outcomes| {
                let rung = at[&number];
                let trial = self.trial(number, &outcomes, budgets[rung], rungs.get(&number));
                let score = trial.score().filter(|_| rung + 1 < budgets.len());
                ladder.arrive(number, rung, score);
                match score {
                    None => keep(trial),
                    Some(score) => {
                        rungs.entry(number).or_default().push(score);
                        standing.insert(number, outcomes);
                        Ok(())
                    }
                }
            })?;
            if !complete {
                break;
            }
        }
        let whole = trials.iter().filter(|t| mine.contains(&t.number)).count() == mine.len();
        let board = Leaderboard::new(self.metric, self.points.len(), trials, !whole);
        board.save(&place.folder)?;
        Ok(board)
    }

    /// The epochs up to which trials are trained, rung by rung; one rung without an end where nothing is halved.
    ///
    /// Of successive halving (Jamieson, Talwalkar, 2016) with factor η: each rung has η times the epochs of the one before, the last
    /// one all of them, and one in η goes on, until one is left or a rung would have less than an epoch.
    fn budgets(&self, trials: usize) -> Vec<usize> {
        let Some(factor) = self.run.search.halving else { return vec![usize::MAX] };
        let mut budgets = vec![usize::MAX];
        let (mut epochs, mut left) = (self.run.train.epochs / factor, trials.div_ceil(factor));
        while epochs >= 1 && left >= 1 && budgets.len() < 64 {
            budgets.insert(0, epochs);
            if left == 1 {
                break;
            }
            (epochs, left) = (epochs / factor, left.div_ceil(factor));
        }
        budgets
    }

    /// Trains trials up to their epochs, from where they stand: whether all were trained. `through` takes each that is.
    fn climb(
        &self,
        mut open: Vec<Step>,
        workers: Option<usize>,
        interrupt: Option<&AtomicBool>,
        through: &mut Through<'_>,
    ) -> Result<bool, SearchError> {
        let cases = self.cases.len();
        let units = open.len() * cases;
        let on_cpu = !has_own_memory(&self.device);
        if !on_cpu && workers.is_none() && self.run.search.halving.is_none() {
            let numbers: Vec<usize> = open.iter().map(|step| step.number).collect();
            return self.together(&numbers, interrupt, through);
        }
        let workers = workers.unwrap_or(if on_cpu { threads() } else { 1 }).clamp(1, units.max(1));
        let mut before: BTreeMap<(usize, usize), Mutex<Option<Outcome>>> = BTreeMap::new();
        for step in &mut open {
            let outcomes = step.outcomes.take().into_iter().flatten().enumerate();
            before.extend(outcomes.map(|(case, o)| ((step.number, case), Mutex::new(Some(o)))));
        }
        let open = &open;
        let (next, failed) = (AtomicUsize::new(0), open.iter().map(|_| AtomicBool::new(false)).collect::<Vec<_>>());
        let interrupted = || interrupt.is_some_and(|flag| flag.load(Ordering::Relaxed));
        // Workers do not run far ahead of what is kept.
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
                        let (trial, case) = (unit / cases, unit % cases);
                        // Another of its cases has failed already: there is nothing to rank.
                        if failed[trial].load(Ordering::Relaxed) {
                            continue;
                        }
                        let Step { number, until, .. } = open[trial];
                        let stands = before.get(&(number, case));
                        let stands = stands.and_then(|s| s.lock().unwrap_or_else(PoisonError::into_inner).take());
                        let work = || self.try_case(number, case, until, stands, interrupt);
                        let outcome = if workers > 1 { with_threads(1, work) } else { work() };
                        failed[trial].fetch_or(matches!(outcome, Outcome::Failed { .. }), Ordering::Relaxed);
                        if send.send((trial, case, outcome)).is_err() {
                            break;
                        }
                    }
                });
            }
            drop(send);
            let mut slots: Vec<Vec<Option<Outcome>>> =
                open.iter().map(|_| (0..cases).map(|_| None).collect()).collect();
            for (index, case, outcome) in receive {
                let slot = &mut slots[index];
                if slot.is_empty() || matches!(outcome, Outcome::Interrupted) {
                    continue;
                }
                let failure = matches!(outcome, Outcome::Failed { .. });
                slot[case] = Some(outcome);
                if !failure && slot.iter().any(Option::is_none) {
                    continue;
                }
                let outcomes = std::mem::take(slot).into_iter().flatten().collect();
                complete += 1;
                if let Err(error) = through(open[index].number, outcomes) {
                    // Nothing that comes after would be kept either.
                    problem.get_or_insert(error);
                    next.store(units, Ordering::Relaxed);
                }
            }
        });
        match problem {
            Some(problem) => Err(problem),
            None => Ok(complete == open.len()),
        }
    }

    /// Trains the model of the best trial. After a cross-validation on all rows but the test rows, for as many epochs as were best
    /// on average; else as the trial was trained, so that this is its model. The test rows judge it.
    ///
    /// # Errors
    ///
    /// [`SearchError::AllFailed`] if no trial came to a result, and as [`train`].
    pub fn refit(
        &self,
        board: &Leaderboard,
        observer: &mut impl Observer,
    ) -> Result<(RunConfig, Trained), SearchError> {
        let run = self.final_run(board.best().ok_or_else(|| SearchError::AllFailed { reasons: board.failures() })?)?;
        let trained = train(&run, self.tables, self.device, observer)?;
        Ok((run, trained))
    }

    /// The run by which a trial's final model is trained.
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

    /// Trains the models of several trials, as [`Search::refit`] does that of the best, and joins them into one: the best ones, or
    /// those that greedy selection takes, with its weights (see [`Ensemble`]). Gives their numbers and weights too. For the
    /// selection the best trials are trained again on each part, to have their predictions.
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
        let best = board.best().ok_or_else(|| SearchError::AllFailed { reasons: board.failures() })?;
        // Only those that were trained as long as the best.
        let fit = |t: &&Trial| t.budget == best.budget && t.score().is_some_and(f64::is_finite);
        let members: Vec<(&Trial, f64)> = match which {
            Ensemble::Best(n) => board.trials.iter().filter(fit).take(n).map(|t| (t, 1.0)).collect(),
            Ensemble::Auto => {
                self.select(&board.trials.iter().filter(fit).take(CANDIDATES).collect::<Vec<_>>(), interrupt)?
            }
        };
        let total: f64 = members.iter().map(|(_, weight)| weight).sum();
        let weights: Vec<(usize, f64)> = members.iter().map(|(t, weight)| (t.number, weight / total)).collect();
        let mut aside = self.run.clone();
        if self.run.search.folds.is_some() {
            aside.split.validation = 0.0;
        }
        let parts = Partition::of(&aside, self.tables)?;
        // The test rows judge the whole alone.
        let rows = Partition { test: None, ..parts.clone() };
        let tables = rows.tables();
        let run = |(trial, _): &(&Trial, f64)| Ok((rows.settle(&self.final_run(trial)?), &tables));
        let runs = members.iter().map(run).collect::<Result<Vec<_>, SearchError>>()?;
        let trained = train_many(&runs, self.device, interrupt).into_iter().collect::<Result<Vec<_>, _>>()?;
        let trained =
            Trained::join(weights.iter().map(|(_, weight)| *weight).zip(trained), &parts, self.run.output.calibrate)?;
        Ok((weights, trained))
    }

    /// Greedy selection, with replacement, from an empty ensemble (Caruana, Niculescu-Mizil, Crew, Ksikes, 2004): the trial that
    /// makes the average score best is added, again and again; the ensemble that scored best is taken.
    fn select<'t>(
        &self,
        candidates: &[&'t Trial],
        interrupt: Option<&AtomicBool>,
    ) -> Result<Vec<(&'t Trial, f64)>, SearchError> {
        let cases = self.cases.len();
        let parts: Vec<Partition> = self.cases.iter().map(|part| Partition { test: None, ..part.clone() }).collect();
        let tables: Vec<Tables> = parts.iter().map(Partition::tables).collect();
        let run = |unit: usize| {
            let run = parts[unit % cases].settle(&self.run_of(candidates[unit / cases].number)?);
            Ok((run, &tables[unit % cases]))
        };
        let runs = (0..candidates.len() * cases).map(run).collect::<Result<Vec<_>, SearchError>>()?;
        let trained = train_many(&runs, self.device, interrupt).into_iter();
        let models = trained.map(|t| t.map(|t| t.model)).collect::<Result<Vec<_>, _>>()?;
        let judged: Vec<&Table> = self.cases.iter().filter_map(|c| c.test.as_ref().or(c.validation.as_ref())).collect();
        let predict = |unit: usize| models[unit].predict(judged[unit % cases]);
        let predictions = parallel(self.device, models.len(), predict).into_iter().collect::<Result<Vec<_>, _>>()?;
        let score = |members: &[usize]| -> Option<f64> {
            let mut total = 0.0;
            for case in 0..cases {
                let of = |&trial: &usize| (1.0 / members.len() as f64, &predictions[trial * cases + case]);
                let average = Predictions::average(members.iter().map(of))?;
                total += models[case].score(judged[case], &average).ok()?.get(self.metric)?;
            }
            Some(total / cases as f64).filter(|score| score.is_finite())
        };
        let (mut members, mut best): (Vec<usize>, Option<(f64, usize)>) = (Vec::new(), None);
        for round in 1..=ROUNDS {
            let scores =
                parallel(&Device::default(), candidates.len(), |next| score(&[&members[..], &[next]].concat()));
            let scored = scores.into_iter().enumerate().filter_map(|(i, score)| Some((score?, i)));
            let Some((value, next)) = scored.reduce(|a, b| if self.metric.better(b.0, a.0, 0.0) { b } else { a })
            else {
                break;
            };
            members.push(next);
            if best.is_none_or(|(score, _)| self.metric.better(value, score, 0.0)) {
                best = Some((value, round));
            }
        }
        members.truncate(best.map_or(0, |(_, round)| round));
        let mut chosen: Vec<(&Trial, f64)> = Vec::new();
        for (i, trial) in candidates.iter().enumerate() {
            let times = members.iter().filter(|m| **m == i).count();
            if times > 0 {
                chosen.push((trial, times as f64));
            }
        }
        // Where nothing can be scored, the best trial.
        Ok(if chosen.is_empty() { vec![(candidates[0], 1.0)] } else { chosen })
    }

    fn head(&self) -> Head {
        const FREE: [&str; 7] = [
            "version",
            "output.device",
            "output.model",
            "checkpoint.",
            "data.table",
            "split.test_file",
            "search.ensemble",
        ];
        let settings = self.run.settings();
        let kept = settings.iter().filter(|(key, _)| !FREE.iter().any(|free| key.starts_with(free)));
        let text: String = kept.map(|(key, value)| format!("{key}={value}\n")).collect();
        Head {
            settings: crc32fast::hash(text.as_bytes()),
            data: self.data,
            metric: self.metric,
            planned: self.points.len(),
            run: self.run.to_toml(),
        }
    }

    /// The run of a trial, as a user would run it.
    fn run_of(&self, number: usize) -> Result<RunConfig, SearchError> {
        let mut base = self.run.clone();
        base.search = Default::default();
        base.checkpoint.folder = None;
        base.output.model = None;
        self.points[number - 1].apply(&base)
    }

    fn write_run(&self, folder: &Path, number: usize) -> Result<(), SearchError> {
        let mut run = self.run_of(number)?;
        run.output.model = Some(format!("trial-{number}.perceptra").into());
        write(&folder.join(format!("trial-{number}.toml")), run.to_toml().as_bytes())
    }

    /// The trial of these outcomes on each of its cases, of which the last may have failed.
    fn trial(&self, number: usize, outcomes: &[Outcome], budget: usize, rungs: Option<&Vec<f64>>) -> Trial {
        let mut trial = Trial {
            number,
            settings: self.points[number - 1].settings(),
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

    /// Trains trials to their ends, all cases of many of them at once: whether all were trained.
    fn together(
        &self,
        numbers: &[usize],
        interrupt: Option<&AtomicBool>,
        through: &mut Through<'_>,
    ) -> Result<bool, SearchError> {
        let tables: Vec<Tables> = self.cases.iter().map(Partition::tables).collect();
        for numbers in numbers.chunks(TOGETHER.div_ceil(self.cases.len())) {
            let (mut runs, mut planned) = (Vec::new(), Vec::new());
            for number in numbers {
                let run = self.run_of(*number);
                let settled = run.map(|run| self.cases.iter().map(|part| part.settle(&run)).collect::<Vec<_>>());
                planned.push(settled.map(|settled| {
                    runs.extend(settled.into_iter().zip(&tables));
                }));
            }
            let trained = catch_unwind(AssertUnwindSafe(|| train_many(&runs, self.device, interrupt)));
            // A driver that panics would take all with it: one by one, it takes those that made it panic.
            let Ok(trained) = trained else {
                for number in numbers {
                    let cases = 0..self.cases.len();
                    let outcomes: Vec<Outcome> =
                        cases.map(|case| self.try_case(*number, case, usize::MAX, None, interrupt)).collect();
                    if outcomes.iter().any(|o| matches!(o, Outcome::Interrupted)) {
                        return Ok(false);
                    }
                    through(*number, outcomes)?;
                }
                continue;
            };
            let mut trained = trained.into_iter();
            for (number, planned) in numbers.iter().zip(planned) {
                let outcomes = match planned {
                    Err(error) => vec![Outcome::Failed { reason: error.to_string(), seconds: 0.0 }],
                    Ok(()) => {
                        let cases = trained.by_ref().take(self.cases.len());
                        cases.map(|t| self.outcome(t.map_err(SearchError::from), None, None)).collect()
                    }
                };
                if outcomes.iter().any(|o| matches!(o, Outcome::Interrupted)) {
                    return Ok(false);
                }
                through(*number, outcomes)?;
            }
        }
        Ok(true)
    }

    /// What became of a trial that was trained on one case, in so many seconds, if they are known otherwise than by its epochs.
    fn outcome(
        &self,
        trained: Result<Trained, SearchError>,
        state: Option<TrainState>,
        seconds: Option<f64>,
    ) -> Outcome {
        let trained = match trained {
            Ok(trained) => trained,
            Err(error) => return Outcome::Failed { reason: error.to_string(), seconds: seconds.unwrap_or(0.0) },
        };
        let history = trained.model.history();
        let seconds = seconds.unwrap_or_else(|| history.epochs.iter().map(|e| e.seconds).sum());
        let reason = match history.stop {
            StopReason::Interrupted => return Outcome::Interrupted,
            StopReason::Diverged => format!("it diverged in epoch {}", history.epochs.len() + 1),
            _ => {
                let metrics = trained.model.metrics().or(trained.validation.as_ref());
                let score = metrics.and_then(|m| m.get(self.metric)).filter(|score| score.is_finite());
                if let Some(score) = score {
                    let (epoch, curve) = (history.best_epoch, curve(history));
                    return Outcome::Score { score, epoch, seconds, curve, state: state.map(Box::new) };
                }
                format!("its {} is not a finite number", self.metric)
            }
        };
        Outcome::Failed { reason, seconds }
    }

    /// Trains a trial on one case up to an epoch, from where it stands.
    fn try_case(
        &self,
        number: usize,
        case: usize,
        until: usize,
        stands: Option<Outcome>,
        interrupt: Option<&AtomicBool>,
    ) -> Outcome {
        let (from, spent) = match stands {
            Some(Outcome::Score { state: Some(state), seconds, .. }) => (Some(state), seconds),
            // It has come to its end before.
            Some(ended) => return ended,
            None => (None, 0.0),
        };
        let start = Instant::now();
        let work = || -> Result<(Trained, Option<TrainState>), SearchError> {
            let part = &self.cases[case];
            let run = part.settle(&self.run_of(number)?);
            let mut observer = Quiet(interrupt);
            Ok(train_stage(&run, &part.tables(), self.device, from.as_deref(), until, &mut observer)?)
        };
        let stage = catch_unwind(AssertUnwindSafe(work));
        let seconds = spent + start.elapsed().as_secs_f64();
        match stage {
            Ok(Ok((trained, state))) => self.outcome(Ok(trained), state, Some(seconds)),
            Ok(Err(error)) => self.outcome(Err(error), None, Some(seconds)),
            Err(panic) => {
                let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
                let reason = format!("internal error: {}", text.unwrap_or("no message"));
                Outcome::Failed { reason, seconds }
            }
        }
    }
}

fn best_of(trials: &[Trial], metric: Metric) -> Option<f64> {
    let scores = trials.iter().filter_map(Trial::score).filter(|s| s.is_finite());
    scores.reduce(|a, b| if metric.better(b, a, 0.0) { b } else { a })
}

/// Points of a learning curve that are kept.
const CURVE: usize = 64;

/// What was monitored after some of the epochs, the last one among them.
fn curve(history: &History) -> Vec<(usize, f64)> {
    let n = history.epochs.len();
    let kept = history.epochs.iter().filter(|e| e.epoch % n.div_ceil(CURVE) == 0 || e.epoch == n);
    kept.map(|e| (e.epoch, e.value())).filter(|(_, value)| value.is_finite()).collect()
}

/// The parts on which each trial is tried.
fn cases(run: &RunConfig, base: &RunConfig, tables: &Tables) -> Result<Vec<Partition>, SearchError> {
    let (folds, repeats) = (run.search.folds, run.search.repeats);
    if folds.is_none() && repeats == 1 {
        let parts = Partition::of(base, tables)?;
        if parts.validation.is_none() {
            let text = "there are no validation rows to judge by: set validation, or folds";
            return Err(SearchError::Settings(text.to_owned()));
        }
        return Ok(vec![Partition { test: None, ..parts }]);
    }
    if tables.validation.is_some() || run.data.schema.split.is_some() {
        let text = "the validation rows are given by a file or a column, and folds and repeats divide the rows anew";
        return Err(SearchError::Settings(text.to_owned()));
    }
    // The test rows first: they are those of `perceptra train`, and no trial sees them.
    let mut aside = base.clone();
    aside.split.validation = 0.0;
    let rest = Partition::of(&aside, tables)?.train;
    let mut cases = Vec::new();
    for repeat in 0..repeats {
        let mut again = base.clone();
        again.split.test = 0.0;
        again.train.seed = base.train.seed.wrapping_add(repeat as u64);
        match folds {
            Some(folds) => cases.extend(Partition::folds(&again, &rest, folds)?),
            None => cases.push(Partition::of(&again, &Tables::from(rest.clone()))?),
        }
    }
    if folds.is_none() && cases.iter().any(|c| c.validation.is_none()) {
        let text = "there are no validation rows to judge by: set validation, or folds";
        return Err(SearchError::Settings(text.to_owned()));
    }
    Ok(cases)
}

/// A check sum of all rows, as the run's own encoder has them.
fn fingerprint(run: &RunConfig, tables: &Tables, schema: &Schema) -> Result<u32, SearchError> {
    let mut hash = crc32fast::Hasher::new();
    let encoder = Encoder::labels_of(&tables.table, schema)
        .and_then(|labels| Encoder::fit(&tables.table, schema, labels, &run.encoder))
        .map_err(ModelError::from)?;
    for table in [Some(&tables.table), tables.validation.as_ref(), tables.test.as_ref()].into_iter().flatten() {
        let inputs = encoder.inputs(table).map_err(ModelError::from)?.0;
        let targets = encoder.outputs_of(table).map_err(ModelError::from)?;
        for value in inputs.values.iter().chain(&targets.values) {
            hash.update(&value.to_le_bytes());
        }
    }
    Ok(hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;
    use perceptra_model::{Model, Sampler};

    fn table(rows: usize) -> Table {
        let rows: String = (0..rows)
            .map(|i| {
                let x = (i * 37 % 101) as f64 / 50.0 - 1.0;
                format!("{x},{},{}\n", (i * 53 % 97) as f64 / 48.0, 3.0 * x * x + 0.5 * ((i * 29 % 31) as f64 / 31.0))
            })
            .collect();
        Table::from_csv("t.csv", format!("a,b,y\n{rows}"), &Default::default()).unwrap()
    }

    fn run(space: &[(&str, &str)], sampler: Sampler, trials: usize) -> RunConfig {
        let mut run = RunConfig::default();
        run.data.schema.target = vec!["y".into()];
        run.network.hidden = vec![8];
        run.network.dropout = 0.0;
        run.train.epochs = 15;
        run.search.sampler = sampler;
        run.search.trials = trials;
        run.search.space = space.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        run
    }

    /// Without what depends on the clock.
    fn timeless(board: &Leaderboard) -> Vec<Trial> {
        board.trials.iter().map(|t| Trial { seconds: 0.0, ..t.clone() }).collect()
    }

    fn search(run: &RunConfig, tables: &Tables, place: &SearchPlace) -> Leaderboard {
        Search::new(run, tables, &Device::flex()).unwrap().run(place, &mut |_| (), None).unwrap()
    }

    #[test]
    fn a_trial_is_what_train_makes_of_its_run_file() {
        let folder = tempfile::tempdir().unwrap();
        let tables = Tables::from(table(200));
        let run = run(&[("lr", "0.05,1e-5"), ("hidden", "8,16x4")], Sampler::Grid, 0);
        let device = Device::flex();
        let plan = Search::new(&run, &tables, &device).unwrap();
        let mut told = Vec::new();
        let mut watch = |event: &SearchEvent<'_>| {
            if let SearchEvent::Trial { finished, .. } = event {
                told.push(*finished);
            }
        };
        let board = plan.run(&SearchPlace::new(folder.path()), &mut watch, None).unwrap();
        assert_eq!(told, [1, 2, 3, 4]);
        assert_eq!((board.planned, board.trials.len(), board.metric), (4, 4, Metric::Rmse));
        // The larger rate learns in 15 epochs, the smaller does not.
        assert!(board.trials[..2].iter().all(|t| t.settings["train.learning_rate"] == "0.05"), "{board:?}");
        for trial in &board.trials {
            let file = folder.path().join(format!("trial-{}.toml", trial.number));
            let alone = train(&RunConfig::read(&file).unwrap(), &tables, &device, &mut ()).unwrap();
            let validation = alone.validation.unwrap().get(Metric::Rmse).unwrap();
            assert_eq!(
                (trial.scores.as_slice(), trial.epochs[0]),
                ([validation].as_slice(), alone.model.history().best_epoch)
            );
        }
        // The best model is that of the best trial, and the test rows judge it.
        let (_, best) = plan.refit(&board, &mut ()).unwrap();
        assert_eq!(best.validation.unwrap().get(Metric::Rmse), board.trials[0].score());
        assert_eq!(best.model.metrics().unwrap().rows, 40);
    }

    #[test]
    fn folds_judge_every_row_but_the_test_rows_and_the_refit_has_all_of_them() {
        let folder = tempfile::tempdir().unwrap();
        let tables = Tables::from(table(100));
        let mut run = run(&[("lr", "log:1e-3..1e-1")], Sampler::Random, 3);
        run.search.folds = Some(4);
        run.search.repeats = 2;
        let device = Device::flex();
        let plan = Search::new(&run, &tables, &device).unwrap();
        assert_eq!(plan.cases(), 8);
        for repeat in plan.cases.chunks(4) {
            assert_eq!(repeat.iter().map(|c| c.test.as_ref().unwrap().rows()).sum::<usize>(), 80);
            assert!(repeat.iter().all(|c| c.train.rows() + c.validation.as_ref().unwrap().rows() == 60));
        }
        let board = plan.run(&SearchPlace::new(folder.path()), &mut |_| (), None).unwrap();
        assert!(board.trials.iter().all(|t| t.scores.len() == 8 && t.deviation().is_some()), "{board:?}");
        let (refit, best) = plan.refit(&board, &mut ()).unwrap();
        assert_eq!(best.rows, [80, 0, 20]);
        let mean = board.trials[0].epochs.iter().sum::<usize>() as f64 / 8.0;
        assert_eq!((refit.train.epochs, refit.train.patience), (mean.round() as usize, None));
    }

    #[test]
    fn the_number_of_workers_changes_nothing() {
        let tables = Tables::from(table(120));
        let run =
            run(&[("lr", "log:1e-3..1e-1"), ("norm", "none,batch"), ("optimizer", "adam,adan")], Sampler::Sobol, 8);
        let boards = [1, 3].map(|workers| {
            let folder = tempfile::tempdir().unwrap();
            timeless(&search(&run, &tables, &SearchPlace { workers: Some(workers), ..SearchPlace::new(folder.path()) }))
        });
        assert_eq!(boards[0], boards[1]);
    }

    #[test]
    fn a_search_that_was_interrupted_goes_on_to_the_same_result() {
        let tables = Tables::from(table(120));
        let run = run(&[("lr", "log:1e-3..1e-1")], Sampler::LatinHypercube, 9);
        let whole = tempfile::tempdir().unwrap();
        let expected = search(&run, &tables, &SearchPlace::new(whole.path()));

        let folder = tempfile::tempdir().unwrap();
        let place = SearchPlace { workers: Some(2), ..SearchPlace::new(folder.path()) };
        let stop = AtomicBool::new(false);
        let device = Device::flex();
        let plan = Search::new(&run, &tables, &device).unwrap();
        let mut watch = |event: &SearchEvent<'_>| {
            if let SearchEvent::Trial { finished: 3, .. } = event {
                stop.store(true, Ordering::Relaxed);
            }
        };
        let board = plan.run(&place, &mut watch, Some(&stop)).unwrap();
        assert!(board.interrupted && (3..9).contains(&board.trials.len()), "{board:?}");
        let place = SearchPlace { resume: true, ..place };
        let mut before = 0;
        let mut watch = |event: &SearchEvent<'_>| {
            if let SearchEvent::Started { finished, .. } = event {
                before = *finished;
            }
        };
        let board = plan.run(&place, &mut watch, None).unwrap();
        assert!(before >= 3 && !board.interrupted);
        assert_eq!(timeless(&board), timeless(&expected));
        // Once more: nothing is left to do.
        assert_eq!(timeless(&plan.run(&place, &mut |_| (), None).unwrap()), timeless(&expected));
        // Other settings, and other rows, are another search.
        let mut other = run.clone();
        other.train.epochs = 3;
        let error = Search::new(&other, &tables, &device).unwrap().run(&place, &mut |_| (), None).unwrap_err();
        assert!(matches!(error, SearchError::OtherSearch { what: "settings", .. }), "{error}");
        let other = Tables::from(table(121));
        let error = Search::new(&run, &other, &device).unwrap().run(&place, &mut |_| (), None).unwrap_err();
        assert!(matches!(error, SearchError::OtherSearch { what: "data", .. }), "{error}");
    }

    #[test]
    fn shards_together_are_the_whole_search() {
        let tables = Tables::from(table(120));
        let run = run(&[("lr", "log:1e-3..1e-1")], Sampler::Random, 5);
        let folder = tempfile::tempdir().unwrap();
        let whole = search(&run, &tables, &SearchPlace::new(&folder.path().join("whole")));
        let shards: Vec<PathBuf> = (1..=3)
            .map(|i| {
                let place = SearchPlace { shard: (i, 3), ..SearchPlace::new(&folder.path().join(format!("{i}"))) };
                let board = search(&run, &tables, &place);
                assert_eq!((board.trials.len(), board.interrupted), ([2, 2, 1][i - 1], false));
                place.folder
            })
            .collect();
        let (board, _) = crate::merge(&shards, &folder.path().join("all")).unwrap();
        assert_eq!(timeless(&board), timeless(&whole));
        let place = SearchPlace { shard: (4, 3), ..SearchPlace::new(&folder.path().join("no")) };
        let error = Search::new(&run, &tables, &Device::flex()).unwrap().run(&place, &mut |_| (), None).unwrap_err();
        assert_eq!(error.to_string(), "there is no shard 4 of 3");
    }

    #[test]
    fn halving_trains_few_to_the_end_and_these_as_if_alone() {
        let tables = Tables::from(table(200));
        let mut run = run(&[("lr", "log:1e-4..1e-1")], Sampler::Sobol, 9);
        run.train.epochs = 18;
        let full = tempfile::tempdir().unwrap();
        let full = search(&run, &tables, &SearchPlace::new(full.path()));
        run.search.halving = Some(3);
        let folder = tempfile::tempdir().unwrap();
        let board = search(&run, &tables, &SearchPlace::new(folder.path()));
        assert_eq!(board.trials.len(), 9);
        // 9 for 2 epochs, 3 for 6, 1 for all 18.
        let budgets: Vec<Option<usize>> = board.trials.iter().map(|t| t.budget).collect();
        assert_eq!(budgets, [&[None][..], &[Some(6); 2], &[Some(2); 6]].concat());
        let best = &board.trials[0];
        assert_eq!(best.rungs.len(), 2);
        // It went on twice, and came to what it is alone.
        let alone = full.trials.iter().find(|t| t.number == best.number).unwrap();
        assert_eq!((&best.scores, &best.epochs), (&alone.scores, &alone.epochs));
        for dropped in &board.trials[3..] {
            assert!(dropped.epochs[0] <= 2 && dropped.score().unwrap() >= board.trials[1].rungs[0], "{board:?}");
        }
        let device = Device::flex();
        let plan = Search::new(&run, &tables, &device).unwrap();
        let (_, model) = plan.refit(&board, &mut ()).unwrap();
        assert_eq!(model.validation.unwrap().get(Metric::Rmse), best.score());
        // A search of which some is in the journal comes to the same end.
        for kept in [2, 7] {
            let folder = tempfile::tempdir().unwrap();
            let place = SearchPlace { workers: Some(1), ..SearchPlace::new(folder.path()) };
            let stop = AtomicBool::new(false);
            let mut watch = |event: &SearchEvent<'_>| {
                if let SearchEvent::Trial { finished, .. } = event {
                    stop.fetch_or(*finished == kept, Ordering::Relaxed);
                }
            };
            let part = plan.run(&place, &mut watch, Some(&stop)).unwrap();
            assert!(part.interrupted || part.trials.len() == 9);
            let again = plan.run(&SearchPlace { resume: true, ..place }, &mut |_| (), None).unwrap();
            assert_eq!(timeless(&again), timeless(&board));
        }
    }

    #[test]
    fn trials_at_once_are_trials_one_by_one() {
        let tables = Tables::from(table(120));
        let device = Device::flex();
        for folds in [None, Some(3)] {
            let mut run = run(&[("lr", "0.01,1e20"), ("hidden", "4,8")], Sampler::Grid, 0);
            run.train.optimizer = perceptra_train::Optimizer::Sgd;
            run.search.folds = folds;
            let plan = Search::new(&run, &tables, &device).unwrap();
            let folder = tempfile::tempdir().unwrap();
            let board = plan.run(&SearchPlace::new(folder.path()), &mut |_| (), None).unwrap();
            let mut trials = Vec::new();
            let mut keep = |number: usize, outcomes: Vec<Outcome>| {
                trials.push(plan.trial(number, &outcomes, usize::MAX, None));
                Ok(())
            };
            assert!(plan.together(&[1, 2, 3, 4], None, &mut keep).unwrap());
            assert!(trials.iter().filter(|t| t.error.is_some()).count() == 2);
            let together = Leaderboard::new(board.metric, 4, trials, false);
            assert_eq!(timeless(&together), timeless(&board));
            let stop = AtomicBool::new(true);
            assert!(!plan.together(&[1], Some(&stop), &mut |_, _| panic!("it was interrupted")).unwrap());
        }
    }

    #[test]
    fn free_places_are_taken_by_new_points() {
        let tables = Tables::from(table(200));
        let mut run = run(&[("lr", "log:1e-4..1e-1")], Sampler::Sobol, 12);
        (run.train.epochs, run.search.halving) = (18, Some(3));
        let device = Device::flex();
        let find = |places: Option<usize>, folder: &Path| {
            let mut run = run.clone();
            run.search.places = places;
            let plan = Search::new(&run, &tables, &device).unwrap();
            let stop = AtomicBool::new(false);
            let mut watch = |event: &SearchEvent<'_>| {
                if let SearchEvent::Trial { finished: 1, .. } = event {
                    stop.store(true, Ordering::Relaxed);
                }
            };
            let place = SearchPlace { workers: Some(1), ..SearchPlace::new(folder) };
            // In two parts.
            plan.run(&place, &mut watch, Some(&stop)).unwrap();
            plan.run(&SearchPlace { resume: true, ..place }, &mut |_| (), None).unwrap()
        };
        let folders: Vec<_> = (0..3).map(|_| tempfile::tempdir().unwrap()).collect();
        let few = find(Some(4), folders[0].path());
        assert_eq!(few.trials.len(), 12);
        // Each has the score of its epochs, however it came there.
        let all = find(None, folders[1].path());
        assert_eq!(timeless(&find(Some(12), folders[2].path())), timeless(&all));
        for trial in &few.trials {
            let other = all.trials.iter().find(|t| t.number == trial.number).unwrap();
            assert_eq!(trial.rungs[0], other.rungs[0]);
        }
        assert_eq!(few.trials[0].budget, None);
        assert_eq!(few.trials[0].curve.last().map(|(epoch, _)| *epoch), Some(18));
    }

    #[test]
    fn ensembles_of_a_search() {
        let tables = Tables::from(table(200));
        let device = Device::flex();
        for folds in [None, Some(3)] {
            let mut run = run(&[("lr", "log:1e-3..1e-1"), ("hidden", "4,8,16x4")], Sampler::Random, 8);
            run.search.folds = folds;
            let plan = Search::new(&run, &tables, &device).unwrap();
            let folder = tempfile::tempdir().unwrap();
            let board = plan.run(&SearchPlace::new(folder.path()), &mut |_| (), None).unwrap();
            let (members, trained) = plan.ensemble(&board, Ensemble::Best(3), None).unwrap();
            let best: Vec<_> = board.trials[..3].iter().map(|t| (t.number, 1.0 / 3.0)).collect();
            assert_eq!(members, best);
            assert_eq!(trained.model.members().count(), 3);
            assert_eq!(trained.model.metrics().unwrap().rows, 40);
            // The members are the models that a refit makes.
            let (_, first) = plan.refit(&board, &mut ()).unwrap();
            let weight = |model: &Model| model.network().layers[0].linear.weight.val().into_data();
            assert_eq!(weight(&trained.model), weight(&first.model));

            let (members, trained) = plan.ensemble(&board, Ensemble::Auto, None).unwrap();
            assert!((members.iter().map(|(_, share)| share).sum::<f64>() - 1.0).abs() < 1e-12);
            assert!(members.iter().all(|(n, _)| board.trials.iter().any(|t| t.number == *n)));
            assert_eq!(trained.model.members().count(), members.len());
            if folds.is_none() {
                // On the rows by which it was chosen it is at least as good as the best trial.
                let score = trained.validation.unwrap().get(Metric::Rmse).unwrap();
                assert!(score <= board.trials[0].score().unwrap() + 1e-6, "{score} {board:?}");
            }
            assert_eq!(plan.ensemble(&board, Ensemble::Auto, None).unwrap().0, members);
        }
    }

    #[test]
    fn rungs_of_halving_by_hand() {
        let tables = Tables::from(table(50));
        let device = Device::flex();
        let budgets = |epochs: usize, factor: Option<usize>, trials: usize| {
            let mut run = run(&[("lr", "0.1,0.2")], Sampler::Grid, 0);
            (run.train.epochs, run.search.halving) = (epochs, factor);
            Search::new(&run, &tables, &device).unwrap().budgets(trials)
        };
        const END: usize = usize::MAX;
        assert_eq!(budgets(200, None, 81), [END]);
        assert_eq!(budgets(200, Some(3), 81), [2, 7, 22, 66, END]);
        assert_eq!(budgets(200, Some(4), 16), [12, 50, END]);
        assert_eq!(budgets(2, Some(3), 81), [END]);
        assert_eq!(budgets(100, Some(2), 1), [50, END]);
    }

    #[test]
    fn what_fails_is_a_row_with_its_reason() {
        let tables = Tables::from(table(120));
        let folder = tempfile::tempdir().unwrap();
        // A rate that throws the weights into the far, and a momentum that this optimiser lacks.
        let mut run = run(&[("lr", "0.01,1e20")], Sampler::Grid, 0);
        run.train.optimizer = perceptra_train::Optimizer::Sgd;
        let board = search(&run, &tables, &SearchPlace::new(folder.path()));
        assert_eq!(board.trials[0].settings["train.learning_rate"], "0.01");
        assert_eq!(board.trials[1].score(), None);
        let reason = board.trials[1].error.as_deref().unwrap();
        assert!(reason.contains("NaN or infinite") || reason.contains("diverged"), "{reason}");

        let folder = tempfile::tempdir().unwrap();
        run.search.space.insert("lr".into(), "1e20,1e21".into());
        let device = Device::flex();
        let plan = Search::new(&run, &tables, &device).unwrap();
        let board = plan.run(&SearchPlace::new(folder.path()), &mut |_| (), None).unwrap();
        let error = plan.refit(&board, &mut ()).unwrap_err().to_string();
        assert!(error.starts_with("no trial came to a result: 2 times, "), "{error}");
    }

    #[test]
    fn searches_that_cannot_be_are_errors() {
        let tables = Tables::from(table(50));
        let message = |run: &RunConfig| Search::new(run, &tables, &Device::flex()).unwrap_err().to_string();
        let good = run(&[("lr", "0.1,0.2")], Sampler::Grid, 0);
        let with = |change: &dyn Fn(&mut RunConfig)| {
            let mut run = good.clone();
            change(&mut run);
            message(&run)
        };
        assert!(with(&|r| r.search.space.clear()).contains("the search space is empty"));
        assert!(with(&|r| r.search.repeats = 0).contains("repeats is 0"));
        assert!(with(&|r| r.search.halving = Some(1)).contains("halving is below 2"));
        assert!(with(&|r| r.split.validation = 0.0).contains("no validation rows"));
        assert!(with(&|r| r.search.metric = Some(Metric::Accuracy)).contains("accuracy cannot be monitored"));
        assert!(with(&|r| r.search.metric = Some(Metric::Loss)).contains("differ in their loss"));
        assert!(with(&|r| r.search.places = Some(0)).contains("places is 0"));
        assert!(with(&|r| r.network.ensemble = 3).contains("network.ensemble is set"));
        assert!(with(&|r| r.search.folds = Some(1)).contains("1 folds"));
        assert!(with(&|r| (r.search.sampler, r.search.trials) = (Sampler::Random, 0)).contains("trials is 0"));
    }
}
