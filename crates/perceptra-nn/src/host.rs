//! Conversion of networks to and from those of the CPU kernel, for the fused engine and for predictions on the host.

use std::cell::Cell;
use std::sync::OnceLock;

use burn::module::Module;
use burn::tensor::{DType, Device, Tensor};
use perceptra_kernel as kernel;

use crate::activation::{Activation, Link};
use crate::embedding::{Column, NumberEmbedding};
use crate::error::NetworkError;
use crate::feed_forward::FeedForward;
use crate::layer::Layer;
use crate::role::{EmbeddingTensor, Role};

thread_local! {
    /// The most threads that a training or prediction started on this thread may take.
    static LIMIT: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// Calls `f`, in which the kernel takes at most `threads` threads, so that several trainings can run at once, each started by a
/// thread of its own. Results do not depend on the limit.
pub fn with_threads<T>(threads: usize, f: impl FnOnce() -> T) -> T {
    struct Restore(usize);
    impl Drop for Restore {
        fn drop(&mut self) {
            LIMIT.set(self.0);
        }
    }
    let _restore = Restore(LIMIT.replace(threads.max(1)));
    f()
}

/// The number of threads to compute with: `RAYON_NUM_THREADS`, which Burn's CPU backends obey too, or the number of the CPU's threads,
/// but at most what [`with_threads`] allows.
pub fn threads() -> usize {
    // Computed once, because it reads several system files, which takes longer than training a small network.
    static THREADS: OnceLock<usize> = OnceLock::new();
    let all = THREADS.get_or_init(|| {
        let asked = std::env::var("RAYON_NUM_THREADS").ok().and_then(|n| n.parse().ok()).filter(|&n| n > 0);
        asked.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
    });
    LIMIT.get().min(*all)
}

/// Whether a device has memory of its own, as GPUs do; the CPU computes in the host's memory.
pub fn has_own_memory(device: &Device) -> bool {
    // Only such devices report a memory pool.
    device.memory_pool_usage().is_some()
}

/// The values of a tensor, row by row. Waits for the device.
pub(crate) fn read<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>, NetworkError> {
    tensor.try_into_vec_as().map_err(|e| NetworkError::Device(e.to_string()))
}

/// The layers and the extras of a network as the kernel describes them; for `logits`, with the identity in place of a sigmoid or
/// softmax at the end.
///
/// # Errors
///
/// The parts of a network that the kernel's types do not have: normalization layers, or a softmax that remains, since it is not a function of one number.
/// The message completes "the kernel cannot compute this:".
pub fn describe(network: &FeedForward, logits: bool) -> Result<(Vec<kernel::Layer>, kernel::Extras), &'static str> {
    if network.layers().iter().any(Layer::has_norm) {
        return Err("it has no normalization layers");
    }
    let last = network.layers().len().saturating_sub(1);
    let of = |(i, f): (usize, Activation)| {
        if i == last && logits && f.makes_probabilities() { Some(kernel::Activation::Identity) } else { f.in_kernel() }
    };
    let activations: Option<Vec<_>> =
        network.layers().iter().map(|layer| layer.activation).enumerate().map(of).collect();
    let activations = activations.ok_or("it has no softmax, except under a cross-entropy")?;
    let embedding = network.embedding().cloned();
    let embedding = embedding.map(|config| kernel::InputEmbedding {
        columns: config
            .columns
            .iter()
            .map(|column| match column {
                Column::Number => kernel::Column::Number,
                Column::Plain => kernel::Column::Plain,
                Column::Category(n) => kernel::Column::Category(*n),
            })
            .collect(),
        numbers: match config.numbers {
            NumberEmbedding::None => kernel::NumberEmbedding::Plain,
            NumberEmbedding::Periodic { frequencies, width, .. } => {
                kernel::NumberEmbedding::Periodic(frequencies, width)
            }
            NumberEmbedding::PiecewiseLinear { edges, width } => kernel::NumberEmbedding::PiecewiseLinear(edges, width),
        },
        category_width: config.category_width,
    });
    let extras = kernel::Extras {
        embedding,
        input_scale: network.parameter(Role::InputScale).is_some(),
        parametric: (0..network.layers().len()).any(|i| network.parameter(Role::Alpha(i)).is_some()),
        members: network.members(),
        ntk: network.is_ntk(),
    };
    let layers = network.layers().iter().zip(network.widths()).zip(activations);
    let layers = layers.map(|((layer, (inputs, outputs)), activation)| kernel::Layer {
        inputs,
        outputs,
        bias: layer.linear.bias.is_some(),
        activation,
    });
    Ok((layers.collect(), extras))
}

