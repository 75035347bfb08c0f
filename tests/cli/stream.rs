//! Tables that are streamed.

use std::fmt::Write;

use crate::{Folder, data};

/// Rows whose target depends on the inputs, sorted by it: the worst order for one who does not shuffle.
fn sorted(rows: usize) -> String {
    let mut text = String::from("a,b,c,y\n");
    for i in 0..rows {
        let (a, c) = (i as f64 / rows as f64, ["u", "v", "w"][i % 3]);
        let b = (i * 7919 % 1000) as f64 / 1000.0;
        writeln!(text, "{a:.4},{b:.3},{c},{:.4}", 3.0 * a + b * b + if i % 3 == 0 { 1.0 } else { 0.0 }).unwrap();
    }
    text
}

fn args<'a>(table: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let base = [
        "train",
        table,
        "--target",
        "y",
        "--device",
        "cpu",
        "--json",
        "--hidden",
        "32",
        "--epochs",
        "12",
        "-o",
        "m.perceptra",
    ];
    [&base, more].concat()
}

#[test]
fn a_streamed_table_is_learned_as_well() {
    let folder = Folder::new();
    folder.write("t.csv", sorted(20_000));
    let rmse = |report: &serde_json::Value| report["test"]["rmse"].as_f64().unwrap();
    let plain = folder.json(&args("t.csv", &[]));
    let streamed = folder.json(&args("t.csv", &["--stream", "--buffer", "2000"]));
    assert_eq!(streamed["rows"]["validation"], 2000);
    assert_eq!(streamed["rows"]["test"], 2000);
    // What the validation and test parts have no room for trains.
    assert_eq!(streamed["rows"]["train"], 16_000);
    // The standard deviation of the target is 1; both come close to it.
    assert!(rmse(&streamed) < 0.06 && rmse(&plain) < 0.06, "{} {}", rmse(&streamed), rmse(&plain));
    // The same seed gives the same bits, another one does not; a compressed file is read in order, with the same rows.
    let model = || std::fs::read(folder.path("m.perceptra")).unwrap();
    folder.json(&args("t.csv", &["--stream", "--buffer", "2000"]));
    let first = model();
    folder.json(&args("t.csv", &["--stream", "--buffer", "2000"]));
    assert!(first == model());
    folder.json(&args("t.csv", &["--stream", "--buffer", "2000", "--seed", "1"]));
    assert!(first != model());
    // Interrupted after 5 epochs, it goes on to the same bits.
    let five = args("t.csv", &["--stream", "--buffer", "2000", "--checkpoint", "run"]);
    folder.json(&five.iter().map(|a| if *a == "12" { "5" } else { a }).collect::<Vec<_>>());
    folder.ok(&["train", "--resume", "run", "--epochs", "12", "-q"]);
    assert!(first == model());
}

#[test]
fn classification_split_columns_and_separate_files_are_streamed() {
    let folder = Folder::new();
    folder.write("own.csv", std::fs::read(data("penguins.csv")).unwrap());
    let train = |more: &[&str]| {
        let base =
            ["train", "own.csv", "--target", "species", "--device", "cpu", "--json", "--epochs", "60", "--stream"];
        folder.json(&[&base, more].concat())
    };
    let report = train(&["--buffer", "100", "--class-weights", "balanced"]);
    assert!(report["test"]["accuracy"].as_f64().unwrap() > 0.9, "{}", report["test"]);
    assert_eq!(report["test"]["labels"].as_array().unwrap().len(), 3);
    let report = train(&["--buffer", "50", "--test-file", "own.csv", "--validation", "0.2"]);
    assert_eq!(report["rows"]["test"], 50);
    // A column says which rows are which; what it calls validation never trains.
    let text = folder.read("own.csv");
    let mut lines = text.lines();
    let mut split = format!("{},part\n", lines.next().unwrap());
    for (i, line) in lines.enumerate() {
        writeln!(split, "{line},{}", ["train", "train", "validation", "test"][i % 4]).unwrap();
    }
    folder.write("own.csv", split);
    let report = train(&["--split", "part", "--buffer", "30"]);
    assert_eq!(report["rows"], serde_json::json!({ "train": 172, "validation": 30, "test": 30 }));
}

