//! The settings of a training run.

use std::time::{Duration, Instant};

use perceptra_nn::Loss;
use serde::{Deserialize, Serialize};

use crate::choices::{Batch, ClassWeights, Engine, Factors, Optimizer, Reduction, Schedule};
use crate::error::TrainError;
use crate::metrics::Metric;

/// The default β₁ and β₂ of Adam and AdamW.
pub(crate) const BETAS: [f64; 2] = [0.9, 0.999];

/// How a network is trained. [`TrainConfig::default`] is plain minibatch Adam with early stopping.
///
/// | Name | Default | Purpose | Range |
/// |---|---|---|---|
/// | `loss` | by the task, else `mse` | loss to minimize | |
/// | `reduction` | by the loss: `sum` for `half-sse`, else `mean` | how the losses of rows become one, in steps and in reports | |
/// | `optimizer` | `adam` | update rule | |
/// | `learning_rate` | 0.002 | learning rate ρ | > 0 |
/// | `schedule` | `constant` | how ρ changes over the run | |
/// | `plateau_patience` | 10 | epochs without progress before the schedule `plateau` lowers ρ | ≥ 1 |
/// | `plateau_factor` | 0.1 | factor by which the schedule `plateau` lowers ρ | (0, 1) |
/// | `lr_factors` | 1 | factors of ρ by group of parameters | ≥ 0 |
/// | `betas` | 0.9, 0.999 | β₁ and β₂ of Adam and AdamW | [0, 1) |
/// | `batch` | `auto` | rows in a step | ≥ 1, `auto` or `full` |
/// | `drop_last` | false | skip an epoch's last batch if it is short | |
/// | `share_batches` | true | train the members of a batch ensemble on the same rows at each step | |
/// | `momentum` | 0 | momentum of SGD and RMSProp | [0, 1) |
/// | `nesterov` | false | Nesterov's form of SGD's momentum | |
/// | `weight_decay` | 0 | decay of weights, and of other groups by `decay_factors` | ≥ 0 |
/// | `decay_factors` | 1 for weights, 0 for others | factors of `weight_decay` by group of parameters | ≥ 0 |
/// | `decay_schedule` | `constant` | how `weight_decay` changes over the run, with AdamW and Lion | |
/// | `dropout_schedule` | `constant` | how the network's dropout rate changes over the run | |
/// | `l1` | 0 | λ of the penalty λΣ\|w\| on weights | ≥ 0 |
/// | `l2` | 0 | λ of the penalty ½λΣw² on weights | ≥ 0 |
/// | `clip_norm` | none | largest norm of the gradient of all parameters together | > 0 |
/// | `clip_value` | none | largest absolute value of an element of the gradient | > 0 |
/// | `epochs` | 200 | maximum number of passes over the data | ≥ 1 |
/// | `patience` | 30 | epochs without progress of `monitor` before early stopping | ≥ 1 |
/// | `min_delta` | 0 | gain that must be exceeded to count as progress | ≥ 0 |
/// | `last_best` | false | keep the last of equally good epochs instead of the first | |
/// | `monitor` | `loss` | metric of the validation rows by which epochs are compared | |
/// | `target` | none | stop when `monitor` reaches this value | |
/// | `no_progress` | none | epochs without a lower training loss before stopping | ≥ 1 |
/// | `time_limit` | none | seconds after which the run ends | > 0 |
/// | `class_weights` | `equal` | weight of each class | ≥ 0 |
/// | `label_smoothing` | 0 | ε, the share of each class's target that is spread over all classes | [0, 1) |
/// | `seed` | 0 | seed of shuffling and dropout | |
/// | `engine` | `auto` | engine that trains | |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainConfig {
    /// Loss to minimize. By default the one that suits the task; for plain tensors that is the mean squared error.
    pub loss: Option<Loss>,
    /// How the losses of rows are combined into one. By default as the loss defines it: the sum for `half-sse`, else the mean.
    pub reduction: Option<Reduction>,
    /// Update rule.
    pub optimizer: Optimizer,
    /// Learning rate ρ.
    pub learning_rate: f64,
    /// How the learning rate ρ changes over the run.
    pub schedule: Schedule,
    /// Epochs without progress before the schedule `plateau` lowers ρ.
    pub plateau_patience: usize,
    /// Factor by which the schedule `plateau` lowers ρ each time.
    pub plateau_factor: f64,
    /// Factors of the learning rate by group of parameters.
    #[serde(skip_serializing_if = "is_all_one")]
    pub lr_factors: Factors,
    /// β₁ and β₂ of Adam and AdamW.
    pub betas: [f64; 2],
    /// Number of rows in a step.
    pub batch: Batch,
    /// Whether an epoch's last batch is skipped if it is shorter than the others.
    pub drop_last: bool,
    /// Whether all members of a batch ensemble train on the same rows at each step; otherwise each takes the rows in an order of its own.
    pub share_batches: bool,
    /// Momentum of SGD and RMSProp.
    pub momentum: f64,
    /// Whether SGD's momentum is Nesterov's.
    pub nesterov: bool,
    /// Decay of weights, with AdamW, Adan, Lion, LAMB, Adafactor and Muon decoupled, w ← (1 − ρλ)w, with the others λw added to the
    /// gradient. Other parameters decay by their `decay_factors`.
    pub weight_decay: f64,
    /// Factors of `weight_decay` by group of parameters.
    #[serde(deserialize_with = "decay_factors", skip_serializing_if = "is_weights_only")]
    pub decay_factors: Factors,
    /// How `weight_decay` changes over the run, with AdamW and Lion.
    pub decay_schedule: Schedule,
    /// How the network's dropout rate changes over the run.
    pub dropout_schedule: Schedule,
    /// λ of the penalty λΣ|w| on weights.
    pub l1: f64,
    /// λ of the penalty ½λΣw² on weights.
    pub l2: f64,
    /// Largest norm of the gradient of all parameters together; longer gradients are scaled down to it. `None` for no limit.
    pub clip_norm: Option<f64>,
    /// Largest absolute value of an element of the gradient; larger ones are clipped to it. `None` for no limit.
    pub clip_value: Option<f64>,
    /// Maximum number of passes over the data.
    pub epochs: usize,
    /// Epochs without progress of `monitor` before early stopping; `"none"` in files switches it off.
    #[serde(with = "or_none")]
    pub patience: Option<usize>,
    /// Gain that must be exceeded to count as progress, for `patience`, `no_progress` and the schedule `plateau`.
    pub min_delta: f64,
    /// Whether the last of equally good epochs counts as the best, instead of the first.
    pub last_best: bool,
    /// Metric of the validation rows by which epochs are compared. Without validation rows, the training loss is used instead.
    pub monitor: Metric,
    /// Value of `monitor` at which the run stops; `None` for no target.
    pub target: Option<f64>,
    /// Number of epochs without a lower training loss after which the run stops; `None` for no such limit.
    pub no_progress: Option<usize>,
    /// Seconds after which the run ends; `None` for no limit.
    pub time_limit: Option<f64>,
    /// Weight of each class.
    pub class_weights: ClassWeights,
    /// ε: in training, class targets y become (1 − ε)y + ε/K for K classes, with cross-entropies (Szegedy et al., 2016).
    pub label_smoothing: f64,
    /// Seed of shuffling and dropout.
    pub seed: u64,
    /// Engine that trains; by default the fastest that supports the network.
    pub engine: Engine,
}

