//! Faults from outside: kills, signals, full disks, two runs at once, damaged checkpoints.
#![cfg(unix)]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use perceptra::model::Checkpoint;
use perceptra::{Model, choose};

use crate::{Folder, data};

const BINARY: &str = env!("CARGO_BIN_EXE_perceptra");

impl Folder {
    fn start(&self, args: &[&str]) -> Child {
        let mut command = Command::new(BINARY);
        command.args(args).current_dir(self.path("")).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// A run that does not end by itself, once it has written its first checkpoint.
    fn start_endless(&self, more: &[&str]) -> Child {
        let concrete = data("concrete.csv");
        let args = ["train", &concrete, "--target", "compressive_strength", "--device", "cpu", "--checkpoint", "run"];
        let args = [&args[..], &["-o", "m.perceptra", "--epochs", "1000000", "--patience", "none"], more].concat();
        let mut child = self.start(&args);
        Self::wait_for("a checkpoint", &mut child, || self.checkpoints().next().is_some());
        child
    }

    fn wait_for(what: &str, child: &mut Child, there: impl Fn() -> bool) {
        let begin = Instant::now();
        while !there() {
            if let Some(status) = child.try_wait().unwrap() {
                let mut text = String::new();
                std::io::Read::read_to_string(child.stderr.as_mut().unwrap(), &mut text).unwrap();
                panic!("no {what}, but {status}: {text}");
            }
            assert!(begin.elapsed() < Duration::from_mins(2), "no {what}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Epochs of the checkpoints in `run`.
    fn checkpoints(&self) -> impl Iterator<Item = usize> {
        let names = std::fs::read_dir(self.path("run")).into_iter().flatten();
        let name = |e: std::io::Result<std::fs::DirEntry>| e.unwrap().file_name().into_string().unwrap();
        names.map(name).filter_map(|n| n.strip_prefix("epoch-")?.strip_suffix(".perceptra")?.parse().ok())
    }

    /// Checks that every checkpoint in `run` can be resumed, and returns the latest.
    fn check_checkpoints(&self) -> usize {
        let epochs: Vec<usize> = self.checkpoints().collect();
        for epoch in &epochs {
            let path = self.path(&format!("run/epoch-{epoch:06}.perceptra"));
            let checkpoint = Checkpoint::read(&path).unwrap();
            assert_eq!(checkpoint.epochs, *epoch);
            Model::load(&path, &choose("cpu").unwrap().device).unwrap();
        }
        epochs.into_iter().max().unwrap_or(0)
    }
}

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status().unwrap();
    assert!(status.success());
}

/// The exit code of a child, and what it wrote to standard error.
fn end(child: Child) -> (Option<i32>, String) {
    let output = child.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

/// A random number, different in each run of the test: kills come at random moments.
fn chance(below: u64) -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::collections::hash_map::RandomState::new().build_hasher().finish() % below
}

/// Kills at random moments, `PERCEPTRA_KILLS` of them (a handful by default); `tests/soak.sh` asks for more.
#[test]
fn a_killed_run_resumes_to_the_same_bits() {
    let kills = std::env::var("PERCEPTRA_KILLS").map_or(6, |n| n.parse().unwrap());
    let concrete = data("concrete.csv");
    let settings = |engine| {
        ["--target", "compressive_strength", "--device", "cpu", "--hidden", "16,8", "--batch", "32", "--engine", engine]
    };
    let stop = ["--epochs", "150", "--patience", "none", "-o", "m.perceptra"];
    let engines = ["fused", "autodiff"];
    let wholes = engines.map(|engine| {
        let folder = Folder::new();
        folder.ok(&[&["train", &concrete][..], &settings(engine), &stop].concat());
        std::fs::read(folder.path("m.perceptra")).unwrap()
    });
    let (mut killed, mut ended) = (0, 0);
    while killed < kills || ended < engines.len() {
        // Each run is killed until it happens to end.
        let (engine, whole) = (engines[ended % 2], &wholes[ended % 2]);
        let folder = Folder::new();
        let mut latest = 0;
        // Some kills early, as in the first epochs; then as many as are wanted.
        for attempt in 0.. {
            let resumed = latest > 0;
            let mut args = if resumed { vec!["train", "--resume", "run"] } else { vec!["train", &concrete] };
            if !resumed {
                args.extend(settings(engine));
                args.extend(["--checkpoint", "run", "--keep", "3"]);
            }
            args.extend(stop);
            let mut child = folder.start(&args);
            let patience = if killed < kills && attempt < 30 { 20 + chance(180) } else { 600_000 };
            let begin = Instant::now();
            let status = loop {
                match child.try_wait().unwrap() {
                    None if begin.elapsed() < Duration::from_millis(patience) => {
                        std::thread::sleep(Duration::from_millis(1));
                    }
                    status => break status,
                }
            };
            if status.is_some() {
                let (code, messages) = end(child);
                assert_eq!(code, Some(0), "{messages}");
                break;
            }
            child.kill().unwrap();
            child.wait().unwrap();
            killed += 1;
            let now = folder.check_checkpoints();
            assert!(now >= latest, "epoch {latest} was written and is lost, the latest is {now}");
            latest = now;
        }
        ended += 1;
        assert!(&std::fs::read(folder.path("m.perceptra")).unwrap() == whole, "{engine}: the model differs");
        // What killed runs left has been removed.
        let left: Vec<String> = folder.names();
        assert_eq!(left, ["m.perceptra", "m.toml", "run"]);
        assert!(std::fs::read_dir(folder.path("run")).unwrap().all(|e| {
            let name = e.unwrap().file_name().into_string().unwrap();
            name.starts_with("epoch-")
        }));
    }
    crate::say(&format!("{killed} kills survived in {ended} runs"));
}

#[test]
fn a_signal_ends_a_run_and_keeps_its_model() {
    for (name, code) in [("INT", 130), ("TERM", 143)] {
        let folder = Folder::new();
        let child = folder.start_endless(&[]);
        signal(&child, name);
        let (got, messages) = end(child);
        assert_eq!(got, Some(code), "{messages}");
        assert!(messages.contains(&format!("interrupted: SIG{name}: the model of epoch ")), "{messages}");
        assert!(messages.ends_with("the best one, is in m.perceptra\n"), "{messages}");
        assert_eq!(folder.names(), ["m.perceptra", "m.toml", "run"]);
        let model = Model::load(&folder.path("m.perceptra"), &choose("cpu").unwrap().device).unwrap();
        assert_eq!(model.about().history.stop, perceptra::train::StopReason::Interrupted);
        let inspected = folder.ok(&["inspect", "m.perceptra"]);
        assert!(inspected.contains("epochs, interrupted; best epoch "), "{inspected}");
        // It can be gone on with, to an end of its own.
        let latest = folder.check_checkpoints();
        let more = (latest + 2).to_string();
        folder.ok(&["train", "--resume", "run", "--epochs", &more, "-o", "n.perceptra", "--quiet"]);
    }
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let folder = Folder::new();
    // A step that takes minutes.
    let rows: String = (0..20_000).map(|i| format!("{i},{}\n", i % 97)).collect();
    folder.write("t.csv", format!("x,y\n{rows}"));
    folder.write("m.perceptra", "precious");
    let args = ["train", "t.csv", "--target", "y", "--device", "cpu", "--batch", "full", "--hidden", "4000,4000,4000"];
    let mut child = folder.start(&[&args[..], &["-o", "m.perceptra"]].concat());
    // Signals are watched for when the table has been read; before, the first ends the program.
    let begin = Instant::now();
    let threads = |child: &Child| std::fs::read_dir(format!("/proc/{}/task", child.id())).map_or(0, Iterator::count);
    while threads(&child) < 2 && begin.elapsed() < Duration::from_secs(5) {
        std::thread::sleep(Duration::from_millis(5));
    }
    signal(&child, "INT");
    std::thread::sleep(Duration::from_millis(300));
    assert!(child.try_wait().unwrap().is_none(), "the batch in work is finished first");
    signal(&child, "INT");
    let (code, messages) = end(child);
    assert_eq!((code, messages.as_str()), (Some(130), ""));
    assert_eq!(folder.read("m.perceptra"), "precious");
}

#[test]
fn two_runs_on_one_output_are_kept_apart() {
    let folder = Folder::new();
    let child = folder.start_endless(&[]);
    let id = child.id();
    let concrete = data("concrete.csv");
    let train = ["train", &concrete, "--target", "compressive_strength", "--device", "cpu", "--epochs", "1"];
    let again = folder.run(&[&train[..], &["-o", "m.perceptra"]].concat());
    assert_eq!(again.code, Some(1));
    let message = format!(
        "error: m.toml.lock: another run (process {id}) is writing here\nhint: wait for it to end, or write somewhere else\n"
    );
    assert_eq!(again.stderr, message);
    // Another model, the same folder of checkpoints.
    for start in [&[&train[..], &["--checkpoint", "run"]].concat()[..], &["train", "--resume", "run"]] {
        let again = folder.run(&[start, &["-o", "other.perceptra"]].concat());
        assert_eq!(again.code, Some(1));
        assert!(
            again.stderr.contains(&format!("run/lock: another run (process {id}) is writing here")),
            "{}",
            again.stderr
        );
    }
    folder.ok(&[&train[..], &["-o", "other.perceptra"]].concat());
    signal(&child, "KILL");
    assert_eq!(end(child).0, None);
    // The lock of a process that is no more is taken over, with a note.
    assert!(folder.names().contains(&"m.toml.lock".to_owned()));
    let after = folder.run(&[&train[..], &["-o", "m.perceptra"]].concat());
    assert_eq!(after.code, Some(0));
    assert!(
        after.stderr.contains(&format!("note: process {id}, which was writing m.perceptra, has ended")),
        "{}",
        after.stderr
    );
    assert!(!folder.names().contains(&"m.toml.lock".to_owned()));
}

#[test]
fn a_damaged_checkpoint_is_skipped() {
    let folder = Folder::new();
    let concrete = data("concrete.csv");
    let train = ["train", &concrete, "--target", "compressive_strength", "--device", "cpu", "--epochs"];
    folder.ok(&[&train[..], &["6", "-o", "whole.perceptra"]].concat());
    folder.ok(&[&train[..], &["4", "--checkpoint", "run", "-o", "m.perceptra"]].concat());
    assert_eq!(folder.checkpoints().max(), Some(4));
    let latest = folder.path("run/epoch-000004.perceptra");
    let mut bytes = std::fs::read(&latest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    folder.write("run/epoch-000004.perceptra", &bytes);
    let out = folder.run(&["train", "--resume", "run", "--epochs", "6", "-o", "whole2.perceptra"]);
    assert_eq!(out.code, Some(0), "{}", out.stderr);
    assert!(out.stderr.contains("epoch-000004.perceptra: the model is damaged"), "{}", out.stderr);
    assert!(out.stderr.contains("going on after epoch 3"), "{}", out.stderr);
    assert!(
        std::fs::read(folder.path("whole.perceptra")).unwrap()
            == std::fs::read(folder.path("whole2.perceptra")).unwrap()
    );
    // None is left whole: what is wrong with the latest.
    for epoch in folder.checkpoints().collect::<Vec<_>>() {
        folder.write(&format!("run/epoch-{epoch:06}.perceptra"), "half");
    }
    let out = folder.run(&["train", "--resume", "run"]);
    assert_eq!(out.code, Some(1));
    assert!(out.stderr.starts_with("error: run/epoch-000006.perceptra: not a perceptra model"), "{}", out.stderr);
    // A model is no checkpoint.
    std::fs::copy(folder.path("whole.perceptra"), &latest).unwrap();
    let error = Checkpoint::read(&latest).unwrap_err().to_string();
    assert!(error.contains("no checkpoint of a run"), "{error}");
}

#[test]
fn a_run_resumes_only_with_the_same_settings_and_data() {
    let folder = Folder::new();
    let rows = |n: usize| {
        (0..n)
            .map(|i| format!("{},{},{}\n", i % 13, ["u", "v"][i % 2], f64::from(i as u32 % 13) * 2.5))
            .collect::<String>()
    };
    folder.write("t.csv", format!("x,c,y\n{}", rows(80)));
    let train = ["train", "t.csv", "--target", "y", "--device", "cpu", "-q", "--epochs", "3", "-o", "m.perceptra"];
    folder.ok(&[&train[..], &["--checkpoint", "run"]].concat());
    let fail = |args: &[&str]| {
        let out = folder.run(&[&["train"], args].concat());
        assert_eq!(out.code, Some(1), "{args:?} {}", out.stderr);
        out.stderr
    };
    let other = |args: &[&str], differences: &str| {
        let message = fail(&[&["--resume", "run"], args].concat());
        let expected = format!(
            "error: run/epoch-000003.perceptra: the checkpoint was made with other settings or data: {differences}\nhint: resume with"
        );
        assert!(message.contains(&expected), "{message}");
    };
    other(&["--seed", "1", "--hidden", "8"], "network.hidden was [128, 64], is [8]; train.seed was 0, is 1");
    let occupied = fail(&["t.csv", "--target", "y", "--checkpoint", "run", "-o", "n.perceptra"]);
    assert!(
        occupied.contains("error: run: the folder has checkpoints of an earlier run\nhint: --resume run continues"),
        "{occupied}"
    );
    assert!(fail(&["--resume", "none"]).starts_with("error: none: there is no checkpoint in this folder\nhint: start"));
    folder.write("t.csv", format!("x,c,y\n{}", rows(90)));
    other(&[], "training rows were 54, are 61; validation rows were 10, are 11");
    folder.write("t.csv", format!("x,c,y\n{}", rows(80).replacen("0,u,0", "0,u,0.1", 1)));
    other(&[], "values in the table have changed");
    folder.write("t.csv", format!("x,c,y,z\n{}", rows(80).replace('\n', ",5.5\n").replacen("5.5", "4", 1)));
    other(&[], "encoded columns were 3, are 4");
    folder.write("t.csv", format!("x,c,y\n{}", rows(80)));
    // A table that has moved is the same.
    std::fs::rename(folder.path("t.csv"), folder.path("moved.csv")).unwrap();
    folder.ok(&["train", "moved.csv", "--resume", "run", "--epochs", "5", "-q"]);
    assert_eq!(folder.check_checkpoints(), 5);
    // A schedule that depends on the number of epochs does not allow another.
    let train = ["train", "moved.csv", "--target", "y", "--device", "cpu", "-q", "--epochs", "3", "-o", "m.perceptra"];
    folder.ok(&[&train[..], &["--schedule", "cosine", "--checkpoint", "cosine"]].concat());
    let message = fail(&["--resume", "cosine", "--epochs", "5"]);
    assert!(message.contains("train.epochs was 3, is 5"), "{message}");
}

#[test]
fn as_many_checkpoints_as_asked_for_each_a_model() {
    let folder = Folder::new();
    let concrete = data("concrete.csv");
    let train =
        ["train", &concrete, "--target", "compressive_strength", "--device", "cpu", "--epochs", "23", "--lr", "0.05"];
    folder.ok(&[&train[..], &["--checkpoint", "run", "--every", "4", "--keep", "3", "-o", "m.perceptra"]].concat());
    let mut epochs: Vec<usize> = folder.checkpoints().collect();
    epochs.sort_unstable();
    // The last three, 23 as the end of the run; and the best of those that were written, if it is one of them.
    let best = folder.json(&["inspect", "m.perceptra", "--json"])["history"]["best_epoch"].as_u64().unwrap() as usize;
    let mut expected = vec![16, 20, 23];
    if best.is_multiple_of(4) && best < 16 {
        expected.insert(0, best);
    }
    assert_eq!(epochs, expected, "best {best}");
    let table = perceptra::Table::read(Path::new(&concrete), &Default::default()).unwrap();
    let device = choose("cpu").unwrap().device;
    let predict = |name: &str| Model::load(&folder.path(name), &device).unwrap().predict(&table).unwrap();
    assert_eq!(predict("run/epoch-000023.perceptra"), predict("m.perceptra"));
    for bad in ["--every", "--keep"] {
        let out = folder.run(&[&train[..], &["--checkpoint", "other", bad, "0"]].concat());
        assert_eq!((out.code, out.stderr.contains("is 0, it must be at least 1")), (Some(1), true), "{}", out.stderr);
    }
}

/// Runs the program under a shell's limit.
fn under(folder: &Folder, limit: &str, args: &[&str]) -> (Option<i32>, String) {
    let script = format!("{limit}; exec \"$0\" \"$@\"");
    let output =
        Command::new("sh").args(["-c", &script, BINARY]).args(args).current_dir(folder.path("")).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_failed_write_keeps_the_old_file() {
    let folder = Folder::new();
    folder.train_penguins();
    let (model, penguins) = (std::fs::read(folder.path("m.perceptra")).unwrap(), data("penguins.csv"));
    folder.ok(&["predict", "m.perceptra", &penguins, "-o", "p.csv", "--device", "cpu"]);
    let predictions = folder.read("p.csv");
    // No file may be larger than a block: as on a disk that is full.
    let train = ["train", &penguins, "--target", "species", "--device", "cpu", "--epochs", "3", "-o", "m.perceptra"];
    let (code, messages) = under(&folder, "ulimit -f 1", &[&train[..], &["--checkpoint", "run"]].concat());
    assert_eq!(code, Some(1), "{messages}");
    assert!(messages.contains("warning: no checkpoint run/epoch-000001.perceptra: "), "{messages}");
    assert!(messages.contains("error: m.perceptra: cannot be written: "), "{messages}");
    assert!(std::fs::read(folder.path("m.perceptra")).unwrap() == model);
    let (code, messages) = under(
        &folder,
        "ulimit -f 1",
        &["predict", "m.perceptra", &penguins, "-o", "p.csv", "--proba", "--device", "cpu"],
    );
    assert_eq!(code, Some(1));
    assert!(messages.starts_with("error: p.csv: cannot be written: "), "{messages}");
    assert_eq!(folder.read("p.csv"), predictions);
    assert_eq!(folder.names(), ["m.perceptra", "m.toml", "p.csv", "run"]);
    // Standard output likewise; a folder that takes no files is found out before the training.
    if Path::new("/dev/full").exists() {
        let (code, messages) =
            under(&folder, "exec > /dev/full", &["predict", "m.perceptra", &penguins, "--device", "cpu"]);
        assert_eq!(
            (code, messages.starts_with("error: standard output: No space left")),
            (Some(1), true),
            "{messages}"
        );
    }
    let out = folder.run(&["train", &penguins, "--target", "species", "-o", "/proc/m.perceptra"]);
    assert_eq!(out.code, Some(1));
    assert!(
        out.stderr.starts_with("error: /proc/m.perceptra: cannot be written: the folder /proc does not take files")
    );
}

#[test]
fn a_model_whose_folder_is_gone_is_saved_elsewhere() {
    let folder = Folder::new();
    let temporary = folder.path("tmp");
    std::fs::create_dir(&temporary).unwrap();
    std::fs::create_dir(folder.path("out")).unwrap();
    let concrete = data("concrete.csv");
    let mut child = Command::new(BINARY)
        .args(["train", &concrete, "--target", "compressive_strength", "--device", "cpu", "--checkpoint", "run"])
        .args(["-o", "out/m.perceptra", "--epochs", "1000000", "--patience", "none"])
        .env("TMPDIR", &temporary)
        .current_dir(folder.path(""))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    Folder::wait_for("a checkpoint", &mut child, || folder.checkpoints().next().is_some());
    std::fs::remove_dir_all(folder.path("out")).unwrap();
    signal(&child, "INT");
    let (code, messages) = end(child);
    assert_eq!(code, Some(1), "{messages}");
    assert!(messages.contains("error: out/m.perceptra: cannot be written: "), "{messages}");
    let kept = std::fs::read_dir(&temporary).unwrap().next().unwrap().unwrap().path();
    assert!(messages.contains(&format!("hint: the model is in {} instead", kept.display())), "{messages}");
    assert!(messages.contains("perceptra train --resume run --output FILE writes it again"), "{messages}");
    Model::load(&kept, &choose("cpu").unwrap().device).unwrap();
}

#[test]
fn divergence_keeps_the_best_model_and_names_the_epoch() {
    let folder = Folder::new();
    // A rate at which the loss grows without bound, but not at once.
    let rows: String = (0..200).map(|i| format!("{},{}\n", f64::from(i) / 100.0, i * 3 % 17)).collect();
    folder.write("t.csv", format!("x,y\n{rows}"));
    let args =
        ["train", "t.csv", "--target", "y", "--device", "cpu", "--hidden", "none", "--optimizer", "sgd", "--lr", "40"];
    for engine in ["fused", "autodiff"] {
        let out = folder.run(
            &[&args[..], &["--batch", "full", "--engine", engine, "--dropout", "0", "-o", "m.perceptra"]].concat(),
        );
        assert_eq!(out.code, Some(1), "{}", out.stderr);
        let message = "error: the training loss or the weights became NaN or infinite in epoch ";
        assert!(out.stderr.contains(message) && out.stderr.contains(", after a loss of "), "{}", out.stderr);
        assert!(
            out.stderr.contains("; the model of epoch 1, the best one, is in m.perceptra\nhint: lower"),
            "{}",
            out.stderr
        );
        let model = Model::load(&folder.path("m.perceptra"), &choose("cpu").unwrap().device).unwrap();
        assert_eq!(model.about().history.stop, perceptra::train::StopReason::Diverged);
    }
}

#[test]
fn a_panic_of_an_observer_leaves_checkpoints_and_no_lock() {
    use perceptra::{Control, Event, RunConfig};
    let folder = Folder::new();
    let text = format!(
        "[data]\ntable = {:?}\ntarget = ['compressive_strength']\n[checkpoint]\nfolder = {:?}\n",
        data("concrete.csv"),
        folder.path("run")
    );
    let run = RunConfig::from_toml("t", &text).unwrap();
    let tables = perceptra::Tables::read(&run).unwrap();
    let device = choose("cpu").unwrap().device;
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let mut observer = |event: &Event<'_>| {
            assert!(!matches!(event, Event::Epoch { epoch, .. } if epoch.epoch == 3), "the observer fails");
            Control::Continue
        };
        perceptra::model::train(&run, &tables, &device, &mut observer).map(|_| ())
    }));
    let message = result.unwrap_err();
    assert_eq!(message.downcast_ref::<&str>(), Some(&"the observer fails"));
    assert_eq!(folder.check_checkpoints(), 3);
    assert!(!folder.path("run/lock").exists());
}
