//! Kinds of parameters, which can have their own learning rates and decay.

/// Kind of a parameter; [`PerGroup`] has a value for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Group {
    Weight,
    Bias,
    Embedding,
    InputScale,
    Activation,
    Member,
}

/// A value, such as a factor of the learning rate, for each kind of parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PerGroup<T> {
    /// The value for weights of dense layers.
    pub weight: T,
    /// The value for biases of dense layers.
    pub bias: T,
    /// The value for parameters of the input embedding.
    pub embedding: T,
    /// The value for trained factors by which the inputs of the first dense layer are multiplied.
    pub input_scale: T,
    /// The value for the trained α of parametric activations z + α·(f(z) − z).
    pub activation: T,
    /// The value for the vectors r and s of each member of a batch ensemble, by which the inputs and the outputs of a layer are
    /// multiplied.
    pub member: T,
}

impl<T: Copy> PerGroup<T> {
    /// The same value for every group.
    pub(crate) const fn all(value: T) -> Self {
        Self { weight: value, bias: value, embedding: value, input_scale: value, activation: value, member: value }
    }

    /// The value of a group.
    pub(crate) fn of(&self, group: Group) -> T {
        match group {
            Group::Weight => self.weight,
            Group::Bias => self.bias,
            Group::Embedding => self.embedding,
            Group::InputScale => self.input_scale,
            Group::Activation => self.activation,
            Group::Member => self.member,
        }
    }
}
