//! The feed-forward network.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use crate::activation::{Activation, Link};
use crate::batched::by_row;
use crate::dropout::DropoutDraw;
use crate::embedding::{Embedding, EmbeddingConfig};
use crate::layer::Layer;

/// A dense feed-forward network of any depth. With one hidden layer it computes y = g(Σₖ βₖ f(Σⱼ wₖⱼxⱼ + wₖ₀) + β₀).
///
/// ```
/// # use burn::tensor::{Device, Tensor};
/// use perceptra_nn::{Activation, FeedForwardConfig};
///
/// # let device = Device::flex();
/// let network = FeedForwardConfig::new(4, 3).with_widths(&[16], Activation::Tanh).init(&device)?;
/// assert_eq!(network.to_string(), "FeedForward 4-16-3 (tanh), 131 parameters");
/// let y = network.forward(Tensor::zeros([5, 4], &device));
/// assert_eq!(y.dims(), [5, 3]);
/// # Ok::<(), perceptra_nn::NetworkError>(())
/// ```
#[derive(Module, Debug)]
#[module(custom_display)]
pub struct FeedForward {
    /// Embedding of the input columns before the first layer.
    pub(crate) embedding: Option<Embedding>,
    /// Trained factors by which the inputs of the first layer are multiplied, `[1, inputs]`.
    pub(crate) input_scale: Option<Param<Tensor<2>>>,
    /// Hidden layers, then the output layer.
    pub(crate) layers: Vec<Layer>,
    /// Share of hidden units dropped in training, in [0, 1).
    #[module(skip)]
    pub(crate) dropout: f64,
    /// Number of members of a batch ensemble, 1 for a single network.
    #[module(skip)]
    pub(crate) members: usize,
    /// Whether weighted sums are divided by √inputs.
    #[module(skip)]
    pub(crate) ntk: bool,
}

