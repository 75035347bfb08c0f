//! Kinds of parameters.

use std::ops::{Index, IndexMut};

use crate::variants::all_variants;

/// The kind of a parameter, by which learning rates and decay differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// Weights of dense layers.
    Weight,
    /// Biases of dense layers.
    Bias,
    /// Parameters of the input embedding.
    Embedding,
    /// Factors of the inputs of the first dense layer.
    InputScale,
    /// The α of parametric activations.
    Activation,
    /// The factors r and s of the members of a batch ensemble.
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
    /// The value that `value` gives each group.
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
