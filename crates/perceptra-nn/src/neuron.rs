//! The single neuron.

use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::activation::Activation;
use crate::config::FeedForwardConfig;
use crate::error::NetworkError;
use crate::feed_forward::FeedForward;
use crate::role::Role;

/// One neuron, y = f(Σ wᵢxᵢ + b), with given weights: a [`FeedForward`] with no hidden layer, in plain numbers.
///
/// With [`Activation::Step`] or [`Activation::Sign`] it is the neuron of McCulloch and Pitts (1943).
///
/// ```
/// use perceptra_nn::{Activation, Neuron};
///
/// let and = Neuron::new(vec![1.0, 1.0], -1.5, Activation::Step);
/// assert_eq!(and.to_string(), "y = step(1·x1 + 1·x2 - 1.5)");
///
/// # let device = burn::tensor::Device::flex();
/// let rows = burn::tensor::Tensor::from_floats([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], &device);
/// let y = and.network(&device)?.forward(rows).try_into_vec_as::<f32>().unwrap();
/// assert_eq!(y, [0.0, 0.0, 0.0, 1.0]);
/// # Ok::<(), perceptra_nn::NetworkError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Neuron {
    /// Weights wᵢ, one for each input.
    pub weights: Vec<f32>,
    /// Bias b; the neuron's threshold is −b.
    pub bias: f32,
    /// Activation function f.
    pub activation: Activation,
}

/// The effect of an input on a neuron, by the sign of its weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Synapse {
    /// A weight above 0 excites the neuron.
    Excitatory,
    /// A weight below 0 inhibits the neuron.
    Inhibitory,
    /// A weight of 0: no connection.
    None,
}

impl Neuron {
    /// A neuron with the given weights, bias and activation.
    pub fn new(weights: Vec<f32>, bias: f32, activation: Activation) -> Self {
        Self { weights, bias, activation }
    }

    /// Converts a network with one output and no hidden layer, such as a trained one, into a neuron.
    ///
    /// # Errors
    ///
    /// [`NetworkError::NotANeuron`] if it has a hidden layer or more than one output.
    pub fn of(network: &FeedForward) -> Result<Self, NetworkError> {
        let values = |tensor: Tensor<1>| tensor.inner().try_into_vec_as::<f32>().unwrap_or_default();
        match network.layers.as_slice() {
            [layer] if layer.linear.weight.dims()[1] == 1 => Ok(Self {
                weights: values(layer.linear.weight.val().flatten(0, 1)),
                bias: layer.linear.bias.as_ref().map_or(0.0, |b| values(b.val()).first().copied().unwrap_or(0.0)),
                activation: layer.activation,
            }),
            _ => Err(NetworkError::NotANeuron { network: network.to_string() }),
        }
    }

    /// The neuron as a network on `device`, which can be trained and be part of other modules.
    ///
    /// # Errors
    ///
    /// [`NetworkError::ZeroWidth`] for a neuron without inputs.
    pub fn network(&self, device: &Device) -> Result<FeedForward, NetworkError> {
        let inputs = self.weights.len();
        let mut network = FeedForwardConfig::new(inputs, 1).with_output_activation(self.activation).init(device)?;
        network.set_values(Role::Weight(0), self.weights.clone());
        network.set_values(Role::Bias(0), vec![self.bias]);
        Ok(network)
    }

    /// Σ wᵢxᵢ + b of one row, before the activation. Inputs that are missing count as 0.
    pub fn potential(&self, x: &[f32]) -> f64 {
        let products = self.weights.iter().zip(x).map(|(w, x)| f64::from(*w) * f64::from(*x));
        products.sum::<f64>() + f64::from(self.bias)
    }

    /// The effect of each input on the neuron, by the sign of its weight.
    pub fn synapses(&self) -> Vec<Synapse> {
        let synapse = |w: &f32| match *w {
            w if w > 0.0 => Synapse::Excitatory,
            w if w < 0.0 => Synapse::Inhibitory,
            _ => Synapse::None,
        };
        self.weights.iter().map(synapse).collect()
    }
}

