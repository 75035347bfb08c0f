//! The numbers that come out: digits, units, metrics of each target and of a chosen class, and what is said with them.

use crate::{Folder, Outcome};

/// Numbers in [0, 1) that are the same in every run.
fn noise(i: usize, step: usize) -> f64 {
    (i * step % 1009) as f64 / 1009.0
}

/// A table of columns `a` and `b` and those of `rest`, of 900 rows of which a sixth is test rows.
fn table(header: &str, rest: impl Fn(f64, f64, f64) -> String) -> String {
    let row = |i: usize| {
        let (a, b, e) = (noise(i, 37), noise(i, 53), noise(i, 71));
        let part = ["train", "train", "train", "train", "validation", "test"][i % 6];
        format!("{a:.4},{b:.4},{part},{}\n", rest(a, b, e))
    };
    format!("a,b,part,{header}\n{}", (0..900).map(row).collect::<String>())
}

fn train(folder: &Folder, target: &str, flags: &[&str]) -> Outcome {
    let all = ["train", "t.csv", "--target", target, "--split", "part", "--device", "cpu", "-o", "m.perceptra"];
    let epochs: &[&str] = if flags.contains(&"--epochs") { &[] } else { &["--epochs", "60"] };
    folder.run(&[&all[..], epochs, flags].concat())
}

fn trained(folder: &Folder, target: &str, flags: &[&str]) -> serde_json::Value {
    let outcome = train(folder, target, &[&["--json"], flags].concat());
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    serde_json::from_str(&outcome.stdout).unwrap()
}

/// The predictions of a table, as text.
fn predictions(folder: &Folder) -> Vec<String> {
    folder.ok(&["predict", "m.perceptra", "t.csv", "-q"]).lines().skip(1).map(str::to_owned).collect()
}

#[test]
fn a_target_far_from_zero_loses_no_digit() {
    let folder = Folder::new();
    // Arrivals in seconds since 1970: 200 seconds apart at most, where 32-bit floats are 128 seconds apart.
    let arrival = |a: f64, b: f64, e: f64| format!("{:.1}", 1_700_000_000.0 + 120.0 * a + 80.0 * b + 4.0 * e);
    let text = table("arrival", arrival);
    folder.write("t.csv", &text);
    let result = trained(&folder, "arrival", &[]);
    let (r2, rmse) = (result["test"]["r2"].as_f64().unwrap(), result["test"]["rmse"].as_f64().unwrap());
    assert!(r2 > 0.98 && rmse < 5.0, "{result}");
    // The printed predictions have the same error, against the values in the file.
    let scores = folder.json(&["evaluate", "m.perceptra", "t.csv", "--json", "-q"]);
    let truth: Vec<f64> = text.lines().skip(1).map(|l| l.rsplit(',').next().unwrap().parse().unwrap()).collect();
    let printed = predictions(&folder);
    assert!(printed.iter().all(|text| text.len() <= 17), "{printed:?}");
    let pairs = || printed.iter().map(|text| text.parse::<f64>().unwrap()).zip(&truth);
    let squares: f64 = pairs().map(|(f, y)| (f - y).powi(2)).sum();
    let close = |got: &serde_json::Value, want: f64| (got.as_f64().unwrap() / want - 1.0).abs() < 1e-6;
    assert!(close(&scores["rmse"], (squares / 900.0).sqrt()), "{scores} {squares}");
    let mean = truth.iter().sum::<f64>() / 900.0;
    let total: f64 = truth.iter().map(|y| (y - mean).powi(2)).sum();
    assert!(close(&scores["r2"], 1.0 - squares / total), "{scores}");
    // Intervals as wide as the error, and in the middle of them the prediction.
    let text = folder.ok(&["predict", "m.perceptra", "t.csv", "-q", "--interval", "0.9"]);
    let mut held = 0;
    for (line, y) in text.lines().skip(1).zip(&truth) {
        let cells: Vec<f64> = line.split(',').map(|cell| cell.parse().unwrap()).collect();
        assert!(cells[2] - cells[1] < 8.0 * rmse && (cells[1] + cells[2] - 2.0 * cells[0]).abs() < 1e-3, "{line}");
        held += usize::from(cells[1] <= *y && *y <= cells[2]);
    }
    assert!((760..=870).contains(&held), "{held}");
}

