//! Successive halving: which trials are promoted to more epochs, and which are dropped.

use std::collections::{BTreeMap, BTreeSet};

use perceptra_train::Metric;

/// The epoch up to which each rung trains its trials; `usize::MAX` trains them to their end. Without halving there is a single such rung.
///
/// In successive halving (Jamieson, Talwalkar, 2016) with factor η, each rung has η times the epochs of the rung before, and the last has
/// all epochs. One in η trials is promoted to the next rung. The number of rungs is limited: the last has at least one trial, and the first
/// at least one epoch.
pub(crate) fn budgets(epochs: usize, halving: Option<usize>, trials: usize) -> Vec<usize> {
    let Some(factor) = halving else { return vec![usize::MAX] };
    let mut budgets = vec![usize::MAX];
    let (mut epochs, mut left) = (epochs / factor, trials.div_ceil(factor));
    while epochs >= 1 && left >= 1 && budgets.len() < 64 {
        budgets.insert(0, epochs);
        if left == 1 {
            break;
        }
        (epochs, left) = (epochs / factor, left.div_ceil(factor));
    }
    budgets
}

/// Successive halving with a limited number of trials in progress: the rule of ASHA (Li et al., 2020), applied to one generation of trials
/// after another, so that the result does not depend on which trial is ready first. A trial is promoted if it is among the best 1/η of the
/// trials that have finished its rung; it may still be promoted later, as long as others are to come. If all trials may be in progress at
/// once, this is plain successive halving.
pub(crate) struct Ladder {
    /// Numbers of the trials that have not begun, the next one last.
    fresh: Vec<usize>,
    factor: usize,
    metric: Metric,
    rungs: Vec<Rung>,
}

#[derive(Default, Clone)]
struct Rung {
    /// Trials that have finished this rung, or are being trained for it.
    expected: BTreeSet<usize>,
    /// Trials that have finished this rung, with their scores; `None` for a trial that ended here.
    arrived: BTreeMap<usize, Option<f64>>,
    promoted: BTreeSet<usize>,
    dropped: BTreeSet<usize>,
}

/// Pairs of a trial's number and a rung's index.
type At = Vec<(usize, usize)>;

/// The next trials to train, and those that are dropped.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Generation {
    /// Trials to train, each with the rung to reach.
    pub(crate) promoted: At,
    /// Trials that are dropped, each with the last rung it finished.
    pub(crate) dropped: At,
}

impl Ladder {
    /// Creates a ladder of `rungs` rungs with all `trials` before the first; one in `factor` trials is promoted from each rung to the next.
    pub(crate) fn new(trials: &[usize], rungs: usize, factor: usize, metric: Metric) -> Self {
        let fresh = trials.iter().rev().copied().collect();
        Self { fresh, factor: factor.max(2), metric, rungs: vec![Rung::default(); rungs] }
    }

    /// Records that a trial has finished a rung with this score; without a score the trial ends there.
    pub(crate) fn arrive(&mut self, trial: usize, rung: usize, score: Option<f64>) {
        self.rungs[rung].arrived.insert(trial, score);
    }

