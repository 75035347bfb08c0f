//! Scales of numbers.

use serde::{Deserialize, Serialize};

use crate::normal_quantile::normal_quantile;
use crate::variants::named_variants;

/// How numeric columns are scaled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scaling {
    /// (x − mean) / standard deviation, clipped to [−6, 6]: a network extrapolates wildly from a far outlier.
    #[default]
    Standard,
    /// (x − min) / (max − min): the training rows are in [0, 1].
    MinMax,
    /// (x − median) / interquartile range, then squashed smoothly to (−3, 3) by x/√(1 + (x/3)²)
    /// (Holzmüller, Grinsztajn, Steinwart, 2024).
    Robust,
    /// The normal quantile of the rank of x among the training rows, interpolated between a 30th as many quantiles as there are rows,
    /// from 10 to 1000 of them (Gorishniy et al., 2024).
    ///
    /// Equal values have the middle of their ranks. So have the smallest and the largest value, and with them all values further out: of
    /// a thousand different values they are at ∓3.3, and at ∓1.6 if each is in every tenth row.
    Quantile,
    /// Unscaled.
    None,
}

named_variants!(Scaling {
    Standard = "standard",
    MinMax = "min-max",
    Robust = "robust",
    Quantile = "quantile",
    None = "none",
});

/// A map from the values of a column to numbers of moderate size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Scale {
    Linear {
        offset: f64,
        factor: f64,
    },
    Clipped {
        offset: f64,
        factor: f64,
    },
    Squash {
        offset: f64,
        factor: f64,
    },
    Quantile {
        knots: Vec<f64>,
        /// The ranks of the smallest and the largest training value, in [0, 1].
        #[serde(default = "open_ends")]
        ends: [f64; 2],
    },
}

/// The ranks in files from before ranks were stored.
fn open_ends() -> [f64; 2] {
    [0.0, 1.0]
}

/// Standardized values are clipped to this many standard deviations.
const CLIP: f64 = 6.0;
/// The most knots of a quantile scale.
const MAX_KNOTS: usize = 1000;

impl Scale {
    /// The scale of these training values, and the scaled value that stands for a missing one; none if there are no values.
    pub(crate) fn fit(mut values: Vec<f64>, scaling: Scaling) -> Option<(Self, f64)> {
        if values.is_empty() {
            return None;
        }
        values.sort_by(f64::total_cmp);
        let (min, max) = (values[0], values[values.len() - 1]);
        let quantile = |q: f64| {
            let position = q * (values.len() - 1) as f64;
            let (low, part) = (position as usize, position.fract());
            let high = values[(low + 1).min(values.len() - 1)];
            values[low] + part * (high - values[low])
        };
        let inverse = |spread: f64| if spread > 0.0 { 1.0 / spread } else { 0.0 };
        let median = quantile(0.5);
        Some(match scaling {
            Scaling::Standard => {
                let (mean, deviation) = mean_and_deviation(&values);
                (Self::Clipped { offset: mean, factor: inverse(deviation) }, 0.0)
            }
            Scaling::MinMax => {
                let scale = Self::Linear { offset: min, factor: inverse(max - min) };
                let (mean, _) = mean_and_deviation(&values);
                let fill = scale.apply(mean);
                (scale, fill)
            }
            Scaling::Robust => {
                let range = quantile(0.75) - quantile(0.25);
                let factor = if range > 0.0 { 1.0 / range } else { 2.0 * inverse(max - min) };
                (Self::Squash { offset: median, factor }, 0.0)
            }
            Scaling::Quantile => {
                let n = (values.len() / 30).clamp(10, MAX_KNOTS).min(values.len());
                let knots = (0..n).map(|i| quantile(i as f64 / (n.max(2) - 1) as f64)).collect();
                let middle = |equal: usize| equal as f64 / (2 * values.len()) as f64;
                let ends = [
                    middle(values.partition_point(|x| *x <= min)),
                    1.0 - middle(values.len() - values.partition_point(|x| *x < max)),
                ];
                let scale = Self::Quantile { knots, ends };
                let fill = scale.apply(median);
                (scale, fill)
            }
            Scaling::None => {
                let (mean, _) = mean_and_deviation(&values);
                (Self::Linear { offset: 0.0, factor: 1.0 }, mean)
            }
        })
    }

    /// The scaled value.
    pub(crate) fn apply(&self, x: f64) -> f64 {
        match self {
            Self::Linear { offset, factor } => (x - offset) * factor,
            Self::Clipped { offset, factor } => ((x - offset) * factor).clamp(-CLIP, CLIP),
            Self::Squash { offset, factor } => {
                let z = (x - offset) * factor;
                z / (1.0 + (z / 3.0).powi(2)).sqrt()
            }
            Self::Quantile { knots, ends: [least, largest] } => {
                // The mean of the ranks from below and above, so that ties stand in the middle of their range.
                let last = knots.len() - 1;
                let rank = |below: usize| {
                    if below == 0 {
                        0.0
                    } else if below > last {
                        last as f64
                    } else {
                        let (a, b) = (knots[below - 1], knots[below]);
                        (below - 1) as f64 + if b > a { (x - a) / (b - a) } else { 0.0 }
                    }
                };
                let (lower, upper) = (knots.partition_point(|k| *k < x), knots.partition_point(|k| *k <= x));
                let q = if upper > lower { (lower + upper - 1) as f64 / 2.0 } else { rank(lower) } / last.max(1) as f64;
                normal_quantile(q.clamp(*least, *largest).clamp(1e-7, 1.0 - 1e-7))
            }
        }
    }
    /// Whether the numbers are such as [`Scale::fit`] makes: for scales read from files.
    pub(crate) fn is_sound(&self) -> bool {
        match self {
            Self::Linear { offset, factor } | Self::Clipped { offset, factor } | Self::Squash { offset, factor } => {
                offset.is_finite() && factor.is_finite()
            }
            Self::Quantile { knots, ends: [least, largest] } => {
                !knots.is_empty()
                    && knots.iter().all(|x| x.is_finite())
                    && knots.is_sorted()
                    && 0.0 <= *least
                    && least <= largest
                    && *largest <= 1.0
            }
        }
    }
}

/// The mean and the standard deviation, which is 0 where it is below the rounding error.
pub(crate) fn mean_and_deviation(values: &[f64]) -> (f64, f64) {
    let n = values.len().max(1) as f64;
    // Scaled by the largest magnitude, squares of values up to 1e38 do not overflow, nor do those of 1e-38 vanish.
    let unit = values.iter().fold(0.0_f64, |m, x| m.max(x.abs()));
    if unit == 0.0 {
        return (0.0, 0.0);
    }
    let mean = values.iter().map(|x| x / unit).sum::<f64>() / n;
    let variance = values.iter().map(|x| (x / unit - mean).powi(2)).sum::<f64>() / n;
    let deviation = variance.sqrt();
    // Below rounding error the values are one value.
    (mean * unit, if deviation < 1e-12 { 0.0 } else { deviation * unit })
}