fn is_all_one(factors: &Factors) -> bool {
    *factors == Factors::all(1.0)
}

/// Reads factors; groups that are missing get those of [`Factors::weights_only`].
fn decay_factors<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Factors, D::Error> {
    #[derive(Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Given {
        weight: f64,
        bias: f64,
        norm: f64,
        embedding: f64,
        input_scale: f64,
        activation: f64,
        member: f64,
    }
    impl Default for Given {
        fn default() -> Self {
            let Factors { weight, bias, norm, embedding, input_scale, activation, member } = Factors::weights_only();
            Self { weight, bias, norm, embedding, input_scale, activation, member }
        }
    }
    let Given { weight, bias, norm, embedding, input_scale, activation, member } = Given::deserialize(d)?;
    Ok(Factors { weight, bias, norm, embedding, input_scale, activation, member })
}

fn is_weights_only(factors: &Factors) -> bool {
    *factors == Factors::weights_only()
}

/// Reads and writes `None` as `"none"`, for settings whose default is not `None`.
mod or_none {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Text {
        Number(usize),
        Name(String),
    }

    #[expect(clippy::ref_option, reason = "serde passes a reference")]
    pub(super) fn serialize<S: Serializer>(value: &Option<usize>, s: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(n) => n.serialize(s),
            None => "none".serialize(s),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<usize>, D::Error> {
        match Text::deserialize(d)
            .map_err(|_| D::Error::custom("expected a number of epochs of 1 or more, or \"none\""))?
        {
            Text::Number(n) => Ok(Some(n)),
            Text::Name(name) if name == "none" => Ok(None),
            Text::Name(name) => Err(D::Error::custom(format!("`{name}` is neither a number of epochs nor \"none\""))),
        }
    }
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            loss: None,
            reduction: None,
            optimizer: Optimizer::Adam,
            learning_rate: 0.002,
            schedule: Schedule::Constant,
            plateau_patience: 10,
            plateau_factor: 0.1,
            lr_factors: Factors::all(1.0),
            betas: BETAS,
            batch: Batch::Auto,
            drop_last: false,
            share_batches: true,
            momentum: 0.0,
            nesterov: false,
            weight_decay: 0.0,
            decay_factors: Factors::weights_only(),
            decay_schedule: Schedule::Constant,
            dropout_schedule: Schedule::Constant,
            l1: 0.0,
            l2: 0.0,
            clip_norm: None,
            clip_value: None,
            epochs: 200,
            patience: Some(30),
            min_delta: 0.0,
            last_best: false,
            monitor: Metric::Loss,
            target: None,
            no_progress: None,
            time_limit: None,
            class_weights: ClassWeights::Equal,
            label_smoothing: 0.0,
            seed: 0,
            engine: Engine::Auto,
        }
    }
}

