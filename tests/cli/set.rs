//! `--set KEY=VALUE`, as a user writes it.

use crate::{Folder, data};

#[test]
fn a_key_is_set_over_the_run_file_and_the_preset() {
    let folder = Folder::new();
    let rows: String = (0..120).map(|i| format!("{},{},{}\n", i * 37 % 101, i * 53 % 97, i * 7 % 50)).collect();
    folder.write("t.csv", format!("a,b,y\n{rows}"));
    folder.write(
        "run.toml",
        "preset = 'realmlp'\n[data]\ntable = 't.csv'\ntarget = ['y']\n[network]\nhidden = [8]\ndropout = 0.25\n\
         [train]\nepochs = 2\nweight_decay = 0.5\n[output]\ndevice = 'cpu'\n",
    );
    let set = ["--set", "train.weight_decay=0.125", "--set", "betas=0.8,0.9", "--set", "lr-factors.bias=0.5"];
    let train = ["train", "--config", "run.toml", "-q", "-o", "m.perceptra", "--lr", "0.01"];
    folder.ok(&[&train[..], &set].concat());
    let text = folder.read("m.toml");
    for line in [
        // Set by --set, by a flag, by the run file, by the preset.
        "weight_decay = 0.125",
        "betas = [0.8, 0.9]",
        "bias = 0.5",
        "learning_rate = 0.01",
        "hidden = [8]",
        "dropout = 0.25",
        "epochs = 2",
        "activation = \"mish\"",
        "schedule = \"coslog4\"",
        "input_scale = 6.0",
    ] {
        assert!(text.lines().any(|l| l == line), "{line}: {text}");
    }
    // The run file holds what was set.
    folder.ok(&["train", "--config", "m.toml", "-q", "-o", "n.perceptra"]);
    let weights = |name: &str| std::fs::read(folder.path(name)).unwrap();
    assert!(weights("m.perceptra") == weights("n.perceptra"));
    // A preset, the table and the target can be set too.
    let set = ["--set", "preset=tabm", "--set", "table=t.csv", "--set", "data.target=y", "--set", "hidden=8x8"];
    folder.ok(&[&["train", "-q", "-o", "m.perceptra", "--epochs", "2", "--device", "cpu"][..], &set].concat());
    let text = folder.read("m.toml");
    assert!(
        text.contains("members = 32") && text.contains("hidden = [8, 8]") && text.contains("epochs = 2\n"),
        "{text}"
    );
}

#[test]
fn every_command_with_the_flags_of_a_run_takes_it() {
    let folder = Folder::new();
    let table = data("penguins.csv");
    let run = [&table, "--target", "species", "--device", "cpu", "--set", "hidden=6", "--set", "train.epochs=2"];
    let text = folder.ok(&[&["gradcheck"][..], &run, &["--rows", "8", "--numbers", "4"]].concat());
    assert!(text.starts_with("FeedForward 11-6-3"), "{text}");
    let text = folder.ok(&["gradcheck", &table, "--target", "species", "--set", "device=flex", "--rows", "4"]);
    assert!(text.starts_with("FeedForward 11-128-64-3"), "{text}");
    let text = folder.ok(&[&["compare"][..], &run, &["--presets", "none"]].concat());
    assert!(text.contains("\nnetwork 11-6-3"), "{text}");
    #[cfg(feature = "search")]
    {
        let text = folder.ok(&[&["search"][..], &run, &["--grid", "lr=0.1", "--set", "search.repeats=2"]].concat());
        assert!(text.contains("FeedForward 11-6-3") && text.contains("on the validation rows of 2 splits"), "{text}");
    }
}

