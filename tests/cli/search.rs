//! `perceptra search`, as a user runs it.

use std::process::{Command, Stdio};

use crate::{Folder, data};

fn args<'a>(table: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let common = ["--target", "compressive_strength", "--device", "cpu", "--epochs", "8", "--seed", "3"];
    [&["search", table], &common[..], more].concat()
}

/// The rows of a leaderboard without the seconds.
fn ranking(folder: &Folder, name: &str) -> Vec<Vec<String>> {
    let text = folder.read(&format!("{name}/leaderboard.csv"));
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let seconds = reader.headers().unwrap().iter().position(|h| h == "seconds").unwrap();
    let row = |r: Result<csv::StringRecord, csv::Error>| {
        r.unwrap().iter().enumerate().filter(|(i, _)| *i != seconds).map(|(_, v)| v.to_owned()).collect()
    };
    reader.records().map(row).collect()
}

#[test]
fn a_grid_is_ranked_and_the_best_is_kept() {
    let folder = Folder::new();
    let table = data("concrete.csv");
    let text = folder.ok(&args(&table, &["--grid", "lr=0.01,1e-6", "--grid", "hidden=16,8x4", "-o", "found"]));
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].ends_with("concrete.csv: 4 trials, judged on the validation rows"), "{text}");
    assert!(lines[2].split_whitespace().eq(["trial", "rmse", "hidden", "learning_rate", "seconds"]), "{text}");
    assert!(text.contains("rmse on 206 test rows: ") && text.contains("model: found/best.perceptra"), "{text}");
    let ranks = ranking(&folder, "found");
    assert_eq!(ranks.len(), 4);
    assert!(ranks[..2].iter().all(|r| r.last().unwrap() == "0.01"), "{ranks:?}");
    for name in
        ["best.toml", "trial-1.toml", "trial-4.toml", "search.toml", "journal.jsonl", "leaderboard.json", "search.png"]
    {
        assert!(folder.path(&format!("found/{name}")).exists(), "{name}");
    }
    let picture = folder.read("found/search.svg");
    for label in ["hidden", "[8, 4]", "learning_rate", "rmse", "best", "In order of the trials"] {
        assert!(picture.contains(&format!(">\n{label}\n</text>")), "{label}");
    }
    // The best model is used as any other, and its run file makes it again.
    let before = folder.json(&["evaluate", "found/best.perceptra", &table, "--json"]);
    folder.ok(&["train", "--config", "found/best.toml", "--output", "again.perceptra"]);
    assert_eq!(folder.json(&["evaluate", "again.perceptra", &table, "--json"]), before);
    // Its trial has the score that the trial's run file gives.
    let trial = format!("found/trial-{}.toml", ranks[0][1]);
    let alone = folder.json(&["train", "--config", &trial, "--output", "trial.perceptra", "--json"]);
    assert_eq!(alone["validation"]["rmse"].as_f64().unwrap().to_string(), ranks[0][2]);
}