/// Why the kernel could not train every parameter of the network: it has frozen parameters, other numbers than 32-bit floats, or
/// adapters. `None` if it could.
pub fn untrained(network: &FeedForward) -> Option<&'static str> {
    // Only a network in training mode shows which parameters are trained; adapters show as more parameters than weights.
    let active = network.clone().train();
    let device = active.layers().first()?.linear.weight.val().device();
    let tensors = active.parameters();
    let trained = tensors.iter().all(|p| p.is_trained() && p.dtype() == DType::F32);
    let weights: usize = tensors.iter().map(|p| p.shape().iter().product::<usize>()).sum();
    let parameters = active.num_params();
    // Burn's autodiff frees parameters that no backward pass has reached only at the next backward pass of any tensor: without this
    // one they would stay in memory for good.
    drop(tensors);
    drop(active);
    Tensor::<1>::ones([1], &device).require_grad().backward();
    if !trained {
        return Some("it trains all weights, as 32-bit numbers");
    }
    (parameters != weights).then_some("the network has parameters besides its weights and biases")
}

/// Factor of a tensor when it is copied to the kernel: 1/√inputs for weights in the NTK parametrization, because the kernel stores
/// weights with this factor, else 1.
fn gain(network: &FeedForward, role: Role) -> f32 {
    match role {
        Role::Weight(layer) if network.is_ntk() => (network.widths()[layer].0 as f64).sqrt().recip() as f32,
        Role::Weight(_) | Role::Bias(_) | Role::Embedding(_) | Role::InputScale | Role::Alpha(_) => 1.0,
        Role::R(_) | Role::S(_) => 1.0,
        Role::Gamma(_) | Role::Beta(_) | Role::RunningMean(_) | Role::RunningVariance(_) => 1.0,
    }
}

/// Copies all parameters of `network` to the kernel, by calling `set` for each.
///
/// # Errors
///
/// [`NetworkError::Device`] if parameters cannot be read from the device.
pub fn set_weights(network: &FeedForward, mut set: impl FnMut(kernel::Part, &[f32])) -> Result<(), NetworkError> {
    for parameter in network.parameters() {
        if let Some(part) = kernel_part(parameter.role, network) {
            let (mut values, gain) = (read(parameter.values().inner())?, gain(network, parameter.role));
            values.iter_mut().for_each(|w| *w *= gain);
            set(part, &values);
        }
    }
    Ok(())
}

/// Copies all parameters from the kernel, where `get` reads them, to `network`.
pub fn get_weights(network: &mut FeedForward, mut get: impl FnMut(kernel::Part) -> Vec<f32>) {
    let roles: Vec<Role> = network.parameters().iter().map(|p| p.role).collect();
    for role in roles {
        if let Some(part) = kernel_part(role, network) {
            let (mut values, gain) = (get(part), gain(network, role));
            values.iter_mut().for_each(|w| *w /= gain);
            network.set_values(role, values);
        }
    }
}

