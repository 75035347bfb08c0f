//! Presets: their settings, and run files that override them.

use perceptra_data::{Scaling, Task};
use perceptra_nn::{Activation, Initializer};
use perceptra_train::{Batch, Factors, Metric, Optimizer, Schedule, TrainConfig};

use crate::aliases::current_name;
use crate::error::ModelError;
use crate::run::{EmbeddingKind, OneOrMany, Preset, RunConfig, run_file_error};
use crate::tables::Tables;

impl Preset {
    /// The settings of the preset for a task and a number of rows. Without validation rows (`validated` is false) the training loss is
    /// monitored. Data, split and output have their defaults.
    pub(crate) fn run(self, task: Task, rows: usize, validated: bool) -> RunConfig {
        let mut run = RunConfig::default();
        match self {
            Self::Fast => {}
            Self::Default => {
                real_mlp(&mut run, task, false);
                if rows <= 5000 {
                    run.network.ensemble = 4;
                } else if rows > 20_000 {
                    run.train.batch = Batch::Rows(512);
                    run.train.epochs = 128;
                }
            }
            Self::Realmlp => real_mlp(&mut run, task, false),
            Self::RealmlpS => real_mlp(&mut run, task, true),
            Self::Tabm => tab_m(&mut run, task, false),
            Self::TabmPle => tab_m(&mut run, task, true),
        }
        if !validated {
            run.train.monitor = Metric::Loss;
        }
        run
    }

    /// `run` with the encoder, network and training of this preset; of these, only the seed and the class weights of `run` stay. Data,
    /// split, output, checkpoints and search stay as they are.
    pub fn apply(self, run: &RunConfig, task: Task, rows: usize) -> RunConfig {
        let preset = self.run(task, rows, run.is_validated());
        let (seed, class_weights) = (run.train.seed, run.train.class_weights.clone());
        let train = TrainConfig { seed, class_weights, ..preset.train };
        RunConfig { encoder: preset.encoder, network: preset.network, train, ..run.clone() }
    }
}

impl RunConfig {
    /// The run of a preset for the task and the number of rows of `tables`, overridden by a run file and then by `flags`.
    ///
    /// Label smoothing, betas and the schedule of weight decay belong to the loss and the optimizer of the preset. If the run file or the
    /// flags choose another loss or optimizer, these settings have their defaults.
    ///
    /// # Errors
    ///
    /// As [`RunConfig::from_toml`], those of the tables' schema, and those of `flags`.
    pub fn over<E: From<ModelError>>(
        preset: Preset,
        tables: &Tables,
        name: &str,
        text: &str,
        flags: impl Fn(Self) -> Result<Self, E>,
    ) -> Result<Self, E> {
        let asked = flags(Self::from_toml(name, text)?)?;
        let task = tables.task(&asked.data.schema)?;
        Self::over_task(preset, task, tables.rows(), name, text, flags)
    }

    fn over_task<E: From<ModelError>>(
        preset: Preset,
        task: Task,
        rows: usize,
        name: &str,
        text: &str,
        flags: impl Fn(Self) -> Result<Self, E>,
    ) -> Result<Self, E> {
        fn merge(base: &mut toml::Table, over: toml::Table) {
            for (key, value) in over {
                let key = current_name(&key).to_owned();
                match (base.get_mut(&key), value) {
                    (Some(toml::Value::Table(base)), toml::Value::Table(over)) => merge(base, over),
                    (_, value) => {
                        base.insert(key, value);
                    }
                }
            }
        }
        let asked = flags(Self::from_toml(name, text)?)?;
        let unwritten =
            |e: toml::ser::Error| ModelError::RunFile { name: name.to_owned(), message: e.to_string(), nearest: None };
        let preset = preset.run(task, rows, asked.is_validated());
        let mut all = toml::Table::try_from(preset).map_err(unwritten)?;
        merge(&mut all, text.parse().map_err(|e| run_file_error(name, &e))?);
        let mut run = flags(all.try_into().map_err(|e| run_file_error(name, &e))?)?;
        run.preset = None;
        run.train = run.train.yielding_to(&asked.train);
        Ok(run)
    }
}