#[test]
fn wrong_keys_and_values_are_usage_errors() {
    let folder = Folder::new();
    let table = data("penguins.csv");
    let train = ["train", &table, "--target", "species"];
    for (flags, message) in [
        (
            &["--set", "learningrate=1"][..],
            "error: --set learningrate=1: there is no such key in a run file\nhint: did you mean `learning_rate`?\n",
        ),
        (&["--set", "lr=fast"], "error: --set lr=fast: expected a number\n"),
        (&["--set", "norm=all"], "error: --set norm=all: expected one of `none`, `batch`, `layer`\n"),
        (&["--set", "epochs=-1"], "expected a whole number of 0 or more"),
        (&["--set", "lr="], "error: --set lr=: a value is missing\n"),
        (&["--set", "lr"], "expected KEY=VALUE"),
        (&["--set", "target=species"], "--set target=species: write one of data.target, train.target\n"),
        (
            &["--set", "lr=0.1", "--set", "train.learning_rate=0.1"],
            "error: train.learning_rate is set twice: by --set lr=0.1 and by --set train.learning_rate=0.1\n",
        ),
        (
            &["--set", "lr=0.1", "--lr", "0.002"],
            "train.learning_rate is set twice: by --learning-rate and by --set lr=0.1\n",
        ),
        (&["--set", "bias=true", "--no-bias"], "network.bias is set twice: by --no-bias and by --set bias=true\n"),
        (&["--set", "table=x.csv"], "data.table is set twice: by the argument TABLE and by --set table=x.csv\n"),
        (&["--set", "train.target=1", "--target-value", "1"], "by --target-value and by --set train.target=1\n"),
        (&["--set", "model=m", "-o", "m"], "output.model is set twice: by --output and by --set model=m\n"),
        (
            &["--set", "activation=reul"],
            "error: --set activation=reul: expected the name of an activation, such as relu, or a list of names\nhint: did you \
             mean `relu`?\n",
        ),
        (
            &["--set", "lr_factors={ bias = 0.1 }"],
            "--set lr_factors={ bias = 0.1 }: it is a table of keys, write one of train.lr_factors.activation, ",
        ),
        (&["--set", "data.missing=x", "--missing", "y"], "data.missing is set twice: by --missing and by --set "),
        (
            &["--seed", "9223372036854775808", "--set", "lr=0.1"],
            "9223372036854775808 is not in 0..=9223372036854775807",
        ),
        (&["--hidden", "0"], "a layer has 1 unit or more; `none` leaves out hidden layers"),
        (&["--set", "preset=fast", "--preset", "fast"], "preset is set twice: by --preset and by --set preset=fast\n"),
    ] {
        let out = folder.run(&[&train[..], flags].concat());
        assert_eq!(out.code, Some(2), "{flags:?}: {}", out.stderr);
        assert!(out.stderr.contains(message), "{flags:?}: {}", out.stderr);
    }
    // A search sets the keys that it varies.
    #[cfg(feature = "search")]
    for (flags, message) in [
        (&["--grid", "lr=0.1", "--grid", "lr=0.2"][..], "is set twice: by --grid lr=0.1 and by --grid lr=0.2\n"),
        (
            &["--grid", "lr=0.1", "--space", "learning-rate=0.1..0.2"],
            "is set twice: by --grid lr=0.1 and by --space learning-rate=0.1..0.2\n",
        ),
        (
            &["--grid", "lr=0.1", "--lr", "0.5"],
            "train.learning_rate is set twice: by --learning-rate and by --grid lr=0.1\n",
        ),
        (&["--grid", "lr=0.1", "--set", "lr=0.5"], "is set twice: by --grid lr=0.1 and by --set lr=0.5\n"),
        (
            &["--grid", "lr=0.1", "--set", "search.space={ lr = '0.5' }"],
            "search.space is set twice: by --grid or --space and by ",
        ),
    ] {
        let out = folder.run(&[&["search", &table, "--target", "species"], flags].concat());
        assert_eq!(out.code, Some(2), "{flags:?}: {}", out.stderr);
        assert!(out.stderr.contains(message), "{flags:?}: {}", out.stderr);
    }
    // A value that is out of range is found with all others that are.
    let out = folder.run(&[&train[..], &["--set", "lr=-1", "--set", "dropout=2"]].concat());
    assert_eq!(out.code, Some(1));
    assert!(out.stderr.contains("learning_rate is -1") && out.stderr.contains("dropout is 2"), "{}", out.stderr);
    assert_eq!(folder.names(), [""; 0], "nothing is written");
}
