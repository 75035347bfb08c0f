//! Presets, and networks with all extras.

use perceptra::model::Preset;

use crate::Folder;

/// Numbers with gaps, a column with many categories, truth values; a number and a class to learn.
pub(crate) fn table() -> String {
    let row = |i: usize| {
        let (a, b, city) = (i * 37 % 101, i * 53 % 97, i * 7 % 12);
        let gap = if i.is_multiple_of(9) { String::new() } else { format!("{b}") };
        let (y, class) = (a * 3 + city * 20, ["low", "middle", "high"][(a + 8 * city) / 64 % 3]);
        format!("{a},{gap},city{city},{},{y},{class}\n", ["yes", "no"][i % 2])
    };
    format!("a,b,city,open,y,class\n{}", (0..240).map(row).collect::<String>())
}

#[test]
fn every_preset_trains_predicts_and_is_read_back() {
    let folder = Folder::new();
    folder.write("t.csv", table());
    for (target, other, score) in [("y", "class", "rmse"), ("class", "y", "accuracy")] {
        for kind in Preset::ALL {
            let preset = kind.name();
            let shape = match kind {
                Preset::Fast => "FeedForward 17-128-64",
                Preset::Default => "input scale, parametric activations, NTK parametrization",
                Preset::Realmlp => "embeddings, input scale, parametric activations, NTK parametrization",
                Preset::RealmlpS => "input scale, NTK parametrization",
                Preset::Tabm => "32 members",
                Preset::TabmPle => "embeddings, 32 members",
            };
            let args = ["train", "t.csv", "--target", target, "--ignore", other, "--preset", preset, "--epochs", "3"];
            let small: &[&str] = if preset.starts_with("tabm") { &["--hidden", "16,16"] } else { &[] };
            let json = folder.json(&[&args[..], &["-o", "m.perceptra", "--device", "cpu", "--json"], small].concat());
            assert!(json["test"][score].as_f64().unwrap().is_finite(), "{preset} {json}");
            let text = folder.ok(&["inspect", "m.perceptra"]);
            assert!(text.contains(shape), "{preset}: {text}");
            // The layers' parameters are all that there are.
            let number = |text: &str| text.split_whitespace().collect::<String>().parse::<usize>().unwrap();
            let lines = text.lines().skip_while(|l| !l.starts_with("layer ")).skip(1).take_while(|l| !l.is_empty());
            let sum: usize = lines.map(|l| number(l.rsplit_once("  ").unwrap().1)).sum();
            let all = text.lines().find_map(|l| l.split_once(" parameters").map(|(head, _)| head)).unwrap();
            assert_eq!(sum, number(all.rsplit_once(", ").unwrap().1), "{preset}: {text}");
            folder.ok(&["predict", "m.perceptra", "t.csv", "-o", "p.csv"]);
            assert_eq!(folder.read("p.csv").lines().count(), 241);
            // The run file holds every setting: without the preset it makes the same model.
            let first = folder.read("p.csv");
            folder.ok(&["train", "--config", "m.toml", "-o", "n.perceptra", "-q"]);
            folder.ok(&["predict", "n.perceptra", "t.csv", "-o", "p.csv"]);
            assert_eq!(folder.read("p.csv"), first, "{preset}");
        }
    }
}

#[test]
fn the_networks_of_a_preset_do_not_stand_in_the_way() {
    let folder = Folder::new();
    folder.write("t.csv", table());
    let args = ["train", "t.csv", "--target", "y", "--ignore", "class", "--preset", "default", "--epochs", "2"];
    let run = |more: &[&str]| folder.run(&[&args[..], &["--device", "cpu", "-o", "m.perceptra"], more].concat());
    let out = run(&["--checkpoint", "run"]);
    assert_eq!(
        (out.code, out.stderr.as_str()),
        (
            Some(2),
            "error: the preset trains 4 networks, and checkpoints are of one network\nhint: add --ensemble 1, which trains one \
             of them\n"
        )
    );
    let out = run(&["--checkpoint", "run", "--ensemble", "1"]);
    assert_eq!(out.code, Some(0), "{}", out.stderr);
    let out = run(&["--stream"]);
    assert!(out.code == Some(2) && out.stderr.contains("a streamed table trains one network"), "{}", out.stderr);
    let out = run(&["--checkpoint", "other", "--ensemble", "2"]);
    assert!(out.code == Some(1) && out.stderr.contains("ensemble is 2, and checkpoints are of"), "{}", out.stderr);
    // Settings of tables are checked before the tables are read for the preset.
    let out = run(&["--stream", "--buffer", "0"]);
    assert_eq!((out.code, out.stderr.as_str()), (Some(1), "error: buffer is 0, it must be at least 1\n"));
    // A preset cannot be given to a run that has its settings.
    let out = folder.run(&["train", "--resume", "run", "--preset", "tabm"]);
    assert!(out.code == Some(2) && out.stderr.contains("cannot be used with"), "{}", out.stderr);
    // What the run file leaves to its preset is not noted.
    folder.write("run.toml", "preset = 'fast'\n[data]\ntable = 't.csv'\ntarget = ['y']\n[train]\nepochs = 2\n");
    let out = folder.run(&["train", "--config", "run.toml", "-o", "n.perceptra", "--device", "cpu"]);
    assert!(out.code == Some(0) && !out.stderr.contains("preset"), "{}", out.stderr);
}

