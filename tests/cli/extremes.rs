//! Extreme values and shapes on every backend: each trains or is refused with a clear error.

use perceptra::model::{RunConfig, Tables, train};
use perceptra::{ModelError, Table};

use crate::backends::devices;

/// Trains a little on CSV text, with `settings` in TOML; how many rows it predicts.
fn try_train(text: String, settings: &str, device: &burn::tensor::Device) -> Result<usize, ModelError> {
    let table = Table::from_csv("t.csv", text, &Default::default())?;
    let run = format!(
        "[data]\ntarget = ['y']\n{settings}\n[network]\nhidden = [8]\n[train]\nepochs = 2\nbatch = 32\nschedule = 'cosine'\n"
    );
    let run = RunConfig::from_toml("t", &run)?;
    let trained = train(&run, &Tables::from(table.clone()), device, &mut ())?;
    let predictions = trained.model.predict(&table)?;
    assert!(predictions.values.values.iter().all(|x| x.is_finite()), "a prediction is no number");
    Ok(predictions.values.rows)
}

fn table(rows: usize, header: &str, row: impl Fn(usize) -> String) -> String {
    format!("{header}\n{}", (0..rows).map(|i| row(i) + "\n").collect::<String>())
}

#[test]
fn every_scale_of_columns_trains() {
    for (name, device) in devices() {
        // From the denormals to the largest, beside a column of moderate size; the target likewise.
        for scale in ["e-44", "e-38", "e-30", "e-10", "e0", "e10", "e30", "e37"] {
            for target in ["e-30", "e0", "e30"] {
                let text =
                    table(60, "a,b,y", |i| format!("{}{scale},{},{}.5{target}", i % 7 + 1, i % 5, i % 7 * 3 + 1));
                assert_eq!(try_train(text, "", &device).unwrap(), 60, "{name} {scale} {target}");
            }
        }
        for scaling in ["min-max", "robust", "quantile"] {
            for scale in ["e-44", "e-30", "e30", "e37"] {
                let text = table(60, "a,b,y", |i| format!("{}{scale},{},{}.5", i % 7 + 1, i % 5, i % 7));
                let settings = format!("[encoder]\nscaling = '{scaling}'");
                assert_eq!(try_train(text, &settings, &device).unwrap(), 60, "{name} {scaling} {scale}");
            }
        }
        // Raw numbers of 1e30 cannot be trained on, and 1e-44 is as good as 0.
        let raw = |scale: &str| {
            let text = table(60, "a,b,y", |i| format!("{}{scale},{},{}.5", i % 7 + 1, i % 5, i % 7));
            try_train(text, "[encoder]\nscaling = 'none'", &device)
        };
        assert_eq!(raw("e-44").unwrap(), 60, "{name}");
        let error = raw("e30").unwrap_err();
        assert!(error.to_string().contains("NaN or infinite in epoch 1"), "{name}: {error}");
        assert!(error.hint().unwrap().to_string().contains("standardize the inputs"), "{name}");
    }
}

