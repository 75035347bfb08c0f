//! The state of a run between two epochs.

use burn::module::Module;
use burn::store::ModuleRecord;
use burn::tensor::Bytes;

use crate::choices::Engine;
use crate::error::TrainError;
use crate::history::Epoch;

/// The state of a training run between two epochs, from which [`Fit::resume`](crate::Fit::resume) continues as if the run had not been
/// interrupted.
///
/// The order of the rows and dropout are functions of the seed and the epoch, learning rates of the step, and early stopping of
/// the epochs so far: none of these has to be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainState {
    /// The engine that trains. A run continues with the engine that it began with.
    pub engine: Engine,
    /// The epochs so far, in order.
    pub epochs: Vec<Epoch>,
    /// The current weights, as Burn's serialized record.
    pub network: Vec<u8>,
    /// The weights of the best epoch, as Burn's serialized record.
    pub best: Vec<u8>,
    /// The optimizer's state, such as its moments, in the engine's own format.
    pub optimizer: Vec<u8>,
}

/// Access to the state of the run after an epoch, for an [`Observer`](crate::Observer) that stores it.
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

/// The weights of `network` as Burn's record, serialized to bytes.
pub(crate) fn record<M: Module>(network: &M) -> Result<Vec<u8>, TrainError> {
    let bytes = network.clone().into_record().into_bytes().map_err(|e| TrainError::Device(e.to_string()))?;
    Ok(bytes.to_vec())
}

/// `network` with the weights of a record: [`TrainState::network`] or [`TrainState::best`].
///
/// # Errors
///
/// [`TrainError::Resume`] if the record is of another network.
#[doc(hidden)]
pub fn with_weights<M: Module>(network: M, record: &[u8]) -> Result<M, TrainError> {
    ModuleRecord::from_bytes(Bytes::from_bytes_vec(record.to_vec()))
        .and_then(|record| network.try_load_record(record))
        .map_err(|e| TrainError::Resume(e.to_string()))
}
