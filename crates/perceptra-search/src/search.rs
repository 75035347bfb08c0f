//! The plan of a search: its points, and the cases on which each point is tried.

use burn::tensor::Device;
use perceptra_data::{Schema, Task};
use perceptra_model::{ModelError, Partition, RunConfig, Tables, usual_metric};
use perceptra_train::Metric;

use crate::case::cases;
use crate::error::SearchError;
use crate::fingerprint;
use crate::point::Point;
use crate::space::{Space, searched_key};

/// A planned search: its points, and the rows on which each point is trained and judged.
#[derive(Debug)]
pub struct Search<'a> {
    pub(crate) run: RunConfig,
    pub(crate) tables: &'a Tables,
    pub(crate) device: &'a Device,
    pub(crate) space: Space,
    /// Points that are tried, in the order of their trials' numbers: `points[0]` is trial 1.
    pub(crate) points: Vec<Point>,
    /// Number of planned trials.
    pub planned: usize,
    /// The metric by which trials are ranked.
    pub metric: Metric,
    /// The rows of each case.
    pub(crate) partitions: Vec<Partition>,
    /// Number of cases on which each trial is judged: folds times repeats.
    pub cases: usize,
    /// Checksum of the rows.
    pub(crate) data: u32,
}

impl<'a> Search<'a> {
    /// Plans the search that `run.search` describes, on `tables`. No trial sees the test rows.
    ///
    /// The encoder is part of a trial: it is fitted on the trial's own training rows.
    ///
    /// # Errors
    ///
    /// Errors of the run, of its space and of its tables.
    pub fn new(run: &RunConfig, tables: &'a Tables, device: &'a Device) -> Result<Self, SearchError> {
        run.validate()?;
        check_options(run, tables)?;
        let base = base_of(run);
        let space = Space::parse(&base, &run.search.space)?;
        let points = space.points(run.search.sampler, run.search.trials, run.train.seed)?;
        if points.is_empty() {
            return Err(SearchError::Settings("trials is 0, it must be at least 1".to_owned()));
        }
        if run.network.ensemble > 1 || space.parameters.iter().any(|p| p.key == "network.ensemble") {
            let text =
                "network.ensemble is set, but a trial is one network: search.ensemble joins those of the best trials";
            return Err(SearchError::Settings(text.to_owned()));
        }
        let partitions = cases(run, &base, tables)?;
        let schema = Schema::infer(&tables.table, &run.data.schema).map_err(ModelError::from)?;
        let metric = ranking_metric(run, schema.task)?;
        let data = fingerprint::of_rows(run, tables, &schema)?;
        let (planned, cases) = (points.len(), partitions.len());
        Ok(Self { run: run.clone(), tables, device, space, points, planned, metric, partitions, cases, data })
    }

    /// The path of the key that `name` stands for in a search space, such as `train.learning_rate` for `lr`.
    ///
    /// # Errors
    ///
    /// [`SearchError::Key`] for a name that stands for no key that can be searched.
    pub fn key(name: &str) -> Result<&'static str, SearchError> {
        searched_key(name)
    }

    /// Whether the values of a searched key, such as `train.learning_rate`, are chosen on a logarithmic scale; `None` for a list of
    /// values, and for a key that is not searched.
    pub fn is_logarithmic(&self, key: &str) -> Option<bool> {
        self.space.parameters.iter().find(|p| p.key == key)?.domain.is_logarithmic()
    }

    /// The run configuration of a trial, as for a run outside the search.
    pub(crate) fn run_of(&self, number: usize) -> Result<RunConfig, SearchError> {
        let mut base = base_of(&self.run);
        base.output.model = None;
        self.points[number - 1].apply(&base)
    }
}

/// The run to which the values of a point are applied: `run` without its search settings and without checkpoints.
fn base_of(run: &RunConfig) -> RunConfig {
    let mut base = run.clone();
    base.search = Default::default();
    base.checkpoint.folder = None;
    base
}

fn check_options(run: &RunConfig, tables: &Tables) -> Result<(), SearchError> {
    let options = &run.search;
    let problem = match () {
        () if tables.is_streamed() => "stream is set, but a search holds its tables in memory",
        () if options.repeats == 0 => "repeats is 0, it must be at least 1",
        () if options.halving.is_some_and(|factor| factor < 2) => {
            "halving is below 2: one trial in so many is promoted to the next rung"
        }
        () if options.max_parallel == Some(0) => "max_parallel is 0, it must be at least 1",
        () => return Ok(()),
    };
    Err(SearchError::Settings(problem.to_owned()))
}

/// The metric by which trials are ranked: the metric of the search settings, else the monitored one unless that is the loss, else RMSE for
/// regression or log loss for classification.
fn ranking_metric(run: &RunConfig, task: Task) -> Result<Metric, SearchError> {
    let metric = match (run.search.metric, run.train.monitor) {
        (Some(Metric::Loss), _) => {
            let text = "trials may differ in their loss: rank them by another metric";
            return Err(SearchError::Settings(text.to_owned()));
        }
        (Some(metric), _) => metric,
        (None, Metric::Loss) => usual_metric(task),
        (None, monitor) => monitor,
    };
    if metric.is_of_classes() != task.is_classification() {
        return Err(ModelError::MetricMismatch { metric, task }.into());
    }
    Ok(metric)
}
