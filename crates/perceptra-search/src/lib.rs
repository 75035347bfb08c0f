//! Searches for the best settings of a run: grid, random, Latin hypercube or Sobol points of a space, each tried on a holdout or
//! by cross-validation, many at once.
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
//! let place = SearchPlace::new(&folder);
//! let board = Search::new(&run, &Tables::from(table), &Device::flex())?.run(&place, &mut |_| (), None)?;
//! assert_eq!(board.trials.len(), 4);
//! # std::fs::remove_dir_all(&folder).ok();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A [`Space`] says what is searched, by keys of the run file; a [`Search`] plans [`Trial`]s and runs them; a [`Leaderboard`] ranks
//! them. What is finished is in a journal, so that a search that is killed goes on, and one that is cut into shards comes together
//! again.

mod board;
mod domain;
mod error;
mod halving;
mod journal;
mod point;
mod search;
mod space;

pub use board::{Leaderboard, Trial};
pub use domain::Domain;
pub use error::SearchError;
pub use journal::merge;
pub use point::Point;
pub use search::{Search, SearchEvent, SearchPlace};
pub use space::{Parameter, Space};
