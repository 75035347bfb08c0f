//! Tasks.

use crate::variants::named_variants;

/// The task of a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// One or several numbers.
    Regression,
    /// One of two classes. Two classes are this task also where [`Task::Multiclass`] is asked for.
    Binary,
    /// One of three classes or more.
    Multiclass,
}

named_variants!(Task {
    Regression = "regression",
    Binary = "binary",
    Multiclass = "multiclass",
});

impl Task {
    /// Whether the target is a class.
    pub fn is_classification(self) -> bool {
        match self {
            Self::Regression => false,
            Self::Binary | Self::Multiclass => true,
        }
    }
}
