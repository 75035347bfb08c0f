//! Joins the shards of a search.

use std::path::{Path, PathBuf};

use crate::error::SearchError;
use crate::journal::{Head, Journal, read};
use crate::leaderboard::Leaderboard;
use crate::trial::Trial;

/// Joins the shards of one search: ranks the trials of all `folders` and writes them to the folder `into`, which is created. Returns
/// the leaderboard and the text of the search's run file.
///
/// # Errors
///
/// [`SearchError::NoSearch`], [`SearchError::OtherSearch`] for folders of different searches, [`SearchError::Occupied`],
/// [`SearchError::Damaged`], [`SearchError::File`].
pub fn merge(folders: &[PathBuf], into: &Path) -> Result<(Leaderboard, String), SearchError> {
    let mut all: Option<(Head, Vec<Trial>)> = None;
    for folder in folders {
        let (head, trials) = read(folder)?;
        match &mut all {
            None => all = Some((head, trials)),
            Some((first, joined)) => {
                head.check(first, folder)?;
                let missing = |t: &Trial| joined.iter().all(|j| j.number != t.number);
                let new: Vec<Trial> = trials.into_iter().filter(missing).collect();
                joined.extend(new);
            }
        }
    }
    let (head, trials) = all.ok_or_else(|| SearchError::Settings("no folder is named".to_owned()))?;
    let (mut journal, _) = Journal::open(into, &head, false)?;
    trials.iter().try_for_each(|trial| journal.add(trial))?;
    let board = Leaderboard::new(head.metric, head.planned, trials, false);
    board.save(into)?;
    Ok((board, head.run))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::tests::{head, trial};

    #[test]
    fn shards_are_joined() {
        let folder = tempfile::tempdir().unwrap();
        let shard = |name: &str, head: &Head, trials: &[usize]| {
            let path = folder.path().join(name);
            let (mut journal, _) = Journal::open(&path, head, false).unwrap();
            trials.iter().for_each(|&n| journal.add(&trial(n)).unwrap());
            path
        };
        let shards = [shard("a", &head(), &[1, 3]), shard("b", &head(), &[4, 2, 3])];
        let into = folder.path().join("all");
        let (board, run) = merge(&shards, &into).unwrap();
        assert_eq!(board.trials.iter().map(|t| t.number).collect::<Vec<_>>(), [1, 2, 3, 4]);
        assert_eq!((board.planned, run.as_str()), (4, "run = 1"));
        assert_eq!(read(&into).unwrap().1.len(), 4);
        assert!(into.join("leaderboard.csv").exists() && into.join("search.toml").exists());
        let other = shard("c", &Head { data: 9, ..head() }, &[1]);
        let error = merge(&[shards[0].clone(), other], &folder.path().join("x")).unwrap_err();
        assert!(matches!(error, SearchError::OtherSearch { what: "data", .. }), "{error}");
    }
}
