//! Train, evaluate, predict, inspect.

use crate::{Folder, data};

/// Numbers with a point, which differ in their last digits between processors, as `#`.
fn without_numbers(text: &str) -> String {
    let number = |c: char| c.is_ascii_digit() || c == '.';
    let words = text.lines().map(|line| {
        let words = line.split(' ').map(|word| match word.contains('.') && word.chars().all(number) {
            true => "#",
            false => word,
        });
        words.filter(|w| !w.is_empty()).collect::<Vec<_>>().join(" ")
    });
    words.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_main_job_from_the_readme() {
    let folder = Folder::new();
    let out = folder.run(&["train", &data("penguins.csv"), "--target", "species", "--device", "cpu", "--epochs", "30"]);
    assert_eq!(out.code, Some(0), "{}", out.stderr);
    let text = without_numbers(&out.stdout.replace(&data(""), ""));
    let (head, rest) = text.split_once("\n\n").unwrap();
    assert_eq!(
        head.lines().take(3).collect::<Vec<_>>(),
        [
            "penguins.csv: multiclass of species, 3 classes (its values are texts; --task changes it)",
            "234 training, 41 validation and 69 test rows, 7 features as 11 inputs, on flex (CPU)",
            "FeedForward 11-128-64-3 (relu, softmax), 9987 parameters",
        ]
    );
    for part in ["validation test", "balanced accuracy ", "log loss ", "true \\ predicted Adelie Chinstrap Gentoo"] {
        assert!(rest.contains(part), "{part} in {rest}");
    }
    assert!(rest.ends_with("model: penguins.perceptra\nrun file: penguins.toml"), "{rest}");
    assert_eq!(folder.names(), ["penguins.perceptra", "penguins.toml"]);
    assert!(out.stderr.contains("column \"sex\": 7 missing values"), "{}", out.stderr);
}

#[test]
fn held_out_accuracy_is_what_it_should_be() {
    let folder = Folder::new();
    let report = folder.json(&["train", &data("penguins.csv"), "--target", "species", "--device", "cpu", "--json"]);
    let accuracy = report["test"]["accuracy"].as_f64().unwrap();
    assert!(accuracy >= 0.97, "{accuracy}");
    let report =
        folder.json(&["train", &data("concrete.csv"), "--target", "compressive_strength", "--device", "cpu", "--json"]);
    let rmse = report["test"]["rmse"].as_f64().unwrap();
    // The standard deviation of the target is 16.7.
    assert!(rmse < 5.6, "{rmse}");
    assert_eq!(report["task"], "regression");
}

#[test]
fn multiclass_with_two_classes_is_binary() {
    let folder = Folder::new();
    let rows: String = (0..200).map(|i| format!("{},{}\n", i, if i < 90 { "no" } else { "yes" })).collect();
    folder.write("t.csv", format!("x,y\n{rows}"));
    let report = |task: &str| {
        let args = ["train", "t.csv", "--target", "y", "--task", task, "--device", "cpu", "--epochs", "40", "--json"];
        folder.json(&[&args[..], &["-o", &format!("{task}.perceptra")]].concat())
    };
    let [binary, several] = ["binary", "multiclass"].map(report);
    assert_eq!(several["task"], "binary");
    assert_eq!(several["test"], binary["test"]);
    let accuracy = several["test"]["accuracy"].as_f64().unwrap();
    assert!(accuracy >= 0.9, "{accuracy}");
}

#[test]
fn a_saved_model_predicts_and_scores_as_before() {
    let folder = Folder::new();
    let penguins = data("penguins.csv");
    // Every row marked: the test rows are the last 60.
    let text = std::fs::read_to_string(&penguins).unwrap();
    let mut lines = text.lines();
    let header = lines.next().unwrap();
    let rows: Vec<&str> = lines.collect();
    let marked = |i: usize| match i % 6 {
        0 => "test",
        1 => "validation",
        _ => "train",
    };
    let table: String = rows.iter().enumerate().map(|(i, row)| format!("{row},{}\n", marked(i))).collect();
    folder.write("all.csv", format!("{header},part\n{table}"));
    let test: Vec<&str> = rows.iter().enumerate().filter(|(i, _)| i % 6 == 0).map(|(_, row)| *row).collect();
    folder.write("test.csv", format!("{header}\n{}\n", test.join("\n")));
    let report = folder.json(&[
        "train",
        "all.csv",
        "--target",
        "species",
        "--split",
        "part",
        "--device",
        "cpu",
        "--epochs",
        "20",
        "--json",
        "-o",
        "m.perceptra",
    ]);
    assert_eq!(report["rows"]["test"], test.len());
    let mut judged = folder.json(&["evaluate", "m.perceptra", "test.csv", "--device", "cpu", "--json"]);
    // What is said of the table comes beside the metrics.
    for key in ["positive", "missing", "unseen"] {
        assert!(judged.as_object_mut().unwrap().remove(key).is_some(), "{key}");
    }
    assert_eq!(judged, report["test"]);

    // Predictions: rows in order, columns in any order, extra ones ignored, every format the same.
    let csv = folder.ok(&["predict", "m.perceptra", "test.csv", "--device", "cpu", "--proba"]);
    let mut lines = csv.lines();
    assert_eq!(lines.next(), Some("prediction,proba_Adelie,proba_Chinstrap,proba_Gentoo"));
    assert_eq!(lines.clone().count(), test.len());
    let right = lines.zip(&test).filter(|(p, row)| p.split(',').next() == row.split(',').next()).count();
    assert_eq!(right as f64 / test.len() as f64, judged["accuracy"].as_f64().unwrap());
    let reversed = |line: &str| line.split(',').rev().collect::<Vec<_>>().join(",");
    let shuffled: String =
        std::iter::once(header).chain(test.iter().copied()).map(|l| format!("{},9\n", reversed(l))).collect();
    folder.write("shuffled.csv", shuffled.replacen(",9\n", ",extra\n", 1));
    assert_eq!(folder.ok(&["predict", "m.perceptra", "shuffled.csv", "--device", "cpu", "--proba"]), csv);
    for format in ["csv", "tsv", "jsonl", "parquet"] {
        let name = format!("out.{format}");
        folder.ok(&["predict", "m.perceptra", "test.csv", "--device", "cpu", "--proba", "-o", &name]);
        let back = match format {
            "jsonl" => {
                let rows = folder
                    .read(&name)
                    .lines()
                    .map(|l| serde_json::from_str::<serde_json::Value>(l).unwrap())
                    .map(|o| {
                        let p = |c: &str| (o[format!("proba_{c}")].as_f64().unwrap() as f32).to_string();
                        format!(
                            "{},{},{},{}\n",
                            o["prediction"].as_str().unwrap(),
                            p("Adelie"),
                            p("Chinstrap"),
                            p("Gentoo")
                        )
                    })
                    .collect::<String>();
                format!("prediction,proba_Adelie,proba_Chinstrap,proba_Gentoo\n{rows}")
            }
            "parquet" => {
                let table = perceptra::Table::read(&folder.path(&name), &Default::default()).unwrap();
                assert_eq!(table.columns().join(","), csv.lines().next().unwrap());
                assert_eq!(table.rows(), test.len());
                continue;
            }
            _ => folder.read(&name).replace('\t', ","),
        };
        assert_eq!(back, csv, "{format}");
    }
}

#[test]
fn importance_intervals_and_calibration() {
    let folder = Folder::new();
    let table = data("concrete.csv");
    let args = [
        "train",
        &table,
        "--target",
        "compressive_strength",
        "--epochs",
        "30",
        "--device",
        "cpu",
        "--validation",
        "0.3",
    ];
    folder.ok(&args);
    let text = folder.ok(&["explain", "concrete.perceptra", &table]);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("rmse on 1030 rows: ") && lines[2].starts_with("column"), "{text}");
    // Strength comes of cement and age.
    assert!(
        lines[3..5].iter().all(|l| l.starts_with("cement") || l.starts_with("age")) && lines[3].contains("██"),
        "{text}"
    );
    assert_eq!(lines.len(), 3 + 8);
    let json = folder.json(&["explain", "concrete.perceptra", &table, "--metric", "r2", "--repeats", "3", "--json"]);
    assert_eq!((json["metric"].as_str(), json["features"].as_array().unwrap().len()), (Some("r2"), 8));
    let error = folder.run(&["explain", "concrete.perceptra", &table, "--metric", "accuracy"]);
    assert!(
        error.code == Some(1) && error.stderr.contains("cannot measure the importance of features"),
        "{}",
        error.stderr
    );

    folder.ok(&["predict", "concrete.perceptra", &table, "--interval", "0.9", "-o", "out.csv", "--quiet"]);
    let out = folder.read("out.csv");
    assert!(out.starts_with("prediction,lower,upper\n"), "{out}");
    let mut truth = csv::Reader::from_path(&table).unwrap();
    let at = truth.headers().unwrap().iter().position(|h| h == "compressive_strength").unwrap();
    let held = out.lines().skip(1).zip(truth.records()).filter(|(line, row)| {
        let [_, lower, upper] = line.split(',').map(|v| v.parse::<f64>().unwrap()).collect::<Vec<_>>()[..] else {
            panic!()
        };
        (lower..=upper).contains(&row.as_ref().unwrap()[at].parse::<f64>().unwrap())
    });
    // Nine in ten of 1030, and what 247 validation rows may be off by.
    let held = held.count();
    assert!((880..975).contains(&held), "{held}");
    folder.ok(&["predict", "concrete.perceptra", &table, "--interval", "0.5", "-o", "out.parquet", "--quiet"]);
    let file = std::fs::File::open(folder.path("out.parquet")).unwrap();
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let names: Vec<String> = reader.schema().fields().iter().map(|f| f.name().clone()).collect();
    assert_eq!(names, ["prediction", "lower", "upper"]);
    for (coverage, part) in [("1.5", "does not lie between 0 and 1"), ("0.9999", "needs 9999 validation rows")] {
        let error = folder.run(&["predict", "concrete.perceptra", &table, "--interval", coverage]);
        assert!(error.code == Some(1) && error.stderr.contains(part), "{}", error.stderr);
    }

    // Classes have a temperature, and no intervals.
    let table = data("penguins.csv");
    let args = ["train", &table, "--target", "species", "--epochs", "30", "--device", "cpu"];
    let text = folder.ok(&args);
    assert!(text.contains("\ntemperature scaling ") && text.contains("calibration error "), "{text}");
    let error = folder.run(&["predict", "penguins.perceptra", &table, "--interval", "0.9"]);
    assert!(error.stderr.contains("the model has no prediction intervals: it predicts classes"), "{}", error.stderr);
    let more =
        ["--no-calibrate", "--label-smoothing", "0.1", "--schedule", "coslog4", "--json", "-o", "plain.perceptra"];
    let json = folder.json(&[&args[..], &more[..]].concat());
    assert!(json["calibration"].is_null() && json["test"]["calibration_error"].is_f64(), "{json}");
}

