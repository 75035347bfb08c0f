//! Who goes on, and who is dropped.

use std::collections::{BTreeMap, BTreeSet};

use perceptra_train::Metric;

/// Successive halving with few places: the rule of ASHA (Li et al., 2020), in generations, so that it does not depend on who is ready
/// first. A trial goes on if it is among the best 1/η of those that have come to its rung; while some are still to come, it may
/// do so later. With a place for every trial it is successive halving (Jamieson, Talwalkar, 2016).
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
    /// Those that are here; without a score, where their way has ended.
    arrived: BTreeMap<usize, Option<f64>>,
    /// Those that went on.
    gone: BTreeSet<usize>,
    /// Those that were dropped.
    dropped: BTreeSet<usize>,
}

/// Trials with their rungs.
type At = Vec<(usize, usize)>;

impl Ladder {
    /// Trials before the first of `rungs` rungs, of which one in `factor` goes on to the next.
    pub(crate) fn new(trials: &[usize], rungs: usize, factor: usize, metric: Metric) -> Self {
        let fresh = trials.iter().rev().copied().collect();
        Self { fresh, factor: factor.max(2), metric, rungs: vec![Rung::default(); rungs] }
    }

    /// A trial has come to a rung, with this score; without one it ends there.
    pub(crate) fn arrive(&mut self, trial: usize, rung: usize, score: Option<f64>) {
        self.rungs[rung].arrived.insert(trial, score);
    }

    /// After all that went have arrived: who goes next, and to which rung, at most `places`; and who is dropped from which rung.
    pub(crate) fn next(&mut self, places: usize) -> (At, At) {
        let (mut go, mut drop) = (At::new(), At::new());
        // Whether nobody comes to the rung any more.
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
                if self.rungs[r].gone.contains(trial) {
                    continue;
                }
                if go.len() == places {
                    waits = true;
                    break;
                }
                self.rungs[r].gone.insert(*trial);
                self.rungs[r + 1].expected.insert(*trial);
                go.push((*trial, r + 1));
            }
            if complete {
                for (_, trial) in &ranked[quota..] {
                    if !self.rungs[r].gone.contains(trial) && self.rungs[r].dropped.insert(*trial) {
                        drop.push((*trial, r));
                    }
                }
            }
            complete &= !waits;
        }
        while go.len() < places
            && let Some(trial) = self.fresh.pop()
        {
            self.rungs[0].expected.insert(trial);
            go.push((trial, 0));
        }
        go.sort_unstable();
        (go, drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs all trials, whose score is `score(trial)`: the generations, and where each trial ended.
    fn climb(trials: usize, rungs: usize, factor: usize, places: usize, score: impl Fn(usize) -> f64) -> (Vec<At>, At) {
        let numbers: Vec<usize> = (1..=trials).collect();
        let mut ladder = Ladder::new(&numbers, rungs, factor, Metric::Rmse);
        let (mut generations, mut ended) = (Vec::new(), At::new());
        loop {
            let (go, drop) = ladder.next(places);
            ended.extend(drop);
            if go.is_empty() {
                break;
            }
            for (trial, rung) in &go {
                let last = rung + 1 == rungs;
                ladder.arrive(*trial, *rung, (!last).then(|| score(*trial)));
                if last {
                    ended.push((*trial, *rung));
                }
            }
            generations.push(go);
        }
        ended.sort_unstable();
        (generations, ended)
    }

    #[test]
    fn with_a_place_for_all_it_is_successive_halving() {
        let (generations, ended) = climb(9, 3, 3, 9, |t| t as f64);
        let sizes: Vec<usize> = generations.iter().map(Vec::len).collect();
        assert_eq!(sizes, [9, 3, 1]);
        assert_eq!(generations[1], [(1, 1), (2, 1), (3, 1)]);
        assert_eq!(ended, [(1, 2), (2, 1), (3, 1), (4, 0), (5, 0), (6, 0), (7, 0), (8, 0), (9, 0)]);
    }

    #[test]
    fn free_places_are_taken_by_new_trials() {
        // The best comes last.
        let (generations, ended) = climb(27, 3, 3, 6, |t| (28 - t) as f64);
        assert_eq!(generations[0], (1..=6).map(|t| (t, 0)).collect::<At>());
        // Two of six go on, four are new.
        assert_eq!(generations[1], [(5, 1), (6, 1), (7, 0), (8, 0), (9, 0), (10, 0)]);
        assert!(generations.iter().all(|g| g.len() <= 6));
        let numbers: Vec<usize> = ended.iter().map(|(t, _)| *t).collect();
        assert_eq!(numbers, (1..=27).collect::<Vec<_>>());
        assert_eq!(ended[26], (27, 2));
        // No fewer go on than without places, and no generation but the last ones has an empty place.
        assert!(ended.iter().filter(|(_, rung)| *rung > 0).count() >= 9);
        assert!(generations[..5].iter().all(|g| g.len() == 6));
    }

    #[test]
    fn what_fails_goes_nowhere() {
        let mut ladder = Ladder::new(&[1, 2, 3], 2, 2, Metric::R2);
        assert_eq!(ladder.next(3).0, [(1, 0), (2, 0), (3, 0)]);
        ladder.arrive(1, 0, None);
        ladder.arrive(2, 0, Some(0.1));
        ladder.arrive(3, 0, Some(0.2));
        assert_eq!(ladder.next(3), (vec![(3, 1)], vec![(2, 0)]));
        ladder.arrive(3, 1, None);
        assert_eq!(ladder.next(3), (vec![], vec![]));
    }

    #[test]
    fn one_rung_is_for_all() {
        let (generations, ended) = climb(5, 1, 1, 5, |_| 0.0);
        assert_eq!((generations.len(), ended.len()), (1, 5));
    }
}
