//! Whole searches, and the helpers of their tests.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::Device;
use perceptra_data::Table;
use perceptra_model::{Ensemble, Model, RunConfig, Sampler, Tables, train};
use perceptra_train::Metric;

use crate::error::SearchError;
use crate::leaderboard::Leaderboard;
use crate::merge::merge;
use crate::run::{SearchEvent, SearchPlace};
use crate::search::Search;
use crate::trial::Trial;

pub(crate) fn table(rows: usize) -> Table {
    let rows: String = (0..rows)
        .map(|i| {
            let x = (i * 37 % 101) as f64 / 50.0 - 1.0;
            format!("{x},{},{}\n", (i * 53 % 97) as f64 / 48.0, 3.0 * x * x + 0.5 * ((i * 29 % 31) as f64 / 31.0))
        })
        .collect();
    Table::from_csv("t.csv", format!("a,b,y\n{rows}"), &Default::default()).unwrap()
}

pub(crate) fn run(space: &[(&str, &str)], sampler: Sampler, trials: usize) -> RunConfig {
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

/// The trials of a leaderboard without their seconds.
pub(crate) fn timeless(board: &Leaderboard) -> Vec<Trial> {
    board.trials.iter().map(|t| Trial { seconds: 0.0, ..t.clone() }).collect()
}

fn search(run: &RunConfig, tables: &Tables, place: &SearchPlace) -> Leaderboard {
    Search::new(run, tables, &Device::flex()).unwrap().run(place, &mut |_| (), None).unwrap()
}

#[test]
fn a_trial_is_the_training_of_its_run_file() {
    let folder = tempfile::tempdir().unwrap();
    let tables = Tables::from(table(200));
    let run = run(&[("lr", "0.05,1e-5"), ("hidden", "8,16x4")], Sampler::Grid, 0);
    let device = Device::flex();
    let plan = Search::new(&run, &tables, &device).unwrap();
    let mut counts = Vec::new();
    let mut watch = |event: &SearchEvent<'_>| {
        if let SearchEvent::Trial { finished, .. } = event {
            counts.push(*finished);
        }
    };
    let board = plan.run(&SearchPlace::from(folder.path()), &mut watch, None).unwrap();
    assert_eq!(counts, [1, 2, 3, 4]);
    assert_eq!((board.planned, board.trials.len(), board.metric), (4, 4, Metric::Rmse));
    // The larger rate learns in 15 epochs, the smaller does not.
    assert!(board.trials[..2].iter().all(|t| t.settings["train.learning_rate"] == "0.05"), "{board:?}");
    for trial in &board.trials {
        let file = folder.path().join(format!("trial-{}.toml", trial.number));
        let alone = train(&RunConfig::read(&file).unwrap(), &tables, &device, &mut ()).unwrap();
        let validation = alone.validation.unwrap().get(Metric::Rmse).unwrap();
        assert_eq!(
            (trial.scores.as_slice(), trial.epochs[0]),
            ([validation].as_slice(), alone.model.about().history.best_epoch)
        );
    }
    // The refitted model is that of the best trial, and the test rows judge it.
    let (_, best) = plan.refit(&board, &mut ()).unwrap();
    assert_eq!(best.validation.unwrap().get(Metric::Rmse), board.trials[0].score());
    assert_eq!(best.model.about().metrics.as_ref().unwrap().rows, 40);
}

#[test]
fn cross_validation_judges_all_but_the_test_rows_and_the_refit_trains_on_them() {
    let folder = tempfile::tempdir().unwrap();
    let tables = Tables::from(table(100));
    let mut run = run(&[("lr", "log:1e-3..1e-1")], Sampler::Random, 3);
    run.search.folds = Some(4);
    run.search.repeats = 2;
    let device = Device::flex();
    let plan = Search::new(&run, &tables, &device).unwrap();
    assert_eq!(plan.cases, 8);
    for repeat in plan.partitions.chunks(4) {
        assert_eq!(repeat.iter().map(|c| c.test.as_ref().unwrap().rows()).sum::<usize>(), 80);
        assert!(repeat.iter().all(|c| c.train.rows() + c.validation.as_ref().unwrap().rows() == 60));
    }
    let board = plan.run(&SearchPlace::from(folder.path()), &mut |_| (), None).unwrap();
    assert!(board.trials.iter().all(|t| t.scores.len() == 8 && t.deviation().is_some()), "{board:?}");
    let (refit, best) = plan.refit(&board, &mut ()).unwrap();
    assert_eq!(best.rows, [80, 0, 20]);
    let mean = board.trials[0].epochs.iter().sum::<usize>() as f64 / 8.0;
    assert_eq!((refit.train.epochs, refit.train.patience), (mean.round() as usize, None));
}