#[test]
fn output_activations_act_in_the_units_of_the_target() {
    let folder = Folder::new();
    // Prices from 0 on, with a mean of about 60.
    let price = |a: f64, b: f64, e: f64| format!("{:.2}", (150.0 * (a + b) - 100.0 + 4.0 * e).max(0.0));
    folder.write("t.csv", table("price", price));
    let plain = trained(&folder, "price", &[])["test"]["r2"].as_f64().unwrap();
    for activation in ["relu", "softplus", "leaky-relu"] {
        let r2 = trained(&folder, "price", &["--output-activation", activation])["test"]["r2"].as_f64().unwrap();
        assert!(plain > 0.97 && r2 > plain - 0.02, "{activation}: {r2}, not {plain}");
        let least = predictions(&folder).iter().map(|x| x.parse::<f64>().unwrap()).fold(f64::MAX, f64::min);
        assert!(activation == "leaky-relu" || (0.0..10.0).contains(&least), "{activation}: {least}");
    }
    let said = train(&folder, "price", &["--output-activation", "relu"]).stderr;
    assert!(said.contains("not shifted, so that relu bends at 0") && !said.contains("cannot give"), "{said}");
    // One that ends at 1 has no meaning for standardized targets. The hint helps.
    for activation in ["sigmoid", "tanh", "step", "elu"] {
        let refused = train(&folder, "price", &["--output-activation", activation]);
        assert_eq!(refused.code, Some(1));
        let words = [activation, "standardized targets", "--set standardize_target=false"];
        assert!(words.iter().all(|word| refused.stderr.contains(word)), "{}", refused.stderr);
    }
    let own = train(&folder, "price", &["--output-activation", "sigmoid", "--set", "standardize_target=false"]);
    assert_eq!(own.code, Some(0), "{}", own.stderr);
    assert!(own.stderr.contains("training rows have a target that --output-activation sigmoid cannot give"));
}

#[test]
fn each_of_several_targets_has_its_metrics() {
    let folder = Folder::new();
    // One in units of 0.1 that cannot be predicted, one in millions that can.
    let both = |a: f64, b: f64, e: f64| format!("{:.4},{:.0}", 0.5 + 0.1 * e, 1e6 * (3.0 * a - b) + 1e4 * e);
    folder.write("t.csv", table("rate,revenue", both));
    let test = &trained(&folder, "rate,revenue", &[])["test"];
    let [rate, revenue] = test["targets"].as_array().unwrap().as_slice() else { panic!("{test}") };
    assert_eq!([&rate["target"], &revenue["target"]], ["rate", "revenue"]);
    let of = |metrics: &serde_json::Value, name: &str| metrics[name].as_f64().unwrap();
    assert!(of(rate, "r2") < 0.3 && of(revenue, "r2") > 0.97, "{test}");
    assert!(of(rate, "rmse") < 0.1 && of(revenue, "rmse") > 1e4, "{test}");
    for metric in ["rmse", "mae", "mse", "r2", "explained_variance"] {
        let mean = (of(rate, metric) + of(revenue, metric)) / 2.0;
        assert!((of(test, metric) - mean).abs() <= 1e-9 * mean.abs(), "{metric}: {test}");
    }
    // The file keeps them, and people see them.
    assert_eq!(&folder.json(&["inspect", "m.perceptra", "--json"])["test"], test);
    let text = folder.ok(&["evaluate", "m.perceptra", "t.csv", "-q"]);
    let heads: Vec<&str> = text.lines().filter(|line| line.ends_with("900 rows")).collect();
    assert_eq!(heads.len(), 3, "{text}");
    for (head, name) in heads.iter().zip(["rate ", "revenue ", "mean of 2 targets "]) {
        assert!(head.starts_with(name), "{text}");
    }
    assert_eq!(text.matches("\nRMSE").count(), 3, "{text}");
    // Each target alone, by hand.
    let scores = folder.json(&["evaluate", "m.perceptra", "t.csv", "--json", "-q"]);
    let truth: Vec<String> =
        folder.read("t.csv").lines().skip(1).map(|l| l.splitn(4, ',').nth(3).unwrap().into()).collect();
    for (j, target) in scores["targets"].as_array().unwrap().iter().enumerate() {
        let cell = |line: &str| line.split(',').nth(j).unwrap().parse::<f64>().unwrap();
        let errors = predictions(&folder).iter().zip(&truth).map(|(f, y)| (cell(f) - cell(y)).abs()).sum::<f64>();
        assert!((of(target, "mae") / (errors / 900.0) - 1.0).abs() < 1e-4, "{scores} {errors}");
    }
}

