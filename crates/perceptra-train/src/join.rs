//! The average of the members of a batch ensemble.

use perceptra_nn::{Activation, FeedForward};

/// Averages the outputs of several members, `[members, rows, outputs]` to `[rows, outputs]`: as logits, the logits of the average of
/// their probabilities.
pub(crate) fn join(outputs: &mut Vec<f32>, network: &FeedForward, logits: bool) {
    let (members, m, g) = (network.members(), network.outputs(), network.output_activation());
    let n = outputs.len() / members;
    let lines = |i: usize| outputs.iter().skip(i).step_by(n).map(|x| f64::from(*x));
    let log_sum = |values: &[f64]| {
        let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        most + values.iter().map(|x| (x - most).exp()).sum::<f64>().ln()
    };
    let softplus = |z: f64| z.max(0.0) + (-z.abs()).exp().ln_1p();
    let joined: Vec<f32> = match g {
        Activation::Softmax if logits => {
            // The sum of each member's exponentials: less it, logits are logarithms of probabilities.
            let sums: Vec<f64> = outputs
                .chunks_exact(m)
                .map(|row| log_sum(&row.iter().map(|z| f64::from(*z)).collect::<Vec<_>>()))
                .collect();
            let rows = n / m;
            let of = |i: usize| {
                let logs: Vec<f64> = lines(i).enumerate().map(|(k, z)| z - sums[k * rows + i / m]).collect();
                log_sum(&logs) as f32
            };
            (0..n).map(of).collect()
        }
        Activation::Sigmoid if logits => {
            let of = |i: usize| {
                let log = |sign: f64| log_sum(&lines(i).map(|z| -softplus(sign * z)).collect::<Vec<_>>());
                (log(-1.0) - log(1.0)) as f32
            };
            (0..n).map(of).collect()
        }
        _ => (0..n).map(|i| (lines(i).sum::<f64>() / members as f64) as f32).collect(),
    };
    *outputs = joined;
}
