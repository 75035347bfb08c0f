//! Predictions from rows in the host's memory.

use burn::module::Module;
use burn::tensor::{DType, Device, Tensor, TensorData};
use perceptra_kernel as kernel;

use crate::error::NetworkError;
use crate::feed_forward::FeedForward;
use crate::host::{average_members, describe, has_own_memory, read, set_weights, threads};

/// Rows that Burn's forward pass takes at once.
const ROWS: usize = 1 << 14;

/// Computes the outputs of a network for rows in the host's memory. Its weights, memory and threads are kept from one call to the
/// next.
///
/// On the CPU the kernel computes the outputs, without tensors. Networks that the kernel does not support (such as those with
/// normalization layers) and networks on other devices are computed by [`FeedForward::forward`]. Weights are those that the network
/// had when the predictor was made.
///
/// ```
/// # use burn::tensor::Device;
/// use perceptra_nn::{Activation, FeedForwardConfig, Predictor};
///
/// let network = FeedForwardConfig::new(2, 1).with_widths(&[8], Activation::Relu).init(&Device::flex())?;
/// let mut predictor = Predictor::new(&network, false)?;
/// let first = predictor.predict(&[0.0, 1.0])?;
/// assert_eq!(predictor.predict(&[1.0, 1.0, 0.0, 1.0])?[1..], first);
/// # Ok::<(), perceptra_nn::NetworkError>(())
/// ```
#[derive(Debug)]
pub struct Predictor {
    network: FeedForward,
    logits: bool,
    device: Device,
    kernel: Option<kernel::Network>,
    /// Maximum number of threads that `kernel` may use.
    threads: usize,
}

impl Predictor {
    /// A predictor of a network's outputs; with `logits`, of the outputs before a sigmoid or softmax at the end, which
    /// [`FeedForward::forward_logits`] computes.
    ///
    /// # Errors
    ///
    /// [`NetworkError::ZeroWidth`] for a network without inputs or layers, [`NetworkError::Device`] if the device fails.
    pub fn new(network: &FeedForward, logits: bool) -> Result<Self, NetworkError> {
        if network.inputs() == 0 {
            return Err(NetworkError::ZeroWidth { what: "the number of inputs".into() });
        }
        let device = network.layers()[0].linear.weight.val().device().inner();
        let mut predictor = Self { network: network.valid(), logits, device, kernel: None, threads: threads() };
        predictor.kernel = predictor.start()?;
        Ok(predictor)
    }

    /// Builds the kernel's copy of the network. `None` if the kernel does not support the network, its device is not the CPU, or
    /// its weights are not `f32`.
    fn start(&self) -> Result<Option<kernel::Network>, NetworkError> {
        if has_own_memory(&self.device) || self.network.layers()[0].linear.weight.dtype() != DType::F32 {
            return Ok(None);
        }
        let Ok((layers, extras)) = describe(&self.network, self.logits) else { return Ok(None) };
        let Ok(mut kernel) = kernel::Network::new(&layers, &extras, self.threads) else { return Ok(None) };
        set_weights(&self.network, |part, values| kernel.set(part, values))?;
        Ok(Some(kernel))
    }

    /// The outputs for some rows of inputs, which lie one after another.
    ///
    /// # Shapes
    ///
    /// - rows: `[rows, inputs]`, row by row
    /// - result: `[rows, outputs]`, row by row
    ///
    /// # Errors
    ///
    /// [`NetworkError::Rows`] for values that are not whole rows, [`NetworkError::Device`] if the device fails.
    pub fn predict(&mut self, rows: &[f32]) -> Result<Vec<f32>, NetworkError> {
        let (inputs, outputs, members) = (self.network.inputs(), self.network.outputs(), self.network.members());
        if !rows.len().is_multiple_of(inputs) {
            return Err(NetworkError::Rows { values: rows.len(), inputs });
        }
        if self.kernel.is_some() && self.threads != threads() {
            self.threads = threads();
            self.kernel = self.start()?;
        }
        if let Some(kernel) = &mut self.kernel {
            let mut values = vec![0.0; members * (rows.len() / inputs) * outputs];
            kernel.predict(rows, &mut values);
            if members > 1 {
                average_members(&mut values, &self.network, self.logits);
            }
            return Ok(values);
        }
        let logits = self.logits && self.network.output_activation().makes_probabilities();
        let mut values = Vec::with_capacity(rows.len() / inputs * outputs);
        for chunk in rows.chunks((ROWS / members).max(1) * inputs) {
            let data = TensorData::new(chunk.to_vec(), [chunk.len() / inputs, inputs]);
            let x = Tensor::from_data(data, &self.device);
            values.extend(read(if logits { self.network.forward_logits(x) } else { self.network.forward(x) })?);
        }
        Ok(values)
    }
}

