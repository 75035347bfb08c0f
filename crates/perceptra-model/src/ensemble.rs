//! Ensembles: several networks as one model, whose predictions are averaged.

use crate::calibration::Confidence;
use crate::error::ModelError;
use crate::model::{Member, Model, fits};

impl Model {
    /// Joins models of the same targets into one that predicts the weighted average of their values or probabilities. Weights are
    /// normalized to a sum of 1. Members may differ in everything but their targets. Schema, encoder and history of the ensemble are
    /// those of the first model; it has no test scores, no temperature and no residuals.
    ///
    /// # Errors
    ///
    /// [`ModelError::Ensemble`] without models, for a weight that is not a positive number, and for other targets or classes than
    /// those of the first.
    pub fn ensemble(models: impl IntoIterator<Item = (f64, Self)>) -> Result<Self, ModelError> {
        let mut members: Vec<(f64, Self)> = Vec::new();
        for (weight, mut model) in models {
            if !(weight.is_finite() && weight > 0.0) {
                return Err(ModelError::Ensemble(format!("the weight {weight} is not a positive number")));
            }
            if let Some((_, first)) = members.first() {
                fits(&first.about, &model.about).map_err(ModelError::Ensemble)?;
            }
            let others = std::mem::take(&mut model.others);
            members.push((weight * std::mem::replace(&mut model.share, 1.0), model));
            members.extend(others.into_iter().map(|(share, other)| (weight * share, other)));
        }
        let total: f64 = members.iter().map(|(weight, _)| weight).sum();
        for (weight, model) in &mut members {
            *weight /= total;
            model.about.metrics = None;
            model.about.confidence = Confidence::default();
        }
        if members.is_empty() {
            return Err(ModelError::Ensemble("there are no models".into()));
        }
        let (share, mut first) = members.remove(0);
        (first.share, first.others) = (share, members);
        Ok(first)
    }

    /// The networks of the model: one, or the members of an ensemble.
    pub fn members(&self) -> impl Iterator<Item = Member<'_>> {
        self.parts().map(|(share, model)| Member { share, network: model.network(), history: &model.about.history })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;
    use perceptra_data::Table;

    use crate::metrics::MetricValues;
    use crate::partition::Partition;
    use crate::predictions::Predictions;
    use crate::run::RunConfig;
    use crate::tables::Tables;
    use crate::train::{train, train_many, train_together};
    use crate::trained::Trained;

    fn tables(classes: bool) -> Tables {
        let row = |i: usize| {
            let (a, b) = (i * 37 % 101, i * 53 % 97);
            let y = if classes { ["no", "yes", "maybe"][(a + b) % 3].to_owned() } else { (a * b).to_string() };
            format!("{a},{b},{y}\n")
        };
        let rows: String = (0..120).map(row).collect();
        Tables::from(Table::from_csv("t.csv", format!("a,b,y\n{rows}"), &Default::default()).unwrap())
    }

    fn run(members: usize) -> RunConfig {
        let mut run = RunConfig::default();
        run.data.schema.target = vec!["y".into()];
        run.network.hidden = vec![6];
        run.network.ensemble = members;
        run.train.epochs = 6;
        run.train.seed = 5;
        run.output.calibrate = false;
        run
    }

    #[test]
    fn an_ensemble_is_the_average_of_its_members_trained_alone() {
        let device = Device::flex();
        for classes in [false, true] {
            let tables = tables(classes);
            let trained = train(&run(3), &tables, &device, &mut ()).unwrap();
            assert_eq!(trained.rows, [82, 14, 24]);
            // The members trained alone, on the same rows, with the seeds 5, 6 and 7.
            let parts = Partition::of(&run(1), &tables).unwrap();
            let alone: Vec<Predictions> = (5..8)
                .map(|seed| {
                    let mut run = parts.settle(&run(1));
                    run.train.seed = seed;
                    let model = train(&run, &parts.tables(), &device, &mut ()).unwrap().model;
                    model.predict(&tables.table).unwrap()
                })
                .collect();
            let together = trained.model.predict(&tables.table).unwrap();
            let spread = together.spread.as_ref().unwrap();
            for (i, value) in together.values.values.iter().enumerate() {
                let all: Vec<f64> = alone.iter().map(|p| p.values.values[i]).collect();
                let mean = all.iter().sum::<f64>() / 3.0;
                let variance = all.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 3.0;
                assert!((value - mean).abs() <= 1e-6 * mean.abs(), "{value} {mean}");
                assert!((spread.values[i] - variance.sqrt()).abs() <= 1e-5 * mean.abs().max(1e-3));
            }
            assert!(alone[0].values != alone[1].values && alone[0].spread.is_none());
            // The test rows judge the whole ensemble.
            let scores = trained.model.evaluate(parts.test.as_ref().unwrap()).unwrap();
            assert_eq!(trained.model.about().metrics.as_ref(), Some(&scores));
            assert_eq!(classes, matches!(scores.values, MetricValues::Classification { .. }));
            let again = train(&run(3), &tables, &device, &mut ()).unwrap();
            assert_eq!(again.model.to_bytes().unwrap().len(), trained.model.to_bytes().unwrap().len());
            assert_eq!(again.model.predict(&tables.table).unwrap(), together);
        }
    }