#[test]
fn the_networks_of_a_search_are_one_model_with_uncertainty() {
    let folder = Folder::new();
    let table = data("concrete.csv");
    let space = [
        "--space",
        "lr=log:1e-3..3e-2",
        "--space",
        "dropout=0..0.3",
        "--grid",
        "activation=relu,tanh",
        "--random",
        "8",
    ];
    let more = ["--ensemble", "auto", "-o", "found"];
    let text = folder.ok(&args(&table, &[&space[..], &more[..]].concat()));
    assert!(text.contains("\nensemble of the trials ") && text.contains("rmse on 206 test rows: "), "{text}");
    for name in ["search", "parallel", "heat"] {
        assert!(folder.path(&format!("found/{name}.png")).exists(), "{name}");
    }
    let picture = folder.read("found/parallel.svg");
    for label in ["activation relu–tanh", "rmse, by rank", "best"] {
        assert!(picture.contains(&format!(">\n{label}\n</text>")), "{label}");
    }
    assert!(folder.read("found/search.svg").contains(">\nLearning curves, the best ones dark\n</text>"));
    assert_eq!(folder.read("found/heat.svg").matches(">\nrmse: dark ").count(), 3);
    // One file, used as any other.
    let json = folder.json(&["inspect", "found/best.perceptra", "--json"]);
    let shares: f64 = json["members"].as_array().unwrap().iter().map(|m| m["share"].as_f64().unwrap()).sum();
    assert!((shares - 1.0).abs() < 1e-9, "{json}");
    let evaluated = folder.json(&["evaluate", "found/best.perceptra", &table, "--json"]);
    assert_eq!(evaluated["rows"], 1030);
    // A finished search is resumed with another choice of members.
    let json = folder.json(&["search", "--resume", "found", "--ensemble", "2", "--json"]);
    let members = json["members"].as_array().unwrap();
    assert_eq!((members.len(), members[0]["share"].as_f64()), (2, Some(0.5)));
    folder.ok(&["predict", "found/best.perceptra", &table, "--uncertainty", "-o", "out.csv", "--quiet"]);
    let out = folder.read("out.csv");
    assert!(out.starts_with("prediction,uncertainty\n") && out.lines().count() == 1031, "{out}");
    assert!(out.lines().skip(1).all(|line| line.split(',').all(|v| v.parse::<f32>().unwrap() >= 0.0)));
}

