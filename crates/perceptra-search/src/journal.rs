//! The journal of a search: a line of JSON for each finished trial, after a head that identifies the search.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use perceptra_files::{Lock, remove_stale};
use perceptra_train::Metric;
use serde::{Deserialize, Serialize};

use crate::error::SearchError;
use crate::file::write;
use crate::fingerprint;
use crate::trial::Trial;

const NAME: &str = "journal.jsonl";

/// The first line of a journal, which identifies its search.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Head {
    /// Checksum of the run's settings, including the search space.
    pub(crate) settings: u32,
    /// Checksum of the rows.
    pub(crate) data: u32,
    pub(crate) metric: Metric,
    /// Number of planned trials, in all shards together.
    pub(crate) planned: usize,
    /// Text of the search's run file.
    pub(crate) run: String,
}

impl Head {
    /// Checks that this head, which was read from `folder`, belongs to the same search as `other`.
    pub(crate) fn check(&self, other: &Self, folder: &Path) -> Result<(), SearchError> {
        for (what, same) in [("settings", self.settings == other.settings), ("data", self.data == other.data)] {
            if !same {
                let differences = fingerprint::differences(&self.run, &other.run);
                return Err(SearchError::OtherSearch { folder: folder.to_owned(), what, differences });
            }
        }
        Ok(())
    }
}

/// A journal that is open for writing; its folder is locked.
pub(crate) struct Journal {
    file: File,
    path: PathBuf,
    _lock: Lock,
}

impl Journal {
    /// Starts a journal in a folder, which is created if necessary, or with `resume` continues the journal in it. Returns the journal and
    /// the trials that are finished already.
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
                found.check(head, folder)?;
                // Drops a last line that was cut off: the next line would be appended to it.
                let whole = [line(&found)].into_iter().chain(trials.iter().map(line)).collect::<Vec<_>>().concat();
                write(&path, &whole)?;
                trials
            }
        };
        let file = OpenOptions::new().append(true).open(&path).map_err(fail(&path))?;
        Ok((Self { file, path, _lock: lock }, trials))
    }

    /// Appends a trial and waits until it is on the disk.
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

/// The head and the trials of the journal in a folder. A last line that was cut off is left out.
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

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn head() -> Head {
        Head { settings: 1, data: 2, metric: Metric::Rmse, planned: 4, run: "run = 1".to_owned() }
    }

    pub(crate) fn trial(number: usize) -> Trial {
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
    fn finished_trials_are_read_back_and_a_torn_line_is_left_out() {
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
}
