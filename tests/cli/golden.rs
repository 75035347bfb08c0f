//! The bits of trainings: hashes of the tensors in model files, and of predictions, for every engine, preset, optimizer and
//! most other settings, as `tests/golden/bits.txt` has them. A change that is meant to keep the bits keeps these.
//!
//! Sums run in other orders on other instruction sets, so each has hashes of its own; those that nobody has recorded are
//! skipped with a message. `PERCEPTRA_GOLDEN=record cargo test --workspace --test cli golden` records those of this machine
//! anew: only in a commit that says why they change.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use perceptra::model::Preset;
use perceptra::train::Optimizer;

use crate::presets::table;
use crate::{Folder, data, say};

/// The instruction set that decides the order of sums.
fn instructions() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    {
        if std::is_x86_feature_detected!("avx512f") {
            return "avx512";
        }
        if std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("fma") {
            return "avx2";
        }
    }
    std::env::consts::ARCH
}

/// FNV-1a, 64 bits.
fn hash(bytes: &[u8], start: u64) -> u64 {
    bytes.iter().fold(start, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3))
}

const START: u64 = 0xCBF2_9CE4_8422_2325;

/// The hash of all tensors of a model file, by name.
fn tensors(path: &Path) -> u64 {
    let bytes = std::fs::read(path).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let sorted: BTreeMap<String, Vec<u8>> =
        file.iter().map(|(name, tensor)| (name.to_owned(), tensor.data().to_vec())).collect();
    sorted.iter().fold(START, |all, (name, bytes)| hash(bytes, hash(name.as_bytes(), all)))
}

/// The table's column that is a number, or the one that is a class, with a small network.
fn small(target: &str, rest: &str) -> String {
    let other = if target == "y" { "class" } else { "y" };
    format!("train t.csv --target {target} --ignore {other} --hidden 20,12 --epochs 3 --device cpu {rest}")
}

fn cases() -> Vec<String> {
    let mut all = Vec::new();
    for optimizer in Optimizer::ALL.iter().map(|optimizer| optimizer.name()) {
        let decay = "--weight-decay 0.01";
        all.push(small("class", &format!("--optimizer {optimizer} {decay} --engine autodiff")));
        if !["adan", "lamb", "adafactor", "muon"].contains(&optimizer) {
            all.push(small("class", &format!("--optimizer {optimizer} {decay} --engine fused")));
        }
        if ["sgd", "rmsprop"].contains(&optimizer) {
            for engine in ["fused", "autodiff"] {
                all.push(small("y", &format!("--optimizer {optimizer} --momentum 0.9 --engine {engine}")));
            }
        }
    }
    for engine in ["fused", "autodiff"] {
        all.push(small("y", &format!("--optimizer sgd --momentum 0.9 --nesterov --engine {engine}")));
        for f in [
            "identity",
            "sigmoid",
            "tanh",
            "leaky-relu",
            "elu",
            "selu",
            "gelu",
            "silu",
            "mish",
            "softplus",
            "dendritic",
        ] {
            all.push(small("y", &format!("--activation {f} --dropout 0 --engine {engine}")));
        }
        for loss in ["half-sse", "mae", "huber:0.5"] {
            all.push(small("y", &format!("--loss {loss} --engine {engine}")));
        }
        all.push(small("class", &format!("--class-weights balanced --label-smoothing 0.1 --engine {engine}")));
        all.push(small("class", &format!("--l1 0.001 --l2 0.01 --clip-norm 0.5 --drop-last --engine {engine}")));
        all.push(small("y", &format!("--clip-value 0.05 --reduction sum --batch 7 --engine {engine}")));
        all.push(small("class", &format!("--weights a --batch full --engine {engine}")));
        for part in ["--embedding periodic", "--embedding piecewise-linear", "--members 4"] {
            all.push(small("class", &format!("{part} --engine {engine}")));
            all.push(small("y", &format!("{part} --engine {engine}")));
        }
    }
    for schedule in ["linear", "cosine", "exponential", "step", "flat-cosine", "one-cycle", "coslog4", "plateau"] {
        all.push(small("y", &format!("--schedule {schedule}")));
    }
    for initializer in [
        "auto",
        "kaiming-uniform",
        "kaiming-normal",
        "xavier-uniform",
        "xavier-normal",
        "lecun-uniform",
        "lecun-normal",
        "data-driven",
        "zeros",
    ] {
        all.push(small("y", &format!("--initializer {initializer}")));
    }
    for norm in ["batch", "layer"] {
        all.push(small("class", &format!("--norm {norm}")));
    }
    for scaling in ["min-max", "robust", "quantile", "none"] {
        all.push(small("y", &format!("--scaling {scaling}")));
    }
    for rest in
        ["--no-stratify", "--no-bias", "--test 0 --validation 0", "--seed 7", "--stream --buffer 64", "--ensemble 2"]
    {
        all.push(small("class", rest));
    }
    for (target, preset) in
        ["y", "class"].into_iter().flat_map(|target| Preset::ALL.iter().map(move |preset| (target, preset.name())))
    {
        all.push(small(target, &format!("--preset {preset}")));
    }
    for (name, target) in [("penguins.csv", "species"), ("concrete.csv", "compressive_strength")] {
        all.push(format!("train {name} --target {target} --epochs 3 --device cpu"));
        all.push(format!("train {name} --target {target} --epochs 3 --device ndarray --engine autodiff --hidden 32"));
    }
    all.push(
        "search t.csv --target y --ignore class --hidden 8 --epochs 2 --device cpu --random 3 --space lr=log:1e-3..1e-1".into(),
    );
    all
}

