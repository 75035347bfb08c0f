//! Memory of one thread, which steps use again and again.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::gemm::Aligned;
use crate::stem::Sorted;

/// A thread's own memory.
#[derive(Default)]
pub(super) struct Scratch {
    /// Of sums that are looked at before they are used.
    pub(super) block: Aligned,
    /// What units of a block are multiplied by.
    pub(super) masks: Aligned,
    /// Sums over a part of k, `[rows, 64]`.
    pub(super) partial: Vec<f32>,
    pub(super) targets: Vec<f32>,
    /// Rows of the data, of each member once.
    pub(super) ids: Vec<u32>,
    /// A row of the data, and what becomes of it.
    pub(super) raw: Vec<f32>,
    pub(super) row: Vec<f32>,
    /// Sums of the bins of a number.
    pub(super) bins: Vec<f32>,
    /// Of a joint field.
    pub(super) sorted: Sorted,
    pub(super) joint: Joint,
    pub(super) outputs: Vec<f32>,
    pub(super) slopes: Vec<f32>,
    pub(super) losses: Vec<f32>,
}

/// What is made on the way to the gradients of a joint field: numbers `[2 + bins, 16]`, as its parameters are, and weights.
#[derive(Default)]
pub(super) struct Joint {
    /// The parameters, times the factors of a member.
    pub(super) scaled: Vec<f32>,
    /// Their gradients, without these factors.
    pub(super) slopes: Vec<f32>,
    /// Some of the weights behind it, `[outputs, 16]`.
    pub(super) weights: Vec<f32>,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
