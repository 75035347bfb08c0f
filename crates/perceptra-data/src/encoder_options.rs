//! Options of encoders.

use serde::{Deserialize, Serialize};

use crate::scaling::{Scaling, Tails};

/// How features and targets are encoded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EncoderOptions {
    /// Scaling of numeric columns.
    pub scaling: Scaling,
    /// Treatment of values far from the mean by standard scaling.
    #[serde(skip_serializing_if = "Tails::is_default")]
    pub tails: Tails,
    /// Categories of fewer training rows than this share one column, and unseen ones with them. Missing values have a column of their
    /// own only if at least so many training rows lack the value: one or two such rows would be learned by heart.
    pub min_category_rows: usize,
    /// How many categories of a column may have columns of their own, the most frequent ones; the others share one. By default 1000
    /// (10,000 where they are embedded), and fewer, down to 100, where the columns of one feature would be more than 2²⁶ numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_categories: Option<usize>,
    /// Whether columns of 0/1 and −1/1 are scaled too, as [`Scaling::Robust`] scales numbers.
    pub scale_categories: bool,
    /// A column of more categories than this, counting one for unseen ones, becomes a single column with the index of the category, for
    /// a network that embeds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub embed_above: Option<usize>,
    /// Whether numeric targets are standardized inside the model.
    #[serde(alias = "standardise_target")]
    pub standardize_target: bool,
    /// Whether predictions are kept in the range of the targets of the training rows.
    pub clamp_target: bool,
}

/// By default at least so many categories have a place of their own, if they have [`EncoderOptions::min_category_rows`].
const CATEGORIES: usize = 100;
/// The most categories of a column by default: as columns, and as indices of an embedding.
const MOST_COLUMNS: usize = 1000;
const MOST_INDICES: usize = 10_000;
/// The most numbers that the columns of more than [`CATEGORIES`] categories of one feature may be: 256 MiB of them.
const MOST_NUMBERS: usize = 1 << 26;

impl EncoderOptions {
    /// The most categories of a column that have a place of their own, for a table of so many rows.
    pub(crate) fn most_categories(&self, rows: usize) -> usize {
        self.max_categories.unwrap_or_else(|| match self.embed_above {
            Some(above) if above <= CATEGORIES => MOST_INDICES,
            Some(_) | None => MOST_COLUMNS.min(MOST_NUMBERS / rows.max(1)).max(CATEGORIES),
        })
    }

    /// Whether a column says that a value is missing, if `rows` training rows lack it.
    pub(crate) fn tells_missing(&self, rows: usize) -> bool {
        rows > 0 && rows >= self.min_category_rows
    }
}

impl Default for EncoderOptions {
    fn default() -> Self {
        Self {
            scaling: Scaling::Standard,
            tails: Tails::Clip,
            min_category_rows: 3,
            max_categories: None,
            scale_categories: false,
            embed_above: None,
            standardize_target: true,
            clamp_target: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::de::value::{Error, MapDeserializer};

    use super::*;

    #[test]
    fn the_old_spelling_is_read() {
        for key in ["standardize_target", "standardise_target"] {
            let options = EncoderOptions::deserialize(MapDeserializer::<_, Error>::new([(key, false)].into_iter()));
            assert!(!options.unwrap().standardize_target);
        }
    }
}
