//! Temperature scaling, and the validation residuals of a model.

use perceptra_data::Matrix;
use perceptra_train::argmax;
use serde::{Deserialize, Serialize};

/// Maximum number of residuals kept for each target.
pub(crate) const KEPT: usize = 2000;
/// Maximum number of rows on which a temperature is fitted.
const FITTING_ROWS: usize = 20_000;
/// Standard deviation of the Gaussian prior on the logarithm of the temperature: without it, a few rows that are all predicted correctly
/// would drive the temperature to 0.
const PRIOR: f64 = 0.5;

/// Temperature and residuals of a model, from its validation rows.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Confidence {
    /// Temperature, the divisor of the logits; `None` without calibration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) temperature: Option<f64>,
    /// Absolute residuals |y − f| of each target y with prediction f, in ascending order: all, or [`KEPT`] of them, evenly spaced.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) residuals: Vec<Vec<f64>>,
    /// Number of validation rows that the residuals come from.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) rows: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(n: &usize) -> bool {
    *n == 0
}

impl Confidence {
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether the values are possible for a model with this many numeric targets.
    pub(crate) fn is_sound(&self, targets: usize) -> bool {
        let sorted = |r: &Vec<f64>| {
            !r.is_empty()
                && r.len() == self.rows.min(KEPT)
                && r[0] >= 0.0
                && r.is_sorted()
                && r.iter().all(|x| x.is_finite())
        };
        self.temperature.is_none_or(|t| t.is_finite() && t > 0.0)
            && (self.residuals.is_empty() || self.residuals.len() == targets && self.residuals.iter().all(sorted))
    }
}

/// Effect of temperature scaling on the probabilities of the validation rows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Calibration {
    /// Temperature, the divisor of the logits; above 1 if the network was overconfident.
    pub temperature: f64,
    /// Log loss before and after the scaling.
    pub log_loss: [f64; 2],
    /// Expected calibration error before and after the scaling.
    pub calibration_error: [f64; 2],
}

/// Divides the logits behind probabilities by a temperature: softmax(z) becomes softmax(z/T), as p^(1/T) normalized.
pub(crate) fn temper(probabilities: &mut Matrix<f64>, temperature: f64) {
    let power = 1.0 / temperature;
    for row in probabilities.values.chunks_exact_mut(probabilities.columns) {
        let largest = row[argmax(row)];
        if largest.is_nan() || largest <= 0.0 {
            continue;
        }
        row.iter_mut().for_each(|p| *p = (*p / largest).powf(power));
        let sum: f64 = row.iter().sum();
        row.iter_mut().for_each(|p| *p /= sum);
    }
}

/// The temperature with the least penalized log loss, by golden-section search over its logarithm. Weights count by their ratios: all of
/// them together as much as there are rows.
pub(crate) fn temperature(probabilities: &Matrix<f64>, truth: &[u32], weights: Option<&[f64]>) -> f64 {
    let step = truth.len().div_ceil(FITTING_ROWS).max(1);
    let columns = probabilities.columns;
    let rows = probabilities.values.chunks_exact(columns).zip(truth).step_by(step);
    // ln p; p = 0 counts as the least positive 32-bit float.
    let least = f64::from(f32::MIN_POSITIVE);
    let logs: Vec<f64> = rows.clone().flat_map(|(p, _)| p).map(|p| p.max(least).ln()).collect();
    let weights: Vec<f64> = match weights {
        None => vec![1.0; rows.len()],
        Some(weights) => {
            let taken = || weights.iter().step_by(step);
            let mean = taken().sum::<f64>() / rows.len() as f64;
            taken().map(|w| w / mean).collect()
        }
    };
    let classes: Vec<usize> = rows.map(|(_, class)| *class as usize).collect();
    let cost = |t: f64| {
        let power = (-t).exp();
        let mut total = t * t / (2.0 * PRIOR * PRIOR);
        for ((logs, class), weight) in logs.chunks_exact(columns).zip(&classes).zip(&weights) {
            let largest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = logs.iter().map(|l| (power * (l - largest)).exp()).sum();
            total += weight * (sum.ln() - power * (logs[*class] - largest));
        }
        total
    };
    let golden = (5f64.sqrt() - 1.0) / 2.0;
    let (mut low, mut high) = (-3.0, 3.0);
    let (mut a, mut b) = (high - golden * (high - low), low + golden * (high - low));
    let (mut fa, mut fb) = (cost(a), cost(b));
    while high - low > 1e-4 {
        if fa <= fb {
            (high, b, fb) = (b, a, fa);
            a = high - golden * (high - low);
            fa = cost(a);
        } else {
            (low, a, fa) = (a, b, fb);
            b = low + golden * (high - low);
            fb = cost(b);
        }
    }
    f64::exp(0.5 * (low + high))
}

