//! Dense layers of a batch ensemble, of all members at once.

use burn::tensor::Tensor;

/// Computes xW + b, or (xW)⊙s + b, for each member. x is `[members, batch, inputs]`; W is `[members, inputs, outputs]`, or
/// `[1, inputs, outputs]` if all members share it; s and b are `[members, 1, outputs]`; the result is `[members, batch, outputs]`.
pub(crate) fn dense(x: Tensor<3>, weight: Tensor<3>, s: Option<Tensor<3>>, bias: Option<Tensor<3>>) -> Tensor<3> {
    let [members, batch, inputs] = x.dims();
    let z = match weight.dims() {
        // If all members share the weights, one matrix product takes the rows of all of them.
        [1, _, outputs] if members > 1 => {
            let z = x.reshape([members * batch, inputs]).matmul(weight.reshape([inputs, outputs]));
            z.reshape([members, batch, outputs])
        }
        _ => x.matmul(weight),
    };
    let z = s.into_iter().fold(z, |z, s| z * s);
    bias.into_iter().fold(z, |z, b| z + b)
}

/// Applies a function of a matrix `[batch, units]`, row by row, to a tensor `[members, batch, units]`.
pub(crate) fn by_row(x: Tensor<3>, f: impl FnOnce(Tensor<2>) -> Tensor<2>) -> Tensor<3> {
    let [members, batch, units] = x.dims();
    f(x.reshape([members * batch, units])).reshape([members, batch, units])
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, TensorData};

    use crate::testing::values;

    #[test]
    fn shared_weights_compute_as_copies_for_each_member_do() {
        let device = Device::flex();
        // Small whole numbers: every sum is exact.
        let whole = |shape: [usize; 3], step: usize| {
            let values: Vec<f32> = (0..shape.iter().product()).map(|i| (i * step % 11) as f32 - 5.0).collect();
            Tensor::<3>::from_data(TensorData::new(values, shape), &device)
        };
        let (x, weight, s, bias) = (whole([3, 5, 4], 7), whole([1, 4, 2], 3), whole([3, 1, 2], 5), whole([3, 1, 2], 4));
        let shared = values(dense(x.clone(), weight.clone(), Some(s.clone()), Some(bias.clone())));
        let copied = values(dense(x.clone(), weight.clone().repeat_dim(0, 3), Some(s.clone()), Some(bias.clone())));
        let [x, weight, s, bias] = [x, weight, s, bias].map(values);
        for member in 0..3 {
            for row in 0..5 {
                for unit in 0..2 {
                    let sum: f32 = (0..4).map(|i| x[(member * 5 + row) * 4 + i] * weight[i * 2 + unit]).sum();
                    let unit_of_member = member * 2 + unit;
                    let by_hand = sum * s[unit_of_member] + bias[unit_of_member];
                    let y = (member * 5 + row) * 2 + unit;
                    assert_eq!((shared[y], copied[y]), (by_hand, by_hand));
                }
            }
        }
    }
}
