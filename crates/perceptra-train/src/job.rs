//! Jobs for training several networks at once.

use crate::config::TrainConfig;
use crate::dataset::Dataset;
use crate::error::TrainError;
use crate::fit::Fitted;

/// One of several networks that [`fit_many`](crate::fit_many) trains, with its rows and settings.
#[derive(Debug, Clone)]
pub struct FitJob<'a, N> {
    /// The network to train.
    pub network: N,
    /// The training rows; jobs may share them.
    pub train: &'a Dataset,
    /// The validation rows, by which epochs are compared; without them, the training loss compares epochs.
    pub validation: Option<&'a Dataset>,
    /// The settings of its training.
    pub config: TrainConfig,
}

/// A job and its index among all jobs.
pub(crate) type Indexed<'a, N> = (usize, FitJob<'a, N>);
/// A result and the index of its job.
pub(crate) type IndexedResult<N> = (usize, Result<Fitted<N>, TrainError>);
