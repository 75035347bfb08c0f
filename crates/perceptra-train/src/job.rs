//! One of several networks to train.

use crate::config::TrainConfig;
use crate::dataset::Dataset;
use crate::error::TrainError;
use crate::fit::Fitted;

/// One of several networks that [`fit_many`](crate::fit_many) trains, with its rows and settings.
#[derive(Debug, Clone)]
pub struct FitJob<'a, N> {
    /// The network.
    pub network: N,
    /// The training rows; jobs may share them.
    pub train: &'a Dataset,
    /// The rows by which epochs are compared.
    pub validation: Option<&'a Dataset>,
    /// The settings.
    pub config: TrainConfig,
}

/// A job and its index among all.
pub(crate) type Indexed<'a, N> = (usize, FitJob<'a, N>);
/// A result and the index of its job.
pub(crate) type IndexedResult<N> = (usize, Result<Fitted<N>, TrainError>);