impl TrainConfig {
    /// The loss that is minimized, and how the losses of rows are combined, by default as the loss defines it.
    pub(crate) fn objective(&self) -> (Loss, Reduction) {
        let loss = self.loss.unwrap_or_default();
        (loss, self.reduction.unwrap_or(if loss.is_sum() { Reduction::Sum } else { Reduction::Mean }))
    }

    /// Number of steps in an epoch of `rows` rows.
    pub(crate) fn steps(&self, rows: usize, batch: usize) -> usize {
        if self.drop_last { rows / batch } else { rows.div_ceil(batch) }
    }

    /// The metric by which epochs are compared, of a run with or without validation rows.
    pub(crate) fn monitored(&self, has_validation: bool) -> Metric {
        if has_validation { self.monitor } else { Metric::Loss }
    }

    /// The time at which a run that begins now must end.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.time_limit.map(|s| Instant::now() + Duration::from_secs_f64(s.min(1e9)))
    }

    /// Takes `betas`, `decay_schedule` and `label_smoothing` from `asked` where this configuration's optimizer or loss does not use them: a
    /// preset sets them for its own optimizer and loss, which a run file or a flag may have replaced.
    #[doc(hidden)]
    #[must_use]
    pub fn yielding_to(mut self, asked: &Self) -> Self {
        if !self.optimizer.has_betas() {
            self.betas = asked.betas;
        }
        if !self.optimizer.has_decay_schedule() {
            self.decay_schedule = asked.decay_schedule;
        }
        if !self.can_smooth_labels() {
            self.label_smoothing = asked.label_smoothing;
        }
        self
    }

    /// Whether the loss supports label smoothing; true if the loss is not chosen yet, because the task will choose it.
    fn can_smooth_labels(&self) -> bool {
        self.loss.is_none_or(Loss::takes_logits)
    }

    /// Checks every setting.
    ///
    /// # Errors
    ///
    /// [`TrainError::Settings`], which lists every problem.
    pub fn validate(&self) -> Result<(), TrainError> {
        let Self {
            optimizer,
            learning_rate,
            plateau_patience,
            plateau_factor,
            lr_factors,
            betas,
            batch,
            momentum,
            nesterov,
            weight_decay,
            decay_factors,
            decay_schedule,
            dropout_schedule,
            l1,
            l2,
            clip_norm,
            clip_value,
            epochs,
            patience,
            min_delta,
            target,
            no_progress,
            time_limit,
            class_weights,
            label_smoothing,
            // Every value of these is valid.
            loss: _,
            reduction: _,
            schedule: _,
            drop_last: _,
            share_batches: _,
            last_best: _,
            monitor: _,
            seed,
            engine: _,
        } = self.clone();
        let mut problems = Vec::new();
        let mut require = |fine: bool, problem: String| {
            if !fine {
                problems.push(problem);
            }
        };
        let positive = |x: f64| x > 0.0 && x.is_finite();
        let not_negative = |x: f64| x >= 0.0 && x.is_finite();
        require(positive(learning_rate), format!("learning_rate is {learning_rate}, it must be above 0"));
        require(batch != Batch::Rows(0), "batch is 0, it must be at least 1 row, or auto or full".into());
        let largest = i64::MAX as u64;
        require(seed <= largest, format!("seed is {seed}, it must be at most {largest}: files have no larger numbers"));
        require(epochs > 0, "epochs is 0, it must be at least 1".into());
        require(patience != Some(0), "patience is 0, it must be at least 1 epoch".into());
        require(no_progress != Some(0), "no_progress is 0, it must be at least 1 epoch".into());
        require((0.0..1.0).contains(&momentum), format!("momentum is {momentum}, it must lie in [0, 1)"));
        let name = optimizer.name();
        require(
            momentum == 0.0 || optimizer.has_momentum(),
            format!(
                "momentum is {momentum}, which {name} does not have: only {} do",
                names_with(Optimizer::has_momentum)
            ),
        );
        require(
            !nesterov || (optimizer == Optimizer::Sgd && momentum > 0.0),
            "nesterov is set, which only sgd with a momentum above 0 has".into(),
        );
        for (key, value) in [("weight_decay", weight_decay), ("l1", l1), ("l2", l2), ("min_delta", min_delta)] {
            require(not_negative(value), format!("{key} is {value}, it must be 0 or more"));
        }
        for (key, value) in [("clip_norm", clip_norm), ("clip_value", clip_value), ("time_limit", time_limit)] {
            if let Some(value) = value {
                require(positive(value), format!("{key} is {value}, it must be above 0"));
            }
        }
        require(plateau_patience > 0, "plateau_patience is 0, it must be at least 1 epoch".into());
        require(
            plateau_factor > 0.0 && plateau_factor < 1.0,
            format!("plateau_factor is {plateau_factor}, it must lie between 0 and 1"),
        );
        for (key, factors) in [("lr_factors", lr_factors), ("decay_factors", decay_factors)] {
            let Factors { weight, bias, norm, embedding, input_scale, activation, member } = factors;
            let all = [weight, bias, norm, embedding, input_scale, activation, member];
            require(all.iter().all(|f| not_negative(*f)), format!("{key} must be 0 or more"));
        }
        require(
            betas.iter().all(|b| (0.0..1.0).contains(b)),
            format!("betas are {} and {}, they must lie in [0, 1)", betas[0], betas[1]),
        );
        require(
            betas == BETAS || optimizer.has_betas(),
            format!("betas are set, which {name} does not have: only {} do", names_with(Optimizer::has_betas)),
        );
        require(
            decay_schedule == Schedule::Constant || optimizer.has_decay_schedule(),
            format!(
                "decay_schedule is set, which {name} does not have: only {} do",
                names_with(Optimizer::has_decay_schedule)
            ),
        );
        let by_step = |schedule: Schedule| schedule != Schedule::Plateau;
        require(
            by_step(decay_schedule) && by_step(dropout_schedule),
            "plateau is a schedule of the learning rate only".into(),
        );
        require(
            (0.0..1.0).contains(&label_smoothing),
            format!("label_smoothing is {label_smoothing}, it must lie in [0, 1)"),
        );
        require(
            label_smoothing == 0.0 || self.can_smooth_labels(),
            "label_smoothing is set, which only cross-entropies have".into(),
        );
        require(target.is_none_or(f64::is_finite), "target must be a finite number".into());
        if let ClassWeights::Given(weights) = class_weights {
            let fine = weights.iter().all(|w| *w >= 0.0 && w.is_finite()) && weights.iter().any(|w| *w > 0.0);
            require(fine, "class_weights must be 0 or more, and one above 0".into());
        }
        if problems.is_empty() { Ok(()) } else { Err(TrainError::Settings(problems)) }
    }
}