#[test]
fn the_positive_class_is_named_and_chosen() {
    let folder = Folder::new();
    let status = |a: f64, b: f64, e: f64| (if a + b + 0.8 * e > 1.9 { "default" } else { "paid" }).to_owned();
    folder.write("t.csv", table("status", status));
    let plain = train(&folder, "status", &[]);
    assert!(plain.stderr.contains("\"paid\" is the positive class, the last of \"default\" and \"paid\""));
    assert!(plain.stderr.contains("--positive default takes the other one"), "{}", plain.stderr);
    let named = "precision, recall, F1, ROC AUC and average precision are of the class \"paid\"";
    assert!(plain.stdout.contains(named), "{}", plain.stdout);
    let share = |scores: &serde_json::Value, class: usize, by_row: bool| {
        let cell = |i: usize, j: usize| scores["confusion"][i][j].as_f64().unwrap();
        let all: f64 = (0..2).map(|k| if by_row { cell(class, k) } else { cell(k, class) }).sum();
        cell(class, class) / all
    };
    for (flags, positive) in
        [(&[][..], "paid"), (&["--positive", "default"], "default"), (&["--positive", "paid"], "paid")]
    {
        let test = &trained(&folder, "status", flags)["test"];
        assert_eq!(test["labels"][1], positive);
        let scores = folder.json(&["evaluate", "m.perceptra", "t.csv", "--json", "-q"]);
        assert_eq!(scores["positive"], positive);
        for (metric, by_row) in [("recall", true), ("precision", false)] {
            let want = share(&scores, 1, by_row);
            assert!((scores[metric].as_f64().unwrap() - want).abs() < 1e-12, "{scores}");
        }
        assert_eq!(folder.json(&["inspect", "m.perceptra", "--json"])["positive"], positive);
        let text = folder.ok(&["evaluate", "m.perceptra", "t.csv", "-q"]);
        assert!(text.contains(&format!("average precision are of the class \"{positive}\"")), "{text}");
        let text = folder.ok(&["explain", "m.perceptra", "t.csv", "--metric", "average-precision", "--repeats", "1"]);
        assert!(text.starts_with(&format!("average-precision of the class \"{positive}\" on 900 rows")), "{text}");
        // Predictions are labels whichever it is.
        assert!(predictions(&folder).iter().all(|label| label == "paid" || label == "default"));
    }
    assert!(!train(&folder, "status", &["--positive", "default"]).stderr.contains("takes the other one"));
    // The choice is a key of the run, and monitors.
    trained(&folder, "status", &["--positive", "default", "--monitor", "average-precision"]);
    assert!(folder.read("m.toml").contains("positive = \"default\""), "{}", folder.read("m.toml"));

    let refused = train(&folder, "status", &["--positive", "defaults"]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("has no positive class \"defaults\": its classes are \"default\" and \"paid\""));
    assert!(refused.stderr.contains("did you mean \"default\"?"), "{}", refused.stderr);
    let number = train(&folder, "a", &["--positive", "paid"]);
    assert!(
        number.stderr.contains("the target \"a\" has no positive class \"paid\": it is a number"),
        "{}",
        number.stderr
    );
    folder.write("t.csv", table("status", |a, _, _| ["u", "v", "w"][(3.0 * a) as usize % 3].to_owned()));
    let several = train(&folder, "status", &["--positive", "u"]);
    assert!(several.stderr.contains("only one of two classes is positive, and it has 3"), "{}", several.stderr);
}

#[test]
fn a_positive_class_may_be_a_number_written_in_another_way() {
    let folder = Folder::new();
    folder.write("t.csv", table("sign", |a, b, e| i32::from(a + b + e > 1.5).to_string()));
    for (class, other) in [("0", "1"), ("0.0", "1"), ("1", "0")] {
        let labels = trained(&folder, "sign", &["--positive", class, "--epochs", "2"])["test"]["labels"].clone();
        assert_eq!(labels[0], other, "{class}: {labels}");
    }
}

#[test]
fn evaluate_says_what_predict_says() {
    let folder = Folder::new();
    let text = table("color,y", |a, b, e| format!("{},{:.3}", ["red", "blue", "green"][(3.0 * e) as usize], a - b));
    folder.write("t.csv", &text);
    assert_eq!(train(&folder, "y", &["--epochs", "2"]).code, Some(0));
    folder.write("t.csv", "a,b,more,color,y\n0.1,,1,red,0.5\n,0.2,1,pink,0.1\n0.3,,1,,0.2\n0.3,0.1,1,black,0.2\n");
    let evaluated = folder.run(&["evaluate", "m.perceptra", "t.csv"]);
    assert_eq!(evaluated.code, Some(0), "{}", evaluated.stderr);
    for words in [
        "columns that the model does not know are ignored: \"more\"",
        "column \"a\": 1 missing value was filled in",
        "column \"b\": 2 missing values",
        "column \"color\": 2 values are not among the categories known from training",
    ] {
        assert!(evaluated.stderr.contains(words), "{words}: {}", evaluated.stderr);
    }
    assert_eq!(evaluated.stderr, folder.run(&["predict", "m.perceptra", "t.csv"]).stderr);
    let json = folder.json(&["evaluate", "m.perceptra", "t.csv", "--json"]);
    assert_eq!((&json["unseen"][0][0], &json["unseen"][0][1]), (&"color".into(), &2.into()), "{json}");
    assert_eq!(folder.run(&["evaluate", "m.perceptra", "t.csv", "--quiet"]).stderr, "");
}