#[cfg(feature = "baselines")]
#[test]
fn a_preset_is_compared_with_a_plain_neuron() {
    let folder = Folder::new();
    folder.write("t.csv", table());
    let compare = |preset: &str| {
        let args = ["compare", "t.csv", "--target", "y", "--ignore", "class", "--presets", "none", "--epochs", "2"];
        let rest = ["--preset", preset, "--hidden", "8", "--device", "cpu", "--json"];
        let json = folder.json(&[&args[..], &rest].concat());
        let of = |i: usize| json["contenders"][i]["parameters"].as_f64().unwrap();
        (of(0), of(1))
    };
    for preset in perceptra::model::Preset::ALL {
        // One weight an input, and a bias: 3 columns, one with gaps, and 12 cities.
        let (network, neuron) = compare(preset.name());
        assert!(neuron == 17.0 || neuron == 18.0, "{preset:?}: {neuron}");
        assert!(network > neuron, "{preset:?}: {network}");
    }
    // All networks of an ensemble count.
    assert_eq!(compare("default").0, 4.0 * compare("realmlp").0);
}

#[test]
fn presets_train_on_all_rows_too() {
    let folder = Folder::new();
    folder.write("t.csv", table());
    let args =
        ["train", "t.csv", "--target", "class", "--ignore", "y", "--test", "0", "--validation", "0", "--epochs", "3"];
    for preset in ["default", "realmlp-s", "tabm"] {
        let rest = ["--preset", preset, "--hidden", "16", "-o", "m.perceptra", "--device", "cpu"];
        let said = folder.ok(&[&args[..], &rest].concat());
        assert!(said.contains("240 training, 0 validation and 0 test rows"), "{said}");
        let text = folder.read("m.toml");
        assert!(text.contains("monitor = \"loss\""), "{preset}: {text}");
    }
    // Asked for, it is not put aside.
    let outcome = folder.run(&[&args[..], &["--preset", "tabm", "--monitor", "f1"]].concat());
    assert_eq!(outcome.code, Some(1));
    assert!(outcome.stderr.contains("monitor is f1, which is judged on validation rows"), "{}", outcome.stderr);
}

#[test]
fn the_run_file_and_flags_override_the_preset() {
    let folder = Folder::new();
    folder.write("t.csv", table());
    folder.write(
        "run.toml",
        "preset = 'realmlp'\n[data]\ntable = 't.csv'\ntarget = ['y']\nignore = ['class']\n[network]\nhidden = [8]\n[train]\nepochs = 2\n",
    );
    folder.ok(&["train", "--config", "run.toml", "--lr", "0.01", "-q", "-o", "m.perceptra", "--device", "cpu"]);
    let text = folder.read("m.toml");
    for line in
        ["hidden = [8]", "epochs = 2", "learning_rate = 0.01", "activation = \"mish\"", "schedule = \"coslog4\""]
    {
        assert!(text.contains(line), "{line}: {text}");
    }
    // The flag counts more than the file.
    folder.ok(&["train", "--config", "run.toml", "--preset", "tabm", "-q", "-o", "m.perceptra", "--device", "cpu"]);
    assert!(folder.read("m.toml").contains("members = 32"));

    // A preset takes a table from standard input too.
    let flags = ["--target", "y", "--ignore", "class", "--preset", "realmlp", "--epochs", "2", "--device", "cpu", "-q"];
    let train = |input: &str, model: &str| {
        let args = [&["train", input, "-o", model][..], &flags].concat();
        let outcome = folder.run_with(&args, table().as_bytes());
        assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
        folder.ok(&["predict", model, "t.csv", "--device", "cpu"])
    };
    assert_eq!(train("-", "stdin.perceptra"), train("t.csv", "file.perceptra"));
    let outcome = folder.run(&["train", "t.csv", "--target", "y", "--preset", "best"]);
    assert_eq!(outcome.code, Some(2));
    assert!(outcome.stderr.contains("[possible values: fast, default, "), "{}", outcome.stderr);
}