/// Sets the default parameters of RealMLP-TD, or of RealMLP-TD-S if `small`: `RealMLP_TD_*` of `pytabkit`.
fn real_mlp(run: &mut RunConfig, task: Task, small: bool) {
    let classes = task.is_classification();
    run.encoder.scaling = Scaling::Robust;
    run.encoder.scale_categories = true;
    run.encoder.clamp_target = !small;
    let network = &mut run.network;
    network.hidden = vec![256; 3];
    network.activation = OneOrMany::One(if classes { Activation::Selu } else { Activation::Mish });
    network.input_scale = true;
    network.ntk = true;
    network.initializer = if small { Initializer::LecunNormal } else { Initializer::DataDriven };
    network.dropout = 0.0;
    let train = &mut run.train;
    train.optimizer = Optimizer::AdamW;
    train.betas = [0.9, 0.95];
    train.learning_rate = match (classes, small) {
        (true, _) => 0.04,
        (false, true) => 0.07,
        (false, false) => 0.2,
    };
    train.schedule = Schedule::Coslog4;
    train.lr_factors = Factors { bias: 0.1, input_scale: 6.0, embedding: 0.1, activation: 0.1, ..Factors::default() };
    train.batch = Batch::Rows(256);
    train.drop_last = true;
    train.epochs = 256;
    train.patience = None;
    train.last_best = true;
    train.monitor = if classes { Metric::Accuracy } else { Metric::Rmse };
    train.label_smoothing = if classes { 0.1 } else { 0.0 };
    if !small {
        run.encoder.embed_above = Some(9);
        network.embedding = EmbeddingKind::Periodic;
        network.parametric = true;
        network.dropout = 0.15;
        train.dropout_schedule = Schedule::FlatCosine;
        train.weight_decay = 0.02;
        train.decay_schedule = Schedule::FlatCosine;
        // pytabkit multiplies the factor of the learning rate twice.
        train.decay_factors = Factors { bias: 0.0, ..train.lr_factors };
    }
}