#[test]
fn every_shape_of_table_trains_or_is_refused() {
    for (name, device) in devices() {
        let try_train = |text, settings| try_train(text, settings, &device);
        let wide = |n: usize| (0..n).map(|j| format!("x{j}")).collect::<Vec<_>>().join(",") + ",y";
        let cells =
            |i: usize, n: usize| (0..n).map(|j| ((i * 31 + j * 17) % 101).to_string()).collect::<Vec<_>>().join(",");
        // More features than rows; 2,000 columns; 10,000 categories; constant columns.
        let text = table(20, &wide(100), |i| format!("{},{}.5", cells(i, 100), i));
        assert_eq!(try_train(text, "").unwrap(), 20, "{name}");
        let text = table(30, &wide(2000), |i| format!("{},{}.5", cells(i, 2000), i));
        assert_eq!(try_train(text, "").unwrap(), 30, "{name}");
        let text = table(30_000, "c,x,y", |i| format!("c{},{},{}.5", i % 10_000, i % 7, i % 11));
        assert_eq!(try_train(text, "").unwrap(), 30_000, "{name}");
        let text = table(40, "a,b,x,y", |i| format!("5,same,{},{}.5", i % 7, i));
        assert_eq!(try_train(text, "").unwrap(), 40, "{name}");
        // Classes: two, many, and one row of one.
        let text = table(40, "x,y", |i| format!("{},{}", i, ["u", "v"][i % 2]));
        assert_eq!(try_train(text, "").unwrap(), 40, "{name}");
        let text = table(400, "x,y", |i| format!("{},k{}", i, i % 100));
        assert_eq!(try_train(text, "").unwrap(), 400, "{name}");
        let refused = [
            (table(40, "x,y", |i| format!("{i},u")), "", "the target \"y\" is u in every row"),
            (table(1, "x,y", |_| "1,2.5".into()), "", "no usable feature column is left: \"x\": it has one value only"),
            (
                table(41, "x,y", |i| format!("{i},{}", if i == 40 { "w" } else { ["u", "v"][i % 2] })),
                "",
                "the class \"w\" has 1 row only",
            ),
            (
                table(2, "x,y", |i| format!("{i},{i}.5")),
                "task = 'regression'",
                "2 rows cannot be split: the test part would have 0",
            ),
            (table(6, "x,y", |i| format!("{i},{i}.5")), "", "the validation part would have 1, it needs at least 2"),
            (
                table(40, "x,y", |i| format!("{i},{i}.5")),
                "[split]\nvalidation = 0.01",
                "the validation part would have 0",
            ),
        ];
        for (text, settings, message) in refused {
            let error = try_train(text, settings).unwrap_err().to_string();
            assert!(error.contains(message), "{name}: {error}");
        }
        // Without parts to split off, two rows are enough.
        let text = table(2, "x,y", |i| format!("{i},{i}.5"));
        assert_eq!(try_train(text, "task = 'regression'\n[split]\ntest = 0\nvalidation = 0").unwrap(), 2, "{name}");
    }
}

#[test]
fn conflicting_settings_are_named() {
    let device = perceptra::choose("cpu").unwrap().device;
    let numbers = || table(60, "x,y", |i| format!("{i},{i}.5"));
    let classes = || table(60, "x,y", |i| format!("{i},{}", ["u", "v"][i % 2]));
    let try_train = |text: String, settings: &str| {
        let table = Table::from_csv("t.csv", text, &Default::default()).unwrap();
        let run = RunConfig::from_toml("t", &format!("data.target = ['y']\ntrain.epochs = 1\n{settings}")).unwrap();
        train(&run, &Tables::from(table), &device, &mut ()).map(|_| ()).unwrap_err().to_string()
    };
    for (text, settings, message) in [
        (
            numbers(),
            "train.class_weights = 'balanced'",
            "class_weights are set, and the task is regression, which has no classes",
        ),
        (
            numbers(),
            "network.output_activation = 'softmax'",
            "output_activation is softmax, which is for several classes",
        ),
        (classes(), "network.output_activation = 'softmax'", "and the task is binary"),
        (
            numbers(),
            "train.monitor = 'r2'\nsplit.validation = 0",
            "monitor is r2, which is judged on validation rows, and there are none",
        ),
        (numbers(), "train.momentum = 0.9", "momentum is 0.9, which adam does not have"),
        (numbers(), "network.dropout = 1.0", "dropout is 1, it must lie in [0, 1)"),
        (numbers(), "split.validation = 1", "validation is 1, it must lie in [0, 1)"),
        (numbers(), "data.buffer = 0", "buffer is 0, it must be at least 1"),
    ] {
        let error = try_train(text, settings);
        assert!(error.contains(message), "{settings}: {error}");
    }
}

#[test]
fn a_constant_network_is_reported() {
    let device = perceptra::choose("cpu").unwrap().device;
    let text = table(80, "x,y", |i| format!("{i},{}.5", i % 9));
    let dead = |settings: &str| {
        let table = Table::from_csv("t.csv", text.clone(), &Default::default()).unwrap();
        let run = RunConfig::from_toml("t", &format!("data.target = ['y']\ntrain.epochs = 3\n{settings}")).unwrap();
        train(&run, &Tables::from(table), &device, &mut ()).unwrap().dead
    };
    // Weights of 0 never leave 0 behind a ReLU.
    assert!(dead("network.hidden = [4]\nnetwork.initializer = 'zeros'"));
    assert!(!dead(""));
}
