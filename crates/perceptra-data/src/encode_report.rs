//! Counts of the values that an encoder had to fill in, to cut off or to put together.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

/// How many values of a table were missing, unknown or beyond the ends of their scale when it was encoded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EncodeReport {
    /// Missing values by column, where there are any.
    pub missing: Vec<(String, usize)>,
    /// Values of categories without a place of their own, by column, where there are any: the categories were rare in training, or did
    /// not occur.
    pub unseen: Vec<(String, usize)>,
    /// How many categories of the training rows share one place, by column, where such a place was taken.
    pub grouped: Vec<(String, usize)>,
    /// Numbers beyond the ends of their scale, which became those ends, by column, where there are any. The ends are 6 standard
    /// deviations from the mean in standard scaling, the training range in quantile scaling, and else the largest 32-bit float.
    pub clipped: Vec<(String, usize)>,
    /// Numbers that lie outside of the range of the training rows by more than half of its width, by column, where there are any.
    ///
    /// New rows of the same distribution have values a little beyond the range now and then; so far outside, the network was not
    /// trained.
    pub outside: Vec<(String, usize)>,
}

impl EncodeReport {
    /// The first column whose values in `rows` rows are all of categories without a place of their own, with their number, if there
    /// are two or more. A column whose rare categories share a place is none: its values may be of those.
    pub fn all_unseen(&self, rows: usize) -> Option<(&str, usize)> {
        let missing = |column: &str| self.missing.iter().find(|(name, _)| name == column).map_or(0, |(_, n)| *n);
        let shares = |column: &str| self.grouped.iter().any(|(name, _)| name == column);
        let all = |(column, n): &&(String, usize)| *n > 1 && n + missing(column) == rows && !shares(column);
        self.unseen.iter().find(all).map(|(column, n)| (column.as_str(), *n))
    }
}

impl AddAssign<&Self> for EncodeReport {
    fn add_assign(&mut self, other: &Self) {
        let Self { missing, unseen, grouped, clipped, outside } = self;
        let counted =
            [(missing, &other.missing), (unseen, &other.unseen), (clipped, &other.clipped), (outside, &other.outside)];
        for (mine, theirs) in counted {
            for (name, n) in theirs {
                match mine.iter_mut().find(|(m, _)| m == name) {
                    Some((_, count)) => *count += n,
                    None => mine.push((name.clone(), *n)),
                }
            }
        }
        // Of the categories themselves, not of rows.
        for theirs in &other.grouped {
            if !grouped.contains(theirs) {
                grouped.push(theirs.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_without_a_known_category_is_found() {
        let report = |n: usize, grouped: usize| EncodeReport {
            missing: vec![("a".into(), 1)],
            unseen: vec![("a".into(), n)],
            grouped: (grouped > 0).then(|| ("a".into(), grouped)).into_iter().collect(),
            ..EncodeReport::default()
        };
        assert_eq!(report(3, 0).all_unseen(4), Some(("a", 3)));
        assert_eq!(report(2, 0).all_unseen(4), None);
        // One value may be new, and values of rare categories have a place.
        assert_eq!(report(1, 0).all_unseen(2), None);
        assert_eq!(report(3, 5).all_unseen(4), None);
    }
}
