//! What can be trained.

use burn::module::Module;
use burn::tensor::Tensor;
use perceptra_nn::{Activation, DropoutDraw, FeedForward};

/// A Burn module that maps a batch of rows to a batch of outputs: all that [`fit`](crate::fit) asks of a network.
///
/// ```
/// use burn::module::Module;
/// use burn::nn::Linear;
/// use burn::tensor::Tensor;
/// use perceptra_train::{Network, Pass};
///
/// #[derive(Module, Debug)]
/// struct Line {
///     linear: Linear,
/// }
///
/// impl Network for Line {
///     fn forward(&self, inputs: Tensor<2>, _: Pass<'_>) -> Tensor<2> {
///         self.linear.forward(inputs)
///     }
/// }
/// ```
pub trait Network: Module {
    /// The outputs for a batch, as the loss takes them.
    ///
    /// # Shapes
    ///
    /// - inputs: `[batch, inputs]`
    /// - result: `[batch, outputs]`
    fn forward(&self, inputs: Tensor<2>, pass: Pass<'_>) -> Tensor<2>;

    /// The [`FeedForward`] that this network is, if its [`forward`](Network::forward) does nothing else: then the fused
    /// engine can train it.
    fn as_feed_forward(&self) -> Option<&FeedForward> {
        None
    }

    /// As [`Network::as_feed_forward`], to put trained weights back.
    fn as_feed_forward_mut(&mut self) -> Option<&mut FeedForward> {
        None
    }

    /// (inputs, outputs), if the network knows them: then they are checked against the data before training.
    fn shape(&self) -> Option<(usize, usize)> {
        None
    }
}

/// What a forward pass is for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pass<'a> {
    /// The loss takes logits: leave out a sigmoid or softmax at the end.
    pub logits: bool,
    /// In training, where the random numbers for dropout come from; in evaluation, none.
    pub dropout: Option<DropoutDraw<'a>>,
}

impl Network for FeedForward {
    fn forward(&self, inputs: Tensor<2>, pass: Pass<'_>) -> Tensor<2> {
        let z = match pass.dropout {
            Some(draw) => self.forward_dropout(inputs, draw),
            None => self.forward_logits(inputs),
        };
        match self.output_activation() {
            Activation::Sigmoid | Activation::Softmax if pass.logits => z,
            g => g.forward(z),
        }
    }

    fn as_feed_forward(&self) -> Option<&FeedForward> {
        Some(self)
    }

    fn as_feed_forward_mut(&mut self) -> Option<&mut FeedForward> {
        Some(self)
    }

    fn shape(&self) -> Option<(usize, usize)> {
        let inputs = self.layers.first()?.linear.weight.lazy_shape()[0];
        Some((inputs, self.layers.last()?.linear.weight.lazy_shape()[1]))
    }
}