/// Names of the optimizers for which `has` is true, such as `adam and adamw`.
fn names_with(has: fn(Optimizer) -> bool) -> String {
    let names: Vec<&str> = Optimizer::ALL.iter().copied().filter(|o| has(*o)).map(Optimizer::name).collect();
    names.join(" and ")
}

/// The settings that decide what a step computes: each engine destructures them without `..`, so that a new setting does not compile until
/// every engine honors it or names it as unsupported.
#[derive(Clone, Copy)]
pub(crate) struct StepSettings<'a> {
    pub(crate) loss: Loss,
    pub(crate) reduction: Reduction,
    pub(crate) optimizer: Optimizer,
    pub(crate) learning_rate: f64,
    pub(crate) schedule: Schedule,
    pub(crate) lr_factors: &'a Factors,
    pub(crate) betas: [f64; 2],
    pub(crate) momentum: f64,
    pub(crate) nesterov: bool,
    pub(crate) weight_decay: f64,
    pub(crate) decay_factors: &'a Factors,
    pub(crate) decay_schedule: Schedule,
    pub(crate) dropout_schedule: Schedule,
    pub(crate) l1: f64,
    pub(crate) l2: f64,
    pub(crate) clip_norm: Option<f64>,
    pub(crate) clip_value: Option<f64>,
    pub(crate) seed: u64,
}

