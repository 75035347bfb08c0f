//! Old names of the public items, for crates that still use them.

use burn::tensor::Device;

use crate::{Blocks, Dataset, Fit, Fitted, Network, Observer, TrainConfig, TrainError, TrainState};

pub use crate::job::FitJob as Member;
pub use crate::network::ForwardMode as Pass;

/// See [`Fit`].
///
/// # Errors
///
/// As [`Fit::run`].
pub fn fit<N: Network>(
    network: N,
    train: &Dataset,
    validation: Option<&Dataset>,
    config: &TrainConfig,
    observer: &mut impl Observer,
) -> Result<Fitted<N>, TrainError> {
    Fit::new(network, train).validation(validation).observe(observer).run(config)
}

/// See [`Fit`].
///
/// # Errors
///
/// As [`Fit::run`].
pub fn resume<N: Network>(
    network: N,
    state: &TrainState,
    train: &Dataset,
    validation: Option<&Dataset>,
    config: &TrainConfig,
    observer: &mut impl Observer,
) -> Result<Fitted<N>, TrainError> {
    Fit::new(network, train).validation(validation).resume(state).observe(observer).run(config)
}

/// See [`Fit`].
///
/// # Errors
///
/// As [`Fit::run`].
pub fn fit_blocks<N: Network>(
    network: N,
    train: &mut dyn Blocks,
    validation: Option<&Dataset>,
    config: &TrainConfig,
    device: &Device,
    observer: &mut impl Observer,
) -> Result<Fitted<N>, TrainError> {
    Fit::blocks(network, train, device).validation(validation).observe(observer).run(config)
}

/// See [`Fit`].
///
/// # Errors
///
/// As [`Fit::run`].
pub fn resume_blocks<N: Network>(
    network: N,
    state: &TrainState,
    train: &mut dyn Blocks,
    validation: Option<&Dataset>,
    config: &TrainConfig,
    device: &Device,
    observer: &mut impl Observer,
) -> Result<Fitted<N>, TrainError> {
    Fit::blocks(network, train, device).validation(validation).resume(state).observe(observer).run(config)
}

impl Dataset {
    /// See [`Dataset::with_target_scales`].
    #[doc(hidden)]
    #[must_use]
    pub fn with_units(self, units: Vec<f32>) -> Self {
        self.with_target_scales(units)
    }
}