#[test]
fn the_number_of_workers_changes_nothing() {
    let tables = Tables::from(table(120));
    let run = run(&[("lr", "log:1e-3..1e-1"), ("norm", "none,batch"), ("optimizer", "adam,adan")], Sampler::Sobol, 8);
    let boards = [1, 3].map(|workers| {
        let folder = tempfile::tempdir().unwrap();
        timeless(&search(&run, &tables, &SearchPlace { workers: Some(workers), ..SearchPlace::from(folder.path()) }))
    });
    assert_eq!(boards[0], boards[1]);
}

#[test]
fn an_interrupted_search_resumes_to_the_same_result() {
    let tables = Tables::from(table(120));
    let run = run(&[("lr", "log:1e-3..1e-1")], Sampler::LatinHypercube, 9);
    let whole = tempfile::tempdir().unwrap();
    let expected = search(&run, &tables, &SearchPlace::from(whole.path()));

    let folder = tempfile::tempdir().unwrap();
    let place = SearchPlace { workers: Some(2), ..SearchPlace::from(folder.path()) };
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
    // Resumes once more, with nothing left to train.
    assert_eq!(timeless(&plan.run(&place, &mut |_| (), None).unwrap()), timeless(&expected));
    // Other settings or other rows make another search.
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
    let whole = search(&run, &tables, &SearchPlace::from(folder.path().join("whole").as_path()));
    let shards: Vec<PathBuf> = (1..=3)
        .map(|i| {
            let place =
                SearchPlace { shard: (i, 3), ..SearchPlace::from(folder.path().join(format!("{i}")).as_path()) };
            let board = search(&run, &tables, &place);
            assert_eq!((board.trials.len(), board.interrupted), ([2, 2, 1][i - 1], false));
            place.folder
        })
        .collect();
    let (board, _) = merge(&shards, &folder.path().join("all")).unwrap();
    assert_eq!(timeless(&board), timeless(&whole));
    let place = SearchPlace { shard: (4, 3), ..SearchPlace::from(folder.path().join("no").as_path()) };
    let error = Search::new(&run, &tables, &Device::flex()).unwrap().run(&place, &mut |_| (), None).unwrap_err();
    assert_eq!(error.to_string(), "there is no shard 4 of 3");
}

