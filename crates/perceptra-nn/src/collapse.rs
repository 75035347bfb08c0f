//! Merging of linear layers into one.

use burn::module::Param;
use burn::nn::Linear;

use crate::activation::Activation;
use crate::error::NetworkError;
use crate::feed_forward::FeedForward;
use crate::layer::Layer;

impl FeedForward {
    /// Merges a network with linear hidden layers into the equivalent network without hidden layers, with the weights W₁W₂⋯, the
    /// biases (b₁W₂ + b₂)W₃ + ⋯ and the same output activation. Depth without a nonlinearity adds nothing.
    ///
    /// # Errors
    ///
    /// [`NetworkError::NotLinear`] if a hidden layer has an activation or a normalization, [`NetworkError::Clash`] if the network
    /// has extras.
    pub fn collapse(&self) -> Result<Self, NetworkError> {
        let last = self.layers.len() - 1;
        if !self.is_plain() && !self.layers.iter().any(Layer::has_norm) {
            return Err(NetworkError::Clash { what: "a network with extras is not one neuron".to_owned() });
        }
        for (i, layer) in self.layers[..last].iter().enumerate() {
            let what = match layer.activation {
                Activation::Identity if !layer.has_norm() => continue,
                Activation::Identity => "a normalization".to_owned(),
                other => format!("the activation {other}"),
            };
            return Err(NetworkError::NotLinear { layer: i + 1, what });
        }
        let weight = |layer: &Layer| layer.linear.weight.val();
        let bias = |layer: &Layer| layer.linear.bias.as_ref().map(|b| b.val().unsqueeze::<2>());
        let first = (weight(&self.layers[0]), bias(&self.layers[0]));
        let (weight, bias) = self.layers[1..].iter().fold(first, |(w, b), layer| {
            let b = b.map(|b| b.matmul(weight(layer)));
            let b = match (b, bias(layer)) {
                (Some(a), Some(b)) => Some(a + b),
                (a, b) => a.or(b),
            };
            (w.matmul(weight(layer)), b)
        });
        let linear =
            Linear { weight: Param::from_tensor(weight), bias: bias.map(|b| Param::from_tensor(b.flatten(0, 1))) };
        let activation = self.output_activation();
        Ok(Self::new(vec![Layer::new(linear, activation)], 0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::module::Module;
    use burn::tensor::{Device, Distribution, Tensor};

    use crate::testing::values;
    use crate::{FeedForwardConfig, Hidden, Initializer, Norm};

    #[test]
    fn linear_layers_are_one_neuron() {
        let device = Device::flex();
        let x = || Tensor::<2>::random([50, 4], Distribution::Normal(0.0, 1.0), &device);
        for (hidden, bias) in [(&[] as &[usize], true), (&[5], true), (&[3, 7, 2], true), (&[6, 6], false)] {
            for g in [Activation::Identity, Activation::Sigmoid] {
                let deep = FeedForwardConfig::new(4, 2)
                    .with_widths(hidden, Activation::Identity)
                    .with_output_activation(g)
                    .with_initializer(Initializer::Torch)
                    .with_bias(bias)
                    .with_seed(3)
                    .init(&device)
                    .unwrap();
                let one = deep.collapse().unwrap();
                assert_eq!(one.layers.len(), 1);
                assert_eq!(one.num_params(), 4 * 2 + if bias { 2 } else { 0 });
                let x = x();
                for (a, b) in values(deep.forward(x.clone())).into_iter().zip(values(one.forward(x))) {
                    assert!((a - b).abs() <= 1e-5, "{hidden:?}: {a} {b}");
                }
            }
        }
        let bent = FeedForwardConfig::new(4, 1).with_hidden(vec![
            Hidden { width: 3, activation: Activation::Identity },
            Hidden { width: 3, activation: Activation::Tanh },
        ]);
        let error = bent.init(&device).unwrap().collapse().unwrap_err();
        assert_eq!(error, NetworkError::NotLinear { layer: 2, what: "the activation tanh".into() });
        let normed = FeedForwardConfig::new(4, 1).with_widths(&[3], Activation::Identity).with_norm(Norm::Layer);
        let error = normed.init(&device).unwrap().collapse().unwrap_err();
        assert_eq!(error, NetworkError::NotLinear { layer: 1, what: "a normalization".into() });
    }
}