impl TrainConfig {
    /// The settings that engines must honor.
    pub(crate) fn step_settings(&self) -> StepSettings<'_> {
        let Self {
            // Resolved by `objective`.
            loss: _,
            reduction: _,
            optimizer,
            learning_rate,
            schedule,
            lr_factors,
            betas,
            momentum,
            nesterov,
            weight_decay,
            decay_factors,
            decay_schedule,
            dropout_schedule,
            l1,
            l2,
            clip_norm,
            clip_value,
            seed,
            // Settings of the loop (`fit.rs`, `progress.rs`), which is the same for both engines.
            plateau_patience: _,
            plateau_factor: _,
            epochs: _,
            patience: _,
            min_delta: _,
            last_best: _,
            monitor: _,
            target: _,
            no_progress: _,
            time_limit: _,
            engine: _,
            // Settings applied to rows before engines get them: which rows make a step (`engine::order`), row weights and targets
            // (`Weighted`).
            batch: _,
            drop_last: _,
            share_batches: _,
            class_weights: _,
            label_smoothing: _,
        } = self;
        let (loss, reduction) = self.objective();
        StepSettings {
            loss,
            reduction,
            optimizer: *optimizer,
            learning_rate: *learning_rate,
            schedule: *schedule,
            lr_factors,
            betas: *betas,
            momentum: *momentum,
            nesterov: *nesterov,
            weight_decay: *weight_decay,
            decay_factors,
            decay_schedule: *decay_schedule,
            dropout_schedule: *dropout_schedule,
            l1: *l1,
            l2: *l2,
            clip_norm: *clip_norm,
            clip_value: *clip_value,
            seed: *seed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of the table in the documentation of [`TrainConfig`]: names and defaults.
    fn documented() -> Vec<(&'static str, &'static str)> {
        let rows = include_str!("config.rs").lines().filter_map(|line| line.strip_prefix("/// | `"));
        rows.map(|row| {
            let (name, rest) = row.split_once("` | ").unwrap();
            (name, rest.split_once(" | ").unwrap().0)
        })
        .collect()
    }

    #[test]
    fn the_table_of_settings_has_every_field_and_its_default() {
        let error = serde_json::from_str::<TrainConfig>(r#"{"no such setting": 0}"#).unwrap_err().to_string();
        let fields: Vec<&str> = error.split('`').skip(3).step_by(2).collect();
        let names: Vec<&str> = documented().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, fields, "{error}");
        let defaults = serde_json::to_value(TrainConfig::default()).unwrap();
        for (name, text) in documented() {
            let text = text.trim_matches('`');
            let value = match &defaults[name] {
                // The default depends on the loss, or is a set of factors, which is not written.
                serde_json::Value::Null if text.starts_with("by ") || text == "none" => continue,
                serde_json::Value::Null => match name {
                    "lr_factors" => "1".to_owned(),
                    "decay_factors" => "1 for weights, 0 for others".to_owned(),
                    _ => panic!("{name} has no default value, but the table says {text}"),
                },
                serde_json::Value::String(value) => value.clone(),
                serde_json::Value::Array(values) => {
                    values.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
                }
                serde_json::Value::Number(value) => value.as_f64().unwrap().to_string(),
                value => value.to_string(),
            };
            assert_eq!(text, value, "{name}");
        }
        let default = TrainConfig::default();
        assert_eq!((default.lr_factors, default.decay_factors), (Factors::all(1.0), Factors::weights_only()));
    }

    #[test]
    fn each_wrong_setting_is_named() {
        let good = TrainConfig::default;
        assert_eq!(good().validate(), Ok(()));
        let table: [(TrainConfig, &str); 25] = [
            (TrainConfig { learning_rate: 0.0, ..good() }, "learning_rate is 0"),
            (TrainConfig { learning_rate: f64::NAN, ..good() }, "learning_rate is NaN"),
            (TrainConfig { batch: Batch::Rows(0), ..good() }, "batch is 0"),
            (TrainConfig { epochs: 0, ..good() }, "epochs is 0"),
            (TrainConfig { patience: Some(0), ..good() }, "patience is 0"),
            (TrainConfig { no_progress: Some(0), ..good() }, "no_progress is 0"),
            (TrainConfig { optimizer: Optimizer::Sgd, momentum: 1.0, ..good() }, "momentum is 1"),
            (TrainConfig { momentum: 0.9, ..good() }, "adam does not have"),
            (TrainConfig { optimizer: Optimizer::Sgd, nesterov: true, ..good() }, "nesterov is set"),
            (TrainConfig { weight_decay: -1.0, ..good() }, "weight_decay is -1"),
            (TrainConfig { l1: f64::INFINITY, ..good() }, "l1 is inf"),
            (TrainConfig { clip_norm: Some(0.0), ..good() }, "clip_norm is 0"),
            (TrainConfig { clip_value: Some(-1.0), ..good() }, "clip_value is -1"),
            (TrainConfig { time_limit: Some(0.0), ..good() }, "time_limit is 0"),
            (TrainConfig { label_smoothing: 1.0, ..good() }, "label_smoothing is 1"),
            (TrainConfig { label_smoothing: 0.1, loss: Some(Loss::MeanSquared), ..good() }, "only cross-entropies"),
            (TrainConfig { plateau_patience: 0, ..good() }, "plateau_patience is 0"),
            (TrainConfig { plateau_factor: 1.0, ..good() }, "plateau_factor is 1"),
            (TrainConfig { lr_factors: Factors::all(-1.0), ..good() }, "lr_factors must be"),
            (TrainConfig { betas: [0.9, 1.0], ..good() }, "betas are 0.9 and 1"),
            (TrainConfig { optimizer: Optimizer::Sgd, betas: [0.9, 0.95], ..good() }, "only adam and adamw do"),
            (TrainConfig { decay_schedule: Schedule::FlatCosine, ..good() }, "only adamw and lion do"),
            (TrainConfig { dropout_schedule: Schedule::Plateau, ..good() }, "of the learning rate only"),
            (TrainConfig { target: Some(f64::NAN), ..good() }, "target must be"),
            (TrainConfig { class_weights: ClassWeights::Given(vec![0.0, 0.0]), ..good() }, "class_weights must be"),
        ];
        for (config, part) in table {
            let error = config.validate().unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
