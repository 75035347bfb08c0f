//! How a network is trained.

use perceptra_nn::{Group, Loss};
use serde::{Deserialize, Serialize};

use crate::{Engine, Metric, TrainError};

/// Rows of a training step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "BatchText", into = "BatchText")]
pub enum Batch {
    /// Minibatches of a size that suits the number of rows n: n/256 as a power of two, in 32..=256.
    Auto,
    /// Minibatches of this many rows; 1 is one row at a time.
    Rows(usize),
    /// The whole training set in one step.
    Full,
}

impl Batch {
    /// Rows of a step, of `rows` in all.
    pub fn size(self, rows: usize) -> usize {
        match self {
            Self::Auto => (rows / 256).next_power_of_two().clamp(32, 256).min(rows),
            Self::Rows(n) => n.min(rows),
            Self::Full => rows,
        }
    }
}

/// A batch as written: a number, `"auto"` or `"full"`.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum BatchText {
    Rows(u64),
    Name(String),
}

impl TryFrom<BatchText> for Batch {
    type Error = String;

    fn try_from(text: BatchText) -> Result<Self, String> {
        match text {
            BatchText::Rows(rows) => usize::try_from(rows).map(Self::Rows).map_err(|e| e.to_string()),
            BatchText::Name(name) => name.parse(),
        }
    }
}

impl From<Batch> for BatchText {
    fn from(batch: Batch) -> Self {
        match batch {
            Batch::Rows(rows) => Self::Rows(rows as u64),
            Batch::Full => Self::Name("full".into()),
            Batch::Auto => Self::Name("auto".into()),
        }
    }
}

impl std::str::FromStr for Batch {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.parse()) {
            ("auto", _) => Ok(Self::Auto),
            ("full", _) => Ok(Self::Full),
            (_, Ok(rows)) => Ok(Self::Rows(rows)),
            _ => Err(format!("`{text}` is neither a number of rows nor `auto` or `full`")),
        }
    }
}

/// The rule that turns gradients into steps. All are Burn's, with the moments and epsilons of their papers as defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Optimizer {
    /// Gradient descent, θ ← θ − ρ∇R, with optional momentum.
    Sgd,
    /// Kingma, Ba, 2015.
    #[default]
    Adam,
    /// Adam with decoupled weight decay (Loshchilov, Hutter, 2019).
    AdamW,
    /// Hinton, 2012; with optional momentum.
    RmsProp,
    /// Duchi, Hazan, Singer, 2011.
    AdaGrad,
    /// Xie et al., 2022.
    Adan,
    /// Chen et al., 2023.
    Lion,
    /// You et al., 2020.
    Lamb,
    /// Shazeer, Stern, 2018.
    Adafactor,
    /// Jordan et al., 2024, for weights; AdamW for biases and norms.
    Muon,
}

impl Optimizer {
    /// The name used in files and messages, such as `adamw`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sgd => "sgd",
            Self::Adam => "adam",
            Self::AdamW => "adamw",
            Self::RmsProp => "rmsprop",
            Self::AdaGrad => "adagrad",
            Self::Adan => "adan",
            Self::Lion => "lion",
            Self::Lamb => "lamb",
            Self::Adafactor => "adafactor",
            Self::Muon => "muon",
        }
    }

    /// Whether it has β₁ and β₂, as `betas`.
    fn has_betas(self) -> bool {
        matches!(self, Self::Adam | Self::AdamW)
    }

    /// Whether its decay can change over the run, as `decay_schedule` says.
    fn has_decay_schedule(self) -> bool {
        matches!(self, Self::AdamW | Self::Lion)
    }
}

/// How the losses of a batch's rows become one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reduction {
    /// Σ wᵢlᵢ: a step grows with the batch.
    Sum,
    /// Σ wᵢlᵢ / Σ wᵢ.
    Mean,
}

