//! Options of encoders.

use serde::{Deserialize, Serialize};

use crate::scaling::Scaling;

/// How features and targets are encoded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EncoderOptions {
    /// Scaling of numeric columns.
    pub scaling: Scaling,
    /// Categories of fewer training rows than this share one column, and unseen ones with them. Missing values have a column of their
    /// own only if at least so many training rows lack the value: one or two such rows would be learned by heart.
    pub min_category_rows: usize,
    /// How many categories of a column may have columns of their own; the others share one.
    pub max_categories: usize,
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

impl EncoderOptions {
    /// Whether a column says that a value is missing, if `rows` training rows lack it.
    pub(crate) fn tells_missing(&self, rows: usize) -> bool {
        rows > 0 && rows >= self.min_category_rows
    }
}

impl Default for EncoderOptions {
    fn default() -> Self {
        Self {
            scaling: Scaling::Standard,
            min_category_rows: 3,
            max_categories: 100,
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
