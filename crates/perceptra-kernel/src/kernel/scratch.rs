//! Memory of one thread, reused from step to step.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::gemm::Aligned;
use crate::embedding::Sorted;

/// Working memory of one thread, reused from step to step.
#[derive(Default)]
pub(super) struct Scratch {
    /// Sums of a block of a matrix product, before they are used.
    pub(super) block: Aligned,
    /// Dropout masks of a block of rows.
    pub(super) masks: Aligned,
    /// Derivatives f′ of a block, which are computed but not needed in predictions.
    pub(super) spare: Aligned,
    /// Unfinished sums of a matrix product, over the first panels of its inner dimension, `[rows, 64]`.
    pub(super) partial: Vec<f32>,
    pub(super) targets: Vec<f32>,
    /// Row numbers of a batch, repeated for each member of a batch ensemble.
    pub(super) ids: Vec<u32>,
    /// A row of the data, before it is embedded.
    pub(super) raw: Vec<f32>,
    /// An embedded row; in the backward pass, the derivatives with respect to a field's values if these lie in two panels.
    pub(super) row: Vec<f32>,
    /// Sums per bin of a piecewise-linear embedding.
    pub(super) bins: Vec<f32>,
    /// Rows sorted by the bin of a joint field.
    pub(super) sorted: Sorted,
    pub(super) joint: Joint,
    pub(super) outputs: Vec<f32>,
    pub(super) slopes: Vec<f32>,
    pub(super) losses: Vec<f32>,
}

/// Intermediate values for the gradients of a joint field, whose parameters are `[2 + bins, 16]`.
#[derive(Default)]
pub(super) struct Joint {
    /// The field's parameters times the factors r of a member.
    pub(super) scaled: Vec<f32>,
    /// Gradients of the field's parameters, before they are multiplied by the factors r.
    pub(super) slopes: Vec<f32>,
    /// Transposed weights of the first dense layer that multiply the field's values, for one panel of the layer's outputs:
    /// `[64, 16]`.
    pub(super) weights: Vec<f32>,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
