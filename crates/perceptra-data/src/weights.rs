//! Row weights as ratios, and quantiles of weighted values.

use crate::error::DataError;
use crate::schema::Schema;
use crate::table::Table;

/// The weights of rows, of which only the ratios count.
///
/// A row of weight 2 is two rows of weight 1, and weights that are all equal are no weights. Where weights have a common unit, of which
/// all of them are multiples, they are the numbers of rows that they stand for; then means and quantiles are those of a table with so
/// many copies of each row. Other weights are taken as they are, and their quantiles are those of the distribution function, the limit
/// for many copies.
#[derive(Debug, Clone, PartialEq)]
pub struct Weights {
    each: Vec<f64>,
    /// The weight of a row of an unweighted table: 1 for numbers of copies, else 0.
    unit: f64,
}

/// A remainder is none below this share of the least weight, except of whole numbers: decimal fractions are not exact.
const EXACT: f64 = 1e-5;
/// There is no common unit if it were less than this share of the least weight.
const LEAST_UNIT: f64 = 1e-4;

impl Weights {
    /// Weights of 0 or more; `None` if all are equal, or there are none.
    pub(crate) fn new(weights: Vec<f64>) -> Option<Self> {
        let first = *weights.first()?;
        if weights.iter().all(|w| *w == first) {
            return None;
        }
        Some(match common_unit(&weights) {
            Some(unit) => Self { each: weights.into_iter().map(|w| (w / unit).round()).collect(), unit: 1.0 },
            None => Self { each: weights, unit: 0.0 },
        })
    }

    /// The weights of the rows of `table`, by the column that the schema names; `None` without one and for equal weights.
    ///
    /// # Errors
    ///
    /// As [`Table::row_weights`].
    pub fn of(table: &Table, schema: &Schema) -> Result<Option<Self>, DataError> {
        let weights = schema.weights.as_ref().map(|column| table.weight_values(column)).transpose()?;
        Ok(weights.and_then(Self::new))
    }

    /// A weight for each row.
    pub fn each(&self) -> &[f64] {
        &self.each
    }

    /// The weights of the rows of which `chosen` is true, in the same unit.
    pub(crate) fn only(&self, chosen: impl Iterator<Item = bool>) -> Self {
        let each = self.each.iter().zip(chosen).filter_map(|(w, chosen)| chosen.then_some(*w)).collect();
        Self { each, unit: self.unit }
    }
}

/// The largest number of which all weights are multiples, by Euclid's algorithm. They are not all 0.
fn common_unit(weights: &[f64]) -> Option<f64> {
    let whole = weights.iter().all(|w| w.fract() == 0.0 && *w < 1e15);
    let exact = if whole { 0.0 } else { EXACT };
    let positive = || weights.iter().filter(|w| **w > 0.0);
    let least = positive().copied().fold(f64::INFINITY, f64::min);
    let mut unit = least;
    for weight in positive() {
        let (mut a, mut b) = (*weight, unit);
        loop {
            let rest = (a - (a / b).round() * b).abs();
            if rest <= exact * least {
                break;
            }
            (a, b) = (b, rest);
        }
        unit = b;
        if !whole && unit < LEAST_UNIT * least {
            return None;
        }
    }
    Some(unit)
}

/// Values in ascending order, of rows that may have weights.
#[derive(Debug, Clone)]
pub struct Sorted {
    values: Vec<f64>,
    weights: Option<SortedWeights>,
}

#[derive(Debug, Clone)]
struct SortedWeights {
    each: Vec<f64>,
    /// The weight of each value and of all before it.
    ends: Vec<f64>,
    unit: f64,
}

impl Sorted {
    /// Sorts values, with a weight for each of them if there are weights.
    pub fn new(mut values: Vec<f64>, weights: Option<&Weights>) -> Self {
        let Some(weights) = weights else {
            values.sort_by(f64::total_cmp);
            return Self { values, weights: None };
        };
        let mut pairs: Vec<(f64, f64)> = values.into_iter().zip(weights.each.iter().copied()).collect();
        pairs.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
        let (values, each): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
        let ends = each.iter().scan(0.0, |sum, w| {
            *sum += w;
            Some(*sum)
        });
        let ends = ends.collect();
        Self { values, weights: Some(SortedWeights { each, ends, unit: weights.unit }) }
    }

    /// The values, ascending.
    pub(crate) fn values(&self) -> &[f64] {
        &self.values
    }

    /// The weight of each value, if there are weights.
    pub(crate) fn weights(&self) -> Option<&[f64]> {
        self.weights.as_ref().map(|w| w.each.as_slice())
    }

