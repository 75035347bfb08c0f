//! A run between two epochs.

use burn::module::Module;
use burn::store::ModuleRecord;
use burn::tensor::Bytes;

use crate::{Engine, Epoch, TrainError};

/// A training run between two epochs: all that [`resume`](crate::resume) needs to go on as if it had not been interrupted.
///
/// The order of the rows and dropout are functions of the seed and the epoch, learning rates of the step, and patience of
/// the epochs so far: none of these needs to be kept.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainState {
    /// What trains. A run goes on with the engine that it began with.
    pub engine: Engine,
    /// The epochs so far.
    pub epochs: Vec<Epoch>,
    /// The weights, as Burn's record.
    pub network: Vec<u8>,
    /// The weights of the best epoch, likewise.
    pub best: Vec<u8>,
    /// What the step rule remembers, in the engine's own form.
    pub optimizer: Vec<u8>,
}

/// Access to the run as it is after an epoch, for an [`Observer`](crate::Observer) that keeps it.
#[derive(Clone, Copy)]
pub struct Snapshot<'a> {
    pub(crate) capture: &'a dyn Fn() -> Result<TrainState, TrainError>,
}

impl Snapshot<'_> {
    /// Copies the state of the run from its device.
    ///
    /// # Errors
    ///
    /// [`TrainError::Device`].
    pub fn state(&self) -> Result<TrainState, TrainError> {
        (self.capture)()
    }
}

impl std::fmt::Debug for Snapshot<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Snapshot")
    }
}

/// The weights of `network` as bytes.
pub(crate) fn record<M: Module>(network: &M) -> Result<Vec<u8>, TrainError> {
    let bytes = network.clone().into_record().into_bytes().map_err(|e| TrainError::Device(e.to_string()))?;
    Ok(bytes.to_vec())
}

/// `network` with the weights of a [`TrainState`]: those in its `network` or its `best`.
///
/// # Errors
///
/// [`TrainError::Resume`] if they are of another network.
pub fn with_weights<M: Module>(network: M, record: &[u8]) -> Result<M, TrainError> {
    ModuleRecord::from_bytes(Bytes::from_bytes_vec(record.to_vec()))
        .and_then(|record| network.try_load_record(record))
        .map_err(|e| TrainError::Resume(e.to_string()))
}
