//! Greedy selection of the trials whose networks are joined into an ensemble.

use std::sync::atomic::AtomicBool;

use burn::tensor::Device;
use perceptra_data::Table;
use perceptra_model::{Partition, Predictions, Tables, train_many};
use perceptra_train::parallel;

use crate::error::SearchError;
use crate::search::Search;
use crate::trial::Trial;

/// Number of the best trials among which the selection chooses.
pub(crate) const CANDIDATES: usize = 20;
/// Maximum number of selected members, each counted as often as it is selected.
const ROUNDS: usize = 30;

impl Search<'_> {
    /// Selects trials greedily, with replacement, from an empty ensemble (Caruana, Niculescu-Mizil, Crew, Ksikes, 2004): the trial whose
    /// addition gives the best score of the averaged predictions is added, again and again, and the ensemble that scored best is returned.
    /// Each trial comes with the number of times it was selected. The candidates are trained again on each case, for their predictions.
    pub(crate) fn select<'t>(
        &self,
        candidates: &[&'t Trial],
        interrupt: Option<&AtomicBool>,
    ) -> Result<Vec<(&'t Trial, f64)>, SearchError> {
        let cases = self.cases;
        let parts: Vec<Partition> =
            self.partitions.iter().map(|case| Partition { test: None, ..case.clone() }).collect();
        let tables: Vec<Tables> = parts.iter().map(Partition::tables).collect();
        let run = |unit: usize| {
            let run = parts[unit % cases].settle(&self.run_of(candidates[unit / cases].number)?);
            Ok((run, &tables[unit % cases]))
        };
        let runs = (0..candidates.len() * cases).map(run).collect::<Result<Vec<_>, SearchError>>()?;
        let trained = train_many(&runs, self.device, interrupt).into_iter();
        let models = trained.map(|t| t.map(|t| t.model)).collect::<Result<Vec<_>, _>>()?;
        let judged: Vec<&Table> =
            self.partitions.iter().filter_map(|c| c.test.as_ref().or(c.validation.as_ref())).collect();
        let predict = |unit: usize| models[unit].predict(judged[unit % cases]);
        let predictions = parallel(self.device, models.len(), predict).into_iter().collect::<Result<Vec<_>, _>>()?;
        let score = |members: &[usize]| -> Option<f64> {
            let mut total = 0.0;
            for case in 0..cases {
                let share = |&trial: &usize| (1.0 / members.len() as f64, &predictions[trial * cases + case]);
                let average = Predictions::average(members.iter().map(share))?;
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
        // Without any score, the best trial alone.
        Ok(if chosen.is_empty() { vec![(candidates[0], 1.0)] } else { chosen })
    }
}