    /// The `q`-quantile: interpolated linearly between the values around the position q·(n − 1), where a value stands as often as its
    /// weight says. NaN without values.
    pub fn quantile(&self, q: f64) -> f64 {
        let Some(last) = self.values.len().checked_sub(1) else { return f64::NAN };
        let (low, high, part) = match &self.weights {
            None => {
                let position = q * last as f64;
                let low = position as usize;
                (low, (low + 1).min(last), position.fract())
            }
            Some(SortedWeights { ends, unit, .. }) => {
                let position = q * (ends[last] - unit);
                let place = if *unit > 0.0 { position.floor() } else { position };
                let low = ends.partition_point(|end| *end <= place).min(last);
                let high = if place + unit < ends[low] { low } else { (low + 1).min(last) };
                (low, high, if *unit > 0.0 { position.fract() } else { 0.0 })
            }
        };
        self.values[low] + part * (self.values[high] - self.values[low])
    }

    /// The share of the values, by weight, that equal the smallest one, and that of those that equal the largest.
    pub(crate) fn shares_of_ends(&self) -> [f64; 2] {
        let last = self.values.len() - 1;
        let (min, max) = (self.values[0], self.values[last]);
        let (least, below) = (self.values.partition_point(|x| *x <= min), self.values.partition_point(|x| *x < max));
        match &self.weights {
            None => [least, last + 1 - below].map(|equal| equal as f64 / (last + 1) as f64),
            Some(SortedWeights { ends, .. }) => {
                let before = if below == 0 { 0.0 } else { ends[below - 1] };
                [ends[least - 1], ends[last] - before].map(|equal| equal / ends[last])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repeated(values: &[f64], weights: &[usize]) -> Sorted {
        let all = values.iter().zip(weights).flat_map(|(x, n)| std::iter::repeat_n(*x, *n)).collect();
        Sorted::new(all, None)
    }

    fn weighted(values: &[f64], weights: impl Iterator<Item = f64>) -> Sorted {
        Sorted::new(values.to_vec(), Weights::new(weights.collect()).as_ref())
    }

    #[test]
    fn quantiles_of_weighted_values_are_those_of_repeated_ones() {
        let values = [3.0, -1.0, 0.5, 0.5, 7.25, 2.0, 100.0];
        for weights in [[1, 2, 3, 1, 1, 4, 2], [2, 3, 2, 3, 2, 2, 3], [1, 1, 1, 1, 1, 1, 9], [1, 1, 1, 1, 1, 1, 1]] {
            let expected = repeated(&values, &weights);
            for factor in [1.0, 7.0, 0.1, 1.0 / 3.0, 1e-6] {
                let found = weighted(&values, weights.iter().map(|w| *w as f64 * factor));
                for i in 0..=97 {
                    let q = f64::from(i) / 97.0;
                    assert_eq!(found.quantile(q), expected.quantile(q), "{weights:?} {factor} {q}");
                }
                let (found, expected) = (found.shares_of_ends(), expected.shares_of_ends());
                assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-15), "{weights:?} {factor}");
            }
        }
    }

    #[test]
    fn weights_without_a_common_unit_are_shares_of_the_distribution() {
        let values = [1.0, 2.0, 3.0];
        let weights = [std::f64::consts::SQRT_2, 1.0, std::f64::consts::PI];
        let total: f64 = weights.iter().sum();
        for factor in [1.0, 1e3] {
            let found = weighted(&values, weights.iter().map(|w| w * factor));
            assert_eq!(found.weights.as_ref().unwrap().unit, 0.0);
            let just = |sum: f64, side: f64| found.quantile(sum / total + side * 1e-9);
            assert_eq!([just(weights[0], -1.0), just(weights[0], 1.0)], [1.0, 2.0]);
            assert_eq!([just(weights[0] + 1.0, -1.0), just(weights[0] + 1.0, 1.0)], [2.0, 3.0]);
            assert_eq!([found.quantile(0.0), found.quantile(1.0)], [1.0, 3.0]);
        }
    }

    #[test]
    fn equal_weights_are_none() {
        assert_eq!(Weights::new(vec![0.3; 5]), None);
        assert_eq!(Weights::new(vec![]), None);
        assert_eq!(Weights::new(vec![0.2, 0.3, 0.2]).unwrap().each(), [2.0, 3.0, 2.0]);
        assert_eq!(Weights::new(vec![1e6, 1e6 + 1.0]).unwrap().each(), [1e6, 1e6 + 1.0]);
    }
}
