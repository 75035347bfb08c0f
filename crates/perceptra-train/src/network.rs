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

    fn shape(&self) -> Option<(usize, usize)> {
        let inputs = self.layers.first()?.linear.weight.lazy_shape()[0];
        Some((inputs, self.layers.last()?.linear.weight.lazy_shape()[1]))
    }
}