/// How the learning rate changes over the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// Not at all.
    #[default]
    Constant,
    /// In a straight line to 1% of it at the last epoch.
    Linear,
    /// Along half a cosine to 0 at the last epoch (Loshchilov, Hutter, 2017).
    Cosine,
    /// By the same factor each step, to 1% of it at the last epoch.
    Exponential,
    /// To a tenth after each third of the epochs.
    Step,
    /// Not at all in the first half, then along half a cosine to 0 at the last epoch.
    FlatCosine,
    /// From a 25th of it up to it in the first three tenths, then down to a 10⁻⁴ of that, along half cosines (Smith, Topin, 2019).
    OneCycle,
    /// Four times from 0 up to it and back, each time for about twice as long: ½(1 − cos(2π log₂(1 + 15t))) at the part t of the run
    /// (Holzmüller, Grinsztajn, Steinwart, 2024).
    Coslog4,
    /// Times `plateau_factor` whenever `monitor` has made no progress for `plateau_patience` epochs, as PyTorch's
    /// `ReduceLROnPlateau`.
    Plateau,
}

/// A factor for each kind of parameters.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Factors {
    /// Of weights of dense layers.
    pub weight: f64,
    /// Of biases.
    pub bias: f64,
    /// Of normalisation layers.
    pub norm: f64,
    /// Of embeddings.
    pub embedding: f64,
    /// Of learned factors of inputs.
    pub input_scale: f64,
    /// Of parametric activations.
    pub activation: f64,
    /// Of the factors of the members of a batch ensemble.
    pub member: f64,
}

impl Default for Factors {
    fn default() -> Self {
        Self::all(1.0)
    }
}

impl Factors {
    /// The same for all.
    pub const fn all(factor: f64) -> Self {
        Self {
            weight: factor,
            bias: factor,
            norm: factor,
            embedding: factor,
            input_scale: factor,
            activation: factor,
            member: factor,
        }
    }

    /// That of a group.
    pub fn of(&self, group: Group) -> f64 {
        match group {
            Group::Weight => self.weight,
            Group::Bias => self.bias,
            Group::Norm => self.norm,
            Group::Embedding => self.embedding,
            Group::InputScale => self.input_scale,
            Group::Activation => self.activation,
            Group::Member => self.member,
        }
    }
}

/// Of decay: weights alone.
fn weights_alone() -> Factors {
    Factors { weight: 1.0, ..Factors::all(0.0) }
}

/// How much each class counts.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClassWeights {
    /// All the same.
    #[default]
    Equal,
    /// In inverse proportion to their rows in the training set: n / (classes · nₖ).
    Balanced,
    /// As given, in order of the classes.
    Given(Vec<f32>),
}