#[test]
fn unseen_categories_and_missing_values_are_counted_and_predicted() {
    let folder = Folder::new();
    folder.train_penguins();
    let new = "island,bill_length_mm,bill_depth_mm,flipper_length_mm,body_mass_g,sex,year\nMars,39,18,NA,3700,male,2007\n\
               Pluto,39,18,181,3700,,2007\n";
    folder.write("new.csv", new);
    let out = folder.run(&["predict", "m.perceptra", "new.csv", "--device", "cpu"]);
    // A table in which no category is known may be another table.
    assert_eq!((out.code, out.stdout.as_str()), (Some(1), ""));
    let error = "error: new.csv, column \"island\": none of its 2 values is among the categories known from training\n";
    assert!(out.stderr.starts_with(error) && out.stderr.contains("--allow-unseen"), "{}", out.stderr);
    let args = ["predict", "m.perceptra", "new.csv", "--device", "cpu", "--allow-unseen"];
    let out = folder.run(&args);
    assert_eq!(out.stdout.lines().count(), 3);
    for part in
        ["warning: column \"island\": 2 values are not among", "\"flipper_length_mm\": 1 missing", "\"sex\": 1 missing"]
    {
        assert!(out.stderr.contains(part), "{}", out.stderr);
    }
    // Standard input, and a table with a header and no rows.
    let piped =
        folder.run_with(&["predict", "m.perceptra", "-", "--device", "cpu", "-q", "--allow-unseen"], new.as_bytes());
    assert_eq!((piped.stdout, piped.stderr.as_str()), (out.stdout, ""));
    folder.write("empty.csv", new.lines().next().unwrap());
    let none = folder.run(&["predict", "m.perceptra", "empty.csv", "--device", "cpu"]);
    assert_eq!((none.code, none.stdout.as_str()), (Some(0), "prediction\n"), "{}", none.stderr);
}

