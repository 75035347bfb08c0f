//! Successive halving: which trials are promoted to more epochs, and which are dropped.

use std::collections::{BTreeMap, BTreeSet};

use perceptra_train::Metric;

/// The epochs up to which trials are trained, rung by rung; a single rung without an end where nothing is halved.
///
/// In successive halving (Jamieson, Talwalkar, 2016) with factor η each rung has η times the epochs of the one before, the last one
/// all of them, and one in η trials is promoted, until one is left or a rung would have less than an epoch.
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

/// Successive halving with a limited number of trials in progress: the rule of ASHA (Li et al., 2020), in generations, so that it does
/// not depend on which trial is ready first. A trial is promoted if it is among the best 1/η of those that have come to its rung; while
/// others are still to come, it may be promoted later. With room for every trial it is plain successive halving.
pub(crate) struct Ladder {
    /// Trials that have not begun.
    fresh: Vec<usize>,
    factor: usize,
    metric: Metric,
    rungs: Vec<Rung>,
}

#[derive(Default, Clone)]
struct Rung {
    /// Trials that are here, or on the way here.
    expected: BTreeSet<usize>,
    /// Trials that are here; without a score, those that ended here.
    arrived: BTreeMap<usize, Option<f64>>,
    promoted: BTreeSet<usize>,
    dropped: BTreeSet<usize>,
}

/// Trials with their rungs.
type At = Vec<(usize, usize)>;

/// The next steps of trials.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Generation {
    /// Trials to train, each up to its next rung.
    pub(crate) promoted: At,
    /// Trials that are dropped, each at its rung.
    pub(crate) dropped: At,
}

impl Ladder {
    /// Trials before the first of `rungs` rungs, of which one in `factor` is promoted to the next.
    pub(crate) fn new(trials: &[usize], rungs: usize, factor: usize, metric: Metric) -> Self {
        let fresh = trials.iter().rev().copied().collect();
        Self { fresh, factor: factor.max(2), metric, rungs: vec![Rung::default(); rungs] }
    }

    /// A trial has come to a rung with this score; without one it ends there.
    pub(crate) fn arrive(&mut self, trial: usize, rung: usize, score: Option<f64>) {
        self.rungs[rung].arrived.insert(trial, score);
    }

    /// The next generation, once all trials of the last one have arrived; no more than `max_parallel` trials are in it.
    pub(crate) fn next(&mut self, max_parallel: usize) -> Generation {
        let Generation { mut promoted, mut dropped } = Generation::default();
        // Whether no further trial will come to the rung.
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

    /// Runs all trials, whose score is `score(trial)`: the generations, and where each trial ended.
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
        // The best comes last.
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
