//! The lecture: its examples, its guides, and the commands in them.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Folder, data};

/// Runs an example, which writes its pictures into a folder.
fn run(example: &str, pictures: &Path) -> String {
    let folder = Path::new(env!("CARGO_BIN_EXE_perceptra")).with_file_name("examples");
    let program = folder.join(format!("{example}{}", std::env::consts::EXE_SUFFIX));
    assert!(program.exists(), "{} is not built: cargo build --examples", program.display());
    let output = Command::new(program).arg(pictures).output().unwrap();
    assert!(output.status.success(), "{example}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The examples, some lines that each prints, and its pictures.
const EXAMPLES: [(&str, &[&str], &[&str]); 11] = [
    ("neuron", &["y = step(1·x1 + 1·x2 - 1.5)", "excitatory, inhibitory", "none, excitatory"], &["neuron"]),
    ("firing_rate", &["silent up to 6 µA/cm², from 6.5 on it fires"], &["firing_rate"]),
    ("regression", &["descent:       y = identity(0.8115", "least squares: y = identity(0.8115"], &["regression"]),
    ("perceptron", &["AND  11 corrections", "XOR  14 corrections", "not linearly separable"], &["perceptron"]),
    ("xor", &["2-3-1 sigmoid", "[0.00, 1.00, 1.00, 0.04]"], &["xor"]),
    ("regions", &["spirals  8 hidden", "collapsed to FeedForward 2-1 (linear), 3 parameters"], &["regions"]),
    ("descent", &["from (0.3, −1.5): to (-"], &["descent"]),
    ("rates", &["ρ = 0.05, Rows(1), None: R = 0.0"], &["rates"]),
    ("backprop", &["∂R/∂wₖⱼ", "layers.1.weight  autodiff"], &[]),
    ("svm", &["Maximal margin", "3 of  60 rows support it", "regression, ε = 0.2"], &["svm", "svm_regression"]),
    ("overfitting", &["early stopping ends", "batch 4000"], &["overfitting", "overfitting_sizes"]),
];

#[test]
fn the_examples_print_the_figures_of_the_guides() {
    std::thread::scope(|scope| {
        for (example, lines, pictures) in EXAMPLES {
            scope.spawn(move || {
                let folder = tempfile::tempdir().unwrap();
                let out = run(example, folder.path());
                for line in lines {
                    assert!(out.contains(line), "{example}: {line:?} in\n{out}");
                }
                let mut files: Vec<String> =
                    pictures.iter().flat_map(|p| [format!("{p}.png"), format!("{p}.svg")]).collect();
                files.sort();
                assert_eq!(names(folder.path()), files, "{example}");
            });
        }
    });
}

/// The number that follows a text.
fn number(out: &str, before: &str) -> f64 {
    let (_, after) = out.split_once(before).unwrap_or_else(|| panic!("{before:?} in\n{out}"));
    let digits = after.trim_start().split(|c: char| !c.is_ascii_digit() && c != '.').next().unwrap();
    digits.parse().unwrap_or_else(|_| panic!("{before:?} in\n{out}"))
}

// Counts differ a little between processors: what they have to show does not.
#[test]
fn more_units_solve_more() {
    let folder = tempfile::tempdir().unwrap();
    let xor = run("xor", folder.path());
    for activation in ["tanh", "sigmoid", "relu"] {
        let [two, three] = [2, 3].map(|width| number(&xor, &format!("2-{width}-1 {activation}")));
        assert!(two >= 5.0 && three >= two + 15.0, "{xor}");
    }
    assert!(number(&xor, "2-1   dendritic") >= 10.0, "{xor}");
    let regions = run("regions", folder.path());
    for points in ["moons", "circles", "spirals"] {
        let [one, two, eight] = [1, 2, 8].map(|width| number(&regions, &format!("{points:<8} {width} hidden:")));
        assert!(one <= two && two < 92.0 && eight >= 97.0, "{regions}");
    }
    let overfitting = run("overfitting", folder.path());
    let [small, large] = [4, 128].map(|width| number(&overfitting, &format!("width {width:>3}: training")));
    assert!(large < 0.1 && small > large, "{overfitting}");
    assert!(number(&overfitting, "keeps epoch") < number(&overfitting, "ends after epoch"), "{overfitting}");
}

#[test]
fn pictures_come_out_the_same_twice() {
    for example in ["perceptron", "svm", "descent"] {
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        run(example, a.path());
        run(example, b.path());
        for name in names(a.path()) {
            assert!(
                std::fs::read(a.path().join(&name)).unwrap() == std::fs::read(b.path().join(&name)).unwrap(),
                "{name}"
            );
        }
    }
}

#[test]
fn the_guides_name_every_example_and_show_every_picture_there_is() {
    let there = names(&docs().join("pictures"));
    let mut wanted: Vec<String> =
        EXAMPLES.iter().flat_map(|(.., p)| p.iter().flat_map(|p| [format!("{p}.png"), format!("{p}.svg")])).collect();
    wanted.sort();
    assert_eq!(there, wanted);
    for guide in ["lecture.md", "lecture.es.md"] {
        let text = std::fs::read_to_string(docs().join(guide)).unwrap();
        for (example, _, pictures) in EXAMPLES {
            assert!(text.contains(&format!("--example {example}")), "{guide}: {example}");
            for picture in pictures {
                assert!(text.contains(&format!("](pictures/{picture}.svg)")), "{guide}: {picture}");
            }
        }
        for command in ["perceptra compare", "perceptra gradcheck", "--reduction"] {
            assert!(text.contains(command), "{guide}: {command}");
        }
    }
}

#[test]
fn models_are_compared_on_the_same_rows() {
    let folder = Folder::new();
    let penguins = data("penguins.csv");
    let args = ["compare", &penguins, "--target", "species", "--device", "cpu", "--epochs", "30", "--presets", "fast"];
    let text = folder.ok(&args);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].ends_with("penguins.csv: multiclass of species, 69 test rows"), "{text}");
    let heads = [
        "network 11-128-64-3 (relu, softmax) ",
        "one neuron a class, softmax ",
        "SVM, linear ",
        "SVM, polynomial of degree 3 ",
        "SVM, radial ",
        "the most frequent class ",
        "preset fast ",
    ];
    assert!(
        lines[2].split_whitespace().eq([
            "model",
            "accuracy",
            "balanced",
            "accuracy",
            "F1",
            "seconds",
            "parameters",
            "support",
            "vectors"
        ]),
        "{text}"
    );
    assert!(lines[3..].iter().zip(heads).all(|(line, head)| line.starts_with(head)) && lines.len() == 12, "{text}");
    assert!(lines[11].contains(" has the best accuracy on these test rows"), "{text}");
    assert_eq!(folder.names(), [""; 0], "nothing is written");

    let json = folder.json(&[&args[..], &["--folds", "3", "--svm-rows", "100", "--json"]].concat());
    assert_eq!(json["test_rows"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).sum::<u64>(), 344);
    assert!(json["advice"].as_str().unwrap().contains(" of 3 folds"), "{json}");
    for contender in &json["contenders"].as_array().unwrap()[..5] {
        let accuracies: Vec<f64> =
            contender["scores"].as_array().unwrap().iter().map(|s| s[0].as_f64().unwrap()).collect();
        assert!(accuracies.len() == 3 && accuracies.iter().all(|a| *a > 0.9), "{contender}");
    }
    assert_eq!(json["contenders"][4]["note"], "trained on 100 of 229 rows");
}