#[test]
fn the_run_file_gives_the_same_model_and_so_does_the_library() {
    let folder = Folder::new();
    let concrete = data("concrete.csv");
    folder.ok(&[
        "train",
        &concrete,
        "--target",
        "compressive_strength,age",
        "--device",
        "cpu",
        "--epochs",
        "4",
        "--seed",
        "7",
        "--hidden",
        "16x8",
        "--activation",
        "tanh,silu",
        "--dropout",
        "0.2",
        "--optimizer",
        "adamw",
        "--weight-decay",
        "0.01",
        "--schedule",
        "cosine",
        "--batch",
        "50",
        "--monitor",
        "rmse",
        "--patience",
        "none",
        "--scaling",
        "quantile",
        "-o",
        "a.perceptra",
    ]);
    folder.ok(&["train", "--config", "a.toml", "-o", "b.perceptra"]);
    let bytes = |name: &str| std::fs::read(folder.path(name)).unwrap();
    assert!(bytes("a.perceptra") == bytes("b.perceptra"), "the run file does not give the same model");
    assert_eq!(folder.read("a.toml"), folder.read("b.toml").replace("b.perceptra", "a.perceptra"));

    let run = perceptra::RunConfig::read(&folder.path("a.toml")).unwrap();
    let device = perceptra::choose("cpu").unwrap().device;
    let trained = perceptra::model::train(&run, &perceptra::Tables::read(&run).unwrap(), &device, &mut ()).unwrap();
    assert!(trained.model.to_bytes().unwrap() == bytes("a.perceptra"), "the library does not give the same model");
    assert_eq!(
        folder.ok(&["predict", "a.perceptra", &concrete, "--device", "cpu"]).lines().next(),
        Some("prediction_compressive_strength,prediction_age")
    );
}