#[cfg(test)]
mod tests {
    use super::*;
    use perceptra_random::{Purpose, Stream};

    fn uniform(n: usize, row: u32) -> Vec<f32> {
        let mut x = vec![0.0; n];
        Stream::new(3, Purpose::Data, 0).fill_uniform(row, &mut x);
        x
    }

    #[test]
    fn the_temperature_undoes_a_scaling_of_the_logits() {
        // Classes are drawn with the softmax of the logits, so logits times 3 are overconfident by that factor.
        let (n, z, u) = (20_000, uniform(20_000 * 3, 0), uniform(20_000, 1));
        let softmax = |z: &[f32], factor: f32| {
            let e: Vec<f64> = z.iter().map(|z| f64::from((4.0 * factor * z).exp())).collect();
            let sum: f64 = e.iter().sum();
            e.into_iter().map(|e| e / sum).collect::<Vec<f64>>()
        };
        let truth: Vec<u32> = (z.chunks(3).zip(&u))
            .map(|(z, u)| {
                let p = softmax(z, 1.0);
                let u = f64::from(*u);
                if u < p[0] { 0 } else { 1 + u32::from(u >= p[0] + p[1]) }
            })
            .collect();
        let matrix = |factor: f32| Matrix {
            rows: n,
            columns: 3,
            values: z.chunks(3).flat_map(|z| softmax(z, factor)).collect(),
        };
        for factor in [0.5, 1.0, 3.0] {
            let found = temperature(&matrix(factor), &truth, None);
            assert!((found / f64::from(factor) - 1.0).abs() < 0.06, "{factor}: {found}");
            let mut tempered = matrix(factor);
            temper(&mut tempered, f64::from(factor));
            for (a, b) in tempered.values.iter().zip(matrix(1.0).values) {
                assert!((a - b).abs() < 1e-5, "{a} {b}");
            }
        }
        // A few rows that are all right do not drive the temperature to 0.
        let sure = Matrix { rows: 20, columns: 2, values: [0.9, 0.1].repeat(20) };
        let found = temperature(&sure, &[0; 20], None);
        assert!((0.4..1.0).contains(&found), "{found}");
        // Rows of weight 3 count as three, up to the prior, and scaled weights as they are.
        let all = matrix(3.0);
        let of = |rows: &[usize], weights: Option<&[f64]>| {
            let values = rows.iter().flat_map(|row| all.values[3 * row..3 * row + 3].to_vec()).collect();
            let truth: Vec<u32> = rows.iter().map(|row| truth[*row]).collect();
            temperature(&Matrix { rows: rows.len(), columns: 3, values }, &truth, weights)
        };
        let rows: Vec<usize> = (0..2000).collect();
        // The rows that the network gets right weigh more: it may be surer.
        let right = |row: &usize| perceptra_train::argmax(&all.values[3 * row..3 * row + 3]) == truth[*row] as usize;
        let weights: Vec<f64> = rows.iter().map(|row| if right(row) { 3.0 } else { 1.0 }).collect();
        let repeated: Vec<usize> = rows.iter().flat_map(|row| vec![*row; if right(row) { 3 } else { 1 }]).collect();
        let (found, expected) = (of(&rows, Some(&weights)), of(&repeated, None));
        assert!((found - expected).abs() < 5e-3 && of(&rows, None) - found > 0.5, "{found} {expected}");
        let scaled: Vec<f64> = weights.iter().map(|w| 0.3 * w).collect();
        assert!((of(&rows, Some(&scaled)) - found).abs() < 1e-9);
        // Probabilities of 0 and NaN stay what they are.
        let mut odd = Matrix { rows: 2, columns: 2, values: vec![1.0, 0.0, f64::NAN, 0.5] };
        temper(&mut odd, 2.0);
        assert_eq!(odd.values[..2], [1.0, 0.0]);
    }

    #[test]
    fn the_calibration_error_by_hand() {
        use perceptra_train::ClassificationMetrics;
        // Four rows predicted with 0.8, two of them right; two with 0.6, both right.
        let p = [0.8, 0.2, 0.8, 0.2, 0.2, 0.8, 0.2, 0.8, 0.6, 0.4, 0.4, 0.6];
        let metrics = ClassificationMetrics::of(&p, &[0, 1, 1, 0, 0, 1], 2, None);
        let expected = (4.0 * 0.3 + 2.0 * 0.4) / 6.0;
        assert!((metrics.calibration_error - expected).abs() < 1e-6, "{}", metrics.calibration_error);
    }
}
