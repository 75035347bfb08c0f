//! Raw predictions of dense networks on the CPU.

use burn::module::Module;
use burn::tensor::{DType, Tensor, TensorData};
use perceptra_kernel as kernel;
use perceptra_nn::{FeedForward, Loss};

use crate::error::TrainError;
use crate::fused::{activations, has_norm, layers, set_weights};
use crate::join::join;
use crate::network::{ForwardMode, Network};
use crate::threads::{has_own_memory, threads};
use crate::weighted::{EVALUATE, read};

/// The outputs of a dense network for rows in the host's memory, as `loss` takes them: logits where it takes logits. The fused engine's
/// kernels compute them where they support the network and its device is the CPU.
///
/// # Shapes
///
/// - inputs: `[rows, inputs]`, row by row
/// - result: `[rows, outputs]`, row by row
///
/// # Errors
///
/// [`TrainError::Device`], and [`TrainError::Width`] if the values are not whole rows.
pub fn predict_raw(network: &FeedForward, inputs: &[f32], loss: Loss) -> Result<Vec<f32>, TrainError> {
    let (n, m) = Network::shape(network).unwrap_or((1, 1));
    let rows = inputs.len() / n;
    if inputs.len() != rows * n {
        return Err(TrainError::Width { what: "inputs", network: n, data: inputs.len() - rows * n });
    }
    let device = network.layers()[0].linear.weight.val().device();
    let on_host = !has_own_memory(&device) && network.layers()[0].linear.weight.dtype() == DType::F32;
    let kernel = || {
        let (layers, extras) = layers(network, activations(network, loss).filter(|_| !has_norm(network) && on_host)?);
        kernel::Network::new(&layers, &extras, threads()).ok()
    };
    if let Some(mut kernel) = kernel() {
        set_weights(&mut kernel, network)?;
        let mut values = vec![0.0; network.members() * rows * m];
        kernel.predict(inputs, &mut values);
        if network.members() > 1 {
            join(&mut values, network, loss.takes_logits());
        }
        return Ok(values);
    }
    let network = network.valid();
    let mut values = Vec::with_capacity(rows * m);
    for chunk in inputs.chunks((EVALUATE / network.members()).max(1) * n) {
        let data = TensorData::new(chunk.to_vec(), [chunk.len() / n, n]);
        let mode = ForwardMode { logits: loss.takes_logits(), dropout: None };
        values.extend(read(Network::forward(&network, Tensor::from_data(data, &device.clone().inner()), mode))?);
    }
    Ok(values)
}