#[test]
fn settings_that_streaming_does_not_support_are_errors() {
    let folder = Folder::new();
    let good = sorted(3000);
    folder.write("late.csv", format!("{good}0.5,oops,u,1\n"));
    folder.write("ragged.csv", format!("{good}0.5,1\n"));
    folder.write("few.csv", sorted(3));
    let table: [(&str, &str); 5] = [
        // Beyond the sample that the schema is inferred from: found when the row is trained, with its place.
        ("late.csv", "error: late.csv:3002, column \"b\": \"oops\" is not a number\nhint: --missing"),
        ("ragged.csv", "error: ragged.csv:3002: 2 fields, the header has 4\n"),
        ("-", "error: standard input: can be read only once, and streaming reads a table several times\nhint: write"),
        ("none.csv", "error: none.csv: no such file\n"),
        ("few.csv", "error: 3 rows cannot be split: the "),
    ];
    for (name, start) in table {
        let args = args(name, &["--stream", "--buffer", "100", "--validation", "0", "--test", "0"]);
        let out = folder.run(&if name == "few.csv" {
            [&args[..13], &["--stream", "--buffer", "100"]].concat()
        } else {
            args
        });
        assert_eq!(out.code, Some(1), "{name}");
        assert!(out.stderr.starts_with(start), "{name}: {}", out.stderr);
    }
    assert!(!folder.names().contains(&"m.perceptra".to_owned()));
}

/// Kilobytes of memory that a run took at most, by the operating system's account.
#[cfg(target_os = "linux")]
fn peak(folder: &Folder, args: &[&str]) -> usize {
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_perceptra"))
        .args(args)
        .current_dir(folder.path(""))
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|l| l.strip_prefix("VmHWM:"));
        peak = line.and_then(|l| l.trim().split(' ').next()?.parse().ok()).unwrap_or(peak);
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    assert!(child.wait().unwrap().success());
    peak
}

#[cfg(target_os = "linux")]
#[test]
fn a_streamed_table_takes_a_fraction_of_the_memory() {
    let folder = Folder::new();
    let mut text = String::from("y");
    (0..30).for_each(|j| write!(text, ",x{j}").unwrap());
    text.push('\n');
    for i in 0..120_000 {
        write!(text, "{}.5", i % 1013).unwrap();
        (0..30).for_each(|j| write!(text, ",{}.{:04}", (i + j) % 10, (i * 31 + j * 17) % 9973).unwrap());
        text.push('\n');
    }
    folder.write("t.csv", &text);
    let few: String = text.lines().take(200).flat_map(|line| [line, "\n"]).collect();
    folder.write("few.csv", few);
    let args = |table: &'static str, more: &[&'static str]| {
        let base = ["train", table, "--target", "y", "--device", "cpu", "-q", "--epochs", "1", "--hidden", "8"];
        [&base[..], more].concat()
    };
    let size = text.len() / 1024;
    // What the program takes for itself: some 15 MB, more in tests.
    let alone = peak(&folder, &args("few.csv", &[]));
    let whole = peak(&folder, &args("t.csv", &[]));
    let streamed = peak(&folder, &args("t.csv", &["--stream", "--buffer", "4096"]));
    // The whole table does not fit into what the streamed one was trained in.
    let limit = alone + size * 3 / 5;
    assert!(streamed < limit, "{streamed} kB of {size} kB, {alone} kB alone");
    assert!(whole > limit + size / 2, "{whole} kB of {size} kB");
    crate::say(&format!("a table of {size} kB: {whole} kB in memory, {streamed} kB streamed"));
}
