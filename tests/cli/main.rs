//! Tests of the program and of all backends, in one binary, since each binary links Burn anew.

mod backends;
mod bad_input;
#[cfg(feature = "playground")]
mod browser;
mod extremes;
mod faults;
mod fuzz_seeds;
mod golden;
mod hints;
#[cfg(all(feature = "view", feature = "baselines"))]
mod lecture;
mod library;
mod limits;
mod model_file;
mod outputs;
mod parts;
#[cfg(feature = "playground")]
mod playground;
mod presets;
mod reading;
mod report;
#[cfg(feature = "search")]
mod search;
#[cfg(all(feature = "baselines", feature = "view"))]
mod set;
mod stream;
mod workflow;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A temporary folder for a test, in which the program runs.
struct Folder(tempfile::TempDir);

struct Outcome {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).open(&path).unwrap();
        file.write_all(text.as_ref()).unwrap();
        path
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> =
            std::fs::read_dir(self.0.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn run(&self, args: &[&str]) -> Outcome {
        self.run_with(args, b"")
    }

    fn run_with(&self, args: &[&str], stdin: &[u8]) -> Outcome {
        let mut child = Command::new(env!("CARGO_BIN_EXE_perceptra"))
            .args(args)
            .current_dir(self.0.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A program that fails early does not read its input.
        let _ = child.stdin.take().unwrap().write_all(stdin);
        let output = child.wait_with_output().unwrap();
        Outcome {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Runs and expects success.
    fn ok(&self, args: &[&str]) -> String {
        let outcome = self.run(args);
        assert_eq!(outcome.code, Some(0), "{args:?}: {}", outcome.stderr);
        outcome.stdout
    }

    /// Trains a model of the penguins, a little, into `m.perceptra`.
    fn train_penguins(&self) {
        self.ok(&[
            "train",
            &data("penguins.csv"),
            "--target",
            "species",
            "--device",
            "cpu",
            "--epochs",
            "3",
            "-o",
            "m.perceptra",
        ]);
    }

    /// Runs, expects success and reads the JSON on standard output.
    fn json(&self, args: &[&str]) -> serde_json::Value {
        serde_json::from_str(&self.ok(args)).unwrap()
    }
}

/// Prints a figure for whoever runs the tests.
fn say(figure: &str) {
    let _ = writeln!(std::io::stderr(), "{figure}");
}

/// Path of a table in the repository.
fn data(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data").join(name).display().to_string()
}
