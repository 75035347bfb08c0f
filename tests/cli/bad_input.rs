//! Bad input: one clear error, exit code 1 (2 for usage), nothing written.

use std::io::Write;

use crate::{Folder, data};

/// Arguments, the exit code and the beginning of the message that they must give.
type Case<'a> = (&'a [&'a str], i32, &'a str);

/// Runs every case, and fails with all that are wrong at once.
fn check_all(cases: &[Case<'_>], run: impl Fn(&[&str]) -> (i32, String)) {
    let wrong: Vec<String> = (cases.iter())
        .filter_map(|(args, code, start)| {
            let (got, message) = run(args);
            let right = got == *code && message.starts_with(start);
            (!right).then(|| {
                format!("{args:?} ended with {got}:\n{message}\nit should end with {code} and begin with\n{start}\n")
            })
        })
        .collect();
    assert!(wrong.is_empty(), "{} of {} cases are wrong\n\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

/// Runs `train` and returns its exit code and messages; checks that no file was created or changed.
fn fail(folder: &Folder, args: &[&str]) -> (i32, String) {
    let before: Vec<_> = folder.names().into_iter().map(|n| (std::fs::read(folder.path(&n)).ok(), n)).collect();
    let out = folder.run(&[&["train"], args, &["--device", "cpu", "--epochs", "2"]].concat());
    let after: Vec<_> = folder.names().into_iter().map(|n| (std::fs::read(folder.path(&n)).ok(), n)).collect();
    assert_eq!(before, after, "{args:?} touched a file");
    assert_eq!(out.stdout, "", "{args:?}");
    assert!(!out.stderr.contains("panicked") && !out.stderr.contains("internal error"), "{}", out.stderr);
    (out.code.unwrap(), out.stderr)
}

#[test]
fn every_bad_table_or_setting_has_a_message() {
    let folder = Folder::new();
    let rows: String = (0..40).map(|i| format!("{i},{},{}\n", i * i, ["u", "v"][i % 2])).collect();
    let good = format!("x,y,c\n{rows}");
    folder.write("good.csv", &good);
    folder.write("empty.csv", "");
    folder.write("header.csv", "x,y,c\n");
    folder.write("ragged.csv", good.replacen("3,9,v\n", "3,9\n", 1));
    folder.write("constant.csv", "x,y\n1,2\n2,2\n3,2\n");
    folder.write("single.csv", format!("{good}50,1,w\n"));
    folder.write("text.csv", format!("{good}fifty,1,u\n"));
    folder.write("inf.csv", format!("{good}50,inf,u\n"));
    folder.write("nan.csv", format!("{good}50,nan,u\n"));
    folder.write("void.csv", good.replace('\n', ",\n").replacen("c,", "c,void", 1));
    folder.write("twice.csv", good.replacen("x,y,c", "x,y,x", 1));
    folder.write("run.toml", "[data]\ntable = \"good.csv\"\ntarget = [\"y\"]\n\n[train]\nlerning_rate = 0.1\n");
    folder.write("late.toml", "version = \"999.0.0\"\n");
    std::fs::create_dir(folder.path("sub")).unwrap();

    let table: [Case<'_>; 35] = [
        (&["none.csv", "--target", "y"], 1, "error: none.csv: no such file\n"),
        (&["sub", "--target", "y"], 1, "error: sub: is a folder, not a table\n"),
        (&["empty.csv", "--target", "y"], 1, "error: empty.csv: the file is empty\n"),
        (&["header.csv", "--target", "y"], 1, "error: header.csv: there is a header but no row of data\n"),
        (&["ragged.csv", "--target", "y"], 1, "error: ragged.csv:5: 2 fields, the header has 3\nhint: "),
        (&["good.csv", "--target", "Y"], 1, "error: good.csv: there is no column \"Y\"\nhint: did you mean \"y\"?\n"),
        (&["good.csv"], 2, "error: no target column is named\nhint: name it with --target COLUMN, one of "),
        (&["--target", "y"], 2, "error: no table is named\nhint: "),
        (
            &["constant.csv", "--target", "y"],
            1,
            "error: the target \"y\" is 2 in every row: there is nothing to learn\n",
        ),
        (
            &["single.csv", "--target", "c"],
            1,
            "error: the class \"w\" has 1 row only, a stratified split needs at least 2 of each class\nhint: remove the row, ",
        ),
        (
            &["text.csv", "--target", "y", "--numeric", "x"],
            1,
            "error: text.csv:42, column \"x\": \"fifty\" is not a number\nhint: --missing fifty",
        ),
        (
            &["good.csv", "--target", "y", "--numeric", "c"],
            1,
            "error: good.csv:2, column \"c\": \"u\" is not a number (40 such values in the column, the next in lines 3 and 4)\nhint: ",
        ),
        (
            &["inf.csv", "--target", "y"],
            1,
            "error: inf.csv:42, column \"y\": inf is not finite in 32-bit floats\nhint: ",
        ),
        (
            &["nan.csv", "--target", "y"],
            1,
            "error: nan.csv:42, column \"y\": the target is missing\nhint: \"nan\" is taken as missing: --keep-text nan",
        ),
        (
            &["void.csv", "--target", "y", "--numeric", "void"],
            1,
            "error: column \"void\" has no value at all\nhint: --ignore void leaves it out\n",
        ),
        (&["twice.csv", "--target", "y"], 1, "error: twice.csv: columns 1 and 3 are both named \"x\"\nhint: "),
        (&["good.csv", "--target", "y", "--ignore", "x,c"], 1, "error: no usable feature column is left: "),
        (
            &["good.csv", "--target", "y", "--batch", "0"],
            1,
            "error: batch is 0, it must be at least 1 row, or auto or full\n",
        ),
        (&["good.csv", "--target", "y", "--lr", "-1"], 1, "error: learning_rate is -1, it must be above 0\n"),
        (&["good.csv", "--target", "y", "--patience", "0"], 1, "error: patience is 0, it must be at least 1 epoch\n"),
        (
            &["good.csv", "--target", "y", "--batch", "0", "--patience", "0"],
            1,
            "error: batch is 0, it must be at least 1 row, or auto or full; patience is 0, it must be at least 1 epoch\n",
        ),
        (
            &["good.csv", "--target", "y", "--set", "hidden=0"],
            1,
            "error: the width of hidden layer 1 is 0, a network needs at least 1\n",
        ),
        (&["good.csv", "--target", "y", "--hidden", "1000000000"], 1, "error: the network would have "),
        (&["good.csv", "--target", "y", "--test", "1.5"], 1, "error: test is 1.5, it must lie in [0, 1)\n"),
        (
            &["good.csv", "--target", "y", "--loss", "categorical-cross-entropy"],
            1,
            "error: the loss categorical-cross-entropy does not fit the task regression\nhint: ",
        ),
        (
            &["good.csv", "--target", "y", "--monitor", "accuracy"],
            1,
            "error: the metric accuracy cannot be monitored for the task regression\nhint: ",
        ),
        (&["--config", "run.toml"], 1, "error: run.toml: TOML parse error at line 6, column 1\n"),
        (&["--config", "late.toml"], 1, "error: late.toml: made by perceptra 999.0.0, this is "),
        (&["good.csv", "--target", "y", "-o", "none/m.perceptra"], 1, "error: none/m.perceptra: cannot be written: "),
        (&["good.csv", "--target", "y", "-o", "sub"], 1, "error: sub: cannot be written: it is a folder\n"),
        (&["good.csv", "--target", "y", "-o", "good.csv"], 2, "error: the model would overwrite the table\n"),
        (
            &["good.csv", "--target", "y", "--optimizer", "adma"],
            2,
            "error: invalid value 'adma' for '--optimizer <NAME>'\n  [possible values: sgd, adam, ",
        ),
        (&["good.csv", "--target", "y", "--test-file", "none.csv"], 1, "error: none.csv: no such file\n"),
        (&["good.csv", "--target", "y", "-o", "./good.csv"], 2, "error: the model would overwrite the table\n"),
        (&["good.csv", "--target", "y", "-o", "m.toml"], 2, "error: the model and its run file would be one file\n"),
    ];
    check_all(&table, |args| fail(&folder, args));
    let (_, message) = fail(&folder, &["--config", "run.toml"]);
    assert!(
        message.contains("6 | lerning_rate = 0.1") && message.ends_with("hint: did you mean `learning_rate`?\n"),
        "{message}"
    );
}

#[test]
fn a_loss_that_diverges_says_when_and_what_to_try() {
    let folder = Folder::new();
    let out = folder.run(&[
        "train",
        &data("concrete.csv"),
        "--target",
        "compressive_strength",
        "--device",
        "cpu",
        "--optimizer",
        "sgd",
        "--lr",
        "1e20",
    ]);
    assert_eq!(out.code, Some(1));
    assert!(out.stderr.starts_with("error: the training loss or the weights became NaN or infinite"), "{}", out.stderr);
    assert!(
        out.stderr.contains(" in epoch 1") && out.stderr.contains("hint: lower the learning rate"),
        "{}",
        out.stderr
    );
    assert_eq!(folder.names(), [""; 0]);
}

#[test]
fn predict_refuses_tables_and_files_that_do_not_fit() {
    let folder = Folder::new();
    folder.train_penguins();
    folder
        .write("lacks.csv", "island,bill_length,bill_depth_mm,flipper_length_mm,body_mass_g,year\nBiscoe,1,1,1,1,1\n");
    folder.write("text.csv", "island,bill_length_mm,bill_depth_mm,flipper_length_mm,body_mass_g,sex,year\nBiscoe,1,1,1,1,male,1\nBiscoe,1,1,long,1,male,1\n");
    folder.write("old.csv", "precious");
    let table: [Case<'_>; 6] = [
        (
            &["m.perceptra", "lacks.csv"],
            1,
            "error: lacks.csv: 2 columns that the model needs are missing: \"bill_length_mm\", \"sex\"\nhint: did you mean \"bill_length\"?\n",
        ),
        (
            &["m.perceptra", "text.csv", "-o", "old.csv"],
            1,
            "error: text.csv:3, column \"flipper_length_mm\": \"long\" is not a number\n",
        ),
        (&["m.perceptra", "text.csv", "-o", "text.csv"], 2, "error: the predictions would overwrite their own input\n"),
        (
            &["m.perceptra", "text.csv", "-o", "out.xyz"],
            2,
            "error: out.xyz: the name does not say a format\nhint: end it in .csv, .tsv, .jsonl, .parquet\n",
        ),
        (
            &["text.csv", "text.csv"],
            1,
            "error: text.csv: not a perceptra model: it looks like text\nhint: the model comes first, then the table\n",
        ),
        (&["none.perceptra", "text.csv"], 1, "error: none.perceptra: cannot be read: "),
    ];
    check_all(&table, |args| {
        let out = folder.run(&[&["predict", "--device", "cpu"], args].concat());
        (out.code.unwrap(), out.stderr)
    });
    assert_eq!(folder.read("old.csv"), "precious");
    assert_eq!(folder.names(), ["lacks.csv", "m.perceptra", "m.toml", "old.csv", "text.csv"]);
}

#[test]
fn missing_devices_are_named() {
    let folder = Folder::new();
    let train = |device: &str| {
        let out = folder.run(&["train", &data("penguins.csv"), "--target", "species", "--device", device]);
        assert_eq!(out.code, Some(1), "{}", out.stderr);
        out.stderr
    };
    assert!(train("gpu").starts_with("error: there is no device \"gpu\"\nhint: choose auto, cpu or one of flex, "));
    assert!(train("flex:4").starts_with("error: there is no device flex:4: flex has 1, numbered from 0\n"));
    if cfg!(not(feature = "cuda")) {
        let message = train("cuda");
        assert!(message.contains("not compiled into this program") && message.contains("feature cuda"), "{message}");
    }
}

#[test]
fn unknown_columns_are_named() {
    let folder = Folder::new();
    folder.train_penguins();
    let header = "island,bill_length_mm,bill_depth_mm,flipper_length_mm,body_mass_g,sex,year,species";
    folder.write("more.csv", format!("{header},note,id\nBiscoe,39,18,181,3700,male,2007,Adelie,x,1\n"));
    folder.write("none.csv", format!("{header}\n"));
    let out = folder.run(&["predict", "m.perceptra", "more.csv", "--device", "cpu"]);
    assert_eq!((out.code, out.stdout.lines().count()), (Some(0), 2));
    assert_eq!(out.stderr, "note: columns that the model does not know are ignored: \"note\", \"id\"\n");
    let out = folder.run(&["predict", "m.perceptra", "more.csv", "--device", "cpu", "--strict", "-o", "p.csv"]);
    assert_eq!((out.code, folder.names().contains(&"p.csv".to_owned())), (Some(1), false));
    let expected = "error: more.csv: the model does not know the columns \"note\", \"id\"\nhint: without --strict they are ignored\n";
    assert_eq!(out.stderr, expected);
    // A header in, a header out.
    for file in ["p.csv", "p.tsv"] {
        folder.ok(&["predict", "m.perceptra", "none.csv", "--device", "cpu", "--strict", "-o", file]);
        assert_eq!(folder.read(file), "prediction\n");
    }
    assert_eq!(folder.ok(&["predict", "m.perceptra", "none.csv", "--device", "cpu"]), "prediction\n");
}

#[test]
fn flags_that_override_the_run_file_are_reported() {
    let folder = Folder::new();
    let rows: String = (0..60).map(|i| format!("{i},{}.5\n", i % 9)).collect();
    folder.write("t.csv", format!("x,y\n{rows}"));
    folder.write("run.toml", "[data]\ntable = 't.csv'\ntarget = ['y']\n[train]\nseed = 3\nepochs = 2\nbatch = 1000\n");
    let out = folder.run(&["train", "--config", "run.toml", "--seed", "4", "--epochs", "2", "--device", "cpu"]);
    assert_eq!(out.code, Some(0), "{}", out.stderr);
    let expected = "note: train.seed is 4, by a flag, not 3, as in run.toml\n\
                    note: column \"x\" counts the rows, in the order of the table (--ignore x leaves it out, if it says nothing else)\n\
                    note: a batch of 1000 rows is more than the 41 training rows, it has all of them\n";
    assert_eq!(out.stderr, expected);
    let out = folder.run(&["train", "--config", "run.toml", "--seed", "4", "--device", "cpu", "--quiet"]);
    assert_eq!(out.stderr, "");
}

#[test]
fn column_names_of_any_form_survive_models_and_predictions() {
    let folder = Folder::new();
    let names = ["a b", "q\"uote", "comma,", "né=1", "line\nbreak", ""];
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(names.iter().chain(&["tar get", "zwei\n"])).unwrap();
    for i in 0..60 {
        let row: Vec<String> = (0..8).map(|j| format!("{}.5", (i * 7 + j * 13) % 29)).collect();
        writer.write_record(&row).unwrap();
    }
    let table = writer.into_inner().unwrap();
    folder.write("t.csv", &table);
    folder.write("run.toml", "data.table = 't.csv'\ndata.target = ['tar get', \"zwei\"]\ntrain.epochs = 1\n");
    folder.ok(&["train", "--config", "run.toml", "--device", "cpu", "-o", "m.perceptra", "-q"]);
    folder.ok(&["predict", "m.perceptra", "t.csv", "--device", "cpu", "-o", "p.csv", "--strict"]);
    let mut reader = csv::Reader::from_path(folder.path("p.csv")).unwrap();
    assert_eq!(reader.headers().unwrap(), vec!["prediction_tar get", "prediction_zwei"]);
    assert_eq!(reader.records().count(), 60);
    let json = folder.json(&["inspect", "m.perceptra", "--json"]);
    // Columns without a name get one, as pandas gives it.
    let named: Vec<&str> = names.iter().map(|name| if name.is_empty() { "Unnamed: 5" } else { *name }).collect();
    assert_eq!(json["inputs"], serde_json::json!(named));
}

#[cfg(unix)]
#[test]
fn pipes_devices_and_links_can_be_inputs() {
    let folder = Folder::new();
    folder.train_penguins();
    let fifo = folder.path("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let table = std::fs::read_to_string(data("penguins.csv")).unwrap();
    let writer = {
        let (fifo, table) = (fifo.clone(), table.clone());
        std::thread::spawn(move || {
            std::fs::OpenOptions::new().write(true).open(fifo).unwrap().write_all(table.as_bytes())
        })
    };
    assert_eq!(folder.ok(&["predict", "m.perceptra", "pipe", "--device", "cpu"]).lines().count(), 345);
    writer.join().unwrap().unwrap();
    // Input that ends in the middle of a row; an input that cannot be read at all.
    let half =
        folder.run_with(&["predict", "m.perceptra", "-", "--device", "cpu", "-o", "p.csv"], &table.as_bytes()[..5003]);
    assert_eq!(half.code, Some(1), "{}", half.stdout);
    assert!(half.stderr.starts_with("error: standard input:"), "{}", half.stderr);
    assert!(!folder.names().contains(&"p.csv".to_owned()));
    let out = folder.run(&["predict", "m.perceptra", "/proc/self/mem", "--device", "cpu"]);
    assert!(out.code == Some(1) && out.stderr.contains("/proc/self/mem: cannot be read: "), "{}", out.stderr);
    let out = folder.run(&["inspect", "/dev/zero"]);
    assert!(
        out.code == Some(1) && out.stderr.starts_with("error: /dev/zero: the model is damaged: "),
        "{}",
        out.stderr
    );
    // A model through a link, with `..` and spaces in its path; one that is replaced, not followed, when it is written.
    std::fs::create_dir(folder.path("sub folder")).unwrap();
    std::os::unix::fs::symlink(folder.path("m.perceptra"), folder.path("sub folder/link.perceptra")).unwrap();
    let name = "sub folder/../sub folder/link.perceptra";
    folder.ok(&["inspect", name]);
    let before = std::fs::read(folder.path("m.perceptra")).unwrap();
    let train =
        ["train", &data("penguins.csv"), "--target", "species", "--device", "cpu", "--epochs", "1", "-q", "-o", name];
    folder.ok(&train);
    assert!(!folder.path("sub folder/link.perceptra").is_symlink());
    assert!(std::fs::read(folder.path("m.perceptra")).unwrap() == before);
}

/// Files of Rust in a folder and those below.
#[cfg(all(feature = "search", feature = "playground", feature = "view", feature = "baselines"))]
fn sources(folder: &std::path::Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

#[cfg(all(feature = "search", feature = "playground", feature = "view", feature = "baselines"))]
#[test]
fn every_flag_named_in_a_message_exists() {
    let folder = Folder::new();
    let help = folder.ok(&["--help"]);
    let commands = help.lines().skip_while(|l| *l != "Commands:").skip(1).take_while(|l| !l.is_empty());
    let commands = commands.filter_map(|l| l.split_whitespace().next()).filter(|c| *c != "help");
    let flags = |text: &str| -> Vec<String> {
        let mut found = Vec::new();
        for (at, _) in text.match_indices("--") {
            let name: String = text[at + 2..].chars().take_while(|c| c.is_ascii_lowercase() || *c == '-').collect();
            let style = text[at + 2 + name.len()..].starts_with(':') || text[..at].ends_with("var(");
            if !style && !name.starts_with('-') && !name.is_empty() && !text[..at].ends_with('-') {
                found.push(name.trim_end_matches('-').to_owned());
            }
        }
        found
    };
    let known: std::collections::HashSet<String> =
        commands.flat_map(|command| flags(&folder.ok(&[command, "--help"]))).collect();
    assert!(known.contains("no-stratify") && !known.contains("stratify"));

    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    sources(&root.join("crates"), &mut files);
    sources(&root.join("src"), &mut files);
    let (mut seen, mut unknown) = (0, Vec::new());
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        for line in text.lines().filter(|l| !l.trim_start().starts_with("//")) {
            for flag in flags(line) {
                seen += 1;
                if !known.contains(&flag) && !["features", "no-default-features"].contains(&&*flag) {
                    unknown.push(format!("{}: --{flag} in {line}", file.display()));
                }
            }
        }
    }
    assert!(unknown.is_empty() && seen > 30, "{seen} {unknown:#?}");
}
