//! What a page asks for.

use perceptra_data::Task;
use perceptra_model::{OneOrMany, RunConfig};
use perceptra_nn::{Activation, Loss};
use perceptra_train::{Batch, Optimizer};
use serde::Deserialize;

use crate::error::Refusal;

/// Hidden layers of a network.
pub const MOST_LAYERS: usize = 6;
/// Units of a hidden layer.
pub const MOST_UNITS: usize = 16;
/// Rows of a data set.
pub const MOST_ROWS: usize = 5000;
/// Epochs of a run, after which it pauses.
pub const MOST_EPOCHS: usize = 50_000;
/// Columns of a table, and classes of its target.
pub(crate) const MOST_COLUMNS: usize = 64;
pub(crate) const MOST_CLASSES: usize = 10;

/// A message of a page.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Ask {
    /// Begin a run.
    Setup {
        spec: Box<Spec>,
    },
    /// Go on until told otherwise, `speed` epochs from one picture to the next; 0 for as many as there is time for.
    Play {
        speed: usize,
    },
    Pause,
    /// One epoch.
    Step,
    /// Change how the run goes on.
    Tune {
        tuning: Tuning,
    },
    /// A picture has been drawn: another one may come.
    Drawn,
    /// The page's own table, as CSV.
    Table {
        name: String,
        text: String,
    },
    /// The run file.
    RunFile,
    /// The model file.
    Model,
}

/// What can be changed while a run goes on.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tuning {
    pub(crate) learning_rate: f64,
    /// 0 for all rows.
    pub(crate) batch: usize,
    pub(crate) l1: f64,
    pub(crate) l2: f64,
}

/// A run.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Spec {
    /// A problem's name, or `table` for the page's own.
    pub(crate) data: String,
    pub(crate) rows: usize,
    pub(crate) noise: f32,
    /// The share of rows that judge.
    pub(crate) held_out: f64,
    pub(crate) hidden: Vec<usize>,
    pub(crate) activation: Activation,
    pub(crate) loss: Option<Loss>,
    pub(crate) optimizer: Optimizer,
    pub(crate) tuning: Tuning,
    pub(crate) seed: u64,
    /// Of a table: the target, and the columns of the axes.
    pub(crate) target: Option<String>,
    pub(crate) axes: Option<[String; 2]>,
}

impl Spec {
    /// Refuses what is too large, before anything is made of it.
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        let too_many = |what: &str, n: usize, most: usize| {
            (n > most)
                .then(|| Refusal::Asked(format!("{n} {what} are too many for the playground, which takes {most}")))
        };
        let wide = self.hidden.iter().copied().max().unwrap_or(0);
        let refused = too_many("hidden layers", self.hidden.len(), MOST_LAYERS)
            .or_else(|| too_many("units of a layer", wide, MOST_UNITS))
            .or_else(|| too_many("rows", self.rows, MOST_ROWS));
        if let Some(refusal) = refused {
            return Err(refusal);
        }
        if !(0.0..=2.0).contains(&self.noise) {
            return Err(Refusal::Asked(format!("the noise {} is not between 0 and 2", self.noise)));
        }
        if self.rows < 4 {
            return Err(Refusal::Asked(format!("{} rows are too few, 4 are needed", self.rows)));
        }
        Ok(())
    }

    /// The run, on a table of this name with this target.
    pub(crate) fn run(&self, table: &str, target: &str, task: Option<Task>) -> RunConfig {
        let mut run = RunConfig::default();
        run.data.table = table.into();
        run.data.schema.target = vec![target.to_owned()];
        run.data.schema.task = task;
        run.split.test = 0.0;
        run.split.validation = self.held_out;
        run.network.hidden = self.hidden.clone();
        run.network.activation = OneOrMany::One(self.activation);
        run.train.loss = self.loss;
        run.train.optimizer = self.optimizer;
        run.train.epochs = MOST_EPOCHS;
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
