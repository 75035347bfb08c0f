//! The trait of networks that can be trained.

use std::collections::HashMap;

use burn::module::{Module, ParamId};
use burn::tensor::Tensor;
use perceptra_nn::{DropoutDraw, FeedForward, Group};

/// A Burn module that maps a batch of rows to a batch of outputs: all that [`Fit`](crate::Fit) asks of a network.
///
/// ```
/// use burn::module::Module;
/// use burn::nn::Linear;
/// use burn::tensor::Tensor;
/// use perceptra_train::{ForwardMode, Network};
///
/// #[derive(Module, Debug)]
/// struct Line {
///     linear: Linear,
/// }
///
/// impl Network for Line {
///     fn forward(&self, inputs: Tensor<2>, _: ForwardMode<'_>) -> Tensor<2> {
///         self.linear.forward(inputs)
///     }
/// }
/// ```
pub trait Network: Module {
    /// The outputs for a batch of rows.
    ///
    /// # Shapes
    ///
    /// - inputs: `[batch, inputs]`
    /// - result: `[batch, outputs]`; in training an ensemble may give `[members·batch, outputs]`, one member after another, and each
    ///   member is trained by its own loss
    fn forward(&self, inputs: Tensor<2>, mode: ForwardMode<'_>) -> Tensor<2>;

    /// The groups of parameters, for settings that concern some groups. Parameters that are not listed count as weights if they have two
    /// dimensions or more, else as biases.
    fn groups(&self) -> Vec<(ParamId, Group)> {
        Vec::new()
    }

    /// This network as a [`FeedForward`], which the fused engine can train; `None` if its [`forward`](Network::forward) does anything else.
    fn as_feed_forward(&self) -> Option<&FeedForward> {
        None
    }

    /// Mutable access as by [`Network::as_feed_forward`], for writing the trained weights back.
    fn as_feed_forward_mut(&mut self) -> Option<&mut FeedForward> {
        None
    }

    /// The numbers of inputs and outputs, against which data are checked before training; `None` if the network does not know them.
    fn shape(&self) -> Option<(usize, usize)> {
        None
    }
}

/// The group of each parameter of a network.
pub(crate) struct Groups(HashMap<ParamId, Group>);

impl Groups {
    pub(crate) fn of<N: Network>(network: &N) -> Self {
        Self(network.groups().into_iter().collect())
    }

    /// The group of parameter `id`, a tensor with `dimensions` dimensions.
    pub(crate) fn get(&self, id: ParamId, dimensions: usize) -> Group {
        self.0.get(&id).copied().unwrap_or(if dimensions < 2 { Group::Bias } else { Group::Weight })
    }
}

/// How a forward pass is computed: for the loss or not, in training or in evaluation.
#[derive(Debug, Clone, Copy, Default)]
pub struct ForwardMode<'a> {
    /// Whether the loss takes logits: then a sigmoid or softmax at the end is left out.
    pub logits: bool,
    /// The random numbers for dropout, in training; `None` in evaluation.
    pub dropout: Option<DropoutDraw<'a>>,
}

impl Network for FeedForward {
    fn forward(&self, inputs: Tensor<2>, mode: ForwardMode<'_>) -> Tensor<2> {
        let g = self.output_activation();
        let as_logits = mode.logits && g.makes_probabilities();
        match mode.dropout {
            Some(draw) if as_logits => self.forward_dropout(inputs, draw),
            Some(draw) => g.forward(self.forward_dropout(inputs, draw)),
            None if as_logits => self.forward_logits(inputs),
            None => FeedForward::forward(self, inputs),
        }
    }

    fn groups(&self) -> Vec<(ParamId, Group)> {
        self.parameters().iter().filter_map(|p| Some((p.id()?, p.role.group()?))).collect()
    }

    fn as_feed_forward(&self) -> Option<&FeedForward> {
        Some(self)
    }

    fn as_feed_forward_mut(&mut self) -> Option<&mut FeedForward> {
        Some(self)
    }

    fn shape(&self) -> Option<(usize, usize)> {
        Some((self.inputs(), self.outputs()))
    }
}
