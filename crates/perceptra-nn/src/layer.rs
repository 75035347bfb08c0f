//! A dense layer.

use burn::module::{Module, Param};
use burn::nn::{BatchNorm, LayerNorm, Linear};
use burn::tensor::Tensor;

use crate::activation::Activation;
use crate::batched::dense;

/// One dense layer: f(norm(xW + b)).
///
/// Model files name its tensors after these fields.
#[derive(Module, Debug)]
pub struct Layer {
    /// Weights W `[inputs, outputs]` and biases b `[outputs]`.
    pub linear: Linear,
    /// Batch normalization, over the rows of a batch; `None` without it.
    pub batch_norm: Option<BatchNorm>,
    /// Layer normalization, over the units of each row; `None` without it.
    pub layer_norm: Option<LayerNorm>,
    /// α of a parametric activation z + α·(f(z) − z), `[1, outputs]`; `None` for other activations.
    pub(crate) mix: Option<Param<Tensor<2>>>,
    /// Factors r `[members, inputs]` and s `[members, outputs]` of a hidden layer in a batch ensemble, where biases are
    /// `[members·outputs]`. `None` in its output layer, whose weights are `[members·inputs, outputs]`, and in single networks.
    pub(crate) factors: Option<[Param<Tensor<2>>; 2]>,
    /// Activation function f.
    #[module(skip)]
    pub activation: Activation,
}

impl Layer {
    /// A layer f(xW + b), without normalization or extras.
    pub fn new(linear: Linear, activation: Activation) -> Self {
        Self { linear, batch_norm: None, layer_norm: None, mix: None, factors: None, activation }
    }

    /// Whether the layer has a normalization.
    pub(crate) fn has_norm(&self) -> bool {
        self.batch_norm.is_some() || self.layer_norm.is_some()
    }

    /// Computes norm(gain·xW + b), the values before the activation. x is `[batch, inputs]`, the result `[batch, outputs]`.
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

    /// Applies the layer's activation f to `z`; if it is parametric, the result is z + α·(f(z) − z).
    pub(crate) fn activate(&self, z: Tensor<2>) -> Tensor<2> {
        match &self.mix {
            None => self.activation.forward(z),
            Some(a) => z.clone() + (self.activation.forward(z.clone()) - z) * a.val(),
        }
    }

    /// Computes the values before the activation in a batch ensemble: gain·((x⊙r)W)⊙s + b for each member, and in the output layer
    /// gain·xW + b with each member's own weights. x is `[members, batch, inputs]`, the result `[members, batch, outputs]`.
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
