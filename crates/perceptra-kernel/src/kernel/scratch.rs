//! Memory of one thread, reused from step to step.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::gemm::Aligned;
use crate::embedding::Sorted;

/// A thread's own memory.
#[derive(Default)]
pub(super) struct Scratch {
    /// Sums of a block before they are used.
    pub(super) block: Aligned,
    /// Dropout masks of a block.
    pub(super) masks: Aligned,
    /// Derivatives of a block that predictions do not need.
    pub(super) spare: Aligned,
    /// Sums over the first panels of k, `[rows, 64]`.
    pub(super) partial: Vec<f32>,
    pub(super) targets: Vec<f32>,
    /// Rows of a batch, repeated for each member.
    pub(super) ids: Vec<u32>,
    /// A row of the data, and the embedded row.
    pub(super) raw: Vec<f32>,
    pub(super) row: Vec<f32>,
    /// Sums by bin.
    pub(super) bins: Vec<f32>,
    /// Rows sorted by the bin of a joint field.
    pub(super) sorted: Sorted,
    pub(super) joint: Joint,
    pub(super) outputs: Vec<f32>,
    pub(super) slopes: Vec<f32>,
    pub(super) losses: Vec<f32>,
}

/// Intermediate values of the gradients of a joint field. Its parameters are `[2 + bins, 16]`.
#[derive(Default)]
pub(super) struct Joint {
    /// The parameters times the factors of a member.
    pub(super) scaled: Vec<f32>,
    /// The gradients of the parameters without these factors.
    pub(super) slopes: Vec<f32>,
    /// Some of the weights behind the field, `[outputs, 16]`.
    pub(super) weights: Vec<f32>,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
