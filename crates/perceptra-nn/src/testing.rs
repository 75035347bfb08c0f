//! Helpers of this crate's tests.

use burn::tensor::Tensor;

/// The values of a tensor, row by row.
pub(crate) fn values<const D: usize>(t: Tensor<D>) -> Vec<f32> {
    t.into_data().try_into_vec().unwrap()
}