#[test]
fn init_writes_a_run_file_that_runs() {
    let folder = Folder::new();
    folder.ok(&["init", "run.toml", "--table", &data("penguins.csv"), "--target", "species"]);
    let report = folder.json(&["train", "--config", "run.toml", "--device", "cpu", "--epochs", "2", "--json"]);
    assert_eq!(report["history"]["epochs"].as_array().unwrap().len(), 2);
    let again = folder.run(&["init", "run.toml"]);
    assert_eq!(again.code, Some(1));
    assert_eq!(again.stderr, "error: run.toml: cannot be written: the file exists; --force overwrites it\n");
}

#[test]
fn inspect_devices_and_completions_print() {
    let folder = Folder::new();
    folder.train_penguins();
    let text = folder.ok(&["inspect", "m.perceptra"]);
    let text = text.lines().map(|l| l.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>();
    for line in [
        "FeedForward 11-128-64-3 (relu, softmax), 9987 parameters",
        "hidden 1 11 128 relu 1 536",
        "output 64 3 softmax 195",
        "learns multiclass of species: Adelie, Chinstrap, Gentoo",
        "island categorical 3",
        "epoch training loss validation loss",
    ] {
        assert!(text.iter().any(|l| l == line), "{line} in {text:#?}");
    }
    let json = folder.json(&["inspect", "m.perceptra", "--json"]);
    assert_eq!(json["inputs"].as_array().unwrap().len(), 11);
    let devices = folder.json(&["devices", "--json"]);
    assert_eq!(devices["devices"][0]["flag"], "flex");
    assert!(folder.ok(&["devices"]).contains("auto chooses"));
    assert!(folder.ok(&["completions", "bash"]).contains("complete"));
    assert!(folder.ok(&["train", "--help"]).contains("--learning-rate"));
}

#[test]
fn a_closed_pipe_is_not_an_error() {
    let folder = Folder::new();
    folder.train_penguins();
    let mut big = String::from("island,bill_length_mm,bill_depth_mm,flipper_length_mm,body_mass_g,sex,year\n");
    big.extend(std::iter::repeat_n("Biscoe,39,18,181,3700,male,2007\n", 60_000));
    folder.write("big.csv", big);
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_perceptra"))
        .args(["predict", "m.perceptra", "big.csv", "--device", "cpu"])
        .current_dir(folder.0.path())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        (output.status.code(), output.stderr.len()),
        (Some(0), 0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn row_weights_separate_files_and_standard_input() {
    let folder = Folder::new();
    // Rows of weight 0 say the opposite of the others, and change nothing.
    let row = |i: usize, y: usize, w: usize| format!("{},{y},{w}\n", i as f64 / 50.0 - 1.0);
    let right: String = (0..100).map(|i| row(i, 3 * i, 1)).collect();
    let wrong: String = (0..100).map(|i| row(i, 1000 - 3 * i, 0)).collect();
    folder.write("all.csv", format!("x,y,w\n{right}{wrong}"));
    folder.write("right.csv", format!("x,y,w\n{right}"));
    let run = |table: &str, stdin: &str, device: &str| {
        let out = folder.run_with(
            &[
                "train",
                table,
                "--target",
                "y",
                "--weights",
                "w",
                "--test-file",
                "right.csv",
                "--validation-file",
                "right.csv",
                "--hidden",
                "none",
                "--dropout",
                "0",
                "--lr",
                "0.05",
                "--epochs",
                "60",
                "--device",
                device,
                "--json",
            ],
            stdin.as_bytes(),
        );
        assert_eq!(out.code, Some(0), "{}", out.stderr);
        let report: serde_json::Value = serde_json::from_str(&out.stdout).unwrap();
        assert_eq!(report["rows"]["train"], 100);
        assert_eq!(report["rows"]["validation"], 100);
        report["test"]["rmse"].as_f64().unwrap()
    };
    // The spread of the target is 87; without the weights the line would be flat.
    let rmse = run("all.csv", "", "flex");
    assert!(rmse < 5.0, "{rmse}");
    assert_eq!(run("-", &folder.read("all.csv"), "flex"), rmse);
    if cfg!(feature = "ndarray") {
        assert!((run("all.csv", "", "ndarray") - rmse).abs() < 0.05 * rmse.max(1.0));
    }
    assert!(folder.names().contains(&"model.perceptra".to_owned()), "{:?}", folder.names());
}

#[test]
fn both_engines_train_and_auto_prefers_the_fused_one() {
    let folder = Folder::new();
    let concrete = data("concrete.csv");
    let train = |more: &[&str]| {
        let args = ["train", &concrete, "--target", "compressive_strength", "--device", "cpu", "--epochs", "20", "-v"];
        folder.run(&[&args, more].concat())
    };
    let rmse = |engine: &str| {
        let out = train(&["--engine", engine, "--json"]);
        assert_eq!(out.code, Some(0), "{}", out.stderr);
        let report: serde_json::Value = serde_json::from_str(&out.stdout).unwrap();
        (report["test"]["rmse"].as_f64().unwrap(), report["engine"].clone(), out.stderr)
    };
    let (autodiff, engine, notes) = rmse("autodiff");
    assert_eq!(engine, "autodiff");
    assert!(notes.contains("note: 22 steps an epoch by the autodiff engine\n"), "{notes}");
    let (fused, engine, notes) = rmse("auto");
    assert_eq!(engine, "fused");
    assert!(notes.contains("by the fused engine\n"), "{notes}");
    assert!((autodiff - fused).abs() < 0.02 * autodiff, "{autodiff} {fused}");
    // What the fused engine cannot do falls back, with a note; asked for by name it is an error that says what to do.
    let out = train(&["--norm", "batch"]);
    assert_eq!(out.code, Some(0));
    let why = "by the autodiff engine, not by the fused one: it has no normalization layers";
    assert!(out.stderr.contains(why), "{}", out.stderr);
    let out = train(&["--norm", "batch", "--engine", "fused"]);
    assert_eq!(out.code, Some(1));
    assert!(out.stderr.contains("error: the fused engine cannot train this"), "{}", out.stderr);
    assert!(out.stderr.contains("hint: leave --engine at auto"), "{}", out.stderr);
}

#[test]
fn the_bits_do_not_depend_on_the_number_of_threads() {
    let model = |threads: &str| {
        let folder = Folder::new();
        let status = std::process::Command::new(env!("CARGO_BIN_EXE_perceptra"))
            .args(["train", &data("concrete.csv"), "--target", "compressive_strength", "--device", "cpu"])
            .args(["--epochs", "5", "--batch", "256", "--engine", "fused", "-o", "m.perceptra", "--quiet"])
            .env("RAYON_NUM_THREADS", threads)
            .current_dir(folder.path(""))
            .output()
            .unwrap()
            .status;
        assert!(status.success());
        std::fs::read(folder.path("m.perceptra")).unwrap()
    };
    assert!(model("1") == model("2"));
}