#[test]
fn golden_bits_of_models_and_predictions() {
    let folder = Folder::new();
    let table = folder.write("t.csv", table());
    for name in ["penguins.csv", "concrete.csv"] {
        std::fs::copy(data(name), folder.path(name)).unwrap();
    }
    let mut found = String::new();
    for case in cases() {
        let mut args: Vec<&str> = case.split_whitespace().collect();
        args.extend(["-o", "m.perceptra", "-q"]);
        // A search does not write over a model.
        let _ = std::fs::remove_file(folder.path("m.perceptra"));
        folder.ok(&args);
        let name = if args[0] == "search" { "m.perceptra/best.perceptra" } else { "m.perceptra" };
        let model = tensors(&folder.path(name));
        let input = if case.contains("t.csv") { table.display().to_string() } else { args[1].to_owned() };
        let predicted = hash(folder.ok(&["predict", name, &input]).as_bytes(), START);
        let _ = writeln!(found, "{} {model:016x} {predicted:016x} {case}", instructions());
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/bits.txt");
    let mut recorded = std::fs::read_to_string(&path).unwrap_or_default();
    let mine = |line: &&str| line.split_once(' ').is_some_and(|(set, _)| set == instructions());
    if std::env::var("PERCEPTRA_GOLDEN").is_ok_and(|v| v == "record") {
        let others = recorded.lines().filter(|line| !mine(line)).fold(String::new(), |all, line| all + line + "\n");
        recorded = others + &found;
        #[expect(clippy::disallowed_methods, reason = "it writes a file of this repository, when asked")]
        std::fs::File::create(&path)
            .and_then(|mut file| std::io::Write::write_all(&mut file, recorded.as_bytes()))
            .unwrap();
        return;
    }
    let recorded: Vec<&str> = recorded.lines().filter(mine).collect();
    if recorded.is_empty() {
        say(&format!("skipped: nobody has recorded the bits of {}", instructions()));
        return;
    }
    let wrong: Vec<String> = recorded
        .iter()
        .zip(found.lines())
        .filter(|(recorded, found)| *recorded != found)
        .map(|(recorded, found)| format!("recorded {recorded}\nfound    {found}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(recorded.len(), found.lines().count());
}