/// How a network is trained. [`TrainConfig::default`] is plain minibatch Adam with early stopping.
///
/// | Name | Default | Purpose | Range |
/// |---|---|---|---|
/// | `loss` | by the task, else `mse` | what is minimised | |
/// | `reduction` | by the loss: `sum` for `half-sse`, else `mean` | over the rows of a step, and in what is reported | |
/// | `optimizer` | `adam` | the step rule | |
/// | `learning_rate` | 0.002 | ρ, the size of steps | > 0 |
/// | `schedule` | `constant` | ρ over the run | |
/// | `plateau_patience`, `plateau_factor` | 10, 0.1 | of the schedule `plateau` | ≥ 1, (0, 1) |
/// | `lr_factors` | 1 | of ρ, by kind of parameters | ≥ 0 |
/// | `betas` | 0.9, 0.999 | of Adam and AdamW: parts of the averages of gradients and their squares that are kept | [0, 1) |
/// | `batch` | `auto` | rows of a step | ≥ 1, `auto` or `full` |
/// | `drop_last` | false | leave out a last short batch | |
/// | `share_batches` | true | the members of a batch ensemble are trained on the same rows at each step | |
/// | `momentum` | 0 | of SGD and RMSProp | [0, 1) |
/// | `nesterov` | false | Nesterov's form of SGD's momentum | |
/// | `weight_decay` | 0 | of weights, not of biases, by the optimiser's rule | ≥ 0 |
/// | `decay_factors` | 1 for weights, 0 for others | of `weight_decay`, by kind of parameters | ≥ 0 |
/// | `decay_schedule` | `constant` | `weight_decay` over the run, of AdamW and Lion | |
/// | `dropout_schedule` | `constant` | the network's dropout over the run | |
/// | `l1`, `l2` | 0 | λ of the penalties λΣ\|w\| and ½λΣw² | ≥ 0 |
/// | `clip_norm` | none | longest gradient, over all parameters | > 0 |
/// | `clip_value` | none | largest gradient element | > 0 |
/// | `epochs` | 200 | the most passes over the data | ≥ 1 |
/// | `patience` | 30 | epochs without progress of `monitor` before stopping | ≥ 1 |
/// | `min_delta` | 0 | what counts as progress | ≥ 0 |
/// | `last_best` | false | of equally good epochs, keep the last instead of the first | |
/// | `monitor` | `loss` | judged on the validation rows, or the training loss without them | |
/// | `target` | none | stop when `monitor` reaches this | |
/// | `no_progress` | none | epochs without a lower training loss before stopping | ≥ 1 |
/// | `time_limit` | none | seconds after which the run ends | > 0 |
/// | `class_weights` | `equal` | weight of each class | ≥ 0 |
/// | `label_smoothing` | 0 | ε, the part of each class's target that goes to all classes alike | [0, 1) |
/// | `seed` | 0 | of shuffling and dropout | |
/// | `engine` | `auto` | what trains | |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainConfig {
    /// What is minimised; by default what suits the task, which for plain tensors is the mean squared error.
    pub loss: Option<Loss>,
    /// How losses of rows become one; by default as the loss has it.
    pub reduction: Option<Reduction>,
    /// The step rule.
    pub optimizer: Optimizer,
    /// ρ, the size of steps.
    pub learning_rate: f64,
    /// ρ over the run.
    pub schedule: Schedule,
    /// Epochs without progress after which `plateau` takes its next step down.
    pub plateau_patience: usize,
    /// By what `plateau` multiplies the learning rate each time.
    pub plateau_factor: f64,
    /// By what the learning rate is multiplied for each kind of parameters.
    #[serde(skip_serializing_if = "is_all_one")]
    pub lr_factors: Factors,
    /// β₁ and β₂ of Adam and AdamW.
    pub betas: [f64; 2],
    /// Rows of a step.
    pub batch: Batch,
    /// Whether a last batch that is short is left out.
    pub drop_last: bool,
    /// Whether the members of a batch ensemble see the same rows at each step, rather than each the rows in an order of its own.
    pub share_batches: bool,
    /// Momentum of SGD and RMSProp.
    pub momentum: f64,
    /// Whether SGD's momentum is Nesterov's.
    pub nesterov: bool,
    /// Decay of weights, decoupled in AdamW, Adan, Lion and Lamb, added to the gradient in the others. Others than weights decay
    /// by their `decay_factors`.
    pub weight_decay: f64,
    /// By what the decay is multiplied for each kind of parameters.
    #[serde(deserialize_with = "decay_factors", skip_serializing_if = "is_weights_alone")]
    pub decay_factors: Factors,
    /// `weight_decay` over the run.
    pub decay_schedule: Schedule,
    /// The network's dropout over the run.
    pub dropout_schedule: Schedule,
    /// λ of the penalty λΣ|w| over weights.
    pub l1: f64,
    /// λ of the penalty ½λΣw² over weights.
    pub l2: f64,
    /// The longest the gradient of all parameters together may be.
    pub clip_norm: Option<f64>,
    /// The largest an element of the gradient may be.
    pub clip_value: Option<f64>,
    /// The most passes over the data.
    pub epochs: usize,
    /// Epochs without progress of `monitor` before stopping; `"none"` in files switches it off.
    #[serde(with = "or_none")]
    pub patience: Option<usize>,
    /// How much better counts as progress, for `patience` and `no_progress`.
    pub min_delta: f64,
    /// Whether, of equally good epochs, the last is the best.
    pub last_best: bool,
    /// What is judged on the validation rows (without them, the training loss is).
    pub monitor: Metric,
    /// Stop when `monitor` is this good.
    pub target: Option<f64>,
    /// Epochs without a lower training loss before stopping.
    pub no_progress: Option<usize>,
    /// Seconds after which the run ends.
    pub time_limit: Option<f64>,
    /// Weight of each class.
    pub class_weights: ClassWeights,
    /// ε: in training, classes y become (1 − ε)y + ε/K of K classes, for cross-entropies (Szegedy et al., 2016).
    pub label_smoothing: f64,
    /// Seed of shuffling and dropout.
    pub seed: u64,
    /// What trains: the faster engine by default.
    pub engine: Engine,
}

