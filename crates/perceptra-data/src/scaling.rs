//! Scales of numbers.

use serde::{Deserialize, Serialize};

use crate::normal_quantile::normal_quantile;
use crate::variants::named_variants;
use crate::weights::Sorted;

/// How numeric columns are scaled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scaling {
    /// (x − mean) / standard deviation, with ends as [`Tails`] says: a network extrapolates wildly from a far outlier.
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

/// The treatment of values far from the mean by [`Scaling::Standard`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tails {
    /// Clipped to 6 standard deviations.
    #[default]
    Clip,
    /// z up to 3 standard deviations, ±(3 + ln(|z| − 2)) beyond: differentiable, and no two values become one.
    Log,
}

named_variants!(Tails {
    Clip = "clip",
    Log = "log",
});

impl Tails {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

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
    Logged {
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
/// Standardized values are linear up to this many standard deviations where they grow with their logarithm beyond.
const BEND: f64 = 3.0;
/// A range of no more than this share of the largest magnitude, 8 units in the last place, is rounding error: the values are one value.
const ROUNDING: f64 = 8.0 * f64::EPSILON;
/// The largest magnitude of a scaled number.
pub(crate) const LARGEST: f64 = f32::MAX as f64;
/// The most knots of a quantile scale.
const MAX_KNOTS: usize = 1000;

impl Scale {
    /// The scale of these training values, and the scaled value that stands for a missing one; none if there are no values.
    pub(crate) fn fit(sorted: &Sorted, scaling: Scaling, tails: Tails) -> Option<(Self, f64)> {
        let values = sorted.values();
        let (min, max) = (*values.first()?, *values.last()?);
        let rounding = ROUNDING * min.abs().max(max.abs());
        let inverse = |spread: f64| if spread > rounding { 1.0 / spread } else { 0.0 };
        let mean_and_deviation = || mean_and_deviation(values, sorted.weights());
        let median = || sorted.quantile(0.5);
        Some(match scaling {
            Scaling::Standard => {
                let (offset, deviation) = mean_and_deviation();
                let factor = if deviation > 0.0 { 1.0 / deviation } else { 0.0 };
                let scale = match tails {
                    Tails::Clip => Self::Clipped { offset, factor },
                    Tails::Log => Self::Logged { offset, factor },
                };
                (scale, 0.0)
            }
            Scaling::MinMax => {
                let scale = Self::Linear { offset: min, factor: inverse(max - min) };
                let fill = scale.apply(mean_and_deviation().0);
                (scale, fill)
            }
            Scaling::Robust => {
                let range = sorted.quantile(0.75) - sorted.quantile(0.25);
                let factor = if range > rounding { 1.0 / range } else { 2.0 * inverse(max - min) };
                (Self::Squash { offset: median(), factor }, 0.0)
            }
            Scaling::Quantile => {
                let n = (values.len() / 30).clamp(10, MAX_KNOTS).min(values.len());
                let knots = (0..n).map(|i| sorted.quantile(i as f64 / (n.max(2) - 1) as f64)).collect();
                let [least, largest] = sorted.shares_of_ends();
                let scale = Self::Quantile { knots, ends: [least / 2.0, 1.0 - largest / 2.0] };
                let fill = scale.apply(median());
                (scale, fill)
            }
            Scaling::None => (Self::Linear { offset: 0.0, factor: 1.0 }, mean_and_deviation().0),
        })
    }

    /// Whether a value lies beyond the ends of the scale, and so becomes one of these ends.
    pub(crate) fn clips(&self, x: f64) -> bool {
        match self {
            Self::Clipped { offset, factor } => ((x - offset) * factor).abs() > CLIP,
            Self::Quantile { knots, .. } => {
                knots.first().is_some_and(|k| x < *k) || knots.last().is_some_and(|k| x > *k)
            }
            Self::Linear { .. } => self.apply(x).abs() > LARGEST,
            Self::Logged { .. } | Self::Squash { .. } => false,
        }
    }

    /// Words for what becomes of values far out; none for scales that only multiply.
    pub(crate) fn tails(&self) -> Option<String> {
        match self {
            Self::Linear { .. } => None,
            Self::Clipped { .. } => Some(format!("clipped at {CLIP} deviations")),
            Self::Logged { .. } => Some(format!("logarithmic beyond {BEND} deviations")),
            Self::Squash { .. } => Some("squashed to (−3, 3)".to_owned()),
            Self::Quantile { .. } => Some("clipped at the training range".to_owned()),
        }
    }

    /// The scaled value.
    pub(crate) fn apply(&self, x: f64) -> f64 {
        match self {
            Self::Linear { offset, factor } => (x - offset) * factor,
            Self::Clipped { offset, factor } => ((x - offset) * factor).clamp(-CLIP, CLIP),
            Self::Logged { offset, factor } => {
                let z = (x - offset) * factor;
                if z.abs() <= BEND { z } else { (BEND + (z.abs() - BEND).ln_1p()).copysign(z) }
            }
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
            Self::Linear { offset, factor }
            | Self::Clipped { offset, factor }
            | Self::Logged { offset, factor }
            | Self::Squash { offset, factor } => offset.is_finite() && factor.is_finite(),
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

/// The mean and the standard deviation, which is 0 where it is below the rounding error, of values that may have weights.
pub(crate) fn mean_and_deviation(values: &[f64], weights: Option<&[f64]>) -> (f64, f64) {
    let sum = |term: &dyn Fn(f64) -> f64| match weights {
        None => values.iter().map(|x| term(*x)).sum::<f64>(),
        Some(weights) => values.iter().zip(weights).map(|(x, w)| w * term(*x)).sum(),
    };
    let n = weights.map_or(values.len().max(1) as f64, |weights| weights.iter().sum());
    // Scaled by the largest magnitude, squares of values up to 1e38 do not overflow, nor do those of 1e-38 vanish.
    let unit = values.iter().fold(0.0_f64, |m, x| m.max(x.abs()));
    if unit == 0.0 {
        return (0.0, 0.0);
    }
    let mean = sum(&|x| x / unit) / n;
    let variance = sum(&|x| (x / unit - mean).powi(2)) / n;
    let deviation = variance.sqrt();
    // Below rounding error the values are one value.
    (mean * unit, if deviation < 1e-12 { 0.0 } else { deviation * unit })
}