impl std::fmt::Display for Neuron {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "y = {}(", self.activation)?;
        let signed = |first: bool, x: f32| match (first, x < 0.0) {
            (true, false) => ("", x),
            (true, true) => ("-", -x),
            (false, false) => (" + ", x),
            (false, true) => (" - ", -x),
        };
        for (i, w) in self.weights.iter().enumerate() {
            let (sign, w) = signed(i == 0, *w);
            write!(f, "{sign}{w}·x{}", i + 1)?;
        }
        let (sign, b) = signed(self.weights.is_empty(), self.bias);
        write!(f, "{sign}{b})")
    }
}

impl std::fmt::Display for Synapse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Excitatory => "excitatory",
            Self::Inhibitory => "inhibitory",
            Self::None => "none",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::TensorData;

    fn respond(neuron: &Neuron, rows: &[[f32; 2]]) -> Vec<f32> {
        let device = Device::flex();
        let x = Tensor::<2>::from_data(TensorData::new(rows.concat(), [rows.len(), 2]), &device);
        neuron.network(&device).unwrap().forward(x).try_into_vec_as().unwrap()
    }

    #[test]
    fn gates_of_mcculloch_and_pitts() {
        let rows = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]];
        for (weights, bias, expected) in [
            ([1.0, 1.0], -1.5, [0.0, 0.0, 0.0, 1.0]),
            ([1.0, 1.0], -0.5, [0.0, 1.0, 1.0, 1.0]),
            ([-1.0, -1.0], 1.5, [1.0, 1.0, 1.0, 0.0]),
            ([1.0, -1.0], -0.5, [0.0, 0.0, 1.0, 0.0]),
        ] {
            let step = Neuron::new(weights.to_vec(), bias, Activation::Step);
            assert_eq!(respond(&step, &rows), expected);
            let sign = Neuron { activation: Activation::Sign, ..step.clone() };
            assert_eq!(respond(&sign, &rows), expected.map(|y| 2.0 * y - 1.0));
        }
        // At the threshold itself, step gives 1 and sign gives 0.
        let at = Neuron::new(vec![1.0, 1.0], -1.0, Activation::Step);
        assert_eq!(respond(&at, &[[0.0, 1.0]]), [1.0]);
        assert_eq!(respond(&Neuron { activation: Activation::Sign, ..at }, &[[0.0, 1.0]]), [0.0]);
    }

    // Gidon et al., 2020: both inputs together go past the peak of the dendritic spike.
    #[test]
    fn one_dendritic_neuron_computes_xor() {
        let xor = Neuron::new(vec![1.0, 1.0], -1.0, Activation::Dendritic);
        let y = respond(&xor, &[[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]);
        assert_eq!(y[..3], [0.0, 1.0, 1.0]);
        assert!((y[3] - (-1.0f32 / 0.3).exp()).abs() < 1e-6);
    }

    #[test]
    fn a_neuron_prints_as_a_formula_and_names_its_synapses() {
        let neuron = Neuron::new(vec![0.5, -2.0, 0.0], 0.25, Activation::Tanh);
        assert_eq!(neuron.synapses(), [Synapse::Excitatory, Synapse::Inhibitory, Synapse::None]);
        assert_eq!(neuron.to_string(), "y = tanh(0.5·x1 - 2·x2 + 0·x3 + 0.25)");
        assert_eq!(Synapse::Inhibitory.to_string(), "inhibitory");
        assert_eq!(neuron.potential(&[1.0, 0.5, 9.0]), -0.25);
    }

    #[test]
    fn a_neuron_becomes_a_network_and_back() {
        let device = Device::flex();
        let neuron = Neuron::new(vec![0.5, -2.0], 0.25, Activation::Sigmoid);
        assert_eq!(Neuron::of(&neuron.network(&device).unwrap()), Ok(neuron));
        let two = FeedForwardConfig::new(2, 2).init(&device).unwrap();
        let error = Neuron::of(&two).unwrap_err();
        assert_eq!(error.to_string(), format!("a neuron has one output and no hidden layer, this network is {two}"));
        assert!(matches!(
            Neuron::new(vec![], 1.0, Activation::Step).network(&device),
            Err(NetworkError::ZeroWidth { .. })
        ));
    }
}
