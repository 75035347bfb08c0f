//! A dense layer.

use burn::module::{Module, Param};
use burn::nn::{BatchNorm, LayerNorm, Linear};
use burn::tensor::Tensor;

use crate::activation::Activation;
use crate::batched::dense;

/// One dense layer: f(norm(xW + b)).
///
/// Checkpoints know its tensors by the names of these fields.
#[derive(Module, Debug)]
pub struct Layer {
    /// W `[inputs, outputs]` and b `[outputs]`.
    pub linear: Linear,
    /// Normalization over the batch.
    pub batch_norm: Option<BatchNorm>,
    /// Normalization over the units of a row.
    pub layer_norm: Option<LayerNorm>,
    /// α of a parametric activation, `[1, outputs]`.
    pub(crate) mix: Option<Param<Tensor<2>>>,
    /// r `[members, inputs]` and s `[members, outputs]` of a batch ensemble. The biases then are `[members·outputs]`; the output
    /// layer has neither r nor s, and weights `[members·inputs, outputs]`.
    pub(crate) factors: Option<[Param<Tensor<2>>; 2]>,
    /// f.
    #[module(skip)]
    pub activation: Activation,
}

impl Layer {
    /// f(xW + b), without normalization or extras.
    pub fn new(linear: Linear, activation: Activation) -> Self {
        Self { linear, batch_norm: None, layer_norm: None, mix: None, factors: None, activation }
    }

    /// Whether the layer has a normalization.
    pub fn has_norm(&self) -> bool {
        self.batch_norm.is_some() || self.layer_norm.is_some()
    }

    /// norm(gain·xW + b), before the activation. x `[batch, inputs]`, result `[batch, outputs]`.
    pub(crate) fn linear(&self, x: Tensor<2>, gain: f64) -> Tensor<2> {
        let z = if gain == 1.0 {
            self.linear.forward(x)
        } else {
            let z = x.matmul(self.linear.weight.val() * gain);
            self.linear.bias.iter().fold(z, |z, b| z + b.val().unsqueeze())
        };
        let z = self.batch_norm.iter().fold(z, |z, norm| norm.forward(z));
        self.layer_norm.iter().fold(z, |z, norm| norm.forward(z))
    }

    /// The layer's activation, with its α where it has them.
    pub(crate) fn activate(&self, z: Tensor<2>) -> Tensor<2> {
        match &self.mix {
            None => self.activation.forward(z),
            Some(a) => z.clone() + (self.activation.forward(z.clone()) - z) * a.val(),
        }
    }

    /// gain·((x⊙r)W)⊙s + b of each member of a batch ensemble, and gain·xW + b of the output layer, whose weights are each
    /// member's own. x `[members, batch, inputs]`, result `[members, batch, outputs]`.
    pub(crate) fn members(&self, x: Tensor<3>, gain: f64) -> Tensor<3> {
        let [members, _, inputs] = x.dims();
        let outputs = self.linear.weight.lazy_shape()[1];
        let weight = if gain == 1.0 { self.linear.weight.val() } else { self.linear.weight.val() * gain };
        let bias = self.linear.bias.as_ref().map(|b| b.val().reshape([members, 1, outputs]));
        match &self.factors {
            None => dense(x, weight.reshape([members, inputs, outputs]), None, bias),
            Some([r, s]) => {
                let [r, s] = [r, s].map(|f| f.val().unsqueeze_dim::<3>(1));
                dense(x * r, weight.unsqueeze(), Some(s), bias)
            }
        }
    }
}