#[test]
fn networks_of_different_seeds_are_one_model() {
    let folder = Folder::new();
    let table = data("penguins.csv");
    let common = ["train", &table, "--target", "species", "--epochs", "5", "--device", "cpu"];
    let train = |more: &[&'static str]| [&common[..], more].concat();
    let text = folder.ok(&train(&["--ensemble", "3"]));
    assert!(text.contains("\n3 networks, whose predictions are averaged; the first: FeedForward"), "{text}");
    assert!(folder.ok(&["inspect", "penguins.perceptra"]).contains("network 3  "));
    // The run file makes the same model again.
    let before = folder.json(&["evaluate", "penguins.perceptra", &table, "--json"]);
    folder.ok(&["train", "--config", "penguins.toml", "-o", "again.perceptra"]);
    assert_eq!(folder.json(&["evaluate", "again.perceptra", &table, "--json"]), before);
    let predict =
        |more: &[&str]| folder.ok(&[&["predict", "penguins.perceptra", &table, "--uncertainty", "-q"], more].concat());
    let csv = predict(&["--proba"]);
    assert!(csv.starts_with("prediction,proba_Adelie,proba_Chinstrap,proba_Gentoo,uncertainty\n"), "{csv}");
    predict(&["-o", "out.jsonl"]);
    let lines = folder.read("out.jsonl");
    let first: serde_json::Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    let of_class = csv.lines().nth(1).unwrap().rsplit(',').next().unwrap();
    assert_eq!(first["uncertainty"].to_string().parse::<f32>().unwrap(), of_class.parse::<f32>().unwrap());
    predict(&["-o", "out.parquet"]);
    let file = std::fs::File::open(folder.path("out.parquet")).unwrap();
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let names: Vec<String> = reader.schema().fields().iter().map(|f| f.name().clone()).collect();
    assert_eq!(names, ["prediction", "uncertainty"]);
    assert_eq!(reader.build().unwrap().map(|batch| batch.unwrap().num_rows()).sum::<usize>(), 344);
    // One network has no uncertainty.
    folder.ok(&train(&["-o", "one.perceptra"]));
    let error = folder.run(&["predict", "one.perceptra", &table, "--uncertainty"]);
    assert_eq!(error.code, Some(1));
    assert!(
        error.stderr.contains("the model is one network") && error.stderr.contains("--ensemble 5"),
        "{}",
        error.stderr
    );
    let error = folder.run(&train(&["--ensemble", "2", "--checkpoint", "run"]));
    assert!(error.stderr.contains("checkpoints are of one network"), "{}", error.stderr);
}

#[test]
fn a_run_file_describes_the_search_and_json_its_result() {
    let folder = Folder::new();
    let run = format!(
        "[data]\ntable = {:?}\ntarget = [\"species\"]\n[train]\nepochs = 5\n[output]\ndevice = \"cpu\"\n\
         [search]\nsampler = \"sobol\"\ntrials = 3\nfolds = 3\nmetric = \"accuracy\"\n\
         space = {{ lr = \"log:1e-3..1e-1\", \"encoder.scaling\" = \"standard,quantile\" }}\n",
        data("penguins.csv")
    );
    folder.write("run.toml", run);
    let json = folder.json(&["search", "--config", "run.toml", "--json"]);
    assert_eq!((json["folder"].as_str(), json["metric"].as_str()), (Some("penguins-search"), Some("accuracy")));
    let trials = json["trials"].as_array().unwrap();
    assert!(trials.len() == 3 && trials.iter().all(|t| t["scores"].as_array().unwrap().len() == 3), "{json}");
    assert_eq!(json["test"]["rows"], 69);
    // A flag overrides the file; train ignores the section.
    let text = folder.ok(&["search", "--config", "run.toml", "--random", "2", "--repeats", "2", "-o", "two"]);
    assert!(text.contains("2 trials, judged by 2 cross-validations with 3 folds"), "{text}");
    folder.ok(&["train", "--config", "run.toml", "--quiet"]);
}

#[test]
fn halving_drops_most_trials_early() {
    let folder = Folder::new();
    let table = data("concrete.csv");
    let json = folder.json(&args(&table, &["--space", "lr=log:1e-4..1e-1", "--sobol", "9", "--halving", "--json"]));
    let mut budgets: Vec<Option<u64>> =
        json["trials"].as_array().unwrap().iter().map(|t| t["budget"].as_u64()).collect();
    budgets.sort_unstable();
    // 8 epochs are 2 and 8: 3 of 9 trials are promoted.
    assert_eq!(budgets, [&[None; 3][..], &[Some(2); 6]].concat());
    assert!(json["trials"][0]["budget"].is_null());
    let out = folder.run(&args(&table, &["--grid", "lr=0.1", "--halving", "1", "-o", "x"]));
    assert!(out.stderr.contains("halving is below 2"), "{}", out.stderr);
}

#[test]
fn a_killed_search_resumes() {
    let folder = Folder::new();
    let table = data("concrete.csv");
    let flags = ["--space", "lr=log:1e-4..1e-1", "--random", "40", "--hidden", "64,64", "--workers", "2"];
    folder.ok(&args(&table, &[&flags[..], &["-o", "whole"]].concat()));
    let begin = |name: &str| {
        let mut all = args(&table, &flags);
        all.extend(["-o", name]);
        Command::new(env!("CARGO_BIN_EXE_perceptra"))
            .args(all)
            .current_dir(folder.path("."))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    };
    let mut killed = begin("killed");
    let lines = || std::fs::read_to_string(folder.path("killed/journal.jsonl")).map_or(0, |text| text.lines().count());
    let start = std::time::Instant::now();
    while lines() < 4 && start.elapsed().as_secs() < 60 {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert!(lines() >= 4);
    folder.ok(&["search", "--resume", "killed"]);
    assert_eq!(ranking(&folder, "killed"), ranking(&folder, "whole"));
    // A new search does not overwrite it.
    let out = folder.run(&args(&table, &[&flags[..], &["-o", "killed"]].concat()));
    assert_eq!(out.code, Some(1));
    assert_eq!(
        out.stderr,
        "note: 40 trials\nerror: killed: this folder already holds a search\nhint: --resume continues it; for a new one \
         choose another --output\n"
    );
}

#[cfg(unix)]
#[test]
fn an_interrupted_search_ends_in_order() {
    let folder = Folder::new();
    let table = data("concrete.csv");
    let all = args(&table, &["--space", "lr=log:1e-4..1e-1", "--random", "500", "--hidden", "64,64", "-o", "s"]);
    let child = Command::new(env!("CARGO_BIN_EXE_perceptra"))
        .args(all)
        .current_dir(folder.path("."))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let start = std::time::Instant::now();
    while !folder.path("s/trial-1.toml").exists() && start.elapsed().as_secs() < 60 {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let out = child.wait_with_output().unwrap();
    assert_eq!(out.status.code(), Some(130));
    let text = String::from_utf8(out.stderr).unwrap();
    assert!(text.contains("of 500 trials are finished; perceptra search --resume s continues"), "{text}");
    assert!(!ranking(&folder, "s").is_empty() && !folder.path("s/best.perceptra").exists());
}

#[test]
fn shards_on_several_processes_are_joined() {
    let folder = Folder::new();
    let table = data("concrete.csv");
    let flags = ["--space", "lr=log:1e-4..1e-1", "--latin-hypercube", "7", "--folds", "2"];
    let whole = folder.ok(&args(&table, &[&flags[..], &["-o", "whole"]].concat()));
    std::thread::scope(|scope| {
        for i in 1..=3 {
            let (folder, table) = (&folder, &table);
            scope.spawn(move || {
                let (shard, name) = (format!("{i}/3"), format!("part-{i}"));
                let text = folder.ok(&args(table, &[&flags[..], &["--shard", &shard, "-o", &name]].concat()));
                assert!(text.contains(&format!("shard {i} of 3: ")), "{text}");
                assert!(!folder.path(&format!("{name}/best.perceptra")).exists());
            });
        }
    });
    // A finished shard that is resumed trains nothing.
    let again = folder.ok(&["search", "--resume", "part-2", "--shard", "2/3"]);
    assert!(again.contains("shard 2 of 3: 2 of 7 trials are finished"), "{again}");
    let merged = folder.ok(&["search", "merge", "part-1", "part-2", "part-3", "-o", "all"]);
    assert_eq!(ranking(&folder, "all"), ranking(&folder, "whole"));
    let best = |text: &str| {
        text.lines()
            .filter(|l| l.starts_with("best: ") || l.starts_with("rmse on "))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(best(&merged), best(&whole));
    let bytes = |name: &str| std::fs::read(folder.path(&format!("{name}/best.perceptra"))).unwrap();
    assert!(bytes("all") == bytes("whole"));
}

#[test]
fn impossible_searches_are_errors() {
    let folder = Folder::new();
    let table = data("concrete.csv");
    for (flags, code, message) in [
        (&[] as &[&str], 1, "error: the search space is empty\nhint: name what to search"),
        (
            &["--grid", "learningrate=0.1"],
            1,
            "error: `learningrate` cannot be searched: there is no such key in a run file",
        ),
        (&["--grid", "learningrate=0.1"], 1, "hint: did you mean `learning_rate`?"),
        (&["--space", "lr=0.1..0.2"], 1, "error: `train.learning_rate` is a range, and a grid needs a list"),
        (&["--space", "lr=log:0..1", "--random", "3"], 1, "begins above 0"),
        (&["--space", "lr", "--random", "3"], 2, "expected KEY=VALUES"),
        (&["--grid", "lr=0.1", "--shard", "4/3"], 2, "expected I/N"),
        (&["--grid", "lr=0.1", "--random", "3", "--sobol", "3"], 2, "cannot be used with"),
        (&["--grid", "lr=0.1", "--metric", "accuracy"], 1, "the metric accuracy cannot be monitored"),
        (&["--resume", "nowhere", "--preset", "tabm"], 2, "cannot be used with"),
        (&["--grid", "lr=0.1,0.2", "--stream"], 1, "a search holds its tables in memory"),
        (&["--resume", "nowhere"], 1, "error: nowhere: there is no search in this folder"),
        (&["--grid", "lr=1e30,1e31", "--optimizer", "sgd"], 1, "error: no trial has a score"),
    ] {
        let out = folder.run(&args(&table, flags));
        assert_eq!(out.code, Some(code), "{flags:?}: {}", out.stderr);
        assert!(out.stderr.contains(message), "{flags:?}: {}", out.stderr);
    }
}

#[test]
fn a_search_of_few_points_and_failing_trials_ends() {
    let folder = Folder::new();
    let table = data("concrete.csv");
    // A list of activations fits networks of two hidden layers only.
    let space = ["--space", "hidden=8,8x4", "--space", "activation=relu,[relu, tanh]"];
    let out = folder.run(&args(&table, &[&space[..], &["-o", "found"]].concat()));
    assert_eq!(out.code, Some(0), "{}", out.stderr);
    assert!(out.stdout.contains("1 failed: ") && out.stdout.contains("8x4"), "{}", out.stdout);
    // A small space has fewer points than asked for.
    let out = folder.run(&args(&table, &["--space", "hidden=4,8", "--sobol", "8", "-o", "few"]));
    assert_eq!(out.code, Some(0), "{}", out.stderr);
    assert!(out.stderr.contains("note: 2 trials, not 8: the other points repeat these\n"), "{}", out.stderr);
    // Other settings than those of the search are named.
    let out = folder.run(&["search", "--resume", "few", "--seed", "4"]);
    assert_eq!(out.code, Some(1));
    assert_eq!(
        out.stderr,
        "note: 2 trials, not 8: the other points repeat these\nerror: few: this search had other settings: train.seed was 3, is \
         4\nhint: continue with the same table and settings, or start another search without --resume\n"
    );
    // The ensemble of an earlier resumption is not replaced silently.
    folder.ok(&["search", "--resume", "few", "--ensemble", "2"]);
    let out = folder.run(&["search", "--resume", "few"]);
    assert_eq!(out.code, Some(0), "{}", out.stderr);
    assert!(
        out.stderr
            .contains("note: few/best.perceptra was an ensemble of 2 networks, and is now the best one (--ensemble)\n"),
        "{}",
        out.stderr
    );
}

/// The commands of `docs/search.md`, with fewer trials and epochs.
#[cfg(unix)]
#[test]
fn the_commands_of_the_guide_run() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path("data")).unwrap();
    std::fs::copy(data("concrete.csv"), folder.path("data/concrete.csv")).unwrap();
    folder.write(
        "run.toml",
        "[data]\ntable = 'data/concrete.csv'\ntarget = ['compressive_strength']\n[network]\nhidden = [4]\n\
         [train]\nepochs = 2\n[output]\ndevice = 'cpu'\n\
         [search]\nsampler = 'random'\ntrials = 8\nspace = { lr = 'log:1e-3..1e-1' }\n",
    );
    let binary = std::path::Path::new(env!("CARGO_BIN_EXE_perceptra")).parent().unwrap().display().to_string();
    let path = format!("{binary}:{}", std::env::var("PATH").unwrap_or_default());
    let shell = |script: &str| {
        let mut command = Command::new("sh");
        command.args(["-ec", script]).current_dir(folder.path(".")).env("PATH", &path);
        command.env("SLURM_ARRAY_TASK_ID", "3").env("JOB_COMPLETION_INDEX", "4").stdin(Stdio::null());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    };
    let guide = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/search.md");
    let guide = std::fs::read_to_string(guide).unwrap().replace("\\\n", " ");
    let blocks = guide.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap());
    let mut commands: Vec<String> = blocks.flat_map(str::lines).map(str::to_owned).collect();
    commands.retain(|line| line.contains("perceptra "));
    assert_eq!(commands.len(), 8, "{commands:#?}");
    for command in commands {
        let short = command.replace("--random 60", "--random 2").replace("--folds 5", "--folds 2");
        let output = if short.contains(" -o ") { "" } else { "-o concrete-search " };
        let short = short.replace("--target", &format!("--epochs 2 --device cpu {output}--target"));
        let short = match short.strip_prefix("parallel ").and_then(|rest| rest.split_once(" ::: ")) {
            Some((each, items)) => format!("for i in {items}; do {}; done", each.replace("{}", "$i")),
            None => short,
        };
        // Every search of a table begins in a new folder, and every shard.
        if short.contains("-o concrete-search") {
            shell("rm -rf concrete-search");
        }
        if short.contains("SLURM") {
            shell("rm -rf part-*");
        }
        shell(&short);
    }
    assert!(folder.path("found/best.perceptra").exists() && folder.path("part-3/journal.jsonl").exists());
    // A pod of Kubernetes that is started again resumes its shard.
    let (_, script) = guide.split_once("            - |\n").unwrap();
    let script = script.split("          volumeMounts").next().unwrap();
    (0..2).for_each(|_| shell(script));
    assert!(folder.path("part-5/journal.jsonl").exists());
}
