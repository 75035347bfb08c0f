//! Errors of a search.

use std::path::PathBuf;

use perceptra_files::LockError;
use perceptra_model::ModelError;

/// Why a search cannot run. A trial that fails is no error: the [`Leaderboard`](crate::Leaderboard) lists it with its reason.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SearchError {
    /// The run or its tables are wrong.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Another search is using the folder.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// No settings to search were given.
    #[error("the search space is empty")]
    EmptySpace,
    /// A name that is not that of a key that can be searched.
    #[error("`{key}` cannot be searched: {reason}")]
    Key {
        /// The key as written.
        key: String,
        /// Why it cannot be searched.
        reason: String,
        /// The known key with the most similar name; `None` if none is similar.
        nearest: Option<String>,
    },
    /// A text that does not describe a domain, or has values that the key does not accept.
    #[error("`{key}={text}`: {reason}")]
    Domain {
        /// The key as written.
        key: String,
        /// The domain as written.
        text: String,
        /// The problem.
        reason: String,
    },
    /// A grid search over a range, which has no list of values.
    #[error("`{key}` is a range, and a grid needs a list of values")]
    NotAGrid {
        /// The key of the range.
        key: String,
    },
    /// More trials than a search may have.
    #[error("the search has {points} trials, but at most {most} are possible")]
    TooManyTrials {
        /// Number of points of the grid, or of requested trials.
        points: u128,
        /// The maximum.
        most: usize,
    },
    /// Settings of the search that are out of range or contradict each other.
    #[error("{0}")]
    Settings(String),
    /// A new search in a folder that already holds one.
    #[error("{}: this folder already holds a search", folder.display())]
    Occupied {
        /// The folder.
        folder: PathBuf,
    },
    /// A folder without a search to resume or to join.
    #[error("{}: there is no search in this folder", folder.display())]
    NoSearch {
        /// The folder.
        folder: PathBuf,
    },
    /// A folder that holds a search with other settings or other data.
    #[error("{}: this search had other {what}{}", folder.display(), listed(.differences))]
    OtherSearch {
        /// The folder.
        folder: PathBuf,
        /// "settings" or "data".
        what: &'static str,
        /// The settings that differ, each with both values.
        differences: Vec<String>,
    },
    /// A journal that cannot be read.
    #[error("{}:{line}: the journal is damaged: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The problem.
        reason: String,
    },
    /// Every trial failed.
    #[error("no trial has a score: {}", grouped(.reasons))]
    AllFailed {
        /// The reasons, each with the number of trials that failed for it.
        reasons: Vec<(String, usize)>,
    },
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Error of the operating system.
        source: std::io::Error,
    },
}

fn grouped(reasons: &[(String, usize)]) -> String {
    let texts = reasons.iter().take(3).map(|(reason, n)| format!("{n} times, {reason}")).collect::<Vec<_>>();
    let more = if reasons.len() > 3 { "; and other reasons" } else { "" };
    format!("{}{more}", texts.join("; "))
}

fn listed(differences: &[String]) -> String {
    if differences.is_empty() { String::new() } else { format!(": {}", differences.join("; ")) }
}

impl SearchError {
    /// Advice on how to fix the error; `None` where there is none.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Model(e) => return e.hint().map(|hint| hint.to_string()),
            Self::Key { nearest: Some(key), .. } => return Some(format!("did you mean `{key}`?")),
            Self::Domain { .. } => {
                "a domain is a list a,b,c, or a range low..high, log:low..high, int:low..high or log-int:low..high"
            }
            Self::EmptySpace => "give a setting and its values, such as lr = \"log:1e-4..1e-1\"",
            Self::NotAGrid { .. } => "list its values, or choose another sampler than the grid",
            Self::TooManyTrials { .. } => "sample fewer points of the space",
            Self::Occupied { .. } => "resume it, or choose another folder",
            Self::OtherSearch { .. } => "continue with the same table and settings, or choose another folder",
            Self::Lock(_) => "wait for it to end, or choose another folder",
            Self::Key { nearest: None, .. }
            | Self::Settings(_)
            | Self::NoSearch { .. }
            | Self::Damaged { .. }
            | Self::AllFailed { .. }
            | Self::File { .. } => return None,
        };
        Some(text.to_owned())
    }
}