fn is_all_one(factors: &Factors) -> bool {
    *factors == Factors::all(1.0)
}

/// Those that are given, over those of weights alone.
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
            let Factors { weight, bias, norm, embedding, input_scale, activation, member } = weights_alone();
            Self { weight, bias, norm, embedding, input_scale, activation, member }
        }
    }
    let Given { weight, bias, norm, embedding, input_scale, activation, member } = Given::deserialize(d)?;
    Ok(Factors { weight, bias, norm, embedding, input_scale, activation, member })
}

fn is_weights_alone(factors: &Factors) -> bool {
    *factors == weights_alone()
}

/// `None` written as `"none"`, for settings that are on by default.
mod or_none {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Text {
        Number(usize),
        Name(String),
    }

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
            betas: [0.9, 0.999],
            batch: Batch::Auto,
            drop_last: false,
            share_batches: true,
            momentum: 0.0,
            nesterov: false,
            weight_decay: 0.0,
            decay_factors: weights_alone(),
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
    /// How losses of rows become one under `loss`: as `reduction` says, else as the loss has it.
    pub fn reduction_of(&self, loss: Loss) -> Reduction {
        self.reduction.unwrap_or(if loss.is_sum() { Reduction::Sum } else { Reduction::Mean })
    }

    /// Settings of which some came with an optimizer and a loss that others have taken the place of: what those had and these do not is
    /// as in `asked`. It is betas, decay over the run and label smoothing.
    #[must_use]
    pub fn yielding_to(mut self, asked: &Self) -> Self {
        if !self.optimizer.has_betas() {
            self.betas = asked.betas;
        }
        if !self.optimizer.has_decay_schedule() {
            self.decay_schedule = asked.decay_schedule;
        }
        if !self.smooths() {
            self.label_smoothing = asked.label_smoothing;
        }
        self
    }

    /// Whether the loss has smoothed labels; where it is that which suits the task it may.
    fn smooths(&self) -> bool {
        self.loss.is_none_or(|loss| loss.takes_logits())
    }

