//! Counts of the values that an encoder had to fill in.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

/// How many values of a table were missing or unknown when it was encoded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EncodeReport {
    /// Missing values by column, where there are any.
    pub missing: Vec<(String, usize)>,
    /// Categories that did not occur in training, by column, where there are any.
    pub unseen: Vec<(String, usize)>,
}

impl AddAssign<&Self> for EncodeReport {
    fn add_assign(&mut self, other: &Self) {
        for (mine, theirs) in [(&mut self.missing, &other.missing), (&mut self.unseen, &other.unseen)] {
            for (name, n) in theirs {
                match mine.iter_mut().find(|(m, _)| m == name) {
                    Some((_, count)) => *count += n,
                    None => mine.push((name.clone(), *n)),
                }
            }
        }
    }
}