#[test]
fn tables_that_cannot_be_compared_are_errors() {
    let folder = Folder::new();
    let penguins = data("penguins.csv");
    for (flags, code, message) in [
        (&["--folds", "1"] as &[&str], 1, "344 rows cannot be divided into 1 folds"),
        (&["--svm-c", "0"], 1, "c is 0, it must be above 0"),
        (&["--svm-rows", "1"], 1, "svm_rows is 1"),
        (&["--test", "0"], 1, "test is 0: there are no rows to compare on"),
        (&["--stream"], 1, "models are compared on tables in memory"),
        (&["--output", "x"], 2, "--output"),
    ] {
        let out = folder
            .run(&[&["compare", &penguins, "--target", "species", "--epochs", "1", "--device", "cpu"], flags].concat());
        assert_eq!(out.code, Some(code), "{flags:?}: {}", out.stderr);
        assert!(out.stderr.contains(message), "{flags:?}: {}", out.stderr);
    }
}

#[test]
fn gradients_of_any_network_are_checked() {
    let folder = Folder::new();
    let table = data("concrete.csv");
    let args = ["gradcheck", &table, "--target", "compressive_strength", "--hidden", "6,5"];
    let text = folder.ok(&[&args[..], &["--activation", "gelu"]].concat());
    assert!(text.starts_with("FeedForward 8-6-5-1 (gelu), 95 parameters\n"), "{text}");
    assert!(text.contains("layers.2.bias") && text.ends_with("right: no error is above 1e-3\n"), "{text}");
    for flags in [
        &["--loss", "half-sse", "--reduction", "mean"] as &[&str],
        &["--loss", "huber:0.5", "--l1", "0.01", "--l2", "0.1"],
        &["--norm", "batch"],
        &["--activation", "dendritic,selu", "--no-bias"],
        &["--activation", "gelu", "--dropout", "0.5", "--device", "ndarray"],
    ] {
        let json = folder.json(&[&args[..], flags, &["--json", "--rows", "20", "--numbers", "10"]].concat());
        assert_eq!(json["right"], true, "{flags:?}: {json}");
        assert!(flags.contains(&"batch") || json["worst"].as_f64().unwrap() < 1e-5, "{flags:?}: {json}");
        let fused = json["tensors"][0]["fused"].is_number();
        assert_eq!(fused, !flags.contains(&"batch"), "{flags:?}");
        assert_eq!(json["not_fused"].is_string(), !fused);
    }
    let out = folder.run(&[&args[..], &["--rows", "0"]].concat());
    assert_eq!(out.code, Some(1));
    assert!(out.stderr.starts_with("error: gradients are checked on at least 1 row"), "{}", out.stderr);
}