    /// Checks every setting.
    ///
    /// # Errors
    ///
    /// [`TrainError::Settings`] with all that is wrong.
    pub fn validate(&self) -> Result<(), TrainError> {
        let mut problems = Vec::new();
        let mut require = |fine: bool, problem: String| {
            if !fine {
                problems.push(problem);
            }
        };
        let positive = |x: f64| x > 0.0 && x.is_finite();
        let not_negative = |x: f64| x >= 0.0 && x.is_finite();
        let rate = self.learning_rate;
        require(positive(rate), format!("learning_rate is {rate}, it must be above 0"));
        require(self.batch != Batch::Rows(0), "batch is 0, it must be at least 1 row, or auto or full".into());
        require(self.epochs > 0, "epochs is 0, it must be at least 1".into());
        require(self.patience != Some(0), "patience is 0, it must be at least 1 epoch".into());
        require(self.no_progress != Some(0), "no_progress is 0, it must be at least 1 epoch".into());
        let momentum = self.momentum;
        require((0.0..1.0).contains(&momentum), format!("momentum is {momentum}, it must lie in [0, 1)"));
        let has_momentum = matches!(self.optimizer, Optimizer::Sgd | Optimizer::RmsProp);
        let name = self.optimizer.name();
        require(
            momentum == 0.0 || has_momentum,
            format!("momentum is {momentum}, which {name} does not have: only sgd and rmsprop do"),
        );
        require(
            !self.nesterov || (self.optimizer == Optimizer::Sgd && momentum > 0.0),
            "nesterov is set, which only sgd with a momentum above 0 has".into(),
        );
        for (key, value) in
            [("weight_decay", self.weight_decay), ("l1", self.l1), ("l2", self.l2), ("min_delta", self.min_delta)]
        {
            require(not_negative(value), format!("{key} is {value}, it must be 0 or more"));
        }
        for (key, value) in
            [("clip_norm", self.clip_norm), ("clip_value", self.clip_value), ("time_limit", self.time_limit)]
        {
            if let Some(value) = value {
                require(positive(value), format!("{key} is {value}, it must be above 0"));
            }
        }
        require(self.plateau_patience > 0, "plateau_patience is 0, it must be at least 1 epoch".into());
        let factor = self.plateau_factor;
        require(factor > 0.0 && factor < 1.0, format!("plateau_factor is {factor}, it must lie between 0 and 1"));
        for (key, factors) in [("lr_factors", &self.lr_factors), ("decay_factors", &self.decay_factors)] {
            let Factors { weight, bias, norm, embedding, input_scale, activation, member } = *factors;
            let all = [weight, bias, norm, embedding, input_scale, activation, member];
            require(all.iter().all(|f| not_negative(*f)), format!("{key} must be 0 or more"));
        }
        let betas = self.betas;
        require(
            betas.iter().all(|b| (0.0..1.0).contains(b)),
            format!("betas are {} and {}, they must lie in [0, 1)", betas[0], betas[1]),
        );
        require(
            betas == [0.9, 0.999] || self.optimizer.has_betas(),
            format!("betas are set, which {name} does not have: only adam and adamw do"),
        );
        require(
            self.decay_schedule == Schedule::Constant || self.optimizer.has_decay_schedule(),
            format!("decay_schedule is set, and the decay of {name} is not over the run: that of adamw and lion is"),
        );
        let over_run = |schedule: Schedule| schedule != Schedule::Plateau;
        require(
            over_run(self.decay_schedule) && over_run(self.dropout_schedule),
            "plateau is a schedule of the learning rate alone".into(),
        );
        let smoothing = self.label_smoothing;
        require((0.0..1.0).contains(&smoothing), format!("label_smoothing is {smoothing}, it must lie in [0, 1)"));
        require(smoothing == 0.0 || self.smooths(), "label_smoothing is set, which cross-entropies alone have".into());
        require(self.target.is_none_or(f64::is_finite), "target must be a finite number".into());
        if let ClassWeights::Given(weights) = &self.class_weights {
            let fine = weights.iter().all(|w| *w >= 0.0 && w.is_finite()) && weights.iter().any(|w| *w > 0.0);
            require(fine, "class_weights must be 0 or more, and one above 0".into());
        }
        if problems.is_empty() { Ok(()) } else { Err(TrainError::Settings(problems)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_automatic_batch_grows_with_the_rows() {
        for (rows, batch) in [(1, 1), (20, 20), (500, 32), (10_000, 64), (30_000, 128), (1_000_000, 256)] {
            assert_eq!(Batch::Auto.size(rows), batch, "{rows}");
        }
        assert_eq!(Batch::Rows(50).size(20), 20);
        assert_eq!(Batch::Full.size(20), 20);
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
            (TrainConfig { label_smoothing: 0.1, loss: Some(Loss::MeanSquared), ..good() }, "cross-entropies alone"),
            (TrainConfig { plateau_patience: 0, ..good() }, "plateau_patience is 0"),
            (TrainConfig { plateau_factor: 1.0, ..good() }, "plateau_factor is 1"),
            (TrainConfig { lr_factors: Factors::all(-1.0), ..good() }, "lr_factors must be"),
            (TrainConfig { betas: [0.9, 1.0], ..good() }, "betas are 0.9 and 1"),
            (TrainConfig { optimizer: Optimizer::Sgd, betas: [0.9, 0.95], ..good() }, "only adam and adamw do"),
            (TrainConfig { decay_schedule: Schedule::FlatCosine, ..good() }, "the decay of adam is not over the run"),
            (TrainConfig { dropout_schedule: Schedule::Plateau, ..good() }, "of the learning rate alone"),
            (TrainConfig { target: Some(f64::NAN), ..good() }, "target must be"),
            (TrainConfig { class_weights: ClassWeights::Given(vec![0.0, 0.0]), ..good() }, "class_weights must be"),
        ];
        for (config, part) in table {
            let error = config.validate().unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