/// The kernel's name for a tensor. `None` for normalizations, which the kernel does not have.
fn kernel_part(role: Role, network: &FeedForward) -> Option<kernel::Part> {
    Some(match role {
        Role::Embedding(tensor) => kernel::Part::Embedding(match tensor {
            EmbeddingTensor::PeriodicWeight | EmbeddingTensor::PiecewiseWeight => 0,
            EmbeddingTensor::PeriodicPhase | EmbeddingTensor::PiecewiseBias => 1,
            EmbeddingTensor::PeriodicOutput | EmbeddingTensor::PiecewiseOutput => 2,
            EmbeddingTensor::PeriodicBias => 3,
            EmbeddingTensor::Category(i) => {
                let has = |tensor| network.parameter(Role::Embedding(tensor)).is_some();
                // The tables of categories come after the tensors of numbers.
                match (has(EmbeddingTensor::PeriodicWeight), has(EmbeddingTensor::PiecewiseWeight)) {
                    (true, _) => 4 + i,
                    (_, true) => 3 + i,
                    (false, false) => i,
                }
            }
        }),
        Role::InputScale => kernel::Part::R(0),
        Role::Alpha(i) => kernel::Part::Alpha(i),
        Role::R(i) => kernel::Part::R(i),
        Role::S(i) => kernel::Part::S(i),
        Role::Weight(i) => kernel::Part::Weight(i),
        Role::Bias(i) => kernel::Part::Bias(i),
        Role::Gamma(_) | Role::Beta(_) | Role::RunningMean(_) | Role::RunningVariance(_) => return None,
    })
}

/// Averages the outputs of a batch ensemble's members, `[members, rows, outputs]` to `[rows, outputs]`. For `logits` of a sigmoid
/// or softmax, the result is the logits of the average of the members' probabilities.
pub fn average_members(outputs: &mut Vec<f32>, network: &FeedForward, logits: bool) {
    let (members, m) = (network.members(), network.outputs());
    let n = outputs.len() / members;
    let lines = |i: usize| outputs.iter().skip(i).step_by(n).map(|x| f64::from(*x));
    let log_sum = |values: &[f64]| {
        let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        most + values.iter().map(|x| (x - most).exp()).sum::<f64>().ln()
    };
    let softplus = |z: f64| z.max(0.0) + (-z.abs()).exp().ln_1p();
    let joined: Vec<f32> = match network.output_activation().link().filter(|_| logits) {
        Some(Link::Softmax) => {
            // ln Σ eᶻ of each member's logits z in each row: z minus this is the logarithm of a probability.
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
        Some(Link::Sigmoid) => {
            let of = |i: usize| {
                let log = |sign: f64| log_sum(&lines(i).map(|z| -softplus(sign * z)).collect::<Vec<_>>());
                (log(-1.0) - log(1.0)) as f32
            };
            (0..n).map(of).collect()
        }
        None => (0..n).map(|i| (lines(i).sum::<f64>() / members as f64) as f32).collect(),
    };
    *outputs = joined;
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::{FeedForwardConfig, Norm};

    #[test]
    fn what_the_kernel_does_not_have_is_said() {
        let network = |norm: Norm, g: Activation| {
            let config = FeedForwardConfig::new(2, 3).with_widths(&[4], Activation::Tanh).with_norm(norm);
            config.with_output_activation(g).init(&Device::flex()).unwrap()
        };
        let softmax = network(Norm::None, Activation::Softmax);
        assert_eq!(describe(&softmax, false).err(), Some("it has no softmax, except under a cross-entropy"));
        let (layers, _) = describe(&softmax, true).unwrap();
        assert_eq!(layers.iter().map(|l| (l.inputs, l.outputs)).collect::<Vec<_>>(), [(2, 4), (4, 3)]);
        for &norm in Norm::ALL {
            let reason = (norm != Norm::None).then_some("it has no normalization layers");
            assert_eq!(describe(&network(norm, Activation::Identity), false).err(), reason, "{norm}");
        }
        // The kernel itself refuses a network without layers.
        let (layers, extras) = describe(&FeedForward::new(Vec::new(), 0.0), false).unwrap();
        assert_eq!(kernel::Network::new(&layers, &extras, 1).err(), Some(kernel::Unsupported::NoLayers));
    }

    #[test]
    fn frozen_parameters_and_other_numbers_are_not_trained() {
        let network = FeedForwardConfig::new(2, 1).with_widths(&[4], Activation::Tanh).init(&Device::flex()).unwrap();
        assert_eq!(untrained(&network), None);
        let mut frozen = network.clone();
        let layer = &mut frozen.layers_mut()[1];
        layer.linear = layer.linear.clone().no_grad();
        assert_eq!(untrained(&frozen), Some("it trains all weights, as 32-bit numbers"));
    }
}