/// Sets the default parameters of TabM, with piecewise-linear embeddings if `embedded`: `TABM_D_*` of `pytabkit`.
fn tab_m(run: &mut RunConfig, task: Task, embedded: bool) {
    run.encoder.scaling = Scaling::Quantile;
    let network = &mut run.network;
    network.hidden = vec![512; if embedded { 2 } else { 3 }];
    network.activation = OneOrMany::One(Activation::Relu);
    network.initializer = Initializer::Torch;
    network.dropout = 0.1;
    network.members = 32;
    if embedded {
        network.embedding = EmbeddingKind::PiecewiseLinear;
    }
    let train = &mut run.train;
    train.optimizer = Optimizer::AdamW;
    train.learning_rate = 0.002;
    train.batch = Batch::Rows(256);
    train.share_batches = false;
    train.epochs = 1000;
    train.patience = Some(16);
    // With few validation rows many epochs score alike, and the last of these makes fewer errors than the first: docs/accuracy.md.
    train.last_best = true;
    train.monitor = if task.is_classification() { Metric::Accuracy } else { Metric::Rmse };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn over(preset: Preset, task: Task, rows: usize, text: &str) -> Result<RunConfig, ModelError> {
        RunConfig::over_task(preset, task, rows, "t", text, Ok)
    }

    #[test]
    fn settings_of_the_optimizer_or_the_loss_of_a_preset_are_dropped_with_it() {
        for &preset in Preset::ALL {
            for optimizer in Optimizer::ALL.iter().map(|optimizer| optimizer.name()) {
                for task in [Task::Regression, Task::Binary, Task::Multiclass] {
                    let text = format!("[train]\noptimizer = \"{optimizer}\"\nloss = \"mse\"");
                    let run = over(preset, task, 100, &text).unwrap();
                    assert!(run.validate().is_ok(), "{preset:?} {optimizer} {task:?}: {:?}", run.validate());
                }
            }
        }
        let train = |text: &str| over(Preset::Realmlp, Task::Binary, 100, text).unwrap().train;
        let default = train("");
        assert_eq!(
            (default.label_smoothing, default.betas, default.decay_schedule),
            (0.1, [0.9, 0.95], Schedule::FlatCosine)
        );
        assert_eq!(train("[train]\noptimizer = \"adam\"").betas, default.betas);
        assert_eq!(train("[train]\noptimizer = \"lion\"").decay_schedule, default.decay_schedule);
        assert_eq!(
            train("[train]\nloss = \"binary-cross-entropy\""),
            TrainConfig { loss: Some(perceptra_nn::Loss::BinaryCrossEntropy), ..default }
        );
        // Settings of the run file stay, and are refused where they contradict each other.
        let run = over(Preset::Realmlp, Task::Binary, 100, "[train]\noptimizer = \"sgd\"\nbetas = [0.8, 0.9]").unwrap();
        assert!(run.validate().unwrap_err().to_string().contains("betas are set"));
        // The same holds for settings from flags.
        let flags = |mut run: RunConfig| {
            run.train.optimizer = Optimizer::Sgd;
            Ok::<_, ModelError>(run)
        };
        let run = RunConfig::over_task(Preset::Realmlp, Task::Binary, 100, "t", "", flags).unwrap();
        assert_eq!((run.train.optimizer, run.train.betas), (Optimizer::Sgd, [0.9, 0.999]));
        run.validate().unwrap();
    }

    #[test]
    fn every_preset_is_valid_and_has_its_name_in_files() {
        for &preset in Preset::ALL {
            assert_eq!(serde_json::to_value(preset).unwrap(), preset.name());
            for task in [Task::Regression, Task::Binary, Task::Multiclass] {
                for rows in [100, 10_000, 50_000] {
                    let run = preset.run(task, rows, true);
                    run.validate().unwrap();
                    // The run file overrides the preset, which fills the rest.
                    let over =
                        over(preset, task, rows, "[train]\nlearning_rate = 0.5\n[network]\nntk = false").unwrap();
                    assert_eq!((over.train.learning_rate, over.network.ntk), (0.5, false));
                    let mut same = run.clone();
                    (same.train.learning_rate, same.network.ntk) = (0.5, false);
                    assert_eq!(over, same);
                    // Written as a run file, the preset's settings are read back unchanged.
                    assert_eq!(RunConfig { version: None, ..RunConfig::from_toml("t", &run.to_toml()).unwrap() }, run);
                }
            }
        }
        assert_eq!(Preset::Fast.run(Task::Regression, 10, true), RunConfig::default());
        assert!(Preset::Tabm.run(Task::Binary, 10, true).train.last_best);
        // A metric of validation rows is monitored if there are validation rows, or if the run file sets it.
        let all = "[split]\nvalidation = 0.0";
        for (text, monitor) in [
            (String::new(), Metric::Accuracy),
            (all.into(), Metric::Loss),
            (format!("{all}\n[train]\nmonitor = \"f1\""), Metric::F1),
        ] {
            let run = over(Preset::Realmlp, Task::Binary, 100, &text).unwrap();
            assert_eq!(run.train.monitor, monitor, "{text}");
        }
        for (text, validated) in [
            ("", true),
            (all, false),
            ("[split]\nvalidation = 0.0\nvalidation_file = \"v.csv\"", true),
            ("[split]\nvalidation = 0.0\n[data]\nsplit = \"part\"", true),
        ] {
            assert_eq!(RunConfig::from_toml("t", text).unwrap().is_validated(), validated, "{text}");
        }
        let run = RunConfig::from_toml("t", all).unwrap();
        assert_eq!(Preset::Tabm.apply(&run, Task::Binary, 100).train.monitor, Metric::Loss);
        assert_eq!(Preset::Tabm.apply(&RunConfig::default(), Task::Binary, 100).train.monitor, Metric::Accuracy);
        // A key may have its earlier name.
        let run = over(Preset::Realmlp, Task::Regression, 100, "[encoder]\nstandardise_target = false").unwrap();
        assert!(!run.encoder.standardize_target);
        let error = over(Preset::Fast, Task::Binary, 1, "[train]\nrate = 1").unwrap_err().to_string();
        assert!(error.contains("line 2"), "{error}");
    }
}
