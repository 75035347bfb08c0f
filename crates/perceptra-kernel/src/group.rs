//! Kinds of parameters, which can have their own learning rates and decay.

use std::ops::{Index, IndexMut};

use crate::variants::all_variants;

/// Kind of a parameter. Each kind has its own factor of the learning rate and its own weight decay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// Weights of dense layers.
    Weight,
    /// Biases of dense layers.
    Bias,
    /// Parameters of the input embedding.
    Embedding,
    /// Trained factors by which the inputs of the first dense layer are multiplied.
    InputScale,
    /// The trained α of parametric activations z + α·(f(z) − z).
    Activation,
    /// Vectors r and s of each member of a batch ensemble, by which the inputs and the outputs of a layer are multiplied.
    Member,
}

all_variants! { Group: Weight, Bias, Embedding, InputScale, Activation, Member }

/// A value for each [`Group`] of parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PerGroup<T>([T; Group::ALL.len()]);

impl<T: Copy> PerGroup<T> {
    /// The same value for every group.
    pub(crate) const fn all(value: T) -> Self {
        Self([value; Group::ALL.len()])
    }
}

impl<T> PerGroup<T> {
    /// Calls `value` for each group and keeps the results.
    pub fn from_fn(mut value: impl FnMut(Group) -> T) -> Self {
        Self(std::array::from_fn(|i| value(Group::ALL[i])))
    }
}

impl<T> Index<Group> for PerGroup<T> {
    type Output = T;

    fn index(&self, group: Group) -> &T {
        &self.0[group as usize]
    }
}

impl<T> IndexMut<Group> for PerGroup<T> {
    fn index_mut(&mut self, group: Group) -> &mut T {
        &mut self.0[group as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_group_has_a_value_of_its_own() {
        let mut names = PerGroup::from_fn(|group| format!("{group:?}"));
        for group in Group::ALL {
            assert_eq!(names[*group], format!("{group:?}"));
            names[*group].push('!');
        }
        assert_eq!(names, PerGroup::from_fn(|group| format!("{group:?}!")));
    }
}