impl FeedForward {
    /// The network's output; for a batch ensemble, the average output of its members.
    ///
    /// # Shapes
    ///
    /// - x: `[batch, inputs]`
    /// - result: `[batch, outputs]`
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let g = self.output_activation();
        if self.members == 1 {
            return g.forward(self.pass(x, None));
        }
        let [rows, outputs] = [x.dims()[0], self.outputs()];
        g.forward(self.pass(x, None)).reshape([self.members, rows, outputs]).mean_dim(0).reshape([rows, outputs])
    }

    /// The network's output before its output activation: logits where that is a sigmoid or softmax. A batch ensemble gives the
    /// logits of its members' average probability, and for other activations the average of its members.
    ///
    /// # Shapes
    ///
    /// - x: `[batch, inputs]`
    /// - result: `[batch, outputs]`
    pub fn forward_logits(&self, x: Tensor<2>) -> Tensor<2> {
        let [rows, outputs] = [x.dims()[0], self.outputs()];
        let z = self.pass(x, None);
        if self.members == 1 {
            return z;
        }
        let members = |z: Tensor<2>| z.reshape([self.members, rows, outputs]);
        // ln Σ eˣ over the members.
        let joined = |logs: Tensor<2>| {
            let logs = members(logs);
            let most = logs.clone().max_dim(0);
            ((logs - most.clone()).exp().sum_dim(0).log() + most).reshape([rows, outputs])
        };
        match self.output_activation().link() {
            Some(Link::Softmax) => joined(burn::tensor::activation::log_softmax(z, 1)),
            // ln p − ln (1 − p), where ln σ(z) = −ln(1 + e⁻ᶻ).
            Some(Link::Sigmoid) => {
                let log = |z: Tensor<2>| Activation::Softplus.forward(z).neg();
                joined(log(z.clone().neg())) - joined(log(z))
            }
            None => members(z).mean_dim(0).reshape([rows, outputs]),
        }
    }

    /// Computes the output before the output activation as in training: the hidden units that `draw` chooses are dropped, and the
    /// others scaled up to make up for them (Srivastava et al., 2014).
    ///
    /// # Shapes
    ///
    /// - x: `[batch, inputs]`; `[members·batch, inputs]` where the members of a batch ensemble have rows of their own
    /// - result: `[batch, outputs]`; `[members·batch, outputs]` for a batch ensemble, one member after another
    pub fn forward_dropout(&self, x: Tensor<2>, draw: DropoutDraw<'_>) -> Tensor<2> {
        self.pass(x, Some(draw))
    }

    /// The dense layers: hidden layers, then the output layer.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// The dense layers to be changed, such as to freeze one. Shapes must stay as they are.
    pub fn layers_mut(&mut self) -> &mut [Layer] {
        &mut self.layers
    }

    /// The description of the embedding of the input columns; `None` if they are not embedded.
    pub(crate) fn embedding(&self) -> Option<&EmbeddingConfig> {
        self.embedding.as_ref().map(|embedding| &embedding.config)
    }

    /// Share of hidden units dropped in training.
    pub fn dropout(&self) -> f64 {
        self.dropout
    }

    /// The same network with another dropout rate, in [0, 1).
    #[must_use]
    pub fn with_dropout(mut self, dropout: f64) -> Self {
        self.dropout = dropout;
        self
    }

    /// Number of members of a batch ensemble, 1 for a single network.
    pub fn members(&self) -> usize {
        self.members
    }

    /// Whether weighted sums are divided by √inputs (the neural-tangent-kernel parametrization).
    pub(crate) fn is_ntk(&self) -> bool {
        self.ntk
    }

    /// Pairs (inputs, outputs) of all layers; in a batch ensemble, those of a single member.
    pub fn widths(&self) -> Vec<(usize, usize)> {
        let of = |layer: &Layer| {
            let [n, m] = layer.linear.weight.lazy_shape().dims();
            (if layer.factors.is_some() { n } else { n / self.members.max(1) }, m)
        };
        self.layers.iter().map(of).collect()
    }

    /// Number of input columns.
    pub fn inputs(&self) -> usize {
        let first = || self.widths().first().map_or(0, |(inputs, _)| *inputs);
        self.embedding().map_or_else(first, |embedding| embedding.columns.len())
    }

    /// Number of outputs.
    pub fn outputs(&self) -> usize {
        self.layers.last().map_or(0, |layer| layer.linear.weight.lazy_shape()[1])
    }

    /// Whether the network consists of dense layers alone, without normalization or extras.
    pub fn is_plain(&self) -> bool {
        let layer = |l: &Layer| !l.has_norm() && l.mix.is_none() && l.factors.is_none();
        let extras = self.embedding.is_some() || self.input_scale.is_some() || self.ntk || self.members > 1;
        !extras && self.layers.iter().all(layer)
    }

    /// The activation of the output layer.
    pub fn output_activation(&self) -> Activation {
        self.layers.last().map_or(Activation::Identity, |layer| layer.activation)
    }

    /// A network of these layers, the last of them the output layer, without extras; `dropout` in [0, 1).
    pub fn new(layers: Vec<Layer>, dropout: f64) -> Self {
        Self { embedding: None, input_scale: None, layers, dropout, members: 1, ntk: false }
    }

    /// Factor of a layer's weighted sums: 1/√inputs in the NTK parametrization, else 1.
    pub(crate) fn gain(&self, layer: &Layer) -> f64 {
        let own = if layer.factors.is_some() { 1 } else { self.members };
        if self.ntk { ((layer.linear.weight.lazy_shape()[0] / own) as f64).sqrt().recip() } else { 1.0 }
    }

    /// Computes the inputs of the first layer: embeds the input columns and multiplies them by the input scale.
    pub(crate) fn begin(&self, x: Tensor<2>) -> Tensor<2> {
        let x = self.embedding.iter().fold(x, |x, embedding| embedding.forward(&x));
        self.input_scale.iter().fold(x, |x, scale| x * scale.val())
    }

    /// Outputs before the output activation, `[members·batch, outputs]`. Units are dropped if there is a `draw`.
    fn pass(&self, x: Tensor<2>, draw: Option<DropoutDraw<'_>>) -> Tensor<2> {
        let last = self.layers.len() - 1;
        let mut x = self.begin(x);
        let shared = draw.is_none_or(|draw| draw.share_batches);
        let draw = draw.filter(|draw| self.dropout * draw.part > 0.0);
        if self.members > 1 {
            let (members, [rows, width]) = (self.members, x.dims());
            let batch = if shared { rows } else { rows / members };
            let x = if shared { x.unsqueeze() } else { x.reshape([members, batch, width]) };
            let mut x = x.expand([members, batch, width]);
            for (i, layer) in self.layers[..last].iter().enumerate() {
                x = by_row(layer.members(x, self.gain(layer)), |z| layer.activate(z));
                if let Some(draw) = draw {
                    let masks = draw.member_masks(self.dropout, i as u16, members, x.dims()[2], &x.device());
                    x = x * masks;
                }
            }
            let z = self.layers[last].members(x, self.gain(&self.layers[last]));
            return z.reshape([members * batch, self.outputs()]);
        }
        for (i, layer) in self.layers[..last].iter().enumerate() {
            x = layer.activate(layer.linear(x, self.gain(layer)));
            if let Some(draw) = draw {
                let mask = draw.mask(self.dropout, i as u16, x.dims()[1], &x.device());
                x = x * mask;
            }
        }
        self.layers[last].linear(x, self.gain(&self.layers[last]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;
    use burn::tensor::Device;

    use crate::role::Role;
    use crate::testing::values;
    use crate::{FeedForwardConfig, Norm};

    #[test]
    fn forward_by_hand() {
        let device = Device::flex();
        let mut network = FeedForwardConfig::new(2, 1)
            .with_widths(&[2], Activation::Relu)
            .with_output_activation(Activation::Sigmoid)
            .init(&device)
            .unwrap();
        // The XOR network of Goodfellow, Bengio, Courville, Deep Learning, section 6.1.
        network.set_values(Role::Weight(0), vec![1.0, 1.0, 1.0, 1.0]);
        network.set_values(Role::Bias(0), vec![0.0, -1.0]);
        network.set_values(Role::Weight(1), vec![1.0, -2.0]);
        network.set_values(Role::Bias(1), vec![0.0]);
        let x = || Tensor::from_floats([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], &device);
        assert_eq!(values(network.forward_logits(x())), [0.0, 1.0, 1.0, 0.0]);
        let sigmoid_1 = 0.731_058_6;
        for (got, want) in values(network.forward(x())).into_iter().zip([0.5, sigmoid_1, sigmoid_1, 0.5]) {
            assert_relative_eq!(got, want, max_relative = 1e-6);
        }
    }

    #[test]
    fn parameters_are_counted_as_built() {
        let device = Device::flex();
        for &norm in Norm::ALL {
            for bias in [false, true] {
                let config =
                    FeedForwardConfig::new(3, 2).with_widths(&[5, 4], Activation::Gelu).with_norm(norm).with_bias(bias);
                let network = config.init(&device).unwrap();
                let built = network.num_params() as u128;
                let sentence = network.to_string();
                assert!(sentence.ends_with(&format!(", {} parameters", config.parameters())), "{sentence}");
                // Batch normalization keeps two running averages, which Burn counts and which are not trained.
                let running = if norm == Norm::Batch { 2 * (5 + 4) } else { 0 };
                assert_eq!(built - running, config.parameters(), "{norm:?} {bias}");
            }
        }
    }

    #[test]
    fn the_seed_decides_the_weights() {
        let device = Device::flex();
        let weights = |seed| {
            let network =
                FeedForwardConfig::new(3, 2).with_widths(&[4], Activation::Tanh).with_seed(seed).init(&device).unwrap();
            values(network.layers[0].linear.weight.val())
        };
        assert_eq!(weights(1), weights(1));
        assert_ne!(weights(1), weights(2));
    }
}
