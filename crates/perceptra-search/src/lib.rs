//! Search for the best settings of a run: points of a grid, random points, or those of a Latin hypercube or a Sobol sequence, each judged
//! on validation rows or by cross-validation, many at once.
//!
//! ```
//! use burn::tensor::Device;
//! use perceptra_data::Table;
//! use perceptra_model::{RunConfig, Sampler, Tables};
//! use perceptra_search::{Search, SearchPlace};
//!
//! let rows: String = (0..60).map(|i| format!("{i},{}\n", (i * i) % 17)).collect();
//! let table = Table::from_csv("t.csv", format!("x,y\n{rows}"), &Default::default())?;
//! let mut run = RunConfig::default();
//! run.data.schema.target = vec!["y".into()];
//! run.train.epochs = 5;
//! run.search.sampler = Sampler::Grid;
//! run.search.space.insert("lr".into(), "0.1,0.01".into());
//! run.search.space.insert("hidden".into(), "8,16x16".into());
//!
//! let folder = std::env::temp_dir().join(format!("perceptra-search-{}", std::process::id()));
//! let place = SearchPlace::from(folder.as_path());
//! let board = Search::new(&run, &Tables::from(table), &Device::flex())?.run(&place, &mut |_| (), None)?;
//! assert_eq!(board.trials.len(), 4);
//! # std::fs::remove_dir_all(&folder).ok();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`Search::new`] plans a search from a run; [`Search::run`] trains and judges its [`Trial`]s, and ranks them in a [`Leaderboard`].
//! Finished trials are kept in a journal, so that a search that was killed can be resumed, and [`merge`] can join the shards of a search.

mod case;
mod domain;
mod error;
mod file;
mod fingerprint;
mod halving;
mod journal;
mod leaderboard;
mod merge;
mod outcome;
mod point;
mod refit;
mod run;
mod search;
mod selection;
mod space;
#[cfg(test)]
mod tests;
mod trial;
mod workers;

pub use self::{
    error::SearchError,
    leaderboard::Leaderboard,
    merge::merge,
    run::{SearchEvent, SearchPlace},
    search::Search,
    trial::Trial,
};
