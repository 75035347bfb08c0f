//! What is finished, on the disk: a line of JSON for each trial, after a head that says of which search they are.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use perceptra_files::{Lock, remove_stale};
use perceptra_train::Metric;
use serde::{Deserialize, Serialize};

use crate::board::write;
use crate::{Leaderboard, SearchError, Trial};

const NAME: &str = "journal.jsonl";

/// The head of a journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Head {
    /// Of the run and what is searched.
    pub(crate) settings: u32,
    /// Of the rows.
    pub(crate) data: u32,
    pub(crate) metric: Metric,
    /// Trials that are planned, in all shards together.
    pub(crate) planned: usize,
    /// The run file of the search.
    pub(crate) run: String,
}

/// A journal that is being written, its folder locked.
pub(crate) struct Journal {
    file: File,
    path: PathBuf,
    _lock: Lock,
}

impl Journal {
    /// Begins a journal in a folder, which is made, or goes on with the one that is there: gives the trials that are finished.
    pub(crate) fn open(folder: &Path, head: &Head, resume: bool) -> Result<(Self, Vec<Trial>), SearchError> {
        let fail = |path: &Path| {
            let path = path.to_owned();
            move |source| SearchError::File { path, source }
        };
        std::fs::create_dir_all(folder).map_err(fail(folder))?;
        let lock = Lock::acquire(&folder.join("lock"))?;
        remove_stale(folder);
        let path = folder.join(NAME);
        let trials = match (path.exists(), resume) {
            (false, true) => return Err(SearchError::NoSearch { folder: folder.to_owned() }),
            (true, false) => return Err(SearchError::Occupied { folder: folder.to_owned() }),
            (false, false) => {
                write(&path, &line(head))?;
                write(&folder.join("search.toml"), head.run.as_bytes())?;
                Vec::new()
            }
            (true, true) => {
                let (found, trials) = read(folder)?;
                for (what, same) in [("settings", found.settings == head.settings), ("data", found.data == head.data)] {
                    if !same {
                        return Err(SearchError::OtherSearch { folder: folder.to_owned(), what });
                    }
                }
                // Without a line that was cut off: the next one would be appended to it.
                let whole = [line(&found)].into_iter().chain(trials.iter().map(line)).collect::<Vec<_>>().concat();
                write(&path, &whole)?;
                trials
            }
        };
        let file = OpenOptions::new().append(true).open(&path).map_err(fail(&path))?;
        Ok((Self { file, path, _lock: lock }, trials))
    }

    /// Adds a trial; it is on the disk when this returns.
    pub(crate) fn add(&mut self, trial: &Trial) -> Result<(), SearchError> {
        let written = self.file.write_all(&line(trial)).and_then(|()| self.file.sync_data());
        written.map_err(|source| SearchError::File { path: self.path.clone(), source })
    }
}

fn line(value: &impl Serialize) -> Vec<u8> {
    let mut line = serde_json::to_vec(value).unwrap_or_default();
    line.push(b'\n');
    line
}

/// The head and the trials of a folder's journal. A last line that was cut off is left out.
pub(crate) fn read(folder: &Path) -> Result<(Head, Vec<Trial>), SearchError> {
    let path = folder.join(NAME);
    let text = match std::fs::read(&path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            return Err(SearchError::NoSearch { folder: folder.to_owned() });
        }
        Err(source) => return Err(SearchError::File { path, source }),
    };
    let damaged = |line: usize, reason: String| SearchError::Damaged { path: path.clone(), line, reason };
    let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
    let mut lines = whole.lines().enumerate();
    let (_, head) = lines.next().ok_or_else(|| damaged(1, "it is empty".to_owned()))?;
    let head: Head = serde_json::from_str(head).map_err(|e| damaged(1, e.to_string()))?;
    let mut trials: Vec<Trial> = Vec::new();
    for (i, line) in lines {
        let trial: Trial = serde_json::from_str(line).map_err(|e| damaged(i + 1, e.to_string()))?;
        if trial.number == 0 || trial.number > head.planned {
            return Err(damaged(i + 1, format!("trial {} of {}", trial.number, head.planned)));
        }
        if trials.iter().all(|t| t.number != trial.number) {
            trials.push(trial);
        }
    }
    Ok((head, trials))
}

/// Joins the shards of one search: the trials of all `folders`, ranked, in the folder `into`, which is made. Gives the ranking
/// and the run file of the search.
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
                for (what, same) in [("settings", first.settings == head.settings), ("data", first.data == head.data)] {
                    if !same {
                        return Err(SearchError::OtherSearch { folder: folder.clone(), what });
                    }
                }
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

    fn head() -> Head {
        Head { settings: 1, data: 2, metric: Metric::Rmse, planned: 4, run: "run = 1".to_owned() }
    }

    fn trial(number: usize) -> Trial {
        let settings = [("train.seed".to_owned(), number.to_string())].into();
        Trial {
            number,
            settings,
            scores: vec![number as f64],
            epochs: vec![1],
            seconds: 0.0,
            error: None,
            budget: None,
            rungs: Vec::new(),
            curve: Vec::new(),
        }
    }

    #[test]
    fn what_was_finished_is_read_back_and_a_torn_line_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let (mut journal, _) = Journal::open(folder.path(), &head(), false).unwrap();
        journal.add(&trial(1)).unwrap();
        journal.add(&trial(3)).unwrap();
        // Two searches do not write into one folder.
        assert!(matches!(Journal::open(folder.path(), &head(), true), Err(SearchError::Lock(_))));
        drop(journal);
        let mut file = OpenOptions::new().append(true).open(folder.path().join(NAME)).unwrap();
        file.write_all(b"{\"number\":4,\"settings\":").unwrap();
        let (mut journal, trials) = Journal::open(folder.path(), &head(), true).unwrap();
        assert_eq!(trials, [trial(1), trial(3)]);
        journal.add(&trial(2)).unwrap();
        assert_eq!(read(folder.path()).unwrap(), (head(), vec![trial(1), trial(3), trial(2)]));
    }

    #[test]
    fn other_searches_and_damage_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(Journal::open(folder.path(), &head(), true), Err(SearchError::NoSearch { .. })));
        drop(Journal::open(folder.path(), &head(), false).unwrap());
        assert!(matches!(Journal::open(folder.path(), &head(), false), Err(SearchError::Occupied { .. })));
        let other = Head { settings: 9, ..head() };
        let error = Journal::open(folder.path(), &other, true).err().unwrap();
        assert!(matches!(error, SearchError::OtherSearch { what: "settings", .. }), "{error}");
        let mut file = OpenOptions::new().append(true).open(folder.path().join(NAME)).unwrap();
        file.write_all(b"nonsense\n").unwrap();
        let error = read(folder.path()).err().unwrap();
        assert!(matches!(error, SearchError::Damaged { line: 2, .. }), "{error}");
    }

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