    #[test]
    fn runs_trained_together_are_as_runs_trained_alone() {
        let device = Device::flex();
        let (numbers, classes) = (tables(false), tables(true));
        let with = |change: &dyn Fn(&mut RunConfig)| {
            let mut run = run(1);
            change(&mut run);
            run
        };
        let runs = [
            (with(&|_| ()), &numbers),
            (with(&|r| r.train.learning_rate = 0.1), &numbers),
            (with(&|_| ()), &classes),
            (with(&|r| r.train.learning_rate = -1.0), &numbers),
            (with(&|r| r.split.validation = 0.0), &numbers),
            (with(&|r| r.network.ensemble = 2), &numbers),
            (with(&|r| r.train.seed = 9), &classes),
        ];
        let all = [train_many(&runs, &device, None), train_together(&runs, &device, None)];
        for (i, (run, tables)) in runs.iter().enumerate() {
            let alone = train(run, tables, &device, &mut ());
            for many in &all {
                match (&many[i], &alone) {
                    (Ok(one), Ok(other)) => {
                        assert_eq!((&one.rows, &one.validation), (&other.rows, &other.validation), "{i}");
                        assert_eq!(one.model.about().metrics, other.model.about().metrics);
                        let predict = |t: &Trained| t.model.predict(&tables.table).unwrap();
                        assert_eq!(predict(one), predict(other));
                    }
                    (one, other) => {
                        let text = |r: &Result<Trained, ModelError>| r.as_ref().err().map(ToString::to_string);
                        assert_eq!(text(one), text(other));
                    }
                }
            }
        }
    }

    #[test]
    fn weights_are_normalized_and_ensembles_can_be_joined() {
        let device = Device::flex();
        let tables = tables(false);
        let seeded = |seed: u64| {
            let mut run = run(1);
            run.train.seed = seed;
            train(&run, &tables, &device, &mut ()).unwrap().model
        };
        let shares = |model: &Model| model.members().map(|m| m.share).collect::<Vec<_>>();
        let pair = Model::ensemble([(1.0, seeded(1)), (3.0, seeded(2))]).unwrap();
        assert_eq!(shares(&pair), [0.25, 0.75]);
        assert_eq!((&pair.about().metrics, shares(&seeded(1))), (&None, vec![1.0]));
        let all = Model::ensemble([(2.0, pair.clone()), (2.0, seeded(3))]).unwrap();
        assert_eq!(shares(&all), [0.125, 0.375, 0.5]);
        let (pair, third, all) = (&pair, seeded(3), all.predict(&tables.table).unwrap());
        let halves = [pair.predict(&tables.table).unwrap(), third.predict(&tables.table).unwrap()];
        for (i, value) in all.values.values.iter().enumerate() {
            let mean = 0.5 * (halves[0].values.values[i] + halves[1].values.values[i]);
            assert!((value - mean).abs() <= 1e-5 * mean.abs(), "{value} {mean}");
        }
    }

    #[test]
    fn models_of_other_targets_cannot_be_joined() {
        let device = Device::flex();
        let model = |classes: bool| train(&run(1), &tables(classes), &device, &mut ()).unwrap().model;
        let message = |models: Vec<(f64, Model)>| Model::ensemble(models).unwrap_err().to_string();
        assert_eq!(message(vec![]), "the models cannot be joined: there are no models");
        assert!(message(vec![(0.0, model(false))]).contains("the weight 0 is not a positive number"));
        let error = message(vec![(1.0, model(false)), (1.0, model(true))]);
        assert!(error.contains("a member learns multiclass of y, the first one regression of y"), "{error}");
        let error = |change: &dyn Fn(&mut RunConfig)| {
            let mut run = run(2);
            change(&mut run);
            train(&run, &tables(false), &device, &mut ()).unwrap_err().to_string()
        };
        assert!(error(&|r| r.network.ensemble = 0).contains("ensemble is 0"));
        assert!(error(&|r| r.checkpoint.folder = Some("x".into())).contains("checkpoints are of one network"));
    }
}