#[test]
fn halving_trains_few_trials_to_the_end_as_if_alone() {
    let tables = Tables::from(table(200));
    let mut run = run(&[("lr", "log:1e-4..1e-1")], Sampler::Sobol, 9);
    run.train.epochs = 18;
    let full = tempfile::tempdir().unwrap();
    let full = search(&run, &tables, &SearchPlace::from(full.path()));
    run.search.halving = Some(3);
    let folder = tempfile::tempdir().unwrap();
    let board = search(&run, &tables, &SearchPlace::from(folder.path()));
    assert_eq!(board.trials.len(), 9);
    // 9 trials are trained for 2 epochs, 3 for 6, 1 for all 18.
    let budgets: Vec<Option<usize>> = board.trials.iter().map(|t| t.budget).collect();
    assert_eq!(budgets, [&[None][..], &[Some(6); 2], &[Some(2); 6]].concat());
    let best = &board.trials[0];
    assert_eq!(best.rungs.len(), 2);
    // The best trial was promoted twice, and has the result that it has when trained without interruption.
    let alone = full.trials.iter().find(|t| t.number == best.number).unwrap();
    assert_eq!((&best.scores, &best.epochs), (&alone.scores, &alone.epochs));
    for dropped in &board.trials[3..] {
        assert!(dropped.epochs[0] <= 2 && dropped.score().unwrap() >= board.trials[1].rungs[0], "{board:?}");
    }
    let device = Device::flex();
    let plan = Search::new(&run, &tables, &device).unwrap();
    let (_, model) = plan.refit(&board, &mut ()).unwrap();
    assert_eq!(model.validation.unwrap().get(Metric::Rmse), best.score());
    // A search that resumes from a part of its journal has the same result.
    for kept in [2, 7] {
        let folder = tempfile::tempdir().unwrap();
        let place = SearchPlace { workers: Some(1), ..SearchPlace::from(folder.path()) };
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
fn with_max_parallel_the_scores_are_the_same() {
    let tables = Tables::from(table(200));
    let mut run = run(&[("lr", "log:1e-4..1e-1")], Sampler::Sobol, 12);
    (run.train.epochs, run.search.halving) = (18, Some(3));
    let device = Device::flex();
    let find = |max_parallel: Option<usize>, folder: &Path| {
        let mut run = run.clone();
        run.search.max_parallel = max_parallel;
        let plan = Search::new(&run, &tables, &device).unwrap();
        let stop = AtomicBool::new(false);
        let mut watch = |event: &SearchEvent<'_>| {
            if let SearchEvent::Trial { finished: 1, .. } = event {
                stop.store(true, Ordering::Relaxed);
            }
        };
        let place = SearchPlace { workers: Some(1), ..SearchPlace::from(folder) };
        // Interrupted and resumed.
        plan.run(&place, &mut watch, Some(&stop)).unwrap();
        plan.run(&SearchPlace { resume: true, ..place }, &mut |_| (), None).unwrap()
    };
    let folders: Vec<_> = (0..3).map(|_| tempfile::tempdir().unwrap()).collect();
    let few = find(Some(4), folders[0].path());
    assert_eq!(few.trials.len(), 12);
    // A limit with room for all trials changes nothing, and no limit changes the scores of the first rung.
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
        let board = plan.run(&SearchPlace::from(folder.path()), &mut |_| (), None).unwrap();
        let (members, trained) = plan.ensemble(&board, Ensemble::Best(3), None).unwrap();
        let best: Vec<_> = board.trials[..3].iter().map(|t| (t.number, 1.0 / 3.0)).collect();
        assert_eq!(members, best);
        assert_eq!(trained.model.members().count(), 3);
        assert_eq!(trained.model.about().metrics.as_ref().unwrap().rows, 40);
        // The members are the models that a refit makes.
        let (_, first) = plan.refit(&board, &mut ()).unwrap();
        let weight = |model: &Model| model.network().layers()[0].linear.weight.val().into_data();
        assert_eq!(weight(&trained.model), weight(&first.model));

        let (members, trained) = plan.ensemble(&board, Ensemble::Auto, None).unwrap();
        assert!((members.iter().map(|(_, share)| share).sum::<f64>() - 1.0).abs() < 1e-12);
        assert!(members.iter().all(|(n, _)| board.trials.iter().any(|t| t.number == *n)));
        assert_eq!(trained.model.members().count(), members.len());
        if folds.is_none() {
            // On the rows by which it was chosen, the ensemble is at least as good as the best trial.
            let score = trained.validation.unwrap().get(Metric::Rmse).unwrap();
            assert!(score <= board.trials[0].score().unwrap() + 1e-6, "{score} {board:?}");
        }
        assert_eq!(plan.ensemble(&board, Ensemble::Auto, None).unwrap().0, members);
    }
}

#[test]
fn a_failed_trial_is_ranked_with_its_reason() {
    let tables = Tables::from(table(120));
    let folder = tempfile::tempdir().unwrap();
    // With such a rate training diverges.
    let mut run = run(&[("lr", "0.01,1e20")], Sampler::Grid, 0);
    run.train.optimizer = perceptra_train::Optimizer::Sgd;
    let board = search(&run, &tables, &SearchPlace::from(folder.path()));
    assert_eq!(board.trials[0].settings["train.learning_rate"], "0.01");
    assert_eq!(board.trials[1].score(), None);
    let reason = board.trials[1].error.as_deref().unwrap();
    assert!(reason.contains("NaN or infinite") || reason.contains("diverged"), "{reason}");

    let folder = tempfile::tempdir().unwrap();
    run.search.space.insert("lr".into(), "1e20,1e21".into());
    let device = Device::flex();
    let plan = Search::new(&run, &tables, &device).unwrap();
    let board = plan.run(&SearchPlace::from(folder.path()), &mut |_| (), None).unwrap();
    let error = plan.refit(&board, &mut ()).unwrap_err().to_string();
    assert!(error.starts_with("no trial has a score: 2 times, "), "{error}");
}

#[test]
fn impossible_searches_are_errors() {
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
    assert!(with(&|r| r.search.metric = Some(Metric::Loss)).contains("may differ in their loss"));
    assert!(with(&|r| r.search.max_parallel = Some(0)).contains("max_parallel is 0"));
    assert!(with(&|r| r.network.ensemble = 3).contains("network.ensemble is set"));
    assert!(with(&|r| r.search.folds = Some(1)).contains("1 folds"));
    assert!(with(&|r| (r.search.sampler, r.search.trials) = (Sampler::Random, 0)).contains("trials is 0"));
}