impl FeedForward {
    /// The network's outputs for rows in the host's memory: as [`FeedForward::forward`], without tensors. A [`Predictor`] is faster for
    /// many calls.
    ///
    /// ```
    /// # use burn::tensor::Device;
    /// use perceptra_nn::{Activation, FeedForwardConfig};
    ///
    /// let network = FeedForwardConfig::new(2, 1).with_widths(&[8], Activation::Relu).init(&Device::flex())?;
    /// let y = network.predict(&[0.0, 1.0, 1.0, 1.0])?;
    /// assert_eq!(y.len(), 2);
    /// # Ok::<(), perceptra_nn::NetworkError>(())
    /// ```
    ///
    /// # Shapes
    ///
    /// - rows: `[rows, inputs]`, row by row
    /// - result: `[rows, outputs]`, row by row
    ///
    /// # Errors
    ///
    /// As [`Predictor::new`] and [`Predictor::predict`].
    pub fn predict(&self, rows: &[f32]) -> Result<Vec<f32>, NetworkError> {
        Predictor::new(self, false)?.predict(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::activation::Activation;
    use crate::config::{Extras, FeedForwardConfig, Norm};
    use crate::embedding::{Column, EmbeddingConfig, NumberEmbedding};
    use crate::host::with_threads;
    use crate::testing::values;

    fn embedding(numbers: NumberEmbedding) -> Extras {
        let columns = vec![Column::Number, Column::Category(3), Column::Plain];
        let embedding = Some(EmbeddingConfig { columns, numbers, category_width: 4 });
        Extras { embedding, parametric: true, ..Extras::default() }
    }

    /// Networks with all that a network can have, but not all at once.
    fn networks() -> Vec<FeedForward> {
        let periodic = NumberEmbedding::Periodic { frequencies: 3, sigma: 0.5, width: 5 };
        let piecewise = NumberEmbedding::PiecewiseLinear { edges: vec![vec![-1.0, 0.0, 1.0, 2.0]], width: 16 };
        let members = Extras { members: 3, ..embedding(piecewise.clone()) };
        let scaled = Extras { input_scale: true, ntk: true, ..Extras::default() };
        let extras = [None, Some(scaled), Some(embedding(periodic)), Some(embedding(piecewise)), Some(members)];
        let mut networks = Vec::new();
        for extras in extras {
            for (g, outputs) in [(Activation::Identity, 2), (Activation::Sigmoid, 1), (Activation::Softmax, 3)] {
                for norm in [Norm::None, Norm::Layer] {
                    if norm != Norm::None && extras.is_some() {
                        continue;
                    }
                    let config = FeedForwardConfig::new(3, outputs)
                        .with_widths(&[20, 7], Activation::Silu)
                        .with_output_activation(g)
                        .with_norm(norm)
                        .with_parts(extras.clone());
                    networks.push(config.init(&Device::flex()).unwrap());
                }
            }
        }
        networks
    }

    fn rows(n: usize) -> Vec<f32> {
        (0..n).flat_map(|i| [(i % 17) as f32 / 8.0 - 1.0, (i % 3) as f32, (i % 5) as f32 / 4.0]).collect()
    }

    #[test]
    fn predictions_are_those_of_the_forward_pass() {
        let rows = rows(200);
        let x = || Tensor::from_data(TensorData::new(rows.clone(), [200, 3]), &Device::flex());
        for network in networks() {
            let logits = Predictor::new(&network, true).unwrap().predict(&rows).unwrap();
            for (got, want) in [
                (network.predict(&rows).unwrap(), values(network.forward(x()))),
                (logits, values(network.forward_logits(x()))),
            ] {
                assert_eq!(got.len(), want.len());
                for (a, b) in got.iter().zip(&want) {
                    assert!((a - b).abs() <= 1e-6 * b.abs().max(1.0), "{network}: {a} {b}");
                }
            }
        }
    }

    #[test]
    fn a_batch_ensemble_with_an_input_scale_is_predicted_by_the_forward_pass() {
        let extras = Extras { members: 3, input_scale: true, ..Extras::default() };
        let config = FeedForwardConfig::new(3, 2).with_widths(&[8, 4], Activation::Tanh).with_parts(Some(extras));
        let network = config.init(&Device::flex()).unwrap();
        let rows = rows(50);
        let x = Tensor::from_data(TensorData::new(rows.clone(), [50, 3]), &Device::flex());
        assert_eq!(network.predict(&rows).unwrap(), values(network.forward(x)));
    }

    #[test]
    fn a_predictor_gives_the_same_bits_in_every_call_and_with_any_threads() {
        let all = rows(3000);
        for network in networks() {
            for logits in [false, true] {
                let mut predictor = Predictor::new(&network, logits).unwrap();
                let whole = predictor.predict(&all).unwrap();
                assert_eq!(with_threads(1, || predictor.predict(&all)).unwrap(), whole, "{network}");
                assert_eq!(with_threads(2, || predictor.predict(&all)).unwrap(), whole, "{network}");
                if network.layers().iter().any(crate::Layer::has_norm) {
                    continue;
                }
                let pieces = all.chunks(3 * 700).flat_map(|rows| predictor.predict(rows).unwrap());
                // A softmax without logits is computed by Burn, whose sums may depend on the number of rows.
                if logits || network.output_activation() != Activation::Softmax {
                    assert!(pieces.zip(&whole).all(|(a, b)| a.to_bits() == b.to_bits()), "{network}");
                }
            }
        }
    }

    #[test]
    fn a_network_in_training_predicts_as_it_does_afterward() {
        let device = Device::flex().autodiff();
        let network = FeedForwardConfig::new(3, 1).with_widths(&[8], Activation::Tanh).init(&device).unwrap();
        assert_eq!(network.predict(&rows(10)), network.valid().predict(&rows(10)));
    }

    #[test]
    fn rows_must_be_whole() {
        let network = FeedForwardConfig::new(3, 2).init(&Device::flex()).unwrap();
        assert_eq!(network.predict(&[]), Ok(Vec::new()));
        let error = network.predict(&[1.0; 7]).unwrap_err();
        assert_eq!(error.to_string(), "7 values are not whole rows of 3 inputs");
        let error = FeedForward::new(Vec::new(), 0.0).predict(&[]).unwrap_err();
        assert_eq!(error, NetworkError::ZeroWidth { what: "the number of inputs".into() });
    }
}
