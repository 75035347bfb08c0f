//! Requests of a page, and the limits on them.

use perceptra_data::Task;
use perceptra_model::{OneOrMany, RunConfig};
use perceptra_nn::{Activation, FeedForwardConfig, Loss};
use perceptra_train::{Batch, Optimizer};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::Refusal;

/// Maximum number of hidden layers.
pub(crate) const MAX_LAYERS: usize = 6;
/// Maximum number of units of a hidden layer.
pub(crate) const MAX_UNITS: usize = 16;
/// Maximum number of rows of a data set.
pub(crate) const MAX_ROWS: usize = 5000;
/// Maximum number of epochs of a run.
pub(crate) const MAX_EPOCHS: usize = 50_000;
/// Maximum number of columns of a table, and of classes of its target.
pub(crate) const MAX_COLUMNS: usize = 64;
pub(crate) const MAX_CLASSES: usize = 10;

/// A request of a page.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Request {
    /// Start a new run.
    Setup { spec: Box<Spec> },
    /// Train until paused, with `speed` epochs per picture; 0 trains as many as the time for a picture allows.
    Play { speed: usize },
    /// Stop training.
    Pause,
    /// Train for one epoch.
    Step,
    /// Change settings of the current run.
    Tune { tuning: Tuning },
    /// Acknowledge a picture, so that another one can be sent.
    Drawn,
    /// Upload a table, as CSV.
    Table { name: String, text: String },
    /// Download the run file.
    RunFile,
    /// Download the model file.
    Model,
}

/// Values of the menus of a page, in their order.
pub(crate) fn menus() -> Value {
    let is_hidden = |f: &&Activation| FeedForwardConfig::new(1, 1).with_widths(&[1], **f).validate().is_ok();
    json!({
        "activation": Activation::ALL.iter().filter(is_hidden).map(|f| f.name()).collect::<Vec<_>>(),
        "loss": Loss::ALL.iter().map(|loss| loss.name()).collect::<Vec<_>>(),
        "optimizer": Optimizer::ALL.iter().map(|optimizer| optimizer.name()).collect::<Vec<_>>(),
    })
}

/// Settings that can be changed during a run.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tuning {
    pub(crate) learning_rate: f64,
    /// Rows per step; 0 for all rows.
    pub(crate) batch: usize,
    pub(crate) l1: f64,
    pub(crate) l2: f64,
}

/// Description of a run.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Spec {
    /// Name of a built-in data set, or `table` for the uploaded one.
    pub(crate) data: String,
    pub(crate) rows: usize,
    pub(crate) noise: f32,
    /// Share of the rows held out for validation.
    pub(crate) held_out: f64,
    pub(crate) hidden: Vec<usize>,
    pub(crate) activation: Activation,
    pub(crate) loss: Option<Loss>,
    pub(crate) optimizer: Optimizer,
    pub(crate) tuning: Tuning,
    pub(crate) seed: u64,
    /// Target column of an uploaded table; by default its last column.
    pub(crate) target: Option<String>,
    /// Names of the columns of the x axis and the y axis; by default the first two numeric features.
    pub(crate) axes: Option<[String; 2]>,
}

impl Spec {
    /// Refuses a description that exceeds the limits, before anything is allocated.
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        let too_many = |what: &str, n: usize, most: usize| {
            (n > most)
                .then(|| Refusal::Request(format!("{n} {what} are too many for the playground, the maximum is {most}")))
        };
        let wide = self.hidden.iter().copied().max().unwrap_or(0);
        let refused = too_many("hidden layers", self.hidden.len(), MAX_LAYERS)
            .or_else(|| too_many("units of a layer", wide, MAX_UNITS))
            .or_else(|| too_many("rows", self.rows, MAX_ROWS));
        if let Some(refusal) = refused {
            return Err(refusal);
        }
        if !(0.0..=2.0).contains(&self.noise) {
            return Err(Refusal::Request(format!("the noise is {}, it must be between 0 and 2", self.noise)));
        }
        if self.rows < 4 {
            return Err(Refusal::Request(format!("{} rows are too few, the minimum is 4", self.rows)));
        }
        Ok(())
    }

    /// The run configuration, for a table of this name with this target.
    pub(crate) fn run(&self, table: &str, target: &str, task: Option<Task>) -> RunConfig {
        let mut run = RunConfig::default();
        run.data.table = table.into();
        run.data.schema.target = vec![target.to_owned()];
        run.data.schema.task = task;
        run.split.test = 0.0;
        run.split.validation = self.held_out;
        run.network.hidden.clone_from(&self.hidden);
        run.network.activation = OneOrMany::One(self.activation);
        run.train.loss = self.loss;
        run.train.optimizer = self.optimizer;
        run.train.epochs = MAX_EPOCHS;
        run.train.patience = None;
        run.train.seed = self.seed;
        self.tuning.apply(&mut run.train);
        run
    }
}

impl Tuning {
    pub(crate) fn apply(&self, training: &mut perceptra_train::TrainConfig) {
        training.learning_rate = self.learning_rate;
        training.batch = if self.batch == 0 { Batch::Full } else { Batch::Rows(self.batch) };
        (training.l1, training.l2) = (self.l1, self.l2);
    }
}