    /// The next generation, which trains at most `max_parallel` trials. All trials of the last generation must have arrived.
    pub(crate) fn next(&mut self, max_parallel: usize) -> Generation {
        let Generation { mut promoted, mut dropped } = Generation::default();
        // Whether no further trial will reach rung r.
        let mut complete = self.fresh.is_empty();
        for r in 0..self.rungs.len().saturating_sub(1) {
            let rung = &self.rungs[r];
            complete &= rung.arrived.len() == rung.expected.len();
            let mut ranked: Vec<(f64, usize)> =
                rung.arrived.iter().filter_map(|(t, score)| Some((((*score)?), *t))).collect();
            let sign = if self.metric.more_is_better() { -1.0 } else { 1.0 };
            ranked.sort_by(|a, b| (sign * a.0).total_cmp(&(sign * b.0)).then(a.1.cmp(&b.1)));
            let quota = if complete { ranked.len().div_ceil(self.factor) } else { ranked.len() / self.factor };
            let mut waits = false;
            for (_, trial) in &ranked[..quota] {
                if self.rungs[r].promoted.contains(trial) {
                    continue;
                }
                if promoted.len() == max_parallel {
                    waits = true;
                    break;
                }
                self.rungs[r].promoted.insert(*trial);
                self.rungs[r + 1].expected.insert(*trial);
                promoted.push((*trial, r + 1));
            }
            if complete {
                for (_, trial) in &ranked[quota..] {
                    if !self.rungs[r].promoted.contains(trial) && self.rungs[r].dropped.insert(*trial) {
                        dropped.push((*trial, r));
                    }
                }
            }
            complete &= !waits;
        }
        while promoted.len() < max_parallel
            && let Some(trial) = self.fresh.pop()
        {
            self.rungs[0].expected.insert(trial);
            promoted.push((trial, 0));
        }
        promoted.sort_unstable();
        Generation { promoted, dropped }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs all trials, each of which scores `score(trial)`. Returns the trials trained in each generation, and the rung at which each
    /// trial ended.
    fn climb(
        trials: usize,
        rungs: usize,
        factor: usize,
        max_parallel: usize,
        score: impl Fn(usize) -> f64,
    ) -> (Vec<At>, At) {
        let numbers: Vec<usize> = (1..=trials).collect();
        let mut ladder = Ladder::new(&numbers, rungs, factor, Metric::Rmse);
        let (mut generations, mut ended) = (Vec::new(), At::new());
        loop {
            let Generation { promoted, dropped } = ladder.next(max_parallel);
            ended.extend(dropped);
            if promoted.is_empty() {
                break;
            }
            for (trial, rung) in &promoted {
                let last = rung + 1 == rungs;
                ladder.arrive(*trial, *rung, (!last).then(|| score(*trial)));
                if last {
                    ended.push((*trial, *rung));
                }
            }
            generations.push(promoted);
        }
        ended.sort_unstable();
        (generations, ended)
    }

    #[test]
    fn with_room_for_all_trials_it_is_successive_halving() {
        let (generations, ended) = climb(9, 3, 3, 9, |t| t as f64);
        let sizes: Vec<usize> = generations.iter().map(Vec::len).collect();
        assert_eq!(sizes, [9, 3, 1]);
        assert_eq!(generations[1], [(1, 1), (2, 1), (3, 1)]);
        assert_eq!(ended, [(1, 2), (2, 1), (3, 1), (4, 0), (5, 0), (6, 0), (7, 0), (8, 0), (9, 0)]);
    }

    #[test]
    fn new_trials_fill_the_places_of_those_that_end() {
        // Later trials score better.
        let (generations, ended) = climb(27, 3, 3, 6, |t| (28 - t) as f64);
        assert_eq!(generations[0], (1..=6).map(|t| (t, 0)).collect::<At>());
        // Two of six are promoted, four are new.
        assert_eq!(generations[1], [(5, 1), (6, 1), (7, 0), (8, 0), (9, 0), (10, 0)]);
        assert!(generations.iter().all(|g| g.len() <= 6));
        let numbers: Vec<usize> = ended.iter().map(|(t, _)| *t).collect();
        assert_eq!(numbers, (1..=27).collect::<Vec<_>>());
        assert_eq!(ended[26], (27, 2));
        // No fewer are promoted than with room for all, and only the last generations are not full.
        assert!(ended.iter().filter(|(_, rung)| *rung > 0).count() >= 9);
        assert!(generations[..5].iter().all(|g| g.len() == 6));
    }

    #[test]
    fn failed_trials_are_not_promoted() {
        let mut ladder = Ladder::new(&[1, 2, 3], 2, 2, Metric::R2);
        assert_eq!(ladder.next(3).promoted, [(1, 0), (2, 0), (3, 0)]);
        ladder.arrive(1, 0, None);
        ladder.arrive(2, 0, Some(0.1));
        ladder.arrive(3, 0, Some(0.2));
        assert_eq!(ladder.next(3), Generation { promoted: vec![(3, 1)], dropped: vec![(2, 0)] });
        ladder.arrive(3, 1, None);
        assert_eq!(ladder.next(3), Generation::default());
    }

    #[test]
    fn a_single_rung_takes_all_trials() {
        let (generations, ended) = climb(5, 1, 1, 5, |_| 0.0);
        assert_eq!((generations.len(), ended.len()), (1, 5));
    }

    #[test]
    fn budgets_of_rungs_by_hand() {
        const END: usize = usize::MAX;
        assert_eq!(budgets(200, None, 81), [END]);
        assert_eq!(budgets(200, Some(3), 81), [2, 7, 22, 66, END]);
        assert_eq!(budgets(200, Some(4), 16), [12, 50, END]);
        assert_eq!(budgets(2, Some(3), 81), [END]);
        assert_eq!(budgets(100, Some(2), 1), [50, END]);
    }
}