/// A pipe under this name that can be opened once: it is removed when its reader has come.
#[cfg(unix)]
fn pipe(folder: &Folder, name: &str, text: String) {
    use std::io::Write;
    let path = folder.path(name);
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    std::thread::spawn(move || {
        let mut file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    });
}

#[cfg(unix)]
#[test]
fn with_a_preset_the_table_and_the_run_file_are_read_once() {
    let run = "preset = 'fast'\n[data]\ntable = 'table'\ntarget = ['y']\nignore = ['class']\n\
               [network]\nhidden = [4]\n[train]\nepochs = 2\n[output]\ndevice = 'cpu'\n";
    for command in [
        &["train", "--lr", "0.01"][..],
        &["train", "--preset", "realmlp-s"],
        &["compare", "--presets", "none"],
        &["gradcheck"],
        &["search", "--grid", "lr=0.1,0.01"],
    ] {
        let folder = Folder::new();
        pipe(&folder, "table", table());
        pipe(&folder, "run.toml", run.to_owned());
        folder.ok(&[command, &["--config", "run.toml"]].concat());
    }
}

#[test]
fn another_optimizer_or_loss_does_not_clash_with_the_preset() {
    let folder = Folder::new();
    folder.write("t.csv", table());
    let train =
        ["train", "t.csv", "--target", "class", "--preset", "realmlp", "--epochs", "2", "--device", "cpu", "-q"];
    for (flags, lines) in [
        (
            &["--optimizer", "sgd", "--loss", "mse"][..],
            ["optimizer = \"sgd\"", "decay_schedule = \"constant\"", "label_smoothing = 0.0", "weight_decay = 0.02"],
        ),
        (
            &["--optimizer", "lion"],
            [
                "optimizer = \"lion\"",
                "decay_schedule = \"flat-cosine\"",
                "label_smoothing = 0.1",
                "weight_decay = 0.02",
            ],
        ),
    ] {
        folder.ok(&[&train[..], flags, &["-o", "m.perceptra"]].concat());
        let text = folder.read("m.toml");
        lines.iter().for_each(|line| assert!(text.contains(line), "{line}: {text}"));
    }
}

#[test]
fn gradients_of_all_extras_are_right_and_wrong_extras_are_errors() {
    let folder = Folder::new();
    folder.write("t.csv", table());
    let head = "[data]\ntable = 't.csv'\ntarget = ['class']\nignore = ['y']\n[output]\ndevice = 'cpu'\n[encoder]\nembed_above = 5\n";
    for network in [
        "embedding = 'periodic'\ninput_scale = true\nparametric = true\nntk = true\ninitializer = 'data-driven'",
        "embedding = 'piecewise-linear'\nbins = 6\nmembers = 3",
    ] {
        let network = format!("{head}[network]\nhidden = [8, 6]\nactivation = 'tanh'\ndropout = 0.0\n{network}\n");
        folder.write("run.toml", network);
        let json = folder.json(&["gradcheck", "--config", "run.toml", "--json"]);
        for tensor in json["tensors"].as_array().unwrap() {
            assert!(tensor["autodiff"].as_f64().unwrap() < 1e-3, "{json}");
        }
    }
    for (network, message) in [
        ("embedding = 'periodic'\nembedding_width = 1", "embedding_width is 1, it must be at least 2"),
        ("embedding = 'periodic'\nfrequency_scale = 0.0", "frequency_scale is 0"),
        ("members = 0", "members is 0"),
        ("members = 5000", "at most 4096 members"),
        ("members = 2\nnorm = 'batch'", "a network of several members has no normalization"),
        ("members = 2\nhidden = []", "a network of several members has biases and hidden layers"),
        ("embedding = 'round'", "unknown variant `round`"),
    ] {
        folder.write("run.toml", format!("{head}[network]\n{network}\n"));
        let outcome = folder.run(&["train", "--config", "run.toml"]);
        assert_eq!(outcome.code, Some(1), "{message}: {}", outcome.stderr);
        assert!(outcome.stderr.contains(message), "{message}: {}", outcome.stderr);
    }
}
