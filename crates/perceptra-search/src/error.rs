//! What can go wrong in a search.

use std::path::PathBuf;

use perceptra_files::LockError;
use perceptra_model::ModelError;

/// A search that cannot be made. A trial that fails is none: it is a row of the [`Leaderboard`](crate::Leaderboard).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SearchError {
    /// The run or its tables are at fault.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Another search is at work in the folder.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// Nothing to search.
    #[error("the search space is empty")]
    EmptySpace,
    /// A key that is not in the run file, or cannot be searched.
    #[error("`{key}` cannot be searched: {reason}")]
    Key {
        /// The key as written.
        key: String,
        /// Why.
        reason: String,
        /// The nearest known key.
        nearest: Option<String>,
    },
    /// A domain that says nothing.
    #[error("`{key}={text}`: {reason}")]
    Domain {
        /// The key as written.
        key: String,
        /// Its domain as written.
        text: String,
        /// What is wrong.
        reason: String,
    },
    /// A grid over something without an end.
    #[error("`{key}` is a range, and a grid needs a list of values")]
    NotAGrid {
        /// The key.
        key: String,
    },
    /// More points than can be tried.
    #[error("the search has {points} trials, more than the {most} that it may have")]
    TooManyTrials {
        /// Points of the grid, or trials asked for.
        points: u128,
        /// The most.
        most: usize,
    },
    /// Settings at odds.
    #[error("{0}")]
    Settings(String),
    /// A folder that holds another search.
    #[error("{}: this folder holds a search already", folder.display())]
    Occupied {
        /// The folder.
        folder: PathBuf,
    },
    /// A folder without a search.
    #[error("{}: there is no search in this folder", folder.display())]
    NoSearch {
        /// The folder.
        folder: PathBuf,
    },
    /// A journal of other settings or other data.
    #[error("{}: this search had other {what}", folder.display())]
    OtherSearch {
        /// The folder.
        folder: PathBuf,
        /// "settings" or "data".
        what: &'static str,
    },
    /// A journal that cannot be understood.
    #[error("{}:{line}: the journal is damaged: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// No trial came to a result.
    #[error("no trial came to a result: {}", grouped(.reasons))]
    AllFailed {
        /// Why, each reason with how often.
        reasons: Vec<(String, usize)>,
    },
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

fn grouped(reasons: &[(String, usize)]) -> String {
    let texts = reasons.iter().take(3).map(|(reason, n)| format!("{n} times, {reason}")).collect::<Vec<_>>();
    let more = if reasons.len() > 3 { "; and other reasons" } else { "" };
    format!("{}{more}", texts.join("; "))
}

impl SearchError {
    /// How to mend it, where there is a way.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Model(e) => e.hint().map(|hint| hint.to_string()),
            Self::EmptySpace => Some(
                "say what to search, as in --space lr=log:1e-4..1e-1 --random 50, or --grid hidden=32,64x64".to_owned(),
            ),
            Self::Key { nearest: Some(key), .. } => Some(format!("did you mean `{key}`?")),
            Self::Domain { .. } => Some(
                "a domain is a list a,b,c, or a range low..high, log:low..high, int:low..high or log-int:low..high"
                    .to_owned(),
            ),
            Self::NotAGrid { .. } => Some("list its values, or sample it with --random N".to_owned()),
            Self::TooManyTrials { .. } => Some("sample the space with --random N".to_owned()),
            Self::Occupied { .. } => Some("--resume goes on with it; for a new one choose another --output".to_owned()),
            Self::OtherSearch { .. } => {
                Some("go on with the same table and settings, or choose another --output".to_owned())
            }
            Self::Lock(_) => Some("wait for it to end, or choose another --output".to_owned()),
            _ => None,
        }
    }
}
